// Around the entry: inputs made contiguous and copied back, overlaps refused, the value built.
#include "weft/device_gang.h"
#include "weft/queued.h"
#include "weft/run.h"
#include "weft/signature.h"

namespace weft {
namespace {

PyArrayObject* as_numpy(const Leaf& leaf) { return reinterpret_cast<PyArrayObject*>(leaf.object); }

// Row-major stand-ins for arrays that kernels cannot read as they are.
class Copies {
 public:
  ~Copies() {
    for (Copy& copy : copies_) Py_XDECREF(copy.array);
  }
  bool empty() const { return copies_.size() == 0; }

  void* add(const Frame& frame, std::size_t index) {
    const Leaf& leaf = frame.leaves[index];
    std::size_t owner = leaf.alias >= 0 ? static_cast<std::size_t>(leaf.alias) : index;
    for (Copy& copy : copies_) {
      if (copy.leaf == owner) return data(copy);
    }
    PyArray_Descr* descr = PyArray_DescrFromType(leaf.dtype);
    if (!descr) return nullptr;
    PyObject* array = PyArray_FromArray(as_numpy(leaf), descr, NPY_ARRAY_CARRAY | NPY_ARRAY_ENSURECOPY);
    if (!array) return nullptr;
    copies_.push({array, owner});
    return data(copies_[copies_.size() - 1]);
  }

  // Also when the kernel failed: what it wrote before stays written, as in Python.
  bool write_back(const Plan& plan, const Frame& frame) {
    bool ok = true;
    for (const Copy& copy : copies_) {
      bool mutated = false;
      for (int index : plan.mutates) {
        const Leaf& leaf = frame.leaves[static_cast<std::size_t>(index)];
        std::size_t owner = leaf.alias >= 0 ? static_cast<std::size_t>(leaf.alias) : static_cast<std::size_t>(index);
        mutated = mutated || owner == copy.leaf;
      }
      if (mutated &&
          PyArray_CopyInto(as_numpy(frame.leaves[copy.leaf]), reinterpret_cast<PyArrayObject*>(copy.array)) < 0) {
        ok = false;
      }
    }
    return ok;
  }

 private:
  struct Copy {
    PyObject* array;
    std::size_t leaf;
  };
  static void* data(const Copy& copy) { return PyArray_DATA(reinterpret_cast<PyArrayObject*>(copy.array)); }

  Small<Copy, 8> copies_;
};

struct Extent {
  const char *low, *high;
  bool meets(const Extent& other) const { return low < other.high && other.low < high; }
};

Extent extent_of(const Leaf& leaf) {
  const char* low = static_cast<const char*>(leaf.data);
  if (leaf.tag == Tag::weft_array) {
    npy_intp bytes = PyDataType_ELSIZE(reinterpret_cast<ArrayObject*>(leaf.object)->descr);
    for (int axis = 0; axis < leaf.rank; ++axis) bytes *= leaf.dims[axis];
    return {low, low + bytes};
  }
  PyArrayObject* array = as_numpy(leaf);
  const char* high = low + PyArray_ITEMSIZE(array);
  for (int axis = 0; axis < leaf.rank; ++axis) {
    npy_intp size = PyArray_DIM(array, axis), stride = PyArray_STRIDE(array, axis);
    if (size == 0) return {low, low};
    (stride < 0 ? low : high) += stride * (size - 1);
  }
  return {low, high};
}

// Whether two leaves whose extents meet share an element. What is too hard to tell counts as shared.
int share_memory(const Leaf& left, const Leaf& right) {
  Ref module(PyImport_ImportModule("numpy"));
  Ref a(left.tag == Tag::weft_array ? numpy_view(reinterpret_cast<ArrayObject*>(left.object), false)
                                    : Py_NewRef(left.object));
  Ref b(right.tag == Tag::weft_array ? numpy_view(reinterpret_cast<ArrayObject*>(right.object), false)
                                     : Py_NewRef(right.object));
  if (!module || !a || !b) return -1;
  Ref shared(PyObject_CallMethod(module.get(), "shares_memory", "OOi", a.get(), b.get(), 100000));
  if (!shared) {
    if (!PyErr_ExceptionMatches(PyExc_RuntimeError)) return -1;  // TooHardError is one
    PyErr_Clear();
    return 1;
  }
  return PyObject_IsTrue(shared.get());
}

// Kernels assume that what they write overlaps nothing else, unless it is the very same array.
bool check_mutated(const Plan& plan, const Frame& frame) {
  for (int number : plan.mutates) {
    auto index = static_cast<std::size_t>(number);
    if (index >= frame.leaves.size() || frame.leaves[index].tag != Tag::np_array) {
      std::string path = path_of_leaf(frame, index);
      PyErr_Format(PyExc_TypeError, "%s is written in place, and must be a NumPy array", path.c_str());
      return false;
    }
    const Leaf& leaf = frame.leaves[index];
    if (!PyArray_ISWRITEABLE(as_numpy(leaf))) {
      PyErr_SetString(PyExc_ValueError, "assignment destination is read-only");
      return false;
    }
    if (frame.leaves.size() == 1) continue;
    Extent mine = extent_of(leaf);
    for (std::size_t other = 0; other < frame.leaves.size(); ++other) {
      const Leaf& candidate = frame.leaves[other];
      if (!is_array_leaf(candidate.tag) || candidate.object == leaf.object) continue;
      if (!mine.meets(extent_of(candidate))) continue;
      int shared = share_memory(leaf, candidate);
      if (shared < 0) return false;
      if (!shared) continue;
      std::string first = path_of_leaf(frame, index), second = path_of_leaf(frame, other);
      PyErr_Format(
          PyExc_ValueError,
          "%s is written in place and overlaps %s in memory: pass a copy of one of them, or the same array twice",
          first.c_str(), second.c_str());
      return false;
    }
  }
  return true;
}

PyObject* build(const Node& node, PyObject* const* values) {
  auto count = static_cast<Py_ssize_t>(node.children.size());
  switch (node.make) {
    case Node::Make::leaf:
      return Py_NewRef(values[node.result]);
    case Node::Make::constant:
      return Py_NewRef(node.object.get());
    case Node::Make::list: {
      Ref list(PyList_New(count));
      for (Py_ssize_t index = 0; list && index < count; ++index) {
        PyObject* child = build(node.children[static_cast<std::size_t>(index)], values);
        if (!child) return nullptr;
        PyList_SET_ITEM(list.get(), index, child);
      }
      return list.release();
    }
    case Node::Make::dict: {
      Ref dict(PyDict_New());
      for (Py_ssize_t index = 0; dict && index < count; ++index) {
        Ref child(build(node.children[static_cast<std::size_t>(index)], values));
        if (!child || PyDict_SetItem(dict.get(), PyTuple_GET_ITEM(node.object.get(), index), child.get()) < 0) {
          return nullptr;
        }
      }
      return dict.release();
    }
    case Node::Make::tuple:
    case Node::Make::call: {
      Ref tuple(PyTuple_New(count));
      for (Py_ssize_t index = 0; tuple && index < count; ++index) {
        PyObject* child = build(node.children[static_cast<std::size_t>(index)], values);
        if (!child) return nullptr;
        PyTuple_SET_ITEM(tuple.get(), index, child);
      }
      if (!tuple || node.make == Node::Make::tuple) return tuple.release();
      return PyObject_CallObject(node.object.get(), tuple.get());
    }
  }
  return nullptr;
}

PyObject* result_value(Run& state, const Plan& plan, const Frame& frame, std::size_t k) {
  const Result& wanted = plan.results[k];
  if (wanted.kind != Kind::leaf) {
    PyObject* made = state.value(k);
    if (made && plan.spmd && !plan.spmd->shardings.empty()) {
      reinterpret_cast<ArrayObject*>(made)->sharding = Ref(plan.spmd->shardings[k]).release();
    }
    return made;
  }
  if (wanted.leaf < 0 || static_cast<std::size_t>(wanted.leaf) >= frame.leaves.size()) {
    return PyErr_Format(PyExc_RuntimeError, "result %zu is leaf %d of %zu", k, wanted.leaf, frame.leaves.size());
  }
  return Py_NewRef(frame.leaves[static_cast<std::size_t>(wanted.leaf)].object);
}

// Arrays of other devices that go along to the CPU: the frame keeps them, and they their copies.
bool bring_here(Frame& frame) {
  for (Leaf& leaf : frame.leaves) {
    if (leaf.tag != Tag::weft_array || on_host(reinterpret_cast<ArrayObject*>(leaf.object))) continue;
    Ref copy(host_copy(reinterpret_cast<ArrayObject*>(leaf.object)));
    if (!copy) return false;
    leaf.data = PyArray_DATA(reinterpret_cast<PyArrayObject*>(copy.get()));
  }
  return true;
}

}  // namespace

PyObject* build_value(Run& state, const Plan& plan, const Frame& frame) {
  if (plan.tree.make == Node::Make::leaf) {
    return result_value(state, plan, frame, static_cast<std::size_t>(plan.tree.result));
  }
  if (plan.tree.make == Node::Make::constant) return Py_NewRef(plan.tree.object.get());
  Small<PyObject*, 16> values;
  bool ok = true;
  for (std::size_t k = 0; ok && k < plan.results.size(); ++k) {
    PyObject* made = result_value(state, plan, frame, k);
    ok = made != nullptr;
    if (made) values.push(made);
  }
  PyObject* value = ok ? build(plan.tree, values.data()) : nullptr;
  for (PyObject* object : values) Py_DECREF(object);
  return value;
}

PyObject* run(Plan& plan, Frame& frame) {
  if (!plan.mutates.empty() && !check_mutated(plan, frame)) return nullptr;
  if (__builtin_expect(plan.kernels != nullptr, 0)) {
    return plan.spmd ? run_spmd_on_devices(plan, frame) : run_on_device(plan, frame);
  }
  if (__builtin_expect(frame.placement.away, 0) && !bring_here(frame)) return nullptr;
  if (__builtin_expect(plan.spmd != nullptr, 0)) return run_spmd(plan, frame);
  double bytes = 0;
  if (plan.queues && (plan.heavy || frame.pending || queueing() == Queueing::always)) {
    if (wants_queue(plan, frame, &bytes)) {
      PyObject* value = run_queued(plan, frame);
      // For sizes that the program itself refuses there is no memory either: it is asked at once.
      if (value || !PyErr_ExceptionMatches(PyExc_MemoryError)) return value;
      PyErr_Clear();
    }
  }
  if (__builtin_expect(frame.pending, 0) && !wait_for_arguments(frame)) return nullptr;
  Device* device = nullptr;
  if (__builtin_expect(devices_in_use, 0)) {
    device = frame.target();
    if (!device) return nullptr;
    device = noted(device);
  }
  Small<void*, 16> inputs;
  Copies copies;
  for (std::size_t index = 0; index < frame.leaves.size(); ++index) {
    Leaf& leaf = frame.leaves[index];
    void* address = leaf.plain ? leaf.address() : copies.add(frame, index);
    if (!address) return nullptr;
    inputs.push(address);
  }
  Run state(plan);
  state.place(frame.placement.committed != nullptr, device);
  int status;
  if (bytes > 0) {
    Stopwatch watch;
    status = state.call(inputs.data(), frame.table());
    plan.cost.note(watch.nanoseconds(), bytes);
  } else {
    status = state.call(inputs.data(), frame.table());
  }
  if (!copies.empty() && !plan.mutates.empty()) {
    if (status == WEFT_OK) {
      if (!copies.write_back(plan, frame)) return nullptr;
    } else {
      SavedError error;
      if (!copies.write_back(plan, frame)) PyErr_Clear();
    }
  }
  return status == WEFT_OK ? build_value(state, plan, frame) : nullptr;
}

}  // namespace weft
