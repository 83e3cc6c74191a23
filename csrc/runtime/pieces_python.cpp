// The functions of weft._runtime that deal with arrays in pieces.
#include <pybind11/pybind11.h>

#include <memory>

#include "weft/pieces.h"

namespace py = pybind11;

namespace weft {
namespace {

py::object in_pieces(const py::sequence& arrays, const py::sequence& shape, const py::object& rows) {
  auto pieces = std::make_unique<Pieces>();
  for (const py::handle& item : arrays) {
    if (!is_array(item.ptr())) throw py::type_error("in_pieces wants arrays");
    pieces->arrays.push_back(Ref::borrow(item.ptr()));
  }
  if (rows.is_none()) {
    pieces->form = Pieces::Form::divided;
  } else {
    for (const py::handle& row : py::cast<py::sequence>(rows)) pieces->rows.push_back(py::cast<int>(row));
    pieces->form = pieces->rows.empty() ? Pieces::Form::equal : Pieces::Form::rows;
  }
  std::vector<npy_intp> dims;
  for (const py::handle& size : shape) dims.push_back(py::cast<npy_intp>(size));
  PyObject* made = make_in_pieces(pieces.release(), static_cast<int>(dims.size()), dims.data());
  if (!made) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

// Its pieces and their rows, or None.
py::object pieces_of(const py::object& array) {
  if (!is_array(array.ptr())) throw py::type_error("pieces_of wants an array");
  const Pieces* pieces = reinterpret_cast<ArrayObject*>(array.ptr())->pieces;
  if (!pieces) return py::none();
  py::tuple found(pieces->arrays.size());
  for (std::size_t k = 0; k < pieces->arrays.size(); ++k) {
    found[k] = py::reinterpret_borrow<py::object>(pieces->arrays[k].get());
  }
  py::object rows = py::none();
  if (pieces->form != Pieces::Form::divided) {
    py::tuple numbers(pieces->rows.size());
    for (std::size_t k = 0; k < pieces->rows.size(); ++k) numbers[k] = pieces->rows[k];
    rows = numbers;
  }
  return py::make_tuple(found, rows);
}

}  // namespace

void add_pieces_functions(py::module_& m) {
  m.def("in_pieces", in_pieces, py::arg("arrays"), py::arg("shape"), py::arg("rows"),
        "An array whose pieces lie on several GPUs: piece k is row rows[k] of the leading axis; (): each is the whole; "
        "None: as its sharding says.");
  m.def("pieces_of", pieces_of, py::arg("array"), "(pieces, rows) of an array that lies on several GPUs, or None.");
  m.def(
      "set_assembler", [](const py::object& to_host) { set_assembler(to_host.ptr()); }, py::arg("to_host"),
      "The function that puts an array in pieces together, as a NumPy array.");
}

}  // namespace weft
