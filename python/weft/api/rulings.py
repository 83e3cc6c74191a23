"""Custom rules as IR: what the user's rule returns is checked against the function, in JAX's words."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from weft.api import staging as st
from weft.api.sites import Site, fitting, name_of, shape_of, type_text
from weft.api.zeros import is_zero, unzeroed, zeros_of
from weft.errors import StagingError, located
from weft.frontend import calls
from weft.frontend.trees import Tree, describe, flatten, leaf_types, unflatten
from weft.ir.nodes import Atom, Block, Function, Var, vars_in_static
from weft.ir.types import ArrayType, is_inexact
from weft.primitives.declare import zeros
from weft.pytrees import flatten_custom
from weft.staged.value import wrap

Type = tuple[ArrayType, str, str]


def _title(rule: Any) -> str:
    return str(getattr(getattr(rule, "fn", rule), "__name__", "rule"))


def _wrong(message: str, site: Site) -> TypeError:
    return TypeError(located(message, site.s.loc))


def _like(primals: list[Any], site: Site, what: str) -> list[Atom]:
    """The rule's primal outputs, which must be of the function's types."""
    found: list[Atom] = []
    for v, (t, _) in zip(primals, site.outs, strict=True):
        a = fitting(v, t) if v.type.dtype == t.dtype or is_inexact(t.dtype) else None
        if a is None:
            raise _wrong(
                f"Custom {what} for function {site.name} must produce primal outputs with the same shapes and dtypes as"
                f" the function: expected {type_text(t)}, but got {type_text(v.type)}.",
                site,
            )
        found.append(a)
    return found


def _pair(x: Any) -> bool:
    return isinstance(x, tuple | list) and len(x) == 2


# -- forward rules ---------------------------------------------------------------------------------------------------


def jvp_rule(fun: Any, site: Site) -> Callable[[], Function]:
    """The rule of a `custom_jvp` function at a call, made when it is asked for."""
    loc = site.s.loc

    @functools.cache
    def rule() -> Function:
        if site.frozen.functions["jvp"] is None:
            raise AttributeError(located(f"No JVP defined for custom_jvp function {site.name} using defjvp.", loc))
        with site.later(fun, loc):
            return _jvp(fun, site)

    return rule


def _jvp(fun: Any, site: Site) -> Function:
    s = site.s
    (rule,) = fun.rules(site.frozen, "jvp")
    n = len(site.types)
    what = f"JVP rule {_title(rule)}"
    params = [Var(t, name) for t, _, name in site.types]
    params += [Var(t, f"{name}_t" if name else "") for t, _, name in site.types]

    def run(staged: Sequence[Any]) -> Any:
        primals = site.diff(site.replaced(staged[:n]))
        return calls.call(rule, (*site.fixed(), primals, site.tangents(staged[n:])), {})

    def results(returned: Any) -> list[Atom]:
        if not _pair(returned):
            raise _wrong(
                f"Custom {what} for function {site.name} must produce a pair (list or tuple of length two) representing"
                f" primal and tangent outputs, but got {describe(flatten(returned, s, []))}.",
                site,
            )
        primals: list[Any] = []
        tangents: list[Any] = []
        tree = flatten(returned[0], s, primals)
        if shape_of(tree) != shape_of(site.tree):
            raise _wrong(
                f"Custom {what} for function {site.name} must produce a pair whose first element has the structure of"
                f" the function's output, {describe(site.tree)}, but got {describe(tree)}.",
                site,
            )
        t_tree = flatten(unzeroed(returned[1]), s, tangents)
        if shape_of(t_tree) != shape_of(tree):
            raise _wrong(
                f"Custom {what} for function {site.name} must produce primal and tangent outputs with equal container"
                f" (pytree) structures, but got {describe(tree)} and {describe(t_tree)} respectively.",
                site,
            )
        out = _like(primals, site, what)
        for v, (t, _) in zip(tangents, site.outs, strict=True):
            if not is_inexact(t.dtype):
                continue
            a = fitting(v, t)
            if a is None:
                raise _wrong(
                    f"Custom {what} for function {site.name} must produce primal and tangent outputs with equal shapes"
                    f" and dtypes, but got {type_text(t)} and {type_text(v.type)} respectively.",
                    site,
                )
            out.append(a)
        return out

    block = _staged(site, params, [f for _, f, _ in site.types] * 2, run, results, site.varies[0] * 2)
    return site.close(f"{site.name}_jvp", block, n)


def _staged(
    site: Site, params: list[Var], flavours: Sequence[str], run: Callable[[Sequence[Any]], Any],
    results: Callable[[Any], list[Atom]], varies: Sequence[Any],
) -> Block:  # fmt: skip
    """A rule's block: ``run`` stages it over its parameters, ``results`` takes what it returned apart. ``varies``: what
    is known of the parameters, inside `shard_map`."""
    s = site.s
    if s.varying is not None:
        s.varying.begin(params, varies)
    with s.builder.scope(params) as block, s.tracking() as tracker:
        returned = run([wrap(p, f) for p, f in zip(params, flavours, strict=True)])
        block.results = tuple(results(returned))
    tracker.undo()
    return block


def by_parts(fun: Any, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
    """The rule that `defjvps` stands for."""
    from weft.staged import arith

    s = st.state()
    out = calls.call(fun, primals, {})
    if len(fun.parts) != len(primals):
        raise TypeError(
            located(f"{fun.__name__}: defjvps got {len(fun.parts)} rules for {len(primals)} arguments", s.loc)
        )
    leaves: list[Any] = []
    tree = flatten(out, s, leaves)
    total: list[Any] | None = None
    for part, t in zip(fun.parts, tangents, strict=True):
        if part is None or is_zero(t):
            continue
        mine: list[Any] = []
        flatten(calls.call(part, (t, out, *primals), {}), s, mine)
        total = mine if total is None else [arith.add(a, b) for a, b in zip(total, mine, strict=True)]
    if total is None:
        total = [wrap(zeros(v.type), v.flavour) for v in leaves]
    return out, unflatten(tree, iter(total), s)


# -- reverse rules ---------------------------------------------------------------------------------------------------


def vjp_rule(fun: Any, site: Site) -> Callable[[], tuple[Function, Function]]:
    """The rule of a `custom_vjp` function at a call, made when it is asked for."""
    loc = site.s.loc

    @functools.cache
    def halves() -> tuple[Function, Function]:
        if site.frozen.functions["fwd"] is None:
            raise AttributeError(located(f"No VJP defined for custom_vjp function {site.name} using defvjp.", loc))
        with site.later(fun, loc):
            return _vjp(fun, site)

    return halves


def _vjp(fun: Any, site: Site) -> tuple[Function, Function]:
    s = site.s
    fwd, bwd = fun.rules(site.frozen, "fwd", "bwd")
    n = len(site.types)
    params = [Var(t, name) for t, _, name in site.types]
    kept: list[Any] = []

    def results(returned: Any) -> list[Atom]:
        what = f"VJP fwd rule {_title(fwd)}"
        if not _pair(returned):
            raise _wrong(
                f"Custom {what} for function {site.name} must produce a pair (list or tuple of length two) where the"
                " first element represents the primal output and the second element represents residuals (values stored"
                f" for the backward pass), but got {describe(flatten(returned, s, []))}.",
                site,
            )
        primals: list[Any] = []
        tree = flatten(returned[0], s, primals)
        if shape_of(tree) != shape_of(site.tree):
            raise _wrong(
                f"Custom {what} for function {site.name} must produce a pair whose first element has the structure of"
                f" the function's output, {describe(site.tree)}, but got {describe(tree)}.",
                site,
            )
        residuals: list[Any] = []
        kept[:] = [flatten(returned[1], s, residuals), residuals, [v.atom for v in residuals]]
        kept.append([] if s.varying is None else s.varying.of(kept[2]))
        return [*_like(primals, site, what), *kept[2]]

    block = _staged(
        site, params, [f for _, f, _ in site.types],
        lambda staged: calls.call(fwd, tuple(site.replaced(staged)), {}), results, site.varies[0],
    )  # fmt: skip
    tree, residuals, atoms, varies = kept
    local = {o for stmt in block.stmts for o in stmt.outs}
    for a in atoms:
        if any(v in local for v in vars_in_static(a.type)):
            raise StagingError(
                f"the size of a residual of {site.name} is computed by its fwd rule",
                remedy="give it a size that the function's arguments tell",
                loc=s.loc,
            )
    forward = site.close(f"{site.name}_fwd", block, n)
    # what the backward rule closes over besides (sizes, fixed arguments) is handed on as further residuals
    width = n + len(site.captured)
    passed = forward.params[n:width]
    forward = Function(
        forward.name, Block(forward.params, forward.body.stmts, (*forward.results, *passed)), forward.sizes
    )
    inputs = [Var(a.type, name_of(v)) for a, v in zip(atoms, residuals, strict=True)]
    cts = [Var(t, "ct") for t, _ in site.outs if is_inexact(t.dtype)]
    flavours = [v.flavour for v in residuals] + [f for t, f in site.outs if is_inexact(t.dtype)]
    back = _staged(
        site, [*inputs, *cts], flavours,
        lambda staged: _backward(bwd, site, tree, staged, len(inputs)), lambda x: _cotangents(x, bwd, site),
        [*varies, *[v for v, (t, _) in zip(site.varies[1], site.outs, strict=False) if is_inexact(t.dtype)]],
    )  # fmt: skip
    return forward, site.close(f"{site.name}_bwd", back, len(inputs))


def _backward(bwd: Any, site: Site, tree: Tree, staged: Sequence[Any], count: int) -> Any:
    """Call the backward rule."""
    s = site.s
    residuals = unflatten(tree, iter(staged[:count]), s)
    rest = iter(staged[count:])
    items = [next(rest) if is_inexact(t.dtype) else zeros_of(wrap(zeros(t), f)) for t, f in site.outs]
    cotangent = unflatten(site.tree, iter(items), s)
    return calls.call(bwd, (*site.fixed(), residuals, cotangent), {})


def _cotangents(returned: Any, bwd: Any, site: Site) -> list[Atom]:
    """The cotangents that the backward rule returned, one for each leaf with a derivative."""
    trees = site.diff(site.trees)
    what = f"Custom VJP bwd rule {_title(bwd)} for function {site.name}"
    if not isinstance(returned, tuple | list) or len(returned) != len(trees):
        got = describe(flatten(returned, site.s, []))
        raise _wrong(
            f"{what} must produce an output with the same container (pytree) structure as the args tuple of the primal"
            " function, and in particular must produce a tuple of length equal to the number of arguments to the primal"
            f" function ({len(trees)}), but got {got}.",
            site,
        )
    found: list[Atom] = []
    for i, (x, tree) in enumerate(zip(returned, trees, strict=True)):
        _matched(x, tree, found, f"{what} must produce", i, site)
    return found


def _matched(x: Any, tree: Tree, found: list[Atom], what: str, place: int, site: Site) -> None:
    """Enter the cotangents of an argument; None, wherever it stands, is zeros."""
    if x is None or is_zero(x):
        found += [zeros(leaf.type) for leaf in leaf_types(tree) if is_inexact(leaf.type.dtype)]
        return
    mine: list[Any] = []
    got = flatten(x, site.s, mine)
    if tree.kind == "leaf":
        t = tree.children[0].type
        if not is_inexact(t.dtype):
            return
        a = fitting(mine[0], t) if got.kind == "leaf" else None
        if a is None:
            raise _wrong(
                f"{what} arrays with the same shapes and dtypes as the args tuple of the primal function, but at"
                f" output[{place}] it produced {describe(got)}, corresponding to an input of type {type_text(t)}.",
                site,
            )
        found.append(a)
        return
    children = list(x.values()) if isinstance(x, dict) else list(x) if isinstance(x, tuple | list) else None
    if isinstance(tree.kind, tuple) and tree.kind[0] == "custom":
        parts = flatten_custom(x) if type(x) is tree.kind[1] else None
        children = None if parts is None else list(parts[0])
    elif isinstance(tree.kind, tuple):
        children = [getattr(x, k) for k in tree.fixed] if type(x) is tree.kind[1] else None
    same = type(x) is tree.kind or isinstance(tree.kind, tuple)
    if tree.kind is dict and isinstance(x, dict) and set(x) == set(tree.fixed):
        children = [x[k] for k in tree.fixed]
    elif tree.kind is dict:
        children = None
    if tree.kind == "static":
        return
    if children is None or not same or len(children) != len(tree.children):
        raise _wrong(
            f"{what} an output with the same container (pytree) structure as the args tuple of the primal function, but"
            f" at output[{place}] it produced {describe(got)} for {describe(tree)}.",
            site,
        )
    for child, t in zip(children, tree.children, strict=True):
        _matched(child, t, found, what, place, site)
