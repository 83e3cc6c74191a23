"""`weft.grad` and `weft.value_and_grad`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from weft.api.transformed import Transformed, settled


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
        Accept integer arguments; their gradient is zeros of dtype ``weft.dtypes.float0``.

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

    With respect to a complex argument x + iy the gradient of a real function f is df/dx - i df/dy, as JAX has it: its
    conjugate points uphill.

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

    return Transformed(fun, stage_call, f"grad({_options(argnums, has_aux, holomorphic, allow_int)})")


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
    from weft.api.argnums import checked_argnums

    argnums = settled(argnums)
    nums = checked_argnums(argnums)

    def stage_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _value_and_grad(fun, args, kwargs, argnums, nums, has_aux, holomorphic, allow_int)

    return Transformed(fun, stage_call, f"value_and_grad({_options(argnums, has_aux, holomorphic, allow_int)})")


def _options(argnums: Any, has_aux: bool, holomorphic: bool, allow_int: bool) -> str:
    more = f", holomorphic={holomorphic}, allow_int={allow_int}" if holomorphic or allow_int else ""
    return f"argnums={argnums!r}, has_aux={has_aux}{more}"


def _value_and_grad(
    fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Any, nums: tuple[int, ...], has_aux: bool,
    holomorphic: bool, allow_int: bool,
) -> Any:  # fmt: skip
    from weft.api import derive
    from weft.api import staging as st
    from weft.api.argnums import resolved_argnums
    from weft.frontend.trees import describe, leaf_types
    from weft.ir.nodes import lit
    from weft.staged.arith import shape_text
    from weft.transforms.reverse import vjp as vjp_of

    nums = resolved_argnums(nums, len(args))
    f = derive.stage_for(
        fun,
        args,
        kwargs,
        nums,
        has_aux=has_aux,
        what="grad",
        check=derive.reverse_inputs("grad", holomorphic, allow_int),
    )
    what = leaf_types(f.value)
    if len(what) != 1 or f.value.kind != "leaf":
        raise TypeError(f"Gradient only defined for scalar-output functions. Output was {describe(f.value)}.")
    out = what[0].type
    if out.shape:
        raise TypeError(
            f"Gradient only defined for scalar-output functions. Output had shape: {shape_text(out.shape)}."
        )
    derive.check_reverse_output("grad", out.dtype, holomorphic)
    n = len(f.function.results)
    g = vjp_of(f.function, f.active, results=[i == 0 for i in range(n)])
    outs = st.inline(g, [*f.atoms, lit(1.0, out.dtype)])
    value = st.take(f.tree, outs[: f.results])
    parts = f.per_argument(f.like_leaves(outs[n:]))
    return value, parts[0] if isinstance(argnums, int) else tuple(parts)
