#include "weft/array.h"

#include <structmember.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <vector>

#include "weft/operators.h"
#include "weft/pieces.h"

namespace weft {

PyTypeObject* array_base = nullptr;
PyTypeObject* array_class = nullptr;

namespace {

PyObject* memory_handler = nullptr;

ArrayObject* as_array(PyObject* object) { return reinterpret_cast<ArrayObject*>(object); }

// NumPy frees and resizes the results it owns through these.
void* handler_malloc(void*, std::size_t bytes) {
  Block* block = pool_take(bytes);
  return block ? block->memory() : nullptr;
}

void* handler_calloc(void*, std::size_t count, std::size_t size) {
  std::size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
  void* memory = handler_malloc(nullptr, bytes);
  if (memory) std::memset(memory, 0, bytes);
  return memory;
}

void handler_free(void*, void* memory, std::size_t) {
  if (memory) drop(Block::of(memory));
}

void* handler_realloc(void*, void* old, std::size_t bytes) {
  void* memory = handler_malloc(nullptr, bytes);
  if (memory && old) {
    std::size_t capacity = Block::of(old)->capacity;
    std::memcpy(memory, old, bytes < capacity ? bytes : capacity);
    drop(Block::of(old));
  }
  return memory;
}

PyDataMem_Handler handler = {"weft_pool", 1, {nullptr, handler_malloc, handler_calloc, handler_realloc, handler_free}};

}  // namespace

ArrayObject* new_array(PyTypeObject* type, PyArray_Descr* descr, int rank, const npy_intp* dims) {
  auto* array = as_array(type->tp_alloc(type, 0));
  if (!array) return nullptr;
  array->dims = array->inline_dims;
  if (rank > 4) {
    array->dims = static_cast<npy_intp*>(PyMem_Malloc(sizeof(npy_intp) * static_cast<std::size_t>(rank)));
    if (!array->dims) {
      array->dims = array->inline_dims;
      Py_DECREF(array);
      PyErr_NoMemory();
      return nullptr;
    }
  }
  for (int axis = 0; axis < rank; ++axis) array->dims[axis] = dims[axis];
  array->rank = rank;
  array->dtype = descr->type_num;
  Py_INCREF(descr);
  array->descr = descr;
  return array;
}

namespace {

void array_dealloc(PyObject* self) {
  ArrayObject* array = as_array(self);
  PyTypeObject* type = Py_TYPE(self);
  if (array->weak_references) PyObject_ClearWeakRefs(self);
  if (array->block) drop(array->block);
  drop(array->pieces);
  Py_XDECREF(array->owner);
  Py_XDECREF(array->sharding);
  Py_XDECREF(array->descr);
  if (array->dims != array->inline_dims) PyMem_Free(array->dims);
  type->tp_free(self);
  Py_DECREF(type);
}

npy_intp element_count(const ArrayObject* array) {
  npy_intp count = 1;
  for (int axis = 0; axis < array->rank; ++axis) count *= array->dims[axis];
  return count;
}

PyObject* array_new(PyTypeObject* type, PyObject*, PyObject*) {
  PyErr_Format(PyExc_TypeError, "%s cannot be made directly; use weft.numpy.array or weft.device_put", type->tp_name);
  return nullptr;
}

PyObject* array_from_numpy(PyObject* cls, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"array", "copy", nullptr};
  PyObject* source;
  int copy = 1;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|p:from_numpy", const_cast<char**>(names), &source, &copy)) {
    return nullptr;
  }
  auto* type = reinterpret_cast<PyTypeObject*>(cls);
  return array_of_numpy(type == array_base ? array_class : type, source, copy);
}

PyObject* array_numpy(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"dtype", "copy", nullptr};
  PyArray_Descr* wanted = nullptr;
  PyObject* copy = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O&O:__array__", const_cast<char**>(names), PyArray_DescrConverter2,
                                   &wanted, &copy)) {
    return nullptr;
  }
  Ref hold(reinterpret_cast<PyObject*>(wanted));
  Ref view(numpy_view(as_array(self), false));
  if (!view) return nullptr;
  bool other = wanted && !PyArray_EquivTypes(wanted, as_array(self)->descr);
  int must = copy == Py_None ? 0 : PyObject_IsTrue(copy);
  if (must < 0) return nullptr;
  if ((other || !on_host(as_array(self))) && copy != Py_None && !must) {
    PyErr_SetString(PyExc_ValueError, other ? "a weft.Array of another dtype cannot be converted without a copy"
                                            : "a weft.Array of a GPU cannot be converted without a copy");
    return nullptr;
  }
  if (!other && !must) return view.release();
  auto* source = reinterpret_cast<PyArrayObject*>(view.get());
  if (!other) return PyArray_NewCopy(source, NPY_CORDER);
  hold.release();  // PyArray_CastToType takes the reference
  return PyArray_CastToType(source, wanted, 0);
}

PyObject* array_view(PyObject* self, PyObject*) { return numpy_view(as_array(self), false); }

PyObject* array_dlpack_device(PyObject* self, PyObject*) {
  bool host = on_host(as_array(self));
  return Py_BuildValue("(ii)", host ? 1 : 2, host ? 0 : as_array(self)->device->id);  // kDLCPU, kDLCUDA
}

PyObject* array_reshaped(PyObject* self, PyObject* shape) {
  ArrayObject* array = as_array(self);
  npy_intp dims[NPY_MAXDIMS], count = 1;
  if (!PyTuple_Check(shape) || PyTuple_GET_SIZE(shape) > NPY_MAXDIMS) {
    PyErr_SetString(PyExc_TypeError, "a shape is a tuple of at most 64 sizes");
    return nullptr;
  }
  auto rank = static_cast<int>(PyTuple_GET_SIZE(shape));
  for (int axis = 0; axis < rank; ++axis) {
    dims[axis] = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape, axis));
    if (dims[axis] == -1 && PyErr_Occurred()) return nullptr;
    if (dims[axis] < 0 || __builtin_mul_overflow(count, dims[axis], &count)) count = -1;
    if (count < 0) break;
  }
  if (count != element_count(array)) {
    PyErr_SetString(PyExc_ValueError, "the shape has another number of elements");
    return nullptr;
  }
  return share_array(array, rank, dims, array->committed);
}

PyObject* array_ready(PyObject* self, PyObject*) {
  if (!settle(as_array(self))) return nullptr;
  Py_INCREF(self);
  return self;
}

PyObject* array_is_ready(PyObject* self, PyObject*) { return PyBool_FromLong(is_ready(as_array(self))); }

PyObject* get_shape(PyObject* self, void*) {
  ArrayObject* array = as_array(self);
  Ref shape(PyTuple_New(array->rank));
  if (!shape) return nullptr;
  for (int axis = 0; axis < array->rank; ++axis) {
    PyObject* size = PyLong_FromSsize_t(array->dims[axis]);
    if (!size) return nullptr;
    PyTuple_SET_ITEM(shape.get(), axis, size);
  }
  return shape.release();
}

PyObject* get_dtype(PyObject* self, void*) {
  PyObject* descr = reinterpret_cast<PyObject*>(as_array(self)->descr);
  Py_INCREF(descr);
  return descr;
}

PyObject* get_device(PyObject* self, void*) { return device_object(as_array(self)->device); }

PyObject* get_committed(PyObject* self, void*) { return PyBool_FromLong(as_array(self)->committed); }

PyObject* get_sharding(PyObject* self, void*) {
  PyObject* found = as_array(self)->sharding;
  return Py_NewRef(found ? found : Py_None);
}

int set_sharding(PyObject* self, PyObject* value, void*) {
  PyObject* old = as_array(self)->sharding;
  as_array(self)->sharding = value && value != Py_None ? Py_NewRef(value) : nullptr;
  Py_XDECREF(old);
  return 0;
}

PyObject* get_ndim(PyObject* self, void*) { return PyLong_FromLong(as_array(self)->rank); }

PyObject* get_size(PyObject* self, void*) { return PyLong_FromSsize_t(element_count(as_array(self))); }

PyObject* get_nbytes(PyObject* self, void*) {
  return PyLong_FromSsize_t(element_count(as_array(self)) * PyDataType_ELSIZE(as_array(self)->descr));
}

PyObject* get_itemsize(PyObject* self, void*) { return PyLong_FromSsize_t(PyDataType_ELSIZE(as_array(self)->descr)); }

int refuse_store(PyObject*, PyObject*, PyObject* value) {
  PyErr_SetString(PyExc_TypeError, value ? "a weft.Array is immutable: instead of `x[index] = value` write "
                                           "`x = x.at[index].set(value)`"
                                         : "a weft.Array is immutable: its elements cannot be deleted");
  return -1;
}

// The NumPy view answers, and stays alive in the request; the array itself is named as the exporter.
int get_buffer(PyObject* self, Py_buffer* request, int flags) {
  request->obj = nullptr;
  if (flags & PyBUF_WRITABLE) {
    PyErr_SetString(PyExc_BufferError, "a weft.Array is immutable");
    return -1;
  }
  Ref view(numpy_view(as_array(self), false));
  return view ? PyObject_GetBuffer(view.get(), request, flags) : -1;
}

PyMethodDef methods[] = {
    {"from_numpy", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(array_from_numpy)),
     METH_VARARGS | METH_KEYWORDS | METH_CLASS,
     "from_numpy(array, copy=True)\n--\n\nAn array with the elements of a NumPy array; without a copy it shares "
     "memory."},
    {"__array__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(array_numpy)),
     METH_VARARGS | METH_KEYWORDS, "__array__(dtype=None, copy=None)\n--\n\nA read-only NumPy view."},
    {"_view", array_view, METH_NOARGS,
     "_view()\n--\n\nA read-only NumPy view of the same memory; a copy, if that is another device's."},
    {"_reshaped", array_reshaped, METH_O, "_reshaped(shape)\n--\n\nThe same memory as an array of another shape."},
    {"__dlpack_device__", array_dlpack_device, METH_NOARGS,
     "The DLPack device: (1, 0) for the CPU, (2, id) for a GPU."},
    {"block_until_ready", array_ready, METH_NOARGS,
     "block_until_ready()\n--\n\nWait until the elements are computed, and return the array."},
    {"is_ready", array_is_ready, METH_NOARGS,
     "is_ready()\n--\n\nWhether the elements are computed, so that reading them waits for nothing."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef properties[] = {
    {"shape", get_shape, nullptr, "The sizes of the axes.", nullptr},
    {"dtype", get_dtype, nullptr, "The NumPy dtype of the elements.", nullptr},
    {"device", get_device, nullptr, "The device that holds the elements.", nullptr},
    {"committed", get_committed, nullptr,
     "Whether `weft.device_put` put it where it lies: what is computed from it runs there.", nullptr},
    {"_sharding", get_sharding, set_sharding, "What is known of how the array is spread over devices, or None.",
     nullptr},
    {"ndim", get_ndim, nullptr, "The number of axes.", nullptr},
    {"size", get_size, nullptr, "The number of elements.", nullptr},
    {"nbytes", get_nbytes, nullptr, "The size of the elements in bytes.", nullptr},
    {"itemsize", get_itemsize, nullptr, "The size of one element in bytes.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef members[] = {{"__weaklistoffset__", T_PYSSIZET, offsetof(ArrayObject, weak_references), READONLY, nullptr},
                         {nullptr, 0, 0, 0, nullptr}};

template <class F>
void* slot(F* function) {
  return reinterpret_cast<void*>(function);
}

const PyType_Slot own_slots[] = {
    {Py_tp_doc, const_cast<char*>("The C base of weft.Array: an immutable, row-major device array.")},
    {Py_tp_new, slot(array_new)},
    {Py_tp_dealloc, slot(array_dealloc)},
    {Py_tp_hash, slot(PyObject_HashNotImplemented)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_members, members},
    {Py_mp_ass_subscript, slot(refuse_store)},
    {Py_bf_getbuffer, slot(get_buffer)}};

}  // namespace

PyObject* array_of_numpy(PyTypeObject* type, PyObject* source, bool copy) {
  Ref array(PyArray_FROM_O(source));
  if (!array) return nullptr;
  auto* input = reinterpret_cast<PyArrayObject*>(array.get());
  PyArray_Descr* descr = PyArray_DescrFromType(canonical_dtype(PyArray_TYPE(input)));
  if (!descr) return nullptr;
  Ref hold(reinterpret_cast<PyObject*>(descr));
  if (PyDataType_REFCHK(descr) || PyDataType_ISFLEXIBLE(descr) || PyTypeNum_ISDATETIME(descr->type_num)) {
    PyErr_Format(PyExc_TypeError, "a weft.Array cannot hold elements of type %R", PyArray_DESCR(input));
    return nullptr;
  }
  Ref made(reinterpret_cast<PyObject*>(new_array(type, descr, PyArray_NDIM(input), PyArray_DIMS(input))));
  if (!made) return nullptr;
  ArrayObject* result = as_array(made.get());
  bool plain = PyArray_IS_C_CONTIGUOUS(input) && PyArray_ISALIGNED(input) && PyArray_ISNOTSWAPPED(input);
  if (!copy && plain) {
    result->data = PyArray_DATA(input);
    result->owner = array.release();
    return made.release();
  }
  result->block = pool_take(static_cast<std::size_t>(PyArray_NBYTES(input)));
  if (!result->block) return PyErr_NoMemory();
  result->data = result->block->memory();
  if (plain) {
    std::memcpy(result->data, PyArray_DATA(input), static_cast<std::size_t>(PyArray_NBYTES(input)));
    return made.release();
  }
  Ref target(numpy_view(result, true));
  if (!target || PyArray_CopyInto(reinterpret_cast<PyArrayObject*>(target.get()), input) < 0) return nullptr;
  return made.release();
}

PyObject* share_array(ArrayObject* array, int rank, const npy_intp* dims, bool committed) {
  bool same = rank == array->rank && std::equal(dims, dims + rank, array->dims);
  if (!same && !gathered(array)) return nullptr;
  ArrayObject* made = new_array(Py_TYPE(reinterpret_cast<PyObject*>(array)), array->descr, rank, dims);
  if (!made) return nullptr;
  if (array->block) retain(array->block);
  made->block = array->block;
  made->data = array->data;
  made->device = array->device;
  made->committed = committed;
  if (same) made->pieces = retain(array->pieces);
  // What an array of a device keeps for the host has its shape.
  if (on_host(array)) made->owner = Py_XNewRef(array->owner);
  return reinterpret_cast<PyObject*>(made);
}

PyObject* make_array(int dtype, int rank, const npy_intp* dims, Block* block, bool committed, Device* device) {
  PyArray_Descr* descr = PyArray_DescrFromType(dtype);
  ArrayObject* array = descr ? new_array(array_class, descr, rank, dims) : nullptr;
  Py_XDECREF(descr);
  if (!array) {
    drop(block);
    return nullptr;
  }
  array->block = block;
  array->data = block->address;
  array->device = block->device ? block->device : device;
  array->committed = committed;
  return reinterpret_cast<PyObject*>(array);
}

PyObject* make_numpy(int dtype, int rank, const npy_intp* dims, Block* block) {
  PyArray_Descr* descr = PyArray_DescrFromType(dtype);
  PyObject* made = descr ? PyArray_NewFromDescr(&PyArray_Type, descr, rank, dims, nullptr, block->memory(),
                                                NPY_ARRAY_CARRAY, nullptr)
                         : nullptr;
  if (!made) {
    drop(block);
    return nullptr;
  }
  auto* fields = reinterpret_cast<PyArrayObject_fields*>(made);
  fields->flags |= NPY_ARRAY_OWNDATA;
  Py_INCREF(memory_handler);
  fields->mem_handler = memory_handler;
  return made;
}

PyObject* numpy_view(ArrayObject* array, bool writable) {
  if (!settle(array)) return nullptr;
  if (!on_host(array)) return host_copy(array);
  Py_INCREF(array->descr);
  Ref view(PyArray_NewFromDescr(&PyArray_Type, array->descr, array->rank, array->dims, nullptr, array->data,
                                writable ? NPY_ARRAY_CARRAY : NPY_ARRAY_CARRAY_RO, nullptr));
  if (!view) return nullptr;
  Py_INCREF(array);
  if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(view.get()), reinterpret_cast<PyObject*>(array)) < 0) {
    return nullptr;
  }
  return view.release();
}

int add_array_types(PyObject* module) {
  memory_handler = PyCapsule_New(&handler, "mem_handler", nullptr);
  if (!memory_handler) return -1;
  std::vector<PyType_Slot> slots(std::begin(own_slots), std::end(own_slots));
  slots.insert(slots.end(), operator_slots().begin(), operator_slots().end());
  slots.push_back({0, nullptr});
  PyType_Spec spec = {"weft._runtime.ArrayBase", sizeof(ArrayObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                      slots.data()};
  PyObject* type = PyType_FromSpec(&spec);
  if (!type) return -1;
  array_base = array_class = reinterpret_cast<PyTypeObject*>(type);
  return PyModule_AddObjectRef(module, "ArrayBase", type);
}

}  // namespace weft
