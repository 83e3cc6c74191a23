"""`weft.export`: the types for which `weft build` compiles a function ahead of time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from weft.api.transformed import parameters

if TYPE_CHECKING:
    from weft.build.signature import Signature

F = TypeVar("F", bound=Callable[..., Any])

#: Every export of this process, in order.
EXPORTS: list[Export] = []


@dataclass(frozen=True, eq=False)
class Export:
    """One signature of one function.

    Attributes
    ----------
    fn
        The function, or a transformation of one.
    signature
        The types of its arguments, and of its results where they were given.
    least
        The smallest number that each name of a size may stand for, where that is not 0.
    name
        What the built function is called; empty for the function's own name.
    module, variables
        The module that exports it: its name, and its variables.
    """

    fn: Any
    signature: Signature
    least: Mapping[str, int]
    name: str
    module: str
    variables: dict[str, Any]


def export(signature: str, *, name: str = "", least: int | Mapping[str, int] = 0) -> Callable[[F], F]:
    """Mark a function to be compiled ahead of time for arguments of given types, by ``weft build``.

    The function itself stays as it is. Several marks on one function make one built function that takes any of the
    signatures; where a call fits more than one, the first as read from above answers.

    Parameters
    ----------
    signature
        As in ``"f64[n, m], f64[m] -> f64[n]"``: types of the positional parameters, then of the results (which may be
        left out; ``None`` where there are none). A size is a number, or a name that stands for any. ``f64``, ``i64``,
        ``bool`` and ``c128`` without brackets are Python's numbers, ``f32`` and the others NumPy's scalars.
    name
        What the built function is called. Without it: as the function, or the variable that holds it.
    least
        The smallest size that has to be served, for all names or for each. Sizes 0 and 1 are compiled apart, since
        NumPy treats them differently; without need of them a build is quicker.

    Returns
    -------
    Callable
        A decorator that returns what it is given.

    Raises
    ------
    ValueError
        The text is not a signature.
    TypeError
        The function does not take so many arguments.

    Examples
    --------
    >>> import numpy as np, weft
    >>> @weft.export("f64[n, m], f64[m] -> f64[n]")
    ... def scores(A, w):
    ...     return np.tanh(A @ w)
    >>> def energy(x):
    ...     return np.sum(x * x)
    >>> force = weft.export("f64[n] -> f64[n]")(weft.grad(energy))
    """
    from weft.build.signature import parse_signature

    if not isinstance(signature, str):
        raise TypeError('weft.export is given the types of the arguments: @weft.export("f64[n], f64 -> f64[n]")')
    parsed = parse_signature(signature)
    if name and not name.isidentifier():
        raise ValueError(f"{name!r} is not a name that a function can have")
    bounds = _bounds(parsed, signature, least)
    variables = sys._getframe(1).f_globals

    def mark(fn: F) -> F:
        if not callable(fn):
            raise TypeError(f"weft.export marks functions, and was given {fn!r}")
        check_arity(fn, parsed)
        EXPORTS.append(Export(fn, parsed, bounds, name, variables.get("__name__", ""), variables))
        return fn

    return mark


def _bounds(signature: Signature, text: str, least: int | Mapping[str, int]) -> dict[str, int]:
    names = dict.fromkeys(s for spec in signature.args for s in spec.shape or () if isinstance(s, str))
    bounds = dict.fromkeys(names, least) if isinstance(least, int) else dict(least)
    for name, n in bounds.items():
        if name not in names:
            raise ValueError(f"least: {name!r} is not the name of a size in {text!r}")
        if not isinstance(n, int) or isinstance(n, bool) or n < 0:
            raise ValueError(f"least: the smallest size of {name!r} is a number from 0 on, not {n!r}")
    return {name: n for name, n in bounds.items() if n}


def check_arity(fn: Any, signature: Signature) -> None:
    """Refuse a signature of more or fewer arguments than a function takes.

    Raises
    ------
    TypeError
        It is one.
    """
    found = parameters(fn)
    if found is None:
        return
    title = getattr(fn, "__name__", type(fn).__name__)
    kinds = [p.kind for p in found.parameters.values()]
    most = [p for p in found.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    least = sum(p.default is p.empty for p in most)
    count = len(signature.args)
    variadic = any(kind.name == "VAR_POSITIONAL" for kind in kinds)
    if count < least or (count > len(most) and not variadic):
        wanted = str(least) if least == len(most) else f"{least} to {len(most)}"
        raise TypeError(f"{title} takes {wanted} positional argument(s), and '{signature}' has {count}")
    named = [p.name for p in found.parameters.values() if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if named:
        raise TypeError(
            f"{title} needs the keyword argument {named[0]!r}, and a signature has only positional ones: give it a"
            " default, or export a function that sets it"
        )


__all__ = ["EXPORTS", "Export", "export"]
