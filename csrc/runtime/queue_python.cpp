// The functions of weft._runtime that deal with queues.
#include <pybind11/pybind11.h>

#include "weft/queue.h"

namespace py = pybind11;

namespace weft {
namespace {

constexpr const char* kModes[] = {"by cost", "never", "always"};

void inject(const std::string& kind, int device, int count, double seconds) {
  int wanted = kind == "delay" ? Fault::delay : kind == "raise" ? Fault::raise : kind == "memory" ? Fault::memory : -1;
  if (kind == "none") wanted = Fault::none;
  if (wanted < 0) throw py::value_error("a fault is 'delay', 'raise', 'memory' or 'none'");
  fault.device.store(device);
  fault.count.store(count);
  fault.seconds.store(seconds);
  fault.kind.store(wanted);
}

void set_mode(const std::string& mode) {
  for (int index = 0; index < 3; ++index) {
    if (mode == kModes[index]) return set_queueing(static_cast<Queueing>(index));
  }
  throw py::value_error("calls are queued 'by cost', 'never' or 'always'");
}

}  // namespace

void add_queue_functions(py::module_& m) {
  m.def(
      "effects_barrier",
      [] {
        if (!wait_for_all()) throw py::error_already_set();
      },
      "Wait for all queues; the first error that nobody has seen is raised.");
  m.def(
      "close_queues",
      [](bool finish) {
        if (!close_queues(finish)) throw py::error_already_set();
      },
      py::arg("finish"), "The program's end: finish what is queued (or only what has begun), and end the threads.");
  m.def("set_queueing", set_mode, py::arg("mode"), "When calls are queued: 'by cost', 'never', 'always'.");
  m.def("queueing", [] { return kModes[static_cast<int>(queueing())]; }, "When calls are queued.");
  m.def("computing_threads", computing_threads, "How many threads compute queued calls now.");
  m.def("_inject", inject, py::arg("kind"), py::arg("device") = 0, py::arg("count") = 1, py::arg("seconds") = 0.0,
        "For tests: the next `count` calls on a device of the CPU are delayed, fail, or get no memory.");
}

}  // namespace weft
