"""A second process starts warm on the GPU, too, and a program for one platform is never taken for the other's."""

from __future__ import annotations

from pathlib import Path

from tests.cuda import build as emulator

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, sys, numpy as np, weft, weft.numpy as wnp
from weft.build import cuda
from tests.cuda_runtime.conftest import emulated
cuda.build = emulated

SCALE = wnp.asarray(3.0) if os.environ.get("SCALE") != "gpu" else weft.device_put(3.0, weft.devices("gpu")[0])

@weft.jit
def f(x):
    return wnp.cumsum(x * SCALE)

x = np.arange(5.0)
device = weft.devices(os.environ["WHERE"])[0]
r = f(weft.device_put(x, device) if os.environ.get("PUT") else wnp.asarray(x))
info = f.cache_info()
print(r.device, np.asarray(r).tolist() == (x * 3).cumsum().tolist(), info.compilations, info.loaded)
"""


def test_warm_starts(run, tmp_path):
    settings = {
        "WEFT_CACHE_DIR": str(tmp_path / "cache"), "WEFT_CXXFLAGS": f"-DWEFT_THREADS={emulator.THREADS}",
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip

    def start(**more):
        return run(PROGRAM, "devices=2", **settings, **more).strip()

    assert start(WHERE="gpu", PUT="1") == "CudaDevice(id=0) True 1 0"
    assert start(WHERE="gpu", PUT="1") == "CudaDevice(id=0) True 0 1"
    assert start(WHERE="cpu", PUT="1") == "CpuDevice(id=0) True 1 0"
    assert start(WHERE="cpu", PUT="1") == "CpuDevice(id=0) True 0 1"
    assert start(WHERE="gpu", PUT="1") == "CudaDevice(id=0) True 0 1"
    # what is captured decides as well
    assert start(WHERE="cpu", SCALE="gpu") == "CudaDevice(id=0) True 0 1"
    assert start(WHERE="cpu") == "CpuDevice(id=0) True 0 1"
    # and so does the default
    assert start(WHERE="cpu", WEFT_PLATFORM="gpu") == "CudaDevice(id=0) True 0 1"


SPREAD = """
import os, numpy as np, weft
from weft import lax
from weft.build import cuda
from weft.sharding import Mesh, P
from tests.cuda_runtime.conftest import emulated
cuda.build = emulated

SCALE = np.arange(3.0)
devices = weft.devices(os.environ["WHERE"])[:4]
f = weft.pmap(lambda x: lax.psum(x * SCALE, "i") + lax.axis_index("i"), axis_name="i", backend=os.environ["WHERE"])
mesh = Mesh(np.array(devices).reshape(eval(os.environ["SHAPE"])), ("a", "b"))
g = weft.shard_map(lambda x: lax.psum(x, "b") * 2.0, mesh=mesh, in_specs=P("a", "b"), out_specs=P("a"))
x = np.arange(12.0).reshape(4, 3)
good = np.asarray(f(x)).tolist() == (x.sum(axis=0) * SCALE + np.arange(4)[:, None]).tolist()
a, b = mesh.devices.shape
y = np.arange(32.0).reshape(4, 8)
good = good and np.asarray(g(y)).tolist() == (y.reshape(4, b, 8 // b).sum(axis=1) * 2.0).tolist()
print(f(x).sharding.devices[3], good, *[t.cache_info().loaded for t in (f, g)])
"""


def test_programs_for_many_devices(run, tmp_path, nccl_path):
    settings = {
        "WEFT_CACHE_DIR": str(tmp_path / "cache"), "WEFT_CXXFLAGS": f"-DWEFT_THREADS={emulator.THREADS}",
        "PYTHONPATH": str(ROOT), "WEFT_NCCL": str(nccl_path), "WEFT_CPU_DEVICES": "4",
    }  # fmt: skip

    def start(where, shape="(2, 2)"):
        return run(SPREAD, "devices=4", **settings, WHERE=where, SHAPE=shape).strip()

    assert start("gpu") == "CudaDevice(id=3) True 0 0"
    assert start("gpu") == "CudaDevice(id=3) True 1 1"
    assert start("cpu") == "CpuDevice(id=3) True 0 0"
    assert start("cpu") == "CpuDevice(id=3) True 1 1"
    assert start("gpu", "(1, 4)") == "CudaDevice(id=3) True 1 0"
    assert start("gpu") == "CudaDevice(id=3) True 1 1"
