"""The schedule for a device: which nests become kernels, and what is left for the host.

The host runs the program's outline: it makes memory, runs sequential loops and branches that hold large nests, calls
libraries and host functions, and queues kernels in order. A kernel is one of three kinds:

* ``threads``: a nest of independent iterations, one thread for each;
* ``teams``: the same, but what an iteration does is itself wide (rows with reductions in them): a warp or a block of
  threads works on each, sharing out the loops named in ``spread``;
* ``region``: statements in sequence for one team, where nothing is large: scalar code that reads memory, small loops.

A scalar that a kernel computes stays on the device, in a slot that later kernels read; the host fetches it when it
needs it (sizes, conditions, results). A large reduction is cut into blocks whose partial results a region combines,
so that results do not depend on the device's size.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from weft.ir.nodes import Loc, Var
from weft.ir.sizes import Shape, Size, size_vars
from weft.ir.types import scalar
from weft.lowering import loops as L
from weft.lowering import visit
from weft.lowering.cover import Cover, covering, released, spread
from weft.lowering.partial import blockwise
from weft.lowering.values import loads
from weft.lowering.visit import Facts, Stmts

LARGE = 1024  # iterations that are worth a kernel of their own


@dataclass(eq=False, slots=True)
class Kernel:
    """Code that runs on the device.

    Attributes
    ----------
    number
        Its position among the program's kernels.
    kind
        "threads", "teams" or "region".
    domain
        ``(variable, size)`` of the independent loops that the grid covers; empty for a region.
    body
        What one iteration does.
    workspace
        Memory that each thread or team has of its own, made by the host.
    spread
        The loops that a team's threads share out.
    shared
        Arrays to which several iterations may add.
    narrow
        A size that tells how wide the spread loops are: small ones want small teams. None if the host cannot know.
    uses, defines
        Scalars that come from outside; scalars computed here that others use.
    gives
        All variables that get a value here.
    touches
        The arrays from outside, and whether they are written.
    fails
        Whether it may record a failure.
    facts
        Summaries of its statements.
    """

    number: int
    kind: str
    domain: list[tuple[Var, Size]]
    body: Stmts
    workspace: list[L.Buffer] = field(default_factory=list)
    spread: set[L.Loop] = field(default_factory=set)
    shared: frozenset[L.Buffer] = frozenset()
    narrow: Size | None = None
    uses: list[Var] = field(default_factory=list)
    defines: list[Var] = field(default_factory=list)
    gives: set[Var] = field(default_factory=set)
    touches: dict[L.Buffer, bool] = field(default_factory=dict)
    fails: bool = False
    facts: Facts = field(default_factory=Facts)
    loc: Loc | None = None


@dataclass(eq=False, slots=True)
class Launch:
    """The host queues a kernel."""

    kernel: Kernel


@dataclass(eq=False, slots=True)
class Fetch:
    """The host waits for a scalar that kernels computed."""

    var: Var


@dataclass(eq=False, slots=True)
class Keep:
    """Scalar result ``number`` is what kernels computed: it stays on the device, and nobody waits for it."""

    number: int
    var: Var


@dataclass(eq=False, slots=True)
class DeviceProgram:
    """A program for a host with a device.

    Attributes
    ----------
    program
        What it was made from.
    body
        The host's statements, with `Launch`, `Fetch` and `Keep` among them.
    kernels
        In the order of their numbers.
    slots
        The scalars that live on the device, and their positions there.
    fetched
        Those of them that the host reads.
    fails
        Whether kernels may record a failure.
    """

    program: L.Program
    body: Stmts
    kernels: list[Kernel]
    slots: dict[Var, int]
    fetched: list[Var]
    fails: bool


def for_device(program: L.Program) -> DeviceProgram:
    """Schedule a program for a device."""
    return _Schedule(program).run()


class _Schedule:
    def __init__(self, program: L.Program) -> None:
        self.program = program
        self.facts = program.facts or Facts()
        self.kinds: dict[Any, str] = {}
        self.covers: dict[L.Loop, Cover | None] = {}
        self.kernels: list[Kernel] = []
        self.slots: dict[Var, int] = {}
        self.fetched: dict[Var, None] = {}
        self.fresh: set[Var] = set()  # fetched, and not computed again since
        self.kept: set[Var] = set()  # results
        self.pending: Stmts = []  # statements of the next region
        self.later: Stmts = []  # memory given back once that region is queued
        self.first: Stmts = []  # what the host does before all else
        self.out: Stmts = []

    def run(self) -> DeviceProgram:
        body = self._rewritten(self.program.body)
        while self._find_slots(body):  # a scalar that depends on one on the device is computed there too
            pass
        found = self.block(body)
        self._connect()
        fails = any(k.fails for k in self.kernels)
        return DeviceProgram(self.program, [*self.first, *found], self.kernels, self.slots, list(self.fetched), fails)

    def _rewritten(self, stmts: Stmts) -> Stmts:
        """Statements with large reductions cut into blocks, where the host runs them."""
        found: Stmts = []
        for s in stmts:
            match s:
                case L.Loop() if (s.reductions or s.extrema) and _large(s) and not self.facts(s).needs_host:
                    found += blockwise(self.facts, s) or [s]
                    continue
                case L.Loop() if self.covering(s) is None:
                    s = replace(s, body=self._rewritten(s.body))
                case L.Forever():
                    s = L.Forever(self._rewritten(s.head), s.test, self._rewritten(s.body), s.loc)
                case L.Branch():
                    s = L.Branch(s.test, self._rewritten(s.then), self._rewritten(s.orelse), s.loc)
            found.append(s)
        return found

    # -- where statements run ----------------------------------------------------------------------------------------

    def _find_slots(self, stmts: Stmts) -> bool:
        """Find scalars that kernels compute; whether there were new ones."""
        before = len(self.slots)
        for s in stmts:
            match self.place(s):
                case "region" | "grid":
                    all_ = self.facts(s)
                    given = [s.var] if isinstance(s, L.Let) else [v for v in all_.given if v not in all_.bound]
                    for v in sorted(given, key=lambda v: v.id):
                        self.slots.setdefault(v, len(self.slots))
                case "outline":
                    for b in visit.blocks(s):
                        self._find_slots(b)
        return len(self.slots) > before

    def place(self, s: Any) -> str:
        """Where a statement runs: "host", "outline" (the host, around kernels), "grid" or "region"."""
        match s:
            case L.Let() | L.Assign():
                return "region" if s.var in self.slots or self._on_device(s) else "host"
            case L.Write():
                return "region"
            case L.Fail():
                return "region" if not visit.needs_host(s) and self._on_device(s) else "host"
            case L.Loop() | L.Forever() | L.Branch():
                return self._nest(s)
        return "host"

    def _on_device(self, s: Any) -> bool:
        """Whether a statement needs something that is on the device."""
        return self.facts(s).loads or not self.slots.keys().isdisjoint(self.facts(s).used)

    def _nest(self, s: L.Loop | L.Forever | L.Branch) -> str:
        all_ = self.facts(s)
        if all_.needs_host:
            return "outline"
        if not (all_.kinds & {L.Write, L.Copy, L.Gemm, L.Alloc} or self._on_device(s)):
            if self.slots.keys().isdisjoint(all_.given):
                return "host"
        kind = self.kinds.get(s)
        if kind is None:
            kind = self.kinds[s] = self._kind(s)
        return kind

    def _kind(self, s: L.Loop | L.Forever | L.Branch) -> str:
        """How a nest that touches memory runs."""
        if isinstance(s, L.Loop) and _large(s) and not _only_gemm(s) and self.covering(s) is not None:
            return "grid"
        if self.facts(s).kinds & {L.Gemm, L.Repoint, L.Grow} or self._holds_large(s):
            return "outline"
        return "region"

    def _holds_large(self, s: Any) -> bool:
        """Whether a nest is worth a kernel somewhere inside a statement."""
        if isinstance(s, L.Loop) and _large(s) and self.covering(s) is not None:
            return True
        return any(self._holds_large(x) for b in visit.blocks(s) for x in b)

    def covering(self, s: L.Loop) -> Cover | None:
        """How a grid may cover a nest."""
        if s not in self.covers:
            self.covers[s] = covering(self.facts, s)
        return self.covers[s]

    # -- the host's statements -----------------------------------------------------------------------------------------

    def block(self, stmts: Stmts) -> Stmts:
        """The host's version of statements."""
        outer, self.out = self.out, []
        for s in stmts:
            self.stmt(s)
        self.flush()
        found, self.out = self.out, outer
        return found

    def stmt(self, s: Any) -> None:
        match self.place(s):
            case "region":
                self.pending.append(s)
            case "grid":
                self._grid(s)
            case "outline":
                self.flush()
                self._outline(s)
            case _:
                self._host(s)

    def _host(self, s: Any) -> None:
        if isinstance(s, L.Alloc) and s.buffer.home == "local":
            self.first.append(s)  # of constant size: made once
            return
        if isinstance(s, L.Release) and any(a.buffer is s.buffer for x in self.pending for a in self.facts(x).accesses):
            self.later.append(s)
            return
        if isinstance(s, L.Output) and self._keep(s):
            return
        s = self._named(s)
        all_ = self.facts(s)
        wanted = sorted(self.slots.keys() & all_.used, key=lambda v: v.id)
        given = all_.given | all_.bound
        late = any(given & self.facts(x).used for x in self.pending)
        moves = isinstance(s, L.Copy | L.Gemm | L.Release | L.HostCall | L.Fail | L.Repoint | L.Grow | L.Output)
        if wanted or late or moves:
            self.flush()
        self._fetch(wanted)
        self.out.append(s)

    def _keep(self, s: L.Output) -> bool:
        """Leave a scalar result on the device, if it is computed there."""
        used = self.slots.keys() & self.facts(s).used
        if not any(True for _ in loads(s.expr)) and used <= self.fresh:
            return False
        if isinstance(s.expr, L.Ref):
            v = s.expr.var
        else:
            v = Var(scalar(s.expr.dtype), "t")
            self.slots[v] = len(self.slots)
            self.pending.append(L.Let(v, s.expr))
        self.flush()
        self.out.append(Keep(s.number, v))
        self.kept.add(v)
        return True

    def _named(self, s: Any) -> Any:
        """A statement for the host whose expressions read no memory: what they read is computed by a region."""

        def name(e: L.Expr) -> L.Expr:
            if not any(True for _ in loads(e)):
                return e
            v = Var(scalar(e.dtype), "t")
            self.slots[v] = len(self.slots)
            self.pending.append(L.Let(v, e))
            return L.Ref(v)

        def views(found: list[L.View]) -> list[L.View]:
            return [v if v.expr is None else replace(v, expr=name(v.expr)) for v in found]

        match s:
            case L.Fail():
                return L.Fail(name(s.test), s.id, views(s.payload), s.loc)
            case L.HostCall():
                return L.HostCall(s.id, views(s.views), s.loc)
            case L.Branch():
                return L.Branch(name(s.test), s.then, s.orelse, s.loc)
            case L.Forever():
                return L.Forever(s.head, name(s.test), s.body, s.loc)
        return s

    def _fetch(self, wanted: list[Var]) -> None:
        for v in dict.fromkeys(wanted):
            if v not in self.fresh:
                self.out.append(Fetch(v))
                self.fresh.add(v)
                self.fetched.setdefault(v)

    def _outline(self, s: Any) -> None:
        match s:
            case L.Loop():
                self._fetch([v for v in size_vars(s.size) if v in self.slots])
                self.fresh.clear()
                body = self.block([*s.setup, *s.body, *released(s.setup)])
                new: L.Stmt = L.Loop(s.var, s.size, body, reverse=s.reverse, loc=s.loc)
            case L.Forever():
                self.fresh.clear()
                outer, self.out = self.out, []
                for x in s.head:
                    self.stmt(x)
                s = self._named(s)
                self.flush()
                self._fetch([v for v in visit.used(s) if v in self.slots])
                head, self.out = self.out, outer
                new = L.Forever(head, s.test, self.block(s.body), s.loc)
            case L.Branch():
                s = self._named(s)
                self.flush()
                self._fetch([v for v in visit.used(s) if v in self.slots])
                known = set(self.fresh)
                then = self.block(s.then)
                self.fresh = known
                new = L.Branch(s.test, then, self.block(s.orelse), s.loc)
        self.fresh.clear()
        self.out.append(new)

    # -- kernels -------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """End the region that is being gathered."""
        body, self.pending = self.pending, []
        if body:
            self._launch(self._kernel("region", [], body))
        self.out += self.later
        self.later = []

    def _grid(self, s: L.Loop) -> None:
        """A nest as a kernel of its own."""
        cover = self.covering(s)
        assert cover is not None
        domain, body, shared = cover
        touched = self.facts(s).used | self.facts(s).given
        if any(not _constant(x) or x.var in touched for x in self.pending):
            self.flush()
        k = self._kernel("threads", domain, body, shared)
        k.loc = s.loc
        if k.spread:
            k.kind = "teams"
        self._fetch([v for _, n in domain for v in size_vars(n) if v in self.slots])
        self._launch(k)

    def _launch(self, k: Kernel) -> None:
        self._fetch([v for b in k.workspace for n in b.shape for v in size_vars(n) if v in self.slots])
        self.out.append(Launch(k))
        self.fresh -= k.gives

    def _kernel(
        self, kind: str, domain: list[tuple[Var, Size]], body: Stmts, shared: frozenset[L.Buffer] = frozenset()
    ) -> Kernel:
        k = Kernel(len(self.kernels), kind, domain, body)
        self.kernels.append(k)
        k.facts = self.facts
        parts = [self.facts(x) for x in body]
        inside = {v for p in parts for v in p.bound} | {v for v, _ in domain}
        k.fails = any(L.Fail in p.kinds or L.Grow in p.kinds for p in parts)
        k.gives = {v for p in parts for v in (*p.given, *p.bound)}
        k.touches = {}
        for p in parts:
            for a in p.accesses:
                k.touches[a.buffer] = k.touches.get(a.buffer, False) or a.writes
        found = dict(spread(self.facts, body))
        k.spread = set(found)
        k.shared = shared.union(*[free.shared for free in found.values()])
        k.body = _hoisted(body, inside, k.workspace)
        own = {b for p in parts for b in p.made}
        k.fails = k.fails or any(b.takes and b not in k.workspace for b in own)
        for b in own:
            k.touches.pop(b, None)
        for s in found:
            k.narrow = s.size if not set(size_vars(s.size)) & inside else None
            break
        return k

    def _connect(self) -> None:
        """Find which scalars go into kernels and out of them."""
        wanted = {*self.fetched, *self.kept}
        for k in self.kernels:
            k.uses = _free(k)
            wanted.update(k.uses)
        for k in self.kernels:
            k.defines = [v for v in self.slots if v in k.gives and v in wanted]


# -- questions about statements --------------------------------------------------------------------------------------


def _constant(s: Any) -> bool:
    """Whether a statement may as well run later."""
    return isinstance(s, L.Let) and (s.expr is None or isinstance(s.expr, L.Const))


def _only_gemm(s: L.Loop) -> bool:
    """Whether a nest is matrix products that a library runs one by one."""
    inner: Any = s
    while isinstance(inner, L.Loop):
        if len(inner.body) != 1:
            return False
        inner = inner.body[0]
    return isinstance(inner, L.Gemm)


def _count(sizes: list[Size]) -> int | None:
    """The product of sizes, if it is known."""
    total = 1
    for n in sizes:
        if not isinstance(n, int):
            return None
        total *= n
    return total


def _large(s: L.Loop) -> bool:
    """Whether a nest may have enough iterations for a kernel of its own."""
    sizes: list[Size] = []
    inner: Any = s
    while isinstance(inner, L.Loop):
        sizes.append(inner.size)
        inner = next((x for x in inner.body if isinstance(x, L.Loop)), None)
    n = _count(sizes)
    return n is None or n >= LARGE


def _free(k: Kernel) -> list[Var]:
    """The scalars that a kernel needs from outside."""
    inside = {v for v, _ in k.domain}
    found: dict[Var, None] = {}
    for _, n in k.domain:
        found.update(dict.fromkeys(size_vars(n)))

    def visit_all(stmts: Stmts, known: set[Var]) -> None:
        known = set(known)
        for s in stmts:
            if isinstance(s, L.Loop):
                found.update(dict.fromkeys(v for v in size_vars(s.size) if v not in known))
                visit_all(s.setup, known)
                visit_all(s.body, known | {s.var} | {a.var for a in s.setup if isinstance(a, L.Let)})
                continue
            if isinstance(s, L.Forever):  # head, test and body are one scope
                visit_all(s.head, known)
                inner = known | {x.var for x in s.head if isinstance(x, L.Let)}
                found.update(dict.fromkeys(v for v in visit.used(s) if v not in inner))
                visit_all(s.body, inner)
                continue
            found.update(dict.fromkeys(v for v in visit.used(s) if v not in known))
            for b in visit.blocks(s):
                visit_all(b, known)
            if isinstance(s, L.Let):
                known.add(s.var)
            elif isinstance(s, L.Assign | L.Grow):
                for v in visit.assigned(s):
                    if v not in known:
                        found.setdefault(v)

    visit_all(k.body, inside)
    for b in k.workspace:
        for n in b.shape:
            found.update(dict.fromkeys(size_vars(n)))
    return list(found)


# -- rewriting -------------------------------------------------------------------------------------------------------


def _hoisted(body: Stmts, inside: set[Var], workspace: list[L.Buffer]) -> Stmts:
    """Statements without the memory whose size the host knows, which it makes in their place. Loops are changed as
    they stand: a program is scheduled once."""
    found: Stmts = []
    for s in body:
        match s:
            case L.Alloc() if s.buffer.home == "temp" and not s.buffer.moves and _known(s.buffer.shape, inside):
                workspace.append(s.buffer)
                continue
            case L.Release() if s.buffer in workspace:
                continue
            case L.Loop():
                opened = [*s.setup, *s.body, *released(s.setup)]
                s.setup, s.body = [], _hoisted(opened, inside, workspace)
            case L.Forever():
                s.head, s.body = _hoisted(s.head, inside, workspace), _hoisted(s.body, inside, workspace)
            case L.Branch():
                s.then, s.orelse = _hoisted(s.then, inside, workspace), _hoisted(s.orelse, inside, workspace)
        found.append(s)
    return found


def _known(shape: Shape, inside: set[Var]) -> bool:
    return not any(v in inside for n in shape for v in size_vars(n))
