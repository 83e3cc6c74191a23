"""Functions of `jax.lax` that NumPy has not."""

from weft.lax.basic import select, stop_gradient
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
    "all_gather", "all_to_all", "axis_index", "axis_size", "pargmax", "pargmin", "pbroadcast", "pmax", "pmean", "pmin",
    "ppermute", "pshuffle", "psum", "psum_scatter", "select", "stop_gradient",
]  # fmt: skip
