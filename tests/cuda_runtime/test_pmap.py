"""What is of GPUs alone where many work together: nothing moves without need, nobody waits, errors name the device."""

from __future__ import annotations

import faulthandler
import gc
import pickle
from pathlib import Path

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import lax
from weft.sharding import Mesh, NamedSharding, PmapSharding
from weft.sharding import PartitionSpec as P

RNG = np.random.default_rng(0)
MOVES = ["cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuMemcpyPeerAsync"]
WAITS = ["cuStreamSynchronize", "cuEventSynchronize"]


@pytest.fixture(autouse=True)
def watchdog():
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def gpus(nccl):
    found = weft.devices("gpu")
    gc.collect()
    for g in found:
        nccl.lib.fake_open(g.id)  # what other tests left is done
        nccl.lib.fake_close(g.id)
        g.trim()  # a pool that is full waits before it gives memory back
    return found


def counts(fake, names):
    return [fake.count(n) for n in names]


def step(w, x):
    g = weft.grad(lambda w: wnp.mean((x @ w) ** 2))(w)
    return w - 0.1 * lax.pmean(g, "i")


def trained(w, x, steps):
    for _ in range(steps):
        w = w - 0.1 * np.mean([2 * p.T @ (p @ w) / len(p) for p in x], axis=0)
    return w


# -- nothing moves, nobody waits ---------------------------------------------------------------------------------------


def test_results_fed_back_stay_where_they_are(nccl, gpus):
    f = weft.pmap(step, "i", in_axes=(None, 0), out_axes=None, devices=gpus[:4])
    x, w = RNG.standard_normal((4, 5, 3)), np.ones(3)
    data = weft.device_put(x, PmapSharding(tuple(gpus[:4])))
    found = f(w, data)
    before, queued = counts(nccl, MOVES + WAITS), nccl.count("ncclAllReduce")
    for _ in range(3):
        found = f(found, data)
    assert counts(nccl, MOVES + WAITS) == before
    assert nccl.count("ncclAllReduce") == queued + 3 * 4
    assert all(nccl.queued(k) > 0 for k in range(4)), "the call waited for its work"
    np.testing.assert_allclose(found, trained(w, x, 4))
    assert found.is_fully_replicated and found.devices() == set(gpus[:4])


def test_what_is_divided_alike_stays_in_shard_map(nccl, gpus):
    mesh = weft.make_mesh((2, 2), ("x", "y"), devices=gpus)
    a, b = RNG.standard_normal((4, 6)), RNG.standard_normal((6, 4))
    f = weft.shard_map(
        lambda a, b: lax.psum(a @ b, "y"), mesh=mesh, in_specs=(P("x", "y"), P("y", None)), out_specs=P("x", None)
    )
    g = weft.shard_map(lambda c: wnp.tanh(c), mesh=mesh, in_specs=P("x", None), out_specs=P("x", None))
    a, b = (weft.device_put(v, NamedSharding(mesh, s)) for v, s in ((a, P("x", "y")), (b, P("y", None))))
    g(f(a, b))
    before = counts(nccl, MOVES + WAITS)
    found = g(f(a, b))
    assert counts(nccl, MOVES + WAITS) == before
    np.testing.assert_allclose(found, np.tanh(np.asarray(a) @ np.asarray(b)))


def test_reading_a_row_reads_one_device(nccl, gpus):
    x = RNG.standard_normal((4, 3))
    found = weft.pmap(lambda v: 2 * v, devices=gpus[:4])(x)
    before = counts(nccl, MOVES)
    row = found[-2]
    assert row.device == gpus[2] and counts(nccl, MOVES) == before
    np.testing.assert_array_equal(row, 2 * x[2])
    assert counts(nccl, MOVES) == [before[0], before[1] + 1, before[2]]
    assert float(found[1, 2]) == 2 * x[1, 2]
    np.testing.assert_array_equal(found[3, 1:], 2 * x[3, 1:])
    np.testing.assert_array_equal(found[1:3], 2 * x[1:3])
    np.testing.assert_array_equal(found[..., 0], 2 * x[:, 0])
    with pytest.raises(IndexError):
        found[4]


def test_subscripts_that_begin_with_a_number(gpus):
    x = RNG.standard_normal((3, 4, 5))
    a = weft.pmap(lambda v: 2 * v, devices=gpus[:3])(x)
    some, mask = np.array([2, 0]), np.array([True, False, True, True])
    for key in ((0, some), (1, slice(None), some), (-1, some, slice(1, 3)), (2, [1, 3]), (0, mask), (1, mask, 2),
                (0, ...), (1, None), (2, ..., 1), (np.int64(1), 2, None), (1, slice(None, None, 2), -1)):  # fmt: skip
        found = a[key]
        assert found.shape == (2 * x)[key].shape, key
        np.testing.assert_array_equal(found, (2 * x)[key])


def test_a_part_that_waits_for_its_gpu_lets_the_others_be_queued(nccl, gpus):
    def f(x):
        n = 0
        while x > 1.0:  # the host has to know, each device for itself
            x = x * 0.5
            n += 1
        return lax.psum(x, "i"), n

    total, n = weft.pmap(f, "i", devices=gpus[:4])(np.array([9.0, 0.5, 3.0, 2.0]))
    assert n.tolist() == [4, 0, 2, 1]
    np.testing.assert_allclose(total, [9 / 16 + 0.5 + 0.75 + 1.0] * 4)


# -- arrays in pieces are arrays ---------------------------------------------------------------------------------------


def test_operations_gather_on_the_first_device(gpus):
    x = RNG.standard_normal((4, 3))
    a = weft.pmap(lambda v: v + 1, devices=gpus[1:5])(x)
    for found, want in ((a * 2, (x + 1) * 2), (a.T, (x + 1).T), (wnp.sum(a), np.sum(x + 1)), (a.reshape(12), (x + 1).reshape(12))):  # fmt: skip
        np.testing.assert_allclose(found, want)
        assert found.device == gpus[1]
    np.testing.assert_allclose(weft.jit(lambda v: v @ v.T)(a), (x + 1) @ (x + 1).T)
    np.testing.assert_allclose(weft.grad(lambda v: wnp.sum(v**2))(a), 2 * (x + 1))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(a)), x + 1)
    assert a.shape == (4, 3) and a.size == 12 and a.dtype == np.float64 and len(a) == 4
    assert repr(a) == repr(wnp.asarray(x + 1)) and a.tolist() == (x + 1).tolist()
    assert a.block_until_ready() is a


@pytest.mark.parametrize("to", ["cpu", "own", "other", "shared"])
def test_device_put(gpus, to):
    x = RNG.standard_normal((2, 3))
    for a in (
        weft.pmap(lambda v: v + 1, devices=gpus[:2])(x),
        weft.device_put(x + 1, NamedSharding(Mesh(gpus[:2], "x"), P())),
    ):
        device = {"cpu": weft.devices("cpu")[0], "own": gpus[0], "other": gpus[3], "shared": gpus[1]}[to]
        b = weft.device_put(a, device)
        assert b.device == device and b.devices() == {device}
        np.testing.assert_array_equal(b, x + 1)
        np.testing.assert_array_equal(a, x + 1)


def test_pieces_that_lie_otherwise_are_moved(gpus):
    x = RNG.standard_normal((2, 3))
    a = weft.pmap(lambda v: v + 1, devices=gpus[:2])(x)
    b = weft.pmap(lambda v: v * 2, devices=gpus[2:4])(a)
    c = weft.pmap(lambda v, w: v + w, devices=[gpus[3], gpus[2]])(b, weft.device_put(x, gpus[3]))
    np.testing.assert_allclose(c, (x + 1) * 2 + x)
    assert [s.device for s in c.addressable_shards] == [gpus[3], gpus[2]]
    whole = weft.pmap(lambda v, w: v + w.sum(), in_axes=(0, None), devices=gpus[:2])(x, a)
    np.testing.assert_allclose(whole, x + (x + 1).sum())


def test_device_put_sharded_and_replicated(gpus):
    parts = [np.full(3, k) for k in range(3)]
    a = weft.device_put_sharded(parts, gpus[:3])
    assert [s.device for s in a.addressable_shards] == gpus[:3]
    np.testing.assert_array_equal(a, np.stack(parts))
    b = weft.device_put_replicated({"w": np.arange(2.0)}, gpus[:2])["w"]
    np.testing.assert_array_equal(b, [[0.0, 1.0]] * 2)
    np.testing.assert_array_equal(weft.pmap(lambda v: v[0] - v, devices=gpus[:2])(b), [[0.0, -1.0]] * 2)


def test_arguments_of_every_kind(gpus):
    kept = np.arange(3.0)
    f = weft.pmap(lambda x, y, k, z: x * k + y + kept + z, in_axes=(0, None, None, 0), devices=gpus[:2])
    x, y, z = np.ones((3, 2)).T, np.arange(6.0)[::2], np.array([1.0, 2.0])  # not row-major, strided, scalars
    np.testing.assert_allclose(f(x, y, 3, z), x * 3 + y + kept + z[:, None])
    kept[:] = 5.0
    np.testing.assert_allclose(
        f(x, weft.device_put(y, gpus[1]), 3, weft.device_put(z, gpus[0])), x * 3 + y + 5 + z[:, None]
    )
    np.testing.assert_allclose(f(wnp.asarray(x), y, 3, f(x, y, 3, z)[:, 0]).shape, (2, 3))


def test_other_axes(gpus):
    x = RNG.standard_normal((5, 2, 3))
    found = weft.pmap(lambda v: 2 * v, in_axes=1, out_axes=2, devices=gpus[:2])(x)
    np.testing.assert_array_equal(found, 2 * np.moveaxis(x, 1, 2))
    assert found.sharding == PmapSharding(tuple(gpus[:2]), 2)
    np.testing.assert_array_equal(found.addressable_shards[1].data, 2 * np.moveaxis(x, 1, 2)[..., 1:])


# -- collectives that NCCL has not, or not so --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "c8", "c16"])
def test_every_dtype(gpus, dtype):
    def f(x):
        real = [] if dtype[0] == "c" else [lax.pmax(x, "i"), lax.pmin(x, "i"), lax.pmax(x[0, 0], "i")]
        return [lax.psum(x, "i"), lax.psum_scatter(x, "i"), lax.all_gather(x, "i"), lax.all_to_all(x, "i", 0, 0),
                lax.ppermute(x, "i", [(0, 2)]), lax.psum(x[0, 1], "i"), *real]  # fmt: skip

    if dtype == "?":
        x = RNG.random((3, 3, 5)) > 0.6

        def f(x):
            return [lax.all_gather(x, "i"), lax.all_to_all(x, "i", 0, 0), lax.ppermute(x, "i", [(0, 2)])]
    else:
        x = (RNG.standard_normal((3, 3, 5)) * 100).astype(dtype)
    got = weft.pmap(f, "i", devices=gpus[:3])(x)
    want = weft.vmap(f, axis_name="i")(x)
    for g, w in zip(got, want, strict=True):
        assert (g.dtype, g.shape) == (w.dtype, w.shape)
        np.testing.assert_allclose(g, w, rtol=1e-6 if dtype in ("f4", "c8") else 1e-12)


def test_nan_wins_extremes(gpus):
    x = np.array([[1.0, np.nan, -0.0], [2.0, 3.0, 0.0]])
    high, low = weft.pmap(lambda v: (lax.pmax(v, "i"), lax.pmin(v, "i")), "i", devices=gpus[:2])(x)
    np.testing.assert_array_equal(high[0], [2.0, np.nan, 0.0])
    np.testing.assert_array_equal(low[1], [1.0, np.nan, 0.0])


def test_one_gpu_meets_nobody(gpus):
    found = weft.pmap(lambda v: lax.psum(v, "i") + lax.pmax(v, "i"), "i", devices=gpus[2:3])(np.ones((1, 3)))
    np.testing.assert_array_equal(found, [[2.0, 2.0, 2.0]])
    assert found.devices() == {gpus[2]}


# -- errors ------------------------------------------------------------------------------------------------------------


def test_out_of_memory_on_one_device(nccl, gpus):
    f = weft.pmap(lambda v: lax.psum(v, "i"), "i", devices=gpus[:4])
    x = np.ones((4, 700_000))
    np.testing.assert_array_equal(f(x)[3], np.full(700_000, 4.0))
    kept = [weft.device_put(np.ones(2_600_000), gpus[2]) for _ in range(2)]
    with pytest.raises(MemoryError, match=r"out of memory on CudaDevice\(id=2\)"):
        for _ in range(8):
            kept.append(f(np.ones((4, 900_000))))
    del kept
    np.testing.assert_array_equal(f(x)[1], np.full(700_000, 4.0))


def test_a_failing_library(nccl, gpus):
    f = weft.pmap(lambda v: lax.psum(v, "i"), "i", devices=gpus[:3])
    f(np.ones((3, 2)))
    nccl.fail("ncclAllReduce", 2, 2)
    with pytest.raises(RuntimeError, match="psum"):
        f(np.ones((3, 2)))


def test_a_kernel_that_fails_on_one_device(nccl, gpus):
    f = weft.pmap(lambda v: wnp.exp(v), devices=gpus[5:7])
    f(np.ones((2, 2))).block_until_ready()
    nccl.fail("kernel", 700, 2)
    with pytest.raises(RuntimeError, match=r"CUDA error .*illegal memory access.* on CudaDevice\(id=[56]\)"):
        np.asarray(f(np.ones((2, 2))))


def test_what_is_raised_on_one_device(gpus):
    def f(x):
        if x[0] < 0:
            raise ValueError(f"negative: {x[0]}")
        return lax.psum(x, "i")

    g = weft.pmap(f, "i", devices=gpus[:3])
    x = np.ones((3, 2))
    g(x)
    x[1, 0] = -2.0
    with pytest.raises(ValueError, match="negative: -2.0"):
        g(x)
    x[1, 0] = 1.0
    np.testing.assert_array_equal(g(x)[0], [3.0, 3.0])


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (ValueError, "devices of one platform", lambda g: weft.pmap(abs, devices=[g[0], weft.devices("cpu")[0]])),
        (ValueError, "devices of one platform", lambda g: weft.pmap(abs, devices=g[:1], backend="cpu")),
        (ValueError, "it is 'cpu' or 'gpu'", lambda g: weft.pmap(abs, backend="tpu")),
        (ValueError, "requires 9 logical devices, but only 8 are available .num_replicas=9..$",
         lambda g: weft.pmap(abs, backend="gpu")(np.ones((9, 2)))),
        (ValueError, "devices of a mesh have one platform", lambda g: weft.shard_map(
            abs, mesh=Mesh([g[0], weft.devices("cpu")[0]], "x"), in_specs=P("x"), out_specs=P("x"))(np.ones(2))),
        (ValueError, "devices of one platform, not of", lambda g: weft.device_put(
            np.ones(2), PmapSharding((g[0], weft.devices("cpu")[0])))),
        (ValueError, "not divided over 2 devices row by row", lambda g: weft.device_put(np.ones((3, 2)), PmapSharding(tuple(g[:2])))),
    ],
)  # fmt: skip
def test_wrong_calls(gpus, error, text, call):
    with pytest.raises(error, match=text):
        call(gpus)


def test_without_nccl(run, tmp_path):
    text = """
import sys; sys.path.insert(0, %r)
from tests.cuda_runtime.conftest import emulated, emulator
from weft.build import cuda
cuda.build = emulated
import os; os.environ["WEFT_CXXFLAGS"] = f"-DWEFT_THREADS={emulator.THREADS}"
import numpy as np, weft
f = weft.pmap(lambda x: weft.lax.psum(x, "i"), "i", backend="gpu")
print(f(np.ones((1, 2))))
try:
    f(np.ones((2, 2)))
except RuntimeError as e:
    print(e)
"""
    root = str(Path(__file__).resolve().parents[2])
    found = run(text % root, fake="devices=2", WEFT_NCCL=str(tmp_path / "nothing.so"))
    assert found.startswith("[[1. 1.]]") and "NCCL" in found and "pip install" in found


# -- a whole program ---------------------------------------------------------------------------------------------------


def test_the_example_runs_on_gpus_as_it_is(run, nccl_path):
    text = """
import contextlib, io, os, runpy, sys
sys.path.insert(0, {root!r})
from tests.cuda_runtime.conftest import emulated, emulator
from weft.build import cuda
cuda.build = emulated
os.environ["WEFT_CXXFLAGS"] = f"-DWEFT_THREADS={{emulator.THREADS}}"
import weft
with weft.default_device({platform!r}):
    sys.argv = ["parallel.py"]
    runpy.run_path({root!r} + "/examples/parallel.py", run_name="__main__")
"""
    root = str(Path(__file__).resolve().parents[2])
    here = run(text.format(root=root, platform="cpu"), WEFT_CPU_DEVICES="8")
    there = run(text.format(root=root, platform="gpu"), fake="devices=8", WEFT_NCCL=str(nccl_path))
    assert "pieces on 8 devices" in there and "y = 2.00 x + -1.01" in there
    assert there == here
