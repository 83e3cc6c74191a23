"""Calls with a rule: custom derivatives, and functions whose inside is computed again.

Reverse mode turns every rule into two halves, a forward function that also returns residuals and a backward function of
residuals and cotangents. A custom forward rule is split by transposing its linear part; a rematerialised function's
forward half is the function itself, and its backward half computes it again.
"""

from __future__ import annotations

from collections.abc import Sequence

from weft.errors import StagingError
from weft.ir.builder import Builder
from weft.ir.nodes import Atom, Call, Function, Loc, Renamer, Var
from weft.ir.outline import call_types
from weft.ir.rules import CustomJVP, CustomVJP
from weft.ir.types import i64, is_inexact, scalar
from weft.primitives.declare import zeros
from weft.transforms.activity import varied_vars
from weft.transforms.inline import inlined
from weft.transforms.simplify import simplify


def splice(b: Builder, func: Function, args: Sequence[Atom]) -> tuple[Atom, ...]:
    """Emit a function's statements into the current block; its results."""
    body = inlined(Call(func, tuple(args), ()), ruled=False)
    for s in body.stmts:
        b.append(s)
    return body.results


def only_explicit(rule: CustomJVP | CustomVJP, wanted: Sequence[bool], loc: Loc | None) -> None:
    """Raise if a derivative is wanted with respect to something that the rule is not about."""
    if any([on and not e for on, e in zip(wanted, rule.explicit, strict=True)]):
        raise StagingError(
            f"Detected differentiation of a {rule.word} function with respect to a closed-over value. That isn't"
            f" supported because the rule of {rule.name} only specifies how to differentiate it with respect to"
            " explicit input parameters.",
            remedy="pass the closed-over value (or the argument that nondiff_argnums names) as an argument of its own,"
            " and adapt the rule",
            loc=loc,
        )


def forward_only(rule: CustomVJP, loc: Loc | None) -> StagingError:
    """The error for forward mode of a function with a reverse rule."""
    return StagingError(
        f"can't apply forward-mode differentiation (jvp) to a custom_vjp function: {rule.name} has only a reverse rule",
        remedy="differentiate it in reverse mode (grad, vjp, jacrev), or give it a rule with custom_jvp",
        loc=loc,
    )


def halves_of(rule: CustomJVP | CustomVJP, func: Function, loc: Loc | None) -> tuple[Function, Function]:
    """``(*parameters) -> (*results, *residuals)`` and ``(*residuals, *cotangents) -> cotangents of the explicit``."""
    return rule.halves() if isinstance(rule, CustomVJP) else _transposed(rule, len(func.params), loc)


def _transposed(rule: CustomJVP, n: int, loc: Loc | None) -> tuple[Function, Function]:
    from weft.transforms.reverse import split_vjp

    j = rule.rule()
    t = len([r for r in j.results if is_inexact(r.type.dtype)]) // 2
    k = len(j.results) - t
    active = [i >= n for i in range(len(j.params))]
    forward, backward = split_vjp(j, active, results=[i >= k for i in range(len(j.results))])
    residuals = forward.results[len(j.results) :]
    varied = varied_vars(forward.body, forward.params[n:])
    if any([r in varied for r in residuals]):
        raise StagingError(
            f"the custom JVP rule of {rule.name} is not linear in the tangents, so it has no transpose",
            remedy="return tangents that are sums of products of a tangent and something that depends on no tangent",
            loc=loc,
        )
    with Builder() as b, b.scope(forward.params[:n]) as body:
        still = Renamer({p: zeros(p.type) for p in forward.params[n:]})
        for s in forward.body.stmts:
            b.append(still.stmt(s))
        body.results = still.all((*forward.results[:k], *residuals))
    sizes = tuple([entry for entry in forward.sizes if entry[1] < n])
    at_zero = Function(f"{rule.name}_fwd", body, sizes, {}, forward.loc)
    return simplify(at_zero), backward


def residual_vars(func: Function, args: Sequence[Atom], outs: Sequence[Var]) -> list[Var]:
    """Variables for the results of a forward half after those of the call."""
    n = len(outs)
    new = [Var(scalar(i64), r.name if isinstance(r, Var) else "") for r in func.results[n:]]
    for v, t in zip(new, call_types(func, args, (*outs, *new))[n:], strict=True):
        v.type = t
    return new
