"""The Python functions that compiled code calls back: exceptions, printing, and NumPy's meaning of a primitive."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np


def scalars(views: tuple[Any, ...]) -> list[Any]:
    """Rank-0 views as the Python scalars that they are to the user, arrays as copies."""
    return [v.item() if v.ndim == 0 else v.copy() for v in views]


def make(entry: dict[str, Any]) -> Callable[..., Any]:
    """The host function that the code generator described."""
    match entry["kind"]:
        case "raise":
            exc = getattr(builtins, entry["exc"], RuntimeError)
            message = entry["message"]

            def fail(*views: Any) -> None:
                raise exc(message.format(*scalars(views))) if message else exc()

            return fail
        case "print":
            text = entry["text"]

            def show(*views: Any) -> None:
                print(text.format(*scalars(views)), end="", flush=True)

            return show
    raise NotImplementedError(f"host function {entry!r}")


_ = np
