"""One CPU as several devices, which share its memory. Run by test_eight_devices.py."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import _runtime

CPU = weft.devices("cpu")


@weft.jit
def double(x):
    return 2.0 * x


def address(x: weft.Array) -> int:
    return np.asarray(x).ctypes.data


def test_devices():
    assert [repr(d) for d in CPU] == [f"CpuDevice(id={k})" for k in range(8)]
    assert all(a is b for a, b in zip(CPU, weft.devices("cpu"), strict=True))
    assert weft.device_count() == weft.local_device_count() == len(weft.local_devices()) == 8
    assert weft.config.cpu_devices == weft.config.num_cpu_devices == 8
    assert weft.default_backend() == "cpu"


def test_the_number_is_settled():
    weft.config.cpu_devices = 8
    with pytest.raises(RuntimeError, match="the CPU has 8 devices, and they are in use"):
        weft.config.update("jax_num_cpu_devices", 4)
    with pytest.raises(RuntimeError, match="is 1 to 1024"):
        weft.config.cpu_devices = 0


def test_moving_between_devices_copies_nothing():
    x = wnp.arange(5.0)
    assert x.device is CPU[0] and not x.committed
    y = weft.device_put(x, CPU[3])
    assert y.device is CPU[3] and y.committed and y.devices() == {CPU[3]}
    assert address(x) == address(y)
    z = weft.device_put(y, CPU[0])
    assert z.device is CPU[0] and z.committed
    assert weft.device_put(y, CPU[3]) is y
    assert weft.device_put(np.arange(3.0), CPU[2]).device is CPU[2]
    assert y.to_device(CPU[1]).device is CPU[1]
    assert np.asarray(y, copy=False).tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert y.__dlpack_device__() == (1, 0)
    assert np.from_dlpack(y).tolist() == y.tolist()


def test_calls_run_where_their_arguments_are():
    y = weft.device_put(wnp.arange(3.0), CPU[5])
    for _ in range(3):
        z = double(y)
        assert z.device is CPU[5] and z.committed
    both = weft.jit(lambda a, b: (a + b, wnp.sum(a)))(y, wnp.ones(3))
    assert [a.device for a in both] == [CPU[5]] * 2


def test_operators_and_functions_stay():
    y = weft.device_put(wnp.arange(4.0), CPU[2])
    other = wnp.ones(4)
    results = [
        y + 1.0, 1.0 - y, y * other, other + y, -y, y[1:], y[0], y > 1.0, y.T, y.sum(), wnp.cumsum(y),
        wnp.concatenate([other, y]), y.reshape(2, 2), wnp.stack((y, y)), y + [1.0, 2.0, 3.0, 4.0], y.astype("f4"),
    ]  # fmt: skip
    assert [r.device for r in results] == [CPU[2]] * len(results)
    assert all(r.committed for r in results)
    assert [r.device for r in wnp.split(y, 2)] == [CPU[2]] * 2
    assert (other + 1.0).device is CPU[0] and not (other + 1.0).committed


def test_default_device():
    with weft.default_device(CPU[4]):
        x = wnp.zeros(3)
        assert x.device is CPU[4] and not x.committed
        assert double(x).device is CPU[4]
        assert (x + 1.0).device is CPU[4]
    assert wnp.zeros(3).device is CPU[0]
    assert double(x).device is CPU[0]  # nothing says otherwise
    with weft.default_device("cpu"):
        assert wnp.zeros(3).device is CPU[0]


def test_conflicts():
    a, b = (weft.device_put(wnp.ones(2), CPU[k]) for k in (1, 2))
    with pytest.raises(ValueError, match="Received incompatible devices for jitted computation"):
        weft.jit(lambda a, b: a + b)(a, b)
    with pytest.raises(ValueError, match="Received incompatible devices for an operation"):
        a + b
    with pytest.raises(ValueError, match="Received incompatible devices for an operation"):
        wnp.concatenate([a, b])


def test_moving_what_is_pending():
    _runtime.set_queueing("always")
    x = wnp.ones(3)
    double(x).block_until_ready()
    _runtime._inject("delay", 0, 1, 0.2)
    y = double(x)
    moved = weft.device_put(y, CPU[1])
    assert not moved.is_ready() and moved.device is CPU[1]
    z = double(moved)
    assert not z.is_ready() and z.device is CPU[1]
    assert z.tolist() == [4.0] * 3


def test_each_device_has_a_queue():
    _runtime.set_queueing("always")
    x = [weft.device_put(wnp.ones(3) + k, CPU[k]) for k in range(8)]
    weft.block_until_ready([double(v) for v in x])
    _runtime._inject("delay", 3, 1, 0.5)
    slow = double(x[3])
    start = time.perf_counter()
    others = [double(x[k]).tolist() for k in (0, 1, 2, 4)]
    if len(os.sched_getaffinity(0)) > 1:
        assert time.perf_counter() - start < 0.4
        assert not slow.is_ready()
    assert others == [[2.0 + 2.0 * k] * 3 for k in (0, 1, 2, 4)]
    assert slow.tolist() == [8.0] * 3


def test_dependencies_across_devices():
    _runtime.set_queueing("always")
    _runtime._inject("delay", 1, 100, 0.01)
    rng = np.random.default_rng(0)
    add = weft.jit(lambda a, b: 0.5 * (a + b))
    ours = [weft.device_put(wnp.asarray(rng.normal(size=10)), CPU[k]) for k in range(8)]
    theirs = [np.asarray(a) for a in ours]
    for step in range(200):
        i, j = rng.integers(8, size=2)
        ours[i] = add(ours[i], weft.device_put(ours[j], CPU[i]))
        theirs[i] = 0.5 * (theirs[i] + theirs[j])
    _runtime._inject("none")
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_cores_are_shared():
    """However many devices there are, no more threads compute than there are cores."""
    _runtime.set_queueing("always")
    f = weft.jit(lambda x: wnp.sin(wnp.cos(x)) + x)
    x = [weft.device_put(wnp.ones(200_000), CPU[k]) for k in range(8)]
    y, most = x, 0
    for _ in range(5):
        y = [f(v) for v in y]
        most = max(most, _runtime.computing_threads())
    weft.block_until_ready(y)
    assert most <= _runtime.thread_count()
    CPU[3].synchronize()
    for v in y[1:]:
        np.testing.assert_array_equal(v, y[0])


def test_errors_cross_devices():
    _runtime.set_queueing("always")
    pick = weft.jit(lambda x, i: x + x[i])
    bad = pick(weft.device_put(wnp.ones(2), CPU[1]), 7)
    moved = double(weft.device_put(bad, CPU[2]))
    with pytest.raises(IndexError, match="index 7"):
        moved.tolist()
    with pytest.raises(IndexError, match="index 7"):
        bad.tolist()
