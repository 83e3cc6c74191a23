"""Figures of many devices, for `benchmarks/devices.py`: a process of its own, whose CPU is eight devices.

Prints JSON: a list of names, seconds and goals.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ["WEFT_CPU_DEVICES"] = "8"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
HERE = Path(__file__).parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "examples")]

import statistics  # noqa: E402
import time  # noqa: E402

import digits  # noqa: E402
import numpy as np  # noqa: E402
import peers  # noqa: E402
from timing import alternate  # noqa: E402

import weft  # noqa: E402
import weft.numpy as wnp  # noqa: E402
from weft import _runtime, lax  # noqa: E402

QUICK = "--quick" in sys.argv
TURNS = 5 if QUICK else 21
rows = []


def row(name, seconds, **goal):
    rows.append({"name": name, "seconds": seconds, **goal})


def step_of_eight():
    """A tiny function on eight devices, with and without a collective."""
    jax = peers.jax()
    for title, f in {
        "pmap step of 8 devices, tiny function": lambda j: lambda x: x * 2.0 + 1.0,
        "the same with a pmean": lambda j: lambda x: x * 2.0 + j.lax.pmean(x, "i"),
    }.items():
        x = wnp.ones((8, 10))
        ours = weft.pmap(f(weft), axis_name="i")
        ways = {"weft": lambda g=ours, x=x: g(x).block_until_ready()}
        want = np.asarray(ours(x))
        if jax is not None:
            theirs = jax.pmap(f(jax), axis_name="i")
            y = theirs(np.ones((8, 10))) * 0 + 1.0
            np.testing.assert_allclose(theirs(np.ones((8, 10))), want)
            ways["JAX"] = lambda g=theirs, y=y: g(y).block_until_ready()
        row(title, alternate(ways, TURNS), within=60e-6, beats=["JAX"])


def bandwidth():
    """psum of 1e7 float32 over two devices, beside a copy of as much."""
    n = 10_000_000
    jax = peers.jax()
    x = wnp.ones((2, n), "float32")
    f = weft.pmap(lambda v: lax.psum(v, "i"), axis_name="i")
    assert float(f(x)[1, n - 1]) == 2.0
    source, out = np.ones((2, n), np.float32), np.zeros((2, n), np.float32)
    ways = {"weft": lambda: f(x).block_until_ready(), "copy": lambda: np.copyto(out, source)}
    if jax is not None:
        g = jax.pmap(lambda v: jax.lax.psum(v, "i"), axis_name="i")
        y = g(source) * 0.5
        ways["JAX"] = lambda: g(y).block_until_ready()
    row("psum of 1e7 float32 over 2 devices (a copy reads and writes as much)", alternate(ways, min(TURNS, 11)),
        beats=["copy"], factor=0.5)  # fmt: skip


def training():
    """A step of the digits' training: one device with one thread, and two devices with half a batch each."""
    n = 8192
    rng = np.random.default_rng(0)
    images, labels = rng.random((n, 64)), rng.integers(0, 10, n)
    params = weft.tree.map(wnp.asarray, digits.init())

    def step(p, x, y):
        value, grads = weft.value_and_grad(digits.loss)(p, x, y)
        return weft.tree.map(lambda p, g: p - 0.1 * g, p, grads), value

    def part(p, x, y):
        value, grads = weft.value_and_grad(digits.loss)(p, x, y)
        value, grads = lax.pmean((value, grads), "d")
        return weft.tree.map(lambda p, g: p - 0.1 * g, p, grads), value

    alone = weft.jit(step)
    both = weft.pmap(part, axis_name="d", in_axes=(None, 0, 0), out_axes=None)
    whole = [wnp.asarray(v) for v in (images, labels)]
    halves = [wnp.asarray(v.reshape(2, n // 2, *v.shape[1:])) for v in (images, labels)]
    threads = _runtime.thread_count()

    one, two = alone(params, *whole), both(params, *halves)
    np.testing.assert_allclose(one[1], two[1], rtol=1e-12)
    np.testing.assert_allclose(one[0][0]["w"], two[0][0]["w"], rtol=1e-9, atol=1e-12)
    # one after the other: changing the number of threads makes new ones
    seconds = alternate({"weft": lambda: weft.block_until_ready(both(params, *halves))}, TURNS)
    _runtime.set_thread_count(1)
    seconds |= alternate({"one device, one thread": lambda: weft.block_until_ready(alone(params, *whole))}, TURNS)
    _runtime.set_thread_count(threads)
    efficiency = seconds["one device, one thread"] / seconds["weft"] / 2
    row(f"a training step of the digits on 2 devices: efficiency {efficiency:.2f}", seconds, efficiency=efficiency)


def overlap():
    """Work of the host while a device computes, beside the same work alone."""
    f = weft.jit(lambda x: wnp.sum(wnp.sin(wnp.cos(wnp.sin(x)))))
    x = wnp.ones(4_000_000)
    threads = _runtime.thread_count()
    _runtime.set_thread_count(1)  # one core for the device, one for the host

    def host():
        start = time.perf_counter()
        for _ in range(300):
            sum(range(1000))
        return time.perf_counter() - start

    f(x).block_until_ready()
    alone, beside = [], []
    for _ in range(4 * TURNS):
        alone.append(host())
        y = f(x)
        beside.append(host())
        assert not y.is_ready() or _runtime.queueing() == "never"
        y.block_until_ready()
    _runtime.set_thread_count(threads)
    seconds = {"weft": statistics.median(beside), "alone": statistics.median(alone)}
    row("work of the host while a device computes", seconds, slower=1.05)


# JAX keeps threads of its own once it is used: last
for figure in (training, overlap, step_of_eight, bandwidth):
    figure()
print(json.dumps(rows))
