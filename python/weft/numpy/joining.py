"""Joining, splitting, repeating and padding arrays."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Span, lit
from weft.ir.sizes import Size
from weft.ir.types import i64
from weft.numpy.common import (
    Staged,
    agree,
    array,
    axis_of,
    current,
    dim_or_int,
    emit,
    gather,
    iota,
    new_size,
    of,
    op_error,
    prim,
    product,
    reshape,
    result_dtype,
    size_of,
    spread,
    static_int,
    under,
    unsupported,
)  # fmt: skip
from weft.numpy.cumulative import cumsum
from weft.numpy.registry import implements
from weft.numpy.shape import atleast_1d, atleast_2d, expand_dims, source
from weft.staged.indexing import getitem


def _parts(arrays: Any) -> list[Any]:
    if isinstance(arrays, Staged):
        n = current().resolve(arrays.sizes[0]) if arrays.sizes else 0
        if not isinstance(n, int):
            if not current().about_shapes(n):
                raise unsupported("joining the rows of an array of run-time length", "use np.reshape")
            n = current().fix(n, "the rows of an array that are joined")
        return [getitem(arrays, k) for k in range(n)]
    return list(arrays)


@implements(np.concatenate)
def concatenate(
    arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind"
) -> Any:
    """Arrays joined along an axis."""
    vs = [array(a) for a in _parts(arrays)]
    if not vs:
        raise op_error(ValueError, "need at least one array to concatenate")
    kind = np.dtype(dtype) if dtype is not None else result_dtype(*vs)
    for v in vs:
        if not np.can_cast(v.dtype, kind, casting):
            raise op_error(
                TypeError, f"Cannot cast array data from {v.dtype!r} to {kind!r} according to the rule '{casting}'"
            )
    vs = [array(v, kind) for v in vs]
    if axis is None:
        vs, axis = [reshape(v, (product(v.sizes),)) for v in vs], 0
    if any(v.ndim == 0 for v in vs):
        raise op_error(ValueError, "zero-dimensional arrays cannot be concatenated")
    first = vs[0]
    k = axis_of(axis, first.ndim)
    for j, v in enumerate(vs):
        if v.ndim != first.ndim:
            raise op_error(
                ValueError,
                "all the input array dimensions except for the concatenation axis must match exactly, but the array at"
                f" index 0 has {first.ndim} dimension(s) and the array at index {j} has {v.ndim} dimension(s)",
            )
        for d in range(v.ndim):
            if d != k:
                agree(v.sizes[d], first.sizes[d], _mismatch(d, first, j, v))
        vs[j] = under(v, tuple([v.sizes[d] if d == k else first.sizes[d] for d in range(v.ndim)]))
    return emit("concat", *vs, axis=k) if len(vs) > 1 else vs[0]


def _mismatch(d: int, first: Staged, j: int, v: Staged) -> Any:
    def fail() -> None:
        ctx = current()
        raise op_error(
            ValueError,
            "all the input array dimensions except for the concatenation axis must match exactly, but along dimension"
            f" {d}, the array at index 0 has size {ctx.number(first.sizes[d])} and the array at index {j} has size"
            f" {ctx.number(v.sizes[d])}",
        )

    return fail


@implements(np.stack)
def stack(arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Arrays joined along a new axis."""
    vs = [array(a) for a in _parts(arrays)]
    if not vs:
        raise op_error(ValueError, "need at least one array to stack")
    for v in vs:
        if v.ndim != vs[0].ndim:
            raise op_error(ValueError, "all input arrays must have the same shape")
    k = axis_of(axis, vs[0].ndim + 1)
    return concatenate([expand_dims(v, k) for v in vs], k, dtype=dtype, casting=casting)


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Arrays joined as rows."""
    return concatenate([atleast_2d(array(a)) for a in _parts(tup)], 0, dtype=dtype, casting=casting)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Arrays joined along the second axis, or the first of one-dimensional ones."""
    vs = [atleast_1d(array(a)) for a in _parts(tup)]
    return concatenate(vs, 0 if vs and vs[0].ndim == 1 else 1, dtype=dtype, casting=casting)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    """Arrays joined along the third axis."""
    from weft.numpy.shape import atleast_3d

    return concatenate([atleast_3d(array(a)) for a in _parts(tup)], 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    """One-dimensional arrays as the columns of a matrix."""
    vs = [array(a) for a in _parts(tup)]
    return concatenate([v if v.ndim >= 2 else reshape(v, (product(v.sizes), 1)) for v in vs], 1)


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    """Values joined to the end of an array."""
    return concatenate([arr, values], axis)


@implements(np.block)
def block(arrays: Any) -> Any:
    """A matrix of blocks, given as nested lists."""

    def depth(x: Any) -> int:
        return 1 + depth(x[0]) if isinstance(x, list) and x else 0

    levels = depth(arrays)
    rank = max(levels, _rank(arrays))

    def join(x: Any, level: int) -> Staged:
        if not isinstance(x, list):
            v = array(x)
            return reshape(v, (1,) * (rank - v.ndim) + v.sizes)
        out: Staged = concatenate([join(y, level - 1) for y in x], -level)
        return out

    return join(arrays, levels)


def _rank(x: Any) -> int:
    return max([_rank(y) for y in x], default=0) if isinstance(x, list) else array(x).ndim


# -- splitting ---------------------------------------------------------------------------------------------------------


def _cut(x: Staged, bounds: Sequence[Any], axis: int) -> list[Any]:
    lead = (slice(None),) * axis
    return [getitem(x, (*lead, slice(a, b))) for a, b in itertools.pairwise(bounds)]


def _split(ary: Any, sections: Any, axis: Any, even: bool) -> list[Any]:
    x = source(ary)
    k = axis_of(axis, x.ndim)
    if isinstance(sections, list | tuple | np.ndarray):
        return _cut(x, [0, *[s if isinstance(s, Staged) else int(s) for s in sections], None], k)
    n, parts = current().fix(x.sizes[k], "the parts of a split"), static_int(sections, "sections")
    if parts <= 0:
        raise op_error(ValueError, "number sections must be larger than 0.")
    if even and n % parts:
        raise op_error(ValueError, "array split does not result in an equal division")
    each, extra = divmod(n, parts)
    bounds = [0]
    for j in range(parts):
        bounds.append(bounds[-1] + each + (j < extra))
    return _cut(x, bounds, k)


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    """Equal parts along an axis, or the parts between positions."""
    return _split(ary, indices_or_sections, axis, True)


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    """Nearly equal parts along an axis."""
    return _split(ary, indices_or_sections, axis, False)


@implements(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> Any:
    """Equal parts along the second axis, or the first of a one-dimensional array."""
    return _split(ary, indices_or_sections, 0 if source(ary).ndim == 1 else 1, True)


@implements(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> Any:
    """Equal parts along the third axis."""
    if source(ary).ndim < 3:
        raise op_error(ValueError, "dsplit only works on arrays of 3 or more dimensions")
    return _split(ary, indices_or_sections, 2, True)


@implements(np.unstack)
def unstack(x: Any, /, *, axis: Any = 0) -> Any:
    """The slices along an axis."""
    v = source(x)
    if not v.sizes:
        raise op_error(ValueError, "Input array must be at least 1-d.")
    k = axis_of(axis, v.ndim)
    n = current().fix(v.sizes[k], "the slices of unstack")
    return tuple([getitem(v, (*[slice(None)] * k, j)) for j in range(n)])


@implements(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> Any:
    """Equal parts along the first axis."""
    return _split(ary, indices_or_sections, 0, True)


# -- repeating ---------------------------------------------------------------------------------------------------------


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """Elements moved along an axis; those that leave it come in at the other end."""
    x = array(a)
    if axis is None:
        flat = reshape(x, (product(x.sizes),))
        return reshape(roll(flat, shift, 0), x.sizes)
    axes = list(axis) if isinstance(axis, list | tuple) else [axis]
    shifts = list(shift) if isinstance(shift, list | tuple) else [shift] * len(axes)
    if len(axes) == 1 < len(shifts):
        axes = axes * len(shifts)
    if len(shifts) != len(axes):
        raise op_error(ValueError, "'shift' and 'axis' should be scalars or 1D sequences of the same length")
    for s, k in zip(shifts, axes, strict=True):
        x = _rolled(x, size_of(s), axis_of(k, x.ndim))
    return x


def _rolled(x: Staged, shift: Size, axis: int) -> Staged:
    n = x.sizes[axis]
    if n == 0:
        return x
    if isinstance(shift, int) and isinstance(n, int):
        shift %= n
    if shift == 0:
        return x
    if isinstance(shift, int) and current().at_least(n - abs(shift), 0):
        head = n - shift if shift > 0 else -shift
        return emit("concat", _span(x, axis, head, n - head), _span(x, axis, 0, head), axis=axis)
    b = current().builder
    at = prim("mod")(prim("sub")(iota(n).atom, b.size_value(shift)), b.size_value(n))
    return gather(x, of(at), axis, "fast")


def _span(x: Staged, axis: int, start: Size, size: Size) -> Staged:
    spec = tuple([Span(size if k == axis else n) for k, n in enumerate(x.sizes)])
    first = current().builder.size_value(start)
    return emit("index", x, *[first if k == axis else lit(0) for k in range(x.ndim)], spec=spec, mode="fast")


def _np_repeat(a: Any, repeats: Any, axis: Any = None, *, total_repeat_length: Any = None) -> Any:
    if total_repeat_length is None:
        return np.repeat(a, repeats, axis)
    x, k = (np.ravel(a), 0) if axis is None else (np.asarray(a), axis)
    ends = np.cumsum(np.broadcast_to(repeats, x.shape[k]))
    at = np.searchsorted(ends, np.arange(total_repeat_length), "right")
    return np.take(x, np.minimum(at, x.shape[k] - 1), k)


@implements(np.repeat, run=_np_repeat)
def repeat(a: Any, repeats: Any, axis: Any = None, *, total_repeat_length: Any = None) -> Any:
    """Each element several times; the result is cut off or its last row repeated where its length is given."""
    x = array(a)
    if axis is None:
        x, axis = reshape(x, (product(x.sizes),)), 0
    k = axis_of(axis, x.ndim)
    times = array(repeats)
    if total_repeat_length is None and (not times.sizes or times.sizes == (1,)):
        m = size_of(repeats if not times.sizes else reshape(times, ()))
        lead, tail = x.sizes[:k], x.sizes[k + 1 :]
        wide = (*lead, x.sizes[k], m, *tail)
        flat = (*lead, product([x.sizes[k], m]), *tail)
        return reshape(spread(reshape(x, (*lead, x.sizes[k], 1, *tail)), wide), flat)
    from weft.numpy.sorting import searchsorted

    if not times.sizes or times.sizes == (1,):
        times = spread(reshape(times, ()), (x.sizes[k],))
    agree(times.sizes[0], x.sizes[k], lambda: _raise_repeat())
    ends = cumsum(array(times, i64))
    if total_repeat_length is None:
        total = dim_or_int(emit("reduce_sum", array(times, i64), axes=(0,)).atom)
    else:
        total = new_size(total_repeat_length)
    at = searchsorted(ends, iota(total), "right")
    if total_repeat_length is not None:
        at = emit("minimum", at, emit("sub", of(current().builder.size_value(x.sizes[k])), lit(1)))
    return gather(x, at, k, "fast")


def _raise_repeat() -> None:
    raise op_error(ValueError, "operands could not be broadcast together: repeats has another length than the axis")


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    """The array several times along each axis."""
    x = array(A)
    times: list[Size] = [size_of(r) for r in (reps if isinstance(reps, list | tuple) else (reps,))]
    rank = max(len(times), x.ndim)
    times = [*[1] * (rank - len(times)), *times]
    sizes = (1,) * (rank - x.ndim) + x.sizes
    for k in reversed(range(rank)):
        lead, tail = sizes[:k], sizes[k + 1 :]
        if times[k] != 1:
            wide = (*lead, times[k], sizes[k], *tail)
            x = spread(reshape(x, (*lead, 1, sizes[k], *tail)), wide)
            sizes = (*lead, product([times[k], sizes[k]]), *tail)
        x = reshape(x, sizes)
    return x


# -- products of blocks ------------------------------------------------------------------------------------------------


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    """The Kronecker product."""
    x, y = array(a), array(b)
    rank = max(x.ndim, y.ndim)
    m, n = (1,) * (rank - x.ndim) + x.sizes, (1,) * (rank - y.ndim) + y.sizes
    from weft.numpy.ufuncs import ufunc

    wide_x = reshape(x, tuple([s for k in range(rank) for s in (m[k], 1)]))
    wide_y = reshape(y, tuple([s for k in range(rank) for s in (1, n[k])]))
    return reshape(ufunc(np.multiply, wide_x, wide_y), tuple([product(p) for p in zip(m, n, strict=True)]))
