"""How long a user waits: imports, first calls that compile, first calls from the cache, each in new processes."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import peers
from timing import ROOT, Figure, child, show

HERE = Path("benchmarks/children")


def figures(quick: bool = False) -> list[Figure]:
    """Measure; medians over new processes, the peers' in turn with weft's."""
    runs = 2 if quick else 7
    missing = peers.missing("numba", "jax")
    cold: dict[str, dict[str, list[float]]] = {"small": {}, "step": {}}
    warm: dict[str, dict[str, list[float]]] = {"small": {}, "step": {}}
    compiler: dict[str, list[float]] = {"small": [], "step": []}
    known: list[float] = []
    imports: dict[str, list[float]] = {}
    for _ in range(runs):
        for name in ("numpy", "weft", *(p for p in ("numba", "jax") if p not in missing)):
            imports.setdefault(name, []).append(child(HERE / "import_only.py", name)["seconds"])
        for what, script in (("small", HERE / "weft_small.py"), ("step", Path("examples/digits.py"))):
            with tempfile.TemporaryDirectory() as cache:
                _pair(cold[what], warm[what], "weft", script, WEFT_CACHE_DIR=cache)
                compiler[what].append(_compiler(cache))
        with tempfile.TemporaryDirectory() as cache:
            child(HERE / "find_compiler.py", WEFT_CACHE_DIR=cache)
            known.append(child(HERE / "weft_small.py", WEFT_CACHE_DIR=cache)["seconds"])
        if "jax" not in missing:
            for what in ("small", "step"):
                with tempfile.TemporaryDirectory() as cache:
                    _pair(cold[what], warm[what], "jax", HERE / f"jax_{what}.py", cache)
        if "numba" not in missing:
            with tempfile.TemporaryDirectory() as cache:
                _pair(cold["small"], warm["small"], "numba", HERE / "numba_small.py", "--cache", NUMBA_CACHE_DIR=cache)
    limits = {"small": (0.35, 0.015), "step": (1.5, 0.04)}
    titles = {"small": "three lines", "step": "training step"}
    found = []
    for what, title in titles.items():
        gone = missing if what == "small" else peers.missing("jax")
        found.append(
            Figure(f"{title}, first call, compiling", _medians(cold[what]), missing=gone).within(limits[what][0])
        )
        c = Figure(f"{title}, the compiler and linker alone", {"weft": statistics.median(compiler[what])})
        found.append(c.within(0.15) if what == "small" else c)
        found.append(
            Figure(f"{title}, first call in a second process", _medians(warm[what]), missing=gone).within(
                limits[what][1]
            )
        )
    found.insert(1, Figure("the same, the compiler being known", {"weft": statistics.median(known)}))
    f = Figure("import", _medians(imports), missing=missing)
    f.seconds = {"weft": f.seconds.pop("weft"), **f.seconds}
    return [*found, f.within(f.seconds["numpy"] + 0.06)]


def _pair(
    cold: dict[str, list[float]], warm: dict[str, list[float]], name: str, script: Path, *args: str, **env: str
) -> None:
    """A process that compiles, and one that finds what it left."""
    cold.setdefault(name, []).append(child(script, *args, **env)["seconds"])
    second = child(script, *args, **env)
    warm.setdefault(name, []).append(second["seconds"])
    if name == "weft":
        if second["loaded"] != 1:
            raise RuntimeError(f"{script}: the second process did not find the first one's program")
        if second.get("heavy"):
            raise RuntimeError(f"{script}: a warm start imported {second['heavy']}")


def _compiler(cache: str) -> float:
    """Seconds of the compiler and the linker for the file that the last child generated."""
    from weft.build.artifact import find_toolchain
    from weft.runtime import paths

    (source,) = Path(cache).glob("**/artifacts/*.cpp")
    tools = find_toolchain()
    assert tools is not None
    obj, out = source.with_suffix(".again.o"), source.with_suffix(".again.so")
    start = time.perf_counter()
    tools.compile(source, obj, include=[paths.kernels_dir(), paths.include_dir()])
    tools.link([obj, paths.binding_object()], out, libraries=paths.link_libraries())
    return time.perf_counter() - start


def _medians(times: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(t) for name, t in times.items()}


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "benchmarks"))
    show("waiting", figures("--quick" in sys.argv))
