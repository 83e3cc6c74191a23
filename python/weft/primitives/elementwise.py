"""Everything elementwise, from the files that declare it."""

from weft.primitives.arithmetic import (
    abs_, add, cast, cbrt, ceil, complex_, conj, copysign, div, floor, floordiv, fmax, fmin, fmod, hypot, imag, maximum,
    minimum, mod, mul, neg, pow_, real, reciprocal, rint, select, sign, sqrt, sub, trunc,
)  # fmt: skip
from weft.primitives.compare import (
    bitand, bitor, bitxor, eq, ge, gt, invert, isfinite, isinf, isnan, le, logical_not, lt, ne, shl, shr, signbit,
)  # fmt: skip
from weft.primitives.transcendental import (
    arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, cos, cosh, exp, exp2, expm1, log, log1p, log2, log10,
    logaddexp, sin, sinh, tan, tanh,
)  # fmt: skip

__all__ = [
    "abs_", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "bitand", "bitor",
    "bitxor", "cast", "cbrt", "ceil", "complex_", "conj", "copysign", "cos", "cosh", "div", "eq", "exp", "exp2",
    "expm1", "floor", "floordiv", "fmax", "fmin", "fmod", "ge", "gt", "hypot", "imag", "invert", "isfinite", "isinf",
    "isnan", "le", "log", "log10", "log1p", "log2", "logaddexp", "logical_not", "lt", "maximum", "minimum", "mod",
    "mul", "ne", "neg", "pow_", "real", "reciprocal", "rint", "select", "shl", "shr", "sign", "signbit", "sin", "sinh",
    "sqrt", "sub", "tan", "tanh", "trunc",
]  # fmt: skip
