#include "weft/queue.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iterator>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "weft/array.h"
#include "weft/threads.h"

namespace weft {
namespace {

constexpr std::size_t kMost = 32;                          // tasks in one queue: who queues more waits
constexpr std::size_t kUnseen = 16;                        // errors kept for the end
constexpr auto kSignals = std::chrono::milliseconds(100);  // how often a wait looks for Ctrl-C

std::atomic<unsigned> generation{0};  // of the process
std::atomic<int> computing{0};
thread_local bool inside_task = false;

// References that threads without the GIL gave up.
struct Released {
  std::mutex mutex;
  std::vector<PyObject*> objects;
};
Released* released = new Released;  // never destroyed, as nothing here is: threads may outlive static objects
std::atomic<bool> python_ended{false};

int drain_released(void*) {
  std::vector<PyObject*> objects;
  {
    std::lock_guard<std::mutex> lock(released->mutex);
    objects.swap(released->objects);
  }
  SavedError error;
  for (PyObject* object : objects) Py_DECREF(object);
  return 0;
}

}  // namespace

Fault fault;

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
  int waiters_ = 0;
  bool stopping_ = false;
};

std::atomic<Queues*> Queues::instance{nullptr};

Queues& Queues::get() {
  static const bool made = [] {
    instance.store(new Queues, std::memory_order_release);
    pthread_atfork(before_fork, after_fork, in_child);
    pthread_atfork([] { released->mutex.lock(); }, [] { released->mutex.unlock(); }, [] { released->mutex.unlock(); });
    return true;
  }();
  (void)made;
  return *get_or_null();
}

// The threads stayed behind, and so did what they were computing.
void Queues::in_child() {
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
    work_.wait(lock, [&] { return stopping_ || !ready_.empty(); });
    --idle_;
    if (ready_.empty()) return;
    Task* task = ready_.front();
    ready_.pop_front();
    task->begun_ = true;
    lock.unlock();
    computing.fetch_add(1, std::memory_order_relaxed);
    task->work();
    computing.fetch_sub(1, std::memory_order_relaxed);
    drop(task);
    lock.lock();
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

// -- events -----------------------------------------------------------------------------------------------------------

CpuEvent::CpuEvent(const char* name) : generation(weft::generation.load()) {
  device = &cpu_device();
  what = name;
}

void recycle_cpu_event(Event* event) noexcept {
  auto* own = static_cast<CpuEvent*>(event);
  release_later(own->error);
  release_later(own->trace);
  if (own->origin) drop(own->origin);
  delete own;
}

namespace {

// A copy of an exception: what its class makes of the same arguments, with the same notes and cause.
PyObject* copy_of(PyObject* error) {
  Ref module(PyImport_ImportModule("copy"));
  Ref made(module ? PyObject_CallMethod(module.get(), "copy", "O", error) : nullptr);
  if (!made || Py_TYPE(made.get()) != Py_TYPE(error)) {
    PyErr_Clear();
    return Py_NewRef(error);  // one that cannot be copied
  }
  PyException_SetCause(made.get(), PyException_GetCause(error));
  PyException_SetContext(made.get(), PyException_GetContext(error));
  return made.release();
}

void raise(CpuEvent& event) {
  CpuEvent& origin = event.origin ? *event.origin : event;
  origin.seen.store(true);
  event.seen.store(true);
  PyObject* made = copy_of(origin.error);
  PyErr_Restore(Py_NewRef(reinterpret_cast<PyObject*>(Py_TYPE(made))), made, Py_XNewRef(origin.trace));
}

bool outcome(CpuEvent& event) {
  if (event.state.load(std::memory_order_acquire) != CpuEvent::failed) return true;
  raise(event);
  return false;
}

bool left_behind(const CpuEvent& event) {
  if (event.generation == generation.load()) return false;
  PyErr_Format(PyExc_RuntimeError,
               "an array was not ready when the process forked, and only the parent computes it: call "
               "block_until_ready() before the fork ('%s')",
               event.what);
  return true;
}

// Waits until `over()`, with a look for signals now and then.
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

}  // namespace

bool wait_for(CpuEvent& event) {
  if (event.is_pending()) {
    if (left_behind(event)) return false;
    retain(&event);
    bool ok = wait_with_signals([&] { return !event.is_pending(); });
    if (!ok) {
      drop(&event);
      return false;
    }
    ok = outcome(event);
    drop(&event);
    return ok;
  }
  return outcome(event);
}

bool wait_without_gil(CpuEvent& event) {
  while (event.is_pending()) {
    if (event.generation != generation.load()) return false;
    Queues::get().wait_a_little([&] { return !event.is_pending(); });
  }
  return event.state.load(std::memory_order_acquire) == CpuEvent::done;
}

void wait_for_device(const Device& device) {
  Queues& queues = Queues::get();
  while (!queues.wait_a_little([&] { return !queues.waits(device.id, 1); })) {
  }
}

bool wait_for_all() {
  Queues& queues = Queues::get();
  if (!wait_with_signals([&] { return queues.is_empty(); })) return false;
  CpuEvent* unseen = queues.take_unseen();
  if (!unseen) return true;
  raise(*unseen);
  drop(unseen);
  return false;
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

// -- the program's end ------------------------------------------------------------------------------------------------

namespace {

void say(CpuEvent& event) {
  SavedError saved;
  Ref text(PyUnicode_FromFormat("weft: a queued call of '%s' failed, and nobody looked at its result: %s: %S\n",
                                event.what, Py_TYPE(event.error)->tp_name, event.error));
  PyObject* err = PySys_GetObject("stderr");
  if (!text || !err || err == Py_None || PyFile_WriteObject(text.get(), err, Py_PRINT_RAW) < 0) PyErr_Clear();
}

}  // namespace

bool close_queues(bool finish) {
  Queues& queues = Queues::get();
  queues.closed.store(true);
  bool ok = !finish || wait_with_signals([&] { return queues.is_empty(); });
  {
    SavedError saved;
    Ref error(PyObject_CallFunction(PyExc_RuntimeError, "s",
                                    "the program ended before this array was computed: nobody had waited for it"));
    if (error) queues.abandon(error.get());
    PyErr_Clear();
  }
  // What has begun cannot be stopped; after a second Ctrl-C it is left alone.
  bool joined = wait_with_signals([&] { return queues.is_empty(); });
  {
    Unlocked unlocked;
    queues.stop(joined);
  }
  if (joined) {
    int more = 0;
    while (CpuEvent* unseen = queues.take_unseen()) {
      unseen->seen.store(true);
      if (more++ == 0) say(*unseen);
      drop(unseen);
    }
  }
  drain_released(nullptr);
  python_ended.store(true);
  return ok && joined;
}

void release_later(PyObject* object) noexcept {
  if (!object) return;
  bool first;
  {
    std::lock_guard<std::mutex> lock(released->mutex);
    first = released->objects.empty();
    released->objects.push_back(object);
  }
  if (first && !python_ended.load()) Py_AddPendingCall(drain_released, nullptr);
}

int computing_threads() { return computing.load(std::memory_order_relaxed); }

__attribute__((noinline)) bool in_task() { return inside_task; }

// -- settings and faults ----------------------------------------------------------------------------------------------

namespace {

std::atomic<Queueing> mode{[] {
  const char* text = std::getenv("WEFT_ASYNC");
  if (!text || !*text) return Queueing::by_cost;
  return std::strcmp(text, "0") == 0 ? Queueing::never : Queueing::always;
}()};

}  // namespace

Queueing queueing() { return mode.load(std::memory_order_relaxed); }
void set_queueing(Queueing wanted) { mode.store(wanted); }

void Fault::sleep() const { std::this_thread::sleep_for(std::chrono::duration<double>(seconds.load())); }

bool Fault::hits(int what, int where) {
  if (kind.load() != what || device.load() != where) return false;
  if (count.fetch_sub(1) > 0) return true;
  kind.store(none);
  return false;
}

}  // namespace weft
