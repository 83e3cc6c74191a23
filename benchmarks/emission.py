"""What printing a program for CUDA takes, beside staging and lowering it (``python benchmarks/emission.py [--quick]``).

All functions of ``objectives/`` and their gradients go through; nothing is compiled, and no GPU is needed.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

from gradients import NAMES
from timing import Figure, show

GOAL = 0.2  # of the time for staging and lowering


def timed(f: Callable[..., Any], *args: Any) -> tuple[float, Any]:
    """A call's time and value."""
    start = time.perf_counter()
    value = f(*args)
    return time.perf_counter() - start, value


def figures(quick: bool = False) -> list[Figure]:
    """Measure: the sum over all functions of each one's shortest times."""
    from weft.codegen import cpp
    from weft.codegen.cuda import cuda
    from weft.lowering import lower

    total = {"staging and lowering": 0.0, "C++ text": 0.0, "weft": 0.0}
    for name in NAMES:
        for o in importlib.import_module(f"objectives.{name}").objectives():
            for t in (o.value(), o.gradient()):
                best = [1e9] * 4
                for _ in range(2 if quick else 5):
                    staging, program = timed(t.lower, *o.args)
                    lowering, lowered = timed(lower, program.function)
                    plain, _ = timed(cpp, lowered)
                    device, _ = timed(cuda, lower(program.function))
                    best = [min(a, b) for a, b in zip(best, (staging, lowering, plain, device))]
                total["staging and lowering"] += best[0] + best[1]
                total["C++ text"] += best[2]
                total["weft"] += best[3]
    figure = Figure("CUDA text of all objectives and their gradients", total)
    part = total["weft"] / total["staging and lowering"]
    more = (total["weft"] - total["C++ text"]) / total["staging and lowering"]
    figure.goal = f"≤ {GOAL:.0%} of staging and lowering (is {part:.0%}; {more:.0%} more than C++)"
    figure.met = part <= GOAL
    return [figure]


if __name__ == "__main__":
    show("CUDA text", figures("--quick" in sys.argv))
