// Arrays of devices: made, waited for, and copied between the host and the devices.
#include <utility>

#include "weft/array.h"
#include "weft/pieces.h"
#include "weft/placement.h"
#include "weft/queue.h"

namespace weft {
namespace {

std::size_t bytes_of(const ArrayObject* array) {
  npy_intp bytes = PyDataType_ELSIZE(array->descr);
  for (int axis = 0; axis < array->rank; ++axis) bytes *= array->dims[axis];
  return static_cast<std::size_t>(bytes);
}

// Runs what may throw a DeviceError without the GIL; false with the Python error set.
template <class F>
bool without_gil(F body) {
  try {
    Unlocked unlocked;
    body();
    return true;
  } catch (const DeviceError& error) {  // the GIL is back: `unlocked` is gone
    set_device_error(error);
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  }
  return false;
}

// The same elements under another word of where they belong: on `device`, which has the memory they lie in.
PyObject* share(ArrayObject* array, Device& device, bool committed) {
  Device* where = noted(&device);
  if (!gathered(array)) return nullptr;
  if (array->committed == committed && array->device == where && !array->sharding) {
    return Py_NewRef(reinterpret_cast<PyObject*>(array));
  }
  PyObject* made = share_array(array, array->rank, array->dims, committed);
  if (!made) return nullptr;
  auto* result = reinterpret_cast<ArrayObject*>(made);
  result->device = where;
  drop(std::exchange(result->pieces, nullptr));  // it is meant to lie here
  return made;
}

PyObject* from_numpy(PyObject* source, bool copy) {
  return PyObject_CallMethod(reinterpret_cast<PyObject*>(array_class), "from_numpy", "OO", source,
                             copy ? Py_True : Py_False);
}

PyObject* put_on_cpu(PyObject* source, Device& device, bool committed) {
  Ref made;
  if (is_array(source) && !on_host(reinterpret_cast<ArrayObject*>(source))) {
    Ref copy(host_copy(reinterpret_cast<ArrayObject*>(source)));
    if (copy) made = Ref(from_numpy(copy.get(), false));  // nobody writes to that copy
  } else if (is_array(source)) {
    return share(reinterpret_cast<ArrayObject*>(source), device, committed);
  } else {
    made = Ref(from_numpy(source, true));
  }
  if (!made) return nullptr;
  auto* array = reinterpret_cast<ArrayObject*>(made.get());
  array->committed = committed;
  array->device = noted(&device);
  return made.release();
}

}  // namespace

void set_device_error(const DeviceError& error) {
  PyErr_SetString(error.no_memory ? PyExc_MemoryError : PyExc_RuntimeError, error.what());
}

bool wait_until_ready(ArrayObject* array) {
  for (std::size_t k = 0; array->pieces && k < array->pieces->arrays.size(); ++k) {
    if (!settle((*array->pieces)[k])) return false;
  }
  Event* event = array->block ? array->block->ready : nullptr;
  if (!event) return true;
  retain(event);
  bool ok = event->device->platform == Platform::cpu ? wait_for(static_cast<CpuEvent&>(*event))
                                                     : without_gil([&] { event->device->wait(*event); });
  if (ok && array->block->ready == event) {
    array->block->ready = nullptr;
    drop(event);
  }
  drop(event);
  return ok;
}

bool is_ready(ArrayObject* array) {
  for (std::size_t k = 0; array->pieces && k < array->pieces->arrays.size(); ++k) {
    if (!is_ready((*array->pieces)[k])) return false;
  }
  Event* event = array->block ? array->block->ready : nullptr;
  return !event || event->device->is_done(*event);
}

PyObject* host_copy(ArrayObject* array) {
  if (array->owner) return Py_NewRef(array->owner);
  if (!array->data && array->pieces) {
    Ref whole(assemble(array));
    if (!whole) return nullptr;
    PyArray_CLEARFLAGS(reinterpret_cast<PyArrayObject*>(whole.get()), NPY_ARRAY_WRITEABLE);
    if (!array->owner) array->owner = whole.release();
    return Py_NewRef(array->owner);
  }
  std::size_t bytes = bytes_of(array);
  Block* block = pool_take(bytes);
  if (!block) return PyErr_NoMemory();
  Ref made(make_numpy(array->dtype, array->rank, array->dims, block));
  if (!made) return nullptr;
  auto* target = reinterpret_cast<PyArrayObject*>(made.get());
  Ref held = Ref::borrow(reinterpret_cast<PyObject*>(array));
  Event* ready = array->block->ready;
  const char* what = ready ? ready->what : "";
  bool ok = without_gil([&] {
    array->device->download(PyArray_DATA(target), array->data, bytes);
    array->device->synchronise(what);
  });
  if (!ok) return nullptr;
  PyArray_CLEARFLAGS(target, NPY_ARRAY_WRITEABLE);
  if (!array->owner) array->owner = Py_NewRef(made.get());
  return Py_NewRef(array->owner);
}

PyObject* put_on_device(PyObject* source, Device& device, bool committed) {
  if (device.platform == Platform::cpu) return put_on_cpu(source, device, committed);
  Ref host = is_array(source) ? Ref::borrow(source) : Ref(from_numpy(source, false));
  if (!host) return nullptr;
  auto* array = reinterpret_cast<ArrayObject*>(host.get());
  if (ArrayObject* copy = copy_on(array, device)) return share(copy, device, committed);
  if (array->device == &device) return share(array, device, committed);
  if (on_host(array) ? !settle(array) : !gathered(array)) return nullptr;
  Block* block = nullptr;
  std::size_t bytes = bytes_of(array);
  bool ok = without_gil([&] {
    block = device.take(bytes);
    device.receive(block->address, on_host(array) ? cpu_device() : *array->device, array->data, bytes);
    block->ready = device.record("");
  });
  if (!ok) {
    if (block) drop(block);
    return nullptr;
  }
  return make_array(array->dtype, array->rank, array->dims, block, committed);
}

void note_all(Placement& placement, PyObject* operands) {
  if (!operands) return;
  if (is_array(operands)) {
    placement.note(reinterpret_cast<ArrayObject*>(operands), 0);
  } else if (PyTuple_Check(operands) || PyList_Check(operands)) {
    for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(operands); ++k) {
      note_all(placement, PySequence_Fast_GET_ITEM(operands, k));
    }
  } else if (PyDict_Check(operands)) {
    PyObject *key, *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(operands, &position, &key, &value)) note_all(placement, value);
  }
}

namespace {

void put(PyObject* made, Device* device, bool committed) {
  if (is_array(made)) {
    auto* array = reinterpret_cast<ArrayObject*>(made);
    if (!on_host(array)) return;
    array->device = device;
    array->committed = committed;
  } else if (PyTuple_Check(made) || PyList_Check(made)) {
    for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(made); ++k) {
      put(PySequence_Fast_GET_ITEM(made, k), device, committed);
    }
  }
}

}  // namespace

PyObject* place_like(PyObject* made, std::initializer_list<PyObject*> operands) {
  if (!made) return nullptr;
  Ref held(made);
  Placement placement;
  for (PyObject* operand : operands) note_all(placement, operand);
  if (placement.conflicting >= 0 && !placement.away) {
    PyErr_Format(PyExc_ValueError,
                 "Received incompatible devices for an operation: arrays are committed to different devices, %s among "
                 "them; weft.device_put puts them on one",
                 placement.committed->name().c_str());
    return nullptr;
  }
  try {
    Device& device = placement.committed ? *placement.committed : default_device();
    if (device.platform == Platform::cpu) put(made, noted(&device), placement.committed != nullptr);
  } catch (const DeviceError& error) {
    set_device_error(error);
    return nullptr;
  }
  return held.release();
}

}  // namespace weft
