// The thread pool behind ctx->parallel.
//
// [0, n) is cut into chunks whose bounds depend on n, the grain and the thread count alone. Every thread begins with
// chunks of its own (so that repeated sweeps find their data in its cache) and then takes over what others have left.
// A call from inside a parallel body, while another Python thread uses the pool, or while queued calls keep the other
// cores busy, runs inline.
#pragma once

#include "weft/abi.h"

namespace weft {

void parallel_for(weft_i64 n, weft_i64 grain, WeftBody body, void* env);

// The number of threads that work, the caller among them: WEFT_NUM_THREADS, else the CPUs this process may use.
int thread_count();
void set_thread_count(int count);

// Whether this thread is running a parallel body.
bool in_parallel();

}  // namespace weft
