"""Exponentials, logarithms, trigonometric and hyperbolic functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Atom
from weft.ir.primitive import Primitive
from weft.primitives.arithmetic import SCALAR, add, div, mul, neg, sqrt, sub
from weft.primitives.declare import FLOATING, INEXACT, elementwise, like, prim

Partial = Callable[[Atom, Atom], Any]


def _function(
    name: str,
    kinds: str,
    numpy: Callable[..., Any],
    partial: Partial,
    *,
    cost: int = 20,
    domain: tuple[float, float] = (-2.0, 2.0),
) -> Primitive:
    """A function of one operand, whose C++ name is that of C's math library."""
    cname = name.replace("arc", "a")
    return elementwise(
        name, kinds, numpy=numpy, cpp=cname + "({0})", needs=SCALAR, cost=cost, domain=domain,
        partials=lambda x, y: [partial(x, y)],
    )  # fmt: skip


def _over(denominator: Callable[[Atom, Atom], Atom]) -> Partial:
    """The partial derivative 1 / denominator."""
    return lambda x, y: lambda t: div(t, denominator(x, y))


def _times(factor: Callable[[Atom, Atom], Atom]) -> Partial:
    """The partial derivative ``factor``, emitted only where it is used."""
    return lambda x, y: lambda t: mul(t, factor(x, y))


def _one_minus_square(x: Atom) -> Atom:
    # (1 - x)(1 + x) keeps the digits near 1 that 1 - x*x loses
    return mul(sub(like(1, x), x), add(like(1, x), x))


exp = _function("exp", INEXACT, np.exp, lambda x, y: y)
exp2 = _function("exp2", INEXACT, np.exp2, _times(lambda x, y: mul(y, like(math.log(2), y))))
expm1 = _function("expm1", INEXACT, np.expm1, _times(lambda x, y: add(y, like(1, y))))
log = _function("log", INEXACT, np.log, _over(lambda x, y: x), domain=(0.1, 4))
log2 = _function("log2", INEXACT, np.log2, _over(lambda x, y: mul(x, like(math.log(2), x))), domain=(0.1, 4))
log10 = _function("log10", INEXACT, np.log10, _over(lambda x, y: mul(x, like(math.log(10), x))), domain=(0.1, 4))
log1p = _function("log1p", INEXACT, np.log1p, _over(lambda x, y: add(x, like(1, x))), domain=(-0.8, 3))

sin = _function("sin", INEXACT, np.sin, _times(lambda x, y: cos(x)))
cos: Primitive = _function("cos", INEXACT, np.cos, _times(lambda x, y: neg(sin(x))))
tan = _function("tan", INEXACT, np.tan, _times(lambda x, y: add(mul(y, y), like(1, y))), domain=(-1.2, 1.2))
arcsin = _function(
    "arcsin", INEXACT, np.arcsin, _over(lambda x, y: sqrt(_one_minus_square(x))), domain=(-0.9, 0.9)
)  # fmt: skip
arccos = _function(
    "arccos", INEXACT, np.arccos, _over(lambda x, y: neg(sqrt(_one_minus_square(x)))), domain=(-0.9, 0.9)
)  # fmt: skip
arctan = _function("arctan", INEXACT, np.arctan, _over(lambda x, y: add(mul(x, x), like(1, x))))
sinh = _function("sinh", INEXACT, np.sinh, _times(lambda x, y: cosh(x)))
cosh: Primitive = _function("cosh", INEXACT, np.cosh, _times(lambda x, y: sinh(x)))
tanh = _function("tanh", INEXACT, np.tanh, _times(lambda x, y: _one_minus_square(y)))
arcsinh = _function("arcsinh", INEXACT, np.arcsinh, _over(lambda x, y: sqrt(add(mul(x, x), like(1, x)))))
arccosh = _function(
    "arccosh", INEXACT, np.arccosh, domain=(1.1, 4),
    partial=_over(lambda x, y: mul(sqrt(sub(x, like(1, x))), sqrt(add(x, like(1, x))))),
)  # fmt: skip
arctanh = _function("arctanh", INEXACT, np.arctanh, _over(lambda x, y: _one_minus_square(x)), domain=(-0.9, 0.9))


def _arctan2_partials(y: Atom, x: Atom, z: Atom) -> Sequence[Any]:
    def square() -> Atom:
        return add(mul(x, x), mul(y, y))

    return [lambda t: mul(t, div(x, square())), lambda t: mul(t, div(neg(y), square()))]


arctan2 = elementwise(
    "arctan2", FLOATING, arity=2, numpy=np.arctan2, cpp="atan2({0}, {1})", needs=SCALAR, cost=30,
    partials=_arctan2_partials,
)  # fmt: skip


def _share(x: Atom, z: Atom) -> Any:
    """exp(x - z), without inf - inf where x is z."""

    def partial(t: Atom) -> Atom:
        gap = prim("select")(prim("eq")(x, z), like(0, x), sub(x, z))
        return mul(t, exp(gap))

    return partial


logaddexp = elementwise(
    "logaddexp", FLOATING, arity=2, numpy=np.logaddexp, cpp="logaddexp({0}, {1})", needs=SCALAR, cost=50,
    partials=lambda x, y, z: [_share(x, z), _share(y, z)],
)  # fmt: skip
