"""Which functions a module or package exports, and what they are called."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.api.export import EXPORTS, Export
from weft.api.transformed import Transformed, parameters
from weft.build.aot import BuildError


@dataclass(frozen=True)
class Exported:
    """A function to be built.

    Attributes
    ----------
    name
        What it is called.
    fn
        The function, or a transformation of one.
    exports
        Its signatures, in the order in which they are tried.
    """

    name: str
    fn: Any
    exports: tuple[Export, ...]

    @property
    def target(self) -> Transformed:
        """What is staged."""
        from weft.api.jit import jit

        return self.fn if isinstance(self.fn, Transformed) else jit(self.fn)  # type: ignore[no-any-return]

    @property
    def doc(self) -> str:
        """Its docstring; what a transformation does to the function is said before the function's own."""
        own = getattr(self.fn, "__doc__", None)
        text = "" if own is type(self.fn).__doc__ else inspect.cleandoc(own or "")
        titles, inner = [], self.fn
        while isinstance(inner, Transformed):
            titles.append(inner.title)
            inner = inner.__wrapped__  # type: ignore[assignment]
        titles = [t for t in titles if t != "jit"]
        if not titles:
            return text
        made = " of ".join([*titles, getattr(inner, "__name__", "a function")]) + "."
        return f"{made}\n\n{text}" if text else made

    def parameters(self) -> list[tuple[str, bool, Any]]:
        """Of each positional parameter its name, and whether it has a default and which."""
        found = parameters(self.fn)
        most = max(len(e.signature.args) for e in self.exports)
        names: list[tuple[str, bool, Any]] = []
        for p in found.parameters.values() if found is not None else ():
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
                names.append((p.name, p.default is not p.empty, p.default))
            elif p.kind is p.VAR_POSITIONAL:
                names += [(f"{p.name}{k}", False, None) for k in range(most - len(names))]
        names += [(f"x{k}", False, None) for k in range(len(names), most)]
        return names[:most]


def collect(targets: Sequence[str]) -> list[Exported]:
    """The functions that targets export.

    Parameters
    ----------
    targets
        Packages or modules (``package``, ``package.module``, ``path/to/file.py``), of which all exports are taken, or
        single functions of them (``package.module:name``).

    Raises
    ------
    BuildError
        There is no such module, it cannot be imported, or it exports nothing.
    """
    found: dict[str, Exported] = {}
    for target in targets:
        where, _, name = target.partition(":")
        module = load(where)
        inside = module.__name__ + "."
        exported = named(e for e in EXPORTS if f"{e.module}.".startswith(inside))
        if name:
            kept = [e for e in exported if e.name == name]
            if not kept:
                raise BuildError(
                    f"{where} exports no function {name!r}"
                    + (f"; it exports {', '.join(e.name for e in exported)}" if exported else hint())
                )
            exported = kept
        if not exported:
            raise BuildError(f"{where} exports no functions" + hint())
        for e in exported:
            other = found.setdefault(e.name, e)
            if other.fn is not e.fn:
                raise BuildError(
                    f"two functions are exported as {e.name!r}, by {other.exports[0].module} and {e.exports[0].module}:"
                    ' give one of them another name, as in @weft.export("...", name="other")'
                )
    return list(found.values())


def hint() -> str:
    """What to do about exports that are missing."""
    return ': mark functions with @weft.export("f64[n], f64 -> f64[n]")'


def named(exports: Iterable[Export]) -> list[Exported]:
    """Exports by function, with their names; without those of a module that was run again since."""
    groups: dict[tuple[int, str], list[Export]] = {}
    for e in exports:
        if e.module in sys.modules and vars(sys.modules[e.module]) is e.variables:
            groups.setdefault((id(e.fn), e.name), []).append(e)
    # decorators are applied from below, and read from above
    return [Exported(name_of(g[0]), g[0].fn, tuple(reversed(g))) for g in groups.values()]


def name_of(export: Export) -> str:
    """What a function is called: as it was told, as itself, or as the variable that holds it.

    Raises
    ------
    BuildError
        There is no such name.
    """
    if export.name:
        return export.name
    own = getattr(export.fn, "__name__", "")
    variables = [name for name, value in export.variables.items() if value is export.fn]
    if variables:
        return own if own in variables else variables[0]
    if isinstance(export.fn, types.FunctionType) and own.isidentifier():
        return own
    raise BuildError(
        f"{export.module} exports {export.fn!r} without a name: bind it to a variable of the module, or write"
        f" weft.export({str(export.signature)!r}, name=...)"
    )


def load(where: str) -> types.ModuleType:
    """Import a module with all its submodules, or a file.

    Raises
    ------
    BuildError
        There is none, or importing it fails.
    """
    if where.endswith(".py"):
        return _load_file(Path(where))
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    module = _import(where)
    if getattr(module, "__weft__", None) is not None:
        raise BuildError(f"{module.__file__} is a built module, which hides the sources it was built from")
    for info in pkgutil.walk_packages(getattr(module, "__path__", ()), where + "."):
        if info.name.rpartition(".")[2] != "__main__":
            _import(info.name)
    return module


def _load_file(path: Path) -> types.ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise BuildError(f"there is no file {path}")
    known = sys.modules.get(path.stem)
    if known is not None:
        if getattr(known, "__file__", None) == str(path):
            return known
        raise BuildError(f"{path} has the name of a module that is loaded already ({path.stem}): rename the file")
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as e:
        del sys.modules[path.stem]
        raise BuildError(f"{path} cannot be run: {type(e).__name__}: {e}") from e
    return module


def _import(name: str) -> types.ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise BuildError(f"{name!r} is not the name of a module; write package.module:name or path/to/file.py")
    try:
        return importlib.import_module(name)
    except Exception as e:
        raise BuildError(f"{name} cannot be imported: {type(e).__name__}: {e}") from e


__all__ = ["BuildError", "Exported", "collect"]
