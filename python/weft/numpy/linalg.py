"""Linear algebra: NumPy's `numpy.linalg` over stacks of matrices.

What NumPy reads of one triangle alone (`cholesky`, `eigh`) is differentiated as it is read: the derivative with respect
to the other triangle is 0. Write ``(a + a.T) / 2`` for a symmetric gradient.
"""

from __future__ import annotations

from weft.numpy import linear as _linear
from weft.numpy import linear_products as _products  # noqa: F401
from weft.numpy import norms as _norms  # noqa: F401
from weft.numpy.registry import MODULES

LinAlgError = _linear.LinAlgError

globals().update(MODULES[__name__])
__all__ = ["LinAlgError", *sorted(MODULES[__name__])]
