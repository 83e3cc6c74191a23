// CUDA C++ for g++: stands in front of device text, which then compiles as C++ and runs on fibers (emulate.cpp).
//
// Light on purpose: no standard header, so that a program compiles in a fraction of a second.
#pragma once

#define WEFT_EMULATED 1
#ifndef WEFT_THREADS
#define WEFT_THREADS 64
#endif

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
// A block finds rubbish here: the emulator fills the section before each.
#define __shared__ static __attribute__((section("weft_shared"), used))
// In templates the section is not to be had: such arrays take their memory from the emulator.
#define WEFT_SHARED(T, name, n)               \
  static weft_emulate::Slot name##_slot = {}; \
  T* const name = (T*)weft_emulate_shared(&name##_slot, sizeof(T) * (n))

typedef decltype(sizeof(0)) size_t;

namespace weft_emulate {

struct Three {
  unsigned x, y, z;
};

struct Slot {
  unsigned long long launch;
  void* place;
};

// A kernel as the emulator knows it: `pack` copies the arguments that args[i] point to into `room` and tells their size
// (also without room); `run` calls the kernel on what was packed.
struct Kernel {
  const char* name;
  size_t (*pack)(void** args, char* room);
  void (*run)(char* room);
};

template <int... K>
struct Places {};
#if defined(__clang__)
template <class I, I... K>
using Made = Places<K...>;
template <int N>
using places = __make_integer_seq<Made, int, N>;
#else
template <int N>
using places = Places<__integer_pack(N)...>;
#endif

template <auto F>
struct Thunk;
template <class... A, void (*F)(A...)>
struct Thunk<F> {
  static constexpr size_t align(size_t n) { return (n + 15) & ~(size_t)15; }
  static size_t pack(void** args, char* room) {
    size_t at = 0, k = 0;
    ((room ? (void)__builtin_memcpy(room + at, args[k], sizeof(A)) : (void)0, at += align(sizeof(A)), ++k), ...);
    return at;
  }
  template <int... K>
  static void call(char* room, Places<K...>) {
    constexpr size_t sizes[] = {align(sizeof(A))..., 0};
    size_t starts[sizeof...(A) + 1] = {};
    for (size_t k = 0; k < sizeof...(A); ++k) starts[k + 1] = starts[k] + sizes[k];
    F(*(A*)(room + starts[K])...);
  }
  static void run(char* room) { call(room, places<sizeof...(A)>()); }
};

enum Exchange { sync_lanes, shuffle, shuffle_xor, shuffle_down, shuffle_up, vote };
enum Barrier { plain, with_or, with_and, with_count };

}  // namespace weft_emulate

// Names a kernel for the table with which a text ends: `WEFT_KERNELS(WEFT_KERNEL(a), WEFT_KERNEL(b))`.
#define WEFT_KERNEL(name) {#name, weft_emulate::Thunk<name>::pack, weft_emulate::Thunk<name>::run}
#define WEFT_KERNELS(...)                                                                                         \
  extern "C" const weft_emulate::Kernel weft_emulated_kernels[] = {__VA_ARGS__};                                  \
  extern "C" const int weft_emulated_kernel_count = sizeof(weft_emulated_kernels) / sizeof(weft_emulate::Kernel); \
  extern "C" const int weft_emulated_threads = WEFT_THREADS;

extern "C" {
extern weft_emulate::Three threadIdx, blockIdx, blockDim, gridDim;
extern const weft_emulate::Kernel weft_emulated_kernels[];
extern const int weft_emulated_kernel_count, weft_emulated_threads;

void* weft_emulate_shared(weft_emulate::Slot* slot, size_t bytes);
unsigned long long weft_emulate_warp(int op, unsigned mask, unsigned long long value, int lane);
int weft_emulate_block(int op, int value);
void* weft_emulate_malloc(size_t bytes);
void weft_emulate_free(void* p);
}

#ifndef WEFT_EMULATOR_ITSELF

static const int warpSize = 32;

inline void* malloc(size_t bytes) { return weft_emulate_malloc(bytes); }
inline void free(void* p) { weft_emulate_free(p); }

// -- barriers and exchanges -------------------------------------------------------------------------------------------

inline void __syncthreads() { weft_emulate_block(weft_emulate::plain, 0); }
inline int __syncthreads_or(int x) { return weft_emulate_block(weft_emulate::with_or, x); }
inline int __syncthreads_and(int x) { return weft_emulate_block(weft_emulate::with_and, x); }
inline int __syncthreads_count(int x) { return weft_emulate_block(weft_emulate::with_count, x); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { weft_emulate_warp(weft_emulate::sync_lanes, mask, 0, 0); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline unsigned __activemask() { return 1u << threadIdx.x % 32; }
inline unsigned __ballot_sync(unsigned mask, int x) {
  return (unsigned)weft_emulate_warp(weft_emulate::vote, mask, x != 0, 0);
}
inline int __any_sync(unsigned mask, int x) { return __ballot_sync(mask, x) != 0; }
inline int __all_sync(unsigned mask, int x) { return __ballot_sync(mask, x) == mask; }

#define WEFT_SHUFFLE(name, op)                                                      \
  template <class T>                                                                \
  inline T name(unsigned mask, T value, int lane) {                                 \
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "lanes exchange 4 or 8 bytes"); \
    unsigned long long bits = 0;                                                    \
    __builtin_memcpy(&bits, &value, sizeof(T));                                     \
    bits = weft_emulate_warp(weft_emulate::op, mask, bits, lane);                   \
    __builtin_memcpy(&value, &bits, sizeof(T));                                     \
    return value;                                                                   \
  }
WEFT_SHUFFLE(__shfl_sync, shuffle)
WEFT_SHUFFLE(__shfl_xor_sync, shuffle_xor)
WEFT_SHUFFLE(__shfl_down_sync, shuffle_down)
WEFT_SHUFFLE(__shfl_up_sync, shuffle_up)
#undef WEFT_SHUFFLE

// -- atomic functions: CUDA's overloads and no others -----------------------------------------------------------------

#define WEFT_ATOMIC(T, name, result) \
  inline T name(T* place, T value) { \
    const T old = *place;            \
    *place = (T)(result);            \
    return old;                      \
  }
#define WEFT_ATOMICS(T)                                \
  WEFT_ATOMIC(T, atomicExch, value)                    \
  WEFT_ATOMIC(T, atomicMax, old > value ? old : value) \
  WEFT_ATOMIC(T, atomicMin, old < value ? old : value) \
  WEFT_ATOMIC(T, atomicAnd, old& value)                \
  WEFT_ATOMIC(T, atomicOr, old | value)                \
  WEFT_ATOMIC(T, atomicXor, old ^ value)
WEFT_ATOMICS(int)
WEFT_ATOMICS(unsigned)
WEFT_ATOMICS(unsigned long long)
WEFT_ATOMIC(long long, atomicMax, old > value ? old : value)
WEFT_ATOMIC(long long, atomicMin, old < value ? old : value)
WEFT_ATOMIC(int, atomicAdd, (unsigned)old + (unsigned)value)
WEFT_ATOMIC(unsigned, atomicAdd, old + value)
WEFT_ATOMIC(unsigned long long, atomicAdd, old + value)
WEFT_ATOMIC(float, atomicAdd, old + value)
WEFT_ATOMIC(double, atomicAdd, old + value)
WEFT_ATOMIC(float, atomicExch, value)
#undef WEFT_ATOMICS
#undef WEFT_ATOMIC
#define WEFT_CAS(T)                                  \
  inline T atomicCAS(T* place, T compare, T value) { \
    const T old = *place;                            \
    if (old == compare) *place = value;              \
    return old;                                      \
  }
WEFT_CAS(unsigned short)
WEFT_CAS(int)
WEFT_CAS(unsigned)
WEFT_CAS(unsigned long long)
#undef WEFT_CAS

// -- numbers ----------------------------------------------------------------------------------------------------------

#define WEFT_BITS(name, From, To)              \
  inline To name(From x) {                     \
    To y;                                      \
    static_assert(sizeof(x) == sizeof(y), ""); \
    __builtin_memcpy(&y, &x, sizeof(x));       \
    return y;                                  \
  }
WEFT_BITS(__double_as_longlong, double, long long)
WEFT_BITS(__longlong_as_double, long long, double)
WEFT_BITS(__float_as_int, float, int)
WEFT_BITS(__int_as_float, int, float)
#undef WEFT_BITS
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
template <class T>
inline T __ldg(const T* p) {
  return *p;
}

#define WEFT_UNARY(name)                   \
  extern "C" double name(double) noexcept; \
  extern "C" float name##f(float) noexcept;
#define WEFT_BINARY(name)                          \
  extern "C" double name(double, double) noexcept; \
  extern "C" float name##f(float, float) noexcept;
WEFT_UNARY(exp)
WEFT_UNARY(exp2)
WEFT_UNARY(expm1)
WEFT_UNARY(log)
WEFT_UNARY(log2)
WEFT_UNARY(log10)
WEFT_UNARY(log1p)
WEFT_UNARY(sqrt)
WEFT_UNARY(cbrt)
WEFT_UNARY(sin)
WEFT_UNARY(cos)
WEFT_UNARY(tan)
WEFT_UNARY(asin)
WEFT_UNARY(acos)
WEFT_UNARY(atan)
WEFT_UNARY(sinh)
WEFT_UNARY(cosh)
WEFT_UNARY(tanh)
WEFT_UNARY(asinh)
WEFT_UNARY(acosh)
WEFT_UNARY(atanh)
WEFT_UNARY(erf)
WEFT_UNARY(erfc)
WEFT_UNARY(lgamma)
WEFT_UNARY(tgamma)
WEFT_UNARY(floor)
WEFT_UNARY(ceil)
WEFT_UNARY(trunc)
WEFT_UNARY(rint)
WEFT_UNARY(fabs)
WEFT_BINARY(pow)
WEFT_BINARY(atan2)
WEFT_BINARY(hypot)
WEFT_BINARY(fmod)
WEFT_BINARY(copysign)
WEFT_BINARY(fmax)
WEFT_BINARY(fmin)
extern "C" double fma(double, double, double) noexcept;
extern "C" float fmaf(float, float, float) noexcept;
#undef WEFT_UNARY
#undef WEFT_BINARY

#endif
