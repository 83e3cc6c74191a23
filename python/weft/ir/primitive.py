"""What a primitive is: one record that holds everything the compiler knows of it.

`Primitive` objects are made by the declarations under ``weft/primitives`` and nowhere else. Passes ask the record; no
pass compares a primitive's name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weft.ir.nodes import Atom, Op
    from weft.ir.types import ArrayType

TypeRule = Callable[..., "tuple[ArrayType, ...]"]


@dataclass(frozen=True)
class Elementwise:
    """Lowering kind: one scalar expression per element. ``expr(op_dtype_names...)`` prints it.

    ``cpp`` maps ``(operand expressions, operand dtypes, result dtype)`` to a C++ expression; ``needs`` names the
    headers of ``csrc/kernels`` the expression uses; ``cost`` is its rough cost in additions.
    """

    cpp: Callable[[Sequence[str], Sequence[Any], Any], str]
    needs: tuple[str, ...] = ()
    cost: int = 1


@dataclass(frozen=True)
class Reindex:
    """Lowering kind: each result element is one operand's element at an index computed from the result's index.

    ``source`` maps ``(attrs, operand types, result index expressions)`` to ``(operand number, operand index
    expressions)``, given index arithmetic; used by broadcast, reshape, transpose and slices. Lowering knows these
    through ``rule``, a name in its own table of index arithmetic.
    """

    rule: str


@dataclass(frozen=True)
class Reduce:
    """Lowering kind: a reduction over ``attrs['axes']``.

    ``cpp`` combines two scalar expressions; ``init`` gives the start value for a dtype; ``index`` is True for
    argmax/argmin, whose result is the position (``attrs['axis']``).
    """

    cpp: Callable[[str, str, Any], str]
    init: Callable[[Any], Any]
    index: bool = False
    associative: bool = True


@dataclass(frozen=True)
class Loops:
    """Lowering kind: written as loops by the rule of this name in ``lowering`` (iota, concat, store, cumsum, ...)."""

    rule: str


@dataclass(frozen=True)
class Library:
    """Lowering kind: a call of the runtime's or a ``csrc/kernels`` routine (gemm, sort)."""

    routine: str


@dataclass(frozen=True)
class Host:
    """Lowering kind: a host call; ``rule`` says of what: "numpy" (the NumPy meaning), "callback" (a function of the
    user's, by way of it), "check" or "print"."""

    rule: str = "numpy"


@dataclass(frozen=True)
class Collective:
    """Communication over the axis that ``attrs['axis']`` names; mapping that axis takes it away.

    ``over(op, args, batched, size)`` gives the results of all lanes together, like a batching rule; they have the
    leading axis if ``varies(attrs)``, else they are the same for all lanes. ``reduction``: then they also count as one
    value where derivatives add up what devices share.
    """

    over: Callable[[Op, Sequence[Atom], Sequence[bool], Any], Sequence[Atom]]
    varies: Callable[[dict[str, Any]], bool]
    reduction: bool = False


Kind = Elementwise | Reindex | Reduce | Loops | Library | Host | Collective


@dataclass(frozen=True, eq=False)
class Primitive:
    """A primitive.

    Attributes
    ----------
    name
        Its name in printed IR.
    type_rule
        ``type_rule(*operand types, **attrs) -> result types``; raises TypeError or ValueError in NumPy's words. For a
        primitive with ``dependent_results``, it also gets ``outs=`` the result variables' size symbols (see
        ``Builder.op``).
    numpy
        ``numpy(*values, **attrs) -> value`` (a tuple when there are several results); sizes in ``attrs`` are ints.
    kind
        How it is lowered.
    jvp
        ``jvp(op, tangents) -> tangents of op.outs``: atoms, None for a zero tangent. Emits into the current builder.
        None: the primitive has no derivative (its results have none: integers, comparisons, `stop_gradient`).
    vjp
        ``vjp(op, cotangents, wanted) -> cotangents of op.args`` (None: zero); emits into the current builder.
        ``wanted[k]`` is False where the k-th is not needed.
    batch
        ``batch(op, args, batched, size) -> atoms``: the results with the batch axis leading, given ``args`` with the
        batch axis leading where ``batched`` is True. None: lowered through a `Map`.
    linear
        True if linear in all its inexact operands together.
    effect
        "" (pure), "raise" (may raise: not dropped or hoisted), "io" (ordered with others).
    foldable
        False if it means something of a constant, too: nothing is folded.
    inline_cheap
        True if recomputing it costs no more than reading a saved result.
    python
        ``python(args as text, attrs) -> text`` for the unparser; None: a call of its NumPy function by name.
    samples
        ``samples() -> list of (operands, attrs)`` that the generated tests run.
    """

    name: str
    type_rule: TypeRule
    numpy: Callable[..., Any]
    kind: Kind
    jvp: Callable[[Op, Sequence[Atom | None]], Sequence[Atom | None]] | None = None
    vjp: Callable[[Op, Sequence[Atom | None], Sequence[bool]], Sequence[Atom | None]] | None = None
    batch: Callable[[Op, Sequence[Atom], Sequence[bool], Any], Sequence[Atom]] | None = None
    linear: bool = False
    effect: str = ""
    dependent_results: int = 0
    inline_cheap: bool = False
    foldable: bool = True
    python: Callable[[Sequence[str], dict[str, Any]], str] | None = None
    samples: Callable[[], list[tuple[tuple[Any, ...], dict[str, Any]]]] | None = None
    doc: str = field(default="", repr=False)

    def __call__(self, *args: Any, **attrs: Any) -> Any:
        """Emit this primitive into the current builder; returns the result variable, or a tuple of several."""
        from weft.ir.builder import current

        return current().op(self, args, attrs)

    def __repr__(self) -> str:
        return self.name


REGISTRY: dict[str, Primitive] = {}


def register(prim: Primitive) -> Primitive:
    """Enter a primitive into the table that the parser and the generated tests read."""
    if prim.name in REGISTRY:
        raise ValueError(f"primitive {prim.name!r} is declared twice")
    REGISTRY[prim.name] = prim
    return prim
