"""Cosine transforms; the Fourier transforms are `weft.numpy.fft`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.scipy.arguments import inexact, quiet

_FFT: Any = wnp.fft


def _checked(name: str, type: int, norm: Any) -> None:
    if type != 2:
        raise NotImplementedError(f"{name}() has the type 2, not {type}")
    if norm not in (None, "ortho", "backward"):
        raise NotImplementedError(f"{name}() has norm=None, 'backward' and 'ortho', not {norm!r}")


def _sized(x: Any, n: Any, axis: int) -> Any:
    """``x`` cut off, or filled with zeros, to ``n`` along its last axis."""
    x = wnp.moveaxis(x, axis, -1)
    if n is None:
        return x
    have = int(x.shape[-1])
    return x[..., :n] if n <= have else wnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, n - have)])


@quiet
def dct(x: Any, type: int = 2, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    """The discrete cosine transform of type 2 along an axis.

    Parameters
    ----------
    x
        Real numbers.
    type
        2.
    n
        Cut the axis off, or fill it with zeros, to this length.
    axis
        The axis.
    norm
        None (``"backward"``): as it is; ``"ortho"``: orthogonal.

    Examples
    --------
    >>> from weft.scipy import fft
    >>> fft.dct([1.0, 1.0])
    Array([4., 0.])
    """
    _checked("dct", type, norm)
    (x,) = inexact(x)
    x = _sized(x, n, axis)
    size = int(x.shape[-1])
    # even elements forwards, odd ones backwards: then the transform is Fourier's, turned
    order = np.concatenate([np.arange(0, size, 2), np.arange(size - 1 - size % 2, 0, -2)])
    k = np.arange(size)
    turn = wnp.asarray(2 * np.exp(-0.5j * math.pi * k / size))
    found = (_FFT.fft(x[..., order]) * turn).real.astype(x.dtype)
    if norm == "ortho":
        found = found * wnp.asarray(_orthogonal(size), dtype=x.dtype)
    return wnp.moveaxis(found, -1, axis)


def _orthogonal(size: int) -> Any:
    return np.where(np.arange(size) == 0, math.sqrt(1 / (4 * size)), math.sqrt(1 / (2 * size)))


@quiet
def idct(x: Any, type: int = 2, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    """The inverse of `dct`."""
    _checked("idct", type, norm)
    (x,) = inexact(x)
    x = _sized(x, n, axis)
    size = int(x.shape[-1])
    if norm == "ortho":
        x = x / wnp.asarray(_orthogonal(size), dtype=x.dtype)
    k = np.arange(size)
    turn = wnp.asarray(0.5 * np.exp(0.5j * math.pi * k / size))
    # the other half of the spectrum follows by symmetry
    mirrored = wnp.concatenate([wnp.zeros_like(x[..., :1]), wnp.flip(x[..., 1:], -1)], axis=-1)
    line = _FFT.ifft((x - 1j * mirrored) * turn).real.astype(x.dtype)
    order = np.concatenate([np.arange(0, size, 2), np.arange(size - 1 - size % 2, 0, -2)])
    return wnp.moveaxis(line[..., np.argsort(order)], -1, axis)


def _each(f: Any, x: Any, s: Any, axes: Any, norm: Any) -> Any:
    (x,) = inexact(x)
    if axes is None:
        axes = range(x.ndim) if s is None else range(x.ndim - len(s), x.ndim)
    sizes: Sequence[Any] = [None] * len(axes) if s is None else s
    if len(sizes) != len(axes):
        raise ValueError("s must have one size for each axis")
    for axis, n in zip(axes, sizes, strict=True):
        x = f(x, 2, n, axis, norm)
    return x


def dctn(x: Any, type: int = 2, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    """`dct` along several axes, all by default."""
    _checked("dctn", type, norm)
    return _each(dct, x, s, axes, norm)


def idctn(x: Any, type: int = 2, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    """The inverse of `dctn`."""
    _checked("idctn", type, norm)
    return _each(idct, x, s, axes, norm)


__all__ = ["dct", "dctn", "idct", "idctn"]
