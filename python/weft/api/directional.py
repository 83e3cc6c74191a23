"""`weft.jvp`, `weft.vjp`, `weft.linearize`: derivatives as linear functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from weft.api.transformed import Transformed

if TYPE_CHECKING:
    from weft.api.derive import Staging
    from weft.ir.nodes import Atom


def jvp(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple[Any, ...]:
    """A function's value and its derivative along a direction, in forward mode.

    Parameters
    ----------
    fun
        The function.
    primals
        The arguments (a tuple or list).
    tangents
        A tangent for each, of the same structure, shapes and dtypes (for integers: zeros of dtype
        ``weft.dtypes.float0``).
    has_aux
        Whether ``fun`` returns ``(output, aux)``.

    Returns
    -------
    tuple
        ``(output, output tangent)``, with ``has_aux`` also ``aux``. Integer outputs have float0 tangents.

    Raises
    ------
    TypeError
        ``primals`` and ``tangents`` do not match.

    Examples
    --------
    >>> import weft
    >>> weft.jvp(lambda x: x * x, (3.0,), (1.0,))
    (9.0, 6.0)
    """
    from weft.api.derive import float0s
    from weft.staged.active import staging

    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise TypeError(
            "primal and tangent arguments to weft.jvp must be tuples or lists; found"
            f" {type(primals).__name__} and {type(tangents).__name__}."
        )
    if staging():
        return _jvp(fun, tuple(primals), tuple(tangents), has_aux)
    return _eager(fun, "jvp", has_aux)(tuple(primals), float0s(tuple(tangents)))  # type: ignore[no-any-return]


def _jvp(fun: Any, primals: tuple[Any, ...], tangents: tuple[Any, ...], has_aux: bool) -> tuple[Any, ...]:
    from weft.api import derive
    from weft.api import staging as st
    from weft.transforms.forward import jvp as jvp_of

    _fits("jvp", primals, tangents)
    f = derive.stage_for(fun, primals, {}, range(len(primals)), has_aux=has_aux, what="jvp")
    ts = _tangent_atoms("jvp", f, tangents)
    n = f.results
    f.function.body.results = f.function.body.results[:n]
    g = jvp_of(f.function, f.active)
    outs = st.inline(g, [*f.atoms, *ts])
    value = st.take(f.tree, outs[:n])
    tangent = derive.out_tangents(outs[n:], f.tree, f.function.results, f.s)
    if not has_aux:
        return value, tangent
    return value[0], tangent[0], value[1]


def _fits(name: str, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> None:
    """Raise unless tangents have the structure of primals."""
    from weft.api import staging as st
    from weft.api.sites import shape_of
    from weft.api.zeros import unzeroed
    from weft.frontend.trees import describe, flatten

    s = st.state()
    trees = [flatten(tuple(unzeroed(x)), s, []) for x in (primals, tangents)]
    if shape_of(trees[0]) != shape_of(trees[1]):
        raise TypeError(
            f"primal and tangent arguments to weft.{name} must have the same tree structure; primals have tree"
            f" structure {describe(trees[0])} whereas tangents have tree structure {describe(trees[1])}."
        )


def _tangent_atoms(name: str, f: Staging, tangents: tuple[Any, ...]) -> list[Atom]:
    """The tangents of the leaves that have derivatives."""
    from weft.api import staging as st
    from weft.api.sites import type_text
    from weft.api.zeros import unzeroed
    from weft.frontend.trees import flatten
    from weft.ir.types import is_inexact
    from weft.staged.arith import cast
    from weft.staged.value import lift

    leaves: list[Any] = []
    mark = lift(0)
    flatten(unzeroed(tangents, mark), f.s, leaves)
    found: list[Atom] = []
    for p, t in zip(f.leaves, leaves, strict=True):
        zero = t is mark
        if not is_inexact(p.type.dtype):
            if not zero:
                raise TypeError(
                    f"primal and tangent arguments to weft.{name} do not match: the tangent of an integer or bool, here"
                    f" {type_text(p.type)}, has dtype float0, but got {type_text(t.type)}. Close over the integer"
                    " instead, or pass np.zeros(shape, weft.dtypes.float0)."
                )
            continue
        weak = t.flavour == "py" and t.type.dtype.kind in "fib"
        if zero or (t.type.dtype != p.type.dtype and not weak) or not st.same_sizes(p.sizes, t.sizes):
            raise TypeError(
                f"primal and tangent arguments to weft.{name} do not match; dtypes and shapes must be equal, but got"
                f" primal {type_text(p.type)} and tangent {'float0' if zero else type_text(t.type)}."
            )
        found.append(cast(t.atom, p.type.dtype))
    return found


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """A function's value, and the function that maps cotangents of it to cotangents of the arguments.

    Parameters
    ----------
    fun
        The function.
    *primals
        Its arguments.
    has_aux
        Whether ``fun`` returns ``(output, aux)``.

    Returns
    -------
    tuple
        ``(output, vjp_fun)``, with ``has_aux`` also ``aux``. ``vjp_fun(cotangent)`` returns a tuple with a cotangent
        for each argument (for integers: zeros of dtype ``weft.dtypes.float0``). Inside compiled code it uses what the
        forward pass saved; called eagerly it is a compiled function that computes the forward pass again.

    Examples
    --------
    >>> import weft
    >>> value, pull = weft.vjp(lambda x, y: x * y, 2.0, 3.0)
    >>> value, pull(1.0)
    (6.0, (3.0, 2.0))
    """
    from weft.api.derive import float0s
    from weft.staged.active import staging

    if staging():
        return _vjp(fun, primals, has_aux)
    out = _eager(fun, "value", has_aux)(*primals)
    pull = _eager(fun, "pull", has_aux)

    def vjp_fun(cotangent: Any) -> Any:
        return pull(primals, float0s(cotangent))

    return (out[0], vjp_fun, out[1]) if has_aux else (out, vjp_fun)


def _vjp(fun: Any, primals: tuple[Any, ...], has_aux: bool) -> tuple[Any, ...]:
    from weft.api import derive
    from weft.api import staging as st
    from weft.ir.types import is_inexact
    from weft.transforms.reverse import split_vjp

    f = derive.stage_for(fun, primals, {}, range(len(primals)), has_aux=has_aux, what="vjp")
    n = f.results
    f.function.body.results = f.function.body.results[:n]
    wanted = [i < f.outputs and is_inexact(r.type.dtype) for i, r in enumerate(f.function.results)]
    forward, backward = split_vjp(f.function, f.active, results=wanted)
    outs = st.inline(forward, f.atoms)
    value, residuals = st.take(f.tree, outs[:n]), outs[n:]

    def vjp_fun(cotangent: Any) -> Any:
        given = _cotangent_atoms(f, cotangent, wanted)
        if f.reverse is not None:
            f.reverse.check("vjp", "cotangent", given, f.reverse.outs)
        found = st.inline(backward, [*residuals, *given])
        return tuple(f.per_argument(f.like_leaves(found)))

    return (value[0], vjp_fun, value[1]) if has_aux else (value, vjp_fun)


def _cotangent_atoms(f: Staging, cotangent: Any, wanted: Sequence[bool]) -> list[Atom]:
    """The cotangents of the outputs that have them."""
    from weft.api import staging as st
    from weft.api.sites import shape_of, type_text
    from weft.api.zeros import unzeroed
    from weft.frontend.trees import describe, flatten
    from weft.staged.arith import cast

    cts: list[Any] = []
    tree = flatten(unzeroed(cotangent), f.s, cts)
    if shape_of(tree) != shape_of(f.value):
        raise ValueError(
            "unexpected tree structure of argument to vjp function: got"
            f" {describe(tree)}, but expected to match {describe(f.value)}"
        )
    given = []
    for ct, r, w in zip(cts, f.function.results, wanted, strict=False):
        if not w:
            continue
        weak = ct.flavour == "py"
        if (ct.type.dtype != r.type.dtype and not weak) or not st.same_sizes(ct.sizes, r.type.shape):
            raise ValueError(
                f"cotangent type does not match function output: expected {type_text(r.type)}, but got"
                f" {type_text(ct.type)}."
            )
        given.append(cast(ct.atom, r.type.dtype))
    return given


def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """A function's value, and its derivative at a point as a linear function of the direction.

    Parameters
    ----------
    fun
        The function.
    *primals
        The point.
    has_aux
        Whether ``fun`` returns ``(output, aux)``.

    Returns
    -------
    tuple
        ``(output, f_jvp)``, with ``has_aux`` also ``aux``. ``f_jvp(*tangents)`` returns the output's tangent. Inside
        compiled code it uses what the evaluation at the point saved, however often it is called; called eagerly it is a
        compiled function that evaluates at the point again.

    Examples
    --------
    >>> import weft
    >>> value, f_jvp = weft.linearize(lambda x: x * x, 3.0)
    >>> value, f_jvp(1.0), f_jvp(10.0)
    (9.0, 6.0, 60.0)
    """
    from weft.api.derive import float0s
    from weft.staged.active import staging

    if staging():
        return _linearize(fun, primals, has_aux)
    out = _eager(fun, "value", has_aux)(*primals)
    along = _eager(fun, "jvp", has_aux)

    def f_jvp(*tangents: Any) -> Any:
        return along(primals, float0s(tangents))[1]

    return (out[0], f_jvp, out[1]) if has_aux else (out, f_jvp)


def _linearize(fun: Any, primals: tuple[Any, ...], has_aux: bool) -> tuple[Any, ...]:
    from weft.api import derive
    from weft.api import staging as st
    from weft.ir.types import is_inexact
    from weft.primitives.declare import zeros
    from weft.transforms.reverse import split_vjp
    from weft.transforms.reverse import vjp as vjp_of

    f = derive.stage_for(fun, primals, {}, range(len(primals)), has_aux=has_aux, what="linearize")
    n, m = f.results, f.outputs
    types = f.function.results[:m]
    f.function.body.results = f.function.body.results[:n]
    wanted = [i < m and is_inexact(r.type.dtype) for i, r in enumerate(f.function.results)]
    forward, backward = split_vjp(f.function, f.active, results=wanted)
    outs = st.inline(forward, f.atoms)
    value, residuals = st.take(f.tree, outs[:n]), outs[n:]
    # the backward half is linear in the cotangents: its transpose is the derivative itself
    k = len(residuals)
    back = st.unified(st.tidy(backward), residuals)
    if f.reverse is not None:
        back = f.reverse.linear(back, residuals)
    linear = vjp_of(back, [i >= k for i in range(len(back.params))])

    def f_jvp(*tangents: Any) -> Any:
        _fits("linearize", primals, tangents)
        ts = _tangent_atoms("linearize", f, tangents)
        if f.reverse is not None:
            f.reverse.check("linearize", "tangent", ts, f.reverse.args)
        nothing = [zeros(r.type) for r, w in zip(outs, wanted, strict=False) if w]
        found = st.inline(linear, [*residuals, *nothing, *ts])
        return derive.out_tangents(found[len(ts) :], f.value, types, f.s)

    return (value[0], f_jvp, value[1]) if has_aux else (value, f_jvp)


_compiled: dict[Any, Transformed] = {}


def _eager(fun: Any, what: str, has_aux: bool) -> Transformed:
    """Compiled helpers of the eager forms, one for each function."""
    try:
        key = (fun, what, has_aux)
        found = _compiled.get(key)
    except TypeError:
        key, found = None, None
    if found is not None:
        return found

    def stage_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if what == "jvp":
            return _jvp(fun, args[0], args[1], has_aux)
        if what == "pull":
            return _vjp(fun, args[0], has_aux)[1](args[1])
        value, _, *aux = _vjp(fun, args, has_aux)  # a custom rule may give another value than the function
        return (value, *aux) if has_aux else value

    made = Transformed(fun, stage_call, f"{what}(has_aux={has_aux})")
    if key is not None:
        if len(_compiled) > 512:
            _compiled.clear()
        _compiled[key] = made
    return made
