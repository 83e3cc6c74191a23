"""Reading and writing parts of arrays: index, store, accum, mask_indices.

All three accesses are linear in the arrays, and the transpose of each is made of the others. The place accessed is
given by one operand and one of `At`, `Span`, `Gather` per axis; the shape of what is read there is `region`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.builder import current
from weft.ir.nodes import At, Atom, Gather, IndexSpec, Op, Span
from weft.ir.primitive import Loops, Primitive, Reindex, register
from weft.ir.sizes import Shape, Size, same_shape
from weft.ir.types import ArrayType, i64, is_inexact
from weft.primitives.declare import (
    NUMERIC,
    check_dtypes,
    like,
    prim,
    shape_text,
    sum_to,
    to_batched,
    zeros,
)  # fmt: skip
from weft.primitives.indexing_python import index_python
from weft.primitives.places import region, subscript
from weft.primitives.samples import Sample, dtypes, values


def _index_type(a: ArrayType, *operands: ArrayType, spec: IndexSpec, mode: str) -> tuple[ArrayType, ...]:
    return (a.with_shape(region("index", a, operands, spec, mode)),)


def _update_type(name: str) -> Any:
    def type_rule(
        a: ArrayType, v: ArrayType, *operands: ArrayType, spec: IndexSpec, mode: str
    ) -> tuple[ArrayType, ...]:
        shape = region(name, a, operands, spec, mode)
        check_dtypes(name, [a, v], NUMERIC if name == "accum" else "biufc")
        if v.shape and not same_shape(v.shape, shape):
            raise ValueError(
                f"could not broadcast input array from shape {shape_text(v.shape)} into shape {shape_text(shape)}"
            )
        return (a,)

    return type_rule


# -- NumPy meaning ---------------------------------------------------------------------------------------------------


def _index(a: Any, *operands: Any, spec: IndexSpec, mode: str) -> Any:
    a = np.asarray(a)
    return a[subscript(a, operands, spec, mode)]


def _store(a: Any, v: Any, *operands: Any, spec: IndexSpec, mode: str) -> Any:
    out = np.array(a)
    out[subscript(out, operands, spec, mode)] = v
    return out[()]


def _accum(a: Any, v: Any, *operands: Any, spec: IndexSpec, mode: str) -> Any:
    out = np.array(a)
    key = subscript(out, operands, spec, mode)
    with np.errstate(all="ignore"):
        if any(isinstance(e, Gather) for e in spec):
            np.add.at(out, key, v)
        else:
            out[key] += v
    return out[()]


# -- derivatives -----------------------------------------------------------------------------------------------------


def _known(op: Op) -> dict[str, Any]:
    """The same place, after the access itself has checked it."""
    return {"spec": op.attrs["spec"], "mode": "wrap" if op.attrs["mode"] == "check" else op.attrs["mode"]}


def _index_jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
    t = tangents[0]
    return [None if t is None else index(t, *op.args[1:], **_known(op))]


def _index_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    a, *operands = op.args
    none = [None] * len(operands)
    if cts[0] is None or not wanted[0]:
        return [None, *none]
    return [accum(zeros(a.type), cts[0], *operands, **_known(op)), *none]


def _update_jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
    ta, tv = tangents[:2]
    a, v, *operands = op.args
    if (ta is None and tv is None) or not is_inexact(a.type.dtype):
        return [None]
    if tv is None and op.prim is accum:
        return [ta]
    ta = zeros(a.type) if ta is None else ta
    return [op.prim(ta, like(0, v) if tv is None else tv, *operands, **_known(op))]


def _store_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    a, v, *operands = op.args
    ct, none = cts[0], [None] * len(operands)
    if ct is None:
        return [None, None, *none]
    ct_v = None
    if wanted[1]:
        ct_v = index(ct, *operands, **_known(op))
        if Gather() in op.attrs["spec"]:
            ct_v = prim("select")(_winners(op, ct_v.type.shape), ct_v, like(0, ct_v))
        ct_v = sum_to(ct_v, v.type)
    # last, when nothing reads the old cotangent any more: the store can then happen in place
    ct_a = store(ct, like(0, a), *operands, **_known(op)) if wanted[0] else None
    return [ct_a, ct_v, *none]


def _winners(op: Op, shape: Shape) -> Atom:
    """Which elements of a gathered store's region are still there afterwards: where indices repeat, the last one.

    Found by storing each index's number and reading it back. Spans cannot collide, so their axes are left out.
    """
    a, _, *operands = op.args
    spec = op.attrs["spec"]
    kept = [k for k, e in enumerate(spec) if not isinstance(e, Span)]
    gathered: Shape = next(o.type.shape for o, e in zip(operands, spec, strict=True) if isinstance(e, Gather))
    board = zeros(ArrayType(i64, tuple([a.type.shape[k] for k in kept])))
    place = {"spec": tuple([spec[k] for k in kept]), "mode": _known(op)["mode"]}
    at = [operands[k] for k in kept]
    numbers = _numbering(gathered)
    won = prim("eq")(index(store(board, numbers, *at, **place), *at, **place), numbers)
    first = next(k for k, e in enumerate(spec) if isinstance(e, Gather))
    before = sum(isinstance(e, Span) for e in spec[:first])
    return prim("broadcast")(won, shape=shape, dims=tuple(range(before, before + len(gathered))))  # type: ignore[no-any-return]


def _numbering(shape: Shape) -> Atom:
    """An i64 array of ``shape`` whose elements are all different, rising in row-major order."""
    number: Atom | None = None
    for k, n in enumerate(shape):
        axis = prim("broadcast")(prim("iota")(size=n, dtype=i64), shape=shape, dims=(k,))
        number = axis if number is None else prim("add")(prim("mul")(number, current().atom(n)), axis)
    assert number is not None
    return number


def _accum_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    _, v, *operands = op.args
    ct, none = cts[0], [None] * len(operands)
    if ct is None:
        return [None, None, *none]
    ct_v = sum_to(index(ct, *operands, **_known(op)), v.type) if wanted[1] else None
    return [ct if wanted[0] else None, ct_v, *none]


# -- batching --------------------------------------------------------------------------------------------------------


class _Place:
    """The place of a batched access: new specification and operands, and how its region's axes are arranged.

    ``perm`` makes the region of the new access the batch axis followed by the old region.
    """

    def __init__(
        self, spec: IndexSpec, operands: Sequence[Atom], batched: Sequence[bool], whole: bool, size: Size
    ) -> None:
        self.spec: list[Any] = []
        self.operands: list[Any] = []
        if not any(batched):  # only the array has a batch axis
            self.spec, self.operands = [Span(size), *spec], [0, *operands]
            self.perm: tuple[int, ...] | None = None
            return
        gathered: Shape = next(
            (o.type.shape[int(b) :] for o, e, b in zip(operands, spec, batched, strict=True) if isinstance(e, Gather)),
            (),
        )
        moving = [k for k, (e, b) in enumerate(zip(spec, batched, strict=True)) if b and isinstance(e, Span)]
        # lanes, then the old gathers' axes, then one axis for each span whose start differs between lanes
        common: Shape = (size, *gathered, *[spec[k].size for k in moving])  # type: ignore[union-attr]

        def spread(x: Atom, dims: tuple[int, ...]) -> Atom:
            return prim("broadcast")(x, shape=common, dims=dims)  # type: ignore[no-any-return]

        if whole:
            self.spec, self.operands = [Gather()], [spread(prim("iota")(size=size, dtype=i64), (0,))]
        lane_axes: list[Any] = ["lane", *[("gather", k) for k in range(len(gathered))], *moving]
        old: list[Any] = ["lane"]
        new: list[Any] = list(lane_axes) if whole else []
        for k, (entry, x, b) in enumerate(zip(spec, operands, batched, strict=True)):
            if isinstance(entry, Span):
                old.append(k)
            elif isinstance(entry, Gather) and ("gather", 0) not in old:
                old += [("gather", d) for d in range(len(gathered))]
            if isinstance(entry, Span) and not b:
                new.append(k)
                self.spec.append(entry)
                self.operands.append(x)
                continue
            if isinstance(entry, At) and not b:
                self.spec.append(entry)
                self.operands.append(x)
                continue
            if isinstance(entry, Span):
                steps = prim("mul")(prim("iota")(size=entry.size, dtype=x.type.dtype), like(entry.step, x))
                x = prim("add")(spread(x, (0,)), spread(steps, (1 + len(gathered) + moving.index(k),)))
            else:
                dims = tuple(range(1 - b, 1 + len(gathered))) if isinstance(entry, Gather) else (0,)
                x = spread(x, dims)
            if "lane" not in new:
                new += lane_axes
            self.spec.append(Gather())
            self.operands.append(x)
        perm = tuple([new.index(label) for label in old])
        self.perm = None if perm == tuple(range(len(perm))) else perm

    def forth(self, x: Atom) -> Atom:
        """What the new access reads, as the batch axis followed by the old region."""
        return x if self.perm is None else prim("transpose")(x, perm=self.perm)  # type: ignore[no-any-return]

    def back(self, x: Atom) -> Atom:
        """A value for the old region with the batch axis leading, as the new access wants it."""
        if self.perm is None:
            return x
        return prim("transpose")(x, perm=tuple([self.perm.index(k) for k in range(len(self.perm))]))  # type: ignore[no-any-return]


def _index_batch(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    place = _Place(op.attrs["spec"], args[1:], batched[1:], batched[0], size)
    return [place.forth(index(args[0], *place.operands, spec=tuple(place.spec), mode=op.attrs["mode"]))]


def _update_batch(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    a, v, *operands = args
    spec, mode = op.attrs["spec"], op.attrs["mode"]
    a = to_batched(a, batched[0], size)
    place = _Place(spec, operands, batched[2:], True, size)
    if batched[1] or v.type.shape:
        shape = region(op.prim.name, op.args[0].type, [x.type for x in op.args[2:]], spec, mode)
        scalar = v.type.rank == int(batched[1])
        dims = ((0,) if batched[1] else ()) if scalar else tuple(range(1 - batched[1], len(shape) + 1))
        if len(dims) < len(shape) + 1:
            v = prim("broadcast")(v, shape=(size, *shape), dims=dims)
        v = place.back(v)
    return [op.prim(a, v, *place.operands, spec=tuple(place.spec), mode=mode)]


# -- samples ---------------------------------------------------------------------------------------------------------

_PLACES: list[tuple[tuple[int, ...], tuple[Any, ...], IndexSpec]] = [
    ((4,), (2,), (At(),)),
    ((4,), (-1,), (At(),)),
    ((), (), ()),
    ((5,), (1,), (Span(3),)),
    ((6,), (5,), (Span(3, -2),)),
    ((6,), (0,), (Span(3, 2),)),
    ((3,), (3,), (Span(0),)),
    ((3, 4), (1, 2), (At(), At())),
    ((3, 4), (-2, 1), (At(), Span(2))),
    ((3, 4), (0, 3), (Span(3), At())),
    ((4,), ([1, -1, 1],), (Gather(),)),
    ((4,), ([[0, 3], [2, 0]],), (Gather(),)),
    ((3, 4), ([2, 0, 2], [1, 1, 1]), (Gather(), Gather())),
    ((3, 4), (0, [1, 3, 1]), (Span(2), Gather())),
    ((3, 4, 2), ([2, 1], 1, [0, 1]), (Gather(), Span(2), Gather())),
    ((3, 4, 2), (1, [[3, 0], [3, 3]], 1), (Span(2), Gather(), At())),
    ((2, 3, 4, 2), (0, [2, 0], 3, 1), (Span(2), Gather(), Span(2, -1), At())),
    ((2, 3, 4, 2), (0, [2, 2], 3, [1, 1]), (Span(2), Gather(), Span(2, -1), Gather())),
]


def _place_samples(kinds: str, values_count: int) -> list[Sample]:
    found: list[Sample] = []
    for d in dtypes(kinds):
        for shape, operands, spec in _PLACES:
            a = values(d, shape)
            ops = tuple([np.asarray(o, i64)[()] for o in operands])
            attrs = {"spec": spec, "mode": "check"}
            if values_count == 0:
                found.append(((a, *ops), attrs))
                continue
            part = np.asarray(_index(a, *ops, **attrs))  # type: ignore[arg-type]
            found.append(((a, values(d, part.shape, seed=1), *ops), attrs))
            if part.shape:
                found.append(((a, values(d, (), seed=1), *ops), {**attrs, "mode": "wrap"}))
    return found


# -- declarations ----------------------------------------------------------------------------------------------------

index = register(
    Primitive(
        "index", _index_type, _index, Reindex("index"), _index_jvp, _index_vjp, _index_batch, linear=True,
        effect="raise", python=index_python, samples=lambda: _place_samples("bifc", 0),
    )
)  # fmt: skip
store = register(
    Primitive(
        "store", _update_type("store"), _store, Loops("store"), _update_jvp, _store_vjp, _update_batch, linear=True,
        effect="raise", samples=lambda: _place_samples("bifc", 1),
    )
)  # fmt: skip
accum = register(
    Primitive(
        "accum", _update_type("accum"), _accum, Loops("accum"), _update_jvp, _accum_vjp, _update_batch, linear=True,
        effect="raise", samples=lambda: _place_samples("ifc", 1),
    )
)  # fmt: skip


def _mask_type(mask: ArrayType, *, outs: Sequence[Size] = ("count",)) -> tuple[ArrayType, ...]:  # type: ignore[assignment]
    if mask.dtype.kind != "b" or not mask.shape:
        raise TypeError(f"mask_indices: {mask} is not a bool array")
    return (ArrayType(i64), *[ArrayType(i64, (outs[0],)) for _ in mask.shape])


def _mask_indices(mask: Any) -> Any:
    found = np.nonzero(mask)
    return (np.int64(len(found[0])), *found)


mask_indices = register(
    Primitive(
        "mask_indices", _mask_type, _mask_indices, Loops("mask_indices"), dependent_results=1,
        python=lambda args, attrs: f"np.nonzero({args[0]})",
        samples=lambda: [((values("?", s, seed=2),), {}) for s in ((5,), (2, 3), (0,))],
    )
)  # fmt: skip
