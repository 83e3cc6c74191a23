"""Spherical harmonics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.api.written import written
from weft.numpy.common import static_int
from weft.scipy.arguments import as_array, floating, quiet


def _factors(top: int) -> tuple[Any, Any, Any]:
    """What the recurrence over degrees multiplies by, ``[degree, order]``, and the functions of equal ones."""
    n, m = np.arange(top + 1.0)[:, None], np.arange(top + 1.0)[None, :]
    with np.errstate(all="ignore"):
        a = np.sqrt((4 * n * n - 1) / (n * n - m * m))
        b = np.sqrt(((n - 1) ** 2 - m * m) / (4 * (n - 1) ** 2 - 1))
    a, b = np.where(m < n, a, 0), np.where(m < n - 1, b, 0)
    first = np.cumprod([0.5 / math.sqrt(math.pi), *[-math.sqrt(1 + 0.5 / k) for k in range(1, top + 1)]])
    return a[:, :, None], b[:, :, None], first[:, None]


@written()
def _legendre(x: Any, a: Any, b: Any, diagonal: Any) -> Any:
    """Normalised associated Legendre functions at points: ``[degree + 2, order, point]``, below two rows of zeros."""
    top = a.shape[0]
    rows = np.zeros((top + 2, top, x.size))
    for n in range(top):
        rows[n + 2] = a[n] * (x * rows[n + 1] - b[n] * rows[n])
        rows[n + 2, n] = diagonal[n]
    return rows


@quiet
def sph_harm_y(n: Any, m: Any, theta: Any, phi: Any, diff_n: Any = None, n_max: Any = None) -> Any:
    """Spherical harmonics of degree ``n`` and order ``m``.

    Parameters
    ----------
    n, m
        Integers, ``|m| <= n``.
    theta, phi
        The polar angle and the azimuth.
    diff_n
        Derivatives are not given along: None.
    n_max
        The highest degree, known while staging; that of ``n`` if None.

    Examples
    --------
    >>> from weft.scipy import special
    >>> complex(special.sph_harm_y(0, 0, 0.3, 0.2))
    (0.28209479177387814+0j)
    """
    if diff_n is not None:
        raise NotImplementedError("sph_harm_y() gives no derivatives: use weft.grad, and leave out diff_n")
    theta, phi = floating("sph_harm_y", theta, phi)
    n, m = as_array(n), as_array(m)
    if n_max is None:
        n_max = np.max(np.asarray(n)) if isinstance(n, np.ndarray) or hasattr(n, "__array__") else n
    top = static_int(n_max, "n_max")
    n, m, theta, phi = wnp.broadcast_arrays(n, m, theta, phi)
    a, b, first = _factors(top)
    order, points = wnp.abs(m), wnp.cos(wnp.ravel(theta))
    diagonal = first * wnp.power(wnp.sin(wnp.ravel(theta)), wnp.arange(top + 1)[:, None])
    table = wnp.reshape(wnp.asarray(_legendre(points, a, b, diagonal)), ((top + 3) * (top + 1), *theta.shape))
    size = wnp.take_along_axis(table, ((n + 2) * (top + 1) + order)[None], 0)[0]
    value = size * wnp.exp(1j * (order * phi))
    sign = wnp.where(order % 2 == 0, 1, -1)
    return wnp.where(m < 0, sign * wnp.conj(value), value)


__all__ = ["sph_harm_y"]
