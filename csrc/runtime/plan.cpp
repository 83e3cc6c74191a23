#include "weft/plan.h"

#include <pybind11/pybind11.h>

#include <algorithm>

#include "weft/collective.h"

namespace py = pybind11;

namespace weft {

PyTypeObject* plan_type = nullptr;

namespace {

Plan& plan_of(PyObject* object) { return reinterpret_cast<PlanObject*>(object)->plan; }

Ref own(py::handle object) { return Ref::borrow(object.ptr()); }

// What a Python caller got wrong while describing a plan.
[[noreturn]] void refuse(const std::string& message) { throw py::value_error("Plan: " + message); }

int dtype_number(py::handle object, npy_intp* item_bytes) {
  PyArray_Descr* descr = nullptr;
  if (!PyArray_DescrConverter(object.ptr(), &descr)) throw py::error_already_set();
  int number = canonical_dtype(descr->type_num);
  *item_bytes = PyDataType_ELSIZE(descr);
  Py_DECREF(descr);
  return number;
}

Affine parse_affine(py::handle constant, py::handle terms) {
  Affine size{py::cast<npy_intp>(constant), {}};
  for (py::handle term : py::cast<py::sequence>(terms)) {
    auto pair = py::cast<py::sequence>(term);
    size.terms.emplace_back(py::cast<std::size_t>(pair[0]), py::cast<npy_intp>(pair[1]));
  }
  return size;
}

Guard parse_guard(py::handle item) {
  auto parts = py::cast<py::sequence>(item);
  auto relation = py::cast<std::string>(parts[0]);
  Guard guard;
  if (relation == "==") {
    guard.relation = Guard::Relation::equal;
  } else if (relation == ">=") {
    guard.relation = Guard::Relation::at_least;
  } else if (relation == "!=") {
    guard.relation = Guard::Relation::unequal;
  } else {
    refuse("a guard's relation is '==', '>=' or '!=', not '" + relation + "'");
  }
  guard.size = parse_affine(parts[1], parts[2]);
  return guard;
}

// The first items of ("dict", d, key, ...), ("cell", cell, ...), ("attr", object, name, ...), ("value", object), and of
// what statics name besides; `used` is how many of them.
Place parse_place(const py::sequence& parts, std::size_t* used) {
  auto where = py::cast<std::string>(parts[0]);
  Place place;
  place.holder = own(parts[1]);
  *used = 2;
  if (where == "value") {
    place.where = Place::Where::value;
    return place;
  }
  if (where == "cell") {
    if (!PyCell_Check(place.holder.get())) refuse("\"cell\" wants a cell");
    place.where = Place::Where::cell;
    return place;
  }
  if (where == "code" || where == "defaults" || where == "kwdefaults") {
    if (!PyFunction_Check(place.holder.get())) refuse("\"" + where + "\" wants a function");
    place.where = where == "code"       ? Place::Where::code
                  : where == "defaults" ? Place::Where::defaults
                                        : Place::Where::keyword_defaults;
    return place;
  }
  if (where == "type") {
    place.where = Place::Where::type;
    return place;
  }
  if (where == "length") {
    if (!PyDict_Check(place.holder.get())) refuse("\"length\" wants a dict");
    place.where = Place::Where::length;
    return place;
  }
  *used = 3;
  place.name = own(parts[2]);
  if (where == "dict") {
    if (!PyDict_Check(place.holder.get())) refuse("\"dict\" wants a dict");
    place.where = Place::Where::dict;
  } else if (where == "attr") {
    place.where = Place::Where::attribute;
  } else if (where == "own") {
    place.where = Place::Where::own;
  } else if (where == "lookup") {
    if (!PyType_Check(place.holder.get())) refuse("\"lookup\" wants a class");
    place.where = Place::Where::lookup;
  } else {
    refuse("unknown place '" + where + "'");
  }
  return place;
}

Result parse_result(py::handle item) {
  auto parts = py::cast<py::sequence>(item);
  auto kind = py::cast<std::string>(parts[0]);
  Result result{Kind::leaf, Flavour::np, NPY_DOUBLE, 0, -1, 0, false, {}};
  if (kind == "leaf") {
    result.leaf = py::cast<int>(parts[4]);
    return result;
  }
  if (kind != "scalar" && kind != "array") refuse("a result is 'scalar', 'array' or 'leaf', not '" + kind + "'");
  result.kind = kind == "scalar" ? Kind::scalar : Kind::array;
  result.dtype = dtype_number(parts[1], &result.item_bytes);
  if (result.item_bytes > 16 && kind == "scalar") refuse("scalars of this dtype are not supported");
  result.rank = py::cast<int>(parts[2]);
  auto flavour = py::cast<std::string>(parts[3]);
  if (flavour == "py") {
    result.flavour = Flavour::py;
  } else if (flavour == "weft") {
    result.flavour = Flavour::weft;
  } else if (flavour != "np") {
    refuse("a flavour is 'py', 'np' or 'weft', not '" + flavour + "'");
  }
  if (result.kind == Kind::array && result.flavour == Flavour::py) refuse("an array result has no flavour 'py'");
  result.sized = result.kind == Kind::scalar;
  if (result.kind == Kind::array && py::len(parts) > 5 && !parts[5].is_none()) {
    for (py::handle size : py::cast<py::sequence>(parts[5])) {
      auto pair = py::cast<py::sequence>(size);
      result.dims.push_back(parse_affine(pair[0], pair[1]));
    }
    if (static_cast<int>(result.dims.size()) != result.rank) refuse("a result has as many sizes as axes");
    result.sized = true;
  }
  return result;
}

Node parse_tree(py::handle item, std::size_t results) {
  auto parts = py::cast<py::sequence>(item);
  auto make = py::cast<std::string>(parts[0]);
  Node node;
  std::size_t children = 1;
  if (make == "leaf") {
    node.make = Node::Make::leaf;
    node.result = py::cast<int>(parts[1]);
    if (node.result < 0 || static_cast<std::size_t>(node.result) >= results) refuse("the tree names an unknown result");
    return node;
  }
  if (make == "const") {
    node.make = Node::Make::constant;
    node.object = own(parts[1]);
    return node;
  }
  if (make == "tuple") {
    node.make = Node::Make::tuple;
  } else if (make == "list") {
    node.make = Node::Make::list;
  } else if (make == "dict") {
    node.make = Node::Make::dict;
    node.object = Ref(PySequence_Tuple(py::object(parts[1]).ptr()));
    if (!node.object) throw py::error_already_set();
    children = 2;
  } else if (make == "call") {
    node.make = Node::Make::call;
    node.object = own(parts[1]);
    children = 2;
  } else {
    refuse("unknown tree node '" + make + "'");
  }
  for (py::handle child : py::cast<py::sequence>(parts[children])) node.children.push_back(parse_tree(child, results));
  if (node.make == Node::Make::dict && static_cast<std::size_t>(Py_SIZE(node.object.get())) != node.children.size()) {
    refuse("a dict node has as many keys as children");
  }
  return node;
}

void parse_statics(Plan& plan, const py::sequence& items) {
  for (py::handle item : items) {
    auto parts = py::cast<py::sequence>(item);
    std::size_t used;
    Static entry;
    entry.place = parse_place(parts, &used);
    if (parts.size() > used) entry.expected = own(parts[used]);  // else nothing is to be there
    std::size_t index = plan.statics.size();
    if (entry.place.where == Place::Where::length && !entry.expected) refuse("\"length\" wants a number");
    PyObject* dict = entry.place.holder.get();
    bool global = entry.place.where == Place::Where::dict && PyDict_CheckExact(dict);
    plan.statics.push_back(std::move(entry));
    if (!global) {
      plan.others.push_back(index);
      continue;
    }
    auto group = plan.globals.begin();
    while (group != plan.globals.end() && group->dict.get() != dict) ++group;
    if (group == plan.globals.end()) group = plan.globals.insert(group, Globals{Ref::borrow(dict), 0, {}});
    group->items.push_back(index);
  }
}

// (names, architecture -> bytes, whether they may fail)
std::unique_ptr<Kernels> parse_kernels(py::handle item) {
  auto parts = py::cast<py::sequence>(item);
  auto kernels = std::make_unique<Kernels>();
  for (py::handle name : py::cast<py::sequence>(parts[0])) kernels->names.push_back(py::cast<std::string>(name));
  kernels->image = own(parts[1]);
  if (!PyCallable_Check(kernels->image.get())) refuse("kernels are given with a function that makes their image");
  kernels->fails = py::cast<bool>(parts[2]);
  return kernels;
}

// A row for each of `count` devices, or none: True stands for 0, 1, ..., None and False for none.
std::vector<int> parse_rows(py::handle item, std::size_t count) {
  std::vector<int> rows;
  if (py::isinstance<py::bool_>(item) || item.is_none()) {
    for (std::size_t k = 0; k < count && item.ptr() == Py_True; ++k) rows.push_back(static_cast<int>(k));
    return rows;
  }
  for (py::handle row : py::cast<py::sequence>(item)) rows.push_back(py::cast<int>(row));
  return rows;
}

// The first device that has each row.
std::vector<int> owners_of(const std::vector<int>& rows) {
  std::vector<int> owners;
  for (int row = 0; !rows.empty() && row <= *std::max_element(rows.begin(), rows.end()); ++row) {
    auto found = std::find(rows.begin(), rows.end(), row);
    if (found == rows.end()) refuse("spmd stacks rows of which one has no device");
    owners.push_back(static_cast<int>(found - rows.begin()));
  }
  return owners;
}

// (devices, rows of leaves, rows of results[, shardings])
std::unique_ptr<Spmd> parse_spmd(py::handle item) {
  auto parts = py::cast<py::sequence>(item);
  auto spmd = std::make_unique<Spmd>();
  for (py::handle device : py::cast<py::sequence>(parts[0])) spmd->devices.push_back(py::cast<Device*>(device));
  std::size_t count = spmd->devices.size();
  for (py::handle item : py::cast<py::sequence>(parts[1])) spmd->rows.push_back(parse_rows(item, count));
  for (py::handle item : py::cast<py::sequence>(parts[2])) spmd->outs.push_back(parse_rows(item, count));
  for (const auto* all : {&spmd->rows, &spmd->outs}) {
    for (const std::vector<int>& rows : *all) {
      bool outside = std::any_of(rows.begin(), rows.end(), [](int row) { return row < 0; });
      if (!rows.empty() && (rows.size() != count || outside)) refuse("spmd gives a row to each device");
    }
  }
  for (const std::vector<int>& rows : spmd->outs) spmd->owners.push_back(owners_of(rows));
  if (py::len(parts) > 3 && !parts[3].is_none()) {
    for (py::handle sharding : py::cast<py::sequence>(parts[3])) spmd->shardings.push_back(own(sharding));
  }
  for (std::size_t k = 0; k < spmd->devices.size(); ++k) {
    if (spmd->devices[k]->platform != spmd->devices[0]->platform) refuse("spmd runs on devices of one platform");
    for (std::size_t j = 0; j < k; ++j) {
      if (spmd->devices[j] == spmd->devices[k]) refuse("spmd names a device twice");
    }
  }
  if (spmd->devices.empty()) refuse("spmd names no device");
  return spmd;
}

// What an spmd plan cannot be, and whether its parts meet.
void check_spmd(Plan& plan) {
  Spmd& spmd = *plan.spmd;
  if (!plan.mutates.empty()) refuse("an spmd plan writes no argument in place");
  if (plan.kernels ? !spmd.on_gpus() : spmd.on_gpus()) refuse("an spmd plan has kernels if it runs on GPUs");
  if (spmd.owners.size() != plan.results.size()) refuse("spmd says of each result whether it is stacked");
  if (!spmd.shardings.empty() && spmd.shardings.size() != plan.results.size()) refuse("spmd has a sharding per result");
  for (std::size_t k = 0; k < plan.results.size(); ++k) {
    const Result& result = plan.results[k];
    if (result.kind != Kind::leaf) {
      if (result.flavour != Flavour::weft) refuse("an spmd plan's results have flavour 'weft'");
      continue;
    }
    auto leaf = static_cast<std::size_t>(result.leaf);
    if (leaf >= spmd.rows.size() || spmd.rows[leaf] != spmd.outs[k]) {
      refuse("a result that is an argument is stacked as the argument is split");
    }
  }
  spmd.meets = std::any_of(plan.host.begin(), plan.host.end(),
                           [](const Ref& function) { return is_collective(function.get()); });
}

// Whether calls may go on after they returned: what they return are arrays whose sizes are known before, one at least:
// else nobody could wait for them.
bool can_queue(const Plan& plan) {
  auto is_fit = [](const Result& result) {
    return result.kind == Kind::leaf || (result.flavour == Flavour::weft && result.sized);
  };
  auto is_made = [](const Result& result) { return result.kind != Kind::leaf; };
  return !plan.kernels && plan.mutates.empty() && !plan.ordered &&
         std::any_of(plan.results.begin(), plan.results.end(), is_made) &&
         std::all_of(plan.results.begin(), plan.results.end(), is_fit);
}

// The key that the captured values have now, on their own.
Key key_now(const std::vector<Place>& hidden) {
  Flattener flattener;
  Frame frame(flattener);
  for (const Place& place : hidden) {
    bool failed = false;
    Ref value = place.get(&failed);
    if (failed) throw py::error_already_set();
    if (!value) refuse("a captured value is missing");
    if (!frame.add(value.get())) throw py::error_already_set();
  }
  return Key::copy(frame, 0, 0);
}

void parse(Plan& plan, const py::object& entry, const py::dict& options) {
  plan.entry = reinterpret_cast<WeftEntry>(PyCapsule_GetPointer(entry.ptr(), "weft.entry"));
  if (!plan.entry) throw py::error_already_set();
  plan.capsule = own(entry);
  py::object tree, hidden_key = py::none();
  for (auto [key, value] : options) {
    auto name = py::cast<std::string>(key);
    if (name == "owner") {
      plan.owner = own(value);
    } else if (name == "guards") {
      for (py::handle item : py::cast<py::sequence>(value)) plan.guards.push_back(parse_guard(item));
    } else if (name == "statics") {
      parse_statics(plan, py::cast<py::sequence>(value));
    } else if (name == "hidden") {
      for (py::handle item : py::cast<py::sequence>(value)) {
        std::size_t used;
        plan.hidden.push_back(parse_place(py::cast<py::sequence>(item), &used));
      }
    } else if (name == "hidden_key") {
      hidden_key = py::reinterpret_borrow<py::object>(value);
    } else if (name == "results") {
      for (py::handle item : py::cast<py::sequence>(value)) plan.results.push_back(parse_result(item));
    } else if (name == "tree") {
      tree = py::reinterpret_borrow<py::object>(value);
    } else if (name == "mutates") {
      for (py::handle item : py::cast<py::sequence>(value)) plan.mutates.push_back(py::cast<int>(item));
    } else if (name == "host") {
      for (py::handle item : py::cast<py::sequence>(value)) plan.host.push_back(own(item));
    } else if (name == "heavy") {
      plan.heavy = py::cast<bool>(value);
    } else if (name == "name") {
      plan.name = lasting(py::cast<std::string>(value));
    } else if (name == "kernels") {
      if (!value.is_none()) plan.kernels = parse_kernels(value);
    } else if (name == "ordered") {
      plan.ordered = py::cast<bool>(value);
    } else if (name == "spmd") {
      if (!value.is_none()) plan.spmd = parse_spmd(value);
    } else {
      throw py::type_error("Plan got an unexpected keyword argument '" + name + "'");
    }
  }
  if (plan.spmd) check_spmd(plan);
  plan.queues = can_queue(plan);
  if (tree) {
    plan.tree = parse_tree(tree, plan.results.size());
  } else {
    plan.tree.make = Node::Make::constant;
    plan.tree.object = Ref::borrow(Py_None);
  }
  if (!hidden_key.is_none()) {
    if (Py_TYPE(hidden_key.ptr()) != key_type) throw py::type_error("Plan: hidden_key is a Signature's hidden_key");
    plan.hidden_key = key_of(hidden_key.ptr());
  } else if (!plan.hidden.empty()) {
    plan.hidden_key = key_now(plan.hidden);
  }
}

// Runs pybind11 code under C code: its exceptions become Python's.
template <class F>
bool guarded(F body) {
  try {
    body();
    return true;
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_TypeError, error.what());
  }
  return false;
}

PyObject* plan_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  PyObject* entry;
  if (!PyArg_ParseTuple(args, "O:Plan", &entry)) return nullptr;
  PyObject* self = type->tp_alloc(type, 0);
  if (!self) return nullptr;
  new (&plan_of(self)) Plan;
  plan_of(self).self = self;
  bool ok = guarded([&] {
    parse(plan_of(self), py::reinterpret_borrow<py::object>(entry),
          kwargs ? py::reinterpret_borrow<py::dict>(kwargs) : py::dict());
  });
  if (!ok) Py_CLEAR(self);
  return self;
}

void plan_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  plan_of(self).~Plan();
  type->tp_free(self);
  Py_DECREF(type);
}

int plan_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return plan_of(self).visit(visit, arg);
}

// Plans are immutable, and may be running while the collector looks: the dispatcher's clear breaks the cycles.
PyObject* get_owner(PyObject* self, void*) {
  PyObject* owner = plan_of(self).owner.get();
  return Py_NewRef(owner ? owner : Py_None);
}

PyObject* get_heavy(PyObject* self, void*) { return PyBool_FromLong(plan_of(self).heavy); }

PyGetSetDef properties[] = {{"owner", get_owner, nullptr, "The object given as owner.", nullptr},
                            {"heavy", get_heavy, nullptr, "Whether the GIL is released around the entry.", nullptr},
                            {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char*>("Plan(entry, *, owner, guards, statics, hidden, hidden_key, results, tree, mutates, host, "
                       "heavy, name, kernels, ordered, spmd)\n--\n\nOne compiled entry, when it applies, and how its "
                       "results are returned.")},
    {Py_tp_new, reinterpret_cast<void*>(plan_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(plan_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(plan_traverse)},
    {Py_tp_getset, properties},
    {0, nullptr}};

PyType_Spec spec = {"weft._runtime.Plan", sizeof(PlanObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};

int visit_node(const Node& node, visitproc visit, void* arg) {
  Py_VISIT(node.object.get());
  for (const Node& child : node.children) {
    if (int stop = visit_node(child, visit, arg)) return stop;
  }
  return 0;
}

}  // namespace

Kernels::~Kernels() {
  for (Loaded& item : loaded) item.device->unload(item.module);
}

const Kernels::Loaded* Kernels::on(Device& device, const char* what) {
  auto find = [&]() -> const Loaded* {
    for (const Loaded& item : loaded) {
      if (item.device == &device) return &item;
    }
    return nullptr;
  };
  if (const Loaded* found = find()) return found;
  try {
    Ref bytes(PyObject_CallFunction(image.get(), "s", device.architecture().c_str()));
    char* data;
    Py_ssize_t size;
    if (!bytes || PyBytes_AsStringAndSize(bytes.get(), &data, &size) < 0) return nullptr;
    if (const Loaded* found = find()) return found;  // by another thread, while Python ran
    Loaded made{&device, device.load(std::string(data, static_cast<std::size_t>(size)), what), {}};
    loaded.push_back(made);
    for (const std::string& name : names) loaded.back().kernels.push_back(device.kernel(made.module, name.c_str()));
    return &loaded.back();
  } catch (const DeviceError& error) {
    if (!loaded.empty() && loaded.back().kernels.size() != names.size()) {
      device.unload(loaded.back().module);
      loaded.pop_back();
    }
    set_device_error(error);
    return nullptr;
  }
}

int Plan::visit(visitproc visit, void* arg) const {
  Py_VISIT(capsule.get());
  Py_VISIT(owner.get());
  for (const Static& entry : statics) {
    Py_VISIT(entry.place.holder.get());
    Py_VISIT(entry.place.name.get());
    Py_VISIT(entry.expected.get());
  }
  for (const Globals& group : globals) Py_VISIT(group.dict.get());
  for (const Place& place : hidden) {
    Py_VISIT(place.holder.get());
    Py_VISIT(place.name.get());
  }
  for (const Ref& function : host) Py_VISIT(function.get());
  if (kernels) Py_VISIT(kernels->image.get());
  if (spmd) {
    for (const Ref& sharding : spmd->shardings) Py_VISIT(sharding.get());
  }
  if (int stop = hidden_key.visit(visit, arg)) return stop;
  return visit_node(tree, visit, arg);
}

bool read_places(PyObject* items, std::vector<Place>* places) {
  return guarded([&] {
    for (py::handle item : py::cast<py::sequence>(py::handle(items))) {
      std::size_t used;
      places->push_back(parse_place(py::cast<py::sequence>(item), &used));
    }
  });
}

int add_plan_type(PyObject* module) {
  PyObject* type = PyType_FromSpec(&spec);
  if (!type) return -1;
  plan_type = reinterpret_cast<PyTypeObject*>(type);
  return PyModule_AddObjectRef(module, "Plan", type);
}

}  // namespace weft
