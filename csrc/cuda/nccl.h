// NCCL, opened at run time: the few of its functions that weft calls, declared here, so that neither building nor
// installing weft needs it. tests/cuda_runtime compares them with nccl.h where there is one.
#pragma once

#include <cstddef>
#include <string>

#include "driver.h"

namespace weft::cuda {

using NcclResult = int;  // ncclResult_t
struct CommunicatorObject;
using Communicator = CommunicatorObject*;
struct NcclId {
  char bytes[128];
};

// ncclDataType_t and ncclRedOp_t
enum NcclType { kInt8, kUint8, kInt32, kUint32, kInt64, kUint64, kFloat16, kFloat32, kFloat64 };
enum NcclOperation { kSum = 0, kMax = 2, kMin = 3 };
constexpr NcclResult kInProgress = 7;
constexpr int kNeededNccl = 21600;  // as ncclGetVersion counts: 2.16.0

// X(member, name, result, parameters)
#define WEFT_NCCL(X)                                                                                          \
  X(version, ncclGetVersion, NcclResult, (int*))                                                              \
  X(error_text, ncclGetErrorString, const char*, (NcclResult))                                                \
  X(last_error, ncclGetLastError, const char*, (Communicator))                                                \
  X(make_id, ncclGetUniqueId, NcclResult, (NcclId*))                                                          \
  X(join_all, ncclCommInitAll, NcclResult, (Communicator*, int, const int*))                                  \
  X(join, ncclCommInitRank, NcclResult, (Communicator*, int, NcclId, int))                                    \
  X(abort, ncclCommAbort, NcclResult, (Communicator))                                                         \
  X(async_error, ncclCommGetAsyncError, NcclResult, (Communicator, NcclResult*))                              \
  X(group_start, ncclGroupStart, NcclResult, ())                                                              \
  X(group_end, ncclGroupEnd, NcclResult, ())                                                                  \
  X(all_reduce, ncclAllReduce, NcclResult,                                                                    \
    (const void*, void*, std::size_t, NcclType, NcclOperation, Communicator, Stream))                         \
  X(reduce_scatter, ncclReduceScatter, NcclResult,                                                            \
    (const void*, void*, std::size_t, NcclType, NcclOperation, Communicator, Stream))                         \
  X(all_gather, ncclAllGather, NcclResult, (const void*, void*, std::size_t, NcclType, Communicator, Stream)) \
  X(send, ncclSend, NcclResult, (const void*, std::size_t, NcclType, int, Communicator, Stream))              \
  X(receive, ncclRecv, NcclResult, (void*, std::size_t, NcclType, int, Communicator, Stream))

struct Nccl {
#define WEFT_MEMBER(member, name, result, parameters) result(*member) parameters = nullptr;
  WEFT_NCCL(WEFT_MEMBER)
#undef WEFT_MEMBER
  std::string path;
  int found_version = 0;

  std::string version_name() const;  // "2.18.3"
};

// The library; throws what is wrong with it.
const Nccl& nccl();

}  // namespace weft::cuda
