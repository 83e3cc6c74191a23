"""CUDA text to a cubin: NVRTC where it is found, else nvcc, in the same cache as everything compiled."""

from __future__ import annotations

import ctypes as C
import functools
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.build import cache as caches
from weft.build.artifact import _contents
from weft.build.cache import Cache
from weft.build.environment import digest
from weft.build.progress import progress
from weft.errors import CompileError

# No contraction of a*b + c into one rounding, and divisions and roots as IEEE 754 has them: NumPy's results.
FLAGS = ("-std=c++17", "-fmad=false", "-prec-div=true", "-prec-sqrt=true", "-ftz=false")
INSTALL = "pip install 'weft[cuda]' (or 'weft[cuda12]' for a driver of CUDA 12), or install NVIDIA's CUDA toolkit"


class NoDeviceCompiler(CompileError):
    """There is neither NVRTC nor nvcc, or none that fits the driver."""


@dataclass(frozen=True)
class DeviceCompiler:
    """A compiler of CUDA text.

    Attributes
    ----------
    kind
        ``nvrtc`` or ``nvcc``.
    path
        The library, or the command.
    version
        Of its CUDA toolkit: ``(12, 4)``.
    architectures
        Those that it knows, as numbers (``90`` for ``sm_90``); nothing is known if there is none.
    """

    kind: str
    path: str
    version: tuple[int, int]
    architectures: tuple[int, ...]

    @property
    def about(self) -> str:
        """Its name and version."""
        return f"{'NVRTC' if self.kind == 'nvrtc' else 'nvcc'} {self.version[0]}.{self.version[1]}"

    def target(self, arch: str) -> str:
        """The architecture to compile for: ``arch``, or the newest one before it that runs there too.

        Raises
        ------
        NoDeviceCompiler
            It knows none.
        """
        number = _number(arch)
        if not self.architectures or number in self.architectures:
            return arch
        fitting = [a for a in self.architectures if a // 10 == number // 10 and a <= number]
        if not fitting:
            known = ", ".join(f"sm_{a}" for a in self.architectures)
            raise NoDeviceCompiler(
                f"{self.about} ({self.path}) does not compile for this GPU, {arch} (it knows {known}):"
                f" install another version: {INSTALL}"
            )
        return f"sm_{max(fitting)}"

    def compile(self, text: str, source: Path, arch: str, include: Sequence[Path]) -> bytes:
        """The cubin of a text.

        Raises
        ------
        CompileError
            The compiler refused it.
        """
        options = [f"-arch={self.target(arch)}", *FLAGS, *(f"-I{p}" for p in include)]
        return (_nvrtc if self.kind == "nvrtc" else _nvcc)(self, text, source, options)


def _number(arch: str) -> int:
    return int(re.sub(r"\D", "", arch))


def find(driver: str = "") -> DeviceCompiler:
    """The compiler to use.

    Parameters
    ----------
    driver
        The CUDA version of the driver (``"12.4"``), which loads nothing that a newer major version made; "" for any.

    Raises
    ------
    NoDeviceCompiler
        There is none that fits; the message says what to install.
    """
    major = int(driver.split(".")[0]) if driver else 1000
    found = list(candidates())
    fitting = [c for c in found if c.version[0] <= major]
    if fitting:
        return fitting[0]
    if found:
        raise NoDeviceCompiler(
            f"{' and '.join(c.about for c in found)} cannot make code for this driver, which is for CUDA {driver}:"
            f" pip install nvidia-cuda-nvrtc-cu{major}, or a newer driver"
        )
    raise NoDeviceCompiler(f"no compiler for GPU code was found, neither NVRTC nor nvcc: {INSTALL}")


def candidates() -> tuple[DeviceCompiler, ...]:
    """The compilers there are, the one to be preferred first; ``WEFT_NVRTC`` names a library to be used alone."""
    settings = [os.environ.get(k, "") for k in ("WEFT_NVRTC", "CUDA_HOME", "CUDA_PATH", "PATH")]
    return _candidates(*settings)


@functools.cache
def _candidates(chosen: str, *settings: str) -> tuple[DeviceCompiler, ...]:
    from weft.runtime.paths import nvidia_libraries

    found: list[DeviceCompiler] = []
    for path in [chosen] if chosen else nvidia_libraries("nvrtc"):
        made = _open_nvrtc(path)
        if made is not None and made.version not in [c.version for c in found]:
            found.append(made)
    toolkit = settings[0] or settings[1] or "/usr/local/cuda"
    command = None if chosen else shutil.which("nvcc") or shutil.which(os.path.join(toolkit, "bin", "nvcc"))
    if command:
        made = _ask_nvcc(command)
        if made is not None:
            found.append(made)
    return tuple(found)


# -- NVRTC -------------------------------------------------------------------------------------------------------------


@functools.cache
def _library(path: str) -> Any:
    return C.CDLL(path)


def _open_nvrtc(path: str) -> DeviceCompiler | None:
    try:
        lib = _library(path)
        major, minor, count = C.c_int(), C.c_int(), C.c_int()
        if lib.nvrtcVersion(C.byref(major), C.byref(minor)) or lib.nvrtcGetNumSupportedArchs(C.byref(count)):
            return None
        numbers = (C.c_int * count.value)()
        if lib.nvrtcGetSupportedArchs(numbers):
            return None
        lib.nvrtcGetCUBIN  # noqa: B018  (before CUDA 11.1 it makes none)
        lib.nvrtcGetErrorString.restype = C.c_char_p
    except (OSError, AttributeError):
        return None
    return DeviceCompiler("nvrtc", path, (major.value, minor.value), tuple(sorted(set(numbers))))


def _nvrtc(compiler: DeviceCompiler, text: str, source: Path, options: Sequence[str]) -> bytes:
    lib = _library(compiler.path)
    program = C.c_void_p()

    def check(status: int, what: str) -> None:
        if status:
            why = lib.nvrtcGetErrorString(status).decode()
            log = _text(lib, program, "ProgramLog") if program else ""
            raise _refused(compiler, source, [what, *options], f"{why}\n{log}".strip())

    name = C.c_char_p(str(source).encode())
    check(lib.nvrtcCreateProgram(C.byref(program), C.c_char_p(text.encode()), name, 0, None, None), "create")
    try:
        table = (C.c_char_p * len(options))(*[o.encode() for o in options])
        check(lib.nvrtcCompileProgram(program, len(options), table), "compile")
        size = C.c_size_t()
        check(lib.nvrtcGetCUBINSize(program, C.byref(size)), "cubin")
        data = C.create_string_buffer(size.value)
        check(lib.nvrtcGetCUBIN(program, data), "cubin")
        return data.raw
    finally:
        lib.nvrtcDestroyProgram(C.byref(program))


def _text(lib: Any, program: Any, what: str) -> str:
    size = C.c_size_t()
    if getattr(lib, f"nvrtcGet{what}Size")(program, C.byref(size)):
        return ""
    data = C.create_string_buffer(max(size.value, 1))
    return "" if getattr(lib, f"nvrtcGet{what}")(program, data) else data.value.decode(errors="replace")


# -- nvcc --------------------------------------------------------------------------------------------------------------


def _ask_nvcc(command: str) -> DeviceCompiler | None:
    try:
        said = subprocess.run([command, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
        known = subprocess.run(
            [command, "--list-gpu-code"], capture_output=True, text=True, stdin=subprocess.DEVNULL
        ).stdout
    except OSError:
        return None
    version = re.search(r"release (\d+)\.(\d+)", said)
    if version is None:
        return None
    numbers = sorted({int(n) for n in re.findall(r"sm_(\d+)\s", known + " ")})
    return DeviceCompiler("nvcc", command, (int(version[1]), int(version[2])), tuple(numbers))


def _nvcc(compiler: DeviceCompiler, text: str, source: Path, options: Sequence[str]) -> bytes:
    from weft.build.files import private_directory

    with private_directory() as tmp:
        file, out = tmp / "kernels.cu", tmp / "kernels.cubin"
        file.write_text(text)
        command = [compiler.path, "-cubin", *options, "-o", str(out), str(file)]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        except OSError as e:
            raise CompileError(f"cannot run {compiler.path}: {e.strerror}") from e
        if done.returncode:
            raise _refused(compiler, source, command, done.stderr.strip() or done.stdout.strip())
        return out.read_bytes()


def _refused(compiler: DeviceCompiler, source: Path, command: Sequence[str], log: str) -> CompileError:
    return CompileError(
        "generated GPU code does not compile: this is a defect of weft, not of your program\n"
        f"  file: {source} (please attach it to a report)\n"
        f"  command: {' '.join(command)}\n"
        f"  compiler: {compiler.about} ({compiler.path})\n\n"
        f"what the compiler said:\n{log}"
    )


# -- in the cache ------------------------------------------------------------------------------------------------------


def build(
    text: str,
    arch: str,
    *,
    name: str = "",
    driver: str = "",
    compiler: DeviceCompiler | None = None,
    cache: Cache | None = None,
    include: Sequence[Path] | None = None,
) -> bytes:
    """The cubin of a CUDA text, compiled unless the cache has it.

    Parameters
    ----------
    text
        The file's text.
    arch
        The GPU's architecture, such as ``"sm_90"``.
    name
        What is compiled, for the status line and ``weft cache list``.
    driver
        The CUDA version of the driver that will load it.
    compiler, cache, include
        What to use instead of the compiler found, the user's cache, and weft's headers.

    Raises
    ------
    NoDeviceCompiler
        There is no compiler, or none that fits.
    CompileError
        The compiler refused the text.
    """
    from weft import __version__
    from weft.runtime import paths

    compiler = compiler or find(driver)
    cache = cache or caches.default()
    include = [paths.kernels_dir()] if include is None else include
    made = (compiler.kind, *map(str, compiler.version), compiler.target(arch), *FLAGS)
    key = digest(text, *made, _contents((), tuple(include)), __version__)

    def compile_text(source: Path, out: Path) -> None:
        with progress(f"weft: compiling {name or 'a function'} for the GPU"):
            out.write_bytes(compiler.compile(text, source, arch, include))

    facts = {"name": name, "compiler": f"{compiler.about} for {arch}"}
    for _ in range(2):
        cache.get_or_build(key, text, compile_text, facts, ".cubin")
        data = cache.read(key, ".cubin")
        if data is not None:  # None: trimmed by another process just now
            return data
    raise CompileError(f"the artifact {key} vanished twice from {cache.root}: is something clearing it?")


__all__ = ["DeviceCompiler", "NoDeviceCompiler", "build", "candidates", "find"]
