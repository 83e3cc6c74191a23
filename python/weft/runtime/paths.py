"""Where code generation finds its files, and how artifacts are linked.

In an editable install templates and headers are the source tree's own; the binding object always lies beside the
extension module, where the build installed it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

from weft import _runtime

_INSTALLED = Path(_runtime.__file__).parent
_PACKAGE = Path(__file__).resolve().parent.parent
_SOURCE = _PACKAGE.parent.parent


def _is_source_tree() -> bool:
    return (_SOURCE / "csrc" / "include" / "weft" / "abi.h").is_file()


@functools.cache
def templates_dir() -> Path:
    """The folder of Jinja templates."""
    return _SOURCE / "templates" if _is_source_tree() else _INSTALLED / "_templates"


@functools.cache
def include_dir() -> Path:
    """The folder to pass as ``-I``: holds ``weft/abi.h``."""
    return _SOURCE / "csrc" / "include" if _is_source_tree() else _INSTALLED / "_include"


@functools.cache
def kernels_dir() -> Path:
    """The folder of kernel headers that generated code may include."""
    return _SOURCE / "csrc" / "kernels" if _is_source_tree() else _INSTALLED / "_include" / "kernels"


def nvidia_libraries(name: str) -> list[str]:
    """Where one of NVIDIA's libraries may lie, such as ``"nvrtc"``: in wheels, in the toolkit, with the loader.

    The newest version comes first in each; names without a directory are the loader's business.
    """
    import importlib.util
    import re

    places = []
    try:
        spec = importlib.util.find_spec("nvidia")
        places = list(spec.submodule_search_locations or ()) if spec else []
    except (ImportError, ValueError):
        pass
    folders = [d for p in places for d in sorted(Path(p).glob("*/lib"), reverse=True)]
    toolkit = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH") or "/usr/local/cuda"
    folders.append(Path(toolkit) / "lib64")
    found = []
    for folder in folders:
        files = [f for f in folder.glob(f"lib{name}.so.*") if re.fullmatch(r"\d+", f.suffix[1:])]
        found += sorted(map(str, files), key=lambda f: -int(f.rpartition(".")[2]))
    return [*found, f"lib{name}.so.13", f"lib{name}.so.12"]


def binding_object() -> Path:
    """The object file that is linked into every artifact, and defines ``weft_bind_module``."""
    return _INSTALLED / "_lib" / "weft_binding.o"


def built_object() -> Path:
    """The object file that is linked into every module built ahead of time, and defines ``weft_bind_built``."""
    return _INSTALLED / "_lib" / "weft_built.o"


@functools.cache
def link_libraries() -> tuple[str, ...]:
    """The shared libraries an artifact is linked with, as files.

    Extension modules are loaded with ``RTLD_LOCAL``, so an artifact must name libstdc++ itself: an empty library of
    that name does it, which links in no time. libm is the very file that this process loads; linking it binds its
    functions' newest versions.
    """
    wanted = (("libm.so.6", "exp"), ("libmvec.so.1", "_ZGVbN2v_exp"))
    files = (_runtime.library_file(name, symbol) for name, symbol in wanted)
    return (str(_INSTALLED / "_lib" / "libweft_needed.so"), *dict.fromkeys(file for file in files if file))


def link_command(
    objects: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    linker: str = "ld",
    debug: bool = False,
) -> list[str]:
    """The command that links an artifact's objects and the binding object into an extension module.

    Parameters
    ----------
    objects
        Object files; one of them defines ``PyInit_<hash>``.
    output
        The extension module to write, ``<hash>.so``.
    linker
        A GNU-compatible linker, such as ``ld``, ``ld.gold`` or ``ld.lld``.
    debug
        Whether to keep debugging symbols.
    """
    needed, *others = link_libraries()
    return [
        linker,
        "-shared",
        "--eh-frame-hdr",  # else exceptions in pybind11 find no way out
        "--gc-sections",
        "--hash-style=gnu",
        "-zrelro",
        "-znoexecstack",
        *([] if debug else ["-s"]),
        "-o",
        os.fspath(output),
        *(os.fspath(name) for name in objects),
        str(binding_object()),
        needed,
        "--as-needed",
        *others,
    ]
