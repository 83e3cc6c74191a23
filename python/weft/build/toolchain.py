"""Finding a C++ compiler, and the quickest way from a source file to a shared object with it.

Measured with g++ 12 on a three-line kernel: the driver with ``-pipe`` compiles it in 21 ms (running ``cc1plus`` and
``as`` directly saves 1 ms, not worth its fragility). Linking it with the binding object takes the driver 55 ms and
``ld`` itself 7, so the driver is asked once for its linker's command line, and that is run from then on.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weft.build.environment import cpu_features, cpu_identity, digest
from weft.errors import CompileError

# Python's meaning is kept: no -ffast-math, signed integers wrap, and no contraction of a*b + c into one rounding
# (NumPy rounds twice; x*x - y*y must be 0 where x == y). -fno-trapping-math and -fno-math-errno only give up the
# floating-point exception flags and errno, which no Python program sees.
FLAGS = (
    "-std=gnu++17", "-O3", "-march=native", "-fPIC", "-fvisibility=hidden", "-fwrapv", "-fno-math-errno",
    "-fno-trapping-math", "-ffp-contract=off", "-fno-exceptions", "-fno-rtti", "-fno-semantic-interposition",
    "-fno-plt", "-fno-tree-sink", "-fno-stack-protector", "-fopenmp-simd", "-w",
)  # fmt: skip
# Sinking moves a call of exp into the branch that wants it, which then is no select any more but a branch: the loop is
# not vectorised (selu of 1e6 float32: 0.4 ms without it, 2.6 with).
GCC_ONLY = {"-fno-semantic-interposition", "-fno-plt", "-fno-tree-sink"}
# Processors with AVX-512 VBMI2 (Ice Lake, Zen 4 and later) do not slow down for full-width vectors, which compilers
# avoid for the sake of older ones: 1e6 exp take 0.60 ms instead of 0.81, selu of 1e6 float32 0.33 instead of 0.46.
WIDE_FLAGS = ("-mprefer-vector-width=512",)
_OUT, _OBJECTS = "@out@", "@objects@"


@dataclass(frozen=True)
class Toolchain:
    """A compiler that works.

    Attributes
    ----------
    command
        How it is run.
    kind
        ``gcc``, ``clang`` or ``zig``.
    version
        The first line of ``--version``.
    flags
        What every compilation gets.
    linker
        The command that links; ``@objects@`` and ``@out@`` stand for the files.
    """

    command: tuple[str, ...]
    kind: str
    version: str
    flags: tuple[str, ...]
    linker: tuple[str, ...]

    @property
    def identity(self) -> str:
        """What an artifact made by it depends on."""
        return digest(self.version, *self.command[1:], *self.flags, *self.linker, cpu_identity())

    def compile(self, source: Path, out: Path, *, include: Sequence[Path] = ()) -> None:
        """Compile one file to an object.

        Raises
        ------
        CompileError
            The compiler refused it.
        """
        includes = [f"-I{p}" for p in include]
        self._run([*self.command, "-pipe", *self.flags, *includes, "-c", str(source), "-o", str(out)], source)

    def link(self, objects: Sequence[Path], out: Path, *, libraries: Sequence[str] = ()) -> None:
        """Link objects to a shared object.

        Parameters
        ----------
        objects, out
            The files.
        libraries
            Shared libraries, as files, that a direct linker links with instead of the compiler's own: searching
            those for the symbols of the binding object takes 35 ms.

        Raises
        ------
        CompileError
            The linker refused them.
        """
        command: list[str] = []
        direct = self.linker[: len(self.command)] != self.command
        for word in self.linker:
            if word == _OBJECTS:
                command += map(str, objects)
                if direct and libraries:
                    command += ["--no-as-needed", *libraries, "--as-needed"]
            elif not (libraries and direct and word.startswith("-l")):
                command.append(str(out) if word == _OUT else word)
        self._run(command, objects[0])

    def _run(self, command: list[str], source: Path) -> None:
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        except OSError as e:
            raise CompileError(f"cannot run the compiler {command[0]}: {e.strerror}; `weft doctor` says more") from e
        if done.returncode < 0:
            raise CompileError(
                f"the compiler {command[0]} was killed by signal {-done.returncode} (out of memory?)\n"
                f"  file: {source}\n  command: {shlex.join(command)}"
            )
        if done.returncode:
            raise CompileError(
                "generated code does not compile: this is a defect of weft, not of your program\n"
                f"  file: {source} (please attach it to a report)\n"
                f"  command: {shlex.join(command)}\n"
                f"  compiler: {self.version}\n\n"
                f"what the compiler said:\n{done.stderr.strip() or done.stdout.strip()}"
            )


def candidates() -> list[tuple[str, ...]]:
    """The commands that are tried, in order: ``$CXX`` alone if it is set, else g++, clang++, c++, ziglang."""
    chosen = os.environ.get("CXX", "").strip()
    if chosen:
        words = shlex.split(chosen)
        path = shutil.which(words[0])
        return [(path, *words[1:])] if path else []
    found: list[tuple[str, ...]] = []
    for name in ("g++", "clang++", "c++"):
        path = shutil.which(name)
        if path:
            found.append((path,))
    if importlib.util.find_spec("ziglang") is not None:
        found.append((sys.executable, "-m", "ziglang", "c++"))
    return found


_found: dict[tuple[str, ...], Toolchain | None] = {}


def find(*, cache_dir: Path | None = None) -> Toolchain | None:
    """The compiler to use; None if there is none that works.

    Parameters
    ----------
    cache_dir
        Where what was found out about compilers is remembered for other processes.
    """
    key = (os.environ.get("CXX", ""), os.environ.get("PATH", ""), os.environ.get("WEFT_CXXFLAGS", ""))
    if key not in _found:
        _found[key] = next(filter(None, (_known(c, cache_dir) or _probe(c, cache_dir) for c in candidates())), None)
    return _found[key]


def extra_flags() -> tuple[str, ...]:
    """Flags that the user adds through ``WEFT_CXXFLAGS``."""
    return tuple(shlex.split(os.environ.get("WEFT_CXXFLAGS", "")))


def _record_path(command: tuple[str, ...], cache_dir: Path) -> Path | None:
    try:
        stat = os.stat(command[0])
    except OSError:
        return None
    what = (
        *command,
        str(stat.st_size),
        str(stat.st_mtime_ns),
        cpu_identity(),
        *FLAGS,
        *WIDE_FLAGS,
        "/",
        *extra_flags(),
    )
    return cache_dir / f"toolchain-{digest(*what)}.json"


def _known(command: tuple[str, ...], cache_dir: Path | None) -> Toolchain | None:
    path = _record_path(command, cache_dir) if cache_dir else None
    try:
        data: Any = json.loads(path.read_text()) if path else None
        if data is None:
            return None
        return Toolchain(
            tuple(data["command"]), data["kind"], data["version"], tuple(data["flags"]), tuple(data["linker"])
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _probe(command: tuple[str, ...], cache_dir: Path | None) -> Toolchain | None:
    """Find out about a compiler by using it."""
    from weft.build.files import private_directory, write_atomically

    try:
        version = _output([*command, "--version"]).splitlines()[0]
        macros = _output([*command, "-dM", "-E", "-x", "c++", os.devnull])
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None
    kind = "zig" if "ziglang" in command else "clang" if "__clang__" in macros else "gcc"
    wide = WIDE_FLAGS if kind != "zig" and "avx512_vbmi2" in cpu_features() else ()
    flags = (*(f for f in FLAGS if kind == "gcc" or f not in GCC_ONLY), *wide, *extra_flags())
    driver = (*command, "-shared", "-o", _OUT, _OBJECTS)
    with private_directory() as tmp:
        source, obj, out = tmp / "probe.cpp", tmp / "probe.o", tmp / "probe.so"
        source.write_text('extern "C" __attribute__((visibility("default"))) int weft_probe() { return 0; }\n')
        linker = _direct_linker(command, obj) if kind == "gcc" else None
        for choice in filter(None, (linker, driver)):
            found = Toolchain(command, kind, version, flags, choice)
            try:
                found.compile(source, obj)
                found.link([obj], out)
            except CompileError:
                continue
            path = _record_path(command, cache_dir) if cache_dir else None
            if path is not None:
                write_atomically(path, json.dumps(asdict(found)).encode())
            return found
    return None


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout


def _direct_linker(command: tuple[str, ...], obj: Path) -> tuple[str, ...] | None:
    """The linker's command line as the driver would give it, without the link-time optimiser's plugin."""
    try:
        obj.write_bytes(b"")
        dry = [*command, "-###", "-shared", str(obj), "-o", _OUT]
        text = subprocess.run(dry, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stderr
        ld = _output([*command, "-print-prog-name=ld"]).strip()
        ld = ld if os.path.isabs(ld) else shutil.which(ld) or ""
    except (OSError, subprocess.CalledProcessError):
        return None
    lines = [line for line in text.splitlines() if "collect2" in line.split(" -", 1)[0]]
    if not lines or not ld:
        return None
    words = shlex.split(lines[0])[1:]
    kept = [ld, "--gc-sections", "-znoexecstack"]
    skip = False
    for word in words:
        if skip or word == "-plugin":
            skip = word == "-plugin"
        elif not word.startswith("-plugin-opt"):
            kept.append(_OBJECTS if word == str(obj) else word)
    return tuple(kept) if _OBJECTS in kept and _OUT in kept else None
