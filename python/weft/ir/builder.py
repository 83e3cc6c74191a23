"""Building IR: the current block, types by each primitive's rule, constant folding, value numbering."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from weft.ir.nodes import (
    Atom,
    Block,
    Call,
    Dim,
    For,
    Function,
    If,
    Lit,
    Loc,
    Map,
    Op,
    Stmt,
    Var,
    While,
    lit,
)  # fmt: skip
from weft.ir.primitive import REGISTRY, Collective, Primitive
from weft.ir.sizes import Size, dim
from weft.ir.types import ArrayType, i64, scalar

if TYPE_CHECKING:
    from weft.ir.rules import Rule

_stack: list[Builder] = []


def current() -> Builder:
    """The innermost builder in use."""
    if not _stack:
        raise RuntimeError("no builder is active: primitives are called inside `with Builder():`")
    return _stack[-1]


class Builder:
    """Appends statements to the current block.

    Equal pure operations are emitted once: a later one in the same block, or in a block inside it, gets the earlier
    variable. Operations on literals are folded. ``loc`` is attached to what is emitted. ``makers`` holds the operation
    behind each integer scalar that one computes.
    """

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._known: list[dict[Any, tuple[Var, ...]]] = []
        self.makers: dict[Var, Op] = {}
        self.loc: Loc | None = None

    def __enter__(self) -> Builder:
        _stack.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _stack.pop()

    # -- blocks ----------------------------------------------------------------------------------------------------

    @property
    def block(self) -> Block:
        """The block that statements are appended to."""
        return self.blocks[-1]

    @contextmanager
    def scope(self, params: Sequence[Var] = ()) -> Iterator[Block]:
        """Make a new block current; the caller sets its ``results`` before or after leaving."""
        block = Block(tuple(params), [], ())
        self.blocks.append(block)
        self._known.append({})
        try:
            yield block
        finally:
            self.blocks.pop()
            self._known.pop()

    @contextmanager
    def resume(self, block: Block) -> Iterator[Block]:
        """Make a block that was left current again, to append to it."""
        self.blocks.append(block)
        self._known.append({})
        try:
            yield block
        finally:
            self.blocks.pop()
            self._known.pop()

    def splice(self, block: Block) -> None:
        """Append another block's statements to the current one, as if they had been emitted here."""
        self.block.stmts.extend(block.stmts)

    @contextmanager
    def at(self, loc: Loc | None) -> Iterator[None]:
        """Attach ``loc`` to what is emitted inside."""
        old, self.loc = self.loc, loc or self.loc
        try:
            yield
        finally:
            self.loc = old

    def append(self, stmt: Stmt) -> tuple[Var, ...]:
        """Append a finished statement; returns its results."""
        if stmt.loc is None:
            stmt.loc = self.loc
        self.block.stmts.append(stmt)
        return stmt.outs

    # -- operations ------------------------------------------------------------------------------------------------

    def op(self, prim: Primitive, args: Sequence[Any], attrs: dict[str, Any]) -> Any:
        """Emit ``prim(*args; **attrs)``. Returns the result atom, or a tuple of them when there are several."""
        atoms = tuple([self.atom(a) for a in args])
        outs = self.op_outs(prim, atoms, attrs)
        return outs[0] if len(outs) == 1 else outs

    def op_outs(self, prim: Primitive, args: tuple[Atom, ...], attrs: dict[str, Any], names: Sequence[str] = ()) -> Any:
        """As `op`, always a tuple; ``names`` are hints for the results."""
        pure = prim.effect != "io"
        if pure and prim.effect == "" and args and all([isinstance(a, Lit) for a in args]):
            folded = self._fold(prim, args, attrs)
            if folded is not None:
                return folded
        key = (prim.name, args, tuple(sorted(attrs.items()))) if pure else None
        if key is not None:
            for known in reversed(self._known):
                if key in known:
                    return known[key]
        if prim.dependent_results:
            heads = tuple([Var(scalar(i64)) for _ in range(prim.dependent_results)])
            types = prim.type_rule(*[a.type for a in args], outs=tuple([dim(h) for h in heads]), **attrs)
            outs = heads + tuple([Var(t) for t in types[len(heads) :]])
        else:
            types = prim.type_rule(*[a.type for a in args], **attrs)
            outs = tuple([Var(t) for t in types])
        for o, name in zip(outs, names, strict=False):
            o.name = name
        made = Op(prim, args, attrs, outs, self.loc)
        self.append(made)
        if prim.effect == "" and len(outs) == 1 and not outs[0].type.shape and outs[0].type.dtype.kind in "iub":
            self.makers[outs[0]] = made
        if key is not None and self._known:
            self._known[-1][key] = outs
        return outs

    def know(self, s: Op) -> None:
        """Let an operation like ``s`` emitted in the current block be ``s``, which others emit."""
        if s.prim.effect != "io" and self._known:
            self._known[-1].setdefault((s.prim.name, s.args, tuple(sorted(s.attrs.items()))), s.outs)

    @staticmethod
    def _fold(prim: Primitive, args: tuple[Atom, ...], attrs: dict[str, Any]) -> tuple[Atom, ...] | None:
        if isinstance(prim.kind, Collective) or not prim.foldable:  # what one lane has tells nothing of it
            return None
        types = prim.type_rule(*[a.type for a in args], **attrs)
        if len(types) != 1 or types[0].shape or prim.dependent_results:
            return None
        with np.errstate(all="ignore"):
            value = prim.numpy(*[a.value for a in args if isinstance(a, Lit)], **attrs)
        return (lit(value, types[0].dtype),)

    @staticmethod
    def atom(a: Any) -> Atom:
        """An operand: atoms as they are, sizes and Python numbers as constants of NumPy's default dtype."""
        if isinstance(a, Var | Lit):
            return a
        if isinstance(a, Dim):
            return current().size_value(a)
        if isinstance(a, bool | int | float | complex | np.generic):
            value = np.asarray(a)
            return lit(value, i64 if isinstance(a, int) and not isinstance(a, bool) else value.dtype)
        raise TypeError(f"not an operand: {a!r}")

    def size_value(self, size: Size) -> Atom:
        """The i64 value of a size."""
        if isinstance(size, int):
            return lit(size)
        add, mul = REGISTRY["add"], REGISTRY["mul"]
        total: Atom | None = None
        for v, c in size.terms:
            term = v if c == 1 else self.op(mul, (v, lit(c)), {})
            total = term if total is None else self.op(add, (total, term), {})
        return self.op(add, (total, lit(size.const)), {}) if size.const else total  # type: ignore[return-value]

    # -- control flow ----------------------------------------------------------------------------------------------

    def for_(self, trip: Size, inits: Sequence[Atom], body: Block, *, reverse: bool = False) -> tuple[Var, ...]:
        """Emit a `For` around a finished body."""
        n = len(inits)
        outs = [Var(p.type, p.name) for p in body.params[1:]]
        outs += [Var(ArrayType(r.type.dtype, (trip, *r.type.shape)), _name(r)) for r in body.results[n:]]
        return self.append(For(trip, tuple(inits), body, tuple(outs), reverse))

    def while_(self, inits: Sequence[Atom], cond: Block, body: Block) -> tuple[Var, ...]:
        """Emit a `While` around finished blocks."""
        n = len(inits)
        outs = [Var(p.type, p.name) for p in body.params]
        trip = Var(scalar(i64), "trip")
        stacked = [Var(ArrayType(r.type.dtype, (dim(trip), *r.type.shape)), _name(r)) for r in body.results[n:]]
        return self.append(While(tuple(inits), cond, body, (*outs, trip, *stacked)))

    def if_(self, pred: Atom, then: Block, orelse: Block) -> tuple[Var, ...]:
        """Emit an `If` around finished blocks."""
        outs = tuple([Var(r.type, _name(r) or _name(q)) for r, q in zip(then.results, orelse.results, strict=True)])
        return self.append(If(pred, then, orelse, outs))

    def map_(self, sizes: Sequence[Size], inits: Sequence[Atom], body: Block) -> tuple[Var, ...]:
        """Emit a `Map` around a finished body."""
        n = len(inits)
        outs = [Var(p.type, p.name) for p in body.params[len(sizes) :]]
        outs += [Var(ArrayType(r.type.dtype, (*sizes, *r.type.shape)), _name(r)) for r in body.results[n:]]
        return self.append(Map(tuple(sizes), tuple(inits), body, tuple(outs)))

    def call(
        self, func: Function, args: Sequence[Atom], types: Sequence[ArrayType], rule: Rule | None = None
    ) -> tuple[Var, ...]:
        """Emit a `Call`; ``types`` are the results' types in the caller's sizes."""
        outs = tuple([Var(t, _name(r)) for t, r in zip(types, func.results, strict=True)]) if rule else ()
        return self.append(Call(func, tuple(args), outs or tuple([Var(t) for t in types]), rule=rule))

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Inside, nothing is shared with what was emitted before: for functions that are used again elsewhere."""
        saved = self.blocks, self._known, self.loc
        self.blocks, self._known = [], []
        try:
            with self:
                yield
        finally:
            self.blocks, self._known, self.loc = saved


def _name(a: Atom) -> str:
    return a.name if isinstance(a, Var) else ""


__all__ = ["Builder", "current"]
