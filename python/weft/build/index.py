"""The second index: from a Python function and a signature to its artifact, without staging.

Staging a function reads the code of every function it calls and the globals they name. A record lists what was read:
functions with a hash of their code, other captured values with a description. If everything is still as recorded, the
plan in the record holds, and a process starts warm without parsing any source. Nothing here imports gast or jinja2.

Things are found again by *routes*: ``("module", name)`` or ``("root",)``, the function asked for, then steps
``("global", name)``, ``("cell", name)``, ``("attr", name)`` or ``("item", key)``.
"""

from __future__ import annotations

import builtins
import functools
import json
import os
import sys
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.build import cache as caches
from weft.build.environment import blake2b, cpu_identity, digest, weft_stamp
from weft.build.files import check_owner, make_private, write_atomically
from weft.runtime.sharding import Mesh, NamedSharding, PartitionSpec, PmapSharding, SingleDeviceSharding
from weft.runtime.watched import ABSENT, raw_lookup

_VARIANTS = 8  # records kept of one function at one signature

Route = tuple[tuple[str | int, ...], ...]
ROOT: Route = (("root",),)


class Unindexable(Exception):
    """Something that cannot be recognised in another process."""


# -- the identity of code ----------------------------------------------------------------------------------------------

_code_digests: dict[int, tuple[types.CodeType, str]] = {}


def code_digest(code: types.CodeType) -> str:
    """A hash of what a code object does: instructions, constants, names; not its file or lines."""
    known = _code_digests.get(id(code))
    if known is not None and known[0] is code:
        return known[1]
    h = blake2b(digest_size=16)
    h.update(code.co_code)
    h.update(getattr(code, "co_exceptiontable", b""))
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    h.update(repr((code.co_name, counts, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)).encode())
    for c in code.co_consts:
        h.update((_constant(c) + "\n").encode())
    found = h.hexdigest()
    if len(_code_digests) > 10_000:
        _code_digests.clear()
    _code_digests[id(code)] = (code, found)  # holding the code keeps its id from being used again
    return found


def _constant(c: Any) -> str:
    if isinstance(c, types.CodeType):
        return "code " + code_digest(c)
    if isinstance(c, tuple):
        return "(" + ",".join(map(_constant, c)) + ")"
    if isinstance(c, frozenset):
        return "{" + ",".join(sorted(map(_constant, c))) + "}"
    return f"{type(c).__name__} {c!r}"


def function_digest(fn: types.FunctionType) -> str:
    """A hash of a function's code and defaults.

    Raises
    ------
    Unindexable
        A default value cannot be recognised in another process.
    """
    if not fn.__defaults__ and not fn.__kwdefaults__:
        return code_digest(fn.__code__)
    return digest(code_digest(fn.__code__), describe(fn.__defaults__), describe(fn.__kwdefaults__))


_ATOMS = (int, float, complex, bool, str, bytes, type(None), type(Ellipsis), range)


def describe(value: Any) -> str:
    """A text that tells captured values apart, equal in every process.

    Raises
    ------
    Unindexable
        The value has no such text (mutable data, objects of unknown kinds).
    """
    import numpy as np

    if type(value) in _ATOMS:
        return f"{type(value).__name__} {value!r}"
    if type(value) in (tuple, frozenset):
        parts = [describe(v) for v in value]
        return f"{type(value).__name__}({','.join(sorted(parts) if type(value) is frozenset else parts)})"
    if type(value) is dict:
        return "dict{" + ",".join(f"{describe(k)}:{describe(v)}" for k, v in value.items()) + "}"
    if type(value) is slice:
        return f"slice{describe((value.start, value.stop, value.step))}"
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    if isinstance(value, np.dtype):
        return f"dtype {value!r}"
    if isinstance(value, np.generic):
        return f"{type(value).__name__} {value.tobytes().hex()}"
    if isinstance(value, type | types.BuiltinFunctionType | np.ufunc):
        name = getattr(value, "__qualname__", None) or value.__name__
        return f"{type(value).__name__} {getattr(value, '__module__', '')}.{name}"
    if isinstance(value, types.FunctionType):
        return f"function {value.__module__}.{value.__qualname__} {function_digest(value)}"
    if isinstance(value, types.WrapperDescriptorType | types.MethodDescriptorType | types.GetSetDescriptorType):
        return f"descriptor {value.__objclass__.__module__}.{value.__qualname__}"
    if type(value) in (Mesh, PartitionSpec, NamedSharding, PmapSharding, SingleDeviceSharding):
        return f"{type(value).__name__} {_places(value)!r}"
    raise Unindexable(f"a captured {type(value).__name__} is not described")


def _places(x: Any) -> Any:
    """What a mesh or a sharding says, without its objects."""
    if isinstance(x, Mesh):
        return x.axis_names, x.devices.shape, [_places(d) for d in x.devices.flat]
    if isinstance(x, PartitionSpec):
        return x.partitions
    if isinstance(x, NamedSharding):
        return _places(x.mesh), _places(x.spec)
    if isinstance(x, PmapSharding):
        return [_places(d) for d in x.devices], x.axis
    if isinstance(x, SingleDeviceSharding):
        return _places(x.device)
    return x.platform, x.id


# -- routes ------------------------------------------------------------------------------------------------------------

_MISSING = object()


def follow(route: Sequence[Sequence[str | int]], root: Any) -> Any:
    """What a route leads to.

    Raises
    ------
    LookupError
        It leads nowhere now.
    """
    value: Any = _MISSING
    for step in route:
        match tuple(step):
            case ("root",):
                value = root
            case ("module", str(name)):
                value = sys.modules.get(name, _MISSING)
            case ("global", str(name)):
                value = _function(value).__globals__.get(name, _MISSING)
                if value is _MISSING:
                    value = getattr(builtins, name, _MISSING)
            case ("cell", str(name)):
                value = _cell(_function(value), name)
            case ("attr", str(name)):
                value = getattr(value, name, _MISSING)
            case ("lookup", str(name)):
                value = raw_lookup(value, name) if isinstance(value, type) else ABSENT
                value = _MISSING if value is ABSENT else value
            case ("type", _):
                value = type(value)
            case ("item", key):
                try:
                    value = value[key]
                except (LookupError, TypeError):
                    value = _MISSING
            case _:
                raise LookupError(f"not a step: {step!r}")
        if value is _MISSING:
            raise LookupError(f"{step!r} leads nowhere")
    return value


def _function(value: Any) -> types.FunctionType:
    value = plain_function(value)
    if value is None:
        raise LookupError("not a Python function")
    return value


def _cell(fn: types.FunctionType, name: str) -> Any:
    try:
        return (fn.__closure__ or ())[fn.__code__.co_freevars.index(name)].cell_contents
    except (ValueError, IndexError):
        return _MISSING


def plain_function(value: Any) -> types.FunctionType | None:
    """The Python function behind a function, a method, a partial application or a wrapper (``__wrapped__``)."""
    for _ in range(100):
        if isinstance(value, types.FunctionType):
            return value
        if isinstance(value, types.MethodType):
            value = value.__func__
        elif isinstance(value, functools.partial):
            value = value.func
        else:
            value = getattr(value, "__wrapped__", None)
    return None


# -- records -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dependency:
    """A function that staging read: where it is found, and the hash of its code and defaults."""

    route: Route
    digest: str

    @classmethod
    def of(cls, fn: types.FunctionType, route: Route | None = None) -> Dependency:
        """The dependency on ``fn`` as it is now.

        Parameters
        ----------
        fn
            The function.
        route
            How it is found again; needed for functions inside functions, else by its module and name.

        Raises
        ------
        Unindexable
            It cannot be found again, or not be recognised.
        """
        if route is None:
            route = (("module", fn.__module__), *(("attr", name) for name in fn.__qualname__.split(".")))
            try:
                found = plain_function(follow(route, None))
            except LookupError:
                found = None
            if found is not fn:
                raise Unindexable(f"{fn.__qualname__} is not found by its name; give a route")
        return cls(route, function_digest(fn))


@dataclass(frozen=True)
class Guard:
    """A captured value that staging took as constant: where it is found, and its description."""

    route: Route
    description: str

    @classmethod
    def of(cls, value: Any, route: Route) -> Guard:
        """The guard on a value as it is now.

        Raises
        ------
        Unindexable
            The value is not recognised in another process.
        """
        return cls(route, describe(value))


@dataclass(frozen=True)
class Record:
    """What is known of one function, transformed and at one signature.

    Attributes
    ----------
    dependencies, guards
        What must be as it was.
    plan
        Whatever the caller needs to dispatch (JSON values; tuples come back as lists).
    artifact
        The artifact's hash.
    """

    dependencies: tuple[Dependency, ...]
    guards: tuple[Guard, ...]
    plan: Any
    artifact: str


def record_key(fn: Any, transform: str, signature: str) -> str:
    """The name of the record for a function under a transformation at a signature.

    Raises
    ------
    Unindexable
        The function is not recognised in another process.
    """
    plain = plain_function(fn)
    if plain is None:
        raise Unindexable(f"{fn!r} is not a Python function")
    who = (plain.__module__, plain.__qualname__, function_digest(plain))
    settings = (os.environ.get("CXX", ""), os.environ.get("WEFT_CXXFLAGS", ""))
    return digest(*who, transform, signature, weft_stamp(), cpu_identity(), *settings)


def lookup(
    fn: Any,
    transform: str,
    signature: str,
    *,
    accept: Callable[[Any], bool] | None = None,
    cache: caches.Cache | None = None,
) -> Record | None:
    """The record stored for this function, if all it depends on is as it was.

    Parameters
    ----------
    fn
        The function asked for; routes that begin with ``("root",)`` begin there.
    transform
        A text that names the transformation (``"grad(argnums=(0,))"``), the static arguments included.
    signature
        A text that names the arguments' types and structure.
    accept
        Whether a plan applies (its guards on sizes hold, say); one signature may have several records.
    """
    cache = cache or caches.default()
    try:
        for data in _read(cache.root / "index" / record_key(fn, transform, signature)):
            if _holds(data, fn) and (accept is None or accept(data["plan"])):
                return Record(
                    tuple([Dependency(_route(route), d) for route, d in data["dependencies"]]),
                    tuple([Guard(_route(route), d) for route, d in data["guards"]]),
                    data["plan"],
                    data["artifact"],
                )
    except (OSError, ValueError, KeyError, TypeError, Unindexable):
        pass
    return None


def store(fn: Any, transform: str, signature: str, record: Record, *, cache: caches.Cache | None = None) -> bool:
    """Store a record beside those of the same signature.

    Returns
    -------
    bool
        False where that is impossible: a function that cannot be recognised again, a plan that is not JSON, a cache
        that cannot be written.
    """
    cache = cache or caches.default()
    data = {
        "dependencies": [[list(map(list, d.route)), d.digest] for d in record.dependencies],
        "guards": [[list(map(list, g.route)), g.description] for g in record.guards],
        "plan": record.plan,
        "artifact": record.artifact,
    }
    try:
        path = make_private(cache.root / "index") / record_key(fn, transform, signature)
        data = json.loads(json.dumps(data))
        try:
            older = [r for r in _read(path) if r != data]
        except (OSError, ValueError):
            older = []
        write_atomically(path, json.dumps([data, *older[: _VARIANTS - 1]]).encode())
    except (OSError, TypeError, ValueError, Unindexable):
        return False
    return True


def _read(path: Path) -> list[dict[str, Any]]:
    with open(path, "rb") as f:
        check_owner(path, os.fstat(f.fileno()))
        data = json.loads(f.read())
    return [r for r in data if isinstance(r, dict)] if isinstance(data, list) else []


def _holds(data: Any, root: Any) -> bool:
    try:
        return all(function_digest(_function(follow(r, root))) == d for r, d in data["dependencies"]) and all(
            describe(follow(r, root)) == d for r, d in data["guards"]
        )
    except (LookupError, Unindexable):
        return False


def _route(steps: Iterable[Iterable[str | int]]) -> Route:
    return tuple(tuple(step) for step in steps)


__all__ = ["ROOT", "Dependency", "Guard", "Record", "Unindexable", "describe", "function_digest", "lookup", "store"]
