"""Which classes are containers, as users say it; and taking trees of them apart."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import optree

from weft import pytrees
from weft.trees.paths import GetAttrKey

C = TypeVar("C", bound=type)

_looked: set[type] = set()  # classes of leaves that are no dataclasses, and dataclasses that optree knows


def register_pytree_node(
    nodetype: type,
    flatten_func: pytrees.Flatten,
    unflatten_func: pytrees.Unflatten,
    flatten_with_keys_func: Any = None,
    *,
    fields: tuple[tuple[str, ...], tuple[str, ...]] | None = None,
) -> None:
    """Make instances of a class containers: in trees, and in arguments and results of compiled functions.

    Parameters
    ----------
    nodetype
        The class. Its subclasses are not registered with it.
    flatten_func
        ``flatten_func(obj) -> (children, aux)``; ``aux`` is hashable and compared with ``==``, and part of a compiled
        function's signature.
    unflatten_func
        ``unflatten_func(aux, children) -> obj``. The children may be any objects.
    flatten_with_keys_func
        ``flatten_with_keys_func(obj) -> ([(key, child), ...], aux)``, for paths.
    fields
        The attributes that are the children, and those that ``aux`` holds, for calls that flatten without Python code.

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
    if not isinstance(nodetype, type) or not callable(flatten_func) or not callable(unflatten_func):
        raise TypeError("register_pytree_node takes a class, and functions that flatten and unflatten its instances")
    pytrees.enter(nodetype, pytrees.Node(flatten_func, unflatten_func, flatten_with_keys_func, fields))
    _tell_optree(nodetype)


def _tell_optree(cls: type) -> None:
    def flatten(obj: Any) -> Any:
        found = pytrees.flatten_custom(obj)
        assert found is not None
        return found

    if cls in _looked and dataclasses.is_dataclass(cls):  # flattened before it was registered
        optree.unregister_pytree_node(cls, namespace=pytrees.NAMESPACE)
    _looked.add(cls)
    optree.register_pytree_node(
        cls,
        flatten,
        lambda aux, children: pytrees.unflatten_custom(cls, aux, tuple(children)),
        namespace=pytrees.NAMESPACE,
    )


def register_pytree_with_keys(
    nodetype: type,
    flatten_with_keys: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Any]],
    unflatten_func: pytrees.Unflatten,
    flatten_func: pytrees.Flatten | None = None,
) -> None:
    """`register_pytree_node` for a class whose children have keys, which paths show.

    Examples
    --------
    >>> from weft import tree_util
    >>> class Box:
    ...     def __init__(self, inside):
    ...         self.inside = inside
    >>> key = tree_util.GetAttrKey("inside")
    >>> tree_util.register_pytree_with_keys(Box, lambda b: ([(key, b.inside)], None), lambda aux, c: Box(*c))
    >>> [tree_util.keystr(path) for path, leaf in tree_util.tree_leaves_with_path([Box(1)])]
    ['[0].inside']
    """

    def without(obj: Any) -> tuple[list[Any], Any]:
        pairs, aux = flatten_with_keys(obj)
        return [child for _, child in pairs], aux

    register_pytree_node(nodetype, flatten_func or without, unflatten_func, flatten_with_keys)


def register_pytree_node_class(cls: C) -> C:
    """A class decorator: the class has ``tree_flatten(self)`` and the class method ``tree_unflatten(aux, children)``.

    Examples
    --------
    >>> import weft
    >>> @weft.tree_util.register_pytree_node_class
    ... class Pair:
    ...     def __init__(self, a, b):
    ...         self.a, self.b = a, b
    ...     def tree_flatten(self):
    ...         return (self.a, self.b), None
    ...     @classmethod
    ...     def tree_unflatten(cls, aux, children):
    ...         return cls(*children)
    >>> weft.tree.leaves(Pair(1, 2))
    [1, 2]
    """
    made: Any = cls
    register_pytree_node(cls, lambda x: x.tree_flatten(), made.tree_unflatten)
    return cls


def register_pytree_with_keys_class(cls: C) -> C:
    """A class decorator: the class has ``tree_flatten_with_keys(self)`` and ``tree_unflatten(aux, children)``."""
    made: Any = cls
    plain = getattr(cls, "tree_flatten", None)
    flatten = (lambda x: x.tree_flatten()) if plain is not None else None
    register_pytree_with_keys(cls, lambda x: x.tree_flatten_with_keys(), made.tree_unflatten, flatten)
    return cls


def register_dataclass(
    nodetype: Any = None,
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] | None = None,
    drop_fields: Sequence[str] = (),
) -> Any:
    """Say which fields of a dataclass are children, and which are fixed: part of its structure.

    A dataclass is a container without this, all of its fields children.

    Parameters
    ----------
    nodetype
        The dataclass. (Or a class with attributes of these names, that its constructor takes.)
    data_fields
        The names of the children. By default all fields but those made by ``weft.tree.static()``.
    meta_fields
        The names of the fixed fields, which are hashable and compared with ``==``.
    drop_fields
        Fields that the constructor does without.

    Returns
    -------
    nodetype
        So that it may be a decorator.

    Raises
    ------
    TypeError
        Of ``data_fields`` and ``meta_fields`` one is missing.
    ValueError
        The names are not those of the fields.

    Examples
    --------
    >>> import dataclasses, weft
    >>> @weft.tree_util.register_dataclass
    ... @dataclasses.dataclass
    ... class Layer:
    ...     w: float
    ...     name: str = weft.tree.static(default="dense")
    >>> weft.tree.leaves(Layer(1.5))
    [1.5]
    """
    if nodetype is None:
        return functools.partial(
            register_dataclass, data_fields=data_fields, meta_fields=meta_fields, drop_fields=drop_fields
        )
    if not isinstance(nodetype, type):
        raise TypeError(f"register_dataclass takes a class, not {nodetype!r}")
    if (data_fields is None) != (meta_fields is None):
        raise TypeError("register_dataclass: data_fields and meta_fields must be both given, or none of them")
    fields = {f.name: f for f in dataclasses.fields(nodetype)} if dataclasses.is_dataclass(nodetype) else None
    if data_fields is None or meta_fields is None:
        if fields is None:
            raise TypeError(
                f"register_dataclass: {nodetype.__name__} is no dataclass: give data_fields and meta_fields"
            )
        names = [f for f in fields.values() if f.init and f.name not in drop_fields]
        data_fields = [f.name for f in names if not f.metadata.get("static", False)]
        meta_fields = [f.name for f in names if f.metadata.get("static", False)]
    data, meta = tuple(data_fields), tuple(meta_fields)
    if fields is not None:
        given, wanted = {*data, *meta, *drop_fields}, {n for n, f in fields.items() if f.init}
        if given != wanted or len(data) + len(meta) != len({*data, *meta}):
            raise ValueError(
                f"data_fields and meta_fields must name each field of {nodetype.__name__} once; missing:"
                f" {sorted(wanted - given)}, unknown: {sorted(given - wanted)}"
            )
    keys = tuple([GetAttrKey(n) for n in data])

    def flatten(obj: Any) -> Any:
        return tuple([getattr(obj, n) for n in data]), tuple([getattr(obj, n) for n in meta])

    def unflatten(aux: Any, children: Sequence[Any]) -> Any:
        return nodetype(**dict(zip(meta, aux, strict=True)), **dict(zip(data, children, strict=True)))

    def with_keys(obj: Any) -> Any:
        children, aux = flatten(obj)
        return zip(keys, children, strict=True), aux

    register_pytree_node(nodetype, flatten, unflatten, with_keys, fields=(data, meta))
    return nodetype


def static(**kwargs: Any) -> Any:
    """A dataclass field that `register_dataclass` takes as fixed: ``dataclasses.field`` marked as static."""
    return dataclasses.field(metadata={**kwargs.pop("metadata", {}), "static": True}, **kwargs)


def register_static(cls: C) -> C:
    """A class decorator: instances have no leaves, and are part of the structure. They hash and compare with ``==``.

    Examples
    --------
    >>> import weft
    >>> @weft.tree_util.register_static
    ... class Mode(str):
    ...     pass
    >>> weft.tree.leaves([Mode("train"), 1.0])
    [1.0]
    """
    register_pytree_node(cls, lambda obj: ((), obj), lambda obj, children: obj, lambda obj: ((), obj))
    return cls


class Partial(functools.partial):  # type: ignore[type-arg]
    """`functools.partial` whose arguments are children, and whose function is fixed.

    Examples
    --------
    >>> import weft
    >>> weft.jit(lambda f, x: f(x))(weft.tree_util.Partial(lambda a, x: a * x, 3.0), 2.0)
    6.0
    """


register_pytree_node(
    Partial, lambda p: ((p.args, p.keywords), p.func), lambda func, children: Partial(func, *children[0], **children[1])
)


def parts(tree: Any, is_leaf: Callable[..., bool] | None = None) -> tuple[list[Any], Any]:
    """The leaves and optree's structure; dataclasses met for the first time become containers."""
    while True:
        leaves, spec = optree.tree_flatten(tree, is_leaf=is_leaf, namespace=pytrees.NAMESPACE)
        new = {type(x) for x in leaves} - _looked
        if not new:
            return leaves, spec
        for cls in new:
            if dataclasses.is_dataclass(cls) and pytrees.found(cls) is None:
                _tell_optree(cls)
            else:
                _looked.add(cls)


__all__ = [
    "Partial", "parts", "register_dataclass", "register_pytree_node", "register_pytree_node_class",
    "register_pytree_with_keys", "register_pytree_with_keys_class", "register_static", "static",
]  # fmt: skip
