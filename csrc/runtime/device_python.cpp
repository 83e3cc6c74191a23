// weft.Device, and the functions of weft._runtime that deal with devices.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "weft/array.h"
#include "weft/cublas.h"
#include "weft/party.h"
#include "weft/placement.h"

namespace py = pybind11;

namespace weft {
namespace {

py::object object_of(Device& device) { return py::cast(&device, py::return_value_policy::reference); }

py::dict memory_stats(Device& device) {
  DeviceMemory memory = device.memory();
  py::dict stats;
  stats["bytes_in_use"] = memory.used;
  stats["bytes_kept"] = memory.kept;
  stats["bytes_limit"] = memory.total;
  stats["taken"] = memory.taken;
  stats["from_system"] = memory.from_system;
  return stats;
}

// Where an operation on these would run, if not on the CPU.
py::object elsewhere(const py::args& values) {
  if (!gpus_in_use) return py::none();
  Placement placement;
  note_all(placement, values.ptr());
  if (placement.conflicting >= 0) {
    throw py::value_error(
        "Received incompatible devices for an operation: arrays are committed to different devices, " +
        placement.committed->name() + " among them; weft.device_put puts them on one");
  }
  Device& device = placement.committed ? *placement.committed : default_device();
  return device.platform == Platform::cpu ? py::none() : object_of(device);
}

}  // namespace

PyObject* device_object(Device* device) {
  try {
    return object_of(device ? *device : cpu_device()).release().ptr();
  } catch (py::error_already_set& error) {
    error.restore();
    return nullptr;
  }
}

void add_device_functions(py::module_& m) {
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const DeviceError& error) {
      set_device_error(error);
    }
  });
  py::class_<Device, std::unique_ptr<Device, py::nodelete>>(m, "Device", "A place where arrays lie and programs run.")
      .def_property_readonly(
          "platform", [](const Device& d) { return d.platform == Platform::cpu ? "cpu" : "gpu"; }, "'cpu' or 'gpu'.")
      .def_property_readonly(
          "device_kind", [](const Device& d) { return d.kind; }, "The model's name; 'cpu' for the CPU.")
      .def_property_readonly(
          "id", [](const Device& d) { return d.id; }, "Its number on its platform.")
      .def_property_readonly(
          "process_index", [](const Device&) { return 0; }, "The process that it belongs to.")
      .def_property_readonly(
          "architecture", [](Device& d) { return d.architecture(); },
          "What programs are compiled for: 'sm_90', say; 'host' for the CPU.")
      .def_property_readonly(
          "driver", [](Device& d) { return d.driver(); }, "The CUDA version of the driver, as '12.4'; '' for the CPU.")
      .def("memory_stats", memory_stats, "Bytes that arrays hold, that the pool keeps, and that there are.")
      .def("trim", &Device::trim, py::call_guard<py::gil_scoped_release>(),
           "Give what the pool keeps back to the driver.")
      .def(
          "synchronize", [](Device& d) { d.synchronise(""); }, py::call_guard<py::gil_scoped_release>(),
          "Wait for all that is queued.")
      .def("__repr__", &Device::name);
  // References that nobody drops: a device has one Python object for ever.
  object_of(cpu_device()).inc_ref();
  m.def("cpu_device", [] { return object_of(cpu_device()); }, "The first device of the CPU.");
  m.def(
      "cpu_devices",
      [] {
        py::list found;
        for (Device* device : cpu_devices()) {
          py::object object = object_of(*device);
          if (Py_REFCNT(object.ptr()) == 1) object.inc_ref();  // one Python object for ever
          found.append(object);
        }
        return found;
      },
      "The CPU's devices.");
  m.def("set_cpu_devices", set_cpu_devices, py::arg("count"), "How many devices the CPU has.");
  m.def(
      "gpu_devices",
      [] {
        py::list found;
        for (Device* device : gpu_devices()) found.append(object_of(*device));
        static bool kept = (py::list(found).release(), true);
        (void)kept;
        return found;
      },
      "The GPUs; RuntimeError says why there is none.");
  m.def("default_device", [] { return object_of(default_device()); }, "Where data goes that is not told where to.");
  m.def(
      "chosen_device", [] { return chosen_device() ? object_of(*chosen_device()) : py::none(); },
      "What set_default_device set for this thread, or None.");
  m.def(
      "set_default_device", [](Device* device) { set_default_device(device); }, py::arg("device").none(true),
      "Choose this thread's default device; None: the process's.");
  m.def(
      "device_put",
      [](const py::object& x, Device& device, bool committed) {
        PyObject* made = put_on_device(x.ptr(), device, committed);
        if (!made) throw py::error_already_set();
        return py::reinterpret_steal<py::object>(made);
      },
      py::arg("x"), py::arg("device"), py::arg("committed"), "A weft.Array on a device.");
  m.def(
      "placed",
      [](const py::object& made, const py::args& operands) {
        PyObject* done = placed(py::object(made).release().ptr(), {operands.ptr()});
        if (!done) throw py::error_already_set();
        return py::reinterpret_steal<py::object>(done);
      },
      py::arg("made"), "Fresh arrays, noted as of the CPU's device on which an operation on these operands runs.");
  m.def("elsewhere", elsewhere, "The device on which an operation on these values runs; None: the CPU.");
  m.def("set_cublas_paths", set_cublas_paths, py::arg("paths"), "Where cuBLAS may lie.");
  m.def("cublas_library", cublas_library, "The library that matrix products on GPUs run on, or ''.");
  m.def("gpus_opened", gpus_opened, "Whether the GPUs' driver was asked for.");
  m.def("set_nccl_paths", set_nccl_paths, py::arg("paths"), "Where NCCL may lie, if WEFT_NCCL does not say.");
  m.def("nccl_library", nccl_library, "The library for collectives between GPUs; RuntimeError says why there is none.");
  m.def("nccl_version", nccl_version, "Its version.");
  m.def(
      "exchange_id", [] { return py::bytes(exchange_id()); },
      "A new id for GPUs of several processes that communicate.");
}

}  // namespace weft
