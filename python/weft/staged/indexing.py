"""Reading and writing ``x[key]`` with NumPy's meaning: views for basic keys, copies for integer arrays and masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from weft.errors import NonConcreteBooleanIndexError
from weft.ir.nodes import At, Atom, Gather, IndexSpec, Lit, Span, lit
from weft.ir.sizes import Dim, Shape, Size, dim, same_shape
from weft.ir.types import ArrayType, bool_, i64
from weft.staged import arith
from weft.staged.arith import (
    broadcast_shapes,
    broadcast_to,
    cast,
    op_error,
    prim,
    retyped,
    shape_text,
    weak_literal,
)  # fmt: skip
from weft.staged.context import current
from weft.staged.value import Staged, View, lift, size_of, wrap


def spec_shape(spec: IndexSpec, operands: tuple[Atom, ...]) -> Shape:
    """The shape that an index yields."""
    shape: list[Size] = []
    gathered = False
    for s, o in zip(spec, operands, strict=True):
        match s:
            case At():
                pass
            case Span():
                shape.append(s.size)
            case Gather():
                if not gathered:
                    shape.extend(o.type.shape)
                gathered = True
            case _:
                raise TypeError(f"not an index entry: {s!r}")
    return tuple(shape)


@dataclass(frozen=True, slots=True)
class IndexView(View):
    """A region given by integers and slices."""

    spec: IndexSpec
    operands: tuple[Atom, ...]
    mode: str = "check"

    def get(self, base: Atom) -> Atom:
        out: Atom = prim("index")(base, *self.operands, spec=self.spec, mode=self.mode)
        return out

    def put(self, base: Atom, value: Atom) -> Atom:
        out: Atom = prim("store")(base, value, *self.operands, spec=self.spec, mode=self.mode)
        return out


@dataclass(frozen=True, slots=True)
class ReshapeView(View):
    """The same elements, row-major, under another shape."""

    old: Shape
    new: Shape

    def get(self, base: Atom) -> Atom:
        out: Atom = prim("reshape")(base, shape=self.new)
        return out

    def put(self, base: Atom, value: Atom) -> Atom:
        out: Atom = prim("reshape")(value, shape=self.old)
        return out


@dataclass(frozen=True, slots=True)
class TransposeView(View):
    """The axes in another order."""

    perm: tuple[int, ...]

    def get(self, base: Atom) -> Atom:
        out: Atom = prim("transpose")(base, perm=self.perm)
        return out

    def put(self, base: Atom, value: Atom) -> Atom:
        inverse = tuple(sorted(range(len(self.perm)), key=self.perm.__getitem__))
        out: Atom = prim("transpose")(value, perm=inverse)
        return out


@dataclass(frozen=True, slots=True)
class Key:
    """A parsed key: one entry and operand per axis of the array, then how to place the result's axes."""

    spec: IndexSpec
    operands: tuple[Atom, ...]
    newaxes: tuple[int, ...]  # positions of new axes in the final result
    front: tuple[int, ...] | None  # permutation that brings gathered axes first, NumPy's rule for separated ones
    basic: bool


# -- parsing ---------------------------------------------------------------------------------------------------------


def parse(x: Staged, key: Any) -> Key:
    """Turn a Python key into a `Key`.

    Raises
    ------
    IndexError
        Too many indices, or a type that does not index, in NumPy's words.
    """
    ctx = current()
    items = list(key) if isinstance(key, tuple) else [key]
    items = [_item(k) for k in items]
    used = sum([_consumes(k) for k in items])
    if used > x.ndim:
        raise op_error(
            IndexError, f"too many indices for array: array is {x.ndim}-dimensional, but {used} were indexed"
        )
    if sum([k is Ellipsis for k in items]) > 1:
        raise op_error(IndexError, "an index can only have a single ellipsis ('...')")
    if Ellipsis not in [k for k in items if k is Ellipsis]:
        items.append(Ellipsis)
    at = next(i for i, k in enumerate(items) if k is Ellipsis)
    items[at : at + 1] = [slice(None)] * (x.ndim - used)
    arrays = any([_is_array(k) for k in items])
    spec: list[At | Span | Gather] = []
    operands: list[Atom] = []
    kinds: list[str] = []  # of the items, for the placing of gathered axes
    axis = 0
    for k in items:
        if k is None:
            kinds.append("new")
            continue
        if isinstance(k, slice):
            s, start = slice_span(k, x.sizes[axis])
            spec.append(s)
            operands.append(start)
            kinds.append("span")
            axis += 1
        elif _is_array(k):
            for entry in _gather_items(k, x, axis):
                spec.append(Gather())
                operands.append(entry)
                axis += 1
            kinds.append("gather")
        else:
            spec.append(Gather() if arrays else At())
            operands.append(_integer(k))
            kinds.append("gather" if arrays else "at")
            axis += 1
    if arrays:
        _broadcast_gathers(spec, operands)
    return _place(tuple(spec), tuple(operands), kinds, arrays, ctx)


def _item(k: Any) -> Any:
    if isinstance(k, list | tuple):
        from weft.staged.sequence import to_array

        return to_array(k) if len(k) else lift(np.empty(0, np.int64))
    if isinstance(k, np.ndarray) or (hasattr(k, "__array__") and not isinstance(k, Staged | np.generic)):
        return lift(k)
    return k


def _is_array(k: Any) -> bool:
    return isinstance(k, Staged) and (bool(k.type.shape) or k.dtype == bool_)


def _consumes(k: Any) -> int:
    if k is None or k is Ellipsis:
        return 0
    return k.ndim if _is_array(k) and k.dtype == bool_ else 1


def _integer(k: Any) -> Atom:
    if isinstance(k, Staged) and not k.type.shape and k.dtype.kind in "iu":
        return cast(k.atom, i64)
    if not isinstance(k, bool | np.bool_ | Staged) and hasattr(k, "__index__"):
        return lit(k.__index__())
    raise op_error(
        IndexError,
        "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are valid"
        " indices",
    )


def _gather_items(k: Staged, x: Staged, axis: int) -> list[Atom]:
    if k.dtype == bool_:
        if k.ndim == 0:
            raise NonConcreteBooleanIndexError(
                "a boolean scalar as an index", remedy="use an `if` statement or np.where", loc=current().loc
            )
        for j, n in enumerate(k.sizes):
            want = x.sizes[axis + j]
            if not same_shape((n,), (want,)):
                broadcast_shapes("boolean index", (n,), (want,))
        return list(prim("mask_indices")(k.atom))[1:]
    if k.dtype.kind not in "iu":
        raise op_error(IndexError, "arrays used as indices must be of integer (or boolean) type")
    return [cast(k.atom, i64)]


def _broadcast_gathers(spec: list[At | Span | Gather], operands: list[Atom]) -> None:
    where = [i for i, s in enumerate(spec) if isinstance(s, Gather)]
    shapes = [operands[i].type.shape for i in where]
    try:
        shape = broadcast_shapes("index", *shapes)
    except ValueError:
        text = " ".join([shape_text(t) for t in shapes])
        raise op_error(
            IndexError, f"shape mismatch: indexing arrays could not be broadcast together with shapes {text}"
        ) from None
    for i in where:
        a = operands[i]
        if not a.type.shape and shape:
            a = prim("broadcast")(a, shape=shape, dims=())
        operands[i] = broadcast_to(a, shape)


def _place(spec: IndexSpec, operands: tuple[Atom, ...], kinds: list[str], arrays: bool, ctx: Any) -> Key:
    """Where new axes and gathered axes stand in the result."""
    new: list[int] = []
    front: tuple[int, ...] | None = None
    rank_g = next((o.type.rank for s, o in zip(spec, operands, strict=True) if isinstance(s, Gather)), 0)
    gathers = [i for i, k in enumerate(kinds) if k == "gather"]
    separated = arrays and gathers[-1] - gathers[0] + 1 != len(gathers)
    pos = rank_g if separated else 0
    seen = False
    for k in kinds:
        if k == "new":
            new.append(pos)
            pos += 1
        elif k == "span":
            pos += 1
        elif k == "gather" and not seen and not separated:
            seen = True
            pos += rank_g
    if separated:
        # index() puts gathered axes where the first gather stands: move them to the front
        spans_before = sum([isinstance(s, Span) for s in spec[: _first_gather(spec)]])
        total = rank_g + sum([isinstance(s, Span) for s in spec])
        moved = list(range(spans_before, spans_before + rank_g))
        front = tuple(moved + [i for i in range(total) if i not in moved])
    return Key(spec, operands, tuple(new), front, not arrays)


def _first_gather(spec: IndexSpec) -> int:
    return next(i for i, s in enumerate(spec) if isinstance(s, Gather))


# -- slices ----------------------------------------------------------------------------------------------------------


def slice_span(s: slice, n: Size) -> tuple[Span, Atom]:
    """A slice of an axis of size ``n`` as a span and its start, clipped as Python clips."""
    step = 1 if s.step is None else size_of(s.step, "a slice step")
    if isinstance(step, Dim):
        step = current().fix(step, "a slice's step is needed as a number while staging")
    if step == 0:
        raise op_error(ValueError, "slice step cannot be zero")
    if s.start is None and s.stop is None and step == 1:
        return Span(n, 1), lit(0)
    if isinstance(n, int) and _static(s.start) and _static(s.stop):
        start, stop, _ = slice(_number(s.start), _number(s.stop), step).indices(n)
        return Span(len(range(start, stop, step)), step), lit(start)
    if step == 1:
        lo, hi = _bound(s.start, n, 0), _bound(s.stop, n, n)
        size = _length(lo, hi)
        return Span(size, 1), current().builder.atom(lo)
    return _stepped(s, n, step)


def _static(b: Any) -> bool:
    return b is None or isinstance(size_of(b, "a slice bound"), int)


def _number(b: Any) -> int | None:
    return None if b is None else int(size_of(b))  # type: ignore[arg-type]


def _bound(b: Any, n: Size, default: Size) -> Size:
    """A slice bound clipped to [0, n]."""
    ctx = current()
    if b is None:
        return default
    k = size_of(b, "a slice bound")
    if ctx.about_shapes(k) and ctx.about_shapes(n):
        # decided by this call's sizes, under guards
        if not isinstance(k, int) or k < 0:
            if not _holds(k):
                k = k + n
                if not _holds(k):
                    return 0
        return k if _holds(n - k) else n
    b_ = ctx.builder
    v, m = b_.size_value(k), b_.size_value(n)
    if not (isinstance(k, int) and k >= 0):
        v = prim("select")(prim("lt")(v, lit(0)), prim("add")(v, m), v)
        v = prim("maximum")(v, lit(0))
    v = prim("minimum")(v, m)
    return int(v.value) if isinstance(v, Lit) else dim(v)


def _holds(size: Size) -> bool:
    """Whether ``size >= 0`` in this call (under a guard, if it does not follow)."""
    ctx = current()
    return ctx.at_least(size, 0) or ctx.decide(">=", size, "a slice stays within its array")


def _length(lo: Size, hi: Size) -> Size:
    """max(0, hi - lo)."""
    ctx = current()
    size = ctx.resolve(hi - lo)
    if isinstance(size, int):
        return max(0, size)
    if ctx.about_shapes(size):
        return size if _holds(size) else 0
    v = prim("maximum")(ctx.builder.size_value(size), lit(0))
    return int(v.value) if isinstance(v, Lit) else dim(v)


def _stepped(s: slice, n: Size, step: int) -> tuple[Span, Atom]:
    ctx = current()
    if step > 0:
        lo, hi = _bound(s.start, n, 0), _bound(s.stop, n, n)
        span = hi - lo
    else:
        # positions run from lo down to hi + 1; as Python, bounds clip to [-1, n - 1]
        lo, hi = _bound_down(s.start, n, n - 1), _bound_down(s.stop, n, -1)
        span = lo - hi
    start = ctx.builder.atom(lo)
    if abs(step) == 1:
        return Span(_length(0, span), step), start
    up = prim("add")(ctx.builder.atom(span), lit(abs(step) - 1))
    count = prim("maximum")(prim("floordiv")(up, lit(abs(step))), lit(0))
    return Span(int(count.value) if isinstance(count, Lit) else dim(count), step), start


def _bound_down(b: Any, n: Size, default: Size) -> Size:
    ctx = current()
    if b is None:
        return default
    k = size_of(b, "a slice bound")
    if ctx.about_shapes(k) and ctx.about_shapes(n):
        if (not isinstance(k, int) or k < 0) and not _holds(k):
            k = k + n
            if not _holds(k):
                return -1
        return k if _holds(n - 1 - k) else n - 1
    v, m = ctx.builder.size_value(k), ctx.builder.size_value(n)
    if not (isinstance(k, int) and k >= 0):
        v = prim("select")(prim("lt")(v, lit(0)), prim("add")(v, m), v)
        v = prim("maximum")(v, lit(-1))
    v = prim("minimum")(v, prim("sub")(m, lit(1)))
    return int(v.value) if isinstance(v, Lit) else dim(v)


# -- reading and writing ---------------------------------------------------------------------------------------------


def getitem(x: Staged, key: Any) -> Any:
    """``x[key]``: a view for basic keys of arrays in memory, a scalar for full integer keys, else a new array."""
    k = parse(x, key)
    shape = spec_shape(k.spec, k.operands)
    if k.basic:
        if x.cell is not None and (shape or k.newaxes):
            out = compose(x, k)
        else:
            out = wrap(read(x, k), x.flavour)
    else:
        a = prim("index")(x.atom, *k.operands, spec=k.spec, mode="check")
        if k.front is not None:
            a = prim("transpose")(a, perm=k.front)
        out = wrap(a, x.flavour)
    return expand(out, k.newaxes) if k.newaxes else out


def read(x: Staged, k: Key) -> Atom:
    """The atom of a basic read, through one `index` where views compose."""
    v = compose(x, k) if x.cell is not None else None
    if v is not None:
        return v.atom
    out: Atom = prim("index")(x.atom, *k.operands, spec=k.spec, mode="check")
    return out


def expand(x: Staged, axes: tuple[int, ...]) -> Staged:
    """New axes of size one at these positions of the result."""
    shape = list(x.sizes)
    for a in axes:
        shape.insert(a, 1)
    new = tuple(shape)
    if x.cell is None and not x.type.shape:
        return wrap(prim("reshape")(x.atom, shape=new), x.flavour if x.flavour != "py" else "np")
    return x.viewed(ReshapeView(x.sizes, new), ArrayType(x.dtype, new))


def compose(x: Staged, k: Key) -> Staged:
    """The view ``x[k]``; a region of a region becomes one region of the array where positions allow it."""
    shape = spec_shape(k.spec, k.operands)
    last = x.views[-1] if x.views else None
    if isinstance(last, IndexView):
        joined = _compose(last, k, x)
        if joined is not None:
            return Staged(None, x.flavour, cell=x.cell, views=(*x.views[:-1], joined), type=ArrayType(x.dtype, shape))
    return x.viewed(IndexView(k.spec, k.operands), ArrayType(x.dtype, shape))


def _compose(outer: IndexView, k: Key, x: Staged) -> IndexView | None:
    spec: list[Any] = []
    operands: list[Atom] = []
    inner = iter(zip(k.spec, k.operands, strict=True))
    for s, o in zip(outer.spec, outer.operands, strict=True):
        if not isinstance(s, Span):
            spec.append(s)
            operands.append(o)
            continue
        t, p = next(inner)
        whole = s.step == 1 and isinstance(o, Lit) and o.value == 0
        if isinstance(t, Span):
            spec.append(Span(t.size, t.step * s.step))
            operands.append(_along(o, p, s.step))
        elif whole and s.size == _axis_size(x, len(spec)):
            spec.append(t)
            operands.append(p)
        elif isinstance(p, Lit) and p.value >= 0 and isinstance(s.size, int) and p.value < s.size:
            spec.append(At())
            operands.append(_along(o, p, s.step))
        else:
            spec.append(At())
            operands.append(_along(o, _wrapped(p, s.size, len(spec) - 1), s.step))
    return IndexView(tuple(spec), tuple(operands), outer.mode)


def _axis_size(x: Staged, axis: int) -> Size | None:
    if len(x.views) != 1 or x.cell is None:
        return None
    return x.cell.atom.type.shape[axis]


def _along(start: Atom, offset: Atom, step: int) -> Atom:
    scaled = offset if step == 1 else prim("mul")(offset, lit(step))
    out: Atom = scaled if isinstance(start, Lit) and start.value == 0 else prim("add")(start, scaled)
    return out


def _wrapped(i: Atom, n: Size, axis: int) -> Atom:
    """An index into a region, negative ones counted from its end, checked."""
    m = current().builder.size_value(n)
    j = prim("select")(prim("lt")(i, lit(0)), prim("add")(i, m), i)
    ok = prim("bitand")(prim("ge")(j, lit(0)), prim("lt")(j, m))
    prim("check")(ok, i, m, exc="IndexError", message=f"index {{}} is out of bounds for axis {axis} with size {{}}")
    out: Atom = j
    return out


def setitem(x: Staged, key: Any, value: Any) -> None:
    """``x[key] = value`` in place."""
    if x.flavour == "weft":
        raise op_error(
            TypeError,
            "weft arrays are immutable: JAX-style updates are written x = x.at[idx].set(y), not x[idx] = y",
        )
    if x.cell is None:
        raise op_error(TypeError, f"'numpy.{x.dtype}' object does not support item assignment")
    k = parse(x, key)
    if k.basic:
        target = compose(x, k)
        shape = spec_shape(k.spec, k.operands)
        full = expand(target, k.newaxes).sizes if k.newaxes and shape else shape
        target.put(assigned(value, x, full, shape))
        return
    shape = spec_shape(k.spec, k.operands)
    seen = tuple(shape[i] for i in k.front) if k.front else shape
    for a in k.newaxes:
        seen = (*seen[:a], 1, *seen[a:])
    v = assigned(value, x, seen, tuple(shape[i] for i in k.front) if k.front else shape)
    if k.front is not None and v.type.shape:
        v = prim("transpose")(v, perm=tuple(sorted(range(len(k.front)), key=k.front.__getitem__)))
    x.put(prim("store")(x.atom, v, *k.operands, spec=k.spec, mode="check"))


def assigned(value: Any, x: Staged, shape: Shape, final: Shape) -> Atom:
    """The value of an assignment: cast to the array's dtype, broadcast to ``shape``, then under ``final``'s axes."""
    if isinstance(value, list | tuple):
        from weft.staged.sequence import to_array

        value = to_array(value)
    v = lift(value)
    weak_literal(value, x.dtype)
    if v.dtype.kind == "c" and x.dtype.kind != "c":
        raise op_error(TypeError, f"Cannot cast complex values to {x.dtype}: take .real first")
    a = v.atom
    if v.type.shape:
        have = v.sizes
        while len(have) > len(shape) and have[0] == 1:
            have = have[1:]
        if have != v.sizes:
            a = prim("reshape")(a, shape=have)
        if not same_shape(broadcast_shapes("assignment", shape, have), shape):
            raise op_error(
                ValueError,
                f"could not broadcast input array from shape {shape_text(v.sizes)} into shape {shape_text(shape)}",
            )
        a = broadcast_to(a, shape)
        if len(final) != len(shape):
            a = prim("reshape")(a, shape=final) if final else prim("reshape")(a, shape=())
        elif not same_shape(a.type.shape, final):
            a = retyped(a, final)
    return cast(a, x.dtype)


_OPERATORS = {
    "add": arith.add, "sub": arith.sub, "mul": arith.mul, "div": arith.truediv, "floordiv": arith.floordiv,
    "mod": arith.mod, "pow": arith.power, "bitand": arith.bitand, "bitor": arith.bitor, "bitxor": arith.bitxor,
    "shl": arith.shl, "shr": arith.shr,
}  # fmt: skip


def inplace(name: str, x: Staged, value: Any) -> Staged:
    """``x op= value`` on an array in memory: the result is cast back as NumPy's 'same_kind' rule allows."""
    out = _OPERATORS[name](wrap(x.atom, "weft"), value)
    if not np.can_cast(out.dtype, x.dtype, "same_kind"):
        raise op_error(
            TypeError,
            f"Cannot cast ufunc '{name}' output from dtype('{out.dtype}') to dtype('{x.dtype}') with casting rule"
            " 'same_kind'",
        )
    if not same_shape(out.sizes, x.sizes):
        raise op_error(
            ValueError,
            f"non-broadcastable output operand with shape {shape_text(x.sizes)} doesn't match the broadcast shape"
            f" {shape_text(out.sizes)}",
        )
    a = out.atom
    if not same_shape(a.type.shape, x.type.shape):
        a = retyped(a, x.type.shape)
    x.put(cast(a, x.dtype))
    return x


def _augmented(name: str) -> Any:
    def method(x: Staged, value: Any) -> Any:
        return inplace(name, x, value) if x.cell is not None else _OPERATORS[name](x, value)

    return method


for _python, _name in {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "floordiv": "floordiv", "mod": "mod", "pow": "pow",
    "and": "bitand", "or": "bitor", "xor": "bitxor", "lshift": "shl", "rshift": "shr",
}.items():  # fmt: skip
    setattr(Staged, f"__i{_python}__", _augmented(_name))

Staged.__getitem__ = getitem  # type: ignore[attr-defined,method-assign]
Staged.__setitem__ = setitem  # type: ignore[attr-defined,method-assign]
