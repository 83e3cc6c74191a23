"""Outlining: a block with free variables becomes a function of its own, and what to pass to it."""

from __future__ import annotations

from collections.abc import Sequence

from weft.ir.nodes import Atom, Block, Function, Loc, Renamer, Var, dim, free_vars, vars_in_static
from weft.ir.sizes import Size, map_size, resolve
from weft.ir.types import ArrayType, i64, scalar


class Settled(Renamer):
    """Copies with every size under its representative, as the staging under way knows it."""

    def _lookup(self, v: Var) -> Size | None:
        known = resolve(dim(v))
        if known != dim(v):
            return map_size(known, super()._lookup)
        return super()._lookup(v)


def outline(name: str, block: Block, loc: Loc | None = None) -> tuple[Function, tuple[Var, ...]]:
    """A function that closes over nothing.

    Parameters
    ----------
    name
        Its name.
    block
        Parameters, statements and results; it may name variables of the blocks around it.

    Returns
    -------
    function
        Its parameters are the block's and then the variables that it named. Sizes are such variables, too.
    captured
        What to pass for the latter.
    """
    settled = Settled().block(block)
    free = list(free_vars(settled))
    for v in free:  # grows: the sizes that their types name
        free += [u for u in vars_in_static(Settled().static(v.type)) if u not in free]
    captured = tuple(free)
    closed = Settled()
    params = closed.bind_all((*captured,))
    body = closed.block(settled)
    return Function(name, Block((*body.params, *params), body.stmts, body.results), (), {}, loc), captured


class _Arguments(Renamer):
    """Types of a function in terms of the arguments of a call."""

    def __init__(self, func: Function, args: Sequence[Atom]) -> None:
        super().__init__(dict(zip(func.params, args, strict=True)))
        self._bound: dict[Var, Size] = {v: args[p].type.shape[axis] for v, p, axis in func.sizes}

    def _lookup(self, v: Var) -> Size | None:
        return self._bound[v] if v in self._bound else super()._lookup(v)


def call_types(func: Function, args: Sequence[Atom], outs: Sequence[Var] = ()) -> tuple[ArrayType, ...]:
    """The types of a call's results, in the caller's sizes. ``outs``, if given, are the results' variables: a size
    may be one of them.

    Raises
    ------
    ValueError
        A size of a result is computed inside the function.
    """
    known: set[Atom] = {*func.params, *[v for v, _, _ in func.sizes]}
    sizes = _Arguments(func, args)
    for r, o in zip(func.results, outs, strict=False):
        if isinstance(r, Var) and r not in known and r.type == scalar(i64):
            known.add(r)
            sizes.atoms[r] = o
    for r in func.results:
        if any([v not in known for v in vars_in_static(r.type)]):
            raise ValueError(f"the shape of a result of {func.name} is computed inside it")
    return tuple([sizes.static(r.type) for r in func.results])


def trimmed(func: Function, keep: int = 0) -> tuple[Function, tuple[int, ...]]:
    """``func`` without the parameters that it does not name (the first ``keep`` stay), and the places of those left.

    Sizes that only an unused parameter would tell keep it.
    """
    used = set(free_vars(Block((), func.body.stmts, func.body.results)))
    for k, p in enumerate(func.params):
        if p in used or k < keep:
            used.update(vars_in_static(p.type))
    for r in func.results:
        used.update(vars_in_static(r.type))
    telling = {p for v, p, _ in func.sizes if v in used}
    left: list[int] = []
    for k, p in enumerate(func.params):
        if k < keep or p in used or k in telling:
            left.append(k)
    for k in telling:  # what the sizes of these parameters name
        named = set(vars_in_static(func.params[k].type))
        left += [j for j, p in enumerate(func.params) if p in named and j not in left]
    left.sort()
    place = {k: j for j, k in enumerate(left)}
    bound = {v for v, _, _ in func.sizes}
    needed = set(used)
    for k in left:
        needed.update(vars_in_static(func.params[k].type))
    sizes = tuple([(v, place[p], axis) for v, p, axis in func.sizes if p in place and v in needed])
    lost = {v for v in needed & bound} - {v for v, _, _ in sizes}
    if lost:  # a kept parameter's size was bound by another one
        return func, tuple(range(len(func.params)))
    body = Block(tuple([func.params[k] for k in left]), func.body.stmts, func.body.results)
    return Function(func.name, body, sizes, {}, func.loc), tuple(left)


def closed_call(func: Function, args: Sequence[Atom]) -> tuple[Function, tuple[Atom, ...]]:
    """A function that closes over nothing, and its operands: what ``func`` names of the outside is passed to it."""
    free = free_vars(func)
    for v in free:  # grows
        free += [u for u in vars_in_static(v.type) if u not in free]
    if not free:
        return func, tuple(args)
    renamer = Renamer()
    sizes = tuple([(renamer.bind(v), p, axis) for v, p, axis in func.sizes])
    more = renamer.bind_all(free)
    body = renamer.block(func.body)
    params = (*body.params, *more)
    return Function(func.name, Block(params, body.stmts, body.results), sizes, {}, func.loc), (*args, *free)
