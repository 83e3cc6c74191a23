#include "weft/pieces.h"

#include <algorithm>

namespace weft {
namespace {

PyObject* assembler = nullptr;

std::size_t bytes_of(const ArrayObject* array) {
  npy_intp bytes = PyDataType_ELSIZE(array->descr);
  for (int axis = 0; axis < array->rank; ++axis) bytes *= array->dims[axis];
  return static_cast<std::size_t>(bytes);
}

bool same_shape(const ArrayObject* piece, int rank, const npy_intp* dims) {
  return piece->rank == rank && std::equal(dims, dims + rank, piece->dims);
}

// What is wrong with the pieces, or null.
const char* misfit(const Pieces& pieces, int rank, const npy_intp* dims) {
  if (pieces.arrays.empty()) return "an array in pieces has one at least";
  for (std::size_t k = 0; k < pieces.arrays.size(); ++k) {
    const ArrayObject* piece = pieces[k];
    if (on_host(piece) || piece->pieces) return "the pieces of an array lie on GPUs";
    if (piece->dtype != pieces[0]->dtype) return "the pieces of an array have one dtype";
    bool fits = pieces.form == Pieces::Form::equal  ? same_shape(piece, rank, dims)
                : pieces.form == Pieces::Form::rows ? rank > 0 && same_shape(piece, rank - 1, dims + 1)
                                                    : same_shape(piece, pieces[0]->rank, pieces[0]->dims);
    if (!fits) return "the pieces of an array do not fit its shape";
  }
  if (pieces.form != Pieces::Form::rows) return nullptr;
  if (pieces.rows.size() != pieces.arrays.size()) return "each piece of an array is a row";
  for (npy_intp row = 0; row < dims[0]; ++row) {
    if (std::find(pieces.rows.begin(), pieces.rows.end(), row) == pieces.rows.end()) return "an array lacks a row";
  }
  bool outside =
      std::any_of(pieces.rows.begin(), pieces.rows.end(), [&](int row) { return row < 0 || row >= dims[0]; });
  return outside ? "an array has no such row" : nullptr;
}

}  // namespace

void drop(Pieces* pieces) {
  if (pieces && --pieces->references == 0) delete pieces;
}

PyObject* make_in_pieces(Pieces* pieces, int rank, const npy_intp* dims) {
  const char* wrong = misfit(*pieces, rank, dims);
  ArrayObject* array = nullptr;
  if (wrong) {
    PyErr_SetString(PyExc_ValueError, wrong);
  } else {
    array = new_array(array_class, (*pieces)[0]->descr, rank, dims);
  }
  if (!array) {
    drop(pieces);
    return nullptr;
  }
  array->pieces = pieces;
  array->device = (*pieces)[0]->device;
  array->committed = true;
  return reinterpret_cast<PyObject*>(array);
}

ArrayObject* copy_on(const ArrayObject* array, const Device& device) {
  if (!array->pieces || array->pieces->form != Pieces::Form::equal) return nullptr;
  for (std::size_t k = 0; k < array->pieces->arrays.size(); ++k) {
    ArrayObject* piece = (*array->pieces)[k];
    if (piece->device == &device) return piece;
  }
  return nullptr;
}

bool gather(ArrayObject* array) {
  Device& device = *array->device;
  Block* block = nullptr;
  try {
    const Pieces& pieces = *array->pieces;
    if (pieces.form == Pieces::Form::equal) {
      block = pieces[0]->block;
      retain(block);
    } else if (pieces.form == Pieces::Form::rows) {
      std::size_t row = bytes_of(pieces[0]);
      block = device.take(bytes_of(array));
      for (npy_intp k = 0; k < array->dims[0]; ++k) {
        auto found = std::find(pieces.rows.begin(), pieces.rows.end(), k) - pieces.rows.begin();
        const ArrayObject* piece = pieces[static_cast<std::size_t>(found)];
        char* place = static_cast<char*>(block->address) + static_cast<std::size_t>(k) * row;
        if (piece->device == &device) {
          device.copy(place, piece->data, row);
        } else {
          device.receive(place, *piece->device, piece->data, row);
        }
      }
      block->ready = device.record("");
    } else {
      Ref whole(assemble(array));
      Ref put(whole ? put_on_device(whole.get(), device, true) : nullptr);
      if (!put) return false;
      block = reinterpret_cast<ArrayObject*>(put.get())->block;
      retain(block);
    }
  } catch (const DeviceError& error) {
    if (block) drop(block);
    set_device_error(error);
    return false;
  }
  if (array->data) {  // another thread was faster, while Python's code ran
    drop(block);
    return true;
  }
  array->block = block;
  array->data = block->address;
  return true;
}

void set_assembler(PyObject* to_host) {
  Py_XDECREF(assembler);
  assembler = Py_NewRef(to_host);
}

PyObject* assemble(ArrayObject* array) {
  if (!assembler) {
    PyErr_SetString(PyExc_RuntimeError, "an array in pieces needs weft.runtime");
    return nullptr;
  }
  Ref made(PyObject_CallOneArg(assembler, reinterpret_cast<PyObject*>(array)));
  if (!made) return nullptr;
  auto* found = reinterpret_cast<PyArrayObject*>(made.get());
  bool fits = PyArray_Check(made.get()) && PyArray_TYPE(found) == array->dtype && PyArray_NDIM(found) == array->rank &&
              std::equal(array->dims, array->dims + array->rank, PyArray_DIMS(found)) && PyArray_ISCARRAY(found);
  if (fits) return made.release();
  PyErr_SetString(PyExc_RuntimeError, "an array in pieces was put together wrongly");
  return nullptr;
}

}  // namespace weft
