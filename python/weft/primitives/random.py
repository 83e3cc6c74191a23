"""Random bits: the Threefry-2x32 hash of a key and a position.

All that is random is computed from it element by element, in whatever order and on whatever device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from weft.ir.primitive import Elementwise, Primitive, register
from weft.ir.types import ArrayType, DType
from weft.primitives.declare import check_dtypes, common_shape, elementwise_batch, format_cpp
from weft.primitives.samples import Sample

U32, U64 = np.dtype(np.uint32), np.dtype(np.uint64)

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_MASK, _PARITY = 0xFFFFFFFF, 0x1BD11BDA
_CHUNK = 16384  # elements whose words stay in the nearest cache through all rounds


def _one(k0: int, k1: int, a: int, b: int) -> tuple[int, int]:
    """The hash of Python's integers."""
    keys = (k0, k1, k0 ^ k1 ^ _PARITY)
    a, b = (a + k0) & _MASK, (b + k1) & _MASK
    for group in range(5):
        for r in _ROTATIONS[group % 2]:
            a = (a + b) & _MASK
            b = ((b << r | b >> (32 - r)) & _MASK) ^ a
        a = (a + keys[(group + 1) % 3]) & _MASK
        b = (b + keys[(group + 2) % 3] + group + 1) & _MASK
    return a, b


def _many(k0: Any, k1: Any, a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> None:
    """The hash of arrays of words, in their place."""
    keys, t = (k0, k1, k0 ^ k1 ^ np.uint32(_PARITY)), np.empty_like(a)
    a += k0
    b += k1
    for group in range(5):
        for r in _ROTATIONS[group % 2]:
            a += b
            np.left_shift(b, np.uint32(r), out=t)
            np.right_shift(b, np.uint32(32 - r), out=b)
            b |= t
            b ^= a
        a += keys[(group + 1) % 3]
        b += keys[(group + 2) % 3]
        b += np.uint32(group + 1)


def _meaning(combine: Callable[[Any, Any], Any], dtype: DType) -> Callable[..., Any]:
    def run(*operands: Any) -> Any:
        shape = np.broadcast_shapes(*map(np.shape, operands))
        out = np.empty(int(np.prod(shape)), dtype)
        flat = [x if np.ndim(x) == 0 else np.broadcast_to(x, shape).reshape(-1) for x in map(np.asarray, operands)]
        if out.size <= 8:
            for i in range(out.size):
                out[i] = combine(*_one(*[int(x if x.ndim == 0 else x[i]) for x in flat]))
            return out.reshape(shape)[()]
        with np.errstate(over="ignore"):
            for i in range(0, out.size, _CHUNK):
                part = out[i : i + _CHUNK]
                k0, k1, a, b = [x[()] if x.ndim == 0 else x[i : i + _CHUNK] for x in flat]
                a, b = [np.array(np.broadcast_to(x, part.shape)) for x in (a, b)]
                _many(k0, k1, a, b)
                part[...] = combine(a.astype(dtype), b.astype(dtype))
        return out.reshape(shape)

    return run


def _samples() -> list[Sample]:
    rng = np.random.default_rng(0)
    shapes: list[tuple[tuple[int, ...], ...]] = [((),) * 4, ((), (), (2, 3), (2, 3)), ((3,),) * 4, ((0,),) * 4]
    shapes += [((), (), (), (40,)), ((4,), (4,), (), ())]
    return [(tuple([rng.integers(0, 2**32, s, np.uint32)[()] for s in row]), {}) for row in shapes]


def _declare(name: str, out: DType, combine: Callable[[Any, Any], Any], doc: str) -> Primitive:
    def type_rule(*types: ArrayType) -> tuple[ArrayType, ...]:
        if len(types) != 4:
            raise TypeError(f"{name} takes 4 operands, got {len(types)}")
        dtype = check_dtypes(name, types, "u")
        if dtype != U32:
            raise TypeError(f"{name}: not defined for dtype {dtype}")
        return (ArrayType(out, common_shape(name, types)),)

    return register(
        Primitive(
            name, type_rule, _meaning(combine, out),
            Elementwise(format_cpp(name + "({0}, {1}, {2}, {3})"), ("threefry.h",), 100), batch=elementwise_batch,
            python=lambda args, attrs: f"random.{name}({', '.join(args)})", samples=_samples, doc=doc,
        )
    )  # fmt: skip


threefry = _declare(
    "threefry", U64, lambda a, b: a << (32 if isinstance(a, int) else np.uint64(32)) | b,
    "Both words of the hash of the position ``(high, low)`` under the key ``(k0, k1)``, the first one above.",
)  # fmt: skip
threefry_bits = _declare("threefry_bits", U32, lambda a, b: a ^ b, "The exclusive or of the two words of `threefry`.")

__all__ = ["threefry", "threefry_bits"]
