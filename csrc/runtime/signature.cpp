#include "weft/signature.h"

#include <structmember.h>

#include <vector>

#include "weft/key.h"

namespace weft {
namespace {

PyTypeObject* signature_type = nullptr;
PyTypeObject* leaf_type = nullptr;

std::string text_of(PyObject* object) {
  Ref text(PyObject_Repr(object));
  const char* chars = text ? PyUnicode_AsUTF8(text.get()) : nullptr;
  if (!chars) {
    PyErr_Clear();
    return "?";
  }
  return chars;
}

// Walks the words in order. `paths` and `fixed_paths` always fill; Python trees are made on request only.
class Reader {
 public:
  Reader(const Frame& frame, bool trees) : frame_(frame), trees_(trees) {}

  std::vector<std::string> paths, fixed_paths;  // of leaves; of statics, by index

  bool at_end() const { return word_ >= frame_.words.size(); }
  bool next_is(Tag tag) const { return !at_end() && tag_of(frame_.words[word_]) == tag; }

  // args: ("tuple", [...]).
  Ref arguments() {
    std::size_t count = payload_of(frame_.words[word_++]) & 0xffffffff;
    return sequence("tuple", count, [](std::size_t index) { return "args[" + std::to_string(index) + "]"; });
  }

  // kwargs: ("dict", names, [...]), names sorted; without keywords an empty one.
  Ref keywords() {
    std::size_t count = next_is(Tag::keywords) ? payload_of(frame_.words[word_++]) : 0;
    return mapping(count, "kwargs");
  }

  Ref value(const std::string& path) {
    Word current = frame_.words[word_++];
    std::size_t count = payload_of(current);
    auto item = [&](std::size_t index) { return path + "[" + std::to_string(index) + "]"; };
    switch (tag_of(current)) {
      case Tag::tuple:
        return sequence("tuple", count, item);
      case Tag::list:
        return sequence("list", count, item);
      case Tag::dict:
        return mapping(count, path);
      case Tag::named_tuple: {
        PyObject* type = fixed(path);
        Ref fields(PyObject_GetAttrString(type, "_fields"));
        PyErr_Clear();
        Ref made = children(count, [&](std::size_t index) {
          PyObject* name =
              fields && PyTuple_Check(fields.get()) && index < static_cast<std::size_t>(Py_SIZE(fields.get()))
                  ? PyTuple_GET_ITEM(fields.get(), static_cast<Py_ssize_t>(index))
                  : nullptr;
          const char* text = name && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : nullptr;
          return text ? path + "." + text : item(index);
        });
        return trees_ ? Ref(Py_BuildValue("(sOO)", "namedtuple", type, made.get())) : Ref();
      }
      case Tag::custom: {
        PyObject* type = fixed(path);
        PyObject* aux = fixed(path);
        Ref made = children(count, [&](std::size_t index) { return path + "<" + std::to_string(index) + ">"; });
        return trees_ ? Ref(Py_BuildValue("(sOOO)", "custom", type, aux, made.get())) : Ref();
      }
      case Tag::none:
        return trees_ ? Ref(Py_BuildValue("(s)", "none")) : Ref();
      case Tag::fixed: {
        PyObject* object = fixed(path);
        return trees_ ? Ref(Py_BuildValue("(sO)", "static", object)) : Ref();
      }
      default:
        break;
    }
    while (next_is(Tag::more_sizes) || next_is(Tag::alias)) ++word_;
    paths.push_back(path);
    return trees_ ? Ref(Py_BuildValue("(sn)", "leaf", static_cast<Py_ssize_t>(paths.size() - 1))) : Ref();
  }

 private:
  PyObject* fixed(const std::string& path) {
    fixed_paths.push_back(path);
    return frame_.statics[fixed_++];
  }

  template <class Path>
  Ref children(std::size_t count, Path path) {
    Ref list(trees_ ? PyList_New(0) : nullptr);
    for (std::size_t index = 0; index < count; ++index) {
      Ref child = value(path(index));
      if (list && child) PyList_Append(list.get(), child.get());
    }
    return list;
  }

  template <class Path>
  Ref sequence(const char* kind, std::size_t count, Path path) {
    Ref list = children(count, path);
    return trees_ ? Ref(Py_BuildValue("(sO)", kind, list.get())) : Ref();
  }

  Ref mapping(std::size_t count, const std::string& path) {
    Ref keys(trees_ ? PyList_New(0) : nullptr), list(trees_ ? PyList_New(0) : nullptr);
    for (std::size_t index = 0; index < count; ++index) {
      PyObject* key = fixed(path);
      std::string place = path + "[" + text_of(key) + "]";
      fixed_paths.back() = "a key of " + path;
      Ref child = value(place);
      if (!trees_ || !child) continue;
      PyList_Append(keys.get(), key);
      PyList_Append(list.get(), child.get());
    }
    if (!trees_) return Ref();
    Ref names(PyList_AsTuple(keys.get()));
    return Ref(Py_BuildValue("(sOO)", "dict", names.get(), list.get()));
  }

  const Frame& frame_;
  bool trees_;
  std::size_t word_ = 0, fixed_ = 0;
};

void read_all(Reader& reader) {
  reader.arguments();
  if (reader.next_is(Tag::keywords)) reader.keywords();
  for (int index = 0; !reader.at_end(); ++index) reader.value("captured value " + std::to_string(index));
}

PyObject* make_leaf(const Leaf& leaf, const std::string& path) {
  const char* flavour = leaf.tag == Tag::weft_array                               ? "weft"
                        : leaf.tag == Tag::np_array || leaf.tag == Tag::np_scalar ? "np"
                                                                                  : "py";
  Ref dtype;
  switch (leaf.tag) {
    case Tag::py_float:
      dtype = Ref(PyUnicode_InternFromString("f"));
      break;
    case Tag::py_int:
      dtype = Ref(PyUnicode_InternFromString("i"));
      break;
    case Tag::py_big_int:
      dtype = Ref(PyUnicode_InternFromString("I"));
      break;
    case Tag::py_bool:
      dtype = Ref(PyUnicode_InternFromString("b"));
      break;
    case Tag::py_complex:
      dtype = Ref(PyUnicode_InternFromString("c"));
      break;
    default: {
      PyObject* descr = reinterpret_cast<PyObject*>(PyArray_DescrFromType(leaf.dtype));
      // A type number alone does not say how long a string is.
      if (leaf.tag == Tag::np_array && PyTypeNum_ISFLEXIBLE(leaf.dtype)) {
        Py_XDECREF(descr);
        descr = reinterpret_cast<PyObject*>(PyArray_DESCR(reinterpret_cast<PyArrayObject*>(leaf.object)));
        Py_INCREF(descr);
      }
      dtype = Ref(descr);
    }
  }
  Ref shape(PyTuple_New(leaf.rank));
  if (!dtype || !shape) return nullptr;
  for (int axis = 0; axis < leaf.rank; ++axis) PyTuple_SET_ITEM(shape.get(), axis, PyLong_FromSsize_t(leaf.dims[axis]));
  Ref alias(leaf.alias < 0 ? Py_NewRef(Py_None) : PyLong_FromLong(leaf.alias));
  PyObject* fields[] = {PyUnicode_InternFromString(flavour),
                        dtype.release(),
                        shape.release(),
                        Py_NewRef(leaf.object),
                        alias.release(),
                        PyUnicode_FromStringAndSize(path.data(), static_cast<Py_ssize_t>(path.size()))};
  PyObject* made = PyStructSequence_New(leaf_type);
  for (int index = 0; index < 6; ++index) {
    if (made) {
      PyStructSequence_SetItem(made, index, fields[index]);
    } else {
      Py_XDECREF(fields[index]);
    }
  }
  return made;
}

PyStructSequence_Field leaf_fields[] = {
    {"flavour", "'py', 'np' or 'weft'"},
    {"dtype", "'f', 'i', 'b', 'c', 'I' (an int beyond int64) for 'py', else a numpy.dtype"},
    {"shape", "sizes of the axes"},
    {"value", "the argument itself"},
    {"alias", "the earlier leaf that is the same ndarray, or None"},
    {"path", "where it stands in the call"},
    {nullptr, nullptr}};
PyStructSequence_Desc leaf_description = {"weft._runtime.Leaf", "One leaf of a call's arguments.", leaf_fields, 6};

PyStructSequence_Field signature_fields[] = {{"key", "what Dispatcher.add takes"},
                                             {"leaves", "list of Leaf: the arguments', then the captured values'"},
                                             {"args", "tree of the positional arguments"},
                                             {"kwargs", "tree of the keyword arguments, sorted by name"},
                                             {"hidden", "list of trees of the captured values"},
                                             {"hidden_key", "what Plan takes"},
                                             {"device", "the Device that the call runs on, or None: the CPU"},
                                             {nullptr, nullptr}};
PyStructSequence_Desc signature_description = {"weft._runtime.Signature", "A call, taken apart.", signature_fields, 7};

}  // namespace

std::string path_of_leaf(const Frame& frame, std::size_t leaf) {
  Reader reader(frame, false);
  read_all(reader);
  return leaf < reader.paths.size() ? reader.paths[leaf] : "an argument";
}

std::string path_of_static(const Frame& frame, std::size_t fixed) {
  Reader reader(frame, false);
  read_all(reader);
  return fixed < reader.fixed_paths.size() ? reader.fixed_paths[fixed] : "an argument";
}

void refuse_static(const Frame& frame, std::size_t fixed) {
  PyObject* object = frame.statics[fixed];
  PyErr_Clear();
  std::string path = path_of_static(frame, fixed);
  Ref cause(PyObject_Repr(object));
  PyErr_Clear();
  PyErr_Format(
      PyExc_TypeError,
      "Non-hashable static arguments are used in a jit function: %s has type %R, value %.200S. An argument that "
      "is not an array, a number or a container of them is static, and must be hashable",
      path.c_str(), Py_TYPE(object), cause ? cause.get() : Py_None);
}

PyObject* make_signature(Frame& frame, const Frame::Mark& arguments) {
  // Conflicts among the CPU's devices matter only to those programs that run on one device.
  bool one_memory = frame.placement.conflicting >= 0 && !frame.placement.away;
  Device* target = devices_in_use && !one_memory ? frame.target() : nullptr;
  if (devices_in_use && !one_memory && !target) return nullptr;
  bool away = target && target->platform != Platform::cpu;
  Ref device(away ? device_object(target) : Py_NewRef(Py_None));
  if (!device) return nullptr;
  Reader reader(frame, true);
  Ref args = reader.arguments();
  Ref kwargs = reader.keywords();
  Ref hidden(PyList_New(0));
  for (int index = 0; hidden && !reader.at_end(); ++index) {
    Ref tree = reader.value("captured value " + std::to_string(index));
    if (!tree || PyList_Append(hidden.get(), tree.get()) < 0) return nullptr;
  }
  Ref leaves(PyList_New(0));
  for (std::size_t index = 0; leaves && index < frame.leaves.size(); ++index) {
    Ref leaf(make_leaf(frame.leaves[index], reader.paths[index]));
    if (!leaf || PyList_Append(leaves.get(), leaf.get()) < 0) return nullptr;
  }
  if (!args || !kwargs || !hidden || !leaves) return nullptr;
  Key whole = Key::copy(frame, 0, 0);
  Key call;
  call.words.assign(whole.words.begin(), whole.words.begin() + static_cast<std::ptrdiff_t>(arguments.words));
  call.statics.assign(whole.statics.begin(), whole.statics.begin() + static_cast<std::ptrdiff_t>(arguments.statics));
  std::uint64_t hash;
  if (!hash_key(call, &hash)) {
    if (PyErr_ExceptionMatches(PyExc_TypeError)) hash_frame(frame, &hash);  // names the argument
    return nullptr;
  }
  Ref key(make_key(std::move(call), hash));
  Ref hidden_key(make_key(Key::copy(frame, arguments.words, arguments.statics), 0));
  if (!key || !hidden_key) return nullptr;
  PyObject* made = PyStructSequence_New(signature_type);
  if (!made) return nullptr;
  PyObject* fields[] = {key.release(),    leaves.release(),     args.release(),  kwargs.release(),
                        hidden.release(), hidden_key.release(), device.release()};
  for (int index = 0; index < 7; ++index) PyStructSequence_SetItem(made, index, fields[index]);
  return made;
}

int add_signature_types(PyObject* module) {
  leaf_type = PyStructSequence_NewType(&leaf_description);
  signature_type = PyStructSequence_NewType(&signature_description);
  if (!leaf_type || !signature_type) return -1;
  if (PyModule_AddObjectRef(module, "Leaf", reinterpret_cast<PyObject*>(leaf_type)) < 0) return -1;
  return PyModule_AddObjectRef(module, "Signature", reinterpret_cast<PyObject*>(signature_type));
}

}  // namespace weft
