"""Things a `for` loop runs over without being unrolled: ranges, rows of arrays, and zips and enumerations of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Lit, lit
from weft.ir.sizes import Dim, Size, dim
from weft.staged import arith
from weft.staged.arith import prim
from weft.staged.context import current
from weft.staged.value import Staged, lift, size_object, size_of


class Loopable:
    """An iterable with a trip count and an item for each iteration."""

    def trip(self) -> Size:
        """The number of items."""
        raise NotImplementedError

    def item(self, k: Any) -> Any:
        """The k-th item."""
        raise NotImplementedError

    def __len__(self) -> int:
        return current().fix(self.trip(), "a length is needed as a number while staging")


class Range(Loopable):
    """``range(lo, hi, step)`` with run-time bounds."""

    def __init__(self, lo: Any, hi: Any, step: Any = 1) -> None:
        self.lo, self.hi, self.step = lo, hi, step
        self._trip: Size | None = None

    def trip(self) -> Size:
        if self._trip is None:
            self._trip = self._count()
        return self._trip

    def _count(self) -> Size:
        ctx = current()
        lo, hi, step = (size_of(x, "range()") for x in (self.lo, self.hi, self.step))
        if step == 0:
            raise arith.op_error(ValueError, "range() arg 3 must not be zero")
        if isinstance(step, int):
            span = ctx.resolve(hi - lo if step > 0 else lo - hi)
            if isinstance(span, int):
                return max(0, -(-span // abs(step)))
            if abs(step) == 1:
                if ctx.at_least(span, 0):
                    return span
                if ctx.number(span) is not None:
                    return span if ctx.decide(">=", span, "a range is not empty") else 0
            b = ctx.builder
            v = prim("add")(b.size_value(span), lit(abs(step) - 1))
            if abs(step) != 1:
                v = prim("floordiv")(v, lit(abs(step)))
            return _size(prim("maximum")(v, lit(0)))
        b = ctx.builder
        s, x, y = b.size_value(step), b.size_value(lo), b.size_value(hi)
        prim("check")(prim("ne")(s, lit(0)), exc="ValueError", message="range() arg 3 must not be zero")
        up = prim("gt")(s, lit(0))
        span_ = prim("select")(up, prim("sub")(y, x), prim("sub")(x, y))
        size = prim("abs")(s)
        safe = prim("maximum")(size, lit(1))
        v = prim("floordiv")(prim("add")(span_, prim("sub")(size, lit(1))), safe)
        return _size(prim("maximum")(v, lit(0)))

    def item(self, k: Any) -> Any:
        return arith.add(self.lo, arith.mul(k, self.step)) if not _is(self.step, 1) else _plus(self.lo, k)

    def reversed(self) -> Range:
        """The same numbers, last first."""
        n = size_object(self.trip())
        last = arith.add(self.lo, arith.mul(arith.sub(n, 1), self.step))
        out = Range(last, arith.sub(self.lo, self.step), arith.neg(self.step))
        out._trip = self.trip()
        return out


def _is(x: Any, n: int) -> bool:
    return type(x) is int and x == n


def _plus(lo: Any, k: Any) -> Any:
    return k if _is(lo, 0) else arith.add(lo, k)


def _size(a: Any) -> Size:
    return int(a.value) if isinstance(a, Lit) else dim(a)


class Rows(Loopable):
    """The items of an array along its first axis."""

    def __init__(self, x: Staged) -> None:
        if not x.type.shape:
            raise arith.op_error(TypeError, "iteration over a 0-d array")
        self.x = x

    def trip(self) -> Size:
        return current().resolve(self.x.type.shape[0])

    def item(self, k: Any) -> Any:
        return self.x[k]  # type: ignore[index]


class Zip(Loopable):
    """``zip`` of loopables."""

    def __init__(self, parts: Sequence[Loopable], strict: bool = False) -> None:
        self.parts = parts
        self.strict = strict
        self._trip: Size | None = None

    def trip(self) -> Size:
        if self._trip is None:
            ctx = current()
            sizes = [p.trip() for p in self.parts]
            n = sizes[0]
            for m in sizes[1:]:
                d = ctx.resolve(m - n)
                if isinstance(d, int):
                    n = m if d < 0 else n
                elif ctx.number(d) is not None and ctx.decide("==", d, "zipped lengths agree"):
                    n = ctx.resolve(n)
                elif ctx.number(d) is not None:
                    n = n if ctx.decide(">=", d, "one zipped length is the smaller") else m
                else:
                    b = ctx.builder
                    n = _size(prim("minimum")(b.size_value(n), b.size_value(m)))
                if self.strict and ctx.resolve(n - m) != 0:
                    raise arith.op_error(ValueError, "zip() arguments have different lengths")
            self._trip = n
        return self._trip

    def item(self, k: Any) -> Any:
        return tuple([p.item(k) for p in self.parts])


class Enumerate(Loopable):
    """``enumerate`` of a loopable."""

    def __init__(self, part: Loopable, start: Any = 0) -> None:
        self.part, self.start = part, start

    def trip(self) -> Size:
        return self.part.trip()

    def item(self, k: Any) -> Any:
        return (_plus(self.start, k), self.part.item(k))


class Reversed(Loopable):
    """``reversed`` of a loopable."""

    def __init__(self, part: Loopable) -> None:
        self.part = part

    def trip(self) -> Size:
        return self.part.trip()

    def item(self, k: Any) -> Any:
        last = arith.sub(size_object(self.part.trip()), 1)
        return self.part.item(arith.sub(last, k))


def loopable(x: Any) -> Loopable | None:
    """``x`` as something a loop runs over without unrolling, or None."""
    if isinstance(x, Loopable):
        return x
    if isinstance(x, Staged):
        return Rows(x)
    if isinstance(x, np.ndarray):
        return Rows(lift(x))
    if isinstance(x, range):
        return Range(x.start, x.stop, x.step)
    return None


def range_item(r: range, key: Any) -> Any:
    """``range(...)[key]`` with a run-time key."""
    if isinstance(key, Staged):
        return Range(r.start, r.stop, r.step).item(key)
    return r[key]


__all__ = ["Dim", "Enumerate", "Loopable", "Range", "Reversed", "Rows", "Zip", "loopable", "range_item"]
