"""Flattening what variables hold into staged leaves, and joining the types of leaves that meet."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.errors import StagingError
from weft.frontend.frame import UNDEFINED, Maybe, State
from weft.frontend.structure import Leaf, Tree, describe, leaf_types
from weft.frontend.watch import as_data
from weft.ir.nodes import Atom
from weft.ir.sizes import Size
from weft.ir.types import ArrayType
from weft.pytrees import flatten_custom, is_registered, unflatten_custom
from weft.staged.arith import cast, retyped
from weft.staged.context import current
from weft.staged.value import FLAVOURS, PY_DTYPES, Staged, is_number, lift, py_kind, wrap


class Mismatch(Exception):
    """Two structures do not meet."""


def refuse_staged(aux: Any, cls: type) -> None:
    """Say so where the fixed part of a container is known at run time only.

    Raises
    ------
    StagingError
        It is.
    """
    if isinstance(aux, Staged):
        raise StagingError(
            f"the fixed part of a {cls.__name__} is a run-time value",
            remedy="make it a child of the container: with register_dataclass, name its field among the data_fields",
            loc=current().loc,
        )
    if isinstance(aux, tuple | list):
        for x in aux:
            refuse_staged(x, cls)


def is_leaf(x: Any) -> bool:
    """Whether a value is a number or staged."""
    return isinstance(x, Staged) or is_number(x) or isinstance(x, np.ndarray)


def is_object(x: Any, state: State) -> bool:
    """Whether a value is an object whose attributes are looked into: a dataclass, or one that staged code made."""
    if isinstance(x, type | Staged | tuple) or not hasattr(x, "__dict__"):
        return False
    return state.owns(x) or dataclasses.is_dataclass(x)


def flatten(x: Any, state: State, leaves: list[Any], boxes: list[Any] | None = None) -> Tree:
    """The structure of ``x``; its numbers and staged values are appended to ``leaves``, containers to ``boxes``."""
    x = as_data(x)
    registered = is_registered(x)
    slots = dataclasses.is_dataclass(x) and not isinstance(x, type) and not hasattr(x, "__dict__")
    if boxes is not None and (isinstance(x, list | dict) or registered or slots or is_object(x, state)):
        boxes.append(x)
    if registered and (parts := flatten_custom(x)) is not None:
        children, aux = parts
        refuse_staged(aux, type(x))
        return Tree(("custom", type(x)), aux, tuple([flatten(v, state, leaves, boxes) for v in children]))
    if is_leaf(x):
        v = lift(x)
        leaves.append(x if isinstance(x, Staged) else v)
        return Tree("leaf", None, (Leaf(v.type, v.flavour),))
    if isinstance(x, tuple):
        return Tree(type(x), None, tuple([flatten(v, state, leaves, boxes) for v in x]))
    if isinstance(x, list):
        return Tree(list, None, tuple([flatten(v, state, leaves, boxes) for v in x]))
    if isinstance(x, dict):
        return Tree(dict, tuple(x), tuple([flatten(v, state, leaves, boxes) for v in x.values()]))
    if slots and (parts := flatten_custom(x)) is not None:
        return Tree(("custom", type(x)), parts[1], tuple([flatten(v, state, leaves, boxes) for v in parts[0]]))
    if is_object(x, state):
        d = vars(x)
        return Tree(("object", type(x)), tuple(d), tuple([flatten(v, state, leaves, boxes) for v in d.values()]))
    return Tree("static", x, ())


def unflatten(tree: Tree, leaves: Any, state: State, boxes: list[Any] | None = None, keep: Any = None) -> Any:
    """The value of a structure; ``leaves`` is an iterator of values.

    The containers made are appended to ``boxes``, in the order of `flatten`; those whose number is in ``keep`` are not
    made but taken from there.
    """
    if tree.kind == "leaf":
        return next(leaves)
    if tree.kind == "static":
        return tree.fixed
    number = None
    if boxes is not None and (tree.kind in (list, dict) or isinstance(tree.kind, tuple)):
        number = len(boxes)
        boxes.append(None)
    children = [unflatten(c, leaves, state, boxes, keep) for c in tree.children]
    made = _container(tree, children, state) if not keep or number not in keep else keep[number]
    if boxes is not None and number is not None:
        boxes[number] = made
    return made


def _container(tree: Tree, children: list[Any], state: State) -> Any:
    if tree.kind is list:
        return state.own(children)
    if tree.kind is dict:
        return state.own(dict(zip(tree.fixed, children, strict=True)))
    if isinstance(tree.kind, tuple) and tree.kind[0] == "custom":
        made = unflatten_custom(tree.kind[1], tree.fixed, children)
        if hasattr(made, "__dict__"):
            state.own(vars(made))
        return state.own(made)
    if isinstance(tree.kind, tuple):
        obj = object.__new__(tree.kind[1])
        vars(obj).update(zip(tree.fixed, children, strict=True))
        state.own(vars(obj))
        return state.own(obj)
    if tree.kind is tuple:
        return tuple(children)
    return tree.kind(*children) if hasattr(tree.kind, "_fields") else tuple.__new__(tree.kind, children)


def join(a: Tree, b: Tree, state: State) -> Tree:
    """The structure that both fit.

    Raises
    ------
    Mismatch
        The structures differ, or leaves have types that do not join; the text says how.
    """
    if a.kind == "leaf" and b.kind == "leaf":
        return Tree("leaf", None, (join_leaf(a.children[0], b.children[0], state),))
    if a.kind != b.kind:
        raise Mismatch(f"{describe(a)} and {describe(b)}")
    if a.kind == "static":
        if a.fixed is b.fixed or _equal(a.fixed, b.fixed):
            return a
        raise Mismatch(f"{describe(a)} and {describe(b)}")
    if a.fixed != b.fixed or len(a.children) != len(b.children):
        raise Mismatch(f"{describe(a)} and {describe(b)}")
    return Tree(a.kind, a.fixed, tuple([join(x, y, state) for x, y in zip(a.children, b.children, strict=True)]))


def _equal(a: Any, b: Any) -> bool:
    try:
        return type(a) is type(b) and bool(a == b)
    except Exception:
        return False


def join_leaf(a: Leaf, b: Leaf, state: State) -> Leaf:
    """The type that both leaves convert to without loss of meaning."""
    if a == b:
        return a
    flavour = max(a.flavour, b.flavour, key=FLAVOURS.index)
    dtype = _join_dtypes(a, b)
    if len(a.type.shape) != len(b.type.shape):
        raise Mismatch(f"{a} and {b}")
    shape: list[Size] = []
    for m, n in zip(a.type.shape, b.type.shape, strict=True):
        m, n = state.resolve(m), state.resolve(n)
        if m != n:
            x, y = state.number(m), state.number(n)
            if x is None or x != y or not state.decide("==", m - n, "shapes that meet in one variable agree"):
                raise Mismatch(f"{a} and {b}")
            m = state.resolve(m)
        shape.append(m)
    return Leaf(ArrayType(dtype, tuple(shape)), flavour)


def _join_dtypes(a: Leaf, b: Leaf) -> np.dtype[Any]:
    if a.type.dtype == b.type.dtype:
        return a.type.dtype
    zero = {"b": False, "i": 0, "f": 0.0, "c": 0j}
    out = np.result_type(*[zero[x.type.dtype.kind] if x.flavour == "py" else x.type.dtype for x in (a, b)])
    if a.flavour == b.flavour == "py":
        return PY_DTYPES[py_kind(out)] if out.kind in "bifc" else out
    return out


def as_leaf(x: Any, leaf: Leaf) -> Atom:
    """A value's atom, converted to the type of ``leaf``."""
    return fit(lift(x).atom, leaf.type)


def fit(a: Atom, t: ArrayType) -> Atom:
    """An atom cast to a type that joining gave."""
    a = cast(a, t.dtype)
    from weft.ir.sizes import same_shape

    return a if same_shape(a.type.shape, t.shape) else retyped(a, t.shape)


def rebuild(tree: Tree, atoms: Sequence[Atom], state: State) -> Any:
    """A value of this structure from atoms in the order of its leaves."""
    pairs = zip(atoms, leaf_types(tree), strict=True)
    return unflatten(tree, iter([wrap(a, leaf.flavour) for a, leaf in pairs]), state)


__all__ = [
    "UNDEFINED", "Leaf", "Maybe", "Mismatch", "StagingError", "Tree", "as_leaf", "describe", "fit", "flatten",
    "is_leaf", "join", "leaf_types", "rebuild", "unflatten",
]  # fmt: skip
