"""What queues and several devices of the CPU cost: dispatch of eight parts, `psum`'s bandwidth, work beside a device.

The plans are the runtime's own, with kernels written by hand: nothing of the compiler is measured here.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("WEFT_CPU_DEVICES", "8")
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "tests" / "runtime")]

import numpy as np  # noqa: E402
from conftest import Kernels  # noqa: E402
from timing import Figure, alternate, show  # noqa: E402

import weft  # noqa: E402
import weft.numpy as wnp  # noqa: E402
from weft import _runtime  # noqa: E402
from weft._runtime import Collective  # noqa: E402
from weft.runtime import Dispatcher, Plan  # noqa: E402

SAME = [("array", "f4", 1, "weft", -1, [(0, [(0, 1)])])]
TINY = """
  float* r = (float*)ctx->result(ctx, 0, 1, sizes);
  if (!r) return WEFT_NO_MEMORY;
  for (weft_i64 i = 0; i < sizes[0]; ++i) r[i] = ((float*)in[0])[i] * 2;
"""
SUM = """
  float* r = (float*)ctx->result(ctx, 0, 1, sizes);
  if (!r) return WEFT_NO_MEMORY;
  WeftView views[2] = {{in[0], 11, 1, sizes}, {r, 11, 1, sizes}};
  return ctx->host(ctx, 0, 2, views);
"""


def on(kernels: Kernels, count: int, body: str, **options):
    """A function of one array, split over devices."""
    entry = kernels.entry(body)

    def slow(args, kwargs):
        plan = Plan(entry, results=SAME, tree=("leaf", 0), heavy=True, **options,
                    spmd=(weft.devices("cpu")[:count], (True,), (True,)))  # fmt: skip
        made.add(made.signature(args, kwargs).key, plan)
        return made.run(plan, args, kwargs)

    made = Dispatcher(slow)
    return made


def dispatch(kernels: Kernels, turns: int) -> list[Figure]:
    """A step of eight devices of a few numbers."""
    x = wnp.ones((8, 10), np.float32)
    found = []
    for title, body, options in [("without", TINY, {}), ("with a psum", SUM, {"host": [Collective("psum")]})]:
        f = on(kernels, 8, body, **options)
        np.testing.assert_array_equal(f(x), np.full((8, 10), 2.0 if body is TINY else 8.0, np.float32))
        found.append(Figure(f"step of 8 devices, {title}", alternate({"weft": lambda f=f: f(x)}, turns)).within(60e-6))
    return found


def bandwidth(kernels: Kernels, turns: int) -> list[Figure]:
    """`psum` of 1e7 float32 over two devices, beside what NumPy's copy moves."""
    n = 10_000_000
    f = on(kernels, 2, SUM, host=[Collective("psum")])
    x, out = wnp.ones((2, n), np.float32), np.empty((2, n), np.float32)
    source = np.asarray(x)
    f(x).block_until_ready()
    seconds = alternate({"weft": lambda: f(x).block_until_ready(), "copy": lambda: np.copyto(out, source)}, turns)
    # Both read two arrays and write two.
    figure = Figure("psum of 1e7 float32, 2 devices", seconds)
    return [figure.beats("copy", factor=0.5)]


def overlap(turns: int) -> list[Figure]:
    """Work of the host while a device computes, beside the same work alone."""
    f = weft.jit(lambda x: wnp.sum(wnp.sin(wnp.cos(wnp.sin(x)))))
    x = wnp.ones(4_000_000)
    before = _runtime.thread_count()
    _runtime.set_thread_count(1)  # one core for the device, one for the host

    def host():
        total, end = 0.0, time.perf_counter() + 0.05
        count = 0
        while time.perf_counter() < end:
            total += sum(range(1000))
            count += 1
        return count

    f(x).block_until_ready()
    alone, beside = [], []
    for _ in range(turns):
        alone.append(host())
        y = f(x)
        z = f(x)
        beside.append(host())
        weft.block_until_ready((y, z))
    _runtime.set_thread_count(before)
    share = float(np.median(beside) / np.median(alone))
    print(f"host work beside a device: {share:.3f} of what it does alone (goal: >= 0.95)")
    return []


def figures(quick: bool = False) -> list[Figure]:
    """Measure."""
    turns = 5 if quick else 31
    with tempfile.TemporaryDirectory() as folder:
        kernels = Kernels(Path(folder))
        return [*dispatch(kernels, turns), *bandwidth(kernels, turns), *overlap(turns)]


if __name__ == "__main__":
    show("queues and devices", figures("--quick" in sys.argv))
