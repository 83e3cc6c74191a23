"""Run by mpirun: a program for the devices of all processes, and whether it was found in the cache."""

import numpy as np

import weft
from weft import lax

weft.distributed.initialize()
here, n, p = weft.local_device_count(), weft.device_count(), weft.process_index()


def f(x):
    return lax.psum(x, "i"), lax.axis_index("i"), lax.psum(x, "i", axis_index_groups=[[0, 3], [1, 2]])


g = weft.pmap(f, axis_name="i", out_axes=(None, 0, 0))
total, where, pairs = g(np.arange(4.0)[p * here : (p + 1) * here])
mine = list(range(n))[p * here : (p + 1) * here]
assert float(total) == 6.0 and where.tolist() == mine and pairs.tolist() == [3.0] * here
print(f"loaded {g.cache_info().loaded}, compiled {g.cache_info().compilations}")
