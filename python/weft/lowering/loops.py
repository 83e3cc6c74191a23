"""The loop-nest IR: buffers, scalar expressions and structured statements. Nothing here knows a target language.

Scalar variables are IR variables (`Var`); indices are sizes (`int | Dim`) over them, so index arithmetic stays affine
and a target prints it as it likes. An element of a buffer is named by an index vector and the shape it ranges over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from weft.ir.nodes import Loc, Var
from weft.ir.primitive import Primitive
from weft.ir.sizes import Shape, Size
from weft.ir.types import DType, i64


@dataclass(eq=False, slots=True)
class Buffer:
    """Memory for an array, row-major. ``home`` says where it comes from.

    ``home`` is "param" (``number`` = parameter), "result" (made by the runtime as result ``number``), "temp" (scratch
    memory), "local" (a small array of constant size, in registers or on the stack) or "row" (a part of another buffer,
    at ``row``, that is touched in no other way while it is used).
    """

    name: str
    dtype: DType
    shape: Shape
    home: str = "temp"
    number: int = -1
    moves: bool = False  # its pointer is exchanged with others' while the program runs
    written: bool = True
    row: Place | None = None

    @property
    def takes(self) -> bool:
        """Whether making it takes memory, which there may not be."""
        return self.home not in ("local", "row")


# -- expressions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class Const:
    """A NumPy scalar."""

    value: Any
    dtype: DType


@dataclass(frozen=True, eq=False, slots=True)
class Ref:
    """A scalar variable."""

    var: Var

    @property
    def dtype(self) -> DType:
        """Its dtype."""
        return self.var.type.dtype


@dataclass(frozen=True, eq=False, slots=True)
class Index:
    """The i64 value of a size or an index."""

    size: Size
    dtype: DType = i64


@dataclass(frozen=True, eq=False, slots=True)
class Product:
    """The i64 product of sizes."""

    sizes: Shape
    dtype: DType = i64


@dataclass(frozen=True, eq=False, slots=True)
class Place:
    """An element of a buffer: ``index`` in row-major ``shape``, whose leading size does not matter."""

    buffer: Buffer
    index: tuple[Size, ...]
    shape: Shape


@dataclass(frozen=True, eq=False, slots=True)
class Load:
    """The value of an element."""

    place: Place

    @property
    def dtype(self) -> DType:
        """Its dtype."""
        return self.place.buffer.dtype


@dataclass(frozen=True, eq=False, slots=True)
class Apply:
    """An elementwise primitive applied to scalars."""

    prim: Primitive
    args: tuple[Expr, ...]
    dtype: DType
    attrs: Any = None


@dataclass(frozen=True, eq=False, slots=True)
class Combine:
    """A reduction's combination of two values."""

    prim: Primitive
    left: Expr
    right: Expr
    dtype: DType


@dataclass(frozen=True, eq=False, slots=True)
class Builtin:
    """An operation of the lowering's own: "wrap" (negative index counts from the end; args i, n), "outside" (not
    0 <= i < n, as one test), "not", "or", "and", "less" (i64 comparison), "pick" (condition, a, b), "better" (argmax:
    is the candidate the new extremum)."""

    name: str
    args: tuple[Expr, ...]
    dtype: DType


Expr = Const | Ref | Index | Product | Load | Apply | Combine | Builtin


# -- statements ----------------------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Let:
    """A variable and its value; ``mutable`` if it is assigned again, and then ``expr`` may be None."""

    var: Var
    expr: Expr | None
    mutable: bool = False
    loc: Loc | None = None


@dataclass(eq=False, slots=True)
class Assign:
    """A new value for a mutable variable."""

    var: Var
    expr: Expr


@dataclass(eq=False, slots=True)
class Write:
    """An element's new value; with ``combine``, that primitive's combination of the old value and ``expr``."""

    place: Place
    expr: Expr
    combine: Primitive | None = None
    loc: Loc | None = None


@dataclass(eq=False, slots=True)
class Loop:
    """``for var in 0..size`` (downwards if ``reverse``).

    Iterations of a ``parallel`` loop are independent but for ``reductions``; one is worth ``cost`` additions times
    the product of ``inner`` sizes. A ``vector`` loop is innermost with independent iterations but for ``reductions``,
    (primitive, accumulator) pairs whose combinations may be reassociated. ``extrema`` are (primitive, best value, its
    position) for loops that look for the first extremum, with the test "first or". ``setup`` makes the scratch memory
    that the iterations share; a parallel loop runs it once per chunk. With ``fails``, checks inside may leave.
    """

    var: Var
    size: Size
    body: list[Stmt]
    parallel: bool = False
    vector: bool = False
    reverse: bool = False
    reductions: list[tuple[Primitive, Var]] = field(default_factory=list)
    cost: int = 1
    inner: Shape = ()
    setup: list[Stmt] = field(default_factory=list)
    fails: bool = False
    loc: Loc | None = None
    extrema: list[tuple[Primitive, Var, Var]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Forever:
    """``head; while (test) { body; head }``: ``head`` is evaluated before each test."""

    head: list[Stmt]
    test: Expr
    body: list[Stmt]
    loc: Loc | None = None


@dataclass(eq=False, slots=True)
class Branch:
    """``if (test) then else orelse``."""

    test: Expr
    then: list[Stmt]
    orelse: list[Stmt]
    loc: Loc | None = None


@dataclass(eq=False, slots=True)
class Alloc:
    """Makes a buffer's memory."""

    buffer: Buffer


@dataclass(eq=False, slots=True)
class Release:
    """Gives a temporary's memory back."""

    buffer: Buffer


@dataclass(eq=False, slots=True)
class Grow:
    """Makes sure that ``buffer`` holds ``need`` rows, doubling its capacity (kept in ``capacity``) if not."""

    buffer: Buffer
    capacity: Var
    need: Size
    row: Shape


@dataclass(eq=False, slots=True)
class Copy:
    """``count`` (a product of sizes) contiguous elements from one place to another; the regions do not overlap,
    or, with ``maybe_same``, are the same memory."""

    target: Place
    source: Place
    count: Shape
    maybe_same: bool = False


@dataclass(eq=False, slots=True)
class Repoint:
    """Parallel assignment of buffers' pointers: ``target`` gets what ``source`` pointed to."""

    pairs: list[tuple[Buffer, Buffer]]


@dataclass(eq=False, slots=True)
class View:
    """An operand of a host call: a place and the shape from there on, or a scalar."""

    place: Place | None
    shape: Shape
    dtype: DType
    expr: Expr | None = None
    into: Var | None = None  # a scalar result of the call


@dataclass(eq=False, slots=True)
class HostCall:
    """Calls host function ``id`` on views (operands, then results)."""

    id: int
    views: list[View]
    loc: Loc | None = None


@dataclass(eq=False, slots=True)
class Fail:
    """If ``test`` holds, calls host function ``id`` (a raise) on scalar ``payload`` and leaves."""

    test: Expr
    id: int
    payload: list[View]
    loc: Loc | None = None


@dataclass(eq=False, slots=True)
class Gemm:
    """``c[m, n] = op(a) @ op(b)``: places of the first elements, transposition flags, leading dimensions."""

    dtype: DType
    trans_a: bool
    trans_b: bool
    m: Shape
    n: Shape
    k: Shape
    a: Place
    lda: Shape
    b: Place
    ldb: Shape
    c: Place
    ldc: Shape


@dataclass(eq=False, slots=True)
class Routine:
    """A call of a ``csrc/kernels`` routine on pointers and i64 values."""

    name: str
    header: str
    places: list[Place]
    values: list[Expr]


@dataclass(eq=False, slots=True)
class Output:
    """Scalar result ``number`` of the program."""

    number: int
    expr: Expr


Stmt = (
    Let | Assign | Write | Loop | Forever | Branch | Alloc | Release | Grow | Copy | Repoint | HostCall | Fail | Gemm
    | Routine | Output
)  # fmt: skip


@dataclass(eq=False, slots=True)
class Program:
    """A lowered function.

    Attributes
    ----------
    name
        The function's name.
    params
        A `Buffer` for each array parameter, the variable for each scalar one.
    sizes
        ``(variable, position in the table of all parameters' sizes)`` for each size symbol.
    body
        The statements.
    meta
        What the dispatcher must know: see `weft.lowering.lower`.
    facts
        Summaries of the statements, so far as they were made.
    """

    name: str
    params: list[Buffer | Var]
    sizes: list[tuple[Var, int]]
    body: list[Stmt]
    meta: dict[str, Any]
    loc: Loc | None = None
    facts: Any = None
