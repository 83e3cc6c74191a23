"""weft: a source-to-source transforming compiler for numeric Python."""

from weft.api.grad import grad, jvp, value_and_grad, vjp
from weft.api.jit import jit
from weft.api.vmap import vmap
from weft.errors import CompileError, StagingError
from weft.runtime import Array

__version__ = "0.1.0"

__all__ = ["Array", "CompileError", "StagingError", "grad", "jit", "jvp", "value_and_grad", "vjp", "vmap"]
