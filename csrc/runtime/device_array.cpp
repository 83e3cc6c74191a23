// Arrays of devices: made, waited for, and copied between the host and the devices.
#include "weft/array.h"

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

// The same elements under another word of where they belong.
PyObject* share(ArrayObject* array, bool committed) {
  if (array->committed == committed) return Py_NewRef(reinterpret_cast<PyObject*>(array));
  return share_array(array, array->rank, array->dims, committed);
}

PyObject* from_numpy(PyObject* source, bool copy) {
  return PyObject_CallMethod(reinterpret_cast<PyObject*>(array_class), "from_numpy", "OO", source,
                             copy ? Py_True : Py_False);
}

PyObject* put_on_cpu(PyObject* source, bool committed) {
  Ref made;
  if (is_array(source) && reinterpret_cast<ArrayObject*>(source)->device) {
    Ref copy(host_copy(reinterpret_cast<ArrayObject*>(source)));
    if (copy) made = Ref(from_numpy(copy.get(), false));  // nobody writes to that copy
  } else if (is_array(source)) {
    return share(reinterpret_cast<ArrayObject*>(source), committed);
  } else {
    made = Ref(from_numpy(source, true));
  }
  if (made) reinterpret_cast<ArrayObject*>(made.get())->committed = committed;
  return made.release();
}

}  // namespace

void set_device_error(const DeviceError& error) {
  PyErr_SetString(error.no_memory ? PyExc_MemoryError : PyExc_RuntimeError, error.what());
}

bool wait_until_ready(ArrayObject* array) {
  Event* event = array->block ? array->block->ready : nullptr;
  if (!event) return true;
  retain(event);
  bool ok = without_gil([&] { event->device->wait(*event); });
  if (ok && array->block->ready == event) {
    array->block->ready = nullptr;
    drop(event);
  }
  drop(event);
  return ok;
}

PyObject* host_copy(ArrayObject* array) {
  if (array->owner) return Py_NewRef(array->owner);
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
  if (device.platform == Platform::cpu) return put_on_cpu(source, committed);
  Ref host = is_array(source) ? Ref::borrow(source) : Ref(from_numpy(source, false));
  if (!host) return nullptr;
  auto* array = reinterpret_cast<ArrayObject*>(host.get());
  if (array->device == &device) return share(array, committed);
  Block* block = nullptr;
  std::size_t bytes = bytes_of(array);
  bool ok = without_gil([&] {
    block = device.take(bytes);
    device.receive(block->address, array->device ? *array->device : cpu_device(), array->data, bytes);
    block->ready = device.record("");
  });
  if (!ok) {
    if (block) drop(block);
    return nullptr;
  }
  return make_array(array->dtype, array->rank, array->dims, block, committed);
}

}  // namespace weft
