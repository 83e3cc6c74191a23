"""Derivatives: `grad`, `value_and_grad`, `jvp`, `vjp`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft.api.transformed import Transformed, settled
from weft.ir.types import is_complex, is_inexact


def _staging() -> Any:
    from weft.api import staging

    return staging


def grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Transformed:
    """The gradient of a scalar function, in reverse mode.

    Parameters
    ----------
    fun
        A function whose result is a real scalar (with ``has_aux``: a pair of it and anything).
    argnums
        The positional argument(s) to differentiate with respect to: floating-point scalars, arrays, or containers of
        them.
    has_aux
        Whether ``fun`` returns ``(value, aux)``; then the gradient function returns ``(gradient, aux)``.
    holomorphic
        Whether ``fun`` is a holomorphic function of complex arguments.
    allow_int
        Accept integer arguments; their gradient is of dtype float0 in JAX, here zeros of float64.

    Returns
    -------
    Transformed
        A function of the same arguments; its result has the structure and shapes of the argument(s).

    Raises
    ------
    TypeError
        A result that is not a scalar, an integer argument, ``argnums`` out of range.

    Notes
    -----
    The derivative works through loops, branches and in-place writes. It never writes its arguments: where ``fun``
    changes an argument in place, the change is made in a copy.

    Examples
    --------
    >>> import weft
    >>> def root(a):
    ...     x = a
    ...     while abs(x * x - a) > 1e-12:
    ...         x = 0.5 * (x + a / x)
    ...     return x
    >>> round(weft.grad(root)(2.0), 6)
    0.353553
    """
    argnums = settled(argnums)
    both = value_and_grad(fun, argnums, has_aux, holomorphic, allow_int)

    def stage_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value, gradient = both.stage_call(args, kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return Transformed(fun, stage_call, f"grad(argnums={argnums!r}, has_aux={has_aux})")


def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Transformed:
    """The value and the gradient of a scalar function; see `grad`.

    Returns
    -------
    Transformed
        A function that returns ``(value, gradient)``, with ``has_aux`` ``((value, aux), gradient)``.

    Examples
    --------
    >>> import weft
    >>> weft.value_and_grad(lambda x: x * x)(3.0)
    (9.0, 6.0)
    """
    argnums = settled(argnums)
    nums = _checked_argnums(argnums)

    def stage_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _value_and_grad(fun, args, kwargs, argnums, nums, has_aux, holomorphic, allow_int)

    return Transformed(fun, stage_call, f"value_and_grad(argnums={argnums!r}, has_aux={has_aux})")


def _checked_argnums(argnums: Any) -> tuple[int, ...]:
    nums = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if not all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in nums):
        raise TypeError(f"argnums must be an int or a sequence of ints, got {argnums!r}")
    return tuple(int(n) for n in nums)


def _resolved_argnums(nums: tuple[int, ...], count: int) -> tuple[int, ...]:
    for n in nums:
        if not -count <= n < count:
            raise ValueError(
                f"Positional argnums {n} out of range: differentiating with respect to argnums={nums} requires at least"
                f" {max(nums) + 1} positional arguments to be passed by the caller, but got only {count} positional"
                " arguments."
            )
    return tuple(n % count for n in nums)


def _differentiable(t: Any, what: str, holomorphic: bool, allow_int: bool) -> None:
    dtype = t.dtype
    if holomorphic and not is_complex(dtype):
        raise TypeError(f"{what} with holomorphic=True requires inputs with complex dtype, but got {dtype.name}.")
    if not holomorphic and is_complex(dtype):
        raise TypeError(
            f"{what} requires real-valued inputs (input dtype that is a sub-dtype of np.floating), but got"
            f" {dtype.name}. For holomorphic differentiation, pass holomorphic=True. For differentiation of"
            " non-holomorphic functions involving complex inputs, use weft.vjp directly."
        )
    if not is_inexact(dtype) and not allow_int:
        raise TypeError(
            f"{what} requires real- or complex-valued inputs (input dtype that is a sub-dtype of np.inexact), but got"
            f" {dtype.name}. If you want to use Boolean- or integer-valued inputs, use vjp or set allow_int to True."
        )


def _value_and_grad(
    fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Any, nums: tuple[int, ...], has_aux: bool,
    holomorphic: bool, allow_int: bool,
) -> Any:  # fmt: skip
    from weft.frontend.trees import flatten, leaf_types
    from weft.ir.nodes import lit
    from weft.staged.arith import shape_text
    from weft.transforms.reverse import vjp as vjp_of

    st = _staging()
    s = st.state()
    nums = _resolved_argnums(nums, len(args))
    leaves: list[Any] = []
    trees = [flatten(args[n], s, leaves) for n in nums]
    counts = [len(leaf_types(t)) for t in trees]
    for v in leaves:
        _differentiable(v.type, "grad", holomorphic, allow_int)
    inner, aux_at = _stage_for(fun, args, kwargs, nums, trees, counts, leaves)
    tree = inner.tree
    if has_aux:
        if tree.kind is not tuple or len(tree.children) != 2:
            raise TypeError("grad with has_aux=True expects the function to return a pair (value, aux)")
        tree = tree.children[0]
    what = leaf_types(tree)
    if len(what) != 1 or tree.kind != "leaf":
        from weft.frontend.trees import describe

        raise TypeError(f"Gradient only defined for scalar-output functions. Output was {describe(tree)}.")
    out = what[0].type
    if out.shape:
        raise TypeError(
            f"Gradient only defined for scalar-output functions. Output had shape: {shape_text(out.shape)}."
        )
    if not is_inexact(out.dtype) or (is_complex(out.dtype) and not holomorphic):
        raise TypeError(
            "grad requires real-valued outputs (output dtype that is a sub-dtype of np.floating), but got"
            f" {out.dtype.name}."
        )
    f = st.tidy(inner.function)
    active = [is_inexact(p.type.dtype) for p in f.params]
    results = [i == 0 for i in range(len(f.results))]
    g = vjp_of(f, active, results=results)
    atoms = [v.atom for v in leaves]
    outs = st.inline(g, [*atoms, lit(1.0, out.dtype)])
    primal, found = outs[: len(f.results)], outs[len(f.results) :]
    value = st.take(inner.tree, primal[: len(leaf_types(inner.tree))])
    gradients = _cotangents(found, active, leaves)
    parts: list[Any] = []
    for t, n in zip(trees, counts, strict=True):
        mine, gradients = gradients[:n], gradients[n:]
        parts.append(st.take(t, mine, [v.flavour for v in leaves[:n]]))
        leaves = leaves[n:]
    return value, parts[0] if isinstance(argnums, int) else tuple(parts)


def _cotangents(found: list[Any], active: Sequence[bool], leaves: Sequence[Any]) -> list[Any]:
    """A cotangent per leaf; zeros for those that are not differentiated."""
    from weft.primitives.declare import zeros

    rest = iter(found)
    return [
        next(rest) if a else zeros(v.type.with_dtype(np.dtype(np.float64))) for a, v in zip(active, leaves, strict=True)
    ]


def _stage_for(
    fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], nums: Sequence[int], trees: Sequence[Any],
    counts: Sequence[int], leaves: Sequence[Any],
) -> tuple[Any, int]:  # fmt: skip
    """Stage ``fun`` with the leaves of some arguments as parameters; the others are captured, arrays as copies."""
    from weft.frontend.trees import unflatten

    st = _staging()
    s = st.state()

    def make(staged: list[Any]) -> tuple[Any, dict[str, Any]]:
        new = [a if i in nums else st.copied(a, s) for i, a in enumerate(args)]
        rest = list(staged)
        for n, tree, count in zip(nums, trees, counts, strict=True):
            mine, rest = rest[:count], rest[count:]
            new[n] = unflatten(tree, iter(mine), s)
        return tuple(new), {k: st.copied(v, s) for k, v in kwargs.items()}

    types = [(v.type, v.flavour, _name(v)) for v in leaves]
    return st.stage_inner(fun, make, types), 0


def _name(v: Any) -> str:
    a = v.cell.atom if v.cell is not None else v._atom
    return getattr(a, "name", "") or (v.cell.name if v.cell is not None else "")


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
        A tangent for each, of the same structure, shapes and dtypes.
    has_aux
        Whether ``fun`` returns ``(output, aux)``.

    Returns
    -------
    tuple
        ``(output, output tangent)``, with ``has_aux`` also ``aux``.

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
    from weft.staged.active import staging

    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise TypeError(
            "primal and tangent arguments to weft.jvp must be tuples or lists; found"
            f" {type(primals).__name__} and {type(tangents).__name__}."
        )
    if staging():
        return _jvp(fun, tuple(primals), tuple(tangents), has_aux)
    return _eager(fun, "jvp", has_aux)(tuple(primals), tuple(tangents))  # type: ignore[no-any-return]


def _jvp(fun: Any, primals: tuple[Any, ...], tangents: tuple[Any, ...], has_aux: bool) -> tuple[Any, ...]:
    from weft.frontend.trees import Tree, describe, flatten, leaf_types
    from weft.transforms.forward import jvp as jvp_of

    st = _staging()
    s = st.state()
    leaves: list[Any] = []
    trees = [flatten(p, s, leaves) for p in primals]
    t_leaves: list[Any] = []
    t_trees = [flatten(t, s, t_leaves) for t in tangents]
    if [_shape_of(t) for t in trees] != [_shape_of(t) for t in t_trees]:
        whole = [describe(Tree(tuple, None, tuple(ts))) for ts in (trees, t_trees)]
        raise TypeError(
            "primal and tangent arguments to weft.jvp must have the same tree structure; primals have tree structure"
            f" {whole[0]} whereas tangents have tree structure {whole[1]}."
        )
    for p, t in zip(leaves, t_leaves, strict=True):
        if not is_inexact(p.type.dtype):
            raise TypeError(
                f"jvp requires real- or complex-valued inputs, but got {p.type.dtype.name}: integer inputs have no"
                " tangents; close over them instead."
            )
        weak = t.flavour == "py" and t.type.dtype.kind in "fib"
        if (t.type.dtype != p.type.dtype and not weak) or not st.same_sizes(p.sizes, t.sizes):
            raise TypeError(
                "primal and tangent arguments to weft.jvp do not match; dtypes and shapes must be equal, but got primal"
                f" {p.type!r} and tangent {t.type!r}."
            )
    counts = [len(leaf_types(t)) for t in trees]
    inner, _ = _stage_for(fun, primals, {}, range(len(primals)), trees, counts, leaves)
    f = st.tidy(inner.function)
    n = len(leaf_types(inner.tree))
    f.body.results = f.body.results[:n]
    g = jvp_of(f, [True] * len(f.params))
    from weft.staged.arith import cast

    atoms = [v.atom for v in leaves]
    ts = [cast(t.atom, p.type.dtype) for p, t in zip(leaves, t_leaves, strict=True)]
    outs = st.inline(g, [*atoms, *ts])
    value = st.take(inner.tree, outs[:n])
    tangent = st.take(inner.tree, _tangents(outs[n:], f.results))
    if not has_aux:
        return value, tangent
    return value[0], tangent[0], value[1]


def _tangents(found: list[Any], results: Sequence[Any]) -> list[Any]:
    """A tangent per result; zeros for integers."""
    from weft.primitives.declare import zeros

    rest = iter(found)
    return [next(rest) if is_inexact(r.type.dtype) else zeros(r.type) for r in results]


def _shape_of(tree: Any) -> Any:
    """A structure without its leaves' types."""
    if tree.kind == "leaf":
        return "leaf"
    return (tree.kind, tree.fixed if tree.kind != "static" else repr(tree.fixed), tuple(map(_shape_of, tree.children)))


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
        for each argument. Inside compiled code it uses what the forward pass saved; called eagerly it is a compiled
        function that computes the forward pass again.

    Examples
    --------
    >>> import weft
    >>> value, pull = weft.vjp(lambda x, y: x * y, 2.0, 3.0)
    >>> value, pull(1.0)
    (6.0, (3.0, 2.0))
    """
    from weft.staged.active import staging

    if staging():
        return _vjp(fun, primals, has_aux)
    out = _eager(fun, "call", has_aux)(*primals)
    pull = _eager(fun, "pull", has_aux)

    def vjp_fun(cotangent: Any) -> Any:
        return pull(primals, cotangent)

    return (out[0], vjp_fun, out[1]) if has_aux else (out, vjp_fun)


def _vjp(fun: Any, primals: tuple[Any, ...], has_aux: bool) -> tuple[Any, ...]:
    from weft.frontend.trees import flatten, leaf_types
    from weft.transforms.reverse import split_vjp

    st = _staging()
    s = st.state()
    leaves: list[Any] = []
    trees = [flatten(p, s, leaves) for p in primals]
    counts = [len(leaf_types(t)) for t in trees]
    inner, _ = _stage_for(fun, primals, {}, range(len(primals)), trees, counts, leaves)
    f = st.tidy(inner.function)
    n = len(leaf_types(inner.tree))
    f.body.results = f.body.results[:n]
    out_tree = inner.tree.children[0] if has_aux else inner.tree
    m = len(leaf_types(out_tree))
    active = [is_inexact(p.type.dtype) for p in f.params]
    wanted = [i < m and is_inexact(r.type.dtype) for i, r in enumerate(f.results)]
    forward, backward = split_vjp(f, active, results=wanted)
    outs = st.inline(forward, [v.atom for v in leaves])
    primal, residuals = outs[:n], outs[n:]
    value = st.take(inner.tree, primal)
    flavours = [v.flavour for v in leaves]

    def vjp_fun(cotangent: Any) -> Any:
        from weft.staged.arith import cast

        cts: list[Any] = []
        ct_tree = flatten(cotangent, s, cts)
        if _shape_of(ct_tree) != _shape_of(out_tree):
            from weft.frontend.trees import describe

            raise TypeError(
                "Tree structure of cotangent input passed to vjp function does not match the primal output:"
                f" {describe(ct_tree)} and {describe(out_tree)}."
            )
        given = []
        for ct, r, w in zip(cts, f.results, wanted, strict=False):
            if not w:
                continue
            weak = ct.flavour == "py"
            if (ct.type.dtype != r.type.dtype and not weak) or not st.same_sizes(ct.sizes, r.type.shape):
                raise ValueError(
                    f"cotangent type does not match function output: expected {r.type!r}, but got {ct.type!r}."
                )
            given.append(cast(ct.atom, r.type.dtype))
        found = _cotangents(st.inline(backward, [*residuals, *given]), active, leaves)
        parts: list[Any] = []
        at = 0
        for t, count in zip(trees, counts, strict=True):
            parts.append(st.take(t, found[at : at + count], flavours[at : at + count]))
            at += count
        return tuple(parts)

    vjp_fun.__module__ = __name__
    return (value[0], vjp_fun, value[1]) if has_aux else (value, vjp_fun)


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
        from weft.frontend.calls import call

        if what == "jvp":
            return _jvp(fun, args[0], args[1], has_aux)
        if what == "pull":
            return _vjp(fun, args[0], has_aux)[1](args[1])
        return call(fun, args, kwargs)

    made = Transformed(fun, stage_call, f"{what}(has_aux={has_aux})")
    if key is not None:
        if len(_compiled) > 512:
            _compiled.clear()
        _compiled[key] = made
    return made
