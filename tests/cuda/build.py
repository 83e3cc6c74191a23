"""Compiles device text for the emulator, and calls its kernels."""

from __future__ import annotations

import ctypes as C
import functools
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
KERNELS = ROOT / "csrc" / "kernels"
THREADS = 64  # of a block: emulate.h's WEFT_THREADS
COMMON = "-fPIC -fvisibility=hidden -fwrapv -fno-math-errno -fno-trapping-math -ffp-contract=off".split()
DEVICE = ["-std=gnu++17", "-O1", *COMMON, "-fno-strict-aliasing", "-fno-gnu-unique", "-fno-exceptions", "-fno-rtti"]
EMULATOR = ["-std=gnu++17", "-O2", *COMMON, "-U_FORTIFY_SOURCE", "-Wall", "-Wextra", "-Werror"]
ARCHITECTURES = ("sm_75", "sm_80", "sm_90")


@functools.cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="weft-cuda-")


def folder() -> Path:
    """Where this process compiles."""
    return Path(_temporary().name)


def spawn(command: list[str]) -> subprocess.Popen[str]:
    """A compiler at work."""
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(job: subprocess.Popen[str], about: str = "") -> None:
    """Wait for a compiler that must succeed."""
    said, _ = job.communicate()
    assert job.returncode == 0, f"{said[:4000]}\n{about}"


@functools.cache
def emulator() -> Path:
    """The emulator's object file."""
    out = folder() / "emulate.o"
    finish(spawn(["g++", *EMULATOR, "-c", str(HERE / "emulate.cpp"), "-o", str(out)]))
    return out


def table(kernels: tuple[str, ...]) -> str:
    """The lines after a device text that tell the emulator of its kernels."""
    return (
        "\nnamespace weft {}\nusing namespace weft;\nWEFT_KERNELS("
        + ", ".join(f"WEFT_KERNEL({k})" for k in kernels)
        + ")\n"
    )


def device_job(
    text: str, kernels: tuple[str, ...], name: str, threads: int = THREADS
) -> tuple[Path, subprocess.Popen[str]]:
    """A device text on its way to an object file."""
    source, out = folder() / f"{name}.cu", folder() / f"{name}.cu.o"
    source.write_text(text + table(kernels))
    front = [f"-DWEFT_THREADS={threads}", "-x", "c++", "-include", str(HERE / "emulate.h"), f"-I{KERNELS}"]
    return out, spawn(["g++", *DEVICE, *front, "-c", str(source), "-o", str(out), "-w"])


def link(name: str, objects: list[Path]) -> Path:
    """A shared object of the emulator and these."""
    out = folder() / f"{name}.so"
    finish(spawn(["g++", "-shared", *map(str, objects), str(emulator()), "-o", str(out), "-lm"]))
    return out


def digest(*texts: str) -> str:
    """A name for what is made from these texts."""
    return "m" + hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def shared_object(device: str, kernels: tuple[str, ...], threads: int = THREADS) -> Path:
    """Device text as a shared object whose ``weft_emulated_launch`` runs its kernels by name.

    ``threads``: of a block, as the host's text was compiled; without WEFT_THREADS that is 256.
    """
    name = digest(device, *kernels, str(threads))
    out = folder() / f"{name}.so"
    if not out.exists():
        built, job = device_job(device, kernels, name, threads)
        finish(job, device)
        link(name, [built])
    return out


def load(path: Path) -> Any:
    """The library, its functions typed."""
    lib = C.CDLL(str(path))
    ptr, i64 = C.c_void_p, C.c_longlong
    lib.weft_emulated_launch.argtypes = [C.c_char_p, i64, C.c_int, C.POINTER(ptr)]
    lib.weft_emulated_prepare.argtypes = [C.c_char_p, i64, C.c_int, C.POINTER(ptr)]
    lib.weft_emulated_prepare.restype = ptr
    lib.weft_emulated_run.argtypes = [ptr]
    lib.weft_emulated_error.restype = C.c_char_p
    lib.weft_emulated_host.argtypes = [ptr, ptr, ptr, ptr, ptr]
    lib.weft_emulated_heap_limit.argtypes = [i64]
    lib.weft_emulated_heap_used.restype = i64
    return lib


class EmulatorError(AssertionError):
    """What the emulator found wrong with a kernel."""


class Device:
    """Hand-written device text, whose kernels are called on NumPy arrays and scalars."""

    def __init__(self, text: str, kernels: tuple[str, ...], threads: int = THREADS) -> None:
        self.threads = threads
        self.lib = load(shared_object(text, kernels, threads))

    def __call__(self, kernel: str, blocks: int, *args: Any, threads: int = 0, seed: int = 0) -> None:
        """Run a kernel: arrays are passed as pointers, NumPy scalars as they are, Python's ints as i64."""
        cells = []
        for a in args:
            if isinstance(a, np.ndarray) and a.ndim:
                a = np.uint64(a.ctypes.data)
            cells.append(np.array(np.int64(a) if isinstance(a, int) and not isinstance(a, bool) else a))
        table = (C.c_void_p * max(len(cells), 1))(*[c.ctypes.data for c in cells])
        self.lib.weft_emulated_seed(seed)
        if self.lib.weft_emulated_launch(kernel.encode(), blocks, threads or self.threads, table):
            raise EmulatorError(self.lib.weft_emulated_error().decode())


def compilers() -> tuple[str, ...]:
    """The architectures that nvcc compiles for, if there is one."""
    return ARCHITECTURES if shutil.which("nvcc") else ()


def nvcc(text: str, arch: str) -> None:
    """Compile device text as CUDA, with the flags that weft gives."""
    source = folder() / f"{digest(text)}.{arch}.cu"
    source.write_text(text)
    front = ["nvcc", "-cubin", f"-arch={arch}", "-std=c++17", "-fmad=false", f"-I{KERNELS}"]
    finish(spawn([*front, str(source), "-o", str(source.with_suffix(".cubin"))]), text)
