"""What is said when something about the GPU is wrong."""

from __future__ import annotations

import gc
import os
import subprocess

import numpy as np
import pytest
from tests.cuda import build as emulator
from tests.cuda_runtime.conftest import emulated

import weft
import weft.numpy as wnp
from weft.build import cuda

ASK = """
import weft
try:
    weft.devices("gpu")
except RuntimeError as e:
    print(e)
"""
FIRST = (
    "Unknown backend: 'gpu' requested, but no platforms that are instances of gpu are present. "
    "Platforms present are: cpu.\n"
)


@weft.jit
def double(x):
    return x * 2.0


@weft.jit
def pick(x, i):
    return x[i]


# -- no GPU, each in a process of its own --------------------------------------------------------------------------------


def test_no_driver(run):
    said = run(ASK + ASK, WEFT_CUDA_DRIVER="/nowhere/libcuda.so.1")
    assert said.startswith(FIRST + "the driver's library was not found (/nowhere/libcuda.so.1")
    assert "Install NVIDIA's driver 525 (CUDA 12.0) or newer; `weft doctor` says what is found." in said
    assert said.count(FIRST) == 2  # the second time, too


def test_no_gpu(run):
    assert "the driver finds no GPU: is one installed, and shown to this container?" in run(ASK, "init=100")
    assert "CUDA_VISIBLE_DEVICES is ''" in run(ASK, "init=100", CUDA_VISIBLE_DEVICES="")
    assert "the driver finds no GPU" in run(ASK, "devices=0")


def test_a_driver_that_does_not_start(run):
    said = run(ASK, "init=803")
    assert "the driver does not start: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH" in said and "restart the machine" in said
    assert "the driver does not start: error 999" in run(ASK, "init=999")


def test_an_old_driver(run):
    assert "the driver is too old: it is for CUDA 11.8, and weft needs CUDA 12.0. Install" in run(ASK, "version=11080")


def test_not_a_driver(run, tmp_path):
    source, out = tmp_path / "old.c", tmp_path / "libold.so"
    source.write_text("int cuInit(unsigned n) { return 0; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", str(source), "-o", str(out)], check=True)
    said = run(ASK, WEFT_CUDA_DRIVER=str(out))
    assert f"the driver's library {out} has no cuDriverGetVersion: it is too old, or no driver" in said


def test_the_cpu_alone(run):
    said = run(ASK + "print(weft.default_backend())", "devices=1", WEFT_PLATFORM="cpu")
    assert said == FIRST + "WEFT_PLATFORM=cpu keeps the GPU's driver from being loaded: unset it\ncpu\n"


def test_platforms_by_name(run):
    text = """
import numpy as np, weft, weft.numpy as wnp
print(weft.default_backend(), weft.devices(), wnp.ones(2).device, wnp.ones(2).committed)
"""
    assert run(text, "devices=2", WEFT_PLATFORM="gpu") == (
        "gpu [CudaDevice(id=0), CudaDevice(id=1)] CudaDevice(id=0) False\n"
    )
    text = """
import weft
try:
    weft.jit(abs)(1.0)
except RuntimeError as e:
    print(e)
"""
    assert run(text, WEFT_PLATFORM="tpu") == "WEFT_PLATFORM=tpu is not a platform: it is 'cpu' or 'gpu'\n"
    assert run(text, WEFT_PLATFORM="gpu", WEFT_CUDA_DRIVER="/nowhere").startswith(FIRST)


def test_importing_and_computing_on_the_cpu_load_no_driver(run):
    text = """
import os, numpy as np, weft, weft.numpy as wnp
def f(x):
    return x + 1.0
weft.jit(f)(wnp.ones(3))
weft.devices("cpu"), weft.devices(), weft.device_put(1.0), weft.default_backend()
print("libcuda" in open("/proc/self/maps").read())
weft.devices("gpu")
print("libcuda" in open("/proc/self/maps").read())
"""
    assert run(text, "devices=1").split() == ["False", "True"]


def test_after_a_fork(run):
    text = """
import os, sys, gc, numpy as np, weft
d = weft.devices("gpu")[0]
a = weft.device_put(np.arange(3.0), d)
host = weft.device_put(np.arange(3.0))
def f(x):
    return x + 1.0
f = weft.jit(f)
child = os.fork()
if child == 0:
    for use in (lambda: np.asarray(a), lambda: weft.device_put(np.ones(2), d), a.block_until_ready):
        try:
            use()
            print("no error")
        except RuntimeError as e:
            print(e)
    print(f(host))
    del a
    gc.collect()
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
print(np.asarray(a))
"""
    said = run(text, "devices=1").splitlines()
    assert len(said) == 5
    for line in said[:3]:
        assert "this process was forked from one that uses the GPU" in line and "get_context('spawn')" in line
    assert said[3:] == ["[1. 2. 3.]", "[0. 1. 2.]"]


# -- while it runs -------------------------------------------------------------------------------------------------------


def test_an_error_in_a_kernel_names_the_function(fake, gpu):
    a = weft.device_put(np.ones(4), gpu)
    double(a).block_until_ready()
    fake.fail("kernel", 700)
    r = double(a)
    for wait in (r.block_until_ready, lambda: np.asarray(r), lambda: np.asarray(weft.device_put(1.0, gpu))):
        with pytest.raises(RuntimeError) as e:
            wait()
        assert "CUDA error CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered)" in str(e.value)
        assert "This process cannot use the GPU any more" in str(e.value)
        if wait == r.block_until_ready:
            assert "on CudaDevice(id=0) while running 'double'." in str(e.value)
    del wait
    fake.heal()
    assert np.asarray(double(a)).tolist() == [2, 2, 2, 2]


def test_an_error_in_a_kernel_that_is_waited_for(fake, gpu):
    a, k = weft.device_put(np.arange(4.0), gpu), np.array([3, 1])
    pick(a, k)
    fake.fail("kernel", 719)
    with pytest.raises(RuntimeError, match="CUDA_ERROR_LAUNCH_FAILED .* while running 'pick'"):
        pick(a, k)
    fake.heal()
    assert np.asarray(pick(a, k)).tolist() == [3, 1]
    with weft.default_device(gpu):
        x = np.ones(3)

        @weft.jit
        def bump(x):
            x[:] = x + 1.0

        bump(x)
        fake.fail("kernel", 700)
        with pytest.raises(RuntimeError, match="ILLEGAL_ADDRESS"):
            bump(x)
        fake.heal()
        bump(x)
    assert x.tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("function", "doing"),
    [
        ("cuLaunchKernel", "starting a kernel of 'double'"), ("cuEventRecord", "running 'double'"),
        ("cuModuleLoadDataEx", "loading 'double'"), ("cuModuleGetFunction", "looking for the kernel 'double_0'"),
        ("cuCtxPushCurrent_v2", "choosing the GPU"),
    ],
)  # fmt: skip
def test_each_call_of_the_driver_is_checked(fake, gpu, function, doing):
    a = weft.device_put(np.arange(4.0), gpu)
    double.clear_cache()
    gc.collect()  # programs of other tests, whose end calls the driver, too
    fake.fail(function, 1)
    with pytest.raises(RuntimeError) as e:
        double(a)
    assert f"CUDA error CUDA_ERROR_INVALID_VALUE (the fake driver's words) on CudaDevice(id=0) while {doing}" == str(
        e.value
    )
    fake.heal()
    assert np.asarray(double(a)).tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize("function", ["cuMemcpyHtoDAsync_v2", "cuEventRecord", "cuMemAlloc_v2", "cuMemcpyDtoHAsync_v2"])
def test_failed_copies_leave_nothing_behind(fake, gpu, function):
    gc.collect()
    gpu.trim()
    before = gpu.memory_stats()["bytes_in_use"]
    fake.fail(function, 1)
    with pytest.raises(RuntimeError, match="CUDA_ERROR_INVALID_VALUE"):
        weft.device_put(np.arange(1000.0), gpu).tolist()
    fake.heal()
    gc.collect()
    assert gpu.memory_stats()["bytes_in_use"] == before
    assert np.asarray(weft.device_put(np.arange(4.0), gpu)).tolist() == [0, 1, 2, 3]


def test_no_memory_at_each_allocation_of_a_call(fake, gpu):
    @weft.jit
    def chain(x):
        y = wnp.cumsum(x)
        z = wnp.sort(y)[::-1]
        return wnp.cumsum(z), wnp.sum(y * z)

    x = np.arange(50.0)
    a = weft.device_put(x, gpu)
    want = [np.asarray(r) for r in chain(a)]
    for n in range(1, 30):
        gc.collect()
        gpu.trim()
        used = gpu.memory_stats()["bytes_in_use"]
        start = fake.count("cuMemAlloc_v2")
        fake.fail("cuMemAlloc_v2", 2, n)
        try:
            got = chain(a)
        except MemoryError as e:
            assert "out of memory on CudaDevice(id=0)" in str(e)
            gc.collect()
            assert gpu.memory_stats()["bytes_in_use"] == used
        else:
            assert fake.count("cuMemAlloc_v2") - start < n + 1  # there was none to fail, or the pool helped
            for g, w in zip(got, want, strict=True):
                np.testing.assert_array_equal(np.asarray(g), w)
            break
        finally:
            fake.fail("cuMemAlloc_v2", 0, 0)
    assert n > 1


def test_code_for_a_newer_driver(fake, gpu, monkeypatch):
    monkeypatch.setattr(cuda, "build", lambda *args, **options: b"\x7fELF: what a new compiler made")
    double.clear_cache()
    with pytest.raises(RuntimeError) as e:
        double(weft.device_put(np.arange(4.0), gpu))
    assert "the driver (for CUDA 12.4) cannot load the code made for 'double': CUDA_ERROR_INVALID_IMAGE" in str(e.value)
    assert "not an image of the fake driver" in str(e.value)
    assert "pip install nvidia-cuda-nvrtc-cu12" in str(e.value)


def test_no_compiler_for_the_host(fake, gpu, monkeypatch):
    monkeypatch.setattr("weft.build.artifact.find_toolchain", lambda: None)

    def f(x):
        return x - 2.5

    with pytest.raises(weft.CompileError, match=r"no C\+\+ compiler was found"):
        weft.jit(f)(weft.device_put(1.0, gpu))


def test_without_pinned_memory_uploads_are_slow_and_right(run):
    text = """
import ctypes, os, numpy as np, weft
fake = ctypes.CDLL(os.environ["WEFT_CUDA_DRIVER"])
d = weft.devices("gpu")[0]
fake.fake_fail(b"cuMemHostAlloc", ctypes.c_long(1), 2)
x = np.arange(1000.0)
a = weft.device_put(x, d)
x[:] = 0
print(np.asarray(a).sum())
"""
    assert run(text, "devices=1") == "499500.0\n"


def test_a_built_process_ends_well_with_arrays_alive(run):
    text = """
import numpy as np, weft
a = weft.device_put(np.arange(3.0), weft.devices("gpu")[0])
b = weft.device_put(a, weft.devices("gpu")[1])
print("end")
"""
    assert run(text, "devices=2") == "end\n"
    assert os.environ.get("WEFT_FAKE") is None


def test_kernels_that_get_no_memory(fake, gpu, monkeypatch):
    def root(a):
        x = a
        while abs(x * x - a) > 1e-12:
            x = 0.5 * (x + a / x)
        return x

    libraries = []

    def build(text, arch, **options):
        image = emulated(text, arch)
        libraries.append(emulator.load(image[5:].decode()))
        return image

    monkeypatch.setattr(cuda, "build", build)
    slope = weft.jit(weft.vmap(weft.grad(root)))
    a = np.linspace(2, 9, 50)
    there = weft.device_put(a, gpu)
    np.testing.assert_allclose(np.asarray(slope(there)), 0.5 / np.sqrt(a), rtol=1e-6)
    for lib in libraries:
        lib.weft_emulated_heap_limit(64)
    with pytest.raises(MemoryError) as e:
        slope(there)
    assert str(e.value) == (
        f"a kernel of '{slope.lower(there).function.name}' got no memory from the device's heap on CudaDevice(id=0): "
        "WEFT_DEVICE_HEAP sets its size in bytes before the GPU is first used"
    )
    for lib in libraries:
        lib.weft_emulated_heap_reset()
        lib.weft_emulated_heap_limit(1 << 30)
    np.testing.assert_allclose(np.asarray(slope(there)), 0.5 / np.sqrt(a), rtol=1e-6)
