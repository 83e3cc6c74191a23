// weft.Array's operators and subscripts, and functions of NumPy called on arrays.
#pragma once

#include <vector>

#include "weft/python.h"

namespace weft {

// The slots of the array type that are operators and subscripts.
const std::vector<PyType_Slot>& operator_slots();

// Sets what Python does for operands and keys that are not handled here: `operation(name, x[, y])`, with the names of
// the module `operator`, and `subscript(x, key)`; and NumPy's context variable with the value that reports no
// floating-point conditions.
void set_operators(PyObject* operation, PyObject* subscript, PyObject* variable, PyObject* value);

// function(*args, **kwargs) on NumPy arrays in place of arrays; its results become arrays. No floating-point conditions
// are reported. A new reference, or null with a Python error. `kwargs` may be null.
PyObject* call_eagerly(PyObject* function, PyObject* args, PyObject* kwargs);

}  // namespace weft
