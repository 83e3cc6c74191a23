"""Reindexing: values whose elements are elements of another. Each rule makes a `Node` or shares memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weft.ir.nodes import At, Atom, Gather, Op, Span, Var
from weft.ir.sizes import Dim, Shape, Size, affine, same_shape, same_size
from weft.ir.types import i64
from weft.lowering import loops as L
from weft.lowering.nests import element
from weft.lowering.values import Idx, Node, Stored, Value, shape_of

if TYPE_CHECKING:
    from weft.lowering.state import Lowering


def view(lw: Lowering, op: Op, source: Value, fn: Any, extra: tuple[Value, ...] = (), opaque: bool = False) -> None:
    """Bind ``op``'s result to elements of ``source``, at the indices that ``fn(pull, index)`` gives."""
    out = op.outs[0]
    shape = lw.shape(out.type.shape)
    node = Node(
        out, "view", (source, *extra), shape, out.type.dtype, op.prim, lambda pull, index: (source, fn(pull, index)),
        loc=op.loc, opaque=opaque,
    )  # fmt: skip
    if shape or _pending(lw, source):
        lw.define(out, node)
    else:
        lw.define(out, element(lw, node, ()))


def _pending(lw: Lowering, v: Value) -> bool:
    """Whether an element of ``v`` cannot be had without running a nest."""
    v = lw.resolved(v)
    if not isinstance(v, Node):
        return False
    return v.rule in ("reduce", "arg") or any(_pending(lw, a) for a in v.args)


def broadcast(lw: Lowering, op: Op) -> None:
    """An operand repeated along new axes."""
    source = lw.value(op.args[0])
    dims, sizes = op.attrs["dims"], lw.shape(shape_of(source))
    if not op.outs[0].type.shape:
        lw.define(op.outs[0], source)
        return
    target = lw.shape(op.attrs["shape"])
    if same_shape(sizes, target):
        lw.define(op.outs[0], source)
        return
    fixed = [s == 1 and not target[d] == 1 for s, d in zip(sizes, dims, strict=True)]
    view(lw, op, source, lambda pull, index: tuple([0 if f else index[d] for f, d in zip(fixed, dims, strict=True)]))


def transpose(lw: Lowering, op: Op) -> None:
    """Axes in another order."""
    perm = op.attrs["perm"]
    order = [perm.index(k) for k in range(len(perm))]
    view(lw, op, lw.value(op.args[0]), lambda pull, index: tuple([index[k] for k in order]))


def reshape(lw: Lowering, op: Op) -> None:
    """The same elements in row-major order; only axes of size 1 come and go without memory."""
    source, out = lw.value(op.args[0]), op.outs[0]
    old, new = shape_of(source), lw.shape(op.attrs["shape"])
    if not isinstance(source, Stored | Node):  # a scalar
        view(lw, op, source, lambda pull, index: ())
        return
    if isinstance(source, Node) and source.rule == "iota" and new:
        lw.define(out, Node(out, "iota", (), new, source.dtype, source.prim, loc=op.loc))
        return
    if isinstance(source, Node):
        kept_old = [k for k, s in enumerate(old) if s != 1]
        kept_new = [k for k, s in enumerate(new) if s != 1]
        if same_shape(tuple([old[k] for k in kept_old]), tuple([new[k] for k in kept_new])):

            def fn(pull: Any, index: Idx) -> Idx:
                inner: list[Size] = [0] * len(old)
                for a, b in zip(kept_old, kept_new, strict=True):
                    inner[a] = index[b]
                return tuple(inner)

            view(lw, op, source, fn)
            return
        lw.force(source)
        resolved = lw.resolved(source)
        assert isinstance(resolved, Stored)
        source = resolved
    if new:
        lw.define(out, Stored(source.buffer, new))
    else:
        view(lw, op, source, lambda pull, index: (0,) * len(old))


def index(lw: Lowering, op: Op) -> None:
    """Part of an array."""
    source = lw.value(op.args[0])
    axes = places(lw, op.args[1:], op.attrs["spec"], op.attrs["mode"], shape_of(source), op)
    extra = tuple([a.array for a in axes if a.array is not None])
    view(lw, op, source, lambda pull, i: locate(pull, axes, i), extra, opaque=bool(extra))


class Axis:
    """How an axis is addressed: ``start + step * k`` along result axis ``at``, or at an array's values."""

    __slots__ = ("array", "at", "rank", "start", "step", "wrap")

    def __init__(self, start: Size, at: int = -1, step: int = 1) -> None:
        self.start, self.at, self.step = start, at, step
        self.array: Value | None = None
        self.rank = 0
        self.wrap: Size | None = None


def places(lw: Lowering, operands: tuple[Atom, ...], spec: Any, mode: str, shape: Shape, op: Op) -> list[Axis]:
    """The axes that an index specification addresses. Range checks are emitted here, in the program's order."""
    axes: list[Axis] = []
    at, gathered = 0, -1
    for k, (entry, a) in enumerate(zip(spec, operands, strict=True)):
        match entry:
            case At():
                axes.append(Axis(position(lw, a, mode, shape[k], k, op)))
            case Span():
                axes.append(Axis(lw.index(lw.named(a, "start")), at, entry.step))
                at += 1
            case Gather():
                value = lw.value(a)
                rank = lw.rank(value)
                if gathered < 0:
                    gathered, at = at, at + rank
                axis = Axis(0, gathered)
                axis.rank = rank
                if mode == "check":
                    _check_all(lw, value, shape[k], k, op)
                    value = lw.resolved(value)
                axis.array = value
                axis.wrap = None if mode == "fast" or _never_negative(lw, value) else shape[k]
                axes.append(axis)
            case _:
                raise TypeError(f"not an index specification: {entry!r}")
    return axes


def locate(pull: Any, axes: list[Axis], index: Idx) -> Idx:
    """The index in the array of element ``index`` of the part that ``axes`` address."""
    found: list[Size] = []
    for a in axes:
        if a.array is not None:
            found.append(pull.index_of(a.array, index[a.at : a.at + a.rank], a.wrap))
        elif a.at < 0:
            found.append(a.start)
        else:
            found.append(a.start + index[a.at] * a.step)
    return tuple(found)


def _never_negative(lw: Lowering, v: Value) -> bool:
    return isinstance(v, Node) and v.rule == "iota"


def position(lw: Lowering, a: Atom, mode: str, n: Size, axis: int, op: Op) -> Size:
    """One integer index of an axis of size ``n``, brought into range as ``mode`` says."""
    e = lw.as_i64(lw.scalar(a))
    s = lw.affine(e)
    if s is None:
        s = lw.index(e)
    if mode == "fast":
        return s
    if isinstance(s, int):
        at = n + s if s < 0 else s
        if mode == "check" and not (isinstance(n, int) and isinstance(at, int) and 0 <= at < n):
            if s < 0 or not below(lw, s, n, s):
                _fail_outside(lw, at, s, n, axis, op)
        return at
    low = lower_bound(lw, s)
    if low is None or low < 0:
        wrapped = lw.index(L.Builtin("wrap", (L.Index(s), L.Index(n)), i64), _name(a, "at"))
    else:
        wrapped = s
    if mode == "check" and not below(lw, s, n, low):
        _fail_outside(lw, wrapped, s, n, axis, op)
    return wrapped


def _name(a: Atom, default: str) -> str:
    return a.name or default if isinstance(a, Var) else default


def _fail_outside(lw: Lowering, at: Size, given: Size, n: Size, axis: int, op: Op) -> None:
    from weft.ir.types import bool_

    test = L.Builtin("outside", (L.Index(at), L.Index(n)), bool_)
    payload = [L.View(None, (), i64, L.Index(given)), L.View(None, (), i64, L.Index(n))]
    lw.fail(test, index_error(lw, axis), payload, op.loc)


def index_error(lw: Lowering, axis: int) -> int:
    """The host function that raises NumPy's IndexError for an axis."""
    message = f"index {{0}} is out of bounds for axis {axis} with size {{1}}"
    return lw.host(kind="raise", exc="IndexError", message=message)


def _check_all(lw: Lowering, value: Value, n: Size, axis: int, op: Op) -> None:
    """Check every element of an index array."""
    from weft.ir.sizes import dim
    from weft.ir.types import bool_, scalar
    from weft.lowering.fuse import loop_vars
    from weft.lowering.values import dtype_of

    if isinstance(value, Node) and value.rule == "iota" and len(value.shape) == 1 and same_size(value.shape[0], n):
        return
    where = lw.stored(value)
    loops = loop_vars(len(where.shape))
    load = L.Load(L.Place(where.buffer, tuple([dim(v) for v in loops]), where.shape))
    assert dtype_of(where).kind in "iu"
    given = Var(scalar(i64), "at")
    wrapped = L.Builtin("wrap", (L.Ref(given), L.Index(n)), i64)
    test = L.Builtin("outside", (wrapped, L.Index(n)), bool_)
    payload = [L.View(None, (), i64, L.Ref(given)), L.View(None, (), i64, L.Index(n))]
    body: list[L.Stmt] = [L.Let(given, lw.as_i64(load)), L.Fail(test, index_error(lw, axis), payload, op.loc)]
    for v, s in reversed(list(zip(loops, where.shape, strict=True))):
        body = [L.Loop(v, s, body)]
    for stmt in body:
        lw.emit(stmt)
    for f in lw.frames:
        f.fails = True


def lower_bound(lw: Lowering, s: Size) -> int | None:
    """A number that an index is known not to be below."""
    if isinstance(s, int):
        return s
    total = s.const
    for v, c in s.terms:
        if c < 0 or v not in lw.bounds:
            return None
        total += c * lw.least.get(v, 0)
    return total


def below(lw: Lowering, s: Size, n: Size, low: int | None) -> bool:
    """Whether ``s < n`` is known (and ``s`` is not negative)."""
    if low is None or low < 0:
        return False
    gap: Size = n - s - 1
    if isinstance(gap, Dim):
        # replace each variable that is subtracted by the largest value it can have
        const: int = gap.const
        terms: list[tuple[Var, int]] = []
        for v, c in gap.terms:
            top = lw.bounds.get(v)
            if c < 0 and top is not None:
                rest = (top - 1) * c
                const += rest if isinstance(rest, int) else rest.const
                terms.extend([] if isinstance(rest, int) else rest.terms)
            else:
                terms.append((v, c))
        gap = affine(const, tuple(terms))
    least = lower_bound(lw, gap)
    return least is not None and least >= 0
