"""Special functions: of errors, of gamma and zeta, of Bessel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from weft.errors import StagingError
from weft.ir.builder import current
from weft.ir.nodes import Atom
from weft.ir.primitive import Primitive
from weft.primitives import special_numpy as meanings
from weft.primitives.arithmetic import add, div, mul, neg, sign, sub
from weft.primitives.declare import FLOATING, elementwise, like, prim
from weft.primitives.transcendental import exp, log, log1p

SPECIAL = ("special.h",)
Partial = Callable[[Atom, Atom], Atom]


def _function(
    name: str, partial: Partial, *, cost: int = 60, domain: tuple[float, float] = (-2.0, 2.0), text: str = ""
) -> Primitive:
    """A function of one operand; ``text`` is its name in scipy.special, where that differs."""
    return elementwise(
        name, FLOATING, numpy=getattr(meanings, name), cpp=name + "({0})", needs=SPECIAL, cost=cost, domain=domain,
        partials=lambda x, y: [lambda t: mul(t, partial(x, y))], python=f"special.{text or name}({{0}})",
    )  # fmt: skip


def _bell(factor: float, x: Atom, sign_: int = -1) -> Atom:
    """``factor * exp(-x**2)`` (or of +x**2)."""
    square = mul(x, x)
    return mul(like(factor, x), exp(neg(square) if sign_ < 0 else square))


_SLOPE, _FLAT = 2 / math.sqrt(math.pi), math.sqrt(math.pi) / 2

erf = _function("erf", lambda x, y: _bell(_SLOPE, x), cost=30)
erfc = _function("erfc", lambda x, y: _bell(-_SLOPE, x), cost=30)
erfinv = _function("erfinv", lambda x, y: _bell(_FLAT, y, 1), cost=200, domain=(-0.95, 0.95))
erfcinv = _function("erfcinv", lambda x, y: _bell(-_FLAT, y, 1), cost=200, domain=(0.05, 1.95))
lgamma = _function("lgamma", lambda x, y: digamma(x), domain=(0.2, 5), text="gammaln")
tgamma = _function("tgamma", lambda x, y: mul(y, digamma(x)), domain=(0.4, 4), text="gamma")
digamma: Primitive = _function("digamma", lambda x, y: zeta(like(2, x), x), domain=(0.4, 4))
logistic: Primitive = _function("logistic", lambda x, y: mul(y, logistic(neg(x))), cost=25, text="expit")


def _zeta_partials(s: Atom, q: Atom, y: Atom) -> Sequence[Any]:
    def by_order(t: Atom) -> Atom:
        raise StagingError(
            "the zeta function has no derivative with respect to its first argument",
            remedy="stop the derivative there with weft.lax.stop_gradient",
            loc=current().loc,
        )

    return [by_order, lambda t: neg(mul(t, mul(s, zeta(add(s, like(1, s)), q))))]


def _zeta_samples() -> Any:
    from weft.primitives.samples import dtypes, values

    found: list[Any] = []
    for d in dtypes(FLOATING):
        for r, s in (((2, 3), (2, 3)), ((), ()), ((0,), (0,)), ((), (3,)), ((3,), ())):
            found.append(((values(d, r, domain=(1.5, 6)), values(d, s, seed=1, domain=(0.3, 8))), {}))
    return found


zeta: Primitive = elementwise(
    "zeta", FLOATING, arity=2, numpy=meanings.zeta, cpp="zeta({0}, {1})", needs=SPECIAL, cost=400,
    partials=_zeta_partials, python="special.zeta({0}, {1})", samples=_zeta_samples,
)  # fmt: skip


def _over(x: Atom, y: Atom) -> Any:
    """``x / y``, 0 where both are 0."""
    zero = prim("bitand")(prim("eq")(x, like(0, x)), prim("eq")(y, like(0, y)))
    return lambda t: mul(t, prim("select")(zero, like(0, x), div(x, prim("select")(zero, like(1, y), y))))


xlogy = elementwise(
    "xlogy", FLOATING, arity=2, numpy=meanings.xlogy, cpp="xlogy({0}, {1})", needs=SPECIAL, cost=25, domain=(0.1, 4),
    partials=lambda x, y, z: [lambda t: mul(t, log(y)), _over(x, y)], python="special.xlogy({0}, {1})",
)  # fmt: skip
xlog1py = elementwise(
    "xlog1py", FLOATING, arity=2, numpy=meanings.xlog1py, cpp="xlog1py({0}, {1})", needs=SPECIAL, cost=25,
    domain=(-0.8, 3), partials=lambda x, y, z: [lambda t: mul(t, log1p(y)), _over(x, add(y, like(1, y)))],
    python="special.xlog1py({0}, {1})",
)  # fmt: skip


def _i1e_slope(x: Atom, y: Atom) -> Atom:
    """``i0e(x) - i1e(x) / x - sign(x) * i1e(x)``; the quotient at 0 by its series, so that it can be differentiated."""
    zero = prim("eq")(x, like(0, x))
    square = mul(x, x)
    series = like(0, x)
    for factor in (1 / 18432, 1 / 384, 1 / 16):
        series = mul(add(series, like(factor, x)), square)
    at_zero = mul(add(series, like(0.5, x)), exp(neg(prim("abs")(x))))
    quotient = prim("select")(zero, at_zero, div(y, prim("select")(zero, like(1, x), x)))
    return sub(sub(i0e(x), quotient), mul(sign(x), y))


i0e: Primitive = _function("i0e", lambda x, y: sub(i1e(x), mul(sign(x), y)), cost=300, domain=(-4, 4))
i1e: Primitive = _function("i1e", _i1e_slope, cost=300, domain=(0.5, 4))

__all__ = [
    "digamma", "erf", "erfc", "erfcinv", "erfinv", "i0e", "i1e", "lgamma", "logistic", "tgamma", "xlog1py", "xlogy",
    "zeta",
]  # fmt: skip
