"""The functions of ``math`` on staged values: float64 scalars, with Python's domain errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from weft.errors import StagingError
from weft.frontend import calls
from weft.frontend.builtin import BUILTINS, builtin, is_staged, items, lifted
from weft.ir.nodes import lit
from weft.ir.types import f64
from weft.staged import arith
from weft.staged.arith import prim
from weft.staged.context import current
from weft.staged.value import Staged, lift, wrap


def _scalar(x: Any, name: str) -> Any:
    """A ``math`` operand as float64; ``math`` takes scalars only and answers Python floats."""
    v = lift(x)
    if v.type.shape:
        raise arith.op_error(TypeError, f"only 0-dimensional arrays can be converted to Python scalars (math.{name})")
    if v.dtype.kind == "c":
        raise arith.op_error(TypeError, "must be real number, not complex")
    return arith.cast(v.atom, f64)


def _domain(ok: Any, message: str = "math domain error") -> None:
    prim("check")(ok, exc="ValueError", message=message)


def _math(name: str, primitive: str, arity: int = 1, domain: Callable[..., Any] | None = None) -> None:
    native = getattr(math, name)

    def apply(*xs: Any) -> Any:
        if not is_staged(*xs):
            return native(*xs)
        if len(xs) != arity:
            raise arith.op_error(TypeError, f"math.{name} takes {arity} argument(s) ({len(xs)} given)")
        atoms = [_scalar(x, name) for x in xs]
        if domain is not None:
            _domain(domain(*atoms))
        return wrap(prim(primitive)(*atoms), "py")

    BUILTINS[native] = apply


def _nan_or(test: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: prim("bitor")(test(x), prim("isnan")(x))


_positive = _nan_or(lambda x: prim("gt")(x, lit(0.0, f64)))
_unit = _nan_or(lambda x: prim("le")(prim("abs")(x), lit(1.0, f64)))
for _name in "sin cos tan sinh cosh tanh exp expm1 fabs atan asinh cbrt exp2 erf erfc".split():
    if hasattr(math, _name):
        _math(_name, {"fabs": "abs", "atan": "arctan", "asinh": "arcsinh"}.get(_name, _name))
_math("sqrt", "sqrt", domain=_nan_or(lambda x: prim("ge")(x, lit(0.0, f64))))
for _name in ("log2", "log10"):
    _math(_name, _name, domain=_positive)
_math("log1p", "log1p", domain=_nan_or(lambda x: prim("gt")(x, lit(-1.0, f64))))
_math("asin", "arcsin", domain=_unit)
_math("acos", "arccos", domain=_unit)
_math("acosh", "arccosh", domain=_nan_or(lambda x: prim("ge")(x, lit(1.0, f64))))
_math("atanh", "arctanh", domain=_nan_or(lambda x: prim("lt")(prim("abs")(x), lit(1.0, f64))))
_math("atan2", "arctan2", 2)
_math("copysign", "copysign", 2)
_math("fmod", "fmod", 2, domain=lambda x, y: prim("ne")(y, lit(0.0, f64)))


@builtin(math.log)
def log_(x: Any, base: Any = None) -> Any:
    """``math.log``."""
    if not is_staged(x, base):
        return math.log(x) if base is None else math.log(x, base)
    a = _scalar(x, "log")
    _domain(_positive(a))
    out = wrap(prim("log")(a), "py")
    return out if base is None else arith.truediv(out, log_(base))


@builtin(math.pow)
def math_pow(x: Any, y: Any) -> Any:
    """``math.pow``: floats."""
    return arith.power(arith.to_py(lift(x), float), arith.to_py(lift(y), float)) if is_staged(x, y) else math.pow(x, y)


@builtin(math.hypot)
def hypot_(*xs: Any) -> Any:
    """``math.hypot``."""
    if not is_staged(*xs):
        return math.hypot(*xs)
    atoms = [_scalar(x, "hypot") for x in xs]
    out = atoms[0] if len(atoms) > 1 else prim("abs")(atoms[0])
    for a in atoms[1:]:
        out = prim("hypot")(out, a)
    return wrap(out, "py")


def _rounding(name: str, primitive: str) -> None:
    native = getattr(math, name)

    def apply(x: Any) -> Any:
        if not is_staged(x):
            return native(x)
        v = lift(x)
        if v.dtype.kind in "iub" and not v.type.shape:
            return arith.to_py(v, int)
        return arith.to_py(wrap(prim(primitive)(_scalar(x, name)), "py"), int)

    BUILTINS[native] = apply


for _name in ("floor", "ceil", "trunc"):
    _rounding(_name, _name)


def _predicate(name: str) -> None:
    native = getattr(math, name)
    BUILTINS[native] = lambda x: wrap(prim(name)(_scalar(x, name)), "py") if is_staged(x) else native(x)


for _name in ("isnan", "isinf", "isfinite"):
    _predicate(_name)


@builtin(math.fsum)
def fsum_(xs: Any) -> Any:
    """``math.fsum`` promises exact rounding, which compiled code does not give."""
    raise StagingError("math.fsum is not compiled", remedy="use sum() or np.sum", loc=current().loc)


@builtin(math.prod)
def prod_(xs: Any, *, start: Any = 1) -> Any:
    """``math.prod``."""
    x = lifted(xs)
    if isinstance(x, Staged):
        return arith.mul(start, calls.call(np.prod, (x,), {}))
    acc = start
    for v in items(xs):
        acc = arith.mul(acc, v) if is_staged(acc, v) else acc * v
    return acc


@builtin(math.radians)
def radians_(x: Any) -> Any:
    """``math.radians``."""
    return wrap(prim("mul")(_scalar(x, "radians"), lit(math.pi / 180, f64)), "py") if is_staged(x) else math.radians(x)


@builtin(math.degrees)
def degrees_(x: Any) -> Any:
    """``math.degrees``."""
    return wrap(prim("mul")(_scalar(x, "degrees"), lit(180 / math.pi, f64)), "py") if is_staged(x) else math.degrees(x)
