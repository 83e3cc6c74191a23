// A GPU's memory: the pool, and copies.
#include <algorithm>
#include <cstring>
#include <memory>

#include "device.h"

namespace weft::cuda {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

// Four sizes to each power of two, multiples of 2 MiB from 16 on: blocks are used again by arrays of about their size.
std::size_t rounded(std::size_t bytes) {
  if (bytes <= 512) return 512;
  std::size_t step = bytes <= 16 * kMiB ? std::size_t{1} << (61 - __builtin_clzll(bytes - 1)) : 2 * kMiB;
  return (bytes + step - 1) / step * step;
}

Address address_of(const void* memory) { return reinterpret_cast<Address>(memory); }

}  // namespace

template <class Await>
void* Staging::take(const Driver& api, std::size_t bytes, Mark* mark, Await await) {
  if (!base_) {
    void* memory = nullptr;
    if (api.pinned_take(&memory, kBytes, 0) != kSuccess) return nullptr;
    base_ = static_cast<char*>(memory);
  }
  bytes = (bytes + 63) & ~std::size_t{63};
  if (head_ + bytes > kBytes) head_ = 0;
  auto meets = [&](const Piece& piece) { return piece.begin < head_ + bytes && head_ < piece.end; };
  while (std::any_of(flying_.begin(), flying_.end(), meets)) {
    Piece oldest = flying_.front();
    if (oldest.mark && await(oldest.mark) != kSuccess) return nullptr;
    if (oldest.mark) marks_.push_back(oldest.mark);
    flying_.pop_front();
  }
  if (marks_.empty()) {
    Mark made = nullptr;
    if (api.event_make(&made, kNoTiming) != kSuccess) return nullptr;
    marks_.push_back(made);
  }
  *mark = marks_.back();
  marks_.pop_back();
  flying_.push_back({head_, head_ + bytes, nullptr});
  void* room = base_ + head_;
  head_ += bytes;
  return room;
}

Block* CudaDevice::take(std::size_t bytes) {
  check_process();
  if (bytes > total_) refuse(bytes);
  std::size_t wanted = rounded(bytes);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ++taken_;
    auto found = free_.lower_bound(wanted);
    if (found != free_.end() && found->first <= wanted + wanted / 4) {
      Block* block = found->second;
      free_.erase(found);
      kept_ -= block->capacity;
      used_ += block->capacity;
      block->references.store(1, std::memory_order_relaxed);
      return block;
    }
  }
  auto block = std::make_unique<Block>();
  Active active(*this);
  Address address = 0;
  Result result = api_.memory_take(&address, wanted);
  if (result == kOutOfMemory && free_kept()) result = api_.memory_take(&address, wanted);
  if (result == kOutOfMemory) refuse(bytes);
  check(result, "allocating memory");
  block->references.store(1, std::memory_order_relaxed);
  block->capacity = wanted;
  block->size_class = 0;
  block->next = block->previous = nullptr;
  block->device = this;
  block->address = reinterpret_cast<void*>(address);
  block->ready = nullptr;
  std::lock_guard<std::mutex> lock(mutex_);
  ++from_system_;
  used_ += wanted;
  return block.release();
}

void CudaDevice::put(Block* block) noexcept {
  if (is_forked()) return;  // the parent's
  bool full;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    used_ -= block->capacity;
    kept_ += block->capacity;
    free_.emplace(block->capacity, block);
    full = kept_ > limit_;
  }
  if (full) free_kept();
}

bool CudaDevice::free_kept() noexcept {
  std::multimap<std::size_t, Block*> gone;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    gone.swap(free_);
    kept_ = 0;
  }
  if (gone.empty() || api_.context_push(context_) != kSuccess) return false;
  // Kernels may still use what is queued; after an error there are none, and freeing fails too: at exit, say.
  await(nullptr);
  for (auto& [capacity, block] : gone) {
    api_.memory_free(address_of(block->address));
    delete block;
  }
  Context before = nullptr;
  api_.context_pop(&before);
  return true;
}

void CudaDevice::trim() {
  check_process();
  free_kept();
}

DeviceMemory CudaDevice::memory() {
  std::lock_guard<std::mutex> lock(mutex_);
  return {used_, kept_, total_, taken_, from_system_};
}

void CudaDevice::refuse(std::size_t bytes) {
  DeviceMemory held = memory();
  std::size_t left = 0, total = 0;
  std::string others;
  if (api_.context_push(context_) == kSuccess) {
    if (api_.memory_info(&left, &total) == kSuccess) others = ", " + bytes_text(left) + " of it free";
    Context before = nullptr;
    api_.context_pop(&before);
  }
  throw DeviceError("out of memory on " + name() + " (" + kind + "): " + bytes_text(bytes) +
                        " were asked for; weft's arrays hold " + bytes_text(held.used) + ", its pool " +
                        bytes_text(held.kept) + ", and the device has " + bytes_text(total_) + others,
                    true);
}

void CudaDevice::upload(void* to, const void* from, std::size_t bytes) {
  check_process();
  if (bytes == 0) return;
  Active active(*this);
  auto* target = static_cast<char*>(to);
  auto* source = static_cast<const char*>(from);
  std::lock_guard<std::mutex> lock(staging_.mutex);
  for (std::size_t at = 0; at < bytes; at += Staging::kPiece) {
    std::size_t piece = std::min(bytes - at, Staging::kPiece);
    Mark mark = nullptr;
    void* room = staging_.take(api_, piece, &mark, [this](Mark other) { return await(other); });
    if (!room) {  // no pinned memory to be had: straight from the caller's, and wait
      check(api_.copy_up(address_of(target + at), source + at, piece, stream_), "copying to the GPU");
      check(await(nullptr), "copying to the GPU");
      continue;
    }
    std::memcpy(room, source + at, piece);
    Result result = api_.copy_up(address_of(target + at), room, piece, stream_);
    if (result == kSuccess) result = api_.event_record(mark, stream_);
    staging_.queued(mark);  // one that was not recorded is no wait
    check(result, "copying to the GPU");
  }
}

void CudaDevice::download(void* to, const void* from, std::size_t bytes) {
  check_process();
  if (bytes == 0) return;
  Active active(*this);
  check(api_.copy_down(to, address_of(from), bytes, stream_), "copying from the GPU");
}

void CudaDevice::copy(void* to, const void* from, std::size_t bytes) {
  check_process();
  if (bytes == 0) return;
  Active active(*this);
  check(api_.copy_within(address_of(to), address_of(from), bytes, stream_), "copying");
}

void CudaDevice::clear(void* memory, std::size_t bytes) {
  check_process();
  if (bytes == 0) return;
  Active active(*this);
  check(api_.fill(address_of(memory), 0, bytes, stream_), "clearing memory");
}

// Both queues meet before and after, so that neither device's pool hands the memory out too early.
void CudaDevice::receive(void* to, Device& source, const void* from, std::size_t bytes) {
  if (source.platform == Platform::cpu) return upload(to, from, bytes);
  check_process();
  if (bytes == 0) return;
  auto& other = static_cast<CudaDevice&>(source);
  Event* there = other.record("");
  Result result;
  {
    Active active(*this);
    result = api_.stream_behind(stream_, static_cast<CudaEvent*>(there)->mark, 0);
    if (result == kSuccess) {
      result = api_.copy_across(address_of(to), context_, address_of(from), other.context_, bytes, stream_);
    }
  }
  weft::drop(there);
  check(result, "copying between GPUs");
  Event* here = record("");
  {
    Active active(other);
    result = api_.stream_behind(other.stream_, static_cast<CudaEvent*>(here)->mark, 0);
  }
  weft::drop(here);
  check(result, "copying between GPUs");
}

}  // namespace weft::cuda
