"""vmap by loop lifting: a loop over lanes is turned inside out as far as it goes.

A primitive with batched operands becomes the batched primitive, a loop that every lane runs alike stays a loop around
lifted code, and what is bound to its lane (see `batch_plan.Plan`) runs in a `Map` over lanes, each an independent
thread of execution: nothing is masked and no lane waits for the slowest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from weft.errors import StagingError
from weft.ir.builder import Builder
from weft.ir.nodes import (
    At,
    Atom,
    Block,
    Call,
    For,
    Function,
    If,
    Map,
    Op,
    Renamer,
    Span,
    Stmt,
    Var,
    While,
    lit,
    vars_in_static,
)  # fmt: skip
from weft.ir.primitive import Collective
from weft.ir.rules import CustomJVP, CustomVJP, Remat, Rule
from weft.ir.sizes import Dim, Size, dim
from weft.ir.types import ArrayType, i64, is_inexact, scalar
from weft.primitives.declare import prim
from weft.transforms.batch_plan import Plan, performs_io, size_params
from weft.transforms.inline import drop_pvary


def batch(
    f: Function,
    batched: Sequence[bool],
    *,
    size: Size | None = None,
    force: bool | Sequence[bool] = False,
    axis: str | None = None,
) -> tuple[Function, tuple[bool, ...]]:
    """The function that maps ``f`` over a leading axis of some of its parameters.

    Parameters
    ----------
    f
        The function of one lane.
    batched
        For each parameter, whether it has the batch axis, which leads.
    size
        The number of lanes, when it is fixed or known already (it may name ``f``'s own sizes, or those of a function
        around it); otherwise a new symbol bound by the first batched parameter. It must be given where it is 0 or 1
        (symbols from parameters are at least 2).
    force
        Give every result the batch axis, also those that are the same for all lanes (or these of the results).
    axis
        The name of the batch axis, over which lanes communicate.

    Returns
    -------
    Function
        The mapped function.
    tuple of bool
        For each result, whether it has the batch axis.

    Raises
    ------
    ValueError
        Lanes would write one array, or a result's shape would differ between lanes.
    """
    return _batch(f, tuple(batched), size, force, axis, {}, ())


def batched_rule(
    rule: Rule | None, func: Function, flags: tuple[bool, ...], outs: tuple[bool, ...], size: Size | None,
    axis: str | None,
) -> Rule | None:  # fmt: skip
    """The rule of a batched call, whose operands and results have the batch axis as these flags say."""
    if rule is None or isinstance(rule, Remat):
        return rule
    explicit = [flag for flag, on in zip(flags, rule.explicit, strict=True) if on]
    summed = axis not in rule.shared  # else the rule sums over the axis where that is due
    inexact = [flag for flag, r in zip(outs, func.results, strict=True) if is_inexact(r.type.dtype)]

    def run(f: Function, batched: Sequence[bool], force: Sequence[bool], fixed: int) -> tuple[Function, list[bool]]:
        g, found = _batch(f, tuple(batched), size, force, axis, {}, ())
        if list(found[:fixed]) != list(force[:fixed]):
            raise StagingError(
                f"the rule of {rule.name} returns what varies over axis {axis!r}, where the function's output does not",
                remedy="let the rule sum it up, with weft.lax.psum",
                loc=func.loc,
            )
        return g, list(found)

    if isinstance(rule, CustomJVP):
        jvp, want = rule.rule, [*outs, *inexact]
        return replace(rule, rule=lambda: run(jvp(), (*flags, *explicit), want, len(want))[0])
    halves = rule.halves

    def both() -> tuple[Function, Function]:
        forward, backward = halves()
        n = len(func.results)
        fixed = size_params(backward)
        residuals = [summed and p not in fixed for p in backward.params[: len(backward.params) - len(inexact)]]
        new, found = run(forward, flags, [*outs, *residuals], n)
        back, lead = run(backward, [*found[n:], *inexact], [summed or flag for flag in explicit], 0)
        with Builder() as b, b.scope(back.params) as body:
            body.stmts = list(back.body.stmts)
            # an argument that all lanes share gets the sum of their cotangents
            body.results = tuple(
                [
                    prim("reduce_sum")(r, axes=(0,)) if have and not flag else r
                    for r, have, flag in zip(back.results, lead, explicit, strict=True)
                ]
            )
        return new, Function(back.name, body, back.sizes, {}, back.loc)

    return replace(rule, halves=both)


@dataclass(frozen=True)
class _Key:
    """What a batched callee depends on."""

    func: Function
    batched: tuple[bool, ...]
    force: bool


_Batched = tuple[Function, tuple[bool, ...]]
_Callee = Callable[[Call, tuple[bool, ...]], _Batched]
_Memo = dict[_Key, _Batched]


def _batch(
    f: Function, batched: tuple[bool, ...], size: Size | None, force: bool | Sequence[bool], axis: str | None,
    memo: _Memo, active: tuple[Function, ...],
) -> _Batched:  # fmt: skip
    if len(batched) != len(f.params):
        raise ValueError(f"vmap: {f.name} has {len(f.params)} parameters, got {len(batched)} flags")
    if f in active:
        raise ValueError(f"vmap: {f.name} calls itself; write the recursion as a loop")
    if axis is not None:
        f = drop_pvary(f, axis)
    mapped = [p for p, flag in zip(f.params, batched, strict=True) if flag]
    if not mapped and size is None:
        raise ValueError("vmap: no argument is mapped and the number of lanes is not given")
    for p in f.params:
        for v in vars_in_static(p.type):
            if v in mapped:
                raise ValueError(f"vmap: {v.name or 'an argument'} is mapped, but it is also the size of {p.name}")

    # a literal size goes on to callees, whose arguments have it; a symbol is bound anew there
    literal = size if isinstance(size, int) else None

    def callee(s: Call, flags: tuple[bool, ...]) -> _Batched:
        # the results of a custom rule's call are those of its rule: all have the axis, or all that need it
        key = _Key(s.func, flags, isinstance(s.rule, CustomJVP | CustomVJP) and axis not in s.rule.shared)
        if key not in memo:
            memo[key] = _batch(s.func, flags, literal, key.force, axis, memo, (*active, f))
        return memo[key]

    plan = Plan(f, mapped, lambda s, flags: callee(s, flags)[1], axis)
    return _Lifter(f, plan, batched, size, force, axis, callee).run()


class _Lifter:
    """Emits the lifted function. ``lifted`` holds what stands for batched variables (lanes leading), ``same`` renames
    all others."""

    def __init__(
        self, f: Function, plan: Plan, batched: tuple[bool, ...], size: Size | None, force: bool | Sequence[bool],
        axis: str | None, callee: _Callee,
    ) -> None:  # fmt: skip
        self.f = f
        self.plan = plan
        self.flags = batched
        self.force = [force] * len(f.results) if isinstance(force, bool) else force
        self.axis = axis
        self.callee = callee
        self.same = Renamer()
        self.lifted: dict[Var, Atom] = {}
        self.builder = Builder()
        self.given = size
        self.size: Size = 0

    # -- the function ----------------------------------------------------------------------------------------------

    def run(self) -> _Batched:
        f = self.f
        sizes = [(self.same.bind(v), p, axis + self.flags[p]) for v, p, axis in f.sizes]
        bound = self._bind_size()
        if bound is not None:
            sizes.insert(0, (bound, self.flags.index(True), 0))
        # a parameter's sizes may be parameters that stand after it
        self.same.bind_all([p for p, flag in zip(f.params, self.flags, strict=True) if not flag])
        params = tuple([self._param(p, flag) if flag else self._kept(p) for p, flag in zip(f.params, self.flags)])
        out_flags = [on or self.plan.is_batched(r) for r, on in zip(f.results, self.force, strict=True)]
        for r, p in f.updates.items():
            if self.plan.is_batched(f.results[r]) and not self.flags[p]:
                raise ValueError(
                    f"vmap: {f.params[p].name or f'argument {p}'} is not mapped but written in place, so every lane "
                    "would write the same array; map it too (in_axes), or copy it inside the function"
                )
            out_flags[r] = self.flags[p]
        for result in f.results:
            if self.plan.ragged(result.type):
                raise ValueError(
                    f"vmap: a result's shape, {result.type}, depends on the lane; lanes need results alike"
                )
        with self.builder as b, b.scope(params) as body:
            self.block(f.body)
            body.results = tuple([self.value(r, flag) for r, flag in zip(f.results, out_flags, strict=True)])
        new = Function(f.name, body, tuple(sizes), dict(f.updates), f.loc)
        return new, tuple(out_flags)

    def _bind_size(self) -> Var | None:
        """Set the number of lanes; the symbol to bind, if a parameter binds it."""
        given = self.given
        if isinstance(given, Dim):
            own = {v for v, _, _ in self.f.sizes} | set(self.f.params)
            if own.issuperset(v for v, _ in given.terms):
                self.size = self.same.static(given)
                return None
            # else it names sizes of the function around a closure; one symbol alone is bound, so that g stands alone
            self.size = given
            return given.var if True in self.flags else None
        if given is not None:
            self.size = given
            return None
        lanes = Var(scalar(i64), "lanes")
        self.size = dim(lanes)
        return lanes

    def _kept(self, p: Var) -> Var:
        new = self.same.atoms[p]
        assert isinstance(new, Var)
        return new

    def _param(self, p: Var, flag: bool) -> Var:
        if not flag:
            return self.same.bind(p)
        new = Var(self.type(p.type), p.name)
        self.lifted[p] = new
        return new

    # -- values ----------------------------------------------------------------------------------------------------

    def type(self, t: ArrayType) -> ArrayType:
        """A lane's type with the batch axis leading."""
        return ArrayType(t.dtype, (self.size, *self.same.static(t.shape)))

    def value(self, a: Atom, flag: bool) -> Atom:
        """What stands for ``a``; with the batch axis if ``flag``."""
        if isinstance(a, Var) and a in self.lifted:
            if not flag:
                raise AssertionError(f"{a} is batched where an unbatched value is expected")
            return self.lifted[a]
        new = self.same.atom(a)
        if not flag:
            return new
        t = new.type
        return prim("broadcast")(new, shape=(self.size, *t.shape), dims=tuple(range(1, t.rank + 1)))

    def define(self, old: Var, new: Atom, flag: bool) -> None:
        """Let ``new`` stand for ``old``; ``flag``: it has the batch axis."""
        if self.is_batched(old) and not flag:  # the plan took it for batched to be safe
            t = new.type
            new = prim("broadcast")(new, shape=(self.size, *t.shape), dims=tuple(range(1, t.rank + 1)))
            flag = True
        if isinstance(new, Var) and not new.name:
            new.name = old.name
        if flag:
            self.lifted[old] = new
        else:
            self.same.atoms[old] = new

    def is_batched(self, a: Atom) -> bool:
        """Whether an atom of the old function is batched."""
        return self.plan.is_batched(a)

    # -- statements ------------------------------------------------------------------------------------------------

    def block(self, b: Block) -> None:
        """Emit the statements of a block into the current one."""
        regions = {r.start: r for r in self.plan.regions.get(b, ())}
        i = 0
        while i < len(b.stmts):
            region = regions.get(i)
            end = region.end if region else i
            inside = region.inside if region else ()
            for s in b.stmts[i : end + 1]:
                if not self.plan.touched(s):  # the same for all lanes, so it cannot depend on the region
                    self.builder.append(self.same.stmt(s))
                elif s not in inside:
                    with self.builder.at(s.loc):
                        self.stmt(s)
            if region:
                with self.builder.at(inside[0].loc):
                    self.per_lane(inside, region.needed)
            i = end + 1

    def stmt(self, s: Stmt) -> None:
        """Lift a statement that reads batched values."""
        match s:
            case Op():
                self.op(s)
            case For():
                self.for_(s)
            case While():
                self.while_(s)
            case If():
                then, orelse = (self.branch(b, s.outs) for b in (s.then, s.orelse))
                outs = self.builder.if_(self.same.atom(s.pred), then, orelse)
                for o, new in zip(s.outs, outs, strict=True):
                    self.define(o, new, self.is_batched(o))
            case Map():
                self.plan.alone(s)
                if s.inits:
                    self.per_lane([s], s.outs)
                else:
                    self.map_(s)
            case Call():
                self.call(s)
            case _:
                raise TypeError(f"not a statement: {s!r}")

    def op(self, s: Op) -> None:
        meeting = self.plan.is_meeting(s)
        rule = s.prim.kind.over if isinstance(s.prim.kind, Collective) and meeting else s.prim.batch
        assert rule is not None
        flags = tuple(map(self.is_batched, s.args))
        args = [self.value(a, flag) for a, flag in zip(s.args, flags, strict=True)]
        # the rule sees the lane's operation, in the new function's sizes
        lane_args = [
            Var(ArrayType(a.type.dtype, self.same.static(a.type.shape))) if flag else self.same.atom(a)
            for a, flag in zip(s.args, flags, strict=True)
        ]
        lane_outs = [Var(ArrayType(o.type.dtype, self.same.static(o.type.shape))) for o in s.outs]
        attrs = {k: self.same.static(v) for k, v in s.attrs.items()}
        op = Op(s.prim, tuple(lane_args), attrs, tuple(lane_outs), s.loc)
        found = rule(op, args, flags, self.size)
        varies = s.prim.kind.varies(attrs) if isinstance(s.prim.kind, Collective) and meeting else True
        for o, lane, new in zip(s.outs, lane_outs, found, strict=True):
            if new.type.rank != lane.type.rank + varies or new.type.dtype != lane.type.dtype:
                raise AssertionError(f"{s.prim}: its batching rule gave {new.type} for {lane.type}")
            self.define(o, new, varies)

    def for_(self, s: For) -> None:
        n = len(s.inits)
        k, *carries = s.body.params
        flags = [self.is_batched(c) for c in carries]
        inits = [self.value(a, flag) for a, flag in zip(s.inits, flags, strict=True)]
        params = (self.same.bind(k), *(self._param(c, flag) for c, flag in zip(carries, flags, strict=True)))
        with self.builder.scope(params) as body:
            self.block(s.body)
            flags += [self.is_batched(r) for r in s.body.results[n:]]
            body.results = tuple([self.value(r, flag) for r, flag in zip(s.body.results, flags, strict=True)])
        outs = self.builder.for_(self.same.static(s.trip), inits, body, reverse=s.reverse)
        self.loop_results(s.outs, outs, flags, n)

    def while_(self, s: While) -> None:
        n = len(s.inits)
        flags = [self.is_batched(c) for c in s.body.params]
        inits = [self.value(a, flag) for a, flag in zip(s.inits, flags, strict=True)]
        with self.builder.scope(tuple([self._param(c, q) for c, q in zip(s.cond.params, flags, strict=True)])) as cond:
            self.block(s.cond)
            cond.results = (self.same.atom(s.cond.results[0]),)
        with self.builder.scope(tuple([self._param(c, q) for c, q in zip(s.body.params, flags, strict=True)])) as body:
            self.block(s.body)
            flags += [self.is_batched(r) for r in s.body.results[n:]]
            body.results = tuple([self.value(r, flag) for r, flag in zip(s.body.results, flags, strict=True)])
        outs = self.builder.while_(inits, cond, body)
        self.define(s.outs[n], outs[n], False)
        self.loop_results(s.outs[:n] + s.outs[n + 1 :], outs[:n] + outs[n + 1 :], flags, n)

    def loop_results(self, olds: Sequence[Var], news: Sequence[Var], flags: Sequence[bool], carries: int) -> None:
        """Define a loop's results; what it collected has the lanes behind the iterations."""
        for i, (o, new, flag) in enumerate(zip(olds, news, flags, strict=True)):
            if flag and i >= carries:
                self.define(o, prim("transpose")(new, perm=(1, 0, *range(2, new.type.rank))), True)
            else:
                self.define(o, new, flag)

    def branch(self, b: Block, outs: Sequence[Var]) -> Block:
        with self.builder.scope() as new:
            self.block(b)
            new.results = tuple([self.value(r, self.is_batched(o)) for r, o in zip(b.results, outs, strict=True)])
        return new

    def call(self, s: Call) -> None:
        flags = tuple(map(self.is_batched, s.args))
        func, out_flags = self.callee(s, flags)
        args = [self.value(a, flag) for a, flag in zip(s.args, flags, strict=True)]
        types = [
            self.type(o.type) if flag else ArrayType(o.type.dtype, self.same.static(o.type.shape))
            for o, flag in zip(s.outs, out_flags, strict=True)
        ]
        size = self.size if isinstance(self.size, int) else None
        rule = batched_rule(s.rule, s.func, flags, out_flags, size, self.axis)
        for o, new, flag in zip(s.outs, self.builder.call(func, args, types, rule), out_flags, strict=True):
            self.define(o, new, flag)

    # -- lanes -----------------------------------------------------------------------------------------------------

    def map_(self, s: Map) -> None:
        """A map gets the lane as its first index."""
        lane = Var(scalar(i64), "lane")
        with self.builder.scope() as body:
            copy = self.lane_renamer([s], lane)
            body.params = (lane, *copy.bind_all(s.body.params))
            body.stmts += [copy.stmt(t) for t in s.body.stmts]
            body.results = copy.all(s.body.results)
        outs = self.builder.map_((self.size, *self.same.static(s.sizes)), (), body)
        for o, new in zip(s.outs, outs, strict=True):
            self.define(o, new, True)

    def per_lane(self, stmts: Sequence[Stmt], needed: Sequence[Var]) -> None:
        """Run statements as they are, for one lane after the other, in no order unless they print."""
        lane = Var(scalar(i64), "lane")
        with self.builder.scope((lane,)) as body:
            copy = self.lane_renamer(stmts, lane)
            body.stmts += [copy.stmt(s) for s in stmts]
            body.results = copy.all(needed)
        if any(map(performs_io, stmts)):
            outs = self.builder.for_(self.size, (), body)
        else:
            outs = self.builder.map_((self.size,), (), body)
        for o, new in zip(needed, outs, strict=True):
            self.define(o, new, True)

    def lane_renamer(self, stmts: Sequence[Stmt], lane: Var) -> Renamer:
        """A renamer for a copy of the statements inside a loop over lanes; batched values they read are indexed with
        the lane, which is emitted here."""
        copy = Renamer(self.same.atoms)
        made: set[Var] = set()
        for s in stmts:
            for v in self.plan.free(s):
                if v in made or v in copy.atoms or v not in self.lifted:
                    continue
                whole = self.lifted[v]
                shape = whole.type.shape[1:]
                spec = (At(), *[Span(n) for n in shape])
                row = prim("index")(whole, lane, *[lit(0)] * len(shape), spec=spec, mode="fast")
                if isinstance(row, Var) and not row.name:
                    row.name = v.name
                copy.atoms[v] = row
            made.update(s.outs)
        return copy


__all__ = ["batch"]
