"""Executing statements."""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib
from collections.abc import Callable
from typing import Any

import gast
import numpy as np

from weft.errors import StagingError
from weft.frontend import calls, expressions
from weft.frontend.assign import assign, assign_name, home, outside, set_item, static_thunks
from weft.frontend.canonical import PREFIX
from weft.frontend.expressions import at, error, evaluate, state
from weft.frontend.frame import UNDEFINED, Frame, StagedFunction, Undefined, VarLoc
from weft.frontend.loops import ConditionChanges, StructureChanges, staged_for, staged_while
from weft.frontend.merge import RAISED, Return, Thunk, branch, choose, truth
from weft.frontend.patterns import match_pattern
from weft.ir.nodes import lit
from weft.ir.types import bool_
from weft.staged import arith
from weft.staged.arith import prim
from weft.staged.checkpoint import Checkpointed
from weft.staged.context import NeedsStatic
from weft.staged.value import Staged, lift

MAX_UNROLL = 4096
Signal = Any  # None, a Return, or RAISED


def execute(body: list[Any], frame: Frame) -> Signal:
    """Run statements; the signal tells whether they returned or raised."""
    for node in body:
        handler = _HANDLERS.get(type(node))
        if handler is None:
            what = _NAMES.get(type(node).__name__, f"a {type(node).__name__.lower()!r} statement")
            raise error(f"{what} is not compiled", node, frame, _REMEDIES.get(type(node).__name__, ""))
        at(node, frame)
        signal = handler(node, frame)
        if signal is not None:
            return signal
    return None


_NAMES = {"Try": "'try'", "AsyncFor": "'async for'", "AsyncWith": "'async with'", "ClassDef": "a class definition"}
_REMEDIES = {
    "Try": "test the condition with `if` before the operation that may fail",
    "ClassDef": "define the class outside the compiled function",
    "Global": "pass the value as an argument and return the new one",
}


def _expr(node: Any, frame: Frame) -> Signal:
    if isinstance(node.value, gast.Constant):
        return None
    if isinstance(node.value, gast.Yield | gast.YieldFrom | gast.Await):
        raise error(f"'{type(node.value).__name__.lower()}' is not compiled", node, frame, "return a list or an array")
    evaluate(node.value, frame)
    return None


def _assign(node: Any, frame: Frame) -> Signal:
    value = evaluate(node.value, frame)
    at(node, frame)
    for target in node.targets:
        assign(target, value, frame)
    return None


def _annassign(node: Any, frame: Frame) -> Signal:
    if node.value is not None:
        assign(node.target, evaluate(node.value, frame), frame)
    return None


def _augassign(node: Any, frame: Frame) -> Signal:
    target = node.target
    match target:
        case gast.Name():
            old = expressions.lookup(target.id, frame, node)
            value = evaluate(node.value, frame)
            at(node, frame)
            new = expressions.augmented(node.op, old, value, node, frame)
            if new is not old:
                assign_name(target.id, new, frame)
        case gast.Subscript():
            x, key = evaluate(target.value, frame), evaluate(target.slice, frame)
            at(node, frame)
            old = expressions.subscript(x, key, target, frame)
            value = evaluate(node.value, frame)
            at(node, frame)
            new = expressions.augmented(node.op, old, value, node, frame)
            view = isinstance(x, Staged) and isinstance(old, Staged) and old.cell is not None and old.cell is x.cell
            if not view and not (new is old and isinstance(x, list | dict)):
                set_item(x, key, new, target, frame)
        case gast.Attribute():
            x = evaluate(target.value, frame)
            old = expressions.attribute(x, target.attr, target, frame)
            new = expressions.augmented(node.op, old, evaluate(node.value, frame), node, frame)
            if new is not old:
                s = state()
                if not s.owns(x):
                    raise error(
                        f"a write to attribute '{target.attr}' of an object that the compiled function did not make",
                        node, frame, outside(target),
                    )  # fmt: skip
                s.change(x)
                setattr(x, target.attr, new)
        case _:
            raise error("this augmented assignment is not compiled", node, frame)
    return None


def _return(node: Any, frame: Frame) -> Signal:
    if isinstance(node.value, gast.Name) and node.value.id.startswith(PREFIX):
        value = frame.locals.get(node.value.id, UNDEFINED)
        if isinstance(value, Undefined) and not value.why:
            return Return(UNDEFINED)  # after a loop that never returns: this path is not taken
    return Return(evaluate(node.value, frame) if node.value is not None else None)


def _if(node: Any, frame: Frame) -> Signal:
    test = evaluate(node.test, frame)
    at(node, frame)
    return choose(test, lambda: execute(node.body, frame), lambda: execute(node.orelse, frame), node, frame)


def _pass(node: Any, frame: Frame) -> Signal:
    return None


# -- loops -----------------------------------------------------------------------------------------------------------


class _Learnt:
    """What earlier stagings of a loop found: that it must be unrolled, that its condition belongs into its body."""

    def __init__(self) -> None:
        self.unroll = False
        self.rotate = False
        self.reason: StagingError | None = None


def _learnt(node: Any, frame: Frame) -> _Learnt:
    found: _Learnt = state().memo.setdefault(("loop", id(node), frame.serial), _Learnt())
    return found


def _internal(name: str, frame: Frame) -> str:
    """A variable of a frame's that the user cannot name."""
    name = PREFIX + name
    if name not in frame.parsed.local:
        object.__setattr__(frame.parsed, "local", frame.parsed.local | {name})
    return name


def _stores(name: str) -> Any:
    return gast.Assign([gast.Name(name, gast.Store(), None, None)], gast.Constant(None, None), None)


def _while(node: Any, frame: Frame) -> Signal:
    s = state()
    learnt = _learnt(node, frame)
    while not learnt.unroll:
        with s.tracking() as t:
            try:
                return _rotated(node, frame) if learnt.rotate else _plain_while(node, frame)
            except ConditionChanges:
                t.undo()
                learnt.rotate = True
            except (NeedsStatic, StructureChanges) as e:
                t.undo()
                learnt.unroll, learnt.reason = True, e
    for _ in range(MAX_UNROLL):
        test = truth(evaluate(node.test, frame))
        if isinstance(test, Staged):
            raise learnt.reason or error(
                "the loop changes the structure of its variables, and its condition is only known at run time", node,
                frame, "keep what the loop carries at one structure and one set of sizes",
            )  # fmt: skip
        if not test:
            return None
        signal = execute(node.body, frame)
        if signal is not None:
            return signal
    raise error(f"the loop would be unrolled more than {MAX_UNROLL} times", node, frame)


def _plain_while(node: Any, frame: Frame) -> Signal:
    names = [*node.body, gast.Expr(node.test)]
    staged_while(lambda: evaluate(node.test, frame), lambda: _body(node, frame), node, frame, names=names)


def _rotated(node: Any, frame: Frame) -> Signal:
    """A loop whose condition changes variables: it is evaluated before the loop and at the end of each iteration."""
    go = _internal(f"go{id(node)}", frame)

    def test() -> Any:
        return truth(evaluate(node.test, frame))

    def body() -> Signal:
        signal = _body(node, frame)
        if signal is None:
            assign_name(go, lift(test()), frame)
        return signal

    first = test()
    if not isinstance(first, Staged) and not first:
        return None
    assign_name(go, lift(first), frame)
    names = [*node.body, gast.Expr(node.test), _stores(go)]
    staged_while(lambda: frame.locals[go], body, node, frame, names=names)
    return None


def _body(node: Any, frame: Frame) -> Signal:
    signal = execute(node.body, frame)
    assert not isinstance(signal, Return), "returns inside loops are rewritten"
    return signal


def _for(node: Any, frame: Frame) -> Signal:
    value = evaluate(node.iter, frame)
    at(node, frame)
    it = calls.loopable(value)
    learnt = _learnt(node, frame)
    holder = f"{PREFIX}iter{id(node)}"
    frame.locals[holder] = value if it is None else it  # what is iterated over can be seen while the loop runs
    try:
        return _for_each(it, value, learnt, node, frame)
    finally:
        del frame.locals[holder]


def _for_each(it: calls.Loopable | None, value: Any, learnt: _Learnt, node: Any, frame: Frame) -> Signal:
    s = state()
    if it is not None and not learnt.unroll:
        with s.tracking() as t:
            try:
                return _loop(it, node, frame)
            except (NeedsStatic, StructureChanges) as e:
                if isinstance(it, Checkpointed):
                    raise
                t.undo()
                trip = s.number(it.trip())
                if trip is None or trip > MAX_UNROLL:
                    raise
                learnt.unroll = True
                reason: StagingError = e
        try:
            return _unroll(static_thunks(it, node, frame), node, frame)
        except NeedsStatic:
            raise reason from None
    return _unroll(static_thunks(value if it is None else it, node, frame), node, frame)


def _loop(it: calls.Loopable, node: Any, frame: Frame) -> Signal:
    """A loop whose iterations stay a loop."""
    trip = it.trip()
    if isinstance(trip, int) and trip == 0:
        return None
    label = node.target.id if isinstance(node.target, gast.Name) else "k"
    names = [gast.Assign([node.target], gast.Constant(None, None), None), *node.body]
    if node.stop is None:

        def one(k: Staged) -> Signal:
            assign(node.target, it.item(k), frame)
            return _body(node, frame)

        levels = it.levels if isinstance(it, Checkpointed) else 1
        staged_for(trip, one, node, frame, names=names, label=label, levels=levels)
        return None
    if isinstance(it, Checkpointed):
        raise error(
            "a checkpointed loop with a 'break' or 'return' in it", node, frame,
            "run all iterations, and skip the rest of the body with `if`",
        )  # fmt: skip
    # with a break: a while loop over a counter of its own
    counter = _internal(f"at{node.stop}", frame)
    assign_name(counter, lift(0), frame)
    count = lift(arith.size_object(trip)) if not isinstance(trip, int) else trip

    def test() -> Any:
        stop = lift(frame.locals[node.stop]).atom
        more = prim("lt")(lift(frame.locals[counter]).atom, lift(count).atom)
        return arith.wrap(prim("bitand")(prim("logical_not")(stop), more), "py")

    def body() -> Signal:
        k = frame.locals[counter]
        assign(node.target, it.item(lift(k)), frame)
        signal = _body(node, frame)
        assign_name(counter, arith.add(k, 1), frame)
        return signal

    staged_while(test, body, node, frame, names=[*names, _stores(counter)])
    return None


def _unroll(items: list[Thunk], node: Any, frame: Frame) -> Signal:
    """One iteration after the other; what follows a run-time ``break`` is under its condition."""
    if len(items) > MAX_UNROLL:
        raise error(f"the loop would be unrolled {len(items)} times", node, frame, "loop over `range` or an array")
    for i, item in enumerate(items):
        if node.stop is not None:
            stop = frame.locals.get(node.stop, False)
            if isinstance(stop, Staged):
                rest = items[i:]
                go = arith.logical_not(stop)
                if isinstance(go, Staged):
                    return branch(go, functools.partial(_rest, rest, node, frame), lambda: None, node, frame)
                stop = not go
            if stop:
                return None
        assign(node.target, item(), frame)
        signal = execute(node.body, frame)
        if signal is not None:
            return signal
    return None


def _rest(items: list[Thunk], node: Any, frame: Frame) -> Signal:
    assign(node.target, items[0](), frame)
    signal = execute(node.body, frame)
    return signal if signal is not None else _unroll(items[1:], node, frame)


# -- errors and output -----------------------------------------------------------------------------------------------


def _assert(node: Any, frame: Frame) -> Signal:
    test = truth(evaluate(node.test, frame))
    if isinstance(test, Staged):
        text, payload = message_of([evaluate(node.msg, frame)] if node.msg is not None else [])
        prim("check")(test.atom, *payload, exc="AssertionError", message=text)
        return None
    if test:
        return None
    return fail(AssertionError, [evaluate(node.msg, frame)] if node.msg is not None else [])


def message_of(args: list[Any]) -> tuple[str, list[Any]]:
    """An exception's message as a format text and its run-time values."""
    if not args:
        return "", []
    if len(args) > 1:
        args = [calls.joined(args, ", ", "(", ")")]
    (m,) = args
    if isinstance(m, calls.Format):
        return m.text, [v.atom for v in m.values]
    if isinstance(m, Staged):
        return "{}", [m.atom]
    return str(m).replace("{", "{{").replace("}", "}}"), []


def fail(exc: type[BaseException], args: list[Any]) -> Signal:
    """Raise now if this point is always reached, else at run time."""
    text, payload = message_of(args)
    if not state().trackers and not payload:
        raise exc(*args)
    prim("check")(lit(False, bool_), *payload, exc=exc.__name__, message=text)
    return RAISED


def _raise(node: Any, frame: Frame) -> Signal:
    if node.exc is None:
        raise error("a bare 'raise' is not compiled", node, frame)
    args: list[Any] = []
    if isinstance(node.exc, gast.Call):
        exc = evaluate(node.exc.func, frame)
        args = expressions._items(node.exc.args, frame)
    else:
        exc = evaluate(node.exc, frame)
    at(node, frame)
    if isinstance(exc, BaseException):
        exc, args = type(exc), list(exc.args)
    if not (isinstance(exc, type) and issubclass(exc, BaseException)):
        raise arith.op_error(TypeError, "exceptions must derive from BaseException")
    if getattr(builtins, exc.__name__, None) is not exc and state().trackers:
        raise error(
            f"raising {exc.__name__} at run time: only Python's own exceptions are compiled", node, frame,
            "raise ValueError or another of Python's exceptions",
        )  # fmt: skip
    return fail(exc, args)


# -- definitions -----------------------------------------------------------------------------------------------------


def _functiondef(node: Any, frame: Frame) -> Signal:
    fn: Any = expressions.make_function(node, frame)
    for d in reversed(node.decorator_list):
        fn = calls.call(evaluate(d, frame), (fn,), {}, node=node, frame=frame)
    if isinstance(fn, StagedFunction):
        fn.__name__ = node.name
    assign_name(node.name, fn, frame)
    return None


def _import(node: Any, frame: Frame) -> Signal:
    for alias in node.names:
        module = importlib.import_module(alias.name)
        if alias.asname is None and "." in alias.name:
            module = importlib.import_module(alias.name.split(".")[0])
        assign_name(alias.asname or alias.name.split(".")[0], module, frame)
    return None


def _importfrom(node: Any, frame: Frame) -> Signal:
    if node.level:
        raise error("a relative import inside a function is not compiled", node, frame, "import at the top of the file")
    module = importlib.import_module(node.module)
    for alias in node.names:
        assign_name(alias.asname or alias.name, getattr(module, alias.name), frame)
    return None


def _delete(node: Any, frame: Frame) -> Signal:
    for target in node.targets:
        if isinstance(target, gast.Name):
            loc = VarLoc(home(target.id, frame), target.id)
            state().touch(loc)
            loc.set(UNDEFINED)
            continue
        if not isinstance(target, gast.Subscript):
            raise error(
                "this 'del' is not compiled",
                node,
                frame,
                "leave it in place, or build a container or an object without it",
            )
        x, key = evaluate(target.value, frame), evaluate(target.slice, frame)
        if isinstance(x, Staged):
            raise arith.op_error(ValueError, "cannot delete array elements")
        state().change(x)
        del x[key]
    return None


def _with(node: Any, frame: Frame) -> Signal:
    with contextlib.ExitStack() as stack:
        for item in node.items:
            manager = evaluate(item.context_expr, frame)
            if not isinstance(manager, np.errstate | contextlib.nullcontext):
                raise error(
                    f"'with {type(manager).__name__}' is not compiled", node, frame, "leave it outside the function"
                )
            value = stack.enter_context(manager)
            if item.optional_vars is not None:
                assign(item.optional_vars, value, frame)
        return execute(node.body, frame)


def _declaration(node: Any, frame: Frame) -> Signal:
    return None


def _match(node: Any, frame: Frame) -> Signal:
    subject = evaluate(node.subject, frame)
    return _cases(subject, list(node.cases), node, frame)


def _cases(subject: Any, cases: list[Any], node: Any, frame: Frame) -> Signal:
    if not cases:
        return None
    case, *rest = cases
    bound: dict[str, Any] = {}
    test = match_pattern(case.pattern, subject, bound, frame)

    def run() -> Signal:
        for name, value in bound.items():
            assign_name(name, value, frame)
        if case.guard is not None:
            guard = evaluate(case.guard, frame)
            return choose(
                guard, lambda: execute(case.body, frame), lambda: _cases(subject, rest, node, frame), node, frame
            )
        return execute(case.body, frame)

    return choose(test, run, lambda: _cases(subject, rest, node, frame), node, frame)


_HANDLERS: dict[type, Callable[[Any, Frame], Signal]] = {
    gast.Expr: _expr, gast.Assign: _assign, gast.AnnAssign: _annassign, gast.AugAssign: _augassign,
    gast.Return: _return, gast.If: _if, gast.Pass: _pass, gast.While: _while, gast.For: _for, gast.Assert: _assert,
    gast.Raise: _raise, gast.FunctionDef: _functiondef, gast.Import: _import, gast.ImportFrom: _importfrom,
    gast.Delete: _delete, gast.With: _with, gast.Nonlocal: _declaration, gast.Global: _declaration,
    gast.Match: _match,
}  # fmt: skip
