"""Initialisers: functions ``init(key, shape, dtype)`` that give the weights of a layer.

For one key, shape and dtype the numbers are JAX's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

import weft.numpy as wnp
from weft import random
from weft.dtypes import default_float


class Initializer(Protocol):
    """What makes weights: a function of a key, a shape and a dtype."""

    def __call__(self, key: Any, shape: Sequence[int], dtype: Any = ...) -> Any: ...


def _dtype(dtype: Any) -> Any:
    return default_float() if dtype is None else np.dtype(dtype)


def _number(x: Any, dtype: Any) -> Any:
    return wnp.asarray(x, dtype=dtype)


def zeros(key: Any, shape: Sequence[int], dtype: Any = None) -> Any:
    """Zeros; the key is not used.

    Examples
    --------
    >>> from weft.nn import initializers
    >>> initializers.zeros(None, (2,))
    Array([0., 0.])
    """
    return wnp.zeros(shape, _dtype(dtype))


def ones(key: Any, shape: Sequence[int], dtype: Any = None) -> Any:
    """Ones; the key is not used.

    Examples
    --------
    >>> from weft.nn import initializers
    >>> initializers.ones(None, (2,))
    Array([1., 1.])
    """
    return wnp.ones(shape, _dtype(dtype))


def constant(value: Any, dtype: Any = None) -> Initializer:
    """An initialiser that gives one value everywhere.

    Examples
    --------
    >>> from weft.nn import initializers
    >>> initializers.constant(3.0)(None, (2,))
    Array([3., 3.])
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        return wnp.full(shape, value, _dtype(dtype))

    return init


def uniform(scale: Any = 1e-2, dtype: Any = None) -> Initializer:
    """An initialiser of numbers that are uniform between 0 and ``scale``.

    Examples
    --------
    >>> from weft import nn, random
    >>> nn.initializers.uniform()(random.key(0), (3, 2)).shape
    (3, 2)
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        dtype = _dtype(dtype)
        return random.uniform(key, shape, dtype) * _number(scale, dtype)

    return init


def normal(stddev: Any = 1e-2, dtype: Any = None) -> Initializer:
    """An initialiser of normal numbers with mean 0.

    Examples
    --------
    >>> from weft import nn, random
    >>> nn.initializers.normal(1.0)(random.key(0), (3, 2)).shape
    (3, 2)
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        dtype = _dtype(dtype)
        return random.normal(key, shape, dtype) * _number(stddev, dtype)

    return init


def truncated_normal(stddev: Any = 1e-2, dtype: Any = None, lower: Any = -2.0, upper: Any = 2.0) -> Initializer:
    """An initialiser of normal numbers between ``lower`` and ``upper``, which are then multiplied by ``stddev``.

    Examples
    --------
    >>> from weft import nn, random
    >>> bool(abs(nn.initializers.truncated_normal(1.0)(random.key(0), (100,))).max() <= 2)
    True
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        dtype = _dtype(dtype)
        return random.truncated_normal(key, lower, upper, shape, dtype) * _number(stddev, dtype)

    return init


def _size(shape: Sequence[int], axes: int | Sequence[int]) -> int:
    several = axes if isinstance(axes, list | tuple) else (axes,)
    return math.prod([shape[int(a)] for a in several])  # type: ignore[call-overload]


def _fans(
    shape: Sequence[int], in_axis: int | Sequence[int], out_axis: int | Sequence[int], batch_axis: int | Sequence[int]
) -> tuple[float, float]:
    """How many inputs meet in one output, and outputs in one input; axes not named are a kernel's."""
    if not isinstance(in_axis, list | tuple) and in_axis == -2 and len(shape) <= 1:
        raise ValueError(
            f"weights of {len(shape)} axes have no numbers of inputs and outputs: give them 2 axes, or say in_axis="
        )
    inputs, outputs = _size(shape, in_axis), _size(shape, out_axis)
    field = math.prod(shape) / inputs / outputs / _size(shape, batch_axis)
    return inputs * field, outputs * field


def _complex_uniform(key: Any, shape: Sequence[int], dtype: Any) -> Any:
    real, (one, two) = np.zeros((), dtype).real.dtype, random.split(key)
    size = wnp.sqrt(2 * random.uniform(one, shape, real)).astype(dtype)
    return size * wnp.exp(1j * (2 * np.pi * random.uniform(two, shape, real).astype(dtype)))


def _complex_truncated_normal(key: Any, upper: float, shape: Sequence[int], dtype: Any) -> Any:
    real, (one, two) = np.zeros((), dtype).real.dtype, random.split(key)
    part = (1 - wnp.exp(_number(-(upper**2), dtype))) * random.uniform(one, shape, real).astype(dtype)
    size = wnp.sqrt(-wnp.log(1 - part))
    return size * wnp.exp(1j * (2 * np.pi * random.uniform(two, shape, real).astype(dtype)))


_MODES = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")
_DISTRIBUTIONS = ("truncated_normal", "normal", "uniform")


def variance_scaling(
    scale: Any, mode: str, distribution: str, in_axis: int | Sequence[int] = -2, out_axis: int | Sequence[int] = -1,
    batch_axis: int | Sequence[int] = (), dtype: Any = None,
) -> Initializer:  # fmt: skip
    """An initialiser of numbers with mean 0 and variance ``scale / n``.

    Parameters
    ----------
    scale
        A positive number.
    mode
        What n is: ``"fan_in"``, the number of inputs; ``"fan_out"``, that of outputs; ``"fan_avg"`` or
        ``"fan_geo_avg"``, their arithmetic or geometric mean.
    distribution
        ``"truncated_normal"`` (at two standard deviations), ``"normal"`` or ``"uniform"`` (for complex dtypes on a
        disk).
    in_axis, out_axis, batch_axis
        The axes of inputs, of outputs and of batches of weights; the others are those of a convolution's kernel.
    dtype
        Of the weights; the default float if None.

    Examples
    --------
    >>> from weft import nn, random
    >>> init = nn.initializers.variance_scaling(2.0, "fan_in", "uniform")
    >>> init(random.key(0), (3, 2)).shape
    (3, 2)
    """
    if mode not in _MODES:
        raise ValueError(f"variance_scaling() has the modes {', '.join(_MODES)}; not {mode!r}")
    if distribution not in _DISTRIBUTIONS:
        raise ValueError(f"variance_scaling() has the distributions {', '.join(_DISTRIBUTIONS)}; not {distribution!r}")

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        dtype = _dtype(dtype)
        real = dtype.kind == "f"
        inputs, outputs = _fans(shape, in_axis, out_axis, batch_axis)
        n = {
            "fan_in": inputs, "fan_out": outputs, "fan_avg": (inputs + outputs) / 2,
            "fan_geo_avg": (inputs * outputs) ** 0.5,
        }[mode]  # fmt: skip
        variance = _number(scale / n, dtype)
        if distribution == "normal":
            return random.normal(key, shape, dtype) * wnp.sqrt(variance)
        if distribution == "uniform":
            if real:
                return random.uniform(key, shape, dtype, -1) * wnp.sqrt(3 * variance)
            return _complex_uniform(key, shape, dtype) * wnp.sqrt(variance)
        # divided by the standard deviation of what is cut off at 2
        if real:
            return random.truncated_normal(key, -2, 2, shape, dtype) * (
                wnp.sqrt(variance) / _number(0.8796256610342398, dtype)
            )
        return _complex_truncated_normal(key, 2, shape, dtype) * (
            wnp.sqrt(variance) / _number(0.9531116438049121, dtype)
        )

    return init


def _scaling(name: str, scale: float, mode: str, distribution: str, title: str) -> Any:
    def make(
        in_axis: int | Sequence[int] = -2, out_axis: int | Sequence[int] = -1, batch_axis: int | Sequence[int] = (),
        dtype: Any = None,
    ) -> Initializer:  # fmt: skip
        return variance_scaling(scale, mode, distribution, in_axis, out_axis, batch_axis, dtype)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""{title}: `variance_scaling` by {scale} with "{mode}" and "{distribution}".

    Examples
    --------
    >>> from weft import nn, random
    >>> nn.initializers.{name}()(random.key(0), (3, 2)).shape
    (3, 2)
    """
    return make


glorot_uniform = _scaling("glorot_uniform", 1.0, "fan_avg", "uniform", "Glorot's uniform initialiser (Xavier's)")
glorot_normal = _scaling("glorot_normal", 1.0, "fan_avg", "truncated_normal", "Glorot's normal initialiser (Xavier's)")
lecun_uniform = _scaling("lecun_uniform", 1.0, "fan_in", "uniform", "Lecun's uniform initialiser")
lecun_normal = _scaling("lecun_normal", 1.0, "fan_in", "truncated_normal", "Lecun's normal initialiser")
he_uniform = _scaling("he_uniform", 2.0, "fan_in", "uniform", "He's uniform initialiser (Kaiming's)")
he_normal = _scaling("he_normal", 2.0, "fan_in", "truncated_normal", "He's normal initialiser (Kaiming's)")
xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal


def orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """An initialiser of matrices whose columns (or rows, where these are fewer) are orthogonal.

    Parameters
    ----------
    scale
        The length of the columns or rows.
    column_axis
        The axis that counts columns; all others together count rows.
    dtype
        Of the weights; the default float if None.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> from weft import nn, random
    >>> q = nn.initializers.orthogonal()(random.key(0), (3, 3))
    >>> bool(wnp.allclose(q @ q.T, wnp.eye(3), atol=1e-6))
    True
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        dtype, shape = _dtype(dtype), tuple(shape)
        if len(shape) < 2:
            raise ValueError("orthogonal() needs a shape of 2 axes or more")
        if 0 in shape:
            return wnp.zeros(shape, dtype)
        place = int(column_axis) % len(shape)
        columns = shape[place]
        rest = shape[:place] + shape[place + 1 :]
        found = random.orthogonal(key, math.prod(rest), (), dtype, columns)
        found = wnp.moveaxis(wnp.reshape(found, (*rest, columns)), -1, place)
        return _number(scale, dtype) * found

    return init


def delta_orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """An initialiser of convolution kernels that are `orthogonal` at their centre, and 0 elsewhere.

    Parameters
    ----------
    scale, column_axis, dtype
        As for `orthogonal`. Shapes have 3, 4 or 5 axes; the last two are inputs and outputs.

    Examples
    --------
    >>> from weft import nn, random
    >>> float(abs(nn.initializers.delta_orthogonal()(random.key(0), (3, 2, 2))[0]).max())
    0.0
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        dtype = _dtype(dtype)
        if len(shape) not in (3, 4, 5):
            raise ValueError("delta_orthogonal() needs a shape of 3, 4 or 5 axes")
        if shape[-1] < shape[-2]:
            raise ValueError("delta_orthogonal() needs at least as many outputs (the last axis) as inputs")
        centre = orthogonal(scale, column_axis, dtype)(key, shape[-2:])
        at = tuple([(n - 1) // 2 for n in shape[:-2]])
        return wnp.zeros(shape, dtype).at[at].set(centre)

    return init


__all__ = [
    "Initializer", "constant", "delta_orthogonal", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform",
    "kaiming_normal", "kaiming_uniform", "lecun_normal", "lecun_uniform", "normal", "ones", "orthogonal",
    "truncated_normal", "uniform", "variance_scaling", "xavier_normal", "xavier_uniform", "zeros",
]  # fmt: skip
