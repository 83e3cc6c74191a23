// Collectives between GPUs (csrc/cuda: NCCL, opened at run time; or csrc/no_cuda).
#pragma once

#include <string>
#include <vector>

#include "weft/collective.h"
#include "weft/device.h"

namespace weft {

// GPUs that communicate. Those of this process have the places first, first + 1, ... among `total`.
struct Party {
  std::vector<Device*> devices;
  int first = 0, total = 0;  // total 0: as many as there are devices
  std::string id;            // across processes: what the first of them made by exchange_id(); else ""
};

// Queues a collective of the whole party (`groups` do not count here, and `moves` are between places) on the queues of
// all its devices in this process at once. Operands and results are views of their memory, by device, of equal sizes
// everywhere. Returns when it is queued; what is queued later on such a device comes after it. Processes have to call
// the same in the same order.
void exchange_on(const Party& party, const Collective& collective, const WeftView* const* operands,
                 const WeftView* const* results);

// A new id for a party across processes: bytes, for exactly one party.
std::string exchange_id();

// Where NCCL may lie: told by Python, which knows the wheels. WEFT_NCCL goes before, the loader's own paths come last.
void set_nccl_paths(std::vector<std::string> paths);

// The library that opened, and its version as "2.18.3"; throw why there is none.
std::string nccl_library();
std::string nccl_version();

}  // namespace weft
