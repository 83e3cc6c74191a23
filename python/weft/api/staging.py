"""Staging a function into IR of its own, inside a staging: what `grad`, `jvp` and `vmap` transform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from weft.errors import StagingError
from weft.frontend import calls
from weft.frontend.frame import State
from weft.frontend.merge import AlwaysRaises, existed, mark_now
from weft.frontend.stage import resolved
from weft.frontend.trees import Tree, flatten, leaf_types, unflatten
from weft.ir.nodes import Atom, Block, Function, Renamer, Var
from weft.ir.sizes import Size, dim
from weft.ir.types import ArrayType, i64, scalar
from weft.staged.context import current
from weft.staged.value import Cell, Staged, lift, wrap
from weft.transforms.inline import inline_calls
from weft.transforms.simplify import simplify


@dataclass
class Inner:
    """A function staged for a transformation.

    Attributes
    ----------
    function
        Its IR; free variables are those of the staging around it.
    tree
        The structure of its result, whose leaves are the IR function's results.
    written
        ``(leaf number, result number)`` for each parameter that the function wrote in place.
    """

    function: Function
    tree: Tree
    written: list[tuple[int, int]]


def state() -> State:
    """The staging under way."""
    s = current()
    assert isinstance(s, State)
    return s


def copied(x: Any, s: State) -> Any:
    """A value whose arrays can be written without anybody seeing it."""
    leaves: list[Any] = []
    tree = flatten(x, s, leaves)
    fresh = [wrap(v.atom, v.flavour) if isinstance(v, Staged) and v.cell is not None else v for v in leaves]
    return unflatten(tree, iter(fresh), s)


def stage_inner(
    fun: Callable[..., Any],
    make: Callable[[list[Staged]], tuple[Any, dict[str, Any]]],
    types: Sequence[tuple[ArrayType, str, str]],
    atoms: Sequence[Atom],
) -> Inner:
    """Stage ``fun`` with parameters of its own.

    Parameters
    ----------
    fun
        The function.
    make
        Gives the arguments and keyword arguments over the staged parameters.
    types
        The parameters' types, flavours and names.
    atoms
        What the parameters stand for, or are a lane or tangent of.
    """
    s = state()
    mark = mark_now()
    params = [Var(t, name) for t, _, name in types]
    if s.varying is not None:
        s.varying.begin(params, atoms)
    with s.builder.scope(params) as block, s.tracking() as tracker:
        staged = [wrap(p, flavour) for p, (_, flavour, _) in zip(params, types, strict=True)]
        args, kwargs = make(staged)
        try:
            returned = calls.call(fun, args, kwargs)
        except AlwaysRaises:
            raise StagingError("the transformed function raises on every path", loc=s.loc) from None
        leaves: list[Any] = []
        tree = flatten(returned, s, leaves)
        results = [lift(v).atom for v in leaves]
        written: list[tuple[int, int]] = []
        for i, (v, p) in enumerate(zip(staged, params, strict=True)):
            if v.cell is not None and v.cell.atom is not p:
                written.append((i, len(results)))
                results.append(v.cell.atom)
        changed = [
            loc for loc in tracker.before
            if existed(loc, mark, s) and (isinstance(loc, Cell) or loc.get() is not tracker.before[loc])
        ]  # fmt: skip
    tracker.undo()
    if changed:
        raise StagingError(
            f"the transformed function changes {changed[0].label}, which is not its own",
            remedy="pass it as an argument and return the new value",
            loc=s.loc,
        )
    block.results = tuple(results)
    name = getattr(fun, "__name__", "function")
    f = Function(name, block)
    return Inner(resolved(f, s) if s.settled else f, tree, written)


def inline(f: Function, args: Sequence[Atom]) -> list[Atom]:
    """Emit a function's statements into the current block, its parameters replaced; its results."""
    s = state()
    renamer = Renamer(dict(zip(f.params, args, strict=True)))
    for v, p, axis in f.sizes:
        size = args[p].type.shape[axis]
        renamer.atoms[v] = s.builder.size_value(size)
    for stmt in f.body.stmts:
        s.builder.append(renamer.stmt(stmt))
    return list(renamer.all(f.results))


def tidy(f: Function) -> Function:
    """Simplify between transformations, so that code does not grow with their order."""
    return simplify(inline_calls(f, ruled=False))


def unified(f: Function, atoms: Sequence[Atom]) -> Function:
    """A function whose first parameters stand for these atoms, with one parameter for sizes that were found equal: what
    is to be transformed by itself knows nothing of the staging's equalities."""
    s = state()
    first: dict[Size, Var] = {}
    same: dict[Var, Var] = {}
    for p, a in zip(f.params, atoms, strict=False):
        if isinstance(a, Var) and a.type == scalar(i64):
            q = first.setdefault(s.resolve(dim(a)), p)
            if q is not p:
                same[p] = q
    if not same:
        return f
    renamer = Renamer()
    sizes = tuple([(renamer.bind(v), p, axis) for v, p, axis in f.sizes])
    params = renamer.bind_all(f.params)
    renamer.atoms.update({p: renamer.atoms[q] for p, q in same.items()})
    for old, new in zip(f.params, params, strict=True):
        new.type = renamer.static(old.type)
    stmts = [renamer.stmt(x) for x in f.body.stmts]
    return Function(f.name, Block(params, stmts, renamer.all(f.results)), sizes, loc=f.loc)


def same_sizes(a: Sequence[Size], b: Sequence[Size]) -> bool:
    """Whether two shapes agree: known, or in this call, under guards."""
    s = state()
    if len(a) != len(b):
        return False
    for m, n in zip(a, b, strict=True):
        m, n = s.resolve(m), s.resolve(n)
        if m != n and (s.number(m) is None or s.number(m) != s.number(n) or not s.decide("==", m - n, "shapes agree")):
            return False
    return True


def flavour_of(x: Any) -> str:
    """The flavour of a leaf given to a transformation."""
    return lift(x).flavour


def take(tree: Tree, atoms: Sequence[Atom], flavours: Sequence[str] | None = None) -> Any:
    """A value of this structure from atoms."""
    leaves = leaf_types(tree)
    kinds = flavours or [leaf.flavour for leaf in leaves]
    return unflatten(tree, iter([wrap(a, k) for a, k in zip(atoms, kinds, strict=True)]), state())
