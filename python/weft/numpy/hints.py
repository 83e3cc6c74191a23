"""The keywords that JAX's products take: how exactly to compute, and in which dtype to add up."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from weft.numpy.common import array
from weft.numpy.registry import implements

_EXTRA = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)
    for name in ("precision", "preferred_element_type")
]


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

        own = inspect.signature(impl)
        params = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
        staged.__dict__["__signature__"] = own.replace(parameters=[*params, *_EXTRA])
        implements(numpy, run=run, **options)(staged)
        return impl

    return decorate
