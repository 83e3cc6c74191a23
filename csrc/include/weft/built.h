// What a module built ahead of time is made of. Its sources (templates/aot) are one file of kernels for each function,
// compiled once for each level of the processor, and one file that lists them all.
#pragma once

#include "weft/abi.h"

// The entries of one function at one level: WEFT_ENTRIES(kepler, x86_64_v3).
#define WEFT_ENTRIES(function, level) WEFT_ENTRIES_NAME(function, level)
#define WEFT_ENTRIES_NAME(function, level) weft_entries_##function##_##level

#ifdef __cplusplus
extern "C" {
#endif

// A level: its name, the processor's features it needs (as Linux names them, separated by spaces).
typedef struct WeftLevel {
  const char* name;
  const char* needs;
} WeftLevel;

typedef struct WeftBuilt {
  int abi;
  const char* name;
  const char* meta;  // JSON: what weft.runtime.built makes of the entries
  int functions;
  const int* counts;  // how many entries each function has
  int level_count;
  const WeftLevel* levels;          // the best first
  const WeftEntry* const* entries;  // of each level, those of each function
} WeftBuilt;

// In the binding object, linked into every built module: what PyInit returns.
void* weft_bind_built(const WeftBuilt* built);

#ifdef __cplusplus
}
#endif
