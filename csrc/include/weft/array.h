// weft.Array's C half: an immutable, row-major device array.
//
// It holds a block of the pool, or memory of another owner. Everything is ready when it is made for now; readiness
// events come with the device queues.
#pragma once

#include "weft/pool.h"
#include "weft/python.h"

namespace weft {

struct ArrayObject {
  PyObject_HEAD void* data;
  Block* block;  // one of the two holds `data`
  PyObject* owner;
  PyArray_Descr* descr;
  PyObject* weak_references;
  int dtype;  // canonical type number
  int rank;
  npy_intp* dims;  // `inline_dims`, or an allocation for high ranks
  npy_intp inline_dims[4];
};

extern PyTypeObject* array_base;   // weft._runtime.ArrayBase
extern PyTypeObject* array_class;  // what new arrays are instances of: weft.Array once it is registered

inline bool is_array(PyObject* object) {
  return Py_TYPE(object) == array_class || PyObject_TypeCheck(object, array_base);
}

// One number for each meaning: on LP64, long long is long under another name.
inline int canonical_dtype(int number) {
#if NPY_SIZEOF_LONG == NPY_SIZEOF_LONGLONG
  if (number == NPY_LONGLONG) return NPY_LONG;
  if (number == NPY_ULONGLONG) return NPY_ULONG;
#endif
  return number;
}

// A new array over `block`, whose reference it takes (also when it fails).
PyObject* make_array(int dtype, int rank, const npy_intp* dims, Block* block);

// A fresh, writable NumPy array that owns `block` as NumPy arrays own their memory. Takes the reference.
PyObject* make_numpy(int dtype, int rank, const npy_intp* dims, Block* block);

// The array as a NumPy view of the same memory that keeps it alive.
PyObject* numpy_view(ArrayObject* array, bool writable);

// Makes the types; 0, or -1 with a Python error set.
int add_array_types(PyObject* module);

}  // namespace weft
