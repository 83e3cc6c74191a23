// Runs device text compiled through emulate.h: blocks one after another, the threads of a block as fibers.
//
// A fiber runs one thread after another until one meets a barrier; that thread keeps the fiber, and another fiber goes
// on. So a kernel without barriers costs no switch at all. Which thread, warp and block comes next is chosen by a seed.
#define WEFT_EMULATOR_ITSELF
#include "emulate.h"
#include "fibers.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

weft_emulate::Three threadIdx, blockIdx, blockDim, gridDim;
extern "C" char __start_weft_shared[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_weft_shared[] __attribute__((weak, visibility("hidden")));

namespace {

using weft_emulate::Fiber;
using weft_emulate::Kernel;
using weft_emulate::Slot;

constexpr int most_threads = weft_emulate::most_fibers, lanes = 32;
constexpr size_t shared_limit = 48 << 10;
typedef unsigned long long u64;

enum State { unstarted, ready, at_warp, at_block, ended };

struct Thread {
  State state;
  Fiber* fiber;
  int op, lane;
  unsigned mask;
  u64 value;
};

Thread threads[most_threads];
int order[most_threads];  // in which the threads of a block start
int queue[most_threads];  // those that may go on
int waiting_in_warp[most_threads / lanes];
int size, started, queued, live, at_barrier, current;
bool failed;

void fiber_main();
weft_emulate::Fibers fibers(fiber_main);

const Kernel* kernel;
char* arguments;
u64 launch_number;
long long block_number;
char message[1024];
char* shared_memory;
size_t shared_used;

unsigned seed;
u64 state;

unsigned random_below(unsigned n) {
  state = state * 6364136223846793005ull + 1442695040888963407ull;
  return (unsigned)((state >> 33) % n);
}

// -- failures ---------------------------------------------------------------------------------------------------------

void say(const char* format, ...) {
  if (failed) return;
  failed = true;
  int n = kernel ? snprintf(message, sizeof message, "kernel %s, block %lld: ", kernel->name, block_number) : 0;
  va_list rest;
  va_start(rest, format);
  vsnprintf(message + n, sizeof message - n, format, rest);
  va_end(rest);
}

// A thread that cannot go on.
[[noreturn]] void give_up() {
  for (;;) fibers.leave();
}

// -- fibers -----------------------------------------------------------------------------------------------------------

void go_on(int t) {
  current = t;
  threadIdx.x = (unsigned)t;
}

void fiber_main() {
  for (;;) {
    // some seeds let waiting threads go on before all have started
    while (started < size && !(queued && seed > 1 && random_below(4) == 0)) {
      const int t = order[started++];
      threads[t].fiber = fibers.running;
      go_on(t);
      kernel->run(arguments);
      threads[t].state = ended;
      --live;
    }
    fibers.rest();
  }
}

void make_ready(int t) {
  threads[t].state = ready;
  queue[queued++] = t;
}

int next_ready() {
  const int k = seed > 1 ? (int)random_below((unsigned)queued) : seed == 1 ? queued - 1 : 0;
  const int t = queue[k];
  --queued;
  memmove(queue + k, queue + k + 1, (size_t)(queued - k) * sizeof(int));
  return t;
}

// -- warps ------------------------------------------------------------------------------------------------------------

const char* name_of(int op) {
  static const char* const names[] = {"__syncwarp",       "__shfl_sync",    "__shfl_xor_sync",
                                      "__shfl_down_sync", "__shfl_up_sync", "a vote (__any_sync)"};
  return names[op];
}

const char* doing(int t) {
  if (t >= size) return "does not exist";
  switch (threads[t].state) {
    case ended:
      return "has ended";
    case at_block:
      return "waits at __syncthreads";
    case at_warp:
      return name_of(threads[t].op);
    default:
      return "has not come yet";
  }
}

// The first lane that keeps lane `t` from going on; -1 if all have come, and then they are let go.
int complete(int t) {
  const Thread& mine = threads[t];
  const int first = t / lanes * lanes;
  for (int k = 0; k < lanes; ++k) {
    if (!(mine.mask >> k & 1)) continue;
    const Thread& other = threads[first + k];
    if (first + k >= size || other.state != at_warp || other.mask != mine.mask || other.op != mine.op) return first + k;
  }
  u64 values[lanes] = {}, votes = 0;
  for (int k = 0; k < lanes; ++k) {
    if (!(mine.mask >> k & 1)) continue;
    values[k] = threads[first + k].value;
    if (values[k]) votes |= 1ull << k;
  }
  const unsigned mask = mine.mask;
  for (int k = 0; k < lanes; ++k) {
    if (!(mask >> k & 1)) continue;
    Thread& x = threads[first + k];
    int from = k;
    switch (x.op) {
      case weft_emulate::vote:
        x.value = votes;
        break;
      case weft_emulate::shuffle:
        from = x.lane & (lanes - 1);
        break;
      case weft_emulate::shuffle_xor:
        from = k ^ x.lane;
        break;
      case weft_emulate::shuffle_down:
        from = k + x.lane < lanes ? k + x.lane : k;
        break;
      case weft_emulate::shuffle_up:
        from = k >= x.lane ? k - x.lane : k;
        break;
    }
    if (from < 0 || from >= lanes || !(mask >> from & 1)) {
      say("thread %d reads from lane %d by %s, which is not in its mask %08x", first + k, from, name_of(x.op), mask);
      return -1;
    }
    if (x.op != weft_emulate::vote) x.value = values[from];
    make_ready(first + k);
    --waiting_in_warp[first / lanes];
  }
  return -1;
}

// -- blocks -----------------------------------------------------------------------------------------------------------

void release_block() {
  const int op = threads[order[0]].op;
  int any = 0, all = 1, count = 0;
  for (int t = 0; t < size; ++t) {
    if (threads[t].op != op) {
      say("thread %d waits at another kind of __syncthreads than thread %d", t, order[0]);
      return;
    }
    any |= threads[t].value != 0;
    all &= threads[t].value != 0;
    count += threads[t].value != 0;
  }
  for (int k = 0; k < size; ++k) {
    Thread& x = threads[order[k]];
    x.value = (u64)(op == weft_emulate::with_or ? any : op == weft_emulate::with_and ? all : count);
    make_ready(order[k]);
  }
  at_barrier = 0;
}

// Nobody can go on: says why.
void deadlock() {
  for (int t = 0; t < size; ++t) {
    if (threads[t].state != at_warp) continue;
    const int other = complete(t);
    if (other < 0) return;
    say("thread %d waits at %s with mask %08x for thread %d, which %s%s: all lanes of the mask must come together", t,
        name_of(threads[t].op), threads[t].mask, other,
        other < size && threads[other].state == at_warp ? "waits at " : "", doing(other));
    return;
  }
  int left = -1, waits = -1;
  for (int t = size - 1; t >= 0; --t) (threads[t].state == ended ? left : waits) = t;
  say("%d of %d threads (thread %d first) wait at __syncthreads, but %d (thread %d first) have ended: every thread of "
      "a "
      "block must come to every barrier",
      at_barrier, size, waits, size - at_barrier, left);
}

void shuffle_order(int* at, int n, unsigned how) {
  for (int k = 0; k < n; ++k) at[k] = how == 1 ? n - 1 - k : k;
  if (how < 2) return;
  for (int k = n - 1; k > 0; --k) {
    const int other = (int)random_below((unsigned)k + 1), held = at[k];
    at[k] = at[other];
    at[other] = held;
  }
}

void fill(void* to, size_t n) { memset(to, seed & 1 ? 0x7f : 0xff, n); }

void run_block() {
  if (__start_weft_shared) fill(__start_weft_shared, (size_t)(__stop_weft_shared - __start_weft_shared));
  fill(shared_memory, shared_used);
  shuffle_order(order, size, seed);
  memset(threads, 0, sizeof(Thread) * (size_t)size);
  memset(waiting_in_warp, 0, sizeof waiting_in_warp);
  started = queued = at_barrier = 0;
  live = size;
  while (live && !failed) {
    if (started < size && !(queued && seed > 1 && random_below(4))) {
      fibers.go(fibers.take());
    } else if (queued) {
      const int t = next_ready();
      go_on(t);
      fibers.go(threads[t].fiber);
    } else if (at_barrier == size) {
      release_block();
    } else {
      deadlock();
    }
  }
}

// -- faults -----------------------------------------------------------------------------------------------------------

sigjmp_buf* landing;
void* fault_address;
char signal_stack[64 << 10];

void on_fault(int, siginfo_t* info, void*) {
  fault_address = info->si_addr;
  siglongjmp(*landing, 1);
}

// Runs `body`, and tells whether it touched memory that it may not.
template <class Body>
bool faults(const Body& body) {
  sigjmp_buf here;
  sigjmp_buf* const outer = landing;
  struct sigaction mine = {}, old_segv, old_bus;
  mine.sa_sigaction = on_fault;
  mine.sa_flags = SA_SIGINFO | SA_ONSTACK;
  stack_t alternative = {}, old_stack;
  alternative.ss_sp = signal_stack;
  alternative.ss_size = sizeof signal_stack;
  const bool outermost = !outer;
  if (outermost) sigaltstack(&alternative, &old_stack);
  sigaction(SIGSEGV, &mine, &old_segv);
  sigaction(SIGBUS, &mine, &old_bus);
  volatile bool found = false;
  if (sigsetjmp(here, 1) == 0) {
    landing = &here;
    body();
  } else {
    found = true;
  }
  landing = outer;
  sigaction(SIGSEGV, &old_segv, nullptr);
  sigaction(SIGBUS, &old_bus, nullptr);
  if (outermost) sigaltstack(&old_stack, nullptr);
  return found;
}

// -- the device's heap ------------------------------------------------------------------------------------------------

struct Header {
  Header *before, *after;
  size_t bytes, mark;
};
constexpr size_t alive = 0x57454654, dead = 0xdead;
Header* heap;
size_t heap_used, heap_limit = 8 << 20;  // as a CUDA device's at first

pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

const Kernel* find(const char* name) {
  for (int k = 0; k < weft_emulated_kernel_count; ++k)
    if (!strcmp(weft_emulated_kernels[k].name, name)) return weft_emulated_kernels + k;
  return nullptr;
}

long long common_factor(long long a, long long b) { return b ? common_factor(b, a % b) : a; }

int run(const Kernel* which, long long blocks, int count, char* packed) {
  pthread_mutex_lock(&one_at_a_time);
  message[0] = 0;
  failed = false;
  kernel = which;
  arguments = packed;
  size = count;
  ++launch_number;
  shared_used = 0;
  block_number = -1;
  if (!shared_memory) shared_memory = (char*)aligned_alloc(64, shared_limit);
  if (blocks < 1 || blocks > 0x7fffffff || count < 1 || count > most_threads)
    say("launched with %lld blocks of %d threads", blocks, count), blocks = 0;
  if (count > weft_emulated_threads && !failed)
    say("launched with blocks of %d threads, and compiled for %d", count, weft_emulated_threads), blocks = 0;
  gridDim = {(unsigned)blocks, 1, 1};
  blockDim = {(unsigned)count, 1, 1};
  fibers.running = &fibers.scheduler;
  const bool fault = faults([&] {
    // at random: steps of a number without a common factor with the count of blocks meet every block
    long long at = seed == 1 ? blocks - 1 : 0, stride = 1;
    if (seed > 1) {
      at = random_below((unsigned)blocks);
      stride = 1 + random_below((unsigned)blocks);
      while (common_factor(stride, blocks) != 1) ++stride;
    }
    for (long long k = 0; k < blocks && !failed; ++k) {
      block_number = at;
      blockIdx = {(unsigned)at, 0, 0};
      run_block();
      at = seed == 1 ? at - 1 : (at + stride) % blocks;
    }
  });
  if (fault) say("thread %d touched memory that it may not, at %p", current, fault_address);
  if (failed) fibers.reset();
  const int status = failed;
  kernel = nullptr;
  pthread_mutex_unlock(&one_at_a_time);
  return status;
}

struct Launch {
  const Kernel* kernel;
  long long blocks;
  int threads;
  alignas(16) char arguments[1];
};

}  // namespace

// -- for device text --------------------------------------------------------------------------------------------------

extern "C" void* weft_emulate_shared(Slot* slot, size_t bytes) {
  if (slot->launch == launch_number) return slot->place;
  bytes = (bytes + 15) & ~(size_t)15;
  const size_t fixed = __start_weft_shared ? (size_t)(__stop_weft_shared - __start_weft_shared) : 0;
  if (fixed + shared_used + bytes > shared_limit) {
    say("takes more than %zu bytes of shared memory", shared_limit);
    give_up();
  }
  slot->launch = launch_number;
  slot->place = shared_memory + shared_used;
  fill(slot->place, bytes);
  shared_used += bytes;
  return slot->place;
}

extern "C" unsigned long long weft_emulate_warp(int op, unsigned mask, unsigned long long value, int lane) {
  const int t = current, warp = t / lanes;
  if (!(mask >> t % lanes & 1)) {
    say("thread %d is not in the mask %08x of its own %s", t, mask, name_of(op));
    give_up();
  }
  Thread& mine = threads[t];
  mine.op = op;
  mine.mask = mask;
  mine.value = value;
  mine.lane = lane;
  mine.state = at_warp;
  if (++waiting_in_warp[warp] >= __builtin_popcount(mask)) complete(t);
  fibers.leave();
  return mine.value;
}

extern "C" int weft_emulate_block(int op, int value) {
  Thread& mine = threads[current];
  mine.op = op;
  mine.value = value != 0;
  mine.state = at_block;
  ++at_barrier;
  fibers.leave();
  return (int)mine.value;
}

extern "C" void* weft_emulate_malloc(size_t bytes) {
  if (heap_used + bytes > heap_limit) return nullptr;
  Header* h = (Header*)malloc(sizeof(Header) + bytes);
  if (!h) return nullptr;
  *h = {nullptr, heap, bytes, alive};
  if (heap) heap->before = h;
  heap = h;
  heap_used += bytes;
  fill(h + 1, bytes);
  return h + 1;
}

extern "C" void weft_emulate_free(void* p) {
  if (!p) return;
  Header* h = (Header*)p - 1;
  if (h->mark != alive) {
    say("thread %d freed what is not memory of the device's heap, or not any more", current);
    give_up();
  }
  (h->before ? h->before->after : heap) = h->after;
  if (h->after) h->after->before = h->before;
  heap_used -= h->bytes;
  h->mark = dead;
  fill(p, h->bytes);
  free(h);
}

// -- for tests and the fake driver ------------------------------------------------------------------------------------

// Runs a kernel at once, args[i] pointing to argument i: 0, or 1 and weft_emulated_error says why.
EXPORT int weft_emulated_launch(const char* name, long long blocks, int count, void** args) {
  const Kernel* k = find(name);
  if (!k) {
    snprintf(message, sizeof message, "no kernel %s", name);
    return 1;
  }
  alignas(16) char packed[4096];
  if (k->pack(args, nullptr) > sizeof packed) {
    snprintf(message, sizeof message, "kernel %s takes more than 4 KB of arguments", name);
    return 1;
  }
  k->pack(args, packed);
  return run(k, blocks, count, packed);
}

// The same in two steps, as a queue needs it: the arguments are read now, the kernel runs later. Null: no such kernel.
EXPORT void* weft_emulated_prepare(const char* name, long long blocks, int count, void** args) {
  const Kernel* k = find(name);
  if (!k) return nullptr;
  Launch* l = (Launch*)aligned_alloc(16, (sizeof(Launch) + k->pack(args, nullptr) + 15) & ~(size_t)15);
  l->kernel = k;
  l->blocks = blocks;
  l->threads = count;
  k->pack(args, l->arguments);
  return l;
}
EXPORT int weft_emulated_run(void* prepared) {
  Launch* l = (Launch*)prepared;
  const int status = run(l->kernel, l->blocks, l->threads, l->arguments);
  free(l);
  return status;
}

EXPORT const char* weft_emulated_error() { return message; }

// In what order blocks and threads run: 0 upwards, 1 downwards, else at random.
EXPORT void weft_emulated_seed(unsigned number) { state = seed = number; }

EXPORT int weft_emulated_has(const char* name) { return find(name) != nullptr; }

// The device's heap: how much may be taken, and how much is.
EXPORT void weft_emulated_heap_limit(long long bytes) { heap_limit = (size_t)bytes; }
EXPORT long long weft_emulated_heap_used() { return (long long)heap_used; }
EXPORT void weft_emulated_heap_reset() {
  while (heap) weft_emulate_free(heap + 1);
}

// Calls host code that may touch memory it must not: -1 then, and weft_emulated_error says where.
EXPORT int weft_emulated_host(int (*entry)(void*, void**, void**, const long long*), void* context, void** inputs,
                              void** scalars, const long long* sizes) {
  int status = 0;
  if (!faults([&] { status = entry(context, inputs, scalars, sizes); })) return status;
  snprintf(message, sizeof message, "host code touched memory that is not the host's, at %p", fault_address);
  return -1;
}
