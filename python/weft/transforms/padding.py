"""Bounds of trip counts that vary between iterations of an outer loop, such as ``for j in range(i)``.

What such an inner loop saves has another size each time, so the outer loop cannot stack it. With a bound of the trip
count that holds for all iterations, it is kept in a buffer of that size instead.
"""

from __future__ import annotations

from collections.abc import Callable

from weft.ir.nodes import Atom, For, Lit, Op, Stmt, Var
from weft.ir.primitive import REGISTRY
from weft.ir.sizes import Dim, Size, dim

_MOST_STEPS = 24


class Bounds:
    """Upper bounds of sizes in terms of variables that do not vary.

    ``definition`` gives the statement that binds a variable as a result, or the loop whose counter it is; ``varies``
    says which variables must be eliminated.
    """

    def __init__(self, definition: Callable[[Var], Stmt | None], varies: Callable[[Var], bool]) -> None:
        self.definition = definition
        self.varies = varies

    def upper(self, size: Size) -> Size | None:
        """A size, of what does not vary, that is never below ``size`` (None: not found)."""
        found = self._bound(size, 1, _MOST_STEPS)
        return None if found is None else _not_negative(found)

    def _bound(self, e: Size, side: int, steps: int) -> Size | None:
        while isinstance(e, Dim):
            found = next(((v, c) for v, c in sorted(e.terms, key=lambda t: -t[0].id) if self.varies(v)), None)
            if found is None:
                return e
            if steps <= 0:
                return None
            steps -= 1
            v, c = found
            worst = self._variable(v, side if c > 0 else -side, steps)
            if worst is None:
                return None
            e = e - dim(v) * c + worst * c
        return e

    def _variable(self, v: Var, side: int, steps: int) -> Size | None:
        """What replaces a variable: what it equals, or a bound from above (``side`` 1) or below (-1)."""
        s = self.definition(v)
        if isinstance(s, For):
            return s.trip - 1 if side > 0 else 0
        if not isinstance(s, Op) or v.type.shape:
            return None
        exact = _affine(s)
        if exact is not None:
            return exact
        sizes = [_size(a) for a in s.args]
        if s.prim in (REGISTRY["minimum"], REGISTRY["maximum"]):
            bounds = [None if x is None else self._bound(x, side, steps // 2) for x in sizes]
            known = [x for x in bounds if x is not None]
            if (s.prim is REGISTRY["minimum"]) == (side > 0):
                return known[0] if known else None  # either operand bounds it
            if len(known) < len(bounds):
                return None
            return _largest(known[0], known[1]) if side > 0 else None
        if s.prim is REGISTRY["mod"] and side < 0:
            return 0 if isinstance(sizes[1], int) and sizes[1] > 0 else None
        if s.prim is REGISTRY["mod"] and isinstance(sizes[1], int) and sizes[1] > 0:
            return sizes[1] - 1
        return None


def _size(a: Atom) -> Size | None:
    return int(a.value) if isinstance(a, Lit) else dim(a)


def _affine(s: Op) -> Size | None:
    if s.prim not in (REGISTRY["add"], REGISTRY["sub"], REGISTRY["mul"]):
        return None
    x, y = [_size(a) for a in s.args]
    assert x is not None and y is not None
    if s.prim is REGISTRY["add"]:
        return x + y
    if s.prim is REGISTRY["sub"]:
        return x - y
    if isinstance(y, int):
        return x * y
    return y * x if isinstance(x, int) else None


def _largest(x: Size, y: Size) -> Size | None:
    """The larger of two sizes, if that is known; sizes add up to a bound where both are not negative."""
    gap = x - y
    if isinstance(gap, int):
        return x if gap >= 0 else y
    for e, low in ((x, y), (y, x)):
        if isinstance(low, int) and low <= 0:
            return _not_negative(e)
    return None


def _not_negative(e: Size) -> Size | None:
    """``e``, or a little more, so that it cannot be negative even where the loops around do not run (then nothing else
    says that it is not)."""
    if isinstance(e, int):
        return max(e, 0)
    return e + max(0, -e.const) if all([c > 0 for _, c in e.terms]) else None
