#include "weft/dispatch.h"

#include <structmember.h>

#include <new>
#include <unordered_map>
#include <vector>

#include "weft/plan.h"
#include "weft/signature.h"

namespace weft {
namespace {

// The plans of one key. Counted, since static objects' __eq__ may clear the table while it is searched.
struct Entry {
  Key key;
  std::uint64_t hash;
  std::vector<Ref> plans;
  long references = 1;
};

void drop_entry(Entry* entry) {
  if (entry && --entry->references == 0) delete entry;
}

class Held {
 public:
  explicit Held(Entry* entry) : entry_(entry) { ++entry->references; }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { drop_entry(entry_); }

 private:
  Entry* entry_;
};

struct State {
  Flattener flattener;
  Ref slow;
  std::unordered_multimap<std::uint64_t, Entry*> table;
  Entry* recent = nullptr;  // in the table; most call sites pass one signature
  unsigned long long hits = 0;

  ~State() { clear(); }
  // A copy: comparing keys may run Python code that changes the table.
  std::vector<Entry*> with_hash(std::uint64_t hash) {
    std::vector<Entry*> found;
    auto range = table.equal_range(hash);
    for (auto item = range.first; item != range.second; ++item) found.push_back(item->second);
    return found;
  }
  void clear() {
    recent = nullptr;
    auto entries = std::move(table);
    table.clear();
    flattener.types.clear();
    for (auto& item : entries) drop_entry(item.second);
  }
};

struct DispatcherObject {
  PyObject_HEAD vectorcallfunc vectorcall;
  PyObject* dict;
  PyObject* weak_references;
  State state;
};

PyTypeObject* dispatcher_type = nullptr;

DispatcherObject* as_dispatcher(PyObject* object) { return reinterpret_cast<DispatcherObject*>(object); }

// 1 with the entry, 0 without, -1 with a Python error.
int find(State& state, const Frame& frame, Entry** found) {
  if (Entry* entry = state.recent) {
    Held held(entry);
    int same = matches(entry->key, frame, 0, 0);
    if (same != 0) {
      *found = same > 0 && state.recent == entry ? entry : nullptr;
      if (same < 0 || *found) return same;
    }
  }
  std::uint64_t hash;
  if (!hash_frame(frame, &hash)) return -1;
  auto range = state.table.equal_range(hash);
  Small<Entry*, 4> candidates;  // comparing may run Python code that changes the table
  for (auto item = range.first; item != range.second; ++item) {
    ++item->second->references;
    candidates.push(item->second);
  }
  int result = 0;
  for (Entry* entry : candidates) {
    if (result == 0) {
      result = matches(entry->key, frame, 0, 0);
      if (result == 1) *found = entry;
    }
  }
  for (Entry* entry : candidates) {
    if (entry == *found && entry->references == 1) {  // cleared meanwhile
      *found = nullptr;
      result = 0;
    }
    drop_entry(entry);
  }
  if (result == 1) state.recent = *found;
  return result;
}

// What `use(plan)` gives of the first plan that applies, or null: with `missed` set there is none.
template <class F>
inline PyObject* with_plan(State& state, Frame& frame, bool* missed, F use) {
  Entry* entry = nullptr;
  int found = frame.big_int ? 0 : find(state, frame, &entry);
  if (found < 0) return nullptr;
  if (found) {
    Held held(entry);
    for (std::size_t index = 0; index < entry->plans.size(); ++index) {
      Ref plan = entry->plans[index];
      int good = applies(reinterpret_cast<PlanObject*>(plan.get())->plan, frame);
      if (good < 0) return nullptr;
      if (good) return use(plan.get());
    }
  }
  *missed = true;
  return nullptr;
}

bool watched = false;

// The value of a plan that applies, or null: with `missed` set the slow path has to answer.
PyObject* call_fast(State& state, Frame& frame, bool* missed) {
  return with_plan(state, frame, missed, [&](PyObject* plan) {
    ++state.hits;
    return run(reinterpret_cast<PlanObject*>(plan)->plan, frame);
  });
}

PyObject* call_slow(PyObject* slow, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  Ref positional(PyTuple_New(count)), keywords(PyDict_New());
  if (!positional || !keywords) return nullptr;
  for (Py_ssize_t index = 0; index < count; ++index) PyTuple_SET_ITEM(positional.get(), index, Py_NewRef(args[index]));
  Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
  for (Py_ssize_t index = 0; index < named; ++index) {
    if (PyDict_SetItem(keywords.get(), PyTuple_GET_ITEM(names, index), args[count + index]) < 0) return nullptr;
  }
  PyObject* both[] = {positional.get(), keywords.get()};
  return PyObject_Vectorcall(slow, both, 2, nullptr);
}

PyObject* dispatcher_call(PyObject* self, PyObject* const* args, size_t flags, PyObject* names) {
  State& state = as_dispatcher(self)->state;
  Py_ssize_t count = PyVectorcall_NARGS(flags);
  try {
    bool missed = watched;
    Frame frame(state.flattener);
    if (!missed) {
      if (!frame.add_call(args, count, names)) return nullptr;
      PyObject* value = call_fast(state, frame, &missed);
      if (!missed) return value;
    }
  } catch (const std::bad_alloc&) {
    return PyErr_NoMemory();
  }
  Ref slow = state.slow;
  if (!slow) {
    PyErr_SetString(PyExc_RuntimeError, "the dispatcher has been taken down");
    return nullptr;
  }
  return call_slow(slow.get(), args, count, names);
}

bool add_statics(Flattener& flattener, PyObject* numbers, PyObject* names) {
  if (numbers) {
    Ref items(PySequence_Tuple(numbers));
    if (!items) return false;
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(items.get()); ++index) {
      long number = PyLong_AsLong(PyTuple_GET_ITEM(items.get(), index));
      if (number == -1 && PyErr_Occurred()) return false;
      flattener.static_nums.push_back(number);
    }
  }
  if (names) {
    Ref items(PySequence_Tuple(names));
    if (!items) return false;
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(items.get()); ++index) {
      PyObject* name = PyTuple_GET_ITEM(items.get(), index);
      if (!PyUnicode_Check(name)) {
        PyErr_SetString(PyExc_TypeError, "static_argnames are strings");
        return false;
      }
      flattener.static_names.push_back(Ref::borrow(name));
    }
  }
  return true;
}

PyObject* dispatcher_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* keywords[] = {"slow", "static_argnums", "static_argnames", "flatten_custom", nullptr};
  PyObject *slow, *numbers = nullptr, *names = nullptr, *custom = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OOO:Dispatcher", const_cast<char**>(keywords), &slow, &numbers,
                                   &names, &custom)) {
    return nullptr;
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (!self) return nullptr;
  DispatcherObject* made = as_dispatcher(self);
  made->vectorcall = dispatcher_call;
  new (&made->state) State;
  made->state.slow = Ref::borrow(slow);
  if (custom != Py_None) made->state.flattener.custom = Ref::borrow(custom);
  if (!add_statics(made->state.flattener, numbers, names)) Py_CLEAR(self);
  return self;
}

int dispatcher_traverse(PyObject* self, visitproc visit, void* arg) {
  DispatcherObject* object = as_dispatcher(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(object->dict);
  Py_VISIT(object->state.slow.get());
  Py_VISIT(object->state.flattener.custom.get());
  for (const auto& item : object->state.flattener.types) Py_VISIT(item.second.type.get());
  for (const auto& item : object->state.table) {
    // An entry in use by a call is owned by that call too: its references must not all be accounted for here.
    if (item.second->references != 1) continue;
    if (int stop = item.second->key.visit(visit, arg)) return stop;
    for (const Ref& plan : item.second->plans) Py_VISIT(plan.get());
  }
  return 0;
}

int dispatcher_clear(PyObject* self) {
  DispatcherObject* object = as_dispatcher(self);
  Py_CLEAR(object->dict);
  object->state.clear();
  object->state.slow = Ref();
  object->state.flattener.custom = Ref();
  return 0;
}

void dispatcher_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (as_dispatcher(self)->weak_references) PyObject_ClearWeakRefs(self);
  dispatcher_clear(self);
  as_dispatcher(self)->state.~State();
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* dispatcher_get(PyObject* self, PyObject* instance, PyObject*) {
  return instance && instance != Py_None ? PyMethod_New(self, instance) : Py_NewRef(self);
}

PyObject* dispatcher_repr(PyObject* self) {
  Ref name(PyObject_GetAttrString(self, "__qualname__"));
  if (!name) {
    PyErr_Clear();
    return PyUnicode_FromFormat("<weft function at %p>", self);
  }
  return PyUnicode_FromFormat("<weft function %S at %p>", name.get(), self);
}

// Arguments as a tuple and a dict into a frame; kwargs may be missing or None.
bool read_call(Frame& frame, PyObject* args, PyObject* kwargs) {
  if (!PyTuple_Check(args) || (kwargs && kwargs != Py_None && !PyDict_Check(kwargs))) {
    PyErr_SetString(PyExc_TypeError, "arguments are given as a tuple and a dict");
    return false;
  }
  return frame.add_call(args, kwargs == Py_None ? nullptr : kwargs);
}

PyObject* dispatcher_signature(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* keywords[] = {"args", "kwargs", "hidden", nullptr};
  PyObject *positional, *named = nullptr, *hidden = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO:signature", const_cast<char**>(keywords), &positional, &named,
                                   &hidden)) {
    return nullptr;
  }
  try {
    Frame frame(as_dispatcher(self)->state.flattener);
    if (!read_call(frame, positional, named)) return nullptr;
    Frame::Mark mark = frame.mark();
    if (hidden) {
      std::vector<Place> places;
      if (!read_places(hidden, &places)) return nullptr;
      for (const Place& place : places) {
        bool failed = false;
        Ref value = place.get(&failed);
        if (!value && !failed) PyErr_SetString(PyExc_NameError, "a captured value is missing");
        if (!value || !frame.add(value.get())) return nullptr;
      }
    }
    return make_signature(frame, mark);
  } catch (const std::bad_alloc&) {
    return PyErr_NoMemory();
  }
}

bool is_plan(PyObject* object) {
  if (Py_TYPE(object) == plan_type) return true;
  PyErr_SetString(PyExc_TypeError, "a Plan is needed");
  return false;
}

PyObject* dispatcher_add(PyObject* self, PyObject* args) {
  PyObject *key, *plan;
  if (!PyArg_ParseTuple(args, "O!O:add", key_type, &key, &plan) || !is_plan(plan)) return nullptr;
  State& state = as_dispatcher(self)->state;
  std::uint64_t hash = key_hash_of(key);
  Entry* entry = nullptr;
  for (Entry* candidate : state.with_hash(hash)) {
    int same = same_key(candidate->key, key_of(key));
    if (same < 0) return nullptr;
    if (same) entry = candidate;
  }
  if (!entry) {
    entry = new Entry{key_of(key), hash, {}, 1};
    state.table.emplace(hash, entry);
  }
  entry->plans.push_back(Ref::borrow(plan));
  Py_RETURN_NONE;
}

PyObject* dispatcher_find(PyObject* self, PyObject* arguments) {
  PyObject *args, *kwargs = nullptr;
  if (!PyArg_ParseTuple(arguments, "O|O:find", &args, &kwargs)) return nullptr;
  State& state = as_dispatcher(self)->state;
  try {
    Frame frame(state.flattener);
    bool missed = false;
    if (!read_call(frame, args, kwargs)) return nullptr;
    PyObject* plan = with_plan(state, frame, &missed, [](PyObject* found) { return Py_NewRef(found); });
    return missed ? Py_NewRef(Py_None) : plan;
  } catch (const std::bad_alloc&) {
    return PyErr_NoMemory();
  }
}

PyObject* dispatcher_run(PyObject* self, PyObject* arguments) {
  PyObject *plan, *args, *kwargs = nullptr;
  if (!PyArg_ParseTuple(arguments, "OO|O:run", &plan, &args, &kwargs) || !is_plan(plan)) return nullptr;
  Ref held = Ref::borrow(plan);
  Plan& wanted = reinterpret_cast<PlanObject*>(plan)->plan;
  try {
    Frame frame(as_dispatcher(self)->state.flattener);
    if (!read_call(frame, args, kwargs)) return nullptr;
    std::string why;
    int good = applies(wanted, frame, &why);
    if (good < 0) return nullptr;
    if (!good) return PyErr_Format(PyExc_RuntimeError, "the plan does not apply to these arguments: %s", why.c_str());
    return run(wanted, frame);
  } catch (const std::bad_alloc&) {
    return PyErr_NoMemory();
  }
}

PyObject* dispatcher_clear_plans(PyObject* self, PyObject*) {
  as_dispatcher(self)->state.clear();
  Py_RETURN_NONE;
}

PyObject* dispatcher_plans(PyObject* self, PyObject*) {
  Ref list(PyList_New(0));
  for (const auto& item : as_dispatcher(self)->state.table) {
    for (const Ref& plan : item.second->plans) {
      if (!list || PyList_Append(list.get(), plan.get()) < 0) return nullptr;
    }
  }
  return list.release();
}

// By reference, as functions are pickled.
PyObject* dispatcher_reduce(PyObject* self, PyObject*) { return PyObject_GetAttrString(self, "__qualname__"); }

PyObject* dispatcher_copy(PyObject* self, PyObject*) { return Py_NewRef(self); }

PyObject* get_hits(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(as_dispatcher(self)->state.hits); }

PyMethodDef methods[] = {
    {"signature", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(dispatcher_signature)),
     METH_VARARGS | METH_KEYWORDS,
     "signature(args, kwargs=None, hidden=())\n--\n\nThe call taken apart, as the slow path needs it."},
    {"add", dispatcher_add, METH_VARARGS, "add(key, plan)\n--\n\nTry `plan` on calls with this signature."},
    {"find", dispatcher_find, METH_VARARGS,
     "find(args, kwargs=None)\n--\n\nThe plan that answers these arguments, or None."},
    {"run", dispatcher_run, METH_VARARGS,
     "run(plan, args, kwargs=None)\n--\n\nCall one plan; RuntimeError when it does not apply."},
    {"clear", dispatcher_clear_plans, METH_NOARGS, "clear()\n--\n\nForget every plan."},
    {"plans", dispatcher_plans, METH_NOARGS, "plans()\n--\n\nA list of all plans."},
    {"__reduce__", dispatcher_reduce, METH_NOARGS, nullptr},
    {"__copy__", dispatcher_copy, METH_NOARGS, nullptr},
    {"__deepcopy__", dispatcher_copy, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr}};

PyObject* get_spreads(PyObject* self, void*) { return PyBool_FromLong(as_dispatcher(self)->state.flattener.spreads); }

int set_spreads(PyObject* self, PyObject* value, void*) {
  int on = value ? PyObject_IsTrue(value) : 0;
  if (on >= 0) as_dispatcher(self)->state.flattener.spreads = on != 0;
  return on < 0 ? -1 : 0;
}

PyGetSetDef properties[] = {{"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
                            {"hits", get_hits, nullptr, "How many calls a plan has answered.", nullptr},
                            {"spreads", get_spreads, set_spreads,
                             "Whether its programs run on many devices: arguments may lie on any of them.", nullptr},
                            {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(DispatcherObject, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(DispatcherObject, weak_references), READONLY, nullptr},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(DispatcherObject, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(dispatcher_new)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dispatcher_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(dispatcher_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(dispatcher_clear)},
    {Py_tp_descr_get, reinterpret_cast<void*>(dispatcher_get)},
    {Py_tp_repr, reinterpret_cast<void*>(dispatcher_repr)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_members, members},
    {Py_tp_doc,
     const_cast<char*>("Dispatcher(slow, static_argnums=(), static_argnames=(), flatten_custom=None)\n--\n\n"
                       "A callable that answers calls from compiled plans, and asks slow(args, kwargs) else.")},
    {0, nullptr}};

PyType_Spec spec = {"weft._runtime.Dispatcher", sizeof(DispatcherObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                        Py_TPFLAGS_METHOD_DESCRIPTOR,
                    slots};

}  // namespace

void set_watched(bool on) { watched = on; }

int add_dispatcher_type(PyObject* module) {
  PyObject* type = PyType_FromSpec(&spec);
  if (!type) return -1;
  dispatcher_type = reinterpret_cast<PyTypeObject*>(type);
  return PyModule_AddObjectRef(module, "Dispatcher", type);
}

}  // namespace weft
