"""Exact rewrites of single ops, in a table by primitive.

A rule gets the op with its operands already simplified, and returns what its result equals, or None. Every rule keeps
the meaning bit by bit, for NaN, infinities and -0.0 (``x + 0.0`` is not ``x``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from weft.ir.nodes import At, Atom, Lit, Op, Span, Var, lit
from weft.ir.primitive import REGISTRY, Primitive
from weft.ir.types import i64, is_float, is_integer

if TYPE_CHECKING:
    from weft.transforms.simplify import Rewriter

Rule = Callable[["Rewriter", Op], "Atom | None"]
_RULES: dict[str, Rule] = {}
_table: dict[Primitive, Rule] = {}


def rules() -> dict[Primitive, Rule]:
    """The table."""
    if not _table:
        _table.update({REGISTRY[name]: rule for name, rule in _RULES.items() if name in REGISTRY})
    return _table


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def enter(rule: Rule) -> Rule:
        for name in names:
            _RULES[name] = rule
        return rule

    return enter


def _is(a: Atom, value: float) -> bool:
    return isinstance(a, Lit) and bool(a.value == value) and not (value == 0 and np.signbit(np.real(a.value)))


def _fits(a: Atom, op: Op) -> bool:
    """Whether ``a`` has the result's type, so that it can stand for it."""
    return a.type == op.outs[0].type


# -- arithmetic ------------------------------------------------------------------------------------------------------


@_rule("add")
def _add(s: Rewriter, op: Op) -> Atom | None:
    x, y = op.args
    dtype = x.type.dtype
    if is_integer(dtype):
        if _is(y, 0) and _fits(x, op):
            return x
        if _is(x, 0) and _fits(y, op):
            return y
        return _offset(s, op)
    if is_float(dtype):  # only -0.0 is neutral
        for a, b in ((x, y), (y, x)):
            if isinstance(b, Lit) and b.value == 0 and np.signbit(b.value) and _fits(a, op):
                return a
            d = s.definition(b)
            if d is not None and d.prim is REGISTRY["neg"]:
                return s.make(REGISTRY["sub"], a, d.args[0])
    return None


@_rule("sub")
def _sub(s: Rewriter, op: Op) -> Atom | None:
    x, y = op.args
    if _is(y, 0) and _fits(x, op) and x.type.dtype.kind in "iuf":
        return x
    if is_integer(x.type.dtype):
        if x is y and _fits(x, op):
            return s.zeros(op.outs[0].type)
        return _offset(s, op)
    return None


def _offset(s: Rewriter, op: Op) -> Atom | None:
    """``(v + 3) - 1`` is ``v + 2``: sums of one variable and constants."""
    if op.outs[0].type.shape or op.outs[0].type.dtype != i64:
        return None
    x, y = op.args
    sign = -1 if op.prim is REGISTRY["sub"] else 1
    form = s.ranges.form(x) + s.ranges.form(y) * sign
    if isinstance(form, int):
        return lit(form) if -(2**63) <= form < 2**63 else None
    if len(form.terms) != 1 or form.terms[0][1] != 1:
        return None
    v, c = form.terms[0][0], form.const
    if v not in s.level:
        return None
    if c == 0:
        return v
    if (x is v and isinstance(y, Lit)) or not -(2**62) < c < 2**62:
        return None
    return s.make(REGISTRY["add"], v, lit(c)) if c > 0 else s.make(REGISTRY["sub"], v, lit(-c))


@_rule("mul")
def _mul(s: Rewriter, op: Op) -> Atom | None:
    x, y = op.args
    if x.type.dtype.kind not in "iuf":
        return None
    for a, b in ((x, y), (y, x)):
        d = s.definition(b)
        ones = d is not None and d.prim is REGISTRY["broadcast"] and _is(d.args[0], 1)
        if (_is(b, 1) or ones) and _fits(a, op):
            return a
        if _is(b, 0) and is_integer(b.type.dtype):
            return s.zeros(op.outs[0].type)
    return None


@_rule("div")
def _div(s: Rewriter, op: Op) -> Atom | None:
    x, y = op.args
    return x if _is(y, 1) and _fits(x, op) and is_float(x.type.dtype) else None


@_rule("neg", "logical_not", "conj", "invert")
def _involution(s: Rewriter, op: Op) -> Atom | None:
    d = s.definition(op.args[0])
    return d.args[0] if d is not None and d.prim is op.prim else None


@_rule("abs")
def _abs(s: Rewriter, op: Op) -> Atom | None:
    d = s.definition(op.args[0])
    if d is not None and d.prim is op.prim and _fits(op.args[0], op):
        return op.args[0]
    return None


@_rule("bitand", "bitor")
def _bits(s: Rewriter, op: Op) -> Atom | None:
    x, y = op.args
    if x is y:
        return x
    if x.type.dtype.kind != "b":
        return None
    neutral = op.prim is REGISTRY["bitand"]
    for a, b in ((x, y), (y, x)):
        if isinstance(b, Lit):
            if bool(b.value) == neutral and _fits(a, op):
                return a
            if bool(b.value) != neutral and not op.outs[0].type.shape:
                return b
    return None


@_rule("lt", "le", "gt", "ge")
def _compare(s: Rewriter, op: Op) -> Atom | None:
    known = s.ranges.decide(op)
    return None if known is None else lit(known, np.dtype(bool))


@_rule("select")
def _select(s: Rewriter, op: Op) -> Atom | None:
    c, x, y = op.args
    if (x is y or (isinstance(x, Lit) and x == y)) and _fits(x, op):
        return x
    if isinstance(c, Lit):
        chosen = x if c.value else y
        return chosen if _fits(chosen, op) else None
    return None


@_rule("cast")
def _cast(s: Rewriter, op: Op) -> Atom | None:
    return op.args[0] if _fits(op.args[0], op) else None


@_rule("maximum", "minimum")
def _extremum(s: Rewriter, op: Op) -> Atom | None:
    x, y = op.args
    if x is y:
        return x
    if x.type.dtype != i64 or op.outs[0].type.shape:
        return None
    gap = s.ranges.form(x) - s.ranges.form(y)
    largest = op.prim is REGISTRY["maximum"]
    if s.ranges.nonnegative(gap):
        return x if largest else y
    if s.ranges.nonnegative(-gap):
        return y if largest else x
    return None


# -- shape -----------------------------------------------------------------------------------------------------------


@_rule("transpose")
def _transpose(s: Rewriter, op: Op) -> Atom | None:
    (x,), perm = op.args, op.attrs["perm"]
    if perm == tuple(range(len(perm))):
        return x
    d = s.definition(x)
    if d is not None and d.prim is op.prim:
        return s.make(op.prim, d.args[0], perm=tuple([d.attrs["perm"][p] for p in perm]))
    return None


@_rule("reshape")
def _reshape(s: Rewriter, op: Op) -> Atom | None:
    (x,) = op.args
    if _fits(x, op):
        return x
    d = s.definition(x)
    if d is not None and d.prim is op.prim:
        return s.make(op.prim, d.args[0], shape=op.attrs["shape"])
    if d is not None and d.prim is REGISTRY["broadcast"] and not d.args[0].type.shape:
        return s.make(d.prim, d.args[0], shape=op.attrs["shape"], dims=())
    return None


@_rule("broadcast")
def _broadcast(s: Rewriter, op: Op) -> Atom | None:
    (x,), shape, dims = op.args, op.attrs["shape"], op.attrs["dims"]
    if _fits(x, op) and dims == tuple(range(len(shape))):
        return x
    d = s.definition(x)
    if d is not None and d.prim is op.prim:
        return s.make(op.prim, d.args[0], shape=shape, dims=tuple([dims[k] for k in d.attrs["dims"]]))
    return None


@_rule("dot")
def _dot(s: Rewriter, op: Op) -> Atom | None:
    """A transposed operand is read as it lies, when its free axes keep their order."""
    for k in (0, 1):
        d = s.definition(op.args[k])
        if d is None or d.prim is not REGISTRY["transpose"]:
            continue
        perm = d.attrs["perm"]
        taken = (*op.attrs["batch"][k], *op.attrs["contract"][k])
        free = [perm[i] for i in range(len(perm)) if i not in taken]
        if free != sorted(free):
            continue
        attrs = {
            name: tuple([tuple([perm[i] for i in axes]) if j == k else axes for j, axes in enumerate(pair)])
            for name, pair in op.attrs.items()
        }
        args = [d.args[0] if j == k else a for j, a in enumerate(op.args)]
        return s.make(op.prim, *args, **attrs)
    return None


# -- indexing --------------------------------------------------------------------------------------------------------


@_rule("index")
def _index(s: Rewriter, op: Op) -> Atom | None:
    a, *operands = op.args
    spec = op.attrs["spec"]
    if not spec:
        return a
    if all([isinstance(e, Span) and e.step == 1 and e.size == n for e, n in zip(spec, a.type.shape, strict=True)]):
        if all([_is(o, 0) for o in operands]):
            return a
    if not all([isinstance(e, At | Span) for e in spec]):
        return None
    row = s.rows.get(a) if isinstance(a, Var) else None
    if row is not None and op.attrs["mode"] == "fast" and isinstance(spec[0], At):
        if not row.type.shape:
            return row
        return s.make(op.prim, row, *operands[1:], spec=spec[1:], mode="fast")
    d = s.definition(a)
    if d is None or op.attrs["mode"] == "check":
        return None
    form = _SOURCES.get(d.prim.name)
    return form(s, op, d) if form is not None else None


def _index_of_broadcast(s: Rewriter, op: Op, d: Op) -> Atom | None:
    (x,) = d.args
    if x.type.shape:
        return None
    t = op.outs[0].type
    return s.make(d.prim, x, shape=t.shape, dims=()) if t.shape else x


def _index_of_iota(s: Rewriter, op: Op, d: Op) -> Atom | None:
    i = op.args[1]
    if not isinstance(op.attrs["spec"][0], At) or op.attrs["mode"] != "fast" or i.type.dtype != i64:
        return None
    return i if d.attrs["dtype"] == i64 else s.make(REGISTRY["cast"], i, dtype=d.attrs["dtype"])


def _index_of_make(s: Rewriter, op: Op, d: Op) -> Atom | None:
    shape = d.attrs["shape"]
    if not all([isinstance(o, Lit) and o.value >= 0 for o in op.args[1:]]):
        return None
    if not all([isinstance(e, At) for e in op.attrs["spec"]]):
        return None
    place = [int(o.value) for o in op.args[1:] if isinstance(o, Lit)]
    return d.args[int(np.ravel_multi_index(place, shape))]


def _index_of_store(s: Rewriter, op: Op, d: Op) -> Atom | None:
    """What was just stored at that place. (A read at another place is left alone: reading the array as it was before
    the store would keep the store from happening in place.)"""
    if op.attrs["spec"] != d.attrs["spec"] or not all([isinstance(e, At) for e in op.attrs["spec"]]):
        return None
    same = all([x is y or (isinstance(x, Lit) and x == y) for x, y in zip(op.args[1:], d.args[2:], strict=True)])
    return d.args[1] if same else None


def _index_of_index(s: Rewriter, op: Op, d: Op) -> Atom | None:
    """One element of a slice, read from the array itself, if that is never overwritten (else the slice is a copy that
    must stay)."""
    array = d.args[0]
    if op.attrs["mode"] != "fast" or array in s.consumed or d.attrs["mode"] == "check":
        return None
    if not all([isinstance(e, At | Span) for e in d.attrs["spec"]]):
        return None
    add, mul = REGISTRY["add"], REGISTRY["mul"]
    outer = iter(zip(op.attrs["spec"], op.args[1:], strict=True))
    spec: list[Any] = []
    operands: list[Atom] = []
    for e, o in zip(d.attrs["spec"], d.args[1:], strict=True):
        if isinstance(e, At):
            spec.append(e)
            operands.append(o)
            continue
        entry, at = next(outer)
        if o.type.dtype != at.type.dtype:
            return None
        scaled = at if e.step == 1 else s.make(mul, at, lit(e.step, at.type.dtype))
        spec.append(entry if isinstance(entry, At) else Span(entry.size, entry.step * e.step))
        operands.append(scaled if _is(o, 0) else (o if _is(scaled, 0) else s.make(add, o, scaled)))
    return s.make(op.prim, array, *operands, spec=tuple(spec), mode=d.attrs["mode"])


_SOURCES: dict[str, Callable[[Rewriter, Op, Op], Atom | None]] = {
    "broadcast": _index_of_broadcast,
    "iota": _index_of_iota,
    "make": _index_of_make,
    "store": _index_of_store,
    "index": _index_of_index,
}
