"""Devices, copies to and from them, and their memory."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import NamedTuple

import numpy as np
import pytest

import weft
import weft.numpy as wnp


class Pair(NamedTuple):
    a: object
    b: object


def test_names(fake, gpu, second):
    assert weft.devices("gpu") == weft.devices("cuda") == weft.local_devices(backend="gpu")
    assert weft.devices("gpu")[:2] == [gpu, second]
    assert weft.device_count("gpu") == weft.local_device_count("gpu") == 8
    assert (gpu.platform, gpu.id, gpu.device_kind, gpu.process_index) == ("gpu", 0, "Fake GPU 0", 0)
    assert (repr(second), second.architecture, second.driver) == ("CudaDevice(id=1)", "sm_90", "12.4")
    assert len({gpu, second, weft.devices("gpu")[0]}) == 2
    cpu = weft.devices("cpu")[0]
    assert (cpu.platform, cpu.id, cpu.device_kind, repr(cpu)) == ("cpu", 0, "cpu", "CpuDevice(id=0)")
    assert isinstance(cpu, weft.Device) and isinstance(gpu, weft.Device)
    cpus = weft.devices("cpu")  # one, unless another test made more
    assert weft.devices() == cpus and weft.default_backend() == "cpu" and weft.device_count() == len(cpus)
    with pytest.raises(RuntimeError, match="Unknown backend 'tpu'"):
        weft.devices("tpu")
    with pytest.raises(ValueError, match="process_index 3"):
        weft.local_devices(3)


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i4", "u1", "?", "c16", "c8"])
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (7, 5), (2, 1, 3, 1, 2)])
def test_there_and_back(fake, gpu, dtype, shape):
    x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    a = weft.device_put(x, gpu)
    assert (a.shape, a.dtype, a.device, a.committed) == (shape, np.dtype(dtype), gpu, True)
    assert a.block_until_ready() is a
    back = weft.device_get(a)
    assert type(back) is np.ndarray and not back.flags.writeable
    np.testing.assert_array_equal(back, x)
    assert np.asarray(a).ctypes.data == back.ctypes.data  # copied once
    assert np.array(a).flags.writeable


@pytest.mark.parametrize("n", [100_000, 524_288, 524_289, 3_000_000])
def test_large_copies_go_in_pieces(fake, gpu, n):
    x = np.random.default_rng(n).random(n)
    a = weft.device_put(x, gpu)
    kept = x.copy()
    x[:] = -1  # the caller's again at once
    b = weft.device_put(np.full(1000, 2.0), gpu)
    np.testing.assert_array_equal(np.asarray(a), kept)
    np.testing.assert_array_equal(np.asarray(b), np.full(1000, 2.0))


def test_unusual_layouts(fake, gpu):
    for x in (np.arange(20.0)[::-2], np.arange(12.0).reshape(3, 4).T, np.arange(5).astype(">i4")):
        np.testing.assert_array_equal(np.asarray(weft.device_put(x, gpu)), x)
    with pytest.raises(TypeError, match="cannot hold"):
        weft.device_put(np.array(["text"]), gpu)


def test_containers(fake, gpu):
    tree = {"w": np.ones(2), "rest": [1.0, (wnp.arange(3.0), None)], "pair": Pair(np.int32(4), 2j)}
    put = weft.device_put(tree, gpu)
    assert type(put["pair"]) is Pair and put["pair"].a.dtype == np.int32 and put["pair"].b.dtype == np.complex128
    assert put["rest"][1][1] is None
    assert {put["w"].device, put["rest"][0].device, put["rest"][1][0].device} == {gpu}
    got = weft.device_get(put)
    assert got["w"].tolist() == [1, 1] and got["rest"][0] == 1 and got["rest"][1][0].tolist() == [0, 1, 2]
    assert weft.device_get({"x": 1.5, "s": None}) == {"x": 1.5, "s": None}
    assert weft.block_until_ready(put) is put
    with pytest.raises(TypeError, match="a device is one of weft.devices"):
        weft.device_put(1.0, "gpu")
    with pytest.raises(TypeError, match="not valid|cannot hold"):
        weft.device_put("text", gpu)


def test_without_a_device(fake, gpu):
    a = weft.device_put(np.ones(2))
    assert a.device.platform == "cpu" and not a.committed
    assert weft.device_put(a) is a
    b = weft.device_put(np.ones(2), gpu)
    assert weft.device_put(b) is b
    with weft.default_device(gpu):
        c = weft.device_put(np.ones(2))
        assert c.device is gpu and not c.committed


def test_the_same_device_shares_memory(fake, gpu):
    a = weft.device_put(np.arange(3.0), gpu)
    assert weft.device_put(a, gpu) is a
    with weft.default_device(gpu):
        free = wnp.arange(3.0)
    used = gpu.memory_stats()["bytes_in_use"]
    committed = weft.device_put(free, gpu)
    assert committed.committed and not free.committed
    assert gpu.memory_stats()["bytes_in_use"] == used
    assert np.asarray(committed).tolist() == [0, 1, 2]
    x = wnp.arange(3.0)
    cpu = weft.devices("cpu")[0]
    y = weft.device_put(x, cpu)
    assert y.committed and not x.committed and weft.device_put(y, cpu) is y


def test_between_devices(fake, gpu, second):
    x = np.arange(10_000.0)
    a = weft.device_put(x, gpu)
    b = weft.device_put(a, second)
    assert b.device is second and fake.queued(1) > 0
    del a
    gc.collect()
    c = weft.device_put(-x, gpu)  # gets the memory of `a`, behind the copy
    np.testing.assert_array_equal(np.asarray(b), x)
    np.testing.assert_array_equal(np.asarray(c), -x)
    d = weft.device_put(b, weft.devices("cpu")[0])
    assert d.device.platform == "cpu" and d.committed
    np.testing.assert_array_equal(np.asarray(d), x)


def test_array_protocols(fake, gpu):
    a = weft.device_put(np.arange(6.0).reshape(2, 3), gpu)
    assert repr(a) == "Array([[0., 1., 2.],\n       [3., 4., 5.]])"
    assert a.tolist() == [[0, 1, 2], [3, 4, 5]] and a.item(4) == 4.0 and len(a) == 2
    assert (a.ndim, a.size, a.nbytes, a.itemsize) == (2, 6, 48, 8)
    assert memoryview(a).tolist() == a.tolist()
    assert bool(weft.device_put(1.0, gpu)) is True and int(weft.device_put(3, gpu)) == 3
    assert f"{weft.device_put(0.5, gpu):.3f}" == "0.500"
    assert 4.0 in a and a.__array__(np.float32).dtype == np.float32
    assert copy.copy(a) is a
    again = pickle.loads(pickle.dumps(a))
    assert again.device.platform == "cpu" and again.tolist() == a.tolist()
    with pytest.raises(ValueError, match="without a copy"):
        a.__array__(copy=False)
    assert a.__dlpack_device__() == (2, 0)
    with pytest.raises(BufferError, match="not exported yet"):
        a.__dlpack__()
    with pytest.raises(TypeError, match="immutable"):
        a[0] = 1
    with pytest.raises(TypeError, match="unsized"):
        len(weft.device_put(1.0, gpu))


# -- memory ------------------------------------------------------------------------------------------------------------


def test_memory_is_used_again(fake, gpu):
    gc.collect()
    gpu.trim()
    stats = gpu.memory_stats()
    assert stats["bytes_kept"] == 0 and stats["bytes_limit"] == 64 << 20
    used, got = stats["bytes_in_use"], fake.used()
    a = weft.device_put(np.zeros(1000), gpu)
    assert gpu.memory_stats()["bytes_in_use"] == used + 8192  # four sizes to a power of two
    del a
    assert gpu.memory_stats()["bytes_kept"] == 8192
    allocated = fake.count("cuMemAlloc_v2")
    for n in (1000, 900, 1020):
        weft.device_put(np.zeros(n), gpu)
    assert fake.count("cuMemAlloc_v2") == allocated
    gpu.trim()
    assert gpu.memory_stats()["bytes_kept"] == 0 and fake.used() == got


def test_out_of_memory_frees_the_pool_first(fake, gpu):
    gc.collect()
    gpu.trim()
    b = weft.device_put(np.ones(1_500_000), gpu)
    a = weft.device_put(np.zeros(3_000_000), gpu)
    del a
    freed = fake.count("cuMemFree_v2")
    c = weft.device_put(np.full(5_000_000, 2.0), gpu)  # 12 + 40 of 64 MB: not without the 24 that the pool has
    assert fake.count("cuMemFree_v2") > freed
    assert np.asarray(b).sum() == 1_500_000 and np.asarray(c)[-1] == 2
    with pytest.raises(MemoryError) as e:
        weft.device_put(np.zeros(3_000_000), gpu)
    assert str(e.value) == (
        "out of memory on CudaDevice(id=0) (Fake GPU 0): 22.89 MiB were asked for; weft's arrays hold "
        f"{gpu.memory_stats()['bytes_in_use'] / 2**20:.4g} MiB, its pool 0 bytes, and the device has 64 MiB, "
        f"{64 - fake.used() / 2**20:.4g} MiB of it free"
    )
    with pytest.raises(MemoryError, match="1 GiB were asked for"):
        weft.device_put(np.broadcast_to(np.uint8(1), 1 << 30), gpu)


def test_a_call_without_memory(fake, gpu):
    @weft.jit
    def grow(x, n):
        return x[0] + wnp.zeros(n)

    a = weft.device_put(np.ones(3), gpu)
    assert grow(a, 5).shape == (5,)
    with pytest.raises(MemoryError, match=r"out of memory on CudaDevice\(id=0\).*: 76.29 MiB were asked for"):
        grow(a, 10_000_000)
    assert np.asarray(grow(a, 2)).tolist() == [1, 1]


def test_the_pool_has_a_limit(run):
    text = """
import numpy as np, weft
d = weft.devices("gpu")[0]
a = [weft.device_put(np.zeros(100_000), d) for _ in range(3)]
print(d.memory_stats()["bytes_in_use"])
a.pop(); print(d.memory_stats()["bytes_kept"])
a.pop(); print(d.memory_stats()["bytes_kept"])
"""
    assert run(text, "devices=1 memory=67108864", WEFT_POOL_LIMIT="1000000").split() == ["2752512", "917504", "0"]


def test_the_kernels_heap_is_set(run):
    text = """
import ctypes, os, weft
weft.devices("gpu")
print(ctypes.CDLL(os.environ["WEFT_CUDA_DRIVER"]).fake_count(b"limit2"))
"""
    assert run(text, "devices=1 memory=1048576") == "65536\n"
    assert run(text, "devices=1 memory=1048576", WEFT_DEVICE_HEAP="12345") == "12345\n"


def test_is_ready_asks_without_waiting(fake, gpu):
    arrays = [weft.device_put(np.arange(3.0) + k, gpu) for k in range(5)]
    before = fake.count("cuEventSynchronize"), fake.count("cuStreamSynchronize")
    answers = []
    while not answers or not answers[-1]:  # the fake queue goes on when it is asked
        answers.append(arrays[-1].is_ready())
        assert len(answers) < 100
    assert answers[0] is False
    assert all(a.is_ready() for a in arrays)
    assert (fake.count("cuEventSynchronize"), fake.count("cuStreamSynchronize")) == before
    found = weft.pmap(lambda x: x + 1, devices=[gpu])(np.zeros((1, 2)))
    assert not found.is_ready() and found.block_until_ready().is_ready()
