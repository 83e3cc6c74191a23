"""The same for JAX (whose loop is a `fori_loop`)."""

import json
import sys
import time

import jax

start = time.perf_counter()
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)
if len(sys.argv) > 1:
    jax.config.update("jax_compilation_cache_dir", sys.argv[1])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


@jax.jit
def smooth(x, rate):
    x = jax.lax.fori_loop(1, x.size, lambda i, x: x.at[i].add(rate * (x[i - 1] - x[i])), x)
    return x.sum()


x = jax.numpy.ones(10).block_until_ready()
start = time.perf_counter()
total = smooth(x, 0.5).block_until_ready()
print(json.dumps({"seconds": time.perf_counter() - start}))
