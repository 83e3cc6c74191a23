"""Functions of one matrix or line, over stacks of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import weft.numpy as wnp
from weft.staged.active import staging


def over(f: Callable[..., Any], rank: int, *xs: Any) -> Any:
    """``f`` over all axes of operands but the last ``rank``, which broadcast; results are arrays or tuples of them."""
    from weft.api.vmap import vmap

    if all(x.ndim == rank for x in xs):
        return f(*xs)
    lead = wnp.broadcast_shapes(*[x.shape[: x.ndim - rank] for x in xs]) if len(xs) > 1 else xs[0].shape[:-rank]
    rows = [wnp.broadcast_to(x, (*lead, *x.shape[x.ndim - rank :])) for x in xs]
    rows = [wnp.reshape(x, (-1, *x.shape[x.ndim - rank :])) for x in rows]
    each = vmap(f)
    found = each.stage_call(tuple(rows), {}) if staging() else each(*rows)

    def unfold(y: Any) -> Any:
        return wnp.reshape(y, (*lead, *y.shape[1:]))

    return tuple(map(unfold, found)) if isinstance(found, tuple) else unfold(found)
