#include "weft/threads.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "weft/queue.h"

namespace weft {
namespace {

constexpr weft_i64 kChunksPerThread = 4;
constexpr int kSpins = 2000;

thread_local bool inside_body = false;

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

struct alignas(64) Share {
  std::atomic<weft_i64> next;
  weft_i64 end;
};

struct Job {
  weft_i64 n, chunks;
  WeftBody body;
  void* env;
  Share* shares;
  int count;
  int helpers;  // how many of the other threads may take part

  // Its own chunks first, then those of the others in turn.
  void work(int self) {
    inside_body = true;
    for (int offset = 0; offset < count; ++offset) {
      Share& share = shares[(self + offset) % count];
      for (weft_i64 chunk; (chunk = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;) {
        body(env, bound(chunk), bound(chunk + 1));
      }
    }
    inside_body = false;
  }

  weft_i64 bound(weft_i64 chunk) const { return n / chunks * chunk + std::min(chunk, n % chunks); }
};

class Team {
 public:
  explicit Team(int count) : count_(count), shares_(static_cast<std::size_t>(count)) {
    try {
      for (int index = 1; index < count; ++index) std::thread([this, index] { serve(index); }).detach();
    } catch (const std::system_error&) {
      // Fewer threads than asked for: those that run take over the others' chunks.
    }
  }

  // Sends the threads home; a run in progress still ends, by its caller's work.
  void retire() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      retired_ = true;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
  }

  // One caller at a time; false sends the others to run inline.
  bool run(weft_i64 n, weft_i64 chunks, WeftBody body, void* env, int helpers) {
    std::unique_lock<std::mutex> caller(caller_, std::try_to_lock);
    if (!caller) return false;
    for (int index = 0; index < count_; ++index) {
      Share& share = shares_[static_cast<std::size_t>(index)];
      share.next.store(chunks * index / count_, std::memory_order_relaxed);
      share.end = chunks * (index + 1) / count_;
    }
    Job job{n, chunks, body, env, shares_.data(), count_, helpers};
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = &job;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    job.work(0);
    // Every chunk is claimed now. Nobody may enter any more, and those inside have to leave before `job` goes.
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = nullptr;
    }
    for (int spin = 0; active_.load(std::memory_order_acquire) != 0 && spin < kSpins; ++spin) relax();
    if (active_.load(std::memory_order_acquire) != 0) {
      std::unique_lock<std::mutex> lock(mutex_);
      left_.wait(lock, [this] { return active_.load(std::memory_order_acquire) == 0; });
    }
    return true;
  }

 private:
  void serve(int self) {
    std::uint64_t seen = 0;
    for (;;) {
      for (int spin = 0; generation_.load(std::memory_order_acquire) == seen && spin < kSpins; ++spin) relax();
      Job* job;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
        seen = generation_.load(std::memory_order_relaxed);
        if (retired_) return;
        job = job_;
        if (job && self > job->helpers) job = nullptr;
        if (job) active_.fetch_add(1, std::memory_order_relaxed);
      }
      if (!job) continue;
      job->work(self);
      {
        std::lock_guard<std::mutex> lock(mutex_);
        active_.fetch_sub(1, std::memory_order_release);
      }
      left_.notify_one();
    }
  }

  int count_;
  std::vector<Share> shares_;
  std::mutex caller_, mutex_;
  std::condition_variable wake_, left_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<int> active_{0};
  Job* job_ = nullptr;
  bool retired_ = false;
};

int default_count() {
  if (const char* text = std::getenv("WEFT_NUM_THREADS")) {
    int count = std::atoi(text);
    if (count > 0) return std::min(count, 1024);
  }
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// Teams are never destroyed: their threads end with the process, and a fork's child has lost them anyway.
std::atomic<Team*> current_team{nullptr};
std::atomic<int> wanted{0};
std::mutex* team_mutex = new std::mutex;

Team* team() {
  Team* found = current_team.load(std::memory_order_acquire);
  if (found) return found;
  std::lock_guard<std::mutex> lock(*team_mutex);
  found = current_team.load(std::memory_order_acquire);
  if (found) return found;
  static bool registered = [] {
    pthread_atfork(nullptr, nullptr, [] {
      team_mutex = new std::mutex;
      current_team.store(nullptr);
      inside_body = false;
    });
    return true;
  }();
  (void)registered;
  found = new Team(thread_count());
  current_team.store(found, std::memory_order_release);
  return found;
}

}  // namespace

int thread_count() {
  int count = wanted.load(std::memory_order_relaxed);
  if (count == 0) {
    count = default_count();
    wanted.store(count, std::memory_order_relaxed);
  }
  return count;
}

void set_thread_count(int count) {
  std::lock_guard<std::mutex> lock(*team_mutex);
  wanted.store(std::clamp(count, 1, 1024));
  if (Team* old = current_team.exchange(nullptr)) old->retire();
}

bool in_parallel() { return inside_body; }

void parallel_for(weft_i64 n, weft_i64 grain, WeftBody body, void* env) {
  if (n <= 0) return;
  int threads = thread_count();
  weft_i64 chunks = std::min<weft_i64>(n / std::max<weft_i64>(grain, 1), threads * kChunksPerThread);
  // As many for each thread: loops over one array, one after the other, then give a thread the same rows each time,
  // which its core still has in its cache.
  if (chunks > threads) chunks -= chunks % threads;
  // Cores that compute other tasks are left to them.
  int helpers = threads - computing_threads() - (in_task() ? 0 : 1);
  if (chunks < 2 || helpers < 1 || inside_body || !team()->run(n, chunks, body, env, helpers)) body(env, 0, n);
}

}  // namespace weft
