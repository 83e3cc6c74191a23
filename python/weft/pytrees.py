"""Which objects are containers, and how they come apart: dataclasses, and classes registered as pytrees.

Lists, tuples, named tuples and dicts need no entry; the dispatcher, the frontend and `weft.tree_util` know them. What
else is a container is told here, once for all of them.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

from weft import _runtime

NAMESPACE = "weft"  # of optree's registry

Flatten = Callable[[Any], tuple[Iterable[Any], Any]]
Unflatten = Callable[[Any, Sequence[Any]], Any]


class Node(NamedTuple):
    """How instances of a class come apart.

    Attributes
    ----------
    flatten
        ``flatten(obj) -> (children, aux)``; ``aux`` is hashable and compared with ``==``.
    unflatten
        ``unflatten(aux, children) -> obj``.
    with_keys
        ``with_keys(obj) -> ([(key, child), ...], aux)``, for paths.
    fields
        The names of the attributes that are children, and of those that ``aux`` holds, where that is all there is to
        it: the dispatcher then needs no Python code.
    """

    flatten: Flatten
    unflatten: Unflatten
    with_keys: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Any]] | None = None
    fields: tuple[tuple[str, ...], tuple[str, ...]] | None = None


def _same_keys(make: Callable[[Any], Any]) -> Node:
    return Node(lambda d: (d.values(), tuple(d)), lambda keys, children: make(zip(keys, children, strict=True)))


_registered: dict[type, Node] = {
    collections.OrderedDict: _same_keys(collections.OrderedDict),
    collections.defaultdict: Node(
        lambda d: (d.values(), (d.default_factory, tuple(d))),
        lambda aux, children: collections.defaultdict(aux[0], zip(aux[1], children, strict=True)),
    ),
    set: Node(lambda s: ((), frozenset(s)), lambda members, children: set(members)),  # fixed: has no leaves
    collections.deque: Node(lambda q: (q, q.maxlen), lambda maxlen, children: collections.deque(children, maxlen)),
}


def enter(cls: type, node: Node) -> None:
    """Make instances of a class containers.

    Raises
    ------
    ValueError
        They are already.
    """
    if cls in _registered or cls in (tuple, list, dict, type(None)):
        raise ValueError(f"Duplicate custom PyTreeDef type registration for {cls}.")
    _registered[cls] = node
    _runtime.forget_classes()


def found(cls: type) -> Node | None:
    """How instances of a registered class come apart."""
    return _registered.get(cls)


@functools.lru_cache(4096)
def fields_of(cls: type) -> tuple[str, ...]:
    """The names of a dataclass's fields."""
    return tuple([f.name for f in dataclasses.fields(cls)])


def flatten_custom(obj: Any) -> tuple[tuple[Any, ...], Hashable] | None:
    """The children and fixed part of a custom container, or None if the object is not one."""
    node = _registered.get(type(obj))
    if node is not None:
        children, aux = node.flatten(obj)
        return tuple(children), aux
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        names = fields_of(type(obj))
        return tuple([getattr(obj, n) for n in names]), names
    return None


def layout(cls: type) -> tuple[tuple[str, ...], tuple[str, ...] | None] | None:
    """For the dispatcher: the attributes that are children of a container, and those that are fixed (None: the names of
    the children are), where that is all that `flatten_custom` does."""
    node = _registered.get(cls)
    if node is not None:
        return node.fields
    return (fields_of(cls), None) if dataclasses.is_dataclass(cls) else None


flatten_custom.layout = layout  # type: ignore[attr-defined]


def is_registered(obj: Any) -> bool:
    """Whether an object's class was registered as a container."""
    return type(obj) in _registered


def unflatten_custom(cls: type, aux: Any, children: Sequence[Any]) -> Any:
    """The container of this class with these children."""
    node = _registered.get(cls)
    if node is not None:
        return node.unflatten(aux, tuple(children))
    obj: Any = object.__new__(cls)
    for name, child in zip(aux, children, strict=True):
        object.__setattr__(obj, name, child)
    return obj
