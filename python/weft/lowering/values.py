"""What a variable stands for while a function is lowered: a scalar expression, memory, or a value not yet computed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from weft.ir.nodes import Loc, Var
from weft.ir.primitive import Elementwise, Primitive
from weft.ir.sizes import Shape, Size
from weft.ir.types import DType
from weft.lowering.loops import (
    Apply,
    Buffer,
    Builtin,
    Combine,
    Const,
    Expr,
    Index,
    Load,
    Product,
    Ref,
)  # fmt: skip

_numbers = itertools.count()

Idx = tuple[Size, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Stored:
    """An array in memory: all of ``buffer``, seen with ``shape``."""

    buffer: Buffer
    shape: Shape


@dataclass(eq=False, slots=True)
class Node:
    """A pure value that is computed where it is needed.

    ``rule`` says how an element is made: "map" (``prim`` applied to the arguments' elements), "view" (``view(pull,
    idx)`` names an argument and the index in it), "iota" (its place in row-major order), "reduce" and "arg" (over
    ``axes``).
    """

    var: Var
    rule: str
    args: tuple[Value, ...]
    shape: Shape
    dtype: DType
    prim: Primitive | None = None
    view: Callable[[Any, Idx], tuple[Value, Idx]] | None = None
    axes: tuple[int, ...] = ()
    loc: Loc | None = None
    opaque: bool = False  # a view whose index is not affine in the result's index
    grows: bool = False  # a view that reads an element of its operand more than once
    seq: int = field(default_factory=lambda: next(_numbers))

    @property
    def cost(self) -> int:
        """What an element costs, beyond its arguments."""
        if self.rule == "map":
            kind = self.prim.kind if self.prim else None
            return kind.cost if isinstance(kind, Elementwise) else 1
        return 2 if self.opaque else 0


Value = Expr | Stored | Node


def sub_exprs(e: Expr) -> tuple[Expr, ...]:
    """The expressions directly inside one."""
    match e:
        case Apply() | Builtin():
            return e.args
        case Combine():
            return (e.left, e.right)
        case Const() | Ref() | Index() | Product() | Load():
            return ()
    raise TypeError(f"not an expression: {e!r}")


def walk_expr(e: Expr) -> Iterator[Expr]:
    """An expression and all inside it."""
    yield e
    for s in sub_exprs(e):
        yield from walk_expr(s)


def loads(e: Expr) -> Iterator[Load]:
    """The loads in an expression, each once."""
    # parts are shared: as a tree an expression may be very much larger than what there is of it
    seen: set[int] = set()
    waiting = [e]
    while waiting:
        x = waiting.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, Load):
            yield x
        waiting.extend(sub_exprs(x))


def expr_vars(e: Expr) -> Iterator[Var]:
    """The variables that an expression names."""
    from weft.ir.sizes import size_vars

    for x in walk_expr(e):
        match x:
            case Ref():
                yield x.var
            case Index():
                yield from size_vars(x.size)
            case Product():
                for s in x.sizes:
                    yield from size_vars(s)
            case Load():
                for s in (*x.place.index, *x.place.shape):
                    yield from size_vars(s)


def weight(e: Expr) -> int:
    """How many operations an expression prints."""
    return sum(1 for x in walk_expr(e) if not isinstance(x, Const | Ref))


def is_simple(e: Expr) -> bool:
    """Whether naming an expression would gain nothing."""
    return isinstance(e, Const | Ref | Index)


def is_expr(v: Value) -> TypeGuard[Expr]:
    """Whether a value is a scalar expression."""
    return not isinstance(v, Stored | Node)


def shape_of(v: Value) -> Shape:
    """A value's shape."""
    return v.shape if isinstance(v, Stored | Node) else ()


def dtype_of(v: Value) -> DType:
    """A value's dtype."""
    return v.buffer.dtype if isinstance(v, Stored) else v.dtype
