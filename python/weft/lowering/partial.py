"""Large reductions cut into blocks: each block's part goes into memory, then the parts are combined."""

from __future__ import annotations

from dataclasses import replace

from weft.ir.nodes import Var
from weft.ir.primitive import REGISTRY, Reduce
from weft.ir.sizes import dim
from weft.ir.types import bool_, i64, scalar
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
    head: Stmts = [start, here]
    names: dict[Var, Var] = {}
    memory: dict[Var, L.Buffer] = {}  # of each block's part of an accumulator
    for acc, first in [*_totals(s), *_extrema(s)]:
        part = names[acc] = Var(acc.type, f"{acc.name or 's'}_part")
        memory[acc] = L.Buffer(f"{part.name}s", acc.type.dtype, (blocks,))
        head.append(L.Let(part, first, mutable=True))
    inner = L.Loop(
        k, dim(here.var), [L.Let(s.var, L.Index(dim(start.var) + dim(k))), *_renamed(s.body, names, s.var, k)],
        vector=s.vector, reductions=[(p, names[a]) for p, a in s.reductions], setup=s.setup, loc=s.loc,
        extrema=[(p, names[best], names[where]) for p, best, where in s.extrema],
    )  # fmt: skip
    tail: Stmts = [L.Write(L.Place(m, (dim(b),), (blocks,)), L.Ref(names[a])) for a, m in memory.items()]
    out: Stmts = [count, length, *[L.Alloc(m) for m in memory.values()]]
    out.append(L.Loop(b, blocks, [*head, inner, *tail], loc=s.loc))
    for p, acc in s.reductions:
        at = Var(scalar(i64), "b")
        step = L.Assign(acc, L.Combine(p, L.Ref(acc), _part(memory[acc], at), acc.type.dtype))
        out.append(L.Loop(at, blocks, [step], vector=True, reductions=[(p, acc)]))
    for p, best, where in s.extrema:
        at, x, i = Var(scalar(i64), "b"), Var(best.type, "x"), Var(scalar(i64), "at")
        better = L.Builtin("first or", (L.Index(dim(at)), L.Combine(p, L.Ref(best), L.Ref(x), bool_)), bool_)
        take = L.Branch(better, [L.Assign(best, L.Ref(x)), L.Assign(where, L.Ref(i))], [])
        some = L.Apply(REGISTRY["ge"], (L.Ref(i), L.Const(i64.type(0), i64)), bool_)  # an empty block found nothing
        body: Stmts = [
            L.Let(x, _part(memory[best], at)),
            L.Let(i, _part(memory[where], at)),
            L.Branch(some, [take], []),
        ]
        out.append(L.Loop(at, blocks, body, extrema=[(p, best, where)]))
    out += [L.Release(m) for m in memory.values()]
    return out


def _part(memory: L.Buffer, at: Var) -> L.Load:
    return L.Load(L.Place(memory, (dim(at),), memory.shape))


def _totals(s: L.Loop) -> list[tuple[Var, L.Expr]]:
    """The accumulators of reductions and what a block's part starts with."""
    found: list[tuple[Var, L.Expr]] = []
    for p, acc in s.reductions:
        assert isinstance(p.kind, Reduce)
        dtype = acc.type.dtype
        found.append((acc, L.Const(dtype.type(p.kind.init(dtype)), dtype)))
    return found


def _extrema(s: L.Loop) -> list[tuple[Var, L.Expr]]:
    """The variables of extrema and what a block's part starts with: found nowhere."""
    found: list[tuple[Var, L.Expr]] = []
    for _, best, where in s.extrema:
        dtype = best.type.dtype
        found += [(best, L.Const(dtype.type(0), dtype)), (where, L.Const(i64.type(-1), i64))]
    return found


def _renamed(stmts: Stmts, names: dict[Var, Var], index: Var, counter: Var) -> Stmts:
    """Statements that accumulate into other variables, the first iteration being that of another counter."""

    def expr(e: L.Expr) -> L.Expr:
        match e:
            case L.Ref():
                return L.Ref(names.get(e.var, e.var))
            case L.Apply():
                return L.Apply(e.prim, tuple([expr(a) for a in e.args]), e.dtype, e.attrs)
            case L.Combine():
                return L.Combine(e.prim, expr(e.left), expr(e.right), e.dtype)
            case L.Builtin(name="first or", args=(L.Index(size=n), better)) if n == dim(index):
                return L.Builtin(e.name, (L.Index(dim(counter)), expr(better)), e.dtype)
            case L.Builtin():
                return L.Builtin(e.name, tuple([expr(a) for a in e.args]), e.dtype)
        return e

    def inner(body: Stmts) -> Stmts:
        return _renamed(body, names, index, counter)

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
                s = replace(s, body=inner(s.body), reductions=[(p, names.get(a, a)) for p, a in s.reductions])
            case L.Forever():
                s = L.Forever(inner(s.head), expr(s.test), inner(s.body), s.loc)
            case L.Branch():
                s = L.Branch(expr(s.test), inner(s.then), inner(s.orelse), s.loc)
            case L.Fail():
                payload = [L.View(v.place, v.shape, v.dtype, expr(v.expr) if v.expr else None) for v in s.payload]
                s = L.Fail(expr(s.test), s.id, payload, s.loc)
        found.append(s)
    return found
