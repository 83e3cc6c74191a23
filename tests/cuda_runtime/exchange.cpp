// csrc/cuda by itself, for tests: collectives of arrays of the host, put on devices and fetched again.
#include <cstring>
#include <memory>

#include "weft/cublas.h"
#include "weft/party.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

// What csrc/cuda needs of the rest of the runtime.
namespace weft {
std::string Device::name() const { return "CudaDevice(id=" + std::to_string(id) + ")"; }
std::string bytes_text(std::uint64_t bytes) { return std::to_string(bytes) + " bytes"; }
void pool_put(Block* block) noexcept { block->device->put(block); }
std::size_t pool_limit(std::size_t otherwise) noexcept { return otherwise; }
const std::vector<Device*>& gpu_devices() {
  static const std::vector<Device*> opened = open_gpus();
  return opened;
}
}  // namespace weft

using namespace weft;

namespace {

thread_local std::string text;

template <class Body>
const char* guarded(Body body) {
  try {
    body();
    return nullptr;
  } catch (const DeviceError& error) {
    text = error.what();
    return text.c_str();
  }
}

}  // namespace

struct Request {
  int operation, moves, devices, first, total, dtype, rank, result_rank, repeat, last;
  const int *move, *device;  // from, to, from, to, ...
  const char *name, *id;     // the id: 128 bytes, or null
  const weft_i64 *dims, *result_dims;
  void *const *operands, *const *results;
};

// A message, or null. `repeat`: the result is the next operand, so often. `last`: the device that is waited for first.
EXPORT const char* exchange_arrays(const Request* request) {
  return guarded([&] {
    Collective collective;
    collective.operation = static_cast<Operation>(request->operation);
    collective.name = request->name;
    for (int k = 0; k < request->moves; ++k) {
      collective.moves.emplace_back(request->move[2 * k], request->move[2 * k + 1]);
    }
    Party party;
    party.first = request->first;
    party.total = request->total;
    if (request->id) party.id.assign(request->id, 128);
    auto bytes = [&](int rank, const weft_i64* dims) {
      std::size_t count = element_bytes(request->dtype);
      for (int axis = 0; axis < rank; ++axis) count *= static_cast<std::size_t>(dims[axis]);
      return count;
    };
    std::size_t in = bytes(request->rank, request->dims), out = bytes(request->result_rank, request->result_dims);
    auto count = static_cast<std::size_t>(request->devices);
    struct Drop {
      void operator()(Block* block) const { weft::drop(block); }
    };
    std::vector<std::unique_ptr<Block, Drop>> blocks, outs;
    std::vector<WeftView> operands(count), results(count);
    std::vector<const WeftView*> operand_pointers, result_pointers;
    for (std::size_t k = 0; k < count; ++k) {
      Device* device = gpu_devices().at(static_cast<std::size_t>(request->device[k]));
      party.devices.push_back(device);
      blocks.emplace_back(device->take(in));
      outs.emplace_back(device->take(out));
      device->upload(blocks[k]->address, request->operands[k], in);
      operands[k] = {blocks[k]->address, request->dtype, request->rank, request->dims};
      results[k] = {outs[k]->address, request->dtype, request->result_rank, request->result_dims};
      operand_pointers.push_back(&operands[k]);
      result_pointers.push_back(&results[k]);
    }
    for (int round = 0; round < request->repeat; ++round) {
      if (round > 0) {
        for (std::size_t k = 0; k < count; ++k) std::swap(operands[k].data, results[k].data);
      }
      exchange_on(party, collective, operand_pointers.data(), result_pointers.data());
    }
    for (std::size_t k = 0; k < count; ++k) party.devices[k]->download(request->results[k], results[k].data, out);
    party.devices[static_cast<std::size_t>(request->last)]->synchronise(request->name);
    for (Device* device : party.devices) device->synchronise(request->name);
  });
}

EXPORT const char* exchange_new_id(char* id) {
  return guarded([&] { std::memcpy(id, exchange_id().data(), 128); });
}

EXPORT const char* exchange_synchronise(int device) {
  return guarded([&] { gpu_devices().at(static_cast<std::size_t>(device))->synchronise(); });
}
