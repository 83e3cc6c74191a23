"""Sample operands for the tests that are generated from declarations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Sample = tuple[tuple[Any, ...], dict[str, Any]]
DTYPES = {"b": ("?",), "i": ("i8", "i1"), "u": ("u8", "u1"), "f": ("f8", "f4"), "c": ("c16", "c8")}


def dtypes(kinds: str) -> Iterator[np.dtype[Any]]:
    """Two dtypes of each kind (one of bool)."""
    for kind in kinds:
        for name in DTYPES[kind]:
            yield np.dtype(name)


def values(
    dtype: Any, shape: Sequence[int] = (), *, seed: int = 0, domain: tuple[float, float] = (-3.0, 3.0)
) -> np.ndarray[Any, Any]:
    """Random values, generic enough that no two of them are equal where the dtype allows."""
    rng = np.random.default_rng([seed, *shape])
    dtype, shape = np.dtype(dtype), tuple(shape)
    lo, hi = domain
    out: Any
    if dtype.kind == "b":
        out = rng.random(shape) < 0.5
    elif dtype.kind == "u":
        out = rng.integers(0, 12, shape)
    elif dtype.kind == "i":
        out = rng.integers(-9, 10, shape)
    elif dtype.kind == "f":
        out = rng.uniform(lo, hi, shape)
    elif dtype.kind == "c":
        out = rng.uniform(lo, hi, shape) + 1j * rng.uniform(-2, 2, shape)
    else:
        raise TypeError(f"no samples of dtype {dtype}")
    return np.asarray(out).astype(dtype)[()]  # type: ignore[no-any-return]


def elementwise_samples(kinds: str, arity: int, domain: tuple[float, float]) -> list[Sample]:
    """Arrays and scalars of every dtype, and scalars beside arrays."""
    found: list[Sample] = []
    for dtype in dtypes(kinds):
        shapes: list[tuple[tuple[int, ...], ...]] = [((2, 3),) * arity, ((),) * arity, ((0,),) * arity]
        if arity > 1:
            shapes += [((), *((3,),) * (arity - 1)), (*((3,),) * (arity - 1), ())]
        for row in shapes:
            found.append((tuple([values(dtype, s, seed=k, domain=domain) for k, s in enumerate(row)]), {}))
    return found
