// Teams: the threads that work on one row or one region together. Device code is written once over a team and runs with
// one thread, a warp or a block.
//
// Everything but index, count, rank, size and lead must be called by all of a team, and orders its memory. Results are
// the same for all of it, and come about in an order that depends on the team's size alone.
#pragma once

#ifndef WEFT_NO_COMPLEX
#define WEFT_NO_COMPLEX  // what needs complex.h includes it
#endif
#include "numbers.h"
#include "scalar.h"

// Threads of a block.
#ifndef WEFT_THREADS
#define WEFT_THREADS 256
#endif

// `name`: an array of a block's shared memory.
#ifndef WEFT_SHARED
#define WEFT_SHARED(T, name, n) __shared__ __align__(16) T name[n]
#endif

namespace weft {

constexpr int warp_lanes = 32;
constexpr int warps_of_block = WEFT_THREADS / warp_lanes;
constexpr u32 all_lanes = 0xffffffffu;
static_assert(WEFT_THREADS % warp_lanes == 0 && WEFT_THREADS >= 64, "a block is at least two full warps");

// -- values between threads -------------------------------------------------------------------------------------------

// A value as the words that lanes exchange.
template <class T>
struct Words {
  static_assert(sizeof(T) <= 16, "teams share values of up to 16 bytes");
  u32 at[(sizeof(T) + 3) / 4];

  WEFT_FN explicit Words(const T& value) {
    at[sizeof(at) / 4 - 1] = 0;
    __builtin_memcpy(at, &value, sizeof(T));
  }
  WEFT_FN T value() const {
    T found;
    __builtin_memcpy(&found, at, sizeof(T));
    return found;
  }
};

template <class T>
WEFT_FN T from_lane(const T& value, int lane) {
  Words<T> w(value);
  for (u32& part : w.at) part = __shfl_sync(all_lanes, part, lane);
  return w.value();
}
template <class T>
WEFT_FN T from_partner(const T& value, int bit) {
  Words<T> w(value);
  for (u32& part : w.at) part = __shfl_xor_sync(all_lanes, part, bit);
  return w.value();
}

// Lower lanes are left operands, so that every lane computes the very same tree.
template <class T, class Op>
WEFT_FN T reduce_lanes(T value, Op op) {
  for (int bit = 1; bit < warp_lanes; bit *= 2) {
    const T other = from_partner(value, bit);
    value = threadIdx.x & bit ? (T)op(other, value) : (T)op(value, other);
  }
  return value;
}

// -- teams ------------------------------------------------------------------------------------------------------------

struct Thread {
  WEFT_FN i64 index() const { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }
  WEFT_FN i64 count() const { return (i64)gridDim.x * blockDim.x; }
  WEFT_FN int rank() const { return 0; }
  WEFT_FN int size() const { return 1; }
  WEFT_FN bool lead() const { return true; }
  WEFT_FN void sync() const {}
  WEFT_FN bool any(bool test) const { return test; }
  template <class T>
  WEFT_FN T share(T value) const {
    return value;
  }
  template <class T, class Op>
  WEFT_FN T reduce(T value, Op) const {
    return value;
  }
  WEFT_FN void* alloc(i64 n) const { return malloc((size_t)(n > 0 ? n : 1)); }
  WEFT_FN void release(void* p) const { free(p); }
};

struct Warp {
  WEFT_FN i64 index() const { return ((i64)blockIdx.x * blockDim.x + threadIdx.x) / warp_lanes; }
  WEFT_FN i64 count() const { return (i64)gridDim.x * blockDim.x / warp_lanes; }
  WEFT_FN int rank() const { return threadIdx.x % warp_lanes; }
  WEFT_FN int size() const { return warp_lanes; }
  WEFT_FN bool lead() const { return rank() == 0; }
  WEFT_FN void sync() const { __syncwarp(); }
  WEFT_FN bool any(bool test) const {
    const bool found = __any_sync(all_lanes, test) != 0;
    __syncwarp();
    return found;
  }
  template <class T>
  WEFT_FN T share(T value) const {
    const T found = from_lane(value, 0);
    __syncwarp();
    return found;
  }
  template <class T, class Op>
  WEFT_FN T reduce(T value, Op op) const {
    const T found = reduce_lanes(value, op);
    __syncwarp();
    return found;
  }
  // An array in shared memory for each warp; a Tag has one.
  template <class T, int N, class Tag>
  WEFT_FN T* local() const {
    WEFT_SHARED(T, rows, N * warps_of_block);
    return rows + threadIdx.x / warp_lanes * N;
  }
  WEFT_FN void* alloc(i64 n) const { return share(lead() ? Thread().alloc(n) : nullptr); }
  WEFT_FN void release(void* p) const {
    __syncwarp();
    if (lead()) free(p);
  }
};

struct Block {
  WEFT_FN i64 index() const { return blockIdx.x; }
  WEFT_FN i64 count() const { return gridDim.x; }
  WEFT_FN int rank() const { return threadIdx.x; }
  WEFT_FN int size() const { return blockDim.x; }
  WEFT_FN bool lead() const { return threadIdx.x == 0; }
  WEFT_FN void sync() const { __syncthreads(); }
  WEFT_FN bool any(bool test) const { return __syncthreads_or(test) != 0; }
  template <class T>
  WEFT_FN T share(T value) const {
    Slot* const slot = local<Slot, 1, Block>();
    if (lead()) *(T*)slot->at = value;
    __syncthreads();
    const T found = *(T*)slot->at;
    __syncthreads();
    return found;
  }
  template <class T, class Op>
  WEFT_FN T reduce(T value, Op op) const {
    Slot* const slots = local<Slot, warps_of_block, Warp>();
    value = reduce_lanes(value, op);
    if (threadIdx.x % warp_lanes == 0) *(T*)slots[threadIdx.x / warp_lanes].at = value;
    __syncthreads();
    value = *(T*)slots[0].at;
    for (int w = 1; w < (int)blockDim.x / warp_lanes; ++w) value = (T)op(value, *(T*)slots[w].at);
    __syncthreads();
    return value;
  }
  // An array in shared memory; a Tag has one.
  template <class T, int N, class Tag>
  WEFT_FN T* local() const {
    WEFT_SHARED(T, rows, N);
    return rows;
  }
  WEFT_FN void* alloc(i64 n) const { return share(lead() ? Thread().alloc(n) : nullptr); }
  WEFT_FN void release(void* p) const {
    __syncthreads();
    if (lead()) free(p);
  }

 private:
  struct Slot {
    u64 at[2];
  };
};

template <class T>
WEFT_FN void swap(T& a, T& b) {
  const T old = a;
  a = b;
  b = old;
}

// A value and where it stands; nowhere if `where` is negative.
template <class T>
struct Extremum {
  T best;
  i64 where;
};

// The best of what the threads found, the first of equals: better(a, b) says whether b is better than a.
template <class Team, class T, class Better>
WEFT_FN Extremum<T> first_extremum(Team team, T best, i64 where, Better better) {
  return team.reduce(Extremum<T>{best, where}, [better](Extremum<T> a, Extremum<T> b) {
    if (a.where < 0 || b.where < 0) return a.where < 0 ? b : a;
    if (b.where < a.where) swap(a, b);
    return better(a.best, b.best) ? b : a;
  });
}

// -- memory -----------------------------------------------------------------------------------------------------------

// Shared out over the team; what is read or written elsewhere needs a sync before or after.
template <class Team, class T>
WEFT_FN void copy(Team team, T* to, const T* from, i64 count) {
  for (i64 i = team.rank(); i < count; i += team.size()) to[i] = from[i];
}

// Doubles a buffer of rows that `alloc` of the team made; false if there is no memory.
template <class Team, class T>
WEFT_FN bool grow(Team team, T*& rows, i64& capacity, i64 row) {
  T* const wider = static_cast<T*>(team.alloc((2 * capacity * row + 1) * (i64)sizeof(T)));
  if (!wider) return false;
  copy(team, wider, rows, capacity * row);
  team.release(rows);
  rows = wider;
  capacity *= 2;
  return true;
}

// at / n for numbers that are not negative, by a short division where both are short: a long one is 70 instructions.
WEFT_FN i64 divide(i64 at, i64 n, i64& rest) {
  if (((u64)at | (u64)n) >> 32 == 0) {
    const u32 q = (u32)at / (u32)n;
    rest = (u32)at - q * (u32)n;
    return q;
  }
  const i64 q = at / n;
  rest = at - q * n;
  return q;
}

// -- atomic updates ---------------------------------------------------------------------------------------------------

// *place = op(*place, value), whoever else does so at the same time.
template <class T, class Op>
WEFT_FN void atomic_combine(T* place, T value, Op op) {
  if constexpr (sizeof(T) == 16) {  // no such exchange before sm_90: one of some locks, chosen by address
    static u32 held[64];
    u32* const lock = held + ((u64)place >> 4) % 64;
    for (bool done = false; !done;) {
      if (atomicCAS(lock, 0u, 1u) != 0) continue;
      __threadfence();
      volatile u64* const words = (volatile u64*)place;
      u64 now[2] = {words[0], words[1]};
      T held_value;
      __builtin_memcpy(&held_value, now, 16);
      held_value = op(held_value, value);
      __builtin_memcpy(now, &held_value, 16);
      words[0] = now[0];
      words[1] = now[1];
      __threadfence();
      atomicExch(lock, 0u);
      done = true;
    }
  } else if constexpr (sizeof(T) == 8) {
    u64* const word = (u64*)place;
    u64 old = *(volatile u64*)word;
    for (;;) {
      T now;
      __builtin_memcpy(&now, &old, 8);
      now = (T)op(now, value);
      u64 next;
      __builtin_memcpy(&next, &now, 8);
      const u64 seen = next == old ? old : atomicCAS(word, old, next);
      if (seen == old) return;
      old = seen;
    }
  } else {  // within the aligned 4 bytes around it
    u32* const word = (u32*)((u64)place & ~3ull);
    const int shift = 8 * (int)((u64)place & 3);
    const u32 mask = (u32)((1ull << 8 * sizeof(T)) - 1) << shift;
    u32 old = *(volatile u32*)word;
    for (;;) {
      u32 part = (old & mask) >> shift;
      T now;
      __builtin_memcpy(&now, &part, sizeof(T));
      now = (T)op(now, value);
      __builtin_memcpy(&part, &now, sizeof(T));
      const u32 next = (old & ~mask) | (part << shift & mask);
      const u32 seen = next == old ? old : atomicCAS(word, old, next);
      if (seen == old) return;
      old = seen;
    }
  }
}

// *place += value for every dtype, as + of the dtype: integers wrap, bool is "or". Complex parts are added one by one.
template <class T>
WEFT_FN void atomic_add(T* place, T value) {
  constexpr int number = number_of<T>;
  if constexpr (number == 14) {
    atomicAdd((f32*)place, value.re);
    atomicAdd((f32*)place + 1, value.im);
  } else if constexpr (number == 15) {
    atomicAdd((f64*)place, value.re);
    atomicAdd((f64*)place + 1, value.im);
  } else if constexpr (number == number_of<f32> || number == number_of<f64>) {
    atomicAdd(place, value);
  } else if constexpr (sizeof(T) == 4) {
    atomicAdd((u32*)place, (u32)value);
  } else if constexpr (sizeof(T) == 8) {
    atomicAdd((u64*)place, (u64)value);
  } else {
    atomic_combine(place, value, [](T a, T b) { return (T)(a + b); });
  }
}

// -- matrix products --------------------------------------------------------------------------------------------------

// c[m, n] = op(a) @ op(b), row-major: the elements shared out over the team, each summed in order.
template <class Team, class T>
WEFT_FN void gemm(Team team, bool ta, bool tb, i64 m, i64 n, i64 k, const T* a, i64 lda, const T* b, i64 ldb, T* c,
                  i64 ldc) {
  const i64 ai = ta ? 1 : lda, ap = ta ? lda : 1, bp = tb ? 1 : ldb, bj = tb ? ldb : 1;
  for (i64 e = team.rank(); e < m * n; e += team.size()) {
    i64 j;
    const i64 i = divide(e, n, j);
    T sum = T();
    for (i64 p = 0; p < k; ++p) sum = (T)(sum + a[i * ai + p * ap] * b[p * bp + j * bj]);
    c[i * ldc + j] = sum;
  }
}

// The same by a whole grid, a tile of c for each block at a time: a thread sums `each` by `each` elements `side` apart.
template <class T>
struct Tiles {
  static constexpr int side = WEFT_THREADS >= 256 ? 16 : 8;
  static constexpr int each = sizeof(T) == 16 ? 2 : 4;
  static constexpr int wide = side * each;
  static constexpr int depth = 16;

  // How many tiles, and so blocks that have something to do.
  WEFT_FN static i64 count(i64 m, i64 n) { return ((m + wide - 1) / wide) * ((n + wide - 1) / wide); }
};

template <class T>
WEFT_FN void gemm_tiles(bool ta, bool tb, i64 m, i64 n, i64 k, const T* a, i64 lda, const T* b, i64 ldb, T* c,
                        i64 ldc) {
  using G = Tiles<T>;
  constexpr int side = G::side, each = G::each, wide = G::wide, depth = G::depth, row = wide + 1;
  const Block block;
  T* const left = block.local<T, depth * row, Tiles<T>>();
  T* const right = block.local<T, depth * row, Tiles<T*>>();
  const int t = threadIdx.x, x = t % side, y = t / side;
  const i64 across = (n + wide - 1) / wide, tiles = G::count(m, n);
  for (i64 tile = block.index(); tile < tiles; tile += block.count()) {
    i64 column;
    const i64 top = divide(tile, across, column) * wide, start = column * wide;
    T sums[each][each] = {};
    for (i64 from = 0; from < k; from += depth) {
      // neighbouring threads read neighbouring elements, whichever way a matrix lies
      for (int e = t; e < depth * wide; e += block.size()) {
        const int i = ta ? e % wide : e / depth, p = ta ? e / wide : e % depth;
        const bool in = top + i < m && from + p < k;
        left[p * row + i] = !in ? T() : ta ? a[(from + p) * lda + top + i] : a[(top + i) * lda + from + p];
      }
      for (int e = t; e < depth * wide; e += block.size()) {
        const int j = tb ? e / depth : e % wide, p = tb ? e % depth : e / wide;
        const bool in = start + j < n && from + p < k;
        right[p * row + j] = !in ? T() : tb ? b[(start + j) * ldb + from + p] : b[(from + p) * ldb + start + j];
      }
      block.sync();
      const int last = k - from < depth ? (int)(k - from) : depth;
      if (y < side) {
        for (int p = 0; p < last; ++p) {
          for (int r = 0; r < each; ++r) {
            const T v = left[p * row + y + side * r];
            for (int q = 0; q < each; ++q) sums[r][q] = (T)(sums[r][q] + v * right[p * row + x + side * q]);
          }
        }
      }
      block.sync();
    }
    if (y < side) {
      for (int r = 0; r < each; ++r) {
        for (int q = 0; q < each; ++q) {
          const i64 i = top + y + side * r, j = start + x + side * q;
          if (i < m && j < n) c[i * ldc + j] = sums[r][q];
        }
      }
    }
  }
}

// -- failures ---------------------------------------------------------------------------------------------------------

// The first failure in a program's kernels, as WeftFailure in abi.h: the runtime looks once they have ended.
struct Failure {
  int status, id, count;
  int dtypes[4];
  int unused;
  i64 data[4][2];

  template <class... T>
  __device__ void set(int which, T... values) {
    static_assert(sizeof...(T) <= 4, "a failure carries up to four values");
    if (atomicCAS(&status, 0, 1) != 0) return;
    id = which;
    (put(values), ...);
  }
  __device__ void no_memory() { atomicCAS(&status, 0, 2); }

 private:
  template <class T>
  __device__ void put(T value) {
    __builtin_memcpy(data[count], &value, sizeof(T));
    dtypes[count++] = number_of<T>;
  }
};
static_assert(sizeof(Failure) == 96, "laid out as WeftFailure");

}  // namespace weft
