"""New arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from weft.ir.nodes import Lit, lit
from weft.ir.sizes import same_shape
from weft.ir.types import DType, f64, i64, is_complex, is_inexact
from weft.numpy.common import (
    Size,
    Staged,
    array_of,
    astype,
    axis_of,
    broadcast_shapes,
    cast,
    check,
    current,
    dim_or_int,
    emit,
    full,
    iota,
    move,
    new_size,
    of,
    op_error,
    prim,
    reshape,
    result_dtype,
    select,
    shape_of,
    size_of,
    spread,
    static_bool,
    static_int,
    unsupported,
    value,
    wrap,
)  # fmt: skip
from weft.numpy.registry import Entry, enter, implements
from weft.numpy.ufuncs import ufunc
from weft.staged.sequence import to_array
from weft.staged.value import lift


def _dtype(dtype: Any, default: Any = f64) -> DType:
    return np.dtype(default if dtype is None else dtype)


@implements(np.zeros, creates=True)
def zeros(shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Any:
    """An array of zeros."""
    return full_of(0, shape, _dtype(dtype))


@implements(np.ones, creates=True)
def ones(shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Any:
    """An array of ones."""
    return full_of(1, shape, _dtype(dtype))


@implements(np.empty, creates=True)
def empty(shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Any:
    """An array whose elements are not set."""
    sizes = shape_of(shape)
    return emit("undef", shape=sizes, dtype=_dtype(dtype)) if sizes else of(lit(0, _dtype(dtype)))


@implements(np.full, creates=True)
def full_(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Any:
    """An array with one value everywhere."""
    v = array_of(fill_value, dtype)
    sizes = shape_of(shape)
    if not same_shape(broadcast_shapes("full", v.sizes, sizes), sizes):
        raise op_error(ValueError, "could not broadcast the fill value into the shape")
    return spread(v, sizes)


def full_of(fill: Any, shape: Any, dtype: DType) -> Staged:
    """A number everywhere."""
    return full(lit(fill, dtype), shape_of(shape))


def _like(x: Any, shape: Any, dtype: Any) -> tuple[Any, DType]:
    v = array_of(x)
    return (tuple(v.sizes) if shape is None else shape_of(shape)), _dtype(dtype, v.dtype)


def _placed(x: Any, new: Staged) -> Staged:
    """A new array made after another: inside `shard_map` it varies over the mesh's axes as that does."""
    varying = current().varying
    for axis, sure in () if varying is None else varying.like(array_of(x).atom):
        new = emit("pvary", new, axis=axis, sure=sure)
    return new


@implements(np.zeros_like, creates=True)
def zeros_like(
    a: Any, dtype: Any = None, order: Any = "K", subok: Any = True, shape: Any = None, *, device: Any = None
) -> Any:
    """Zeros in the shape and dtype of an array."""
    sizes, d = _like(a, shape, dtype)
    return _placed(a, full(lit(0, d), sizes))


@implements(np.ones_like, creates=True)
def ones_like(
    a: Any, dtype: Any = None, order: Any = "K", subok: Any = True, shape: Any = None, *, device: Any = None
) -> Any:
    """Ones in the shape and dtype of an array."""
    sizes, d = _like(a, shape, dtype)
    return _placed(a, full(lit(1, d), sizes))


@implements(np.empty_like, creates=True)
def empty_like(
    prototype: Any, dtype: Any = None, order: Any = "K", subok: Any = True, shape: Any = None, *, device: Any = None
) -> Any:
    """An array of the shape and dtype of another, whose elements are not set."""
    sizes, d = _like(prototype, shape, dtype)
    return _placed(prototype, emit("undef", shape=sizes, dtype=d) if sizes else of(lit(0, d)))


@implements(np.full_like, creates=True)
def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: Any = True, shape: Any = None, *,
    device: Any = None,
) -> Any:  # fmt: skip
    """One value everywhere, in the shape and dtype of an array."""
    sizes, d = _like(a, shape, dtype)
    return _placed(a, spread(array_of(fill_value, d), sizes))


# -- from data ---------------------------------------------------------------------------------------------------------


@implements(np.array, creates=True)
def array(
    object: Any, dtype: Any = None, *, copy: Any = True, order: Any = "K", subok: Any = False, ndmin: Any = 0,
    device: Any = None,
) -> Any:  # fmt: skip
    """An array of numbers, arrays or nested sequences: a copy."""
    v = _from(object, dtype)
    missing = static_int(ndmin, "ndmin") - v.ndim
    return reshape(v, (1,) * missing + v.sizes) if missing > 0 else v


@implements(np.copy, creates=True)
def copy(a: Any, order: Any = "K", subok: Any = False) -> Any:
    """A copy."""
    return _from(a, None)


def _from(x: Any, dtype: Any) -> Staged:
    """``x`` as an array of its own."""
    if isinstance(x, list | tuple):
        return to_array(x, None if dtype is None else np.dtype(dtype), "weft")
    if isinstance(x, range):
        return to_array(list(x), None if dtype is None else np.dtype(dtype), "weft")
    return array_of(x, dtype)


@implements(np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray, creates=True)
def asarray(a: Any, dtype: Any = None, order: Any = None, *, device: Any = None, copy: Any = None) -> Any:
    """An array: the argument itself if it is one of this dtype."""
    x = lift(a) if isinstance(a, Staged | np.ndarray) else None
    if x is not None and x.sizes and copy is not True and (dtype is None or np.dtype(dtype) == x.dtype):
        return x
    return _from(a, dtype)


# -- ranges ------------------------------------------------------------------------------------------------------------


@implements(np.arange, creates=True)
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None, *, device: Any = None) -> Any:
    """Numbers from ``start`` (0 if only one is given) up to ``stop``, ``step`` apart."""
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    bounds = [value(b) for b in (start, stop, step)]
    if any(b.sizes for b in bounds):
        raise op_error(TypeError, "arange() takes scalars")
    kind = result_dtype(*bounds, of(lit(0, i64))) if any(b.flavour != "py" for b in bounds) else result_dtype(*bounds)
    out_dtype = np.dtype(dtype) if dtype is not None else kind
    if is_complex(kind):
        raise unsupported("np.arange of complex numbers", "add real and imaginary parts")
    if is_inexact(kind):
        return _arange_real(bounds, kind, out_dtype)
    return _arange_whole(start, stop, step, out_dtype)


def _arange_whole(start: Any, stop: Any, step: Any, dtype: DType) -> Staged:
    from weft.staged.indexing import _length

    lo, hi, by = size_of(start), size_of(stop), size_of(step)
    if by == 0:
        raise op_error(ZeroDivisionError, "division by zero")
    n: Size
    if all(isinstance(s, int) for s in (lo, hi, by)):
        n = len(range(lo, hi, by))  # type: ignore[arg-type]
    elif by == 1:
        n = _length(lo, hi)
    elif by == -1:
        n = _length(hi, lo)
    else:
        n = _steps(lo, hi, by)
    b = current().builder
    k = iota(n, dtype)
    if by != 1:
        k = emit("mul", k, cast(b.size_value(by), dtype))
    return k if lo == 0 else emit("add", k, cast(b.size_value(lo), dtype))


def _steps(lo: Size, hi: Size, by: Size) -> Size:
    """The number of integers in ``range(lo, hi, by)``."""
    b = current().builder
    gap, step = b.size_value(hi - lo), b.size_value(by)
    if not isinstance(by, int):
        check(emit("ne", step, lit(0)), ZeroDivisionError, "division by zero")
    up = prim("sub")(prim("add")(gap, step), prim("sign")(step))
    return dim_or_int(prim("maximum")(prim("floordiv")(up, step), lit(0)))


def _arange_real(bounds: list[Staged], kind: DType, dtype: DType) -> Staged:
    # NumPy fills from the first two values: rounding of `start + step` is part of the result
    start, stop, step = [array_of(b, f64) for b in bounds]
    n_real = emit("ceil", emit("div", emit("sub", stop, start), step))
    if not isinstance(n_real.atom, Lit):
        check(emit("isfinite", n_real), ValueError, "arange: cannot compute length")
    elif not math.isfinite(float(n_real.atom.value)):
        raise op_error(ValueError, "arange: cannot compute length")
    n = dim_or_int(prim("maximum")(cast(n_real.atom, i64), lit(0)))
    first = astype(start, kind)
    gap = emit("sub", astype(emit("add", start, step), kind), first)
    return astype(emit("add", emit("mul", iota(n, kind), gap), first), dtype)


@implements(np.linspace, creates=True)
def linspace(
    start: Any, stop: Any, num: Any = 50, endpoint: Any = True, retstep: Any = False, dtype: Any = None, axis: Any = 0,
    *, device: Any = None,
) -> Any:  # fmt: skip
    """``num`` numbers evenly spaced from ``start`` to ``stop``."""
    n = new_size(num)
    lo, hi = value(start), value(stop)
    kind = result_dtype(lo, hi, 0.0)
    lo, hi = array_of(lo, kind), array_of(hi, kind)
    ends = static_bool(endpoint, "endpoint")
    delta = ufunc(np.subtract, hi, lo)
    div: Size = n - 1 if ends else n
    rank = delta.ndim
    lead = (n,) + (1,) * rank
    k = reshape(iota(n, kind), lead)
    if isinstance(div, int):
        divisor: Any = of(lit(div, kind))
        step = ufunc(np.divide, delta, divisor) if div > 0 else ufunc(np.multiply, delta, np.nan)
        rows = ufunc(np.multiply, k, step) if div > 0 else ufunc(np.multiply, k, delta)
    else:
        count = current().builder.size_value(div)
        divisor = of(cast(prim("maximum")(count, lit(1)), kind))
        step = ufunc(np.divide, delta, divisor)
        rows = ufunc(np.multiply, k, step)
    y = ufunc(np.add, rows, lo)
    if ends and (not isinstance(n, int) or n > 1):
        last = emit("eq", k, cast(prim("sub")(current().builder.size_value(n), lit(1)), kind))
        if not isinstance(n, int):
            last = emit("bitand", last, emit("gt", current().builder.size_value(n), lit(1)))
        y = select(spread(last, y.sizes), spread(hi, y.sizes), y)
    y = move(y, 0, axis_of(axis, y.ndim))
    if dtype is not None:
        d = np.dtype(dtype)
        y = astype(ufunc(np.floor, y) if not is_inexact(d) else y, d)
    return (y, step) if static_bool(retstep, "retstep") else y


@implements(np.logspace, creates=True)
def logspace(
    start: Any, stop: Any, num: Any = 50, endpoint: Any = True, base: Any = 10.0, dtype: Any = None, axis: Any = 0
) -> Any:
    """``num`` numbers evenly spaced on a logarithmic scale."""
    y = ufunc(np.power, base, linspace(start, stop, num, endpoint, axis=axis))
    return y if dtype is None else astype(y, np.dtype(dtype))


# -- matrices ----------------------------------------------------------------------------------------------------------


def below_diagonal(n: Size, m: Size, k: Any) -> Staged:
    """Whether ``column - row <= k``."""
    rows, columns = reshape(iota(n), (n, 1)), reshape(iota(m), (1, m))
    offset: Any = rows + array_of(k, i64)
    return ufunc(np.greater_equal, offset, columns)  # type: ignore[no-any-return]


@implements(np.eye, creates=True)
def eye(N: Any, M: Any = None, k: Any = 0, dtype: Any = float, order: Any = "C", *, device: Any = None) -> Any:
    """Ones on a diagonal, zeros elsewhere."""
    n = new_size(N)
    m = n if M is None else new_size(M)
    rows, columns = reshape(iota(n), (n, 1)), reshape(iota(m), (1, m))
    return astype(ufunc(np.equal, rows + array_of(k, i64), columns), _dtype(dtype))


@implements(np.identity, creates=True)
def identity(n: Any, dtype: Any = None) -> Any:
    """The identity matrix."""
    return eye(n, dtype=_dtype(dtype))


@implements(np.tri, creates=True)
def tri(N: Any, M: Any = None, k: Any = 0, dtype: Any = float) -> Any:
    """Ones at and below a diagonal."""
    n = new_size(N)
    return astype(below_diagonal(n, n if M is None else new_size(M), k), _dtype(dtype))


@implements(np.tril)
def tril(m: Any, k: Any = 0) -> Any:
    """The lower triangle."""
    x = _matrix(m)
    return select(_mask(x, k), x, of(lit(0, x.dtype)))


@implements(np.triu)
def triu(m: Any, k: Any = 0) -> Any:
    """The upper triangle."""
    x = _matrix(m)
    return select(_mask(x, ufunc(np.subtract, k, 1)), of(lit(0, x.dtype)), x)


def _matrix(m: Any) -> Staged:
    x = array_of(m)
    return spread(x, (x.sizes[0], x.sizes[0])) if x.ndim == 1 else x


def _mask(x: Staged, k: Any) -> Staged:
    return spread(below_diagonal(x.sizes[-2], x.sizes[-1], k), x.sizes)


@implements(np.tril_indices, creates=True)
def tril_indices(n: Any, k: Any = 0, m: Any = None) -> Any:
    """The indices of the lower triangle."""
    rows = new_size(n)
    mask = below_diagonal(rows, rows if m is None else new_size(m), k)
    return tuple([of(a) for a in prim("mask_indices")(mask.atom)[1:]])


@implements(np.triu_indices, creates=True)
def triu_indices(n: Any, k: Any = 0, m: Any = None) -> Any:
    """The indices of the upper triangle."""
    rows = new_size(n)
    mask = below_diagonal(rows, rows if m is None else new_size(m), ufunc(np.subtract, k, 1))
    return tuple([of(a) for a in prim("mask_indices")(prim("logical_not")(mask.atom))[1:]])


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: Any = True, sparse: Any = False, indexing: Any = "xy") -> Any:
    """Coordinate matrices of coordinate vectors."""
    if indexing not in ("xy", "ij"):
        raise op_error(ValueError, "Valid values for `indexing` are 'xy' and 'ij'.")
    vs = [array_of(x) for x in xi]
    rank = len(vs)
    out = []
    for k, v in enumerate(vs):
        n = 1 if not v.sizes else v.sizes[0]
        place = 1 - k if indexing == "xy" and k < 2 and rank > 1 else k
        out.append(reshape(v, tuple([n if j == place else 1 for j in range(rank)])))
    if static_bool(sparse, "sparse"):
        return tuple(out)
    shape = broadcast_shapes("meshgrid", *[v.sizes for v in out])
    return tuple([spread(v, shape) for v in out])


@implements(np.vander)
def vander(x: Any, N: Any = None, increasing: Any = False) -> Any:
    """Columns of powers of ``x``."""
    v = array_of(x)
    n = v.sizes[0] if N is None else new_size(N)
    powers = iota(n)
    if not static_bool(increasing, "increasing"):
        powers = emit("sub", current().builder.size_value(n - 1), powers)
    dtype = result_dtype(v, of(lit(0, i64)))
    return ufunc(np.power, reshape(astype(v, dtype), (*v.sizes, 1)), powers)


# -- dtypes called as functions ----------------------------------------------------------------------------------------


def _constructor(kind: Any) -> None:
    def construct(x: Any = 0, /) -> Any:
        v = lift(x) if not isinstance(x, list | tuple) else array_of(x)
        if is_complex(v.dtype) and np.dtype(kind).kind not in "cb":
            raise op_error(TypeError, f"{kind.__name__}() of a complex number: take .real first")
        flavour = "weft" if v.flavour == "weft" and isinstance(x, Staged) else "np"
        return wrap(cast(v.atom, np.dtype(kind)), flavour)

    construct.__name__ = kind.__name__
    construct.__doc__ = f"A number or array as {kind.__name__}."
    enter(Entry(kind.__name__, construct, kind, True), (kind,), public=False)


DTYPES = (
    np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, np.float16, np.float32,
    np.float64, np.complex64, np.complex128,
)  # fmt: skip
for _kind in DTYPES:
    _constructor(_kind)
