"""Custom containers in arguments and results: dataclasses, and classes registered as pytrees."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

Flatten = Callable[[Any], tuple[Iterable[Any], Any]]
Unflatten = Callable[[Any, Sequence[Any]], Any]

_registered: dict[type, tuple[Flatten, Unflatten]] = {}


def register_pytree_node(nodetype: type, flatten_func: Flatten, unflatten_func: Unflatten) -> None:
    """Make instances of a class containers that weft looks into.

    Parameters
    ----------
    nodetype
        The class.
    flatten_func
        ``flatten_func(obj) -> (children, aux)``; ``aux`` is hashable and compared with ``==``.
    unflatten_func
        ``unflatten_func(aux, children) -> obj``.

    Raises
    ------
    ValueError
        The class is registered already.

    Examples
    --------
    >>> import weft
    >>> class Point:
    ...     def __init__(self, x, y):
    ...         self.x, self.y = x, y
    >>> weft.tree_util.register_pytree_node(Point, lambda p: ((p.x, p.y), None), lambda aux, c: Point(*c))
    >>> weft.jit(lambda p: p.x * p.y)(Point(2.0, 3.0))
    6.0
    """
    if nodetype in _registered:
        raise ValueError(f"Duplicate custom PyTreeDef type registration for {nodetype}.")
    _registered[nodetype] = (flatten_func, unflatten_func)


def flatten_custom(obj: Any) -> tuple[tuple[Any, ...], Hashable] | None:
    """The children and fixed part of a custom container, or None if the object is not one."""
    found = _registered.get(type(obj))
    if found is not None:
        children, aux = found[0](obj)
        return tuple(children), aux
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        names = tuple(f.name for f in dataclasses.fields(obj))
        return tuple([getattr(obj, n) for n in names]), names
    return None


def is_registered(obj: Any) -> bool:
    """Whether an object's class was registered as a container."""
    return type(obj) in _registered


def unflatten_custom(cls: type, aux: Any, children: Sequence[Any]) -> Any:
    """The container of this class with these children."""
    found = _registered.get(cls)
    if found is not None:
        return found[1](aux, tuple(children))
    obj: Any = object.__new__(cls)
    for name, child in zip(aux, children, strict=True):
        object.__setattr__(obj, name, child)
    return obj
