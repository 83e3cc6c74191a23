"""Special functions that are primitives: each runs at once on arrays, and becomes one operation while staging."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from weft.ir.primitive import REGISTRY
from weft.numpy.common import array, astype, broadcast_shapes, emit, result_dtype, spread, value
from weft.numpy.registry import MODULES, Entry, enter
from weft.scipy.arguments import unsupported

SPECIAL = "weft.scipy.special"


def _dtype(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """float32 for operands in float32, float64 for other floats, the default for integers, as SciPy has it."""
    from weft.dtypes import default_float

    if dtype.kind == "c":
        raise unsupported(f"scipy.special.{name} of complex numbers")
    if dtype.kind != "f":
        return default_float()
    return dtype if dtype.itemsize == 4 else np.dtype(np.float64)


def _declare(
    primitive: str, name: str, parameters: str, doc: str, call: str = "", result: str = ""
) -> Callable[..., Any]:
    """The public function of a primitive."""

    def staged(*xs: Any) -> Any:
        vs = [value(x) for x in xs]
        dtype = _dtype(name, result_dtype(*vs))
        shape = broadcast_shapes(name, *[v.sizes for v in vs])
        return emit(primitive, *[spread(astype(array(v), dtype), shape) for v in vs])

    def at_once(*xs: Any) -> Any:
        import weft.primitives  # noqa: F401  (declares them)

        xs = tuple([np.asarray(x) if isinstance(x, list | tuple) else x for x in xs])
        dtype = _dtype(name, np.result_type(*xs))
        given = np.broadcast_arrays(*[np.asarray(x, dtype) for x in xs])
        return REGISTRY[primitive].numpy(*given)

    def named(f: Callable[..., Any]) -> Callable[..., Any]:
        """``f`` with the parameters' names."""
        space = {"f": f}
        exec(f"def {name}({parameters}): return f({parameters})", space)
        space[name].__module__ = SPECIAL
        return space[name]

    impl, now = named(staged), named(at_once)
    if call:
        example = ["", "", "Examples", "--------", ">>> from weft.scipy import special", f">>> float(special.{call})"]
        doc += "\n    ".join([*example, result, ""])
    impl.__doc__ = doc
    enter(Entry(name, impl, now), (), module=SPECIAL)
    return MODULES[SPECIAL][name]


erf = _declare("erf", "erf", "x", "The error function.", "erf(0.0)", "0.0")
erfc = _declare("erfc", "erfc", "x", "``1 - erf(x)``, exact for large x.", "erfc(0.0)", "1.0")
erfcx = _declare("erfcx", "erfcx", "x", "``exp(x**2) * erfc(x)``, exact for large x.", "erfcx(0.0)", "1.0")
erfinv = _declare("erfinv", "erfinv", "x", "The inverse of `erf`.", "erfinv(0.0)", "0.0")
erfcinv = _declare("erfcinv", "erfcinv", "x", "The inverse of `erfc`.", "erfcinv(1.0)", "0.0")
gammaln = _declare("lgamma", "gammaln", "x", "The logarithm of the gamma function's size.", "gammaln(1.0)", "0.0")
gamma = _declare("tgamma", "gamma", "x", "The gamma function.", "gamma(5.0)", "24.0")
digamma = _declare("digamma", "digamma", "x", "The derivative of `gammaln`.", "digamma(float('inf'))", "inf")
psi = _declare("digamma", "psi", "x", "The derivative of `gammaln`: `digamma`.", "psi(float('inf'))", "inf")
expit = _declare("logistic", "expit", "x", "``1 / (1 + exp(-x))``.", "expit(0.0)", "0.5")
i0e = _declare("i0e", "i0e", "x", "``exp(-|x|) * i0(x)``.", "i0e(0.0)", "1.0")
i1e = _declare("i1e", "i1e", "x", "``exp(-|x|) * i1(x)``.", "i1e(0.0)", "0.0")
xlogy = _declare("xlogy", "xlogy", "x, y", "``x * log(y)``, 0 where x is 0.", "xlogy(0.0, 0.0)", "0.0")
xlog1py = _declare("xlog1py", "xlog1py", "x, y", "``x * log1p(y)``, 0 where x is 0.", "xlog1py(0.0, -1.0)", "0.0")
hurwitz = _declare("zeta", "_hurwitz", "x, q", "The sum of ``(q + k) ** -x``.")
gammainc_da = _declare("gammainc_da", "_gammainc_da", "a, x", "The derivative of `gammainc` by ``a``.")
gammainc = _declare(
    "gammainc", "gammainc", "a, x", "The lower incomplete gamma function over `gamma`.", "gammainc(1.0, 0.0)", "0.0"
)
gammaincc = _declare(
    "gammaincc", "gammaincc", "a, x", "``1 - gammainc(a, x)``, exact for large x.", "gammaincc(1.0, 0.0)", "1.0"
)
betainc = _declare(
    "betainc", "betainc", "a, b, x",
    "The incomplete beta function over `beta`. It has a derivative with respect to ``x`` alone.",
    "betainc(1.0, 1.0, 0.25)", "0.25",
)  # fmt: skip
dawsn = _declare(
    "dawsn", "dawsn", "x", "Dawson's integral: ``exp(-x**2)`` times that of ``exp(t**2)`` from 0 to x.", "dawsn(0.0)",
    "0.0",
)  # fmt: skip
expn = _declare(
    "expn", "expn", "n, x", "The exponential integral of whole order ``n``: of ``exp(-x * t) / t**n`` from 1 on.",
    "expn(2, 0.0)", "1.0",
)  # fmt: skip
expi = _declare("expi", "expi", "x", "The exponential integral of ``exp(t) / t`` up to x.", "expi(0.0)", "-inf")
spence = _declare(
    "spence", "spence", "x", "The integral of ``log(t) / (1 - t)`` from 1 to x: the dilogarithm of ``1 - x``.",
    "spence(1.0)", "0.0",
)  # fmt: skip
hyp1f1 = _declare(
    "hyp1f1", "hyp1f1", "a, b, x",
    "Kummer's hypergeometric function. It has a derivative with respect to ``x`` alone.",
    "hyp1f1(1.0, 2.0, 0.0)", "1.0",
)  # fmt: skip
hyp2f1 = _declare(
    "hyp2f1", "hyp2f1", "a, b, c, x",
    "Gauss's hypergeometric function for x up to 1. It has a derivative with respect to ``x`` alone.",
    "hyp2f1(1.0, 1.0, 2.0, 0.0)", "1.0",
)  # fmt: skip
fresnel_s = _declare("fresnel_s", "_fresnel_s", "x", "Fresnel's sine integral.")
fresnel_c = _declare("fresnel_c", "_fresnel_c", "x", "Fresnel's cosine integral.")
sine_integral = _declare("sine_integral", "_sine_integral", "x", "The sine integral.")
cosine_integral = _declare("cosine_integral", "_cosine_integral", "x", "The cosine integral.")

__all__ = [n for n in sorted(MODULES[SPECIAL]) if not n.startswith("_")]
