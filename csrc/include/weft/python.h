// The Python and NumPy C interfaces as every file of the runtime includes them, and an owning reference.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL weft_numpy_api
#ifndef WEFT_IMPORTS_NUMPY  // defined by module.cpp alone, which holds the table
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>

#include <unistd.h>

#include <utility>

namespace weft {

// An owned reference, or null.
class Ref {
 public:
  Ref() = default;
  explicit Ref(PyObject* owned) : object_(owned) {}
  static Ref borrow(PyObject* object) {
    Py_XINCREF(object);
    return Ref(object);
  }
  Ref(const Ref& other) : object_(other.object_) { Py_XINCREF(object_); }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() { Py_XDECREF(object_); }

  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

// `take()`, which waits for the GIL. In a program that ends, a daemon's thread then stays here: Python would unwind its
// stack without the GIL, through destructors that need it.
template <class F>
auto or_stay(F take) -> decltype(take()) {
  try {
    return take();
  } catch (...) {  // the unwinding itself: Python's functions throw nothing
    for (;;) pause();
  }
}

inline void take_gil_back(PyThreadState* state) {
  or_stay([=] { PyEval_RestoreThread(state); });
}

inline PyGILState_STATE take_gil() { return or_stay(PyGILState_Ensure); }

// Holds a pending Python error aside while clean-up code runs, and puts it back.
class SavedError {
 public:
  SavedError() { PyErr_Fetch(&type_, &value_, &trace_); }
  SavedError(const SavedError&) = delete;
  SavedError& operator=(const SavedError&) = delete;
  ~SavedError() {
    if (type_) PyErr_Restore(type_, value_, trace_);
  }

 private:
  PyObject *type_, *value_, *trace_;
};

}  // namespace weft
