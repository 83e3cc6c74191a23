"""What functions of `weft.lax` ask of their operands: one dtype, one rank; and how they take Python numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.errors import located
from weft.staged.active import staging
from weft.staged.value import Staged

_NUMBER = int | float | complex
KINDS = {"b": "bool", "i": "integer", "u": "integer", "f": "floating", "c": "complexfloating"}
FLOATING, INEXACT, INTEGER, BITS, REAL, NUMERIC = "f", "fc", "iu", "biu", "iuf", "iufc"
ANY = "biufc"


def error(kind: type[Exception], message: str) -> Exception:
    """An exception that shows the user's line where code is being staged."""
    if staging():
        from weft.staged.context import current

        return kind(located(message, current().loc))
    return kind(message)


def is_weak(x: Any) -> bool:
    """Whether an operand is a Python number, which takes the dtype of the others."""
    return x.flavour == "py" if isinstance(x, Staged) else isinstance(x, _NUMBER) and not isinstance(x, np.generic)


def array(x: Any) -> Any:
    """An operand as an array."""
    return wnp.asarray(x)


def dtype_of(x: Any) -> np.dtype[Any]:
    """An operand's dtype."""
    return x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype


def text(x: Any) -> str:
    """A shape as NumPy prints it, with the sizes of the call at hand."""
    return str(tuple(sizes(x)))


def sizes(x: Any) -> list[Any]:
    """The sizes of a value: numbers where they are known in the call at hand."""
    if not isinstance(x, Staged):
        return list(np.shape(x))
    from weft.staged.context import current

    found = [current().number(n) for n in x.type.shape]
    return ["?" if n is None else n for n in found]


def check_kinds(name: str, dtypes: Sequence[np.dtype[Any]], kinds: str) -> None:
    """Refuse operands of dtypes that an operation is not for."""
    for k, dtype in enumerate(dtypes):
        if dtype.kind not in kinds:
            accepted = ", ".join(dict.fromkeys([KINDS[c] for c in kinds]))
            place = f" at position {k}" if len(dtypes) > 1 else ""
            raise error(
                TypeError,
                f"{name} does not accept dtype {dtype}{place}. Accepted dtypes{place} are subtypes of {accepted}.",
            )


def same_dtype(name: str, xs: Sequence[Any], tip: str = "") -> list[Any]:
    """Operands of one dtype, as arrays; Python numbers take it if it is of their kind.

    Raises
    ------
    TypeError
        Their dtypes differ.
    """
    if any(map(is_weak, xs)) and not all(map(is_weak, xs)):
        strong = next(dtype_of(x) for x in xs if not is_weak(x))
        xs = [wnp.asarray(x, dtype=strong) if is_weak(x) and _fits(x, strong) else array(x) for x in xs]
    else:
        xs = [array(x) for x in xs]
    if any([x.dtype != xs[0].dtype for x in xs]):
        shown = ", ".join([str(x.dtype) for x in xs])
        end = f" (Tip: {tip} is a similar function that does automatic type promotion on inputs)." if tip else "."
        raise error(TypeError, f"lax.{name} requires arguments to have the same dtypes, got {shown}.{end}")
    return list(xs)


def _fits(x: Any, dtype: np.dtype[Any]) -> bool:
    kind = dtype_of(x).kind
    if kind == "b":
        return dtype.kind == "b"
    return dtype.kind in {"i": "iu", "f": "fc", "c": "c"}[kind]


def same_rank(name: str, xs: Sequence[Any]) -> None:
    """Refuse operands of different ranks, scalars aside.

    Raises
    ------
    TypeError
        Their ranks differ, or their sizes do.
    """
    ranks = {x.ndim for x in xs if x.ndim}
    if len(ranks) > 1:
        shown = ", ".join(map(str, sorted(ranks)))
        raise error(TypeError, f"{name}: arrays must have the same number of dimensions, got {{{shown}}}")
    if len({x.shape for x in xs if not isinstance(x, Staged)}) < 2 and not any([isinstance(x, Staged) for x in xs]):
        return
    shapes = [sizes(x) for x in xs if x.ndim]
    for column in zip(*shapes, strict=True):
        if len({n for n in column if n not in (1, "?")}) > 1:
            shown = ", ".join([text(x) for x in xs])
            raise error(TypeError, f"{name} got incompatible shapes for broadcasting: {shown}.")
