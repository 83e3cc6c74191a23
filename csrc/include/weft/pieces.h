// An array in pieces: its elements lie in the memories of several devices.
//
// Such an array has no block and no data of its own until somebody asks for all of it in one place: `gather` brings it
// to its first device, `host_copy` to the host.
#pragma once

#include <vector>

#include "weft/array.h"
#include "weft/python.h"

namespace weft {

// Shared by the arrays that show the same pieces in different shapes; counted under the GIL.
struct Pieces {
  // How the pieces make up the whole. In rows: piece k is row rows[k] of the leading axis; several may be the same.
  // Equal: each is the whole. Divided: as the array's sharding says, which Python knows.
  enum class Form { rows, equal, divided };

  int references = 1;
  Form form;
  std::vector<Ref> arrays;  // weft.Arrays, each on a device of its own
  std::vector<int> rows;

  ArrayObject* operator[](std::size_t k) const { return reinterpret_cast<ArrayObject*>(arrays[k].get()); }
};

inline Pieces* retain(Pieces* pieces) {
  if (pieces) ++pieces->references;
  return pieces;
}
void drop(Pieces* pieces);

// A new array; takes the reference. Null with a Python error: pieces that do not fit the shape.
PyObject* make_in_pieces(Pieces* pieces, int rank, const npy_intp* dims);

// Makes `data` the whole array, on the first device; false with a Python error.
bool gather(ArrayObject* array);
inline bool gathered(ArrayObject* array) { return array->data || !array->pieces || gather(array); }

// The piece that is the whole array on this device, or null (borrowed).
ArrayObject* copy_on(const ArrayObject* array, const Device& device);

// The functions of Python that put pieces together: `to_host(array)`, a NumPy array.
void set_assembler(PyObject* to_host);
PyObject* assemble(ArrayObject* array);

}  // namespace weft
