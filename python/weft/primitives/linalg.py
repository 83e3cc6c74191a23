"""The general product of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Atom, Op
from weft.ir.primitive import Library, Primitive, register
from weft.ir.sizes import Size, same_size
from weft.ir.types import ArrayType
from weft.primitives.declare import NUMERIC, add_tangents, check_dtypes, prim, shape_text
from weft.primitives.samples import Sample, dtypes, values

Axes = tuple[int, ...]
Pair = tuple[Axes, Axes]


def free_axes(rank: int, *taken: Axes) -> Axes:
    """The axes that are neither contracted nor batch axes."""
    return tuple([k for k in range(rank) if not any([k in t for t in taken])])


def _dot_type(a: ArrayType, b: ArrayType, *, contract: Pair, batch: Pair) -> tuple[ArrayType, ...]:
    dtype = check_dtypes("dot", [a, b], NUMERIC)
    for x, axes in ((a, (*batch[0], *contract[0])), (b, (*batch[1], *contract[1]))):
        if len(set(axes)) != len(axes) or any([not 0 <= k < x.rank for k in axes]):
            raise ValueError(f"dot: axes {axes} of shape {shape_text(x.shape)}")
    for what, (p, q) in (("contracted", contract), ("batch", batch)):
        if len(p) != len(q):
            raise ValueError(f"dot: {len(p)} {what} axes of one operand, {len(q)} of the other")
        for i, j in zip(p, q, strict=True):
            if not same_size(a.shape[i], b.shape[j]):
                raise ValueError(
                    f"shapes {shape_text(a.shape)} and {shape_text(b.shape)} not aligned: {a.shape[i]} (dim {i}) != "
                    f"{b.shape[j]} (dim {j})"
                )
    shape = [a.shape[k] for k in batch[0]]
    shape += [a.shape[k] for k in free_axes(a.rank, batch[0], contract[0])]
    shape += [b.shape[k] for k in free_axes(b.rank, batch[1], contract[1])]
    return (ArrayType(dtype, tuple(shape)),)


def _dot(a: Any, b: Any, *, contract: Pair, batch: Pair) -> Any:
    a, b = np.asarray(a), np.asarray(b)
    fa, fb = free_axes(a.ndim, batch[0], contract[0]), free_axes(b.ndim, batch[1], contract[1])

    def sizes(x: Any, axes: Axes) -> list[int]:
        return [x.shape[k] for k in axes]

    lanes, rows, columns = sizes(a, batch[0]), sizes(a, fa), sizes(b, fb)
    depth = int(np.prod(sizes(a, contract[0]), dtype=np.int64))
    count = [int(np.prod(s, dtype=np.int64)) for s in (lanes, rows, columns)]
    left = a.transpose((*batch[0], *fa, *contract[0])).reshape(count[0], count[1], depth)
    right = b.transpose((*batch[1], *contract[1], *fb)).reshape(count[0], depth, count[2])
    with np.errstate(all="ignore"):
        return np.matmul(left, right).reshape((*lanes, *rows, *columns))[()]


def _dot_jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
    (a, b), (ta, tb) = op.args, tangents
    left = None if ta is None else dot(ta, b, **op.attrs)
    right = None if tb is None else dot(a, tb, **op.attrs)
    return [add_tangents(left, right)]


def _arranged(x: Atom, order: Axes) -> Atom:
    """``x``, whose axes are those numbered ``order`` of the wanted array, with its axes in order."""
    perm = tuple([order.index(k) for k in range(len(order))])
    return x if perm == tuple(range(len(perm))) else prim("transpose")(x, perm=perm)  # type: ignore[no-any-return]


def _dot_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    (a, b), ct = op.args, cts[0]
    contract, batch = op.attrs["contract"], op.attrs["batch"]
    if ct is None:
        return [None, None]
    fa, fb = free_axes(a.type.rank, batch[0], contract[0]), free_axes(b.type.rank, batch[1], contract[1])
    lanes = tuple(range(len(batch[0])))
    rows = tuple(range(len(lanes), len(lanes) + len(fa)))
    columns = tuple(range(len(lanes) + len(fa), ct.type.rank))
    ct_a = ct_b = None
    if wanted[0]:  # axes: batch, a's free axes, then the contracted ones in b's order
        ct_a = dot(ct, b, contract=(columns, fb), batch=(lanes, batch[1]))
        partner = [contract[0][k] for k in np.argsort(contract[1])]
        ct_a = _arranged(ct_a, (*batch[0], *fa, *partner))
    if wanted[1]:  # axes: batch, the contracted ones in a's order, then b's free axes
        ct_b = dot(a, ct, contract=(fa, rows), batch=(batch[0], lanes))
        partner = [contract[1][k] for k in np.argsort(contract[0])]
        ct_b = _arranged(ct_b, (*batch[1], *partner, *fb))
    return [ct_a, ct_b]


def _shift(axes: Axes, by: bool) -> Axes:
    return tuple([k + by for k in axes])


def _dot_batch(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    from weft.primitives.declare import put_batch_first

    a, b = args
    on_a, on_b = batched
    contract = (_shift(op.attrs["contract"][0], on_a), _shift(op.attrs["contract"][1], on_b))
    batch = (_shift(op.attrs["batch"][0], on_a), _shift(op.attrs["batch"][1], on_b))
    if on_a and on_b:
        return [dot(a, b, contract=contract, batch=((0, *batch[0]), (0, *batch[1])))]
    out = dot(a, b, contract=contract, batch=batch)
    lanes = len(batch[0])
    return [put_batch_first(out, lanes if on_a else lanes + len(free_axes(a.type.rank, contract[0], batch[0])))]


def _dot_python(args: Sequence[str], attrs: dict[str, Any]) -> str:
    (a, b), contract, batch = args, attrs["contract"], attrs["batch"]
    ranks = [t.rank for t in attrs["types"]]
    if batch == ((), ()):
        if max(ranks) <= 2 and contract == ((ranks[0] - 1,), (0,)):
            return f"{a} @ {b}"
        return f"np.tensordot({a}, {b}, axes=({list(contract[0])}, {list(contract[1])}))"
    letters = iter("ijklmnopqrstuvwxyzabcdefgh")
    left, right = [""] * ranks[0], [""] * ranks[1]
    for pairs in (batch, contract):
        for p, q in zip(*pairs, strict=True):
            left[p] = right[q] = next(letters)
    for side in (left, right):
        for k, letter in enumerate(side):
            side[k] = letter or next(letters)
    out = [left[k] for k in batch[0]]
    out += [left[k] for k in free_axes(ranks[0], batch[0], contract[0])]
    out += [right[k] for k in free_axes(ranks[1], batch[1], contract[1])]
    return f'np.einsum("{"".join(left)},{"".join(right)}->{"".join(out)}", {a}, {b})'


def _samples() -> list[Sample]:
    found: list[Sample] = []
    none: Pair = ((), ())
    for d in dtypes(NUMERIC):
        for s, r, contract, batch in (
            ((2, 3), (3, 4), ((1,), (0,)), none),
            ((3,), (3,), ((0,), (0,)), none),
            ((2, 3), (3,), ((1,), (0,)), none),
            ((3,), (3, 2), ((0,), (0,)), none),
            ((2, 3), (4, 3), ((1,), (1,)), none),
            ((2,), (3,), none, none),
            ((5, 2, 3), (5, 3, 4), ((2,), (1,)), ((0,), (0,))),
            ((2, 3, 5), (3, 5, 4), ((1,), (0,)), ((2,), (1,))),
            ((2, 3, 4), (4, 5, 3), ((1, 2), (2, 0)), none),
            ((2, 0), (0, 3), ((1,), (0,)), none),
            ((4, 2, 3), (2, 4), none, ((0, 1), (1, 0))),
        ):
            found.append(((values(d, s, seed=1), values(d, r, seed=2)), {"contract": contract, "batch": batch}))
    return found


dot = register(
    Primitive(
        "dot", _dot_type, _dot, Library("gemm"), _dot_jvp, _dot_vjp, _dot_batch, python=_dot_python, samples=_samples
    )
)
