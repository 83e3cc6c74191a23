#include "weft/host_gang.h"

#include <algorithm>
#include <cstring>

#include "weft/threads.h"

namespace weft {
namespace {

npy_intp item_bytes(const Leaf& leaf) {
  if (leaf.tag == Tag::weft_array) return PyDataType_ELSIZE(reinterpret_cast<ArrayObject*>(leaf.object)->descr);
  PyArray_Descr* descr = PyArray_DescrFromType(leaf.dtype);
  npy_intp bytes = PyDataType_ELSIZE(descr);
  Py_DECREF(descr);
  return bytes;
}

// NumPy arrays over what the members of a group gave. Needs the GIL.
PyObject* views_of(const std::vector<const WeftView*>& views) {
  Ref list(PyList_New(static_cast<Py_ssize_t>(views.size())));
  for (std::size_t k = 0; list && k < views.size(); ++k) {
    const WeftView& view = *views[k];
    PyArray_Descr* descr = PyArray_DescrFromType(view.dtype);
    PyObject* array =
        descr ? PyArray_NewFromDescr(&PyArray_Type, descr, view.rank, reinterpret_cast<const npy_intp*>(view.dims),
                                     nullptr, view.data, NPY_ARRAY_CARRAY, nullptr)
              : nullptr;
    if (!array) return nullptr;
    PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(k), array);
  }
  return list.release();
}

}  // namespace

HostGang::HostGang(Plan& plan, double bytes) : Gang(plan, bytes) {
  for (int rank = 0; rank < count_; ++rank) {
    const Device& device = *spmd_.devices[static_cast<std::size_t>(rank)];
    add_device(device);
    parts_.push_back(std::make_unique<Part>(plan, device));
    run(rank).join(this, rank);
  }
}

HostGang::~HostGang() {
  for (Block* block : blocks_) drop(block);
}

bool HostGang::split(Frame& frame) {
  if (spmd_.rows.size() != frame.leaves.size()) {
    PyErr_Format(PyExc_RuntimeError, "an spmd plan splits %zu leaves of %zu", spmd_.rows.size(), frame.leaves.size());
    return false;
  }
  for (std::size_t index = 0; index < frame.leaves.size(); ++index) {
    const Leaf& leaf = frame.leaves[index];
    const std::vector<int>& rows = spmd_.rows[index];
    bool splits = !rows.empty();
    if (splits && !has_rows(frame, index)) return false;
    npy_intp bytes = is_array_leaf(leaf.tag) ? item_bytes(leaf) : 0;
    for (int axis = splits ? 1 : 0; axis < leaf.rank; ++axis) {
      table_.push_back(leaf.dims[axis]);
      bytes *= leaf.dims[axis];
    }
    for (int rank = 0; rank < count_; ++rank) {
      char* place = static_cast<char*>(operands[index]) + (splits ? rows[static_cast<std::size_t>(rank)] * bytes : 0);
      parts_[static_cast<std::size_t>(rank)]->inputs.push_back(place);
    }
  }
  table_.insert(table_.end(), frame.ints.begin(), frame.ints.end());
  return true;
}

bool HostGang::prepare(Prepared* results, bool queued) {
  dims_.reserve(plan_.results.size() * (NPY_MAXDIMS + 1));  // so that it stays where it is
  for (std::size_t k = 0; k < plan_.results.size(); ++k) {
    const Result& wanted = plan_.results[k];
    if (wanted.kind == Kind::leaf || !wanted.sized) continue;
    const std::vector<int>& owners = spmd_.owners[k];
    bool stacks = !owners.empty();
    npy_intp* dims = dims_.data() + dims_.size();
    dims_.push_back(static_cast<npy_intp>(owners.size()));
    npy_intp bytes = wanted.item_bytes;
    for (const Affine& size : wanted.dims) {
      dims_.push_back(size.at(table_.data()));
      bytes *= dims_.back();
    }
    auto rank = static_cast<int>(wanted.dims.size());
    Block* block = results->add(k, stacks ? rank + 1 : rank, stacks ? dims : dims + 1, queued ? &event() : nullptr);
    if (!block) return false;
    retain(block);
    blocks_.push_back(block);
    for (std::size_t row = 0; row < std::max(owners.size(), std::size_t{1}); ++row) {
      // An empty result has an address, too.
      auto part = static_cast<std::size_t>(stacks ? owners[row] : 0);
      char* place = static_cast<char*>(block->address) + static_cast<npy_intp>(row) * bytes;
      parts_[part]->run.give(k, place, rank, dims + 1);
    }
  }
  return true;
}

bool HostGang::collect(Prepared* results) {
  for (std::size_t k = 0; k < plan_.results.size(); ++k) {
    const Result& wanted = plan_.results[k];
    if (wanted.kind == Kind::leaf || wanted.sized) continue;
    const std::vector<int>& owners = spmd_.owners[k];
    bool stacks = !owners.empty();
    FreeRun::Shape first = run(0).made(k);
    std::vector<npy_intp> dims{static_cast<npy_intp>(owners.size())};
    dims.insert(dims.end(), first.dims, first.dims + first.rank);
    auto bytes = static_cast<std::size_t>(wanted.item_bytes);
    for (int axis = 0; axis < first.rank; ++axis) bytes *= static_cast<std::size_t>(first.dims[axis]);
    Block* block =
        results->add(k, stacks ? first.rank + 1 : first.rank, stacks ? dims.data() : dims.data() + 1, nullptr);
    if (!block) return false;
    for (std::size_t row = 0; row < std::max(owners.size(), std::size_t{1}); ++row) {
      int rank = stacks ? owners[row] : 0;
      FreeRun::Shape part = run(rank).made(k);
      if (!part.memory || part.rank != first.rank || !std::equal(part.dims, part.dims + part.rank, first.dims)) {
        PyErr_Format(PyExc_ValueError,
                     "result %zu of '%s' has different shapes on devices 0 and %d, and cannot be stacked", k,
                     plan_.name, rank);
        return false;
      }
      std::memcpy(static_cast<char*>(block->address) + row * bytes, part.memory, bytes);
    }
  }
  return true;
}

int HostGang::execute(int rank) {
  Part& part = *parts_[static_cast<std::size_t>(rank)];
  return part.run.execute(part.inputs.data(), table_.data());
}

weft_i64 HostGang::divisible(const Meeting& meeting) const {
  return meeting.collective.outer ? 0 : extent(meeting.collective, *meeting.operands[0], meeting.members.size());
}

bool HostGang::exchange(const Meeting& meeting) {
  if (!meeting.collective.outer) {
    exchange(meeting, 0, divisible(meeting));
    return true;
  }
  WithGil gil;
  Ref given(views_of(meeting.operands)), wanted(views_of(meeting.results));
  PyObject* outer = meeting.collective.outer.get();
  Ref done(given && wanted ? PyObject_CallFunctionObjArgs(outer, given.get(), wanted.get(), nullptr) : nullptr);
  if (!done) run(meeting.members[0]).take_error();
  return static_cast<bool>(done);
}

void HostGang::exchange(const Meeting& meeting, weft_i64 lo, weft_i64 hi) {
  weft::exchange(meeting.collective, meeting.operands.data(), meeting.results.data(), meeting.members.size(), lo, hi);
}

PyObject* run_spmd(Plan& plan, Frame& frame) {
  Held<HostGang> gang(new HostGang(plan, argument_bytes(frame)));
  // A callback may itself wait for calls on these devices: it runs in the caller's thread.
  bool open = queueing() != Queueing::never && queues_open() && !plan.ordered;
  double bytes = 0;
  bool queued = open && wants_queue(plan, frame, &bytes);
  if (!queued && frame.pending && !wait_for_arguments(frame)) return nullptr;
  Prepared results(plan);
  if (!gang->operands.add(frame, *gang, queued) || !gang->split(frame) ||
      !gang->prepare(&results, queued && plan.queues)) {
    return nullptr;
  }
  if (queued) {
    gang->queued();
    gang->set_hands(std::min(static_cast<int>(plan.spmd->devices.size()), thread_count()));
    if (!submit(gang.get())) return nullptr;
    if (!plan.queues && !wait_for(gang->event())) return nullptr;
  } else {
    Stopwatch watch;
    {
      Unlocked unlocked;
      gang->work();
    }
    if (bytes > 0) plan.cost.note(watch.nanoseconds(), bytes);
    if (!gang->succeeded()) return nullptr;
  }
  if (!plan.queues && !gang->collect(&results)) return nullptr;
  return build_value(results, plan, frame);
}

}  // namespace weft
