"""Products of arrays: the library's matrix product where it pays, fused loops where it does not."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from weft.ir.builder import Builder
from weft.ir.nodes import Atom, Op, Stmt, Var
from weft.ir.primitive import REGISTRY
from weft.ir.sizes import Shape, Size, dim
from weft.ir.types import ArrayType
from weft.lowering import loops as L
from weft.lowering.fuse import loop_vars
from weft.lowering.values import Stored
from weft.primitives.linalg import Axes, free_axes

if TYPE_CHECKING:
    from weft.lowering.state import Lowering

SMALL = 4096  # multiplications below which loops of known sizes beat a library call


def dot(lw: Lowering, op: Op) -> None:
    """A product of two arrays over some of their axes."""
    a, b = op.args
    (batch, contract) = op.attrs["batch"], op.attrs["contract"]
    rows = free_axes(a.type.rank, batch[0], contract[0])
    columns = free_axes(b.type.rank, batch[1], contract[1])
    if op.outs[0].type.dtype.char not in "fdFD" or _loops_pay(a, b, rows, columns, contract):
        in_loops(lw, op, rows, columns)
    else:
        by_library(lw, op, rows, columns)


def _loops_pay(a: Atom, b: Atom, rows: Axes, columns: Axes, contract: tuple[Axes, Axes]) -> bool:
    """Whether loops do as well: inner and outer products, rows times a vector, small known sizes."""
    if not contract[0] or not (rows or columns):
        return True
    if not rows or not columns:
        # every row is contiguous: a reduction that other loops can share
        matrix, axes, free = (a, contract[0], rows) if rows else (b, contract[1], columns)
        if min(axes) > max(free):
            return True
    sizes = [x.type.shape[k] for x, axes in ((a, (*rows, *contract[0])), (b, columns)) for k in axes]
    return all(isinstance(s, int) for s in sizes) and prod(s for s in sizes if isinstance(s, int)) <= SMALL


def _lower(lw: Lowering, stmts: list[Stmt]) -> None:
    from weft.lowering.ops import statement

    for s in stmts:
        statement(lw, s)


def _emit(lw: Lowering, name: str, args: tuple[Atom, ...], **attrs: Any) -> Atom:
    """Lower an operation that the program does not have; its result."""
    with Builder() as b, b.scope() as block:
        out: Atom = REGISTRY[name](*args, **attrs)
    _lower(lw, block.stmts)
    return out


def in_loops(lw: Lowering, op: Op, rows: Axes, columns: Axes) -> None:
    """The sum over a space of batch, row, column and contracted axes, fused like any reduction."""
    a, b = op.args
    batch, contract = op.attrs["batch"], op.attrs["contract"]
    lanes, inner = len(batch[0]), len(contract[0])
    outer = lanes + len(rows) + len(columns)
    shape = (*op.outs[0].type.shape, *[a.type.shape[k] for k in contract[0]])
    places = (
        (*range(lanes + len(rows)), *range(outer, outer + inner)),
        (*range(lanes), *range(lanes + len(rows), outer + inner)),
    )
    spread = []
    for x, order, dims in (
        (a, (*batch[0], *rows, *contract[0]), places[0]),
        (b, (*batch[1], *columns, *contract[1]), places[1]),
    ):
        if order != tuple(range(x.type.rank)):
            x = _emit(lw, "transpose", (x,), perm=order)
        if len(dims) < len(shape):
            x = _emit(lw, "broadcast", (x,), shape=shape, dims=dims)
        spread.append(x)
    mul = REGISTRY["mul"]
    if not inner:
        _lower(lw, [Op(mul, tuple(spread), {}, op.outs, op.loc)])
        return
    product = Var(ArrayType(op.outs[0].type.dtype, shape))
    axes = tuple(range(outer, outer + inner))
    _lower(
        lw,
        [
            Op(mul, tuple(spread), {}, (product,), op.loc),
            Op(REGISTRY["reduce_sum"], (product,), {"axes": axes}, op.outs, op.loc),
        ],
    )


def by_library(lw: Lowering, op: Op, rows: Axes, columns: Axes) -> None:
    """One ``gemm`` for each batch index; an operand whose axes lie otherwise is rearranged first."""
    (out,) = op.outs
    batch = op.attrs["batch"]
    pairs = sorted(zip(*op.attrs["contract"], strict=True))
    contract = (tuple([p for p, _ in pairs]), tuple([q for _, q in pairs]))
    a, trans_a = _arranged(lw, op.args[0], batch[0], rows, contract[0], False)
    b, trans_b = _arranged(lw, op.args[1], batch[1], columns, contract[1], True)
    first, second = lw.stored(a), lw.stored(b)
    shape = lw.shape(out.type.shape)
    lanes = len(batch[0])
    m, n = shape[lanes : lanes + len(rows)], shape[lanes + len(rows) :]
    k = lw.shape(tuple([op.args[0].type.shape[i] for i in contract[0]]))
    c = lw.new_buffer(out.type.dtype, shape, out.name, out)
    lw.heavy = True
    loops = loop_vars(lanes)
    body: list[L.Stmt] = [
        L.Gemm(
            out.type.dtype, trans_a, trans_b, m, n, k,
            _place(first, loops), m if trans_a else k, _place(second, loops), k if trans_b else n,
            L.Place(c, _index(loops, len(shape)), shape), n,
        )
    ]  # fmt: skip
    for v, size in reversed(list(zip(loops, shape, strict=False))):
        body = [L.Loop(v, size, body, loc=op.loc)]
    for s in body:
        lw.emit(s)
    lw.define(out, Stored(c, shape))


def _arranged(lw: Lowering, x: Atom, batch: Axes, free: Axes, contract: Axes, right: bool) -> tuple[Atom, bool]:
    """An operand with its batch axes first and the others in one of the two orders that ``gemm`` reads."""
    plain = (*batch, *contract, *free) if right else (*batch, *free, *contract)
    turned = (*batch, *free, *contract) if right else (*batch, *contract, *free)
    natural = tuple(range(x.type.rank))
    if plain == natural:
        return x, False
    if turned == natural:
        return x, True
    return _emit(lw, "transpose", (x,), perm=plain), False


def _index(loops: list[Var], rank: int) -> tuple[Size, ...]:
    return (*[dim(v) for v in loops], *[0] * (rank - len(loops)))


def _place(x: Stored, loops: list[Var]) -> L.Place:
    shape: Shape = x.shape
    return L.Place(x.buffer, _index(loops, len(shape)), shape)
