"""Paths to the leaves of trees, and where two trees differ."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import optree

from weft import pytrees


@dataclass(frozen=True)
class SequenceKey:
    """An index of a list, tuple or deque."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx}]"


@dataclass(frozen=True)
class DictKey:
    """A key of a dict."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"


@dataclass(frozen=True)
class GetAttrKey:
    """An attribute, of a named tuple or dataclass."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"


@dataclass(frozen=True)
class FlattenedIndexKey:
    """The number of a child of a container that does not name its children."""

    key: int

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


KeyEntry = Any
KeyPath = tuple[KeyEntry, ...]


def keystr(keys: KeyPath, *, simple: bool = False, separator: str = "") -> str:
    """A path as text.

    Parameters
    ----------
    keys
        The path.
    simple
        Only keys, indices and names, without brackets and quotes.
    separator
        Between the keys.

    Examples
    --------
    >>> from weft.tree_util import DictKey, SequenceKey, keystr
    >>> keystr((DictKey("w"), SequenceKey(0))), keystr((DictKey("w"), SequenceKey(0)), simple=True, separator="/")
    ("['w'][0]", 'w/0')
    """
    return separator.join([_simple(k) if simple else str(k) for k in keys])


def _simple(key: Any) -> str:
    for name in ("idx", "key", "name"):
        if hasattr(key, name):
            return str(getattr(key, name))
    return str(key)


def one_level(x: Any) -> tuple[list[tuple[Any, Any]], Any] | None:
    """A container's children, each with its key, and its fixed part; None for a leaf."""
    if x is None:
        return [], None
    node = pytrees.found(type(x))
    if node is not None and node.with_keys is not None:
        pairs, aux = node.with_keys(x)
        return [(k, child) for k, child in pairs], aux
    if node is None and dataclasses.is_dataclass(x) and not isinstance(x, type):
        names = pytrees.fields_of(type(x))
        return [(GetAttrKey(n), getattr(x, n)) for n in names], names
    try:
        children, aux, entries, _ = optree.tree_flatten_one_level(x, namespace=pytrees.NAMESPACE)
    except ValueError:
        return None
    kind: Any
    if isinstance(x, dict):
        kind, aux = DictKey, entries
    elif type(x) in (list, tuple, collections.deque):
        kind = SequenceKey
    elif isinstance(x, tuple) and hasattr(x, "_fields"):
        kind, entries, aux = GetAttrKey, x._fields, type(x)
    else:
        kind = FlattenedIndexKey
    return [(kind(k), child) for k, child in zip(entries, children, strict=True)], aux


def walk(
    tree: Any,
    is_leaf: Callable[..., bool] | None = None,
    takes_path: bool = False,
    stops: list[bool] | None = None,
    path: KeyPath = (),
) -> Iterator[tuple[KeyPath, Any]]:
    """The leaves of a tree with their paths; at each node, whether ``is_leaf`` stopped there goes to ``stops``."""
    stop = bool(is_leaf is not None and (is_leaf(path, tree) if takes_path else is_leaf(tree)))
    if stops is not None:
        stops.append(stop)
    found = None if stop else one_level(tree)
    if found is None:
        yield path, tree
        return
    for key, child in found[0]:
        yield from walk(child, is_leaf, takes_path, stops, (*path, key))


def up_to(
    spec: Any,
    tree: Any,
    other: Any,
    name: str,
    is_leaf: Callable[..., bool] | None = None,
    first: str = "the first tree",
) -> list[Any]:
    """What another tree has at the places of the leaves of ``tree``, whose optree structure is ``spec``.

    Raises
    ------
    ValueError
        It has not the same containers down to there; the message tells where.
    """
    try:
        found: list[Any] = spec.flatten_up_to(other)
        return found
    except ValueError as e:
        raise ValueError(mismatch(tree, other, first, name, is_leaf) or str(e)) from None


def mismatch(
    prefix: Any, full: Any, first: str, second: str, is_leaf: Callable[..., bool] | None = None, path: KeyPath = ()
) -> str:
    """Where a tree is no prefix of another, in words; "" if it is."""
    if is_leaf is not None and is_leaf(prefix):
        return ""
    a, b = one_level(prefix), one_level(full)
    if a is None:
        return ""
    where = f"at {keystr(path)}" if path else "at the root"
    unlike = type(prefix) is not type(full) and not (isinstance(prefix, dict) and isinstance(full, dict))
    if b is None or unlike or len(a[0]) != len(b[0]):
        said = ""
        if isinstance(prefix, dict) and isinstance(full, dict):
            missing, more = [k for k in prefix if k not in full], [k for k in full if k not in prefix]
            said = (f"; keys only in {first}: {missing}" if missing else "") + (
                f"; keys only in {second}: {more}" if more else ""
            )
        return f"the trees differ {where}: {first} has {_what(prefix, a)}, {second} has {_what(full, b)}{said}"
    if [k for k, _ in a[0]] != [k for k, _ in b[0]] or (a[1] != b[1] and not isinstance(prefix, dict)):
        return f"the trees differ {where}: {first} has {_what(prefix, a)} with {_fixed(a)}, {second} with {_fixed(b)}"
    for (key, x), (_, y) in zip(a[0], b[0], strict=True):
        said = mismatch(x, y, first, second, is_leaf, (*path, key))
        if said:
            return said
    return ""


def _what(x: Any, level: Any) -> str:
    if x is None:
        return "None"
    name = type(x).__name__
    if level is None:
        return f"a leaf of type {name}"
    return f"a {name} of {len(level[0])}" if isinstance(x, list | tuple | dict | collections.deque) else f"a {name}"


def _fixed(level: Any) -> str:
    pairs, aux = level
    return (
        f"keys {[getattr(k, 'key', None) for k, _ in pairs]}"
        if pairs and isinstance(pairs[0][0], DictKey)
        else repr(aux)
    )


__all__ = [
    "DictKey", "FlattenedIndexKey", "GetAttrKey", "KeyEntry", "KeyPath", "SequenceKey", "keystr", "mismatch",
    "one_level", "up_to", "walk",
]  # fmt: skip
