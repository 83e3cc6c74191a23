"""A function in which every change of what varies is an operation: what reverse mode is given inside `shard_map`.

An operand that varies less than the result of its operation goes through `pvary`, whose transpose is a sum over the
axis; sums have been staged as `psum_invariant`, whose transpose is `pvary`. The adjoint then adds up what devices share
without knowing of it. Only what carries derivatives is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from weft.errors import StagingError
from weft.ir.nodes import Atom, Block, Call, For, Function, If, Map, Op, Stmt, Var, While
from weft.ir.primitive import REGISTRY, Collective, Reindex
from weft.ir.rules import CustomJVP, CustomVJP, Remat, Rule
from weft.ir.types import is_inexact
from weft.transforms.activity import varied_vars
from weft.transforms.varying import NONE, Analysis, Axes, just, shares


def explicit(
    f: Function, known: Analysis, given: Sequence[Axes], active: Sequence[bool], wanted: Sequence[Axes | None]
) -> Function:
    """A function like ``f`` in which what varies less than the result it is used for goes through `pvary`.

    Parameters
    ----------
    f
        The function; calls without a rule have been inlined.
    known
        What is known of the variables around it.
    given, active
        For each parameter the axes over which it varies, and whether it is differentiated.
    wanted
        For each result, the axes over which its cotangent will vary (None: it has none).

    Raises
    ------
    StagingError
        A result varies more than it may; a derivative is wanted of an operation that has none here; a custom rule
        returns what varies more than what it belongs to.
    """
    analysis = known.inner()
    analysis.function(f, [just(axes) for axes in given])
    seeds = [p for p, on in zip(f.params, active, strict=True) if on]
    return _Explicit(analysis, varied_vars(f.body, seeds)).function(f, wanted)


class _Explicit:
    """Builds the function. Each variable goes through `pvary` once, where it is defined: outside of loops and branches
    that only use it, so that its cotangent is summed once. A variable in another shape goes through before that."""

    def __init__(self, known: Analysis, active: set[Var]) -> None:
        self.known = known
        self.active = active
        self.made: dict[Var, dict[Axes, Var]] = {}
        self.ops: dict[Var, list[Stmt]] = {}
        self.names: dict[Var, Atom] = {}
        self.shapes: dict[Var, Op] = {}  # the operations that give a value another shape
        self.depth: dict[Var, int] = {}
        self.level = 0

    def function(self, f: Function, wanted: Sequence[Axes | None]) -> Function:
        """The new function."""
        for r, axes in zip(f.results, wanted, strict=True):
            if axes is not None and not self.known.most_of(r) <= axes:
                over = ", ".join(sorted(self.known.most_of(r) - axes))
                raise StagingError(
                    f"a result of {f.name} varies over {over}, which it should not",
                    remedy="sum it up first, with weft.lax.psum or pmean",
                    loc=f.loc,
                )
        body = self.block(f.body, wanted)
        return replace(f, body=body)

    def atom(self, a: Atom) -> Atom:
        """An atom, or what it is another name of."""
        return self.names.get(a, a) if isinstance(a, Var) else a

    def need(self, a: Atom, axes: Axes) -> Atom:
        """An atom that varies over all these axes."""
        a = self.atom(a)
        if not isinstance(a, Var) or a not in self.active:
            return a
        have = self.known.most_of(a)
        made = self.made.setdefault(a, {have: a})
        if have | axes not in made and a in self.shapes:
            s = self.shapes[a]
            new = made[have | axes] = Var(a.type, a.name)
            op = replace(s, args=tuple([self.need(x, have | axes) for x in s.args]), outs=(new,))
            self.ops.setdefault(a, []).append(op)
        if have | axes in made:
            return made[have | axes]
        for axis in sorted(axes - have):
            more = have | {axis}
            if more not in made:
                new = made[more] = Var(a.type, a.name)
                op = Op(REGISTRY["pvary"], (made[have],), {"axis": axis, "sure": True}, (new,))
                self.ops.setdefault(a, []).append(op)
            have = more
        return made[have]

    def needs(self, atoms: Iterable[Atom], like: Iterable[Atom]) -> tuple[Atom, ...]:
        """Atoms that vary as variables do which stand for them."""
        pairs = [(a, self.known.most_of(b)) for a, b in zip(atoms, like, strict=True)]
        assert all([self.known.most_of(a) <= axes for a, axes in pairs]), "a variable varies less than its value"
        return tuple([self.need(a, axes) for a, axes in pairs])

    def block(self, b: Block, wanted: Sequence[Axes | None]) -> Block:
        """The new block; ``wanted``: over which axes its results vary."""
        self.level += 1
        self.define(b.params)
        stmts = [t for s in b.stmts if (t := self.stmt(s)) is not None]
        self.level -= 1
        pairs = zip(b.results, wanted, strict=True)
        results = tuple([self.atom(r) if axes is None else self.need(r, axes) for r, axes in pairs])
        body: list[Stmt] = []
        for p in b.params:
            body += self.ops.pop(p, ())
        for s in stmts:
            body.append(s)
            for o in s.outs:
                body += self.ops.pop(o, ())
        return Block(b.params, body, results)

    def define(self, vs: Iterable[Var]) -> None:
        """Note where variables are defined."""
        self.depth.update(dict.fromkeys(vs, self.level))

    def like(self, b: Block, outs: Sequence[Var]) -> Block:
        """A block whose results vary as these variables do."""
        wanted = [self.known.most_of(o) for o in outs]
        assert all([self.known.most_of(r) <= axes for r, axes in zip(b.results, wanted, strict=True)])
        return self.block(b, wanted)

    def stmt(self, s: Stmt) -> Stmt | None:
        """The new statement; None if it is only another name."""
        self.define(s.outs)
        match s:
            case Op():
                return self.op(s)
            case For():
                n, carries = len(s.inits), s.body.params[1:]
                return replace(
                    s, inits=self.needs(s.inits, carries), body=self.like(s.body, (*carries, *s.outs[n:]))
                )  # fmt: skip
            case While():
                n, carries = len(s.inits), s.body.params
                return replace(
                    s, inits=self.needs(s.inits, carries), cond=self.block(s.cond, [None]),
                    body=self.like(s.body, (*carries, *s.outs[n + 1 :])),
                )  # fmt: skip
            case If():
                return replace(
                    s, pred=self.atom(s.pred), then=self.like(s.then, s.outs), orelse=self.like(s.orelse, s.outs)
                )
            case Map():
                n, sums = len(s.inits), s.body.params[len(s.sizes) :]
                return replace(s, inits=self.needs(s.inits, sums), body=self.like(s.body, (*sums, *s.outs[n:])))
            case Call():
                return self.call(s)
        raise TypeError(f"not a statement: {s!r}")

    def op(self, s: Op) -> Stmt | None:
        """An operation, whose operands vary as its results do."""
        axes = self.known.most_of(s.outs[0]) if s.outs else NONE
        axis = s.attrs.get("axis")
        if s.prim is REGISTRY["pvary"]:
            a = self.atom(s.args[0])
            if axis in self.known.most_of(a):
                self.names[s.outs[0]] = a
                return None
            return replace(s, args=(a,))
        if isinstance(s.prim.kind, Collective) and axis in self.known.axes:
            axes = axes | {axis}
            wants = any([isinstance(a, Var) and a in self.active for a in s.args])
            if wants and shares(s) and s.prim is not REGISTRY["psum_invariant"]:
                raise StagingError(
                    f"{s.prim.name} has no reverse-mode derivative inside shard_map",
                    remedy="stop the derivative at its operand with weft.lax.stop_gradient",
                    loc=s.loc,
                )
        new = replace(s, args=tuple([self.need(a, axes) for a in s.args]))
        if isinstance(s.prim.kind, Reindex):
            array = s.args[0]
            outer = isinstance(array, Var) and self.depth.get(array, self.level) < self.level
            if outer or s.prim is not REGISTRY["index"]:  # of a part that is read only where a loop reads it
                self.shapes[s.outs[0]] = new
        return new

    # -- rules -----------------------------------------------------------------------------------------------------

    def call(self, s: Call) -> Call:
        """A call with a rule, whose functions are made explicit too."""
        args = tuple([self.atom(a) for a in s.args])
        if not any([isinstance(a, Var) and a in self.active for a in args]):
            return replace(s, args=args)
        given = [self.known.most_of(a) for a in args]
        outs = [self.known.most_of(o) for o in s.outs]
        wanted = [axes if is_inexact(o.type.dtype) else None for o, axes in zip(s.outs, outs, strict=True)]
        func, rule = s.func, s.rule
        if isinstance(rule, Remat):
            func = explicit(func, self.known, given, [is_inexact(p.type.dtype) for p in func.params], wanted)
        elif isinstance(rule, CustomJVP):
            rule = self.forward_rule(rule, given, wanted, s)
        elif isinstance(rule, CustomVJP):
            rule = self.reverse_rule(rule, given, wanted, s)
        return replace(s, func=func, args=args, rule=rule)

    def forward_rule(self, rule: CustomJVP, given: list[Axes], wanted: list[Axes | None], s: Call) -> Rule:
        """The rule of a `custom_jvp` function; its tangents vary as what they belong to."""
        tangents = [axes for axes, on in zip(given, rule.explicit, strict=True) if on]
        outs = [axes for axes in wanted if axes is not None]

        def made() -> Function:
            j = rule.rule()
            n = len(j.results) - len(outs)
            for x, axes in zip(self.known.call(j, [just(a) for a in (*given, *tangents)])[n:], outs, strict=True):
                if not x.may <= axes:
                    raise _more(x.may - axes, f"the JVP rule of {rule.name} returns a tangent", "its output", s)
            active = [k >= len(given) for k in range(len(j.params))]
            return explicit(j, self.known, [*given, *tangents], active, [*[None] * n, *outs])

        return replace(rule, rule=made)

    def reverse_rule(self, rule: CustomVJP, given: list[Axes], wanted: list[Axes | None], s: Call) -> Rule:
        """The rule of a `custom_vjp` function; its cotangents must vary as what they belong to, as in JAX."""
        places = [axes for axes, on in zip(given, rule.explicit, strict=True) if on]

        def made() -> tuple[Function, Function]:
            forward, backward = rule.halves()
            found = self.known.call(forward, [just(axes) for axes in given])
            n = len(wanted)
            for x, axes in zip(found[:n], wanted, strict=True):
                if axes is not None and not x.may <= axes:
                    raise _more(x.may - axes, f"the VJP fwd rule of {rule.name} returns an output", "the function's", s)
            cts = [just(axes) for axes in wanted if axes is not None]
            for x, axes in zip(self.known.call(backward, [*found[n:], *cts]), places, strict=True):
                if not x.may <= axes:
                    what = f"the VJP bwd rule of {rule.name} returns a cotangent"
                    raise _more(x.may - axes, what, "the argument", s)
            return forward, backward

        return replace(rule, halves=made)


def _more(axes: Axes, what: str, than: str, s: Call) -> StagingError:
    return StagingError(
        f"{what} that varies over {', '.join(sorted(axes))}, and {than} does not",
        remedy="let the rule sum it up, with weft.lax.psum",
        loc=s.loc,
    )
