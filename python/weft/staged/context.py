"""The state of one staging: builder, what is known of sizes, guards, and changes to be undone or merged.

A *location* is anything staged code can change: a variable of a frame, the contents of an array, a list, a dict, the
attributes of an object made while staging. Staged control flow runs its blocks under a `Tracker`, which remembers
what each location held before, so that branches start alike and are merged, and loops find what they carry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from weft.errors import TracerIntegerConversionError, UnexpectedTracerError
from weft.ir.builder import Builder
from weft.ir.nodes import Atom, Lit, Loc, Var, vars_in_static
from weft.ir.sizes import Dim, Size, affine, dim, eval_size, map_size, size_vars
from weft.staged.active import stack, staging


def current() -> Context:
    """The staging under way."""
    if not stack.contexts:
        raise UnexpectedTracerError(
            "a staged value is used where nothing is being staged: a compiled function stored it outside",
            remedy="return the value from the function",
        )
    context: Context = stack.contexts[-1]
    return context


class NeedsStatic(TracerIntegerConversionError):
    """A number is needed while staging, and there is only a run-time value. A loop over that value may unroll."""

    def __init__(self, var: Var | None, reason: str, *, remedy: str = "", loc: Loc | None = None) -> None:
        super().__init__(reason, remedy=remedy, loc=loc)
        self.var = var


_KNOWN = "take it from a shape, or pass it as a static argument (static_argnums)"


class Location:
    """A place that staged code changes. Equal when it is the same place."""

    __slots__ = ()

    def get(self) -> Any:
        """What it holds now (a snapshot for containers)."""
        raise NotImplementedError

    def set(self, content: Any) -> None:
        """Put a content back, without telling trackers."""
        raise NotImplementedError

    @property
    def label(self) -> str:
        """What messages call it."""
        raise NotImplementedError


class Tracker:
    """What each location that was touched under it held before."""

    def __init__(self) -> None:
        self.before: dict[Location, Any] = {}

    def contents(self) -> dict[Location, Any]:
        """What the touched locations hold now."""
        return {loc: loc.get() for loc in self.before}

    def undo(self) -> None:
        """Put everything back."""
        for loc, content in self.before.items():
            loc.set(content)


@dataclass(frozen=True)
class Guard:
    """A fact about an artifact's inputs, ``size kind 0`` with kind ``==``, ``>=`` or ``!=``; why, and where."""

    kind: str
    size: Dim
    why: str
    loc: Loc | None = None


@dataclass
class Context:
    """One staging.

    Attributes
    ----------
    builder
        Where statements go.
    hints
        The values that symbols have in the call being staged.
    shapes
        The symbols that are sizes of arguments (decided while staging, with a guard), as against integer arguments
        (which stay run-time values unless a number is needed).
    guards
        What must hold of a later call for this artifact to serve it.
    axes
        The sizes of the named axes that are mapped around the function being staged, outermost first.
    settled
        Integers computed from sizes that became numbers: they are among ``known``.
    varying
        Inside `shard_map`, where derivatives are those of all devices together: what varies between devices, a
        `weft.api.varying.Varying`.
    """

    builder: Builder = field(default_factory=Builder)
    hints: dict[Var, int] = field(default_factory=dict)
    shapes: set[Var] = field(default_factory=set)
    guards: list[Guard] = field(default_factory=list)
    known: dict[Var, Size] = field(default_factory=dict)
    products: dict[Var, tuple[Size, ...]] = field(default_factory=dict)
    trackers: list[Tracker] = field(default_factory=list)
    loc: Loc | None = None
    stopped: list[Callable[[], None]] = field(default_factory=list)
    axes: dict[str, Size] = field(default_factory=dict)
    settled: set[Var] = field(default_factory=set)
    varying: Any = None

    def __enter__(self) -> Context:
        import weft.primitives  # noqa: F401  (declares them; not needed before something is staged)

        stack.contexts.append(self)
        self.builder.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.builder.__exit__()
        stack.contexts.pop()

    # -- sizes -----------------------------------------------------------------------------------------------------

    def resolve(self, size: Size) -> Size:
        """``size`` under the equalities found so far."""
        while isinstance(size, Dim) and any([v in self.known for v, _ in size.terms]):
            size = map_size(size, self.known.get)
        return size

    def number(self, size: Size) -> int | None:
        """The value of a size in the call being staged, if it follows from the arguments."""
        size = self.resolve(size)
        if isinstance(size, Dim) and any(v not in self.hints for v in size_vars(size)):
            return None
        return eval_size(size, self.hints)

    def about_shapes(self, size: Size) -> bool:
        """Whether a size depends on the arguments' shapes only."""
        return all(v in self.shapes for v in size_vars(self.resolve(size)))

    def guard(self, kind: str, size: Size, why: str) -> None:
        """Record that ``size kind 0`` was relied on."""
        size = self.resolve(size)
        if isinstance(size, Dim):
            g = Guard(kind, size, why, self.loc)
            if all((o.kind, o.size) != (g.kind, g.size) for o in self.guards):
                self.guards.append(g)

    def fix(self, size: Size, why: str) -> int:
        """The number that ``size`` is in this call; later calls must agree, or are staged anew."""
        size = self._settled(size, why)
        if isinstance(size, int):
            return size
        n = self.number(size)
        if n is None:
            var = next((v for v in size_vars(size) if v not in self.hints), None)
            raise NeedsStatic(var, why + ", but it is only known at run time", remedy=_KNOWN, loc=self.loc)
        self._equate(size - n, why)
        return n

    def _settled(self, size: Size, why: str) -> Size:
        """A size in which integers computed from the arguments' sizes (``n // 2``) are numbers, those sizes fixed."""
        size = self.resolve(size)
        for v in size_vars(size):
            found: set[Var] = set()
            if v not in self.hints and self._computed(v, found) is not None:
                for base in found:
                    self.fix(dim(base), why)
                n = self._computed(v, found)
                assert n is not None
                self.known[v] = n
                self.settled.add(v)
        return self.resolve(size)

    def _computed(self, a: Atom, bases: set[Var]) -> Any:
        """The value in this call of an integer that follows from the arguments' sizes, which are added to ``bases``."""
        if isinstance(a, Lit):
            return a.value
        if a in self.known or a in self.hints:
            size = self.resolve(dim(a))
            bases.update(size_vars(size))
            return self.number(size)
        made = self.builder.makers.get(a)
        if made is None:
            return None
        values = [self._computed(x, bases) for x in made.args]
        if any([v is None for v in values]) or any(vars_in_static(x) for x in made.attrs.values()):
            return None
        types = [x.type.dtype.type for x in made.args]
        value = made.prim.numpy(*[t(v) for t, v in zip(types, values, strict=True)], **made.attrs)
        return int(value)

    def decide(self, kind: str, size: Size, why: str) -> bool:
        """Whether ``size kind 0`` holds in this call; recorded as a guard."""
        size = self._settled(size, why)
        n = self.number(size)
        if n is None:
            raise NeedsStatic(None, why + ", but it is only known at run time", remedy=_KNOWN, loc=self.loc)
        truth = {"==": n == 0, ">=": n >= 0, "!=": n != 0}[kind]
        if isinstance(size, int):
            return truth
        if truth:
            if kind == "==":
                self._equate(size, why)
            elif not (kind == ">=" and self.at_least(size, 0)):
                self.guard(kind, size, why)
        elif kind == ">=":
            self.guard(">=", -size - 1, why)
        elif kind == "==":
            self.guard("!=", size, why)
        else:
            self._equate(size, why)
        return truth

    def _equate(self, zero: Size, why: str) -> None:
        zero = self.resolve(zero)
        if isinstance(zero, int):
            return
        self.guard("==", zero, why)
        # solve for the newest symbol with coefficient one, so that older ones (first arguments) remain
        for v, c in reversed(zero.terms):
            if abs(c) == 1:
                rest = affine(zero.const, tuple(t for t in zero.terms if t[0] is not v))
                self.known[v] = rest * -c if isinstance(rest, Dim) else -c * rest
                return
        for v, _ in zero.terms:
            self.known[v] = self.hints[v]
            self.guard("==", dim(v) - self.hints[v], why)

    def at_least(self, size: Size, low: int) -> bool:
        """Whether ``size >= low`` follows from every argument size being at least 2."""
        size = self.resolve(size)
        if isinstance(size, int):
            return size >= low
        least = size.const
        for v, c in size.terms:
            if c < 0 or v not in self.shapes:
                return False
            least += 2 * c
        return least >= low

    @contextmanager
    def axis(self, name: str | None, size: Size) -> Iterator[None]:
        """Stage the function that an axis of this name is mapped over."""
        before = self.axes
        if name is not None:
            self.axes = {**{k: n for k, n in before.items() if k != name}, name: size}
        try:
            yield
        finally:
            self.axes = before

    # -- locations -------------------------------------------------------------------------------------------------

    def touch(self, loc: Location) -> None:
        """Call before changing a location."""
        content: Any = None
        seen = False
        for t in self.trackers:
            if loc not in t.before:
                if not seen:
                    content, seen = loc.get(), True
                t.before[loc] = content

    @contextmanager
    def tracking(self) -> Iterator[Tracker]:
        """Run a block whose changes are to be undone or merged by the caller."""
        t = Tracker()
        self.trackers.append(t)
        try:
            yield t
        finally:
            self.trackers.pop()


__all__ = ["Context", "Guard", "Location", "NeedsStatic", "Tracker", "current", "staging"]
