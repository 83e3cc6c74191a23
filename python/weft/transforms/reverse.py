"""Reverse mode: ``vjp`` as a source-to-source adjoint that saves by need (see `saving`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from weft.ir.builder import Builder
from weft.ir.nodes import Atom, Block, Function, Lit, Op, Renamer, Span, Var, free_vars, lit, vars_in_static
from weft.ir.sizes import dim
from weft.ir.types import ArrayType, i64, is_inexact, scalar
from weft.primitives.declare import prim
from weft.transforms.activity import useful_vars, varied_vars
from weft.transforms.adjoint import Adjoint
from weft.transforms.dead import drop_dead, live_statements
from weft.transforms.forward import check_active, suffixed
from weft.transforms.inline import inline_calls
from weft.transforms.saving import Tape, Unchecked
from weft.transforms.simplify import simplify


def vjp(f: Function, active: Sequence[bool], *, results: Sequence[bool] | None = None) -> Function:
    """The function that also computes cotangents of its parameters from cotangents of its results.

    Parameters
    ----------
    f
        The function.
    active
        For each parameter, whether its cotangent is computed.
    results
        For each result, whether it has a cotangent; by default those of inexact dtype have.

    Returns
    -------
    Function
        Its parameters are ``f``'s and then one cotangent for each such result; its results are ``f``'s and then one
        cotangent for each active parameter. It writes no argument in place.

    Raises
    ------
    TypeError
        An active parameter, or a result with a cotangent, is not of a floating or complex dtype.
    NotImplementedError
        ``f`` is recursive, or uses a primitive that has no reverse-mode derivative.
    """
    r = _Reverse(f, active, results)
    params = (*r.f.params, *r.cts)
    with Builder() as b, b.scope(params) as body:
        body.stmts = list(r.f.body.stmts)
        found = r.backward(b, body)
        body.results = (*r.f.results, *found)
    return drop_dead(Function(f"{f.name}_vjp", body, r.f.sizes + r.ct_sizes(len(r.f.params)), {}, f.loc))


def split_vjp(
    f: Function, active: Sequence[bool], *, results: Sequence[bool] | None = None
) -> tuple[Function, Function]:
    """The two halves of `vjp`: a forward function that also returns residuals, and a backward function of them.

    Returns
    -------
    forward
        ``f``'s parameters -> ``f``'s results, then the residuals (only what the backward function names).
    backward
        The residuals, then a cotangent for each result that has one -> a cotangent for each active parameter.
    """
    r = _Reverse(f, active, results)
    with Builder() as b, b.scope(r.f.params) as fwd:
        fwd.stmts = list(r.f.body.stmts)
        with b.scope() as scratch:
            found = r.backward(b, fwd)
        scratch.results = tuple(found)
    back = drop_dead(Function(f"{f.name}_backward", Block(tuple(r.cts), scratch.stmts, scratch.results)))
    known = {v for v, _, _ in r.ct_sizes(0)}
    residuals = [v for v in free_vars(back.body) if v not in known]
    # sizes that residuals' shapes name are residuals themselves
    for v in list(residuals):
        residuals += [s for s in vars_in_static(v.type) if s not in residuals and s not in known]
    sizes = r.ct_sizes(len(residuals))
    back.body.params = (*residuals, *r.cts)
    # a copy, so that the halves share no variable
    back = Renamer().function(Function(f"{f.name}_backward", back.body, sizes, {}, f.loc))
    fwd.results = (*r.f.results, *residuals)
    return drop_dead(Function(f"{f.name}_forward", fwd, r.f.sizes, {}, f.loc)), back


def remat_halves(
    f: Function, active: Sequence[bool], results: Sequence[bool], policy: Callable[[Op], bool] | None
) -> tuple[Function, Function]:
    """The halves of a function that is computed again.

    Returns
    -------
    forward
        ``f``'s parameters -> ``f``'s results, then the results of the operations that ``policy`` saves (those that the
        backward function names; operations inside loops are always computed again).
    backward
        ``f``'s parameters, what was saved, then a cotangent for each result that has one -> a cotangent for each active
        parameter. Nothing in it prints or checks again.
    """
    r = _Reverse(f, active, results)
    with Builder() as b, b.scope(r.f.params) as primal:
        primal.stmts = list(r.f.body.stmts)
        with b.scope() as scratch:
            found = tuple(r.backward(b, primal))
    kept: set[Var] = set()
    if policy is not None:
        own = {v for v, _, _ in r.f.sizes} | set(r.f.params)
        chosen = [s for s in primal.stmts if isinstance(s, Op) and policy(s)]
        kept = {o for s in chosen for o in s.outs if own.issuperset(vars_in_static(o.type))}
    stmts = [s for s in (*primal.stmts, *scratch.stmts) if not (s.outs and kept.issuperset(s.outs))]
    live = live_statements(stmts, found, effects=False)
    saved = [v for v in free_vars(Block((), live, found)) if v in kept]
    params = (*r.f.params, *saved, *r.cts)
    sizes = r.f.sizes + r.ct_sizes(len(r.f.params) + len(saved))
    backward = Unchecked().function(Function(f"{f.name}_backward", Block(params, live, found), sizes, {}, f.loc))
    if not saved:
        return f, simplify(backward)
    forward = Function(f.name, Block(r.f.params, primal.stmts, (*r.f.results, *saved)), r.f.sizes, {}, f.loc)
    return drop_dead(Renamer().function(forward)), simplify(backward)


class _Reverse:
    """What `vjp` and `split_vjp` share: a private copy of the function, cotangent parameters, the backward sweep."""

    def __init__(self, f: Function, active: Sequence[bool], results: Sequence[bool] | None) -> None:
        check_active(f, active)
        if results is not None and len(results) != len(f.results):
            raise ValueError(f"{f.name} has {len(f.results)} results, cotangents are given for {len(results)}")
        # simplified first: what is computed once, or outside a loop, is saved once
        self.f = Renamer().function(simplify(inline_calls(f, ruled=False)))
        self.wrt = [p for p, on in zip(self.f.params, active, strict=True) if on]
        given = results or [is_inexact(r.type.dtype) for r in f.results]
        for r, on in zip(f.results, given, strict=True):
            if on and not is_inexact(r.type.dtype):
                raise TypeError(f"{f.name}: a result of type {r.type!r} has no cotangent")
        self.outs = [r for r, on in zip(self.f.results, given, strict=True) if on]
        self._symbols: list[tuple[Var, int, int]] = []
        self.cts = [self._ct_param(r, j) for j, r in enumerate(self.outs)]

    def _ct_param(self, r: Atom, number: int) -> Var:
        """A result's cotangent. Where the result's size is computed by the function, the cotangent binds its own."""
        known = {v for v, _, _ in self.f.sizes} | set(self.f.params)
        shape = []
        for axis, size in enumerate(r.type.shape):
            if any([v not in known for v in vars_in_static(size)]):
                symbol = Var(scalar(i64), "n")
                self._symbols.append((symbol, number, axis))
                size = dim(symbol)
            shape.append(size)
        return Var(ArrayType(r.type.dtype, tuple(shape)), suffixed(r, "_ct") or "ct")

    def ct_sizes(self, first: int) -> tuple[tuple[Var, int, int], ...]:
        """The sizes that cotangent parameters bind, the first of them being parameter number ``first``."""
        return tuple([(v, first + j, axis) for v, j, axis in self._symbols])

    def backward(self, b: Builder, primal: Block) -> list[Atom]:
        """Emit the backward sweep into the current block; returns the cotangents of the active parameters."""
        f = self.f
        active = varied_vars(f.body, self.wrt) & useful_vars(f.body, self.outs)
        adjoint = Adjoint(b, Tape(Block(f.params, primal.stmts, f.results)), active)
        for r, ct in zip(self.outs, self.cts, strict=True):
            adjoint.add(r, self._sized(ct, r))
        adjoint.block(f.body)
        found = []
        for p in self.wrt:
            found.append(adjoint.get_or_zeros(p))
        return found

    @staticmethod
    def _sized(ct: Var, r: Atom) -> Atom:
        """The cotangent in the result's own sizes (it has that many elements)."""
        if isinstance(r, Lit) or ct.type.shape == r.type.shape:
            return ct
        spec = tuple([Span(size) for size in r.type.shape])
        return prim("index")(ct, *[lit(0)] * len(spec), spec=spec, mode="fast")  # type: ignore[no-any-return]
