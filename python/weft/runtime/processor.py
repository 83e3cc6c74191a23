"""What the system says of the processor, and which of a built module's levels it can run."""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


@functools.cache
def described() -> dict[str, str]:
    """What the system says of its first processor."""
    found = {"machine": platform.machine()}
    try:
        with open("/proc/cpuinfo") as f:
            for line in f:
                if not line.strip():  # its block ends with an empty line
                    break
                name, _, value = line.partition(":")
                if name.strip() in {"vendor_id", "cpu family", "model", "flags", "Features", "CPU part"}:
                    found[name.strip()] = value.strip()
    except OSError:
        found["model"] = platform.processor()
    return found


def cpu_features() -> frozenset[str]:
    """The names of the processor's features, as Linux has them (empty elsewhere)."""
    return frozenset((described().get("flags") or described().get("Features") or "").split())


def choose_level(name: str, levels: Sequence[tuple[str, str, T]]) -> tuple[str, T]:
    """The best level of a built module that this processor can run.

    Parameters
    ----------
    name
        The module's, for messages.
    levels
        ``(name, needed features, entries)``, the best first. ``WEFT_MARCH`` in the environment picks one by its name.

    Raises
    ------
    ImportError
        There is none.
    """
    features = cpu_features()
    wanted = os.environ.get("WEFT_MARCH", "").replace("-", "_")
    if wanted and wanted not in [level for level, _, _ in levels]:
        known = ", ".join(level.replace("_", "-") for level, _, _ in levels)
        raise ImportError(f"WEFT_MARCH is {os.environ['WEFT_MARCH']!r}, but {name} was built for {known}")
    lacking: list[str] = []
    for level, needs, entries in levels:
        if wanted in ("", level):
            lacking = sorted(set(needs.split()) - features)
            if not lacking:
                return level, entries
    least = (wanted or levels[-1][0]).replace("_", "-")
    more = f" and {len(lacking) - 8} more" if len(lacking) > 8 else ""
    raise ImportError(
        f"{name} was built for processors of the level {least}, and this one lacks {', '.join(lacking[:8])}{more}:"
        " build it with `weft build --march x86-64`"
    )
