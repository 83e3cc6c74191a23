"""The structure of a tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from weft.trees import paths


class PyTreeDef:
    """The structure of a tree: its containers, and where its leaves are. Hashable, and compared with ``==``.

    Examples
    --------
    >>> import weft
    >>> weft.tree.structure((1, {"a": 2, "b": None}))
    PyTreeDef((*, {'a': *, 'b': None}))
    """

    __slots__ = ("_spec",)

    def __init__(self, spec: Any) -> None:
        self._spec = spec

    @property
    def num_leaves(self) -> int:
        """How many leaves there are."""
        return int(self._spec.num_leaves)

    @property
    def num_nodes(self) -> int:
        """How many containers and leaves there are."""
        return int(self._spec.num_nodes)

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree of this structure with these leaves.

        Raises
        ------
        ValueError
            There are more or fewer leaves than the structure has.
        """
        leaves = list(leaves)
        n = self._spec.num_leaves
        if len(leaves) != n:
            few = "few" if len(leaves) < n else "many"
            raise ValueError(f"Too {few} leaves for PyTreeDef; expected {n}, got {len(leaves)}")
        return self._spec.unflatten(leaves)

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """What a tree has at the places of the leaves.

        Raises
        ------
        ValueError
            It has other containers.
        """
        sample = self._spec.unflatten([0] * self.num_leaves)
        return paths.up_to(self._spec, sample, tree, "the tree", first="the structure")

    def children(self) -> list[PyTreeDef]:
        """The structures of the children."""
        return [PyTreeDef(child) for child in self._spec.children()]

    def compose(self, inner: PyTreeDef) -> PyTreeDef:
        """This structure with ``inner`` at each of its leaves."""
        return PyTreeDef(self._spec.compose(inner._spec))

    def node_data(self) -> tuple[type, Any] | None:
        """The outermost container's class and fixed part; None for a leaf."""
        if self.num_nodes == 1 and self.num_leaves == 1:
            return None
        found: list[tuple[type, Any]] = []
        self.walk(lambda cls, data, children: found.append((cls, data)), None, [None] * self.num_leaves)
        cls, data = found[-1]
        return cls, None if isinstance(data, type) else data

    def walk(
        self, f_node: Callable[[Any, Any, Any], Any], f_leaf: Callable[[Any], Any] | None, leaves: Iterable[Any]
    ) -> Any:
        """Combine leaves from below: ``f_node(class, fixed part, children)`` at each container."""
        return self._spec.walk(list(leaves), f_node, f_leaf)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PyTreeDef) and bool(self._spec == other._spec)

    def __hash__(self) -> int:
        return hash(self._spec)

    def __repr__(self) -> str:
        return f"PyTreeDef({self.walk(_text, None, ['*'] * self.num_leaves)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return PyTreeDef, (self._spec,)


def _text(cls: type, data: Any, children: tuple[str, ...]) -> str:
    inner = ", ".join(children)
    if cls is type(None):
        return "None"
    if cls is tuple:
        return f"({inner}{',' if len(children) == 1 else ''})"
    if cls is list:
        return f"[{inner}]"
    if cls is dict:
        return "{" + ", ".join([f"{k!r}: {c}" for k, c in zip(data, children, strict=True)]) + "}"
    if isinstance(data, type) and issubclass(cls, tuple):
        return f"CustomNode(namedtuple[{cls.__name__}], [{inner}])"
    return f"CustomNode({cls.__name__}[{_fixed(data)}], [{inner}])"


def _fixed(data: Any) -> str:
    """optree gives keys as lists; they are part of the structure, and print as the tuples they are in JAX."""
    if isinstance(data, list):
        return str(tuple(data))
    if isinstance(data, tuple) and any(isinstance(x, list) for x in data):
        return str(tuple([tuple(x) if isinstance(x, list) else x for x in data]))
    return str(data)


def spec_of(treedef: PyTreeDef) -> Any:
    """optree's structure."""
    return treedef._spec


__all__ = ["PyTreeDef", "spec_of"]
