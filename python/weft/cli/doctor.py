"""``weft doctor``: what weft finds on this machine, what is wrong with it, and the remedy."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    state: str
    what: str
    detail: str
    remedy: str = ""


def check_python() -> Iterator[Finding]:
    """Python, NumPy and weft."""
    import numpy as np

    from weft import __version__

    yield Finding(OK, "weft", f"{__version__}, Python {platform.python_version()}, NumPy {np.__version__}")
    if int(np.__version__.split(".")[0]) < 2:
        yield Finding(FAIL, "NumPy", f"{np.__version__} is too old", "pip install 'numpy>=2'")


def check_runtime() -> Iterator[Finding]:
    """The extension module and the files beside it."""
    try:
        from weft.runtime import paths
    except ImportError as e:
        yield Finding(FAIL, "runtime", str(e), "install weft again: pip install --force-reinstall weft")
        return
    wanted = (paths.binding_object(), paths.templates_dir(), paths.include_dir())
    missing = [str(p) for p in wanted if not p.exists()]
    if missing:
        yield Finding(FAIL, "runtime", f"missing: {', '.join(missing)}", "install weft again")
    else:
        yield Finding(OK, "runtime", str(paths.binding_object().parent.parent))


def check_compiler() -> Iterator[Finding]:
    """The C++ compiler, by using it."""
    from weft.build import artifact, toolchain
    from weft.build.files import private_directory
    from weft.errors import CompileError

    install = "apt install g++, dnf install gcc-c++, xcode-select --install, or pip install ziglang"
    found = artifact.find_toolchain()
    if found is None:
        tried = ", ".join(" ".join(c) for c in toolchain.candidates())
        if os.environ.get("CXX"):
            yield Finding(FAIL, "compiler", f"CXX={os.environ['CXX']} does not work", "unset CXX, or correct it")
        elif tried:
            yield Finding(FAIL, "compiler", f"found but does not work: {tried}", install)
        else:
            yield Finding(WARN, "compiler", "none: functions are interpreted, hundreds of times slower", install)
        return
    yield Finding(OK, "compiler", f"{found.version} ({' '.join(found.command)})")
    version = re.search(r"(\d+)\.\d+", found.version.split(")")[-1])
    if found.kind == "gcc" and version and int(version[1]) < 9:
        yield Finding(WARN, "compiler", "older than g++ 9: slower code", install)
    if found.linker[: len(found.command)] == found.command and found.kind == "gcc":
        yield Finding(WARN, "linker", "ld was not found: linking goes through the compiler (15 ms more)", "")
    try:
        with private_directory() as tmp:
            source, obj, out = tmp / "try.cpp", tmp / "try.o", tmp / "try.so"
            source.write_text(
                'extern "C" int f(double* x, long n) { for (long i = 0; i < n; i++) x[i] *= 2; return 0; }\n'
            )
            began = time.perf_counter()
            found.compile(source, obj)
            found.link([obj], out)
            seconds = time.perf_counter() - began
    except CompileError as e:
        yield Finding(FAIL, "compiling", str(e), "set CXX to another compiler")
        return
    state, remedy = (OK, "") if seconds < 0.5 else (WARN, "a slow disk under TMPDIR, or a compiler wrapper?")
    yield Finding(state, "compiling", f"a small kernel takes {seconds * 1e3:.0f} ms", remedy)
    if toolchain.extra_flags():
        yield Finding(OK, "flags", f"WEFT_CXXFLAGS adds {' '.join(toolchain.extra_flags())}")


def check_cache() -> Iterator[Finding]:
    """The artifact cache."""
    from weft.build import cache as caches
    from weft.cli.kept import size_text

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        cache = caches.default()
    for w in said:
        yield Finding(WARN, "cache", str(w.message), "set WEFT_CACHE_DIR to a directory of your own")
    entries = cache.entries()
    total = sum(e.size for e in entries)
    yield Finding(
        OK, "cache", f"{cache.root}: {len(entries)} artifacts, {size_text(total)} of {size_text(cache.limit)}"
    )
    if total > 0.9 * cache.limit:
        yield Finding(WARN, "cache", "nearly full: artifacts are compiled again and again", "raise WEFT_CACHE_SIZE")


def check_blas() -> Iterator[Finding]:
    """The library for matrix products."""
    remedy = "pip install scipy-openblas64"
    try:
        from weft import _runtime

        library = _runtime.blas_library()
    except (ImportError, RuntimeError, OSError) as e:
        yield Finding(WARN, "BLAS", str(e), remedy)
        return
    if library:
        yield Finding(OK, "BLAS", library)
    else:
        yield Finding(WARN, "BLAS", "none: matrix products use plain loops, ten times slower", remedy)


def check_gpus() -> Iterator[Finding]:
    """GPUs, and what compiles and multiplies for them."""
    from weft import _runtime
    from weft.build import cuda
    from weft.runtime import devices

    try:
        found = devices.gpus()
    except RuntimeError as e:
        why = str(e).partition("\n")[2] or str(e)
        none = "was not found" in why or "finds no GPU" in why or "WEFT_PLATFORM" in why or "built without" in why
        what, _, remedy = why.partition(". ")
        yield Finding(OK if none else WARN, "GPU", f"none: {what}", "" if none else remedy)
        return
    for d in found:
        memory = d.memory_stats()["bytes_limit"] / 2**30
        yield Finding(OK, "GPU", f"{d}: {d.device_kind}, {memory:.1f} GiB, {d.architecture}, CUDA {d.driver}")
    try:
        compiler = cuda.find(found[0].driver)
        compiler.target(found[0].architecture)
        yield Finding(OK, "GPU code", f"{compiler.about} ({compiler.path})")
    except cuda.NoDeviceCompiler as e:
        what, _, remedy = str(e).partition(": ")
        yield Finding(FAIL, "GPU code", what, remedy)
    library = _runtime.cublas_library()
    if library:
        yield Finding(OK, "cuBLAS", library)
    else:
        remedy = "pip install 'weft[cuda]', or 'weft[cuda12]' for a driver of CUDA 12"
        yield Finding(WARN, "cuBLAS", "none: matrix products on the GPU use a kernel of weft's own, slower", remedy)
    if len(found) > 1:
        try:
            yield Finding(OK, "NCCL", f"{_runtime.nccl_version()} ({_runtime.nccl_library()})")
        except RuntimeError as e:
            what, _, remedy = str(e).partition(". ")
            yield Finding(WARN, "NCCL", what, remedy)


def check_cores() -> Iterator[Finding]:
    """Processors and threads."""
    try:
        usable = len(os.sched_getaffinity(0))
    except AttributeError:
        usable = os.cpu_count() or 1
    try:
        from weft import _runtime

        threads = _runtime.thread_count()
    except ImportError:
        threads = 1
    detail = f"{usable} usable of {os.cpu_count()}, {threads} threads ({platform.machine()})"
    if threads > usable:
        yield Finding(WARN, "cores", detail, "WEFT_NUM_THREADS is larger than the number of cores")
    else:
        yield Finding(OK, "cores", detail)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python, check_runtime, check_compiler, check_cache, check_blas, check_cores, check_gpus,
)  # fmt: skip


def findings() -> list[Finding]:
    """All findings. A check that fails itself is one."""
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += check()
        except Exception as e:
            name = check.__name__.removeprefix("check_")
            found.append(Finding(FAIL, name, f"the check failed: {type(e).__name__}: {e}", "please report this"))
    return found


def run() -> int:
    """Print the report; 1 if something prevents weft from working."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    found = findings()
    style = {OK: "green", WARN: "yellow", FAIL: "bold red"}
    for f in found:
        line = Text.assemble((f"{f.state:<5}", style[f.state]), (f"{f.what:<11}", "bold"), f.detail)
        console.print(line, soft_wrap=True)
        if f.remedy:
            console.print(Text(f"     {'':<11}remedy: {f.remedy}", style="italic"), soft_wrap=True)
    failed = any(f.state == FAIL for f in found)
    sys.stdout.flush()
    return 1 if failed else 0
