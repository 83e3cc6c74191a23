"""Independent lanes with loops of their own, eight at a time.

A loop whose iterations run scalar code with `while` loops is not vectorised by C++ compilers, and one lane waits for
each of its own operations. Here a block of lanes runs as vectors (``csrc/kernels/lanes.h``): a condition becomes a
mask, assignments under it select, and a block ends when its own lanes are done, so one long lane holds up seven
others and no more. Lanes that do not fill a block, and code that vectors do not express, run one by one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from weft.codegen.expressions import _template
from weft.ir.nodes import Var
from weft.ir.sizes import Dim, Size, size_vars
from weft.ir.types import DType, bool_, f64, i64
from weft.lowering import loops as L

if TYPE_CHECKING:
    from weft.codegen.statements import Statements

FUNCTIONS = frozenset(
    {"select", "abs", "exp", "log", "sin", "cos", "tan", "tanh", "expm1", "log1p", "sqrt", "floor", "ceil"}
)  # what csrc/kernels/lanes.h overloads
TYPES: dict[DType, str] = {f64: "f64x", i64: "i64x", bool_: "i64x"}


class Lanes:
    """What varies from lane to lane in one loop."""

    def __init__(self, loop: L.Loop) -> None:
        self.loop = loop
        self.varying: set[Var] = {loop.var}
        self.waits = False  # whether there is a loop that lanes leave at different times

    # -- whether the loop can be written so ------------------------------------------------------------------------

    def fits(self) -> bool:
        """Whether the loop's body is scalar code that vectors express, with a loop worth it."""
        if self.loop.setup or self.loop.reductions or self.loop.reverse or self.loop.fails:
            return False
        count = -1
        while count != len(self.varying):  # what varies: to a fixpoint, as loops carry it around
            count = len(self.varying)
            self._mark(self.loop.body, False)
        return self._stmts(self.loop.body, masked=False) and self.waits

    def _mark(self, stmts: list[L.Stmt], masked: bool) -> None:
        for s in stmts:
            match s:
                case L.Let() | L.Assign():
                    if s.expr is not None and (self.varies(s.expr) or (masked and isinstance(s, L.Assign))):
                        self.varying.add(s.var)
                case L.Forever():
                    inner = masked or self.varies(s.test)
                    self._mark(s.head, inner)
                    self._mark(s.body, inner)
                case L.Branch():
                    inner = masked or self.varies(s.test)
                    self._mark(s.then, inner)
                    self._mark(s.orelse, inner)
                case L.Loop():
                    self._mark(s.body, masked)
                case _:
                    pass

    def _stmts(self, stmts: list[L.Stmt], *, masked: bool) -> bool:
        return all([self._stmt(s, masked) for s in stmts])

    def _stmt(self, s: L.Stmt, masked: bool) -> bool:
        match s:
            case L.Let() | L.Assign():
                return s.var.type.dtype in TYPES and (s.expr is None or self._expr(s.expr))
            case L.Write():
                return not masked and s.combine is None and self._contiguous(s.place) and self._expr(s.expr)
            case L.Forever():
                inner = self.varies(s.test)
                self.waits = self.waits or inner
                inner = inner or masked
                parts = self._stmts(s.head, masked=inner) and self._stmts(s.body, masked=inner)
                return parts and self._expr(s.test)
            case L.Branch():
                inner = masked or self.varies(s.test)
                parts = self._stmts(s.then, masked=inner) and self._stmts(s.orelse, masked=inner)
                return parts and self._expr(s.test)
            case L.Loop():
                plain = not (s.setup or s.reductions or s.fails or s.vector)
                return plain and not self._size_varies(s.size) and self._stmts(s.body, masked=masked)
        return False

    def _size_varies(self, s: Size) -> bool:
        return any([v in self.varying for v in size_vars(s)])

    def _contiguous(self, p: L.Place) -> bool:
        """Whether lanes have neighbouring elements."""
        if p.buffer.dtype not in (f64, i64) or p.buffer.home == "local" or not p.index:
            return False
        last, others = p.index[-1], p.index[:-1]
        if any([self._size_varies(i) for i in others]) or not isinstance(last, Dim):
            return False
        return dict(last.terms).get(self.loop.var) == 1 and not any(
            [v in self.varying and v is not self.loop.var for v, _ in last.terms]
        )

    def varies(self, e: L.Expr) -> bool:
        """Whether an expression differs between lanes."""
        match e:
            case L.Const() | L.Product():
                return False
            case L.Ref():
                return e.var in self.varying
            case L.Index():
                return self._size_varies(e.size)
            case L.Load():
                return any([self._size_varies(i) for i in e.place.index])
            case L.Apply() | L.Builtin():
                return any([self.varies(a) for a in e.args])
            case L.Combine():
                return self.varies(e.left) or self.varies(e.right)
        raise TypeError(f"not an expression: {e!r}")

    def _expr(self, e: L.Expr) -> bool:
        if not self.varies(e):
            return True
        match e:
            case L.Ref() | L.Index():
                return e.dtype in TYPES
            case L.Load():
                return self._contiguous(e.place)
            case L.Builtin():
                return e.name == "not" and self._expr(e.args[0])
            case L.Apply():
                if e.dtype not in TYPES or any([a.dtype not in TYPES for a in e.args]):
                    return False
                return self._apply(e) and all([self._expr(a) for a in e.args])
        return False

    def _apply(self, e: L.Apply) -> bool:
        dtypes = tuple([a.dtype for a in e.args])
        text, _, op = _template(e.prim, dtypes, e.dtype)
        text = text.removeprefix("(bool)")
        if dtypes[-1] == bool_ and any([not self.varies(a) for a in e.args]):
            return False  # a C++ bool does not go with a mask
        if op in ("/", "%") and dtypes[0] == i64:
            return False
        if text == "(f64)\x010\x02" and dtypes[0] == i64:
            return True
        if op or re.fullmatch(r"\(?[-!~]?\x010\x02\)?|\(\x010\x02 [&|^] \x011\x02\)", text):
            return True
        m = re.match(r"(\w+)\(", text)
        return m is not None and m[1] in FUNCTIONS and (m[1] == "select" or dtypes[0] == f64)


def emit(p: Statements, lanes: Lanes, lo: str, hi: str) -> None:
    """The loop between two bounds: blocks of lanes, then the rest one by one."""
    s = lanes.loop
    p.headers.add("lanes.h")
    p.names.enter()
    v = p.var(s.var)
    p.put(f"i64 {v} = {lo};")
    p.put(f"for (; {v} + lane_count <= {hi}; {v} += lane_count) {{")
    p.lanes = lanes
    _Block(p, lanes).run(s.body, None)
    p.lanes = None
    p.put("}")
    p.put(f"for (; {v} < {hi}; ++{v}) {{")
    p.body(s.body)
    p.put("}")
    p.names.leave()


class _Block:
    """Prints statements over vectors; a mask is the name of a variable, None for all lanes."""

    def __init__(self, p: Statements, lanes: Lanes) -> None:
        self.p = p
        self.lanes = lanes

    def run(self, stmts: list[L.Stmt], mask: str | None) -> None:
        """Statements one level further in."""
        self.p.depth += 1
        self.p.names.enter()
        for s in stmts:
            self.stmt(s, mask)
        self.p.names.leave()
        self.p.depth -= 1

    def value(self, var: Var, e: L.Expr) -> str:
        """An expression as a vector, for a variable that varies."""
        text = self.p.text(e)
        return (
            text
            if self.lanes.varies(e)
            else f"wide(({'bool' if e.dtype == bool_ else e.dtype.name[0] + '64'}){_paren(text)})"
        )

    def stmt(self, s: L.Stmt, mask: str | None) -> None:
        """One statement."""
        p = self.p
        match s:
            case L.Let():
                p.source(s.loc)
                if s.var not in self.lanes.varying:
                    p.stmt(s)
                    return
                value = "" if s.expr is None else f" = {self.value(s.var, s.expr)}"
                qualifier = "" if s.mutable else "const "
                p.put(f"{qualifier}{TYPES[s.var.type.dtype]} {p.var(s.var)}{value};")
            case L.Assign():
                if s.var not in self.lanes.varying:
                    p.assign(s)
                    return
                name, value = p.var(s.var), self.value(s.var, s.expr)
                p.put(f"{name} = {value};" if mask is None else f"{name} = select({mask}, {value}, {name});")
            case L.Write():
                p.source(s.loc)
                p.put(f"store_lanes({p.pointer(s.place)}, {self._stored(s)});")
            case L.Forever():
                self._forever(s, mask)
            case L.Branch():
                self._branch(s, mask)
            case L.Loop():
                p.source(s.loc)
                p.names.enter()
                v, n = p.var(s.var), p.size(s.size)[0]
                head = f"i64 {v} = {n} - 1; {v} >= 0; --{v}" if s.reverse else f"i64 {v} = 0; {v} < {n}; ++{v}"
                p.put(f"for ({head}) {{")
                self.run(s.body, mask)
                p.put("}")
                p.names.leave()
            case _:
                raise TypeError(f"not a statement of lanes: {s!r}")

    def _stored(self, s: L.Write) -> str:
        text = self.p.text(s.expr)
        return text if self.lanes.varies(s.expr) else f"wide(({s.place.buffer.dtype.name[0]}64){_paren(text)})"

    def _forever(self, s: L.Forever, mask: str | None) -> None:
        p = self.p
        p.source(s.loc)
        if not self.lanes.varies(s.test):
            p.put("for (;;) {")
            self.run(s.head, mask)
            p.depth += 1
            p.put(f"if (!{_paren(p.text(s.test))}) break;")
            p.depth -= 1
            self.run(s.body, mask)
            p.put("}")
            return
        live = p.names.fresh("live")
        p.put(f"i64x {live} = {mask or '~i64x{}'};")
        p.put("for (;;) {")
        self.run(s.head, live)
        p.depth += 1
        p.put(f"{live} &= {p.text(s.test)};")
        p.put(f"if (!any({live})) break;")
        p.depth -= 1
        self.run(s.body, live)
        p.put("}")

    def _branch(self, s: L.Branch, mask: str | None) -> None:
        p = self.p
        p.source(s.loc)
        if not self.lanes.varies(s.test):
            p.put(f"if ({p.text(s.test)}) {{")
            self.run(s.then, mask)
            p.put("} else {")
            self.run(s.orelse, mask)
            p.put("}")
            return
        test = p.names.fresh("holds")
        p.put(f"const i64x {test} = {p.text(s.test)};")
        for stmts, condition in ((s.then, test), (s.orelse, f"~{test}")):
            if stmts:
                here = p.names.fresh("here")
                p.put(f"const i64x {here} = {condition}{f' & {mask}' if mask else ''};")
                p.put(f"if (any({here})) {{")
                self.run(stmts, here)
                p.put("}")


def _paren(text: str) -> str:
    return text if re.fullmatch(r"\w+", text) else f"({text})"
