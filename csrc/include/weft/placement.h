// Where a call runs: where the arrays lie that the user put somewhere, else on the default device. Other arrays,
// NumPy's and numbers go along.
#pragma once

#include "weft/array.h"

namespace weft {

struct Placement {
  Device* committed;  // null: nothing says where
  int first;          // the leaf that said it
  int conflicting;    // a leaf that says something else, or -1
  bool away;          // an array lies on another device than the CPU

  Placement() : committed(nullptr), first(-1), conflicting(-1), away(false) {}

  void note(const ArrayObject* array, int leaf) {
    if (!array->committed && !array->device) return;
    away = away || array->device;
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

}  // namespace weft
