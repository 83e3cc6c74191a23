"""What weft does on a GPU: builds, checks and times; results with date and card go into ``benchmarks/results``.

``python benchmarks/gpu/run.py`` does everything; ``--quick`` takes small sizes and saves nothing.
"""

from __future__ import annotations

import datetime
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gpu_programs as programs
import numpy as np

import weft
import weft.numpy as wnp
from weft import lax

sys.path.append(str(Path(__file__).resolve().parents[1]))
from timing import RESULTS, Figure, machine, markdown, show

TURNS = 7


def per_call(call: Callable[[], Any], least: float) -> float:
    """The median seconds of a call that is queued among others like it: after each turn all are waited for."""
    weft.block_until_ready(call())
    n = 1
    while (t := _turn(call, n)) < least and n < 1 << 16:
        n = max(2 * n, int(1.2 * n * least / max(t, 1e-9)))
    return statistics.median(_turn(call, n) for _ in range(TURNS)) / n


def _turn(call: Callable[[], Any], n: int) -> float:
    start = time.perf_counter()
    result = None
    for _ in range(n):
        result = call()
    weft.block_until_ready(result)
    return time.perf_counter() - start


def prepared(case: programs.Case, device: weft.Device, quick: bool) -> tuple[Callable[[], Any], int, tuple[Any, ...]]:
    """The call of a case, its arguments on the device; its first result is checked."""
    n = case.quick if quick else case.size
    args = case.inputs(n)
    f = weft.jit(case.function)
    there = [weft.device_put(a, device) if isinstance(a, np.ndarray) else a for a in args]
    case.check(weft.device_get(f(*there)), *args)
    return lambda: f(*there), n, args


def figures(device: weft.Device, quick: bool = False) -> list[Figure]:
    """All figures of a device."""
    least = 1e-3 if quick else 0.2
    found = []
    call, n, _ = prepared(programs.COPY, device, quick)
    copied = programs.COPY.moved(n) / per_call(call, least)  # bytes per second
    for case in (programs.CHAIN, programs.SOFTMAX, programs.SUM):
        call, n, _ = prepared(case, device, quick)
        seconds = per_call(call, least)
        ideal = case.moved(n) / copied
        title = f"{case.name}, {n:,} elements" if case is not programs.SOFTMAX else f"{case.name}, {n:,} × {n:,}"
        figure = Figure(title, {"weft": seconds, "at the speed of a copy": ideal})
        found.append(figure.times_at_most(1 / 0.8, ideal, "a copy of its data"))
    found.append(lorenz(device, quick, least))
    call, _, _ = prepared(programs.SMALL, device, quick)
    found.append(Figure(f"{programs.SMALL.name}, queued", {"weft": per_call(call, least)}).within(10e-6))
    found.append(Figure(f"{programs.SMALL.name}, waited for", {"weft": per_call(waiting(call), least)}))
    found.append(Figure(f"a copy within the device: {copied / 1e9:.0f} GB/s", {"weft": 1e9 / copied}))
    return found


def waiting(call: Callable[[], Any]) -> Callable[[], Any]:
    """A call that returns when its result is there."""
    return lambda: call().block_until_ready()


def lorenz(device: weft.Device, quick: bool, least: float) -> Figure:
    """The ensemble, beside JAX where that has a GPU."""
    case = programs.LORENZ
    call, n, args = prepared(case, device, quick)
    figure = Figure(f"{case.name}, {n:,}, steps of their own", {"weft": per_call(call, least)})
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # else it takes most of the card's memory
    try:
        import jax

        card = jax.devices("gpu")[0]
    except (ImportError, RuntimeError) as e:
        figure.missing["jax"] = f"no JAX with CUDA ({type(e).__name__})"
        return figure
    f = programs.lorenz_jax()
    there = [jax.device_put(a, card) for a in args]
    case.check([np.asarray(r) for r in f(*there)], *args)
    times = []
    for _ in range(TURNS):
        start = time.perf_counter()
        jax.block_until_ready(f(*there))
        times.append(time.perf_counter() - start)
    figure.seconds["jax, vmap of while_loop"] = statistics.median(times)
    return figure.beats("jax")


def together(gpus: Sequence[weft.Device], quick: bool = False) -> list[Figure]:
    """What all GPUs of this machine do together, against one that does its part alone."""
    least = 1e-3 if quick else 0.2
    n, size = len(gpus), 1000 if quick else 10_000_000
    rng = np.random.default_rng(0)
    there = weft.sharding.PmapSharding(tuple(gpus))

    def step(w: Any, x: Any, y: Any) -> Any:
        return w - 0.1 * lax.pmean(weft.grad(lambda w: wnp.mean((x @ w - y) ** 2))(w), "i")

    x, w = rng.standard_normal((n, 32, 8)), np.zeros(8)
    y = x @ np.arange(8.0)
    update = weft.pmap(step, "i", in_axes=(None, 0, 0), out_axes=None, devices=gpus)
    w, x, y = update(w, x, y), weft.device_put(x, there), weft.device_put(y, there)
    start = np.mean([-0.2 * a.T @ -b / 32 for a, b in zip(np.asarray(x), np.asarray(y), strict=True)], axis=0)
    np.testing.assert_allclose(w, start, rtol=1e-9)
    found = [Figure(f"a step of {n} GPUs with pmean, queued", {"weft": per_call(lambda: update(w, x, y), least)})]

    a = rng.standard_normal((n, size)).astype(np.float32)
    b = weft.device_put(a, there)
    for name, f, want in (
        ("psum", lambda v: lax.psum(v, "i"), a.sum(axis=0)),
        ("all_gather", lambda v: lax.all_gather(v, "i")[-1], a[-1]),
        ("ppermute", lambda v: lax.ppermute(v, "i", [(k, (k + 1) % n) for k in range(n)]), a[-1]),
    ):
        call = weft.pmap(f, "i", devices=gpus)
        np.testing.assert_allclose(call(b)[0], want, rtol=1e-4, atol=1e-4)
        found.append(
            Figure(f"{name} of {size:,} float32 on each of {n}", {"weft": per_call(lambda c=call: c(b), least)})
        )
    return found


def save(device: weft.Device, found: list[Figure]) -> list[Path]:
    """Write the figures as JSON and as Markdown; the paths."""
    day = datetime.date.today().isoformat()
    slug = "-".join("".join(c if c.isalnum() else " " for c in device.device_kind.lower()).split())
    about = {"card": device.device_kind, "architecture": device.architecture, "driver": f"CUDA {device.driver}"}
    about |= {"memory": f"{device.memory_stats()['bytes_limit'] / 2**30:.1f} GiB", **machine()}
    base = RESULTS / f"{day}-gpu-{slug}"
    files = [base.with_suffix(".json"), base.with_suffix(".md")]
    record = {"date": day, "machine": about, "figures": [asdict(f) for f in found]}
    files[0].write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    head = f"# {day}, {device.device_kind}\n\n" + ", ".join(f"{k} {v}" for k, v in about.items() if k != "card")
    files[1].write_text(f"{head}\n\n{markdown(found)}\n")
    return files


def main() -> None:
    """Measure and show everything, then save it."""
    quick = "--quick" in sys.argv
    try:
        device = weft.devices("gpu")[0]
    except RuntimeError as e:
        sys.exit(f"Nothing is measured, since there is no GPU here.\n{e}")
    found = [*figures(device, quick), *together(weft.devices("gpu"), quick)]
    show(f"{device.device_kind}, {datetime.date.today().isoformat()}", found)
    if not quick:
        for path in save(device, found):
            print(path)


if __name__ == "__main__":
    main()
