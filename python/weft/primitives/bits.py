"""Functions of the digits of numbers: bits set, common divisors, neighbours and exponents of floating numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Atom
from weft.ir.types import DType
from weft.primitives.arithmetic import div, mul
from weft.primitives.declare import FLOATING, INTEGER, elementwise, like, prim
from weft.primitives.samples import Sample, dtypes, values

_BITS = ("bits.h",)

popcount = elementwise(
    "popcount", "u", numpy=np.bitwise_count, cpp="popcount({0})", result=np.dtype(np.uint8), needs=_BITS, cost=8
)
gcd = elementwise("gcd", INTEGER, arity=2, numpy=np.gcd, cpp="gcd({0}, {1})", needs=_BITS, cost=200)


def _nextafter_cpp(operands: Sequence[str], dtypes: Sequence[DType], out: DType) -> str:
    return f"nextafter({operands[0]}, {operands[1]})"  # of float16 too: computed in float it would be another


nextafter = elementwise(
    "nextafter", FLOATING, arity=2, numpy=np.nextafter, cpp=_nextafter_cpp, needs=_BITS, cost=6,
    partials=lambda x, y, z: [1, None],
)  # fmt: skip


def _wide_samples() -> list[Sample]:
    found: list[Sample] = []
    for d in dtypes(FLOATING):
        info = np.finfo(d)
        edges = np.array([0.0, -0.0, 1.0, -8.0, info.max, info.tiny, info.smallest_subnormal, np.inf, np.nan], d)
        found += [((edges,), {}), ((values(d, (2, 3)),), {}), ((values(d),), {}), ((values(d, (0,)),), {})]
    return found


exponent = elementwise(
    "exponent", FLOATING, numpy=lambda x: np.frexp(x)[1], cpp="exponent({0})", result=np.dtype(np.int32), needs=_BITS,
    cost=4, python="np.frexp({0})[1]", samples=_wide_samples,
)  # fmt: skip


def _by_power(x: Atom, y: Atom) -> Any:
    zero = prim("eq")(x, like(0, x))
    return lambda t: mul(t, prim("select")(zero, like(1, x), div(y, prim("select")(zero, like(1, x), x))))


mantissa = elementwise(
    "mantissa", FLOATING, numpy=lambda x: np.frexp(x)[0], cpp="mantissa({0})", needs=_BITS, cost=4,
    python="np.frexp({0})[0]", partials=lambda x, y: [_by_power(x, y)],
    samples=lambda: [((values(d, s, domain=(1.1, 1.9)),), {}) for d in dtypes(FLOATING) for s in ((2, 3), (), (0,))],
)  # fmt: skip

__all__ = ["exponent", "gcd", "mantissa", "nextafter", "popcount"]
