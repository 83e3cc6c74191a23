"""Sorting along an axis: stable, NaN last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Atom, Gather, Op
from weft.ir.primitive import Library, Primitive, register
from weft.ir.sizes import Size
from weft.ir.types import ArrayType, DType, i64
from weft.primitives.declare import BOOL, REAL, check_dtypes, prim, zeros
from weft.primitives.samples import Sample, dtypes, values


def _type_rule(name: str, result: DType | None) -> Callable[..., tuple[ArrayType, ...]]:
    def type_rule(x: ArrayType, *, axis: int) -> tuple[ArrayType, ...]:
        check_dtypes(name, [x], BOOL + REAL)
        if not 0 <= axis < x.rank:
            raise np.exceptions.AxisError(axis, x.rank)
        return (x.with_dtype(result or x.dtype),)

    return type_rule


def _batch(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    return [op.prim(args[0], axis=op.attrs["axis"] + 1)]


def _places(op: Op) -> dict[str, Any]:
    """Where each sorted element comes from: the operands of an `index` that gathers every axis."""
    (x,), axis = op.args, op.attrs["axis"]
    shape = x.type.shape
    where = [
        argsort(x, axis=axis)
        if d == axis
        else prim("broadcast")(prim("iota")(size=n, dtype=i64), shape=shape, dims=(d,))
        for d, n in enumerate(shape)
    ]
    return {"operands": where, "attrs": {"spec": (Gather(),) * len(shape), "mode": "fast"}}


def _sort_jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
    if tangents[0] is None:
        return [None]
    place = _places(op)
    return [prim("index")(tangents[0], *place["operands"], **place["attrs"])]


def _sort_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    if cts[0] is None:
        return [None]
    place = _places(op)
    return [prim("store")(zeros(op.args[0].type), cts[0], *place["operands"], **place["attrs"])]


def _samples() -> list[Sample]:
    found: list[Sample] = []
    for d in dtypes(BOOL + REAL):
        for s, axis in (((5,), 0), ((3, 4), 0), ((3, 4), 1), ((0,), 0), ((2, 3, 2), 1)):
            found.append(((values(d, s),), {"axis": axis}))
    found.append(((np.array([[0, 3, 2, 1], [2, 2, 0, 0]]),), {"axis": 1}))
    return found


sort = register(
    Primitive(
        "sort", _type_rule("sort", None), lambda x, *, axis: np.sort(x, axis=axis, kind="stable"), Library("sort"),
        _sort_jvp, _sort_vjp, _batch, python=lambda args, attrs: f"np.sort({args[0]}, axis={attrs['axis']})",
        samples=_samples,
    )
)  # fmt: skip
argsort = register(
    Primitive(
        "argsort", _type_rule("argsort", i64), lambda x, *, axis: np.argsort(x, axis=axis, kind="stable"),
        Library("argsort"), batch=_batch,
        python=lambda args, attrs: f'np.argsort({args[0]}, axis={attrs["axis"]}, kind="stable")', samples=_samples,
    )
)  # fmt: skip
