"""Measuring side by side, and how a measurement is shown.

Everything compared is timed in one run, in turns, so that a machine that slows down slows all of it. A figure is the
median of the turns. Nothing here is asserted by tests: times are looked at.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


@dataclass
class Figure:
    """One line of a table.

    Attributes
    ----------
    name
        What was measured.
    seconds
        The median time of each way of doing it, the first of them weft's.
    goal
        What is wanted of weft's, in words; empty if nothing is.
    met
        Whether it is so; None if that cannot be told (a peer is missing).
    missing
        The peers that could not be measured, and why.
    """

    name: str
    seconds: dict[str, float]
    goal: str = ""
    met: bool | None = None
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> float:
        """weft's time."""
        return self.seconds["weft"]

    def within(self, limit: float) -> Figure:
        """With the goal that weft takes at most so many seconds."""
        self.goal, self.met = f"≤ {shown(limit)}", self.ours <= limit
        return self

    def beats(self, *peers: str, factor: float = 1.0) -> Figure:
        """With the goal that weft is at least ``factor`` times as fast as the best of these (3 % is noise)."""
        best = min((t for name, t in self.seconds.items() if name.split(",")[0] in peers), default=None)
        self.goal = ("" if factor == 1.0 else f"{factor:g} × ") + " and ".join(peers)
        self.met = None if best is None else 1.03 * best >= factor * self.ours
        return self

    def times_at_most(self, factor: float, other: float, what: str) -> Figure:
        """With the goal that weft takes at most ``factor`` times another time."""
        self.goal, self.met = f"≤ {factor:g} × {what} (is {self.ours / other:.2f})", self.ours <= factor * other
        return self


def alternate(functions: dict[str, Callable[[], Any]], turns: int = 15, least: float = 0.002) -> dict[str, float]:
    """The median seconds of a call of each function.

    Parameters
    ----------
    functions
        What to call, by name. They are warmed up here.
    turns
        How often each gets its turn.
    least
        A turn repeats a short call until this many seconds have passed.
    """
    counts = {}
    for name, f in functions.items():
        f()
        n = 1
        while (t := _batch(f, n)) < least and n < 1 << 20:
            n = max(2 * n, int(1.2 * n * least / max(t, 1e-9)))
        counts[name] = n
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(turns):
        for name, f in functions.items():
            times[name].append(_batch(f, counts[name]) / counts[name])
    return {name: statistics.median(t) for name, t in times.items()}


def _batch(f: Callable[[], Any], n: int) -> float:
    turns = range(n)
    start = time.perf_counter()
    for _ in turns:
        f()
    return time.perf_counter() - start


def child(script: str | Path, *args: str, **environment: str) -> dict[str, Any]:
    """Run a Python file of ours in a new process; what it prints last is JSON."""
    command = [sys.executable, str(ROOT / script), *args]
    env = {**os.environ, **environment}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages have their byte code
    run = subprocess.run(command, env=env, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"{script} failed:\n{run.stderr}")
    return json.loads(run.stdout.splitlines()[-1])


def shown(seconds: float) -> str:
    """A time with three digits and a fitting unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 0.9995 * scale:
            break
    else:
        unit, scale = "ns", 1e-9
    n = seconds / scale
    return f"{n:.2f} {unit}" if n < 10 else f"{n:.1f} {unit}" if n < 100 else f"{n:.0f} {unit}"


def markdown(figures: Iterable[Figure]) -> str:
    """A table, with each peer's time and how many times weft's it is."""
    lines = ["| | weft | beside it | goal | |", "|---|---|---|---|---|"]
    for f in figures:
        peers = [f"{name} {shown(t)} ({t / f.ours:.2f}×)" for name, t in f.seconds.items() if name != "weft"]
        peers += [f"{name}: {why}" for name, why in f.missing.items()]
        verdict = {True: "met", False: "**not met**", None: ""}[f.met]
        lines.append(f"| {f.name} | {shown(f.ours)} | {'; '.join(peers)} | {f.goal} | {verdict} |")
    return "\n".join(lines)


def show(title: str, figures: Iterable[Figure]) -> None:
    """Print figures as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", pad_edge=False)
    for name in ("", "weft", "beside it (and how many times weft's)", "goal", ""):
        table.add_column(name, justify="right" if name == "weft" else "left")
    for f in figures:
        peers = [f"{name} {shown(t)} ({t / f.ours:.2f}×)" for name, t in f.seconds.items() if name != "weft"]
        peers += [f"[dim]{name}: {why}[/]" for name, why in f.missing.items()]
        verdict = {True: "[green]met[/]", False: "[red]not met[/]", None: ""}[f.met]
        table.add_row(f.name, shown(f.ours), "\n".join(peers), f.goal, verdict)
    Console(width=None if sys.stdout.isatty() else 150).print(table)


def machine() -> dict[str, str]:
    """What the figures depend on."""
    from importlib import metadata

    processor = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as f:
            processor = next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    versions = {}
    for name in ("weft", "numpy", "numba", "jax", "pythran"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "missing"
    from weft.build.artifact import find_toolchain

    tools = find_toolchain()
    return {
        "processor": processor, "cores": str(os.cpu_count()), "system": platform.platform(),
        "python": platform.python_version(), "compiler": tools.version if tools else "none", **versions,
    }  # fmt: skip


def save(groups: dict[str, list[Figure]]) -> list[Path]:
    """Write figures as JSON and as Markdown; returns the paths."""
    about, day = machine(), datetime.date.today().isoformat()
    slug = "-".join("".join(c if c.isalnum() else " " for c in about["processor"].lower()).split()[:5])
    base = RESULTS / f"{day}-{slug}-{about['cores']}cores"
    RESULTS.mkdir(exist_ok=True)
    record = {"date": day, "machine": about, "figures": {k: [asdict(f) for f in v] for k, v in groups.items()}}
    files = [base.with_suffix(".json"), base.with_suffix(".md")]
    files[0].write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    parts = [f"# {day}, {about['processor']}, {about['cores']} cores\n"]
    parts += [", ".join(f"{k} {v}" for k, v in about.items() if k not in ("processor", "cores")) + "\n"]
    parts += [f"## {title}\n\n{markdown(figures)}\n" for title, figures in groups.items()]
    files[1].write_text("\n".join(parts))
    return files
