"""Trees of arrays and weak numbers: compared by path, for what loops carry and branches give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weft.frontend.frame import State
from weft.frontend.trees import Tree, flatten, leaf_types, unflatten
from weft.ir.nodes import Atom
from weft.ir.sizes import Size
from weft.ir.types import DType
from weft.staged.context import current
from weft.staged.value import Staged, wrap

_WEAK: dict[str, Any] = {"i": 0, "f": 0.0, "c": 0j}


def state() -> State:
    """The staging under way."""
    s = current()
    assert isinstance(s, State)
    return s


@dataclass(frozen=True)
class Values:
    """A tree of immutable arrays and weak numbers.

    Attributes
    ----------
    tree
        Its structure.
    leaves
        Its staged leaves.
    """

    tree: Tree
    leaves: list[Staged]

    def paths(self) -> list[str]:
        """Where each leaf is, as an index expression."""
        return list(_paths(self.tree, ""))

    def rebuilt(self, atoms: Sequence[Atom]) -> Any:
        """The tree over other atoms, as arrays."""
        return unflatten(self.tree, iter([wrap(a, "weft") for a in atoms]), state())


def values(x: Any) -> Values:
    """What a tree holds now."""
    leaves: list[Any] = []
    tree = flatten(x, state(), leaves)
    return Values(tree, [v if v.flavour == "weft" or is_weak(v) else wrap(v.atom, "weft") for v in leaves])


def is_weak(v: Staged) -> bool:
    """Whether a leaf is a Python number that takes the dtype of others."""
    return v.flavour == "py" and v.dtype.kind in _WEAK


def _steps(tree: Tree) -> Iterator[tuple[str, Tree]]:
    """The children of a structure, and how each is reached."""
    for k, child in enumerate(tree.children):
        if tree.kind is dict:
            yield f"[{tree.fixed[k]!r}]", child
        elif isinstance(tree.kind, tuple) and isinstance(tree.fixed, tuple) and k < len(tree.fixed):
            yield f".{tree.fixed[k]}", child
        elif hasattr(tree.kind, "_fields"):
            yield f".{tree.kind._fields[k]}", child
        else:
            yield f"[{k}]", child


def _paths(tree: Tree, path: str) -> Iterator[str]:
    if tree.kind == "leaf":
        yield path
        return
    for step, child in _steps(tree):
        yield from _paths(child, path + step)


class Differs(Exception):
    """Two structures differ; the text says where and how."""


def kind_text(tree: Tree) -> str:
    """A structure in words, for messages."""
    if tree.kind == "leaf":
        return "a leaf"
    if tree.kind == "static":
        return "None" if tree.fixed is None else repr(tree.fixed)
    if tree.kind in (tuple, list):
        return f"a {tree.kind.__name__} of length {len(tree.children)}"
    if tree.kind is dict:
        return f"a dict with keys {sorted(tree.fixed, key=str)}"
    cls = tree.kind[1] if isinstance(tree.kind, tuple) else tree.kind
    return f"a {cls.__name__}"


def aligned(a: Tree, b: Tree, leaves: Iterator[Any], names: tuple[str, str], path: str = "") -> Iterator[Any]:
    """The leaves of structure ``b`` in the order of ``a``, which must be the same but for the order of dicts.

    Raises
    ------
    Differs
        They are not.
    """
    if a.kind == b.kind == "leaf":
        yield next(leaves)
        return
    keys = a.kind is dict and b.kind is dict and sorted(a.fixed, key=str) == sorted(b.fixed, key=str)
    same = a.kind == b.kind and len(a.children) == len(b.children) and (keys or _equal(a.fixed, b.fixed))
    if not same:
        mine, theirs = kind_text(a), kind_text(b)
        if mine == theirs:  # of one class: it is what is fixed in them
            mine, theirs = f"{mine} with {a.fixed!r}", f"{theirs} with {b.fixed!r}"
        raise Differs(f"{names[0]}{path} is {mine}, but {names[1]}{path} is {theirs}")
    if keys:
        found = {k: [next(leaves) for _ in leaf_types(c)] for k, c in zip(b.fixed, b.children, strict=True)}
        others = dict(zip(b.fixed, b.children, strict=True))
        for (step, child), k in zip(_steps(a), a.fixed, strict=True):
            yield from aligned(child, others[k], iter(found[k]), names, path + step)
        return
    for (step, x), y in zip(_steps(a), b.children, strict=True):
        yield from aligned(x, y, leaves, names, path + step)


def _equal(x: Any, y: Any) -> bool:
    try:
        return x is y or bool(x == y)
    except Exception:
        return False


def type_text(v: Any) -> str:
    """A type as messages show it, with the sizes of the call at hand."""
    s = state()
    sizes = [s.number(n) for n in v.type.shape]
    return f"{v.dtype.name}[{','.join(['?' if n is None else str(n) for n in sizes])}]"


def same_sizes(a: Sequence[Size], b: Sequence[Size]) -> bool:
    """Whether two shapes agree: always, or in this call, under guards."""
    s = state()
    if len(a) != len(b):
        return False
    for m, n in zip(a, b, strict=True):
        m, n = s.resolve(m), s.resolve(n)
        if m != n and (s.number(m) is None or s.number(m) != s.number(n) or not s.decide("==", m - n, "shapes agree")):
            return False
    return True


def joined(a: Staged, b: Staged) -> DType | None:
    """The dtype of two leaves that meet: theirs, or the stronger one's where the other is a weak number."""
    if a.dtype == b.dtype:
        return a.dtype
    if not (is_weak(a) or is_weak(b)):
        return None
    found = np.result_type(*[_WEAK[v.dtype.kind] if is_weak(v) else v.dtype for v in (a, b)])
    return found if (is_weak(a) and is_weak(b)) or found == (b if is_weak(a) else a).dtype else None
