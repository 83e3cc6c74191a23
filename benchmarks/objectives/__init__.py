"""Objectives whose gradients are measured: each a plain Python function, its data, and what stands beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import weft

Calls = tuple[Callable[[], Any], Callable[[], Any] | None]


@dataclass
class Objective:
    """A function, what it is called with, and its peers.

    Attributes
    ----------
    name
        What is shown.
    fn
        The function as anyone writes it.
    args, argnums
        What it is called with, and which of these are differentiated.
    jax
        Makes JAX's best forms by name from the module: a call of the value and one of the value and gradient, None
        where JAX refuses that.
    stated
        Milliseconds of a gradient stated elsewhere, of code that is not here.
    lanes
        The axes over which `fn` is mapped; the plain run loops over them.
    jacobian
        Whether `fn` has an array for its result, of which the Jacobian is measured (for each lane, by rows).
    step, rtol
        Of the finite differences.
    """

    name: str
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    argnums: tuple[int, ...]
    jax: Callable[[Any], dict[str, Calls]] | None = None
    stated: dict[str, float] = field(default_factory=dict)
    lanes: Any = None
    jacobian: bool = False
    step: float = 1e-5
    rtol: float = 1e-5
    value_rtol: float = 1e-10

    def value(self) -> Callable[..., Any]:
        """Compiled."""
        return weft.jit(self.fn if self.lanes is None else weft.vmap(self.fn, in_axes=self.lanes))

    def gradient(self) -> Callable[..., Any]:
        """Compiled: the value and the gradient (or the Jacobian)."""
        if self.jacobian:
            both = with_rows(self.fn, weft.jacrev(self.fn, argnums=self.argnums))
        else:
            both = weft.value_and_grad(self.fn, argnums=self.argnums)
        return weft.jit(both if self.lanes is None else weft.vmap(both, in_axes=self.lanes))


def with_rows(fn: Callable[..., Any], rows: Callable[..., Any]) -> Callable[..., Any]:
    """A function's value beside its Jacobian."""

    def both(*args: Any) -> Any:
        return fn(*args), rows(*args)

    return both


def with_jax(fn: Callable[..., Any], argnums: tuple[int, ...], *args: Any) -> Callable[[Any], dict[str, Calls]]:
    """JAX's forms where one function ``fn(jax, *args)`` serves for both; arrays become JAX's once, here."""

    def make(jax: Any) -> dict[str, Calls]:
        inputs = jax.tree.map(jax.numpy.asarray, args)
        value = jax.jit(lambda *a: fn(jax, *a))
        both = jax.jit(jax.value_and_grad(lambda *a: fn(jax, *a), argnums))
        return {
            "jax": (
                lambda: jax.block_until_ready(value(*inputs)),
                lambda: jax.block_until_ready(both(*inputs)),
            )
        }

    return make
