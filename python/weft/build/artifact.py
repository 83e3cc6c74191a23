"""C++ text to a loaded extension module."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from weft.build import cache as caches
from weft.build import toolchain as toolchains
from weft.build.cache import Cache
from weft.build.environment import ABI_VERSION, content_digest, digest
from weft.build.files import temporary_name
from weft.build.progress import progress
from weft.build.toolchain import Toolchain
from weft.errors import CompileError

PLACEHOLDER = "@HASH@"  # stands in generated text for the module's name


class NoCompiler(CompileError):
    """There is no C++ compiler: the caller interprets instead."""

    def __init__(self) -> None:
        super().__init__(
            "no C++ compiler was found: install g++ or clang++ (or `pip install weft[zig]`), or set CXX; "
            "`weft doctor` says more"
        )


def find_toolchain() -> Toolchain | None:
    """The compiler in use, or None; what is known about it is shared between processes through the cache."""
    return toolchains.find(cache_dir=caches.default().root)


def artifact_key(text: str, toolchain: Toolchain, objects: Sequence[Path], include: Sequence[Path]) -> str:
    """The hash that names an artifact, and its module."""
    from weft import __version__

    return digest(text, toolchain.identity, _contents(tuple(objects), tuple(include)), __version__, str(ABI_VERSION))


@functools.cache
def _contents(objects: tuple[Path, ...], include: tuple[Path, ...]) -> str:
    return content_digest(*objects, *include)


def build(
    text: str,
    *,
    name: str = "",
    toolchain: Toolchain | None = None,
    cache: Cache | None = None,
    objects: Sequence[Path] | None = None,
    include: Sequence[Path] | None = None,
) -> ModuleType:
    """The extension module made from C++ text, compiled unless the cache has it.

    Parameters
    ----------
    text
        The file's text, in which ``@HASH@`` stands for the module's name.
    name
        What is compiled, for the status line and ``weft cache list``.
    toolchain, cache
        What to use instead of the compiler found and the user's cache.
    objects
        Object files to link with; the runtime's binding object if absent.
    include
        Directories for headers; weft's own if absent.

    Returns
    -------
    module
        ``module.__name__`` is the artifact's hash, with which `load` finds it again.

    Raises
    ------
    NoCompiler
        There is no compiler.
    CompileError
        The compiler refused the text.
    """
    toolchain = toolchain or find_toolchain()
    if toolchain is None:
        raise NoCompiler
    cache = cache or caches.default()
    libraries: Sequence[str] = ()
    if objects is None or include is None:
        from weft.runtime import paths

        libraries = paths.link_libraries() if objects is None else ()
        objects = [paths.binding_object()] if objects is None else objects
        include = [paths.kernels_dir(), paths.include_dir()] if include is None else include
    key = artifact_key(text, toolchain, objects, include)

    def compile_and_link(source: Path, out: Path) -> None:
        obj = temporary_name(source.with_suffix(".o"))
        try:
            with progress(f"weft: compiling {name or 'a function'}"):
                toolchain.compile(source, obj, include=include)
                toolchain.link([obj, *objects], out, libraries=libraries)
        finally:
            obj.unlink(missing_ok=True)

    facts = {"name": name, "compiler": toolchain.version}
    for attempt in (0, 1):
        cache.get_or_build(key, text.replace(PLACEHOLDER, key), compile_and_link, facts)
        try:
            module = cache.load(key)
        except ImportError as e:
            if attempt:
                raise CompileError(
                    f"a compiled module cannot be loaded: {e}\n  command: {' '.join(toolchain.linker)}"
                ) from e
            continue
        if module is not None:  # None: trimmed by another process just now
            return module
    raise CompileError(f"the artifact {key} vanished twice from {cache.root}: is something clearing it?")


def load(key: str, *, cache: Cache | None = None) -> ModuleType | None:
    """The extension module of an artifact built before; None if it is gone or cannot be loaded."""
    try:
        return (cache or caches.default()).load(key)
    except (ImportError, OSError):
        return None


__all__ = ["NoCompiler", "artifact_key", "build", "find_toolchain", "load"]
