// What the host's part of a device program calls: memory of the device, copies for host functions, sizes of grids.
// Needs the prelude's declarations.
#pragma once

#include "nest.h"

#ifndef WEFT_THREADS
#define WEFT_THREADS 256
#endif

namespace weft {

// Rows up to this long get a warp each, longer ones a block.
constexpr i64 narrow_rows = 1024;
// More blocks than any device runs at once: each does several iterations then.
constexpr i64 most_grid_blocks = 4096;

// Blocks for so many iterations, `per_block` at a time; 0 for none.
inline i64 block_count_for(i64 count, i64 per_block) {
  i64 blocks = (count + per_block - 1) / per_block;
  return blocks < 0 ? 0 : blocks > most_grid_blocks ? most_grid_blocks : blocks;
}

// For tiles of 64 x 64, the largest that gemm_tiles takes: with smaller ones a block does several.
inline i64 gemm_blocks(i64 m, i64 n) {
  i64 tiles = ((m + 63) / 64) * ((n + 63) / 64);
  return tiles > most_grid_blocks ? most_grid_blocks : tiles;
}

// Memory of the device.
inline void* there(WeftContext* ctx, i64 bytes) { return ctx->alloc(ctx, bytes > 0 ? bytes : 1); }

// Doubles a buffer of rows; false if there is no memory.
template <class T>
bool grow_there(WeftContext* ctx, T*& rows, i64& capacity, i64 row) {
  T* wider = static_cast<T*>(there(ctx, 2 * capacity * row * (i64)sizeof(T)));
  if (!wider || ctx->copy(ctx, wider, rows, capacity * row * (i64)sizeof(T))) return false;
  ctx->release(ctx, rows);
  rows = wider;
  capacity *= 2;
  return true;
}

// A copy of device memory for a host function.
struct HostCopy {
  WeftContext* ctx;
  void* device;
  i64 bytes;
  void* memory;

  HostCopy(WeftContext* context, const void* place, i64 size)
      : ctx(context), device(const_cast<void*>(place)), bytes(size), memory(__builtin_malloc(size > 0 ? size : 1)) {}
  HostCopy(const HostCopy&) = delete;
  HostCopy& operator=(const HostCopy&) = delete;
  ~HostCopy() { __builtin_free(memory); }

  int read() { return memory ? bytes ? ctx->read(ctx, memory, device, bytes) : WEFT_OK : WEFT_NO_MEMORY; }
  int write() { return bytes ? ctx->write(ctx, device, memory, bytes) : WEFT_OK; }
};

}  // namespace weft
