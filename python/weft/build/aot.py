"""Compiling the sources of modules built ahead of time: levels of the processor, jobs, linking.

Nothing here needs what made the sources: committed ones are compiled without gast, jinja2 and staging.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import sysconfig
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from weft.build import toolchain as toolchains
from weft.build.environment import cpu_features
from weft.build.files import temporary_name
from weft.build.toolchain import Toolchain
from weft.errors import CompileError
from weft.runtime import paths

# A wheel runs on other processors than the one it was built on, so the native one is never the default.
_V2 = "cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3"
_V3 = f"{_V2} abm avx avx2 bmi1 bmi2 f16c fma movbe"
_V4 = f"{_V3} avx512bw avx512cd avx512dq avx512f avx512vl"
# Full-width vectors slow the first processors with AVX-512 down; those have no VBMI2 and take x86-64-v3.
_WIDE = f"{_V4} avx512vbmi avx512_vbmi2"
_X86 = {
    "x86-64": (("-march=x86-64",), ""),
    "x86-64-v2": (("-march=x86-64-v2",), _V2),
    "x86-64-v3": (("-march=x86-64-v3",), _V3),
    "x86-64-v4": (("-march=x86-64-v4", "-mavx512vbmi", "-mavx512vbmi2", *toolchains.WIDE_FLAGS), _WIDE),
}
_INSTRUCTIONS = re.compile(
    r"abm|adx|aes|amx|avx|bmi|cx16|f16c|fma|gfni|lahf|movbe|pclmul|pni|popcnt|rdseed|sha_ni|sse|ssse|vaes|vpclmul"
)


@dataclass(frozen=True)
class Level:
    """What the kernels are compiled for.

    Attributes
    ----------
    name
        As in ``--march``.
    flags
        What the compiler is told.
    needs
        The features that a processor needs to run the result, as Linux names them.
    """

    name: str
    flags: tuple[str, ...]
    needs: str

    @property
    def symbol(self) -> str:
        """The name as C++ has it."""
        return self.name.replace("-", "_")


def known_levels() -> dict[str, Level]:
    """The levels that can be asked for on this machine, the best last."""
    if platform.machine() in ("x86_64", "AMD64"):
        found = {name: Level(name, flags, needs) for name, (flags, needs) in _X86.items()}
    else:
        found = {"generic": Level("generic", (), "")}
    features = cpu_features()
    wide = toolchains.WIDE_FLAGS if "avx512_vbmi2" in features else ()
    needed = sorted(f for f in features if "generic" in found or _INSTRUCTIONS.match(f))
    found["native"] = Level("native", ("-march=native", *wide), " ".join(needed))
    return found


def chosen_levels(text: str) -> list[Level]:
    """The levels of ``--march``, the best first; without any those of a portable build.

    Raises
    ------
    ValueError
        There is no such level.
    """
    known = known_levels()
    names = text.replace(",", " ").split() or [n for n in known if n not in ("native", "x86-64-v2")]
    for name in names:
        if name not in known:
            raise ValueError(f"there is no level {name!r}; these are: {', '.join(known)}")
    if "native" in names and len(set(names)) > 1:
        raise ValueError("'native' is what this processor has, and goes alone")
    order = list(known)
    return [known[n] for n in sorted(set(names), key=order.index, reverse=True)]


@dataclass(frozen=True)
class Sources:
    """The files of one module: ``<name>.cpp`` lists the functions, ``<name>-<function>.cpp`` are their kernels."""

    name: str
    module: Path
    kernels: tuple[Path, ...]
    stub: Path


def find_sources(directory: Path) -> list[Sources]:
    """The modules whose sources lie in a directory."""
    found = []
    for stub in sorted(directory.glob("*.pyi")):
        name = stub.stem
        module = directory / f"{name}.cpp"
        if module.is_file():
            found.append(Sources(name, module, tuple(sorted(directory.glob(f"{name}-*.cpp"))), stub))
    return found


def suffix() -> str:
    """The end of an extension module's file name."""
    return str(sysconfig.get_config_var("EXT_SUFFIX"))


class Compilation:
    """Compiles a module's files, several at a time, and links them.

    Parameters
    ----------
    work
        A directory for objects.
    levels
        What to compile kernels for, the best first.
    jobs
        How many compilers run at a time.
    done
        Called after each file.
    """

    def __init__(
        self,
        work: Path,
        levels: Sequence[Level],
        jobs: int = 0,
        toolchain: Toolchain | None = None,
        done: Callable[[str], None] = lambda what: None,
    ) -> None:
        self.work = work
        self.levels = list(levels)
        self.toolchain = toolchain or needed_toolchain()
        self.pool = ThreadPoolExecutor(jobs or processors())
        self.done = done
        self.futures: list[Future[Path]] = []
        self.seconds: dict[str, float] = {}

    def kernels(self, source: Path, function: str) -> None:
        """Begin to compile one function's kernels, for each level."""
        for level in self.levels:
            flags = (*level.flags, f"-DWEFT_LEVEL={level.symbol}")
            self._submit(source, f"{source.stem}.{level.symbol}.o", flags, function)

    def module(self, source: Path) -> None:
        """Begin to compile the file that lists the functions."""
        levels = " ".join(f'WEFT_LEVEL({level.symbol}, "{level.needs}")' for level in self.levels)
        self._submit(source, f"{source.stem}.o", (f"-DWEFT_LEVELS={levels}",), "")

    def _submit(self, source: Path, name: str, flags: Sequence[str], function: str) -> None:
        common = tuple(f for f in self.toolchain.flags if f != "-march=native" and f not in toolchains.WIDE_FLAGS)
        if self.toolchain.kind == "zig":
            flags = [f"-march={f[7:].replace('-', '_')}" if f.startswith("-march=") else f for f in flags]
        compiler = dataclasses.replace(self.toolchain, flags=(*common, *flags))

        def run() -> Path:
            import time

            start = time.perf_counter()
            out = self.work / name
            compiler.compile(source, out, include=[paths.kernels_dir(), paths.include_dir()])
            self.seconds[function] = self.seconds.get(function, 0.0) + time.perf_counter() - start
            self.done(function)
            return out

        self.futures.append(self.pool.submit(run))

    def link(self, out: Path) -> None:
        """Wait for all objects and link the extension module ``out``.

        Raises
        ------
        CompileError
            The compiler or the linker refused something.
        """
        try:
            wait(self.futures, return_when=FIRST_EXCEPTION)
            objects = [f.result() for f in self.futures if f.done()]
        finally:
            self.pool.shutdown(cancel_futures=True)
        temporary = temporary_name(out)
        try:
            self.toolchain.link([*objects, paths.built_object()], temporary, libraries=paths.link_libraries())
            os.replace(temporary, out)
        finally:
            temporary.unlink(missing_ok=True)

    def stop(self) -> None:
        """Give up what was not begun."""
        self.pool.shutdown(cancel_futures=True)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def needed_toolchain() -> Toolchain:
    """The compiler.

    Raises
    ------
    CompileError
        There is none.
    """
    from weft.build.artifact import NoCompiler, find_toolchain

    found = find_toolchain()
    if found is None:
        raise NoCompiler
    return found


def written(path: Path, text: str) -> bool:
    """Write a text file unless it is so already; whether it was written."""
    try:
        if path.read_text() == text:
            return False
    except (OSError, UnicodeDecodeError):
        pass
    temporary = temporary_name(path)
    temporary.write_text(text)
    os.replace(temporary, path)
    return True


__all__ = [
    "Compilation",
    "CompileError",
    "Level",
    "Sources",
    "chosen_levels",
    "find_sources",
    "known_levels",
    "suffix",
    "written",
]  # fmt: skip
