"""Fourier transforms with NumPy's names, sizes and scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Span, lit
from weft.ir.sizes import Size
from weft.ir.types import c64, c128, f16, f32, f64, i64, is_complex, real_dtype
from weft.numpy.common import (
    Staged,
    array,
    astype,
    axis_of,
    current,
    dim_or_int,
    emit,
    new_size,
    of,
    op_error,
    prim,
    static_int,
)  # fmt: skip
from weft.numpy.creation import arange
from weft.numpy.joining import concatenate, roll
from weft.numpy.registry import implements
from weft.numpy.ufuncs import ufunc

FFT = "weft.numpy.fft"

# -- sizes and scales --------------------------------------------------------------------------------------------------


def _value(n: Size) -> Any:
    return current().builder.size_value(n)


def _points(n: Any) -> Size:
    """The number of points that a transform is asked for."""
    try:
        size = new_size(n)
    except ValueError:
        size = 0
    if size == 0:
        given = n if not isinstance(n, Staged) else 0
        raise op_error(ValueError, f"Invalid number of FFT data points ({given}) specified.")
    return size


def _halved(n: Size) -> Size:
    """``n // 2 + 1``."""
    if isinstance(n, int):
        return n // 2 + 1
    return dim_or_int(prim("floordiv")(_value(n), lit(2))) + 1


def _fitted(x: Staged, axis: int, n: Size, longer: Size | None = None) -> Staged:
    """``x`` cropped, or padded with zeros, to n elements along an axis; it is padded if ``longer > 0``."""
    ctx = current()
    m, n = ctx.resolve(x.sizes[axis]), ctx.resolve(n)
    if m == n:
        return x
    longer = n - m if longer is None else longer
    if ctx.number(longer) is None:  # both, one after the other
        return _cropped(_padded(x, axis, n), axis, n)
    if ctx.at_least(longer, 1) or ctx.decide(">=", longer - 1, "whether a transform pads its operand"):
        return _padded(x, axis, n - m)
    return _cropped(x, axis, n)


def _cropped(x: Staged, axis: int, n: Size) -> Staged:
    spec = tuple([Span(n if k == axis else s) for k, s in enumerate(x.sizes)])
    return emit("index", x, *[lit(0)] * x.ndim, spec=spec, mode="fast")


def _padded(x: Staged, axis: int, more: Size) -> Staged:
    shape = tuple([more if k == axis else s for k, s in enumerate(x.sizes)])
    return concatenate([x, of(prim("broadcast")(lit(0, x.dtype), shape=shape, dims=()))], axis)


def _scaled(x: Staged, n: Size, norm: Any, forward: bool, given: Staged) -> Staged:
    """A transform of n points, scaled as ``norm`` says; the factor has the precision of what was given."""
    if norm not in (None, "backward", "ortho", "forward"):
        raise op_error(ValueError, f'Invalid norm value {norm}; should be "backward","ortho" or "forward".')
    count = astype(of(_value(n)), np.result_type(real_dtype(given.dtype), 1.0))
    if norm == "ortho":
        factor = ufunc(np.reciprocal, ufunc(np.sqrt, count))
    elif (norm == "forward") == forward:
        factor = ufunc(np.reciprocal, count)
    else:
        return x
    return emit("mul", x, astype(factor, x.dtype))


def _real(x: Any) -> Staged:
    """A real operand; what NumPy refuses is refused."""
    v = array(x)
    if is_complex(v.dtype):
        raise op_error(TypeError, "ufunc 'rfft_n_even' did not contain a loop with signature matching complex operands")
    return astype(v, f32 if v.dtype in (f16, f32) else f64)


def _complex(x: Any) -> Staged:
    v = array(x)
    return astype(v, c64 if v.dtype in (f16, f32, c64) else c128)


def _axis_and_points(x: Staged, n: Any, axis: Any) -> tuple[int, Size]:
    k = axis_of(axis, x.ndim)
    return k, _points(n) if n is not None else _nonempty(x.sizes[k])


def _nonempty(n: Size) -> Size:
    if current().resolve(n) == 0:
        raise op_error(ValueError, "Invalid number of FFT data points (0) specified.")
    return n


def _opposite(norm: Any) -> Any:
    return {None: "forward", "backward": "forward", "forward": "backward"}.get(norm, norm)


# -- one axis ----------------------------------------------------------------------------------------------------------


def _transform(x: Any, n: Any, axis: Any, norm: Any, inverse: bool) -> Staged:
    given = array(x)
    v = _complex(given)
    k, size = _axis_and_points(v, n, axis)
    out = emit("fft", _fitted(v, k, size), axes=(k,), inverse=inverse)
    return _scaled(out, size, norm, not inverse, given)


@implements(np.fft.fft, module=FFT)
def fft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Any:
    """The discrete Fourier transform along an axis.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> wnp.fft.fft(wnp.array([1.0, 0.0, 0.0]))
    Array([1.+0.j, 1.+0.j, 1.+0.j])
    """
    return _transform(a, n, axis, norm, False)


@implements(np.fft.ifft, module=FFT)
def ifft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Any:
    """The inverse of `fft`."""
    return _transform(a, n, axis, norm, True)


@implements(np.fft.rfft, module=FFT)
def rfft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Any:
    """The Fourier transform of real numbers: the frequencies that are not negative."""
    given = array(a)
    v = _real(given)
    k, size = _axis_and_points(v, n, axis)
    out = emit("rfft", _fitted(v, k, size), axis=k, size=_halved(size))
    return _scaled(out, size, norm, True, given)


@implements(np.fft.irfft, module=FFT)
def irfft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Any:
    """The inverse of `rfft`, of ``n`` elements: without ``n`` an even number."""
    given = array(a)
    v = _complex(given)
    k = axis_of(axis, v.ndim)
    size = _points(n) if n is not None else (v.sizes[k] - 1) * 2
    if isinstance(size, int) and size < 1:
        raise op_error(ValueError, f"Invalid number of FFT data points ({size}) specified.")
    if n is not None:
        # n // 2 + 1 is more than there are where n is at least twice as many
        v = _fitted(v, k, _halved(size), size - v.sizes[k] * 2 + 1)
    out = _scaled(emit("irfft", v, axis=k, size=size), size, norm, False, given)
    return astype(out, f16) if given.dtype == f16 else out


@implements(np.fft.hfft, module=FFT)
def hfft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Any:
    """The transform of a signal that is Hermitian in time, of which half is given."""
    return irfft(ufunc(np.conjugate, array(a)), n, axis, _opposite(norm))


@implements(np.fft.ihfft, module=FFT)
def ihfft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Any:
    """The inverse of `hfft`."""
    return ufunc(np.conjugate, rfft(a, n, axis, _opposite(norm)))


# -- several axes ------------------------------------------------------------------------------------------------------


def _cooked(x: Staged, s: Any, axes: Any) -> tuple[list[Any], list[int]]:
    """Sizes (None: the array's own) and axes of a transform over several."""
    if axes is None:
        count = x.ndim if s is None else len(s)
        where = list(range(x.ndim - count, x.ndim))
    else:
        where = [axis_of(k, x.ndim) for k in axes]
    sizes = [None] * len(where) if s is None else [None if static_whole(n) else n for n in s]
    if len(sizes) != len(where):
        raise op_error(ValueError, "Shape and axes have different lengths.")
    return sizes, where


def static_whole(n: Any) -> bool:
    """Whether a size of a transform means all there is."""
    return n is None or (not isinstance(n, Staged) and static_int(n, "s") == -1)


def _over(step: Any, x: Any, sizes: Sequence[Any], axes: Sequence[int], norm: Any) -> Any:
    for n, k in reversed(list(zip(sizes, axes, strict=True))):
        x = step(x, n, k, norm)
    return x


def _complex_nd(a: Any, s: Any, axes: Any, norm: Any, inverse: bool) -> Any:
    x = array(a)
    sizes, where = _cooked(x, s, axes)
    if not where:
        return x
    if len(set(where)) != len(where):
        return _over(ifft if inverse else fft, x, sizes, where, norm)
    out = _complex(x)
    for n, k in zip(sizes, where, strict=True):
        out = _fitted(out, k, _axis_and_points(out, n, k)[1])
    points = [out.sizes[k] for k in where]
    out = emit("fft", out, axes=tuple(where), inverse=inverse)
    given = x
    for n in reversed(points):
        out = _scaled(out, n, norm, not inverse, given)
        given = out
    return out


@implements(np.fft.fftn, module=FFT)
def fftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    """The Fourier transform along several axes."""
    return _complex_nd(a, s, axes, norm, False)


@implements(np.fft.ifftn, module=FFT)
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    """The inverse of `fftn`."""
    return _complex_nd(a, s, axes, norm, True)


@implements(np.fft.rfftn, module=FFT)
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    """The transform of real numbers along several axes: half of the frequencies of the last."""
    x = array(a)
    sizes, where = _cooked(x, s, axes)
    return _over(fft, rfft(x, sizes[-1], where[-1], norm), sizes[:-1], where[:-1], norm)


@implements(np.fft.irfftn, module=FFT)
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    """The inverse of `rfftn`."""
    x = array(a)
    sizes, where = _cooked(x, s, axes)
    for n, k in zip(sizes[:-1], where[:-1], strict=True):
        x = ifft(x, n, k, norm)
    if s is not None and sizes[-1] is None:
        sizes[-1] = of(_value(x.sizes[where[-1]]))  # -1 means as many elements as there are frequencies
    return irfft(x, sizes[-1], where[-1], norm)


@implements(np.fft.fft2, module=FFT)
def fft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
    """The Fourier transform along two axes."""
    return fftn(a, s, axes, norm)


@implements(np.fft.ifft2, module=FFT)
def ifft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
    """The inverse of `fft2`."""
    return ifftn(a, s, axes, norm)


@implements(np.fft.rfft2, module=FFT)
def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
    """The transform of real numbers along two axes."""
    return rfftn(a, s, axes, norm)


@implements(np.fft.irfft2, module=FFT)
def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
    """The inverse of `rfft2`."""
    return irfftn(a, s, axes, norm)


# -- frequencies -------------------------------------------------------------------------------------------------------


def _shifted(x: Any, axes: Any, sign: int) -> Any:
    v = array(x)
    where = range(v.ndim) if axes is None else axes if isinstance(axes, list | tuple) else [axes]
    for axis in where:
        k = axis_of(axis, v.ndim)
        n = v.sizes[k]
        half = n // 2 if isinstance(n, int) else of(prim("floordiv")(_value(n), lit(2)))
        v = roll(v, half if sign > 0 else ufunc(np.negative, half) if isinstance(half, Staged) else -half, k)
    return v


@implements(np.fft.fftshift, module=FFT)
def fftshift(x: Any, axes: Any = None) -> Any:
    """The zero frequency moved to the middle."""
    return _shifted(x, axes, 1)


@implements(np.fft.ifftshift, module=FFT)
def ifftshift(x: Any, axes: Any = None) -> Any:
    """The inverse of `fftshift`."""
    return _shifted(x, axes, -1)


def _frequencies(numbers: Staged, n: Any, d: Any) -> Any:
    step = ufunc(np.divide, 1.0, ufunc(np.multiply, array(n), d))
    return ufunc(np.multiply, numbers, step)


def _np_fftfreq(n: Any, d: Any = 1.0, *, dtype: Any = None) -> Any:
    out = np.fft.fftfreq(n, d)
    return out if dtype is None else out.astype(dtype)


@implements(np.fft.fftfreq, module=FFT, creates=True, run=_np_fftfreq)
def fftfreq(n: Any, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """The frequencies of a transform of ``n`` points ``d`` apart."""
    k = array(arange(n), i64)
    count = array(n, i64)
    negative = ufunc(np.greater_equal, ufunc(np.multiply, k, 2), count)
    from weft.numpy.elementwise import where

    out = _frequencies(where(negative, ufunc(np.subtract, k, count), k), n, d)
    return out if dtype is None else astype(out, np.dtype(dtype))


def _np_rfftfreq(n: Any, d: Any = 1.0, *, dtype: Any = None) -> Any:
    out = np.fft.rfftfreq(n, d)
    return out if dtype is None else out.astype(dtype)


@implements(np.fft.rfftfreq, module=FFT, creates=True, run=_np_rfftfreq)
def rfftfreq(n: Any, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """The frequencies of `rfft`."""
    half = n // 2 + 1 if isinstance(n, int) else ufunc(np.add, ufunc(np.floor_divide, n, 2), 1)
    out = _frequencies(array(arange(half), i64), n, d)
    return out if dtype is None else astype(out, np.dtype(dtype))
