"""The nodes of the IR, in A-normal form with structured control flow.

A block's statements may name any variable of the blocks around it (blocks are closures). Sizes inside types and
attributes name i64 variables, so free variables and substitution look there too. Nodes are never changed once a
transformation has been handed them: passes build new ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from weft.ir.primitive import Primitive
from weft.ir.sizes import Dim, Size, dim, map_size, size_vars
from weft.ir.types import ArrayType, i64, scalar

if TYPE_CHECKING:
    from weft.ir.rules import Rule

_ids = itertools.count()


@dataclass(frozen=True, slots=True)
class Loc:
    """A place in the user's source; ``backward``: of what reverse mode added there."""

    file: str
    line: int
    col: int = 0
    end_line: int = 0
    end_col: int = 0
    function: str = ""
    backward: bool = False

    def __repr__(self) -> str:
        return f"{self.file}:{self.line}"


class Var:
    """A variable, assigned once. ``name`` is a hint; printers make names unique."""

    __slots__ = ("id", "name", "type")

    def __init__(self, type: ArrayType, name: str = "") -> None:
        self.id = next(_ids)
        self.type = type
        self.name = name

    def __repr__(self) -> str:
        return f"{self.name or 'v'}_{self.id}"


@dataclass(frozen=True, slots=True, eq=False)
class Lit:
    """A scalar constant: ``value`` is a NumPy scalar of ``type.dtype``."""

    value: Any
    type: ArrayType

    def __eq__(self, other: object) -> bool:  # by bits, so that -0.0 and nan are themselves
        return isinstance(other, Lit) and self.type == other.type and bytes(self.value.data) == bytes(other.value.data)

    def __hash__(self) -> int:
        return hash((self.type, bytes(self.value.data)))

    def __repr__(self) -> str:
        return f"{self.value!s}:{self.type!r}"


Atom = Var | Lit


def lit(value: Any, dtype: np.dtype[Any] = i64) -> Lit:
    """The scalar constant ``value`` of ``dtype``."""
    return Lit(np.asarray(value).astype(dtype)[()], scalar(dtype))


# -- index specifications ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class At:
    """This axis is read at one integer (its operand) and dropped."""


@dataclass(frozen=True, slots=True)
class Span:
    """This axis is read at ``start + k * step`` for k below ``size``; the operand is ``start``, always in range."""

    size: Size
    step: int = 1


@dataclass(frozen=True, slots=True)
class Gather:
    """This axis is read at an integer array (its operand). All gathers of one index share a shape, which appears
    in the result where the first of them stands."""


IndexSpec = tuple[At | Span | Gather, ...]


# -- statements ----------------------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Block:
    """Statements between parameters and results."""

    params: tuple[Var, ...]
    stmts: list[Stmt]
    results: tuple[Atom, ...]


@dataclass(eq=False, slots=True)
class Op:
    """``outs = prim(*args; **attrs)``."""

    prim: Primitive
    args: tuple[Atom, ...]
    attrs: dict[str, Any]
    outs: tuple[Var, ...]
    loc: Loc | None = None


@dataclass(eq=False, slots=True)
class For:
    """A sequential loop ``for k in 0..trip`` (downwards if ``reverse``).

    ``body.params`` are ``(k, *carries)``; ``body.results`` are ``(*next carries, *collected)``; ``outs`` are the
    final carries, then each collected value stacked along a new leading axis of size ``trip`` at position k.
    """

    trip: Size
    inits: tuple[Atom, ...]
    body: Block
    outs: tuple[Var, ...]
    reverse: bool = False
    loc: Loc | None = None


@dataclass(eq=False, slots=True)
class While:
    """``while cond(carries): carries, collected = body(carries)``.

    ``cond.params`` and ``body.params`` are the carries; ``outs`` are the final carries, the trip count (i64), then the
    collected values stacked along a new leading axis whose size is that trip count.
    """

    inits: tuple[Atom, ...]
    cond: Block
    body: Block
    outs: tuple[Var, ...]
    loc: Loc | None = None


@dataclass(eq=False, slots=True)
class If:
    """``outs = then() if pred else orelse()``; the blocks have no parameters and yield the same types."""

    pred: Atom
    then: Block
    orelse: Block
    outs: tuple[Var, ...]
    loc: Loc | None = None


@dataclass(eq=False, slots=True)
class Map:
    """A parallel comprehension over an index space, in no order.

    ``body.params`` are ``(*indices, *accumulators)``; ``body.results`` are ``(*accumulators', *elements)``; ``outs``
    are the final accumulators, then each element stacked along ``len(sizes)`` new leading axes. An accumulator may
    only be added to (`accum`, or `add` for a scalar), and is not otherwise read; its start value is ``inits``.
    """

    sizes: tuple[Size, ...]
    inits: tuple[Atom, ...]
    body: Block
    outs: tuple[Var, ...]
    loc: Loc | None = None


@dataclass(eq=False, slots=True)
class Call:
    """``outs = func(*args)``, an outlined function; ``rule`` says how it is differentiated (None: as it is written)."""

    func: Function
    args: tuple[Atom, ...]
    outs: tuple[Var, ...]
    loc: Loc | None = None
    rule: Rule | None = None


Stmt = Op | For | While | If | Map | Call


@dataclass(eq=False, slots=True)
class Function:
    """A function: ``body.params`` are its parameters, ``body.results`` its results.

    ``sizes`` are the size symbols that the parameters' shapes bind: each names the parameter and axis it is read from
    (a symbol that is itself an i64 parameter is not listed). ``updates`` maps a result to the parameter whose memory
    receives it: the function writes that argument in place. Without such an entry no argument is changed.
    """

    name: str
    body: Block
    sizes: tuple[tuple[Var, int, int], ...] = ()
    updates: dict[int, int] = field(default_factory=dict)
    loc: Loc | None = None

    @property
    def params(self) -> tuple[Var, ...]:
        """The parameters."""
        return self.body.params

    @property
    def results(self) -> tuple[Atom, ...]:
        """The results."""
        return self.body.results

    @property
    def types(self) -> tuple[ArrayType, ...]:
        """The results' types."""
        return tuple(r.type for r in self.body.results)


# -- walking -------------------------------------------------------------------------------------------------------


def sub_blocks(stmt: Stmt) -> tuple[Block, ...]:
    """The blocks directly inside a statement."""
    match stmt:
        case Op() | Call():
            return ()
        case For() | Map():
            return (stmt.body,)
        case While():
            return (stmt.cond, stmt.body)
        case If():
            return (stmt.then, stmt.orelse)
    raise TypeError(f"not a statement: {stmt!r}")


def vars_in_static(value: Any) -> Iterator[Var]:
    """The variables that sizes inside a static value (an attribute, a type, an index spec) name."""
    if isinstance(value, Dim):
        yield from size_vars(value)
    elif isinstance(value, ArrayType):
        for s in value.shape:
            yield from size_vars(s)
    elif isinstance(value, tuple | list):
        for v in value:
            yield from vars_in_static(v)
    elif is_dataclass(value) and not isinstance(value, type):
        for f in fields(value):
            yield from vars_in_static(getattr(value, f.name))


def atom_uses(stmt: Stmt) -> Iterator[Var]:
    """The variables a statement names itself: operands, sizes in attributes and in its results' types (not those in
    its blocks)."""
    operands: Iterable[Atom]
    static: Any = ()
    match stmt:
        case Op():
            operands, static = stmt.args, tuple(stmt.attrs.values())
        case For():
            operands, static = stmt.inits, stmt.trip
        case While():
            operands = stmt.inits
        case If():
            operands = (stmt.pred,)
        case Map():
            operands, static = stmt.inits, stmt.sizes
        case Call():
            operands = stmt.args
        case _:
            raise TypeError(f"not a statement: {stmt!r}")
    for a in operands:
        if isinstance(a, Var):
            yield a
    yield from vars_in_static(static)
    for o in stmt.outs:
        for v in vars_in_static(o.type):
            if v not in stmt.outs:
                yield v


def free_vars(node: Block | Stmt | Function) -> list[Var]:
    """The variables used but not bound inside, in order of first use."""
    found: dict[Var, None] = {}
    bound: set[Var] = set()

    def block(b: Block) -> None:
        bound.update(b.params)
        for p in b.params:
            use(vars_in_static(p.type))
        for s in b.stmts:
            stmt(s)
        use(a for a in b.results if isinstance(a, Var))

    def stmt(s: Stmt) -> None:
        use(atom_uses(s))
        for b in sub_blocks(s):
            block(b)
        bound.update(s.outs)

    def use(vs: Iterable[Var]) -> None:
        for v in vs:
            if v not in bound:
                found.setdefault(v)

    match node:
        case Block():
            block(node)
        case Function():
            bound.update(v for v, _, _ in node.sizes)
            block(node.body)
        case _:
            stmt(node)
    return [v for v in found if v not in bound]


def walk(block: Block) -> Iterator[Stmt]:
    """All statements of a block and of the blocks inside it, outermost first."""
    for s in block.stmts:
        yield s
        for b in sub_blocks(s):
            yield from walk(b)


# -- substitution --------------------------------------------------------------------------------------------------


class Renamer:
    """Copies nodes with fresh variables, replacing free variables by the atoms given.

    ``atoms`` maps variables to atoms; it grows as binders are copied. A variable mapped to an integer literal also
    replaces that variable inside sizes.
    """

    def __init__(self, atoms: dict[Var, Atom] | None = None, sizes: Callable[[Var], Size | None] | None = None) -> None:
        self.atoms: dict[Var, Atom] = dict(atoms or {})
        self._sizes = sizes

    def _lookup(self, v: Var) -> Size | None:
        a = self.atoms.get(v)
        if a is None:
            return self._sizes(v) if self._sizes else None
        return int(a.value) if isinstance(a, Lit) else dim(a)

    def static(self, value: Any) -> Any:
        """A static value with the sizes inside it renamed."""
        if isinstance(value, Dim):
            return map_size(value, self._lookup)
        if isinstance(value, ArrayType):
            return ArrayType(value.dtype, self.static(value.shape)) if value.shape else value
        if type(value) is tuple:
            return tuple([self.static(v) for v in value])
        if isinstance(value, Span):
            return Span(self.static(value.size), value.step)
        if is_dataclass(value) and not isinstance(value, type):
            new = {f.name: self.static(getattr(value, f.name)) for f in fields(value)}
            return replace(value, **new)
        return value

    def atom(self, a: Atom) -> Atom:
        """What stands for ``a`` in the copy."""
        return self.atoms.get(a, a) if isinstance(a, Var) else a

    def all(self, atoms: Iterable[Atom]) -> tuple[Atom, ...]:
        """What stands for each atom in the copy."""
        return tuple([self.atom(a) for a in atoms])

    def bind(self, v: Var) -> Var:
        """A fresh variable for ``v`` (its type renamed)."""
        new = Var(v.type, v.name)
        self.atoms[v] = new
        new.type = self.static(v.type)
        return new

    def bind_all(self, vs: Iterable[Var]) -> tuple[Var, ...]:
        """Fresh variables, whose types may name each other."""
        vs = tuple(vs)
        out = tuple([Var(v.type, v.name) for v in vs])
        self.atoms.update(zip(vs, out, strict=True))
        for v, new in zip(vs, out, strict=True):
            new.type = self.static(v.type)
        return out

    def block(self, b: Block) -> Block:
        """A copy of a block."""
        params = self.bind_all(b.params)
        stmts = [self.stmt(s) for s in b.stmts]
        return Block(params, stmts, self.all(b.results))

    def stmt(self, s: Stmt) -> Stmt:
        """A copy of a statement; its results are bound to fresh variables."""
        match s:
            case Op():
                attrs = {k: self.static(v) for k, v in s.attrs.items()}
                return Op(s.prim, self.all(s.args), attrs, self.bind_all(s.outs), s.loc)
            case For():
                trip, inits, body = self.static(s.trip), self.all(s.inits), self.block(s.body)
                return For(trip, inits, body, self.bind_all(s.outs), s.reverse, s.loc)
            case While():
                inits, cond, body = self.all(s.inits), self.block(s.cond), self.block(s.body)
                return While(inits, cond, body, self.bind_all(s.outs), s.loc)
            case If():
                pred, then, orelse = self.atom(s.pred), self.block(s.then), self.block(s.orelse)
                return If(pred, then, orelse, self.bind_all(s.outs), s.loc)
            case Map():
                sizes, inits, body = self.static(s.sizes), self.all(s.inits), self.block(s.body)
                return Map(sizes, inits, body, self.bind_all(s.outs), s.loc)
            case Call():
                return Call(s.func, self.all(s.args), self.bind_all(s.outs), s.loc, s.rule)
        raise TypeError(f"not a statement: {s!r}")

    def function(self, f: Function) -> Function:
        """A copy of a function."""
        sizes = tuple((self.bind(v), p, axis) for v, p, axis in f.sizes)
        return Function(f.name, self.block(f.body), sizes, dict(f.updates), f.loc)
