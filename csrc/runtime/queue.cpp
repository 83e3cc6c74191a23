#include "weft/queue.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <iterator>
#include <system_error>
#include <utility>

#include "queues.h"
#include "weft/threads.h"

namespace weft {

std::atomic<unsigned> generation{0};

namespace {

std::atomic<int> computing{0};
thread_local bool inside_task = false;

#if defined(__SANITIZE_THREAD__)
// The thread sanitizer goes on to know the parent's threads by their stacks, which glibc would use again: threads of
// the child get larger ones, which are new.
void use_new_stacks() {
  pthread_attr_t attr;
  std::size_t bytes;
  if (pthread_getattr_default_np(&attr) != 0) return;
  pthread_attr_getstacksize(&attr, &bytes);
  pthread_attr_setstacksize(&attr, bytes + (std::size_t{1} << 20));
  pthread_setattr_default_np(&attr);
  pthread_attr_destroy(&attr);
}
#else
void use_new_stacks() {}
#endif

}  // namespace

std::atomic<Queues*> Queues::instance{nullptr};

Queues& Queues::get() {
  static const bool made = [] {
    instance.store(new Queues, std::memory_order_release);
    pthread_atfork(before_fork, after_fork, in_child);
    pthread_atfork(lock_released, unlock_released, unlock_released);
    return true;
  }();
  (void)made;
  return *get_or_null();
}

// The threads stayed behind, and so did what they were computing.
void Queues::in_child() {
  use_new_stacks();
  bool closed = get_or_null()->closed.load();
  auto* fresh = new Queues;
  fresh->closed.store(closed);
  instance.store(fresh, std::memory_order_release);
  generation.fetch_add(1);
  computing.store(0);
  inside_task = false;
}

bool Queues::add_thread() {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for Python's threads
  bool ok = true;
  try {
    threads_.emplace_back([this] { serve(); });
  } catch (const std::system_error&) {
    ok = false;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return ok;
}

bool Queues::start() {
  std::lock_guard<std::mutex> lock(mutex_);
  return !threads_.empty() || add_thread();
}

void Queues::make_ready(Task* task) {
  for (int hand = 0; hand < task->hands_; ++hand) {
    retain(task);
    ready_.push_back(task);
    if (idle_ >= ready_.size()) {
      work_.notify_one();
    } else if (threads_.size() < static_cast<std::size_t>(thread_count())) {
      add_thread();
    }
  }
}

bool Queues::add_if_room(Task* task) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (is_full(task)) return false;
  add_locked(task);
  return true;
}

void Queues::add(Task* task) {
  std::lock_guard<std::mutex> lock(mutex_);
  add_locked(task);
}

void Queues::add_locked(Task* task) {
  ++tasks_;
  retain(task);
  for (int device : task->devices_) {
    if (queues_.size() <= static_cast<std::size_t>(device)) queues_.resize(static_cast<std::size_t>(device) + 1);
    if (!queue(device).empty()) ++task->blocked_;
    queue(device).push_back(task);
  }
  for (CpuEvent* cause : task->causes_) {
    if (!cause->is_pending()) continue;
    ++task->blocked_;
    cause->dependants.push_back(task);
  }
  if (task->blocked_ == 0) make_ready(task);
}

void Queues::finish(Task* task, CpuEvent::State state) {
  std::vector<Task*> dependants;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    task->event_->state.store(state, std::memory_order_release);
    for (int device : task->devices_) {
      auto& items = queue(device);
      items.erase(std::find(items.begin(), items.end(), task));
      // Whoever stands first now was waiting for this one, which stood first.
      if (!items.empty() && task->begun_ && --items.front()->blocked_ == 0) make_ready(items.front());
    }
    dependants.swap(task->event_->dependants);
    for (Task* dependant : dependants) {
      if (--dependant->blocked_ == 0) make_ready(dependant);
    }
    --tasks_;
    if (waiters_ > 0) done_.notify_all();
  }
  drop(task);
}

void Queues::serve() {
  inside_task = true;
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    ++idle_;
    work_.wait(lock, [&] { return stopping_ || (!ready_.empty() && active_ < thread_count()); });
    --idle_;
    if (ready_.empty()) return;
    ++active_;
    Task* task = ready_.front();
    ready_.pop_front();
    task->begun_ = true;
    lock.unlock();
    computing.fetch_add(1, std::memory_order_relaxed);
    task->work();
    computing.fetch_sub(1, std::memory_order_relaxed);
    drop(task);
    lock.lock();
    --active_;
  }
}

void Queues::abandon(PyObject* error) {
  std::vector<Task*> left, entries;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto& items : queues_) {
      for (Task* task : items) {
        if (!task->begun_ && std::find(left.begin(), left.end(), task) == left.end()) left.push_back(task);
      }
    }
    for (Task* task : left) {
      CpuEvent& event = *task->event_;
      event.error = Py_NewRef(error);
      event.seen.store(true);
      event.state.store(CpuEvent::failed, std::memory_order_release);
      event.dependants.clear();
      for (int device : task->devices_) {
        auto& items = queue(device);
        items.erase(std::find(items.begin(), items.end(), task));
      }
      --tasks_;
    }
    auto gone = [&](Task* task) { return std::find(left.begin(), left.end(), task) != left.end(); };
    std::copy_if(ready_.begin(), ready_.end(), std::back_inserter(entries), gone);
    ready_.erase(std::remove_if(ready_.begin(), ready_.end(), gone), ready_.end());
    for (auto& items : queues_) {
      for (Task* task : items) {  // those that have begun
        auto& waiting = task->event_->dependants;
        waiting.erase(std::remove_if(waiting.begin(), waiting.end(), gone), waiting.end());
      }
    }
  }
  for (Task* task : entries) drop(task);
  for (Task* task : left) drop(task);
}

void Queues::stop(bool join) {
  std::vector<std::thread> threads;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    threads.swap(threads_);
  }
  work_.notify_all();
  for (std::thread& thread : threads) {
    if (join) {
      thread.join();
    } else {
      thread.detach();
    }
  }
}

void Queues::note_unseen(CpuEvent* event) {
  std::vector<CpuEvent*> seen;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    auto is_seen = [](const CpuEvent* e) { return e->seen.load(); };
    auto from = std::stable_partition(unseen_.begin(), unseen_.end(), [&](CpuEvent* e) { return !is_seen(e); });
    seen.assign(from, unseen_.end());
    unseen_.erase(from, unseen_.end());
    if (unseen_.size() < kUnseen) {
      retain(event);
      unseen_.push_back(event);
    }
  }
  for (CpuEvent* e : seen) drop(e);
}

CpuEvent* Queues::take_unseen() {
  std::vector<CpuEvent*> all;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    all.swap(unseen_);
  }
  CpuEvent* first = nullptr;
  for (CpuEvent* event : all) {
    if (!first && !event->seen.load()) {
      first = event;
    } else if (first && !event->seen.load()) {
      note_unseen(event);
      drop(event);
    } else {
      drop(event);
    }
  }
  return first;
}

// -- tasks ------------------------------------------------------------------------------------------------------------

Task::Task(const char* name) : event_(new CpuEvent(name)) {}

Task::~Task() {
  for (CpuEvent* cause : causes_) drop(cause);
  for (PyObject* object : kept_) release_later(object);
  drop(event_);
}

void Task::wait_for(Event* event) {
  retain(event);
  causes_.push_back(static_cast<CpuEvent*>(event));
}

CpuEvent* Task::failed_dependency() const {
  for (CpuEvent* cause : causes_) {
    if (cause->state.load(std::memory_order_acquire) == CpuEvent::failed) return cause;
  }
  return nullptr;
}

bool Task::is_left_behind() const {
  return std::any_of(causes_.begin(), causes_.end(),
                     [](const CpuEvent* cause) { return cause->is_pending() && left_behind(*cause); });
}

void Task::conclude() { Queues::get().finish(this, CpuEvent::done); }

void Task::conclude(CpuEvent& cause) {
  CpuEvent* origin = cause.origin ? cause.origin : &cause;
  retain(origin);
  event_->origin = origin;
  Queues::get().finish(this, CpuEvent::failed);
}

void Task::conclude_with_error() {
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  Py_XDECREF(type);
  event_->error = value;
  event_->trace = trace;
  Queues::get().note_unseen(event_);
  Queues::get().finish(this, CpuEvent::failed);
}

bool queues_open() { return !Queues::get().closed.load(std::memory_order_relaxed); }

bool submit(Task* task) {
  Queues& queues = Queues::get();
  drain_released(nullptr);
  if (task->is_left_behind()) return false;
  if (!queues.start()) {
    PyErr_SetString(PyExc_RuntimeError, "the system starts no thread for queued calls: WEFT_ASYNC=0 runs all at once");
    return false;
  }
  if (!queues.add_if_room(task)) {
    if (!wait_with_signals([&] { return !queues.is_full(task); })) return false;
    queues.add(task);  // others may have been faster: a few more do no harm
  }
  return true;
}

int computing_threads() { return computing.load(std::memory_order_relaxed); }

__attribute__((noinline)) bool in_task() { return inside_task; }

}  // namespace weft
