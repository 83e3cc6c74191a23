"""Operators on staged values, with Python's meaning for Python scalars and NumPy 2's (NEP 50) for the rest."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft.errors import StagingError, located
from weft.ir.nodes import Atom, Lit, lit
from weft.ir.primitive import REGISTRY, Primitive
from weft.ir.sizes import Dim, Size
from weft.ir.types import DType, bool_, c128, f64, i64, is_complex, is_inexact
from weft.staged.compare import compare, integer_dtypes
from weft.staged.context import current
from weft.staged.value import Staged, is_number, join_flavours, lift, py_kind, size_object, wrap

_ZERO: dict[str, Any] = {"b": False, "i": 0, "f": 0.0, "c": 0j}


def prim(name: str) -> Primitive:
    """The primitive of this name."""
    return REGISTRY[name]


def op_error(kind: type[Exception], message: str) -> Exception:
    """An exception in NumPy's words that also shows the user's line."""
    return kind(located(message, current().loc))


# -- promotion -------------------------------------------------------------------------------------------------------


def result_dtype(*xs: Any) -> DType:
    """NumPy 2's result dtype: Python scalars are weak, everything else is strong."""
    return np.result_type(*[_ZERO[x.dtype.kind] if x.flavour == "py" else x.dtype for x in map(lift, xs)])


def cast(a: Atom, dtype: DType) -> Atom:
    """``a`` converted to ``dtype`` if it has another."""
    if a.type.dtype == dtype:
        return a
    if isinstance(a, Lit):
        return lit(a.value, dtype)
    out: Atom = prim("cast")(a, dtype=dtype)
    return out


def weak_literal(x: Any, dtype: DType) -> None:
    """Refuse a Python int that the array's dtype cannot hold, as NumPy 2 does."""
    if type(x) is int and dtype.kind in "iu":
        info = np.iinfo(dtype)
        if not info.min <= x <= info.max:
            raise op_error(OverflowError, f"Python integer {x} out of bounds for {dtype}")


def broadcast_shapes(name: str, *shapes: Sequence[Size]) -> tuple[Size, ...]:
    """NumPy's broadcast of shapes; sizes of arguments are found equal under a guard, or the shapes do not agree."""
    ctx = current()
    rank = max([len(s) for s in shapes], default=0)
    out: list[Size] = [1] * rank
    for s in shapes:
        for k, n in enumerate(s, rank - len(s)):
            n, have = ctx.resolve(n), ctx.resolve(out[k])
            if n == 1 or n == have:
                continue
            if have == 1:
                out[k] = n
            elif not _equal_sizes(have, n):
                text = " ".join(shape_text(t) for t in shapes)
                raise op_error(ValueError, f"{name}: operands could not be broadcast together with shapes {text}")
    return tuple(out)


def _equal_sizes(a: Size, b: Size) -> bool:
    """Whether two sizes, neither of them 1, are equal: by the arguments' sizes, else checked at run time."""
    ctx = current()
    m, n = ctx.number(a), ctx.number(b)
    if m is not None and n is not None:
        return m == n and ctx.decide("==", a - b, "shapes that are used together agree")
    check_sizes(a, b, "operands could not be broadcast together with sizes {} and {}")
    return True


def check_sizes(a: Size, b: Size, message: str) -> None:
    """Check at run time that two sizes agree."""
    b_ = current().builder
    x, y = b_.size_value(a), b_.size_value(b)
    prim("check")(prim("eq")(x, y), x, y, exc="ValueError", message=message)


def shape_text(shape: Sequence[Size]) -> str:
    """A shape for a message, with the numbers of this call where they are known."""
    ctx = current()
    parts = [n if (n := ctx.number(s)) is not None else repr(s) for s in shape]
    return f"({', '.join(map(str, parts))}{',' if len(parts) == 1 else ''})"


def broadcast_to(a: Atom, shape: Sequence[Size]) -> Atom:
    """``a`` broadcast to ``shape`` (which `broadcast_shapes` gave): scalars stay scalars."""
    if not a.type.shape:
        return a
    from weft.ir.sizes import same_shape

    if same_shape(a.type.shape, tuple(shape)):
        return a
    ctx = current()
    lead = len(shape) - a.type.rank
    kept: list[Size] = []
    for k, n in enumerate(a.type.shape):
        n, want = ctx.resolve(n), ctx.resolve(shape[lead + k])
        kept.append(want if n != 1 else 1)
    if any(n != ctx.resolve(m) for n, m in zip(kept, a.type.shape, strict=True)):
        a = retyped(a, tuple(kept))
    if same_shape(a.type.shape, tuple(shape)):
        return a
    out: Atom = prim("broadcast")(a, shape=tuple(shape), dims=tuple(range(lead, len(shape))))
    return out


def retyped(a: Atom, shape: tuple[Size, ...]) -> Atom:
    """``a`` under another name of its shape: sizes that a run-time check has shown to be equal."""
    from weft.ir.nodes import Span

    out: Atom = prim("index")(a, *[lit(0)] * a.type.rank, spec=tuple(Span(n, 1) for n in shape), mode="fast")
    return out


# -- binary operators ------------------------------------------------------------------------------------------------


def elementwise(name: str, xs: Sequence[Any], dtype: DType, *, flavour: str | None = None, title: str = "") -> Staged:
    """Apply an elementwise primitive after converting operands to ``dtype`` and broadcasting them."""
    vs = [lift(x) for x in xs]
    for x in xs:
        weak_literal(x, dtype)
    shape = broadcast_shapes(title or name, *[v.sizes for v in vs])
    atoms = [broadcast_to(cast(v.atom, dtype), shape) for v in vs]
    out = prim(name)(*atoms)
    return wrap(out, flavour or join_flavours(*[v.flavour for v in vs]))


def _all_py(a: Staged, b: Staged) -> bool:
    return a.flavour == "py" and b.flavour == "py"


def zero_division(op: Callable[[Any, Any], Any], dtype: DType) -> str:
    """What this Python says when it divides by zero."""
    one: Any = {"i": 1, "b": 1, "f": 1.0, "c": 1j}[dtype.kind]
    try:
        op(one, one - one)
    except ZeroDivisionError as e:
        return str(e)
    return "division by zero"


def nonzero_check(b: Staged, message: str) -> None:
    """Python scalars raise ZeroDivisionError where NumPy gives inf, nan or 0."""
    if isinstance(b.atom, Lit):
        if b.atom.value == 0:
            raise op_error(ZeroDivisionError, message)
        return
    prim("check")(prim("ne")(b.atom, lit(0, b.dtype)), exc="ZeroDivisionError", message=message)


def _arith(name: str, symbol: str) -> Callable[[Any, Any], Any]:
    def apply(x: Any, y: Any) -> Any:
        a, b = lift(x), lift(y)
        dtype = result_dtype(x, y)
        if dtype == bool_ and _all_py(a, b):
            dtype = i64
        if name == "sub" and dtype == bool_:
            raise op_error(TypeError, "numpy boolean subtract, the `-` operator, is not supported")
        size = _affine(name, a, b)
        if size is not None:
            return size
        out = elementwise(name, (x, y), dtype, title=symbol)
        return out

    return apply


def _affine(name: str, a: Staged, b: Staged) -> Any:
    """Integer arithmetic on sizes stays an expression over symbols."""
    if not _all_py(a, b) or a.extent is None or b.extent is None or not (_symbolic(a) or _symbolic(b)):
        return None
    m, n = current().resolve(a.extent), current().resolve(b.extent)
    if name == "add":
        return size_object(m + n)
    if name == "sub":
        return size_object(m - n)
    if name == "mul" and isinstance(n, int):
        return size_object(m * n)
    if name == "mul" and isinstance(m, int):
        return size_object(n * m)
    return None


def _symbolic(a: Staged) -> bool:
    """Whether an integer is a size expression (rather than one computed at run time)."""
    return isinstance(a.extent, Dim) and current().about_shapes(a.extent)


def truediv(x: Any, y: Any) -> Any:
    """``x / y``."""
    a, b = lift(x), lift(y)
    dtype = result_dtype(x, y)
    if not is_inexact(dtype):
        dtype = f64
    if _all_py(a, b):
        nonzero_check(b, zero_division(operator.truediv, dtype if result_dtype(x, y) == dtype else i64))
    return elementwise("div", (x, y), dtype, title="/")


def _divmod(name: str, symbol: str) -> Callable[[Any, Any], Any]:
    def apply(x: Any, y: Any) -> Any:
        a, b = lift(x), lift(y)
        dtype = result_dtype(x, y)
        if dtype == bool_:
            dtype = i64 if _all_py(a, b) else np.dtype(np.int8)
        if is_complex(dtype):
            raise op_error(TypeError, f"unsupported operand type(s) for {symbol}: 'complex'")
        if _all_py(a, b):
            nonzero_check(b, zero_division(operator.mod if name == "mod" else operator.floordiv, dtype))
        return elementwise(name, (x, y), dtype, title=symbol)

    return apply


add = _arith("add", "+")
sub = _arith("sub", "-")
mul = _arith("mul", "*")
floordiv = _divmod("floordiv", "//")
mod = _divmod("mod", "%")


def power(x: Any, y: Any) -> Any:
    """``x ** y``; small constant exponents become products."""
    a, b = lift(x), lift(y)
    dtype = result_dtype(x, y)
    if dtype == bool_:
        dtype = i64 if _all_py(a, b) else np.dtype(np.int8)
    exponent = y if type(y) in (int, float) else None
    both_py = _all_py(a, b)
    if dtype.kind in "iu":
        if exponent is not None and exponent < 0:
            if not both_py:
                raise op_error(ValueError, "Integers to negative integer powers are not allowed.")
            dtype = f64
        elif exponent is None and not isinstance(b.atom, Lit):
            shape = b.type.shape
            positive = prim("ge")(b.atom, lit(0, b.dtype))
            if shape:
                positive = prim("reduce_and")(positive, axes=tuple(range(len(shape))))
            prim("check")(positive, exc="ValueError", message="Integers to negative integer powers are not allowed.")
    if both_py and is_inexact(dtype) and not is_complex(dtype):
        if exponent is None or exponent < 0:
            negative = lit(0, dtype) if exponent is None else lit(exponent, dtype)
            e = cast(b.atom, dtype) if exponent is None else negative
            zero = prim("eq")(cast(a.atom, dtype), lit(0, dtype))
            bad = prim("bitand")(zero, prim("lt")(e, lit(0, dtype)))
            prim("check")(
                prim("logical_not")(bad), exc="ZeroDivisionError", message="0.0 cannot be raised to a negative power"
            )
        if exponent is None or exponent != int(exponent):
            e = cast(b.atom, dtype)
            whole = prim("eq")(e, prim("floor")(e))
            fine = prim("bitor")(whole, prim("ge")(cast(a.atom, dtype), lit(0, dtype)))
            prim("check")(
                fine,
                exc="ValueError",
                message="a negative number to a fractional power is complex: write complex(x) ** y",
            )
    if exponent == 2:
        return mul(_as(a, dtype), _as(a, dtype))
    if exponent == 1:
        return _as(a, dtype)
    if exponent == 3 and is_inexact(dtype):
        v = _as(a, dtype)
        return mul(mul(v, v), v)
    if exponent == 0.5 and is_inexact(dtype) and not both_py:
        return wrap(prim("sqrt")(cast(a.atom, dtype)), a.flavour)
    return elementwise("pow", (x, y), dtype, title="**")


def _as(a: Staged, dtype: DType) -> Staged:
    return a if a.dtype == dtype else wrap(cast(a.atom, dtype), a.flavour)


def _bits(name: str, symbol: str) -> Callable[[Any, Any], Any]:
    def apply(x: Any, y: Any) -> Any:
        dtype = result_dtype(x, y)
        if dtype.kind not in "biu":
            raise op_error(TypeError, f"ufunc {symbol!r} not supported for the input types")
        if name in ("shl", "shr") and dtype == bool_:
            dtype = i64 if _all_py(lift(x), lift(y)) else np.dtype(np.int8)
        return elementwise(name, (x, y), dtype, title=symbol)

    return apply


bitand = _bits("bitand", "&")
bitor = _bits("bitor", "|")
bitxor = _bits("bitxor", "^")
shl = _bits("shl", "<<")
shr = _bits("shr", ">>")

_FACTS = {"eq": ("==", 1, 0), "ne": ("!=", 1, 0), "ge": (">=", 1, 0), "gt": (">=", 1, -1),
          "le": (">=", -1, 0), "lt": (">=", -1, -1)}  # fmt: skip


def _compare(name: str, symbol: str) -> Callable[[Any, Any], Any]:
    kind, sign, shift = _FACTS[name]

    def apply(x: Any, y: Any) -> Any:
        if not _comparable(x) or not _comparable(y):
            return name == "ne" if name in ("eq", "ne") else NotImplemented
        a, b = lift(x), lift(y)
        if _all_py(a, b) and a.extent is not None and b.extent is not None and (_symbolic(a) or _symbolic(b)):
            size = current().resolve((a.extent - b.extent) * sign + shift)
            if isinstance(size, int):
                return {"==": size == 0, "!=": size != 0, ">=": size >= 0}[kind]
            if current().about_shapes(size):
                out = Staged(None, "py", type=_BOOL)
                out._atom = prim(name)(a.atom, b.atom)
                out.fact = (kind, size)
                return out
        dtype = result_dtype(x, y)
        mixed = integer_dtypes(a, b, dtype)
        if mixed is None and not (is_complex(dtype) and name not in ("eq", "ne") and not _all_py(a, b)):
            return elementwise(name, (x, y), dtype, title=symbol)
        shape = broadcast_shapes(symbol, a.sizes, b.sizes)
        ins = mixed or (dtype, dtype)
        left, right = [broadcast_to(cast(v.atom, d), shape) for v, d in zip((a, b), ins, strict=True)]
        return wrap(compare(name, left, right), join_flavours(a.flavour, b.flavour))

    return apply


_BOOL = lit(False, bool_).type


def _comparable(x: Any) -> bool:
    return isinstance(x, Staged | np.ndarray) or is_number(x) or hasattr(x, "__array__")


eq, ne, lt, le, gt, ge = (
    _compare(n, s) for n, s in (("eq", "=="), ("ne", "!="), ("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="))
)


# -- unary -----------------------------------------------------------------------------------------------------------


def neg(x: Any) -> Any:
    """``-x``."""
    a = lift(x)
    if a.dtype == bool_:
        if a.flavour != "py":
            raise op_error(TypeError, "The numpy boolean negative, the `-` operator, is not supported")
        a = _as(a, i64)
    if a.flavour == "py" and a.extent is not None and _symbolic(a):
        return size_object(-current().resolve(a.extent))
    return wrap(prim("neg")(a.atom), a.flavour)


def pos(x: Any) -> Any:
    """``+x``: a copy of an array."""
    a = lift(x)
    return wrap(a.atom, a.flavour) if not (a.flavour == "py" and a.dtype == bool_) else _as(a, i64)


def absolute(x: Any) -> Any:
    """``abs(x)``."""
    a = lift(x)
    if a.dtype == bool_:
        return _as(a, i64) if a.flavour == "py" else a
    return wrap(prim("abs")(a.atom), a.flavour)


def invert(x: Any) -> Any:
    """``~x``."""
    a = lift(x)
    if a.dtype == bool_:
        if a.flavour == "py":
            return wrap(prim("invert")(cast(a.atom, i64)), "py")
        return wrap(prim("logical_not")(a.atom), a.flavour)
    if a.dtype.kind not in "iu":
        raise op_error(TypeError, f"bad operand type for unary ~: {a.dtype}")
    return wrap(prim("invert")(a.atom), a.flavour)


def truth(x: Any) -> Any:
    """The truth of a scalar: a Python bool where it is known, else a staged bool."""
    if not isinstance(x, Staged):
        return bool(x)
    if x.fact is not None:
        return bool(x)
    if x.type.shape:
        return bool(x)  # raises NumPy's ValueError
    a = x.atom
    if isinstance(a, Lit):
        return bool(a.value)
    if x.dtype == bool_:
        return x
    return wrap(prim("ne")(a, lit(0, x.dtype)), "py")


def logical_not(x: Any) -> Any:
    """``not x``."""
    t = truth(x)
    return wrap(prim("logical_not")(t.atom), "py") if isinstance(t, Staged) else not t


def to_py(x: Any, kind: type) -> Any:
    """``int(x)``, ``float(x)``, ``bool(x)`` or ``complex(x)`` of a scalar."""
    if not isinstance(x, Staged):
        return kind(x)
    if x.type.shape:
        raise op_error(TypeError, "only 0-dimensional arrays can be converted to Python scalars")
    if kind is bool:
        t = truth(x)
        return wrap(t.atom, "py") if isinstance(t, Staged) else t
    if x.flavour == "py" and py_kind(x.dtype) is kind:
        return x
    if is_complex(x.dtype) and kind is not complex:
        raise op_error(TypeError, f"{kind.__name__}() argument must be a real number, not 'complex'")
    a = x.atom
    if kind is int and is_inexact(x.dtype):
        ok = prim("isfinite")(a)
        prim("check")(ok, exc="ValueError", message="cannot convert float NaN or infinity to integer")
    return wrap(cast(a, {int: i64, float: f64, complex: c128}[kind]), "py")


BINARY: dict[Any, Callable[[Any, Any], Any]] = {
    operator.add: add, operator.sub: sub, operator.mul: mul, operator.truediv: truediv, operator.floordiv: floordiv,
    operator.mod: mod, operator.pow: power, operator.and_: bitand, operator.or_: bitor, operator.xor: bitxor,
    operator.lshift: shl, operator.rshift: shr, operator.eq: eq, operator.ne: ne, operator.lt: lt, operator.le: le,
    operator.gt: gt, operator.ge: ge,
}  # fmt: skip


def _install() -> None:
    """Give `Staged` its operators."""
    names = {
        "add": add, "sub": sub, "mul": mul, "truediv": truediv, "floordiv": floordiv, "mod": mod, "pow": power,
        "and": bitand, "or": bitor, "xor": bitxor, "lshift": shl, "rshift": shr,
    }  # fmt: skip

    def forward(f: Callable[[Any, Any], Any]) -> Any:
        return lambda self, other: f(self, other) if _comparable(other) else NotImplemented

    def backward(f: Callable[[Any, Any], Any]) -> Any:
        return lambda self, other: f(other, self) if _comparable(other) else NotImplemented

    def plain(f: Callable[[Any, Any], Any]) -> Any:
        return lambda self, other: f(self, other)

    def unary(f: Callable[[Any], Any]) -> Any:
        return lambda self: f(self)

    for name, f in names.items():
        setattr(Staged, f"__{name}__", forward(f))
        setattr(Staged, f"__r{name}__", backward(f))
    for name, f in {"eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge}.items():
        setattr(Staged, f"__{name}__", plain(f))
    for name, g in {"neg": neg, "pos": pos, "abs": absolute, "invert": invert}.items():
        setattr(Staged, f"__{name}__", unary(g))


_install()

__all__ = [
    "BINARY", "StagingError", "absolute", "add", "bitand", "bitor", "bitxor", "broadcast_shapes", "broadcast_to",
    "cast", "check_sizes", "elementwise", "eq", "floordiv", "ge", "gt", "invert", "le", "logical_not", "lt", "mod",
    "mul", "ne", "neg", "op_error", "pos", "power", "prim", "result_dtype", "retyped", "shape_text", "shl", "shr",
    "sub", "to_py", "truediv", "truth",
]  # fmt: skip
