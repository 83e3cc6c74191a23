// The state behind queue.h.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "weft/array.h"
#include "weft/queue.h"

namespace weft {

constexpr std::size_t kMost = 32;                          // tasks in one queue: who queues more waits
constexpr std::size_t kUnseen = 16;                        // errors kept for the end
constexpr auto kSignals = std::chrono::milliseconds(100);  // how often a wait looks for Ctrl-C

// Of the process: forks are counted.
extern std::atomic<unsigned> generation;

class Queues {
 public:
  static Queues& get();

  bool start();  // at least one thread; false: the system gives none
  void add(Task* task);
  bool add_if_room(Task* task);  // false: its queues are full
  void finish(Task* task, CpuEvent::State state);
  // Waits until `over()` (asked under the mutex) or for a little; without the GIL.
  template <class F>
  bool wait_a_little(F over) {
    std::unique_lock<std::mutex> lock(mutex_);
    ++waiters_;
    bool found = done_.wait_for(lock, kSignals, over);
    --waiters_;
    return found;
  }
  bool is_full(const Task* task) const {
    return std::any_of(task->devices_.begin(), task->devices_.end(), [&](int device) { return waits(device, kMost); });
  }
  // Whether at least so many tasks stand in a device's queue.
  bool waits(int device, std::size_t count) const {
    return static_cast<std::size_t>(device) < queues_.size() && queue(device).size() >= count;
  }
  bool is_empty() const { return tasks_ == 0; }
  void abandon(PyObject* error);  // what has not begun; needs the GIL
  void stop(bool join);           // without the GIL
  void note_unseen(CpuEvent* event);
  CpuEvent* take_unseen();  // one reference, or null

  std::atomic<bool> closed{false};

 private:
  std::deque<Task*>& queue(int device) { return queues_[static_cast<std::size_t>(device)]; }
  const std::deque<Task*>& queue(int device) const { return queues_[static_cast<std::size_t>(device)]; }
  void add_locked(Task* task);
  void make_ready(Task* task);
  bool add_thread();
  void serve();
  static void before_fork() { get_or_null()->mutex_.lock(); }
  static void after_fork() { get_or_null()->mutex_.unlock(); }
  static void in_child();
  static Queues* get_or_null() { return instance.load(std::memory_order_acquire); }
  static std::atomic<Queues*> instance;

  std::mutex mutex_;
  std::condition_variable work_, done_;
  std::vector<std::deque<Task*>> queues_;
  std::deque<Task*> ready_;  // each entry with a reference, as many as hands are wanted
  std::vector<std::thread> threads_;
  std::vector<CpuEvent*> unseen_;
  std::size_t idle_ = 0, tasks_ = 0;
  int waiters_ = 0, active_ = 0;
  bool stopping_ = false;
};

// Gives up the references that threads without the GIL left; needs it.
int drain_released(void*);
// Locks around a fork.
void lock_released();
void unlock_released();

// Waits until `over()`, asked under the mutex, with a look for signals now and then; false with their error.
template <class F>
bool wait_with_signals(F over) {
  for (;;) {
    bool found;
    {
      Unlocked unlocked;
      found = Queues::get().wait_a_little(over);
    }
    drain_released(nullptr);
    if (found) return true;
    if (PyErr_CheckSignals() < 0) return false;
  }
}

}  // namespace weft
