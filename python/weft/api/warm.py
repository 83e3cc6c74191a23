"""Warm starts: recipes on disk, found from the function's code and the signature without staging.

A recipe is stored with the routes by which staging reached functions and captured objects (see `weft.build.index`);
where one cannot be described for another process nothing is stored, and the next process stages anew.
"""

from __future__ import annotations

import inspect
import sys
import types
from typing import Any

import numpy as np

from weft import pytrees
from weft.api.recipe import Recipe, holds, table_of
from weft.api.transformed import Transformed
from weft.build import cache as caches
from weft.build import index
from weft.build.environment import blake2b
from weft.build.index import Dependency, Guard, Record, Unindexable
from weft.runtime import Signature, flatten_value
from weft.runtime.stored import decode_host, decode_tree, encode_host, encode_tree
from weft.runtime.watched import ABSENT, value_at


def root_of(t: Any) -> Any:
    """The user's function inside weft's transformations."""
    while is_transformed(t):
        t = t.__wrapped__
    return t


def is_transformed(t: Any) -> bool:
    """Whether this is a function made by `weft.jit`, `weft.grad`, `weft.custom_jvp`, `weft.checkpoint`, ..."""
    return hasattr(type(t), "stage_call")


def titles(t: Any) -> str:
    """The transformations of a function, outermost first."""
    parts = []
    while is_transformed(t):
        parts.append(t.title)
        t = t.__wrapped__
    return "/".join(parts)


def signature_text(signature: Signature) -> str:
    """A signature as a text that is equal in every process.

    Raises
    ------
    Unindexable
        A static argument that has no such text.
    """
    leaves = [
        (x.flavour, str(x.dtype), tuple([min(n, 2) for n in x.shape]), x.alias, isinstance(x.value, np.generic))
        for x in signature.leaves
    ]
    return repr((leaves, _tree(signature.args), _tree(signature.kwargs)))


def call_text(t: Transformed, signature: Signature) -> str:
    """The same of a call; of a function that runs on many devices with these, and how they divide the arguments.

    Raises
    ------
    Unindexable
        As above.
    """
    text = signature_text(signature)
    return f"{text} {t.parts.layout(signature)!r}" if t.parts else text


def _tree(tree: tuple[Any, ...]) -> Any:
    match tree:
        case ("leaf", _) | ("none",):
            return tree
        case ("static", obj):
            return ("static", index.describe(obj))
        case ("tuple" | "list", items):
            return (tree[0], [_tree(t) for t in items])
        case ("dict", keys, items):
            return ("dict", index.describe(tuple(keys)), [_tree(t) for t in items])
        case ("namedtuple", cls, items):
            return ("namedtuple", index.describe(cls), [_tree(t) for t in items])
        case ("custom", cls, aux, items):
            return ("custom", index.describe(cls), container_text(cls), index.describe(aux), [_tree(t) for t in items])
    raise Unindexable(f"a structure of an unknown kind: {tree[0]!r}")


def container_text(cls: type) -> str:
    """What tells whether a container comes apart as it did: the files that say how.

    Raises
    ------
    Unindexable
        One of them cannot be read.
    """
    node = pytrees.found(cls)
    if node is None:
        return ""  # a dataclass: its fields are in the signature
    involved: set[str] = {c.__module__ for c in cls.__mro__}
    made = [vars(c).get(name) for c in cls.__mro__ for name in ("__init__", "__new__", "__post_init__")]
    for fn in (node.flatten, node.unflatten, *made):
        plain = index.plain_function(fn)
        if plain is not None:
            involved.add(plain.__module__)
            known = {**plain.__globals__, **inspect.getclosurevars(plain).nonlocals}
            used = [known[n] for n in (*plain.__code__.co_names, *plain.__code__.co_freevars) if n in known]
            involved |= {x.__module__ for x in used if isinstance(x, type | types.FunctionType)}
    users = sorted(m for m in involved if m.split(".")[0] not in {*sys.stdlib_module_names, "weft", "numpy"})
    return index.digest(*[name + file_digest(name) for name in users])


def file_digest(module: str) -> str:
    """A hash of a module's source file.

    Raises
    ------
    Unindexable
        There is none.
    """
    path = getattr(sys.modules.get(module), "__file__", None)
    try:
        with open(path or "", "rb") as f:
            return blake2b(f.read(), digest_size=16).hexdigest()
    except OSError:
        raise Unindexable(f"the source of {module} cannot be read") from None


def load(t: Transformed, signature: Signature) -> tuple[Recipe, Any] | None:
    """The recipe and module recorded for this call, if all they depend on is as it was."""
    root = root_of(t)
    try:
        text = call_text(t, signature)
        found: list[Recipe] = []

        def accept(plan: Any) -> bool:
            recipe = decode(plan, root)
            leaves = list(signature.leaves)
            away = signature.device is not None
            for entry, key in zip(recipe.hidden, plan["hidden_types"], strict=True):
                inner = flatten_value(_read(entry))
                if signature_text(inner) != key:
                    return False
                leaves += inner.leaves
                away = away or inner.device is not None
            if recipe.spread is not None:
                away = recipe.spread.topology.platform != "cpu"
            if away != (recipe.device is not None) or not holds(recipe.guards, table_of(leaves)):
                return False
            found[:] = [recipe]
            return True

        record = index.lookup(root, titles(t), text, accept=accept)
    except (Unindexable, LookupError, AttributeError, ImportError):
        return None
    if record is None or not found:
        return None
    try:
        module = caches.default().load(record.artifact)
    except (ImportError, OSError):
        return None
    return None if module is None else (found[0], module)


def store(t: Transformed, signature: Signature, program: Any, recipe: Recipe, module: Any) -> None:
    """Record a recipe, if everything it depends on can be found and recognised in another process."""
    captures = program.captures
    if not captures.indexable:
        return
    root = root_of(t)
    try:
        dependencies = [Dependency.of(fn, path) for fn, path in captures.functions.items() if fn is not root]
        guards: list[Guard] = []
        for source, value in captures.statics:
            if source.kind in ("code", "defaults", "kwdefaults") or value is ABSENT:
                continue  # these are dependencies, and what is absent is looked for when the recipe is read
            if source.path is None:
                return
            guards += _guards(value, source.path)
        plan = encode(recipe, captures)
        text = call_text(t, signature)
    except (Unindexable, TypeError):
        return
    index.store(root, titles(t), text, Record(tuple(dependencies), tuple(guards), plan, module.__name__))


def _guards(value: Any, path: Any) -> list[Guard]:
    """What tells that a captured object is the same in another process."""
    if isinstance(value, property | staticmethod | classmethod):
        parts = ("fget", "fset", "fdel") if isinstance(value, property) else ("__func__",)
        return [g for p in parts for g in _guards(getattr(value, p), (*path, ("attr", p)))]
    if is_transformed(value):
        inner = value.__wrapped__
        return [
            Guard.of(value.title, (*path, ("attr", "title"))),
            *_guards(inner, (*path, ("attr", "__wrapped__"))),
        ]
    return [Guard.of(value, path)]


# -- recipes as JSON -------------------------------------------------------------------------------------------------


def encode(recipe: Recipe, captures: Any) -> dict[str, Any]:
    """A recipe as JSON values.

    Raises
    ------
    TypeError
        The result's structure has a class or constant that another process could not make.
    """
    from weft.api.spmd import encode_spread

    return {
        "guards": recipe.guards,
        "statics": [[_route(s, captures), value is ABSENT] for s, value in captures.statics if s.kind != "value"],
        "hidden": [[list(s) for s in source.path] for source, _ in captures.hidden],
        "hidden_types": [signature_text(flatten_value(value)) for _, value in captures.hidden],
        "results": [[k, None if d is None else d.str, *rest] for k, d, *rest in recipe.results],
        "tree": encode_tree(recipe.tree),
        "mutates": recipe.mutates,
        "host": [encode_host(entry) for entry in recipe.host],
        "heavy": recipe.heavy,
        "name": recipe.name,
        "device": recipe.device,
        "spread": None if recipe.spread is None else encode_spread(recipe.spread),
    }


def decode(plan: dict[str, Any], root: Any) -> Recipe:
    """The recipe of a stored plan, its routes followed from the function ``root``."""
    from weft.api.spmd import decode_spread

    return Recipe(
        guards=[(k, c, [(s, x) for s, x in terms], why) for k, c, terms, why in plan["guards"]],
        statics=[_static(route, absent, root) for route, absent in plan["statics"]],
        hidden=[_entry(route, root) for route in plan["hidden"]],
        results=[(k, None if d is None else np.dtype(d), *rest) for k, d, *rest in plan["results"]],
        tree=decode_tree(plan["tree"]),
        mutates=plan["mutates"],
        host=[decode_host(entry) for entry in plan["host"]],
        heavy=plan["heavy"],
        name=plan["name"],
        device=plan["device"],
        spread=None if plan["spread"] is None else decode_spread(plan["spread"]),
    )


def _route(source: Any, captures: Any) -> list[list[Any]]:
    """The route to a place; functions are found by their names where none is known."""
    path = source.path
    if path is None:
        path = (*Dependency.of(source.holder, captures.functions.get(source.holder)).route, (source.kind, ""))
    return [list(s) for s in path]


def _static(route: Any, absent: bool, root: Any) -> tuple[Any, ...]:
    """A place to be watched, and what is there.

    Raises
    ------
    LookupError
        Something is there, and nothing was, or the other way round.
    """
    entry = _entry(route, root)
    value = value_at(*entry)
    if (value is ABSENT) != absent:
        raise LookupError(f"{route[-1]!r}: not as it was")
    return entry if absent else (*entry, value)


def _entry(route: Any, root: Any) -> tuple[Any, ...]:
    """Where the last step of a route is read, as the plan takes it."""
    holder = index.follow(route[:-1], root)
    kind, key = route[-1]
    if kind == "global":
        return ("dict", _function(holder).__globals__, key)
    if kind == "cell":
        fn = _function(holder)
        return ("cell", fn.__closure__[fn.__code__.co_freevars.index(key)])
    if kind in ("attr", "own", "lookup"):
        return (kind, holder, key)
    if kind in ("code", "defaults", "kwdefaults"):
        return (kind, _function(holder))
    if kind == "type":
        return ("type", holder)
    raise LookupError(f"a stored route ends in {kind!r}")


def _function(x: Any) -> Any:
    fn = index.plain_function(x)
    if fn is None:
        raise LookupError("a stored route leads to something that is not a function any more")
    return fn


def _read(entry: tuple[Any, ...]) -> Any:
    match entry:
        case ("dict", d, key):
            return d[key]
        case ("cell", cell):
            return cell.cell_contents
        case ("attr", obj, name):
            return getattr(obj, name)
    raise LookupError(f"a captured value of an unknown kind: {entry[0]!r}")
