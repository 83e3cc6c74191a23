"""Where CMake finds weft: the directory of ``weftConfig.cmake``."""

from __future__ import annotations

from pathlib import Path


def directory() -> Path:
    """What ``weft_DIR`` is to be, for ``find_package(weft)``."""
    return Path(__file__).resolve().parent
