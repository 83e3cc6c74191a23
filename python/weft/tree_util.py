"""Pytrees: containers of arrays, mapped and taken apart (over optree).

Lists, tuples, named tuples, dicts (by sorted keys), None (no leaves), dataclasses and registered classes are
containers; everything else is a leaf.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import optree

from weft import pytrees

NAMESPACE = "weft"
PyTreeDef = optree.PyTreeSpec


def register_pytree_node(nodetype: type, flatten_func: Any, unflatten_func: Any) -> None:
    """Make instances of a class containers; see `weft.pytrees.register_pytree_node`."""
    pytrees.register_pytree_node(nodetype, flatten_func, unflatten_func)
    optree.register_pytree_node(nodetype, flatten_func, unflatten_func, namespace=NAMESPACE)


def register_pytree_node_class(cls: type) -> type:
    """A class decorator: the class has ``tree_flatten(self)`` and ``tree_unflatten(cls, aux, children)``."""
    register_pytree_node(cls, lambda x: x.tree_flatten(), cls.tree_unflatten)  # type: ignore[attr-defined]
    return cls


def _prepare(tree: Any) -> Any:
    """Register the dataclasses in a tree, which are containers without being told."""

    def look(x: Any) -> bool:
        cls = type(x)
        if dataclasses.is_dataclass(x) and not isinstance(x, type) and cls not in _dataclasses:
            _dataclasses.add(cls)
            if pytrees.flatten_custom(x) is not None and cls not in pytrees._registered:
                optree.register_pytree_node(
                    cls,
                    lambda obj: pytrees.flatten_custom(obj),
                    lambda aux, children, cls=cls: pytrees.unflatten_custom(cls, aux, tuple(children)),  # type: ignore[misc]
                    namespace=NAMESPACE,
                )
        return False

    optree.tree_leaves(tree, is_leaf=look, namespace=NAMESPACE)
    return tree


_dataclasses: set[type] = set()


def map(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """Apply ``f`` to the leaves of a tree, and of others of the same structure beside it.

    Parameters
    ----------
    f
        Called with a leaf of each tree.
    tree, *rest
        The trees; ``tree`` must be a prefix of the others.
    is_leaf
        Stops at values for which it is true.

    Returns
    -------
    tree
        A tree of ``tree``'s structure.

    Raises
    ------
    ValueError
        The structures differ.

    Examples
    --------
    >>> import weft
    >>> weft.tree.map(lambda p, g: p - g, {"w": 3.0}, {"w": 1.0})
    {'w': 2.0}
    """
    _prepare(tree)
    return optree.tree_map(f, tree, *rest, is_leaf=is_leaf, namespace=NAMESPACE)


def leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves of a tree."""
    return optree.tree_leaves(_prepare(tree), is_leaf=is_leaf, namespace=NAMESPACE)


def structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """The structure of a tree."""
    return optree.tree_structure(_prepare(tree), is_leaf=is_leaf, namespace=NAMESPACE)


def flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], Any]:
    """The leaves and the structure of a tree."""
    return optree.tree_flatten(_prepare(tree), is_leaf=is_leaf, namespace=NAMESPACE)


def unflatten(treedef: Any, leaves: Any) -> Any:
    """The tree of a structure and leaves."""
    return optree.tree_unflatten(treedef, leaves)


def reduce(function: Callable[[Any, Any], Any], tree: Any, initializer: Any = ..., is_leaf: Any = None) -> Any:
    """Combine the leaves of a tree from the left."""
    items = leaves(tree, is_leaf)
    if initializer is ...:
        if not items:
            raise TypeError("reduce() of empty iterable with no initial value")
        initializer, items = items[0], items[1:]
    for x in items:
        initializer = function(initializer, x)
    return initializer


def all(tree: Any, *, is_leaf: Any = None) -> bool:
    """Whether all leaves are true."""
    return not [x for x in leaves(tree, is_leaf) if not x]


def transpose(outer_treedef: Any, inner_treedef: Any, pytree_to_transpose: Any) -> Any:
    """A tree of trees turned inside out."""
    return optree.tree_transpose(outer_treedef, inner_treedef, pytree_to_transpose)


tree_map, tree_leaves, tree_structure, tree_flatten, tree_unflatten = map, leaves, structure, flatten, unflatten
tree_reduce, tree_all, tree_transpose = reduce, all, transpose
