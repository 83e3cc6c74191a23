// Around the entry of a plan for devices: arguments brought to the device, and what was written brought back.
#include "weft/device_run.h"
#include "weft/pieces.h"
#include "weft/signature.h"

namespace weft {
namespace {

constexpr std::size_t kLong = 64 * 1024;  // bytes worth letting other threads run for

std::size_t bytes_of(const Leaf& leaf, npy_intp item) {
  npy_intp bytes = item;
  for (int axis = 0; axis < leaf.rank; ++axis) bytes *= leaf.dims[axis];
  return static_cast<std::size_t>(bytes);
}

// What a call brings to the device for as long as it is queued.
class Guests {
 public:
  explicit Guests(Device& device) : device_(device) {}
  Guests(const Guests&) = delete;
  Guests& operator=(const Guests&) = delete;
  ~Guests() {
    for (Guest& guest : guests_) {
      if (guest.block) drop(guest.block);
      Py_XDECREF(guest.array);
    }
  }

  // Where the entry finds a leaf: scalars in the host's memory, other arrays in the device's. Null with a Python error.
  void* add(const Frame& frame, std::size_t index, Leaf& leaf) {
    if (!is_array_leaf(leaf.tag)) return leaf.address();
    if (leaf.tag == Tag::weft_array) {
      auto* array = reinterpret_cast<ArrayObject*>(leaf.object);
      if (on_host(array) && !settle(array)) return nullptr;
      if (leaf.rank == 0) return on_host(array) ? leaf.data : host_data(array);
      if (ArrayObject* copy = copy_on(array, device_)) array = copy;
      if (!gathered(array)) return nullptr;
      if (array->device == &device_) return array->data;
      return bring(leaf, PyDataType_ELSIZE(array->descr), on_host(array) ? nullptr : array->device, array->data, index,
                   nullptr);
    }
    std::size_t owner = leaf.alias >= 0 ? static_cast<std::size_t>(leaf.alias) : index;
    for (Guest& guest : guests_) {
      if (guest.leaf == owner) return guest.block ? guest.block->address : guest.data;
    }
    const Leaf& first = frame.leaves[owner];
    auto* array = reinterpret_cast<PyArrayObject*>(first.object);
    PyArray_Descr* descr = PyArray_DescrFromType(first.dtype);
    if (!descr) return nullptr;
    npy_intp item = PyDataType_ELSIZE(descr);
    PyObject* copy = nullptr;
    if (leaf.plain) {
      Py_DECREF(descr);
    } else {
      copy = PyArray_FromArray(array, descr, NPY_ARRAY_CARRAY | NPY_ARRAY_ENSURECOPY);
      if (!copy) return nullptr;
    }
    void* data = copy ? PyArray_DATA(reinterpret_cast<PyArrayObject*>(copy)) : leaf.data;
    if (leaf.rank > 0) return bring(leaf, item, nullptr, data, owner, copy);
    if (copy) guests_.push({nullptr, copy, data, 0, owner});
    return data;
  }

  // Brings what the plan writes back to NumPy's arrays; waits.
  bool write_back(const Plan& plan, const Frame& frame) {
    Small<std::size_t, 8> written;
    for (int number : plan.mutates) {
      const Leaf& leaf = frame.leaves[static_cast<std::size_t>(number)];
      std::size_t owner = leaf.alias >= 0 ? static_cast<std::size_t>(leaf.alias) : static_cast<std::size_t>(number);
      for (std::size_t index = 0; index < guests_.size(); ++index) {
        if (guests_[index].leaf == owner) written.push(index);
      }
    }
    if (written.size() == 0) return true;
    try {
      Unlocked unlocked;
      for (std::size_t index : written) {
        const Guest& guest = guests_[index];
        if (guest.block) device_.download(guest.data, guest.block->address, guest.bytes);
      }
      device_.synchronise(plan.name);
    } catch (const DeviceError& error) {
      set_device_error(error);
      try {
        device_.synchronise(plan.name);  // what is on its way must arrive before the arrays may go
      } catch (const DeviceError&) {
      }
      return false;
    }
    bool ok = true;
    for (std::size_t index : written) {
      const Guest& guest = guests_[index];
      auto* array = reinterpret_cast<PyArrayObject*>(frame.leaves[guest.leaf].object);
      if (guest.array && PyArray_CopyInto(array, reinterpret_cast<PyArrayObject*>(guest.array)) < 0) ok = false;
    }
    return ok;
  }

 private:
  struct Guest {
    Block* block;     // null: a scalar, which stays on the host
    PyObject* array;  // the row-major stand-in of one that is not, or null
    void* data;       // on the host
    std::size_t bytes, leaf;
  };

  static void* host_data(ArrayObject* array) {
    Ref copy(host_copy(array));  // which the array keeps
    return copy ? PyArray_DATA(reinterpret_cast<PyArrayObject*>(copy.get())) : nullptr;
  }

  void* bring(const Leaf& leaf, npy_intp item, Device* from, const void* data, std::size_t owner, PyObject* copy) {
    std::size_t bytes = bytes_of(leaf, item);
    Ref hold(copy);
    Block* block = nullptr;
    auto move = [&] { device_.receive(block->address, from ? *from : cpu_device(), data, bytes); };
    try {
      block = device_.take(bytes);
      if (bytes < kLong) {
        move();
      } else {
        Unlocked unlocked;
        move();
      }
    } catch (const DeviceError& error) {
      if (block) drop(block);
      set_device_error(error);
      return nullptr;
    }
    guests_.push({block, hold.release(), const_cast<void*>(data), bytes, owner});
    return block->address;
  }

  Device& device_;
  Small<Guest, 8> guests_;
};

}  // namespace

PyObject* run_on_device(Plan& plan, Frame& frame) {
  Device* device = frame.target();
  if (!device) return nullptr;
  const Kernels::Loaded* loaded = plan.kernels->on(*device, plan.name);
  if (!loaded) return nullptr;
  Guests guests(*device);
  Small<void*, 16> inputs;
  for (std::size_t index = 0; index < frame.leaves.size(); ++index) {
    void* address = guests.add(frame, index, frame.leaves[index]);
    if (!address) return nullptr;
    inputs.push(address);
  }
  DeviceRun state(plan, *device, *loaded);
  state.place(frame.placement.committed != nullptr, nullptr);
  int status = state.call(inputs.data(), frame.table());
  if (!plan.mutates.empty()) {
    // Also when a kernel failed: what was written before stays written, as in Python.
    if (status == WEFT_OK) {
      if (!guests.write_back(plan, frame)) return nullptr;
    } else {
      SavedError error;
      if (!guests.write_back(plan, frame)) PyErr_Clear();
    }
  }
  return status == WEFT_OK ? build_value(state, plan, frame) : nullptr;
}

}  // namespace weft
