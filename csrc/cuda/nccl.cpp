// Collectives between GPUs: NCCL.
#include "nccl.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <tuple>

#include "device.h"
#include "weft/party.h"

namespace weft {
namespace {
std::vector<std::string>* library_paths = new std::vector<std::string>;
}

void set_nccl_paths(std::vector<std::string> paths) { *library_paths = std::move(paths); }

namespace cuda {
namespace {

// -- the library ------------------------------------------------------------------------------------------------------

std::string remedy() {
  return "Install it: `pip install --upgrade nvidia-nccl-cu" + std::to_string(driver().found_version / 1000) +
         "`, or let WEFT_NCCL name the library";
}

void* open_library(Nccl& api) {
  std::vector<std::string> names = *library_paths;
  names.emplace_back("libnccl.so.2");
  if (const char* chosen = std::getenv("WEFT_NCCL")) names = {chosen};
  std::string tried;
  for (const std::string& name : names) {
    if (void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
      api.path = name;
      return handle;
    }
    const char* text = dlerror();
    if (tried.empty()) tried = text ? text : name;
  }
  throw DeviceError("collectives between GPUs need NCCL, which was not found (" + tried + "). " + remedy());
}

Nccl open_nccl() {
  Nccl api;
  void* handle = open_library(api);
  std::string missing;
#define WEFT_FIND(member, name, result, parameters)                          \
  api.member = reinterpret_cast<decltype(api.member)>(dlsym(handle, #name)); \
  if (!api.member && missing.empty()) missing = #name;
  WEFT_NCCL(WEFT_FIND)
#undef WEFT_FIND
  // Asked first, as it explains what is missing.
  if (api.version && api.version(&api.found_version) == 0 && api.found_version < kNeededNccl) {
    Nccl needed;
    needed.found_version = kNeededNccl;
    throw DeviceError("NCCL (" + api.path + ") is too old: it is " + api.version_name() + ", and weft needs " +
                      needed.version_name() + ". " + remedy());
  }
  if (!missing.empty()) throw DeviceError("NCCL's library " + api.path + " has no " + missing + ". " + remedy());
  return api;
}

// -- who talks --------------------------------------------------------------------------------------------------------

CudaDevice& gpu(const Party& party, std::size_t k) { return static_cast<CudaDevice&>(*party.devices[k]); }

int total(const Party& party) { return party.total ? party.total : static_cast<int>(party.devices.size()); }

std::string between(const Party& party) {
  std::string text;
  for (const Device* device : party.devices) text += (text.empty() ? " between " : ", ") + device->name();
  return text;
}

// Calls, and the first of them that failed.
class Calls {
 public:
  Calls(const Nccl& api, std::string what) : api_(api), what_(std::move(what)) {}

  // One call, while the device's context is the current one. NCCL may change which is: what it leaves goes with the
  // `Active`.
  template <class Call>
  void make(const CudaDevice& device, const char* function, Call call) {
    CudaDevice::Active active(device);
    NcclResult result = call();
    if (result == 0 || failed_) return;
    failed_ = function;
    const char *text = api_.error_text(result), *more = api_.last_error(nullptr);
    why_ = text ? text : "error " + std::to_string(result);
    if (more && *more) why_ += std::string("; ") + more;
  }

  // body(k) for each device, in one group.
  template <class Body>
  void group(const Party& party, Body body) {
    make(gpu(party, 0), "ncclGroupStart", api_.group_start);
    check();
    try {
      for (std::size_t k = 0; k < party.devices.size(); ++k) body(k);
      bool complete = !failed_;  // else NCCL forgets the group
      make(gpu(party, 0), "ncclGroupEnd", api_.group_end);
      halved_ = complete && failed_;
    } catch (...) {  // a context that cannot be made current
      halved_ = true;
      api_.group_end();
      throw;
    }
    check();
  }

  // Whether some devices may have queued what others have not.
  bool halved() const { return halved_; }

  void check() const {
    if (!failed_) return;
    throw DeviceError(what_ + " failed: " + failed_ + ": " + why_ + " (NCCL " + api_.version_name() + ", " + api_.path +
                      ")");
  }

 private:
  const Nccl& api_;
  std::string what_;
  const char* failed_ = nullptr;
  std::string why_;
  bool halved_ = false;
};

using Communicators = std::vector<Communicator>;

Communicators join(const Nccl& api, const Party& party, const std::string& what) {
  Communicators made(party.devices.size());
  Calls calls(api, what);
  if (party.id.empty()) {
    std::vector<int> ids;
    for (const Device* device : party.devices) ids.push_back(device->id);
    calls.make(gpu(party, 0), "ncclCommInitAll",
               [&] { return api.join_all(made.data(), static_cast<int>(ids.size()), ids.data()); });
    calls.check();
    return made;
  }
  NcclId id;
  std::memcpy(id.bytes, party.id.data(), sizeof id.bytes);
  calls.group(party, [&](std::size_t k) {
    calls.make(gpu(party, k), "ncclCommInitRank",
               [&] { return api.join(&made[k], total(party), id, party.first + static_cast<int>(k)); });
  });
  return made;
}

// Those of a party, made when it first talks and kept for ever; all calls are made under the one mutex, so that the
// queues of all devices get collectives in one order.
std::mutex* mutex = new std::mutex;
using Key = std::tuple<std::vector<Device*>, int, int, std::string>;
std::map<Key, Communicators>* joined = new std::map<Key, Communicators>;
std::string* why_given_up = new std::string;
std::atomic<bool> given_up{false};  // all of them

// For ever: what devices have queued ends, instead of waiting for others that will never do their part, and leaves
// rubbish, which nobody may take for a result.
void give_up(const Nccl& api, const std::string& why) {
  *why_given_up = "the collectives between GPUs were given up: " + why + ". The process has to be started again";
  given_up = true;
  for (const auto& [key, communicators] : *joined) {
    const std::vector<Device*>& devices = std::get<0>(key);
    for (std::size_t k = 0; k < devices.size(); ++k) {
      try {
        CudaDevice::Active active(static_cast<CudaDevice&>(*devices[k]));
        api.abort(communicators[k]);
      } catch (const DeviceError&) {  // its context is gone, and so is what it had queued
      }
    }
  }
  joined->clear();
}

// body(calls, communicators) under the mutex.
template <class Body>
void with_communicators(const Nccl& api, const Party& party, const std::string& what, Body body) {
  std::lock_guard<std::mutex> lock(*mutex);
  if (given_up) throw DeviceError(*why_given_up);
  Key key{party.devices, party.first, total(party), party.id};
  auto found = joined->find(key);
  if (found == joined->end()) found = joined->emplace(std::move(key), join(api, party, what)).first;
  gpus_talk = true;
  Calls calls(api, what);
  try {
    body(calls, found->second);
  } catch (const DeviceError& error) {
    if (calls.halved()) give_up(api, error.what());
    throw;
  }
}

// What keeps a party's collectives from ending, or "".
std::string trouble(const Nccl& api, const std::vector<Device*>& devices, const Communicators& communicators) {
  try {
    for (std::size_t k = 0; k < devices.size(); ++k) {
      auto& device = static_cast<CudaDevice&>(*devices[k]);
      std::string text = device.trouble();
      if (!text.empty()) return text;
      CudaDevice::Active active(device);
      NcclResult seen = 0;
      if (api.async_error(communicators[k], &seen) == 0 && seen != 0 && seen != kInProgress) {
        const char* what = api.error_text(seen);
        return "NCCL: " + (what ? std::string(what) : "error " + std::to_string(seen));
      }
    }
  } catch (const DeviceError& error) {
    return error.what();
  }
  return "";
}

// -- what is said -----------------------------------------------------------------------------------------------------

// A reduction in NCCL's words: `parts` elements of a type for each of ours.
struct Reduction {
  NcclType type;
  NcclOperation operation;
  std::size_t parts = 1;
};

// Those that NCCL does with NumPy's meaning: its pmax and pmin of floats drop NaNs.
Reduction reduction_of(const Collective& collective, int dtype) {
  bool sum = collective.operation == Operation::psum || collective.operation == Operation::psum_scatter;
  NcclOperation operation = sum ? kSum : collective.operation == Operation::pmax ? kMax : kMin;
  switch (dtype) {
    case NPY_BOOL:
      return {kUint8, sum ? kMax : operation};
    case NPY_BYTE:
      return {kInt8, operation};
    case NPY_UBYTE:
      return {kUint8, operation};
    case NPY_INT:
      return {kInt32, operation};
    case NPY_UINT:
      return {kUint32, operation};
    case NPY_LONG:
    case NPY_LONGLONG:
      return {kInt64, operation};
    case NPY_ULONG:
    case NPY_ULONGLONG:
      return {kUint64, operation};
    default:
      break;
  }
  if (sum) {
    switch (dtype) {
      case NPY_HALF:
        return {kFloat16, kSum};
      case NPY_FLOAT:
        return {kFloat32, kSum};
      case NPY_DOUBLE:
        return {kFloat64, kSum};
      case NPY_CFLOAT:
        return {kFloat32, kSum, 2};
      case NPY_CDOUBLE:
        return {kFloat64, kSum, 2};
      default:
        break;
    }
  }
  throw DeviceError(std::string("NCCL has no ") + collective.name +
                    " of this dtype with NumPy's meaning: all_gather the values and reduce them on each device");
}

// By place: from where each receives in a ppermute, or -1.
std::vector<int> senders(const Collective& collective, int places) {
  std::vector<int> from(static_cast<std::size_t>(places), -1);
  for (auto [sender, receiver] : collective.moves) {
    int& known = from[static_cast<std::size_t>(receiver)];
    if (known < 0) known = sender;
  }
  return from;
}

bool same_layout(const WeftView& left, const WeftView& right) {
  return left.dtype == right.dtype && left.rank == right.rank &&
         std::equal(left.dims, left.dims + left.rank, right.dims);
}

void check_party(const Party& party, const Collective& collective, const WeftView* const* operands,
                 const WeftView* const* results) {
  auto fail = [&](const std::string& why) { throw DeviceError(collective.name + between(party) + ": " + why); };
  auto here = static_cast<int>(party.devices.size());
  if (here == 0) fail("there are no devices");
  for (const Device* device : party.devices) {
    if (device->platform != Platform::gpu) fail(device->name() + " is no GPU");
  }
  if (party.first < 0 || party.first + here > total(party)) fail("places that are not there");
  if (party.id.empty() && here != total(party)) fail("devices of several processes need an id, of exchange_id()");
  if (!party.id.empty() && party.id.size() != sizeof(NcclId)) fail("the id is not one of exchange_id()");
  if (collective.operation == Operation::axis_index) fail("it is no exchange");
  for (std::size_t k = 0; k < party.devices.size(); ++k) {
    if (!same_layout(*operands[0], *operands[k])) fail("the devices' operands differ in shape or dtype");
    std::string wrong = misfit(collective, *operands[k], *results[k], static_cast<std::size_t>(total(party)));
    if (!wrong.empty()) fail(wrong);
  }
}

}  // namespace

std::string Nccl::version_name() const {
  int scale = found_version < 10000 ? 1000 : 10000;  // 2.8 and older: 2804
  return std::to_string(found_version / scale) + "." + std::to_string(found_version % scale / 100) + "." +
         std::to_string(found_version % 100);
}

std::atomic<bool> gpus_talk{false};

void look_after_gpus() {
  std::unique_lock<std::mutex> lock(*mutex, std::try_to_lock);
  if (!lock) return;  // somebody queues a collective: next time
  for (const auto& [key, communicators] : *joined) {
    const std::vector<Device*>& devices = std::get<0>(key);
    std::string why = trouble(nccl(), devices, communicators);
    if (why.empty()) continue;
    give_up(nccl(), why);
    return;
  }
}

void check_given_up() {
  if (given_up) throw DeviceError(*why_given_up);  // which is written once, before
}

const Nccl& nccl() {
  static const Nccl* opened = new Nccl(open_nccl());
  return *opened;
}

}  // namespace cuda

void exchange_on(const Party& party, const Collective& collective, const WeftView* const* operands,
                 const WeftView* const* results) {
  using namespace cuda;
  check_process();
  check_party(party, collective, operands, results);
  int places = total(party);
  std::size_t item = element_bytes(operands[0]->dtype), elements = 1;
  for (int axis = 0; axis < operands[0]->rank; ++axis) elements *= static_cast<std::size_t>(operands[0]->dims[axis]);
  if (elements == 0) return;
  std::size_t bytes = elements * item, piece = bytes / static_cast<std::size_t>(places);
  std::vector<int> from;
  if (collective.operation == Operation::ppermute) {
    from = senders(collective, places);
    for (std::size_t k = 0; k < party.devices.size(); ++k) {
      std::size_t place = static_cast<std::size_t>(party.first) + k;
      if (from[place] < 0) gpu(party, k).clear(results[k]->data, bytes);
    }
  }
  if (places == 1) {  // every one of them, to itself
    if (from.empty() || from[0] == 0) gpu(party, 0).copy(results[0]->data, operands[0]->data, bytes);
    return;
  }
  const Nccl& api = nccl();
  bool reduces =
      from.empty() && collective.operation != Operation::all_gather && collective.operation != Operation::all_to_all;
  Reduction reduction = reduces ? reduction_of(collective, operands[0]->dtype) : Reduction{kInt8, kSum};
  std::size_t count = elements * reduction.parts;
  std::string what = collective.name + between(party);
  with_communicators(api, party, what, [&](Calls& calls, const Communicators& communicators) {
    calls.group(party, [&](std::size_t k) {
      const CudaDevice& device = gpu(party, k);
      int place = party.first + static_cast<int>(k);
      Communicator communicator = communicators[k];
      Stream stream = device.stream();
      auto* in = static_cast<const char*>(operands[k]->data);
      auto* out = static_cast<char*>(results[k]->data);
      auto send = [&](const char* what, std::size_t size, int to) {
        calls.make(device, "ncclSend", [&] { return api.send(what, size, kInt8, to, communicator, stream); });
      };
      auto receive = [&](char* where, std::size_t size, int sender) {
        calls.make(device, "ncclRecv", [&] { return api.receive(where, size, kInt8, sender, communicator, stream); });
      };
      switch (collective.operation) {
        case Operation::psum:
        case Operation::pmax:
        case Operation::pmin:
          return calls.make(device, "ncclAllReduce", [&] {
            return api.all_reduce(in, out, count, reduction.type, reduction.operation, communicator, stream);
          });
        case Operation::psum_scatter:
          return calls.make(device, "ncclReduceScatter", [&] {
            return api.reduce_scatter(in, out, count / static_cast<std::size_t>(places), reduction.type,
                                      reduction.operation, communicator, stream);
          });
        case Operation::all_gather:
          return calls.make(device, "ncclAllGather",
                            [&] { return api.all_gather(in, out, bytes, kInt8, communicator, stream); });
        case Operation::all_to_all:
          for (int other = 0; other < places; ++other) {
            std::size_t at = piece * static_cast<std::size_t>(other);
            send(in + at, piece, other);
            receive(out + at, piece, other);
          }
          return;
        case Operation::ppermute:
          for (int other = 0; other < places; ++other) {
            if (from[static_cast<std::size_t>(other)] == place) send(in, bytes, other);
          }
          if (int sender = from[static_cast<std::size_t>(place)]; sender >= 0) receive(out, bytes, sender);
          return;
        case Operation::axis_index:
          return;
      }
    });
  });
}

std::string exchange_id() {
  using namespace cuda;
  check_process();
  const Nccl& api = nccl();
  NcclId id;
  Calls calls(api, "making an id");
  calls.make(static_cast<CudaDevice&>(*gpu_devices().front()), "ncclGetUniqueId", [&] { return api.make_id(&id); });
  calls.check();
  return std::string(id.bytes, sizeof id.bytes);
}

std::string nccl_library() { return cuda::nccl().path; }

std::string nccl_version() { return cuda::nccl().version_name(); }

}  // namespace weft
