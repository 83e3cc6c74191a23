"""Pytrees: containers of arrays, mapped and taken apart (over optree).

Lists, tuples, named tuples, dicts (by sorted keys), `OrderedDict`, `defaultdict`, `deque`, None (no leaves),
dataclasses and registered classes are containers; everything else is a leaf. `weft.tree` has the functions by short
names.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any

import optree

from weft import pytrees
from weft.trees.paths import (
    DictKey,
    FlattenedIndexKey,
    GetAttrKey,
    KeyEntry,
    KeyPath,
    SequenceKey,
    keystr,
    one_level,
    up_to,
    walk,
)
from weft.trees.registration import (
    Partial,
    register_dataclass,
    register_pytree_node,
    register_pytree_node_class,
    register_pytree_with_keys,
    register_pytree_with_keys_class,
    register_static,
    static,
)
from weft.trees.registration import parts as _parts
from weft.trees.structure import PyTreeDef, spec_of

__all__ = [
    "DictKey", "FlattenedIndexKey", "GetAttrKey", "KeyEntry", "KeyPath", "Partial", "PyTreeDef", "SequenceKey",
    "all_leaves", "build_tree", "flatten_one_level", "is_tree_node", "keystr", "register_dataclass",
    "register_pytree_node", "register_pytree_node_class", "register_pytree_with_keys",
    "register_pytree_with_keys_class", "register_static", "static", "tree_all", "tree_broadcast", "tree_flatten",
    "tree_flatten_with_path", "tree_leaves", "tree_leaves_with_path", "tree_map", "tree_map_with_path",
    "tree_multimap", "tree_reduce", "tree_reduce_associative", "tree_structure", "tree_transpose", "tree_unflatten",
    "treedef_children", "treedef_is_leaf", "treedef_tuple",
]  # fmt: skip

IsLeaf = Callable[..., bool] | None
_UNSPECIFIED: Any = object()

# -- taking apart, putting together ------------------------------------------------------------------------------------


def tree_flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Any], PyTreeDef]:
    """The leaves and the structure of a tree.

    Parameters
    ----------
    tree
        The tree.
    is_leaf
        Stops at values for which it is true.

    Examples
    --------
    >>> import weft
    >>> weft.tree.flatten({"a": 1, "b": (2, None)})
    ([1, 2], PyTreeDef({'a': *, 'b': (*, None)}))
    """
    leaves, spec = _parts(tree, is_leaf)
    return leaves, PyTreeDef(spec)


def tree_leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """The leaves of a tree.

    Examples
    --------
    >>> import weft
    >>> weft.tree.leaves([1, {"k": 2, "a": (3, None)}])
    [1, 3, 2]
    """
    return _parts(tree, is_leaf)[0]


def tree_structure(tree: Any, is_leaf: IsLeaf = None) -> PyTreeDef:
    """The structure of a tree: printed as its containers, with ``*`` for leaves; hashable, compared with ``==``.

    Examples
    --------
    >>> import weft
    >>> weft.tree.structure([1, {"k": 2, "a": (3, None)}])
    PyTreeDef([*, {'a': (*, None), 'k': *}])
    """
    return PyTreeDef(_parts(tree, is_leaf)[1])


def tree_unflatten(treedef: PyTreeDef, leaves: Iterable[Any]) -> Any:
    """The tree of a structure and leaves.

    Raises
    ------
    ValueError
        There are more or fewer leaves than the structure has.

    Examples
    --------
    >>> import weft
    >>> weft.tree.unflatten(weft.tree.structure({"a": 1, "b": [2]}), [3, 4])
    {'a': 3, 'b': [4]}
    """
    return _treedef(treedef).unflatten(leaves)


def _treedef(x: Any) -> PyTreeDef:
    if isinstance(x, PyTreeDef):
        return x
    raise TypeError(f"a structure (weft.tree.structure of a tree) is needed here, not {x!r}")


def tree_map(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf = None) -> Any:
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
        The structures differ; the message tells where.

    Examples
    --------
    >>> import weft
    >>> weft.tree.map(lambda p, g: p - g, {"w": 3.0}, {"w": 1.0})
    {'w': 2.0}
    """
    leaves, spec = _parts(tree, is_leaf)
    if not rest:
        return spec.unflatten(map(f, leaves))
    columns = [up_to(spec, tree, other, f"tree {n}", is_leaf) for n, other in enumerate(rest, 2)]
    return spec.unflatten(map(f, leaves, *columns))


tree_multimap = tree_map


def tree_reduce(
    function: Callable[[Any, Any], Any], tree: Any, initializer: Any = _UNSPECIFIED, is_leaf: IsLeaf = None
) -> Any:
    """Combine the leaves of a tree from the left.

    Examples
    --------
    >>> import weft
    >>> weft.tree.reduce(lambda total, x: total + x, {"a": 1, "b": (2, 3)})
    6
    """
    leaves = tree_leaves(tree, is_leaf)
    if initializer is _UNSPECIFIED:
        return functools.reduce(function, leaves)
    return functools.reduce(function, leaves, initializer)


def tree_reduce_associative(
    operation: Callable[[Any, Any], Any], tree: Any, *, identity: Any = _UNSPECIFIED, is_leaf: IsLeaf = None
) -> Any:
    """Combine the leaves of a tree pair by pair, as a balanced tree: for operations that are associative.

    Examples
    --------
    >>> import weft
    >>> weft.tree.reduce_associative(lambda x, y: (x, y), [1, 2, 3, 4])
    ((1, 2), (3, 4))
    """
    leaves = tree_leaves(tree, is_leaf)
    if not leaves:
        if identity is _UNSPECIFIED:
            raise TypeError("Must specify identity for parallel reduction of empty sequence.")
        return identity

    def combined(items: list[Any]) -> Any:
        if len(items) == 1:
            return items[0]
        middle = len(items) // 2
        return operation(combined(items[:middle]), combined(items[middle:]))

    return combined(leaves)


def tree_all(tree: Any, *, is_leaf: IsLeaf = None) -> bool:
    """Whether all leaves are true.

    Examples
    --------
    >>> import weft
    >>> weft.tree.all({"a": True, "b": (True, False)})
    False
    """
    return all(tree_leaves(tree, is_leaf))


def tree_transpose(outer_treedef: PyTreeDef, inner_treedef: PyTreeDef | None, pytree_to_transpose: Any) -> Any:
    """A tree of trees turned inside out.

    Parameters
    ----------
    outer_treedef, inner_treedef
        The structures of the outer tree, and of each tree that it has in place of leaves (None: as they are).
    pytree_to_transpose
        The tree.

    Examples
    --------
    >>> import weft
    >>> weft.tree.transpose(weft.tree.structure([0, 0]), weft.tree.structure((0, 0)), [(1, 2), (3, 4)])
    ([1, 3], [2, 4])
    """
    outer = _treedef(outer_treedef)
    parts = outer.flatten_up_to(pytree_to_transpose)
    if not parts:
        raise TypeError("tree_transpose: the outer structure has no leaves")
    inner = tree_structure(parts[0]) if inner_treedef is None else _treedef(inner_treedef)
    if inner.num_leaves == 0:
        raise TypeError("tree_transpose: the inner structure has no leaves")
    rows = [inner.flatten_up_to(part) for part in parts]
    return inner.unflatten([outer.unflatten(column) for column in zip(*rows, strict=True)])


def tree_broadcast(prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf = None) -> Any:
    """A tree of ``full_tree``'s structure, each leaf of ``prefix_tree`` repeated over what is there.

    Examples
    --------
    >>> import weft
    >>> weft.tree.broadcast((1, 2), ([0, 0], {"a": 0}))
    ([1, 1], {'a': 2})
    """
    leaves, spec = _parts(prefix_tree, is_leaf)
    parts = up_to(spec, prefix_tree, full_tree, "the full tree", is_leaf)
    fill = [tree_map(lambda _, x=x: x, part) for x, part in zip(leaves, parts, strict=True)]
    return spec.unflatten(fill)


def all_leaves(iterable: Iterable[Any], is_leaf: IsLeaf = None) -> bool:
    """Whether all items are leaves.

    Examples
    --------
    >>> import weft
    >>> weft.tree_util.all_leaves([1, 2]), weft.tree_util.all_leaves([1, None])
    (True, False)
    """
    for x in iterable:
        leaves = tree_leaves(x, is_leaf)
        if len(leaves) != 1 or leaves[0] is not x:
            return False
    return True


# -- with paths --------------------------------------------------------------------------------------------------------


def tree_flatten_with_path(
    tree: Any, is_leaf: IsLeaf = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath, Any]], PyTreeDef]:
    """The leaves of a tree, each with its path, and the structure.

    Parameters
    ----------
    tree
        The tree.
    is_leaf
        Stops at values for which it is true.
    is_leaf_takes_path
        Whether ``is_leaf`` is called with the path and the value.

    Examples
    --------
    >>> import weft
    >>> pairs, _ = weft.tree.flatten_with_path({"w": [1.0, 2.0]})
    >>> [(weft.tree_util.keystr(path), leaf) for path, leaf in pairs]
    [("['w'][0]", 1.0), ("['w'][1]", 2.0)]
    """
    _parts(tree, None if is_leaf_takes_path else is_leaf)
    stops: list[bool] = []
    pairs = list(walk(tree, is_leaf, is_leaf_takes_path, stops))
    answers = iter(stops)
    return pairs, tree_structure(tree, lambda _: next(answers))


def tree_leaves_with_path(
    tree: Any, is_leaf: IsLeaf = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath, Any]]:
    """The leaves of a tree, each with its path."""
    return tree_flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def tree_map_with_path(
    f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf = None, is_leaf_takes_path: bool = False
) -> Any:
    """`tree_map` of a function that gets each leaf's path first.

    Examples
    --------
    >>> import weft
    >>> weft.tree.map_with_path(lambda path, x: (len(path), x), {"a": 1, "b": {"c": 2}})
    {'a': (1, 1), 'b': {'c': (2, 2)}}
    """
    pairs, treedef = tree_flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    columns = [up_to(spec_of(treedef), tree, other, f"tree {n}") for n, other in enumerate(rest, 2)]
    paths, leaves = [p for p, _ in pairs], [x for _, x in pairs]
    return treedef.unflatten(map(f, paths, leaves, *columns))


# -- structures --------------------------------------------------------------------------------------------------------


def treedef_is_leaf(treedef: PyTreeDef) -> bool:
    """Whether a structure has nothing inside: that of a leaf, of None, or of an empty container."""
    return _treedef(treedef).num_nodes == 1


def treedef_children(treedef: PyTreeDef) -> list[PyTreeDef]:
    """The structures of the children."""
    return _treedef(treedef).children()


def treedef_tuple(treedefs: Iterable[PyTreeDef]) -> PyTreeDef:
    """The structure of a tuple of trees with these structures."""
    return PyTreeDef(optree.treespec_tuple([spec_of(_treedef(t)) for t in treedefs], namespace=pytrees.NAMESPACE))


def build_tree(treedef: PyTreeDef, xs: Iterable[Any]) -> Any:
    """A tree of a structure whose outermost container has these items, each a tree.

    Examples
    --------
    >>> import weft
    >>> weft.tree_util.build_tree(weft.tree.structure({"a": 0, "b": [0]}), [1, [2]])
    {'a': 1, 'b': [2]}
    """
    parts = [child.flatten_up_to(x) for child, x in zip(_treedef(treedef).children(), xs, strict=True)]
    return treedef.unflatten([leaf for part in parts for leaf in part])


def flatten_one_level(tree: Any) -> tuple[list[Any], Any]:
    """A container's children and fixed part.

    Raises
    ------
    ValueError
        It is a leaf.
    """
    found = one_level(tree)
    if found is None:
        raise ValueError(f"can't tree-flatten type: {type(tree)}")
    return [child for _, child in found[0]], found[1]


def is_tree_node(typ: type) -> bool:
    """Whether instances of a class are containers."""
    if typ in (list, tuple, dict, type(None)) or pytrees.found(typ) is not None or dataclasses.is_dataclass(typ):
        return True
    return issubclass(typ, tuple) and hasattr(typ, "_fields")
