"""Forward mode: ``jvp`` computes a function and its directional derivative side by side.

Each statement is copied and followed by its tangent, by the rule of its primitive. A zero tangent is None and costs
nothing; a carry has a tangent only where `activity` finds that it depends on an active input.
"""

from __future__ import annotations

from collections.abc import Sequence

from weft.errors import StagingError
from weft.ir.builder import Builder
from weft.ir.nodes import Atom, Block, Call, For, Function, If, Map, Op, Renamer, Stmt, Var, While
from weft.ir.outline import call_types, closed_call
from weft.ir.rules import CustomJVP, CustomVJP, Remat
from weft.ir.types import ArrayType, is_inexact
from weft.primitives.declare import zeros
from weft.transforms.activity import varied_vars
from weft.transforms.inline import inline_calls
from weft.transforms.rules import forward_only, only_explicit, splice
from weft.transforms.simplify import simplify


def jvp(f: Function, active: Sequence[bool]) -> Function:
    """The function that also computes derivatives along a direction.

    Parameters
    ----------
    f
        The function.
    active
        For each parameter, whether it has a tangent.

    Returns
    -------
    Function
        Its parameters are ``f``'s and then a tangent for each active one (of its type); its results are ``f``'s and
        then a tangent for each result of inexact dtype. It writes no argument in place.

    Raises
    ------
    TypeError
        An active parameter is not of a floating or complex dtype.
    NotImplementedError
        ``f`` is recursive.
    """
    check_active(f, active)
    f = inline_calls(f, ruled=False)
    names = Renamer()
    sizes = tuple([(names.bind(v), p, axis) for v, p, axis in f.sizes])
    params = names.bind_all(f.params)
    tangents: dict[Var, Atom] = {}
    for p, q, on in zip(f.params, params, active, strict=True):
        if on:
            tangents[p] = Var(q.type, suffixed(p, "_t"))
    varied = varied_vars(f.body, tangents)
    all_params = (*params, *[t for t in tangents.values() if isinstance(t, Var)])
    with Builder() as b, b.scope(all_params) as body:
        forward = _Forward(b, names, tangents, varied)
        forward.stmts(f.body)
        results = names.all(f.results)
        results_t = [forward.tangent_or_zeros(r) for r in f.results if is_inexact(r.type.dtype)]
        body.results = (*results, *results_t)
    return Function(f"{f.name}_jvp", body, sizes, {}, f.loc)


def check_active(f: Function, active: Sequence[bool]) -> None:
    """Raise unless ``active`` names parameters that have derivatives."""
    if len(active) != len(f.params):
        raise ValueError(f"{f.name} has {len(f.params)} parameters, activity is given for {len(active)}")
    for p, on in zip(f.params, active, strict=True):
        if on and not is_inexact(p.type.dtype):
            raise TypeError(f"{f.name}: {p.name or 'parameter'} of type {p.type!r} has no derivative")


def suffixed(a: Atom, suffix: str) -> str:
    """The name of a derivative of ``a``."""
    return f"{a.name}{suffix}" if isinstance(a, Var) and a.name else ""


class _Forward:
    """Emits the copy of a block with its tangents. ``names`` maps old variables to new ones."""

    def __init__(self, b: Builder, names: Renamer, tangents: dict[Var, Atom], varied: set[Var]) -> None:
        self.b = b
        self.names = names
        self.tan = tangents
        self.varied = varied

    def tangent(self, a: Atom) -> Atom | None:
        return self.tan.get(a) if isinstance(a, Var) else None

    def type(self, a: Atom) -> ArrayType:
        return self.names.static(a.type)  # type: ignore[no-any-return]

    def tangent_or_zeros(self, a: Atom) -> Atom:
        t = self.tangent(a)
        return zeros(self.type(a)) if t is None else t

    def stmts(self, block: Block) -> None:
        for s in block.stmts:
            with self.b.at(s.loc):
                self.stmt(s)

    def stmt(self, s: Stmt) -> None:
        match s:
            case Op():
                self.op(s)
            case For():
                self.for_(s)
            case While():
                self.while_(s)
            case If():
                self.if_(s)
            case Map():
                self.map_(s)
            case Call():
                self.call(s)
            case _:
                raise TypeError(f"not a statement: {s!r}")

    # -- statements ------------------------------------------------------------------------------------------------

    def op(self, s: Op) -> None:
        attrs = {k: self.names.static(v) for k, v in s.attrs.items()}
        args = self.names.all(s.args)
        outs = self.b.op_outs(s.prim, args, attrs, [o.name for o in s.outs])
        self.names.atoms.update(zip(s.outs, outs, strict=True))
        given = [self.tangent(a) for a in s.args]
        if not any([o in self.varied for o in s.outs]) or all([t is None for t in given]):
            return
        if s.prim.jvp is None:
            raise StagingError(
                f"{s.prim.name} has no forward-mode derivative",
                remedy="stop the derivative there with weft.lax.stop_gradient",
                loc=s.loc,
            )
        found = s.prim.jvp(Op(s.prim, args, attrs, outs, s.loc), given)
        for o, t in zip(s.outs, found, strict=True):
            if t is not None:
                self.bind_tangent(o, t)

    def call(self, s: Call) -> None:
        """A call with a rule: a custom derivative takes its place; what is computed again stays one call."""
        args = self.names.all(s.args)
        given = [self.tangent(a) for a in s.args]
        active = [t is not None for t in given]
        n = len(s.outs)
        found: Sequence[Atom]
        if not any(active) or not any([o in self.varied for o in s.outs]):
            found = self.b.call(s.func, args, call_types(s.func, args), s.rule)
        elif isinstance(s.rule, CustomJVP):
            only_explicit(s.rule, active, s.loc)
            ts = [self.tangent_or_zeros(a) for a, on in zip(s.args, s.rule.explicit, strict=True) if on]
            found = splice(self.b, s.rule.rule(), [*args, *ts])
        elif isinstance(s.rule, Remat):
            both = simplify(jvp(s.func, active))
            both, operands = closed_call(both, [*args, *[t for t in given if t is not None]])
            found = self.b.call(both, operands, call_types(both, operands), s.rule)
        elif isinstance(s.rule, CustomVJP):
            raise forward_only(s.rule, s.loc)
        else:
            raise TypeError(f"a call without a rule is inlined before differentiation: {s.func.name}")
        for o, new in zip(s.outs, found[:n], strict=True):
            self.names.atoms[o] = new
        if len(found) > n:
            inexact = [o for o in s.outs if is_inexact(o.type.dtype)]
            for o, t in zip(inexact, found[n:], strict=True):
                if o in self.varied:
                    self.bind_tangent(o, t)

    def bind_tangent(self, v: Var, t: Atom) -> None:
        if isinstance(t, Var) and not t.name:
            t.name = suffixed(v, "_t")
        self.tan[v] = t

    def carried(self, params: Sequence[Var]) -> tuple[tuple[Var, ...], tuple[Var, ...]]:
        """New carries and the tangents of those that have one."""
        active = [p for p in params if p in self.varied]
        new = self.names.bind_all(params)
        tangents = tuple([Var(self.type(p), suffixed(p, "_t")) for p in active])
        self.tan.update(zip(active, tangents, strict=True))
        return new, tangents

    def inits(self, inits: Sequence[Atom], params: Sequence[Var]) -> tuple[Atom, ...]:
        """New initial values: primal, then tangents."""
        first = [self.tangent_or_zeros(i) for i, p in zip(inits, params, strict=True) if p in self.varied]
        return (*self.names.all(inits), *first)

    def nexts(self, results: Sequence[Atom], params: Sequence[Var], stacked: Sequence[Var]) -> tuple[Atom, ...]:
        """New results of a loop body: next carries, their tangents, elements, their tangents."""
        n = len(params)
        carries, elements = results[:n], results[n:]
        carries_t = [self.tangent_or_zeros(r) for r, p in zip(carries, params, strict=True) if p in self.varied]
        elements_t = [self.tangent_or_zeros(r) for r, o in zip(elements, stacked, strict=True) if o in self.varied]
        return (*self.names.all(carries), *carries_t, *self.names.all(elements), *elements_t)

    def bind_outs(
        self, new: Sequence[Var], params: Sequence[Var], outs: Sequence[Var], stacked: Sequence[Var], extra: int = 0
    ) -> None:
        """Bind a loop's results: carries, their tangents, ``extra`` others, elements, their tangents."""
        it = iter(new)
        active = [o for o, p in zip(outs[: len(params)], params, strict=True) if p in self.varied]
        for o in outs[: len(params)]:
            self.bind_out(o, next(it))
        for o in active:
            self.bind_tangent_out(o, next(it))
        for o in outs[len(params) : len(params) + extra]:
            self.bind_out(o, next(it))
        for o in stacked:
            self.bind_out(o, next(it))
        for o in stacked:
            if o in self.varied:
                self.bind_tangent_out(o, next(it))

    def bind_out(self, old: Var, new: Var) -> None:
        new.name = old.name
        self.names.atoms[old] = new

    def bind_tangent_out(self, old: Var, new: Var) -> None:
        new.name = suffixed(old, "_t")
        self.tan[old] = new

    def for_(self, s: For) -> None:
        k, *params = s.body.params
        n = len(params)
        trip = self.names.static(s.trip)
        inits = self.inits(s.inits, params)
        k2 = self.names.bind(k)
        new, tangents = self.carried(params)
        with self.b.scope((k2, *new, *tangents)) as body:
            self.stmts(s.body)
            body.results = self.nexts(s.body.results, params, s.outs[n:])
        outs = self.b.for_(trip, inits, body, reverse=s.reverse)
        self.bind_outs(outs, params, s.outs, s.outs[n:])

    def while_(self, s: While) -> None:
        n = len(s.inits)
        inits = self.inits(s.inits, s.body.params)
        cond_new = self.names.bind_all(s.cond.params)
        extra = tuple([Var(self.type(p), suffixed(p, "_t")) for p in s.body.params if p in self.varied])
        saved, self.varied = self.varied, set()  # a condition has no tangent
        with self.b.scope((*cond_new, *extra)) as cond:
            self.stmts(s.cond)
            cond.results = self.names.all(s.cond.results)
        self.varied = saved
        new, tangents = self.carried(s.body.params)
        with self.b.scope((*new, *tangents)) as body:
            self.stmts(s.body)
            body.results = self.nexts(s.body.results, s.body.params, s.outs[n + 1 :])
        outs = self.b.while_(inits, cond, body)
        self.bind_outs(outs, s.body.params, s.outs, s.outs[n + 1 :], extra=1)

    def if_(self, s: If) -> None:
        pred = self.names.atom(s.pred)
        active = [o in self.varied for o in s.outs]
        blocks = []
        for old in (s.then, s.orelse):
            with self.b.scope() as block:
                self.stmts(old)
                found = [self.tangent_or_zeros(r) for r, on in zip(old.results, active, strict=True) if on]
                block.results = (*self.names.all(old.results), *found)
            blocks.append(block)
        outs = self.b.if_(pred, *blocks)
        n = len(s.outs)
        for o, new in zip(s.outs, outs[:n], strict=True):
            self.bind_out(o, new)
        for o, new in zip([o for o, on in zip(s.outs, active, strict=True) if on], outs[n:], strict=True):
            self.bind_tangent_out(o, new)

    def map_(self, s: Map) -> None:
        m, n = len(s.sizes), len(s.inits)
        params = s.body.params[m:]
        inits = self.inits(s.inits, params)
        indices = self.names.bind_all(s.body.params[:m])
        new, tangents = self.carried(params)
        with self.b.scope((*indices, *new, *tangents)) as body:
            self.stmts(s.body)
            body.results = self.nexts(s.body.results, params, s.outs[n:])
        outs = self.b.map_(self.names.static(s.sizes), inits, body)
        self.bind_outs(outs, params, s.outs, s.outs[n:])
