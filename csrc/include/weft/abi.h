// The one interface between generated code and the runtime.
//
// A generated file includes nothing: it repeats these declarations through
// templates/common/prelude.h.j2, and a test compares the two. Only C types cross the line.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_ABI_VERSION 2

typedef long long weft_i64;

// An array (or, with rank 0, a scalar) handed to a host call. Row-major and contiguous.
typedef struct WeftView {
  void* data;
  int dtype;  // NumPy's type number (NPY_DOUBLE = 12, ...)
  int rank;
  const weft_i64* dims;
} WeftView;

typedef void (*WeftBody)(void* env, weft_i64 lo, weft_i64 hi);

typedef struct WeftContext WeftContext;
struct WeftContext {
  // Scratch memory, 64-byte aligned, uninitialised. Null means out of memory: the entry returns WEFT_NO_MEMORY.
  // What is not released is released when the entry returns. Safe to call from parallel bodies.
  void* (*alloc)(WeftContext*, weft_i64 bytes);
  void (*release)(WeftContext*, void*);
  // Makes array result k with these sizes and returns its memory (uninitialised, row-major). On a device scalar results
  // may be made so, too, with rank 0.
  void* (*result)(WeftContext*, int k, int rank, const weft_i64* dims);
  // Runs host function `id` of the plan (a NumPy fallback, print, raise) on views; nonzero: a Python error is set,
  // and the entry must return that status at once.
  int (*host)(WeftContext*, int id, int count, const WeftView* views);
  // Runs body over [0, n) in chunks of at least `grain`, on the pool's threads; nested calls run inline.
  void (*parallel)(WeftContext*, weft_i64 n, weft_i64 grain, WeftBody body, void* env);
  // c[m,n] (+)= op(a) @ op(b), row-major; dtype is NumPy's number for float32/64, complex64/128. Nonzero: there is no
  // library for it (on a device only), and nothing was done.
  int (*gemm)(WeftContext*, int dtype, int trans_a, int trans_b, weft_i64 m, weft_i64 n, weft_i64 k, const void* a,
              weft_i64 lda, const void* b, weft_i64 ldb, void* c, weft_i64 ldc, int accumulate);

  // What follows is for programs that run on a device (null otherwise). There `alloc`, `release` and `result` deal in
  // the device's memory, array inputs lie in it, and all work is queued in order on the call's stream; `host` takes
  // views of the host's memory as ever. What returns int gives a status: nonzero, and the entry must return it at once.
  //
  // Queues kernel `kernel` of the artifact: `blocks` blocks of `threads` threads; args[i] points to argument i.
  int (*launch)(WeftContext*, int kernel, weft_i64 blocks, int threads, void** args);
  // Copies `bytes` from the device to the host, the other way, and within the device. `read` waits for all that is
  // queued, and `write` has read the host's memory when it returns; copies within the device are queued.
  int (*read)(WeftContext*, void* host, const void* device, weft_i64 bytes);
  int (*write)(WeftContext*, void* device, const void* host, weft_i64 bytes);
  int (*copy)(WeftContext*, void* to, const void* from, weft_i64 bytes);
  // Where kernels record their first failure: a WeftFailure in the device's memory, all zero at the start.
  void* failure;
  // Waits for all that is queued and raises what kernels recorded. `read` does so too.
  int (*check)(WeftContext*);
};

// A failed check in a kernel: host function `id` is to be called on `count` scalars, each in 16 bytes of `data`.
typedef struct WeftFailure {
  int status;  // WEFT_ERROR or WEFT_NO_MEMORY once something failed
  int id;
  int count;
  int dtypes[4];
  int unused;
  weft_i64 data[4][2];
} WeftFailure;

enum { WEFT_OK = 0, WEFT_ERROR = 1, WEFT_NO_MEMORY = 2 };

// inputs: for each leaf a pointer: array leaves to their row-major data (dims in `sizes`, leaf after leaf, axis after
// axis), scalar leaves to their value. scalars: where scalar result k is written (null for array results).
typedef int (*WeftEntry)(WeftContext*, void** inputs, void** scalars, const weft_i64* sizes);

typedef struct WeftArtifact {
  int abi;
  const char* name;  // the content hash, also the module's name
  const char* meta;  // JSON written by the code generator
  int count;
  const char* const* names;
  const WeftEntry* entries;
} WeftArtifact;

// In the binding object, linked into every artifact: makes the pybind11 module PyInit_<hash> returns.
void* weft_bind_module(const WeftArtifact* artifact);

#ifdef __cplusplus
}
#endif
