"""`weft.jacfwd`, `weft.jacrev`, `weft.jacobian`, `weft.hessian`, `weft.hvp`: all derivatives of all outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from weft.api.argnums import checked_argnums, resolved_argnums
from weft.api.transformed import Transformed, settled

if TYPE_CHECKING:
    from weft.ir.nodes import Atom
    from weft.ir.types import ArrayType


def jacfwd(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
) -> Transformed:
    """The Jacobian, column by column in forward mode: the better way for tall Jacobians.

    Parameters
    ----------
    fun
        The function.
    argnums
        The positional argument(s) to differentiate with respect to: real scalars, arrays, or containers of them.
    has_aux
        Whether ``fun`` returns ``(output, aux)``; then the result is ``(Jacobian, aux)``.
    holomorphic
        Whether ``fun`` is a holomorphic function of complex arguments.

    Returns
    -------
    Transformed
        A function of the same arguments. Its result has the structure of the output, and in the place of each of its
        arrays the structure of the argument(s), with arrays of shape ``output.shape + argument.shape``.

    Raises
    ------
    TypeError
        An argument is an integer; or complex, without ``holomorphic``.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.jacfwd(lambda x: x * np.sum(x))(np.array([1.0, 2.0])).tolist()
    [[4.0, 1.0], [2.0, 5.0]]
    """
    argnums = settled(argnums)
    nums = checked_argnums(argnums)

    def stage_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _jacfwd(fun, args, kwargs, argnums, nums, has_aux, holomorphic)

    return Transformed(fun, stage_call, f"jacfwd(argnums={argnums!r}, has_aux={has_aux}, holomorphic={holomorphic})")


def jacrev(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Transformed:
    """The Jacobian, row by row in reverse mode: the better way for wide Jacobians.

    Parameters
    ----------
    fun, argnums, has_aux, holomorphic
        As in `jacfwd`; the outputs must be real, without ``holomorphic``.
    allow_int
        Accept integer arguments; their part is zeros of dtype ``weft.dtypes.float0``.

    Returns
    -------
    Transformed
        As from `jacfwd`.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.jacrev(lambda x: x * np.sum(x))(np.array([1.0, 2.0])).tolist()
    [[4.0, 1.0], [2.0, 5.0]]
    """
    argnums = settled(argnums)
    nums = checked_argnums(argnums)

    def stage_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _jacrev(fun, args, kwargs, argnums, nums, has_aux, holomorphic, allow_int)

    title = f"jacrev(argnums={argnums!r}, has_aux={has_aux}, holomorphic={holomorphic}, allow_int={allow_int})"
    return Transformed(fun, stage_call, title)


jacobian = jacrev


def hessian(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
) -> Transformed:
    """All second derivatives, forward over reverse.

    Parameters
    ----------
    fun, argnums, has_aux, holomorphic
        As in `jacfwd`.

    Returns
    -------
    Transformed
        A function of the same arguments, whose result has the structure of the output, therein twice that of the
        argument(s), and arrays of shape ``output.shape + argument.shape + argument.shape``.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.hessian(lambda x: x[0] ** 2 * x[1])(np.array([2.0, 3.0])).tolist()
    [[6.0, 4.0], [4.0, 0.0]]
    """
    return jacfwd(jacrev(fun, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic)


def hvp(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The product of a Hessian with a vector, without the Hessian: the derivative of the gradient along a direction.

    Parameters
    ----------
    fun
        A scalar function.
    primals
        The arguments (a tuple or list).
    tangents
        The direction, a tangent for each.

    Returns
    -------
    The product, in the structure of ``primals[0]`` (of a tuple of all, if there are several).

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.hvp(lambda x: x[0] ** 2 * x[1], (np.array([2.0, 3.0]),), (np.array([1.0, 0.0]),)).tolist()
    [6.0, 4.0]
    """
    from weft.api.directional import jvp
    from weft.api.grad import grad

    one = len(primals) == 1
    gradient = _gradients.get((fun, len(primals)))
    if gradient is None:
        gradient = _gradients[fun, len(primals)] = grad(fun, 0 if one else tuple(range(len(primals))))
        if len(_gradients) > 256:
            _gradients.pop(next(iter(_gradients)))
    return jvp(gradient, primals, tangents)[1]


_gradients: dict[Any, Any] = {}


# -- staging -----------------------------------------------------------------------------------------------------------


def _unit(t: ArrayType, indices: Sequence[Atom]) -> Atom:
    """1 at an index, 0 elsewhere."""
    from weft.ir.nodes import lit
    from weft.ir.types import bool_, i64
    from weft.primitives.declare import prim

    if not t.shape:
        return lit(1, t.dtype)
    here: Any = None
    for axis, (size, i) in enumerate(zip(t.shape, indices, strict=True)):
        line = prim("eq")(prim("iota")(size=size, dtype=i64), i)
        if t.rank > 1:
            line = prim("broadcast")(line, shape=t.shape, dims=(axis,))
        here = line if here is None else prim("bitand")(here, line)
    assert here.type.dtype == bool_
    return prim("cast")(here, dtype=t.dtype)  # type: ignore[no-any-return]


def _along_all(t: ArrayType, body: Callable[[Atom], tuple[Sequence[Atom], Sequence[Atom]]]) -> list[Atom]:
    """Map over the unit vectors of a type.

    Parameters
    ----------
    t
        The type.
    body
        Of a unit vector: results that are the same for all of them, and results that differ.

    Returns
    -------
    list
        The former, and the latter with the axes of ``t`` leading.
    """
    from weft.api import staging as st
    from weft.ir.nodes import Function, Var, lit
    from weft.ir.types import i64, scalar
    from weft.primitives.declare import prim
    from weft.transforms.batch import batch

    s = st.state()

    def mapped(indices: tuple[Var, ...]) -> tuple[list[Atom], int]:
        """The results over all axes behind the given ones, and how many of them are the same everywhere."""
        if len(indices) == t.rank:
            same, each = body(_unit(t, indices))
            return [*same, *each], len(same)
        i = Var(scalar(i64), "i")
        if s.varying is not None:
            s.varying.begin([i], [lit(0)])
        with s.builder.scope((i,)) as block:
            results, n = mapped((*indices, i))
            block.results = tuple(results)
        size = s.resolve(t.shape[len(indices)])
        force = [k >= n for k in range(len(results))]
        g, flags = batch(st.tidy(Function("unit", block)), [True], size=size, force=force)
        if any(flags[:n]):
            raise AssertionError("a primal result depends on the direction")
        return st.inline(g, [prim("iota")(size=size, dtype=i64)]), n

    return mapped(())[0]


def _behind(x: Atom, rank: int) -> Atom:
    """The first ``rank`` axes moved behind the others."""
    from weft.primitives.declare import prim

    n = x.type.rank
    if not rank or rank == n:
        return x
    return prim("transpose")(x, perm=(*range(rank, n), *range(rank)))  # type: ignore[no-any-return]


def _wrapped(a: Atom, *flavours: str) -> Any:
    """A part of a Jacobian, of the flavour of the output and the argument."""
    from weft.staged.value import join_flavours, wrap

    flavour = join_flavours(*flavours)
    return wrap(a, "np" if flavour == "py" and a.type.shape else flavour)


def _jacfwd(
    fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Any, nums: tuple[int, ...], has_aux: bool,
    holomorphic: bool,
) -> Any:  # fmt: skip
    from weft.api import derive
    from weft.api import staging as st
    from weft.api.zeros import Float0
    from weft.frontend.trees import leaf_types, unflatten
    from weft.ir.types import is_inexact
    from weft.transforms.forward import jvp as jvp_of

    nums = resolved_argnums(nums, len(args))
    f = derive.stage_for(
        fun, args, kwargs, nums, has_aux=has_aux, what="jacfwd",
        check=lambda dtype: derive.check_forward_input("jacfwd", dtype, holomorphic),
    )  # fmt: skip
    n, m = f.results, f.outputs
    f.function.body.results = f.function.body.results[:n]
    outs = f.function.results[:m]
    for r in outs:
        derive.check_forward_output("jacfwd", r.type.dtype, holomorphic)
    kinds = leaf_types(f.value)
    value: list[Atom] = []
    parts: list[list[Any]] = [[] for _ in outs]
    for i, x in enumerate(f.leaves):
        g = st.tidy(jvp_of(f.function, [k == i for k in range(len(f.leaves))]))

        def column(unit: Atom, g: Any = g) -> tuple[Sequence[Atom], Sequence[Atom]]:
            found = st.inline(g, [*f.atoms, unit])
            return found[:n], found[n:]

        found = _along_all(x.type, column)
        value = value or found[:n]
        columns = iter(found[n:])
        inexact = [next(columns) if is_inexact(r.type.dtype) else None for r in f.function.results]
        for j, (r, kind) in enumerate(zip(outs, kinds, strict=True)):
            c = inexact[j]
            if c is None:
                shape = derive.shape_objects((*r.type.shape, *x.type.shape))
                parts[j].append(Float0(shape))
            else:
                parts[j].append(_wrapped(_behind(c, x.type.rank), kind.flavour, x.flavour))
    if not f.leaves:
        value = st.inline(f.function, f.atoms)[:n]
    items = [_of_arguments(f.per_argument(p), argnums) for p in parts]
    jac = unflatten(f.value, iter(items), f.s)
    return (jac, st.take(f.tree, value)[1]) if has_aux else jac


def _of_arguments(parts: list[Any], argnums: Any) -> Any:
    return parts[0] if isinstance(argnums, int) else tuple(parts)


def _jacrev(
    fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Any, nums: tuple[int, ...], has_aux: bool,
    holomorphic: bool, allow_int: bool,
) -> Any:  # fmt: skip
    from weft.api import derive
    from weft.api import staging as st
    from weft.api.zeros import Float0
    from weft.frontend.trees import leaf_types, unflatten
    from weft.primitives.declare import zeros
    from weft.transforms.reverse import split_vjp

    nums = resolved_argnums(nums, len(args))
    f = derive.stage_for(
        fun, args, kwargs, nums, has_aux=has_aux, what="jacrev",
        check=derive.reverse_inputs("jacrev", holomorphic, allow_int),
    )  # fmt: skip
    n, m = f.results, f.outputs
    f.function.body.results = f.function.body.results[:n]
    kinds = leaf_types(f.value)
    for leaf in kinds:
        derive.check_reverse_output("jacrev", leaf.type.dtype, holomorphic)
    forward, backward = split_vjp(f.function, f.active, results=[i < m for i in range(n)])
    outs = st.inline(forward, f.atoms)
    residuals = outs[n:]
    items: list[Any] = []
    for j, kind in enumerate(kinds):

        def row(unit: Atom, j: int = j) -> tuple[Sequence[Atom], Sequence[Atom]]:
            cts = [unit if k == j else zeros(r.type) for k, r in enumerate(outs[:m])]
            return (), st.inline(backward, [*residuals, *cts])

        rows = iter(_along_all(outs[j].type, row))
        found: list[Any] = []
        for x, on in zip(f.leaves, f.active, strict=True):
            if on:
                found.append(_wrapped(next(rows), kind.flavour, x.flavour))
            else:
                found.append(Float0(derive.shape_objects((*outs[j].type.shape, *x.type.shape))))
        items.append(_of_arguments(f.per_argument(found), argnums))
    jac = unflatten(f.value, iter(items), f.s)
    return (jac, st.take(f.tree, outs[:n])[1]) if has_aux else jac
