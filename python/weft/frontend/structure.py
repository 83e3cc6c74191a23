"""Structures of values: containers, and what is known of their leaves. Little is imported: warm starts use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weft.ir.types import ArrayType


@dataclass(frozen=True, slots=True)
class Leaf:
    """What is known of a staged leaf: its type and flavour."""

    type: ArrayType
    flavour: str

    def __str__(self) -> str:
        if self.flavour == "py":
            from weft.staged.value import py_kind

            return f"a Python {py_kind(self.type.dtype).__name__}"
        return f"{self.type!r}"


@dataclass(frozen=True, slots=True)
class Tree:
    """A structure: ``kind`` (a container type, "leaf" or "static"), its fixed part, and its children."""

    kind: Any
    fixed: Any
    children: tuple[Any, ...]  # Trees; for a leaf: one Leaf


def describe(t: Tree) -> str:
    """A structure in words, for messages."""
    if t.kind == "leaf":
        return str(t.children[0])
    if t.kind == "static":
        from weft.frontend.frame import Undefined

        return "undefined" if isinstance(t.fixed, Undefined) else repr(t.fixed)
    inner = ", ".join(map(describe, t.children))
    if t.kind is list:
        return f"[{inner}]"
    if t.kind is dict:
        return "{" + ", ".join(f"{k!r}: {describe(c)}" for k, c in zip(t.fixed, t.children, strict=True)) + "}"
    name = t.kind[1].__name__ if isinstance(t.kind, tuple) else t.kind.__name__
    return f"({inner})" if t.kind is tuple else f"{name}({inner})"


def leaf_types(tree: Tree) -> list[Leaf]:
    """The leaves of a structure."""
    if tree.kind == "leaf":
        return [tree.children[0]]
    return [x for c in tree.children for x in leaf_types(c)]
