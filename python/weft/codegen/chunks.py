"""What chunks of parallel loops must know of their surroundings."""

from __future__ import annotations

from weft.codegen.expressions import constant
from weft.ir.nodes import Var
from weft.ir.primitive import Primitive, Reduce
from weft.lowering import loops as L


def written_locals(s: L.Loop) -> list[L.Buffer]:
    """Arrays on the stack, made outside, that the loop writes."""
    found: dict[L.Buffer, None] = {}
    made: set[L.Buffer] = set()

    def visit(stmts: list[L.Stmt]) -> None:
        for x in stmts:
            match x:
                case L.Write():
                    found.setdefault(x.place.buffer)
                case L.Copy():
                    found.setdefault(x.target.buffer)
                case L.Gemm():
                    found.setdefault(x.c.buffer)
                case L.Routine():
                    found.update(dict.fromkeys(p.buffer for p in x.places))
                case L.HostCall():
                    found.update(dict.fromkeys(v.place.buffer for v in x.views if v.place))
                case L.Alloc():
                    made.add(x.buffer)
                case L.Loop():
                    visit(x.setup)
                    visit(x.body)
                case L.Forever():
                    visit(x.head)
                    visit(x.body)
                case L.Branch():
                    visit(x.then)
                    visit(x.orelse)

    visit(s.setup)
    visit(s.body)
    return [b for b in found if b.home == "local" and b not in made]


def first_value(p: Primitive, a: Var) -> str:
    """A reduction's start value."""
    assert isinstance(p.kind, Reduce)
    dtype = a.type.dtype
    return constant(dtype.type(p.kind.init(dtype)), dtype)[0]
