"""Programs: selu, a stencil, Lorenz, a batched loop (``python benchmarks/programs.py [NAME...] [--quick]``)."""

from __future__ import annotations

import importlib
import sys

from timing import Figure, show

CASES = ("selu", "stencil", "lorenz", "logistic")


def figures(quick: bool = False, names: tuple[str, ...] = CASES) -> list[Figure]:
    """Measure all of them; each checks its results first."""
    return [f for name in names for f in importlib.import_module(f"cases.{name}").figures(quick)]


if __name__ == "__main__":
    chosen = tuple(a for a in sys.argv[1:] if not a.startswith("-")) or CASES
    show("programs", figures("--quick" in sys.argv, chosen))
