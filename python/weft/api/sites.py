"""Calls that keep a rule: staging a function into one of its own, and its rules when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from weft.api import staging as st
from weft.api.zeros import zeros_of
from weft.errors import StagingError
from weft.frontend.frame import Frame, StagedFunction, StagedMethod, State
from weft.frontend.trees import Tree, describe, flatten, leaf_types, unflatten
from weft.ir.nodes import Atom, Block, Function, Loc, Var, free_vars
from weft.ir.outline import Settled, call_types, outline, trimmed
from weft.ir.rules import Rule
from weft.ir.types import ArrayType, is_inexact
from weft.staged.value import Staged, lift
from weft.transforms.simplify import simplify


def shape_of(tree: Tree) -> Any:
    """A structure without its leaves' types."""
    if tree.kind == "leaf":
        return "leaf"
    return (tree.kind, tree.fixed if tree.kind != "static" else repr(tree.fixed), tuple(map(shape_of, tree.children)))


def type_text(t: ArrayType) -> str:
    """A type as messages show it, with the sizes of the call at hand."""
    s = st.state()
    sizes = [s.number(n) for n in t.shape]
    shape = ",".join(["?" if n is None else str(n) for n in sizes])
    return f"{t.dtype.name}[{shape}]"


def name_of(v: Any) -> str:
    """What the program calls a staged value."""
    if v.cell is not None and v.cell.name:
        return str(v.cell.name)
    a = v.cell.atom if v.cell is not None else v._atom
    return getattr(a, "name", "") or ""


@dataclass
class Site:
    """A call of a function with a rule.

    Attributes
    ----------
    name
        The function's name.
    args
        Its arguments, with staged leaves.
    nondiff
        The places of arguments that are not differentiated.
    frozen
        The function and its rules as they are now.
    leaves
        The leaves of the others that have derivatives: the first parameters of ``func``.
    func
        The function, closed: its further parameters are ``captured`` (sizes, integers, what it closes over).
    tree, outs
        The structure of its result, and the results' types.
    """

    s: State
    name: str
    args: tuple[Any, ...]
    nondiff: frozenset[int]
    frozen: Any = None
    leaves: list[Staged] = field(default_factory=list)
    func: Function | None = None
    captured: tuple[Var, ...] = ()
    tree: Any = None
    outs: list[tuple[ArrayType, str]] = field(default_factory=list)
    written: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.axes = self.s.axes
        self.varying: Any = None
        self.varies: tuple[list[Any], list[Any]] = ([], [])
        self.trees: list[Tree] = []
        self._all: list[list[Any]] = []
        for i, a in enumerate(self.args):
            mine: list[Any] = []
            self.trees.append(flatten(a, self.s, mine))
            self._all.append(mine)
            if i not in self.nondiff:
                self.leaves += [v for v in mine if is_inexact(v.type.dtype)]
        self.types = [(v.type, v.flavour, name_of(v)) for v in self.leaves]

    # -- arguments -------------------------------------------------------------------------------------------------

    def replaced(self, values: Sequence[Any], other: Callable[[Any], Any] = lambda v: v) -> list[Any]:
        """The arguments with other values for the leaves that have derivatives."""
        rest = iter(values)
        out: list[Any] = []
        for i, (tree, mine) in enumerate(zip(self.trees, self._all, strict=True)):
            if i in self.nondiff:
                out.append(self.args[i])
                continue
            items = [next(rest) if is_inexact(v.type.dtype) else other(v) for v in mine]
            out.append(unflatten(tree, iter(items), self.s))
        return out

    def diff(self, args: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments that are differentiated."""
        return tuple([a for i, a in enumerate(args) if i not in self.nondiff])

    def fixed(self) -> tuple[Any, ...]:
        """The arguments that are not differentiated."""
        return tuple([self.args[i] for i in sorted(self.nondiff)])

    def tangents(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Tangents in the structure of the differentiated arguments; integers have float0 zeros."""
        return self.diff(self.replaced(values, zeros_of))

    # -- the call --------------------------------------------------------------------------------------------------

    def stage(self, fun: Any) -> None:
        """Stage the function."""
        atoms = [v.atom for v in self.leaves]
        inner = st.stage_inner(fun, lambda staged: (tuple(self.replaced(staged)), {}), self.types, atoms)
        self.tree = inner.tree
        self.written = inner.written
        self.outs = [
            (r.type, leaf.flavour) for r, leaf in zip(inner.function.results, leaf_types(inner.tree), strict=False)
        ]
        func, captured = outline(self.name, inner.function.body, self.s.loc)
        n = len(self.types)
        self.func, places = trimmed(simplify(func), keep=n)
        self.captured = tuple([captured[k - n] for k in places[n:]])

    def call(self, rule: Rule) -> Any:
        """Emit the call; its result."""
        assert self.func is not None
        atoms: list[Atom] = [*[v.atom for v in self.leaves], *self.captured]
        try:
            types = call_types(self.func, atoms)
        except ValueError as e:
            raise StagingError(
                f"{e}: such a function can have no rule of its own",
                remedy="give the result a size that its arguments tell",
                loc=self.s.loc,
            ) from None
        outs = self.s.builder.call(self.func, atoms, types, rule)
        if self.s.varying is not None:  # for the rules, which are staged later
            n = len(self.leaves)
            found = self.s.varying.of([*atoms, *outs])
            self.varying = self.s.varying.apart(dict(zip(self.captured, found[n:], strict=False)))
            self.varies = found[:n], found[len(atoms) :]
        for leaf, result in self.written:
            self.leaves[leaf].put(outs[result])
        return st.take(self.tree, outs[: len(leaf_types(self.tree))])

    @property
    def explicit(self) -> tuple[bool, ...]:
        """Which parameters of the function have derivatives by the rule."""
        return (*[True] * len(self.types), *[False] * len(self.captured))

    @property
    def shared(self) -> frozenset[str]:
        """The axes over which derivatives add up what devices share."""
        return frozenset() if self.s.varying is None else self.s.varying.axes

    # -- rules -----------------------------------------------------------------------------------------------------

    @contextmanager
    def later(self, fun: Any, at: Loc | None) -> Iterator[None]:
        """Stage a rule of ``fun`` after the call; where the rule calls ``fun``, that is as it was at the call."""
        s, key = self.s, ("frozen", id(fun))
        loc, outer, axes, varying = s.loc, s.memo.get(key), s.axes, s.varying
        s.memo[key], s.axes, s.varying = self.frozen, self.axes, self.varying
        with s.builder.apart():
            s.loc = at
            try:
                yield
            finally:
                s.loc = loc
                s.memo[key], s.axes, s.varying = outer, axes, varying

    def close(self, name: str, block: Block, head: int) -> Function:
        """A block as a function whose parameters are the first ``head`` of the block's, then what the call captured,
        then the others.

        Raises
        ------
        StagingError
            It names values of a function around it that the call does not pass.
        """
        settled = Settled()
        captured = settled.bind_all(self.captured)
        body = settled.block(block)
        params = (*body.params[:head], *captured, *body.params[head:])
        f = Function(name, Block(params, body.stmts, body.results))
        known = {*self.s.params, *[v for v, _, _ in self.s.symbols]}  # type: ignore[attr-defined]
        if any([v not in known for v in free_vars(f)]):
            raise StagingError(
                f"the rule of {self.name} closes over a run-time value of the function around it",
                remedy="pass the value as an argument (nondiff_argnums, if it is not to be differentiated)",
                loc=self.s.loc,
            )
        return simplify(f)


def fitting(v: Any, t: ArrayType) -> Atom | None:
    """A leaf's atom, if it is of a type (Python numbers become scalars of its dtype)."""
    from weft.staged.arith import cast

    v = lift(v)
    weak = v.flavour == "py" and not t.shape and is_inexact(t.dtype)
    if (v.type.dtype != t.dtype and not weak) or not st.same_sizes(v.sizes, t.shape):
        return None
    return cast(v.atom, t.dtype)


# -- functions defined inside staged code ------------------------------------------------------------------------------


class Frozen:
    """Functions as they are at a call. Those defined inside staged code keep the variables that they see now: the frame
    around them may be gone, or have other values, when a rule is staged. (Arrays need no care: `Site.close` refuses
    those that were made inside, and no others are written inside.)

    Parameters
    ----------
    functions
        The functions by name (None: there is none).
    """

    def __init__(self, functions: dict[str, Any]) -> None:
        self._frames: dict[int, Frame] = {}
        self.functions = {name: self._function(fn) for name, fn in functions.items()}

    def _function(self, fn: Any) -> Any:
        plain = fn.fn if isinstance(fn, StagedMethod) else fn
        if not isinstance(plain, StagedFunction):
            return fn
        made = StagedFunction(plain.parsed, self._frame(plain.frame), plain.defaults, plain.kw_defaults)
        made.__name__ = plain.__name__
        return made

    def _frame(self, frame: Frame) -> Frame:
        known = self._frames.get(id(frame))
        if known is not None:
            return known
        enclosing = self._frame(frame.enclosing) if frame.enclosing is not None else None
        new = Frame(frame.parsed, python=frame.python, enclosing=enclosing, globals_=frame.globals, origin=frame.origin)
        self._frames[id(frame)] = new
        new.comprehension = frame.comprehension
        new.locals = {name: self._value(v) for name, v in frame.locals.items()}
        return new

    def _value(self, v: Any) -> Any:
        if isinstance(v, StagedFunction | StagedMethod):
            return self._function(v)
        return type(v)([self._value(x) for x in v]) if type(v) in (list, tuple) else v


__all__ = ["Frozen", "Site", "describe", "fitting", "name_of", "shape_of", "type_text"]
