"""Convolution, polynomials, covariance; and questions about dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.nodes import Gather, lit
from weft.ir.types import f64, is_complex
from weft.numpy import reductions
from weft.numpy.common import (
    Staged,
    array,
    astype,
    common,
    count,
    current,
    emit,
    full,
    iota,
    number,
    op_error,
    reshape,
    result_dtype,
    select,
    static_bool,
    unsupported,
    value,
)  # fmt: skip
from weft.numpy.hints import hinted, ignoring
from weft.numpy.products import matmul
from weft.numpy.registry import implements
from weft.numpy.ufuncs import ufunc


def _windows(x: Staged, y: Staged, first: Any, n: Any) -> Staged:
    """``sum_j x[first + k + j] * y[j]`` for k below ``n``, with zeros outside of ``x``."""
    size = current().builder.size_value
    m = y.sizes[0]
    start = emit("add", iota(n), size(first))
    at = ufunc(np.add, reshape(start, (n, 1)), reshape(iota(m), (1, m)))
    last = emit("sub", size(x.sizes[0]), lit(1))
    inside = emit("bitand", emit("ge", at, lit(0)), emit("le", at, last))
    near = emit("maximum", emit("minimum", at, last), lit(0))
    rows = select(inside, emit("index", x, near, spec=(Gather(),), mode="fast"), number(0, x))
    return emit("reduce_sum", ufunc(np.multiply, rows, y), axes=(1,))


def _correlated(x: Staged, y: Staged, mode: Any) -> Staged:
    n, m = x.sizes[0], y.sizes[0]
    if mode == "full":
        return _windows(x, y, 1 - m, n + m - 1)
    if mode == "valid":
        return _windows(x, y, 0, n - m + 1)
    if mode == "same":
        width = current().fix(m, "the length of the shorter argument of a convolution of mode 'same'")
        return _windows(x, y, -(width // 2), n)
    raise op_error(ValueError, f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")


def _pair(a: Any, v: Any, mode: Any) -> tuple[Staged, Staged, bool]:
    """Both rows in their common dtype, the longer one first, and whether they were exchanged."""
    x, y = common(a, v)
    for r in (x, y):
        if r.ndim != 1:
            raise op_error(ValueError, "object too deep for desired array" if r.ndim > 1 else "a row is needed")
        if r.sizes[0] == 0:
            raise op_error(ValueError, "a convolution of no elements")
    ctx = current()
    gap = x.sizes[0] - y.sizes[0]
    if not ctx.about_shapes(gap) and mode != "full":
        raise unsupported("a convolution of arrays of run-time lengths", "mode='full'")
    swap = mode != "full" and not (ctx.at_least(gap, 0) or ctx.decide(">=", gap, "which argument is longer"))
    return (y, x, True) if swap else (x, y, False)


def _reversed(x: Staged) -> Staged:
    from weft.staged.indexing import getitem

    out: Staged = getitem(x, slice(None, None, -1))
    return out


@hinted(np.convolve)
def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    """The convolution of two rows."""
    x, y, _ = _pair(a, v, mode)
    return _correlated(x, _reversed(y), mode)


@hinted(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    """The sliding products of one row with another."""
    x, y = common(a, v)
    y = emit("conj", y) if is_complex(y.dtype) else y
    x, y, swapped = _pair(x, y, mode)
    out = _correlated(x, y, mode)
    return _reversed(out) if swapped else out


@ignoring(np.polyval, "unroll")
def polyval(p: Any, x: Any) -> Any:
    """The polynomial with these coefficients, the highest power first."""
    from weft.staged.indexing import getitem

    coefficients, v = array(p), array(x)
    n = current().fix(coefficients.sizes[0], "the number of coefficients of a polynomial")
    total: Any = full(lit(0, v.dtype), v.sizes)
    for k in range(n):
        total = ufunc(np.add, ufunc(np.multiply, total, v), getitem(coefficients, k))
    return total


def _rows(m: Any, y: Any, rowvar: bool, dtype: Any) -> Staged:
    """The variables of a covariance as rows, those of a second array after those of the first."""
    from weft.numpy.joining import concatenate

    parts = [array(m)] if y is None else [array(m), array(y)]
    kind = np.dtype(dtype) if dtype is not None else result_dtype(*parts, value(np.float64(0)))
    rows = []
    for x in parts:
        if x.ndim > 2:
            raise op_error(ValueError, f"{'m' if x is parts[0] else 'y'} has more than 2 dimensions")
        x = astype(x, kind)
        if x.ndim < 2:
            x = reshape(x, (1, *x.sizes) if x.sizes else (1, 1))
        elif not rowvar and x.sizes[0] != 1:
            x = emit("transpose", x, perm=(1, 0))
        rows.append(x)
    return rows[0] if len(rows) == 1 else concatenate(rows, 0)  # type: ignore[no-any-return]


@implements(np.cov)
def cov(
    m: Any, y: Any = None, rowvar: Any = True, bias: Any = False, ddof: Any = None, fweights: Any = None,
    aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    """The covariance matrix of the rows (of the columns, without ``rowvar``), points weighted."""
    x = _rows(m, y, static_bool(rowvar, "rowvar"), dtype)
    lost = (0 if static_bool(bias, "bias") else 1) if ddof is None else ddof
    weights = None
    for w in (fweights, aweights):
        if w is not None:
            v = array(w, f64)
            weights = v if weights is None else ufunc(np.multiply, weights, v)
    if weights is None:
        centre = reductions.mean(x, 1, keepdims=True)
        scale = ufunc(np.subtract, count([x.sizes[1]], f64), array(lost, f64))
    else:
        total = reductions.sum(weights)
        centre = ufunc(np.divide, reductions.sum(ufunc(np.multiply, x, weights), 1, keepdims=True), total)
        if aweights is None:
            scale = ufunc(np.subtract, total, array(lost, f64))
        else:
            part = ufunc(np.multiply, weights, array(aweights, f64))
            less = ufunc(np.divide, ufunc(np.multiply, array(lost, f64), reductions.sum(part)), total)
            scale = ufunc(np.subtract, total, less)
    gap = ufunc(np.subtract, x, centre)
    other = gap if weights is None else ufunc(np.multiply, gap, weights)
    other = emit("conj", other) if is_complex(other.dtype) else other
    product = matmul(gap, emit("transpose", other, perm=(1, 0)))
    out = ufunc(np.divide, product, ufunc(np.maximum, scale, 0.0))
    out = out if dtype is None else astype(out, np.dtype(dtype))
    return reshape(out, ()) if x.sizes[0] == 1 else out


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: Any = True, *, dtype: Any = None) -> Any:
    """The correlation matrix of the rows (of the columns, without ``rowvar``)."""
    from weft.numpy.elementwise import clip
    from weft.numpy.shape import diagonal

    c = cov(x, y, rowvar, dtype=dtype)
    if not c.sizes:
        return ufunc(np.divide, c, c)
    d = diagonal(c)
    d = ufunc(np.sqrt, emit("real", d) if is_complex(d.dtype) else d)
    n = d.sizes[0]
    scaled = ufunc(np.divide, ufunc(np.divide, c, reshape(d, (n, 1))), reshape(d, (1, n)))
    if not is_complex(scaled.dtype):
        return clip(scaled, -1, 1)
    return emit("complex_", clip(emit("real", scaled), -1, 1), clip(emit("imag", scaled), -1, 1))


# -- questions about dtypes --------------------------------------------------------------------------------------------


@implements(np.result_type, keep=True)
def result_type(*arrays_and_dtypes: Any) -> Any:
    """The dtype that arithmetic on these gives."""
    weak = {"i": 0, "f": 0.0, "c": 0j}

    def operand(x: Any) -> Any:
        if not isinstance(x, Staged):
            return x
        return weak.get(x.dtype.kind, x.dtype) if x.flavour == "py" else x.dtype

    return np.result_type(*[operand(x) for x in arrays_and_dtypes])


@implements(np.iscomplexobj, keep=True)
def iscomplexobj(x: Any) -> Any:
    """Whether the dtype is complex."""
    return is_complex(array(x).dtype)


@implements(np.isrealobj, keep=True)
def isrealobj(x: Any) -> Any:
    """Whether the dtype is not complex."""
    return not is_complex(array(x).dtype)


@implements(np.isscalar, keep=True)
def isscalar(element: Any) -> Any:
    """Whether it is a Python or NumPy scalar."""
    return isinstance(element, Staged) and element.flavour != "weft" and not element.sizes
