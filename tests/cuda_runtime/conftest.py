"""The fake driver, and images for it: kernels in the emulator of tests/cuda."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pybind11
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.cuda import build as emulator  # noqa: E402
from tests.cuda_runtime.exchange import Exchange  # noqa: E402

import weft  # noqa: E402
from weft.build import cuda  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MEMORY = 64 << 20


class Fake:
    """What tests may ask of the fake driver, and tell it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lib = self.lib = ctypes.CDLL(str(path))
        for name in ("fake_count", "fake_queued", "fake_used", "fake_contexts"):
            getattr(lib, name).restype = ctypes.c_long
        lib.fake_violations.restype = ctypes.c_char_p
        lib.fake_fail.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int]

    def count(self, name: str) -> int:
        """How often a function was called so far; ``"kernel"``: how many kernels ran."""
        return self.lib.fake_count(name.encode())

    def fail(self, name: str, code: int, n: int = 1) -> None:
        """Let the n-th call from now fail."""
        self.lib.fake_fail(name.encode(), n, code)

    def queued(self, device: int = 0) -> int:
        """How much waits in a device's queue."""
        return self.lib.fake_queued(device)

    def used(self, device: int = 0) -> int:
        """The bytes that are allocated."""
        return self.lib.fake_used(device)

    @property
    def violations(self) -> str:
        """What was done wrong."""
        return self.lib.fake_violations().decode()

    def heal(self) -> None:
        """Forget failures."""
        self.lib.fake_heal()


def compile_library(out: Path, *sources: Path, flags: Sequence[str] = ("-Wall", "-Wextra", "-Werror")) -> Path:
    """A library made of C++ sources, and of other libraries."""
    command = ["g++", "-std=c++17", "-O1", "-shared", "-fPIC", *flags, *map(str, sources), "-o", str(out)]
    subprocess.run(command, check=True)
    return out


def compile_driver(folder: Path) -> Path:
    """The fake driver's library."""
    return compile_library(folder / "libcuda.so.1", HERE / "fake_driver.cpp")


def kernel_names(text: str) -> tuple[str, ...]:
    """The kernels that a device text defines."""
    return tuple(
        re.findall(
            r'extern "C" __global__ (?:__launch_bounds__\([^)]*\) )?void (?:__launch_bounds__\([^)]*\) )?(\w+)\(', text
        )
    )


def emulated(text: str, arch: str, **options: Any) -> bytes:
    """An image of the fake driver, where `weft.build.cuda.build` would give a cubin."""
    assert arch == "sm_90"
    return f"fake:{emulator.shared_object(text, kernel_names(text))}".encode()


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    """The fake driver with eight devices, loaded into this process."""
    fake = Fake(compile_driver(tmp_path_factory.mktemp("driver")))
    os.environ["WEFT_CUDA_DRIVER"] = str(fake.path)
    os.environ["WEFT_FAKE"] = f"devices=8 memory={MEMORY}"
    try:
        assert len(weft.devices("gpu")) == 8
    finally:
        del os.environ["WEFT_CUDA_DRIVER"], os.environ["WEFT_FAKE"]
    return fake


@pytest.fixture
def fake(driver: Fake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """The fake driver; the test must leave nothing wrong behind."""
    monkeypatch.setattr(cuda, "build", emulated)
    monkeypatch.setenv("WEFT_CXXFLAGS", f"-DWEFT_THREADS={emulator.THREADS}")
    driver.heal()
    yield driver
    assert driver.violations == ""
    assert driver.lib.fake_contexts() == 0
    driver.heal()


@pytest.fixture(scope="session")
def nccl_path(driver: Fake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in for NCCL over the fake driver."""
    folder = tmp_path_factory.mktemp("nccl")
    return compile_library(folder / "libnccl.so.2", HERE / "fake_nccl.cpp", driver.path)


@pytest.fixture
def nccl(fake: Fake, nccl_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake driver, with NCCL; calls of both are counted and told to fail by it."""
    monkeypatch.setenv("WEFT_NCCL", str(nccl_path))
    return fake


@pytest.fixture(scope="session")
def exchange_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """csrc/cuda as a library of its own."""
    includes = [ROOT / "csrc/include", sysconfig.get_path("include"), pybind11.get_include(), np.get_include()]
    sources = [HERE / "exchange.cpp", *(ROOT / "csrc/cuda").glob("*.cpp"), ROOT / "csrc/runtime/collective.cpp"]
    out = tmp_path_factory.mktemp("exchange") / "exchange.so"
    return compile_library(out, *sources, flags=["-O0", "-fvisibility=hidden", *(f"-I{folder}" for folder in includes)])


@pytest.fixture
def exchange(nccl: Fake, exchange_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchange]:
    """Calls it, with the fake driver and NCCL."""
    monkeypatch.setenv("WEFT_CUDA_DRIVER", str(nccl.path))
    made = Exchange(exchange_path)
    yield made
    for device in range(4):
        made.synchronise(device)


@pytest.fixture
def gpu(fake: Fake) -> weft.Device:
    """The first fake GPU."""
    return weft.devices("gpu")[0]


@pytest.fixture
def second(fake: Fake) -> weft.Device:
    """The second one."""
    return weft.devices("gpu")[1]


@pytest.fixture
def run(driver: Fake, tmp_path: Path) -> Callable[..., str]:
    """Run a Python text in a process of its own; what it prints. ``fake`` are the fake driver's settings."""

    def run(text: str, fake: str | None = None, **environment: str) -> str:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("WEFT_PLATFORM", "WEFT_CUDA", "CUDA_"))}
        if fake is not None:
            env |= {"WEFT_CUDA_DRIVER": str(driver.path), "WEFT_FAKE": fake}
        file = tmp_path / "program.py"
        file.write_text(text)
        done = subprocess.run([sys.executable, str(file)], env=env | environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
