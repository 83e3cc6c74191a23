"""The demo's training step in JAX: its first call in this process."""

import itertools
import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)
if len(sys.argv) > 1:
    jax.config.update("jax_compilation_cache_dir", sys.argv[1])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)

SIZES = (64, 128, 64, 10)


def example_loss(params, x, label):
    *hidden, last = params
    for layer in hidden:
        x = jnp.maximum(x @ layer["w"] + layer["b"], 0.0)
    z = x @ last["w"] + last["b"]
    top = z.max()
    return jnp.log(jnp.sum(jnp.exp(z - top))) + top - z[label]


def loss(params, images, labels):
    return jax.vmap(example_loss, in_axes=(None, 0, 0))(params, images, labels).mean()


rng = np.random.default_rng(0)
params = [{"w": jnp.asarray(rng.normal(size=(n, m))), "b": jnp.zeros(m)} for n, m in itertools.pairwise(SIZES)]
images, labels = jnp.asarray(rng.random((64, 64))), jnp.asarray(rng.integers(0, 10, 64))
jax.block_until_ready((params, images, labels))
start = time.perf_counter()
step = jax.jit(jax.value_and_grad(loss))
jax.block_until_ready(step(params, images, labels))
cold = time.perf_counter() - start
times = []
for _ in range(50):
    start = time.perf_counter()
    jax.block_until_ready(step(params, images, labels))
    times.append(time.perf_counter() - start)
print(json.dumps({"seconds": cold, "again": sorted(times)[25]}))
