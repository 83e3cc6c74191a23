"""Evaluating expressions: Python runs on what is known, the rest becomes IR."""

from __future__ import annotations

import builtins
import collections
import dataclasses
import enum
import operator
import types
from collections.abc import Callable
from typing import Any

import gast
import numpy as np

from weft.errors import StagingError, located
from weft.frontend import assign, calls, merge, watch
from weft.frontend.canonical import PREFIX
from weft.frontend.capture import ABSENT, Source, attr_source, cell_source, global_source, is_data, raw_lookup
from weft.frontend.frame import UNDEFINED, Frame, Maybe, StagedFunction, State, Undefined, VarLoc
from weft.frontend.source import Parsed, finish
from weft.runtime import missing
from weft.staged import arith, indexing
from weft.staged.arith import prim
from weft.staged.context import current
from weft.staged.value import Staged, lift

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    gast.Add: operator.add, gast.Sub: operator.sub, gast.Mult: operator.mul, gast.Div: operator.truediv,
    gast.FloorDiv: operator.floordiv, gast.Mod: operator.mod, gast.Pow: operator.pow, gast.BitAnd: operator.and_,
    gast.BitOr: operator.or_, gast.BitXor: operator.xor, gast.LShift: operator.lshift, gast.RShift: operator.rshift,
    gast.MatMult: operator.matmul,
}  # fmt: skip
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    gast.Eq: operator.eq, gast.NotEq: operator.ne, gast.Lt: operator.lt, gast.LtE: operator.le,
    gast.Gt: operator.gt, gast.GtE: operator.ge,
}  # fmt: skip
_NODES = {native: node for node, native in _COMPARE.items()}
_INPLACE = {
    operator.add: "add", operator.sub: "sub", operator.mul: "mul", operator.truediv: "div",
    operator.floordiv: "floordiv", operator.mod: "mod", operator.pow: "pow", operator.and_: "bitand",
    operator.or_: "bitor", operator.xor: "bitxor", operator.lshift: "shl", operator.rshift: "shr",
}  # fmt: skip
_UNARY: dict[type, tuple[Callable[[Any], Any], Callable[[Any], Any], str]] = {
    gast.USub: (arith.neg, operator.neg, "__neg__"), gast.UAdd: (arith.pos, operator.pos, "__pos__"),
    gast.Invert: (arith.invert, operator.invert, "__invert__"),
}  # fmt: skip
_DUNDER = {
    operator.add: "add", operator.sub: "sub", operator.mul: "mul", operator.truediv: "truediv",
    operator.floordiv: "floordiv", operator.mod: "mod", operator.pow: "pow", operator.matmul: "matmul",
    operator.and_: "and", operator.or_: "or", operator.xor: "xor",
}  # fmt: skip


def state() -> State:
    """The staging under way."""
    s = current()
    assert isinstance(s, State)
    return s


def error(reason: str, node: Any, frame: Frame, remedy: str = "") -> StagingError:
    """A StagingError that points at a node."""
    return StagingError(reason, remedy=remedy, loc=frame.parsed.loc(node))


def evaluate(node: Any, frame: Frame) -> Any:
    """The value of an expression: a static Python object or a staged value."""
    handler = _HANDLERS.get(type(node))
    if handler is None:
        raise error(f"{type(node).__name__.lower()!r} expressions are not compiled", node, frame)
    return handler(node, frame)


def at(node: Any, frame: Frame) -> None:
    """Note where the program is, for messages and for the IR."""
    s = current()
    loc = frame.parsed.loc(node)
    if loc is not None:
        s.loc = s.builder.loc = loc


# -- names -----------------------------------------------------------------------------------------------------------


def lookup(name: str, frame: Frame, node: Any) -> Any:
    """The value of a variable."""
    if name in frame.parsed.local:
        return defined(frame.locals.get(name, UNDEFINED), name, frame, node)
    f: Frame | None = frame
    while f is not None and f.enclosing is not None:
        f = f.enclosing
        if name in f.parsed.local:
            return defined(f.locals.get(name, UNDEFINED), name, frame, node)
    return captured(name, f or frame, node)


def defined(value: Any, name: str, frame: Frame, node: Any) -> Any:
    """A variable's value, or the error of reading it before it has one."""
    if isinstance(value, Maybe):
        if not name.startswith(PREFIX):
            prim("check")(
                value.defined.atom,
                exc="UnboundLocalError",
                message=f"cannot access local variable '{name}' where it is not associated with a value"
                " (the loop that assigns it did not run)",
            )
        return value.value
    if isinstance(value, Undefined):
        why = value.why or "it is used before it is assigned"
        kind = StagingError if value.why else Unassigned
        raise kind(
            f"variable '{name}' has no value here: {why}", remedy="assign it before, on every path",
            loc=frame.parsed.loc(node),
        )  # fmt: skip
    return value


class Unassigned(StagingError):
    """A variable is read that nothing has assigned so far."""


def captured(name: str, frame: Frame, node: Any) -> Any:
    """A closure variable, a global or a builtin."""
    s = state()
    fn = frame.python
    if isinstance(fn, types.FunctionType) and name in fn.__code__.co_freevars:
        i = fn.__code__.co_freevars.index(name)
        try:
            value = fn.__closure__[i].cell_contents  # type: ignore[index]
        except ValueError:
            raise NameError(
                located(
                    f"cannot access free variable '{name}' where it is not associated with a value in enclosing scope",
                    frame.parsed.loc(node),
                )
            ) from None
        return s.captures.read(cell_source(fn, i, frame.origin), value)
    if name in frame.globals:
        return s.captures.read(global_source(frame.globals, name, frame.origin), frame.globals[name])
    if hasattr(builtins, name):
        place = global_source(frame.globals, name, frame.origin)
        s.captures.watch(Source("dict", frame.globals, name, place.path), ABSENT)
        return getattr(builtins, name)
    raise NameError(located(f"name '{name}' is not defined", frame.parsed.loc(node)))


def _name(node: Any, frame: Frame) -> Any:
    return lookup(node.id, frame, node)


# -- literals and containers -----------------------------------------------------------------------------------------


def _constant(node: Any, frame: Frame) -> Any:
    return node.value


def _items(elts: list[Any], frame: Frame) -> list[Any]:
    out: list[Any] = []
    for e in elts:
        if isinstance(e, gast.Starred):
            out.extend(assign.static_items(evaluate(e.value, frame), e, frame))
        else:
            out.append(evaluate(e, frame))
    return out


def _tuple(node: Any, frame: Frame) -> Any:
    return tuple(_items(node.elts, frame))


def _list(node: Any, frame: Frame) -> Any:
    return state().own(_items(node.elts, frame))


def _set(node: Any, frame: Frame) -> Any:
    return state().own({hashable(v, node, frame) for v in _items(node.elts, frame)})


def hashable(v: Any, node: Any, frame: Frame) -> Any:
    """A key of a dict or set, which must be known while staging."""
    if isinstance(v, Staged):
        if v.type.shape == () and v.dtype.kind in "iu":
            return int(v)
        raise error("a dict or set key must be known while staging", node, frame, "use an array indexed by integers")
    return v


def _dict(node: Any, frame: Frame) -> Any:
    out: dict[Any, Any] = {}
    for k, v in zip(node.keys, node.values, strict=True):
        if k is None:
            out.update(evaluate(v, frame))
        else:
            out[hashable(evaluate(k, frame), node, frame)] = evaluate(v, frame)
    return state().own(out)


def _slice(node: Any, frame: Frame) -> Any:
    return slice(*[evaluate(p, frame) if p is not None else None for p in (node.lower, node.upper, node.step)])


_CONVERSIONS: dict[int, Callable[[Any], str]] = {115: str, 114: repr, 97: ascii}


def _joined(node: Any, frame: Frame) -> Any:
    parts: list[Any] = []
    staged: list[Any] = []
    for v in node.values:
        if isinstance(v, gast.Constant):
            parts.append(str(v.value).replace("{", "{{").replace("}", "}}"))
            continue
        x = evaluate(v.value, frame)
        spec = evaluate(v.format_spec, frame) if v.format_spec is not None else ""
        if isinstance(x, Staged):
            staged.append(x)
            conv = "" if v.conversion in (-1, None) else "!" + chr(v.conversion)
            parts.append("{" + str(len(staged) - 1) + conv + (f":{spec}" if spec else "") + "}")
        elif calls.contains_staged(x):
            if spec or v.conversion == 97 or (v.conversion == 114 and isinstance(x, calls.Format)):
                raise error("a format of a container or string of run-time values", v, frame, "format its items")
            inner = calls.joined([x], "")
            parts.append(calls.renumbered(inner.text, len(staged)))
            staged.extend(inner.values)
        else:
            watch.refuse_text(x)
            shown = _CONVERSIONS[v.conversion](x) if v.conversion in _CONVERSIONS else x
            parts.append(format(shown, spec).replace("{", "{{").replace("}", "}}"))
    if staged:
        return calls.Format("".join(parts), tuple(staged))
    return "".join(parts).replace("{{", "{").replace("}}", "}")


# -- operators -------------------------------------------------------------------------------------------------------


def has_staged(x: Any) -> bool:
    """Whether an operand is staged or a concrete array."""
    return isinstance(x, Staged | np.ndarray)


def binary(op: Callable[[Any, Any], Any], x: Any, y: Any, node: Any, frame: Frame) -> Any:
    """A binary operator on any two values."""
    if has_staged(x) or has_staged(y):
        if op is operator.matmul:
            return operator.matmul(lift(x), lift(y))  # joins flavours
        if (isinstance(x, list) or isinstance(y, list)) and op is operator.mul:
            seq, n = (x, y) if isinstance(x, list) else (y, x)
            if isinstance(n, Staged) and n.type.shape == () and n.dtype.kind in "iu" and n.flavour == "py":
                return state().own(seq * int(n))
        if isinstance(x, calls.Format | str) or isinstance(y, calls.Format | str):
            raise error("string arithmetic on run-time values is not compiled", node, frame, "use an f-string")
        known = arith._comparable
        x, y = _sequence_operand(x, y), _sequence_operand(y, x)
        if known(x) and known(y):
            return arith.BINARY[op](x, y)
    out = _overloaded(op, x, y)
    if out is not NotImplemented:
        return out
    watch.refuse_changing("this operation", x, y)
    try:
        value = op(x, y)
    except (StagingError, ZeroDivisionError):
        raise
    except TypeError as e:
        raise TypeError(located(str(e), frame.parsed.loc(node))) from None
    return state().own(value) if isinstance(value, list | dict | set) else value


def _sequence_operand(x: Any, other: Any) -> Any:
    if isinstance(x, list | tuple) and isinstance(other, Staged) and other.type.shape:
        from weft.staged.sequence import to_array

        return to_array(x)
    return x


def _overloaded(op: Any, x: Any, y: Any) -> Any:
    name = _DUNDER.get(op)
    if name is None:
        return NotImplemented
    for obj, other, method in ((x, y, f"__{name}__"), (y, x, f"__r{name}__")):
        fn = watch.special(obj, method)
        if isinstance(fn, types.FunctionType) and not isinstance(obj, Staged):
            out = calls.call(fn, (obj, other), {})
            if out is not NotImplemented:
                return out
    return NotImplemented


def _binop(node: Any, frame: Frame) -> Any:
    x, y = evaluate(node.left, frame), evaluate(node.right, frame)
    at(node, frame)
    return binary(_BINARY[type(node.op)], x, y, node, frame)


def augmented(op_node: Any, x: Any, value: Any, node: Any, frame: Frame) -> Any:
    """The value of ``x op= value``: arrays in memory are written, everything else is computed anew."""
    op = _BINARY[type(op_node)]
    if isinstance(x, Staged) and x.cell is not None:
        if op is operator.matmul:
            indexing.setitem(x, Ellipsis, binary(op, x, value, node, frame))
            return x
        return indexing.inplace(_INPLACE[op], x, _sequence_operand(value, x))
    if isinstance(x, list) and op is operator.add:
        state().change(x)
        x.extend(assign.static_items(value, node, frame))
        return x
    return binary(op, x, value, node, frame)


def _unary(node: Any, frame: Frame) -> Any:
    x = evaluate(node.operand, frame)
    at(node, frame)
    if isinstance(node.op, gast.Not):
        return arith.logical_not(x) if isinstance(x, Staged) else not calls.truth_of(x)
    staged, native, name = _UNARY[type(node.op)]
    if has_staged(x):
        return staged(x)
    method = watch.special(x, name)
    if isinstance(method, types.FunctionType):
        return calls.call(method, (x,), {})
    watch.refuse_changing("this operation", x)
    return native(x)


def _boolop(node: Any, frame: Frame) -> Any:
    return _short_circuit(list(node.values), isinstance(node.op, gast.And), frame, node)


def _short_circuit(values: list[Any], conj: bool, frame: Frame, node: Any) -> Any:
    x = evaluate(values[0], frame)
    if len(values) == 1:
        return x
    t = arith.truth(x) if isinstance(x, Staged) else calls.truth_of(x)
    if not isinstance(t, Staged):
        return _short_circuit(values[1:], conj, frame, node) if bool(t) == conj else x
    return merge.short_circuit(t, x, lambda: _short_circuit(values[1:], conj, frame, node), conj, node, frame)


def _compare(node: Any, frame: Frame) -> Any:
    left = evaluate(node.left, frame)
    if len(node.ops) == 1:
        right = evaluate(node.comparators[0], frame)
        at(node, frame)
        return compare(node.ops[0], left, right, node, frame)
    # a chain: each operand once, later ones only where the earlier comparisons hold
    return _chain(left, list(zip(node.ops, node.comparators, strict=True)), node, frame)


def _chain(left: Any, rest: list[Any], node: Any, frame: Frame) -> Any:
    (op, comparator), *more = rest
    right = evaluate(comparator, frame)
    at(node, frame)
    x = compare(op, left, right, node, frame)
    if not more:
        return x
    t = arith.truth(x) if isinstance(x, Staged) else bool(x)
    if not isinstance(t, Staged):
        return _chain(right, more, node, frame) if t else x
    return merge.short_circuit(t, x, lambda: _chain(right, more, node, frame), True, node, frame)


def compare(op: Any, x: Any, y: Any, node: Any, frame: Frame) -> Any:
    """One comparison."""
    match op:
        case gast.Is() | gast.IsNot():
            same = x is y if not (isinstance(x, Staged) and isinstance(y, Staged)) else same_array(x, y)
            return same if isinstance(op, gast.Is) else not same
        case gast.In() | gast.NotIn():
            found = contains(x, y, node, frame)
            return found if isinstance(op, gast.In) else arith.logical_not(found)
    native = _COMPARE[type(op)]
    if has_staged(x) or has_staged(y):
        x, y = _sequence_operand(x, y), _sequence_operand(y, x)
        out = arith.BINARY[native](x, y)
        if out is NotImplemented:
            raise TypeError(located(f"cannot compare {x!r} and {y!r}", frame.parsed.loc(node)))
        return out
    if isinstance(x, list | tuple) and isinstance(y, list | tuple) and native in (operator.eq, operator.ne):
        out = type(x) is type(y) and len(x) == len(y)
        for a, b in zip(x, y, strict=False):
            if out is False:
                break
            both = compare(gast.Eq(), a, b, node, frame)
            out = both if out is True else arith.bitand(out, both)
        return out if native is operator.eq else arith.logical_not(out)
    return _compare_objects(native, x, y, node, frame)


_REFLECTED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def _compare_objects(native: Callable[[Any, Any], Any], x: Any, y: Any, node: Any, frame: Frame) -> Any:
    """A comparison of which an operand's class may say what it means."""
    name = native.__name__
    for obj, other, method in ((x, y, name), (y, x, _REFLECTED[name])):
        fn = watch.special(obj, f"__{method}__")
        if name == "ne" and not isinstance(fn, types.FunctionType) and watch.is_user_class(type(obj)):
            return arith.logical_not(_compare_objects(operator.eq, x, y, node, frame))
        if not isinstance(fn, types.FunctionType) or calls.is_library(fn):
            continue
        if fn.__code__.co_filename == "<string>" and dataclasses.is_dataclass(obj):  # as the decorator made it
            if type(obj) is not type(other):
                continue
            names = [f.name for f in dataclasses.fields(obj) if f.compare]
            a, b = [tuple([attribute(v, n, node, frame) for n in names]) for v in (x, y)]
            return compare(_NODES[native](), a, b, node, frame)
        out = calls.call(fn, (obj, other), {})
        if out is not NotImplemented:
            return out
    # what is left: classes without a method of the user's, or whose method knew no answer
    watch.refuse_changing("this comparison", *[v for v in (x, y) if not _by_identity(v, name)])
    return native(x, y)


def _by_identity(x: Any, name: str) -> bool:
    """Whether a class's own comparison, asked after all others, looks at nothing that may change."""
    method = getattr(type(x), "__eq__")  # noqa: B009
    return name in ("eq", "ne") and (method is getattr(object, "__eq__") or isinstance(method, types.FunctionType))  # noqa: B009


def same_array(x: Staged, y: Staged) -> bool:
    """``x is y`` for staged values."""
    return x is y or (x.cell is not None and x.cell is y.cell and x.views == y.views)


def contains(x: Any, y: Any, node: Any, frame: Frame) -> Any:
    """``x in y``."""
    if isinstance(y, Staged):
        return calls.call(np.any, (arith.eq(y, x),), {})
    if isinstance(y, range) or (isinstance(y, list | tuple) and (has_staged(x) or any(map(has_staged, y)))):
        out: Any = False
        for item in y:
            one = compare(gast.Eq(), x, item, node, frame)
            out = one if out is False else (out if one is False else arith.bitor(out, one))
        return out
    if isinstance(x, Staged):
        x = hashable(x, node, frame)
    watch.refuse_changing("'in'", y)
    return x in y


def _ifexp(node: Any, frame: Frame) -> Any:
    test = evaluate(node.test, frame)
    at(node, frame)
    return merge.choose(test, lambda: evaluate(node.body, frame), lambda: evaluate(node.orelse, frame), node, frame)


# -- access ----------------------------------------------------------------------------------------------------------


def _subscript(node: Any, frame: Frame) -> Any:
    x, key = evaluate(node.value, frame), evaluate(node.slice, frame)
    at(node, frame)
    return subscript(x, key, node, frame)


def subscript(x: Any, key: Any, node: Any, frame: Frame) -> Any:
    """``x[key]``."""
    if isinstance(x, np.ndarray):
        x = lift(x)
    if isinstance(x, Staged):
        if not x.type.shape and x.flavour == "py":
            raise TypeError(located(f"'{x.dtype}' object is not subscriptable", frame.parsed.loc(node)))
        return indexing.getitem(x, key)
    if isinstance(x, list | tuple | range | str):
        if isinstance(key, slice):
            key = slice(*[_static_int(p) for p in (key.start, key.stop, key.step)])
            out = x[key]
            return state().own(out) if isinstance(out, list) else out
        if isinstance(x, range):
            return calls.range_item(x, key)
        return x[key.__index__() if isinstance(key, Staged) else key]
    if isinstance(x, dict):
        key = hashable(key, node, frame)
        if isinstance(x, collections.defaultdict) and x.default_factory is not None and key not in x:
            state().change(x)
            x[key] = calls.call(x.default_factory, (), {})
        return x[key]
    if isinstance(x, collections.deque):
        return x[key.__index__()]
    from weft.numpy.registry import SUBSCRIPTED

    if id(x) in SUBSCRIPTED:
        out = SUBSCRIPTED[id(x)](key)
        return lift(out) if isinstance(out, np.ndarray) else out
    fn = watch.special(x, "__getitem__")
    if isinstance(fn, types.FunctionType) and not type(x).__module__.startswith("weft."):
        return calls.call(fn, (x, key), {})
    watch.refuse_changing("this subscript", x)
    try:
        return x[key]
    except TypeError as e:
        raise TypeError(located(str(e), frame.parsed.loc(node))) from None


def _static_int(p: Any) -> Any:
    return p.__index__() if isinstance(p, Staged) else p


def _attribute(node: Any, frame: Frame) -> Any:
    x = evaluate(node.value, frame)
    at(node, frame)
    return attribute(x, node.attr, node, frame)


def attribute(x: Any, name: str, node: Any, frame: Frame) -> Any:
    """``x.name``: of staged values, of modules and classes, of captured objects (guarded, data read at each call)."""
    if isinstance(x, np.ndarray):
        x = lift(x)
    if isinstance(x, Staged):
        try:
            return calls.staged_attribute(x, name)
        except AttributeError:
            kind = "numpy.ndarray" if x.type.shape else x.dtype.name
            kind, theirs = ("weft.Array", True) if x.flavour == "weft" else (kind, False)
            raise error(
                f"{kind!r} attribute {name!r} is not compiled", node, frame, missing.remedy(name, theirs)
            ) from None
    s = state()
    if s.stands_in(x) and name in getattr(x, "__dict__", ()):
        return vars(x)[name]
    cls = x if isinstance(x, type) else type(x)
    raw = raw_lookup(cls, name)
    if isinstance(raw, property) and raw.fget is not None and x is not cls and not s_native(x):
        watch.look(x, name)
        return calls.call(raw.fget, (x,), {})
    try:
        value = getattr(x, name)
    except AttributeError as e:
        raise AttributeError(located(str(e), frame.parsed.loc(node))) from None
    own = has_instance_dict(x) and name in vars(x)
    if s.compared.get(id(x)) is x and (own or raw is ABSENT) and not isinstance(x, enum.Enum):
        raise error(
            f"attribute '{name}' of an argument of class {cls.__name__}, whose `==` is its own: equal objects would"
            " share what is compiled for one of them", node, frame,
            "mark the argument as static (static_argnums), if equal objects are the same to the function; or register"
            " the class as a container (weft.tree_util)",
        )  # fmt: skip
    if watch.is_user_class(cls) and raw is not ABSENT and not own:
        if x is not cls:
            watch.not_own(x, name)
        if is_data(raw) and value is raw:  # a constant of the class
            watch.kind_of(x)
            return s.captures.read(attr_source(cls, name, s.captures.path(cls)), value)
        watch.look(x, name)
        if x is cls or value is raw or isinstance(value, _BOUND) or not watch.is_outside(x, s):
            return value
    if isinstance(x, types.FunctionType) and name in vars(x):
        return s.captures.read(attr_source(x, name, s.captures.path(x)), value)
    if isinstance(x, types.ModuleType):
        return value if s_native_module(x) else s.captures.read(attr_source(x, name, s.captures.path(x)), value)
    if s.owns(x) or (x is cls and not watch.is_user_class(cls)) or s_native(x) or _holds_staged(value):
        return value
    if isinstance(value, types.MethodType | types.BuiltinMethodType) and not own:
        if isinstance(value, types.MethodType):
            s.captures.note(value.__func__, None)
        return value
    return s.captures.read(attr_source(x, name, s.captures.path(x)), value)


#: What a class gives for a name that depends on the class alone, and on which object it was asked of.
_BOUND = types.FunctionType | types.MethodType | types.BuiltinMethodType | types.MethodWrapperType


def _holds_staged(value: Any) -> bool:
    if isinstance(value, Staged):
        return True
    if isinstance(value, list | tuple):
        return any(map(_holds_staged, value))
    return isinstance(value, dict) and any(map(_holds_staged, value.values()))


def has_instance_dict(x: Any) -> bool:
    """Whether an object keeps attributes of its own."""
    return hasattr(x, "__dict__") and not isinstance(x, type | types.FunctionType | types.ModuleType)


def s_native(x: Any) -> bool:
    """Whether an object's attributes are plain values of Python's: containers, strings, dtypes, weft's own objects."""
    module = type(x).__module__
    return module in ("builtins", "numpy", "numpy.dtypes") or module.split(".")[0] == "weft"


def s_native_module(m: Any) -> bool:
    """Modules whose content does not change under the user's hands."""
    return m.__name__.split(".")[0] in (
        "numpy",
        "math",
        "weft",
        "cmath",
        "functools",
        "operator",
        "itertools",
        "typing",
    )


# -- functions and comprehensions ------------------------------------------------------------------------------------


def make_function(node: Any, frame: Frame) -> StagedFunction:
    """A nested ``def`` or ``lambda``."""
    parsed = getattr(node, "weft_parsed", None)
    if parsed is None:
        name = getattr(node, "name", "<lambda>")
        parsed = node.weft_parsed = finish(node, frame.parsed.file, name)
    a = node.args
    defaults = [evaluate(d, frame) for d in a.defaults]
    kw = {p.id: evaluate(d, frame) for p, d in zip(a.kwonlyargs, a.kw_defaults, strict=True) if d is not None}
    return StagedFunction(parsed, frame, defaults, kw)


def _comprehension(node: Any, frame: Frame, emit: Callable[[Frame], None]) -> None:
    """Run a comprehension in a scope of its own: its loops are unrolled (their structure is static)."""
    targets = {n.id for g in node.generators for n in gast.walk(g.target) if isinstance(n, gast.Name)}
    p = frame.parsed
    scope = Parsed(node, p.file, p.name, frozenset(targets), frozenset())
    inner = Frame(scope, python=frame.python, enclosing=frame, globals_=frame.globals, origin=frame.origin)
    inner.comprehension = True

    def loop(gens: list[Any], where: Frame) -> None:
        if not gens:
            emit(inner)
            return
        g = gens[0]
        for item in assign.static_thunks(evaluate(g.iter, where), g.iter, where):
            assign.assign(g.target, item(), inner)
            if all(_keeps(test, inner) for test in g.ifs):
                loop(gens[1:], inner)

    s = state()
    s.frames.append(inner)
    try:
        loop(node.generators, frame)
    finally:
        s.frames.pop()


def _keeps(test: Any, frame: Frame) -> bool:
    t = evaluate(test, frame)
    if not isinstance(t, Staged):
        return calls.truth_of(t)
    try:
        return bool(t)
    except StagingError:
        raise error(
            "a comprehension's condition must be known while staging", test, frame,
            "select with a boolean mask or np.where",
        ) from None  # fmt: skip


def _listcomp(node: Any, frame: Frame) -> Any:
    out: list[Any] = []
    _comprehension(node, frame, lambda inner: out.append(evaluate(node.elt, inner)))
    return state().own(out)


def _setcomp(node: Any, frame: Frame) -> Any:
    return state().own({hashable(v, node, frame) for v in _listcomp(node, frame)})


def _dictcomp(node: Any, frame: Frame) -> Any:
    out: dict[Any, Any] = {}

    def emit(inner: Frame) -> None:
        out[hashable(evaluate(node.key, inner), node, inner)] = evaluate(node.value, inner)

    _comprehension(node, frame, emit)
    return state().own(out)


def _walrus(node: Any, frame: Frame) -> Any:
    value = evaluate(node.value, frame)
    assign.assign_name(node.target.id, value, frame)
    return value


def _call(node: Any, frame: Frame) -> Any:
    fn = evaluate(node.func, frame)
    args = _items(node.args, frame)
    kwargs: dict[str, Any] = {}
    for k in node.keywords:
        if k.arg is None:
            kwargs.update(evaluate(k.value, frame))
        else:
            kwargs[k.arg] = evaluate(k.value, frame)
    at(node, frame)
    out = calls.call(fn, tuple(args), kwargs, node=node, frame=frame)
    at(node, frame)
    return out


_HANDLERS: dict[type, Callable[[Any, Frame], Any]] = {
    gast.Name: _name, gast.Constant: _constant, gast.Tuple: _tuple, gast.List: _list, gast.Set: _set,
    gast.Dict: _dict, gast.Slice: _slice, gast.JoinedStr: _joined, gast.BinOp: _binop, gast.UnaryOp: _unary,
    gast.BoolOp: _boolop, gast.Compare: _compare, gast.IfExp: _ifexp, gast.Subscript: _subscript,
    gast.Attribute: _attribute, gast.Lambda: make_function, gast.ListComp: _listcomp, gast.GeneratorExp: _listcomp,
    gast.SetComp: _setcomp, gast.DictComp: _dictcomp, gast.NamedExpr: _walrus, gast.Call: _call,
}  # fmt: skip

__all__ = [
    "VarLoc",
    "at",
    "attribute",
    "augmented",
    "error",
    "evaluate",
    "lookup",
    "make_function",
    "state",
    "subscript",
]
