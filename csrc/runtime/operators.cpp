// weft.Array's operators and subscripts, and functions called eagerly: NumPy computes, on views of the arrays, and its
// fresh results become arrays without a copy.
#include "weft/operators.h"

#include "weft/array.h"
#include "weft/placement.h"

namespace weft {
namespace {

// What Python does where an operand is none of those that NumPy is given here: slow_operator(name, x, y) and
// slow_subscript(x, key).
PyObject* slow_operator = nullptr;
PyObject* slow_subscript = nullptr;

// NumPy's context variable for floating-point conditions, and its value when none is reported.
PyObject* conditions = nullptr;
PyObject* unreported = nullptr;

// While it lives, NumPy reports no floating-point conditions in this thread. False if Python failed.
class Quiet {
 public:
  Quiet() : token_(PyContextVar_Set(conditions, unreported)) {}
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;
  ~Quiet() {
    if (!token_) return;
    SavedError saved;
    if (PyContextVar_Reset(conditions, token_) < 0) PyErr_Clear();
    Py_DECREF(token_);
  }
  explicit operator bool() const { return token_ != nullptr; }

 private:
  PyObject* token_;
};

// An operand as NumPy takes it. Null without an error: Python decides.
Ref operand(PyObject* x) {
  PyTypeObject* type = Py_TYPE(x);
  if (is_array(x)) return Ref(numpy_view(reinterpret_cast<ArrayObject*>(x), false));
  bool known = type == &PyFloat_Type || type == &PyLong_Type || type == &PyArray_Type || type == &PyBool_Type ||
               type == &PyComplex_Type || PyArray_IsScalar(x, Number) || PyArray_IsScalar(x, Bool);
  return known ? Ref::borrow(x) : Ref();
}

// A result of NumPy as an array. Takes the reference; `holders` references to it are ours. What others hold too they
// may write to: it is copied, and so are views, unless of arrays, which are immutable.
PyObject* wrapped(PyObject* result, Py_ssize_t holders = 1) {
  Ref held(result);
  if (!result || result == Py_NotImplemented) return held.release();
  if (!PyArray_Check(result)) {
    held = Ref(PyArray_FROM_O(result));
    holders = 1;
    if (!held) return nullptr;
  }
  auto* array = reinterpret_cast<PyArrayObject*>(held.get());
  PyObject* base = PyArray_BASE(array);
  while (base && PyArray_CheckExact(base) && PyArray_BASE(reinterpret_cast<PyArrayObject*>(base))) {
    base = PyArray_BASE(reinterpret_cast<PyArrayObject*>(base));
  }
  bool ours = base ? is_array(base) : PyArray_CHKFLAGS(array, NPY_ARRAY_OWNDATA) && Py_REFCNT(array) <= holders;
  return array_of_numpy(array_class, held.get(), !ours);
}

using Binary = PyObject* (*)(PyObject*, PyObject*);
using Unary = PyObject* (*)(PyObject*);

template <Binary operation>
PyObject* binary(const char* name, PyObject* x, PyObject* y) {
  if (!gpus_in_use) {
    Ref a = operand(x), b = a ? operand(y) : Ref();
    if (a && b) {
      Quiet quiet;
      return quiet ? placed(wrapped(operation(a.get(), b.get())), {x, y}) : nullptr;
    }
    if (PyErr_Occurred()) return nullptr;
  }
  return placed(PyObject_CallFunction(slow_operator, "sOO", name, x, y), {x, y});
}

template <Unary operation>
PyObject* unary(const char* name, PyObject* x) {
  if (gpus_in_use) return PyObject_CallFunction(slow_operator, "sO", name, x);
  Ref a = operand(x);
  Quiet quiet;
  return a && quiet ? placed(wrapped(operation(a.get())), {x}) : nullptr;
}

#define WEFT_BINARY(slot, name, operation) \
  PyObject* slot(PyObject* x, PyObject* y) { return binary<operation>(name, x, y); }
#define WEFT_UNARY(slot, name, operation) \
  PyObject* slot(PyObject* x) { return unary<operation>(name, x); }

PyObject* power_of(PyObject* x, PyObject* y) { return PyNumber_Power(x, y, Py_None); }

WEFT_BINARY(add, "add", PyNumber_Add)
WEFT_BINARY(subtract, "sub", PyNumber_Subtract)
WEFT_BINARY(multiply, "mul", PyNumber_Multiply)
WEFT_BINARY(true_divide, "truediv", PyNumber_TrueDivide)
WEFT_BINARY(floor_divide, "floordiv", PyNumber_FloorDivide)
WEFT_BINARY(modulo, "mod", PyNumber_Remainder)
WEFT_BINARY(matrix_multiply, "matmul", PyNumber_MatrixMultiply)
WEFT_BINARY(bit_and, "and_", PyNumber_And)
WEFT_BINARY(bit_or, "or_", PyNumber_Or)
WEFT_BINARY(bit_xor, "xor", PyNumber_Xor)
WEFT_BINARY(shift_left, "lshift", PyNumber_Lshift)
WEFT_BINARY(shift_right, "rshift", PyNumber_Rshift)
WEFT_BINARY(raise, "pow", power_of)
WEFT_UNARY(negative, "neg", PyNumber_Negative)
WEFT_UNARY(positive, "pos", PyNumber_Positive)
WEFT_UNARY(absolute, "abs", PyNumber_Absolute)
WEFT_UNARY(invert, "invert", PyNumber_Invert)

PyObject* power(PyObject* x, PyObject* y, PyObject* modulus) {
  if (modulus == Py_None) return raise(x, y);
  PyErr_SetString(PyExc_TypeError, "pow() of a weft.Array takes no modulus: write x ** y % z");
  return nullptr;
}

template <int relation>
PyObject* compared(PyObject* x, PyObject* y) {
  return PyObject_RichCompare(x, y, relation);
}

PyObject* compare(PyObject* x, PyObject* y, int relation) {
  switch (relation) {
    case Py_LT:
      return binary<compared<Py_LT>>("lt", x, y);
    case Py_LE:
      return binary<compared<Py_LE>>("le", x, y);
    case Py_EQ:
      return binary<compared<Py_EQ>>("eq", x, y);
    case Py_NE:
      return binary<compared<Py_NE>>("ne", x, y);
    case Py_GT:
      return binary<compared<Py_GT>>("gt", x, y);
    default:
      return binary<compared<Py_GE>>("ge", x, y);
  }
}

PyObject* divide_with_rest(PyObject* x, PyObject* y) {
  Ref quotient(floor_divide(x, y));
  if (!quotient || quotient.get() == Py_NotImplemented) return quotient.release();
  Ref rest(modulo(x, y));
  return rest ? PyTuple_Pack(2, quotient.get(), rest.get()) : nullptr;
}

// -- subscripts ---------------------------------------------------------------------------------------------------

bool is_plain_entry(PyObject* entry) {
  if (PyLong_CheckExact(entry) || entry == Py_None || entry == Py_Ellipsis || PyArray_CheckExact(entry)) return true;
  if (!PySlice_Check(entry)) return false;
  auto* slice = reinterpret_cast<PySliceObject*>(entry);
  for (PyObject* bound : {slice->start, slice->stop, slice->step}) {
    if (bound != Py_None && !PyLong_CheckExact(bound)) return false;
  }
  return true;
}

// Keys that NumPy understands as they are; arrays and sequences in keys are Python's to translate.
bool is_plain_key(PyObject* key) {
  if (!PyTuple_CheckExact(key)) return is_plain_entry(key);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i) {
    if (!is_plain_entry(PyTuple_GET_ITEM(key, i))) return false;
  }
  return true;
}

PyObject* subscript(PyObject* self, PyObject* key) {
  if (gpus_in_use || !is_plain_key(key)) {
    return placed(PyObject_CallFunctionObjArgs(slow_subscript, self, key, nullptr), {self});
  }
  Ref view(numpy_view(reinterpret_cast<ArrayObject*>(self), false));
  return view ? placed(wrapped(PyObject_GetItem(view.get(), key)), {self}) : nullptr;
}

// -- functions ----------------------------------------------------------------------------------------------------

// An argument with NumPy arrays for arrays, in lists and tuples too.
Ref argument(PyObject* x) {
  if (is_array(x)) return Ref(numpy_view(reinterpret_cast<ArrayObject*>(x), false));
  bool list = PyList_CheckExact(x);
  if (!list && !PyTuple_CheckExact(x)) return Ref::borrow(x);
  Py_ssize_t size = PySequence_Fast_GET_SIZE(x);
  Ref copy(list ? PyList_New(size) : PyTuple_New(size));
  if (!copy) return Ref();
  for (Py_ssize_t i = 0; i < size; ++i) {
    Ref item = argument(PySequence_Fast_GET_ITEM(x, i));
    if (!item) return Ref();
    if (list) {
      PyList_SET_ITEM(copy.get(), i, item.release());
    } else {
      PyTuple_SET_ITEM(copy.get(), i, item.release());
    }
  }
  return copy;
}

// A function's result with arrays for NumPy's arrays and for numbers other than ints, in lists and tuples too. Takes
// the reference; `holders` references to it are ours.
PyObject* outcome(PyObject* result, Py_ssize_t holders = 1) {
  Ref held(result);
  if (!result) return nullptr;
  if (PyArray_Check(result) || PyArray_IsScalar(result, Generic) || PyBool_Check(result) || PyFloat_Check(result) ||
      PyComplex_Check(result)) {
    return wrapped(held.release(), holders);
  }
  bool list = PyList_CheckExact(result);
  if (!list && !PyTuple_Check(result)) return held.release();
  Py_ssize_t size = PySequence_Fast_GET_SIZE(result), inside = Py_REFCNT(result) <= holders ? 2 : 0;
  Ref parts(list ? PyList_New(size) : PyTuple_New(size));
  if (!parts) return nullptr;
  for (Py_ssize_t i = 0; i < size; ++i) {
    PyObject* item = outcome(Py_NewRef(PySequence_Fast_GET_ITEM(result, i)), inside);
    if (!item) return nullptr;
    if (list) {
      PyList_SET_ITEM(parts.get(), i, item);
    } else {
      PyTuple_SET_ITEM(parts.get(), i, item);
    }
  }
  if (!list && PyObject_HasAttrString(result, "_fields")) {
    return PyObject_CallObject(reinterpret_cast<PyObject*>(Py_TYPE(result)), parts.get());
  }
  return parts.release();
}

}  // namespace

PyObject* call_eagerly(PyObject* function, PyObject* args, PyObject* kwargs) {
  Ref given = argument(args), named;
  if (!given) return nullptr;
  if (kwargs && PyDict_GET_SIZE(kwargs)) {
    named = Ref(PyDict_New());
    PyObject *key, *value;
    Py_ssize_t position = 0;
    while (named && PyDict_Next(kwargs, &position, &key, &value)) {
      Ref item = argument(value);
      if (!item || PyDict_SetItem(named.get(), key, item.get()) < 0) return nullptr;
    }
    if (!named) return nullptr;
  }
  Ref result;
  {
    Quiet quiet;
    if (!quiet) return nullptr;
    result = Ref(PyObject_Call(function, given.get(), named.get()));
  }
  return placed(outcome(result.release()), {args, kwargs});
}

void set_operators(PyObject* operation, PyObject* subscript, PyObject* variable, PyObject* value) {
  slow_operator = Py_NewRef(operation);
  slow_subscript = Py_NewRef(subscript);
  conditions = Py_NewRef(variable);
  unreported = Py_NewRef(value);
}

namespace {

template <class F>
void* slot(F* function) {
  return reinterpret_cast<void*>(function);
}

}  // namespace

const std::vector<PyType_Slot>& operator_slots() {
  static const std::vector<PyType_Slot> slots = {
      {Py_nb_add, slot(add)},
      {Py_nb_subtract, slot(subtract)},
      {Py_nb_multiply, slot(multiply)},
      {Py_nb_true_divide, slot(true_divide)},
      {Py_nb_floor_divide, slot(floor_divide)},
      {Py_nb_remainder, slot(modulo)},
      {Py_nb_divmod, slot(divide_with_rest)},
      {Py_nb_power, slot(power)},
      {Py_nb_matrix_multiply, slot(matrix_multiply)},
      {Py_nb_and, slot(bit_and)},
      {Py_nb_or, slot(bit_or)},
      {Py_nb_xor, slot(bit_xor)},
      {Py_nb_lshift, slot(shift_left)},
      {Py_nb_rshift, slot(shift_right)},
      {Py_nb_negative, slot(negative)},
      {Py_nb_positive, slot(positive)},
      {Py_nb_absolute, slot(absolute)},
      {Py_nb_invert, slot(invert)},
      {Py_tp_richcompare, slot(compare)},
      {Py_mp_subscript, slot(subscript)},
  };
  return slots;
}

}  // namespace weft
