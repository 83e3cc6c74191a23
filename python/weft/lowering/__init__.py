"""Lowering: IR functions to loop nests with buffers. Fusion, in-place updates and the parallel schedule are decided
here; nothing here knows a target language."""

from weft.lowering.function import lower
from weft.lowering.loops import Program

__all__ = ["Program", "lower"]
