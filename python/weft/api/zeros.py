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


pytrees.register_pytree_node(Float0, lambda z: (z.shape, None), _made)


def zeros_of(staged: Any) -> Float0:
    """The zeros that stand for the derivative with respect to a staged integer."""
    return Float0(tuple(staged.shape))
