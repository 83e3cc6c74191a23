"""Functions that write into an array; with ``inplace=False`` they give another array instead, as in JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from weft.ir.nodes import lit
from weft.ir.types import i64
from weft.numpy.common import (
    Staged,
    agree,
    array,
    current,
    dim_or_int,
    emit,
    gather,
    iota,
    op_error,
    prim,
    product,
    reshape,
    spread,
    static_bool,
    truth,
    wrap,
)  # fmt: skip
from weft.numpy.elementwise import where
from weft.numpy.registry import implements
from weft.numpy.search import _along_key
from weft.numpy.shape import diagonal_size, ravel
from weft.staged.indexing import setitem


def _refused(name: str) -> str:
    return f"{name}() writes into its argument, and arrays of weft do not change: pass inplace=False, or use x.at[...]"


def writable(name: str, a: Any, inplace: Any) -> Staged:
    """The array to write into: the argument, or a copy of it."""
    if not static_bool(inplace, "inplace"):
        return wrap(array(a).atom, "np")
    if not isinstance(a, Staged) or a.cell is None:
        raise op_error(TypeError, _refused(name))
    return a


def _result(a: Staged, inplace: Any) -> Any:
    return None if static_bool(inplace, "inplace") else a


def concrete_write(numpy: Callable[..., Any], name: str = "") -> Callable[..., Any]:
    """NumPy's function of concrete arguments; messages call it ``name``."""
    title = name or numpy.__name__

    def run(a: Any, *args: Any, inplace: bool = True, **kwargs: Any) -> Any:
        if not inplace:
            a = np.array(a)
        elif not isinstance(a, np.ndarray) or not a.flags.writeable:
            raise TypeError(_refused(title))
        numpy(a, *args, **kwargs)
        return None if inplace else a

    return run


def _repeated(vals: Any, at: Staged, dtype: Any) -> Staged:
    """The elements of a row at positions, again and again: position ``n`` of a row of ``n`` is its first."""
    v = array(vals, dtype)
    row = reshape(v, (product(v.sizes),))
    if row.sizes[0] == 1:
        return reshape(row, ())
    return gather(row, emit("mod", at, current().builder.size_value(row.sizes[0])), 0, "fast")


@implements(np.put, run=concrete_write(np.put))
def put(a: Any, ind: Any, v: Any, mode: Any = "raise", *, inplace: Any = True) -> Any:
    """Write elements at flat positions; values are repeated as often as needed."""
    x = writable("put", a, inplace)
    at = array(ind)
    at = reshape(at, (product(at.sizes),))
    n = current().builder.size_value(product(x.sizes))
    if mode == "wrap":
        at = emit("mod", array(at, i64), n)
    elif mode == "clip":
        at = emit("maximum", emit("minimum", array(at, i64), prim("sub")(n, lit(1))), lit(0))
    elif mode != "raise":
        raise op_error(ValueError, f"clipmode must be one of 'clip', 'raise', or 'wrap' (got '{mode}')")
    setitem(ravel(x), at, _repeated(v, iota(at.sizes[0]), x.dtype))
    return _result(x, inplace)


@implements(np.put_along_axis, run=concrete_write(np.put_along_axis))
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any, *, inplace: Any = True) -> Any:
    """Write elements at integer positions along an axis (of the flat array, if it is None)."""
    x = writable("put_along_axis", arr, inplace)
    target = ravel(x) if axis is None else x
    _, _, key, _ = _along_key(target, indices, axis)
    setitem(target, key, values)
    return _result(x, inplace)


@implements(np.place, run=concrete_write(np.place))
def place(arr: Any, mask: Any, vals: Any, *, inplace: Any = True) -> Any:
    """Write where a mask holds: the values in turn, again and again."""
    x = writable("place", arr, inplace)
    _write_where(x, mask, vals, True)
    return _result(x, inplace)


@implements(np.putmask, run=concrete_write(np.putmask))
def putmask(a: Any, /, mask: Any, values: Any, *, inplace: Any = True) -> Any:
    """Write where a mask holds: the value at the element's own position, values repeated."""
    x = writable("putmask", a, inplace)
    _write_where(x, mask, values, False)
    return _result(x, inplace)


def _write_where(x: Staged, mask: Any, vals: Any, in_turn: bool) -> None:
    chosen = truth(array(mask))
    n = product(x.sizes)
    flat = reshape(chosen, (product(chosen.sizes),))
    agree(flat.sizes[0], n, _unequal)
    at = iota(n)
    if in_turn:
        rank = emit("cumsum", emit("cast", flat, dtype=i64), axis=0, reverse=False)
        at = emit("maximum", emit("sub", rank, lit(1)), lit(0))
    new = reshape(spread(_repeated(vals, at, x.dtype), (n,)), x.sizes)
    setitem(x, ..., where(reshape(flat, x.sizes), new, x))


def _unequal() -> None:
    raise op_error(ValueError, "place: mask and data must be the same size")


@implements(np.fill_diagonal, run=concrete_write(np.fill_diagonal))
def fill_diagonal(a: Any, val: Any, wrap: Any = False, *, inplace: Any = True) -> Any:
    """Write the diagonal of an array; with ``wrap`` it begins again below a square of a tall matrix."""
    x = writable("fill_diagonal", a, inplace)
    if x.ndim < 2:
        raise op_error(ValueError, "array must be at least 2-d")
    b = current().builder
    if x.ndim == 2 and static_bool(wrap, "wrap"):
        # every (columns + 1)-th element of the flat array
        size, step = b.size_value(product(x.sizes)), prim("add")(b.size_value(x.sizes[1]), lit(1))
        count = prim("floordiv")(prim("add")(size, prim("sub")(step, lit(1))), step)
        k = iota(dim_or_int(count))
        setitem(ravel(x), emit("mul", k, step), _repeated(val, k, x.dtype))
        return _result(x, inplace)
    if x.ndim > 2:
        for n in x.sizes[1:]:
            if n != x.sizes[0] and not current().decide("==", n - x.sizes[0], "the diagonal of equal sides"):
                raise op_error(ValueError, "All dimensions of input must be of equal length")
    i = iota(diagonal_size(x.sizes[0], x.sizes[1], 0))
    setitem(x, (i,) * x.ndim, _repeated(val, i, x.dtype))
    return _result(x, inplace)
