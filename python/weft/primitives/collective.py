"""Communication over a named axis: what the lanes of a `vmap`, or the devices of a `pmap`, tell each other.

Each names its axis; where that axis is mapped, ``Collective.over`` says what it is of all lanes together. The results
that are the same for all lanes lose the axis. Several axes, trees and axis positions are the library's matter
(`weft.lax.parallel`): the axis' part is always the leading one here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import At, Atom, Gather, Op, Span, lit
from weft.ir.primitive import Collective, Elementwise, Primitive, register
from weft.ir.sizes import Size
from weft.ir.types import ArrayType, bool_, i64, is_inexact, scalar
from weft.primitives.declare import (
    ANY,
    NUMERIC,
    REAL,
    check_dtypes,
    elementwise_batch,
    format_cpp,
    like,
    linear_jvp,
    prim,
)  # fmt: skip
from weft.primitives.samples import dtypes, values

Groups = tuple[tuple[int, ...], ...] | None


# Note [Meanings]
# The NumPy meaning of these is of all lanes together: operands and results have the axis leading, also results that are
# the same for all lanes. No single lane has a meaning, so nothing is folded, and the interpreter refuses them.


def _python(args: Sequence[str], attrs: dict[str, Any]) -> str:
    rest = "".join([f", {k}={v!r}" for k, v in attrs.items() if k not in ("axis", "size") and v is not None])
    return ", ".join([*args, repr(attrs["axis"])]) + rest


def _call(name: str) -> Callable[[Sequence[str], dict[str, Any]], str]:
    """As a call of `weft.lax`; groups are its ``axis_index_groups``."""
    return lambda args, attrs: f"lax.{name}({_python(args, attrs).replace('groups=', 'axis_index_groups=')})"


def _by_group(x: Any, groups: Groups, f: Callable[[Any], Any]) -> Any:
    """``f`` of each group's values (stacked) gives those of its members (stacked)."""
    x = np.asarray(x)
    found: dict[int, Any] = {}
    for g in groups or (range(len(x)),):
        found.update(zip(g, f(x[list(g)]), strict=True))
    return np.stack([found[k] for k in range(len(x))])


def _repeated(part: Any, n: int) -> Any:
    return [part] * n


def _whole(x: Atom, batched: bool, size: Size) -> Atom:
    """An operand of all lanes, the lanes leading."""
    return x if batched else prim("broadcast")(x, shape=(size, *x.type.shape), dims=tuple(range(1, x.type.rank + 1)))


def _rows(x: Atom, numbers: Sequence[Any]) -> Atom:
    """The rows of these numbers (nested: with an axis for each level)."""
    flat = np.asarray(numbers)
    table = prim("make")(*[lit(int(n)) for n in flat.ravel()], shape=flat.shape)
    spans = [Span(n) for n in x.type.shape[1:]]
    return prim("index")(x, table, *[lit(0)] * len(spans), spec=(Gather(), *spans), mode="fast")  # type: ignore[no-any-return]


def _row(x: Atom, number: int) -> Atom:
    """One row."""
    spans = [Span(n) for n in x.type.shape[1:]]
    return prim("index")(x, lit(number), *[lit(0)] * len(spans), spec=(At(), *spans), mode="fast")  # type: ignore[no-any-return]


def _homes(groups: tuple[tuple[int, ...], ...]) -> list[int]:
    """The group of each lane."""
    where = {lane: g for g, lanes in enumerate(groups) for lane in lanes}
    return [where[lane] for lane in sorted(where)]


def _members(parts: Atom, groups: tuple[tuple[int, ...], ...]) -> Atom:
    """What stands by group and place in it, by lane."""
    lanes = [lane for g in groups for lane in g]
    flat = prim("reshape")(parts, shape=(len(lanes), *parts.type.shape[2:]))
    return _rows(flat, np.argsort(lanes).tolist())


def _move(x: Atom, *perm: int) -> Atom:
    """The first axes in another order, the others behind them."""
    return prim("transpose")(x, perm=(*perm, *range(len(perm), x.type.rank)))  # type: ignore[no-any-return]


# -- reductions --------------------------------------------------------------------------------------------------------


def _reduction(
    name: str, kinds: str, reduce: str, numpy: Callable[..., Any], *, public: str = "", **rules: Any
) -> Primitive:  # fmt: skip
    def type_rule(x: ArrayType, *, axis: str, groups: Groups) -> tuple[ArrayType, ...]:
        check_dtypes(name, [x], kinds)
        return (x,)

    def over(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
        (x,), groups = args, op.attrs["groups"]
        if groups:
            parts = prim(reduce)(_rows(_whole(x, batched[0], size), groups), axes=(1,))
            return [_rows(parts, _homes(groups))]
        if batched[0]:
            return [prim(reduce)(x, axes=(0,))]
        if reduce != "reduce_sum":
            return [x]
        return [prim("mul")(x, prim("cast")(size, dtype=x.type.dtype))]

    def meaning(x: Any, *, axis: str, groups: Groups) -> Any:
        return _by_group(x, groups, lambda part: _repeated(numpy(part, axis=0, dtype=part.dtype), len(part)))

    return register(
        Primitive(
            name, type_rule, meaning, Collective(over, lambda attrs: bool(attrs["groups"]), reduction=True),
            batch=lambda op, args, batched, size: [op.prim(args[0], **op.attrs)], python=_call(public or name), **rules,
            samples=lambda: [
                ((values(d, s),), {"axis": "i", "groups": g})
                for d in dtypes(kinds)
                for s, g in (((4, 3), None), ((4,), None), ((4, 2), ((0, 2), (3, 1))), ((1, 2), None))
                if g is None or not public
            ],
        )
    )  # fmt: skip


def _itself(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    return [None if cts[0] is None or not wanted[0] else op.prim(cts[0], **op.attrs)]


def _vary_jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
    return [None if tangents[0] is None else op.prim(tangents[0], **op.attrs)]


def _vary_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    if cts[0] is None or not wanted[0]:
        return [None]
    return [psum_invariant(cts[0], axis=op.attrs["axis"], groups=None)]


# What devices share, as a value that each has for itself: nothing to do, but its transpose is a sum. And the sum that
# devices share, the other way round. They tell reverse mode of devices' values and shared ones (`transforms.varying`,
# which also says what ``sure`` is); where the axis is mapped, and before lowering, they are nothing, and `psum`.
pvary = register(
    Primitive(
        "pvary", lambda x, *, axis, sure: (x,), lambda x, *, axis, sure: x, Elementwise(format_cpp("{0}")),
        batch=elementwise_batch,
        jvp=_vary_jvp, vjp=_vary_vjp, linear=True, inline_cheap=True, foldable=False,
        python=lambda args, attrs: f"lax.pcast({args[0]}, {attrs['axis']!r}, to='varying')",
        samples=lambda: [((values(d, s),), {"axis": "i", "sure": True}) for d in dtypes(ANY) for s in ((2, 3), ())],
    )
)  # fmt: skip


def _invariant_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    return [None if cts[0] is None or not wanted[0] else pvary(cts[0], axis=op.attrs["axis"], sure=True)]


psum_invariant = _reduction(
    "psum_invariant", NUMERIC, "reduce_sum", np.sum, public="psum", jvp=linear_jvp, vjp=_invariant_vjp, linear=True
)
psum = _reduction("psum", NUMERIC, "reduce_sum", np.sum, jvp=linear_jvp, vjp=_itself, linear=True)


def _extreme(uf: np.ufunc) -> Callable[..., Any]:
    return lambda x, axis, dtype: uf.reduce(x, axis=axis)


def _share(op: Op) -> Atom:
    """The derivative of an extreme by each lane's value: 1, divided among those that reach it."""
    x, y = op.args[0], op.outs[0]
    best = prim("cast")(prim("eq")(x, y), dtype=x.type.dtype)
    return prim("div")(best, psum(best, **op.attrs))  # type: ignore[no-any-return]


def _extreme_jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
    t = tangents[0]
    if t is None or not is_inexact(op.outs[0].type.dtype):
        return [None]
    return [psum(prim("mul")(_share(op), t), **op.attrs)]


def _extreme_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    if cts[0] is None or not wanted[0] or not is_inexact(op.outs[0].type.dtype):
        return [None]
    return [prim("mul")(_share(op), psum(cts[0], **op.attrs))]


pmax = _reduction("pmax", REAL, "reduce_max", _extreme(np.maximum), jvp=_extreme_jvp, vjp=_extreme_vjp)
pmin = _reduction("pmin", REAL, "reduce_min", _extreme(np.minimum), jvp=_extreme_jvp, vjp=_extreme_vjp)


# -- exchanges ---------------------------------------------------------------------------------------------------------


def _gather_type(x: ArrayType, *, axis: str, size: Size, groups: Groups) -> tuple[ArrayType, ...]:
    return (x.with_shape((len(groups[0]) if groups else size, *x.shape)),)


def _gather(x: Any, *, axis: str, size: int, groups: Groups) -> Any:
    return _by_group(x, groups, lambda part: _repeated(part, len(part)))


def _gather_over(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    x, groups = _whole(args[0], batched[0], size), op.attrs["groups"]
    return [_rows(_rows(x, groups), _homes(groups))] if groups else [x]


def _gather_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    if cts[0] is None or not wanted[0]:
        return [None]
    return [psum_scatter(cts[0], **op.attrs)]


def _samples(*forms: tuple[tuple[int, ...], int | None, Groups]) -> list[Any]:
    """Of shape, size (None: not an attribute), groups."""
    return [
        ((values(d, shape),), {"axis": "i", **({} if size is None else {"size": size}), "groups": groups})
        for d in dtypes(NUMERIC)
        for shape, size, groups in forms
    ]


all_gather = register(
    Primitive(
        "all_gather", _gather_type, _gather, Collective(_gather_over, lambda attrs: bool(attrs["groups"])),
        jvp=linear_jvp, vjp=_gather_vjp, linear=True, python=_call("all_gather"),
        batch=lambda op, args, batched, size: [_move(op.prim(args[0], **op.attrs), 1, 0)],
        samples=lambda: _samples(((4, 3), 4, None), ((4,), 4, None), ((4, 2), 2, ((0, 2), (3, 1))), ((1,), 1, None)),
    )
)  # fmt: skip


def _scatter_type(x: ArrayType, *, axis: str, size: Size, groups: Groups) -> tuple[ArrayType, ...]:
    return (x.with_shape(x.shape[1:]),)


def _scatter(x: Any, *, axis: str, size: int, groups: Groups) -> Any:
    return _by_group(x, groups, lambda part: part.sum(axis=0, dtype=part.dtype))


def _scatter_over(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    groups = op.attrs["groups"]
    x = _whole(args[0], batched[0], size)
    if not groups:
        return [prim("reduce_sum")(x, axes=(0,))]
    parts = prim("reduce_sum")(_rows(x, groups), axes=(1,))  # group, place in it, ...
    return [_members(parts, groups)]


def _scatter_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    if cts[0] is None or not wanted[0]:
        return [None]
    return [all_gather(cts[0], **op.attrs)]


psum_scatter = register(
    Primitive(
        "psum_scatter", _scatter_type, _scatter, Collective(_scatter_over, lambda attrs: True),
        jvp=linear_jvp, vjp=_scatter_vjp, linear=True, python=_call("psum_scatter"),
        batch=lambda op, args, batched, size: [op.prim(_move(args[0], 1, 0), **op.attrs)],
        samples=lambda: _samples(((4, 4, 2), 4, None), ((4, 4), 4, None), ((4, 2, 3), 2, ((0, 2), (3, 1)))),
    )
)  # fmt: skip


def _exchange(x: Any, *, axis: str, groups: Groups) -> Any:
    return _by_group(x, groups, lambda part: part.swapaxes(0, 1))


def _exchange_over(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    groups = op.attrs["groups"]
    x = _whole(args[0], batched[0], size)
    if not groups:
        return [_move(x, 1, 0)]
    parts = _move(_rows(x, groups), 0, 2, 1)  # group, receiver's place, sender's place, ...
    return [_members(parts, groups)]


all_to_all = register(
    Primitive(
        "all_to_all", lambda x, *, axis, groups: (x,), _exchange, Collective(_exchange_over, lambda attrs: True),
        jvp=linear_jvp, vjp=_itself, linear=True,
        python=lambda args, attrs: f"lax.all_to_all({args[0]}, {attrs['axis']!r}, 0, 0)",
        batch=lambda op, args, batched, size: [_move(op.prim(_move(args[0], 1, 0), **op.attrs), 1, 0)],
        samples=lambda: _samples(((4, 4, 2), None, None), ((4, 4), None, None), ((4, 2, 3), None, ((0, 2), (3, 1)))),
    )
)  # fmt: skip


def _permute(x: Any, *, axis: str, perm: tuple[tuple[int, int], ...]) -> Any:
    out = np.zeros_like(x)
    for a, b in perm:
        out[b] = x[a]
    return out


def _permute_over(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    x = _whole(args[0], batched[0], size)
    n = x.type.shape[0]
    if not isinstance(n, int):
        raise TypeError("ppermute needs an axis of known size")
    source = {b: a for a, b in op.attrs["perm"]}
    rows = _rows(x, [source.get(k, 0) for k in range(n)])
    if len(source) == n:
        return [rows]
    sent = prim("make")(*[lit(k in source, bool_) for k in range(n)], shape=(n,))
    mask = prim("broadcast")(sent, shape=rows.type.shape, dims=(0,))
    return [prim("select")(mask, rows, like(0, rows))]


def _permute_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    if cts[0] is None or not wanted[0]:
        return [None]
    return [ppermute(cts[0], axis=op.attrs["axis"], perm=tuple([(b, a) for a, b in op.attrs["perm"]]))]


ppermute = register(
    Primitive(
        "ppermute", lambda x, *, axis, perm: (x,), _permute, Collective(_permute_over, lambda attrs: True),
        jvp=linear_jvp, vjp=_permute_vjp, linear=True, python=_call("ppermute"),
        batch=lambda op, args, batched, size: [op.prim(args[0], **op.attrs)],
        samples=lambda: [
            ((values(d, s),), {"axis": "i", "perm": perm})
            for d in dtypes(NUMERIC)
            for s in ((4, 3), (4,))
            for perm in (((0, 1), (1, 2), (2, 3), (3, 0)), ((1, 3), (3, 0)), ())
        ],
    )
)  # fmt: skip


# -- the axis itself ---------------------------------------------------------------------------------------------------


def _index(*, axis: str) -> Any:
    raise NameError(f"unbound axis name: {axis}")


def _index_over(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    return [prim("iota")(size=size, dtype=i64)]


axis_index = register(
    Primitive(
        "axis_index", lambda *, axis: (scalar(i64),), _index, Collective(_index_over, lambda attrs: True),
        python=_call("axis_index"),
        samples=lambda: [((), {"axis": "i"})],
    )
)  # fmt: skip
