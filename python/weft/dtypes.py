"""Dtypes that NumPy has no name for."""

from __future__ import annotations

from typing import Any

import numpy as np

#: The dtype of derivatives with respect to integers: zeros that take no memory.
float0: np.dtype[Any] = np.dtype([("float0", np.void, 0)])

__all__ = ["float0"]
