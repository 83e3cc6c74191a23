"""What weft is compared with, where it is installed."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

BUILD = Path(__file__).resolve().parent.parent / "build" / "bench"


def find(name: str) -> Any:
    """A module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


@functools.cache
def jax() -> Any:
    """JAX on the CPU in double precision, or None."""
    found = find("jax")
    if found is not None:
        found.config.update("jax_enable_x64", True)
        found.config.update("jax_platforms", "cpu")
    return found


@functools.cache
def numba() -> Any:
    """Numba, or None."""
    return find("numba")


@functools.cache
def pythran() -> ModuleType | None:
    """Our functions compiled by Pythran (which takes half a minute, once), or None."""
    if importlib.util.find_spec("pythran") is None:
        return None
    source = Path(__file__).parent / "cases" / "for_pythran.py"
    out = BUILD / f"for_pythran.{sys.implementation.cache_tag}.so"
    if not out.exists() or out.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pythran.run", "-O3", "-march=native", "-o", str(out), str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"Pythran failed:\n{done.stderr[-2000:]}", file=sys.stderr)
            return None
    spec = importlib.util.spec_from_file_location("for_pythran", out)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def missing(*names: str) -> dict[str, str]:
    """Those of these peers that are not there."""
    there = {"numba": numba, "jax": jax, "pythran": pythran}
    return {name: "not installed" for name in names if there[name]() is None}
