"""``x.at[key]``: updates that give a new array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from weft.ir.nodes import At, Gather, Span, Var, lit
from weft.ir.types import i64, scalar
from weft.numpy.common import (
    Staged,
    array,
    cast,
    current,
    dim_or_int,
    emit,
    of,
    op_error,
    prim,
    product,
    reshape,
    unsupported,
    wrap,
)  # fmt: skip
from weft.numpy.ufuncs import ufunc
from weft.staged.indexing import Key, assigned, getitem, parse, setitem, spec_shape


class AtHelper:
    """What ``x.at`` gives; ``x.at[key]`` names a place."""

    __slots__ = ("_array",)

    def __init__(self, array: Staged) -> None:
        self._array = array

    def __getitem__(self, key: Any) -> Place:
        return Place(self._array, key)

    def __repr__(self) -> str:
        return f"<at of {self._array!r}>"


class Place:
    """A place in an array; its methods give the array with that place changed."""

    __slots__ = ("_array", "_key")

    def __init__(self, array: Staged, key: Any) -> None:
        self._array = array
        self._key = key

    def get(self, *, mode: Any = None, fill_value: Any = None, **hints: Any) -> Any:
        """The elements there."""
        _hints(mode, hints)
        out = getitem(self._array, self._key)
        return wrap(out.atom, self._array.flavour)

    def set(self, values: Any, *, mode: Any = None, **hints: Any) -> Any:
        """With these values there."""
        _hints(mode, hints)
        copy = wrap(self._array.atom, "np")
        if copy.cell is None:
            return self._scalar(lambda old: values)
        setitem(copy, self._key, values)
        return wrap(copy.atom, self._array.flavour)

    def add(self, values: Any, *, mode: Any = None, **hints: Any) -> Any:
        """With values added there; repeated indices add up."""
        _hints(mode, hints)
        return self._combined(np.add, values)

    def subtract(self, values: Any, *, mode: Any = None, **hints: Any) -> Any:
        """With values subtracted there."""
        _hints(mode, hints)
        return self._combined(np.subtract, values)

    def multiply(self, values: Any, *, mode: Any = None, **hints: Any) -> Any:
        """With the place multiplied by values."""
        _hints(mode, hints)
        return self._combined(np.multiply, values)

    mul = multiply

    def divide(self, values: Any, *, mode: Any = None, **hints: Any) -> Any:
        """With the place divided by values."""
        _hints(mode, hints)
        return self._combined(np.divide, values)

    def power(self, values: Any, *, mode: Any = None, **hints: Any) -> Any:
        """With the place raised to powers."""
        _hints(mode, hints)
        return self._combined(np.power, values)

    def min(self, values: Any, *, mode: Any = None, **hints: Any) -> Any:
        """With the smaller of what is there and values."""
        _hints(mode, hints)
        return self._combined(np.minimum, values)

    def max(self, values: Any, *, mode: Any = None, **hints: Any) -> Any:
        """With the larger of what is there and values."""
        _hints(mode, hints)
        return self._combined(np.maximum, values)

    def apply(self, func: Callable[[Any], Any], *, mode: Any = None, **hints: Any) -> Any:
        """With ``func`` of what is there."""
        _hints(mode, hints)
        x = self._array
        if not x.sizes:
            return self._scalar(func)
        return self.set(func(wrap(getitem(x, self._key).atom, "weft")))

    def _scalar(self, func: Callable[[Any], Any]) -> Any:
        x = self._array
        parse(x, self._key)
        return wrap(array(func(of(x.atom)), x.dtype).atom, x.flavour)

    def _combined(self, uf: np.ufunc, values: Any) -> Any:
        x = self._array
        if not x.sizes:
            return self._scalar(lambda old: ufunc(uf, old, values))
        out = updated(uf, of(x.atom), self._key, values)
        return wrap(out.atom, x.flavour)


def _hints(mode: Any, hints: dict[str, Any]) -> None:
    if mode not in (None, "promise_in_bounds"):
        raise unsupported(f"an update with mode={mode!r}", "indices out of bounds raise IndexError: select them first")
    unknown = set(hints) - {"indices_are_sorted", "unique_indices", "wrap_negative_indices", "out_sharding"}
    if unknown:
        raise op_error(TypeError, f"unexpected keyword arguments: {', '.join(sorted(unknown))}")


def updated(uf: np.ufunc, x: Staged, key: Any, values: Any) -> Staged:
    """``x`` with ``uf(x[key], values)`` at the key; where indices repeat, applied again for each."""
    k = parse(x, key)
    if k.basic:
        new = ufunc(uf, of(getitem(x, key).atom), values)
        copy = wrap(x.atom, "np")
        setitem(copy, key, new if not isinstance(new, Staged) else wrap(cast(new.atom, x.dtype), "weft"))
        return of(copy.atom)
    v = _placed(k, x, values)
    if uf is np.add:
        return emit("accum", x, v, *k.operands, spec=k.spec, mode="check")
    if uf is np.subtract and x.dtype.kind != "b":
        return emit("accum", x, emit("neg", v), *k.operands, spec=k.spec, mode="check")
    return _one_by_one(uf, x, k, v)


def _placed(k: Key, x: Staged, values: Any) -> Staged:
    """The values of an update, with exactly the shape that `index` gives there (or a scalar)."""
    shape = spec_shape(k.spec, k.operands)
    final = tuple([shape[i] for i in k.front]) if k.front else shape
    seen = final
    for a in k.newaxes:
        seen = (*seen[:a], 1, *seen[a:])
    v = assigned(values, x, seen, final)
    if k.front is not None and v.type.shape:
        v = prim("transpose")(v, perm=tuple(sorted(range(len(k.front)), key=k.front.__getitem__)))
    return of(v)


def _one_by_one(uf: np.ufunc, x: Staged, k: Key, v: Staged) -> Staged:
    """A loop over the gathered positions, so that repeated ones are updated again."""
    b = current().builder
    rows = next(o for s, o in zip(k.spec, k.operands, strict=True) if isinstance(s, Gather)).type.shape
    n = product(rows)
    flat = [reshape(of(o), (n,)).atom if isinstance(s, Gather) else o for s, o in zip(k.spec, k.operands, strict=True)]
    if v.sizes:
        # one row of values per position, standing first
        at = next(i for i, s in enumerate(k.spec) if isinstance(s, Gather))
        before = sum(isinstance(s, Span) for s in k.spec[:at])
        perm = [*range(before, before + len(rows)), *range(before), *range(before + len(rows), v.ndim)]
        v = emit("transpose", v, perm=tuple(perm))
        v = reshape(v, (n, *v.sizes[len(rows) :]))
    j, carry = Var(scalar(i64)), Var(x.atom.type)
    spec = tuple([At() if isinstance(s, Gather) else s for s in k.spec])
    with b.scope((j, carry)) as block:
        places = [
            prim("index")(o, j, spec=(At(),), mode="fast") if isinstance(s, Gather) else o
            for s, o in zip(k.spec, flat, strict=True)
        ]
        old = emit("index", carry, *places, spec=spec, mode="check")
        row = v
        if v.sizes:
            whole = [Span(m) for m in v.sizes[1:]]
            row = emit("index", v, j, *[lit(0)] * len(whole), spec=(At(), *whole), mode="fast")
        new = cast(ufunc(uf, old, row).atom, x.dtype)
        block.results = (prim("store")(carry, new, *places, spec=spec, mode="check"),)
    trip = n if isinstance(n, int) else dim_or_int(b.size_value(n))
    return of(b.for_(trip, (x.atom,), block)[0])


__all__ = ["AtHelper", "Place", "updated"]
