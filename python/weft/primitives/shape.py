"""Primitives that arrange elements: broadcasting, reshaping, concatenation, and arrays made from nothing."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import At, Atom, Op, Span
from weft.ir.primitive import Loops, Primitive, Reindex, register
from weft.ir.sizes import Dim, Shape, Size, resolve, same_size
from weft.ir.types import ArrayType, DType, f64, i64, is_inexact
from weft.primitives.declare import (
    ANY,
    BOOL,
    NUMERIC,
    REAL,
    check_dtypes,
    linear_jvp,
    prim,
    shape_text,
    to_batched,
)  # fmt: skip
from weft.primitives.samples import dtypes, values


def spans(shape: Shape) -> tuple[Span, ...]:
    """An index specification that takes every axis whole."""
    return tuple([Span(s) for s in shape])


# -- broadcast -------------------------------------------------------------------------------------------------------


def _broadcast_type(x: ArrayType, *, shape: Shape, dims: tuple[int, ...]) -> tuple[ArrayType, ...]:
    if len(dims) != x.rank or any(b <= a for a, b in itertools.pairwise(dims)):
        raise TypeError(f"broadcast: dims {dims} do not name {x.rank} increasing axes")
    if dims and not (dims[0] >= 0 and dims[-1] < len(shape)):
        raise ValueError(f"broadcast: dims {dims} are not axes of shape {shape_text(shape)}")
    for s, d in zip(x.shape, dims, strict=True):
        if not (same_size(s, shape[d]) or s == 1):
            raise ValueError(
                f"could not broadcast input array from shape {shape_text(x.shape)} into shape {shape_text(shape)}"
            )
    return (ArrayType(x.dtype, shape),)


def _broadcast(x: Any, *, shape: tuple[int, ...], dims: tuple[int, ...]) -> Any:
    x = np.asarray(x)
    spread = [1] * len(shape)
    for s, d in zip(x.shape, dims, strict=True):
        spread[d] = s
    return np.broadcast_to(x.reshape(spread), shape)[()]


def _broadcast_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    ct = cts[0]
    if ct is None:
        return [None]
    (x,), shape, dims = op.args, op.attrs["shape"], op.attrs["dims"]
    # axes of the result along which one element of x is repeated
    repeated = [d for s, d in zip(x.type.shape, dims, strict=True) if s == 1 and shape[d] != 1]
    axes = tuple(sorted([*repeated, *[d for d in range(len(shape)) if d not in dims]]))
    if axes:
        ct = prim("reduce_sum")(ct, axes=axes)
    return [reshape(ct, shape=x.type.shape) if repeated else ct]


def _broadcast_batch(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    dims = (0, *[d + 1 for d in op.attrs["dims"]])
    return [broadcast(args[0], shape=(size, *op.attrs["shape"]), dims=dims)]


def _broadcast_python(args: Sequence[str], attrs: dict[str, Any]) -> str:
    shape, dims = attrs["shape"], attrs["dims"]
    if not dims:
        return f"np.full({shape_text(shape)}, {args[0]})"
    inner = ", ".join(":" if d in dims else "None" for d in range(dims[0], len(shape)))
    x = args[0] if "None" not in inner else f"{args[0]}[{inner}]"
    return f"np.broadcast_to({x}, {shape_text(shape)})"


broadcast = register(
    Primitive(
        "broadcast", _broadcast_type, _broadcast, Reindex("broadcast"), linear_jvp, _broadcast_vjp, _broadcast_batch,
        linear=True, inline_cheap=True, python=_broadcast_python,
        samples=lambda: [
            ((values(d, s),), {"shape": shape, "dims": dims})
            for d in dtypes(ANY)
            for s, shape, dims in (
                ((), (2, 3), ()), ((3,), (2, 3), (1,)), ((2,), (2, 3), (0,)), ((1, 3), (2, 3), (0, 1)),
                ((1, 1), (1, 4), (0, 1)), ((2, 1), (2, 3, 4), (0, 1)), ((3, 4), (3, 2, 4), (0, 2)), ((), (), ()),
                ((3,), (0, 3), (1,)),
            )
        ],
    )
)  # fmt: skip

# -- reshape ---------------------------------------------------------------------------------------------------------


def _count(shape: Shape) -> Counter[tuple[int, ...]]:
    """The number of elements as a polynomial: coefficients of products of variables (by their numbers)."""
    total: Counter[tuple[int, ...]] = Counter({(): 1})
    for s in shape:
        s = resolve(s)
        terms = [((), s)] if isinstance(s, int) else [((), s.const), *[((v.id,), c) for v, c in s.terms]]
        product: Counter[tuple[int, ...]] = Counter()
        for m, c in total.items():
            for n, d in terms:
                product[tuple(sorted((*m, *n)))] += c * d
        total = product
    return Counter({m: c for m, c in total.items() if c})


def _reshape_type(x: ArrayType, *, shape: Shape) -> tuple[ArrayType, ...]:
    # Counts that differ as polynomials may be equal at run time: whoever asks for that emits the check.
    gap = _count(x.shape)
    gap.subtract(_count(shape))
    if {m for m, c in gap.items() if c} == {()}:
        known = math.prod([s for s in x.shape if isinstance(s, int)])
        n = " * ".join(map(str, [*([known] if known != 1 else []), *[s for s in x.shape if isinstance(s, Dim)]])) or "1"
        raise ValueError(f"cannot reshape array of size {n} into shape {shape_text(shape)}")
    return (ArrayType(x.dtype, tuple(shape)),)


def _reshape_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    return [None if cts[0] is None else reshape(cts[0], shape=op.args[0].type.shape)]


def _reshape_batch(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    return [reshape(args[0], shape=(size, *op.attrs["shape"]))]


reshape = register(
    Primitive(
        "reshape", _reshape_type, lambda x, *, shape: np.reshape(x, shape)[()], Reindex("reshape"), linear_jvp,
        _reshape_vjp, _reshape_batch, linear=True, inline_cheap=True,
        python=lambda args, attrs: f"np.reshape({args[0]}, {shape_text(attrs['shape'])})",
        samples=lambda: [
            ((values(d, s),), {"shape": shape})
            for d in dtypes(ANY)
            for s, shape in (((2, 3), (6,)), ((2, 3), (3, 2)), ((), (1, 1)), ((1,), ()), ((0, 3), (0,)))
        ],
    )
)  # fmt: skip

# -- transpose -------------------------------------------------------------------------------------------------------


def _transpose_type(x: ArrayType, *, perm: tuple[int, ...]) -> tuple[ArrayType, ...]:
    if sorted(perm) != list(range(x.rank)):
        raise ValueError(f"axes don't match array: transpose by {perm} of shape {shape_text(x.shape)}")
    return (x.with_shape(tuple([x.shape[p] for p in perm])),)


def _transpose_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    perm = op.attrs["perm"]
    return [None if cts[0] is None else transpose(cts[0], perm=tuple([perm.index(k) for k in range(len(perm))]))]


def _transpose_batch(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    return [transpose(args[0], perm=(0, *[p + 1 for p in op.attrs["perm"]]))]


def _transpose_python(args: Sequence[str], attrs: dict[str, Any]) -> str:
    perm = attrs["perm"]
    return f"{args[0]}.T" if perm == tuple(range(len(perm)))[::-1] else f"np.transpose({args[0]}, {perm})"


transpose = register(
    Primitive(
        "transpose", _transpose_type, lambda x, *, perm: np.transpose(x, perm), Reindex("transpose"), linear_jvp,
        _transpose_vjp, _transpose_batch, linear=True, inline_cheap=True, python=_transpose_python,
        samples=lambda: [
            ((values(d, s),), {"perm": perm})
            for d in dtypes(ANY)
            for s, perm in (((2, 3), (1, 0)), ((2, 3, 4), (1, 2, 0)), ((2, 0), (1, 0)), ((3,), (0,)))
        ],
    )
)  # fmt: skip

# -- concat ----------------------------------------------------------------------------------------------------------


def _concat_type(*xs: ArrayType, axis: int) -> tuple[ArrayType, ...]:
    if not xs:
        raise ValueError("need at least one array to concatenate")
    dtype, first, total = check_dtypes("concat", xs, ANY), xs[0], 0
    if not 0 <= axis < max(first.rank, 1) or not first.rank:
        raise ValueError(f"axis {axis} is out of bounds for array of dimension {first.rank}")
    size: Size = total
    for k, x in enumerate(xs):
        if x.rank != first.rank:
            raise ValueError(
                "all the input arrays must have same number of dimensions, but the array at index 0 has "
                f"{first.rank} dimension(s) and the array at index {k} has {x.rank} dimension(s)"
            )
        for d in range(x.rank):
            if d != axis and not same_size(x.shape[d], first.shape[d]):
                raise ValueError(
                    "all the input array dimensions except for the concatenation axis must match exactly, but along "
                    f"dimension {d}, the array at index 0 has size {first.shape[d]} and the array at index {k} has "
                    f"size {x.shape[d]}"
                )
        size = size + x.shape[axis]
    return (ArrayType(dtype, (*first.shape[:axis], size, *first.shape[axis + 1 :])),)


def _concat_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    ct, axis = cts[0], op.attrs["axis"]
    found: list[Atom | None] = []
    start: Size = 0
    for x, w in zip(op.args, wanted, strict=True):
        part = None
        if ct is not None and w:
            starts: list[Any] = [0] * x.type.rank
            starts[axis] = start
            part = prim("index")(ct, *starts, spec=spans(x.type.shape), mode="fast")
        found.append(part)
        start = start + x.type.shape[axis]
    return found


def _concat_batch(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    xs = [to_batched(a, b, size) for a, b in zip(args, batched, strict=True)]
    return [concat(*xs, axis=op.attrs["axis"] + 1)]


concat = register(
    Primitive(
        "concat", _concat_type, lambda *xs, axis: np.concatenate(xs, axis=axis), Loops("concat"), linear_jvp,
        _concat_vjp, _concat_batch, linear=True,
        python=lambda args, attrs: f"np.concatenate([{', '.join(args)}], axis={attrs['axis']})",
        samples=lambda: [
            (tuple([values(d, s, seed=k) for k, s in enumerate(ss)]), {"axis": axis})
            for d in dtypes(ANY)
            for ss, axis in (
                (((2,), (3,)), 0), (((2, 3), (2, 1), (2, 2)), 1), (((0, 3), (2, 3)), 0), (((2, 3),), 0),
            )
        ],
    )
)  # fmt: skip

# -- arrays from nothing ---------------------------------------------------------------------------------------------


def _iota_type(*, size: Size, dtype: DType) -> tuple[ArrayType, ...]:
    if dtype.kind not in NUMERIC:
        raise TypeError(f"iota: not defined for dtype {dtype}")
    return (ArrayType(np.dtype(dtype), (size,)),)


iota = register(
    Primitive(
        "iota",
        _iota_type,
        lambda *, size, dtype: np.arange(size).astype(dtype),
        Loops("iota"),
        inline_cheap=True,
        python=lambda args, attrs: (
            f"np.arange({attrs['size']}" + (")" if attrs["dtype"] == i64 else f", dtype=np.{attrs['dtype'].name})")
        ),
        samples=lambda: [((), {"size": n, "dtype": d}) for d in dtypes(REAL) for n in (0, 1, 5)],
    )
)

undef = register(
    Primitive(
        "undef", lambda *, shape, dtype: (ArrayType(np.dtype(dtype), tuple(shape)),),
        lambda *, shape, dtype: np.zeros(shape, dtype)[()], Loops("undef"), inline_cheap=True,
        python=lambda args, attrs: (
            f"np.empty({shape_text(attrs['shape'])}"
            + (")" if attrs["dtype"] == f64 else f", dtype=np.{attrs['dtype'].name})")
        ),
        samples=lambda: [((), {"shape": (0, 2), "dtype": d}) for d in dtypes(ANY)],
    )
)  # fmt: skip


def _make_type(*xs: ArrayType, shape: tuple[int, ...]) -> tuple[ArrayType, ...]:
    if not xs:
        raise TypeError("make: no elements, so no dtype")
    if any(x.shape for x in xs):
        raise TypeError("make: the elements must be scalars")
    if any(not isinstance(s, int) for s in shape) or int(np.prod(shape)) != len(xs):
        raise ValueError(f"make: {len(xs)} elements do not fill shape {shape_text(shape)}")
    return (ArrayType(check_dtypes("make", xs, BOOL + NUMERIC), shape),)


def _make(*xs: Any, shape: tuple[int, ...]) -> Any:
    return np.array(xs, dtype=np.asarray(xs[0]).dtype).reshape(shape)[()]


def _make_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    ct, shape = cts[0], op.attrs["shape"]
    if ct is None or not is_inexact(ct.type.dtype):
        return [None] * len(op.args)
    places = list(np.ndindex(*shape))
    spec = (At(),) * len(shape)
    return [prim("index")(ct, *p, spec=spec, mode="fast") if w else None for p, w in zip(places, wanted, strict=True)]


def _make_batch(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    columns = [reshape(to_batched(a, b, size), shape=(size, 1)) for a, b in zip(args, batched, strict=True)]
    return [reshape(concat(*columns, axis=1), shape=(size, *op.attrs["shape"]))]


def _make_python(args: Sequence[str], attrs: dict[str, Any]) -> str:
    def nest(items: Sequence[str], shape: Sequence[int]) -> str:
        if len(shape) <= 1:
            return f"[{', '.join(items)}]"
        step = len(items) // shape[0]
        return f"[{', '.join(nest(items[k * step : (k + 1) * step], shape[1:]) for k in range(shape[0]))}]"

    return f"np.array({nest(args, attrs['shape']) if attrs['shape'] else args[0]})"


make = register(
    Primitive(
        "make", _make_type, _make, Loops("make"), linear_jvp, _make_vjp, _make_batch, linear=True, python=_make_python,
        samples=lambda: [
            (tuple([values(d, (), seed=k) for k in range(n)]), {"shape": shape})
            for d in dtypes(ANY)
            for n, shape in ((3, (3,)), (4, (2, 2)), (1, (1, 1)))
        ],
    )
)  # fmt: skip
