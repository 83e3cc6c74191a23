#include "weft/collective.h"

#include <pybind11/pybind11.h>

#include <algorithm>
#include <complex>
#include <cstring>
#include <new>
#include <type_traits>

namespace py = pybind11;

namespace weft {

PyTypeObject* collective_type = nullptr;

namespace {

struct CollectiveObject {
  PyObject_HEAD Collective collective;
};

struct Name {
  const char* text;
  Operation operation;
};
constexpr Name kNames[] = {{"psum", Operation::psum},
                           {"pmax", Operation::pmax},
                           {"pmin", Operation::pmin},
                           {"all_gather", Operation::all_gather},
                           {"psum_scatter", Operation::psum_scatter},
                           {"all_to_all", Operation::all_to_all},
                           {"ppermute", Operation::ppermute},
                           {"axis_index", Operation::axis_index}};

weft_i64 element_count(const WeftView& view, int from = 0) {
  weft_i64 count = 1;
  for (int axis = from; axis < view.rank; ++axis) count *= view.dims[axis];
  return count;
}

bool has_rows(Operation operation) {
  return operation == Operation::psum_scatter || operation == Operation::all_to_all;
}

// -- sums and extremes ------------------------------------------------------------------------------------------------

// `Sum` is what partial results are kept in.
template <class T>
struct Traits {
  using Sum = T;
};
#if defined(__FLT16_MANT_DIG__)
template <>
struct Traits<_Float16> {
  using Sum = float;
};
#endif

template <Operation operation, class Sum>
inline void join(Sum& into, Sum value) {
  if constexpr (operation == Operation::psum) {
    if constexpr (std::is_same_v<Sum, bool>) {
      into = into || value;
    } else if constexpr (std::is_integral_v<Sum>) {
      using Bits = std::make_unsigned_t<Sum>;
      into = static_cast<Sum>(static_cast<Bits>(static_cast<Bits>(into) + static_cast<Bits>(value)));
    } else {
      into += value;
    }
  } else if constexpr (std::is_floating_point_v<Sum>) {
    // A NaN wins, as in NumPy.
    bool better = operation == Operation::pmax ? value > into : value < into;
    into = better || value != value ? value : into;
  } else if constexpr (operation == Operation::pmax) {
    into = std::max(into, value);
  } else {
    into = std::min(into, value);
  }
}

constexpr weft_i64 kTile = 1024;

// results[*][to, to + n) = the join over members of operands[*][from, from + n).
template <Operation operation, class T>
void reduce(const WeftView* const* operands, std::size_t members, weft_i64 from, const WeftView* const* results,
            std::size_t receivers, weft_i64 to, weft_i64 n) {
  using Sum = typename Traits<T>::Sum;
  Sum sums[kTile];
  for (weft_i64 start = 0; start < n; start += kTile) {
    weft_i64 count = std::min(kTile, n - start);
    const T* first = static_cast<const T*>(operands[0]->data) + from + start;
    for (weft_i64 i = 0; i < count; ++i) sums[i] = static_cast<Sum>(first[i]);
    for (std::size_t member = 1; member < members; ++member) {
      const T* values = static_cast<const T*>(operands[member]->data) + from + start;
      for (weft_i64 i = 0; i < count; ++i) join<operation, Sum>(sums[i], static_cast<Sum>(values[i]));
    }
    for (std::size_t receiver = 0; receiver < receivers; ++receiver) {
      T* target = static_cast<T*>(results[receiver]->data) + to + start;
      for (weft_i64 i = 0; i < count; ++i) target[i] = static_cast<T>(sums[i]);
    }
  }
}

template <Operation operation, class... Arguments>
void reduce_as(int dtype, Arguments... arguments) {
  switch (dtype) {
    case NPY_BOOL:
      return reduce<operation, bool>(arguments...);
    case NPY_BYTE:
      return reduce<operation, signed char>(arguments...);
    case NPY_UBYTE:
      return reduce<operation, unsigned char>(arguments...);
    case NPY_SHORT:
      return reduce<operation, short>(arguments...);
    case NPY_USHORT:
      return reduce<operation, unsigned short>(arguments...);
    case NPY_INT:
      return reduce<operation, int>(arguments...);
    case NPY_UINT:
      return reduce<operation, unsigned>(arguments...);
    case NPY_LONG:
    case NPY_LONGLONG:
      return reduce<operation, long long>(arguments...);
    case NPY_ULONG:
    case NPY_ULONGLONG:
      return reduce<operation, unsigned long long>(arguments...);
    case NPY_FLOAT:
      return reduce<operation, float>(arguments...);
    case NPY_DOUBLE:
      return reduce<operation, double>(arguments...);
#if defined(__FLT16_MANT_DIG__)
    case NPY_HALF:
      return reduce<operation, _Float16>(arguments...);
#endif
    default:
      break;
  }
  if constexpr (operation == Operation::psum) {
    if (dtype == NPY_CFLOAT) return reduce<operation, std::complex<float>>(arguments...);
    if (dtype == NPY_CDOUBLE) return reduce<operation, std::complex<double>>(arguments...);
  }
}

bool can_reduce(Operation operation, int dtype) {
#if !defined(__FLT16_MANT_DIG__)
  if (dtype == NPY_HALF) return false;
#endif
  bool complex = dtype == NPY_CFLOAT || dtype == NPY_CDOUBLE;
  return element_bytes(dtype) > 0 && (!complex || operation == Operation::psum || operation == Operation::psum_scatter);
}

bool same_dims(const WeftView& left, int from, const WeftView& right, int other) {
  if (left.rank - from != right.rank - other) return false;
  return std::equal(left.dims + from, left.dims + left.rank, right.dims + other);
}

}  // namespace

std::size_t element_bytes(int dtype) {
  switch (dtype) {
    case NPY_BOOL:
    case NPY_BYTE:
    case NPY_UBYTE:
      return 1;
    case NPY_SHORT:
    case NPY_USHORT:
    case NPY_HALF:
      return 2;
    case NPY_INT:
    case NPY_UINT:
    case NPY_FLOAT:
      return 4;
    case NPY_LONG:
    case NPY_ULONG:
    case NPY_LONGLONG:
    case NPY_ULONGLONG:
    case NPY_DOUBLE:
    case NPY_CFLOAT:
      return 8;
    case NPY_CDOUBLE:
      return 16;
    default:
      return 0;
  }
}

weft_i64 extent(const Collective& collective, const WeftView& operand, std::size_t) {
  return element_count(operand, has_rows(collective.operation) ? 1 : 0);
}

std::string misfit(const Collective& collective, const WeftView& operand, const WeftView& result, std::size_t members) {
  auto rows = static_cast<weft_i64>(members);
  if (operand.dtype != result.dtype) return "its operand and result have different dtypes";
  if (element_bytes(operand.dtype) == 0) return "it does not know the dtype";
  switch (collective.operation) {
    case Operation::all_gather:
      if (result.rank > 0 && result.dims[0] == rows && same_dims(operand, 0, result, 1)) return "";
      break;
    case Operation::psum_scatter:
      if (!can_reduce(collective.operation, operand.dtype)) return "it does not sum this dtype";
      if (operand.rank > 0 && operand.dims[0] == rows && same_dims(operand, 1, result, 0)) return "";
      break;
    case Operation::all_to_all:
      if (operand.rank > 0 && operand.dims[0] == rows && same_dims(operand, 0, result, 0)) return "";
      break;
    case Operation::ppermute:
      for (auto [from, to] : collective.moves) {
        if (from < 0 || from >= rows || to < 0 || to >= rows) return "it moves to or from a device that is not there";
      }
      if (same_dims(operand, 0, result, 0)) return "";
      break;
    default:
      if (!can_reduce(collective.operation, operand.dtype)) return "it does not reduce this dtype";
      if (same_dims(operand, 0, result, 0)) return "";
  }
  return "its operand and result do not fit " + std::to_string(members) + " devices";
}

void exchange(const Collective& collective, const WeftView* const* operands, const WeftView* const* results,
              std::size_t members, weft_i64 lo, weft_i64 hi) {
  if (hi <= lo) return;
  weft_i64 row = extent(collective, *operands[0], members), n = hi - lo;
  int dtype = operands[0]->dtype;
  std::size_t item = element_bytes(dtype);
  auto place = [&](const WeftView& view, std::size_t number) {
    return static_cast<char*>(view.data) +
           (static_cast<std::size_t>(row) * number + static_cast<std::size_t>(lo)) * item;
  };
  auto copy = [&](char* to, const char* from) { std::memcpy(to, from, static_cast<std::size_t>(n) * item); };
  switch (collective.operation) {
    case Operation::psum:
      return reduce_as<Operation::psum>(dtype, operands, members, lo, results, members, lo, n);
    case Operation::pmax:
      return reduce_as<Operation::pmax>(dtype, operands, members, lo, results, members, lo, n);
    case Operation::pmin:
      return reduce_as<Operation::pmin>(dtype, operands, members, lo, results, members, lo, n);
    case Operation::psum_scatter:
      for (std::size_t k = 0; k < members; ++k) {
        weft_i64 from = row * static_cast<weft_i64>(k) + lo;
        reduce_as<Operation::psum>(dtype, operands, members, from, results + k, std::size_t{1}, lo, n);
      }
      return;
    case Operation::all_gather:
      for (std::size_t k = 0; k < members; ++k) {
        for (std::size_t j = 0; j < members; ++j) copy(place(*results[k], j), place(*operands[j], 0));
      }
      return;
    case Operation::all_to_all:
      for (std::size_t k = 0; k < members; ++k) {
        for (std::size_t j = 0; j < members; ++j) copy(place(*results[k], j), place(*operands[j], k));
      }
      return;
    case Operation::ppermute: {
      for (std::size_t k = 0; k < members; ++k) {
        auto sent = std::find_if(collective.moves.begin(), collective.moves.end(),
                                 [&](const auto& move) { return move.second == static_cast<int>(k); });
        if (sent == collective.moves.end()) {
          std::memset(place(*results[k], 0), 0, static_cast<std::size_t>(n) * item);
        } else {
          copy(place(*results[k], 0), place(*operands[static_cast<std::size_t>(sent->first)], 0));
        }
      }
      return;
    }
    case Operation::axis_index:
      return;
  }
}

// -- weft._runtime.Collective -----------------------------------------------------------------------------------------

const Collective& collective_of(PyObject* object) { return reinterpret_cast<CollectiveObject*>(object)->collective; }

namespace {

Collective& own(PyObject* object) { return reinterpret_cast<CollectiveObject*>(object)->collective; }

void parse(Collective& made, const std::string& name, py::handle groups, py::handle perm, py::handle outer) {
  auto found = std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& n) { return name == n.text; });
  if (found == std::end(kNames)) throw py::value_error("Collective: unknown operation '" + name + "'");
  made.operation = found->operation;
  made.name = found->text;
  if (!groups.is_none()) {
    std::vector<int> seen;
    for (py::handle group : py::cast<py::sequence>(groups)) {
      std::vector<int> members;
      for (py::handle member : py::cast<py::sequence>(group)) members.push_back(py::cast<int>(member));
      seen.insert(seen.end(), members.begin(), members.end());
      made.groups.push_back(std::move(members));
    }
    std::sort(seen.begin(), seen.end());
    for (std::size_t k = 0; k < seen.size(); ++k) {
      if (seen[k] != static_cast<int>(k)) throw py::value_error("Collective: groups name each device once");
    }
    if (seen.empty()) throw py::value_error("Collective: groups name each device once");
  }
  if (!perm.is_none()) {
    for (py::handle move : py::cast<py::sequence>(perm)) {
      auto pair = py::cast<py::sequence>(move);
      made.moves.emplace_back(py::cast<int>(pair[0]), py::cast<int>(pair[1]));
    }
  }
  if ((made.operation == Operation::ppermute) == perm.is_none()) {
    throw py::value_error("Collective: ppermute, and nothing else, has a perm");
  }
  if (!outer.is_none()) {
    if (!PyCallable_Check(outer.ptr())) throw py::type_error("Collective: outer is a function");
    made.outer = Ref::borrow(outer.ptr());
  }
}

PyObject* collective_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"op", "groups", "perm", "outer", "first", "total", "id", nullptr};
  const char *name, *id = "";
  Py_ssize_t id_size = 0;
  int first = 0, total = 0;
  PyObject *groups = Py_None, *perm = Py_None, *outer = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|OOOiiy#:Collective", const_cast<char**>(names), &name, &groups,
                                   &perm, &outer, &first, &total, &id, &id_size)) {
    return nullptr;
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (!self) return nullptr;
  new (&own(self)) Collective;
  try {
    own(self).first = first;
    own(self).total = total;
    own(self).id.assign(id, static_cast<std::size_t>(id_size));
    parse(own(self), name, groups, perm, outer);
    return self;
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_TypeError, error.what());
  }
  Py_DECREF(self);
  return nullptr;
}

void collective_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  own(self).~Collective();
  type->tp_free(self);
  Py_DECREF(type);
}

int collective_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(own(self).outer.get());
  return 0;
}

PyObject* collective_repr(PyObject* self) { return PyUnicode_FromFormat("Collective('%s')", own(self).name); }

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("Collective(op, groups=None, perm=None, outer=None, first=0, total=0, id=b'')\n--\n\n"
                                  "A host function of an spmd plan that its devices call together: on views of the "
                                  "operand and the result.")},
    {Py_tp_new, reinterpret_cast<void*>(collective_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(collective_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(collective_traverse)},
    {Py_tp_repr, reinterpret_cast<void*>(collective_repr)},
    {0, nullptr}};

PyType_Spec spec = {"weft._runtime.Collective", sizeof(CollectiveObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                    slots};

}  // namespace

int add_collective_type(PyObject* module) {
  PyObject* type = PyType_FromSpec(&spec);
  if (!type) return -1;
  collective_type = reinterpret_cast<PyTypeObject*>(type);
  return PyModule_AddObjectRef(module, "Collective", type);
}

}  // namespace weft
