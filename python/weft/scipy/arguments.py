"""Arguments of library functions: arrays of one floating dtype."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

import weft.numpy as wnp
from weft.dtypes import default_float

F = TypeVar("F", bound=Callable[..., Any])


def quiet(fun: F) -> F:
    """``fun`` without NumPy's warnings: infinities and nans are values, as they are in compiled code."""

    @functools.wraps(fun)
    def run(*args: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return fun(*args, **kwargs)

    return run  # type: ignore[return-value]


def as_array(x: Any, dtype: Any = None) -> Any:
    """An array; what is one already is given back as it is."""
    if hasattr(x, "at") and not isinstance(x, np.ndarray | np.generic) and dtype in (None, x.dtype):
        return x
    return wnp.asarray(x) if dtype is None else wnp.asarray(x, dtype=dtype)


def inexact(*xs: Any) -> list[Any]:
    """Arguments as arrays of their common dtype by NumPy's rules; the default float for integers and bools."""
    found = [as_array(x) if isinstance(x, list | tuple) else x for x in xs]
    dtype = wnp.result_type(*found)
    if dtype.kind not in "fc":
        dtype = default_float()
    return [as_array(x, dtype) for x in found]


def floating(name: str, *xs: Any) -> list[Any]:
    """As `inexact`, for functions of real numbers.

    Raises
    ------
    TypeError
        An argument is complex.
    """
    found = inexact(*xs)
    if found[0].dtype.kind == "c":
        raise TypeError(f"{name}() takes real numbers, not {found[0].dtype}")
    return found


def constant(value: float, like: Any) -> Any:
    """A number in another array's dtype."""
    return wnp.asarray(value, dtype=like.dtype)


def truth(x: Any, what: str) -> bool:
    """A flag, which has to be known while staging.

    Raises
    ------
    TypeError
        It is an array or a value only known at run time.
    """
    if isinstance(x, bool | np.bool_ | int):
        return bool(x)
    raise TypeError(f"{what} must be True or False, known when the function is compiled: not {type(x).__name__}")
