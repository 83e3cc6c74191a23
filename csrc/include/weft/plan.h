// A plan: one compiled entry, when it applies, and how its results become Python objects.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "weft/abi.h"
#include "weft/key.h"

namespace weft {

enum class Kind : std::uint8_t { scalar, array, leaf };
enum class Flavour : std::uint8_t { py, np, weft };

// const + sum(coef * table[slot])
struct Affine {
  npy_intp constant;
  std::vector<std::pair<std::size_t, npy_intp>> terms;

  npy_intp at(const npy_intp* table) const {
    auto sum = static_cast<npy_uintp>(constant);
    for (auto [slot, coefficient] : terms)
      sum += static_cast<npy_uintp>(coefficient) * static_cast<npy_uintp>(table[slot]);
    return static_cast<npy_intp>(sum);
  }
};

struct Result {
  Kind kind;
  Flavour flavour;
  int dtype;
  int rank;
  int leaf;
  npy_intp item_bytes;
  bool sized;  // whether `dims` says its sizes before it runs
  std::vector<Affine> dims;
};

// size  ==, >=, !=  0
struct Guard {
  enum class Relation : std::uint8_t { equal, at_least, unequal } relation;
  Affine size;
};

// A place outside the arguments: a dict's item (globals), a closure's cell, an attribute, or an object itself. For
// what must not change also: a function's parts, what a class has by a name (a descriptor as it stands there), what an
// instance itself has by it, an object's class, how many items a dict has.
struct Place {
  enum class Where : std::uint8_t {
    dict,
    cell,
    attribute,
    value,
    code,
    defaults,
    keyword_defaults,
    lookup,
    own,
    type,
    length
  } where;
  Ref holder;
  Ref name;

  // A new reference to what stands there; null without an error when nothing does, null with one when a property
  // raised.
  Ref get(bool* failed) const;
};

struct Static {
  Place place;
  Ref expected;  // null: nothing
};

// Statics in one dict stand together: while its version has not changed, none has to be looked up.
struct Globals {
  Ref dict;
  std::uint64_t version;
  std::vector<std::size_t> items;  // into `statics`
};

// The recipe of the returned value.
struct Node {
  enum class Make : std::uint8_t { leaf, tuple, list, dict, call, constant } make;
  int result = 0;
  Ref object;  // dict's keys, the callable, the constant
  std::vector<Node> children;
};

// The kernels of a plan that runs on devices, loaded on each at the first call there.
struct Kernels {
  struct Loaded {
    Device* device;
    void* module;
    std::vector<void*> kernels;  // by number, as the entry asks for them
  };

  std::vector<std::string> names;
  Ref image;          // a function of the architecture that gives the image's bytes
  bool fails = true;  // whether kernels may record a failure
  std::list<Loaded> loaded;

  Kernels() = default;
  Kernels(const Kernels&) = delete;
  Kernels& operator=(const Kernels&) = delete;
  ~Kernels();
  // Null with a Python error.
  const Loaded* on(Device& device, const char* what);
};

// What calls of a plan take, by the bytes of their arguments. Read and noted by threads without the GIL.
class Cost {
 public:
  // Nanoseconds, or a negative number: nothing is known.
  double estimate(double bytes) const;
  void note(double nanoseconds, double bytes);
  // Whether this call is worth measuring: at first all, later some.
  bool samples() { return calls_ < 8 || (calls_ & 15) == 0 ? (++calls_, true) : (++calls_, false); }

 private:
  std::atomic<float> time_{-1}, bytes_{0};
  unsigned calls_ = 0;  // with the GIL
};

// How a plan's entry, which is compiled for one device's part, runs on several at once.
struct Spmd {
  std::vector<Device*> devices;
  std::vector<std::vector<int>> rows;    // by leaf: which row of its leading axis each device gets; none: all of it
  std::vector<std::vector<int>> outs;    // by result: which row each device's part is; none: all have the same
  std::vector<std::vector<int>> owners;  // by result: for each row the first device that has it
  std::vector<Ref> shardings;            // by result, or none
  bool meets = false;                    // it has collectives

  bool on_gpus() const { return devices.front()->platform == Platform::gpu; }
};

struct Plan {
  WeftEntry entry = nullptr;
  PyObject* self = nullptr;          // the object that it is part of, borrowed
  const char* name = "";             // for messages
  std::unique_ptr<Kernels> kernels;  // of a plan for devices
  Ref capsule, owner;
  std::vector<Guard> guards;
  std::vector<Static> statics;
  std::vector<Globals> globals;
  std::vector<std::size_t> others;  // statics that are not in dicts
  std::vector<Place> hidden;
  Key hidden_key;
  std::vector<Result> results;
  Node tree;
  std::vector<int> mutates;
  std::vector<Ref> host;
  bool heavy = false;
  bool ordered = false;  // what its host functions do must keep its order with Python's code
  bool queues = false;   // its calls may be queued
  Cost cost;
  std::unique_ptr<Spmd> spmd;

  int visit(visitproc visit, void* arg) const;
};

struct PlanObject {
  PyObject_HEAD Plan plan;
};

extern PyTypeObject* plan_type;  // weft._runtime.Plan

// Reads a Python list of places, such as Plan's `hidden`; false with a Python error.
bool read_places(PyObject* items, std::vector<Place>* places);

// Whether the plan applies to the call in `frame`; if so the captured values' leaves are added to it. -1 with a Python
// error. `why`, when given, is set to what failed.
int applies(Plan& plan, Frame& frame, std::string* why = nullptr);

// Calls the entry on the frame's leaves and builds the value; null with a Python error.
PyObject* run(Plan& plan, Frame& frame);

// The same of a plan with kernels, on the device that the frame says.
PyObject* run_on_device(Plan& plan, Frame& frame);

// Waits for the arrays among the leaves; false with a Python error.
bool wait_for_arguments(Frame& frame);

class Run;
// The returned value, from what the run made.
PyObject* build_value(Run& state, const Plan& plan, const Frame& frame);

int add_plan_type(PyObject* module);

}  // namespace weft
