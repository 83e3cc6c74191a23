"""Settings: `weft.config`, and `weft.debug_nans`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from weft import dtypes


class Config:
    """weft's settings, by attribute or by name.

    Examples
    --------
    >>> import weft
    >>> weft.config.debug_nans
    False
    >>> weft.config.update("debug_nans", False)
    """

    def __init__(self) -> None:
        self._debug_nans = False

    @property
    def debug_nans(self) -> bool:
        """Whether compiled calls that give a NaN raise, with the line of the operation that made it."""
        return self._debug_nans

    @debug_nans.setter
    def debug_nans(self, on: bool) -> None:
        from weft import _runtime

        self._debug_nans = bool(on)
        _runtime.set_watched(self._debug_nans)

    @property
    def default_float(self) -> np.dtype[Any]:
        """The dtype of floating results whose operands have no dtype of their own; also ``WEFT_DEFAULT_FLOAT``.

        It switches `weft.numpy`'s creation functions and conversions of Python numbers (``zeros(3)``,
        ``asarray([0.5])``, ``linspace(0, 1, 5)``), the defaults of `weft.random`, and the complex dtype that goes with
        it. Operands that have dtypes promote as in NumPy, and functions of NumPy itself keep NumPy's default.
        """
        return dtypes.default_float()

    @default_float.setter
    def default_float(self, dtype: Any) -> None:
        dtypes.set_default_float(dtype)

    def update(self, name: str, value: Any) -> None:
        """Set a setting by name; JAX's names, which begin with ``jax_``, are understood.

        Raises
        ------
        AttributeError
            There is no such setting.
        """
        own = name.removeprefix("jax_").removeprefix("weft_")
        if own.startswith("_") or not isinstance(getattr(Config, own, None), property):
            raise AttributeError(f"Unrecognized config option: {name}")
        setattr(self, own, value)


config = Config()


@contextmanager
def debug_nans(on: bool = True) -> Iterator[None]:
    """Find the operation that makes a NaN.

    Inside, a compiled function that returns a NaN is run again by the interpreter, operation by operation, and
    FloatingPointError tells the user's line of the first one that makes a NaN of operands without any; also where it
    belongs to a derivative. When off, calls cost nothing more.

    Parameters
    ----------
    on
        Whether to look for NaNs.

    Examples
    --------
    >>> import numpy as np, weft
    >>> with weft.debug_nans(True):
    ...     weft.jit(lambda x: np.log(x))(np.float64(-1.0))
    Traceback (most recent call last):
    ...
    FloatingPointError: invalid value (nan) encountered in log
    """
    before = config.debug_nans
    config.debug_nans = on
    try:
        yield
    finally:
        config.debug_nans = before
