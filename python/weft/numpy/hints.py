"""Keywords of JAX that say how to compute rather than what: exactness of products, algorithms, promises."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from weft.numpy.common import array
from weft.numpy.registry import implements


def _extended(impl: Any, names: tuple[str, ...]) -> inspect.Signature:
    """The signature of a function that takes these keywords too."""
    own = inspect.signature(impl)
    more = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in names]
    return own.replace(parameters=[*own.parameters.values(), *more])


def ignoring(numpy: Callable[..., Any], *names: str, run: Callable[..., Any] | None = None) -> Callable[[Any], Any]:
    """As `implements`, for a function that takes keywords which change nothing of its result.

    Parameters
    ----------
    numpy
        NumPy's function.
    names
        The keywords.
    run
        As `implements` takes it.
    """

    def without(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **{k: v for k, v in kwargs.items() if k not in names})

        return call

    def decorate(impl: Any) -> Any:
        staged = without(impl)
        staged.__dict__["__signature__"] = _extended(impl, names)
        implements(numpy, run=without(run or numpy))(staged)
        return impl

    return decorate


def hinted(numpy: Callable[..., Any], operands: int | None = 2, **options: Any) -> Callable[[Any], Any]:
    """As `implements`, for a product.

    It takes ``precision``, which changes nothing, since products are never computed less exactly than in their dtype;
    and ``preferred_element_type``, the dtype of the result, to which operands are converted before they are multiplied.

    Parameters
    ----------
    numpy
        NumPy's function.
    operands
        How many of its first arguments are arrays; None for all that are not text.
    options
        As `implements` takes them.
    """

    def widened(args: tuple[Any, ...], dtype: Any, convert: Callable[[Any, Any], Any]) -> list[Any]:
        last = len(args) if operands is None else operands
        return [convert(a, dtype) if k < last and not isinstance(a, str) else a for k, a in enumerate(args)]

    def run(*args: Any, precision: Any = None, preferred_element_type: Any = None, **kwargs: Any) -> Any:
        if preferred_element_type is None:
            return numpy(*args, **kwargs)
        dtype = np.dtype(preferred_element_type)
        wide = widened(args, dtype, lambda a, d: np.asarray(a).astype(np.result_type(a, d)))
        return np.asarray(numpy(*wide, **kwargs)).astype(dtype, copy=False)

    def decorate(impl: Any) -> Any:
        @functools.wraps(impl)
        def staged(*args: Any, precision: Any = None, preferred_element_type: Any = None, **kwargs: Any) -> Any:
            if preferred_element_type is None:
                return impl(*args, **kwargs)
            dtype = np.dtype(preferred_element_type)
            wide = widened(args, dtype, lambda a, d: array(a, np.result_type(array(a).dtype, d)))
            return array(impl(*wide, **kwargs), dtype)

        staged.__dict__["__signature__"] = _extended(impl, ("precision", "preferred_element_type"))
        implements(numpy, run=run, **options)(staged)
        return impl

    return decorate
