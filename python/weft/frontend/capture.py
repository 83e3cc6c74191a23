"""What a function takes from around it: data becomes hidden arguments, everything else is guarded.

A *source* says where a captured object was found: a global, a closure cell, an attribute. Data found there (numbers,
arrays, containers) is read anew at each call; other objects must be the same at each call, or the function is staged
anew. The path of a source names it across processes, for warm starts.
"""

from __future__ import annotations

import array
import collections
import sys
import types
from dataclasses import dataclass
from typing import Any

import numpy as np

from weft import dtypes
from weft.errors import StagingError, UnexpectedTracerError
from weft.runtime.watched import ABSENT, raw_lookup, value_at
from weft.staged.context import current, staging
from weft.staged.value import Staged

Path = tuple[Any, ...] | None


@dataclass(frozen=True, eq=False)
class Source:
    """A place outside the function: ``kind`` is "dict", "cell", "attr" or "value" (the object itself); or for what is
    only watched, a kind of `value_at`."""

    kind: str
    holder: Any
    key: Any
    path: Path

    def entry(self) -> tuple[Any, ...]:
        """As the runtime's plan takes it."""
        if self.key is None:
            return (self.kind, self.holder)
        return (self.kind, self.holder, self.key)

    @property
    def label(self) -> str:
        """What programs call the value."""
        if isinstance(self.key, str):
            return self.key
        return str(self.path[-1][1]) if self.path else "captured"

    @property
    def ident(self) -> tuple[Any, ...]:
        """Equal for the same place."""
        return (self.kind, id(self.holder), self.key)


def is_data(x: Any) -> bool:
    """Whether a captured object is data, read at each call, rather than part of the program."""
    if isinstance(x, bool | np.bool_):
        return False
    if isinstance(x, int | float | complex | np.ndarray | np.generic) or hasattr(x, "__array__"):
        return True
    if isinstance(x, list | dict | set | collections.deque):
        return True
    if isinstance(x, tuple):
        return any(is_data(v) for v in x)
    return False


class Captures:
    """The captured objects of one staging.

    Parameters
    ----------
    bring
        Makes hidden parameters of a captured value and returns it staged.
    """

    def __init__(self, bring: Any) -> None:
        self.bring = bring
        self.hidden: list[tuple[Source, Any]] = []
        self.statics: list[tuple[Source, Any]] = []
        self._seen: dict[tuple[Any, ...], Any] = {}
        self._paths: dict[int, tuple[Any, Path]] = {}
        self.functions: dict[Any, Path] = {}
        self.indexable = True
        self._watched: set[tuple[Any, ...]] = set()

    def watch(self, source: Source, value: Any) -> None:
        """Rely on what is at a place now (`ABSENT`: that nothing is)."""
        if source.ident not in self._watched:
            self._watched.add(source.ident)
            self.statics.append((source, value))
            if source.path is None and source.kind != "code":  # functions are found by their names
                self.indexable = False

    def staged(self, fn: types.FunctionType, path: Path) -> None:
        """Rely on a function's code."""
        self.functions.setdefault(fn, path)
        self.watch(Source("code", fn, None, extend(path, "code", "")), fn.__code__)

    def bring_whole(self, source: Source, value: Any) -> Any:
        """A container as data, whatever its kind."""
        key = ("whole", *source.ident)
        if key not in self._seen:
            self.indexable = False
            self._seen[key] = self.bring(value, source.label)
            self.hidden.append((source, value))
        return self._seen[key]

    def read(self, source: Source, value: Any) -> Any:
        """The staged or static value of a captured object."""
        if source.ident in self._seen:
            return self._seen[source.ident]
        if source.path is None:
            self.indexable = False
        if isinstance(value, Staged):
            raise UnexpectedTracerError(
                f"'{source.label}' is a staged value that an earlier staging left behind",
                remedy="return the value from the compiled function instead of storing it",
            )
        if isinstance(value, bytearray | memoryview | array.array):
            raise StagingError(
                f"'{source.label}' is a {type(value).__name__}, which may change without being noticed",
                remedy="use a NumPy array or a list",
            )
        if is_data(value):
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                raise StagingError(f"the captured integer {value} does not fit 64 bits")
            self.hidden.append((source, value))
            out = self.bring(value, source.label)
        else:
            self.statics.append((source, value))
            self.note(value, source.path)
            out = value
        self._seen[source.ident] = out
        return out

    def note(self, obj: Any, path: Path) -> None:
        """Remember where an object was found, so that what it holds has a path too."""
        if self.path(obj) is None:
            self._paths[id(obj)] = (obj, path)

    def found(self, obj: Any) -> bool:
        """Whether an object was there before the staging, and came to it as it is."""
        known = self._paths.get(id(obj))
        return known is not None and known[0] is obj

    def path(self, obj: Any) -> Path:
        """The path of an object, if it was found by one."""
        found = self._paths.get(id(obj))
        return found[1] if found is not None else None


def extend(path: Path, *step: Any) -> Path:
    """A path one step further."""
    return None if path is None else (*path, step)


def class_path(cls: type) -> Path:
    """The path of a class by its module and name, if it is found there."""
    found: Any = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        found = getattr(found, name, None)
    if found is not cls:
        return None
    return (("module", cls.__module__), *[("attr", name) for name in cls.__qualname__.split(".")])


def global_source(fn_globals: dict[str, Any], name: str, path: Path) -> Source:
    """A global of a function found at ``path``."""
    return Source("dict", fn_globals, name, extend(path, "global", name))


def cell_source(fn: types.FunctionType, index: int, path: Path) -> Source:
    """A closure cell of a function found at ``path``."""
    assert fn.__closure__ is not None
    return Source("cell", fn.__closure__[index], None, extend(path, "cell", fn.__code__.co_freevars[index]))


def attr_source(obj: Any, name: str, path: Path) -> Source:
    """An attribute of an object found at ``path``."""
    return Source("attr", obj, name, extend(path, "attr", name))


def _default_float_read() -> None:
    """The default float dtype was read: a program under way must find the same one at each call."""
    captures = getattr(current(), "captures", None) if staging() else None
    if captures is not None:
        name = "_default_float"
        captures.read(attr_source(dtypes, name, (("module", dtypes.__name__),)), getattr(dtypes, name))


dtypes.on_read(_default_float_read)


__all__ = [
    "ABSENT", "Captures", "Path", "Source", "attr_source", "cell_source", "class_path", "extend", "global_source",
    "is_data", "raw_lookup", "value_at",
]  # fmt: skip
