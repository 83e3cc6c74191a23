"""Communication over the named axes of `vmap`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from recorded_cases import Case, case

X = np.arange(12.0).reshape(4, 3) / 4 - 1.0
SQUARE = np.sin(np.arange(32.0)).reshape(4, 4, 2)
DEEP = np.cos(np.arange(24.0)).reshape(2, 3, 4)
GROUPS = [[0, 2], [3, 1]]


def mapped(name: str, f: Callable[..., Any], x: Any, **options: Any) -> Case:
    """``f(j, lane)`` under vmap over axis "i"."""
    return case(name, lambda j, x: j.vmap(lambda lane: f(j, lane), axis_name="i")(x), x, **{"grad": True, **options})


def grouped(name: str, f: Callable[..., Any], x: Any, **options: Any) -> Case:
    """The same, for what JAX has in pmap only."""

    def run(j: Any, x: Any) -> Any:
        map_ = j.vmap if j.__name__ == "weft" else j.pmap
        return map_(lambda lane: f(j, lane), axis_name="i")(x)

    return case(name, run, x, **{"grad": True, **options})


def nested(name: str, f: Callable[..., Any], **options: Any) -> Case:
    """``f(j, lane)`` under two vmaps, over axes "i" and "k"."""

    def run(j: Any, x: Any) -> Any:
        return j.vmap(j.vmap(lambda lane: f(j, lane), axis_name="k"), axis_name="i")(x)

    return case(name, run, DEEP, **{"grad": True, **options})


CASES = [
    mapped("psum", lambda j, x: x * j.lax.psum(x * x, "i"), X),
    mapped("psum_tree", lambda j, x: j.lax.psum({"a": x, "b": (x[0], 2.0 * x[1:])}, "i"), X),
    mapped("psum_same", lambda j, x: j.lax.psum(j.numpy.ones(2), "i") * x[0], X),
    grouped("psum_groups", lambda j, x: x * j.lax.psum(x, "i", axis_index_groups=GROUPS), X),
    mapped("pmean", lambda j, x: x - j.lax.pmean(x, "i"), X),
    mapped("pmax", lambda j, x: x - j.lax.pmax(x, "i"), X, grad=False),
    grouped("pmin_groups", lambda j, x: j.lax.pmin(x, "i", axis_index_groups=GROUPS), X, grad=False),
    mapped("all_gather", lambda j, x: j.lax.all_gather(x * x, "i"), X),
    mapped("all_gather_last", lambda j, x: j.lax.all_gather(x * x, "i", axis=-1), X),
    mapped("all_gather_tiled", lambda j, x: j.lax.all_gather(x * x, "i", axis=0, tiled=True), X),
    grouped("all_gather_groups", lambda j, x: x * j.lax.all_gather(x, "i", axis_index_groups=GROUPS), X),
    mapped("psum_scatter", lambda j, x: j.lax.psum_scatter(x * x, "i"), SQUARE),
    mapped("psum_scatter_tiled", lambda j, x: j.lax.psum_scatter(x * x, "i", tiled=True), SQUARE),
    grouped(
        "psum_scatter_groups",
        lambda j, x: j.lax.psum_scatter(x * x, "i", scatter_dimension=1, axis_index_groups=GROUPS),
        SQUARE,
    ),
    mapped("all_to_all", lambda j, x: j.lax.all_to_all(x * x, "i", 0, 1), SQUARE),
    mapped("all_to_all_tiled", lambda j, x: j.lax.all_to_all(x * x, "i", 0, 1, tiled=True), SQUARE),
    grouped(
        "all_to_all_groups",
        lambda j, x: j.lax.all_to_all(x * x, "i", 1, 0, axis_index_groups=GROUPS),
        SQUARE,
        grad=False,
    ),
    mapped("ppermute", lambda j, x: x * j.lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 3), (3, 0)]), X),
    grouped("ppermute_some", lambda j, x: x * j.lax.ppermute(x, "i", [(0, 3), (3, 1)]), X),
    mapped("axis_index_scale", lambda j, x: x * j.lax.axis_index("i"), X),
    mapped("grad_inside", lambda j, x: j.grad(lambda y: j.lax.psum(j.numpy.sum(y * y * y), "i"))(x), X),
    mapped("grad_inside_pmean", lambda j, x: j.grad(lambda y: j.lax.pmean(j.numpy.sum(y * y * y), "i"))(x), X),
    mapped("jit_inside", lambda j, x: j.jit(lambda y: y / j.lax.psum(y, "i"))(x), X),
    mapped("loop", lambda j, x: j.lax.psum(x, "i") * sum(j.lax.psum(x[k] * k, "i") for k in range(3)), X),
    nested("two_names", lambda j, x: x - j.lax.pmean(x, ("i", "k"))),
    nested("outer_of_inner", lambda j, x: j.lax.psum(x, "i") * j.lax.pmean(x, "k")),
    nested("scatter_in_other", lambda j, x: j.lax.all_gather(x * x, "i", axis=1) * j.lax.axis_index("k")),
]
