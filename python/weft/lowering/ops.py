"""Lowering of single operations, by the kind and rule that their primitives state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from weft.ir.nodes import Call, For, If, Map, Op, Stmt, Var, While
from weft.ir.primitive import REGISTRY, Collective, Elementwise, Host, Library, Loops, Reduce, Reindex
from weft.ir.sizes import Size, dim
from weft.ir.types import bool_, i64, scalar
from weft.lowering import loops as L
from weft.lowering import views
from weft.lowering.fuse import Root, loop_vars
from weft.lowering.hostcalls import call_host, check, communicate, print_
from weft.lowering.inplace import store
from weft.lowering.nests import compute
from weft.lowering.products import dot
from weft.lowering.values import Node, Stored, Value, is_expr, shape_of

if TYPE_CHECKING:
    from weft.lowering.state import Lowering

Rule = Callable[["Lowering", Op], None]


def statement(lw: Lowering, s: Stmt) -> None:
    """Lower one statement."""
    from weft.lowering.control import lower_for, lower_if, lower_map, lower_while

    match s:
        case Op():
            operation(lw, s)
        case For():
            lower_for(lw, s)
        case While():
            lower_while(lw, s)
        case If():
            lower_if(lw, s)
        case Map():
            lower_map(lw, s)
        case Call():
            raise NotImplementedError(f"call of the recursive function {s.func.name!r} cannot be compiled")
        case _:
            raise TypeError(f"not a statement: {s!r}")


def operation(lw: Lowering, op: Op) -> None:
    """Lower an operation."""
    match op.prim.kind:
        case Elementwise():
            elementwise(lw, op)
        case Reindex(rule=rule) | Loops(rule=rule):
            RULES.get(rule, call_host)(lw, op)
        case Library(routine=rule):
            RULES.get(rule, call_host)(lw, op)
        case Reduce(index=index):
            reduce(lw, op, "arg" if index else "reduce")
        case Host(rule=rule):
            {"check": check, "print": print_}.get(rule, call_host)(lw, op)
        case Collective():
            communicate(lw, op)
        case _:
            raise TypeError(f"no lowering kind: {op.prim.kind!r}")


def elementwise(lw: Lowering, op: Op) -> None:
    """A value for each element, or a scalar."""
    (out,) = op.outs
    args = tuple([lw.value(a) for a in op.args])
    scalars = tuple([a for a in args if is_expr(a)])
    if len(scalars) == len(args):
        lw.define(out, lw.apply(op.prim, scalars, out.type.dtype))
        return
    lw.define(out, Node(out, "map", args, lw.shape(out.type.shape), out.type.dtype, op.prim, loc=op.loc))


WORTH_MEMORY = 64  # what an element costs, in additions, that is computed in vectors before a search that is not


def _cost(lw: Lowering, v: Value) -> int:
    """What an element of a pending value costs."""
    v = lw.resolved(v)
    return v.cost + sum([_cost(lw, a) for a in v.args]) if isinstance(v, Node) else 0


def reduce(lw: Lowering, op: Op, rule: str) -> None:
    """A reduction waits until its value is needed, so that others can share its loops."""
    (out,) = op.outs
    source = lw.value(op.args[0])
    axes = op.attrs["axes"] if rule == "reduce" else (op.attrs["axis"],)
    if not axes:
        lw.define(out, source)
        return
    if rule == "arg" and _cost(lw, source) >= WORTH_MEMORY:
        lw.force(source)  # type: ignore[arg-type]
        source = lw.resolved(source)
    lw.define(out, Node(out, rule, (source,), lw.shape(out.type.shape), out.type.dtype, op.prim, None, axes, op.loc))


# -- arrays from nothing -------------------------------------------------------------------------------------------


def iota(lw: Lowering, op: Op) -> None:
    """The index itself."""
    (out,) = op.outs
    lw.define(out, Node(out, "iota", (), lw.shape(out.type.shape), out.type.dtype, op.prim, loc=op.loc))


def undef(lw: Lowering, op: Op) -> None:
    """Memory with anything in it."""
    (out,) = op.outs
    shape = lw.shape(out.type.shape)
    if not shape:
        lw.define(out, L.Const(out.type.dtype.type(0), out.type.dtype))
        return
    lw.define(out, Stored(lw.new_buffer(out.type.dtype, shape, out.name, out), shape))


def make(lw: Lowering, op: Op) -> None:
    """An array of given scalars."""
    (out,) = op.outs
    shape = lw.shape(out.type.shape)
    values = [lw.scalar(a) for a in op.args]
    if not shape:
        lw.define(out, values[0])
        return
    b = lw.new_buffer(out.type.dtype, shape, out.name, out)
    for k, e in enumerate(values):
        lw.emit(L.Write(L.Place(b, (k,), (len(values),)), e, None, op.loc))
    lw.define(out, Stored(b, shape))


def concat(lw: Lowering, op: Op) -> None:
    """Arrays one after the other along an axis."""
    (out,) = op.outs
    axis, shape = op.attrs["axis"], lw.shape(out.type.shape)
    parts = [lw.value(a) for a in op.args]
    b = lw.new_buffer(out.type.dtype, shape, out.name, out)
    roots, start = [], 0  # type: ignore[var-annotated]
    for p in parts:
        roots.append(Root(p, shape_of(p), _part(b, shape, axis, start), loc=op.loc))
        start = start + shape_of(p)[axis]  # type: ignore[operator]
    compute(lw, roots)
    lw.define(out, Stored(b, shape))


def _part(b: L.Buffer, shape: Any, axis: int, start: Size) -> Any:
    return lambda pull, i: L.Place(b, (*i[:axis], i[axis] + start, *i[axis + 1 :]), shape)


# -- running combinations --------------------------------------------------------------------------------------------


def cumulative(lw: Lowering, op: Op) -> None:
    """Each element combined with all before it along an axis."""
    (out,) = op.outs
    axis, backward = op.attrs["axis"], op.attrs["reverse"]
    combine = REGISTRY[{"cumsum": "reduce_sum", "cumprod": "reduce_prod", "cummax": "reduce_max", "cummin": "reduce_min"}[op.prim.name]]  # fmt: skip # noqa: E501
    shape, dtype = lw.shape(out.type.shape), out.type.dtype
    source = lw.stored(op.args[0])
    b = lw.new_buffer(dtype, shape, out.name, out)
    loops = loop_vars(len(shape))
    index = tuple([dim(v) for v in loops])
    here = L.Place(b, index, shape)
    x = L.Load(L.Place(source.buffer, index, shape))
    if axis == len(shape) - 1:
        acc = Var(scalar(dtype), "total")
        kind = combine.kind
        assert isinstance(kind, Reduce)
        first = L.Const(dtype.type(kind.init(dtype)), dtype)
        inner: list[L.Stmt] = [L.Assign(acc, L.Combine(combine, L.Ref(acc), x, dtype)), L.Write(here, L.Ref(acc))]
        body: list[L.Stmt] = [L.Let(acc, first, True), L.Loop(loops[axis], shape[axis], inner, reverse=backward)]
    else:
        # the row before is in memory: a first sweep copies the row that starts, a second goes on from there
        back = 1 if backward else -1
        before = L.Place(b, (*index[:axis], index[axis] + back, *index[axis + 1 :]), shape)
        edge: Size = shape[axis] - 1 if backward else 0
        starts = index[axis] == edge
        assert not starts
        at_edge = L.Builtin("same", (L.Index(index[axis]), L.Index(edge)), bool_)
        rest: list[L.Stmt] = [L.Write(here, L.Combine(combine, L.Load(before), x, dtype))]
        copy: list[L.Stmt] = [L.Write(here, x)]
        for k in range(len(shape) - 1, axis, -1):
            again = Var(scalar(i64), loops[k].name)
            copy = [L.Loop(again, shape[k], _renamed(copy, loops[k], again), vector=k == len(shape) - 1)]
            rest = [L.Loop(loops[k], shape[k], rest, vector=k == len(shape) - 1)]
        body = [L.Loop(loops[axis], shape[axis], [L.Branch(at_edge, copy, rest)], reverse=backward)]
    for k in range(axis - 1, -1, -1):
        body = [L.Loop(loops[k], shape[k], body)]
    for s in body:
        lw.emit(s)
    lw.define(out, Stored(b, shape))


def _renamed(body: list[L.Stmt], old: Var, new: Var) -> list[L.Stmt]:
    """The copying statements of `cumulative` over another loop variable."""
    from weft.ir.sizes import map_size

    def place(p: L.Place) -> L.Place:
        return L.Place(
            p.buffer, tuple([map_size(i, lambda v: dim(new) if v is old else None) for i in p.index]), p.shape
        )

    found: list[L.Stmt] = []
    for s in body:
        match s:
            case L.Write(place=p, expr=L.Load(place=q)):
                found.append(L.Write(place(p), L.Load(place(q))))
            case L.Loop():
                found.append(L.Loop(s.var, s.size, _renamed(s.body, old, new), vector=s.vector))
            case _:
                raise TypeError(f"unexpected statement: {s!r}")
    return found


# -- positions of true elements --------------------------------------------------------------------------------------


def mask_indices(lw: Lowering, op: Op) -> None:
    """Count, then list where a mask is true."""
    count, *lists = op.outs
    mask = lw.stored(op.args[0])
    shape = mask.shape
    lw.emit(L.Let(count, L.Index(0), True))
    lw.env[count] = L.Ref(count)
    lw.bounds[count] = None

    def sweep(then: list[L.Stmt], loops: list[Var]) -> None:
        load = L.Load(L.Place(mask.buffer, tuple([dim(v) for v in loops]), shape))
        body: list[L.Stmt] = [L.Branch(load, then, [])]
        for v, s in reversed(list(zip(loops, shape, strict=True))):
            body = [L.Loop(v, s, body)]
        for x in body:
            lw.emit(x)

    one = L.Index(dim(count) + 1)
    sweep([L.Assign(count, one)], loop_vars(len(shape)))
    at = Var(scalar(i64), "at")
    rows = [lw.new_buffer(i64, (dim(count),), o.name or "where", o) for o in lists]
    lw.emit(L.Let(at, L.Index(0), True))
    loops = loop_vars(len(shape))
    writes: list[L.Stmt] = [
        L.Write(L.Place(b, (dim(at),), (dim(count),)), L.Index(dim(v))) for b, v in zip(rows, loops, strict=True)
    ]
    sweep([*writes, L.Assign(at, L.Index(dim(at) + 1))], loops)
    for o, b in zip(lists, rows, strict=True):
        lw.define(o, Stored(b, (dim(count),)))


RULES: dict[str, Rule] = {
    "broadcast": views.broadcast, "transpose": views.transpose, "reshape": views.reshape, "index": views.index,
    "iota": iota, "undef": undef, "make": make, "concat": concat, "store": store, "accum": store,
    "cumsum": cumulative, "cumprod": cumulative, "cummax": cumulative, "cummin": cumulative,
    "mask_indices": mask_indices, "gemm": dot,
}  # fmt: skip
