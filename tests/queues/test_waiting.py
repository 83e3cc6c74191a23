"""Queued calls return at once; whoever reads a result waits for it."""

from __future__ import annotations

import os
import pickle
import threading
import time
from typing import Any

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import _runtime

N = 50


@weft.jit
def double(x):
    return 2.0 * x + 1.0


def wanted() -> np.ndarray:
    return 2.0 * np.arange(float(N)) + 1.0


@pytest.fixture
def x() -> weft.Array:
    made = wnp.arange(float(N))
    double(made).block_until_ready()  # compiled
    return made


def test_a_call_returns_before_it_is_done(x, delay):
    delay(0.5)
    start = time.perf_counter()
    y = double(x)
    assert time.perf_counter() - start < 0.4
    assert not y.is_ready()
    assert (y.shape, y.dtype, y.device) == ((N,), np.dtype("f8"), weft.devices("cpu")[0])
    assert y.block_until_ready() is y
    assert y.is_ready()
    assert time.perf_counter() - start > 0.45
    np.testing.assert_array_equal(np.asarray(y), wanted())


READS = {
    "asarray": np.asarray,
    "array": lambda y: np.array(y, np.float32),
    "view": lambda y: y._view(),
    "buffer": lambda y: bytes(memoryview(y)),
    "dlpack": lambda y: np.from_dlpack(y),
    "item": lambda y: y[3].item(),
    "float": lambda y: float(y[3]),
    "bool": lambda y: bool(y[3] > 1.0),
    "repr": repr,
    "str": str,
    "tolist": lambda y: y.tolist(),
    "tobytes": lambda y: y.tobytes(),
    "pickle": lambda y: pickle.loads(pickle.dumps(y)).tolist(),
    "add": lambda y: (y + 1.0).tolist(),
    "radd": lambda y: (np.ones(N) + y).tolist(),
    "neg": lambda y: (-y).tolist(),
    "list": lambda y: (y + [1.0] * N).tolist(),
    "compare": lambda y: (y > 3.0).tolist(),
    "index": lambda y: y[5:9].tolist(),
    "iterate": lambda y: [float(v) for v in y],
    "contains": lambda y: 3.0 in y,
    "at": lambda y: y.at[3].set(0.0).tolist(),
    "reshape": lambda y: y.reshape(5, 10).tolist(),
    "shared": lambda y: y._reshaped((10, 5)).tolist(),
    "transpose": lambda y: y.T.tolist(),
    "method": lambda y: y.sum().item(),
    "function": lambda y: wnp.cumsum(y).tolist(),
    "functions": lambda y: wnp.concatenate([y, y]).tolist(),
    "numpy's function": lambda y: np.sum(y),
    "device_put": lambda y: np.asarray(weft.device_put(y, weft.devices("cpu")[0])).tolist(),
    "device_get": lambda y: weft.device_get({"y": y})["y"].tolist(),
    "block_until_ready": lambda y: weft.block_until_ready((y, [y]))[0].tolist(),
    "barrier": lambda y: (weft.effects_barrier(), y.tolist())[1],
    "index of another": lambda y: np.arange(3 * N)[y.astype(int)].tolist(),
}


@pytest.mark.parametrize("name", READS)
def test_every_read_waits(x, delay, name):
    read = READS[name]
    expected = read(weft.device_put(wanted()))
    delay(0.1)
    y = double(x)
    assert not y.is_ready()
    found = read(y)
    assert y.is_ready()
    np.testing.assert_array_equal(found, expected)


def test_results_of_queued_calls_are_arguments(x, delay):
    delay(0.1, count=3)
    a = double(x)
    b = double(a)
    c = weft.jit(lambda p, q: p * q)(a, b)
    assert not c.is_ready()
    first = wanted()
    np.testing.assert_array_equal(c, first * (2.0 * first + 1.0))


def test_captured_arrays_are_waited_for(x, delay):
    delay(0.1)
    a = double(x)
    f = weft.jit(lambda y: y + a)
    np.testing.assert_array_equal(f(x), np.arange(float(N)) + wanted())


def test_numpy_arguments_are_read_when_the_call_is_made(x, delay):
    f = weft.jit(lambda p, q, s: p + q * s)
    q = np.arange(float(2 * N))[::2]
    f(x, q, 2.0).block_until_ready()
    delay(0.1, count=2)
    y, z = f(x, q, 2.0), f(x, np.ascontiguousarray(q), np.float64(2.0))
    expected = np.arange(float(N)) + q * 2.0
    q[:] = -1.0
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(z, expected)


def test_arguments_may_go(x, delay):
    delay(0.1)
    held = wnp.arange(float(N)) + 0.0
    y = double(held)
    del held
    other = [wnp.zeros(N) for _ in range(20)]
    np.testing.assert_array_equal(y, wanted())
    assert len(other) == 20


def test_results_may_go(x, delay):
    delay(0.1)
    for _ in range(3):
        double(x)
    other = [wnp.ones(N) for _ in range(20)]
    weft.effects_barrier()
    assert all(np.all(np.asarray(o) == 1.0) for o in other)


def test_kinds_of_results(x, delay):
    @weft.jit
    def f(x, n):
        return {"sum": wnp.sum(x), "same": x, "none": None, "pair": (x[1:], wnp.zeros((n, 2)))}

    weft.block_until_ready(f(x, 3))
    delay(0.1)
    found = f(x, 4)
    assert not found["sum"].is_ready()
    assert found["same"] is x
    assert found["none"] is None
    assert found["pair"][0].shape == (N - 1,)
    assert found["sum"].item() == np.arange(float(N)).sum()
    np.testing.assert_array_equal(found["pair"][0], np.arange(1.0, N))
    np.testing.assert_array_equal(found["pair"][1], np.zeros((4, 2)))


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_sizes(n):
    f = weft.jit(lambda x: (wnp.concatenate([x, x[:1]]), x[:, None] * x))
    x = np.arange(float(n))
    a, b = f(weft.device_put(x))
    np.testing.assert_array_equal(a, np.concatenate([x, x[:1]]))
    np.testing.assert_array_equal(b, x[:, None] * x)


def test_what_is_not_queued(x, delay):
    @weft.jit
    def count(x):
        return wnp.nonzero(x > 3.0)[0]  # its size is known when it has run

    @weft.jit
    def number(v):
        return v * 2.0  # a float

    count(x), number(3.0), double(np.ones(3))
    delay(0.2, count=10)
    assert count(x).is_ready()
    assert number(3.0) == 6.0
    assert isinstance(double(np.ones(3)), np.ndarray)  # results of NumPy's flavour are whole when they are returned


def test_in_place_writes_are_done_when_the_call_returns(x, delay):
    @weft.jit
    def into(out, x):
        out[:] = x + 1.0
        return wnp.sum(x)

    out = np.zeros(N)
    into(out, x)
    out[:] = 0.0
    delay(0.2)
    y = double(x)
    into(out, y)
    np.testing.assert_array_equal(out, wanted() + 1.0)


def test_prints_keep_their_order(x, capfd, delay):
    @weft.jit
    def shout(x):
        print("inside", x[1])
        return x + 1.0

    shout(x)
    capfd.readouterr()
    delay(0.1)
    y = double(x)
    print("before", flush=True)
    z = shout(y)
    print("after", flush=True)
    assert capfd.readouterr().out.splitlines() == ["before", "inside 3.0", "after"]
    assert z[1] == 4.0


def test_loops_products_and_gradients_agree_with_the_inline_run(x):
    @weft.jit
    def f(a, b):
        y = a @ b
        for i in range(3):
            y = wnp.tanh(y) + a[i % 2]
        return wnp.sum(y**2), y

    rng = np.random.default_rng(0)
    a, b = (weft.device_put(rng.normal(size=(4, 4))) for _ in range(2))
    queued = f(a, b), weft.grad(lambda a, b: f(a, b)[0])(a, b), weft.vmap(double)(a)
    _runtime.set_queueing("never")
    inline = f(a, b), weft.grad(lambda a, b: f(a, b)[0])(a, b), weft.vmap(double)(a)
    for p, q in zip(weft.tree.leaves(queued), weft.tree.leaves(inline), strict=True):
        np.testing.assert_array_equal(p, q)


def test_by_cost_small_calls_run_at_once(x):
    _runtime.set_queueing("by cost")
    for _ in range(50):
        assert double(x).is_ready()


def test_by_cost_long_calls_are_queued():
    _runtime.set_queueing("by cost")
    f = weft.jit(lambda x: wnp.sin(wnp.cos(wnp.sin(x))))
    x = wnp.ones(2_000_000)
    f(x).block_until_ready()
    _runtime._inject("delay", 0, 1, 0.5)  # only queued calls are delayed, so that one is caught at it
    y = f(x)
    assert not y.is_ready()
    assert not (y[:3] + f(y)[:3]).tolist() == []


def test_the_setting(x):
    _runtime.set_queueing("by cost")
    with weft.config(cpu_enable_async_dispatch=False):
        assert _runtime.queueing() == "never"
        assert not weft.config.cpu_enable_async_dispatch
    assert weft.config.cpu_enable_async_dispatch
    with pytest.raises(ValueError, match="calls are queued"):
        _runtime.set_queueing("often")


def test_threads(x):
    """Several Python threads queue calls, and each waits for its own."""
    failures: list[Any] = []

    def work(seed: int) -> None:
        try:
            y = x + float(seed)
            for _ in range(50):
                y = double(y) * 0.5
            expected = np.arange(float(N)) + seed
            for _ in range(50):
                expected = (2.0 * expected + 1.0) * 0.5
            np.testing.assert_allclose(np.asarray(y), expected)
        except Exception as e:
            failures.append(e)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failures == []


def test_many_threads_wait_for_one_result(x, delay):
    delay(0.3)
    y = double(x)
    found: list[float] = []
    threads = [threading.Thread(target=lambda: found.append(float(y[7]))) for _ in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == [15.0] * 5


def test_the_caller_waits_when_the_queue_is_full(x, delay):
    delay(0.02, count=60)
    y = x
    start = time.perf_counter()
    for _ in range(60):
        y = double(y) * 0.0
    assert time.perf_counter() - start > 0.3  # JAX's bound is 32 calls, too
    assert y.tolist() == [0.0] * N


def test_other_threads_run_while_one_waits(x, delay):
    delay(0.4)
    y = double(x)
    ticks = 0
    waiter = threading.Thread(target=y.block_until_ready)
    waiter.start()
    while waiter.is_alive():
        ticks += 1
        time.sleep(0.01)
    assert ticks > 10


BINARY = (lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - 2.0 * b, lambda a, b: b)


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs(x, seed):
    """Calls of results of calls, some of them late."""
    rng = np.random.default_rng(seed)
    ops = [(weft.jit(f), f) for f in BINARY]
    ours = [wnp.asarray(rng.normal(size=8)) for _ in range(3)]
    theirs = [np.asarray(a) for a in ours]
    _runtime._inject("delay", 0, 1000, 0.001 * float(rng.random()))
    for _ in range(60):
        i, j = rng.integers(len(ours), size=2)
        mine, plain = ops[rng.integers(len(ops))]
        ours.append(mine(ours[i], ours[j]))
        theirs.append(plain(theirs[i], theirs[j]))
        if rng.random() < 0.2:
            k = int(rng.integers(len(ours)))
            ours[k], theirs[k] = ours[k] / (1.0 + abs(ours[k])), theirs[k] / (1.0 + abs(theirs[k]))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(a), b)


def test_soak(x):
    """10,000 steps, and no more memory than after the first thousand."""
    step = weft.jit(lambda w, v: (w * 0.5 + v, wnp.sum(w)))
    w = x
    for _ in range(1000):
        w, total = step(w, x)
    weft.effects_barrier()
    before = _runtime.pool_statistics()
    for _ in range(10_000):
        w, total = step(w, x)
    weft.effects_barrier()
    after = _runtime.pool_statistics()
    if "WEFT_SANITIZE" not in os.environ:  # there the pool keeps nothing
        assert after["from_system"] - before["from_system"] < 100
    np.testing.assert_allclose(np.asarray(w), 2.0 * np.arange(float(N)))
    assert total.is_ready()
