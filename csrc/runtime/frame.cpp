#include "weft/frame.h"

#include <algorithm>
#include <cstddef>
#include <unordered_map>

#include "weft/signature.h"

namespace weft {
namespace {

Word size_class(npy_intp size) { return size < 2 ? static_cast<Word>(size) : 2; }

bool is_numeric(int dtype) { return dtype <= NPY_CLONGDOUBLE || dtype == NPY_HALF || dtype >= NPY_USERDEF; }

struct ScalarType {
  PyTypeObject* type;
  int dtype;
  int offset;
  std::size_t bytes;
};

#define WEFT_SCALAR(Name, NAME) \
  {&Py##Name##ArrType_Type, NPY_##NAME, offsetof(Py##Name##ScalarObject, obval), sizeof(Py##Name##ScalarObject::obval)}
const ScalarType* find_scalar_type(PyTypeObject* type) {
  static const ScalarType table[] = {WEFT_SCALAR(Double, DOUBLE),
                                     WEFT_SCALAR(Float, FLOAT),
                                     WEFT_SCALAR(Long, LONG),
                                     WEFT_SCALAR(Int, INT),
                                     WEFT_SCALAR(Bool, BOOL),
                                     WEFT_SCALAR(CDouble, CDOUBLE),
                                     WEFT_SCALAR(CFloat, CFLOAT),
                                     WEFT_SCALAR(ULong, ULONG),
                                     WEFT_SCALAR(UInt, UINT),
                                     WEFT_SCALAR(Short, SHORT),
                                     WEFT_SCALAR(UShort, USHORT),
                                     WEFT_SCALAR(Byte, BYTE),
                                     WEFT_SCALAR(UByte, UBYTE),
                                     WEFT_SCALAR(LongLong, LONGLONG),
                                     WEFT_SCALAR(ULongLong, ULONGLONG),
                                     WEFT_SCALAR(Half, HALF),
                                     WEFT_SCALAR(LongDouble, LONGDOUBLE)};
  for (const ScalarType& entry : table) {
    if (entry.type == type) return &entry;
  }
  return nullptr;
}
#undef WEFT_SCALAR

bool is_memmap(PyTypeObject* type) {
  return PyType_IsSubtype(type, &PyArray_Type) && std::strcmp(type->tp_name, "memmap") == 0;
}

std::string dtype_text(int dtype) {
  PyArray_Descr* descr = PyArray_DescrFromType(dtype);
  Ref text(descr ? PyObject_Str(reinterpret_cast<PyObject*>(descr)) : nullptr);
  Py_XDECREF(descr);
  const char* chars = text ? PyUnicode_AsUTF8(text.get()) : nullptr;
  if (!chars) PyErr_Clear();
  return chars ? chars : "?";
}

std::uint64_t class_epoch = 1;

bool size_changed() {
  PyErr_SetString(PyExc_RuntimeError, "an argument changed its size while it was read");
  return false;
}

}  // namespace

void forget_classes() { ++class_epoch; }

bool Flattener::is_static(PyObject* name) const {
  for (const Ref& known : static_names) {
    if (known.get() == name || PyUnicode_Compare(known.get(), name) == 0) return true;
  }
  return false;
}

void Frame::release(std::size_t from_static, std::size_t from_leaf) {
  for (std::size_t index = from_static; index < statics.size(); ++index) Py_DECREF(statics[index]);
  for (std::size_t index = from_leaf; index < leaves.size(); ++index) Py_DECREF(leaves[index].object);
}

void Frame::rewind(const Mark& mark) {
  release(mark.statics, mark.leaves);
  words.truncate(mark.words);
  statics.truncate(mark.statics);
  leaves.truncate(mark.leaves);
  sizes.truncate(mark.sizes);
  ints.truncate(mark.ints);
  placement = mark.placement;
  std::size_t kept = arrays_.size();
  while (kept > 0 && arrays_[kept - 1] >= static_cast<int>(mark.leaves)) --kept;
  arrays_.truncate(kept);
  if (indexed_ > kept) {  // rebuilt when needed
    indexed_ = 0;
    index_of_.clear();
  }
}

Device* Frame::target() {
  try {
    if (placement.conflicting < 0 || flattener_.spreads)
      return placement.committed ? placement.committed : &default_device();
  } catch (const DeviceError& error) {
    set_device_error(error);
    return nullptr;
  }
  auto about = [&](int number) {
    auto index = static_cast<std::size_t>(number);
    const Leaf& leaf = leaves[index];
    const Device* device = reinterpret_cast<ArrayObject*>(leaf.object)->device;
    std::string shape;
    for (int axis = 0; axis < leaf.rank; ++axis) shape += (axis ? "," : "") + std::to_string(leaf.dims[axis]);
    return path_of_leaf(*this, index) + " with shape " + dtype_text(leaf.dtype) + "[" + shape + "] and device ids [" +
           std::to_string(device ? device->id : 0) + "] on platform " +
           (device && device->platform == Platform::gpu ? "GPU" : "CPU");
  };
  std::string first = about(placement.first), second = about(placement.conflicting);
  PyErr_Format(PyExc_ValueError,
               "Received incompatible devices for jitted computation. Got argument %s and argument %s; weft.device_put "
               "puts arrays on one device",
               first.c_str(), second.c_str());
  return nullptr;
}

const npy_intp* Frame::table() {
  if (ints.size() == 0) return sizes.data();
  table_.truncate(0);
  npy_intp* place = table_.extend(table_size());
  std::copy(sizes.begin(), sizes.end(), place);
  std::copy(ints.begin(), ints.end(), place + sizes.size());
  return table_.data();
}

bool Frame::add_platform() {
  if (placement.conflicting >= 0 && !flattener_.spreads) return true;  // said when a plan is looked for
  Device* device = target();
  if (!device) return false;
  words[0] |= word(Tag{}, static_cast<Word>(device->platform) << 32);
  return true;
}

bool Frame::add_arguments(PyObject* const* args, Py_ssize_t count, PyObject* names) {
  words.push(word(Tag::arguments, static_cast<Word>(count)));
  bool any_static = !flattener_.static_nums.empty();
  for (Py_ssize_t index = 0; index < count; ++index) {
    if (any_static && flattener_.is_static(index, count)) {
      add_static(args[index]);
    } else if (!add(args[index])) {
      return false;
    }
  }
  Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
  if (named == 0) return true;
  words.push(word(Tag::keywords, static_cast<Word>(named)));
  // By name, so that the order in which a caller writes them makes no second plan.
  Small<int, 16> order;
  for (int index = 0; index < named; ++index) {
    int place = index;
    order.push(index);
    while (place > 0 &&
           PyUnicode_Compare(PyTuple_GET_ITEM(names, order[place - 1]), PyTuple_GET_ITEM(names, index)) > 0) {
      order[place] = order[place - 1];
      --place;
    }
    order[place] = index;
  }
  for (int index : order) {
    PyObject* name = PyTuple_GET_ITEM(names, index);
    push_static(name);
    if (!flattener_.static_names.empty() && flattener_.is_static(name)) {
      add_static(args[count + index]);
    } else if (!add(args[count + index])) {
      return false;
    }
  }
  return true;
}

bool Frame::add_call(PyObject* args, PyObject* kwargs) {
  Py_ssize_t count = PyTuple_GET_SIZE(args);
  Py_ssize_t named = kwargs ? PyDict_GET_SIZE(kwargs) : 0;
  if (named == 0) return add_call(reinterpret_cast<PyTupleObject*>(args)->ob_item, count, nullptr);
  std::vector<PyObject*> all(reinterpret_cast<PyTupleObject*>(args)->ob_item,
                             reinterpret_cast<PyTupleObject*>(args)->ob_item + count);
  Ref names(PyTuple_New(named));
  if (!names) return false;
  PyObject *key, *value;
  Py_ssize_t position = 0, index = 0;
  while (PyDict_Next(kwargs, &position, &key, &value)) {
    if (!PyUnicode_Check(key)) {
      PyErr_SetString(PyExc_TypeError, "keywords must be strings");
      return false;
    }
    Py_INCREF(key);
    PyTuple_SET_ITEM(names.get(), index++, key);
    all.push_back(value);
  }
  return add_call(all.data(), count, names.get());
}

Leaf& Frame::push_leaf(PyObject* object, Tag tag, int dtype, int rank) {
  Leaf& leaf = *leaves.extend(1);
  Py_INCREF(object);
  leaf.object = object;
  leaf.data = nullptr;
  leaf.dims = nullptr;
  leaf.dtype = dtype;
  leaf.rank = rank;
  leaf.alias = -1;
  leaf.tag = tag;
  leaf.plain = true;
  return leaf;
}

bool Frame::add(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyArray_Type) return add_array(reinterpret_cast<PyArrayObject*>(object));
  if (type == &PyFloat_Type) {
    Leaf& leaf = push_leaf(object, Tag::py_float, NPY_DOUBLE, 0);
    *reinterpret_cast<double*>(leaf.value) = PyFloat_AS_DOUBLE(object);
    words.push(word(Tag::py_float));
    return true;
  }
  if (type == &PyLong_Type) {
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    Tag tag = overflow ? Tag::py_big_int : Tag::py_int;
    Leaf& leaf = push_leaf(object, tag, NPY_LONG, 0);
    *reinterpret_cast<long long*>(leaf.value) = value;
    words.push(word(tag));
    if (overflow) {
      big_int = true;
    } else {
      ints.push(static_cast<npy_intp>(value));
    }
    return true;
  }
  if (type == array_class) {
    add_weft_array(reinterpret_cast<ArrayObject*>(object));
    return true;
  }
  if (type == &PyBool_Type) {
    push_leaf(object, Tag::py_bool, NPY_BOOL, 0).value[0] = object == Py_True;
    words.push(word(Tag::py_bool));
    return true;
  }
  if (type == &PyTuple_Type) return add_children(object, Tag::tuple);
  if (type == &PyList_Type) return add_children(object, Tag::list);
  if (type == &PyDict_Type) return add_dict(object);
  if (object == Py_None) {
    words.push(word(Tag::none));
    return true;
  }
  if (type == &PyComplex_Type) {
    Leaf& leaf = push_leaf(object, Tag::py_complex, NPY_CDOUBLE, 0);
    *reinterpret_cast<Py_complex*>(leaf.value) = reinterpret_cast<PyComplexObject*>(object)->cval;
    words.push(word(Tag::py_complex));
    return true;
  }
  return add_other(object);
}

void Frame::push_sizes(Tag tag, const Leaf& leaf) {
  npy_intp* place = sizes.extend(static_cast<std::size_t>(leaf.rank));
  // 8 bits of tag, 16 of dtype, 7 of rank, and 2 for each of the first 16 sizes.
  Word value = word(tag, static_cast<Word>(leaf.dtype & 0xffff) | static_cast<Word>(leaf.rank) << 16);
  int first = leaf.rank < 16 ? leaf.rank : 16;
  for (int axis = 0; axis < first; ++axis) {
    place[axis] = leaf.dims[axis];
    value |= size_class(leaf.dims[axis]) << (31 + 2 * axis);
  }
  words.push(value);
  for (int axis = 16; axis < leaf.rank; axis += 16) {
    Word classes = 0;
    for (int inner = axis; inner < leaf.rank && inner < axis + 16; ++inner) {
      place[inner] = leaf.dims[inner];
      classes |= size_class(leaf.dims[inner]) << (2 * (inner - axis));
    }
    words.push(word(Tag::more_sizes, classes));
  }
}

// The first leaf that is this ndarray, or -1. Calls with many arrays (parameters of a network) get a hash table.
int Frame::find_alias(PyObject* object) {
  constexpr std::size_t kFew = 32;
  if (arrays_.size() < kFew) {
    for (int index : arrays_) {
      if (leaves[static_cast<std::size_t>(index)].object == object) return index;
    }
    return -1;
  }
  for (; indexed_ < arrays_.size(); ++indexed_) {
    int index = arrays_[indexed_];
    index_of_.emplace(leaves[static_cast<std::size_t>(index)].object, index);
  }
  auto found = index_of_.find(object);
  return found == index_of_.end() ? -1 : found->second;
}

bool Frame::add_array(PyArrayObject* array) {
  PyObject* object = reinterpret_cast<PyObject*>(array);
  int alias = find_alias(object);
  Leaf& leaf = push_leaf(object, Tag::np_array, canonical_dtype(PyArray_TYPE(array)), PyArray_NDIM(array));
  leaf.data = PyArray_DATA(array);
  leaf.dims = PyArray_DIMS(array);
  constexpr int needed = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED;
  leaf.plain = (PyArray_FLAGS(array) & needed) == needed && PyArray_ISNOTSWAPPED(array);
  leaf.alias = alias;
  push_sizes(Tag::np_array, leaf);
  if (alias >= 0) {
    words.push(word(Tag::alias, static_cast<Word>(alias)));
  } else {
    arrays_.push(static_cast<int>(leaves.size()) - 1);
  }
  return true;
}

void Frame::add_weft_array(ArrayObject* array) {
  Leaf& leaf = push_leaf(reinterpret_cast<PyObject*>(array), Tag::weft_array, array->dtype, array->rank);
  leaf.data = array->data;
  leaf.dims = array->dims;
  push_sizes(Tag::weft_array, leaf);
  pending = pending || (array->block && array->block->ready);
  placement.note(array, static_cast<int>(leaves.size()) - 1);
}

bool Frame::add_children(PyObject* sequence, Tag tag) {
  Py_ssize_t count = Py_SIZE(sequence);
  words.push(word(tag, static_cast<Word>(count)));
  if (Py_EnterRecursiveCall(" while reading an argument")) return false;
  bool list = tag == Tag::list;
  bool ok = true;
  for (Py_ssize_t index = 0; ok && index < count; ++index) {
    if (list && Py_SIZE(sequence) != count) {
      ok = size_changed();
      break;
    }
    Ref child = Ref::borrow(list ? PyList_GET_ITEM(sequence, index) : PyTuple_GET_ITEM(sequence, index));
    ok = add(child.get());
  }
  Py_LeaveRecursiveCall();
  return ok;
}

bool Frame::add_dict(PyObject* object) {
  Py_ssize_t count = PyDict_GET_SIZE(object);
  words.push(word(Tag::dict, static_cast<Word>(count)));
  if (Py_EnterRecursiveCall(" while reading an argument")) return false;
  PyObject *key, *value;
  Py_ssize_t position = 0, seen = 0;
  bool ok = true;
  while (ok && PyDict_Next(object, &position, &key, &value)) {
    Ref child = Ref::borrow(value);
    push_static(key);
    ok = ++seen <= count && add(child.get());
    if (PyDict_GET_SIZE(object) != count) break;
  }
  Py_LeaveRecursiveCall();
  if (!PyErr_Occurred() && (seen != count || PyDict_GET_SIZE(object) != count)) return size_changed();
  return ok;
}

// Classes whose children are attributes come apart without Python code: `layout`, an attribute of the custom flattener,
// gives None or the names of the children and of what is fixed (None: the former) for a class.
static bool find_fields(PyObject* custom, Flattener::Known* known) {
  Ref layout(PyObject_GetAttrString(custom, "layout"));
  if (!layout) {
    PyErr_Clear();
    return true;
  }
  Ref names(PyObject_CallOneArg(layout.get(), known->type.get()));
  if (!names) return false;
  if (names.get() == Py_None) return true;
  PyObject *children, *fixed;
  if (!PyArg_ParseTuple(names.get(), "O!O", &PyTuple_Type, &children, &fixed)) return false;
  known->role = Flattener::Role::fields;
  known->children = Ref::borrow(children);
  if (fixed != Py_None) known->auxiliary = Ref::borrow(fixed);
  return true;
}

// What instances of this type are. For a type met first, `parts` gets what the custom flattener gave for `object`.
const Flattener::Known* Frame::classify(PyObject* object, Ref* parts) {
  PyTypeObject* type = Py_TYPE(object);
  if (flattener_.epoch != class_epoch) {
    flattener_.types.clear();
    flattener_.epoch = class_epoch;
  }
  auto found = flattener_.types.find(type);
  if (found != flattener_.types.end()) return &found->second;
  using Role = Flattener::Role;
  Flattener::Known known{Ref::borrow(reinterpret_cast<PyObject*>(type)), Role::fixed, 0, -1, 0, Ref(), Ref()};
  if (PyArray_IsScalar(object, Generic)) {
    if (const ScalarType* scalar = find_scalar_type(type)) {
      known.role = Role::np_scalar;
      known.dtype = canonical_dtype(scalar->dtype);
      known.offset = scalar->offset;
      known.bytes = scalar->bytes;
    } else {
      PyArray_Descr* descr = PyArray_DescrFromScalar(object);
      if (!descr) return nullptr;
      if (is_numeric(descr->type_num)) known.role = Role::np_scalar;
      known.dtype = descr->type_num;
      Py_DECREF(descr);
    }
  } else {
    if (flattener_.custom) {
      Ref given(PyObject_CallOneArg(flattener_.custom.get(), object));
      if (!given) return nullptr;
      if (given.get() != Py_None) {
        known.role = Role::custom;
        *parts = std::move(given);
        if (!find_fields(flattener_.custom.get(), &known)) return nullptr;
      }
    }
    if (known.role != Role::custom) {
      if (PyTuple_Check(object) && PyObject_HasAttrString(object, "_fields")) {
        known.role = Role::named_tuple;
      } else if (PyArray_Check(object)) {
        known.role = is_memmap(type) ? Role::array_subclass : Role::refused;
      }
    }
  }
  return &flattener_.types.insert_or_assign(type, std::move(known)).first->second;
}

bool Frame::add_np_scalar(PyObject* object, const Flattener::Known& known) {
  Leaf& leaf = push_leaf(object, Tag::np_scalar, known.dtype, 0);
  words.push(word(Tag::np_scalar, static_cast<Word>(known.dtype & 0xffff)));
  if (known.offset >= 0) {
    // Copied: a host call may write to its views, and NumPy's scalars are immutable.
    std::memcpy(leaf.value, reinterpret_cast<char*>(object) + known.offset, known.bytes);
    return true;
  }
  Ref array(PyArray_FromScalar(object, nullptr));
  if (!array) return false;
  auto* value = reinterpret_cast<PyArrayObject*>(array.get());
  std::size_t bytes = static_cast<std::size_t>(PyArray_ITEMSIZE(value));
  if (bytes > sizeof leaf.value) {
    PyErr_Format(PyExc_TypeError, "scalars of type %s are not supported", Py_TYPE(object)->tp_name);
    return false;
  }
  std::memcpy(leaf.value, PyArray_DATA(value), bytes);
  return true;
}

bool Frame::push_custom(PyObject* object, PyObject* parts) {
  if (!PyTuple_Check(parts) || PyTuple_GET_SIZE(parts) != 2 || !PyTuple_Check(PyTuple_GET_ITEM(parts, 0))) {
    PyErr_Format(PyExc_TypeError,
                 "the flattener of %s must return (children, auxiliary data), with a tuple of children",
                 Py_TYPE(object)->tp_name);
    return false;
  }
  PyObject* children = PyTuple_GET_ITEM(parts, 0);
  push_static(reinterpret_cast<PyObject*>(Py_TYPE(object)));
  push_static(PyTuple_GET_ITEM(parts, 1));
  return add_children(children, Tag::custom);
}

bool Frame::add_fields(PyObject* object, const Flattener::Known& known) {
  Ref children = Ref::borrow(known.children.get());  // user code may run, and what is known be forgotten
  Ref names = Ref::borrow(known.auxiliary.get());
  push_static(reinterpret_cast<PyObject*>(Py_TYPE(object)));
  if (names) {
    Py_ssize_t count = PyTuple_GET_SIZE(names.get());
    Ref fixed(PyTuple_New(count));
    for (Py_ssize_t index = 0; fixed && index < count; ++index) {
      PyObject* value = PyObject_GetAttr(object, PyTuple_GET_ITEM(names.get(), index));
      if (!value) return false;
      PyTuple_SET_ITEM(fixed.get(), index, value);
    }
    if (!fixed) return false;
    push_static(fixed.get());
  } else {
    push_static(children.get());
  }
  Py_ssize_t count = PyTuple_GET_SIZE(children.get());
  words.push(word(Tag::custom, static_cast<Word>(count)));
  if (Py_EnterRecursiveCall(" while reading an argument")) return false;
  bool ok = true;
  for (Py_ssize_t index = 0; ok && index < count; ++index) {
    Ref child(PyObject_GetAttr(object, PyTuple_GET_ITEM(children.get(), index)));
    ok = child && add(child.get());
  }
  Py_LeaveRecursiveCall();
  return ok;
}

bool Frame::add_other(PyObject* object) {
  if (PyObject_TypeCheck(object, array_base)) {
    add_weft_array(reinterpret_cast<ArrayObject*>(object));
    return true;
  }
  Ref parts;
  const Flattener::Known* known = classify(object, &parts);
  if (!known) return false;
  switch (known->role) {
    case Flattener::Role::np_scalar:
      return add_np_scalar(object, *known);
    case Flattener::Role::array_subclass:
      return add_array(reinterpret_cast<PyArrayObject*>(object));
    case Flattener::Role::named_tuple:
      push_static(reinterpret_cast<PyObject*>(Py_TYPE(object)));
      return add_children(object, Tag::named_tuple);
    case Flattener::Role::fields:
      return add_fields(object, *known);
    case Flattener::Role::custom:
      if (!parts) parts = Ref(PyObject_CallOneArg(flattener_.custom.get(), object));
      if (!parts) return false;
      if (parts.get() == Py_None) {
        add_static(object);
        return true;
      }
      return push_custom(object, parts.get());
    case Flattener::Role::refused:
      PyErr_Format(
          PyExc_TypeError,
          "an argument of type %R is not a valid weft type: it is a subclass of numpy.ndarray with a meaning of "
          "its own; pass numpy.asarray(...) of it",
          Py_TYPE(object));
      return false;
    case Flattener::Role::fixed:
      add_static(object);
      return true;
  }
  return false;
}

}  // namespace weft
