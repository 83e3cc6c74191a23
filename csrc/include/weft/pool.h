// Reference-counted, 64-byte-aligned memory from a pool of size classes.
//
// Arrays, results and scratch memory all come from here. Blocks up to 64 KiB are kept in lists of the thread that
// freed them, so that taking one costs no lock; larger ones are kept in shared lists up to a limit
// (WEFT_POOL_LIMIT bytes), because fresh pages from the system cost more than most kernels.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace weft {

class Device;
struct Event;

// Stands directly before its memory; 64 bytes, so that the memory is aligned too. Memory of a device has its block in
// the host's memory.
struct alignas(64) Block {
  std::atomic<std::int64_t> references;
  std::size_t capacity;
  int size_class;
  Block* next;      // in a free list, or in the list of a running kernel's scratch memory
  Block* previous;  // in the latter
  Device* device;   // null: the host's
  void* address;    // where the memory is
  Event* ready;     // when what is written there now is done; null: it is

  void* memory() { return this + 1; }
  static Block* of(void* memory) { return static_cast<Block*>(memory) - 1; }
};
static_assert(sizeof(Block) == 64);

struct PoolStatistics {
  std::uint64_t taken;        // blocks handed out so far that the thread lists could not serve
  std::uint64_t from_system;  // of these, how many were new memory
  std::uint64_t kept_bytes;   // in the shared lists now
};

// A block of at least `bytes` with one reference, or null when there is no memory.
Block* pool_take(std::size_t bytes) noexcept;

// Puts back a block whose last reference is gone, a device's to its device.
void pool_put(Block* block) noexcept;

inline void retain(Block* block) noexcept { block->references.fetch_add(1, std::memory_order_relaxed); }

inline void drop(Block* block) noexcept {
  // Most blocks have one owner: a load is cheaper than a locked decrement.
  if (block->references.load(std::memory_order_acquire) == 1 ||
      block->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    pool_put(block);
  }
}

// Gives what the shared lists and this thread's lists hold back to the system.
void pool_trim() noexcept;

PoolStatistics pool_statistics() noexcept;

// WEFT_POOL_LIMIT, else `otherwise`.
std::size_t pool_limit(std::size_t otherwise) noexcept;

}  // namespace weft
