"""Ranges of integers: affine forms of i64 scalars, bounds of loop counters, facts from branches.

This is what proves that ``x[k + 1]`` in ``for k in range(n - 1)`` needs no bounds check. All numbers are `Size`
expressions over *base* variables (parameters, size symbols, counters, and whatever is not affine in those).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from weft.ir.nodes import Atom, Lit, Op, Var
from weft.ir.primitive import REGISTRY, Primitive
from weft.ir.sizes import Dim, Size, dim, map_size
from weft.ir.types import i64

_MOST_TERMS = 6
_MOST_FACTS = 24


class Ranges:
    """What is known about integers at the current point of a walk."""

    def __init__(self) -> None:
        self.forms: dict[Var, Size] = {}
        self._bounds: dict[Var, tuple[Size, Size | None]] = {}
        self._rank: dict[Var, int] = {}
        self._facts: list[Dim] = []

    # -- knowledge -------------------------------------------------------------------------------------------------

    def form(self, a: Atom | Size) -> Size:
        """The affine form of an i64 scalar or of a size."""
        if isinstance(a, Lit):
            return int(a.value)
        if isinstance(a, Var):
            return self.forms.get(a) or dim(a)
        return map_size(a, self.forms.get) if self.forms else a

    def bound(self, v: Var, low: Size, high: Size | None) -> None:
        """Learn ``low <= v <= high`` (None: no upper bound); the bounds name only earlier variables."""
        self._rank[v] = len(self._rank)
        self._bounds[v] = (low, high)

    def define(self, op: Op) -> None:
        """Learn what an op says of its integer result."""
        rule = _FORMS().get(op.prim)
        if rule is None or len(op.outs) != 1:
            return
        (o,) = op.outs
        if o.type.dtype == i64 and not o.type.shape and all([a.type.dtype == i64 for a in op.args]):
            rule(self, o, op)

    def set_form(self, v: Var, form: Size) -> None:
        """Learn that ``v`` equals an affine expression."""
        if isinstance(form, int) or len(form.terms) <= _MOST_TERMS:
            self.forms[v] = form

    @contextmanager
    def given(self, facts: list[Size]) -> Iterator[None]:
        """Inside, each of ``facts`` is known not to be negative."""
        n = len(self._facts)
        self._facts += [f for f in facts if isinstance(f, Dim)]
        try:
            yield
        finally:
            del self._facts[n:]

    def learn(self, fact: Size) -> None:
        """Learn, for the rest of the enclosing `given`, that ``fact`` is not negative."""
        if isinstance(fact, Dim):
            self._facts.append(fact)

    # -- proof -----------------------------------------------------------------------------------------------------

    def nonnegative(self, e: Size) -> bool:
        """Whether ``e >= 0`` can be shown."""
        if self._by_bounds(e):
            return True
        if isinstance(e, int):
            return False
        names = {v for v, _ in e.terms}
        return any(
            [self._by_bounds(e - f) for f in self._facts[-_MOST_FACTS:] if any([v in names for v, _ in f.terms])]
        )

    def within(self, i: Atom, size: Size) -> bool:
        """Whether ``0 <= i < size`` can be shown."""
        if i.type.dtype != i64 or i.type.shape:
            return False
        form = self.form(i)
        return self.nonnegative(form) and self.nonnegative(self.form(size) - 1 - form)

    def worst(self, e: Size, given: Collection[Var]) -> Size | None:
        """The least that ``e`` can be, over the variables that are given; None if that is not known."""
        for _ in range(32):
            if isinstance(e, int):
                return e
            inner = [(self._rank.get(v, -1), v, c) for v, c in e.terms if v not in given]
            if not inner:
                return e
            _, v, c = max(inner, key=lambda t: t[0])
            low, high = self._bounds.get(v, (None, None))
            bound = low if c > 0 else high
            if bound is None:
                return None
            e = e - dim(v) * c + bound * c
        return None

    def _by_bounds(self, e: Size) -> bool:
        # replace the latest bounded variable by its worst bound until none is left
        for _ in range(32):
            if isinstance(e, int):
                return e >= 0
            found = None
            for v, c in e.terms:
                known = self._bounds.get(v)
                if known is not None and (c > 0 or known[1] is not None):
                    if found is None or self._rank[v] > self._rank[found[0]]:
                        found = (v, c, known[0] if c > 0 else known[1])
            if found is None:
                return False
            v, c, worst = found
            assert worst is not None
            e = e - dim(v) * c + worst * c
        return False

    # -- conditions ------------------------------------------------------------------------------------------------

    def implied(self, pred: Atom, definition: Callable[[Atom], Op | None], value: bool) -> list[Size]:
        """Expressions that are not negative when the bool ``pred`` has this ``value``."""
        op = definition(pred)
        if op is None:
            return []
        if value and op.prim is REGISTRY.get("bitand"):
            return [f for a in op.args for f in self.implied(a, definition, True)]
        if not value and op.prim is REGISTRY.get("bitor"):
            return [f for a in op.args for f in self.implied(a, definition, False)]
        if op.prim is REGISTRY.get("logical_not"):
            return self.implied(op.args[0], definition, not value)
        order = _comparison(op, self)
        if order is None:
            return []
        a, b, strict = order  # a < b, or a <= b
        return [b - a - int(strict)] if value else [a - b - int(not strict)]

    def decide(self, op: Op) -> bool | None:
        """The value of a comparison of integers, if the ranges decide it."""
        order = _comparison(op, self)
        if order is None:
            return None
        a, b, strict = order
        if self.nonnegative(b - a - int(strict)):
            return True
        if self.nonnegative(a - b - int(not strict)):
            return False
        return None


def _comparison(op: Op, r: Ranges) -> tuple[Size, Size, bool] | None:
    """An integer comparison as ``(a, b, strict)``, meaning a < b or a <= b."""
    kind = {"lt": (0, 1, True), "le": (0, 1, False), "gt": (1, 0, True), "ge": (1, 0, False)}.get(op.prim.name)
    if kind is None or any([a.type.dtype != i64 or a.type.shape for a in op.args]):
        return None
    return r.form(op.args[kind[0]]), r.form(op.args[kind[1]]), kind[2]


# -- affine primitives ---------------------------------------------------------------------------------------------

_Rule = Callable[[Ranges, Var, Op], None]
_table: dict[Primitive, _Rule] = {}


def _add(r: Ranges, o: Var, op: Op) -> None:
    r.set_form(o, r.form(op.args[0]) + r.form(op.args[1]))


def _sub(r: Ranges, o: Var, op: Op) -> None:
    r.set_form(o, r.form(op.args[0]) - r.form(op.args[1]))


def _neg(r: Ranges, o: Var, op: Op) -> None:
    r.set_form(o, -r.form(op.args[0]))


def _mul(r: Ranges, o: Var, op: Op) -> None:
    a, b = r.form(op.args[0]), r.form(op.args[1])
    if isinstance(b, int):
        r.set_form(o, a * b)
    elif isinstance(a, int):
        r.set_form(o, b * a)


def _mod(r: Ranges, o: Var, op: Op) -> None:
    n = r.form(op.args[1])
    if r.nonnegative(n - 1):  # Python's sign rule: the result is in [0, n)
        r.bound(o, 0, n - 1)


def _minimum(r: Ranges, o: Var, op: Op) -> None:
    a, b = r.form(op.args[0]), r.form(op.args[1])
    if r.nonnegative(a) and r.nonnegative(b):
        r.bound(o, 0, None)
    r.learn(a - dim(o))
    r.learn(b - dim(o))


def _maximum(r: Ranges, o: Var, op: Op) -> None:
    a, b = r.form(op.args[0]), r.form(op.args[1])
    for x in (a, b):
        r.learn(dim(o) - x)
    if r.nonnegative(a) or r.nonnegative(b):
        r.bound(o, 0, None)


def _FORMS() -> dict[Primitive, _Rule]:
    if not _table:
        rules = {
            "add": _add,
            "sub": _sub,
            "neg": _neg,
            "mul": _mul,
            "mod": _mod,
            "minimum": _minimum,
            "maximum": _maximum,
        }
        _table.update({REGISTRY[name]: rule for name, rule in rules.items()})
    return _table
