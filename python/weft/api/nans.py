"""Finding the operation that makes a NaN (`weft.debug_nans`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from weft.api.compiled import answer, name_of
from weft.api.interpreted import Interpreted
from weft.api.transformed import Transformed
from weft.errors import located
from weft.frontend.stage import stage
from weft.ir.interpret import watched
from weft.ir.nodes import Loc, Op
from weft.pytrees import flatten_custom
from weft.runtime import Signature
from weft.transforms.inline import inline_calls


def checked_call(t: Transformed, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call whose results have no NaN.

    Raises
    ------
    FloatingPointError
        There is one; the message tells the line of the operation that made it.
    """
    signature = t.signature(args, kwargs)
    before = [np.array(x.value) if isinstance(x.value, np.ndarray) else x.value for x in signature.leaves]
    result = answer(t, args, kwargs)
    written = [x.value for x, old in zip(signature.leaves, before, strict=True) if _became_nan(x.value, old)]
    if written or any(map(has_nan, leaves_of(result))):
        raise explain(t, signature, before)
    return result


def _became_nan(now: Any, before: Any) -> bool:
    return isinstance(now, np.ndarray) and has_nan(now) and not has_nan(before)


def leaves_of(x: Any) -> Iterator[Any]:
    """The numbers and arrays in a result."""
    if isinstance(x, tuple | list):
        for v in x:
            yield from leaves_of(v)
    elif isinstance(x, dict):
        yield from leaves_of(list(x.values()))
    elif (parts := flatten_custom(x)) is not None:
        yield from leaves_of(list(parts[0]))
    else:
        yield x


def has_nan(x: Any) -> bool:
    """Whether a number or array has a NaN in it."""
    if not hasattr(x, "__array__") and not isinstance(x, float | complex):
        return False
    a = np.asarray(x)
    return a.dtype.kind in "fc" and bool(np.isnan(a).any())


class _Found(Exception):
    """The operation has been found."""


def explain(t: Transformed, signature: Signature, values: Sequence[Any]) -> FloatingPointError:
    """The error for a call that gave a NaN."""
    program = stage(t, signature, name_of(t))
    function = inline_calls(program.function)
    hidden = Interpreted(program).hidden() or []
    inputs = [np.asarray(v) if x.shape else v for x, v in zip(signature.leaves, values, strict=True)]
    inputs += [np.asarray(x.value) if x.shape else x.value for x in hidden]
    found: list[Op] = []
    latest: list[Loc | None] = [None]

    def watch(op: Op, args: Sequence[Any], results: Sequence[Any]) -> None:
        latest[0] = op.loc or latest[0]
        if any(map(has_nan, results)) and not any(map(has_nan, args)):
            found.append(op)
            raise _Found

    try:
        watched(function, watch, *inputs)
    except _Found:
        op = found[0]
        loc = op.loc or latest[0]
        where = ", in the backward pass of this line" if loc is not None and loc.backward else ""
        return FloatingPointError(located(f"invalid value (nan) encountered in {op.prim.name}{where}", loc))
    for x, v in zip([*signature.leaves, *hidden], inputs, strict=True):
        if has_nan(v):
            return FloatingPointError(f"invalid value (nan) encountered in the argument {x.path} of {t.__name__}")
    return FloatingPointError(f"invalid value (nan) encountered in a result of {t.__name__}")
