"""Arguments of library functions: arrays of one floating dtype."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

import weft.numpy as wnp
from weft.dtypes import default_float
from weft.errors import StagingError
from weft.staged.active import staging
from weft.staged.context import current

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
    """Arguments of a special function: as `inexact`, but float16 becomes float64, as SciPy has it.

    Raises
    ------
    StagingError
        An argument is complex.
    """
    found = inexact(*xs)
    kind = found[0].dtype
    if kind.kind == "c":
        raise unsupported(f"scipy.special.{name} of complex numbers")
    return found if kind.itemsize > 2 else [as_array(x, np.float64) for x in found]


def constant(value: float, like: Any) -> Any:
    """A number in another array's dtype."""
    return wnp.asarray(value, dtype=like.dtype)


def unsupported(what: str, remedy: str = "") -> StagingError:
    """The error for what is not there, with the user's line while staging."""
    return StagingError(what, remedy=remedy, loc=current().loc if staging() else None)


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
