"""Large reductions cut into blocks: each block's part goes into memory, then the parts are combined."""

from __future__ import annotations

from weft.ir.nodes import Var
from weft.ir.primitive import REGISTRY, Primitive, Reduce
from weft.ir.sizes import dim
from weft.ir.types import i64, scalar
from weft.lowering import loops as L
from weft.lowering.depends import freedom
from weft.lowering.visit import Facts, Stmts

BLOCKS = 1024  # into which a reduction is cut at most
LEAST = 256  # iterations in a block, at least


def blockwise(facts: Facts, s: L.Loop) -> Stmts | None:
    """A large reduction: each block's part into memory, then the parts together."""
    if freedom(facts, s) is None:
        return None
    n = s.size
    number = lambda name, e: L.Let(Var(scalar(i64), name), e)
    least, most = REGISTRY["minimum"], REGISTRY["maximum"]
    one, bound_ = L.Const(i64.type(1), i64), L.Const(i64.type(BLOCKS), i64)
    wanted = L.Apply(REGISTRY["floordiv"], (L.Index(n + (LEAST - 1)), L.Const(i64.type(LEAST), i64)), i64)
    count = number("blocks", L.Apply(most, (L.Apply(least, (wanted, bound_), i64), one), i64))
    blocks = dim(count.var)
    length = number("length", L.Apply(REGISTRY["floordiv"], (L.Index(n + blocks - 1), L.Index(blocks)), i64))
    b, k = Var(scalar(i64), "block"), Var(scalar(i64), "k")
    start = number("start", L.Product((dim(b), dim(length.var))))
    rest = L.Index(n - dim(start.var))
    here = number("here", L.Apply(least, (L.Index(dim(length.var)), rest), i64))
    parts: list[tuple[Primitive, Var, Var, L.Buffer]] = []
    head: Stmts = [start, here]
    renamed: dict[Var, Var] = {}
    for p, acc in s.reductions:
        part = Var(acc.type, f"{acc.name or 's'}_part")
        memory = L.Buffer(f"{acc.name or 's'}_parts", acc.type.dtype, (blocks,))
        parts.append((p, acc, part, memory))
        renamed[acc] = part
        head.append(L.Let(part, _first(p, acc), mutable=True))
    inner = L.Loop(
        k, dim(here.var), [L.Let(s.var, L.Index(dim(start.var) + dim(k))), *_with_vars(s.body, renamed)],
        vector=s.vector, reductions=[(p, renamed[a]) for p, a in s.reductions], setup=s.setup, loc=s.loc,
    )  # fmt: skip
    tail: Stmts = [L.Write(L.Place(m, (dim(b),), (blocks,)), L.Ref(v)) for _, _, v, m in parts]
    out: Stmts = [count, length, *[L.Alloc(m) for _, _, _, m in parts]]
    out.append(L.Loop(b, blocks, [*head, inner, *tail], loc=s.loc))
    for p, acc, _, m in parts:
        at = Var(scalar(i64), "b")
        load = L.Load(L.Place(m, (dim(at),), (blocks,)))
        step = L.Assign(acc, L.Combine(p, L.Ref(acc), load, acc.type.dtype))
        out.append(L.Loop(at, blocks, [step], vector=True, reductions=[(p, acc)]))
    out += [L.Release(m) for _, _, _, m in parts]
    return out


def _first(p: Primitive, acc: Var) -> L.Const:
    """A reduction's start value."""
    assert isinstance(p.kind, Reduce)
    dtype = acc.type.dtype
    return L.Const(dtype.type(p.kind.init(dtype)), dtype)


def _with_vars(stmts: Stmts, names: dict[Var, Var]) -> Stmts:
    """Statements that accumulate into other variables."""

    def expr(e: L.Expr) -> L.Expr:
        match e:
            case L.Ref():
                return L.Ref(names.get(e.var, e.var))
            case L.Apply():
                return L.Apply(e.prim, tuple([expr(a) for a in e.args]), e.dtype, e.attrs)
            case L.Combine():
                return L.Combine(e.prim, expr(e.left), expr(e.right), e.dtype)
            case L.Builtin():
                return L.Builtin(e.name, tuple([expr(a) for a in e.args]), e.dtype)
        return e

    found: Stmts = []
    for s in stmts:
        match s:
            case L.Assign():
                s = L.Assign(names.get(s.var, s.var), expr(s.expr))
            case L.Let() if s.expr is not None:
                s = L.Let(s.var, expr(s.expr), s.mutable, s.loc)
            case L.Write():
                s = L.Write(s.place, expr(s.expr), s.combine, s.loc)
            case L.Loop():
                s = L.Loop(
                    s.var, s.size, _with_vars(s.body, names), s.parallel, s.vector, s.reverse,
                    [(p, names.get(a, a)) for p, a in s.reductions], s.cost, s.inner, s.setup, s.fails, s.loc,
                )  # fmt: skip
            case L.Forever():
                s = L.Forever(_with_vars(s.head, names), expr(s.test), _with_vars(s.body, names), s.loc)
            case L.Branch():
                s = L.Branch(expr(s.test), _with_vars(s.then, names), _with_vars(s.orelse, names), s.loc)
            case L.Fail():
                payload = [L.View(v.place, v.shape, v.dtype, expr(v.expr) if v.expr else None) for v in s.payload]
                s = L.Fail(expr(s.test), s.id, payload, s.loc)
        found.append(s)
    return found
