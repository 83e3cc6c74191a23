"""What a derivative with respect to an integer is: zeros of dtype float0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft import pytrees
from weft.dtypes import float0


class Float0:
    """Zeros of dtype float0 inside staged code, where only their shape is known; an array once it is returned."""

    def __init__(self, shape: tuple[Any, ...]) -> None:
        self.shape = shape
        self.dtype = float0

    def __repr__(self) -> str:
        return f"<float0 zeros of shape {self.shape}>"


def _made(aux: Any, shape: Sequence[Any]) -> Any:
    if all(isinstance(n, int | np.integer) for n in shape):
        return np.zeros(tuple(int(n) for n in shape), float0)
    return Float0(tuple(shape))


pytrees.enter(Float0, pytrees.Node(lambda z: (z.shape, None), _made))


def zeros_of(staged: Any) -> Float0:
    """The zeros that stand for the derivative with respect to a staged integer."""
    return Float0(tuple(staged.shape))


def is_zero(x: Any) -> bool:
    """Whether a value is zeros of dtype float0."""
    return isinstance(x, Float0) or (isinstance(x, np.ndarray) and x.dtype == float0)


def unzeroed(x: Any, mark: Any = 0) -> Any:
    """A value with a leaf ``mark`` for each float0 zero, so that structures compare."""
    if is_zero(x):
        return mark
    if isinstance(x, tuple | list):
        parts = [unzeroed(v, mark) for v in x]
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    return {k: unzeroed(v, mark) for k, v in x.items()} if isinstance(x, dict) else x
