"""Python's builtins and ``math`` on staged values, with Python's meaning."""

from __future__ import annotations

import builtins
import dataclasses
import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from weft.errors import StagingError
from weft.frontend import assign, calls
from weft.frontend.frame import State
from weft.ir.nodes import lit
from weft.ir.types import f64
from weft.staged import arith
from weft.staged.arith import prim
from weft.staged.context import current
from weft.staged.loops import Enumerate, Loopable, Range, Reversed, Zip, loopable
from weft.staged.value import Staged, is_number, lift, py_kind, size_object, wrap

BUILTINS: dict[Any, Callable[..., Any]] = {}


def builtin(*fns: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register what stands for builtins in staged code."""

    def register(f: Callable[..., Any]) -> Callable[..., Any]:
        for fn in fns:
            BUILTINS[fn] = f
        return f

    return register


def _state() -> State:
    s = current()
    assert isinstance(s, State)
    return s


def items(x: Any) -> list[Any]:
    """The items of an iterable whose length is known."""
    return assign.static_items(x, None, None)  # type: ignore[arg-type]


def _lifted(x: Any) -> Any:
    return lift(x) if isinstance(x, np.ndarray) else x


# -- iteration -------------------------------------------------------------------------------------------------------


@builtin(range)
def range_(*args: Any) -> Any:
    """``range`` with run-time bounds."""
    if any(isinstance(a, Staged) for a in args):
        lo, hi, step = (0, args[0], 1) if len(args) == 1 else (*args, 1)[:3]
        return Range(lo, hi, step)
    return range(*args)


@builtin(len)
def len_(x: Any) -> Any:
    """``len``: an array's first size."""
    x = _lifted(x)
    if isinstance(x, Staged):
        if not x.type.shape:
            raise arith.op_error(TypeError, "len() of unsized object")
        return x.shape[0]
    if isinstance(x, Loopable):
        return size_object(x.trip())
    fn = getattr(type(x), "__len__", None)
    if hasattr(fn, "__code__") and not calls.is_library(fn):
        return calls.call(fn, (x,), {})
    return len(x)


@builtin(enumerate)
def enumerate_(x: Any, start: Any = 0) -> Any:
    """``enumerate``."""
    part = loopable(_lifted(x))
    if part is not None and not isinstance(x, range):
        return Enumerate(part, start)
    if part is not None:
        return Enumerate(part, start)
    return [
        (arith.add(start, i) if isinstance(start, Staged) else start + i, v) for i, v in builtins.enumerate(items(x))
    ]


@builtin(zip)
def zip_(*xs: Any, strict: bool = False) -> Any:
    """``zip``: stays a loop if all its parts do."""
    parts = [loopable(_lifted(x)) for x in xs]
    if parts and all(p is not None for p in parts):
        return Zip([p for p in parts if p is not None], strict)
    known = [len(x) for x, p in builtins.zip(xs, parts) if p is None and hasattr(x, "__len__")]
    columns = []
    for x, p in builtins.zip(xs, parts):
        if p is None:
            columns.append(items(x))
            continue
        n = current().number(p.trip())
        if isinstance(x, range):
            columns.append(list(x))
        elif n is not None and known and builtins.min(known) <= n and not strict:
            # only as many rows as the known sequences have: no need to fix the array's size exactly
            m = builtins.min(known)
            current().decide(">=", p.trip() - m, "an array zipped with a sequence is long enough")
            columns.append([p.item(i) for i in builtins.range(m)])
        else:
            columns.append(items(p))
    return list(builtins.zip(*columns, strict=strict))


@builtin(reversed)
def reversed_(x: Any) -> Any:
    """``reversed``."""
    if isinstance(x, range):
        return x[::-1]
    if isinstance(x, Range):
        return x.reversed()
    part = loopable(_lifted(x))
    return Reversed(part) if part is not None else items(x)[::-1]


@builtin(map)
def map_(fn: Any, *xs: Any) -> Any:
    """``map``: a list."""
    return [calls.call(fn, args, {}) for args in builtins.zip(*[items(x) for x in xs])]


@builtin(filter)
def filter_(fn: Any, xs: Any) -> Any:
    """``filter``: the predicate must be known while staging."""
    return [x for x in items(xs) if bool(x if fn is None else calls.call(fn, (x,), {}))]


@builtin(functools.reduce)
def reduce_(fn: Any, xs: Any, *start: Any) -> Any:
    """``functools.reduce``."""
    rest = items(xs)
    acc, rest = (start[0], rest) if start else (rest[0], rest[1:])
    for x in rest:
        acc = calls.call(fn, (acc, x), {})
    return acc


@builtin(sorted)
def sorted_(xs: Any, *, key: Any = None, reverse: bool = False) -> Any:
    """``sorted`` of static structure; of an array, a sorted list of its items cannot be told."""
    x = _lifted(xs)
    if isinstance(x, Staged):
        raise StagingError("sorted() of an array", remedy="use np.sort", loc=current().loc)
    if key is None:
        return _state().own(builtins.sorted(items(xs), reverse=reverse))
    return _state().own(builtins.sorted(items(xs), key=lambda v: calls.call(key, (v,), {}), reverse=reverse))


@builtin(list)
def list_(x: Any = ()) -> Any:
    """``list``."""
    return _state().own(list(items(x)))


@builtin(tuple)
def tuple_(x: Any = ()) -> Any:
    """``tuple``."""
    return tuple(items(x))


@builtin(dict)
def dict_(*args: Any, **kwargs: Any) -> Any:
    """``dict``."""
    pairs = args[0] if args else {}
    return _state().own(dict(pairs if isinstance(pairs, dict) else [tuple(items(p)) for p in items(pairs)], **kwargs))


@builtin(set)
def set_(x: Any = ()) -> Any:
    """``set`` of static values."""
    return _state().own(set(items(x)))


# -- numbers ---------------------------------------------------------------------------------------------------------


def _staged(*xs: Any) -> bool:
    return any(isinstance(x, Staged | np.ndarray) for x in xs)


def _reduction(name: str, pick: str) -> Callable[..., Any]:
    native = getattr(builtins, name)

    def apply(*args: Any, key: Any = None, **kwargs: Any) -> Any:
        xs = args if len(args) > 1 else items(args[0])
        if not xs:
            if "default" in kwargs:
                return kwargs["default"]
            raise arith.op_error(ValueError, f"{name}() arg is an empty sequence")
        keys = xs if key is None else [calls.call(key, (x,), {}) for x in xs]
        if not any(map(calls.contains_staged, keys)) and not any(isinstance(k, np.ndarray) for k in keys):
            return xs[native(range(len(keys)), key=keys.__getitem__)]
        best, best_key = xs[0], keys[0]
        for x, k in zip(xs[1:], keys[1:], strict=True):
            better = getattr(arith, pick)(k, best_key)
            best = _select(better, x, best)
            best_key = best if key is None else _select(better, k, best_key)
        return best

    return apply


def _select(c: Any, x: Any, y: Any) -> Any:
    t = arith.truth(c)
    if not isinstance(t, Staged):
        return x if t else y
    a, b = lift(x), lift(y)
    if a.type.shape or b.type.shape:
        raise arith.op_error(ValueError, "The truth value of an array with more than one element is ambiguous.")
    dtype = arith.result_dtype(a, b)
    out = prim("select")(t.atom, arith.cast(a.atom, dtype), arith.cast(b.atom, dtype))
    return wrap(out, arith.join_flavours(a.flavour, b.flavour))


BUILTINS[max] = _reduction("max", "gt")
BUILTINS[min] = _reduction("min", "lt")


@builtin(sum)
def sum_(xs: Any, start: Any = 0) -> Any:
    """``sum``: of an array's rows as a loop's would be, in order."""
    x = _lifted(xs)
    if isinstance(x, Staged) and _is_zero(start):
        if x.ndim == 1:
            return calls.call(np.sum, (x,), {})
        return calls.call(np.sum, (x,), {"axis": 0})
    acc = start
    for v in items(xs):
        acc = arith.add(acc, v) if _staged(acc, v) else calls.call(operator.add, (acc, v), {})
    return acc


def _is_zero(x: Any) -> bool:
    return type(x) in (int, float) and x == 0


@builtin(abs, operator.abs)
def abs_(x: Any) -> Any:
    """``abs``."""
    if _staged(x):
        return arith.absolute(x)
    fn = getattr(type(x), "__abs__", None)
    return calls.call(fn, (x,), {}) if hasattr(fn, "__code__") else abs(x)


@builtin(pow)
def pow_(x: Any, y: Any, m: Any = None) -> Any:
    """``pow``."""
    if not _staged(x, y):
        return pow(x, y, m) if m is not None else pow(x, y)
    if m is not None:
        raise StagingError("pow() with a modulus is not compiled", loc=current().loc)
    return arith.power(x, y)


@builtin(divmod)
def divmod_(x: Any, y: Any) -> Any:
    """``divmod``."""
    return (arith.floordiv(x, y), arith.mod(x, y)) if _staged(x, y) else divmod(x, y)


@builtin(round)
def round_(x: Any, ndigits: Any = None) -> Any:
    """``round``: half to even."""
    if not _staged(x):
        return round(x, ndigits)
    v = lift(x)
    if ndigits is not None:
        if v.flavour == "py" and v.dtype.kind == "f":
            # Python rounds the decimal text exactly, which a product and a quotient do not
            raise StagingError("round() of a Python float to digits", remedy="use np.round", loc=current().loc)
        return calls.call(np.round, (x, ndigits), {})
    if v.type.shape or v.dtype.kind != "f":
        return calls.call(np.round, (x,), {}) if v.type.shape else v
    r = wrap(prim("rint")(v.atom), v.flavour)
    return arith.to_py(r, int)


def _conversion(kind: type) -> Callable[..., Any]:
    zero = kind()

    def convert(x: Any = zero, *rest: Any) -> Any:
        if isinstance(x, calls.Format):
            raise StagingError("a number from a run-time string", loc=current().loc)
        if not _staged(x, *rest):
            fn = getattr(type(x), f"__{kind.__name__}__", None)
            if hasattr(fn, "__code__"):
                return calls.call(fn, (x,), {})
            return calls.truth_of(x) if kind is bool else kind(x, *rest)
        if kind is complex and rest:
            parts = [arith.cast(lift(v).atom, f64) for v in (x, *rest)]
            return wrap(prim("complex_")(*parts), "py")
        return arith.to_py(_lifted(x), kind)

    return convert


for _kind in (bool, int, float, complex):
    BUILTINS[_kind] = _conversion(_kind)


@builtin(any)
def any_(xs: Any) -> Any:
    """``any``."""
    return _quantify(xs, arith.bitor, False)


@builtin(all)
def all_(xs: Any) -> Any:
    """``all``."""
    return _quantify(xs, arith.bitand, True)


def _quantify(xs: Any, combine: Callable[[Any, Any], Any], empty: bool) -> Any:
    x = _lifted(xs)
    if isinstance(x, Staged):
        return calls.call(np.all if empty else np.any, (x,), {})
    out: Any = empty
    for v in items(xs):
        t = arith.truth(v) if isinstance(v, Staged) else calls.truth_of(v)
        if not isinstance(t, Staged):
            if t != empty:
                return t
            continue
        out = t if out is empty else combine(out, t)
    return out


@builtin(isinstance)
def isinstance_(x: Any, classes: Any) -> bool:
    """``isinstance`` of staged values, by what they stand for."""
    if not isinstance(x, Staged):
        return isinstance(x, classes)
    kinds = classes if isinstance(classes, tuple) else (classes,)
    return any(_is_kind(x, k) for k in kinds)


def _is_kind(x: Staged, k: Any) -> bool:
    if x.flavour == "py":
        return issubclass(py_kind(x.dtype), k)
    if x.flavour == "np":
        return issubclass(np.ndarray if x.type.shape else x.dtype.type, k)
    import weft

    return issubclass(weft.Array, k)


@builtin(type)
def type_(x: Any) -> Any:
    """``type``."""
    if not isinstance(x, Staged):
        return type(x)
    if x.flavour == "py":
        return py_kind(x.dtype)
    if x.flavour == "np":
        return np.ndarray if x.type.shape else x.dtype.type
    import weft

    return weft.Array


@builtin(print)
def print_(*args: Any, sep: Any = " ", end: Any = "\n", flush: Any = False, file: Any = None) -> None:
    """``print`` at run time."""
    if file is not None:
        raise StagingError("print(file=...) is not compiled", loc=current().loc)
    f = calls.joined(args, " " if sep is None else sep)
    tail = "\n" if end is None else end
    prim("print")(*[v.atom for v in f.values], text=f.text + tail.replace("{", "{{").replace("}", "}}"))


@builtin(getattr)
def getattr_(x: Any, name: str, *default: Any) -> Any:
    """``getattr``."""
    from weft.frontend import expressions

    frame = _state().frames[-1]
    try:
        return expressions.attribute(x, name, frame.parsed.node, frame)
    except (AttributeError, StagingError):
        if default:
            return default[0]
        raise


@builtin(hasattr)
def hasattr_(x: Any, name: str) -> bool:
    """``hasattr``."""
    if isinstance(x, Staged):
        try:
            calls.staged_attribute(x, name)
        except AttributeError:
            return False
        return True
    return hasattr(x, name)


@builtin(setattr)
def setattr_(x: Any, name: str, value: Any) -> None:
    """``setattr`` on objects that staged code made."""
    _state().change(x)
    setattr(x, name, value)


@builtin(callable)
def callable_(x: Any) -> bool:
    """``callable``."""
    return callable(x) and not isinstance(x, Staged)


@builtin(dataclasses.replace)
def replace_(obj: Any, **changes: Any) -> Any:
    """``dataclasses.replace``."""
    fields = {f.name: getattr(obj, f.name) for f in dataclasses.fields(obj) if f.init}
    return calls.call(type(obj), (), {**fields, **changes})


@builtin(id)
def id_(x: Any) -> Any:
    """``id`` of staged values has no meaning."""
    if isinstance(x, Staged):
        raise StagingError("id() of a run-time value", loc=current().loc)
    return id(x)


@builtin(next, iter)
def next_(*args: Any) -> Any:
    """Iterators are consumed while staging, which a run-time loop could not see."""
    raise StagingError("iter() and next() are not compiled", remedy="use a for loop", loc=current().loc)


@builtin(str, repr, format)
def str_(x: Any = "", spec: str = "") -> Any:
    """``str`` of a run-time value: may only be printed or raised."""
    if isinstance(x, Staged):
        return calls.Format("{0" + (f":{spec}" if spec else "") + "}", (x,))
    return x if isinstance(x, calls.Format) else (format(x, spec) if spec else str(x))


def _binary_operator(fn: Any) -> None:
    def apply(x: Any, y: Any) -> Any:
        from weft.frontend import expressions

        frame = _state().frames[-1]
        if fn in arith.BINARY and not _staged(x, y) and not _custom(x, y):
            return fn(x, y)
        if fn in (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge):
            return arith.BINARY[fn](x, y)
        return expressions.binary(fn, x, y, frame.parsed.node, frame)

    BUILTINS[fn] = apply


def _custom(x: Any, y: Any) -> bool:
    return not (is_number(x) and is_number(y))


for _op in (*arith.BINARY, operator.matmul):
    _binary_operator(_op)
BUILTINS[operator.neg] = arith.neg
BUILTINS[operator.getitem] = lambda x, k: x[k]


# -- math ------------------------------------------------------------------------------------------------------------


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
        if not _staged(*xs):
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
for _name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "expm1", "fabs", "atan", "asinh", "cbrt", "exp2"):
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
    if not _staged(x, base):
        return math.log(x) if base is None else math.log(x, base)
    a = _scalar(x, "log")
    _domain(_positive(a))
    out = wrap(prim("log")(a), "py")
    return out if base is None else arith.truediv(out, log_(base))


@builtin(math.pow)
def math_pow(x: Any, y: Any) -> Any:
    """``math.pow``: floats."""
    return arith.power(arith.to_py(lift(x), float), arith.to_py(lift(y), float)) if _staged(x, y) else math.pow(x, y)


@builtin(math.hypot)
def hypot_(*xs: Any) -> Any:
    """``math.hypot``."""
    if not _staged(*xs):
        return math.hypot(*xs)
    atoms = [_scalar(x, "hypot") for x in xs]
    out = atoms[0] if len(atoms) > 1 else prim("abs")(atoms[0])
    for a in atoms[1:]:
        out = prim("hypot")(out, a)
    return wrap(out, "py")


def _rounding(name: str, primitive: str) -> None:
    native = getattr(math, name)

    def apply(x: Any) -> Any:
        if not _staged(x):
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
    BUILTINS[native] = lambda x: wrap(prim(name)(_scalar(x, name)), "py") if _staged(x) else native(x)


for _name in ("isnan", "isinf", "isfinite"):
    _predicate(_name)


@builtin(math.fsum)
def fsum_(xs: Any) -> Any:
    """``math.fsum`` promises exact rounding, which compiled code does not give."""
    raise StagingError("math.fsum is not compiled", remedy="use sum() or np.sum", loc=current().loc)


@builtin(math.prod)
def prod_(xs: Any, *, start: Any = 1) -> Any:
    """``math.prod``."""
    x = _lifted(xs)
    if isinstance(x, Staged):
        return arith.mul(start, calls.call(np.prod, (x,), {}))
    acc = start
    for v in items(xs):
        acc = arith.mul(acc, v) if _staged(acc, v) else acc * v
    return acc


@builtin(math.radians)
def radians_(x: Any) -> Any:
    """``math.radians``."""
    return wrap(prim("mul")(_scalar(x, "radians"), lit(math.pi / 180, f64)), "py") if _staged(x) else math.radians(x)


@builtin(math.degrees)
def degrees_(x: Any) -> Any:
    """``math.degrees``."""
    return wrap(prim("mul")(_scalar(x, "degrees"), lit(180 / math.pi, f64)), "py") if _staged(x) else math.degrees(x)
