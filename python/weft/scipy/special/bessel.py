"""Bessel functions of whole orders."""

from __future__ import annotations

from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.api.written import written
from weft.numpy.common import static_int
from weft.scipy.arguments import floating, quiet
from weft.scipy.special.primitive import i0e, i1e


@quiet
def i0(x: Any) -> Any:
    """The modified Bessel function of order 0.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.i0(0.0))
    1.0
    """
    (x,) = floating("i0", x)
    return wnp.exp(wnp.abs(x)) * i0e(x)


@quiet
def i1(x: Any) -> Any:
    """The modified Bessel function of order 1.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.i1(0.0))
    0.0
    """
    (x,) = floating("i1", x)
    return wnp.exp(wnp.abs(x)) * i1e(x)


@quiet
def bessel_jn(z: Any, *, v: int, n_iter: int = 50) -> Any:
    """The Bessel functions of the first kind of orders 0, 1, ... ``v`` along a new first axis.

    Parameters
    ----------
    z
        Real numbers.
    v
        The highest order, known while staging.
    n_iter
        The order from which they are computed downwards: it has to be well above ``v`` and the size of ``z``.

    Examples
    --------
    >>> from weft.scipy import special
    >>> special.bessel_jn(2.0, v=1)
    Array([0.22389078, 0.57672481])
    """
    (z,) = floating("bessel_jn", z)
    v, count = static_int(v, "v"), static_int(n_iter, "n_iter")
    if v < 0 or count <= v:
        raise ValueError("bessel_jn() wants orders 0 <= v < n_iter")
    zero = z == 0
    rows = _downwards(2 / wnp.where(zero, 1, z), v, count)
    first = wnp.reshape(wnp.arange(v + 1) == 0, (v + 1, *[1] * z.ndim))
    return wnp.where(zero, first.astype(z.dtype), rows)


@written("v", "count")
def _downwards(over: Any, v: int, count: int) -> Any:
    """The recurrence from order ``count`` to 0, whose values are right up to one factor, which their sum tells."""
    above, here = over * 0, over * 0 + 1e-16
    total = above
    rows = np.zeros((v + 1, *over.shape), over.dtype)
    for i in range(count):
        k = count - i
        above, here = here, k * over * here - above
        if k <= v + 1:
            rows[k - 1] = here
        if k % 2 == 1:
            total = total + (here if k == 1 else 2 * here)
    return wnp.asarray(rows) / total


__all__ = ["bessel_jn", "i0", "i1"]
