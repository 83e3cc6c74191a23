"""Special functions in C++ alone: incomplete gamma and beta functions, named integrals, hypergeometric functions.

Their meaning is that of ``csrc/kernels`` on float64, which the runtime calls; tests compare with values of 30 digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft import _runtime
from weft.errors import StagingError
from weft.ir.builder import current
from weft.ir.nodes import Atom
from weft.ir.primitive import Primitive
from weft.primitives.arithmetic import add, div, mul, neg, sub
from weft.primitives.declare import FLOATING, elementwise, like, prim
from weft.primitives.special import digamma, lgamma, xlog1py, xlogy
from weft.primitives.special_numpy import through_f64
from weft.primitives.transcendental import cos, exp, log, sin

INCOMPLETE, INTEGRALS = ("incomplete.h",), ("integrals.h",)


def _meaning(name: str) -> Callable[..., Any]:
    @through_f64
    def run(*xs: Any) -> Any:
        out = np.empty(np.shape(xs[0]))
        _runtime.special(name, out, *[np.ascontiguousarray(x) for x in xs])
        return out

    return run


def _without(name: str, operand: str) -> Callable[[Atom], Atom]:
    """The partial derivative that is not there."""

    def refuse(t: Atom) -> Atom:
        raise StagingError(
            f"{name} has no derivative with respect to {operand}",
            remedy="stop the derivative there with weft.lax.stop_gradient",
            loc=current().loc,
        )

    return refuse


def _samples(*domains: tuple[float, float] | Sequence[float]) -> Callable[[], Any]:
    """Samples whose operands each have a domain, or come from a list."""

    def make() -> Any:
        from weft.primitives.samples import dtypes, values

        found: list[Any] = []
        for d in dtypes(FLOATING):
            for shape in ((2, 3), (), (0,)):
                row = []
                for k, domain in enumerate(domains):
                    x = values(d, shape, seed=k, domain=domain if isinstance(domain, tuple) else (0.0, 1.0))
                    if not isinstance(domain, tuple):
                        x = np.asarray(domain, d)[np.asarray(x * len(domain), int)]
                    row.append(x)
                found.append((tuple(row), {}))
        return found

    return make


def _function(
    name: str, needs: tuple[str, ...], partials: Any, *domains: tuple[float, float] | Sequence[float], cost: int = 400,
    text: str = "",
) -> Primitive:  # fmt: skip
    slots = ", ".join([f"{{{k}}}" for k in range(len(domains))])
    return elementwise(
        name, FLOATING, arity=len(domains), numpy=_meaning(name), cpp=f"{name}({slots})", needs=needs, cost=cost,
        partials=partials, python=text or f"special.{name}({slots})", samples=_samples(*domains),
    )  # fmt: skip


# -- incomplete gamma and beta functions -------------------------------------------------------------------------------


def _gamma_density(a: Atom, x: Atom) -> Atom:
    """``x**(a - 1) * exp(-x) / gamma(a)``."""
    return exp(sub(sub(xlogy(sub(a, like(1, a)), x), x), lgamma(a)))


def _beta_density(a: Atom, b: Atom, x: Atom) -> Atom:
    one = like(1, a)
    size = sub(add(lgamma(a), lgamma(b)), lgamma(add(a, b)))
    return exp(sub(add(xlogy(sub(a, one), x), xlog1py(sub(b, one), neg(x))), size))


gammainc_da: Primitive = _function(
    "gammainc_da", INCOMPLETE,
    lambda a, x, y: [
        _without("the derivative of gammainc by a", "a"),
        mul(_gamma_density(a, x), sub(log(x), digamma(a))),
    ],
    (0.3, 5.0), (0.2, 6.0), text="special._gammainc_da({0}, {1})",
)  # fmt: skip
gammainc = _function(
    "gammainc", INCOMPLETE, lambda a, x, y: [gammainc_da(a, x), _gamma_density(a, x)], (0.3, 5.0), (0.2, 6.0)
)
gammaincc = _function(
    "gammaincc", INCOMPLETE, lambda a, x, y: [neg(gammainc_da(a, x)), neg(_gamma_density(a, x))],
    (0.3, 5.0), (0.2, 6.0),
)  # fmt: skip
betainc = _function(
    "betainc", INCOMPLETE,
    lambda a, b, x, y: [_without("betainc", "a"), _without("betainc", "b"), _beta_density(a, b, x)],
    (0.3, 5.0), (0.3, 5.0), (0.05, 0.95),
)  # fmt: skip

# -- integrals that have names -----------------------------------------------------------------------------------------

_ROOT = 2 / math.sqrt(math.pi)


def _times(factor: float, x: Atom) -> Atom:
    return mul(like(factor, x), x)


def _expn_slope(n: Atom, x: Atom, y: Atom) -> Atom:
    """``-expn(n - 1, x)``, and that of ``exp(-x) / x`` for order 0."""
    one = like(1, x)
    first = prim("lt")(n, one)
    lower = expn(prim("select")(first, one, sub(n, one)), x)
    return neg(prim("select")(first, mul(y, add(one, div(one, x))), lower))


def _spence_slope(x: Atom, y: Atom) -> Atom:
    """``log(x) / (1 - x)``, which is -1 at 1."""
    one = like(1, x)
    at_one = prim("eq")(x, one)
    return prim("select")(at_one, like(-1, x), div(log(x), prim("select")(at_one, one, sub(one, x))))


def _quarter(x: Atom) -> Atom:
    return _times(math.pi / 2, mul(x, x))


def _sine_slope(x: Atom, y: Atom) -> Atom:
    zero = prim("eq")(x, like(0, x))
    return prim("select")(zero, like(1, x), div(sin(x), prim("select")(zero, like(1, x), x)))


erfcx = _function("erfcx", INTEGRALS, lambda x, y: [sub(_times(2, mul(x, y)), like(_ROOT, x))], (-2.0, 4.0), cost=200)
dawsn = _function("dawsn", INTEGRALS, lambda x, y: [sub(like(1, x), _times(2, mul(x, y)))], (-4.0, 4.0), cost=200)
expn: Primitive = _function(
    "expn", INTEGRALS, lambda n, x, y: [_without("expn", "its order"), _expn_slope(n, x, y)],
    [0.0, 1.0, 2.0, 5.0], (0.1, 4.0),
)  # fmt: skip
expi = _function("expi", INTEGRALS, lambda x, y: [div(exp(x), x)], (0.3, 4.0))
spence = _function("spence", INTEGRALS, lambda x, y: [_spence_slope(x, y)], (0.1, 4.0), cost=200)
fresnel_s = _function(
    "fresnel_s", INTEGRALS, lambda x, y: [sin(_quarter(x))], (-3.0, 3.0), text="special.fresnel({0})[0]"
)
fresnel_c = _function(
    "fresnel_c", INTEGRALS, lambda x, y: [cos(_quarter(x))], (-3.0, 3.0), text="special.fresnel({0})[1]"
)
sine_integral = _function(
    "sine_integral", INTEGRALS, lambda x, y: [_sine_slope(x, y)], (-5.0, 5.0), text="special.sici({0})[0]"
)
cosine_integral = _function(
    "cosine_integral", INTEGRALS, lambda x, y: [div(cos(x), x)], (0.2, 6.0), text="special.sici({0})[1]"
)

# -- hypergeometric functions ------------------------------------------------------------------------------------------


def _up(x: Atom) -> Atom:
    return add(x, like(1, x))


hyp1f1: Primitive = _function(
    "hyp1f1", INTEGRALS,
    lambda a, b, x, y: [
        _without("hyp1f1", "a"), _without("hyp1f1", "b"), mul(div(a, b), hyp1f1(_up(a), _up(b), x)),
    ],
    (0.3, 3.0), (0.5, 4.0), (-3.0, 3.0),
)  # fmt: skip
hyp2f1: Primitive = _function(
    "hyp2f1", INTEGRALS,
    lambda a, b, c, x, y: [
        _without("hyp2f1", "a"), _without("hyp2f1", "b"), _without("hyp2f1", "c"),
        mul(div(mul(a, b), c), hyp2f1(_up(a), _up(b), _up(c), x)),
    ],
    (0.3, 3.0), (0.3, 2.0), (0.5, 4.0), (-2.0, 0.9),
)  # fmt: skip

__all__ = [
    "betainc", "cosine_integral", "dawsn", "erfcx", "expi", "expn", "fresnel_c", "fresnel_s", "gammainc",
    "gammainc_da", "gammaincc", "hyp1f1", "hyp2f1", "sine_integral", "spence",
]  # fmt: skip
