"""Statements as lines of C++."""

from __future__ import annotations

import linecache
from collections.abc import Sequence

from weft.codegen.chunks import first_value, written_locals
from weft.codegen.expressions import PRIMARY, PRODUCT, SUM, Expressions, Text, ctype, reduction_clause
from weft.codegen.lanes import TYPES as LANE_TYPES
from weft.codegen.lanes import Lanes
from weft.codegen.lanes import emit as emit_lanes
from weft.codegen.strips import Strips
from weft.ir.nodes import Loc, Var
from weft.ir.primitive import Primitive
from weft.ir.sizes import Shape, dim
from weft.lowering import loops as L


class Statements(Expressions):
    """Prints statements; ``lines`` collects them."""

    def __init__(self, device: bool = False) -> None:
        super().__init__(device)
        self.on_device = device
        self.lines: list[str] = []
        self.depth = 1
        self.chunk: str | None = None  # inside a parallel body: how it leaves on a failure
        self.lanes: Lanes | None = None  # inside a block of lanes: what varies between them
        self._line: tuple[str, int] | None = None

    def put(self, text: str) -> None:
        """One line."""
        self.lines.append("  " * self.depth + text)

    def source(self, loc: Loc | None) -> None:
        """The user's line as a comment, when it changes."""
        if loc is None or (loc.file, loc.line) == self._line:
            return
        self._line = (loc.file, loc.line)
        text = linecache.getline(loc.file, loc.line).strip()
        if text:
            self.put(f"// {loc.line}: {text}".rstrip("\\ "))

    def body(self, stmts: list[L.Stmt]) -> None:
        """Statements one level further in."""
        self.depth += 1
        self.names.enter()
        for s in stmts:
            self.stmt(s)
        self.names.leave()
        self.depth -= 1

    def stmt(self, s: L.Stmt) -> None:
        """One statement."""
        match s:
            case L.Let():
                self.source(s.loc)
                qualifier = "" if s.mutable else "const "
                value = "" if s.expr is None else f" = {self.text(s.expr)}"
                self.put(f"{qualifier}{ctype(s.var.type.dtype)} {self.var(s.var)}{value};")
            case L.Assign():
                self.assign(s)
            case L.Write():
                self.write(s)
            case L.Loop():
                self.source(s.loc)
                self.loop(s)
            case L.Forever():
                self.forever(s)
            case L.Branch():
                self.branch(s)
            case L.Alloc():
                self.alloc(s.buffer)
            case L.Release():
                self.put(f"ctx->release(ctx, {self.buffer(s.buffer)});")
            case L.Grow():
                b, cap = self.buffer(s.buffer), self.var(s.capacity)
                need, row = self.size(s.need)[0], self.product(s.row)[0]
                self.put(f"if ({need} > {cap} && !grow(ctx, {b}, {cap}, {row})) {self.no_memory()}")
            case L.Copy():
                self.copy(s)
            case L.Repoint():
                self.repoint(s)
            case L.HostCall():
                self.source(s.loc)
                self.host(s.id, s.views, None)
            case L.Fail():
                self.fail(s)
            case L.Gemm():
                self.gemm(s)
            case L.Routine():
                self.headers.add(s.header)
                args = [self.pointer(p) for p in s.places] + [self.text(e) for e in s.values]
                self.put(f"{s.name}({', '.join(args)});")
            case L.Output():
                dtype = ctype(s.expr.dtype)
                self.put(f"*({dtype}*)scalars[{s.number}] = {self.text(s.expr)};")
            case _:
                raise TypeError(f"not a statement: {s!r}")

    # -- assignments -----------------------------------------------------------------------------------------------

    def assign(self, s: L.Assign) -> None:
        """``x += e`` where that says the same."""
        name = self.var(s.var)
        e = s.expr
        if isinstance(e, L.Combine) and isinstance(e.left, L.Ref) and e.left.var is s.var:
            op = self._filled_op(e)
            if op:
                self.put(f"{name} {op}= {self.text(e.right)};")
                return
        if (
            isinstance(e, L.Index)
            and not isinstance(e.size, int)
            and e.size.terms == ((s.var, 1),)
            and e.size.const == 1
        ):
            self.put(f"++{name};")
            return
        self.put(f"{name} = {self.text(e)};")

    @staticmethod
    def _filled_op(e: L.Combine) -> str:
        from weft.codegen.expressions import _combination

        op = _combination(e.prim, e.dtype)[2]
        return op if op in ("+", "*", "|", "&") and e.dtype.kind != "c" else ""

    def write(self, s: L.Write) -> None:
        """A new value for an element."""
        self.source(s.loc)
        place = self.element(s.place)
        if s.combine is None:
            self.put(f"{place} = {self.text(s.expr)};")
            return
        e = L.Combine(s.combine, L.Load(s.place), s.expr, s.expr.dtype)
        op = self._filled_op(e)
        self.put(f"{place} {op}= {self.text(s.expr)};" if op else f"{place} = {self.text(e)};")

    # -- loops -----------------------------------------------------------------------------------------------------

    def loop(self, s: L.Loop) -> None:
        """A counted loop."""
        if s.parallel and not self.chunk and self._worth(s):
            if s.reductions:
                self.reduction(s)
            else:
                self.parallel(s)
            return
        for a in s.setup:
            self.stmt(a)
        self.counted(s, "0", self.size(s.size)[0])

    @staticmethod
    def _worth(s: L.Loop) -> bool:
        """Whether a loop could have enough work for several threads."""
        work = s.cost
        for n in (s.size, *s.inner):
            if not isinstance(n, int):
                return True
            work *= n
        return work > 50000

    def counted(self, s: L.Loop, lo: str, hi: str) -> None:
        """The loop itself, between two bounds."""
        lanes = Lanes(s) if s.parallel else None
        if lanes is not None and lanes.fits():
            emit_lanes(self, lanes, lo, hi)
            return
        strips = Strips(s)
        if not self.on_device and strips.fits():
            strips.emit(self, lo, hi)
            return
        self.names.enter()
        v = self.var(s.var)
        if s.vector:
            clauses = [(reduction_clause(p, a.type.dtype), self.var(a)) for p, a in s.reductions]
            if not clauses:
                self.put("#pragma GCC ivdep")
            elif all(c for c, _ in clauses):
                self.put("#pragma omp simd " + " ".join(f"reduction({c}: {a})" for c, a in clauses))
        if s.reverse:
            self.put(f"for (i64 {v} = {hi} - 1; {v} >= {lo}; --{v}) {{")
        else:
            self.put(f"for (i64 {v} = {lo}; {v} < {hi}; ++{v}) {{")
        self.body(s.body)
        self.put("}")
        self.names.leave()

    def work(self, s: L.Loop) -> str:
        """What an iteration costs, as an expression."""
        sizes: Shape = (s.cost, *s.inner)
        return self.product(sizes)[0]

    def parallel(self, s: L.Loop) -> None:
        """Chunks of a loop on several threads."""
        fails = s.fails or _may_fail([*s.setup, *s.body])
        local = written_locals(s)
        capture = "".join(f", &{self.buffer(b)}" for b in local)
        if fails:
            failure = self.names.fresh("failed")
            self.put(f"Failure {failure};")
            capture += f", {failure} = &{failure}"
        n = self.size(s.size)[0]
        self.put(f"parallel(ctx, {n}, grain({self.work(s)}), [={capture}](i64 lo, i64 hi) WEFT_CHUNK {{")
        outer, self.chunk = self.chunk, failure if fails else "-"
        self.depth += 1
        self.names.enter()
        for a in s.setup:
            self.stmt(a)
        self.counted(s, "lo", "hi")
        for a in s.setup:
            if isinstance(a, L.Alloc) and a.buffer.home == "temp":
                self.put(f"ctx->release(ctx, {self.buffer(a.buffer)});")
        self.names.leave()
        self.depth -= 1
        self.chunk = outer
        self.put("});")
        if fails:
            self.put(f"if (WEFT_UNLIKELY({failure}.status)) return {failure}.raise(ctx);")

    def reduction(self, s: L.Loop) -> None:
        """A loop cut into blocks that are reduced one by one, and then together."""
        n, v = self.size(s.size), self.names.fresh("blocks")
        count = self.paren(n, PRODUCT)
        self.put(f"const i64 {v} = block_count({n[0]}, {self.work(s)});")
        parts: list[tuple[Primitive, Var, str]] = []
        for p, a in s.reductions:
            part = self.names.fresh(f"{self.var(a)}_part")
            self.put(f"{ctype(a.type.dtype)} {part}[most_blocks];")
            parts.append((p, a, part))
        capture = "".join(f", &{part}" for _, _, part in parts) + "".join(
            f", &{self.buffer(b)}" for b in written_locals(s)
        )
        fails = s.fails or _may_fail([*s.setup, *s.body])
        if fails:
            failure = self.names.fresh("failed")
            self.put(f"Failure {failure};")
            capture += f", {failure} = &{failure}"
        self.put(f"parallel(ctx, {v}, 1, [={capture}](i64 lo, i64 hi) WEFT_CHUNK {{")
        outer, self.chunk = self.chunk, failure if fails else "-"
        self.depth += 1
        self.names.enter()
        for x in s.setup:
            self.stmt(x)
        b = self.names.fresh("b")
        self.put(f"for (i64 {b} = lo; {b} < hi; ++{b}) {{")
        self.depth += 1
        for p, a, _ in parts:
            self.put(f"{ctype(a.type.dtype)} {self.var(a)} = {first_value(p, a)};")
        self.counted(s, f"{count} * {b} / {v}", f"{count} * ({b} + 1) / {v}")
        for _, a, part in parts:
            self.put(f"{part}[{b}] = {self.var(a)};")
        self.depth -= 1
        self.put("}")
        for x in s.setup:
            if isinstance(x, L.Alloc) and x.buffer.home == "temp":
                self.put(f"ctx->release(ctx, {self.buffer(x.buffer)});")
        self.names.leave()
        self.depth -= 1
        self.chunk = outer
        self.put("});")
        if fails:
            self.put(f"if (WEFT_UNLIKELY({failure}.status)) return {failure}.raise(ctx);")
        self.put(f"for (i64 {b} = 0; {b} < {v}; ++{b}) {{")
        self.depth += 1
        for p, a, part in parts:
            piece = L.Buffer(part, a.type.dtype, ())
            self.names._names[piece] = part
            at = Var(a.type, b)
            self.names._names[at] = b
            load = L.Load(L.Place(piece, (dim(at),), (1,)))
            self.assign(L.Assign(a, L.Combine(p, L.Ref(a), load, a.type.dtype)))
        self.depth -= 1
        self.put("}")

    def forever(self, s: L.Forever) -> None:
        """A loop with a test at its start."""
        self.source(s.loc)
        test = s.test
        if not s.head:
            self.put(f"while ({self.text(test)}) {{")
            self.body(s.body)
            self.put("}")
            return
        self.put("for (;;) {")
        self.names.enter()  # head and body are one C++ block: what the head declares keeps its name in the body
        self.depth += 1
        for h in s.head:
            self.stmt(h)
        self.depth -= 1
        self.depth += 1
        self.put(f"if ({self.text(L.Builtin('not', (test,), test.dtype))}) break;")
        self.depth -= 1
        self.body(s.body)
        self.names.leave()
        self.put("}")

    def branch(self, s: L.Branch) -> None:
        """Two ways."""
        self.source(s.loc)
        if not s.then and not s.orelse:
            return
        if not s.then:
            self.put(f"if ({self.text(L.Builtin('not', (s.test,), s.test.dtype))}) {{")
            self.body(s.orelse)
            self.put("}")
            return
        self.put(f"if ({self.text(s.test)}) {{")
        self.body(s.then)
        if s.orelse:
            self.put("} else {")
            self.body(s.orelse)
        self.put("}")

    def expr(self, e: L.Expr) -> Text:
        """An expression; in a block of lanes, conditions are masks and lanes' elements are loaded together."""
        if self.lanes is None or not self.lanes.varies(e):
            return super().expr(e)
        match e:
            case L.Load():
                return f"load_lanes<{LANE_TYPES[e.dtype]}>({self.pointer(e.place)})", PRIMARY
            case L.Index() if any(v is self.lanes.loop.var for v, _ in e.size.terms):  # type: ignore[union-attr]
                v = self.lanes.loop.var
                rest = e.size - dict(e.size.terms)[v] * dim(v)  # type: ignore[union-attr,operator]
                scale = dict(e.size.terms)[v]  # type: ignore[union-attr]
                text = f"lanes_from({self.var(v)})" + (f" * {scale}" if scale != 1 else "")
                return (f"{text} + {self.paren(self.size(rest), SUM)}" if rest != 0 else text), SUM
            case L.Ref() if e.var is self.lanes.loop.var:
                return f"lanes_from({self.var(e.var)})", PRIMARY
            case L.Apply(args=[a]) if a.dtype.kind == "i" and e.dtype.kind == "f":
                return f"__builtin_convertvector({self.text(a)}, f64x)", PRIMARY
        text, level = super().expr(e)
        if e.dtype.kind == "b" and isinstance(e, L.Apply | L.Builtin):
            return f"(i64x)({text.removeprefix('(bool)')})", PRIMARY
        return text, level

    # -- memory ----------------------------------------------------------------------------------------------------

    def no_memory(self) -> str:
        """What is done when there is no memory."""
        if self.chunk is None:
            return "return WEFT_NO_MEMORY;"
        return f"return {self.chunk}->no_memory();"

    def alloc(self, b: L.Buffer) -> None:
        """A buffer's declaration."""
        name, t = self.buffer(b), ctype(b.dtype)
        if b.row is not None:
            self.put(f"{t}* __restrict {name} = {self.pointer(b.row)};")
            return
        if b.home == "local":
            self.put(
                f"{t} {name}[{self.product(b.shape)[0]}];" if self.product(b.shape)[0] != "0" else f"{t} {name}[1];"
            )
            return
        restrict = "" if b.moves else "__restrict "
        if b.home == "result":
            dims = self.names.fresh(f"{name}_dims")
            self.put(f"const weft_i64 {dims}[] = {{{', '.join(self.size(s)[0] for s in b.shape)}}};")
            got = f"ctx->result(ctx, {b.number}, {len(b.shape)}, {dims})"
            self.put(f"{t}* {restrict}{name} = ({t}*){got};")
        else:
            count = self.paren(self.product(b.shape), PRODUCT)
            self.put(f"{t}* {restrict}{name} = ({t}*)scratch(ctx, {count} * sizeof({t}));")
        self.put(f"if (!{name}) {self.no_memory()}")
        if b.home == "result" and b.moves:
            home = self.names.fresh(f"{name}_home")
            self.names._names[("home", b.number)] = home
            self.put(f"{t}* const {home} = {name};")

    def buffer(self, b: L.Buffer) -> str:
        """A buffer's name; "home" is the memory that result ``number`` had from the start."""
        if b.home == "home":
            return self.names._names[("home", b.number)]
        return super().buffer(b)

    def copy(self, s: L.Copy) -> None:
        """Contiguous elements."""
        t = ctype(s.target.buffer.dtype)
        target, source = self.pointer(s.target), self.pointer(s.source)
        count = self.paren(self.product(s.count), PRODUCT)
        test = f"if ({target} != {source}) " if s.maybe_same else ""
        self.put(f"{test}__builtin_memcpy({target}, {source}, {count} * sizeof({t}));")

    def repoint(self, s: L.Repoint) -> None:
        """Pointers exchanged."""
        pairs = list(s.pairs)
        while pairs:
            a, b = pairs.pop(0)
            back = next((p for p in pairs if p == (b, a)), None)
            if back is not None:
                pairs.remove(back)
                self.put(f"swap({self.buffer(a)}, {self.buffer(b)});")
                continue
            rest = [(a, b), *pairs]
            pairs = []
            saved = {y: self.names.fresh(f"{self.buffer(y)}_old") for _, y in rest}
            for y, name in saved.items():
                self.put(f"{ctype(y.dtype)}* const {name} = {self.buffer(y)};")
            for x, y in rest:
                self.put(f"{self.buffer(x)} = {saved[y]};")

    # -- calls -----------------------------------------------------------------------------------------------------

    def host(self, id: int, views: list[L.View], after: str | None) -> None:
        """A call of a host function; ``after``: what follows whatever it says."""
        self.put("{")
        self.depth += 1
        items: list[str] = []
        back: list[str] = []
        for k, v in enumerate(views):
            items.append(self.scalar_view(k, v, back) if v.place is None else self.array_view(id, k, v, v.place, back))
        self.before_host()
        self.put(f"const WeftView views[] = {{{', '.join(items) or '{}'}}};")
        if after is not None:
            self.put(f"ctx->host(ctx, {id}, {len(views)}, views);")
            self.put(after)
        else:
            self.put(f"if (int status = ctx->host(ctx, {id}, {len(views)}, views)) return status;")
        for line in back:
            self.put(line)
        self.depth -= 1
        self.put("}")

    def scalar_view(self, k: int, v: L.View, back: list[str]) -> str:
        """Operand ``k``, a scalar; what is to be done after the call goes to ``back``."""
        value = "" if v.expr is None else f" = {self.text(v.expr)}"
        self.put(f"{ctype(v.dtype)} x{k}_{value};")
        if v.into is not None:
            back.append(f"{self.var(v.into)} = x{k}_;")
        return f"{{&x{k}_, {v.dtype.num}, 0, nullptr}}"

    def array_view(self, id: int, k: int, v: L.View, place: L.Place, back: list[str]) -> str:
        """Operand or result ``k`` of host function ``id``, an array."""
        self.put(f"const weft_i64 d{k}_[] = {{{', '.join(self.size(s)[0] for s in v.shape)}}};")
        return f"{{(void*)({self.pointer(place)}), {v.dtype.num}, {len(v.shape)}, d{k}_}}"

    def before_host(self) -> None:
        """What stands between the operands and the call of a host function."""

    def fail(self, s: L.Fail) -> None:
        """A failed check leaves."""
        self.source(s.loc)
        test = self.text(s.test)
        if any(v.place is not None for v in s.payload):
            self.put(f"if (WEFT_UNLIKELY({test})) {{")
            self.depth += 1
            self.host(s.id, s.payload, "return WEFT_ERROR;")
            self.depth -= 1
            self.put("}")
            return
        values = "".join(
            f", ({ctype(v.dtype)}){self.paren(self.expr(v.expr), 1)}" if v.expr is not None else "" for v in s.payload
        )
        if self.chunk is None:
            self.put(f"if (WEFT_UNLIKELY({test})) return raise(ctx, {s.id}{values});")
        else:
            self.put(f"if (WEFT_UNLIKELY({test})) return {self.chunk}->set({s.id}{values});")

    def gemm(self, s: L.Gemm) -> None:
        """A matrix product."""
        m, n, k, lda, ldb, ldc = (self.product(x)[0] for x in (s.m, s.n, s.k, s.lda, s.ldb, s.ldc))
        a, b, c = self.pointer(s.a), self.pointer(s.b), self.pointer(s.c)
        self.put(
            f"ctx->gemm(ctx, {s.dtype.num}, {int(s.trans_a)}, {int(s.trans_b)}, {m}, {n}, {k}, {a}, {lda}, {b}, {ldb}, "
            f"{c}, {ldc}, 0);"
        )


def _may_fail(stmts: Sequence[L.Stmt]) -> bool:
    """Whether statements can end a parallel body early: an error, or no memory."""
    for s in stmts:
        match s:
            case L.Fail() | L.Grow() | L.HostCall():
                return True
            case L.Alloc():
                if s.buffer.takes:
                    return True
            case L.Loop():
                if _may_fail(s.setup) or _may_fail(s.body):
                    return True
            case L.Forever():
                if _may_fail(s.head) or _may_fail(s.body):
                    return True
            case L.Branch():
                if _may_fail(s.then) or _may_fail(s.orelse):
                    return True
    return False
