"""What all derivative functions share: which arguments, staging the function, checking its types, and results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from weft.api import staging as st
from weft.api.sites import name_of
from weft.api.zeros import Float0, zeros_of
from weft.frontend.frame import State
from weft.frontend.trees import Tree, describe, flatten, leaf_types, unflatten
from weft.ir.nodes import Atom, Function
from weft.ir.sizes import Size
from weft.ir.types import is_complex, is_inexact
from weft.staged.value import Staged, size_object, wrap

if TYPE_CHECKING:
    from weft.api.varying import Reverse

# -- dtypes, in JAX's terms --------------------------------------------------------------------------------------------


def check_reverse_input(name: str, dtype: np.dtype[Any], holomorphic: bool, allow_int: bool) -> None:
    """Raise unless reverse mode differentiates with respect to this dtype."""
    if holomorphic and not is_complex(dtype):
        raise TypeError(f"{name} with holomorphic=True requires inputs with complex dtype, but got {dtype.name}.")
    if not is_inexact(dtype) and not allow_int:
        raise TypeError(
            f"{name} requires real- or complex-valued inputs (input dtype that is a sub-dtype of np.inexact), but got"
            f" {dtype.name}. If you want to use Boolean- or integer-valued inputs, use vjp or set allow_int to True."
        )


def reverse_inputs(name: str, holomorphic: bool, allow_int: bool) -> Callable[[np.dtype[Any]], None]:
    """`check_reverse_input` of these options."""
    return lambda dtype: check_reverse_input(name, dtype, holomorphic, allow_int)


def check_reverse_output(name: str, dtype: np.dtype[Any], holomorphic: bool) -> None:
    """Raise unless reverse mode differentiates an output of this dtype."""
    if holomorphic:
        if not is_complex(dtype):
            raise TypeError(f"{name} with holomorphic=True requires outputs with complex dtype, but got {dtype.name}.")
    elif is_complex(dtype):
        raise TypeError(
            f"{name} requires real-valued outputs (output dtype that is a sub-dtype of np.floating), but got"
            f" {dtype.name}. For holomorphic differentiation, pass holomorphic=True. For differentiation of"
            " non-holomorphic functions involving complex outputs, use weft.vjp directly."
        )
    elif not is_inexact(dtype):
        raise TypeError(
            f"{name} requires real-valued outputs (output dtype that is a sub-dtype of np.floating), but got"
            f" {dtype.name}. For differentiation of functions with integer outputs, use weft.vjp directly."
        )


def check_forward_input(name: str, dtype: np.dtype[Any], holomorphic: bool) -> None:
    """Raise unless forward mode differentiates with respect to this dtype."""
    if holomorphic:
        if not is_complex(dtype):
            raise TypeError(f"{name} with holomorphic=True requires inputs with complex dtype, but got {dtype.name}.")
    elif is_complex(dtype) or not is_inexact(dtype):
        raise TypeError(
            f"{name} requires real-valued inputs (input dtype that is a sub-dtype of np.floating), but got"
            f" {dtype.name}. For holomorphic differentiation, pass holomorphic=True. For differentiation of"
            " non-holomorphic functions involving complex inputs or integer inputs, use weft.jvp directly."
        )


def check_forward_output(name: str, dtype: np.dtype[Any], holomorphic: bool) -> None:
    """Raise unless forward mode differentiates an output of this dtype."""
    if holomorphic and not is_complex(dtype):
        raise TypeError(f"{name} with holomorphic=True requires outputs with complex dtype, but got {dtype.name}.")


# -- staging -----------------------------------------------------------------------------------------------------------


@dataclass
class Staging:
    """A function staged over the leaves of some of its arguments.

    Attributes
    ----------
    function
        Its IR.
    trees, leaves
        The structures of the arguments, and their leaves.
    tree
        The structure of what it returns.
    value
        The structure of the part that is differentiated: all but ``aux``.
    reverse
        Inside a function of pieces, in reverse mode: over which axes arguments and results vary.
    """

    s: State
    function: Function
    trees: list[Tree]
    leaves: list[Staged]
    tree: Tree
    value: Tree
    reverse: Reverse | None = None

    @property
    def atoms(self) -> list[Atom]:
        """The leaves' values."""
        return [v.atom for v in self.leaves]

    @property
    def active(self) -> list[bool]:
        """Which leaves have derivatives."""
        return [is_inexact(v.type.dtype) for v in self.leaves]

    @property
    def results(self) -> int:
        """The number of the function's results that it returns (it may have more: what it wrote)."""
        return len(leaf_types(self.tree))

    @property
    def outputs(self) -> int:
        """The number of its first results that are differentiated."""
        return len(leaf_types(self.value))

    def per_argument(self, values: Sequence[Any]) -> list[Any]:
        """A value for each leaf, in the structures of the arguments."""
        rest = iter(values)
        return [unflatten(t, rest, self.s) for t in self.trees]

    def like_leaves(self, found: Sequence[Atom]) -> list[Any]:
        """Derivatives of the active leaves, with float0 zeros for the others.

        They have the leaves' flavour; a function that returns weft's arrays has derivatives that are such arrays.
        """
        rest = iter(found)
        whole = any([leaf.flavour == "weft" for leaf in leaf_types(self.value)])
        return [
            wrap(next(rest), "weft" if whole else v.flavour) if on else zeros_of(v)
            for v, on in zip(self.leaves, self.active)
        ]


def stage_for(
    fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], nums: Sequence[int], *, has_aux: bool, what: str,
    check: Callable[[np.dtype[Any]], None] = lambda dtype: None,
) -> Staging:  # fmt: skip
    """Stage ``fun`` with the leaves of some arguments as parameters (of dtypes that ``check`` accepts); the others are
    captured, arrays as copies."""
    s = st.state()
    leaves: list[Any] = []
    trees = [flatten(args[n], s, leaves) for n in nums]
    for v in leaves:
        check(v.type.dtype)

    def make(staged: list[Any]) -> tuple[Any, dict[str, Any]]:
        new = [a if i in nums else st.copied(a, s) for i, a in enumerate(args)]
        rest = iter(staged)
        for n, tree in zip(nums, trees, strict=True):
            new[n] = unflatten(tree, rest, s)
        return tuple(new), {k: st.copied(v, s) for k, v in kwargs.items()}

    types = [(v.type, v.flavour, name_of(v)) for v in leaves]
    atoms = [v.atom for v in leaves]
    inner = st.stage_inner(fun, make, types, atoms)
    tree = value = inner.tree
    if has_aux:
        if tree.kind is not tuple or len(tree.children) != 2:
            raise TypeError(
                f"{what} with has_aux=True expects the function to return a pair (value, aux), but it returned"
                f" {describe(tree)}"
            )
        value = tree.children[0]
    found = Staging(s, st.tidy(inner.function), trees, leaves, tree, value)
    if s.varying is not None and what not in ("jvp", "jacfwd"):
        found.reverse = s.varying.reverse(inner.function, found.function, atoms, found.active, found.outputs)
        found.function = found.reverse.function
    return found


def out_tangents(found: Sequence[Atom], tree: Tree, types: Sequence[Any], s: State) -> Any:
    """Tangents of results in their structure, with float0 zeros for integers."""
    rest = iter(found)
    items: Iterator[Any] = iter(
        [
            wrap(next(rest), leaf.flavour) if is_inexact(r.type.dtype) else zeros_of(wrap(r, leaf.flavour))
            for r, leaf in zip(types, leaf_types(tree), strict=True)
        ]
    )
    return unflatten(tree, items, s)


def shape_objects(shape: Sequence[Size]) -> tuple[Any, ...]:
    """Sizes as Python sees them."""
    return tuple([size_object(n) for n in shape])


def float0s(x: Any) -> Any:
    """Tangents as staged code takes them: arrays of dtype float0 are told by their shape."""
    from weft.dtypes import float0

    if isinstance(x, np.ndarray) and x.dtype == float0:
        return Float0(x.shape)
    if isinstance(x, tuple | list):
        parts = [float0s(v) for v in x]
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    return {k: float0s(v) for k, v in x.items()} if isinstance(x, dict) else x
