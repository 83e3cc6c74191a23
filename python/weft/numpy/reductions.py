"""Reductions over axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.nodes import lit
from weft.ir.types import DType, bool_, f32, f64, i64, is_complex, is_inexact, u64
from weft.numpy.common import (
    Shape,
    Staged,
    array,
    astype,
    away_from_zero,
    axes_of,
    axis_of,
    broadcast_shapes,
    check,
    count,
    current,
    emit,
    full,
    kept,
    nonempty,
    number,
    of,
    op_error,
    prim,
    product,
    reshape,
    result_dtype,
    select,
    spread,
    static_bool,
    transpose,
    truth,
    unsupported,
)  # fmt: skip
from weft.numpy.registry import implements
from weft.numpy.ufuncs import ufunc

_WHERE = "reduction operation '{}' does not have an identity, so to use a where mask one has to specify 'initial'"
_EMPTY = "zero-size array to reduction operation {} which has no identity"


def summed_dtype(dtype: DType) -> DType:
    """The dtype that NumPy sums elements of a dtype in: small integers widen to the machine's."""
    if dtype.kind == "b" or (dtype.kind == "i" and dtype.itemsize < 8):
        return i64
    return u64 if dtype.kind == "u" else dtype


def reduce(name: str, x: Staged, axis: Any, keepdims: Any) -> Staged:
    """A reduction primitive over axes as NumPy names them."""
    axes = axes_of(axis, x.ndim)
    out = emit(name, x, axes=axes) if axes else x
    return reshape(out, kept(x.sizes, axes)) if static_bool(keepdims, "keepdims") and axes else out


def masked(x: Staged, where: Any, identity: Any) -> Staged:
    """``x`` with ``identity`` where the condition of a reduction does not hold."""
    if where is None or where is True:
        return x
    cond = truth(array(where))
    shape = broadcast_shapes("where", x.sizes, cond.sizes)
    return select(spread(cond, shape), spread(x, shape), number(identity, x))


def _accumulate(name: str, combine: np.ufunc, identity: Any) -> Any:
    def run(a: Any, axis: Any, dtype: Any, keepdims: Any, initial: Any, where: Any) -> Staged:
        x = array(a)
        x = astype(x, np.dtype(dtype) if dtype is not None else summed_dtype(x.dtype))
        out = reduce(name, masked(x, where, identity), axis, keepdims)
        if initial is None:
            return out
        return array(ufunc(combine, out, array(initial, x.dtype)), x.dtype)

    return run


_sum = _accumulate("reduce_sum", np.add, 0)
_prod = _accumulate("reduce_prod", np.multiply, 1)


def _kept(a: Any, dtype: Any, promote_integers: Any) -> Any:
    """The dtype to add up in: the array's own, if integers are not to be widened."""
    if dtype is not None or static_bool(promote_integers, "promote_integers"):
        return dtype
    return array(a).dtype if isinstance(a, Staged) else np.asarray(a).dtype


def _np_summed(numpy: Any) -> Any:
    def run(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = np._NoValue,
        where: Any = np._NoValue, *, promote_integers: Any = True,
    ) -> Any:  # fmt: skip
        dtype = dtype if promote_integers else _kept(a, dtype, promote_integers)
        return numpy(a, axis, dtype, None, keepdims, initial, where)

    return run


@implements(np.sum, run=_np_summed(np.sum))
def sum(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None,
    where: Any = None, *, promote_integers: Any = True,
) -> Any:  # fmt: skip
    """The sum of elements over axes; small integers are added up as int64, unless they are not to be promoted."""
    return _sum(a, axis, _kept(a, dtype, promote_integers), keepdims, initial, where)


@implements(np.prod, run=_np_summed(np.prod))
def prod(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None,
    where: Any = None, *, promote_integers: Any = True,
) -> Any:  # fmt: skip
    """The product of elements over axes; small integers become int64, unless they are not to be promoted."""
    return _prod(a, axis, _kept(a, dtype, promote_integers), keepdims, initial, where)


def _extreme(name: str, combine: np.ufunc, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any) -> Staged:
    x = array(a)
    if is_complex(x.dtype):
        if initial is not None or (where is not None and where is not True):
            raise unsupported("a maximum of complex numbers with initial= or where=", "combine it with the result")
        return _complex_extreme(name, x, axis, keepdims)
    if initial is not None:
        start = array(initial, x.dtype)
        if where is not None and where is not True:
            cond = truth(array(where))
            shape = broadcast_shapes("where", x.sizes, cond.sizes)
            x = select(spread(cond, shape), spread(x, shape), start)
        if product([x.sizes[k] for k in axes_of(axis, x.ndim)]) == 0:
            rest = [1 if k in axes_of(axis, x.ndim) else s for k, s in enumerate(x.sizes)]
            shape = tuple(rest) if keepdims else tuple(
                [s for k, s in enumerate(x.sizes) if k not in axes_of(axis, x.ndim)]
            )  # fmt: skip
            return full(start.atom, shape)
        return array(ufunc(combine, _ordered(name, x, axis, keepdims), start), x.dtype)
    if where is not None and where is not True:
        raise op_error(ValueError, _WHERE.format(combine.__name__))
    nonempty(x, axes_of(axis, x.ndim), _EMPTY.format(combine.__name__))
    return _ordered(name, x, axis, keepdims)


def _complex_extreme(name: str, x: Staged, axis: Any, keepdims: Any) -> Staged:
    """The largest or smallest by real, then by imaginary parts; one with nan if there is any."""
    from weft.numpy.search import take_along_axis
    from weft.numpy.sorting import order_along

    axes = axes_of(axis, x.ndim)
    nonempty(x, axes, _EMPTY.format("maximum" if name == "reduce_max" else "minimum"))
    rest = [k for k in range(x.ndim) if k not in axes]
    rows = reshape(
        transpose(x, (*rest, *axes)), (*[x.sizes[k] for k in rest], product([x.sizes[k] for k in axes]))
    )  # fmt: skip
    last = rows.ndim - 1
    order = order_along(rows, last)
    n = current().builder.size_value(rows.sizes[-1])
    end = spread(of(prim("sub")(n, lit(1))), (*rows.sizes[:-1], 1))
    first = spread(of(lit(0)), (*rows.sizes[:-1], 1))
    high, low = [take_along_axis(rows, take_along_axis(order, at, last), last) for at in (end, first)]
    bad = ufunc(np.isnan, high)
    out = high if name == "reduce_max" else select(bad, high, low)
    shape = kept(x.sizes, axes) if static_bool(keepdims, "keepdims") else rows.sizes[:-1]
    return reshape(out, shape)


def _ordered(name: str, x: Staged, axis: Any, keepdims: Any) -> Staged:
    if x.dtype == bool_:
        return reduce("reduce_or" if name == "reduce_max" else "reduce_and", x, axis, keepdims)
    return reduce(name, x, axis, keepdims)


@implements(np.max, np.amax)
def max(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = None
) -> Any:
    """The largest element over axes; nan if there is one."""
    return _extreme("reduce_max", np.maximum, a, axis, keepdims, initial, where)


@implements(np.min, np.amin)
def min(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = None
) -> Any:
    """The smallest element over axes; nan if there is one."""
    return _extreme("reduce_min", np.minimum, a, axis, keepdims, initial, where)


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    """The largest element minus the smallest."""
    return max(a, axis, keepdims=keepdims) - min(a, axis, keepdims=keepdims)


@implements(np.any)
def any(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = None) -> Any:
    """Whether some element over axes is not zero."""
    return reduce("reduce_or", masked(truth(array(a)), where, False), axis, keepdims)


@implements(np.all)
def all(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = None) -> Any:
    """Whether no element over axes is zero."""
    return reduce("reduce_and", masked(truth(array(a)), where, True), axis, keepdims)


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    """The number of elements that are not zero."""
    return sum(truth(array(a)), axis, keepdims=keepdims)


def _position(name: str, a: Any, axis: Any, keepdims: Any) -> Staged:
    x = array(a)
    if x.dtype == bool_:
        x = astype(x, np.int8)
    if is_complex(x.dtype):
        best = _complex_extreme("reduce_max" if name == "argmax" else "reduce_min", x, axis, True)
        found = emit("bitor", ufunc(np.equal, x, best), ufunc(np.isnan, x))
        x, name = astype(found, np.int8), "argmax"
    if axis is None:
        shape: Shape = (1,) * x.ndim
        x, axis = reshape(x, (product(x.sizes),)), 0
    else:
        axis = axis_of(axis, x.ndim)
        shape = kept(x.sizes, (axis,))
    nonempty(x, (axis,), f"attempt to get {name} of an empty sequence")
    out = emit(name, x, axis=axis)
    return reshape(out, shape) if static_bool(keepdims, "keepdims") else out


@implements(np.argmax)
def argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    """The position of the first largest element."""
    return _position("argmax", a, axis, keepdims)


@implements(np.argmin)
def argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    """The position of the first smallest element."""
    return _position("argmin", a, axis, keepdims)


# -- moments -----------------------------------------------------------------------------------------------------------


def _counted(x: Staged, axis: Any, keepdims: Any, where: Any, dtype: DType) -> Staged:
    """The number of elements that a reduction takes."""
    if where is None or where is True:
        return count([x.sizes[k] for k in axes_of(axis, x.ndim)], dtype)
    cond = spread(truth(array(where)), broadcast_shapes("where", x.sizes, array(where).sizes))
    return astype(reduce("reduce_sum", astype(cond, i64), axis, keepdims), dtype)


def mean_dtypes(x: Staged, dtype: Any) -> tuple[DType, DType]:
    """The dtypes in which a mean is computed and given."""
    if dtype is not None:
        return np.dtype(dtype), np.dtype(dtype)
    if not is_inexact(x.dtype):
        return f64, f64
    return (f32 if x.dtype == np.float16 else x.dtype), x.dtype


@implements(np.mean)
def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = None
) -> Any:
    """The arithmetic mean over axes."""
    x = array(a)
    inner, outer = mean_dtypes(x, dtype)
    x = astype(x, inner)
    total = reduce("reduce_sum", masked(x, where, 0), axis, keepdims)
    return astype(_divided(total, _counted(x, axis, keepdims, where, inner)), outer)


def _divided(total: Staged, n: Staged) -> Staged:
    if not is_inexact(total.dtype):
        return astype(emit("div", astype(total, f64), astype(n, f64)), total.dtype)
    return emit("div", total, n)


@implements(np.var)
def var(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """The variance over axes: squared deviations from the mean, divided by n - ddof."""
    x = array(a)
    inner, outer = mean_dtypes(x, dtype)
    x = astype(x, inner)
    ddof = ddof if correction is None else correction
    if mean is None:
        total = reduce("reduce_sum", masked(x, where, 0), axis, True)
        centre = _divided(total, _counted(x, axis, True, where, inner))
    else:
        centre = array(mean, inner)
    gap = ufunc(np.subtract, x, centre)
    if is_complex(inner):
        re, im = emit("real", gap), emit("imag", gap)
        square = emit("mul", re, re) + emit("mul", im, im)
        outer = square.dtype
    else:
        square = emit("mul", gap, gap)
    total = reduce("reduce_sum", masked(square, where, 0), axis, keepdims)
    n = _counted(x, axis, keepdims, where, square.dtype) - array(ddof, square.dtype)
    n = ufunc(np.maximum, n, number(0, n))
    return astype(emit("div", total, n), outer)


@implements(np.std)
def std(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """The standard deviation over axes; where it is 0, so is its derivative."""
    return _root(var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction))


def _root(x: Staged) -> Staged:
    return away_from_zero(x, lambda v: emit("sqrt", v))


@implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: Any = False, *, keepdims: Any = False) -> Any:
    """The mean over axes, weighted."""
    x = array(a)
    if weights is None:
        out = mean(x, axis, keepdims=keepdims)
        scale = _counted(x, axis, keepdims, None, out.dtype)
    else:
        w = array(weights)
        dtype = result_dtype(x, w) if is_inexact(x.dtype) else result_dtype(x, w, of(lit(0, f64)))
        if w.ndim != x.ndim:
            if w.ndim != 1 or axis is None:
                raise unsupported("np.average with weights of another shape", "broadcast the weights first")
            shape = [1] * x.ndim
            k = axis_of(axis, x.ndim)
            w = reshape(w, tuple([w.sizes[0] if j == k else n for j, n in enumerate(shape)]))
            w = spread(w, broadcast_shapes("average", x.sizes, w.sizes))
        x, w = astype(x, dtype), astype(w, dtype)
        scale = sum(w, axis, keepdims=keepdims)
        out = ufunc(np.divide, sum(ufunc(np.multiply, x, w), axis, keepdims=keepdims), scale)
    return (out, spread(scale, out.sizes)) if static_bool(returned, "returned") else out


# -- ignoring nan ------------------------------------------------------------------------------------------------------


def _filled(a: Any, fill: Any) -> tuple[Staged, Staged | None]:
    """``a`` with nan replaced, and where it was not nan."""
    x = array(a)
    if not is_inexact(x.dtype):
        return x, None
    bad = emit("isnan", x)
    return select(bad, number(fill, x), x), emit("logical_not", bad)


@implements(np.nansum)
def nansum(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None,
    where: Any = None,
) -> Any:  # fmt: skip
    """The sum over axes, ignoring nan."""
    return sum(_filled(a, 0)[0], axis, dtype, None, keepdims, initial, where)


@implements(np.nanprod)
def nanprod(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None,
    where: Any = None,
) -> Any:  # fmt: skip
    """The product over axes, ignoring nan."""
    return prod(_filled(a, 1)[0], axis, dtype, None, keepdims, initial, where)


def _both(fine: Staged | None, where: Any) -> Any:
    """Where elements are not nan and the condition of a reduction holds."""
    if where is None or where is True:
        return fine
    return where if fine is None else ufunc(np.logical_and, fine, where)


@implements(np.nanmean)
def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = None
) -> Any:
    """The mean over axes, ignoring nan."""
    x, fine = _filled(a, 0)
    return mean(x, axis, dtype, None, keepdims, where=_both(fine, where))


@implements(np.nanvar)
def nanvar(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """The variance over axes, ignoring nan; of no more than ``ddof`` elements it is nan."""
    x, fine = _filled(a, 0)
    taken = _both(fine, where)
    out_ = var(x, axis, dtype, None, ddof, keepdims, where=taken, mean=mean, correction=correction)
    if taken is None:
        return out_
    n = _counted(x, axis, keepdims, taken, f64)
    lost = ufunc(np.less_equal, n, array(ddof if correction is None else correction, f64))
    return select(lost, number(np.nan, out_), out_)


@implements(np.nanstd)
def nanstd(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """The standard deviation over axes, ignoring nan."""
    return _root(nanvar(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction))


def _nan_extreme(
    extreme: Any, worst: float, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any
) -> Staged:  # fmt: skip
    x, fine = _filled(a, worst)
    if fine is None:
        return extreme(x, axis, None, keepdims, initial, where)  # type: ignore[no-any-return]
    taken = _both(fine, where)
    if where is not None and where is not True and initial is None:
        raise op_error(ValueError, _WHERE.format("fmax" if worst < 0 else "fmin"))
    out: Staged = extreme(x, axis, None, keepdims, initial, None if initial is None else taken)
    if initial is not None:
        return out
    return select(any(taken, axis, keepdims=keepdims), out, number(np.nan, out))


@implements(np.nanmax)
def nanmax(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = None
) -> Any:
    """The largest element over axes, ignoring nan."""
    return _nan_extreme(max, -np.inf, a, axis, keepdims, initial, where)


@implements(np.nanmin)
def nanmin(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = None
) -> Any:
    """The smallest element over axes, ignoring nan."""
    return _nan_extreme(min, np.inf, a, axis, keepdims, initial, where)


def _nan_position(name: str, worst: float, a: Any, axis: Any, keepdims: Any) -> Staged:
    x, fine = _filled(a, worst)
    if fine is not None:
        some = any(fine, axis)
        known = reduce("reduce_and", some, None, False)
        check(known, ValueError, "All-NaN slice encountered")
    return _position(name, x, axis, keepdims)


@implements(np.nanargmax)
def nanargmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    """The position of the first largest element, ignoring nan."""
    return _nan_position("argmax", -np.inf, a, axis, keepdims)


@implements(np.nanargmin)
def nanargmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    """The position of the first smallest element, ignoring nan."""
    return _nan_position("argmin", np.inf, a, axis, keepdims)
