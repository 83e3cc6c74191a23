// The Threefry-2x32 hash of twenty rounds: a pair of words from a key and a position. Nothing but 32-bit additions,
// rotations and exclusive ors, so that compilers make vectors of it.
#pragma once

#include "scalar.h"

namespace weft {

// Four rounds, then the two of the three words of the key that are next, and the number of the group.
#define WEFT_ROUND(r) a += b, b = (b << r | b >> (32 - r)) ^ a;
#define WEFT_ROUNDS(r0, r1, r2, r3, first, second, group) \
  WEFT_ROUND(r0) WEFT_ROUND(r1) WEFT_ROUND(r2) WEFT_ROUND(r3) a += first, b += second + group##u;
#define WEFT_THREEFRY(k0, k1, a, b)      \
  const u32 k2 = k0 ^ k1 ^ 0x1bd11bdau;  \
  a += k0, b += k1;                      \
  WEFT_ROUNDS(13, 15, 26, 6, k1, k2, 1)  \
  WEFT_ROUNDS(17, 29, 16, 24, k2, k0, 2) \
  WEFT_ROUNDS(13, 15, 26, 6, k0, k1, 3)  \
  WEFT_ROUNDS(17, 29, 16, 24, k1, k2, 4) \
  WEFT_ROUNDS(13, 15, 26, 6, k2, k0, 5)

// Both words.
WEFT_FN u64 threefry(u32 k0, u32 k1, u32 a, u32 b) {
  WEFT_THREEFRY(k0, k1, a, b)
  return (u64)a << 32 | b;
}
// Their exclusive or.
WEFT_FN u32 threefry_bits(u32 k0, u32 k1, u32 a, u32 b) {
  WEFT_THREEFRY(k0, k1, a, b)
  return a ^ b;
}

#undef WEFT_THREEFRY
#undef WEFT_ROUNDS
#undef WEFT_ROUND

}  // namespace weft
