// weft.Array's C half: an immutable, row-major device array.
//
// It holds a block of the pool, or memory of another owner. Its block says when the elements are computed: who reads
// them asks `settle` first. Outside of the host's memory `owner` keeps a copy for the host once one was asked for.
#pragma once

#include "weft/device.h"
#include "weft/pool.h"
#include "weft/python.h"

namespace weft {

struct Pieces;

struct ArrayObject {
  PyObject_HEAD void* data;
  Block* block;  // one of the two holds `data`
  PyObject* owner;
  Device* device;  // null: the first of the CPU
  PyArray_Descr* descr;
  PyObject* weak_references;
  Pieces* pieces;      // on several GPUs (pieces.h); then `data` may be null yet
  PyObject* sharding;  // what Python says of how it is spread over devices, or null
  int dtype;           // canonical type number
  int rank;
  bool committed;  // put where it lies by the user's word: what is computed from it runs there
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

// A new array of type `type` without elements.
ArrayObject* new_array(PyTypeObject* type, PyArray_Descr* descr, int rank, const npy_intp* dims);

// Whether the elements lie in the host's memory, which all CPU devices share.
inline bool on_host(const ArrayObject* array) { return !array->device || array->device->platform == Platform::cpu; }

// A device as arrays note it: the first of the CPU is null.
inline Device* noted(Device* device) { return device == &cpu_device() ? nullptr : device; }

// A new array over `block`, on the block's device, or on one of the CPU; takes the reference (also when it fails).
PyObject* make_array(int dtype, int rank, const npy_intp* dims, Block* block, bool committed = false,
                     Device* device = nullptr);

// An array of class `type` with the elements of a NumPy array, or of anything that NumPy makes one of; without a copy
// it shares memory, where its layout allows it.
PyObject* array_of_numpy(PyTypeObject* type, PyObject* source, bool copy);

// Another array over the same memory, which has as many elements.
PyObject* share_array(ArrayObject* array, int rank, const npy_intp* dims, bool committed);

// A fresh, writable NumPy array that owns `block` as NumPy arrays own their memory. Takes the reference.
PyObject* make_numpy(int dtype, int rank, const npy_intp* dims, Block* block);

// The array as a NumPy view of the same memory that keeps it alive; of an array of a device, a read-only copy, made
// once.
PyObject* numpy_view(ArrayObject* array, bool writable);

// Waits until the elements are computed, without the GIL; false with a Python error: the one that ended the
// computation.
bool wait_until_ready(ArrayObject* array);
bool is_ready(ArrayObject* array);
inline bool settle(ArrayObject* array) {
  return __builtin_expect(array->block ? !array->block->ready : !array->pieces, 1) || wait_until_ready(array);
}

// An array of a device as a NumPy array (a new reference); null with a Python error.
PyObject* host_copy(ArrayObject* array);

// A new array on `device` with the elements of an array or of anything that NumPy makes one of.
PyObject* put_on_device(PyObject* source, Device& device, bool committed);

// The weft.Device of a device; null is the CPU. A new reference.
PyObject* device_object(Device* device);

// Sets the Python error for what a device threw. Needs the GIL.
void set_device_error(const DeviceError& error);

// While it lives, other Python threads run.
class Unlocked {
 public:
  Unlocked() : state_(PyEval_SaveThread()) {}
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked() { take_gil_back(state_); }

 private:
  PyThreadState* state_;
};

// Makes the types; 0, or -1 with a Python error set.
int add_array_types(PyObject* module);

}  // namespace weft
