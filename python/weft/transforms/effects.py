"""What a statement may do besides computing its results."""

from __future__ import annotations

from weft.ir.nodes import Block, Call, Op, Span, Stmt, walk


def effect_of(op: Op) -> str:
    """``""`` (pure), ``"raise"`` or ``"io"``. An indexing op raises only in mode "check", and only where an operand can
    be out of range (a span never is)."""
    mode = op.attrs.get("mode")
    if mode is None:
        return op.prim.effect
    if mode == "check" and any([not isinstance(s, Span) for s in op.attrs["spec"]]):
        return "raise"
    return ""


def has_effect(node: Stmt | Block) -> bool:
    """Whether a statement, or a block, contains an op with an effect (a call: the function called)."""
    if isinstance(node, Op):
        return effect_of(node) != ""
    if isinstance(node, Call):
        return has_effect(node.func.body)
    block = node if isinstance(node, Block) else Block((), [node], ())
    return any([has_effect(s) for s in walk(block) if isinstance(s, Op | Call)])
