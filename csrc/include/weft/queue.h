// The queues of the CPU's devices: what runs behind the caller's back.
//
// A device's tasks run one after the other. A task may stand in several queues at once, and waits for the events of
// tasks whose results it takes; none waits once it has begun, so that as many threads as there are cores are enough for
// any number of devices. One mutex guards it all; whoever holds it takes no other lock and not the GIL.
#pragma once

#include <atomic>
#include <vector>

#include "weft/device.h"
#include "weft/python.h"

namespace weft {

class Task;

// When a task's results are there, or what went wrong instead. Raising an error makes a copy of it: its traceback names
// frames, which may hold the very array that failed.
struct CpuEvent : Event {
  enum State : int { pending, done, failed };

  std::atomic<int> state{pending};
  unsigned generation;                          // of the process: a fork's child has no tasks
  CpuEvent* origin = nullptr;                   // the failed event that made this one fail (one reference)
  PyObject *error = nullptr, *trace = nullptr;  // of one that failed by itself
  std::atomic<bool> seen{false};                // its error was raised somewhere
  std::vector<Task*> dependants;                // tasks that wait for it

  explicit CpuEvent(const char* name);
  bool is_pending() const { return state.load(std::memory_order_acquire) == pending; }
};

// Counted: the queues hold one reference while the task is queued.
class Task {
 public:
  explicit Task(const char* name);  // what failures are about; never freed
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task();

  // To be set before it is queued: the devices in whose queues it stands; for what it waits; how many threads may work
  // on it; objects that go with it.
  void add_device(const Device& device) { devices_.push_back(device.id); }
  void wait_for(Event* event);
  void set_hands(int hands) { hands_ = hands; }
  void keep(PyObject* object) { kept_.push_back(Py_NewRef(object)); }

  CpuEvent& event() { return *event_; }
  // Whether it waits for something that only the process knows from which this one was forked; a Python error is set.
  bool is_left_behind() const;
  const std::vector<int>& devices() const { return devices_; }

  // What a thread of the queues does; `conclude` has been called when the last one leaves. No GIL.
  virtual void work() = 0;

 protected:
  // The failed event among those it waited for, or null.
  CpuEvent* failed_dependency() const;
  // The end, said once. Without the GIL; the error that is set is taken with it.
  void conclude();
  void conclude(CpuEvent& cause);
  void conclude_with_error();  // the GIL is held, and a Python error set

 private:
  friend class Queues;
  std::atomic<int> references_{1};
  std::vector<int> devices_;
  std::vector<CpuEvent*> causes_;
  std::vector<PyObject*> kept_;
  CpuEvent* event_;
  int hands_ = 1;
  int blocked_ = 0;  // queues in which others stand before it, and events that are pending
  bool begun_ = false;

  friend void retain(Task* task) noexcept;
  friend void drop(Task* task) noexcept;
};

inline void retain(Task* task) noexcept { task->references_.fetch_add(1, std::memory_order_relaxed); }
inline void drop(Task* task) noexcept {
  if (task->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete task;
}

// A reference for as long as it lives.
template <class T>
class Held {
 public:
  explicit Held(T* task) : task_(task) {}
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { drop(task_); }
  T* get() const { return task_; }
  T* operator->() const { return task_; }
  T& operator*() const { return *task_; }

 private:
  T* task_;
};

// Queues a task; waits while its queues are full. False with a Python error, and nothing was queued.
bool submit(Task* task);

// Whether tasks can be queued: not after the program's end.
bool queues_open();

// Waits until the event's task is done; false with a Python error: the task's, or Ctrl-C's. Needs the GIL.
bool wait_for(CpuEvent& event);
// The same without the GIL and without errors; whether it succeeded.
bool wait_without_gil(CpuEvent& event);

// Whether only the process knows from which this one was forked what the event is about; then a Python error is set.
bool left_behind(const CpuEvent& event);

// Waits, without the GIL, until a device's queue is empty.
void wait_for_device(const Device& device);

// Waits for all tasks; false with the first error that nobody has seen, or Ctrl-C's.
bool wait_for_all();

// The program's end: finishes what is queued, or, after an error, only what has begun; ends the threads, and says what
// went wrong unseen. False with a Python error, after Ctrl-C.
bool close_queues(bool finish);

void recycle_cpu_event(Event* event) noexcept;

// Gives up a reference from a thread that may not have the GIL: soon someone who has it does so.
void release_later(PyObject* object) noexcept;

// How many threads compute tasks now, and whether this thread does.
int computing_threads();
bool in_task();

// When calls are queued: by what they cost; never; whenever they can be (for tests).
enum class Queueing : std::uint8_t { by_cost, never, always };
Queueing queueing();
void set_queueing(Queueing mode);

// What tests let go wrong: on one device, `count` times.
struct Fault {
  enum Kind : int { none, delay, raise, memory };
  std::atomic<int> kind{none};
  std::atomic<int> device{0}, count{0};
  std::atomic<double> seconds{0};

  void sleep() const;
  // Whether it happens now.
  bool strikes(int what, int where) {
    return __builtin_expect(kind.load(std::memory_order_relaxed) != none, 0) && hits(what, where);
  }

 private:
  bool hits(int what, int where);
};
extern Fault fault;

// While it lives, this thread has the GIL.
class WithGil {
 public:
  WithGil() : state_(take_gil()) {}
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;
  ~WithGil() { PyGILState_Release(state_); }

 private:
  PyGILState_STATE state_;
};

}  // namespace weft
