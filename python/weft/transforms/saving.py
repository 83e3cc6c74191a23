"""Saving by need: how the values that adjoint code names reach it.

The adjoint of a block names the block's variables through *stand-ins*. Once the adjoint is complete, the stand-ins that
it really uses are given a definition at its head (`Tape.leave`), each in the cheapest way that is valid:

* *recomputed*, if its operation is cheap and its operands are at hand: loop counters, arrays that the loop does not
  overwrite, values that are saved anyway;
* *saved*: collected by the forward loop and read back by position, or yielded by the forward branch as one more
  result
  (where its trip count varies between iterations of an outer loop, in a buffer of a size that bounds it: `padding`);
* *rerun*: the statement (a whole loop, if need be) is executed again. That is how lanes of a `Map` get their values,
  and the only way for arrays whose size differs from one iteration to the next.

What is saved becomes a result of the forward statement, that is, a variable of the block around it, and is settled
there in turn.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from weft.ir.builder import Builder
from weft.ir.nodes import (
    At,
    Atom,
    Block,
    Call,
    For,
    If,
    Lit,
    Map,
    Op,
    Renamer,
    Span,
    Stmt,
    Var,
    While,
    free_vars,
    lit,
    vars_in_static,
)  # fmt: skip
from weft.ir.primitive import Elementwise, Reindex
from weft.ir.sizes import Size, dim, size_vars
from weft.ir.types import ArrayType
from weft.primitives.declare import prim
from weft.transforms.dead import live_statements
from weft.transforms.padding import Bounds


@dataclass(eq=False)
class Frame:
    """A block under differentiation: its own variables, where they are defined, and the frame around it.

    ``stmt`` is the statement whose block this is (None: the function's own), ``counter`` the adjoint's counter when
    that statement is a loop.
    """

    stmt: Stmt | None
    block: Block
    parent: Frame | None
    counter: Var | None = None
    local: set[Var] = field(default_factory=set)
    defs: dict[Var, Stmt] = field(default_factory=dict)

    def define(self, s: Stmt) -> None:
        """Enter a statement's results."""
        for o in s.outs:
            self.local.add(o)
            self.defs[o] = s

    @property
    def is_loop(self) -> bool:
        """Whether the block is a sequential loop's body."""
        return isinstance(self.stmt, For | While)


class Tape:
    """The frames, the stand-ins, and what has been saved."""

    def __init__(self, top: Block) -> None:
        self.names = Renamer()
        self.frame_of: dict[Var, Frame] = {}
        self.top = Frame(None, top, None)
        self.frame = self.top
        self.buffers: dict[tuple[int, Var], Var] = {}
        self._free: dict[Var, bool] = {}
        self._fill(self.top)

    def _fill(self, frame: Frame) -> None:
        frame.local.update(frame.block.params)
        for s in frame.block.stmts:
            frame.define(s)
        for v in frame.local:
            self.frame_of[v] = frame

    def enter(self, stmt: Stmt, block: Block, counters: Sequence[Var] = ()) -> Frame:
        """Begin the adjoint of a block; its variables get stand-ins. ``counters`` are the adjoint's own."""
        frame = self.frame = Frame(stmt, block, self.frame, counters[0] if counters else None)
        self._fill(frame)
        # a while loop has no counter that the adjoint's could stand in for
        indices = block.params[: len(counters)] if isinstance(stmt, For | Map) else ()
        self.names.atoms.update(zip(indices, counters, strict=False))
        self.names.bind_all(block.params[len(indices) :])
        for s in block.stmts:
            self.names.bind_all(s.outs)
        return frame

    def leave(self, adjoint: Block) -> None:
        """End the adjoint of the current frame's block: define the stand-ins that ``adjoint`` uses, at its head."""
        frame = self.frame
        assert frame.parent is not None
        _Settling(self, frame, adjoint).run()
        self.frame = frame.parent

    def grow(self, s: Call, new: Sequence[Var]) -> None:
        """Let a forward call of the current frame have more results."""
        s.outs = (*s.outs, *new)
        self.frame.define(s)
        for o in new:
            self.frame_of[o] = self.frame
            if self.frame.parent is not None:
                self.names.bind(o)

    # -- names -----------------------------------------------------------------------------------------------------

    def here(self, s: Op) -> Op:
        """The op in terms of stand-ins. Its indices have been checked when it ran, so they are not checked again."""
        return Op(s.prim, self.names.all(s.args), self.attrs(s), self.names.all(s.outs), s.loc)  # type: ignore[arg-type]

    def attrs(self, s: Op) -> dict[str, object]:
        """An op's attributes in terms of stand-ins."""
        return unchecked({k: self.names.static(v) for k, v in s.attrs.items()})

    def type(self, a: Atom) -> ArrayType:
        """An operand's type in terms of stand-ins."""
        return self.names.static(a.type)  # type: ignore[no-any-return]

    # -- what costs nothing ----------------------------------------------------------------------------------------

    def free(self, a: Atom) -> bool:
        """Whether adjoint code can name ``a`` without anything being saved for it at any level."""
        if isinstance(a, Lit):
            return True
        known = self._free.get(a)
        if known is None:
            known = self._free[a] = self._is_free(a)
        return known

    def _is_free(self, a: Var) -> bool:
        frame = self.frame_of.get(a)
        if frame is None or frame.parent is None or isinstance(frame.stmt, Map):
            return True
        if isinstance(frame.stmt, For) and a is frame.block.params[0]:
            return True
        s = frame.defs.get(a)
        return isinstance(s, Op) and cheap(s) and all([self.free(x) for x in operands(s)])


class _Settling:
    """Settles one frame: decides for each value its adjoint needs, and writes the head of the adjoint block."""

    def __init__(self, tape: Tape, frame: Frame, adjoint: Block) -> None:
        self.tape = tape
        self.frame = frame
        self.adjoint = adjoint
        self.head: list[Stmt] = []  # in reverse order
        self.need: set[Var] = set()
        self.outer: set[Var] = set()  # variables of outer frames that the adjoint names anyway
        self._avail: dict[Var, bool] = {}

    def run(self) -> None:
        frame, names = self.frame, self.tape.names
        used = set(free_vars(self.adjoint))
        self.need = {v for v in frame.local if names.atoms[v] in used}
        self.outer = used
        rerun: set[int] = set()
        for s in reversed(frame.block.stmts):
            wanted = [o for o in s.outs if o in self.need]
            if any([not self.savable(o) for o in wanted]):
                rerun.add(id(s))
                self.need.update(self.local_uses(self.piece(s, wanted)))
        for s in reversed(list(frame.block.stmts)):
            wanted = [o for o in s.outs if o in self.need]
            if not wanted:
                continue
            if id(s) in rerun or (isinstance(s, Op) and self.recomputable(s)):
                piece = self.piece(s, wanted)
                self.need.update(self.local_uses(piece))
                self.head.append(_Copier(names, piece.outs).stmt(piece))
            else:
                for o in wanted:
                    self.save(o)
        for p in frame.block.params:
            if p in self.need:
                self.param(p)
        self.adjoint.stmts[:0] = reversed(self.head)

    @staticmethod
    def piece(s: Stmt, wanted: Iterable[Var]) -> Stmt:
        """The part of a statement that computes ``wanted``."""
        return live_statements([s], wanted, effects=False)[0]

    def local_uses(self, s: Stmt) -> list[Var]:
        return [v for v in free_vars(s) if v in self.frame.local]

    # -- deciding --------------------------------------------------------------------------------------------------

    def savable(self, v: Var) -> bool:
        """Whether a value can leave the block: not from a lane, and not if its size is the block's own."""
        if isinstance(self.frame.stmt, Map):
            return v in self.frame.block.params
        return not any([u in self.frame.local for u in vars_in_static(v.type)])

    def recomputable(self, s: Op) -> bool:
        """Whether recomputing an op costs no more than saving its result would."""
        if not cheap(s):
            return False
        if not all([self.available(a, s) for a in operands(s)]):
            return False
        if isinstance(self.frame.stmt, If):
            # a branch's outer values must be saved by the loops around it, unless they are named or free anyway
            extra = {a for a in self.leaves(s) if not self.tape.free(a) and self.tape.names.atom(a) not in self.outer}
            return len(extra) <= 1
        return True

    def leaves(self, s: Op) -> set[Var]:
        """The variables of outer frames from which an op is recomputed."""
        found: set[Var] = set()
        for a in operands(s):
            if isinstance(a, Lit) or a in self.need:
                continue
            if a not in self.frame.local:
                found.add(a)
            elif isinstance(d := self.frame.defs.get(a), Op):
                found |= self.leaves(d)
        return found

    def available(self, a: Atom, user: Op) -> bool:
        """Whether an operand is at hand when ``user`` is recomputed."""
        if isinstance(a, Lit):
            return True
        if a not in self.frame.local:
            return self.tape.free(a) or not a.type.shape or a.type.shape == user.outs[0].type.shape
        known = self._avail.get(a)
        if known is None:
            known = self._avail[a] = self._local_available(a)
        return known

    def _local_available(self, a: Var) -> bool:
        frame = self.frame
        if a in self.need or (isinstance(frame.stmt, For) and a is frame.block.params[0]):
            return True
        s = frame.defs.get(a)
        if s is None:
            return self.induction(a) is not None
        return isinstance(s, Op) and cheap(s) and all([self.available(x, s) for x in operands(s)])

    def induction(self, p: Var) -> tuple[Atom, Atom] | None:
        """``(start, step)`` if the carry ``p`` is ``start + step * k`` at iteration k."""
        s = self.frame.stmt
        if not isinstance(s, For | While) or p.type.shape or p.type.dtype.kind not in "iu":
            return None
        params = s.body.params[1:] if isinstance(s, For) else s.body.params
        if (isinstance(s, For) and s.reverse) or p not in params:
            return None
        i = params.index(p)
        d = self.frame.defs.get(s.body.results[i])  # type: ignore[arg-type]
        if isinstance(d, Op) and d.prim is prim("add") and self.tape.free(s.inits[i]):
            a, b = d.args
            step = b if a is p else (a if b is p else None)
            if isinstance(step, Lit):
                return s.inits[i], step
        return None

    # -- defining --------------------------------------------------------------------------------------------------

    def param(self, p: Var) -> None:
        """Define a parameter's stand-in. The counter and a map's indices need none."""
        s, names = self.frame.stmt, self.tape.names
        if isinstance(s, Map) or (isinstance(s, For) and p is s.body.params[0]):
            if isinstance(s, Map) and p not in s.body.params[: len(s.sizes)]:
                raise AssertionError(f"the adjoint of a map reads its accumulator {p}")
            return
        found = self.induction(p)
        if found is None:
            self.save(p)
            return
        start, step = names.atom(found[0]), found[1]
        assert isinstance(step, Lit)
        stand = names.atoms[p]
        assert isinstance(stand, Var) and self.frame.counter is not None
        with Builder() as b, b.scope() as block:
            k: Atom = self.frame.counter
            if p.type.dtype != k.type.dtype:
                k = prim("cast")(k, dtype=p.type.dtype)
            offset = prim("mul")(k, step) if step.value != 1 else k
        block.stmts.append(Op(prim("add"), (start, offset), {}, (stand,)))
        self.head.extend(reversed(block.stmts))

    def save(self, v: Var) -> None:
        """Make ``v`` a result of the forward statement, and define its stand-in from that."""
        match self.frame.stmt:
            case For() | While():
                self.collect(v)
            case If():
                self.yield_(v)
            case _:
                raise AssertionError(f"{v} cannot be saved")

    def collect(self, v: Var) -> None:
        s, frame, names = self.frame.stmt, self.frame, self.tape.names
        assert isinstance(s, For | While) and frame.counter is not None
        n = len(s.inits)
        trip: Size = s.trip if isinstance(s, For) else dim(s.outs[n])
        stacked = s.outs[n:] if isinstance(s, For) else s.outs[n + 1 :]
        rows: Var | None = None
        for r, o in zip(s.body.results[n:], stacked, strict=True):
            if r is v:
                rows = o
        if rows is None and isinstance(s, For) and (bound := self.padded(s.trip)) is not None:
            rows = self.buffer(s, v, bound)
        if rows is None:
            rows = Var(ArrayType(v.type.dtype, (trip, *v.type.shape)), v.name)
            s.body.results = (*s.body.results, v)
            s.outs = (*s.outs, rows)
            self.tape_result(rows)
        stand = names.atoms[v]
        assert isinstance(stand, Var)
        shape = self.tape.type(v).shape
        starts: tuple[Atom, ...] = tuple([lit(0)] * len(shape))
        attrs = {"spec": (At(), *[Span(size) for size in shape]), "mode": "fast"}
        self.head.append(Op(prim("index"), (names.atom(rows), frame.counter, *starts), attrs, (stand,)))

    def padded(self, trip: Size) -> Size | None:
        """A bound of a trip count that varies with the loops around (None: it does not, or there is none)."""
        tape = self.tape

        def varies(v: Var) -> bool:
            frame = tape.frame_of.get(v)
            return frame is not None and frame.parent is not None and not isinstance(frame.stmt, Map)

        def definition(v: Var) -> Stmt | None:
            frame = tape.frame_of[v]
            return frame.stmt if isinstance(frame.stmt, For) and v is frame.block.params[0] else frame.defs.get(v)

        if not any([varies(v) for v in size_vars(trip)]):
            return None
        return Bounds(definition, varies).upper(trip)

    def buffer(self, s: For, v: Var, bound: Size) -> Var:
        """Save ``v`` in a carried buffer of ``bound`` rows, of which this run of the loop fills the first."""
        key = (id(s), v)
        rows = self.tape.buffers.get(key)
        if rows is not None:
            return rows
        t = ArrayType(v.type.dtype, (bound, *v.type.shape))
        carry, new, rows = Var(t, v.name), Var(t, v.name), Var(t, v.name)
        n = len(s.inits)
        starts: tuple[Atom, ...] = tuple([lit(0)] * v.type.rank)
        attrs = {"spec": (At(), *[Span(size) for size in v.type.shape]), "mode": "fast"}
        s.body.stmts.append(Op(prim("store"), (carry, v, s.body.params[0], *starts), attrs, (new,)))
        with Builder() as b, b.scope() as before:
            empty = prim("undef")(shape=t.shape, dtype=t.dtype)
        parent = self.frame.parent
        assert parent is not None
        at = next(k for k, x in enumerate(parent.block.stmts) if x is s)
        parent.block.stmts[at:at] = before.stmts
        self.tape_define(before.stmts[0], parent)
        s.inits = (*s.inits, empty)
        s.body.params = (*s.body.params, carry)
        s.body.results = (*s.body.results[:n], new, *s.body.results[n:])
        s.outs = (*s.outs[:n], rows, *s.outs[n:])
        self.tape_result(rows)
        self.tape.buffers[key] = rows
        return rows

    def tape_define(self, s: Stmt, frame: Frame) -> None:
        """Enter a new forward statement's results into a frame."""
        frame.define(s)
        for o in s.outs:
            self.tape.frame_of[o] = frame
            if frame.parent is not None:
                self.tape.names.bind(o)

    def tape_result(self, v: Var, stand: Var | None = None) -> None:
        """Enter a new result of the forward statement into the frame around."""
        parent, s = self.frame.parent, self.frame.stmt
        assert parent is not None and s is not None
        parent.local.add(v)
        parent.defs[v] = s
        self.tape.frame_of[v] = parent
        if stand is not None:
            self.tape.names.atoms[v] = stand
        elif parent.parent is not None:
            self.tape.names.bind(v)

    def yield_(self, v: Var) -> None:
        s, names, parent = self.frame.stmt, self.tape.names, self.frame.parent
        assert isinstance(s, If) and parent is not None
        stand = names.atoms[v]
        assert isinstance(stand, Var)
        # the stand-in moves to the frame around; in the function's own frame it is the forward variable itself
        out = stand if parent.parent is None else Var(v.type, v.name)
        other = s.orelse if self.frame.block is s.then else s.then
        self.frame.block.results = (*self.frame.block.results, v)
        other.results = (*other.results, _filler(v.type, other))
        s.outs = (*s.outs, out)
        self.tape_result(out, stand)


class Unchecked(Renamer):
    """Copies statements that have run before: their indices are known to be in range."""

    def stmt(self, s: Stmt) -> Stmt:
        """A copy of a statement."""
        copy = super().stmt(s)
        if isinstance(copy, Op):
            copy.attrs = unchecked(copy.attrs)
        return copy


class _Copier(Unchecked):
    """Copies a statement that is run again: its results are the stand-ins, its indices are known to be in range."""

    def __init__(self, names: Renamer, outs: Iterable[Var]) -> None:
        super().__init__()
        self.atoms = ChainMap({}, names.atoms)  # type: ignore[assignment]
        self._outs = frozenset(outs)

    def bind_all(self, vs: Iterable[Var]) -> tuple[Var, ...]:
        vs = tuple(vs)
        if vs and vs[0] in self._outs:
            return tuple([self.atoms[v] for v in vs])  # type: ignore[misc]
        return super().bind_all(vs)


def unchecked(attrs: dict[str, object]) -> dict[str, object]:
    """Attributes of an indexing op whose operands have been checked before."""
    return {**attrs, "mode": "wrap"} if attrs.get("mode") == "check" else attrs


def operands(s: Op) -> list[Atom]:
    """An op's operands and the variables its sizes name."""
    return [*s.args, *vars_in_static(tuple(s.attrs.values())), *[v for o in s.outs for v in vars_in_static(o.type)]]


def cheap(s: Op) -> bool:
    """Whether an op may be recomputed instead of being saved, given its operands."""
    p = s.prim
    if p.effect == "io" or p.dependent_results or not s.outs:
        return False
    # any arithmetic on integers: an index is computed sooner than it is written to memory and read back
    index = isinstance(p.kind, Elementwise) and all([not o.type.shape and o.type.dtype.kind in "biu" for o in s.outs])
    return p.inline_cheap or index or isinstance(p.kind, Reindex) or p is prim("index")


def _filler(t: ArrayType, block: Block) -> Atom:
    """What the branch not taken yields in the place of a saved value."""
    if not t.shape:
        return lit(0, t.dtype)
    with Builder() as b, b.scope() as scratch:
        value: Atom = prim("undef")(shape=t.shape, dtype=t.dtype)
    block.stmts.extend(scratch.stmts)
    return value
