"""Python functions called by compiled code: `pure_callback`, `io_callback`, and what `weft.debug` is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft import tree_util
from weft.errors import StagingError
from weft.runtime.array import Array
from weft.staged.active import staging

_METHODS = (None, "sequential", "sequential_unrolled", "expand_dims", "broadcast_all", "legacy_vectorized")


class HostFunction:
    """A Python function, how its arguments are put together, and what it must return.

    Parameters
    ----------
    fn
        The function.
    treedef
        The structure of its arguments.
    leaves
        Their leaves; None where a run-time value goes.
    flavours
        What the run-time values are for Python: "py", "np" or "weft".
    result
        The structure of what it returns; None if that does not matter.
    what
        For messages: "pure_callback", ...
    """

    def __init__(self, fn: Any, treedef: Any, leaves: list[Any], flavours: list[str], result: Any, what: str) -> None:
        self.fn = fn
        self.name = getattr(fn, "__name__", type(fn).__name__)
        self.treedef = treedef
        self.leaves = leaves
        self.flavours = flavours
        self.result = result
        self.what = what

    def __call__(self, values: Sequence[Any], outs: Sequence[Any]) -> tuple[Any, ...]:
        given = iter([_present(v, flavour) for v, flavour in zip(values, self.flavours, strict=True)])
        leaves = [next(given) if x is _HOLE else x for x in self.leaves]
        args, kwargs = self.treedef.unflatten(leaves)
        found = self.fn(*args, **kwargs)
        if self.result is None:
            return ()
        return tuple(checked(found, self.result, outs, f"{self.what} of '{self.name}'"))

    def __repr__(self) -> str:
        return self.name


_HOLE: Any = object()


def _present(v: Any, flavour: str) -> Any:
    """A value for Python code: its own, as the memory may be written later."""
    if flavour == "py" and np.ndim(v) == 0:
        return v.item()
    a = np.array(v)
    if flavour == "weft":
        return Array.from_numpy(a)
    return a if a.ndim else a[()]


def checked(found: Any, treedef: Any, outs: Sequence[tuple[Any, Any]], what: str) -> list[Any]:
    """What a callback returned, as arrays.

    Raises
    ------
    TypeError
        It has another structure or dtype than was said.
    ValueError
        It has another shape.
    """
    try:
        leaves = treedef.flatten_up_to(found)
    except ValueError as e:
        raise TypeError(f"{what}: the result is not as result_shape_dtypes says: {e}") from None
    out = []
    for k, (x, (dtype, shape)) in enumerate(zip(leaves, outs, strict=True)):
        a = np.asarray(x)
        shape = tuple([int(n) for n in shape])
        said = f"{what}: result {k} is {a.dtype}{list(a.shape)}, and result_shape_dtypes says {dtype}{list(shape)}"
        if a.shape != shape:
            raise ValueError(said)
        weak = isinstance(x, bool | int | float | complex) and np.can_cast(a.dtype, dtype, "same_kind")
        if a.dtype != dtype and not weak:
            raise TypeError(said)
        out.append(a.astype(dtype, copy=False))
    return out


def _spec(x: Any) -> tuple[np.dtype[Any], tuple[Any, ...]]:
    if isinstance(x, bool | int | float | complex):
        return np.asarray(x).dtype, ()
    if not hasattr(x, "shape") or not hasattr(x, "dtype"):
        raise TypeError(f"result_shape_dtypes has a {type(x).__name__}: write weft.ShapeDtypeStruct(shape, dtype)")
    return np.dtype(x.dtype), tuple(x.shape)


def pure_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: Any = None,
    vectorized: Any = None,
    vmap_method: str | None = None,
    **kwargs: Any,
) -> Any:
    """Call a Python function from compiled code, for its result.

    Parameters
    ----------
    callback
        The function. Its result must depend on its arguments alone: it may be called less often, or more often, than
        the program says. What it raises reaches the caller of the compiled function.
    result_shape_dtypes
        A tree of `weft.ShapeDtypeStruct` (or arrays) of the result's structure.
    *args, **kwargs
        The arguments: NumPy arrays, numbers and `weft.Array` as the program has them.
    sharding, vectorized
        Accepted for compatibility; ``vectorized=True`` is ``vmap_method="legacy_vectorized"``.
    vmap_method
        Under `weft.vmap`: "sequential" (the default) calls it for each lane; "expand_dims" and "broadcast_all" once,
        with a leading axis for the lanes, where arguments that the lanes share have 1 or all of them.

    Returns
    -------
    tree
        As ``result_shape_dtypes`` says: NumPy arrays, or `weft.Array` if an argument is one.

    Raises
    ------
    TypeError, ValueError
        The result is not as ``result_shape_dtypes`` says.
    StagingError
        A derivative of it is asked for.

    Examples
    --------
    >>> import math, weft
    >>> f = weft.jit(lambda x: 2 * weft.pure_callback(math.erf, weft.ShapeDtypeStruct((), "float64"), x))
    >>> round(float(f(0.5)), 6)
    1.041
    """
    method = "legacy_vectorized" if vectorized else vmap_method
    if method not in _METHODS:
        raise ValueError(f"vmap_method must be one of {', '.join(map(repr, _METHODS))}, not {method!r}")
    name = "pure_callback" if method in (None, "sequential", "sequential_unrolled") else "lanes_callback"
    attrs = {} if name == "pure_callback" else {"method": method}
    return _call("pure_callback", name, attrs, callback, result_shape_dtypes, args, kwargs)


def io_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: Any = None,
    ordered: bool = False,
    **kwargs: Any,
) -> Any:
    """Call a Python function from compiled code, for what it does and for its result.

    It is called exactly as often as the program says, and in the program's order.

    Parameters
    ----------
    callback
        The function. What it raises reaches the caller of the compiled function.
    result_shape_dtypes
        A tree of `weft.ShapeDtypeStruct` (or arrays) of the result's structure; None for a function without a result.
    *args, **kwargs
        The arguments: NumPy arrays, numbers and `weft.Array` as the program has them.
    sharding, ordered
        Accepted for compatibility; calls are always in order.

    Returns
    -------
    tree
        As ``result_shape_dtypes`` says.

    Examples
    --------
    >>> import weft
    >>> seen = []
    >>> f = weft.jit(lambda x: weft.experimental.io_callback(lambda v: seen.append(v), None, x) or 2 * x)
    >>> f(3.0), seen
    (6.0, [3.0])
    """
    return _call("io_callback", "io_callback", {}, callback, result_shape_dtypes, args, kwargs)


def debug_callback(
    callback: Callable[..., Any], *args: Any, ordered: bool = False, partitioned: bool = False, **kwargs: Any
) -> None:
    """Call a Python function from compiled code; its result is not used. See `weft.debug.callback`."""
    _call("debug.callback", "io_callback", {}, callback, _HOLE, args, kwargs)


def _call(
    what: str, name: str, attrs: dict[str, Any], callback: Any, result: Any, args: tuple[Any, ...], kwargs: Any
) -> Any:
    if not callable(callback):
        raise TypeError(f"{what}: {callback!r} is not callable")
    specs, treedef = ([], None) if result is _HOLE else tree_util.tree_flatten(result)
    outs = [_spec(x) for x in specs]
    if staging():
        return _staged(what, name, attrs, callback, outs, treedef, args, kwargs)
    found = callback(*args, **kwargs)
    if treedef is None:
        return None
    values = checked(found, treedef, outs, f"{what} of '{getattr(callback, '__name__', callback)}'")
    theirs = any(isinstance(x, Array) for x in tree_util.tree_leaves((args, kwargs)))
    return treedef.unflatten([Array.from_numpy(a) if theirs else a[()] for a in values])


def _staged(
    what: str, name: str, attrs: dict[str, Any], callback: Any, outs: Any, treedef: Any, args: Any, kwargs: Any
) -> Any:
    from weft.frontend.calls import Format
    from weft.frontend.functions import python_function
    from weft.ir.primitive import REGISTRY
    from weft.staged.value import Staged, join_flavours, size_of, wrap

    leaves, given = tree_util.tree_flatten((args, kwargs))
    if any(isinstance(x, Format) for x in leaves):
        from weft.staged.context import current

        raise StagingError(
            f"{what}: a string made of run-time values cannot be passed on", remedy="pass the values, and make the"
            " string in the function", loc=current().loc,
        )  # fmt: skip
    staged = [x for x in leaves if isinstance(x, Staged)]
    holes = [_HOLE if isinstance(x, Staged) else x for x in leaves]
    flavours = [x.flavour for x in staged]
    host = HostFunction(python_function(callback), given, holes, flavours, treedef, what)
    shapes = tuple([(dtype, tuple([size_of(n) for n in shape])) for dtype, shape in outs])
    found = REGISTRY[name](*[x.atom for x in staged], host=host, outs=shapes, **attrs)
    if treedef is None:
        return None
    flavour = join_flavours("np", *flavours)
    return treedef.unflatten([wrap(a, flavour) for a in (found if isinstance(found, tuple) else (found,))])
