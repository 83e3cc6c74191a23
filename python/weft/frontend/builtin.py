"""Python's builtins and ``math`` on staged values, with Python's meaning."""

from __future__ import annotations

import builtins
import dataclasses
import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from weft.errors import StagingError
from weft.frontend import assign, calls, watch
from weft.frontend.frame import State
from weft.ir.types import f64
from weft.staged import arith
from weft.staged.arith import prim
from weft.staged.checkpoint import Checkpointed
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


def lifted(x: Any) -> Any:
    """A concrete array as a staged one; anything else as it is."""
    return lift(x) if isinstance(x, np.ndarray) else x


# -- iteration -------------------------------------------------------------------------------------------------------


def _part(x: Any) -> Loopable | None:
    """``x`` as what a loop runs over without unrolling."""
    found = loopable(lifted(x))
    if isinstance(found, Checkpointed):
        raise StagingError(
            "weft.checkpoint inside zip, enumerate or reversed has no effect",
            remedy="put it around them: `for i, x in weft.checkpoint(enumerate(xs))`",
            loc=current().loc,
        )
    return found


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
    x = lifted(x)
    if isinstance(x, Staged):
        if not x.type.shape:
            raise arith.op_error(TypeError, "len() of unsized object")
        return x.shape[0]
    if isinstance(x, Loopable):
        return size_object(x.trip())
    fn = watch.special(x, "__len__")
    if hasattr(fn, "__code__") and not calls.is_library(fn):
        return calls.call(fn, (x,), {})
    watch.refuse_changing("len()", x)
    return len(x)


@builtin(enumerate)
def enumerate_(x: Any, start: Any = 0) -> Any:
    """``enumerate``."""
    part = _part(x)
    if part is not None:
        return Enumerate(part, start)
    return [
        (arith.add(start, i) if isinstance(start, Staged) else start + i, v) for i, v in builtins.enumerate(items(x))
    ]


@builtin(zip)
def zip_(*xs: Any, strict: bool = False) -> Any:
    """``zip``: stays a loop if all its parts do."""
    parts = [_part(x) for x in xs]
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
    part = _part(x)
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
    x = lifted(xs)
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


def is_staged(*xs: Any) -> bool:
    """Whether any of these is a run-time value."""
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
    x = lifted(xs)
    if isinstance(x, Staged) and _is_zero(start):
        if x.ndim == 1:
            return calls.call(np.sum, (x,), {})
        return calls.call(np.sum, (x,), {"axis": 0})
    acc = start
    for v in items(xs):
        acc = arith.add(acc, v) if is_staged(acc, v) else calls.call(operator.add, (acc, v), {})
    return acc


def _is_zero(x: Any) -> bool:
    return type(x) in (int, float) and x == 0


@builtin(abs, operator.abs)
def abs_(x: Any) -> Any:
    """``abs``."""
    if is_staged(x):
        return arith.absolute(x)
    fn = watch.special(x, "__abs__")
    return calls.call(fn, (x,), {}) if hasattr(fn, "__code__") else abs(x)


@builtin(pow)
def pow_(x: Any, y: Any, m: Any = None) -> Any:
    """``pow``."""
    if not is_staged(x, y):
        return pow(x, y, m) if m is not None else pow(x, y)
    if m is not None:
        raise StagingError("pow() with a modulus is not compiled", loc=current().loc)
    return arith.power(x, y)


@builtin(divmod)
def divmod_(x: Any, y: Any) -> Any:
    """``divmod``."""
    return (arith.floordiv(x, y), arith.mod(x, y)) if is_staged(x, y) else divmod(x, y)


@builtin(round)
def round_(x: Any, ndigits: Any = None) -> Any:
    """``round``: half to even."""
    if not is_staged(x):
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
        if not is_staged(x, *rest):
            fn = watch.special(x, f"__{kind.__name__}__")
            if hasattr(fn, "__code__"):
                return calls.call(fn, (x,), {})
            return calls.truth_of(x) if kind is bool else kind(x, *rest)
        if kind is complex and rest:
            parts = [arith.cast(lift(v).atom, f64) for v in (x, *rest)]
            return wrap(prim("complex_")(*parts), "py")
        return arith.to_py(lifted(x), kind)

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
    x = lifted(xs)
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
        watch.kind_of(x)
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
        watch.kind_of(x)
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

    frame = _state().frame
    try:
        return expressions.attribute(x, name, frame.parsed.node, frame)
    except (AttributeError, StagingError):
        if default:
            watch.has_attribute(x, name)
            return default[0]
        raise


def _namespace(name: str) -> Callable[..., Any]:
    def refused(*args: Any) -> Any:
        raise watch.refuse_namespace(name)

    return refused


for _fn in (vars, globals, locals):
    BUILTINS[_fn] = _namespace(_fn.__name__)


@builtin(hasattr)
def hasattr_(x: Any, name: str) -> bool:
    """``hasattr``."""
    if isinstance(x, Staged):
        try:
            calls.staged_attribute(x, name)
        except AttributeError:
            return False
        return True
    return watch.has_attribute(x, name)


@builtin(setattr)
def setattr_(x: Any, name: str, value: Any) -> None:
    """``setattr`` on objects that staged code made."""
    _state().change(x)
    setattr(x, name, value)


@builtin(callable)
def callable_(x: Any) -> bool:
    """``callable``."""
    if isinstance(x, Staged):
        return False
    watch.look(x, "__call__")
    return callable(x)


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
    if not isinstance(x, calls.Format):
        watch.refuse_text(x)
    return x if isinstance(x, calls.Format) else (format(x, spec) if spec else str(x))


def _binary_operator(fn: Any) -> None:
    def apply(x: Any, y: Any) -> Any:
        from weft.frontend import expressions

        frame = _state().frame
        if fn in arith.BINARY and not is_staged(x, y) and not _custom(x, y):
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
