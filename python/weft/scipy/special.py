"""Special functions: those of `scipy.special` that are compiled and differentiated. SciPy itself is not needed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from weft.ir.types import DType, f32, f64, is_complex
from weft.numpy.common import (
    Staged,
    array,
    astype,
    broadcast_shapes,
    check,
    emit,
    number,
    result_dtype,
    select,
    spread,
    static_bool,
    static_int,
    unsupported,
    value,
)  # fmt: skip
from weft.numpy.reductions import max, sum
from weft.numpy.registry import MODULES
from weft.scipy.library import library

SPECIAL = __name__

# -- arguments ---------------------------------------------------------------------------------------------------------


def _dtype(name: str, *vs: Staged) -> DType:
    """float32 for operands in float32, else float64, as SciPy has it."""
    dtype = result_dtype(*vs)
    if is_complex(dtype):
        raise unsupported(f"scipy.special.{name} of complex numbers")
    return f32 if dtype == f32 else f64


def _operands(name: str, *xs: Any) -> list[Staged]:
    """Arguments as floating numbers of one shape."""
    vs = [value(x) for x in xs]
    dtype = _dtype(name, *vs)
    shape = broadcast_shapes(name, *[v.sizes for v in vs])
    return [spread(astype(array(v), dtype), shape) for v in vs]


def _one(x: Staged) -> Staged:
    return number(1, x)


def _declare(primitive: str, *names: str, doc: str) -> None:
    """A function of one operand that is a primitive."""

    def function(x: Any, /) -> Any:
        return emit(primitive, *_operands(names[0], x))

    function.__name__, function.__doc__ = names[0], doc
    library(SPECIAL, *names)(function)


def _example(call: str, result: str) -> str:
    lines = ("", "", "Examples", "--------", ">>> from weft.scipy import special", f">>> float({call})", result, "")
    return "\n    ".join(lines)


_declare("erf", "erf", doc="The error function." + _example("special.erf(0.0)", "0.0"))
_declare("erfc", "erfc", doc="``1 - erf(x)``, exact for large x." + _example("special.erfc(0.0)", "1.0"))
_declare("erfinv", "erfinv", doc="The inverse of `erf`." + _example("special.erfinv(0.0)", "0.0"))
_declare("erfcinv", "erfcinv", doc="The inverse of `erfc`." + _example("special.erfcinv(1.0)", "0.0"))
_declare(
    "lgamma", "gammaln", doc="The logarithm of the gamma function's size." + _example("special.gammaln(1.0)", "0.0")
)
_declare("tgamma", "gamma", doc="The gamma function." + _example("special.gamma(5.0)", "24.0"))
_declare("digamma", "psi", "digamma", doc="The derivative of `gammaln`." + _example("special.psi(float('inf'))", "inf"))
_declare("logistic", "expit", doc="``1 / (1 + exp(-x))``." + _example("special.expit(0.0)", "0.5"))
_declare("i0e", "i0e", doc="``exp(-|x|) * i0(x)``." + _example("special.i0e(0.0)", "1.0"))
_declare("i1e", "i1e", doc="``exp(-|x|) * i1(x)``." + _example("special.i1e(0.0)", "0.0"))

# -- logarithms and entropies ------------------------------------------------------------------------------------------


@library(SPECIAL)
def xlogy(x: Any, y: Any, /) -> Any:
    """``x * log(y)``, 0 where x is 0.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.xlogy(0.0, 0.0))
    0.0
    """
    return emit("xlogy", *_operands("xlogy", x, y))


@library(SPECIAL)
def xlog1py(x: Any, y: Any, /) -> Any:
    """``x * log1p(y)``, 0 where x is 0."""
    return emit("xlog1py", *_operands("xlog1py", x, y))


@library(SPECIAL)
def logit(x: Any, /) -> Any:
    """The inverse of `expit`: ``log(x / (1 - x))``."""
    (v,) = _operands("logit", x)
    return emit("sub", emit("log", v), emit("log1p", emit("neg", v)))


@library(SPECIAL)
def log_expit(x: Any, /) -> Any:
    """``log(expit(x))``, exact for large negative x."""
    (v,) = _operands("log_expit", x)
    return emit("neg", emit("logaddexp", number(0, v), emit("neg", v)))


@library(SPECIAL)
def entr(x: Any, /) -> Any:
    """``-x * log(x)``: 0 at 0, -inf below."""
    (v,) = _operands("entr", x)
    low = emit("lt", v, number(0, v))
    safe = select(low, _one(v), v)
    return select(low, number(-np.inf, v), emit("sub", number(0, v), emit("xlogy", safe, safe)))


def _divergence(name: str, x: Any, y: Any) -> tuple[Staged, Staged, Staged, Staged, Staged]:
    """Operands, where both are positive, ``x * log(x / y)`` there, and what stands where it is not defined."""
    a, b = _operands(name, x, y)
    zero = number(0, a)
    inside = emit("bitand", emit("gt", a, zero), emit("gt", b, zero))
    safe_a, safe_b = select(inside, a, _one(a)), select(inside, b, _one(b))
    lost = emit("bitor", emit("isnan", a), emit("isnan", b))
    outside = select(lost, number(np.nan, a), number(np.inf, a))
    return a, b, inside, emit("mul", safe_a, emit("log", emit("div", safe_a, safe_b))), outside


def _at_zero(a: Staged, b: Staged) -> Staged:
    return emit("bitand", emit("eq", a, number(0, a)), emit("ge", b, number(0, b)))


@library(SPECIAL)
def rel_entr(x: Any, y: Any, /) -> Any:
    """``x * log(x / y)``: 0 at x = 0, inf where either is negative."""
    a, b, inside, term, outside = _divergence("rel_entr", x, y)
    return select(inside, term, select(_at_zero(a, b), number(0, a), outside))


@library(SPECIAL)
def kl_div(x: Any, y: Any, /) -> Any:
    """``x * log(x / y) - x + y``."""
    a, b, inside, term, outside = _divergence("kl_div", x, y)
    return select(inside, emit("add", emit("sub", term, a), b), select(_at_zero(a, b), b, outside))


def _peak(v: Staged, axis: Any) -> Staged:
    """The largest element, where that is finite, without a derivative."""
    top = max(v, axis, keepdims=True, initial=-np.inf)
    return emit("stop_gradient", select(emit("isfinite", top), top, number(0, top)))


def _minus(v: Staged, w: Staged) -> Staged:
    return emit("sub", v, spread(w, v.sizes))


@library(SPECIAL)
def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: Any = False, return_sign: Any = False) -> Any:
    """``log(sum(b * exp(a)))`` over axes, without overflow.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.logsumexp([1000.0, -1000.0]))
    1000.0
    """
    if b is None:
        (v,) = _operands("logsumexp", a)
        weight = None
    else:
        v, weight = _operands("logsumexp", a, b)
        v = select(emit("eq", weight, number(0, weight)), number(-np.inf, v), v)
    top = _peak(v, axis)
    parts = emit("exp", _minus(v, top))
    parts = parts if weight is None else emit("mul", weight, parts)
    total = sum(parts, axis, keepdims=keepdims)
    if not static_bool(keepdims, "keepdims"):
        top = max(top, axis)
    if static_bool(return_sign, "return_sign"):
        return emit("add", emit("log", emit("abs", total)), top), emit("sign", total)
    return emit("add", emit("log", total), top)


@library(SPECIAL)
def softmax(x: Any, axis: Any = None) -> Any:
    """``exp(x)`` scaled to sum to 1 over axes."""
    (v,) = _operands("softmax", x)
    parts = emit("exp", _minus(v, _peak(v, axis)))
    return emit("div", parts, spread(sum(parts, axis, keepdims=True), v.sizes))


@library(SPECIAL)
def log_softmax(x: Any, axis: Any = None) -> Any:
    """``log(softmax(x))``, without losing small values."""
    (v,) = _operands("log_softmax", x)
    low = _minus(v, _peak(v, axis))
    return _minus(low, emit("log", sum(emit("exp", low), axis, keepdims=True)))


# -- gamma and zeta ----------------------------------------------------------------------------------------------------


@library(SPECIAL)
def gammasgn(x: Any, /) -> Any:
    """The sign of the gamma function."""
    (v,) = _operands("gammasgn", x)
    below = emit("floor", v)
    odd = emit("ne", emit("mod", below, number(2, v)), number(0, v))
    negative = select(odd, number(-1, v), _one(v))
    pole = emit("eq", below, v)
    negative = select(pole, number(np.nan, v), negative)
    at_zero = emit("copysign", _one(v), v)
    out = select(emit("gt", v, number(0, v)), _one(v), select(emit("eq", v, number(0, v)), at_zero, negative))
    return select(emit("isnan", v), v, out)


@library(SPECIAL)
def betaln(a: Any, b: Any, /) -> Any:
    """The logarithm of the beta function's size."""
    x, y = _operands("betaln", a, b)
    return emit("sub", emit("add", emit("lgamma", x), emit("lgamma", y)), emit("lgamma", emit("add", x, y)))


@library(SPECIAL)
def beta(a: Any, b: Any, /) -> Any:
    """The beta function."""
    x, y = _operands("beta", a, b)
    sign = emit("mul", emit("mul", gammasgn(x), gammasgn(y)), gammasgn(emit("add", x, y)))
    return emit("mul", sign, emit("exp", betaln(x, y)))


@library(SPECIAL)
def zeta(x: Any, q: Any = None) -> Any:
    """The Hurwitz zeta function: the sum of ``(q + k) ** -x``. It has no derivative with respect to ``x``."""
    if q is None:
        raise unsupported("scipy.special.zeta without q, Riemann's function", "zeta(x, 1.0) for x above 1")
    return emit("zeta", *_operands("zeta", x, q))


@library(SPECIAL)
def polygamma(n: Any, x: Any) -> Any:
    """The n-th derivative of `digamma`. It has no derivative with respect to ``n``.

    Examples
    --------
    >>> from weft.scipy import special
    >>> round(float(special.polygamma(1, 1.0)), 12)  # pi**2 / 6
    1.644934066848
    """
    order, v = [astype(w, f64) for w in _operands("polygamma", n, x)]
    one, zero = _one(order), number(0, order)
    up = emit("add", order, one)
    even = emit("eq", emit("mod", up, number(2, order)), zero)
    size = emit("mul", emit("tgamma", up), emit("zeta", up, v))
    found = select(even, size, emit("neg", size))
    return select(emit("eq", order, zero), emit("digamma", v), found)


@library(SPECIAL)
def multigammaln(a: Any, d: Any) -> Any:
    """The logarithm of the multivariate gamma function of dimension ``d``, a number."""
    (v,) = _operands("multigammaln", a)
    v, n = astype(v, f64), static_int(d, "d")
    fine = emit("gt", v, number(0.5 * (n - 1), v))
    check(
        emit("reduce_and", fine, axes=tuple(range(fine.ndim))) if fine.sizes else fine, ValueError,
        f"condition a > 0.5 * (d-1) ({0.5 * (n - 1)}) not met",
    )  # fmt: skip
    total = number(n * (n - 1) * 0.25 * math.log(math.pi), v)
    for j in range(n):
        total = emit("add", total, emit("lgamma", emit("sub", v, number(j / 2, v))))
    return total


@library(SPECIAL)
def factorial(n: Any, exact: Any = False, extend: Any = "zero") -> Any:
    """``gamma(n + 1)``, 0 for negative ``n``."""
    if static_bool(exact, "exact") or extend != "zero":
        raise unsupported("scipy.special.factorial with exact=True or extend=", "factorial(n), or math.factorial")
    (v,) = _operands("factorial", n)
    low = emit("lt", v, number(0, v))
    safe = select(low, number(0, v), v)
    return select(low, number(0, v), emit("tgamma", emit("add", safe, _one(v))))


# -- the normal distribution, Bessel functions -------------------------------------------------------------------------


@library(SPECIAL)
def ndtr(x: Any, /) -> Any:
    """The distribution function of the standard normal distribution."""
    (v,) = _operands("ndtr", x)
    tail = emit("erfc", emit("mul", v, number(-math.sqrt(0.5), v)))
    return emit("mul", tail, number(0.5, v))


@library(SPECIAL)
def ndtri(p: Any, /) -> Any:
    """The inverse of `ndtr`."""
    (v,) = _operands("ndtri", p)
    size = emit("mul", emit("erfcinv", emit("mul", v, number(2, v))), number(math.sqrt(2), v))
    return emit("sub", number(0, v), size)


@library(SPECIAL)
def i0(x: Any, /) -> Any:
    """The modified Bessel function of order 0."""
    (v,) = _operands("i0", x)
    return emit("mul", emit("exp", emit("abs", v)), emit("i0e", v))


@library(SPECIAL)
def i1(x: Any, /) -> Any:
    """The modified Bessel function of order 1."""
    (v,) = _operands("i1", x)
    return emit("mul", emit("exp", emit("abs", v)), emit("i1e", v))


globals().update(MODULES[SPECIAL])
__all__ = sorted(MODULES[SPECIAL])
