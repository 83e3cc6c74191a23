// A GPU: its primary context and one stream, which is its queue.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "driver.h"

namespace weft::cuda {

// csrc/cuda/nccl.cpp. Once GPUs have talked, one may wait for ever for what another will never do. So who waits looks
// after all of them; if something goes wrong on one, all collectives are given up, and each later wait throws that.
extern std::atomic<bool> gpus_talk;
void look_after_gpus();
void check_given_up();

struct CudaEvent : Event {
  Mark mark = nullptr;
};

// Pinned memory, used as a ring: what the host uploads is copied here first, so that the caller may write to its own
// memory again at once.
class Staging {
 public:
  static constexpr std::size_t kPiece = std::size_t{4} << 20;

  // Room for `bytes` (at most kPiece), which stays the caller's until the mark is recorded; null: there is none.
  // `await(mark)` waits for one.
  template <class Await>
  void* take(const Driver& api, std::size_t bytes, Mark* mark, Await await);
  void queued(Mark mark) { flying_.back().mark = mark; }
  std::mutex mutex;

 private:
  struct Piece {
    std::size_t begin, end;
    Mark mark;
  };
  static constexpr std::size_t kBytes = 4 * kPiece;

  char* base_ = nullptr;
  std::size_t head_ = 0;
  std::deque<Piece> flying_;
  std::vector<Mark> marks_;
};

class CudaDevice final : public Device {
 public:
  CudaDevice(const Driver& api, int id, Ordinal ordinal, std::string kind, std::size_t bytes);

  Block* take(std::size_t bytes) override;
  void put(Block* block) noexcept override;
  void trim() override;
  DeviceMemory memory() override;

  void upload(void* to, const void* from, std::size_t bytes) override;
  void download(void* to, const void* from, std::size_t bytes) override;
  void copy(void* to, const void* from, std::size_t bytes) override;
  void receive(void* to, Device& source, const void* from, std::size_t bytes) override;

  Event* record(const char* what) override;
  void wait(Event& event) override;
  bool is_done(Event& event) noexcept override;
  void recycle(Event* event) noexcept override;
  void synchronise(const char* what) override;

  std::string driver() override { return version_text(api_.found_version); }
  std::string architecture() override { return architecture_; }
  void* load(const std::string& image, const char* what) override;
  void unload(void* module) noexcept override;
  void* kernel(void* module, const char* name) override;
  void launch(void* kernel, weft_i64 blocks, int threads, void** args, const char* what) override;
  Block* take_failure() override;
  void put_failure(Block* failure, bool clean) noexcept override;
  bool gemm(int dtype, int trans_a, int trans_b, weft_i64 m, weft_i64 n, weft_i64 k, const void* a, weft_i64 lda,
            const void* b, weft_i64 ldb, void* c, weft_i64 ldc, bool accumulate) override;

  void clear(void* memory, std::size_t bytes);  // queued zeros

  Stream stream() const { return stream_; }
  std::string trouble() const;  // what went wrong on this GPU, or ""

  // While one lives, the device's context is the thread's current one; the one before comes back.
  class Active {
   public:
    explicit Active(const CudaDevice& device);
    Active(const Active&) = delete;
    Active& operator=(const Active&) = delete;
    ~Active();

   private:
    const Driver& api_;
  };

 private:
  void check(Result result, const char* doing, const char* what = "") const;
  Result await(Mark mark);  // null: all that is queued
  [[noreturn]] void refuse(std::size_t bytes);
  bool free_kept() noexcept;  // whether there was anything

  const Driver& api_;
  std::string architecture_;
  Context context_ = nullptr;
  Stream stream_ = nullptr;
  std::size_t total_;

  std::mutex mutex_;  // of what follows
  std::multimap<std::size_t, Block*> free_;
  std::size_t kept_ = 0, used_ = 0, limit_;
  std::uint64_t taken_ = 0, from_system_ = 0;
  std::vector<CudaEvent*> events_;
  std::vector<Block*> failures_;
  Staging staging_;

  std::mutex blas_mutex_;
  void* blas_ = nullptr;  // cuBLAS's handle
  bool blas_tried_ = false;
};

}  // namespace weft::cuda
