"""Functions of the digits of numbers: bits set, common divisors, neighbours and exponents of floating numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Atom
from weft.ir.primitive import Elementwise, Primitive, register
from weft.ir.types import SHORT, ArrayType, DType
from weft.primitives.arithmetic import div, mul
from weft.primitives.declare import FLOATING, INTEGER, REAL, elementwise, elementwise_batch, like, prim
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


def _bitcast_type(x: ArrayType, *, dtype: DType) -> tuple[ArrayType, ...]:
    if x.dtype.kind not in REAL or np.dtype(dtype).kind not in REAL or x.dtype.itemsize != np.dtype(dtype).itemsize:
        raise TypeError(f"bitcast: {x.dtype} is not read as {dtype}")
    return (x.with_dtype(np.dtype(dtype)),)


def _bitcast_samples() -> list[Sample]:
    pairs = [(d, e) for d in dtypes(REAL) for e in dtypes(REAL) if d.itemsize == e.itemsize]
    return [((values(d, s),), {"dtype": e}) for d, e in pairs for s in ((2, 3), (), (0,))]


bitcast = register(
    Primitive(
        "bitcast", _bitcast_type, lambda x, *, dtype: np.ascontiguousarray(x).view(dtype).reshape(np.shape(x))[()],
        Elementwise(lambda operands, dtypes, out: f"bitcast<{SHORT[out]}>({operands[0]})", _BITS),
        batch=elementwise_batch, inline_cheap=True,
        python=lambda args, attrs: f"np.asarray({args[0]}).view(np.{np.dtype(attrs['dtype']).name})[()]",
        samples=_bitcast_samples,
    )
)  # fmt: skip

__all__ = ["bitcast", "exponent", "gcd", "mantissa", "nextafter", "popcount"]
