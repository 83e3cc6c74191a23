"""`weft build`: exported functions to sources, and sources to an extension module."""

from __future__ import annotations

import json
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from weft.aot.collect import Exported
from weft.aot.programs import Staged, stage_function
from weft.aot.stub import stub
from weft.build.aot import BuildError, head, written
from weft.codegen.cpp import BuiltFunction, built_module, kernels
from weft.runtime.built import FORMAT


@dataclass
class Text:
    """The sources of a module, by file name, and what was staged for them."""

    name: str
    files: dict[str, str] = field(default_factory=dict)
    functions: list[Staged] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def generate(
    name: str,
    exported: Sequence[Exported],
    where: str,
    done: Callable[[Staged, str, str], None] = lambda staged, file, content: None,
) -> Text:
    """The sources of a module.

    Parameters
    ----------
    name
        What the module is called.
    exported
        Its functions.
    where
        What they were exported by, for the docstring.
    done
        Called with each function, and its file's name and content, as soon as there are these.

    Raises
    ------
    BuildError
        Functions cannot be compiled for what they were exported with: all of them are named.
    """
    from weft import __version__

    text = Text(name)
    wrong: list[str] = []
    for e in exported:
        start = time.perf_counter()
        try:
            staged = stage_function(e)
        except BuildError as error:
            wrong.append(str(error))
            continue
        file = f"{name}-{e.name}.cpp"
        text.files[file] = kernels(head(name), f"{name}_{e.name}", staged.programs)
        text.functions.append(staged)
        text.seconds[e.name] = time.perf_counter() - start
        if not wrong:
            done(staged, file, text.files[file])
    if wrong:
        raise BuildError("\n\n".join(wrong))
    doc = f"Built by weft {__version__} from {where}."
    start_ = json.dumps({"format": FORMAT, "weft": __version__, "doc": doc})[:-1] + ', "functions": ['
    described = [json.dumps(describe(f)) for f in text.functions]
    meta = [start_, *[d + "," for d in described[:-1]], described[-1], "]}"]
    listed = [BuiltFunction(f"{name}_{f.exported.name}", len(f.programs)) for f in text.functions]
    text.files[f"{name}.cpp"] = built_module(head(name), name, listed, meta)
    text.files[f"{name}.pyi"] = stub(doc, text.functions)
    return text


def describe(f: Staged) -> dict[str, object]:
    """What the runtime makes a function of."""
    numbers = (bool, int, float, complex)
    parameters = []
    for name, has, default in f.exported.parameters():
        kept = has and type(default) in numbers and type(default) is not complex
        parameters.append([name, default] if kept else [name])
    return {
        "name": f.exported.name,
        "doc": f.exported.doc,
        "parameters": parameters,
        "overloads": [o.meta for o in f.overloads],
        "frozen": f.frozen,
    }


def write_sources(text: Text, directory: Path) -> list[Path]:
    """Write a module's sources; files of functions that are gone are removed.

    Returns
    -------
    list
        The files that changed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    changed = [directory / file for file, content in text.files.items() if written(directory / file, content)]
    for path in directory.glob(f"{text.name}-*.cpp"):
        if path.name not in text.files:
            path.unlink()
            changed.append(path)
    return changed


def stale_sources(text: Text, directory: Path) -> list[str]:
    """What is wrong with the sources that lie in a directory, in words; empty if they are as they would be written."""
    wrong = []
    for file, content in text.files.items():
        try:
            found = (directory / file).read_text()
        except OSError:
            wrong.append(f"{directory / file} is missing")
            continue
        if found != content:
            wrong.append(f"{directory / file} is stale")
    for path in sorted(directory.glob(f"{text.name}-*.cpp")):
        if path.name not in text.files:
            wrong.append(f"{path} is of a function that is not exported any more")
    return wrong


def python_files(loaded_before: set[str]) -> list[Path]:
    """The user's files that were imported since: those that a build depends on."""
    outside = [Path(sysconfig.get_path(k)).resolve() for k in ("stdlib", "platstdlib", "purelib", "platlib")]
    here = Path(__file__).resolve().parents[1]
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name in loaded_before or not file or not file.endswith(".py"):
            continue
        path = Path(file).resolve()
        if not any(path.is_relative_to(p) for p in (*outside, here)):
            found.append(path)
    return sorted(set(found))


__all__ = ["Text", "generate", "python_files", "stale_sources", "write_sources"]
