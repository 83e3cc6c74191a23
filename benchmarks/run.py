"""All figures, recorded under ``benchmarks/results`` (``make bench``; ``--quick`` records nothing)."""

from __future__ import annotations

import sys

import aot
import coldstart
import devices
import dispatch
import eager
import emission
import gradients
import programs
from timing import save, show

GROUPS = {
    "waiting": coldstart,
    "a call of ten elements": dispatch,
    "without jit, and trees of arrays": eager,
    "programs": programs,
    "gradients": gradients,
    "many devices": devices,
    "ahead of time": aot,
    "CUDA text": emission,
}


def main() -> None:
    """Measure and show everything, then save it."""
    quick = "--quick" in sys.argv
    found = {}
    for title, module in GROUPS.items():
        found[title] = module.figures(quick)
        show(title, found[title])
    if not quick:
        for path in save(found):
            print(path)


if __name__ == "__main__":
    main()
