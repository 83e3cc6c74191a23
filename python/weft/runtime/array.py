"""`weft.Array`: an immutable device array."""

from __future__ import annotations

from weft import _runtime


class Array(_runtime.ArrayBase):
    """An immutable array on a device.

    Results of weft's functions are instances; operators and methods are attached by the library. NumPy reads it
    without a copy, and ``x.at[index].set(value)`` takes the place of ``x[index] = value``.
    """

    __slots__ = ()
    __module__ = "weft"


_runtime.set_array_class(Array)
