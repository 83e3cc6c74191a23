"""Ahead of time: `weft build` of ten functions, importing the module, and calling a scalar function of it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers
from timing import ROOT, Figure, child, show

CASES = Path("benchmarks/cases/built.py")
CHILD = Path("benchmarks/children/built.py")


def figures(quick: bool = False) -> list[Figure]:
    """Measure; builds, imports and calls in new processes."""
    runs = 1 if quick else 5
    builds: list[float] = []
    one: list[float] = []
    imports: list[float] = []
    calls: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as root, tempfile.TemporaryDirectory() as cache:
        for run in range(runs):
            out = Path(root) / str(run)
            command = [sys.executable, "-m", "weft", "build", str(CASES), "-o", str(out), "--name", "ten"]
            builds.append(seconds_of(command, cache))
            one.append(seconds_of([*command[:-1], "native_ten", "--march", "native"], cache))
        for _ in range(3 * runs):
            found = child(CHILD, str(out), "numba" if not peers.missing("numba") else "")
            if found["heavy"]:
                raise RuntimeError(f"a built module imports {found['heavy']}")
            imports.append(found["import"])
            for name, seconds in found["calls"].items():
                calls.setdefault(name, []).append(seconds)
    times = {name: statistics.median(t) for name, t in calls.items()}
    return [
        Figure("build of ten functions, three levels", {"weft": statistics.median(builds)}).within(15.0),
        Figure("the same, for this processor alone", {"weft": statistics.median(one)}),
        Figure("import of the module, NumPy being there", {"weft": statistics.median(imports)}).within(0.03),
        Figure("a call of a scalar function", times, missing=peers.missing("numba")).within(1e-6),
    ]


def seconds_of(command: list[str], cache: str) -> float:
    """How long a process takes."""
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "WEFT_CACHE_DIR": cache}
    )
    took = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(done.stderr)
    return took


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "benchmarks"))
    show("ahead of time", figures("--quick" in sys.argv))
