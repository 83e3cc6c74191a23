"""Operations on arrays of other devices than the CPU, one by one: each is a compiled function.

The compiler stands above the runtime, so it enters itself here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from weft import _runtime

# Whether arrays may lie elsewhere: set once there is another device.
active = os.environ.get("WEFT_PLATFORM", "cpu") not in ("", "cpu")

_compile: Callable[[], Callable[..., Any]] | None = None


def enter(load: Callable[[], Callable[..., Any]]) -> None:
    """Say how to get the compiler's ``apply(fun, *args, **kwargs)``; called at the first operation elsewhere."""
    global _compile
    _compile = load


def is_elsewhere(*values: Any) -> bool:
    """Whether an operation on these values runs on another device than the CPU."""
    return _runtime.elsewhere(*values) is not None


def sent(made: Any, *values: Any) -> Any:
    """Arrays that the host made, where an operation on ``values`` runs."""
    device = _runtime.elsewhere(*values)
    if isinstance(made, tuple | list):
        return type(made)(sent(m, *values) for m in made)
    return made if device is None else _runtime.device_put(made, device, False)


def apply(fun: Any, *args: Any, **kwargs: Any) -> Any:
    """Run a function of staged values, compiled, where its arguments lie; or one of `weft.numpy` given by name."""
    if _compile is None:
        raise RuntimeError("operations on a GPU need weft's compiler: import weft")
    return _compile()(fun, *args, **kwargs)
