"""Fourier transforms: NumPy's `numpy.fft`."""

from __future__ import annotations

from weft.numpy import fourier as _fourier  # noqa: F401  (declares them)
from weft.numpy.registry import MODULES

globals().update(MODULES[__name__])
__all__ = sorted(MODULES[__name__])
