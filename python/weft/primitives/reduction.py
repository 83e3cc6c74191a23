"""Reductions over axes, and positions of extremes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Atom, Op
from weft.ir.primitive import Primitive, Reduce, register
from weft.ir.sizes import Shape, Size
from weft.ir.types import ArrayType, DType, i64
from weft.primitives.declare import (
    BOOL,
    NUMERIC,
    REAL,
    check_dtypes,
    keep_dtype,
    like,
    linear_jvp,
    prim,
    shape_text,
)  # fmt: skip
from weft.primitives.samples import Sample, dtypes, values

Axes = tuple[int, ...]


def _kept(rank: int, axes: Axes) -> tuple[int, ...]:
    return tuple([k for k in range(rank) if k not in axes])


def _reduced(name: str, kinds: str, empty: bool) -> Callable[..., tuple[ArrayType, ...]]:
    """The type rule; ``empty`` says whether no elements have a result."""

    def type_rule(x: ArrayType, *, axes: Axes) -> tuple[ArrayType, ...]:
        check_dtypes(name, [x], kinds)
        for a in axes:
            if not 0 <= a < x.rank:
                raise np.exceptions.AxisError(a, x.rank)
        if tuple(sorted(set(axes))) != axes:
            raise ValueError("duplicate value in 'axis'" if len(set(axes)) < len(axes) else f"{name}: unsorted {axes}")
        if not empty and any(x.shape[a] == 0 for a in axes):
            raise ValueError(
                f"zero-size array to reduction operation {name.removeprefix('reduce_')}imum which has no identity"
            )
        return (x.with_shape(tuple([x.shape[k] for k in _kept(x.rank, axes)])),)

    return type_rule


def _spread(y: Atom, shape: Shape, axes: Axes) -> Atom:
    """A reduced value repeated along the axes it was reduced over."""
    if not axes:
        return y
    return prim("broadcast")(y, shape=shape, dims=_kept(len(shape), axes))  # type: ignore[no-any-return]


def _batch(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    return [op.prim(args[0], axes=tuple([a + 1 for a in op.attrs["axes"]]))]


def _python(function: str, widens: bool = False) -> Callable[[Sequence[str], dict[str, Any]], str]:
    def python(args: Sequence[str], attrs: dict[str, Any]) -> str:
        axes, dtype = attrs["axes"], keep_dtype(attrs) if widens else ""
        return f"np.{function}({args[0]}, axis={axes[0] if len(axes) == 1 else axes}{dtype})"

    return python


def _samples(kinds: str, empty: bool = True, zeros: bool = False) -> Callable[[], list[Sample]]:
    def samples() -> list[Sample]:
        shapes: list[tuple[tuple[int, ...], Axes]] = [
            ((4,), (0,)), ((2, 3), (0,)), ((2, 3), (1,)), ((2, 3), (0, 1)), ((2, 3, 2), (0, 2)), ((2, 3), ()), ((), ()),
            ((0, 3), (1,)),
        ]  # fmt: skip
        if empty:
            shapes += [((0,), (0,)), ((3, 0), (1,))]
        found: list[Sample] = [((values(d, s),), {"axes": axes}) for d in dtypes(kinds) for s, axes in shapes]
        if zeros:
            x = values("f8", (3, 4))
            x[0, 1] = x[1, 1] = x[1, 2] = x[2, 3] = 0
            found += [((x,), {"axes": axes}) for axes in ((0,), (1,), (0, 1))]
        return found

    return samples


# -- sum -------------------------------------------------------------------------------------------------------------


def _sum_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    return [None if cts[0] is None else _spread(cts[0], op.args[0].type.shape, op.attrs["axes"])]


reduce_sum = register(
    Primitive(
        "reduce_sum", _reduced("reduce_sum", NUMERIC, True), lambda x, *, axes: np.sum(x, axis=axes, dtype=x.dtype),
        Reduce(lambda a, b, d: f"{a} + {b}", lambda d: np.zeros((), d)[()]), linear_jvp, _sum_vjp, _batch, linear=True,
        python=_python("sum", widens=True), samples=_samples(NUMERIC),
    )
)  # fmt: skip

# -- product ---------------------------------------------------------------------------------------------------------


def _others(x: Atom, axis: int) -> Atom:
    """For each element the product of the others along ``axis``; no division, so zeros are no trouble."""
    shape = x.type.shape
    one = prim("broadcast")(like(1, x), shape=(*shape[:axis], 1, *shape[axis + 1 :]), dims=())
    before = _exclusive(prim("concat")(one, x, axis=axis), shape, axis, 0, False)
    after = _exclusive(prim("concat")(x, one, axis=axis), shape, axis, 1, True)
    return prim("mul")(before, after)  # type: ignore[no-any-return]


def _exclusive(padded: Atom, shape: Shape, axis: int, start: int, reverse: bool) -> Atom:
    from weft.primitives.shape import spans

    products = prim("cumprod")(padded, axis=axis, reverse=reverse)
    starts = [start if k == axis else 0 for k in range(len(shape))]
    return prim("index")(products, *starts, spec=spans(shape), mode="fast")  # type: ignore[no-any-return]


def _stages(x: Atom, axes: Axes) -> list[Atom]:
    """The operand reduced over the last axis, the last two, ...; the final one is left out."""
    found = [x]
    for a in reversed(axes[1:]):
        found.append(reduce_prod(found[-1], axes=(a,)))
    return found


def _prod_jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
    (x,), t, axes = op.args, tangents[0], op.attrs["axes"]
    if t is None:
        return [None]
    for a, y in zip(reversed(axes), _stages(x, axes), strict=False):
        t = reduce_sum(prim("mul")(t, _others(y, a)), axes=(a,))
    return [t]


def _prod_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    (x,), ct, axes = op.args, cts[0], op.attrs["axes"]
    if ct is None:
        return [None]
    if not axes:
        return [ct]
    for a, y in zip(axes, reversed(_stages(x, axes)), strict=True):
        ct = prim("mul")(_spread(ct, y.type.shape, (a,)), _others(y, a))
    return [ct]


reduce_prod = register(
    Primitive(
        "reduce_prod", _reduced("reduce_prod", NUMERIC, True), lambda x, *, axes: np.prod(x, axis=axes, dtype=x.dtype),
        Reduce(lambda a, b, d: f"{a} * {b}", lambda d: np.ones((), d)[()]), _prod_jvp, _prod_vjp, _batch,
        python=_python("prod", widens=True), samples=_samples(NUMERIC, zeros=True),
    )
)  # fmt: skip

# -- extremes --------------------------------------------------------------------------------------------------------


def lowest(d: DType) -> Any:
    """The identity of maximum."""
    if d.kind == "b":
        return np.False_
    return d.type(-np.inf) if d.kind == "f" else d.type(np.iinfo(d).min)


def highest(d: DType) -> Any:
    """The identity of minimum."""
    if d.kind == "b":
        return np.True_
    return d.type(np.inf) if d.kind == "f" else d.type(np.iinfo(d).max)


def _share(x: Atom, y: Atom, axes: Axes) -> tuple[Atom, Atom]:
    """Where the extreme is attained, and at how many places: the derivative is split evenly among them."""
    hit = prim("cast")(prim("eq")(x, _spread(y, x.type.shape, axes)), dtype=x.type.dtype)
    return hit, reduce_sum(hit, axes=axes)


def _extreme_jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
    (x,), (y,), t, axes = op.args, op.outs, tangents[0], op.attrs["axes"]
    if t is None:
        return [None]
    hit, count = _share(x, y, axes)
    part = prim("select")(prim("ne")(hit, like(0, x)), t, like(0, x))
    return [prim("div")(reduce_sum(part, axes=axes), count)]


def _extreme_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    (x,), (y,), ct, axes = op.args, op.outs, cts[0], op.attrs["axes"]
    if ct is None:
        return [None]
    hit, count = _share(x, y, axes)
    part = _spread(prim("div")(ct, count), x.type.shape, axes)
    return [prim("select")(prim("ne")(hit, like(0, x)), part, like(0, x))]


def _extreme(name: str, numpy: Any, function: str, init: Callable[[DType], Any]) -> Primitive:
    # no elements give the identity: whoever asks for NumPy's error emits the check
    return register(
        Primitive(
            name, _reduced(name, BOOL + REAL, False), lambda x, *, axes: numpy(x, axis=axes, initial=init(x.dtype)),
            Reduce(lambda a, b, d: f"{function}({a}, {b})", init), _extreme_jvp, _extreme_vjp, _batch,
            python=_python(name.removeprefix("reduce_")), samples=_samples(BOOL + REAL, empty=False),
        )
    )  # fmt: skip


reduce_max = _extreme("reduce_max", np.max, "maximum", lowest)
reduce_min = _extreme("reduce_min", np.min, "minimum", highest)

reduce_or = register(
    Primitive(
        "reduce_or", _reduced("reduce_or", BOOL, True), lambda x, *, axes: np.any(x, axis=axes),
        Reduce(lambda a, b, d: f"{a} | {b}", lambda d: np.False_), batch=_batch, python=_python("any"),
        samples=_samples(BOOL),
    )
)  # fmt: skip
reduce_and = register(
    Primitive(
        "reduce_and", _reduced("reduce_and", BOOL, True), lambda x, *, axes: np.all(x, axis=axes),
        Reduce(lambda a, b, d: f"{a} & {b}", lambda d: np.True_), batch=_batch, python=_python("all"),
        samples=_samples(BOOL),
    )
)  # fmt: skip

# -- positions -------------------------------------------------------------------------------------------------------


def _position(name: str, numpy: Any, better: str, init: Callable[[DType], Any]) -> Primitive:
    def type_rule(x: ArrayType, *, axis: int) -> tuple[ArrayType, ...]:
        check_dtypes(name, [x], BOOL + REAL)
        if not 0 <= axis < x.rank:
            raise np.exceptions.AxisError(axis, x.rank)
        if x.shape[axis] == 0:
            raise ValueError(f"attempt to get {name} of an empty sequence (shape {shape_text(x.shape)})")
        return (ArrayType(i64, (*x.shape[:axis], *x.shape[axis + 1 :])),)

    def meaning(x: Any, *, axis: int) -> Any:
        if x.shape[axis] == 0:  # whoever asks for NumPy's error emits the check
            return np.zeros((*x.shape[:axis], *x.shape[axis + 1 :]), i64)[()]
        return numpy(x, axis=axis)

    def batch(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
        return [op.prim(args[0], axis=op.attrs["axis"] + 1)]

    def cpp(best: str, new: str, d: DType) -> str:
        wins = f"{new} {better} {best}"
        return f"({wins} || {new} != {new}) && {best} == {best}" if d.kind == "f" else wins

    def samples() -> list[Sample]:
        found: list[Sample] = []
        for d in dtypes(BOOL + REAL):
            for s, axis in (((4,), 0), ((2, 3), 0), ((2, 3), 1), ((0, 3), 1)):
                found.append(((values(d, s),), {"axis": axis}))
        for row in ([1.0, np.nan, 3.0, np.nan], [2.0, 2.0, 1.0, 1.0], [-np.inf, -np.inf], [np.inf, np.inf]):
            found.append(((np.array(row),), {"axis": 0}))
        return found

    return register(
        Primitive(
            name, type_rule, meaning, Reduce(cpp, init, index=True), batch=batch,
            python=lambda args, attrs: f"np.{name}({args[0]}, axis={attrs['axis']})", samples=samples,
        )
    )  # fmt: skip


# For positions, `Reduce.cpp(best, new, dtype)` is the condition that the new element replaces the best so far; the
# first element is always taken.
argmax = _position("argmax", np.argmax, ">", lowest)
argmin = _position("argmin", np.argmin, "<", highest)
