#include "weft/run.h"

#include "weft/blas.h"
#include "weft/collective.h"
#include "weft/threads.h"

namespace weft {
namespace {

// NumPy arrays over the kernel's memory for one host call. One that the callee kept gets memory of its own.
class Views {
 public:
  explicit Views(int count) : tuple(PyTuple_New(count)) {}

  bool add(int index, const WeftView& view) {
    static_assert(sizeof(npy_intp) == sizeof(weft_i64));
    PyArray_Descr* descr = PyArray_DescrFromType(view.dtype);
    PyObject* array =
        descr ? PyArray_NewFromDescr(&PyArray_Type, descr, view.rank, reinterpret_cast<const npy_intp*>(view.dims),
                                     nullptr, view.data, NPY_ARRAY_CARRAY, nullptr)
              : nullptr;
    if (!array) return false;
    PyTuple_SET_ITEM(tuple.get(), index, array);
    return true;
  }

  void detach() {
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(tuple.get()); ++index) {
      PyObject* object = PyTuple_GET_ITEM(tuple.get(), index);
      if (!object || Py_REFCNT(object) == 1) continue;
      auto* array = reinterpret_cast<PyArrayObject*>(object);
      auto* fields = reinterpret_cast<PyArrayObject_fields*>(object);
      PyObject* copy = PyArray_NewCopy(array, NPY_CORDER);
      if (!copy) {
        PyErr_Clear();
        continue;
      }
      fields->data = PyArray_BYTES(reinterpret_cast<PyArrayObject*>(copy));
      fields->base = copy;
    }
  }

  Ref tuple;
};

PyObject* python_scalar(int dtype, const void* data) {
  switch (dtype) {
    case NPY_DOUBLE:
      return PyFloat_FromDouble(*static_cast<const double*>(data));
    case NPY_LONG:
      return PyLong_FromLong(*static_cast<const long*>(data));
    case NPY_BOOL:
      return PyBool_FromLong(*static_cast<const npy_bool*>(data));
    case NPY_CDOUBLE:
      return PyComplex_FromCComplex(*static_cast<const Py_complex*>(data));
    default:
      break;
  }
  PyArray_Descr* descr = PyArray_DescrFromType(dtype);
  if (!descr) return nullptr;
  Ref scalar(PyArray_Scalar(const_cast<void*>(data), descr, nullptr));
  Py_DECREF(descr);
  if (!scalar) return nullptr;
  return PyObject_CallMethod(scalar.get(), "item", nullptr);
}

PyObject* numpy_scalar(int dtype, const void* data) {
  if (dtype == NPY_DOUBLE) {
    PyObject* made = PyArrayScalar_New(Double);
    if (made) PyArrayScalar_ASSIGN(made, Double, *static_cast<const double*>(data));
    return made;
  }
  PyArray_Descr* descr = PyArray_DescrFromType(dtype);
  if (!descr) return nullptr;
  PyObject* made = PyArray_Scalar(const_cast<void*>(data), descr, nullptr);
  Py_DECREF(descr);
  return made;
}

const WeftContext kNoContext = {};

}  // namespace

Run::Run(Plan& plan) : WeftContext(kNoContext), plan_(plan) {
  alloc = alloc_entry;
  release = release_entry;
  result = result_entry;
  host = host_entry;
  parallel = parallel_entry;
  gemm = gemm_entry;
  std::size_t count = plan.results.size();
  Made* made = made_.extend(count);
  for (std::size_t k = 0; k < count; ++k) made[k] = {nullptr, 0, 0};
  scalars_.extend(count);
}

Run::~Run() {
  while (Block* block = scratch_) {
    scratch_ = block->next;
    drop(block);
  }
  for (Made& made : made_) {
    if (made.block) drop(made.block);
  }
  Py_XDECREF(error_type_);
  Py_XDECREF(error_value_);
  Py_XDECREF(error_trace_);
}

int Run::call(void** inputs, const npy_intp* sizes) {
  Small<void*, 8> targets;
  add_targets(&targets);
  const auto* table = reinterpret_cast<const weft_i64*>(sizes);
  int status;
  if (plan_.heavy) {
    saved_ = PyEval_SaveThread();
    status = plan_.entry(this, inputs, targets.data(), table);
    take_gil_back(saved_);
  } else {
    status = plan_.entry(this, inputs, targets.data(), table);
  }
  return __builtin_expect(status == WEFT_OK && !failed_, 1) ? WEFT_OK : conclude(status);
}

int Run::conclude(int status) {
  if (failed_) {
    PyErr_Restore(error_type_, error_value_, error_trace_);
    error_type_ = error_value_ = error_trace_ = nullptr;
    return WEFT_ERROR;
  }
  if (status == WEFT_NO_MEMORY) {
    PyErr_NoMemory();
  } else if (status != WEFT_OK && !PyErr_Occurred()) {
    PyErr_Format(PyExc_RuntimeError, "a compiled function ended with status %d", status);
  }
  return status;
}

void* Run::alloc_entry(WeftContext* context, weft_i64 bytes) {
  Run& self = of(context);
  Block* block = bytes < 0 ? nullptr : pool_take(static_cast<std::size_t>(bytes));
  if (!block) return nullptr;
  block->previous = nullptr;
  self.lock();
  block->next = self.scratch_;
  if (self.scratch_) self.scratch_->previous = block;
  self.scratch_ = block;
  self.unlock();
  return block->memory();
}

void Run::release_entry(WeftContext* context, void* memory) {
  if (!memory) return;
  Run& self = of(context);
  Block* block = Block::of(memory);
  self.lock();
  if (block->next) block->next->previous = block->previous;
  (block->previous ? block->previous->next : self.scratch_) = block->next;
  self.unlock();
  drop(block);
}

void* Run::result_entry(WeftContext* context, int k, int rank, const weft_i64* dims) {
  Run& self = of(context);
  std::size_t at;
  npy_intp bytes = self.measure(k, rank, dims, &at);
  Block* block = bytes < 0 ? nullptr : pool_take(static_cast<std::size_t>(bytes));
  if (!block) return nullptr;
  Made& made = self.made_[static_cast<std::size_t>(k)];
  if (made.block) drop(made.block);
  made = {block, at, rank};
  return block->memory();
}

int Run::host_entry(WeftContext* context, int id, int count, const WeftView* views) {
  Run& self = of(context);
  int status;
  if (!self.plan_.heavy) {
    status = self.call_host(id, count, views);
  } else if (!in_parallel()) {
    take_gil_back(self.saved_);
    status = self.call_host(id, count, views);
    self.saved_ = PyEval_SaveThread();
  } else {
    PyGILState_STATE state = take_gil();
    status = self.call_host(id, count, views);
    PyGILState_Release(state);
  }
  return status;
}

int Run::call_host(int id, int count, const WeftView* views) {
  if (failed_) return WEFT_ERROR;
  if (id < 0 || static_cast<std::size_t>(id) >= plan_.host.size()) {
    PyErr_Format(PyExc_RuntimeError, "a compiled function calls host function %d of %zu", id, plan_.host.size());
  } else if (is_collective(plan_.host[static_cast<std::size_t>(id)].get())) {
    PyErr_SetString(PyExc_RuntimeError, "a collective runs only on the devices of an spmd plan");
  } else {
    Views arrays(count);
    bool ok = static_cast<bool>(arrays.tuple);
    for (int index = 0; ok && index < count; ++index) ok = arrays.add(index, views[index]);
    if (ok) {
      Ref returned(PyObject_CallObject(plan_.host[static_cast<std::size_t>(id)].get(), arrays.tuple.get()));
      SavedError error;
      returned = Ref();
      arrays.detach();
    }
  }
  if (!PyErr_Occurred()) return WEFT_OK;
  // Kept here: the error of a pool's thread has to reach the caller's.
  failed_ = true;
  PyErr_Fetch(&error_type_, &error_value_, &error_trace_);
  return WEFT_ERROR;
}

void Run::parallel_entry(WeftContext* context, weft_i64 n, weft_i64 grain, WeftBody body, void* env) {
  // With the GIL held, a host call from a pool's thread would wait for ever.
  const Plan& plan = of(context).plan_;
  if (n > 0 && !plan.heavy && !plan.host.empty()) return body(env, 0, n);
  parallel_for(n, grain, body, env);
}

int Run::gemm_entry(WeftContext*, int dtype, int trans_a, int trans_b, weft_i64 m, weft_i64 n, weft_i64 k,
                    const void* a, weft_i64 lda, const void* b, weft_i64 ldb, void* c, weft_i64 ldc, int accumulate) {
  gemm_any(dtype, trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc, accumulate != 0);
  return WEFT_OK;
}

PyObject* Run::value(std::size_t k) {
  const Result& wanted = plan_.results[k];
  if (wanted.kind == Kind::scalar) {
    const void* data = scalars_[k].bytes;
    if (wanted.flavour == Flavour::py) return python_scalar(wanted.dtype, data);
    if (wanted.flavour == Flavour::np) return numpy_scalar(wanted.dtype, data);
    if (!made_[k].block) {  // on a device, and on several, it is made already
      Block* block = pool_take(sizeof(Scalar));
      if (!block) return PyErr_NoMemory();
      std::memcpy(block->memory(), data, sizeof(Scalar));
      made_[k].block = block;
    }
  }
  Made& made = made_[k];
  Block* block = std::exchange(made.block, nullptr);
  if (!block) return PyErr_Format(PyExc_RuntimeError, "a compiled function did not make its result %zu", k);
  const npy_intp* dims = dims_.data() + made.dims;
  return wanted.flavour == Flavour::weft ? make_array(wanted.dtype, made.rank, dims, block, committed_, device_)
                                         : make_numpy(wanted.dtype, made.rank, dims, block);
}

}  // namespace weft
