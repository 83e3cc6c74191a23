#include "weft/key.h"

#include <cstring>

#include "weft/signature.h"

namespace weft {

PyTypeObject* key_type = nullptr;

namespace {

struct KeyObject {
  PyObject_HEAD Key key;
  std::uint64_t hash;
};

KeyObject* as_key(PyObject* object) { return reinterpret_cast<KeyObject*>(object); }

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  __uint128_t product = static_cast<__uint128_t>(hash ^ value ^ 0x9e3779b97f4a7c15ull) * 0xd6e8feb86659fd93ull;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

void key_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  as_key(self)->key.~Key();
  type->tp_free(self);
  Py_DECREF(type);
}

int key_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return as_key(self)->key.visit(visit, arg);
}

Py_hash_t key_hash(PyObject* self) {
  auto hash = static_cast<Py_hash_t>(as_key(self)->hash);
  return hash == -1 ? -2 : hash;
}

PyObject* key_compare(PyObject* left, PyObject* right, int operation) {
  if ((operation != Py_EQ && operation != Py_NE) || Py_TYPE(right) != key_type) Py_RETURN_NOTIMPLEMENTED;
  int same = same_key(as_key(left)->key, as_key(right)->key);
  if (same < 0) return nullptr;
  return PyBool_FromLong((operation == Py_EQ) == (same == 1));
}

PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>("A call's signature, hashable: structure, dtypes, size classes.")},
                       {Py_tp_dealloc, reinterpret_cast<void*>(key_dealloc)},
                       {Py_tp_traverse, reinterpret_cast<void*>(key_traverse)},
                       {Py_tp_hash, reinterpret_cast<void*>(key_hash)},
                       {Py_tp_richcompare, reinterpret_cast<void*>(key_compare)},
                       {0, nullptr}};

PyType_Spec spec = {"weft._runtime.Key", sizeof(KeyObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

// Slices compare by value, but have no hash before Python 3.12.
Py_hash_t hash_static(PyObject* object) {
  if (!PySlice_Check(object)) return PyObject_Hash(object);
  auto* slice = reinterpret_cast<PySliceObject*>(object);
  Ref parts(PyTuple_Pack(3, slice->start, slice->stop, slice->step));
  return parts ? PyObject_Hash(parts.get()) : -1;
}

}  // namespace

Key Key::copy(const Frame& frame, std::size_t from_word, std::size_t from_static) {
  Key key;
  key.words.assign(frame.words.begin() + from_word, frame.words.end());
  for (std::size_t index = from_static; index < frame.statics.size(); ++index) {
    key.statics.push_back(Ref::borrow(frame.statics[index]));
  }
  return key;
}

int Key::visit(visitproc visit, void* arg) const {
  for (const Ref& object : statics) Py_VISIT(object.get());
  return 0;
}

int same_static(PyObject* left, PyObject* right) {
  if (left == right) return 1;
  if (Py_TYPE(left) != Py_TYPE(right)) return 0;
  if (PyTuple_CheckExact(left)) {
    Py_ssize_t count = PyTuple_GET_SIZE(left);
    if (count != PyTuple_GET_SIZE(right)) return 0;
    for (Py_ssize_t index = 0; index < count; ++index) {
      int same = same_static(PyTuple_GET_ITEM(left, index), PyTuple_GET_ITEM(right, index));
      if (same != 1) return same;
    }
    return 1;
  }
  if (PySlice_Check(left)) {
    auto *a = reinterpret_cast<PySliceObject*>(left), *b = reinterpret_cast<PySliceObject*>(right);
    for (auto [mine, other] :
         {std::pair(a->start, b->start), std::pair(a->stop, b->stop), std::pair(a->step, b->step)}) {
      int same = same_static(mine, other);
      if (same != 1) return same;
    }
    return 1;
  }
  if (PyFloat_CheckExact(left)) {
    double a = PyFloat_AS_DOUBLE(left), b = PyFloat_AS_DOUBLE(right);
    return std::memcmp(&a, &b, sizeof a) == 0;
  }
  return PyObject_RichCompareBool(left, right, Py_EQ);
}

int same_key(const Key& left, const Key& right) {
  int same = left.words == right.words && left.statics.size() == right.statics.size();
  for (std::size_t index = 0; same > 0 && index < left.statics.size(); ++index) {
    same = same_static(left.statics[index].get(), right.statics[index].get());
  }
  return same;
}

int matches(const Key& key, const Frame& frame, std::size_t from_word, std::size_t from_static) {
  std::size_t count = key.words.size();
  if (count != frame.words.size() - from_word || key.statics.size() != frame.statics.size() - from_static) return 0;
  if (std::memcmp(key.words.data(), frame.words.data() + from_word, count * sizeof(Word)) != 0) return 0;
  for (std::size_t index = 0; index < key.statics.size(); ++index) {
    PyObject* mine = key.statics[index].get();
    PyObject* other = frame.statics[from_static + index];
    if (mine == other) continue;
    int same = same_static(mine, other);
    if (same != 1) return same;
  }
  return 1;
}

bool hash_frame(const Frame& frame, std::uint64_t* result) {
  std::uint64_t hash = 0;
  for (Word value : frame.words) hash = mix(hash, value);
  for (std::size_t index = 0; index < frame.statics.size(); ++index) {
    Py_hash_t part = hash_static(frame.statics[index]);
    if (part == -1) {
      if (PyErr_ExceptionMatches(PyExc_TypeError)) refuse_static(frame, index);
      return false;
    }
    hash = mix(hash, static_cast<std::uint64_t>(part));
  }
  *result = hash;
  return true;
}

bool hash_key(const Key& key, std::uint64_t* result) {
  std::uint64_t hash = 0;
  for (Word value : key.words) hash = mix(hash, value);
  for (const Ref& object : key.statics) {
    Py_hash_t part = hash_static(object.get());
    if (part == -1) return false;
    hash = mix(hash, static_cast<std::uint64_t>(part));
  }
  *result = hash;
  return true;
}

PyObject* make_key(Key key, std::uint64_t hash) {
  auto* object = reinterpret_cast<KeyObject*>(key_type->tp_alloc(key_type, 0));
  if (!object) return nullptr;
  new (&object->key) Key(std::move(key));
  object->hash = hash;
  return reinterpret_cast<PyObject*>(object);
}

const Key& key_of(PyObject* object) { return as_key(object)->key; }

std::uint64_t key_hash_of(PyObject* object) { return as_key(object)->hash; }

int add_key_type(PyObject* module) {
  PyObject* type = PyType_FromSpec(&spec);
  if (!type) return -1;
  key_type = reinterpret_cast<PyTypeObject*>(type);
  return PyModule_AddObjectRef(module, "Key", type);
}

}  // namespace weft
