#include "weft/device_gang.h"

#include <algorithm>

#include "weft/party.h"
#include "weft/pieces.h"

namespace weft {

// The run of one GPU.
class DeviceGang::Part final : public DeviceRun {
 public:
  Part(Plan& plan, Device& device, const Kernels::Loaded& loaded, DeviceGang& gang, int rank)
      : DeviceRun(plan, device, loaded), gang_(gang), rank_(rank) {
    host = host_entry;
  }
  ~Part() override {
    for (Block* block : guests) drop(block);  // who gets the memory next queues behind its last use
  }

  using DeviceRun::conclude;
  using DeviceRun::device_;
  using DeviceRun::execute;

  std::vector<void*> inputs;
  std::vector<Block*> guests;

 protected:
  void await() override {
    Event* event = device_.record(plan_.name);
    gang_.pause(rank_, [&] {
      try {
        device_.wait(*event);
      } catch (const DeviceError&) {  // which the part sees itself
      }
    });
    try {
      device_.wait(*event);
    } catch (...) {
      drop(event);
      throw;
    }
    drop(event);
  }

 private:
  static int host_entry(WeftContext* context, int id, int count, const WeftView* views) {
    auto& self = *static_cast<Part*>(context);
    if (id >= 0 && static_cast<std::size_t>(id) < self.plan_.host.size()) {
      PyObject* function = self.plan_.host[static_cast<std::size_t>(id)].get();
      if (is_collective(function)) return self.gang_.meet(self.rank_, collective_of(function), count, views);
    }
    int status = WEFT_ERROR;
    Fiber::outside([&] {
      WithGil gil;
      status = self.call_host(id, count, views);
    });
    return status;
  }

  DeviceGang& gang_;
  int rank_;
};

// What `build_value` asks for the results.
class DeviceGang::Whole final : public Run {
 public:
  Whole(Plan& plan, DeviceGang& gang) : Run(plan), gang_(gang) {}
  PyObject* value(std::size_t k) override { return gang_.result(k); }

 private:
  DeviceGang& gang_;
};

DeviceGang::DeviceGang(Plan& plan) : Gang(plan, 0) {}
DeviceGang::~DeviceGang() = default;

// -- arguments --------------------------------------------------------------------------------------------------------

bool DeviceGang::split(Frame& frame) {
  if (spmd_.rows.size() != frame.leaves.size()) {
    PyErr_Format(PyExc_RuntimeError, "an spmd plan splits %zu leaves of %zu", spmd_.rows.size(), frame.leaves.size());
    return false;
  }
  for (int rank = 0; rank < count_; ++rank) {
    Device& device = *spmd_.devices[static_cast<std::size_t>(rank)];
    const Kernels::Loaded* loaded = plan_.kernels->on(device, plan_.name);
    if (!loaded) return false;
    parts_.push_back(std::make_unique<Part>(plan_, device, *loaded, *this, rank));
    parts_.back()->place(true, nullptr);
  }
  for (std::size_t index = 0; index < frame.leaves.size(); ++index) {
    const Leaf& leaf = frame.leaves[index];
    bool splits = !spmd_.rows[index].empty();
    if (splits && !has_rows(frame, index)) return false;
    for (int axis = splits ? 1 : 0; axis < leaf.rank; ++axis) table_.push_back(leaf.dims[axis]);
    if (!add(frame, index)) return false;
  }
  table_.insert(table_.end(), frame.ints.begin(), frame.ints.end());
  return true;
}

bool DeviceGang::add(Frame& frame, std::size_t index) {
  Leaf& leaf = frame.leaves[index];
  const std::vector<int>& rows = spmd_.rows[index];
  if (!is_array_leaf(leaf.tag)) {
    for (auto& part : parts_) part->inputs.push_back(leaf.address());
    return true;
  }
  Device* source = nullptr;  // the host
  void* data = leaf.data;
  npy_intp bytes;
  bool scalar = leaf.rank == (rows.empty() ? 0 : 1);  // which the entry finds in the host's memory
  if (leaf.tag == Tag::weft_array) {
    auto* array = reinterpret_cast<ArrayObject*>(leaf.object);
    bytes = PyDataType_ELSIZE(array->descr);
    if (array->pieces && !scalar && take_pieces(*array, rows)) return true;
    if (on_host(array)) {
      if (!settle(array)) return false;
    } else if (scalar) {
      kept_.emplace_back(host_copy(array));
      if (!kept_.back()) return false;
      data = PyArray_DATA(reinterpret_cast<PyArrayObject*>(kept_.back().get()));
    } else {
      if (!gathered(array)) return false;
      source = array->device;
      data = array->data;
    }
  } else {
    auto* array = reinterpret_cast<PyArrayObject*>(leaf.object);
    PyArray_Descr* descr = PyArray_DescrFromType(leaf.dtype);
    if (!descr) return false;
    bytes = PyDataType_ELSIZE(descr);
    if (leaf.plain) {
      Py_DECREF(descr);
    } else {
      kept_.emplace_back(PyArray_FromArray(array, descr, NPY_ARRAY_CARRAY | NPY_ARRAY_ENSURECOPY));
      if (!kept_.back()) return false;
      data = PyArray_DATA(reinterpret_cast<PyArrayObject*>(kept_.back().get()));
    }
  }
  for (int axis = rows.empty() ? 0 : 1; axis < leaf.rank; ++axis) bytes *= leaf.dims[axis];
  for (int rank = 0; rank < count_; ++rank) {
    npy_intp row = rows.empty() ? 0 : rows[static_cast<std::size_t>(rank)];
    char* place = static_cast<char*>(data) + row * bytes;
    if (scalar) {
      parts_[static_cast<std::size_t>(rank)]->inputs.push_back(place);
    } else if (!bring(rank, source, place, static_cast<std::size_t>(bytes))) {
      return false;
    }
  }
  return true;
}

// The pieces of an array that lie where they are wanted, as they are wanted: all of them, or nothing is taken.
bool DeviceGang::take_pieces(const ArrayObject& array, const std::vector<int>& rows) {
  const Pieces& pieces = *array.pieces;
  bool fits = pieces.arrays.size() == parts_.size() && pieces.rows == rows && pieces.form != Pieces::Form::divided;
  for (std::size_t rank = 0; fits && rank < parts_.size(); ++rank) {
    fits = pieces[rank]->device == spmd_.devices[rank];
  }
  for (std::size_t rank = 0; fits && rank < parts_.size(); ++rank) {
    parts_[rank]->inputs.push_back(pieces[rank]->data);
  }
  return fits;
}

bool DeviceGang::bring(int rank, Device* source, const void* data, std::size_t bytes) {
  Part& part = *parts_[static_cast<std::size_t>(rank)];
  if (source == &part.device_) {
    part.inputs.push_back(const_cast<void*>(data));
    return true;
  }
  try {
    Unlocked unlocked;
    Block* block = part.device_.take(bytes);
    part.guests.push_back(block);
    part.inputs.push_back(block->address);
    part.device_.receive(block->address, source ? *source : cpu_device(), data, bytes);
    return true;
  } catch (const DeviceError& error) {
    set_device_error(error);
    return false;
  }
}

// -- the run ----------------------------------------------------------------------------------------------------------

int DeviceGang::execute(int rank) {
  Part& part = *parts_[static_cast<std::size_t>(rank)];
  return part.execute(part.inputs.data(), table_.data());
}

bool DeviceGang::exchange(const Meeting& meeting) {
  Party party;
  party.first = meeting.collective.first;
  party.total = meeting.collective.total;
  party.id = meeting.collective.id;
  for (int member : meeting.members) party.devices.push_back(spmd_.devices[static_cast<std::size_t>(member)]);
  exchange_on(party, meeting.collective, meeting.operands.data(), meeting.results.data());
  return true;
}

void DeviceGang::raise(int rank, int status) { parts_[static_cast<std::size_t>(rank)]->conclude(status); }

// -- results ----------------------------------------------------------------------------------------------------------

PyObject* DeviceGang::value(const Frame& frame) {
  Whole whole(plan_, *this);
  return build_value(whole, plan_, frame);
}

PyObject* DeviceGang::result(std::size_t k) {
  const std::vector<int>& rows = spmd_.outs[k];
  auto pieces = std::make_unique<Pieces>();
  pieces->form = rows.empty() ? Pieces::Form::equal : Pieces::Form::rows;
  pieces->rows = rows;
  for (auto& part : parts_) {
    pieces->arrays.emplace_back(part->value(k));
    if (!pieces->arrays.back()) return nullptr;
  }
  const ArrayObject& first = *(*pieces)[0];
  for (std::size_t rank = 1; rank < parts_.size(); ++rank) {
    const ArrayObject& other = *(*pieces)[rank];
    if (other.rank == first.rank && std::equal(other.dims, other.dims + other.rank, first.dims)) continue;
    return PyErr_Format(PyExc_ValueError,
                        "result %zu of '%s' has different shapes on devices 0 and %zu, and cannot be stacked", k,
                        plan_.name, rank);
  }
  std::vector<npy_intp> dims(first.dims, first.dims + first.rank);
  if (!rows.empty()) dims.insert(dims.begin(), *std::max_element(rows.begin(), rows.end()) + 1);
  return make_in_pieces(pieces.release(), static_cast<int>(dims.size()), dims.data());
}

PyObject* run_spmd_on_devices(Plan& plan, Frame& frame) {
  Held<DeviceGang> gang(new DeviceGang(plan));
  if (!gang->split(frame)) return nullptr;
  {
    Unlocked unlocked;
    gang->work();
  }
  return gang->succeeded() ? gang->value(frame) : nullptr;
}

}  // namespace weft
