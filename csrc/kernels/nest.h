// What generated nests call: chunks on the runtime's threads, scratch memory, errors. Needs the prelude's declarations.
#pragma once

#include "numbers.h"
#include "scalar.h"

namespace weft {

#define WEFT_CHUNK __attribute__((noinline))

// -- loops ------------------------------------------------------------------------------------------------------------

// Additions' worth of work below which handing a chunk to another thread does not pay.
constexpr i64 least_work = 60000;

// How many iterations of this cost make a chunk.
inline i64 grain(i64 cost) { return cost >= least_work ? 1 : cost > 0 ? least_work / cost : least_work; }

template <class Body>
void run_chunk(void* body, weft_i64 lo, weft_i64 hi) {
  (*static_cast<const Body*>(body))(lo, hi);
}

template <class Body>
inline void parallel(WeftContext* ctx, i64 n, i64 chunk, const Body& body) {
  if (n <= chunk)
    body(0, n);
  else
    ctx->parallel(ctx, n, chunk, run_chunk<Body>, const_cast<Body*>(&body));
}

// Reductions are cut into blocks that depend on the work alone, so that results do not depend on the threads.
constexpr i64 most_blocks = 64;
inline i64 block_count(i64 n, i64 cost) {
  i64 chunk = grain(cost), blocks = (n + chunk - 1) / chunk;
  return blocks < 1 ? 1 : blocks > most_blocks ? most_blocks : blocks;
}

#pragma omp declare reduction(maximum:f64 : omp_out = maximum(omp_out, omp_in)) initializer(omp_priv = -__builtin_inf())
#pragma omp declare reduction(minimum:f64 : omp_out = minimum(omp_out, omp_in)) initializer(omp_priv = __builtin_inf())
#pragma omp declare reduction(maximum:f32 : omp_out = maximum(omp_out, omp_in)) \
    initializer(omp_priv = -__builtin_inff())
#pragma omp declare reduction(minimum:f32 : omp_out = minimum(omp_out, omp_in)) initializer(omp_priv = __builtin_inff())

// -- memory -----------------------------------------------------------------------------------------------------------

// Never called through a pointer the compiler could see through: what it returns is known to alias nothing.
__attribute__((malloc, noinline)) inline void* scratch(WeftContext* ctx, i64 bytes) {
  return ctx->alloc(ctx, bytes > 0 ? bytes : 1);
}

template <class T>
inline void swap(T*& a, T*& b) {
  T* const old = a;
  a = b;
  b = old;
}

// Doubles a buffer of rows; false if there is no memory.
template <class T>
__attribute__((noinline)) bool grow(WeftContext* ctx, T*& rows, i64& capacity, i64 row) {
  T* wider = static_cast<T*>(ctx->alloc(ctx, (2 * capacity * row + 1) * (i64)sizeof(T)));
  if (!wider) return false;
  __builtin_memcpy(wider, rows, capacity * row * sizeof(T));
  ctx->release(ctx, rows);
  rows = wider;
  capacity *= 2;
  return true;
}

// -- errors -----------------------------------------------------------------------------------------------------------

// Calls a host function that raises, on scalars.
template <class... T>
__attribute__((cold, noinline)) int raise(WeftContext* ctx, int id, T... values) {
  WeftView views[] = {WeftView{&values, number_of<T>, 0, nullptr}..., WeftView{}};
  int status = ctx->host(ctx, id, sizeof...(T), views);
  return status ? status : WEFT_ERROR;
}

// The first failure in a parallel loop, reported when the loop is over: host functions run on the calling thread.
struct Failure {
  int status = 0, id = -1, count = 0;
  WeftView views[4];
  alignas(16) char data[4][16];

  template <class... T>
  __attribute__((cold, noinline)) void set(int which, T... values) {
    int expected = 0;
    if (!__atomic_compare_exchange_n(&status, &expected, (int)WEFT_ERROR, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
      return;
    id = which;
    (put(values), ...);
  }
  void no_memory() {
    int expected = 0;
    __atomic_compare_exchange_n(&status, &expected, (int)WEFT_NO_MEMORY, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  }
  int raise(WeftContext* ctx) const {
    if (status != WEFT_ERROR) return status;
    int found = ctx->host(ctx, id, count, views);
    return found ? found : status;
  }

 private:
  template <class T>
  void put(T value) {
    __builtin_memcpy(data[count], &value, sizeof(T));
    views[count] = WeftView{data[count], number_of<T>, 0, nullptr};
    ++count;
  }
};

}  // namespace weft
