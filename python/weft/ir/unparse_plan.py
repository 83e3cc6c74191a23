"""Decisions of the Python unparser: which results are written inline, and which variables share a Python name.

Variables share a name when they are stages of one thing (a loop's carry, an array before and after a store) and no
two of them are alive at once. Liveness is by position in the printed program: a variable from outside a loop that is
used inside it lives until the loop ends; uses in the other branch of an ``if`` do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from weft.ir.nodes import (
    Atom,
    Block,
    Call,
    For,
    Function,
    If,
    Lit,
    Map,
    Op,
    Stmt,
    Var,
    While,
    vars_in_static,
)  # fmt: skip
from weft.ir.primitive import REGISTRY
from weft.ir.types import i64

_MOST_INLINED = 12  # ops in one expression

Path = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A position, and the branches it lies in."""

    at: int
    path: Path

    def after(self, other: Point) -> bool:
        """Whether this comes after ``other`` in some run."""
        if self.at <= other.at:
            return False
        there = dict(other.path)
        return all([there.get(k, side) == side for k, side in self.path])


@dataclass
class Plan:
    """What the emitter asks."""

    inline: set[Var] = field(default_factory=set)
    everywhere: set[Var] = field(default_factory=set)  # inlined at each of several uses
    used: set[Var] = field(default_factory=set)
    mutated: set[Var] = field(default_factory=set)  # heads of classes that are written in place
    last: dict[Var, list[Point]] = field(default_factory=dict)
    where: dict[int, Point] = field(default_factory=dict)  # statements, by id
    ends: dict[int, Point] = field(default_factory=dict)  # ends of blocks, by id
    _parent: dict[Var, Var] = field(default_factory=dict)
    members: dict[Var, list[Var]] = field(default_factory=dict)

    def head(self, v: Var) -> Var:
        """The representative of a variable's class."""
        while (p := self._parent.get(v, v)) is not v:
            v = p
        return v

    def same(self, a: Atom, b: Atom) -> bool:
        """Whether two operands have one Python name."""
        return isinstance(a, Var) and isinstance(b, Var) and self.head(a) is self.head(b)

    def live_after(self, v: Var, point: Point) -> bool:
        """Whether ``v`` is used after ``point``."""
        return any([u.after(point) for u in self.last.get(v, ())])

    def uses_at(self, v: Var, point: Point) -> int:
        """How often ``v`` is used at ``point``."""
        return sum([u.at == point.at for u in self.last.get(v, ())])


def plan(f: Function) -> Plan:
    """The decisions for a function."""
    p = Plan()
    _Positions(p).function(f)
    _Inlining(p, f).run()
    _Uses(p).function(f)
    _Sharing(p).function(f)
    return p


class _Positions:
    """Numbers statements and the ends of blocks."""

    def __init__(self, p: Plan) -> None:
        self.p = p
        self.now = 0
        self.path: Path = ()

    def tick(self) -> Point:
        self.now += 4
        return Point(self.now, self.path)

    def function(self, f: Function) -> None:
        self.block(f.body)

    def block(self, b: Block) -> None:
        self.p.where[id(b)] = self.tick()
        for s in b.stmts:
            self.p.where[id(s)] = self.tick()
            match s:
                case Op() | Call():
                    pass
                case For() | Map():
                    self.block(s.body)
                case While():
                    self.block(s.cond)
                    self.block(s.body)
                case If():
                    outer = self.path
                    for side, branch in enumerate((s.then, s.orelse)):
                        self.path = (*outer, (id(s), side))
                        self.block(branch)
                    self.path = outer
                case _:
                    raise TypeError(f"not a statement: {s!r}")
            self.p.ends[id(s)] = self.tick()
        self.p.ends[id(b)] = self.tick()


def operands_of(s: Stmt) -> tuple[Atom, ...]:
    """The operands that a statement evaluates when it is reached."""
    match s:
        case Op() | Call():
            return s.args
        case For() | While() | Map():
            return s.inits
        case If():
            return (s.pred,)
    raise TypeError(f"not a statement: {s!r}")


def sizes_of(s: Stmt) -> Iterable[Var]:
    """The variables that a statement's sizes name."""
    match s:
        case Op():
            yield from vars_in_static(tuple(s.attrs.values()))
        case For():
            yield from vars_in_static(s.trip)
            for o in s.outs[len(s.inits) :]:
                yield from vars_in_static(o.type.shape[1:])
        case While():
            for o in s.outs[len(s.inits) + 1 :]:
                yield from vars_in_static(o.type.shape[1:])
        case Map():
            yield from vars_in_static(s.sizes)
            for o in s.outs[len(s.inits) :]:
                yield from vars_in_static(o.type.shape[len(s.sizes) :])
        case If() | Call():
            pass
        case _:
            raise TypeError(f"not a statement: {s!r}")


class _Inlining:
    """Chooses the results that are written where they are used."""

    def __init__(self, p: Plan, f: Function) -> None:
        self.p = p
        self.f = f
        self.uses: dict[Var, int] = {}
        self.site: dict[Var, tuple[Block, int, object]] = {}  # block, position and root of the latest use seen
        self.pinned: set[Var] = set()  # named in a size, so never inlined
        self.steady: set[Var] = set()  # counters and sizes, which nothing reassigns
        self.consumed: dict[Var, list[int]] = {}
        self.effects: list[int] = []
        self.weight: dict[object, int] = {}
        self.blocks: dict[Var, set[int]] = {}

    def run(self) -> None:
        self.steady.update([v for v, _, _ in self.f.sizes])
        self.survey(self.f.body)
        self.block(self.f.body)

    # -- counting ----------------------------------------------------------------------------------------------------

    def survey(self, b: Block) -> None:
        for s in b.stmts:
            at = self.p.where[id(s)].at
            for a in operands_of(s):
                self.count(a, b)
            self.pinned.update(sizes_of(s))
            match s:
                case Op():
                    if s.prim.effect and not s.outs:
                        self.effects.append(at)
                    if s.prim in writers() and isinstance(s.args[0], Var):
                        self.consumed.setdefault(s.args[0], []).append(at)
                case For() | Map():
                    self.steady.update(s.body.params[: 1 if isinstance(s, For) else len(s.sizes)])
                    self.consume(s.inits, at)
                    self.survey(s.body)
                case While():
                    self.consume(s.inits, at)
                    self.survey(s.cond)
                    self.survey(s.body)
                case If():
                    self.survey(s.then)
                    self.survey(s.orelse)
        for r in b.results:
            self.count(r, b)

    def count(self, a: Atom, b: Block) -> None:
        if isinstance(a, Var):
            self.uses[a] = self.uses.get(a, 0) + 1
            self.blocks.setdefault(a, set()).add(id(b))

    def consume(self, atoms: Sequence[Atom], at: int) -> None:
        for a in atoms:
            if isinstance(a, Var):
                self.consumed.setdefault(a, []).append(at)

    # -- choosing, from the end so that the place of use is known ------------------------------------------------------

    def block(self, b: Block) -> None:
        end = self.p.ends[id(b)].at
        for r in b.results:
            if isinstance(r, Var):
                self.site[r] = (b, end, (id(b), r))
        for s in reversed(b.stmts):
            root: object = id(s)
            at = self.p.where[id(s)].at
            if isinstance(s, Op) and len(s.outs) == 1 and self.choose(b, s, at):
                _, at, root = self.site.get(s.outs[0], (b, at, root))
            for a in operands_of(s):
                if isinstance(a, Var):
                    self.site[a] = (b, at, root)
            match s:
                case Op() | Call():
                    pass
                case For() | Map():
                    self.block(s.body)
                case While():
                    self.block(s.body)
                    self.block(s.cond)
                case If():
                    self.block(s.then)
                    self.block(s.orelse)

    def choose(self, b: Block, s: Op, at: int) -> bool:
        (o,) = s.outs
        count = self.uses.get(o, 0)
        if o.name or o in self.pinned or s.prim in writers() or s.prim is REGISTRY["undef"] or not count:
            return False
        if self.is_offset(s) or (self.is_filled(s) and self.blocks[o] == {id(b)}):
            self.p.inline.add(o)
            self.p.everywhere.add(o)
            return True
        where, use, root = self.site.get(o, (None, 0, None))
        if count != 1 or where is not b:
            return False
        if s.prim.effect and any([at < e < use for e in self.effects]):
            return False
        # an array that is written in place meanwhile must be read before that
        if any([at < c < use for a in s.args if isinstance(a, Var) for c in self.consumed.get(a, ())]):
            return False
        weight = self.weight.get(root, 1)
        if weight >= _MOST_INLINED:
            return False
        self.weight[root] = weight + 1
        self.p.inline.add(o)
        return True

    @staticmethod
    def is_filled(s: Op) -> bool:
        """An array of one literal, which each user may make for itself."""
        return s.prim is REGISTRY["broadcast"] and isinstance(s.args[0], Lit)

    def is_offset(self, s: Op) -> bool:
        """Index arithmetic on a counter, which reads best at every use."""
        if s.outs[0].type.dtype != i64 or s.outs[0].type.shape or s.prim not in (REGISTRY["add"], REGISTRY["sub"]):
            return False
        steady = [isinstance(a, Lit) or a in self.steady or a in self.p.everywhere for a in s.args]
        return all(steady) and sum([isinstance(a, Var) for a in s.args]) <= 1


def writers() -> tuple[object, object]:
    """The primitives that write into their first operand."""
    return REGISTRY["store"], REGISTRY["accum"]


class _Uses:
    """Collects where each variable is used, inlined results counting where they are written."""

    def __init__(self, p: Plan) -> None:
        self.p = p
        self.loops: list[tuple[set[Var], Point]] = []  # variables bound inside each open loop, and its end
        self.bound: list[set[Var]] = []
        self.defs: dict[Var, Op] = {}

    def function(self, f: Function) -> None:
        self.bind([*f.params, *[v for v, _, _ in f.sizes]])
        self.block(f.body, [(r, self.p.ends[id(f.body)]) for r in f.results])

    def bind(self, vs: Iterable[Var]) -> None:
        for inside, _ in self.loops:
            inside.update(vs)

    def use(self, a: Atom, point: Point) -> None:
        if not isinstance(a, Var):
            return
        d = self.defs.get(a)
        if d is not None and a in self.p.inline:
            for x in (*d.args, *sizes_of(d)):
                self.use(x, point)
            return
        self.p.used.add(a)
        places = self.p.last.setdefault(a, [])
        places.append(point)
        for inside, end in self.loops:
            if a not in inside:
                places.append(end)

    def block(self, b: Block, results: Sequence[tuple[Atom, Point]]) -> None:
        for s in b.stmts:
            self.stmt(s)
        for r, point in results:
            self.use(r, point)

    def stmt(self, s: Stmt) -> None:
        point, end = self.p.where[id(s)], self.p.ends[id(s)]
        if isinstance(s, Op) and len(s.outs) == 1 and s.outs[0] in self.p.inline:
            self.defs[s.outs[0]] = s
            self.bind(s.outs)
            return
        for a in (*operands_of(s), *sizes_of(s)):
            self.use(a, point)
        match s:
            case Op() | Call():
                pass
            case For() | Map() | While():
                closing = Point(end.at - 1, end.path)
                # what is inside is bound for this loop and for those around it
                self.loops.append((set(), closing))
                n = len(s.inits)
                if isinstance(s, While):
                    self.bind(s.cond.params)
                    self.block(s.cond, [(s.cond.results[0], self.p.ends[id(s.cond)])])
                self.bind(s.body.params)
                done = self.p.ends[id(s.body)]
                carried = [(r, done) for r in s.body.results[:n]]
                defined = {o: self.p.ends[id(t)] for t in s.body.stmts for o in t.outs}
                start = self.p.where[id(s.body)]
                for r in s.body.results[n:]:
                    carried.append((r, collected_at(r, s.body, defined, start, done)))
                self.block(s.body, carried)
                self.loops.pop()
            case If():
                for b in (s.then, s.orelse):
                    self.block(b, [(r, self.p.ends[id(b)]) for r in b.results])
            case _:
                raise TypeError(f"not a statement: {s!r}")
        self.bind(s.outs)


def collected_at(r: Atom, body: Block, defined: dict[Var, Point], start: Point, done: Point) -> Point:
    """Where a collected value is put into its array: as soon as it is known."""
    if isinstance(r, Var) and r in body.params:
        return Point(start.at + 1, start.path)
    if isinstance(r, Var) and r in defined:
        return Point(defined[r].at + 1, defined[r].path)
    return done


class _Sharing:
    """Merges variables into classes with one Python name."""

    def __init__(self, p: Plan) -> None:
        self.p = p
        self.born: dict[Var, Point] = {}
        self.fixed: set[Var] = set()  # size symbols: their names stay

    def function(self, f: Function) -> None:
        start = self.p.where[id(f.body)]
        for v in (*f.params, *[v for v, _, _ in f.sizes]):
            self.born[v] = start
        self.births(f.body)
        self.block(f.body)

    def births(self, b: Block) -> None:
        for s in b.stmts:
            point = self.p.where[id(s)] if isinstance(s, Op | Call) else self.p.ends[id(s)]
            for o in s.outs:
                self.born[o] = point
            if isinstance(s, For | Map | While):  # arrays of collected values exist from the loop's beginning
                start = self.p.where[id(s)]
                for o in s.outs[len(s.inits) + isinstance(s, While) :]:
                    self.born[o] = Point(start.at + 1, start.path)
            match s:
                case For() | Map():
                    self.params(s.body)
                    self.births(s.body)
                case While():
                    self.params(s.cond)
                    self.params(s.body)
                    self.births(s.cond)
                    self.births(s.body)
                case If():
                    self.births(s.then)
                    self.births(s.orelse)

    def params(self, b: Block) -> None:
        for v in b.params:
            self.born[v] = self.p.where[id(b)]

    # -- merging -----------------------------------------------------------------------------------------------------

    def join(self, a: Atom, b: Atom, *, certain: bool = False) -> bool:
        """Give two operands one name, if they are never alive together."""
        if not (isinstance(a, Var) and isinstance(b, Var)) or a in self.p.inline or b in self.p.inline:
            return False
        x, y = self.p.head(a), self.p.head(b)
        if x is y:
            return True
        if x.type.dtype != y.type.dtype or x.type.rank != y.type.rank:
            return False
        xs, ys = self.p.members.get(x, [x]), self.p.members.get(y, [y])
        if not certain and any([self.clash(u, v) for u in xs for v in ys]):
            return False
        self.p._parent[y] = x
        self.p.members[x] = [*xs, *ys]
        self.p.members.pop(y, None)
        if y in self.p.mutated:
            self.p.mutated.discard(y)
            self.p.mutated.add(x)
        return True

    def clash(self, u: Var, v: Var) -> bool:
        """Whether one is alive when the other is born."""
        a, b = self.born[u], self.born[v]
        if a.at == b.at:
            return True
        if a.at > b.at:
            u, b = v, a
        return self.p.live_after(u, b)

    def block(self, b: Block) -> None:
        for s in b.stmts:
            self.stmt(s)

    def stmt(self, s: Stmt) -> None:
        match s:
            case Op():
                if s.prim in writers():
                    self.join(s.args[0], s.outs[0])
                    self.p.mutated.add(self.p.head(s.outs[0]))
            case For() | Map():
                n = len(s.inits)
                self.carries(s.body.params[len(s.body.params) - n :], s.outs[:n])
                self.block(s.body)
                self.flow(s.inits, s.body.params[len(s.body.params) - n :], s.body.results[:n])
            case While():
                n = len(s.inits)
                self.carries(s.body.params, s.outs[:n])
                self.carries(s.cond.params, s.outs[:n])
                self.block(s.cond)
                self.block(s.body)
                self.flow(s.inits, s.body.params, s.body.results[:n])
            case If():
                self.block(s.then)
                self.block(s.orelse)
                for o, x, y in zip(s.outs, s.then.results, s.orelse.results, strict=True):
                    for r in (x, y):
                        self.join(r, o)
            case Call():
                pass

    def carries(self, params: Sequence[Var], outs: Sequence[Var]) -> None:
        for p, o in zip(params, outs, strict=True):
            self.join(o, p, certain=True)

    def flow(self, inits: Sequence[Atom], params: Sequence[Var], nexts: Sequence[Atom]) -> None:
        for i, p, r in zip(inits, params, nexts, strict=True):
            self.join(p, r)
            self.join(i, p)


__all__ = ["Plan", "Point", "operands_of", "plan", "sizes_of", "writers"]
