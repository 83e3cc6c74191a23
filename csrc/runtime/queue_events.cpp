// Events and waits, what is given up without the GIL, and the program's end.
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string>

#include "queues.h"

namespace weft {
namespace {

// References that threads without the GIL gave up.
struct Released {
  std::mutex mutex;
  std::vector<PyObject*> objects;
};
Released* released = new Released;  // never destroyed, as nothing here is: threads may outlive static objects
std::atomic<bool> python_ended{false};

}  // namespace

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

void lock_released() { released->mutex.lock(); }
void unlock_released() { released->mutex.unlock(); }

Fault fault;

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

}  // namespace

bool left_behind(const CpuEvent& event) {
  if (event.generation == generation.load()) return false;
  PyErr_Format(PyExc_RuntimeError,
               "an array was not ready when the process forked, and only the parent computes it: call "
               "block_until_ready() before the fork ('%s')",
               event.what);
  return true;
}

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
