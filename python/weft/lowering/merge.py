"""Neighbouring parallel nests whose rows need only their own rows become one nest.

Fusion while lowering joins what is computed; this joins what is written: a row that is read into one array and then
cleared is still in the cache, and threads meet once instead of twice. Inside a row the statements keep their order.
"""

from __future__ import annotations

from collections.abc import Iterator

from weft.ir.nodes import Var
from weft.ir.sizes import Size, dim, map_size, size_vars
from weft.lowering import loops as L
from weft.lowering.values import loads


def merged(stmts: list[L.Stmt]) -> list[L.Stmt]:
    """Statements with neighbouring nests merged, also inside sequential loops and branches."""
    out: list[L.Stmt] = []
    for s in stmts:
        match s:
            case L.Loop() if not s.parallel:
                s.body = merged(s.body)
            case L.Forever():
                s.head, s.body = merged(s.head), merged(s.body)
            case L.Branch():
                s.then, s.orelse = merged(s.then), merged(s.orelse)
            case L.Loop() if out and isinstance(out[-1], L.Loop) and _join(out[-1], s):
                continue
            case _:
                pass
        out.append(s)
    return out


def _join(a: L.Loop, b: L.Loop) -> bool:
    """Move the second nest's rows into the first, if that means the same."""
    if a.size != b.size or a.inner != b.inner or not (_plain(a) and _plain(b)):
        return False
    moved = [renamed(s, {b.var: a.var}) for s in b.body]
    first, second = list(_accesses(a.body)), list(_accesses(moved))
    shared = {p.buffer for p, _ in first} & {p.buffer for p, _ in second}
    if not shared:
        return False
    for buffer in shared:
        uses = [(p, wrote) for p, wrote in [*first, *second] if p.buffer is buffer]
        if not any([wrote for _, wrote in uses]):
            continue
        rows = {p.index[0] if p.index else 0 for p, _ in uses}
        row = rows.pop()
        if rows or a.var not in set(size_vars(row)):
            return False
    a.body = [*a.body, *moved]
    a.cost += b.cost
    return True


def _plain(s: L.Loop) -> bool:
    """A parallel nest of writes and inner loops of writes, with nothing else to mind."""
    if not s.parallel or s.vector or s.reductions or s.setup or s.fails or s.reverse:
        return False
    return _rows_only(s.body)


def _rows_only(stmts: list[L.Stmt]) -> bool:
    for s in stmts:
        match s:
            case L.Write():
                continue
            case L.Let() if not s.mutable and s.expr is not None:
                continue
            case L.Loop() if not (s.parallel or s.reductions or s.setup or s.fails) and _rows_only(s.body):
                continue
        return False
    return True


def _accesses(stmts: list[L.Stmt]) -> Iterator[tuple[L.Place, bool]]:
    """The places that statements touch, and whether they write them."""
    for s in stmts:
        match s:
            case L.Write():
                yield s.place, True
                yield from ((x.place, False) for x in loads(s.expr))
            case L.Let(expr=value) if value is not None:
                yield from ((x.place, False) for x in loads(value))
            case L.Loop():
                yield from _accesses(s.body)
            case _:
                raise TypeError(f"not a statement of a plain nest: {s!r}")


def renamed(s: L.Stmt, variables: dict[Var, Var]) -> L.Stmt:
    """A statement of a plain nest over other variables.

    Raises
    ------
    TypeError
        It is another kind of statement than a write, a name for a value, or a loop of these.
    """

    def size(n: Size) -> Size:
        return map_size(n, lambda v: dim(variables[v]) if v in variables else None)

    def place(p: L.Place) -> L.Place:
        return L.Place(p.buffer, tuple([size(i) for i in p.index]), p.shape)

    def expr(e: L.Expr) -> L.Expr:
        match e:
            case L.Const() | L.Product():
                return e
            case L.Ref():
                return L.Ref(variables.get(e.var, e.var))
            case L.Index():
                return L.Index(size(e.size), e.dtype)
            case L.Load():
                return L.Load(place(e.place))
            case L.Apply():
                return L.Apply(e.prim, tuple([expr(a) for a in e.args]), e.dtype, e.attrs)
            case L.Combine():
                return L.Combine(e.prim, expr(e.left), expr(e.right), e.dtype)
            case L.Builtin():
                return L.Builtin(e.name, tuple([expr(a) for a in e.args]), e.dtype)
        raise TypeError(f"not an expression: {e!r}")

    match s:
        case L.Write():
            return L.Write(place(s.place), expr(s.expr), s.combine, s.loc)
        case L.Let(expr=value) if value is not None:
            return L.Let(s.var, expr(value), s.mutable, s.loc)
        case L.Loop():
            body = [renamed(x, variables) for x in s.body]
            return L.Loop(
                s.var, s.size, body, vector=s.vector, reverse=s.reverse, cost=s.cost, inner=s.inner, loc=s.loc
            )
    raise TypeError(f"not a statement of a plain nest: {s!r}")
