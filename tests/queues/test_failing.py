"""Errors of queued calls, and what depends on them."""

from __future__ import annotations

import threading
import traceback

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import _runtime


@weft.jit
def pick(x, i):
    return x + x[i]


@weft.jit
def double(x):
    return 2.0 * x


@pytest.fixture
def bad(delay) -> weft.Array:
    x = wnp.arange(5.0)
    weft.block_until_ready((pick(x, 1), double(x)))
    delay(0.1)
    return pick(x, 9)


def refused() -> pytest.RaisesExc:
    return pytest.raises(IndexError, match="index 9 is out of bounds for axis 0 with size 5")


READS = [
    np.asarray, repr, str, bool, float, list, lambda a: a + 1.0, lambda a: a[0], lambda a: a.tolist(), lambda a: a.T,
    lambda a: a.block_until_ready(), lambda a: weft.block_until_ready([1, {"a": a}]), lambda a: memoryview(a),
    lambda a: wnp.sum(a), lambda a: a.at[0].set(1.0), weft.device_get, lambda a: np.from_dlpack(a),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(READS)))
def test_reading_raises(bad, number):
    assert not bad.is_ready()
    assert bad.shape == (5,)
    with refused():
        READS[number](bad)
    assert bad.is_ready()
    with refused():
        READS[number](bad)


def test_what_depends_on_it_raises_the_same(bad):
    a = double(bad)
    b = pick(a, 0)
    c = weft.jit(lambda p, q: p * q)(b, wnp.arange(5.0))
    for x in (c, a, bad, b, c):
        with refused():
            x.block_until_ready()
    with refused():
        double(c).tolist()  # queued after it is known


def test_calls_that_are_not_queued_raise_at_once(bad):
    with refused():
        weft.jit(lambda x: wnp.nonzero(x)[0])(bad)
    with refused():
        weft.jit(lambda p: p)(bad)  # nothing is computed that could be waited for
    out = np.zeros(5)

    @weft.jit
    def into(out, x):
        out[:] = x

    with refused():
        into(out, bad)
    assert not out.any()
    _runtime.set_queueing("never")
    with refused():
        double(bad)


def test_other_calls_are_not_harmed(bad):
    assert double(wnp.ones(5)).tolist() == [2.0] * 5
    with refused():
        bad.block_until_ready()


def test_the_traceback_does_not_grow(bad):
    lengths = set()
    for _ in range(5):
        try:
            bad.block_until_ready()
        except IndexError as e:
            lengths.add(len(traceback.extract_tb(e.__traceback__)))
    assert len(lengths) == 1
    assert lengths.pop() <= 3


def test_no_cycle_through_the_error(program):
    found = program(
        """
import weakref
pick = weft.jit(lambda x, i: x + x[i])
def f():
    a = pick(wnp.arange(5.0), 9)
    try:
        a.block_until_ready()
    except IndexError:
        pass
    return weakref.ref(a)
print(f()() is None)
"""
    )
    assert (found.stdout, found.stderr, found.returncode) == ("True\n", "", 0)


def test_the_barrier_raises_what_nobody_saw_once(bad):
    with refused():
        weft.effects_barrier()
    weft.effects_barrier()
    with refused():
        bad.block_until_ready()


def test_the_barrier_knows_what_was_seen(bad):
    with refused():
        bad.block_until_ready()
    weft.effects_barrier()


def test_several_errors(bad):
    other = pick(wnp.arange(3.0), 7)
    with refused():
        weft.effects_barrier()
    with pytest.raises(IndexError, match="index 7"):
        weft.effects_barrier()
    weft.effects_barrier()
    with pytest.raises(IndexError, match="index 7"):
        other.block_until_ready()


def test_threads_get_the_error_each(bad):
    found = []

    def read():
        try:
            bad.block_until_ready()
        except IndexError as e:
            found.append(e)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len({id(e) for e in found}) == 4


def test_user_exceptions_and_messages(delay):
    @weft.jit
    def check(x, n):
        for i in range(n):
            if x[i] < 0.0:
                raise ValueError(f"negative at {i}")
        return x + 1.0

    x = wnp.array([1.0, 2.0, -3.0])
    check(x, 2).block_until_ready()
    delay(0.1)
    y = check(x, 3)
    with pytest.raises(ValueError, match="negative at 2"):
        y.block_until_ready()


def test_injected_faults(delay):
    x = wnp.ones(1000)
    f = weft.jit(lambda x: wnp.cumsum(wnp.sort(x) * 2.0))
    f(x).block_until_ready()
    _runtime._inject("raise", 0)
    y, z = f(x), f(x)
    with pytest.raises(RuntimeError, match="a fault that was asked for"):
        y.block_until_ready()
    assert z[999] == 2000.0
    with pytest.raises(ValueError, match="a fault is"):
        _runtime._inject("nonsense")


def test_out_of_memory():
    @weft.jit
    def f(x):
        y = wnp.sort(x)
        for i in range(3):
            y = wnp.cumsum(y[::-1])  # needs memory of its own
        return y

    x = wnp.ones(1000)
    f(x).block_until_ready()
    _runtime._inject("memory", 0, 1000)
    y = f(x)
    with pytest.raises(MemoryError):
        y.block_until_ready()
    _runtime._inject("none")
    assert f(x).block_until_ready().shape == (1000,)
    huge = weft.jit(lambda n: wnp.zeros(n) + 1.0)
    with pytest.raises(MemoryError):
        weft.jit(lambda x, n: wnp.zeros((n, n)) + x[0])(x, 2**40)
    assert huge(3).tolist() == [1.0] * 3
