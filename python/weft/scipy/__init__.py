"""Functions of SciPy that weft compiles and differentiates; SciPy itself is not needed."""

import importlib
from typing import Any

_SUBMODULES = (
    "cluster", "fft", "integrate", "interpolate", "linalg", "ndimage", "optimize", "signal", "special", "stats",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    """Modules are imported when they are first named."""
    if name in _SUBMODULES:
        return importlib.import_module(f"weft.scipy.{name}")
    raise AttributeError(f"module 'weft.scipy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SUBMODULES])
