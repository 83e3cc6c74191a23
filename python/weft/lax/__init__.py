"""Functions of `jax.lax`: control flow over functions, communication over named axes, and operations NumPy has not."""

from weft.lax.basic import select, stop_gradient
from weft.lax.control import associative_scan, cond, fori_loop, map, scan, switch, while_loop
from weft.lax.parallel import (
    all_gather,
    all_to_all,
    axis_index,
    axis_size,
    pargmax,
    pargmin,
    pbroadcast,
    pmax,
    pmean,
    pmin,
    ppermute,
    pshuffle,
    psum,
    psum_scatter,
)

__all__ = [
    "all_gather", "all_to_all", "associative_scan", "axis_index", "axis_size", "cond", "fori_loop", "map", "pargmax",
    "pargmin", "pbroadcast", "pmax", "pmean", "pmin", "ppermute", "pshuffle", "psum", "psum_scatter", "scan", "select",
    "stop_gradient", "switch", "while_loop",
]  # fmt: skip
