"""Polynomials as rows of coefficients, the highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.nodes import Span, Var, lit
from weft.ir.types import c64, c128, f32, f64, is_complex, is_inexact, real_dtype
from weft.numpy.common import (
    Staged,
    array,
    astype,
    common,
    current,
    dim_or_int,
    emit,
    full,
    gather,
    iota,
    of,
    op_error,
    reshape,
    select,
    static_bool,
    static_int,
    under,
    unsupported,
)  # fmt: skip
from weft.numpy.creation import vander
from weft.numpy.joining import concatenate
from weft.numpy.registry import implements
from weft.numpy.shape import atleast_1d
from weft.numpy.signals import convolve
from weft.numpy.ufuncs import ufunc
from weft.staged.indexing import getitem

# -- arithmetic --------------------------------------------------------------------------------------------------------


def _row(p: Any) -> Staged:
    x = atleast_1d(array(p))
    if x.ndim != 1:
        raise op_error(ValueError, "Polynomial must be 1d only.")
    return x  # type: ignore[no-any-return]


def _from_first(x: Staged, used: Staged) -> Staged:
    """What begins where ``used`` first holds; the last element alone if it never does."""
    n = of(current().builder.size_value(x.sizes[0]))
    end = emit("sub", n, lit(1))
    some = emit("reduce_or", used, axes=(0,))
    first = select(some, emit("argmax", astype(used, np.int8), axis=0), end)
    length = dim_or_int(emit("sub", n, first).atom)
    return gather(x, emit("add", iota(length), first), 0, "fast")


def _trimmed(x: Staged) -> Staged:
    """Without leading zeros."""
    return x if x.sizes[0] in (0, 1) else _from_first(x, ufunc(np.not_equal, x, 0))


def _padded(a1: Any, a2: Any) -> tuple[Staged, Staged]:
    """Two polynomials with zeros before the shorter one."""
    x, y = _row(a1), _row(a2)
    ctx = current()
    gap = x.sizes[0] - y.sizes[0]
    if gap == 0:
        return x, y
    if not ctx.about_shapes(gap):
        raise unsupported("a sum of polynomials of run-time length", "give coefficients of known length")
    if ctx.at_least(gap, 0) or ctx.decide(">=", gap, "which polynomial is longer"):
        return x, concatenate([full(lit(0, y.dtype), (gap,)), y])
    return concatenate([full(lit(0, x.dtype), (-gap,)), x]), y


@implements(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    """The sum of two polynomials."""
    return ufunc(np.add, *_padded(a1, a2))


@implements(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    """The difference of two polynomials."""
    return ufunc(np.subtract, *_padded(a1, a2))


def _np_polymul(a1: Any, a2: Any, *, trim_leading_zeros: Any = True) -> Any:
    if trim_leading_zeros:
        return np.polymul(a1, a2)
    return np.convolve(np.atleast_1d(a1), np.atleast_1d(a2))


@implements(np.polymul, run=_np_polymul)
def polymul(a1: Any, a2: Any, *, trim_leading_zeros: Any = True) -> Any:
    """The product of two polynomials, without leading zeros unless they are to stay."""
    x, y = _row(a1), _row(a2)
    if static_bool(trim_leading_zeros, "trim_leading_zeros"):
        x, y = _trimmed(x), _trimmed(y)
    return convolve(x, y)


def _np_polydiv(u: Any, v: Any, *, trim_leading_zeros: Any = True) -> Any:
    q, r = np.polydiv(u, v)
    if trim_leading_zeros:
        return q, r
    return q, np.concatenate([np.zeros(np.size(u) - np.size(r), r.dtype), r])


@implements(np.polydiv, run=_np_polydiv)
def polydiv(u: Any, v: Any, *, trim_leading_zeros: Any = True) -> Any:
    """The quotient of two polynomials and the remainder, without leading zeros unless they are to stay."""
    trim = static_bool(trim_leading_zeros, "trim_leading_zeros")
    x, y = _row(u), _row(v)
    x, y = common(ufunc(np.add, x, 0.0), ufunc(np.add, y, 0.0))
    b, ctx = current().builder, current()
    m, n = x.sizes[0], y.sizes[0]
    gap = m - n
    if not ctx.about_shapes(gap):
        raise unsupported("a quotient of polynomials of run-time length", "give coefficients of known length")
    if not (ctx.at_least(gap, 0) or ctx.decide(">=", gap, "which polynomial is longer")):
        return full(lit(0, x.dtype), (1,)), _rest(x) if trim else x
    scale = ufunc(np.divide, 1.0, getitem(y, 0))
    k, rest, q = Var(lit(0).type), Var(x.atom.type), Var(full(lit(0, x.dtype), (gap + 1,)).atom.type)
    with b.scope((k, rest, q)) as block:
        factor = emit("mul", scale, gather(of(rest), of(k), 0, "fast"))
        part = emit("index", of(rest), of(k), spec=(Span(n),), mode="fast")
        left = ufunc(np.subtract, part, ufunc(np.multiply, factor, y))
        placed = emit("store", of(q), reshape(factor, (1,)), of(k), spec=(Span(1),), mode="fast")
        block.results = (emit("store", of(rest), left, of(k), spec=(Span(n),), mode="fast").atom, placed.atom)
    left, quotient = [of(a) for a in b.for_(gap + 1, (x.atom, full(lit(0, x.dtype), (gap + 1,)).atom), block)]
    return quotient, _rest(left) if trim else left


def _rest(x: Staged) -> Staged:
    """A remainder without leading coefficients of up to 1e-8, which are taken for rounding."""
    if x.sizes[0] in (0, 1):
        return x
    return _from_first(x, ufunc(np.logical_not, ufunc(np.less_equal, ufunc(np.absolute, x), 1e-8)))


@implements(np.polyder)
def polyder(p: Any, m: Any = 1) -> Any:
    """The derivative of a polynomial, taken ``m`` times."""
    x, times = array(p), static_int(m, "m")
    if times < 0:
        raise op_error(ValueError, "Order of derivative must be positive (see polyint)")
    for _ in range(times):
        n = x.sizes[0]
        powers = emit("sub", of(current().builder.size_value(n - 1)), iota(n))
        x = getitem(ufunc(np.multiply, x, powers), slice(None, -1))
    return x


@implements(np.polyint)
def polyint(p: Any, m: Any = 1, k: Any = None) -> Any:
    """The integral of a polynomial, taken ``m`` times, with constants ``k``."""
    x, times = array(p), static_int(m, "m")
    if times < 0:
        raise op_error(ValueError, "Order of integral must be positive (see polyder)")
    constants = array(0.0 if k is None else k)
    if constants.sizes and constants.sizes[0] not in (1, times):
        raise op_error(ValueError, "k must be a scalar or a rank-1 array of length 1 or >m.")
    for i in range(times):
        n = x.sizes[0]
        powers = emit("sub", of(current().builder.size_value(n)), iota(n))
        c = constants if not constants.sizes else getitem(constants, 0 if constants.sizes[0] == 1 else i)
        x = concatenate([ufunc(np.true_divide, x, powers), reshape(c, (1,))])
    return x


# -- roots -------------------------------------------------------------------------------------------------------------


def _complex(x: Staged) -> Staged:
    return astype(x, c64 if x.dtype in (f32, c64) else c128)


def _np_roots(p: Any, *, strip_zeros: Any = True) -> Any:
    found = np.roots(p)
    wide = np.result_type(found, np.complex64)
    return found.astype(wide)


@implements(np.roots, run=_np_roots)
def roots(p: Any, *, strip_zeros: Any = True) -> Any:
    """The roots of a polynomial, as complex numbers."""
    from weft.numpy.linear import eigvals

    x = _row(p)
    if not is_inexact(x.dtype):
        x = astype(x, f64)
    x = _complex(x)
    zeros = None
    if static_bool(strip_zeros, "strip_zeros") and x.sizes[0] not in (0, 1):
        x = _trimmed(x)
        back = _trimmed(getitem(x, slice(None, None, -1)))
        zeros = x.sizes[0] - back.sizes[0]
        x = getitem(back, slice(None, None, -1))
    n = x.sizes[0]
    if n in (0, 1):
        return full(lit(0, x.dtype), (0,))
    m = n - 1
    rows, columns = reshape(iota(m), (m, 1)), reshape(iota(m), (1, m))
    below = ufunc(np.equal, rows, ufunc(np.add, columns, 1))
    top = ufunc(np.negative, ufunc(np.divide, getitem(x, slice(1, None)), getitem(x, 0)))
    first = emit("broadcast", ufunc(np.equal, rows, 0), shape=(m, m), dims=(0, 1))
    top = under(top, (m,))
    companion = select(
        first, emit("broadcast", top, shape=(m, m), dims=(1,)), astype(below, x.dtype)
    )  # fmt: skip
    found = eigvals(companion)
    return found if zeros is None else concatenate([found, full(lit(0, found.dtype), (zeros,))])


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """The polynomial with these roots, or the characteristic polynomial of a matrix."""
    from weft.numpy.linear import eigvals

    x = array(seq_of_zeros)
    x = x if is_inexact(x.dtype) else astype(x, f64)
    given = x.dtype
    if x.ndim == 2:
        x = eigvals(_complex(x))
    x = reshape(x, (1,)) if x.ndim == 0 else x
    if x.ndim != 1:
        raise op_error(ValueError, "input must be 1d or non-empty square 2d array.")
    n = x.sizes[0]
    if n == 0:
        return of(lit(1.0, f64))
    one = concatenate([full(lit(1, x.dtype), (1,)), full(lit(0, x.dtype), (n,))])
    b = current().builder
    k, row = Var(lit(0).type), Var(one.atom.type)
    with b.scope((k, row)) as block:
        # times (z - root): what is one place further is root times what is here, less
        root = gather(x, of(k), 0, "fast")
        r = of(row)
        moved = concatenate([full(lit(0, x.dtype), (1,)), emit("index", r, lit(0), spec=(Span(n),), mode="fast")])
        block.results = (ufunc(np.subtract, r, ufunc(np.multiply, root, moved)).atom,)
    out = of(b.for_(n, (one.atom,), block)[0])
    return emit("real", out) if is_complex(out.dtype) and not is_complex(given) else out


# -- fitting -----------------------------------------------------------------------------------------------------------


@implements(np.polyfit)
def polyfit(x: Any, y: Any, deg: Any, rcond: Any = None, full: Any = False, w: Any = None, cov: Any = False) -> Any:
    """The polynomial of a degree that fits points best, by least squares; ``y`` may have several columns."""
    from weft.numpy.linear import inv, lstsq
    from weft.numpy.products import matmul
    from weft.numpy.reductions import sum

    n = static_int(deg, "deg") + 1
    t, v = ufunc(np.add, array(x), 0.0), ufunc(np.add, array(y), 0.0)
    if n < 1:
        raise op_error(ValueError, "expected deg >= 0")
    if t.ndim != 1:
        raise op_error(TypeError, "expected 1D vector for x")
    if v.ndim not in (1, 2):
        raise op_error(TypeError, "expected 1D or 2D array for y")
    size = t.sizes[0]
    limit = ufunc(np.multiply, _count(size, real_dtype(t.dtype)), float(np.finfo(t.dtype).eps))
    rcond = limit if rcond is None else rcond
    left, right = vander(t, n), v
    if w is not None:
        weights = ufunc(np.add, array(w), 0.0)
        left = ufunc(np.multiply, left, reshape(weights, (*weights.sizes, 1)))
        right = ufunc(np.multiply, right, reshape(weights, (*weights.sizes, 1)) if right.ndim == 2 else weights)
    scale = ufunc(np.sqrt, sum(ufunc(np.multiply, left, left), 0))
    left = ufunc(np.divide, left, scale)
    c, residuals, rank, s = lstsq(left, right, rcond)
    c = ufunc(np.divide, c, reshape(scale, (n, 1)) if right.ndim == 2 else scale)
    if static_bool(full, "full"):
        return c, residuals, rank, s, array(rcond)
    if not (cov if isinstance(cov, str) else static_bool(cov, "cov")):
        return c
    base = inv(matmul(emit("transpose", left, perm=(1, 0)), left))
    base = ufunc(np.divide, base, ufunc(np.multiply, reshape(scale, (n, 1)), reshape(scale, (1, n))))
    factor: Any = 1.0
    if cov != "unscaled":
        free = ufunc(np.subtract, _count(size, real_dtype(t.dtype)), n)
        gap = ufunc(np.subtract, matmul(left, ufunc(np.multiply, c, _scales(scale, right, n))), right)
        factor = ufunc(np.divide, sum(ufunc(np.multiply, gap, gap), 0), free)
    if right.ndim == 1:
        return c, ufunc(np.multiply, base, factor)
    return c, ufunc(np.multiply, reshape(base, (n, n, 1)), factor)


def _scales(scale: Staged, right: Staged, n: int) -> Staged:
    return reshape(scale, (n, 1)) if right.ndim == 2 else scale


def _count(size: Any, dtype: Any) -> Staged:
    """A size as a number of a dtype."""
    return astype(of(current().builder.size_value(size)), dtype)
