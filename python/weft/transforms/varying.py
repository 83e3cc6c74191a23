"""Which values vary over the axes of a mesh, inside a function of pieces.

Devices that run one function have each a value of their own of a variable that *varies* over an axis, and share one
that does not. Reverse mode has to add up the cotangents of what they share (see `explicit`).

What varies is not always known: a loop's result may be its start value. `Varies` therefore has two bounds. The upper
one is what derivatives rely on; where the lower one differs from it, the meaning of a gradient (is a loss one number,
or one for each device?) would be a guess, and whoever asks refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from weft.ir.nodes import Atom, Block, Call, For, Function, If, Map, Op, Stmt, Var, While, free_vars, vars_in_static
from weft.ir.primitive import REGISTRY, Collective
from weft.ir.sizes import Size

Axes = frozenset[str]
NONE: Axes = frozenset()


@dataclass(frozen=True)
class Varies:
    """The axes over which a value varies for sure, and those over which it may."""

    sure: Axes = NONE
    may: Axes = NONE

    def __or__(self, other: Varies) -> Varies:
        """What is computed of both. (What has no value yet, and is sure of more than it may, adds nothing.)"""
        return Varies((self.sure & self.may) | (other.sure & other.may), self.may | other.may)

    def joined(self, other: Varies) -> Varies:
        """One or the other."""
        return Varies(self.sure & other.sure, self.may | other.may)

    @property
    def known(self) -> bool:
        """Whether it is known over which axes it varies."""
        return self.sure == self.may


SAME = Varies()


def just(axes: Iterable[str]) -> Varies:
    """Varies over these axes."""
    found = frozenset(axes)
    return Varies(found, found)


def _all(found: Iterable[Varies]) -> Varies:
    total = SAME
    for v in found:
        total = total | v
    return total


class Analysis:
    """What is known of the variables of some blocks.

    Parameters
    ----------
    axes
        The mesh's axes.
    of
        What is known of variables. Of others nothing is.
    at_least
        Whether a size is at least a number (of 0 it is never asked).

    Attributes
    ----------
    most
        For each variable, the axes over which it may vary in any iteration.
    """

    def __init__(
        self, axes: Axes, of: dict[Var, Varies] | None = None,
        at_least: Callable[[Size, int], bool] = lambda size, low: isinstance(size, int) and size >= low,
    ) -> None:  # fmt: skip
        self.axes = axes
        self.at_least = at_least
        self.of: dict[Var, Varies] = dict(of or {})
        self.most: dict[Var, Axes] = {}
        self.unknown = Varies(NONE, axes)
        self._active: tuple[Function, ...] = ()

    def inner(self) -> Analysis:
        """One that knows the same, for a function called."""
        new = Analysis(self.axes, self.of, self.at_least)
        new._active = self._active
        return new

    def atom(self, a: Atom) -> Varies:
        """What is known of an atom."""
        return self.of.get(a, self.unknown) if isinstance(a, Var) else SAME

    def most_of(self, a: Atom) -> Axes:
        """The axes over which an atom may vary in any iteration."""
        return self.most.get(a, self.atom(a).may) if isinstance(a, Var) else NONE

    def static(self, value: object) -> Varies:
        """Of the sizes in a static value."""
        return _all([self.atom(v) for v in vars_in_static(value)])

    def set(self, v: Var, found: Varies) -> None:
        """Enter a variable."""
        self.of[v] = found
        self.most[v] = self.most.get(v, NONE) | found.may

    def set_all(self, vs: Iterable[Var], found: Iterable[Varies]) -> None:
        """Enter several."""
        for v, x in zip(vs, found, strict=True):
            self.set(v, x)

    def function(self, f: Function, given: Sequence[Varies]) -> list[Varies]:
        """The results of a function."""
        for v, _, _ in f.sizes:
            self.set(v, SAME)
        self.set_all(f.params, given)
        return self.block(f.body)

    def block(self, b: Block, around: Axes = NONE) -> list[Varies]:
        """The results of a block; ``around``: over which axes it varies whether, or how often, the block runs."""
        for s in b.stmts:
            self.stmt(s, around)
        return [self.atom(r) for r in b.results]

    def stmt(self, s: Stmt, around: Axes = NONE) -> None:
        """Enter the results of a statement."""
        control = Varies(NONE, around)
        match s:
            case Op():
                self.set_all(s.outs, [self._op(s, control)] * len(s.outs))
            case For():
                around |= self.static(s.trip).may
                finals, stacked = self._loop(
                    s.body.params[1:], s.inits, around, lambda: self._lane(s, s.body.params[:1], around), s.trip
                )
                extra = Varies(NONE, around)
                self.set_all(s.outs, [x | extra for x in (*finals, *stacked)])
            case While():
                self._while(s, around)
            case If():
                pred = self.atom(s.pred)
                a, b = (self.block(x, around | pred.may) for x in (s.then, s.orelse))
                for o, x, y in zip(s.outs, a, b, strict=True):
                    # branches that differ in this: as the predicate does, which JAX refuses; that both are the same and
                    # the predicate is not, JAX overlooks
                    sure = (x.sure & y.sure) | ((x.sure | y.sure) & pred.sure)
                    self.set(o, Varies(sure, x.may | y.may | pred.may | around))
            case Map():
                around |= _all([self.atom(v) for v in free_vars(s)]).may
                n = len(s.sizes)
                finals, stacked = self._loop(
                    s.body.params[n:], s.inits, around, lambda: self._lane(s, s.body.params[:n], around), s.sizes[0]
                )
                extra = Varies(NONE, around)
                self.set_all(s.outs, [x | extra for x in (*finals, *stacked)])
            case Call():
                found_all = self.call(s.func, [self.atom(a) for a in s.args])
                self.set_all(s.outs, [x | control for x in found_all])
            case _:
                raise TypeError(f"not a statement: {s!r}")

    def _op(self, s: Op, control: Varies) -> Varies:
        if s.prim is REGISTRY["undef"]:  # it has no value yet: neither this nor that
            return Varies(self.axes, NONE)
        sizes = [self.atom(v) for o in s.outs for v in vars_in_static(o.type) if v not in s.outs]
        found = _all([self.atom(a) for a in s.args]) | self.static(tuple(s.attrs.values())) | _all(sizes)
        axis = s.attrs.get("axis")
        if not isinstance(axis, str) or axis not in self.axes:
            return found | control
        here = frozenset({axis})
        if shares(s):
            return Varies(found.sure - here, found.may - here) | control
        sure = s.attrs.get("sure", True)
        return found | Varies(here if sure else NONE, here) | control

    def call(self, func: Function, given: Sequence[Varies]) -> list[Varies]:
        """The results of a call."""
        if any([func is f for f in self._active]):
            return [self.unknown] * len(func.results)
        inner = self.inner()
        inner._active = (*self._active, func)
        return inner.function(func, given)

    # -- loops -----------------------------------------------------------------------------------------------------

    def _lane(self, s: For | Map, indices: Sequence[Var], around: Axes) -> tuple[list[Varies], list[Varies]]:
        self.set_all(indices, [Varies(NONE, around)] * len(indices))
        found = self.block(s.body, around)
        return found[: len(s.inits)], found[len(s.inits) :]

    def _while(self, s: While, around: Axes) -> None:
        n = len(s.inits)
        while True:
            conds: list[Varies] = []

            def step(around: Axes = around, conds: list[Varies] = conds) -> tuple[list[Varies], list[Varies]]:
                self.set_all(s.cond.params, [self.atom(p) for p in s.body.params])
                conds.append(self.block(s.cond, around)[0])
                found = self.block(s.body, around)
                return found[:n], found[n:]

            finals, stacked = self._loop(s.body.params, s.inits, around, step, None)
            pred = conds[0]
            for c in conds[1:]:
                pred = pred.joined(c)
            if pred.may <= around:
                break
            around |= pred.may  # how often it runs varies, and so does all it computes
        extra = Varies(NONE, around)
        self.set_all(s.outs, [x | extra for x in (*finals, pred, *stacked)])

    def _loop(
        self, params: Sequence[Var], inits: Sequence[Atom], around: Axes,
        run: Callable[[], tuple[list[Varies], list[Varies]]], trip: Size | None,
    ) -> tuple[list[Varies], list[Varies]]:  # fmt: skip
        """Follow a loop until its carries are what they have been before; the final carries, and what it collects.
        ``trip``: how often it runs, if that is known."""
        control = Varies(NONE, around)
        states = [tuple([x | control if x.sure <= x.may else x for x in map(self.atom, inits)])]
        rows: list[list[Varies]] = []
        while True:
            self.set_all(params, states[-1])
            nexts, row = run()
            rows.append(row)
            state = tuple([x | control for x in nexts])
            if state in states:
                back = states.index(state)
                break
            states.append(state)
        last = len(states)
        if isinstance(trip, int):
            least = max(trip, 0)
            ends = [states[least if least < last else back + (least - back) % (last - back)]]
        else:
            least = 0 if trip is None else max([k for k in range(last + 1) if k == 0 or self.at_least(trip, k)])
            ends = [*states[least:], *states[back:]]
        finals = []
        for k, p in enumerate(params):
            end = ends[0][k]
            for other in ends[1:]:
                end = end.joined(other[k])
            finals.append(Varies(end.sure, self.most[p]))  # to derivatives it is one variable in all iterations
        stacked = []
        for k in range(len(rows[0])):
            sure = _all([row[k] for row in rows[:least]]).sure
            stacked.append(Varies(sure, _all([row[k] for row in rows]).may))
        return finals, stacked


def shares(s: Op) -> bool:
    """Whether an operation gives one value to all devices along its axis."""
    kind = s.prim.kind
    return isinstance(kind, Collective) and kind.reduction and not kind.varies(s.attrs)
