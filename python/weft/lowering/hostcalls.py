"""Calls of host functions: what has no native lowering, prints, and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weft.ir.nodes import Op, Var, vars_in_static
from weft.ir.sizes import dim
from weft.ir.types import bool_
from weft.lowering import loops as L
from weft.lowering.values import Node, Stored

if TYPE_CHECKING:
    from weft.lowering.state import Lowering


def operand(lw: Lowering, a: Any) -> L.View:
    """An operand as a view: memory, or a scalar."""
    v = lw.value(a)
    if isinstance(v, Node):
        lw.force(v)
        v = lw.resolved(v)
    if isinstance(v, Stored):
        return L.View(L.Place(v.buffer, (0,) * len(v.shape), v.shape), v.shape, v.buffer.dtype)
    assert not isinstance(v, Node)
    return L.View(None, (), v.dtype, v)


def check(lw: Lowering, op: Op) -> None:
    """Raise, when the predicate is false; what is reported is only looked at then."""
    payload = [operand(lw, a) for a in op.args[1:]]
    id = lw.host(kind="raise", exc=op.attrs["exc"], message=op.attrs["message"])
    lw.fail(L.Builtin("not", (lw.scalar(op.args[0]),), bool_), id, payload, op.loc)
    if any(v.place is not None for v in payload):
        lw.frame.effects = True  # a record shared between threads holds scalars only


def print_(lw: Lowering, op: Op) -> None:
    """Print, in the program's order."""
    id = lw.host(kind="print", text=op.attrs["text"])
    lw.emit(L.HostCall(id, [operand(lw, a) for a in op.args], op.loc))
    lw.frame.effects = True


def call_host(lw: Lowering, op: Op) -> None:
    """Run an operation's NumPy meaning on views of operands and results; sizes in attributes are operands too."""
    if op.prim.dependent_results:
        raise NotImplementedError(f"{op.prim.name}: no native lowering")
    views = [operand(lw, a) for a in op.args]
    symbols = list(dict.fromkeys(v for x in op.attrs.values() for v in vars_in_static(x)))
    views += [L.View(None, (), v.type.dtype, L.Index(lw.size(dim(v)))) for v in symbols]
    id = lw.host(kind="host", prim=op.prim.name, attrs=dict(op.attrs), symbols=symbols, operands=len(op.args))
    _call(lw, op, id, views)


def communicate(lw: Lowering, op: Op) -> None:
    """Communication between devices: a host function that the runtime itself provides."""
    attrs = {k: op.attrs[k] for k in ("axis", "groups", "perm") if op.attrs.get(k) is not None}
    id = lw.host(kind="collective", op=op.prim.name, **attrs)
    _call(lw, op, id, [operand(lw, a) for a in op.args])


def _call(lw: Lowering, op: Op, id: int, views: list[L.View]) -> None:
    """Call host function ``id`` on views of operands, and then of the operation's results."""
    results: list[tuple[Var, Stored | L.Ref]] = []
    for o in op.outs:
        shape = lw.shape(o.type.shape)
        if shape:
            b = lw.new_buffer(o.type.dtype, shape, o.name, o)
            views.append(L.View(L.Place(b, (0,) * len(shape), shape), shape, o.type.dtype))
            results.append((o, Stored(b, shape)))
        else:
            lw.emit(L.Let(o, None, True))
            views.append(L.View(None, (), o.type.dtype, None, into=o))
            results.append((o, L.Ref(o)))
    lw.emit(L.HostCall(id, views, op.loc))
    lw.frame.effects = True
    for o, v in results:
        if isinstance(v, Stored):
            lw.define(o, v)
        else:
            lw.env[o] = v
