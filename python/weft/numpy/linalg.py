"""Linear algebra."""

from __future__ import annotations

from weft.numpy import products as _products  # noqa: F401  (declares them)
from weft.numpy.registry import PUBLIC

norm = PUBLIC["norm"]
multi_dot = PUBLIC["multi_dot"]
matrix_power = PUBLIC["matrix_power"]

__all__ = ["matrix_power", "multi_dot", "norm"]
