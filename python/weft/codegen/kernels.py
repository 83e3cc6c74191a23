"""Statements as device code: what one thread does, and what a team of threads does together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from weft.codegen.chunks import first_value
from weft.codegen.expressions import OR, PRIMARY, PRODUCT, Text, _combination, ctype
from weft.codegen.statements import Statements
from weft.ir.nodes import Var
from weft.ir.primitive import REGISTRY, Primitive
from weft.lowering import loops as L
from weft.lowering import visit
from weft.lowering.grid import Kernel
from weft.lowering.values import loads
from weft.lowering.visit import Stmts


@dataclass(frozen=True)
class Parameter:
    """A kernel's parameter: its declaration, and the host's variable (or None for what only this kernel has)."""

    declaration: str
    name: str
    source: L.Buffer | Var | str
    role: str  # "buffer", "space", "value", "slot" or "failure"


class KernelPrinter(Statements):
    """Prints a kernel's body.

    Alone (``team`` is None) a thread runs plain code. In a team all threads run the same scalar code; its lead alone
    writes elements and runs sequential loops that write; the loops in ``spread`` are shared out. ``stale`` holds the
    arrays that a thread may still be reading since the team last met (None: any).
    """

    def __init__(self, kernel: Kernel, slots: dict[Var, int]) -> None:
        super().__init__(device=True)
        self.kernel = kernel
        self.slots = slots
        for word in ("failed", "team", "Team"):
            self.names.fresh(word)
        self.team = bool(kernel.spread)
        self.stale: set[L.Buffer] | None = set()
        self.firsts: dict[Var, str] = {}  # an extremum's best value: where this thread has found it
        self.leave = "return"  # how a failure leaves the code being printed

    # -- the whole -----------------------------------------------------------------------------------------------------

    def parameters(self) -> list[Parameter]:
        """The parameters, in order: arrays, workspace, sizes and scalars, slots, the failure record."""
        k = self.kernel
        found: list[Parameter] = []
        for b, written in k.touches.items():
            t, const = ctype(b.dtype), "" if written else "const "
            found.append(Parameter(f"{const}{t}* __restrict {self.buffer(b)}", self.buffer(b), b, "buffer"))
        for b in k.workspace:
            name = self.names.fresh(f"{b.name or 't'}_space")
            found.append(Parameter(f"{ctype(b.dtype)}* __restrict {name}", name, b, "space"))
        outer = [v for v in k.uses if v not in self.slots]
        for v in outer:
            found.append(Parameter(f"const {ctype(v.type.dtype)} {self.var(v)}", self.var(v), v, "value"))
        for v in dict.fromkeys([*(v for v in k.uses if v in self.slots), *k.defines]):
            name = self.names.fresh(f"{self.names.hint(v)}_slot")
            found.append(Parameter(f"{ctype(v.type.dtype)}* __restrict {name}", name, v, "slot"))
        if k.fails:
            found.append(Parameter("Failure* __restrict failed", "failed", "failure", "failure"))
        return found

    def print(self, parameters: list[Parameter], guarded: bool) -> list[str]:
        """The lines of the body; ``guarded``: an earlier kernel may have failed, and then this one does nothing."""
        k = self.kernel
        self.put("const Team team;" if self.team else "const Thread team;")
        if guarded:
            self.put("if (team.any(failed->status != 0)) return;")
        top = {s.var for s in k.body if isinstance(s, L.Let)}
        spaces = {p.source: p.name for p in parameters if p.role == "space"}
        for b, name in spaces.items():
            assert isinstance(b, L.Buffer)
            count = self.paren(self.product(b.shape), PRODUCT)
            self.put(f"{ctype(b.dtype)}* const {self.buffer(b)} = {name} + team.index() * {count};")
        for p in parameters:
            if p.role == "slot":
                v = p.source
                assert isinstance(v, Var)
                if v in k.uses or v not in top:
                    const = "" if v in k.gives else "const "
                    self.put(f"{const}{ctype(v.type.dtype)} {self.var(v)} = *{p.name};")
        if k.kind == "region":
            self.stmts(k.body, exported=set(k.defines))
        else:
            self.covered()
        out = [(p.name, p.source) for p in parameters if p.role == "slot" and p.source in k.defines]
        if out:
            lines = [f"*{name} = {self.var(v)};" for name, v in out]
            self.by_lead(lines)
        return self.lines

    def by_lead(self, lines: list[str]) -> None:
        """Lines that one thread runs."""
        if not self.team:
            for line in lines:
                self.put(line)
            return
        self.put("if (team.lead()) {")
        self.depth += 1
        for line in lines:
            self.put(line)
        self.depth -= 1
        self.put("}")

    def covered(self) -> None:
        """The iterations that the grid's threads or teams share out."""
        domain = self.kernel.domain
        self.source(self.kernel.loc)
        total = self.product(tuple([n for _, n in domain]))[0]
        one = len(domain) == 1
        at = self.var(domain[0][0]) if one else self.names.fresh("at")
        self.put(f"for (i64 {at} = team.index(); {at} < {total}; {at} += team.count()) {{")
        self.depth += 1
        self.names.enter()
        if not one:
            rest = at
            for v, n in reversed(domain[1:]):
                q = self.names.fresh("rest") if v is not domain[1][0] else self.var(domain[0][0])
                size = self.size(n)[0]
                self.put(f"i64 {self.var(v)};")
                self.put(f"const i64 {q} = divide({rest}, {size}, {self.var(v)});")
                rest = q
        self.stale = None
        self.stmts(self.kernel.body)
        self.names.leave()
        self.depth -= 1
        self.put("}")

    # -- statements ----------------------------------------------------------------------------------------------------

    def body(self, stmts: Stmts) -> None:
        """Statements one level further in."""
        self.depth += 1
        self.names.enter()
        self.stmts(stmts)
        self.names.leave()
        self.depth -= 1

    def stmts(self, stmts: Stmts, exported: set[Var] | None = None) -> None:
        """Statements in sequence; neighbours that the lead runs alone are run together."""
        if not self.team:
            for s in stmts:
                self.stmt(s, exported)
            return
        run: Stmts = []
        for s in stmts:
            if self.for_lead(s):
                run.append(s)
                continue
            self.lead(run)
            run = []
            self.stmt(s, exported)
        self.lead(run)

    def stmt(self, s: L.Stmt, exported: set[Var] | None = None) -> None:
        """One statement."""
        match s:
            case L.Let() if exported and s.var in exported and not s.mutable:
                super().stmt(L.Let(s.var, s.expr, True, s.loc))
            case L.Release():
                self.put(f"{self.who()}.release({self.buffer(s.buffer)});")
            case L.Grow():
                b, cap = self.buffer(s.buffer), self.var(s.capacity)
                need, row = self.size(s.need)[0], self.product(s.row)[0]
                grown = f"grow({self.who()}, {b}, {cap}, (i64)({row}))"
                self.put(f"if ({need} > {cap} && !{grown}) {self.no_memory()}")
            case L.Forever() if self.team:
                self.stale = None
                super().stmt(s)
                self.stale = None
            case L.HostCall() | L.Output() | L.Routine():
                raise TypeError(f"not a statement of kernels: {s!r}")
            case _:
                super().stmt(s)
        if self.team and self.stale is not None:
            self.stale.update(x.place.buffer for e in visit.exprs(s) for x in loads(e))

    def who(self) -> str:
        """The threads that run what is being printed."""
        return "team" if self.team else "Thread()"

    def for_lead(self, s: L.Stmt) -> bool:
        """Whether the lead runs a statement alone: it writes, and has nothing to share out."""
        inside = list(visit.walk([s]))
        if any(x in self.kernel.spread or isinstance(x, L.Gemm | L.Copy | L.Repoint) for x in inside):
            return False
        if isinstance(s, L.Let | L.Alloc | L.Release | L.Fail | L.Grow):
            return False
        return any(isinstance(x, L.Write) for x in inside)

    def lead(self, run: Stmts) -> None:
        """Statements that one thread runs for the team; what they assign goes to all."""
        if not run:
            return
        self.meet(None)
        known = visit.bound(run)
        given = dict.fromkeys(v for s in visit.walk(run) for v in visit.assigned(s) if v not in known)
        fails = any(isinstance(s, L.Fail | L.Grow) or visit_alloc(s) for s in visit.walk(run))
        with self.alone(fails):
            self.put("if (team.lead()) " + ("[&] {" if fails else "{"))
            self.depth += 1
            self.names.enter()
            for s in run:
                self.stmt(s)
            self.names.leave()
            self.depth -= 1
            self.put("}();" if fails else "}")
        self.put("team.sync();")
        self.stale = set()
        for v in given:
            self.put(f"{self.var(v)} = team.share({self.var(v)});")

    @contextmanager
    def alone(self, fails: bool) -> Iterator[None]:
        """Code of one thread inside a team's: a failure in it makes all leave."""
        leave = self.leave
        bad = self.names.fresh("bad") if fails else ""
        if fails:
            self.put(f"bool {bad} = false;")
            self.leave = f"{bad} = true; return"
        self.team = False
        yield
        self.team = True
        self.leave = leave
        if fails:
            self.put(f"if (team.any({bad})) return;")

    def meet(self, writes: set[L.Buffer] | None) -> None:
        """Wait for the team if a thread may still be reading what is written next (None: anything)."""
        if self.stale is None or (self.stale if writes is None else self.stale & writes):
            self.put("team.sync();")
            self.stale = set()

    # -- loops ---------------------------------------------------------------------------------------------------------

    def loop(self, s: L.Loop) -> None:
        """A counted loop: shared out, or run by each."""
        for a in s.setup:
            self.stmt(a)
        hi = self.size(s.size)[0]
        if self.team and s in self.kernel.spread:
            self.shared_out(s, hi)
            return
        self.names.enter()
        v = self.var(s.var)
        if s.reverse:
            self.put(f"for (i64 {v} = {hi} - 1; {v} >= 0; --{v}) {{")
        else:
            self.put(f"for (i64 {v} = 0; {v} < {hi}; ++{v}) {{")
        if self.team:
            self.stale = None
        self.body(s.body)
        self.put("}")
        if self.team:
            self.stale = None
        self.names.leave()

    def shared_out(self, s: L.Loop, hi: str) -> None:
        """A loop whose iterations the team's threads share out."""
        all_ = self.kernel.facts(s)
        inside, own = all_.accesses, all_.made
        writes = {a.buffer for a in inside if a.writes and a.buffer not in own}
        if writes:
            self.meet(writes)
        parts: list[tuple[Primitive, Var, str, str]] = []
        for p, a in s.reductions:
            name = self.var(a)
            part = self.names.fresh(f"{name}_mine")
            self.put(f"{ctype(a.type.dtype)} {part} = {first_value(p, a)};")
            parts.append((p, a, name, part))
        found: list[tuple[Primitive, Var, Var, str, str, str, str]] = []
        for p, best, where in s.extrema:
            names = self.var(best), self.var(where)
            mine = [self.names.fresh(f"{n}_mine") for n in names]
            self.put(f"{ctype(best.type.dtype)} {mine[0]} = {names[0]};")
            self.put(f"i64 {mine[1]} = -1;")
            found.append((p, best, where, *names, mine[0], mine[1]))
            self.firsts[best] = mine[1]
        fails = any(isinstance(x, L.Fail | L.Grow) or visit_alloc(x) for x in visit.walk(s.body))
        with self.alone(fails):
            for _, a, _, part in parts:
                self.names.rename(a, part)
            for _, best, where, _, _, b, w in found:
                self.names.rename(best, b)
                self.names.rename(where, w)
            self.names.enter()
            v = self.var(s.var)
            self.put(f"for (i64 {v} = team.rank(); {v} < {hi}; {v} += team.size()) " + ("[&] {" if fails else "{"))
            self.body(s.body)
            self.put("}();" if fails else "}")
            self.names.leave()
            for _, a, name, _ in parts:
                self.names.rename(a, name)
            for _, best, where, b, w, _, _ in found:
                self.names.rename(best, b)
                self.names.rename(where, w)
                del self.firsts[best]
        for p, a, name, part in parts:
            t = ctype(a.type.dtype)
            both = _combination(p, a.type.dtype)[0].replace("\x010\x02", "a").replace("\x011\x02", "b")
            op = self._filled_op(L.Combine(p, L.Ref(a), L.Ref(a), a.type.dtype))
            got = f"team.reduce({part}, []({t} a, {t} b) -> {t} {{ return {both}; }})"
            if op:
                self.put(f"{name} {op}= {got};")
            else:
                whole = _combination(p, a.type.dtype)[0].replace("\x010\x02", name).replace("\x011\x02", got)
                self.put(f"{name} = {whole};")
        for p, best, _, b, w, b_mine, w_mine in found:
            t = ctype(best.type.dtype)
            test = _combination(p, best.type.dtype)[0].replace("\x010\x02", "a").replace("\x011\x02", "b")
            got = self.names.fresh(f"{b}_found")
            better = f"[]({t} a, {t} b) -> bool {{ return {test}; }}"
            self.put(f"const Extremum<{t}> {got} = first_extremum(team, {b_mine}, {w_mine}, {better});")
            self.put(f"if ({got}.where >= 0) {{ {b} = {got}.best; {w} = {got}.where; }}")
        if writes and not (parts or found):
            self.put("team.sync();")
        if writes or parts or found:  # a reduction is a meeting too
            self.stale = set()
        elif self.stale is not None:
            self.stale.update(a.buffer for a in inside)

    def _builtin(self, e: L.Builtin) -> Text:
        """An operation of the lowering's own; the first iteration is the thread's first where threads share out."""
        if e.name == "first or" and isinstance(e.args[1], L.Combine):
            best = e.args[1].left
            if isinstance(best, L.Ref) and best.var in self.firsts:
                return f"{self.firsts[best.var]} < 0 || {self.paren(self.expr(e.args[1]), PRIMARY)}", OR
        return super()._builtin(e)

    # -- memory --------------------------------------------------------------------------------------------------------

    def write(self, s: L.Write) -> None:
        """A new value for an element; one that other iterations may add to as well is added to atomically."""
        if s.place.buffer not in self.kernel.shared or visit.accumulated(s) is None:
            super().write(s)
            return
        self.source(s.loc)
        prim = s.combine or REGISTRY["reduce_sum"]
        t, value = ctype(s.place.buffer.dtype), self.text(visit.added(s))
        if prim is REGISTRY["reduce_sum"]:
            self.put(f"atomic_add({self.pointer(s.place)}, ({t})({value}));")
            return
        both = _combination(prim, s.place.buffer.dtype)[0].replace("\x010\x02", "a").replace("\x011\x02", "b")
        op = f"[]({t} a, {t} b) -> {t} {{ return {both}; }}"
        self.put(f"atomic_combine({self.pointer(s.place)}, ({t})({value}), {op});")

    def alloc(self, b: L.Buffer) -> None:
        """Memory of a thread, or of a team."""
        name, t = self.buffer(b), ctype(b.dtype)
        if b.row is not None:
            self.put(f"{t}* const {name} = {self.pointer(b.row)};")
            return
        count = self.product(b.shape)[0]
        if b.home == "local":
            n = count if count != "0" else "1"
            if self.team:
                self.put(f"{t}* const {name} = team.template local<{t}, {n}, struct {name}_array>();")
            else:
                self.put(f"{t} {name}[{n}];")
            return
        restrict = "" if b.moves else "__restrict "
        count = self.paren(self.product(b.shape), PRODUCT)
        self.put(f"{t}* {restrict}{name} = ({t}*){self.who()}.alloc({count} * (i64)sizeof({t}));")
        self.put(f"if (!{name}) {self.no_memory()}")

    def no_memory(self) -> str:
        """What is done when there is no memory."""
        return f"{{ failed->no_memory(); {self.leave}; }}"

    def copy(self, s: L.Copy) -> None:
        """Contiguous elements."""
        target, source = self.pointer(s.target), self.pointer(s.source)
        count = self.product(s.count)[0]
        if self.team:
            self.meet(None)
        test = f"if ({target} != {source}) " if s.maybe_same else ""
        self.put(f"{test}copy({self.who()}, {target}, {source}, (i64)({count}));")
        if self.team:
            self.put("team.sync();")
            self.stale = set()

    def gemm(self, s: L.Gemm) -> None:
        """A matrix product."""
        if self.team:
            self.meet(None)
        m, n, k, lda, ldb, ldc = (self.product(x)[0] for x in (s.m, s.n, s.k, s.lda, s.ldb, s.ldc))
        flags = f"{str(s.trans_a).lower()}, {str(s.trans_b).lower()}"
        a, b, c = self.pointer(s.a), self.pointer(s.b), self.pointer(s.c)
        self.put(f"gemm({self.who()}, {flags}, {m}, {n}, {k}, {a}, {lda}, {b}, {ldb}, {c}, {ldc});")
        if self.team:
            self.put("team.sync();")
            self.stale = set()

    # -- errors --------------------------------------------------------------------------------------------------------

    def fail(self, s: L.Fail) -> None:
        """A failed check is recorded, and the code left."""
        self.source(s.loc)
        test = self.text(s.test)
        values = "".join(
            f", ({ctype(v.dtype)}){self.paren(self.expr(v.expr), PRIMARY)}" for v in s.payload if v.expr is not None
        )
        put = f"failed->set({s.id}{values});"
        if self.team:
            put = f"if (team.lead()) {put}"
        self.put(f"if ({test}) {{ {put} {self.leave}; }}")


def visit_alloc(s: L.Stmt) -> bool:
    """Whether a statement makes memory that there may not be."""
    return isinstance(s, L.Alloc) and s.buffer.takes
