"""Convolution, correlation and trends."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.scipy.arguments import as_array, inexact, quiet

_FFT: Any = wnp.fft
_MODES = ("full", "same", "valid")
_WHY = dict.fromkeys(("stft", "istft", "csd", "welch"), "spectra of segments are not there yet: see weft.numpy.fft")


def _checked(name: str, mode: str) -> None:
    if mode not in _MODES:
        raise ValueError(f"{name}() has the modes 'full', 'same' and 'valid', not {mode!r}")


def _cut(x: Any, mode: str, one: tuple[int, ...], other: tuple[int, ...]) -> Any:
    """A full convolution's middle: as large as the first operand, or where both overlap."""
    key = []
    for m, n in zip(one, other, strict=True):
        if mode == "full":
            key.append(slice(None))
        elif mode == "same":
            key.append(slice((n - 1) // 2, (n - 1) // 2 + m))
        else:
            key.append(slice(min(m, n) - 1, max(m, n)))
    return x[tuple(key)]


def _spectral(a: Any, b: Any, axes: list[int]) -> Any:
    """The full convolution by Fourier transforms."""
    sizes = [int(a.shape[k]) + int(b.shape[k]) - 1 for k in axes]
    if a.dtype.kind == "c":
        return _FFT.ifftn(_FFT.fftn(a, sizes, axes) * _FFT.fftn(b, sizes, axes), sizes, axes).astype(a.dtype)
    product = _FFT.rfftn(a, sizes, axes) * _FFT.rfftn(b, sizes, axes)
    return _FFT.irfftn(product, sizes, axes).astype(a.dtype)


@quiet
def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """The convolution of arrays by Fourier transforms.

    Parameters
    ----------
    in1, in2
        Arrays of as many axes.
    mode
        ``"full"``, ``"same"`` (as large as the first) or ``"valid"`` (where they overlap wholly).
    axes
        Which axes, all by default; the others broadcast.
    """
    _checked("fftconvolve", mode)
    a, b = inexact(in1, in2)
    if a.ndim != b.ndim:
        raise ValueError("fftconvolve() wants arrays of as many axes")
    chosen = list(range(a.ndim)) if axes is None else [k % a.ndim for k in np.atleast_1d(axes)]
    if mode == "valid" and any(int(a.shape[k]) < int(b.shape[k]) for k in chosen):
        a, b = b, a
    found = _spectral(a, b, chosen)
    one = tuple([int(a.shape[k]) if k in chosen else int(found.shape[k]) for k in range(a.ndim)])
    other = tuple([int(b.shape[k]) if k in chosen else 1 for k in range(a.ndim)])
    return _cut(found, mode, one, other)


@quiet
def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None) -> Any:
    """The convolution of arrays.

    Parameters
    ----------
    in1, in2
        Arrays of as many axes.
    mode
        ``"full"``, ``"same"`` (as large as the first) or ``"valid"`` (where they overlap wholly).
    method
        ``"direct"``, or ``"fft"``; ``"auto"`` is the former for one axis.
    precision
        Without effect.

    Examples
    --------
    >>> from weft.scipy import signal
    >>> signal.convolve([1.0, 2.0], [1.0, 1.0])
    Array([1., 3., 2.])
    """
    _checked("convolve", mode)
    if method not in ("auto", "direct", "fft"):
        raise ValueError(f"convolve() has the methods 'auto', 'direct' and 'fft', not {method!r}")
    if method == "fft":
        return fftconvolve(in1, in2, mode)
    a, b = inexact(in1, in2)
    if a.ndim != b.ndim:
        raise ValueError("convolve() wants arrays of as many axes")
    if a.ndim == 1:
        full = wnp.convolve(a, b)
        return _cut(full, mode, (int(a.shape[0]),), (int(b.shape[0]),)) if mode != "full" else full
    return _direct(a, b, mode)


def _direct(a: Any, b: Any, mode: str) -> Any:
    """A sum over the elements of the smaller array."""
    one, other = tuple(map(int, a.shape)), tuple(map(int, b.shape))
    if np.prod(other) > np.prod(one):
        full = _direct(b, a, "full")
        return _cut(full, mode, one, other)
    wide = wnp.pad(a, [(n - 1, n - 1) for n in other])
    total = wnp.zeros([m + n - 1 for m, n in zip(one, other, strict=True)], a.dtype)
    for place in np.ndindex(*other):
        window = [slice(n - 1 - k, n - 1 - k + m + n - 1) for k, m, n in zip(place, one, other, strict=True)]
        total = total + b[place] * wide[tuple(window)]
    return _cut(total, mode, one, other)


def _reversed(x: Any) -> Any:
    x = wnp.flip(x)
    return wnp.conj(x) if x.dtype.kind == "c" else x


def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None) -> Any:
    """The correlation of arrays: `convolve` with the second reversed (and conjugated).

    Examples
    --------
    >>> from weft.scipy import signal
    >>> signal.correlate([1.0, 2.0], [1.0, 0.0])
    Array([0., 1., 2.])
    """
    _checked("correlate", mode)
    return convolve(in1, _reversed(as_array(in2)), mode, method)


def _plane(name: str, in1: Any, in2: Any, mode: str, boundary: str, fillvalue: Any) -> tuple[Any, Any]:
    _checked(name, mode)
    if boundary != "fill" or fillvalue != 0:
        raise NotImplementedError(f"{name}() has zeros around: boundary='fill' and fillvalue=0; pad the array first")
    a, b = inexact(in1, in2)
    if a.ndim != 2 or b.ndim != 2:
        raise ValueError(f"{name}() wants two matrices")
    return a, b


def convolve2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0, precision: Any = None
) -> Any:
    """The convolution of two matrices, with zeros around them."""
    return convolve(*_plane("convolve2d", in1, in2, mode, boundary, fillvalue), mode)


def correlate2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0, precision: Any = None
) -> Any:
    """The correlation of two matrices, with zeros around them."""
    a, b = _plane("correlate2d", in1, in2, mode, boundary, fillvalue)
    if mode != "same":
        return correlate(a, b, mode)
    # here SciPy's middle is one further than elsewhere, for kernels of even sizes
    key = [slice(int(n) // 2, int(n) // 2 + int(m)) for m, n in zip(a.shape, b.shape, strict=True)]
    return correlate(a, b)[tuple(key)]


@quiet
def detrend(data: Any, axis: int = -1, type: str = "linear", bp: Any = 0, overwrite_data: Any = None) -> Any:
    """``data`` less its mean, or its best line, along an axis.

    Parameters
    ----------
    data
        An array.
    axis
        The axis.
    type
        ``"constant"`` or ``"linear"``.
    bp
        Where the pieces begin that each have a line.
    overwrite_data
        Without effect: None.

    Examples
    --------
    >>> from weft.scipy import signal
    >>> signal.detrend([1.0, 3.0], type="constant")
    Array([-1.,  1.])
    """
    if type not in ("constant", "linear", "c", "l"):
        raise ValueError(f"detrend() has the types 'constant' and 'linear', not {type!r}")
    (x,) = inexact(data)
    if type in ("constant", "c"):
        return x - wnp.mean(x, axis, keepdims=True)
    x = wnp.moveaxis(x, axis, -1)
    n = int(x.shape[-1])
    edges = sorted({0, n, *np.atleast_1d(bp).astype(int).tolist()})
    if edges[0] < 0 or edges[-1] > n:
        raise ValueError("detrend(): bp must lie within the data")
    pieces = []
    for low, high in itertools.pairwise(edges):
        part = x[..., low:high]
        t = np.arange(high - low) - (high - low - 1) / 2
        line = wnp.asarray(t / max(float(t @ t), 1e-300), dtype=x.dtype)
        slope = wnp.sum(part * line, -1, keepdims=True)
        pieces.append(part - wnp.mean(part, -1, keepdims=True) - slope * wnp.asarray(t, dtype=x.dtype))
    return wnp.moveaxis(wnp.concatenate(pieces, axis=-1), -1, axis)


def __getattr__(name: str) -> Any:
    """What is not there, and why."""
    reason = f": {_WHY[name]}" if name in _WHY else ""
    raise AttributeError(f"module 'weft.scipy.signal' has no attribute {name!r}{reason}")


__all__ = ["convolve", "convolve2d", "correlate", "correlate2d", "detrend", "fftconvolve"]
