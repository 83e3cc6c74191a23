"""Code generation: loop nests to C++ and CUDA text. Python prints expressions and statements; templates own the
skeletons."""

from weft.codegen.cpp import cpp

__all__ = ["cpp"]
