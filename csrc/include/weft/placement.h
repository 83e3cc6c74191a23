// Where a call runs: where the arrays lie that the user put somewhere, else on the default device. Other arrays,
// NumPy's and numbers go along.
#pragma once

#include <initializer_list>

#include "weft/array.h"

namespace weft {

struct Placement {
  Device* committed;  // null: nothing says where
  int first;          // the leaf that said it
  int conflicting;    // a leaf that says something else, or -1
  bool away;          // an array lies outside of the host's memory

  Placement() : committed(nullptr), first(-1), conflicting(-1), away(false) {}

  void note(const ArrayObject* array, int leaf) {
    if (!array->committed && !array->device) return;
    away = away || !on_host(array);
    if (!array->committed) return;
    Device* device = array->device ? array->device : &cpu_device();
    if (!committed) {
      committed = device;
      first = leaf;
    } else if (committed != device && conflicting < 0) {
      conflicting = leaf;
    }
  }
};

// Notes the arrays among an operation's operands, also in lists, tuples and dicts; null is skipped.
void note_all(Placement& placement, PyObject* operands);

// Puts fresh arrays of the host (one, or those in a list or tuple) on the device of the CPU on which an operation on
// these operands runs: memory is shared, so that nothing moves. Takes the reference, also null; null with a Python
// error when the operands are on different devices.
PyObject* place_like(PyObject* made, std::initializer_list<PyObject*> operands);
inline PyObject* placed(PyObject* made, std::initializer_list<PyObject*> operands) {
  return __builtin_expect(!devices_in_use, 1) ? made : place_like(made, operands);
}

}  // namespace weft
