"""Reductions over axes, cumulative operations, and positions of extremes."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft import tree
from weft.api.written import compiled, looped
from weft.lax import elementwise as el
from weft.lax.control import scan
from weft.lax.operands import NUMERIC, array, check_kinds, error, same_dtype, text
from weft.lax.regions import apply
from weft.staged.active import staging

# -- operations that are known -----------------------------------------------------------------------------------------


def call(f: Callable[..., Any], *args: Any) -> Any:
    """A function given by the user: staged where staging is under way."""
    if staging():
        from weft.frontend.calls import call as staged

        return staged(f, args, {})
    return f(*args)


def monoid(f: Any) -> str:
    """The name of an operation that is known; "" for others."""
    for name, functions in _MONOIDS.items():
        if any([f is g for g in functions]):
            return name
    return ""


_MONOIDS: dict[str, tuple[Any, ...]] = {
    "add": (el.add, wnp.add, np.add, operator.add),
    "mul": (el.mul, wnp.multiply, np.multiply, operator.mul),
    "max": (el.max, wnp.maximum, np.maximum),
    "min": (el.min, wnp.minimum, np.minimum),
    "and": (el.bitwise_and, wnp.bitwise_and, np.bitwise_and, operator.and_),
    "or": (el.bitwise_or, wnp.bitwise_or, np.bitwise_or, operator.or_),
    "xor": (el.bitwise_xor, wnp.bitwise_xor, np.bitwise_xor, operator.xor),
}


def identity(name: str, dtype: np.dtype[Any]) -> Any:
    """The value that changes nothing."""
    from weft.primitives.reduction import highest, lowest

    found: Any = {"add": 0, "mul": 1, "or": 0, "xor": 0}.get(name)
    if found is None:
        found = lowest(dtype) if name == "max" else highest(dtype) if name == "min" else (~np.zeros((), dtype))[()]
    return found


# -- reductions --------------------------------------------------------------------------------------------------------


def _axes(x: Any, axes: Any) -> tuple[int, ...]:
    found = tuple([operator.index(k) for k in axes])
    if any([not 0 <= k < x.ndim for k in found]):
        raise error(
            ValueError, f"reduction axes {found} contains out-of-bounds indices for {x.dtype}[{text(x)[1:-1]}]."
        )
    if len(set(found)) != len(found):
        raise error(ValueError, f"duplicate value in 'axes' of reduction: {found}")
    return tuple(sorted(found))


def _reduction(name: str, kinds: str, fun: Callable[[Any, tuple[int, ...]], Any], doc: str) -> Callable[..., Any]:
    def function(operand: Any, axes: Sequence[int], **options: Any) -> Any:
        if set(options) - {"out_sharding"}:
            raise TypeError(f"{name}() got an unexpected keyword argument {sorted(options)[0]!r}")
        x = array(operand)
        check_kinds(name, [x.dtype], kinds)
        found = _axes(x, axes)
        return fun(x, found) if found else x

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"{doc}\n\n    Parameters\n    ----------\n    operand\n        An array.\n    axes\n        The axes.\n    "
    )
    return function


def _extreme(name: str) -> Callable[[Any, tuple[int, ...]], Any]:
    def fun(x: Any, axes: tuple[int, ...]) -> Any:
        if any([isinstance(x.shape[k], int) and x.shape[k] == 0 for k in axes]):
            shape = [n for k, n in enumerate(x.shape) if k not in axes]
            return wnp.full(tuple(shape), identity(name, x.dtype), dtype=x.dtype)
        return (wnp.max if name == "max" else wnp.min)(x, axis=axes)

    return fun


def _bits(name: str) -> Callable[[Any, tuple[int, ...]], Any]:
    def fun(x: Any, axes: tuple[int, ...]) -> Any:
        if x.dtype.kind == "b":
            if name == "xor":
                return wnp.sum(x.astype(np.int64), axis=axes) % 2 == 1
            return (wnp.all if name == "and" else wnp.any)(x, axis=axes)
        return _folded([x], [wnp.asarray(identity(name, x.dtype), dtype=x.dtype)], _MONOIDS[name][0], axes, True)[0]

    return fun


reduce_sum = _reduction("reduce_sum", NUMERIC, lambda x, axes: wnp.sum(x, axis=axes, dtype=x.dtype), "Sums over axes.")
reduce_prod = _reduction(
    "reduce_prod", NUMERIC, lambda x, axes: wnp.prod(x, axis=axes, dtype=x.dtype), "Products over axes."
)
reduce_max = _reduction("reduce_max", "biuf", _extreme("max"), "The largest elements over axes.")
reduce_min = _reduction("reduce_min", "biuf", _extreme("min"), "The smallest elements over axes.")
reduce_and = _reduction("reduce_and", "biu", _bits("and"), "Bits that are set in all elements over axes.")
reduce_or = _reduction("reduce_or", "biu", _bits("or"), "Bits that are set in any element over axes.")
reduce_xor = _reduction("reduce_xor", "biu", _bits("xor"), "Bits that are set in an odd number of elements over axes.")
_WHOLE = {
    "add": reduce_sum, "mul": reduce_prod, "max": reduce_max, "min": reduce_min, "and": reduce_and, "or": reduce_or,
    "xor": reduce_xor,
}  # fmt: skip


def reduce(operands: Any, init_values: Any, computation: Callable[[Any, Any], Any], dimensions: Sequence[int],
           out_sharding: Any = None) -> Any:  # fmt: skip
    """Elements combined over axes.

    Parameters
    ----------
    operands
        An array, or a tree of arrays of one shape.
    init_values
        What a combination begins with: scalars, of the tree's structure.
    computation
        ``computation(a, b)``, elementwise and associative; of trees, where there are several arrays.
    dimensions
        The axes.
    out_sharding
        Accepted as None only.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.reduce(np.arange(6.0).reshape(2, 3), 0.0, weft.lax.add, (1,)).tolist()
    [3.0, 12.0]
    """
    leaves, structure = tree.flatten(operands)
    starts = tree.leaves(init_values)
    if len(starts) != len(leaves):
        raise error(
            ValueError,
            f"Operands must have the same tree structure as init_values: there are {len(leaves)} arrays and"
            f" {len(starts)} initial values",
        )
    pairs = [same_dtype("reduce", (x, v)) for x, v in zip(leaves, starts, strict=True)]
    xs, inits = [p[0] for p in pairs], [p[1] for p in pairs]
    if any([v.ndim for v in inits]):
        raise error(TypeError, "reduce: init_values must be scalars")
    axes = _axes(xs[0], dimensions)
    name = monoid(computation)
    if len(xs) == 1 and name and xs[0].dtype.kind in ("biu" if name in ("and", "or", "xor") else "iufc"):
        out = _WHOLE[name](xs[0], axes)
        return tree.unflatten(structure, [_MONOIDS[name][0](wnp.broadcast_to(inits[0], out.shape), out)])
    if len(xs) == 1:
        return tree.unflatten(structure, _folded(xs, inits, computation, axes, True))
    if not isinstance(operands, tuple):
        raise error(TypeError, f"reduce: several operands must be given as a tuple, not a {type(operands).__name__}")
    return tree.unflatten(structure, _folded(xs, inits, computation, axes, False))


def _folded(
    xs: list[Any], inits: list[Any], f: Callable[[Any, Any], Any], axes: tuple[int, ...], one: bool
) -> list[Any]:
    """Rows along the axes combined one after the other."""
    if staging():
        return _fold(f, xs, inits, axes, one)
    return list(compiled(_fold_stage(axes, one), f"reduce(axes={axes}, one={one})", f=f)(xs, inits))


@functools.cache
def _fold_stage(axes: tuple[int, ...], one: bool) -> Callable[..., Any]:
    def stage(funs: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        xs, inits = args
        return _fold(funs[0], [array(x) for x in xs], [array(v) for v in inits], axes, one)

    return stage


def _fold(f: Callable[[Any, Any], Any], xs: list[Any], inits: list[Any], axes: tuple[int, ...], one: bool) -> list[Any]:
    if not axes:
        total = [wnp.broadcast_to(v, x.shape) for x, v in zip(xs, inits, strict=True)]
        return [call(f, total[0], xs[0])] if one else list(call(f, tuple(total), tuple(xs)))
    rows = []
    for x in xs:
        x = wnp.moveaxis(x, axes, tuple(range(len(axes))))
        n: Any = 1
        for k in x.shape[: len(axes)]:
            n = n * k
        rows.append(wnp.reshape(x, (n, *x.shape[len(axes) :])))
    init = [wnp.broadcast_to(v, x.shape[1:]) for x, v in zip(rows, inits, strict=True)]
    if one:
        total, _ = scan(lambda c, x: (call(f, c, x), None), init[0], rows[0])
        return [total]
    total, _ = scan(lambda c, x: (call(f, c, x), None), tuple(init), tuple(rows))
    return list(total)


# -- positions ---------------------------------------------------------------------------------------------------------


def argmax(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Where the largest elements along an axis are.

    Parameters
    ----------
    operand
        An array.
    axis
        The axis.
    index_dtype
        The integer dtype of the result.
    """
    return _position("argmax", wnp.argmax, operand, axis, index_dtype)


def argmin(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Where the smallest elements along an axis are.

    Parameters
    ----------
    operand
        An array.
    axis
        The axis.
    index_dtype
        The integer dtype of the result.
    """
    return _position("argmin", wnp.argmin, operand, axis, index_dtype)


def _position(name: str, fun: Any, operand: Any, axis: Any, index_dtype: Any) -> Any:
    x, dtype = array(operand), np.dtype(index_dtype)
    if dtype.kind not in "iu":
        raise error(TypeError, f"index_dtype must be an integer type, but got {dtype}.")
    k = operator.index(axis)
    if not 0 <= k < x.ndim:
        raise error(ValueError, f"Invalid axis {k} for operand shape {text(x)}.")
    return fun(x, axis=k).astype(dtype)


# -- cumulative --------------------------------------------------------------------------------------------------------


def _cumulative(name: str, kinds: str, doc: str) -> Callable[..., Any]:
    def function(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
        x, k = array(operand), operator.index(axis)
        check_kinds(name, [x.dtype], kinds)
        if not 0 <= k < x.ndim:
            raise error(ValueError, f"axis {k} is out of bounds for array of shape {text(x)}")
        return apply(name, x, axis=k, reverse=bool(reverse))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"{doc}\n\n    Parameters\n    ----------\n    operand\n        An array.\n    axis\n        The axis.\n"
        "    reverse\n        From the last element to the first.\n    "
    )
    return function


cumsum = _cumulative("cumsum", NUMERIC, "Running sums along an axis.")
cumprod = _cumulative("cumprod", NUMERIC, "Running products along an axis.")
cummax = _cumulative("cummax", "biuf", "Running maxima along an axis.")
cummin = _cumulative("cummin", "biuf", "Running minima along an axis.")


@looped("axis", "reverse")
def cumlogsumexp(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Running logarithms of sums of exponentials along an axis.

    Parameters
    ----------
    operand
        A floating array.
    axis
        The axis.
    reverse
        From the last element to the first.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.cumlogsumexp(np.log(np.array([1.0, 2.0, 3.0]))).round(6).tolist()
    [0.0, 1.098612, 1.791759]
    """
    x, k = array(operand), operator.index(axis)
    check_kinds("cumlogsumexp", [x.dtype], "f")
    if not 0 <= k < x.ndim:
        raise error(ValueError, f"axis {k} is out of bounds for array of shape {text(x)}")
    rows = wnp.moveaxis(x, k, 0)
    start = wnp.full(rows.shape[1:], -np.inf, dtype=x.dtype)
    _, out = scan(_add_exponential, start, rows, reverse=bool(reverse))
    return wnp.moveaxis(out, 0, k)


def _add_exponential(total: Any, x: Any) -> Any:
    total = wnp.logaddexp(total, x)
    return total, total
