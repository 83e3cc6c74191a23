#include "weft/pool.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

#include "weft/device.h"

namespace weft {
namespace {

// Under the address sanitizer nothing is kept, so that it sees every use after free.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kKeeps = false;
#else
constexpr bool kKeeps = true;
#endif

constexpr int kClasses = 160;
constexpr std::size_t kLocalBytes = 64 * 1024;
constexpr int kLocalClasses = 36;  // size_class(kLocalBytes) + 1
constexpr std::size_t kHugePage = 2 * 1024 * 1024;

// Multiples of 64 up to 256, then four classes to each power of two: at most a quarter is wasted.
int size_class(std::size_t bytes) {
  if (bytes <= 256) return bytes == 0 ? 0 : static_cast<int>((bytes - 1) / 64);
  int exponent = 63 - __builtin_clzll(bytes - 1);
  int step = static_cast<int>((bytes - 1) >> (exponent - 2)) & 3;
  return 4 + (exponent - 8) * 4 + step;
}

std::size_t class_bytes(int index) {
  if (index < 4) return 64 * static_cast<std::size_t>(index + 1);
  int exponent = 8 + (index - 4) / 4;
  return static_cast<std::size_t>(5 + (index - 4) % 4) << (exponent - 2);
}

struct Shared {
  std::mutex mutex;
  Block* free[kClasses] = {};
  std::size_t kept = 0;
  std::size_t limit = std::size_t{1} << 30;
  std::uint64_t taken = 0;
  std::uint64_t from_system = 0;
};

Shared& shared() {
  // Never destroyed: arrays may outlive every static object.
  static Shared* instance = [] {
    auto* made = new Shared;
    made->limit = pool_limit(made->limit);
    // A fork while another thread holds the lock would leave it locked in the child.
    pthread_atfork([] { shared().mutex.lock(); }, [] { shared().mutex.unlock(); }, [] { shared().mutex.unlock(); });
    return made;
  }();
  return *instance;
}

struct Local {
  Block* free[kLocalClasses];
  int count[kLocalClasses];
};

thread_local Local* local_lists = nullptr;
thread_local bool local_closed = false;

void put_shared(Block* block) noexcept;

void flush_local(Local* lists) {
  for (int index = 0; index < kLocalClasses; ++index) {
    while (Block* block = lists->free[index]) {
      lists->free[index] = block->next;
      put_shared(block);
    }
    lists->count[index] = 0;
  }
}

// Its destructor runs at the thread's end; blocks freed after that go to the shared lists.
struct LocalOwner {
  Local lists = {};
  ~LocalOwner() {
    local_lists = nullptr;
    local_closed = true;
    flush_local(&lists);
  }
};

__attribute__((noinline)) Local* open_local() {
  if (local_closed) return nullptr;
  thread_local LocalOwner owner;
  return local_lists = &owner.lists;
}

inline Local* local() {
  if (!kKeeps) return nullptr;
  return __builtin_expect(local_lists != nullptr, 1) ? local_lists : open_local();
}

Block* from_system(int index) {
  std::size_t capacity = class_bytes(index);
  std::size_t total = capacity + sizeof(Block);
  void* raw = nullptr;
  bool huge = total >= 2 * kHugePage;
  if (posix_memalign(&raw, huge ? kHugePage : 64, total) != 0) return nullptr;
  if (huge) madvise(raw, total & ~(kHugePage - 1), MADV_HUGEPAGE);
  auto* block = new (raw) Block;
  block->capacity = capacity;
  block->size_class = index;
  block->device = nullptr;
  block->address = block->memory();
  block->ready = nullptr;
  return block;
}

Block* take_shared(int index) noexcept {
  Shared& pool = shared();
  {
    std::lock_guard<std::mutex> lock(pool.mutex);
    ++pool.taken;
    if (Block* block = pool.free[index]) {
      pool.free[index] = block->next;
      pool.kept -= block->capacity;
      return block;
    }
    ++pool.from_system;
  }
  Block* block = from_system(index);
  if (!block) {
    pool_trim();
    block = from_system(index);
  }
  return block;
}

void put_shared(Block* block) noexcept {
  Shared& pool = shared();
  if (kKeeps) {
    std::lock_guard<std::mutex> lock(pool.mutex);
    if (pool.kept + block->capacity <= pool.limit) {
      block->next = pool.free[block->size_class];
      pool.free[block->size_class] = block;
      pool.kept += block->capacity;
      return;
    }
  }
  std::free(block);
}

// Small blocks are handed about often, larger ones cost memory.
int local_limit(int index) { return index < 16 ? 64 : 8; }

}  // namespace

Block* pool_take(std::size_t bytes) noexcept {
  if (bytes > (std::size_t{1} << 46)) return nullptr;
  int index = size_class(bytes);
  Block* block = nullptr;
  if (index < kLocalClasses) {
    if (Local* lists = local()) {
      block = lists->free[index];
      if (block) {
        lists->free[index] = block->next;
        --lists->count[index];
      }
    }
  }
  if (!block) block = take_shared(index);
  if (block) block->references.store(1, std::memory_order_relaxed);
  return block;
}

std::size_t pool_limit(std::size_t otherwise) noexcept {
  const char* text = std::getenv("WEFT_POOL_LIMIT");
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

static inline void put_here(Block* block) noexcept;

// A block of a device, or one that somebody waited for.
__attribute__((noinline, cold)) static void put_marked(Block* block) noexcept {
  if (block->ready) drop(std::exchange(block->ready, nullptr));
  if (block->device) return block->device->put(block);
  put_here(block);
}

void pool_put(Block* block) noexcept {
  if (__builtin_expect(block->device != nullptr || block->ready != nullptr, 0)) return put_marked(block);
  put_here(block);
}

static inline void put_here(Block* block) noexcept {
  int index = block->size_class;
  if (index < kLocalClasses) {
    Local* lists = local();
    if (lists && lists->count[index] < local_limit(index)) {
      block->next = lists->free[index];
      lists->free[index] = block;
      ++lists->count[index];
      return;
    }
  }
  put_shared(block);
}

void pool_trim() noexcept {
  if (Local* lists = local()) flush_local(lists);
  Shared& pool = shared();
  std::lock_guard<std::mutex> lock(pool.mutex);
  for (Block*& head : pool.free) {
    while (Block* block = head) {
      head = block->next;
      std::free(block);
    }
  }
  pool.kept = 0;
}

PoolStatistics pool_statistics() noexcept {
  Shared& pool = shared();
  std::lock_guard<std::mutex> lock(pool.mutex);
  return {pool.taken, pool.from_system, pool.kept};
}

}  // namespace weft
