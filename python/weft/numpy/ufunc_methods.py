"""The methods of ufuncs: ``np.add.reduce``, ``accumulate``, ``outer`` and ``at``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from weft.numpy import reductions
from weft.numpy.common import array, of, reshape, static_bool, unsupported
from weft.numpy.cumulative import scan
from weft.numpy.registry import PUBLIC, Entry, enter
from weft.numpy.ufuncs import UFUNCS, ufunc
from weft.numpy.writing import concrete_write, writable

_REDUCE: dict[np.ufunc, Callable[..., Any]] = {
    np.add: reductions.sum, np.multiply: reductions.prod, np.maximum: reductions.max, np.minimum: reductions.min,
    np.logical_and: reductions.all, np.logical_or: reductions.any,
}  # fmt: skip
_SCAN: dict[np.ufunc, str] = {np.add: "cumsum", np.multiply: "cumprod", np.maximum: "cummax", np.minimum: "cummin"}


def _method(uf: np.ufunc, name: str, impl: Callable[..., Any]) -> None:
    impl.__name__ = f"{uf.__name__}.{name}"
    run = concrete_write(getattr(uf, name), impl.__name__) if name == "at" else None
    entry = Entry(impl.__name__, impl, getattr(uf, name), run=run)
    enter(entry, (getattr(uf, name),))
    public = PUBLIC.pop(entry.name)
    setattr(PUBLIC[uf.__name__], name, public)


def _reduce(uf: np.ufunc) -> Callable[..., Any]:
    whole = _REDUCE[uf]

    def impl(
        array: Any, /, axis: Any = 0, dtype: Any = None, out: Any = None, *, keepdims: Any = False, initial: Any = None,
        where: Any = None,
    ) -> Any:  # fmt: skip
        more = {} if where is None else {"where": where}
        if uf in (np.add, np.multiply):
            more["dtype"] = dtype
        elif dtype is not None:
            raise unsupported(f"np.{uf.__name__}.reduce with dtype=", "convert the array first")
        if initial is not None:
            if uf in (np.logical_and, np.logical_or):
                raise unsupported(f"np.{uf.__name__}.reduce with initial=", "combine it with the result")
            more["initial"] = initial
        return whole(array, axis, keepdims=keepdims, **more)

    impl.__doc__ = f"``np.{uf.__name__}`` of all elements along axes (the first, if none is given)."
    return impl


def _accumulate(uf: np.ufunc) -> Callable[..., Any]:
    def impl(array: Any, /, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
        return scan(_SCAN[uf], array, axis, dtype, widen=uf in (np.add, np.multiply))

    impl.__doc__ = f"The partial results of ``np.{uf.__name__}.reduce``."
    return impl


def _outer(uf: np.ufunc) -> Callable[..., Any]:
    def impl(A: Any, B: Any, /, *, out: Any = None) -> Any:
        x, y = array(A), array(B)
        return ufunc(uf, reshape(x, (*x.sizes, *[1] * y.ndim)), y)

    impl.__doc__ = f"``np.{uf.__name__}`` of all pairs of elements."
    return impl


def _at(uf: np.ufunc) -> Callable[..., Any]:
    def impl(a: Any, indices: Any, b: Any = None, /, *, inplace: Any = True) -> Any:
        from weft.numpy.at import updated

        x = writable(f"{uf.__name__}.at", a, inplace)
        x.put(updated(uf, of(x.atom), indices, b).atom)
        return None if static_bool(inplace, "inplace") else x

    impl.__doc__ = f"``np.{uf.__name__}`` at indices, in place; repeated indices are updated again."
    return impl


def _reduceat(uf: np.ufunc) -> Callable[..., Any]:
    def impl(array: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
        raise unsupported(f"np.{uf.__name__}.reduceat", "use np.add.at with the number of each element's group")

    impl.__doc__ = "Not compiled."
    return impl


for _uf in UFUNCS:
    if _uf.nout != 1 or _uf.nin != 2:
        continue
    _method(_uf, "outer", _outer(_uf))
    _method(_uf, "at", _at(_uf))
    if _uf in _REDUCE:
        _method(_uf, "reduce", _reduce(_uf))
    if _uf in _SCAN:
        _method(_uf, "accumulate", _accumulate(_uf))
    if _uf in _REDUCE:
        _method(_uf, "reduceat", _reduceat(_uf))
