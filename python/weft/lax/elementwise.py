"""Elementwise operations, strict about dtypes and ranks where NumPy's promote and broadcast."""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.lax.basic import stop_gradient
from weft.lax.operands import (
    ANY,
    BITS,
    FLOATING,
    INEXACT,
    INTEGER,
    NUMERIC,
    REAL,
    array,
    check_kinds,
    dtype_of,
    error,
    is_weak,
    same_dtype,
    same_rank,
)  # fmt: skip
from weft.lax.regions import apply
from weft.staged.value import Staged


def _unary(name: str, kinds: str, fun: Callable[[Any], Any], doc: str, shown: str = "") -> Callable[..., Any]:
    def function(x: Any, *, accuracy: Any = None) -> Any:
        x = array(x)
        check_kinds(shown or name, [x.dtype], kinds)
        return fun(x)

    return _named(
        function,
        name,
        f"{doc}\n\n    Parameters\n    ----------\n    x\n        An array.\n    accuracy\n"
        "        Accepted for compatibility.\n    ",
    )


def _binary(name: str, kinds: str, fun: Callable[[Any, Any], Any], doc: str, numpy: str = "") -> Callable[..., Any]:
    def function(x: Any, y: Any) -> Any:
        x, y = same_dtype(name, (x, y), f"weft.numpy.{numpy or name}")
        check_kinds(name, [x.dtype, y.dtype], kinds)
        same_rank(name, (x, y))
        return fun(x, y)

    about = "        Arrays of one dtype and shape; sizes 1 and scalars are repeated.\n    "
    return _named(function, name, f"{doc}\n\n    Parameters\n    ----------\n    x, y\n{about}")


def _named(function: Callable[..., Any], name: str, doc: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _special(name: str) -> Callable[..., Any]:
    """A function of `weft.scipy.special`, looked up when it is called."""

    def fun(*xs: Any) -> Any:
        from weft.scipy import special

        return getattr(special, name)(*xs)

    return fun


# -- functions of one array --------------------------------------------------------------------------------------------

abs = _unary("abs", NUMERIC, wnp.abs, "Absolute values.")
acos = _unary("acos", INEXACT, wnp.arccos, "Inverse cosines.")
acosh = _unary("acosh", INEXACT, wnp.arccosh, "Inverse hyperbolic cosines.")
asin = _unary("asin", INEXACT, wnp.arcsin, "Inverse sines.")
asinh = _unary("asinh", INEXACT, wnp.arcsinh, "Inverse hyperbolic sines.")
atan = _unary("atan", INEXACT, wnp.arctan, "Inverse tangents.")
atanh = _unary("atanh", INEXACT, wnp.arctanh, "Inverse hyperbolic tangents.")
bessel_i0e = _unary("bessel_i0e", FLOATING, _special("i0e"), "The scaled modified Bessel function of order 0.")
bessel_i1e = _unary("bessel_i1e", FLOATING, _special("i1e"), "The scaled modified Bessel function of order 1.")
bitwise_not = _unary("bitwise_not", BITS, wnp.invert, "All bits turned.", "not")
cbrt = _unary("cbrt", FLOATING, wnp.cbrt, "Cube roots.")
ceil = _unary("ceil", FLOATING, wnp.ceil, "The next integers upwards.")
conj = _unary("conj", NUMERIC, lambda x: wnp.conj(_as_complex(x)), "Complex conjugates.")
cos = _unary("cos", INEXACT, wnp.cos, "Cosines.")
cosh = _unary("cosh", INEXACT, wnp.cosh, "Hyperbolic cosines.")
digamma = _unary("digamma", FLOATING, _special("digamma"), "Derivatives of the logarithm of the gamma function.")
erf = _unary("erf", FLOATING, _special("erf"), "The error function.")
erf_inv = _unary("erf_inv", FLOATING, _special("erfinv"), "The inverse error function.")
erfc = _unary("erfc", FLOATING, _special("erfc"), "One minus the error function.")
exp = _unary("exp", INEXACT, wnp.exp, "Exponentials.")
exp2 = _unary("exp2", INEXACT, wnp.exp2, "Powers of two.")
expm1 = _unary("expm1", INEXACT, wnp.expm1, "Exponentials minus one.")
floor = _unary("floor", FLOATING, wnp.floor, "The next integers downwards.")
imag = _unary("imag", "c", wnp.imag, "Imaginary parts.")
is_finite = _unary("is_finite", FLOATING, wnp.isfinite, "Whether elements are neither infinite nor NaN.")
lgamma = _unary("lgamma", FLOATING, _special("gammaln"), "Logarithms of the absolute gamma function.")
log = _unary("log", INEXACT, wnp.log, "Natural logarithms.")
log1p = _unary("log1p", INEXACT, wnp.log1p, "Logarithms of one plus the elements.")
logistic = _unary("logistic", INEXACT, lambda x: _special("expit")(x), "``1 / (1 + exp(-x))``.")
neg = _unary("neg", NUMERIC, wnp.negative, "Elements with the other sign.")
population_count = _unary(
    "population_count",
    INTEGER,
    lambda x: wnp.bitwise_count(_unsigned(x)).astype(x.dtype),
    "The number of bits that are set.",
)
real = _unary("real", "c", wnp.real, "Real parts.")
reciprocal = _unary("reciprocal", INEXACT, wnp.reciprocal, "``1 / x``.")
rsqrt = _unary("rsqrt", INEXACT, lambda x: wnp.reciprocal(wnp.sqrt(x)), "``1 / sqrt(x)``.")
sign = _unary("sign", NUMERIC, wnp.sign, "-1, 0 or 1.")
sin = _unary("sin", INEXACT, wnp.sin, "Sines.")
sinh = _unary("sinh", INEXACT, wnp.sinh, "Hyperbolic sines.")
sqrt = _unary("sqrt", INEXACT, wnp.sqrt, "Square roots.")
square = _unary("square", NUMERIC, lambda x: x * x, "Squares.")
tan = _unary("tan", INEXACT, wnp.tan, "Tangents.")
tanh = _unary("tanh", INEXACT, wnp.tanh, "Hyperbolic tangents.")


def _as_complex(x: Any) -> Any:
    return x if x.dtype.kind == "c" else x.astype(np.result_type(x.dtype, np.complex64))


def _unsigned(x: Any) -> Any:
    return x.astype(np.dtype(f"u{x.dtype.itemsize}"))


def _clz(x: Any) -> Any:
    bits = x.dtype.itemsize * 8
    u = _unsigned(x)
    shift = 1
    while shift < bits:
        u = u | (u >> wnp.asarray(shift, dtype=u.dtype))
        shift *= 2
    return (bits - wnp.bitwise_count(u)).astype(x.dtype)


clz = _unary("clz", INTEGER, _clz, "The number of leading zero bits.")

# -- functions of two arrays -------------------------------------------------------------------------------------------

add = _binary("add", ANY, wnp.add, "Sums.")
atan2 = _binary("atan2", FLOATING, wnp.arctan2, "Angles of the points ``(y, x)``.", "arctan2")
bitwise_and = _binary("bitwise_and", BITS, wnp.bitwise_and, "Bits that are set in both.")
bitwise_or = _binary("bitwise_or", BITS, wnp.bitwise_or, "Bits that are set in either.")
bitwise_xor = _binary("bitwise_xor", BITS, wnp.bitwise_xor, "Bits that differ.")
eq = _binary("eq", ANY, wnp.equal, "Whether elements are equal.", "equal")
ge = _binary("ge", "biuf", wnp.greater_equal, "Whether ``x >= y``.", "greater_equal")
gt = _binary("gt", "biuf", wnp.greater, "Whether ``x > y``.", "greater")
igamma = _binary("igamma", FLOATING, _special("gammainc"), "The regularised lower incomplete gamma function.")
igamma_grad_a = _binary(
    "igamma_grad_a",
    FLOATING,
    lambda a, x: apply("gammainc_da", a, x),
    "Derivatives of `igamma` for its first argument.",
)
igammac = _binary("igammac", FLOATING, _special("gammaincc"), "The regularised upper incomplete gamma function.")
le = _binary("le", "biuf", wnp.less_equal, "Whether ``x <= y``.", "less_equal")
lt = _binary("lt", "biuf", wnp.less, "Whether ``x < y``.", "less")
max = _binary("max", "biuf", wnp.maximum, "The larger ones.", "maximum")
min = _binary("min", "biuf", wnp.minimum, "The smaller ones.", "minimum")
mul = _binary("mul", ANY, wnp.multiply, "Products.", "multiply")
ne = _binary("ne", ANY, wnp.not_equal, "Whether elements differ.", "not_equal")
nextafter = _binary("nextafter", FLOATING, lambda x, y: wnp.nextafter(x, y), "The neighbours of ``x`` towards ``y``.")
polygamma = _binary("polygamma", FLOATING, lambda m, x: _special("polygamma")(m, x), "Derivatives of digamma.")
shift_left = _binary("shift_left", INTEGER, wnp.left_shift, "Bits moved upwards, zeros coming in.", "left_shift")
shift_right_arithmetic = _binary(
    "shift_right_arithmetic", INTEGER, wnp.right_shift, "Bits moved downwards, copies of the sign coming in.",
    "right_shift",
)  # fmt: skip
sub = _binary("sub", NUMERIC, wnp.subtract, "Differences.", "subtract")
zeta = _binary("zeta", FLOATING, _special("zeta"), "The Hurwitz zeta function.")


def _div(x: Any, y: Any) -> Any:
    if x.dtype.kind in INEXACT:
        return wnp.divide(x, y)
    zero = y == 0
    safe = wnp.where(zero, wnp.ones_like(y), y)
    return wnp.where(zero, wnp.asarray(-1).astype(x.dtype), (x - wnp.fmod(x, safe)) // safe)


def _rem(x: Any, y: Any) -> Any:
    if x.dtype.kind == "f":
        return wnp.fmod(x, y)
    zero = y == 0
    return wnp.where(zero, x, wnp.fmod(x, wnp.where(zero, wnp.ones_like(y), y)))


def _shift_right_logical(x: Any, y: Any) -> Any:
    return wnp.right_shift(_unsigned(x), _unsigned(y)).astype(x.dtype)


div = _binary("div", NUMERIC, _div, "Quotients; of integers towards zero, and -1 for a zero divisor.", "divide")
rem = _binary("rem", REAL, _rem, "Remainders with the sign of ``x``.", "remainder")
shift_right_logical = _binary(
    "shift_right_logical", INTEGER, _shift_right_logical, "Bits moved downwards, zeros coming in.", "right_shift"
)


def pow(x: Any, y: Any) -> Any:
    """``x`` to the power of ``y``.

    Parameters
    ----------
    x
        Floating or complex bases.
    y
        Exponents of the same dtype, or integers.
    """
    weak = is_weak(y)
    if dtype_of(y).kind in "iub" and dtype_of(x).kind in INEXACT:
        x = array(x)
        if weak and not isinstance(y, Staged):
            return integer_pow(x, int(y))
        y = array(y)
        check_kinds("pow", [y.dtype], INTEGER)
        same_rank("pow", (x, y))
        return wnp.power(x, y.astype(x.dtype))
    x, y = same_dtype("pow", (x, y), "weft.numpy.power")
    check_kinds("pow", [x.dtype], INEXACT)
    same_rank("pow", (x, y))
    return wnp.power(x, y)


def integer_pow(x: Any, y: int) -> Any:
    """``x`` to a whole power that is known, by multiplication.

    Parameters
    ----------
    x
        An array of numbers.
    y
        A Python integer, not negative where ``x`` has integers.
    """
    x, n = array(x), operator.index(y)
    check_kinds("integer_pow", [x.dtype], NUMERIC)
    if n < 0:
        if x.dtype.kind in INTEGER:
            raise error(TypeError, f"Integers cannot be raised to negative powers, got integer_pow({x!r}, {n})")
        return wnp.reciprocal(integer_pow(x, -n))
    if n == 0:
        return wnp.ones_like(x)
    out, square_ = None, x
    while True:
        if n & 1:
            out = square_ if out is None else out * square_
        n >>= 1
        if not n:
            return out
        square_ = square_ * square_


class RoundingMethod(enum.IntEnum):
    """Where halves are rounded to."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


def round(x: Any, rounding_method: RoundingMethod = RoundingMethod.AWAY_FROM_ZERO) -> Any:
    """The nearest integers.

    Parameters
    ----------
    x
        A floating array.
    rounding_method
        Where halves go: away from zero, or to the even neighbour.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.round(np.array([0.5, 1.5, -2.5])).tolist()
    [1.0, 2.0, -3.0]
    """
    x = array(x)
    check_kinds("round", [x.dtype], FLOATING)
    if RoundingMethod(rounding_method) is RoundingMethod.TO_NEAREST_EVEN:
        return wnp.rint(x)
    whole = wnp.trunc(x)
    return wnp.where(wnp.abs(x - whole) >= 0.5, whole + wnp.sign(x), wnp.where(wnp.isfinite(x), whole, x))


def complex(x: Any, y: Any) -> Any:
    """Complex numbers of real and imaginary parts.

    Parameters
    ----------
    x, y
        Real and imaginary parts: floating arrays of one dtype and shape.
    """
    x, y = same_dtype("complex", (x, y))
    check_kinds("complex", [x.dtype, y.dtype], FLOATING)
    same_rank("complex", (x, y))
    unit = wnp.asarray(1j).astype(np.result_type(x.dtype, np.complex64))
    return _make_complex(x, y, unit)


def _make_complex(x: Any, y: Any, unit: Any) -> Any:
    if isinstance(x, Staged) or isinstance(y, Staged):
        from weft.numpy.common import broadcast_shapes, broadcast_to, emit, of

        shape = broadcast_shapes("complex", x.sizes, y.sizes)
        return emit("complex_", *[of(broadcast_to(v.atom, shape)) for v in (x, y)])
    out = np.empty(np.broadcast_shapes(x.shape, y.shape), unit.dtype)
    out.real, out.imag = np.asarray(x), np.asarray(y)
    return wnp.asarray(out)


def clamp(min: Any, x: Any, max: Any) -> Any:
    """Elements limited to ``[min, max]``.

    Parameters
    ----------
    min, max
        Bounds: scalars, or arrays of ``x``'s shape.
    x
        An array.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.clamp(0.0, np.array([-1.0, 0.5, 2.0]), 1.0).tolist()
    [0.0, 0.5, 1.0]
    """
    low, x, high = same_dtype("clamp", (min, x, max))
    check_kinds("clamp", [x.dtype], "biuf")
    for name, bound in (("min", low), ("max", high)):
        if bound.ndim and bound.ndim != x.ndim:
            raise error(
                TypeError,
                f"clamp requires {name}.shape == operand.shape or {name}.shape == (), got {name}.shape={bound.shape}.",
            )
    same_rank("clamp", (low, x, high))
    limited = wnp.minimum(wnp.maximum(x, low), high)
    if x.dtype.kind != "f":
        return limited
    # at a bound itself no operand has a derivative, as in JAX
    below, above = (low > x) & (low < high), high < x
    rest = wnp.where(above, high, wnp.where(below, low, stop_gradient(limited)))
    return wnp.where((x > low) & (x < high), x, rest)


def select_n(which: Any, *cases: Any) -> Any:
    """Elements of the case whose number ``which`` gives.

    Parameters
    ----------
    which
        Bools (for two cases) or integers: one, or an array of the cases' shape.
    *cases
        Arrays of one dtype and shape.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.select_n(np.array([0, 2, 1]), np.zeros(3), np.ones(3), np.full(3, 2.0)).tolist()
    [0.0, 2.0, 1.0]
    """
    if not cases:
        raise error(ValueError, "select_n() must have at least one case")
    which = array(which)
    values = same_dtype("select", cases, "weft.numpy.where")
    if which.dtype.kind == "b":
        if len(cases) > 2:
            raise error(TypeError, f"select with boolean `which` cannot have > 2 cases, got {len(cases)}")
    elif which.dtype.kind not in INTEGER:
        raise error(TypeError, f"select `which` must be boolean or integer type, got {which.dtype}.")
    same_rank("select", values)
    if which.ndim and which.ndim != values[0].ndim:
        raise error(TypeError, f"select `which` must be scalar or have the same shape as cases, got rank {which.ndim}")
    out = values[0]
    for k, v in enumerate(values[1:], 1):
        out = wnp.where(which if which.dtype.kind == "b" else which >= k, v, out)
    return out


def betainc(a: Any, b: Any, x: Any) -> Any:
    """The regularised incomplete beta function.

    Parameters
    ----------
    a, b, x
        Floating arrays of one dtype and shape.
    """
    a, b, x = same_dtype("betainc", (a, b, x))
    check_kinds("betainc", [a.dtype], FLOATING)
    same_rank("betainc", (a, b, x))
    return _special("betainc")(a, b, x)


regularized_incomplete_beta = betainc
