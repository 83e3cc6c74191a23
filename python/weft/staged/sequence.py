"""Arrays from Python numbers and nested sequences of staged values."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.nodes import Atom
from weft.ir.types import DType
from weft.staged.arith import broadcast_shapes, broadcast_to, cast, op_error, prim
from weft.staged.value import Staged, is_number, lift, wrap


def leaves(x: Any) -> list[Any]:
    """The numbers and arrays in a nested sequence."""
    if isinstance(x, list | tuple):
        return [leaf for item in x for leaf in leaves(item)]
    return [x]


def to_array(x: Any, dtype: DType | None = None, flavour: str = "np") -> Staged:
    """``np.array(x)`` (a copy) of a number, array or nested sequence, some of it staged."""
    if not isinstance(x, list | tuple):
        v = lift(x)
        return wrap(cast(v.atom, dtype or v.dtype), flavour)
    flat = leaves(x)
    if not any(isinstance(v, Staged) for v in flat):
        data = np.asarray(x)
        if data.dtype == object:
            raise op_error(ValueError, "setting an array element with a sequence: the sequence is not rectangular")
        return wrap(cast(lift(data.astype(dtype) if dtype else data).atom, dtype or data.dtype), flavour)
    # unlike in arithmetic, Python numbers count with their own dtypes here
    dtype = dtype or np.result_type(*[v.dtype for v in map(lift, flat)])
    if all([is_number(v) or not v.type.shape for v in map(lift, flat)]):
        shape = _shape(x)
        return wrap(prim("make")(*[cast(lift(v).atom, dtype) for v in flat], shape=shape), flavour)
    return wrap(_stack(x, dtype), flavour)


def _shape(x: Any) -> tuple[int, ...]:
    if not isinstance(x, list | tuple):
        return ()
    inner = {_shape(v) for v in x}
    if len(inner) > 1:
        raise op_error(ValueError, "setting an array element with a sequence: the sequence is not rectangular")
    return (len(x), *(inner.pop() if inner else ()))


def _stack(x: Any, dtype: DType) -> Atom:
    if not isinstance(x, list | tuple):
        return cast(lift(x).atom, dtype)
    parts = [_stack(v, dtype) for v in x]
    shape = broadcast_shapes("array", *[p.type.shape for p in parts])
    if any(len(p.type.shape) != len(shape) for p in parts):
        raise op_error(ValueError, "setting an array element with a sequence: the sequence is not rectangular")
    rows = [prim("reshape")(broadcast_to(p, shape), shape=(1, *shape)) for p in parts]
    out: Atom = prim("concat")(*rows, axis=0)
    return out
