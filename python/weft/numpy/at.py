"""``x.at[key]``: updates that give a new array."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from weft.ir.nodes import At, Gather, Lit, Span, Var, lit
from weft.ir.types import i64, scalar
from weft.numpy.common import (
    Staged,
    array,
    cast,
    check,
    current,
    dim_or_int,
    emit,
    of,
    op_error,
    prim,
    product,
    reshape,
    select,
    static_bool,
    value,
    wrap,
)  # fmt: skip
from weft.numpy.ufuncs import ufunc
from weft.runtime.at import OPTIONS, UPDATES
from weft.runtime.places import fill_of, mode_of
from weft.staged.indexing import Key, assigned, expand, getitem, parse, spec_shape
from weft.staged.value import called

#: The new content of a place: of what is there, and of the value for it.
Combine = Callable[[Staged, Staged], Any]


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

    def get(
        self, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        fill_value: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """The elements there."""
        x = self._array
        how = mode_of(mode)
        if how == "check" and wrap_negative_indices is True:
            return wrap(getitem(x, self._key).atom, x.flavour)
        k, access, inside = located(x, self._key, how, wrap_negative_indices)
        out = emit("index", x, *k.operands, spec=k.spec, mode=access)
        if inside is not None:
            fill = fill_of(x.dtype, None) if fill_value is None else fill_value
            out = select(over(inside, k), out, of(cast(value(fill).atom, x.dtype)))
        if k.front is not None:
            out = emit("transpose", out, perm=k.front)
        return wrap((expand(out, k.newaxes) if k.newaxes else out).atom, x.flavour)

    def set(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """With these values there, converted to the array's dtype."""
        return self._changed(None, values, mode, wrap_negative_indices)

    def apply(
        self, func: Callable[[Any], Any], *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """With an elementwise ``func`` of what is there; where indices repeat, again for each."""
        x = self._array
        k, access, inside = located(x, self._key, mode_of(mode), wrap_negative_indices)

        def applied(old: Staged, _: Any) -> Any:
            return called(func, old)

        if k.basic or inside is not None or not (unique_indices or _is_mask(self._key)):
            new = changed(applied, of(x.atom), k, access, inside, of(lit(0, x.dtype)))
        else:
            old = emit("index", x, *k.operands, spec=k.spec, mode=access)
            new = emit("store", x, array(called(func, old), x.dtype), *k.operands, spec=k.spec, mode=access)
        return wrap(new.atom, x.flavour)

    def _changed(self, name: str | None, values: Any, mode: Any, from_end: bool) -> Any:
        x = of(self._array.atom)
        if name == "divide" and x.dtype.kind in "biu":
            x = array(x, np.divide(np.empty(0, x.dtype), 1).dtype)
        k, access, inside = located(x, self._key, mode_of(mode), from_end)
        uf = None if name is None else UPDATES[name][0]
        v = placed(k, x, values)
        if uf in (np.add, np.subtract) and not k.basic and x.dtype.kind != "b":
            if inside is not None:  # adding -0.0 changes nothing
                nothing = of(lit(-0.0 if x.dtype.kind in "fc" else 0, x.dtype))
                v = select(over(inside, k), v, nothing if uf is np.add else emit("neg", nothing))
            v = v if uf is np.add else emit("neg", v)
            new = emit("accum", x, v, *k.operands, spec=k.spec, mode=access)
        else:
            new = changed(None if uf is None else (lambda old, given: ufunc(uf, old, given)), x, k, access, inside, v)
        return wrap(new.atom, self._array.flavour)


def _update(name: str) -> Any:
    def method(
        self: Place, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        return self._changed(name, values, mode, wrap_negative_indices)

    method.__name__ = name
    method.__qualname__ = f"Place.{name}"
    method.__doc__ = f"With {UPDATES[name][1]}; where indices repeat, again for each.{OPTIONS}"
    return method


for _name in UPDATES:
    setattr(Place, _name, _update(_name))
for _name in ("get", "set", "apply"):
    getattr(Place, _name).__doc__ += OPTIONS


def _is_mask(key: Any) -> bool:
    """Whether a key names no place twice, being of masks, slices and new axes."""
    parts = key if isinstance(key, tuple) else (key,)
    return all([k is None or k is ... or isinstance(k, slice) or getattr(k, "dtype", None) == np.bool_ for k in parts])


# -- places out of bounds ----------------------------------------------------------------------------------------------


def located(x: Staged, key: Any, how: str, from_end: bool) -> tuple[Key, str, Staged | None]:
    """A key with its integers brought into range, the mode to access it in, and where they were in range (None:
    nothing has to be left out)."""
    k = parse(x, key)
    from_end = static_bool(from_end, "wrap_negative_indices")
    if how == "check" and from_end:
        return k, "check", None
    ctx = current()
    inside: Staged | None = None
    operands = list(k.operands)
    known = how != "check"
    for axis, (entry, operand) in enumerate(zip(k.spec, k.operands, strict=True)):
        if isinstance(entry, Span):
            continue
        n = x.sizes[axis]
        if n == 0 and 0 not in operand.type.shape:
            raise op_error(IndexError, f"index is out of bounds for axis {axis} with size 0")
        known = known and ctx.at_least(n, 1)
        i, size = of(operand), of(ctx.builder.size_value(n))
        if how == "check":
            _not_negative(i, axis, size)
            continue
        if how == "wrap":
            operands[axis] = emit("mod", i, size).atom
            continue
        if from_end and not (isinstance(operand, Lit) and operand.value >= 0):
            i = select(emit("lt", i, lit(0)), emit("add", i, size), i)
        if how == "drop":
            ok = emit("bitand", emit("ge", i, lit(0)), emit("lt", i, size))
            inside = ok if inside is None else emit("bitand", inside, ok)
        last = emit("sub", size, lit(1))
        operands[axis] = emit("minimum", emit("maximum", i, lit(0)), last).atom
    return replace(k, operands=tuple(operands)), "fast" if known else "check", inside


def _not_negative(i: Staged, axis: int, size: Staged) -> None:
    ok = emit("ge", i, lit(0))
    check(
        ok if not ok.sizes else emit("reduce_and", ok, axes=tuple(range(ok.ndim))), IndexError,
        f"a negative index is out of bounds for axis {axis} with size {{}}: wrap_negative_indices is False", size.atom,
    )  # fmt: skip


def over(inside: Staged, k: Key) -> Staged:
    """`inside` for each element that `index` gives there."""
    shape = spec_shape(k.spec, k.operands)
    if not inside.sizes or len(shape) == inside.ndim:
        return inside
    at = _lanes_at(k)
    return emit("broadcast", inside, shape=shape, dims=tuple(range(at, at + inside.ndim)))


def _lanes_at(k: Key) -> int:
    """The axis of what `index` gives where gathered axes stand."""
    first = next(i for i, s in enumerate(k.spec) if isinstance(s, Gather))
    return sum([isinstance(s, Span) for s in k.spec[:first]])


# -- updates -----------------------------------------------------------------------------------------------------------


def changed(combine: Combine | None, x: Staged, k: Key, access: str, inside: Staged | None, v: Staged) -> Staged:
    """``x`` with a place changed; without ``combine``, set to ``v``. Where indices repeat, changed again for each."""
    if not k.basic:
        if combine is None and inside is None:
            return emit("store", x, v, *k.operands, spec=k.spec, mode=access)
        return _one_by_one(combine, x, k, access, inside, v)
    new = v
    if combine is not None or inside is not None:
        old = emit("index", x, *k.operands, spec=k.spec, mode=access)
        new = v if combine is None else array(combine(old, v), x.dtype)
        if inside is not None:
            new = select(inside, new, old)
    return emit("store", x, new, *k.operands, spec=k.spec, mode=access)


def updated(uf: np.ufunc, x: Staged, key: Any, values: Any) -> Staged:
    """``x`` with ``uf(x[key], values)`` at the key; where indices repeat, applied again for each."""
    k = parse(x, key)
    if k.basic:
        old = getitem(x, key)
        return changed(None, x, k, "check", None, placed(k, x, ufunc(uf, of(old.atom), values)))
    v = placed(k, x, values)
    if uf is np.add:
        return emit("accum", x, v, *k.operands, spec=k.spec, mode="check")
    if uf is np.subtract and x.dtype.kind != "b":
        return emit("accum", x, emit("neg", v), *k.operands, spec=k.spec, mode="check")
    return changed(lambda old, given: ufunc(uf, old, given), x, k, "check", None, v)


def placed(k: Key, x: Staged, values: Any) -> Staged:
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


def _one_by_one(combine: Combine | None, x: Staged, k: Key, access: str, inside: Staged | None, v: Staged) -> Staged:
    """A loop over the gathered positions, so that repeated ones are updated again."""
    b = current().builder
    rows = next(o for s, o in zip(k.spec, k.operands, strict=True) if isinstance(s, Gather)).type.shape
    n = product(rows)
    flat = [reshape(of(o), (n,)).atom if isinstance(s, Gather) else o for s, o in zip(k.spec, k.operands, strict=True)]
    if v.sizes:
        # one row of values per position, standing first
        before = _lanes_at(k)
        perm = [*range(before, before + len(rows)), *range(before), *range(before + len(rows), v.ndim)]
        v = emit("transpose", v, perm=tuple(perm))
        v = reshape(v, (n, *v.sizes[len(rows) :]))
    flags = None if inside is None else reshape(inside, (n,))
    j, carry = Var(scalar(i64)), Var(x.atom.type)
    spec = tuple([At() if isinstance(s, Gather) else s for s in k.spec])
    with b.scope((j, carry)) as block:
        places = [
            prim("index")(o, j, spec=(At(),), mode="fast") if isinstance(s, Gather) else o
            for s, o in zip(k.spec, flat, strict=True)
        ]
        old = emit("index", carry, *places, spec=spec, mode=access)
        row = v
        if v.sizes:
            whole = [Span(m) for m in v.sizes[1:]]
            row = emit("index", v, j, *[lit(0)] * len(whole), spec=(At(), *whole), mode="fast")
        new = row if combine is None else array(combine(old, row), x.dtype)
        if flags is not None:
            new = select(emit("index", flags, j, spec=(At(),), mode="fast"), new, old)
        block.results = (prim("store")(carry, new.atom, *places, spec=spec, mode=access),)
    trip = n if isinstance(n, int) else dim_or_int(b.size_value(n))
    return of(b.for_(trip, (x.atom,), block)[0])


__all__ = ["AtHelper", "Place", "updated"]
