"""Writes into arrays: store, accum, and values that must end in given memory (loop carries, branches, results)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from weft.ir.nodes import At, Gather, Op, Span, Var
from weft.ir.primitive import REGISTRY
from weft.ir.sizes import Dim, Shape, Size, dim, same_shape
from weft.lowering import loops as L
from weft.lowering.fuse import Root, loop_vars
from weft.lowering.nests import compute
from weft.lowering.state import whole
from weft.lowering.values import Idx, Node, Stored, Value, is_expr, loads, shape_of
from weft.lowering.views import locate, places

if TYPE_CHECKING:
    from weft.lowering.state import Lowering


def copy(lw: Lowering, target: L.Buffer, source: L.Buffer, shape: Shape, maybe_same: bool = False) -> None:
    """All elements of one buffer to another."""
    zero: Idx = (0,) * len(shape)
    lw.emit(L.Copy(L.Place(target, zero, shape), L.Place(source, zero, shape), shape, maybe_same))


def own(lw: Lowering, value: Value, var: Var, *, taken: Sequence[L.Buffer] = ()) -> L.Buffer:
    """Memory that holds ``value`` and may be overwritten: the memory it is in, or a copy for ``var``."""
    value = lw.resolved(value)
    shape = lw.shape(var.type.shape)
    if isinstance(value, Stored):
        b = value.buffer
        if lw.writable(b) and not lw.held(b) and b not in taken:
            return b
        new = lw.new_buffer(var.type.dtype, shape, var.name or b.name, var)
        copy(lw, new, b, shape)
        return new
    new = lw.new_buffer(var.type.dtype, shape, var.name, var)
    lw.fill(new, value, shape)
    return new


def store(lw: Lowering, op: Op) -> None:
    """``store`` and ``accum``: in place where the old array is not needed any more."""
    out, spec, mode = op.outs[0], op.attrs["spec"], op.attrs["mode"]
    a, v, operands = op.args[0], op.args[1], op.args[2:]
    shape = lw.shape(out.type.shape)
    if not shape:  # a scalar has one place
        new = lw.scalar(v)
        lw.define(
            out,
            new if op.prim is not REGISTRY["accum"] else lw.apply(REGISTRY["add"], (lw.scalar(a), new), out.type.dtype),
        )
        return
    axes = places(lw, operands, spec, mode, shape, op)
    for x in axes:
        if isinstance(x.array, Node) and not _arithmetic(lw, x.array):
            x.array = lw.stored(x.array)
    if not v.type.shape:
        lw.scalar(v)
    source = lw.value(a)
    if isinstance(source, Stored) and source.buffer in _inputs(axes):
        axes = [_saved(lw, x, source.buffer) for x in axes]
    b = own(lw, source, _named(out, a))
    lw.before_write(b)
    value, region = lw.value(v), _region(lw, spec, axes)
    if _conflict(lw, value, b, axes, region, shape):
        value = _temporary(lw, value, region)
    combine = REGISTRY["reduce_sum"] if op.prim is REGISTRY["accum"] else None
    scattered = any(isinstance(s, Gather) for s in spec)
    if is_expr(value) and (region or scattered) and b in lw.reads(value):
        value = L.Ref(lw.temp("t", value))  # one number for all places: read before the first of them is written
    if not region and not scattered and is_expr(value):
        place = L.Place(b, locate(None, axes, ()), shape)
        lw.emit(L.Write(place, value, combine, op.loc))  # type: ignore[arg-type]
    else:
        root = Root(value, region, lambda pull, i: L.Place(b, locate(pull, axes, i), shape), combine, scattered, op.loc)
        compute(lw, [root])
    lw.env[out] = Stored(b, shape)
    # ``a`` stays a holder: the other branch of an `if` may still need it
    lw.holders.setdefault(b, set()).add(out)


def _arithmetic(lw: Lowering, v: Value) -> bool:
    """Whether an element follows from its index and scalars alone: then it is computed where it is used."""
    v = lw.resolved(v)
    if isinstance(v, Node):
        return v.rule in ("iota", "map", "view") and all([_arithmetic(lw, a) for a in v.args])
    return not isinstance(v, Stored) and not loads(v)


def _named(out: Var, a: Any) -> Var:
    if not out.name and isinstance(a, Var) and a.name:
        out.name = a.name
    return out


def _inputs(axes: list[Any]) -> set[L.Buffer]:
    return {x.array.buffer for x in axes if isinstance(x.array, Stored)}


def _saved(lw: Lowering, x: Any, b: L.Buffer) -> Any:
    """An axis whose index array is the array being written gets a copy of it."""
    if isinstance(x.array, Stored) and x.array.buffer is b:
        new = lw.new_buffer(b.dtype, x.array.shape, b.name)
        copy(lw, new, b, x.array.shape)
        x.array = Stored(new, x.array.shape)
    return x


def _region(lw: Lowering, spec: Any, axes: list[Any]) -> Shape:
    shape: list[Size] = []
    seen = False
    for s, x in zip(spec, axes, strict=True):
        match s:
            case Span():
                shape.append(lw.size(s.size))
            case Gather():
                if not seen:
                    shape.extend(shape_of(x.array))
                seen = True
            case At():
                pass
            case _:
                raise TypeError(f"not an index specification: {s!r}")
    return tuple(shape)


def _temporary(lw: Lowering, value: Value, region: Shape) -> Value:
    if isinstance(value, Node):
        lw.force(value)
        return lw.resolved(value)
    if isinstance(value, Stored):
        new = lw.new_buffer(value.buffer.dtype, value.shape, value.buffer.name)
        copy(lw, new, value.buffer, value.shape)
        return Stored(new, value.shape)
    return value


class Accesses:
    """Where a value's element reads memory, found by asking its views."""

    def __init__(self, lw: Lowering) -> None:
        self.lw = lw
        self.found: list[tuple[L.Buffer, Idx, Shape]] = []
        self._seen: set[tuple[Node, Idx]] = set()

    def visit(self, value: Value, index: Idx) -> None:
        """Trace one element."""
        value = self.lw.resolved(value)
        if isinstance(value, Stored):
            self.found.append((value.buffer, index, value.shape))
        elif isinstance(value, Node) and (value, index) not in self._seen:
            self._seen.add((value, index))
            match value.rule:
                case "map":
                    for a in value.args:
                        self.visit(a, index if self.lw.rank(a) else ())
                case "view":
                    assert value.view is not None
                    self.visit(*value.view(self, index))
                case "iota":
                    pass
                case "reduce" | "arg":
                    pass  # runs before, in a nest of its own: the schedule sees to that
                case _:
                    raise TypeError(f"no such rule: {value.rule}")
        elif is_expr(value):  # a number, read again for each element
            self.found += [(x.place.buffer, tuple(x.place.index), tuple(x.place.shape)) for x in loads(value)]

    def index_of(self, value: Value, index: Idx, wrap: Size | None) -> Size:
        """An index that can be anything."""
        from weft.ir.types import i64, scalar

        self.visit(value, index)
        return dim(Var(scalar(i64), "any"))


def _conflict(lw: Lowering, value: Value, b: L.Buffer, axes: list[Any], region: Shape, shape: Shape) -> bool:
    """Whether computing ``value`` element by element could read an element of ``b`` after it has been written."""
    if is_expr(value) or b not in lw.reads(value):
        return False
    loops = loop_vars(len(region))
    index = tuple([dim(v) for v in loops])
    seen = Accesses(lw)
    seen.visit(value, index)
    if any(x.array is not None for x in axes):
        return True
    return not reads_apart(seen.found, b, locate(None, axes, index), shape, set(loops))


def reads_apart(
    found: list[tuple[L.Buffer, Idx, Shape]], b: L.Buffer, target: Idx, shape: Shape, loops: set[Var]
) -> bool:
    """Whether each read of ``b`` is of the element written then, or of one that is never written."""
    for buffer, index, seen_as in found:
        if buffer is not b:
            continue
        if not same_shape(seen_as[1:], shape[1:]):
            return False
        if index == target:
            continue
        if not any(_never_equal(i, t, loops) for i, t in zip(index, target, strict=True)):
            return False
    return True


def _never_equal(i: Size, t: Size, loops: set[Var]) -> bool:
    gap = i - t
    if not isinstance(gap, int) or gap == 0:
        return False
    # equal positions of different iterations also count, unless no iteration moves along this axis
    return not any(isinstance(s, Dim) and any(v in loops for v, _ in s.terms) for s in (i, t))


# -- values that must end in given memory --------------------------------------------------------------------------


def settle(lw: Lowering, results: list[Value], targets: list[L.Buffer], shapes: list[Shape], swap: bool) -> None:
    """Bring each array result into its target, all at once: results may read the targets' old values.

    With ``swap``, targets and other memory of this loop may exchange their pointers instead of being copied.
    """
    results = [lw.resolved(r) for r in results]
    roots: list[Root] = []
    inside = {id(r.buffer) for r in results if isinstance(r, Stored)}
    for k, r in enumerate(results):
        if isinstance(r, Stored):
            continue
        b, shape = targets[k], shapes[k]
        safe = id(b) not in inside and not any(
            b in lw.reads(other) for j, other in enumerate(results) if j > k and isinstance(other, Node)
        )
        if safe and isinstance(r, Node) and b in lw.reads(r):
            loops = loop_vars(len(shape))
            index = tuple([dim(v) for v in loops])
            seen = Accesses(lw)
            seen.visit(r, index)
            safe = reads_apart(seen.found, b, index, shape, set(loops))
        if not safe:
            b = lw.new_buffer(targets[k].dtype, shape, targets[k].name)
        roots.append(Root(r, shape, whole(b, shape)))
        results[k] = Stored(b, shape)
    if roots:
        compute(lw, roots)
    moves: list[tuple[L.Buffer, L.Buffer]] = []
    copies: list[int] = []
    sources: set[L.Buffer] = set()
    for k, r in enumerate(results):
        assert isinstance(r, Stored)
        if r.buffer is targets[k]:
            sources.add(r.buffer)
    for k, r in enumerate(results):
        assert isinstance(r, Stored)
        b = r.buffer
        if b is targets[k]:
            continue
        if swap and b not in sources and _movable(lw, b, targets[k], targets):
            moves.append((targets[k], b))
            sources.add(b)
        else:
            copies.append(k)
    now = _repoint(lw, moves)
    _copies(lw, copies, [now.get(r.buffer, r.buffer) for r in results if isinstance(r, Stored)], targets, shapes)


def _movable(lw: Lowering, b: L.Buffer, target: L.Buffer, targets: list[L.Buffer]) -> bool:
    """Whether two buffers may exchange their pointers: memory of this loop's own, allocated outside it. A result's
    memory only changes places with scratch memory, so that it can be found again."""
    frame = lw.frame
    if target not in frame.movable:
        return False
    if b in targets:
        return b in frame.movable and "result" not in (b.home, target.home)
    return b.home == "temp" and b in frame.made and b not in frame.release


def _copies(
    lw: Lowering, copies: list[int], sources: list[L.Buffer], targets: list[L.Buffer], shapes: list[Shape]
) -> None:
    """Copy into the targets numbered ``copies``, all at once."""
    written = {targets[k] for k in copies}
    held: dict[int, L.Buffer] = {}
    for k in copies:
        if sources[k] in written:
            held[k] = lw.new_buffer(sources[k].dtype, shapes[k], sources[k].name)
            copy(lw, held[k], sources[k], shapes[k])
    for k in copies:
        copy(lw, targets[k], held.get(k, sources[k]), shapes[k])


def _repoint(lw: Lowering, moves: list[tuple[L.Buffer, L.Buffer]]) -> dict[L.Buffer, L.Buffer]:
    """Exchange pointers; what a target pointed to is left to the memory that moved in. Returns under which name the
    memory of each is found afterwards."""
    if not moves:
        return {}
    gets = dict(moves)
    moved = set(gets.values())
    pairs = list(moves)
    for t in gets:
        if t in moved:
            continue
        # t's old memory goes to the end of the chain t <- s <- ...
        end = gets[t]
        while end in gets:
            end = gets[end]
        pairs.append((end, t))
    for x, y in pairs:
        x.moves = y.moves = True
    lw.emit(L.Repoint(pairs))
    return {y: x for x, y in pairs}


def write_row(lw: Lowering, value: Value, b: L.Buffer, shape: Shape, lead: Idx, loc: Any = None) -> None:
    """Write a value into the part of ``b`` (of ``shape``) at leading indices ``lead``."""
    value = lw.resolved(value)
    n = len(lead)
    if is_expr(value):
        lw.emit(L.Write(L.Place(b, lead, shape), value, None, loc))  # type: ignore[arg-type]
    elif isinstance(value, Stored):
        row = value.shape
        source = L.Place(value.buffer, (0,) * len(row), row)
        lw.emit(L.Copy(L.Place(b, (*lead, *[0] * len(row)), shape), source, row))
    elif isinstance(value, Node) and not value.shape:
        lw.force(value)
        write_row(lw, value, b, shape, lead, loc)
    else:
        compute(lw, [Root(value, shape[n:], lambda pull, i: L.Place(b, (*lead, *i), shape), loc=loc)])
