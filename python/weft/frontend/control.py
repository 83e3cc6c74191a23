"""Loops and branches whose bodies are given as functions (`weft.lax`).

A carry is immutable inside the functions: its leaves are `weft.Array`, Python numbers among them weak until the body
says what they become. The functions see what is around them, but change nothing there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import gast

from weft.errors import StagingError, located
from weft.frontend import calls, source
from weft.frontend.capture import extend
from weft.frontend.frame import StagedFunction, StagedMethod
from weft.frontend.loops import counter
from weft.frontend.merge import AlwaysRaises, bound, branch, existed, mark_now
from weft.frontend.structures import (
    Differs,
    Values,
    aligned,
    is_weak,
    joined,
    kind_text,
    same_sizes,
    state,
    type_text,
    values,
)
from weft.frontend.trees import fit, unflatten
from weft.ir.nodes import At, Atom, Block, Loc, Span, Var, lit
from weft.ir.sizes import Size, vars_of_type
from weft.ir.types import ArrayType, bool_
from weft.staged import arith
from weft.staged.context import current
from weft.staged.loops import Range
from weft.staged.value import Cell, Staged, wrap

# -- bodies ----------------------------------------------------------------------------------------------------------


def place_of(fun: Any) -> Loc | None:
    """Where a function is written, for messages about what it returns."""
    while isinstance(fun, StagedMethod) or hasattr(fun, "__wrapped__"):
        fun = fun.fn if isinstance(fun, StagedMethod) else fun.__wrapped__
    fun = getattr(fun, "func", getattr(fun, "__func__", fun))
    try:
        parsed = fun.parsed if isinstance(fun, StagedFunction) else source.parse(fun)
    except Exception:  # it has no source to show
        return current().loc
    node = parsed.node
    loc: Loc | None = parsed.loc(node if type(node).__name__ == "Lambda" else node.body[-1])
    return loc


def complain(fun: Any, message: str) -> TypeError:
    """A TypeError about what a function returned, which shows the function's line."""
    return TypeError(located(message, place_of(fun)))


@contextmanager
def body(what: str, fun: Any, params: Sequence[Var]) -> Iterator[Block]:
    """A block of its own, in which a function is staged that changes nothing around it."""
    s = state()
    mark = mark_now()
    with s.builder.scope(params) as block, s.tracking() as tracker:
        try:
            yield block
        except AlwaysRaises:
            raise StagingError(f"{what} raises on every path", loc=place_of(fun)) from None
        finally:
            changed = [
                loc for loc in tracker.before
                if existed(loc, mark, s) and (isinstance(loc, Cell) or loc.get() is not tracker.before[loc])
            ]  # fmt: skip
            tracker.undo()
    if changed:
        raise StagingError(
            f"{what} changes {changed[0].label}, which is not its own",
            remedy="make it part of the carry and return its new value, or write the loop as a `for` statement",
            loc=place_of(fun),
        )


class Carry:
    """What a loop carries from one iteration to the next.

    Parameters
    ----------
    what
        The function that computes the next carry, in messages.
    fun
        The function.
    name
        What messages call the carry.
    init
        Its first value.
    """

    def __init__(self, what: str, fun: Any, name: str, init: Any) -> None:
        self.what, self.fun, self.name = what, fun, name
        self.first = values(init)
        self.vary: Any = None
        self.weak = [is_weak(v) for v in self.first.leaves]
        self.dtypes = [v.dtype for v in self.first.leaves]

    def params(self) -> list[Var]:
        """Fresh parameters; inside `shard_map` they are taken to vary as the first values do."""
        s = state()
        params = [
            Var(ArrayType(d, v.type.shape), getattr(v._atom, "name", "") or "")
            for v, d in zip(self.first.leaves, self.dtypes, strict=True)
        ]
        if s.varying is not None:
            self.vary = self.vary or s.varying.loop()
            self.vary.begin(range(len(params)), params, [v.atom for v in self.first.leaves])
        return params

    def value(self, params: Sequence[Var]) -> Any:
        """The carry over parameters."""
        flavours = ["py" if w else "weft" for w in self.weak]
        leaves = [wrap(p, f) for p, f in zip(params, flavours, strict=True)]
        return unflatten(self.first.tree, iter(leaves), state())

    def take(self, out: Any) -> list[Atom]:
        """The next carry's atoms, converted; learns what weak numbers become."""
        new = values(out)
        names = ("the input carry " + self.name, "the carry output")
        try:
            leaves = list(aligned(self.first.tree, new.tree, iter(new.leaves), names))
        except Differs as e:
            raise complain(
                self.fun,
                f"{self.what} carry input and carry output must have the same pytree structure, but they differ: {e}",
            ) from None
        atoms: list[Atom] = []
        wrong: list[str] = []
        for k, (a, b, path) in enumerate(zip(self.first.leaves, leaves, self.first.paths(), strict=True)):
            given = Staged(None, "py" if self.weak[k] else "weft", type=ArrayType(self.dtypes[k], a.type.shape))
            dtype = joined(given, b)
            if dtype is None or not same_sizes(a.type.shape, b.type.shape):
                how = "dtypes" if same_sizes(a.type.shape, b.type.shape) else "shapes"
                wrong.append(
                    f"the input carry {self.name}{path} has type {type_text(given)}, but the corresponding output has"
                    f" type {type_text(b)}, so the {how} do not match"
                )
                continue
            self.dtypes[k] = dtype
            atoms.append(fit(b.atom, ArrayType(dtype, a.type.shape)))
        if wrong:
            raise complain(
                self.fun,
                f"{self.what} carry input and carry output must have equal types, but they differ: " + "; ".join(wrong),
            )
        return atoms

    def settle(self, attempt: Callable[[], Any]) -> Any:
        """Stage the body; where Python numbers are carried, once more with the dtypes that it gave them."""
        if any(self.weak):
            s = state()
            guards, known = list(s.guards), dict(s.known)
            dtypes = list(self.dtypes)
            try:
                attempt()
            except Exception:  # it may ask of a number what only an array has: staged as an array, it tells
                self.dtypes = dtypes
                s.guards[:] = guards
                s.known.clear()
                s.known.update(known)
            self.weak = [False] * len(self.weak)
        attempt()
        while self.vary is not None and self.vary.found:
            attempt()

    def varies(self, results: Sequence[Atom]) -> None:
        """At the end of a body: find out whether carries become other than they start."""
        if self.vary is not None:
            self.vary.again(results)

    def inits(self) -> list[Atom]:
        """The first values, converted."""
        pairs = zip(self.first.leaves, self.dtypes, strict=True)
        return [fit(v.atom, ArrayType(d, v.type.shape)) for v, d in pairs]


# -- loops -----------------------------------------------------------------------------------------------------------


def row(v: Staged, k: Atom) -> Staged:
    """The k-th row of an array, k being in range."""
    spec = (At(), *[Span(n) for n in v.type.shape[1:]])
    return wrap(arith.prim("index")(v.atom, k, *[0] * (v.ndim - 1), spec=spec, mode="fast"), "weft")


def trip_of(name: str, xs: Values, length: Any) -> Size:
    """The number of iterations that a loop over the rows of arrays has.

    Raises
    ------
    ValueError
        There are no arrays, or their first sizes differ, or ``length`` says otherwise.
    """
    from weft.staged.value import size_of

    s = state()
    for v, path in zip(xs.leaves, xs.paths(), strict=True):
        if not v.ndim:
            raise arith.op_error(
                ValueError, f"{name} got values with no leading axis to scan over: xs{path} has type {type_text(v)}"
            )
    sizes = [s.resolve(v.type.shape[0]) for v in xs.leaves]
    for n in sizes[1:]:
        if not same_sizes((n,), (sizes[0],)):
            shown = ", ".join([str(s.number(m)) for m in sizes])
            raise arith.op_error(ValueError, f"{name} got values with different leading axis sizes: {shown}.")
    if length is None:
        if not sizes:
            raise arith.op_error(ValueError, f"{name} got no values to scan over and `length` not provided.")
        return s.resolve(sizes[0])
    given = size_of(length, f"{name}'s length")
    if sizes and not same_sizes((given,), (sizes[0],)):
        raise arith.op_error(
            ValueError,
            f"{name} got `length` argument of {s.number(given)} which disagrees with leading axis sizes"
            f" {[s.number(n) for n in sizes]}.",
        )
    return s.resolve(sizes[0]) if sizes else given


def scan(f: Any, init: Any, xs: Any, length: Any, reverse: bool) -> Any:
    """The final carry and the stacked outputs of ``f(carry, x) -> (carry, y)`` over the rows of ``xs``."""
    s = state()
    over = values(xs)
    trip = trip_of("scan", over, length)
    carry = Carry("scan body function", f, "carry", init)
    done: list[Any] = []

    def attempt() -> None:
        k, params = counter("i"), carry.params()
        with body("the function given to scan", f, (k, *params)) as block:
            x = unflatten(over.tree, iter([row(v, k) for v in over.leaves]), s)
            out = calls.call(f, (carry.value(params), x), {})
            if not isinstance(out, tuple | list) or len(out) != 2:
                raise complain(
                    f,
                    "scan body output must be a pair (carry, y), got"
                    f" {kind_text(values(out).tree) if not isinstance(out, Staged) else type_text(out)}",
                )
            atoms = carry.take(out[0])
            ys = values(out[1])
            block.results = (*atoms, *[v.atom for v in ys.leaves])
            carry.varies(atoms)
        _outside(block, ys.leaves, "an output of the function given to scan", f)
        done[:] = [block, ys]

    carry.settle(attempt)
    block, ys = done
    outs = s.builder.for_(trip, carry.inits(), block, reverse=reverse)
    n = len(carry.dtypes)
    return carry.first.rebuilt(outs[:n]), ys.rebuilt(outs[n:])


def rows(f: Any, xs: Any) -> Any:
    """The stacked values of ``f(x)`` over the rows of ``xs``."""
    over = values(xs)
    trip = trip_of("map", over, None)
    k = counter("i")
    with body("the function given to map", f, (k,)) as block:
        x = unflatten(over.tree, iter([row(v, k) for v in over.leaves]), state())
        ys = values(calls.call(f, (x,), {}))
        block.results = tuple([v.atom for v in ys.leaves])
    _outside(block, ys.leaves, "an output of the function given to map", f)
    return ys.rebuilt(state().builder.for_(trip, (), block))


def _outside(block: Block, leaves: Sequence[Staged], what: str, fun: Any) -> None:
    """Refuse arrays whose size is computed in a block that they leave."""
    inner = bound(block)
    if any(v in inner for leaf in leaves for v in vars_of_type(leaf.type)):
        raise StagingError(
            f"{what} has a size that is computed inside it", remedy="compute the size before", loc=place_of(fun)
        )


def fori_loop(lower: Any, upper: Any, body_fun: Any, init: Any) -> Any:
    """``body_fun(i, value)`` for i from ``lower`` to ``upper``."""
    s = state()
    steps = Range(lower, upper)
    trip = steps.trip()
    carry = Carry("body_fun", body_fun, "val", init)
    done: list[Block] = []

    def attempt() -> None:
        k, params = counter("i"), carry.params()
        with body("the function given to fori_loop", body_fun, (k, *params)) as block:
            out = calls.call(body_fun, (steps.item(wrap(k, "py")), carry.value(params)), {})
            block.results = tuple(carry.take(out))
            carry.varies(block.results)
        done[:] = [block]

    carry.settle(attempt)
    if trip == 0:
        return carry.first.rebuilt(carry.inits())
    return carry.first.rebuilt(s.builder.for_(trip, carry.inits(), done[0]))


def while_loop(cond_fun: Any, body_fun: Any, init: Any) -> Any:
    """``body_fun(value)`` as long as ``cond_fun(value)``."""
    s = state()
    carry = Carry("body_fun", body_fun, "val", init)
    done: list[Block] = []

    def attempt() -> None:
        params = carry.params()
        with body("the condition given to while_loop", cond_fun, params) as cond:
            go = calls.call(cond_fun, (carry.value(params),), {})
            if isinstance(go, bool):
                go = wrap(lit(go, bool_), "py")
            found = values(go)
            if found.tree.kind != "leaf" or found.leaves[0].ndim or found.leaves[0].dtype != bool_:
                shown = ", ".join(map(type_text, found.leaves)) if found.leaves else kind_text(found.tree)
                raise complain(cond_fun, f"cond_fun must return a boolean scalar, but got output type(s) {shown}.")
            cond.results = (found.leaves[0].atom,)
        params = carry.params()
        with body("the function given to while_loop", body_fun, params) as block:
            block.results = tuple(carry.take(calls.call(body_fun, (carry.value(params),), {})))
            carry.varies(block.results)
        done[:] = [cond, block]

    carry.settle(attempt)
    cond, block = done
    if cond.results == (lit(False, bool_),):
        return carry.first.rebuilt(carry.inits())
    return carry.first.rebuilt(s.builder.while_(carry.inits(), cond, block)[: len(carry.dtypes)])


# -- branches --------------------------------------------------------------------------------------------------------


def cond(pred: Any, funs: Sequence[Any], operands: Sequence[Any]) -> Any:
    """The first function's value where ``pred`` holds, else the second's."""
    thunks = [_call(f, operands) for f in funs]
    return _arrays(_branch(arith.truth(pred), thunks, funs, ("true_fun", "false_fun")))


def switch(index: Any, funs: Sequence[Any], operands: Sequence[Any]) -> Any:
    """The value of the function with this number, which is in range."""
    if not isinstance(index, Staged):
        return _arrays(calls.call(funs[index], tuple(operands), {}))

    def among(lo: int, hi: int) -> Any:
        if hi - lo == 1:
            return calls.call(funs[lo], tuple(operands), {})
        mid = (lo + hi) // 2
        thunks = [functools.partial(among, lo, mid), functools.partial(among, mid, hi)]
        names = (f"branch {lo}", f"branch {mid}")
        return _branch(arith.truth(arith.lt(index, mid)), thunks, (funs[lo], funs[mid]), names)

    return _arrays(among(0, len(funs)))


def _call(f: Any, operands: Sequence[Any]) -> Callable[[], Any]:
    return lambda: calls.call(f, tuple(operands), {})


def _branch(v: Any, thunks: Sequence[Callable[[], Any]], funs: Sequence[Any], names: tuple[str, str]) -> Any:
    """The value of the first thunk where ``v``, else of the second; both give the same types."""
    s = state()
    seen: list[Values] = []

    def side(k: int) -> Any:
        found = values(thunks[k]())
        if seen:
            found = _meets(seen[0], found, funs[k], names)
        seen.append(found)
        return unflatten(found.tree, iter(found.leaves), s)

    if not isinstance(v, Staged):
        return thunks[0 if v else 1]()
    frame = s.frame
    node: Any = gast.Pass()
    if s.loc is not None:
        node.lineno, node.col_offset = s.loc.line, s.loc.col
        node.end_lineno, node.end_col_offset = s.loc.end_line, s.loc.end_col
    return branch(v, lambda: side(0), lambda: side(1), node, frame)


def _arrays(x: Any) -> Any:
    """A tree with its numbers as arrays."""
    found = values(x)
    return found.rebuilt([v.atom for v in found.leaves])


def _meets(a: Values, b: Values, fun: Any, names: tuple[str, str]) -> Values:
    """What the second branch gives, in the order of the first."""
    try:
        leaves = list(aligned(a.tree, b.tree, iter(b.leaves), (f"{names[0]} output", f"{names[1]} output")))
    except Differs as e:
        raise complain(
            fun, f"{names[0]} and {names[1]} output must have the same pytree structure, but they differ: {e}"
        ) from None
    for x, y, path in zip(a.leaves, leaves, a.paths(), strict=True):
        if joined(x, y) is None or not same_sizes(x.type.shape, y.type.shape):
            raise complain(
                fun,
                f"{names[0]} and {names[1]} output must have identical types, but they differ: {names[0]} output{path}"
                f" has type {type_text(x)}, {names[1]} output{path} has type {type_text(y)}",
            )
    return Values(a.tree, leaves)


# -- several functions of one call -----------------------------------------------------------------------------------


def known_at(holder: Any, names: Sequence[str]) -> None:
    """Say how the functions that an object holds are found again (for warm starts)."""
    captures = state().captures
    for name in names:
        captures.note(getattr(holder, name), extend(captures.path(holder), "attr", name))


__all__ = [
    "Carry", "Values", "cond", "fori_loop", "known_at", "rows", "scan", "switch", "values", "while_loop",
]  # fmt: skip
