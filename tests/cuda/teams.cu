// What csrc/kernels/team.h offers, each function by each kind of team; test_teams.py calls these kernels.
#include "complex.h"
#include "team.h"

namespace weft {

struct Places;
struct Other;

// -- rows: every team takes rows and works on each together -----------------------------------------------------------

template <class Team, class T>
__device__ void sum_rows(const T* x, T* y, i64 rows, i64 n) {
  const Team team;
  for (i64 r = team.index(); r < rows; r += team.count()) {
    T mine = T();
    for (i64 i = team.rank(); i < n; i += team.size()) mine = (T)(mine + x[r * n + i]);
    const T whole = team.reduce(mine, [](T a, T b) { return (T)(a + b); });
    if (team.rank() == team.size() - 1) y[r] = whole;  // it is the same for all
  }
}

// Which ranks come first and last in a reduction that does not commute: the whole is lead * 1000 + last.
template <class Team>
__device__ void order_of(i64* y) {
  const Team team;
  struct Ends {
    int first, last;
  };
  const Ends mine = {team.rank(), team.rank()};
  const Ends whole = team.reduce(mine, [](Ends a, Ends b) { return Ends{a.first, b.last}; });
  if (team.lead()) y[team.index()] = whole.first * 1000 + whole.last;
}

// Twice, through shared memory: everybody's value is read by the next rank.
template <class Team>
__device__ void rotate_of(const i64* x, i64* y, i64 rounds) {
  const Team team;
  i64* const room = team.template local<i64, WEFT_THREADS, Places>();
  i64* const more = team.template local<i64, WEFT_THREADS, Other>();
  const i64 at = team.index() * team.size() + team.rank();
  i64 v = x[at];
  for (i64 k = 0; k < rounds; ++k) {
    i64* const mine = k % 2 ? more : room;
    mine[team.rank()] = v;
    team.sync();
    v = mine[(team.rank() + 1) % team.size()];
  }
  y[at] = v;
}

template <class Team>
__device__ void share_of(c128* z, i64* y, bool* found) {
  const Team team;
  const c128 mine = c128{(f64)team.rank() + 0.5, -(f64)team.index()};
  const c128 whole = team.share(mine);
  const bool lucky = team.share(team.lead());
  const bool some = team.any(team.rank() == team.size() - 1), none = team.any(team.rank() < 0);
  const i64 at = team.index() * team.size() + team.rank();
  z[at] = whole;
  y[at] = team.share((i64)team.rank() - 7);
  found[at] = lucky && some && !none;
}

// A list that grows: multiples of 3 below n, for each team; -1 if there is no memory.
template <class Team>
__device__ void grow_of(i64* y, i64 rows, i64 n, i64 row) {
  const Team team;
  for (i64 r = team.index(); r < rows; r += team.count()) {
    i64 capacity = 1, used = 0, total = 0;
    i64* list = (i64*)team.alloc(capacity * row * (i64)sizeof(i64));
    bool fits = list != nullptr;
    for (i64 i = 0; fits && i < n; i += 3) {
      if (used + 1 > capacity) fits = grow(team, list, capacity, row);
      if (!fits) break;
      for (i64 k = team.rank(); k < row; k += team.size()) list[used * row + k] = i + r + k;
      ++used;
      team.sync();
    }
    if (fits)
      for (i64 k = team.rank(); k < used * row; k += team.size()) total += list[k];
    total = team.reduce(total, [](i64 a, i64 b) { return a + b; });
    if (team.lead()) y[r] = fits ? total : -1;
    if (list) team.release(list);
  }
}

template <class Team>
__device__ void copy_of(i64* to, const i64* from, i64 rows, i64 n) {
  const Team team;
  for (i64 r = team.index(); r < rows; r += team.count()) copy(team, to + r * n, from + r * n, n);
}

template <class Team, class T>
__device__ void product_of(bool ta, bool tb, i64 m, i64 n, i64 k, const T* a, i64 lda, const T* b, i64 ldb, T* c,
                           i64 ldc) {
  const Team team;
  if (team.index() == 0) gemm(team, ta, tb, m, n, k, a, lda, b, ldb, c, ldc);
}

#define TEAM(Team, suffix)                                                                                       \
  extern "C" __global__ void order_##suffix(i64* y) { order_of<Team>(y); }                                       \
  extern "C" __global__ void share_##suffix(c128* z, i64* y, bool* found) { share_of<Team>(z, y, found); }       \
  extern "C" __global__ void grow_##suffix(i64* y, i64 rows, i64 n, i64 row) { grow_of<Team>(y, rows, n, row); } \
  extern "C" __global__ void copy_##suffix(i64* to, const i64* from, i64 rows, i64 n) {                          \
    copy_of<Team>(to, from, rows, n);                                                                            \
  }
#define TYPE(T)                                                                                               \
  extern "C" __global__ void sum_thread_##T(const T* x, T* y, i64 r, i64 n) { sum_rows<Thread>(x, y, r, n); } \
  extern "C" __global__ void sum_warp_##T(const T* x, T* y, i64 r, i64 n) { sum_rows<Warp>(x, y, r, n); }     \
  extern "C" __global__ void sum_block_##T(const T* x, T* y, i64 r, i64 n) { sum_rows<Block>(x, y, r, n); }   \
  extern "C" __global__ void add_##T(const T* x, T* y, i64 n, i64 places) {                                   \
    const Thread team;                                                                                        \
    for (i64 i = team.index(); i < n; i += team.count()) atomic_add(y + i % places, x[i]);                    \
  }                                                                                                           \
  extern "C" __global__ void combine_##T(const T* x, T* y, i64 n, i64 places) {                               \
    const Thread team;                                                                                        \
    for (i64 i = team.index(); i < n; i += team.count())                                                      \
      atomic_combine(y + i % places, x[i], [](T a, T b) { return (T)(a * b); });                              \
  }
#define PRODUCT(T)                                                                                                     \
  extern "C" __global__ void gemm_thread_##T(bool ta, bool tb, i64 m, i64 n, i64 k, const T* a, i64 lda, const T* b,   \
                                             i64 ldb, T* c, i64 ldc) {                                                 \
    product_of<Thread>(ta, tb, m, n, k, a, lda, b, ldb, c, ldc);                                                       \
  }                                                                                                                    \
  extern "C" __global__ void gemm_warp_##T(bool ta, bool tb, i64 m, i64 n, i64 k, const T* a, i64 lda, const T* b,     \
                                           i64 ldb, T* c, i64 ldc) {                                                   \
    product_of<Warp>(ta, tb, m, n, k, a, lda, b, ldb, c, ldc);                                                         \
  }                                                                                                                    \
  extern "C" __global__ void gemm_block_##T(bool ta, bool tb, i64 m, i64 n, i64 k, const T* a, i64 lda, const T* b,    \
                                            i64 ldb, T* c, i64 ldc) {                                                  \
    product_of<Block>(ta, tb, m, n, k, a, lda, b, ldb, c, ldc);                                                        \
  }                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(WEFT_THREADS)                                                           \
      gemm_tiles_##T(bool ta, bool tb, i64 m, i64 n, i64 k, const T* a, i64 lda, const T* b, i64 ldb, T* c, i64 ldc) { \
    gemm_tiles(ta, tb, m, n, k, a, lda, b, ldb, c, ldc);                                                               \
  }
TEAM(Thread, thread)
TEAM(Warp, warp)
TEAM(Block, block)
TYPE(bool)
TYPE(i8)
TYPE(u8)
TYPE(i16)
TYPE(u16)
TYPE(i32)
TYPE(u32)
TYPE(i64)
TYPE(u64)
TYPE(f32)
TYPE(f64)
TYPE(c64)
TYPE(c128)
PRODUCT(f32)
PRODUCT(f64)
PRODUCT(c64)
PRODUCT(c128)

extern "C" __global__ void rotate_warp(const i64* x, i64* y, i64 rounds) { rotate_of<Warp>(x, y, rounds); }
extern "C" __global__ void rotate_block(const i64* x, i64* y, i64 rounds) { rotate_of<Block>(x, y, rounds); }

// -- single functions -------------------------------------------------------------------------------------------------

extern "C" __global__ void divide_each(const i64* at, const i64* n, i64* q, i64* rest, i64 count) {
  const Thread team;
  for (i64 i = team.index(); i < count; i += team.count()) q[i] = divide(at[i], n[i], rest[i]);
}

extern "C" __global__ void swap_two(i64* a, i64* b, i64 times) {
  for (i64 k = 0; k < times; ++k) swap(a, b);
  if (Block().lead()) *a = 1, *b = 2;
}

extern "C" __global__ void fail_at(Failure* failed, i64 least) {
  const Thread team;
  if (team.index() >= least) failed->set(3, team.index(), (f32)0.5, true, c128{1, -2});
}

extern "C" __global__ void fail_memory(Failure* failed) { failed->no_memory(); }

}  // namespace weft
