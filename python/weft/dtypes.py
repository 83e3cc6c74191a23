"""Dtypes that NumPy has no name for, and the default ones.

`default_float` is what a floating result has whose operands have no dtype of their own: ``zeros(3)``,
``asarray([0.5])``, ``linspace(0, 1, 5)``, ``weft.random.normal(key)``. It is float64 unless
``weft.config.default_float`` or the environment variable ``WEFT_DEFAULT_FLOAT`` says otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

#: The dtype of derivatives with respect to integers: zeros that take no memory.
float0: np.dtype[Any] = np.dtype([("float0", np.void, 0)])

_FLOATS = ("float16", "float32", "float64")
_COMPLEX = {"f2": "c8", "f4": "c8", "f8": "c16"}


def as_float(dtype: Any) -> np.dtype[Any]:
    """A floating dtype that may be the default.

    Raises
    ------
    ValueError
        It is another dtype.
    """
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or dtype is None or found.name not in _FLOATS:
        raise ValueError(f"the default float dtype is one of {', '.join(_FLOATS)}, not {dtype!r}")
    return np.dtype(found.name)


_default_float: np.dtype[Any] = as_float(os.environ.get("WEFT_DEFAULT_FLOAT") or "float64")


_reader: Callable[[], None] | None = None  # told when the default is read: the frontend makes a note in the program


def default_float() -> np.dtype[Any]:
    """The dtype of floating results whose operands have no dtype of their own.

    A program that is staged with one default is never used under another: it remembers that it was read.

    Examples
    --------
    >>> import weft
    >>> weft.dtypes.default_float()
    dtype('float64')
    """
    if _reader is not None:
        _reader()
    return _default_float


def default_complex() -> np.dtype[Any]:
    """The complex dtype that goes with `default_float`."""
    return np.dtype(_COMPLEX[default_float().str[1:]])


def default_int() -> np.dtype[Any]:
    """The dtype of Python's integers: int64."""
    return np.dtype(np.int64)


def on_read(reader: Callable[[], None]) -> None:
    """Say what is called when the default is read."""
    global _reader
    _reader = reader


def set_default_float(dtype: Any) -> None:
    """Choose the default; ``weft.config.default_float = dtype`` does it."""
    global _default_float
    _default_float = as_float(dtype)


__all__ = ["default_complex", "default_float", "default_int", "float0"]
