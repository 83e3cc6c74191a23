"""What a call may say about its derivative: a rule of the user's own, or that its inside is computed again.

A call without a rule is inlined before anything is differentiated. One with a rule stays a call until then; lowering
inlines them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weft.ir.nodes import Function, Op


@dataclass(frozen=True, eq=False)
class CustomJVP:
    """A function with its own forward derivative; reverse mode transposes that.

    Attributes
    ----------
    name
        The function's name, for messages.
    explicit
        For each parameter of the called function, whether the rule takes a tangent of it. Others have no derivative:
        integers, arguments not to be differentiated, and values that the function closes over.
    rule
        Gives the function ``(*parameters, *tangents of the explicit ones) -> (*results, *tangents of the inexact
        results)``; it is made when it is first needed.
    shared
        The axes of the `shard_map` around it. Over these a tangent, or a cotangent, varies only if what it belongs to
        does: the rule itself sums up over the devices.
    """

    name: str
    explicit: tuple[bool, ...]
    rule: Callable[[], Function]
    shared: frozenset[str] = frozenset()

    word = "custom_jvp"


@dataclass(frozen=True, eq=False)
class CustomVJP:
    """A function with its own reverse derivative.

    Attributes
    ----------
    name, explicit, shared
        As in `CustomJVP`.
    halves
        Gives two functions: ``(*parameters) -> (*results, *residuals)``, and ``(*residuals, *cotangents of the inexact
        results) -> cotangents of the explicit parameters``.
    """

    name: str
    explicit: tuple[bool, ...]
    halves: Callable[[], tuple[Function, Function]]
    shared: frozenset[str] = frozenset()

    word = "custom_vjp"


@dataclass(frozen=True, eq=False)
class Remat:
    """A function of whose inside a derivative saves only what ``policy`` says; the rest is computed again.

    Attributes
    ----------
    policy
        Which of its operations have their results saved (None: none of them).
    again
        Whether this call is such a computation: it is kept apart from the first one when it is inlined.
    """

    policy: Callable[[Op], bool] | None = None
    again: bool = False

    word = "remat"


Rule = CustomJVP | CustomVJP | Remat
