"""What the functions' arguments mean: dtypes, shapes and parameters."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

import weft.numpy as wnp
import weft.primitives  # noqa: F401  (declares them)
from weft.dtypes import default_float
from weft.ir.primitive import REGISTRY
from weft.numpy.common import array, broadcast_shapes, broadcast_to, emit, new_size
from weft.numpy.registry import MODULES, Entry, enter
from weft.staged.value import Staged

DType = np.dtype[Any]
Shape = tuple[Any, ...]


def operation(name: str) -> Callable[..., Any]:
    """An elementwise primitive as a function: of concrete arguments at once, of staged ones in the program."""

    def implementation(*xs: Any) -> Any:
        values = [array(x) for x in xs]
        shape = broadcast_shapes(name, *[v.sizes for v in values])
        return emit(name, *[broadcast_to(v.atom, shape) if v.sizes else v for v in values])

    enter(Entry(name, implementation, REGISTRY[name].numpy), (), module="weft.random")
    return MODULES["weft.random"][name]


erf, erfinv, fma, digamma, nextafter = map(operation, ("erf", "erfinv", "fma", "digamma", "nextafter"))


# -- dtypes ------------------------------------------------------------------------------------------------------------

_KINDS = {"f": "a float", "fc": "a float or complex", "iu": "an int", "u": "an unsigned int"}


def dtype_of(name: str, dtype: Any, kinds: str = "f", error: type[Exception] = ValueError) -> DType:
    """The dtype of a result; None stands for the default of the first of ``kinds``."""
    if dtype is None:
        return default_float() if kinds[0] == "f" else np.dtype(np.int64)
    found = np.dtype(dtype)
    if found.kind not in kinds:
        raise error(f"dtype argument to `{name}` must be {_KINDS[kinds]} dtype, got {found}")
    if found.itemsize > (16 if found.kind == "c" else 8):  # long double
        raise error(f"dtype argument to `{name}`: {found} is not a dtype of weft")
    return found


# -- shapes ------------------------------------------------------------------------------------------------------------


def shape_of(shape: Any) -> Shape:
    """A shape as a tuple: of one size, of a sequence of them."""
    if isinstance(shape, np.ndarray) or (hasattr(shape, "__array__") and not isinstance(shape, Staged)):
        shape = np.asarray(shape).tolist()
    sizes = tuple(shape) if isinstance(shape, list | tuple) else (shape,)
    return tuple([_size(s) for s in sizes])


def _size(n: Any) -> Any:
    if isinstance(n, Staged):
        if n.dtype.kind not in "iu" or n.ndim:
            raise TypeError(f"a size must be an integer, not {n!r}")
        new_size(n)  # refuses a negative one when the program runs
        return n
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(f"a size must be an integer, not {n!r}") from None
    if n < 0:
        raise ValueError("negative dimensions are not allowed")
    return n


def count(shape: Shape) -> Any:
    """The number of elements."""
    return math.prod(shape)


def dims(x: Any) -> Shape:
    """The shape of an argument."""
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


def parameters(name: str, shape: Any, dtype: Any, *args: Any) -> tuple[Any, ...]:
    """The shape of a result, and the parameters as arrays of ``dtype`` (None: their own) in that shape."""
    values = [wnp.asarray(a) if dtype is None else wnp.asarray(a).astype(dtype) for a in args]
    if shape is None:
        if len(values) > 1:
            values = list(wnp.broadcast_arrays(*values))
        return dims(values[0]), *values
    wanted = shape_of(shape)
    return wanted, *[spread(name, v, wanted) for v in values]


def spread(name: str, x: Any, shape: Shape) -> Any:
    """A parameter in the shape of the result."""
    if not dims(x):
        return x
    try:
        return wnp.broadcast_to(x, shape)
    except ValueError:
        raise ValueError(
            f"{name}: a parameter of shape {_text(dims(x))} does not broadcast to the shape {_text(shape)} of the"
            " result"
        ) from None


def _text(shape: Shape) -> str:
    sizes = [str(s) if isinstance(s, int) else "?" for s in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def fitting(name: str, dtype: DType, *args: Any) -> None:
    """Refuse parameters of a wider floating dtype than the result's."""
    for a in args:
        given = getattr(a, "dtype", None)
        if given is not None and not _is_python(a) and np.result_type(given, dtype) != dtype and given.kind in "fc":
            raise TypeError(f"In arguments to {name}, cannot safely cast argument of type {given} to {dtype}")


def _is_python(x: Any) -> bool:
    return isinstance(x, Staged) and x.flavour == "py"


def number(value: complex, dtype: DType) -> Any:
    """A number of a dtype."""
    return dtype.type(value)
