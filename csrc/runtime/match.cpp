// Whether a plan applies: captured objects, captured data, then sizes.
#include "weft/plan.h"

// Deprecated in 3.12, where watchers take its place; lookups alone are right everywhere.
#if PY_VERSION_HEX < 0x030C0000
#define WEFT_DICT_VERSION(dict) (reinterpret_cast<PyDictObject*>(dict)->ma_version_tag)
#else
#define WEFT_DICT_VERSION(dict) 0
#endif

namespace weft {
namespace {

// Without a new reference and without user code: what most captured objects need.
inline PyObject* peek(const Place& place) {
  PyObject* holder = place.holder.get();
  switch (place.where) {
    case Place::Where::cell:
      return PyCell_GET(holder);
    case Place::Where::code:
      return PyFunction_GET_CODE(holder);
    case Place::Where::defaults:
      return PyFunction_GET_DEFAULTS(holder);
    case Place::Where::keyword_defaults:
      return PyFunction_GET_KW_DEFAULTS(holder);
    case Place::Where::lookup:
      return _PyType_Lookup(reinterpret_cast<PyTypeObject*>(holder), place.name.get());
    case Place::Where::type:
      return reinterpret_cast<PyObject*>(Py_TYPE(holder));
    default:
      return PyDict_GetItemWithError(holder, place.name.get());
  }
}

// What an instance has in its own dict; it keeps it alive.
PyObject* peek_own(const Place& place) {
  Ref dict(PyObject_GenericGetDict(place.holder.get(), nullptr));
  if (dict) return PyDict_GetItemWithError(dict.get(), place.name.get());
  if (PyErr_ExceptionMatches(PyExc_AttributeError)) PyErr_Clear();  // it has none
  return nullptr;
}

int is_as_expected(const Static& entry) {
  Place::Where where = entry.place.where;
  if (where == Place::Where::length) {
    return PyLong_AsSsize_t(entry.expected.get()) == PyDict_GET_SIZE(entry.place.holder.get());
  }
  if (where != Place::Where::attribute) {
    PyObject* found = where == Place::Where::own ? peek_own(entry.place) : peek(entry.place);
    if (found == entry.expected.get()) return !found && PyErr_Occurred() ? -1 : 1;
    return !found && PyErr_Occurred() ? -1 : 0;
  }
  bool failed = false;
  Ref found = entry.place.get(&failed);
  return failed ? -1 : found.get() == entry.expected.get();
}

std::string describe(const Place& place) {
  if (!place.name) return "a closure's variable";
  Ref text(PyObject_Str(place.name.get()));
  const char* chars = text ? PyUnicode_AsUTF8(text.get()) : nullptr;
  if (!chars) PyErr_Clear();
  return chars ? "'" + std::string(chars) + "'" : "a captured object";
}

int check(const Static& entry, std::string* why) {
  int same = is_as_expected(entry);
  if (same == 0 && why) *why = describe(entry.place) + " is another object now";
  return same;
}

int statics_hold(Plan& plan, std::string* why) {
  for (Globals& group : plan.globals) {
    std::uint64_t version = WEFT_DICT_VERSION(group.dict.get());
    if (version != 0 && version == group.version) continue;
    for (std::size_t index : group.items) {
      int same = check(plan.statics[index], why);
      if (same != 1) return same;
    }
    group.version = version;
  }
  for (std::size_t index : plan.others) {
    int same = check(plan.statics[index], why);
    if (same != 1) return same;
  }
  return 1;
}

int hidden_hold(Plan& plan, Frame& frame, std::string* why) {
  Frame::Mark mark = frame.mark();
  for (const Place& place : plan.hidden) {
    bool failed = false;
    Ref value = place.get(&failed);
    if (!value) {
      if (why) *why = describe(place) + " is missing now";
      return failed ? -1 : 0;
    }
    if (!frame.add(value.get())) return -1;
  }
  int same = matches(plan.hidden_key, frame, mark.words, mark.statics);
  if (same == 0 && why) *why = "the captured values have another structure or dtype now";
  return frame.big_int ? 0 : same;
}

// Captured arrays, too, may say where a call runs.
inline int platform_holds(const Plan& plan, Frame& frame, std::string* why) {
  if (__builtin_expect(!devices_in_use, 1) || plan.spmd) return 1;  // an spmd plan says itself where it runs
  Device* device = frame.target();
  if (!device) return -1;
  if ((device->platform == Platform::gpu) == (plan.kernels != nullptr)) return 1;
  if (why) *why = "it runs on another platform";
  return 0;
}

int guards_hold(const Plan& plan, Frame& frame, std::string* why) {
  const npy_intp* table = frame.table();
  std::size_t count = frame.table_size();
  for (const Guard& guard : plan.guards) {
    for (auto [slot, coefficient] : guard.size.terms) {
      if (slot < count) continue;
      PyErr_Format(PyExc_RuntimeError, "a guard reads slot %zu of %zu", slot, count);
      return -1;
    }
    npy_intp value = guard.size.at(table);
    bool holds = guard.relation == Guard::Relation::equal      ? value == 0
                 : guard.relation == Guard::Relation::at_least ? value >= 0
                                                               : value != 0;
    if (!holds) {
      if (why) *why = "guard " + std::to_string(&guard - plan.guards.data()) + " on sizes does not hold";
      return 0;
    }
  }
  return 1;
}

}  // namespace

Ref Place::get(bool* failed) const {
  switch (where) {
    case Where::value:
      return holder;
    case Where::cell:
      return Ref::borrow(PyCell_GET(holder.get()));
    case Where::dict: {
      Ref found = Ref::borrow(PyDict_GetItemWithError(holder.get(), name.get()));
      if (!found && PyErr_Occurred()) *failed = true;
      return found;
    }
    default: {
      Ref found(PyObject_GetAttr(holder.get(), name.get()));
      if (!found) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
          PyErr_Clear();
        } else {
          *failed = true;
        }
      }
      return found;
    }
  }
  return Ref();
}

int applies(Plan& plan, Frame& frame, std::string* why) {
  if (frame.big_int) {
    if (why) *why = "an int is beyond int64";
    return 0;
  }
  int holds = statics_hold(plan, why);
  if (holds != 1) return holds;
  if (plan.hidden.empty()) {
    holds = platform_holds(plan, frame, why);
    return holds != 1 || plan.guards.empty() ? holds : guards_hold(plan, frame, why);
  }
  Frame::Mark mark = frame.mark();
  holds = hidden_hold(plan, frame, why);
  if (holds == 1) holds = platform_holds(plan, frame, why);
  if (holds == 1 && !plan.guards.empty()) holds = guards_hold(plan, frame, why);
  if (holds != 1) {
    frame.rewind(mark);
    frame.big_int = false;
  }
  return holds;
}

}  // namespace weft
