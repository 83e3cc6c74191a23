"""Loops and branches over functions: `scan`, `while_loop`, `cond` and the like.

Inside compiled code they are staged. Called with concrete arguments, loops are compiled once for the functions that
they are given, and branches just run the one that is chosen.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft import tree
from weft.api.written import compiled
from weft.numpy.registry import arrays
from weft.staged.active import staging

# -- calls -------------------------------------------------------------------------------------------------------------


def _run(stage: Callable[..., Any], title: str, args: tuple[Any, ...], **funs: Any) -> Any:
    """Answer a call: staged where staging is under way, else compiled."""
    for name, f in funs.items():
        if not callable(f):
            raise TypeError(f"{title.split('(')[0]}: {name} must be a function, got {f!r}")
    if staging():
        return stage(list(funs.values()), args, {})
    return compiled(stage, title, **funs)(*args)


# -- loops -------------------------------------------------------------------------------------------------------------


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
    _split_transpose: bool = False,
) -> tuple[Any, Any]:
    """A loop over the first axis of arrays that carries state and stacks what it gives.

    Parameters
    ----------
    f
        ``f(carry, x) -> (carry, y)``; the carry keeps its structure, shapes and dtypes.
    init
        The first carry: an array or a tree of arrays. Python numbers take the dtype that ``f`` gives them.
    xs
        A tree of arrays with one first size; None for a loop without input.
    length
        The number of iterations, needed where ``xs`` has no arrays.
    reverse
        Run from the last row to the first; outputs stay at their rows' places.
    unroll
        Accepted for compatibility: the C++ compiler unrolls as it sees fit.

    Returns
    -------
    carry, ys
        The last carry, and a tree of the outputs stacked along a new first axis.

    Raises
    ------
    TypeError
        The carry changes its structure or a type, or ``f`` gives no pair.
    ValueError
        The first sizes of ``xs`` differ, or ``length`` disagrees with them.

    Examples
    --------
    >>> import numpy as np, weft
    >>> total, sums = weft.lax.scan(lambda c, x: (c + x, c + x), 0.0, np.array([1.0, 2.0, 3.0]))
    >>> float(total), sums.tolist()
    (6.0, [1.0, 3.0, 6.0])
    """
    if length is not None and not hasattr(length, "atom"):
        try:
            length = operator.index(length)
        except TypeError:
            raise TypeError(f"scan: length must be an integer, got {length!r}") from None
    if not callable(f):
        raise TypeError(f"scan: f must be a function, got {f!r}")
    if staging():
        from weft.frontend.control import scan as staged

        return staged(f, init, xs, length, bool(reverse))  # type: ignore[no-any-return]
    return _run(_scan_stage(length, bool(reverse)), f"scan(length={length}, reverse={bool(reverse)})", (init, xs), f=f)  # type: ignore[no-any-return]


@functools.cache
def _scan_stage(length: int | None, reverse: bool) -> Callable[..., Any]:
    def stage(funs: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from weft.frontend.control import scan as staged

        init, xs = args
        return staged(funs[0], init, xs, length, reverse)

    return stage


def _stage_fori(funs: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from weft.frontend.control import fori_loop as staged

    lower, upper, init = args
    return staged(lower, upper, funs[0], init)


def fori_loop(
    lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any, *, unroll: int | bool | None = None
) -> Any:
    """``val = body_fun(i, val)`` for i from ``lower`` to ``upper``.

    Parameters
    ----------
    lower, upper
        Integers, which may be run-time values.
    body_fun
        ``body_fun(i, val) -> val``; ``i`` is a Python integer, so it leaves the dtypes of arrays alone.
    init_val
        The first value: an array or a tree of arrays.
    unroll
        Accepted for compatibility: the C++ compiler unrolls as it sees fit.

    Examples
    --------
    >>> import weft
    >>> float(weft.lax.fori_loop(0, 4, lambda i, x: x + i, 0.0))
    6.0
    """
    bounds: list[tuple[str, Any]] = [("lower", lower), ("upper", upper)]
    for name, v in bounds:
        dtype = np.dtype(type(v)) if isinstance(v, int | float | complex) else getattr(v, "dtype", None)
        if dtype is None or dtype.kind not in "iub" or getattr(v, "shape", None):
            raise TypeError(f"lower and upper arguments to fori_loop must be scalar integers, got {name}={v!r}.")
    return _run(_stage_fori, "fori_loop", (lower, upper, init_val), body_fun=body_fun)


def _stage_while(funs: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from weft.frontend.control import while_loop as staged

    return staged(funs[1], funs[0], args[0])


def while_loop(cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any) -> Any:
    """``val = body_fun(val)`` as long as ``cond_fun(val)``.

    It has derivatives in both modes: what the reverse needs of each iteration is saved.

    Parameters
    ----------
    cond_fun
        ``cond_fun(val) -> bool``.
    body_fun
        ``body_fun(val) -> val``; the value keeps its structure, shapes and dtypes.
    init_val
        The first value: an array or a tree of arrays.

    Examples
    --------
    >>> import weft
    >>> int(weft.lax.while_loop(lambda n: n < 100, lambda n: 2 * n, 3))
    192
    """
    return _run(_stage_while, "while_loop", (init_val,), body_fun=body_fun, cond_fun=cond_fun)


def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """``f`` of each row of arrays, the results stacked.

    Parameters
    ----------
    f
        Called with a row of each array of ``xs``.
    xs
        A tree of arrays with one first size.
    batch_size
        As many rows at a time are given to ``vmap(f)``; None: one after the other.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.map(lambda x: x @ x, np.ones((2, 3))).tolist()
    [3.0, 3.0]
    """
    if batch_size is None:
        return _run(_stage_map, "map", (xs,), f=f)
    size = operator.index(batch_size)
    if size < 1:
        raise ValueError(f"map: batch_size must be positive, got {batch_size}")
    return _run(_batched_stage(size), f"map(batch_size={size})", (xs,), f=f)


def _stage_map(funs: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from weft.frontend.control import rows as staged

    return staged(funs[0], args[0])


@functools.cache
def _batched_stage(size: int) -> Callable[..., Any]:
    def stage(funs: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _map_batches(funs[0], args[0], size)

    return stage


def _map_batches(f: Any, xs: Any, size: int) -> Any:
    import weft.numpy as wnp
    from weft.api.vmap import vmap

    lanes = vmap(f).stage_call
    leaves = tree.leaves(xs)
    if not leaves:
        raise ValueError("map got no values to map over")
    n = len(leaves[0])
    full = n - n % size
    parts = []
    if full:
        blocks = tree.map(lambda x: wnp.reshape(x[:full], (full // size, size, *x.shape[1:])), xs)
        _, ys = scan(lambda c, x: (c, lanes((x,), {})), None, blocks)
        parts.append(tree.map(lambda y: wnp.reshape(y, (full, *y.shape[2:])), ys))
    if full < n:
        parts.append(lanes((tree.map(lambda x: x[full:], xs),), {}))
    return parts[0] if len(parts) == 1 else tree.map(lambda a, b: wnp.concatenate([a, b]), *parts)


# -- branches ----------------------------------------------------------------------------------------------------------

_NONE = object()


def cond(pred: Any, true_fun: Any, false_fun: Any, *operands: Any, operand: Any = _NONE) -> Any:
    """``true_fun(*operands)`` where ``pred`` holds, else ``false_fun(*operands)``.

    Only the chosen function runs. In compiled code both are staged, and must give the same structure and types.

    Parameters
    ----------
    pred
        A bool or number.
    true_fun, false_fun
        Functions of the operands.
    *operands
        What they are given; ``operand=`` gives a single one.

    Raises
    ------
    TypeError
        The functions' results differ in structure or type (in compiled code).

    Examples
    --------
    >>> import weft
    >>> float(weft.lax.cond(True, lambda x: x + 1.0, lambda x: x - 1.0, 3.0))
    4.0
    """
    if len(operands) == 2 and callable(operands[1]) and callable(false_fun) and not callable(true_fun):
        # cond(pred, true_operand, true_fun, false_operand, false_fun)
        given, other, true_of, false_of = true_fun, operands[0], false_fun, operands[1]
        return cond(pred, lambda x, y: true_of(x), lambda x, y: false_of(y), given, other)
    if not (callable(true_fun) and callable(false_fun)):
        raise TypeError("lax.cond: true_fun and false_fun arguments should be callable.")
    given = _operands("cond", operands, operand)
    if getattr(pred, "ndim", 0) or isinstance(pred, list | tuple | dict | str) or pred is None:
        shape = np.shape(pred) if not hasattr(pred, "atom") else pred.shape
        raise TypeError(f"Pred must be a scalar, got {pred!r} of shape {shape}.")
    if staging():
        from weft.frontend.control import cond as staged

        return staged(pred, (true_fun, false_fun), given)
    return _results((true_fun if pred else false_fun)(*_immutable(given)))


def switch(index: Any, branches: Sequence[Any], *operands: Any, operand: Any = _NONE) -> Any:
    """``branches[index](*operands)``; an index out of range means the first or the last.

    Parameters
    ----------
    index
        An integer.
    branches
        Functions of the operands, whose results have the same structure and types.
    *operands
        What they are given; ``operand=`` gives a single one.

    Examples
    --------
    >>> import weft
    >>> float(weft.lax.switch(1, [lambda x: x, lambda x: -x], 3.0))
    -3.0
    """
    if not all(callable(b) for b in branches):
        raise TypeError("lax.switch: branches argument should be a sequence of callables.")
    if not branches:
        raise ValueError("Empty branch sequence")
    dtype = np.asarray(index).dtype if not hasattr(index, "atom") else index.dtype
    if getattr(index, "ndim", 0):
        raise TypeError(f"Branch index must be scalar, got {index!r} of shape {index.shape}.")
    if dtype.kind not in "iu":
        raise TypeError(f"Index type must be an integer, got {dtype}.")
    given = _operands("switch", operands, operand)
    last = len(branches) - 1
    if staging():
        from weft.frontend.control import switch as staged

        if isinstance(index, int | np.integer):
            index = min(max(int(index), 0), last)
        return staged(index, tuple(branches), given)
    return _results(branches[min(max(int(index), 0), last)](*_immutable(given)))


def _operands(name: str, operands: tuple[Any, ...], operand: Any) -> tuple[Any, ...]:
    if operand is _NONE:
        return operands
    if operands:
        raise TypeError(f"if 'operand' keyword is passed then no positional operands can be passed to {name}")
    return (operand,)


def _immutable(x: Any) -> Any:
    """NumPy arrays as weft's; Python numbers stay weak."""
    return tree.map(lambda v: arrays(v, (v,)) if isinstance(v, np.ndarray) else v, x)


def _results(x: Any) -> Any:
    """What a function that just ran returned, its numbers as arrays."""
    number = bool | int | float | complex | np.ndarray | np.generic
    return tree.map(lambda v: arrays(np.asarray(v), (v,)) if isinstance(v, number) else v, x)


# -- prefix sums over any operation ------------------------------------------------------------------------------------


def associative_scan(fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All prefixes of ``elems`` along an axis, combined by an associative operation.

    Parameters
    ----------
    fn
        ``fn(a, b)``: combines two trees of arrays elementwise along ``axis``, ``a`` being the earlier one.
    elems
        A tree of arrays of one size along ``axis``.
    reverse
        Suffixes instead; ``a`` is then the later one.
    axis
        The axis.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.associative_scan(lambda a, b: a * b, np.arange(1.0, 5.0)).tolist()
    [1.0, 2.0, 6.0, 24.0]
    """
    if not callable(fn):
        raise TypeError("lax.associative_scan: fn argument should be callable.")
    axis, reverse = operator.index(axis), bool(reverse)
    title = f"associative_scan(reverse={reverse}, axis={axis})"
    return _run(_associative_stage(reverse, axis), title, (elems,), fn=fn)


@functools.cache
def _associative_stage(reverse: bool, axis: int) -> Callable[..., Any]:
    def stage(funs: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _associative(funs[0], args[0], reverse, axis)

    return stage


def _associative(fn: Any, elems: Any, reverse: bool, axis: int) -> Any:
    import weft.numpy as wnp
    from weft.frontend.calls import call
    from weft.frontend.control import trip_of, values

    elems = tree.map(wnp.asarray, elems)
    leaves = tree.leaves(elems)
    if not leaves:
        return elems
    for x in leaves:
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(f"associative_scan: axis {axis} is out of bounds for an array of rank {x.ndim}")
    first_last = tree.map(lambda x: wnp.moveaxis(x, axis, 0), elems)
    n = trip_of("associative_scan", values(first_last), None)
    if isinstance(n, int) and n < 2:
        return elems
    start = tree.map(lambda x: wnp.expand_dims(x[-1] if reverse else x[0], axis % x.ndim), first_last)
    rest = tree.map(lambda x: x[:-1] if reverse else x[1:], first_last)
    axes = tree.map(lambda x: axis % x.ndim, first_last)

    def step(carry: Any, x: Any) -> Any:
        x = tree.map(wnp.expand_dims, x, axes)
        new = call(fn, (carry, x), {})
        return new, tree.map(lambda y, k: wnp.squeeze(y, k), new, axes)

    _, ys = scan(step, start, rest, reverse=reverse)

    def whole(x: Any, y: Any) -> Any:
        ends = (y, x[-1:]) if reverse else (x[:1], y)
        return wnp.moveaxis(wnp.concatenate(ends), 0, axis)

    return tree.map(whole, first_last, ys)
