"""Staging a call: from a function and the signature of its arguments to an IR function and how it is dispatched."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from weft.errors import StagingError
from weft.frontend import calls
from weft.frontend.capture import Captures, Source, raw_lookup
from weft.frontend.frame import Frame, StagedFunction, State
from weft.frontend.merge import AlwaysRaises
from weft.frontend.trees import refuse_staged
from weft.frontend.watch import is_user_class, whole
from weft.ir.builder import Builder
from weft.ir.nodes import Atom, Block, Function, Loc, Renamer, Var, lit
from weft.ir.sizes import Dim, Size, dim, equalities, map_size
from weft.ir.types import ArrayType, DType, bool_, c128, f64, i64
from weft.pytrees import unflatten_custom
from weft.runtime import Leaf, Signature
from weft.staged import value as values
from weft.staged.context import current
from weft.staged.value import Cell, Staged, wrap

_PY = {"f": f64, "i": i64, "b": bool_, "c": c128}


@dataclass(frozen=True)
class Result:
    """One leaf of what the function returns.

    Attributes
    ----------
    kind
        "scalar" or "array" (computed, result ``number`` of the IR function), or "leaf" (the argument itself).
    dims
        An array's sizes over the runtime's table, ``(constant, [(slot, coefficient)])``; None: only the run tells.
    """

    kind: str
    dtype: DType | None
    rank: int
    flavour: str
    leaf: int = -1
    dims: Sequence[tuple[int, Sequence[tuple[int, int]]]] | None = None

    def entry(self) -> tuple[Any, ...]:
        """As the runtime's plan takes it."""
        return (self.kind, self.dtype, self.rank, self.flavour, self.leaf, self.dims)


@dataclass
class Program:
    """A staged call.

    Attributes
    ----------
    function
        The IR: its parameters are the argument leaves and then the captured ones; its results those of `results` that
        are not leaves, then the new content of arrays written in place.
    leaves
        All leaves in the order of the parameters.
    results, tree
        The returned leaves, and the structure to build from them (as the runtime's plan takes it).
    guards
        ``(kind, constant, [(slot, coefficient)], why)`` over the table of sizes and integers.
    captures
        The captured data and objects.
    mutates
        The leaves written in place.
    places
        Where each of the guards was needed.
    spread
        How it is spread over devices; then the function is of one device's part of the leaves.
    """

    function: Function
    leaves: list[Leaf]
    results: list[Result]
    tree: tuple[Any, ...]
    guards: list[tuple[str, int, list[tuple[int, int]], str]]
    captures: Captures
    mutates: list[int]
    places: list[Loc | None] = field(default_factory=list)
    spread: Any = None


@dataclass
class Asked:
    """What a staging that raised had asked by then (the exception's ``asked``), as in `Program`."""

    guards: list[tuple[str, int, list[tuple[int, int]], str]]
    places: list[Loc | None]
    leaves: list[Leaf]


class Staging(State):
    """The state of one staging, with the parameters made so far."""

    def __init__(self) -> None:
        super().__init__()
        self.params: list[Var] = []
        self.leaves: list[Leaf] = []
        self.staged: list[Staged] = []
        self.symbols: list[tuple[Var, int, int]] = []
        self.arguments: set[Cell] = set()
        self.captures = Captures(self._bring)
        self.frames: list[Frame] = []
        self.top: Block | None = None
        self.names: tuple[str, ...] = ()

    # -- parameters ------------------------------------------------------------------------------------------------

    def leaf(self, leaf: Leaf, shift: int = 0, name: str = "") -> Staged:
        """A parameter for a leaf; the same array passed twice is one array."""
        number = len(self.params)
        dtype = _PY[leaf.dtype] if leaf.flavour == "py" else np.dtype(leaf.dtype)
        if dtype.kind not in "biufc" or dtype.itemsize > 16 or dtype.char == "g":
            raise TypeError(f"arguments of dtype {dtype} are not supported ({leaf.path}): weft computes with numbers")
        shape: list[Size] = []
        var = Var(ArrayType(dtype), name or _hint(leaf.path, self.names))
        for axis, n in enumerate(leaf.shape):
            if n in (0, 1):
                shape.append(n)
                continue
            symbol = Var(ArrayType(i64), f"{var.name}_{axis}" if len(leaf.shape) > 1 else f"{var.name}_n")
            self.hints[symbol] = n
            self.shapes.add(symbol)
            self.symbols.append((symbol, number, axis))
            shape.append(dim(symbol))
        var.type = ArrayType(dtype, tuple(shape))
        self.params.append(var)
        self.leaves.append(leaf)
        if leaf.alias is not None:
            staged = self.staged[leaf.alias + shift]
        else:
            staged = wrap(var, leaf.flavour)
            if staged.cell is not None:
                staged.cell.name = var.name
                self.arguments.add(staged.cell)
            if leaf.flavour == "py" and leaf.dtype == "i":
                self.hints[var] = int(leaf.value)
        self.staged.append(staged)
        return staged

    def _bring(self, value: Any, name: str) -> Any:
        """Captured data as hidden parameters."""
        from weft.runtime import flatten_value

        try:
            signature = flatten_value(value)
        except TypeError as e:
            raise StagingError(
                f"'{name}', which the function captures, holds something that is neither data nor hashable: {e}",
                remedy="pass what is needed of it as arguments",
                loc=self.loc,
            ) from None
        shift = len(self.staged)
        staged = [self.leaf(x, shift, name) for x in signature.leaves]
        for v in staged:
            if v.cell is not None:
                v.cell.readonly = "a write to a captured array, which the function did not receive as an argument"
        return build(signature.args[1][0], staged)


def _hint(path: str, names: Sequence[str]) -> str:
    """A readable name from a leaf's path: ``args[0]['w']`` gives ``params_w`` for a parameter ``params``."""
    words = re.findall(r"[A-Za-z_]\w*|\d+", path)
    if words[:1] == ["args"]:
        at = int(words[1])
        words = [names[at] if at < len(names) else f"arg{at}", *words[2:]]
    elif words[:1] == ["kwargs"]:
        words = words[1:]
    return "_".join(words)


def parameter_names(fn: Any) -> tuple[str, ...]:
    """The names of a function's positional parameters."""
    code = getattr(fn, "__code__", None)
    if code is None:
        return ()
    names: tuple[str, ...] = code.co_varnames[: code.co_argcount]
    return names


def build(tree: tuple[Any, ...], staged: Sequence[Any]) -> Any:
    """The Python value of a signature's structure over staged leaves."""
    match tree:
        case ("leaf", i):
            return staged[i]
        case ("static", obj):
            return obj
        case ("none",):
            return None
        case ("tuple", items):
            return tuple([build(t, staged) for t in items])
        case ("list", items):
            return [build(t, staged) for t in items]
        case ("dict", keys, items):
            return dict(zip(keys, [build(t, staged) for t in items], strict=True))
        case ("namedtuple", cls, items):
            return cls(*[build(t, staged) for t in items])
        case ("custom", cls, aux, items):
            made = unflatten_custom(cls, aux, [build(t, staged) for t in items])
            state = current()
            return state.rebuild(made) if isinstance(state, State) else made
    raise TypeError(f"not a structure: {tree!r}")


@contextmanager
def active(state: Staging) -> Iterator[None]:
    """Make ``state`` the staging under way."""
    # a staged call is some twenty of Python's own; the depth of the user's recursion is limited in `calls.run`
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 20_000))
    values.call_function.append(calls.call)
    values.capture_array.append(lambda x: state.captures.read(Source("value", x, None, None), x))
    try:
        with state, equalities(state.resolve):
            yield
    finally:
        values.capture_array.pop()
        values.call_function.pop()
        sys.setrecursionlimit(limit)


def stage(target: Callable[..., Any], signature: Signature, name: str = "main") -> Program:
    """Stage ``target`` for arguments of this signature.

    Raises
    ------
    StagingError
        Something in it is not compiled; the message shows where.
    """
    import weft.numpy  # noqa: F401  (gives staged values their methods)

    state = Staging()
    with active(state):
        with state.builder.scope() as block:
            state.top = block
            state.names = parameter_names(root_function(target))
            args = [state.leaf(x) for x in signature.leaves]
            positional = build(signature.args, args)
            keywords = build(signature.kwargs, args)
            state.compared = compared(target, signature)
            for obj in statics(signature):
                state.captures.note(obj, None)
            state.captures.note(root_function(target), (("root",),))
            try:
                returned = calls.call(target, positional, keywords)
            except AlwaysRaises:
                returned = None
            except Exception as e:
                e.asked = Asked(_slots(state), [g.loc for g in state.guards], state.leaves)  # type: ignore[attr-defined]
                raise
            program = _finish(state, block, returned, name)
        return program


def statics(signature: Signature) -> Iterator[Any]:
    """The objects that are part of a call's signature."""
    todo = [*signature.args[1], *signature.kwargs[2]]
    while todo:
        match todo.pop():
            case ("static", obj):
                yield obj
            case ("tuple" | "list", items) | ("dict" | "namedtuple", _, items) | ("custom", _, _, items):
                todo += items


def compared(target: Any, signature: Signature) -> dict[int, Any]:
    """Arguments that nobody marked as static, of classes with an ``==`` of their own: one may stand for another."""
    nums, names = getattr(target, "static", ((), ()))
    count = len(signature.args[1])
    given = [t for i, t in enumerate(signature.args[1]) if i not in nums and i - count not in nums]
    given += [t for k, t in zip(signature.kwargs[1], signature.kwargs[2], strict=True) if k not in names]
    found: dict[int, Any] = {}
    while given:
        match given.pop():
            case ("static", obj):
                if is_user_class(type(obj)) and raw_lookup(type(obj), "__eq__") is not vars(object)["__eq__"]:
                    found[id(obj)] = obj
            case ("tuple" | "list", items) | ("dict" | "namedtuple", _, items) | ("custom", _, _, items):
                given += items
    return found


def root_function(target: Any) -> Any:
    """The user's function inside weft's transformations."""
    while calls.is_transformed(target):
        target = target.__wrapped__
    return target


def _finish(state: Staging, block: Block, returned: Any, name: str) -> Program:
    """Collect results, substitute what was learnt of sizes, and wrap it all up."""
    results: list[Result] = []
    atoms: list[Atom] = []
    seen: dict[Any, int] = {}
    extra: list[tuple[Result, int]] = []

    def leaf(v: Staged) -> tuple[Any, ...]:
        number = next((i for i, s in enumerate(state.staged) if s is v and state.leaves[i].alias is None), None)
        if number is None and v.cell is None and isinstance(v._atom, Var) and v._atom in state.params:
            number = state.params.index(v._atom)
            if state.staged[number].flavour != v.flavour:
                number = None
        if number is not None:
            extra.append((Result("leaf", None, 0, v.flavour, number), len(extra)))
            return ("extra", len(extra) - 1)
        key: Any = (v.cell, v.views) if v.cell is not None else id(v)
        if key not in seen:
            seen[key] = len(results)
            atoms.append(v.atom)
            kind = "array" if v.type.shape else "scalar"
            results.append(Result(kind, v.dtype, v.type.rank, v.flavour))
        return ("leaf", seen[key])

    tree = result_tree(whole(returned), leaf)
    updates: dict[int, int] = {}
    mutates: list[int] = []
    for i, s in enumerate(state.staged):
        if s.cell is not None and state.leaves[i].alias is None and s.cell.atom is not state.params[i]:
            updates[len(atoms)] = i
            mutates.append(i)
            atoms.append(s.cell.atom)
            results.append(Result("leaf", None, 0, "np", i))
    base = len(results)
    results += [r for r, _ in extra]
    tree = _place_extra(tree, base)
    function = close(state, block, state.params, atoms, name, updates)
    slots = _table(function.body.params, function.sizes, state.leaves)
    for i, (r, a) in enumerate(zip(results, function.body.results, strict=False)):
        if r.kind == "array":
            results[i] = replace(r, dims=_dims(a.type.shape, slots))
    places = [g.loc for g in state.guards]
    return Program(function, state.leaves, results, tree, _slots(state), state.captures, mutates, places)


def _place_extra(tree: tuple[Any, ...], base: int) -> tuple[Any, ...]:
    match tree:
        case ("extra", k):
            return ("leaf", base + k)
        case ("tuple" | "list", items):
            return (tree[0], [_place_extra(t, base) for t in items])
        case ("dict" | "call", head, items):
            return (tree[0], head, [_place_extra(t, base) for t in items])
    return tree


def result_tree(x: Any, leaf: Callable[[Staged], tuple[Any, ...]]) -> tuple[Any, ...]:
    """The structure of a returned value, as the runtime's plan takes it."""
    from weft.pytrees import flatten_custom

    if isinstance(x, np.ndarray):
        x = values.lift(x)
    if isinstance(x, Staged):
        return leaf(x)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return ("call", type(x), [result_tree(v, leaf) for v in x])
    if type(x) in (tuple, list):
        return (type(x).__name__, [result_tree(v, leaf) for v in x])
    if type(x) is dict:
        return ("dict", tuple(x), [result_tree(v, leaf) for v in x.values()])
    if isinstance(x, calls.Format | StagedFunction | calls.Loopable):
        what = {calls.Format: "a string made of run-time values", StagedFunction: "a function"}.get(type(x), "a range")
        raise StagingError(f"the compiled function returns {what}", remedy="return numbers and arrays")
    parts = flatten_custom(x)
    if parts is not None:
        children, aux = parts
        cls = type(x)
        refuse_staged(aux, cls)
        return ("call", _Rebuild(cls, aux), [result_tree(v, leaf) for v in children])
    return ("const", x)


@dataclass(frozen=True)
class _Rebuild:
    """Makes a custom container of its children."""

    cls: type
    aux: Any

    def __call__(self, *children: Any) -> Any:
        return unflatten_custom(self.cls, self.aux, children)


def _table(params: Sequence[Var], symbols: Iterable[tuple[Var, int, int]], leaves: Sequence[Any]) -> dict[Var, int]:
    """Where variables stand in the runtime's table: all sizes of array leaves, then the integer leaves."""
    slots: dict[Var, int] = {}
    at: dict[tuple[int, int], int] = {}
    for i, p in enumerate(params):
        for axis in range(p.type.rank):
            at[(i, axis)] = len(at)
    for v, number, axis in symbols:
        slots[v] = at[(number, axis)]
    n = len(at)
    for p, leaf in zip(params, leaves, strict=True):
        if leaf.flavour == "py" and leaf.dtype == "i":
            slots[p] = n
            n += 1
    return slots


def _dims(shape: Sequence[Size], slots: dict[Var, int]) -> list[tuple[int, list[tuple[int, int]]]] | None:
    """Sizes over the table, if it tells them all."""
    found: list[tuple[int, list[tuple[int, int]]]] = []
    for size in shape:
        if isinstance(size, int):
            found.append((size, []))
        elif all(v in slots for v, _ in size.terms):
            found.append((size.const, [(slots[v], c) for v, c in size.terms]))
        else:
            return None
    return found


def _slots(state: Staging) -> list[tuple[str, int, list[tuple[int, int]], str]]:
    """Guards over the runtime's table."""
    slots = _table(state.params, state.symbols, state.leaves)
    return [(g.kind, g.size.const, [(slots[v], c) for v, c in g.size.terms], g.why) for g in state.guards]


def close(
    state: Staging, block: Block, params: Sequence[Var], atoms: Sequence[Atom], name: str, updates: dict[int, int]
) -> Function:
    """A function of a finished block, with sizes known to be equal or fixed replaced everywhere."""
    symbols = [s for s in state.symbols if s[0] not in state.known]
    head: list[Any] = []
    replaced: dict[Var, Atom] = {}
    with Builder() as b, b.scope() as prologue:
        for v in state.known:
            if v not in state.shapes:
                continue  # an integer argument whose number is guarded keeps its value
            size = state.resolve(dim(v))
            if isinstance(size, int):
                replaced[v] = lit(size)
            elif isinstance(size, Dim) and size.var is not None:
                replaced[v] = size.var
            elif _named(v, block):
                replaced[v] = b.size_value(size)
        head = prologue.stmts
    renamer = _Closer(state)
    sizes = tuple((renamer.bind(v), p, axis) for v, p, axis in symbols)
    closed = renamer.bind_all(tuple(params))
    head = [renamer.stmt(s) for s in head]
    renamer.atoms.update({v: renamer.atom(a) for v, a in replaced.items()})
    stmts = [renamer.stmt(s) for s in block.stmts]
    return Function(name, Block(closed, [*head, *stmts], renamer.all(tuple(atoms))), sizes, updates)


def resolved(f: Function, state: State) -> Function:
    """A copy of a function inside a staging, each size under its representative: transformations rename variables."""
    renamer = _Closer(state)
    params = renamer.bind_all(f.params)
    stmts = [renamer.stmt(s) for s in f.body.stmts]
    return Function(f.name, Block(params, stmts, renamer.all(f.results)), loc=f.loc)


class _Closer(Renamer):
    """Copies a function, each size under its representative."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state

    def _lookup(self, v: Var) -> Size | None:
        if v in self.state.known:
            return map_size(self.state.resolve(dim(v)), super()._lookup)
        return super()._lookup(v)


def _named(v: Var, block: Block) -> bool:
    from weft.ir.nodes import atom_uses, walk

    return any(v in tuple(atom_uses(s)) for s in walk(block)) or any(v is r for r in block.results)
