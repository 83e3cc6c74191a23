"""Calls whose results JAX recorded: each is written once, over the module that stands in JAX's place.

``python tests/recorded/record.py`` writes the results where JAX is installed; the test runs the same calls with weft.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """A call ``run(j, *args)``, where ``j`` is `jax` or `weft`.

    Attributes
    ----------
    name
        Unique in its area.
    run
        The call; it returns a tree of arrays, numbers and strings.
    args
        NumPy arrays and numbers.
    grad
        Also compare the gradient of the sum of all its floating results with respect to the first argument.
    vmap
        Also compare a batch over all arguments with a loop.
    compiled
        Also compare the call inside `jit` (not where strings are returned, or sizes depend on values).
    rtol, atol
        What floating results may differ by; both 0 for the same bits.
    """

    name: str
    run: Callable[..., Any]
    args: tuple[Any, ...]
    grad: bool = False
    vmap: bool = False
    compiled: bool = True
    rtol: float = 1e-6
    atol: float = 1e-9


def case(name: str, run: Callable[..., Any], *args: Any, **options: Any) -> Case:
    """A case, its arguments by position."""
    return Case(name, run, args, **options)


def leaves(x: Any) -> list[np.ndarray[Any, Any]]:
    """The leaves of a result as NumPy arrays, dicts by sorted keys."""
    if isinstance(x, dict):
        return [v for k in sorted(x) for v in leaves(x[k])]
    if isinstance(x, list | tuple):
        return [v for item in x for v in leaves(item)]
    return [] if x is None else [np.asarray(x)]


def total(j: Any, run: Callable[..., Any]) -> Callable[..., Any]:
    """The function whose gradient is recorded."""

    def scalar(*args: Any) -> Any:
        found = run(j, *args)
        parts = [j.numpy.sum(v) for v in j.tree.leaves(found) if v.dtype.kind == "f"]
        return sum(parts)

    return scalar
