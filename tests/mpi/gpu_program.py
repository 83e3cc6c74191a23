"""Run by mpirun: pmap over the GPUs of all processes, against vmap over all pieces in one. The driver and NCCL are
stand-ins (tests/cuda_runtime)."""

import os

import numpy as np
import pytest
from every_collective import every_collective
from tests.cuda import build as emulator
from tests.cuda_runtime.conftest import emulated

import weft
import weft.numpy as wnp
from weft import lax
from weft.build import cuda

cuda.build = emulated
os.environ["WEFT_CXXFLAGS"] = f"-DWEFT_THREADS={emulator.THREADS}"

weft.distributed.initialize(local_device_ids=[0, 1, 2][: int(os.environ["GPUS"])])
with pytest.raises(RuntimeError, match="once"):
    weft.distributed.initialize()
p, count, here = weft.process_index(), weft.process_count(), weft.local_device_count("gpu")
assert os.environ["CUDA_VISIBLE_DEVICES"] == ",".join(map(str, range(here)))
n = weft.device_count("gpu")
assert n == here * count
mine = slice(p * here, (p + 1) * here)
rng = np.random.default_rng(0)
square = rng.standard_normal((n, n, 4))


f = every_collective(n)
found = weft.pmap(f, "i", backend="gpu")(square[mine])
wanted = weft.vmap(f, axis_name="i")(square)
for name in found:
    np.testing.assert_allclose(found[name], np.asarray(wanted[name])[mine], rtol=1e-12, err_msg=name)
assert found["psum"].devices() == set(weft.devices("gpu"))


def step(w, x, y):
    g = weft.grad(lambda w: wnp.mean((x @ w - y) ** 2))(w)
    return w - 0.1 * lax.pmean(g, "i")


x, w = rng.standard_normal((n, 8, 3)), np.zeros(3)
y = x @ np.array([1.0, -2.0, 0.5])
update = weft.pmap(step, "i", in_axes=(None, 0, 0), out_axes=None, backend="gpu")
for _ in range(5):
    w = update(w, x[mine], y[mine])
v = np.zeros(3)
for _ in range(5):
    v = v - 0.2 * np.mean([x[k].T @ (x[k] @ v - y[k]) / 8 for k in range(n)], axis=0)
np.testing.assert_allclose(w, v, rtol=1e-12)
if n > 1 and count > 1:
    with pytest.raises(NotImplementedError, match="axis_index_groups over the GPUs of several processes"):
        weft.pmap(lambda x: lax.psum(x, "i", axis_index_groups=[list(range(n))]), "i", backend="gpu")(square[mine])
print(f"process {p} agrees with vmap over all pieces")
