"""Activation functions, element by element.

They take arrays of any shape; integers become floats where the function is not one of integers. Where one side of a
choice would overflow, its operand is chosen too, so that derivatives are numbers.
"""

from __future__ import annotations

import math
from typing import Any

import weft.numpy as wnp
from weft.numpy import tanh
from weft.scipy.arguments import as_array, inexact, quiet, truth
from weft.scipy.special import erfc, expit


def identity(x: Any) -> Any:
    """``x`` itself.

    Examples
    --------
    >>> from weft import nn
    >>> nn.identity([1.0, 2.0])
    Array([1., 2.])
    """
    return as_array(x)


@quiet
def relu(x: Any) -> Any:
    """``max(x, 0)``; its derivative at 0 is 0.

    Examples
    --------
    >>> from weft import nn
    >>> nn.relu([-1.0, 0.0, 2.0])
    Array([0., 0., 2.])
    """
    x = as_array(x)
    return wnp.where(x <= 0, 0, x)


@quiet
def relu6(x: Any) -> Any:
    """``min(max(x, 0), 6)``; its derivative is 0 at both ends.

    Examples
    --------
    >>> from weft import nn
    >>> nn.relu6([-1.0, 5.0, 7.0])
    Array([0., 5., 6.])
    """
    x = as_array(x)
    return wnp.where(x <= 0, 0, wnp.where(x >= 6, 6.0, x))


@quiet
def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))``.

    Examples
    --------
    >>> from weft import nn
    >>> nn.sigmoid([-800.0, 0.0, 800.0])
    Array([0. , 0.5, 1. ])
    """
    (x,) = inexact(x)
    return 1 / (1 + wnp.exp(-x)) if x.dtype.kind == "c" else as_array(expit(x), x.dtype)


@quiet
def softplus(x: Any) -> Any:
    """``log(1 + exp(x))``, without overflow.

    Examples
    --------
    >>> from weft import nn
    >>> nn.softplus([-800.0, 800.0])
    Array([  0., 800.])
    """
    return wnp.logaddexp(as_array(x), 0)


@quiet
def sparse_plus(x: Any) -> Any:
    """0 below -1, x above 1, and ``(x + 1) ** 2 / 4`` between.

    Examples
    --------
    >>> from weft import nn
    >>> nn.sparse_plus([-2.0, 0.0, 2.0])
    Array([0.  , 0.25, 2.  ])
    """
    x = as_array(x)
    return wnp.where(x <= -1.0, 0.0, wnp.where(x >= 1.0, x, (x + 1.0) ** 2 / 4))


@quiet
def sparse_sigmoid(x: Any) -> Any:
    """0 below -1, 1 above 1, and linear between: the derivative of `sparse_plus`.

    Examples
    --------
    >>> from weft import nn
    >>> nn.sparse_sigmoid([-2.0, 0.0, 2.0])
    Array([0. , 0.5, 1. ])
    """
    return 0.5 * wnp.clip(as_array(x) + 1.0, 0.0, 2.0)


@quiet
def soft_sign(x: Any) -> Any:
    """``x / (|x| + 1)``.

    Examples
    --------
    >>> from weft import nn
    >>> nn.soft_sign([-1.0, 3.0])
    Array([-0.5 ,  0.75])
    """
    x = as_array(x)
    return x / (wnp.abs(x) + 1)


@quiet
def silu(x: Any) -> Any:
    """``x * sigmoid(x)``; also called `swish`.

    Examples
    --------
    >>> from weft import nn
    >>> nn.silu([0.0, 800.0])
    Array([  0., 800.])
    """
    (x,) = inexact(x)
    return x * sigmoid(x)


swish = silu


@quiet
def mish(x: Any) -> Any:
    """``x * tanh(softplus(x))``.

    Examples
    --------
    >>> from weft import nn
    >>> nn.mish([0.0, 800.0])
    Array([  0., 800.])
    """
    (x,) = inexact(x)
    return x * wnp.tanh(softplus(x))


@quiet
def log_sigmoid(x: Any) -> Any:
    """``log(sigmoid(x))``, exact for large negative x.

    Examples
    --------
    >>> from weft import nn
    >>> nn.log_sigmoid([-800.0])
    Array([-800.])
    """
    (x,) = inexact(x)
    return -softplus(-x)


@quiet
def log1mexp(x: Any) -> Any:
    """``log(1 - exp(-x))`` for positive x, exact for small and for large ones.

    Examples
    --------
    >>> from weft import nn
    >>> nn.log1mexp([0.0, 800.0])
    Array([-inf,  -0.])
    """
    (x,) = inexact(x)
    small = x < math.log(2)
    low, high = wnp.where(small, x, 1), wnp.where(small, 1, x)
    return wnp.where(small, wnp.log(-wnp.expm1(-low)), wnp.log1p(-wnp.exp(-high)))


@quiet
def leaky_relu(x: Any, negative_slope: Any = 0.01) -> Any:
    """``x``, and ``negative_slope * x`` where it is negative.

    Examples
    --------
    >>> from weft import nn
    >>> nn.leaky_relu([-1.0, 2.0], 0.5)
    Array([-0.5,  2. ])
    """
    x = as_array(x)
    return wnp.where(x >= 0, x, negative_slope * x)


@quiet
def hard_sigmoid(x: Any) -> Any:
    """``relu6(x + 3) / 6``.

    Examples
    --------
    >>> from weft import nn
    >>> nn.hard_sigmoid([-4.0, 0.0, 4.0])
    Array([0. , 0.5, 1. ])
    """
    return relu6(as_array(x) + 3.0) / 6.0


@quiet
def hard_silu(x: Any) -> Any:
    """``x * hard_sigmoid(x)``; also called `hard_swish`.

    Examples
    --------
    >>> from weft import nn
    >>> nn.hard_silu([-4.0, 0.0, 4.0])
    Array([-0.,  0.,  4.])
    """
    x = as_array(x)
    return x * hard_sigmoid(x)


hard_swish = hard_silu


@quiet
def hard_tanh(x: Any) -> Any:
    """``x`` between -1 and 1, and these beyond.

    Examples
    --------
    >>> from weft import nn
    >>> nn.hard_tanh([-2.0, 0.5, 2.0])
    Array([-1. ,  0.5,  1. ])
    """
    x = as_array(x)
    return wnp.where(x > 1, 1, wnp.where(x < -1, -1, x))


@quiet
def elu(x: Any, alpha: Any = 1.0) -> Any:
    """``x``, and ``alpha * (exp(x) - 1)`` where it is not positive.

    Examples
    --------
    >>> from weft import nn
    >>> nn.elu([-800.0, 2.0])
    Array([-1.,  2.])
    """
    x = as_array(x)
    return wnp.where(x > 0, x, alpha * wnp.expm1(wnp.where(x > 0, 0.0, x)))


@quiet
def celu(x: Any, alpha: Any = 1.0) -> Any:
    """``max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)``.

    Examples
    --------
    >>> from weft import nn
    >>> nn.celu([-800.0, 2.0], 0.5)
    Array([-0.5,  2. ])
    """
    x = as_array(x)
    return wnp.maximum(x, 0.0) + alpha * wnp.expm1(wnp.minimum(x, 0.0) / alpha)


@quiet
def selu(x: Any) -> Any:
    """`elu` with the scales that keep the mean and the variance of layer after layer.

    Examples
    --------
    >>> from weft import nn
    >>> nn.selu([0.0, 1.0])
    Array([0.        , 1.05070099])
    """
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


@quiet
def gelu(x: Any, approximate: bool = True) -> Any:
    """``x`` times the normal distribution function, or its approximation by tanh.

    Examples
    --------
    >>> from weft import nn
    >>> nn.gelu([0.0, 800.0])
    Array([  0., 800.])
    """
    (x,) = inexact(x)
    if truth(approximate, "approximate"):
        return x * (0.5 * (1.0 + wnp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))
    return 0.5 * x * as_array(erfc(-x * math.sqrt(0.5)), x.dtype)


@quiet
def glu(x: Any, axis: int = -1) -> Any:
    """One half of an axis times the `sigmoid` of the other.

    Examples
    --------
    >>> from weft import nn
    >>> nn.glu([2.0, 4.0, 0.0, 800.0])
    Array([1., 4.])
    """
    (x,) = inexact(x)
    one, other = wnp.split(x, 2, axis)
    return one * sigmoid(other)


@quiet
def squareplus(x: Any, b: Any = 4) -> Any:
    """``(x + sqrt(x**2 + b)) / 2``.

    Examples
    --------
    >>> from weft import nn
    >>> nn.squareplus([0.0, 1.5])
    Array([1., 2.])
    """
    x = as_array(x)
    return (x + wnp.sqrt(wnp.square(x) + b)) / 2


__all__ = [
    "celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "identity", "leaky_relu",
    "log1mexp", "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_sign", "softplus",
    "sparse_plus", "sparse_sigmoid", "squareplus", "swish", "tanh",
]  # fmt: skip
