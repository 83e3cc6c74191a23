// What the devices of an spmd run tell each other: weft._runtime.Collective, and the arithmetic of it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "weft/abi.h"
#include "weft/python.h"

namespace weft {

enum class Operation : std::uint8_t { psum, pmax, pmin, all_gather, psum_scatter, all_to_all, ppermute, axis_index };

struct Collective {
  Operation operation;
  const char* name;
  std::vector<std::vector<int>> groups;    // of device numbers; none: one group of all
  std::vector<std::pair<int, int>> moves;  // of ppermute: from which place of the group to which
  Ref outer;                               // does it across processes, given lists of all operands and results; or null
  int first = 0;                           // the first device's place, among those of all processes
  int total = 0;                           // how many devices all processes have; 0: there is one
  std::string id;                          // of GPUs of several processes: see Party
};

extern PyTypeObject* collective_type;  // weft._runtime.Collective

inline bool is_collective(PyObject* object) { return Py_TYPE(object) == collective_type; }
const Collective& collective_of(PyObject* object);

std::size_t element_bytes(int dtype);  // 0: one that is not supported

// The elements of one member's part of the work: those that make a row where there are rows.
weft_i64 extent(const Collective& collective, const WeftView& operand, std::size_t members);

// What is wrong with a member's operand and result, or "".
std::string misfit(const Collective& collective, const WeftView& operand, const WeftView& result, std::size_t members);

// Elements [lo, hi) of all results from all operands, by member; sums in the members' order.
void exchange(const Collective& collective, const WeftView* const* operands, const WeftView* const* results,
              std::size_t members, weft_i64 lo, weft_i64 hi);

int add_collective_type(PyObject* module);

}  // namespace weft
