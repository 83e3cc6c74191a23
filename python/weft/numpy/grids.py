"""Indices of triangles and diagonals, and grids and rows written as slices: ``mgrid[0:3]``, ``r_[1:4, 0]``."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.nodes import Lit
from weft.numpy.common import (
    along,
    array,
    current,
    iota,
    new_size,
    op_error,
    reshape,
    result_dtype,
    size_object,
    static_int,
    unsupported,
    value,
)  # fmt: skip
from weft.numpy.creation import arange, linspace, ones, tril_indices, triu_indices
from weft.numpy.joining import concatenate
from weft.numpy.registry import (
    SUBSCRIPTED,
    arrays,
    concrete,
    concrete_result,
    flavoured,
    has_staged,
    implements,
    staged_result,
)  # fmt: skip
from weft.numpy.search import nonzero
from weft.numpy.shape import broadcast_arrays
from weft.staged.active import staging


@implements(np.diag_indices, creates=True)
def diag_indices(n: Any, ndim: Any = 2) -> Any:
    """The indices of the diagonal of an array with equal sides."""
    return (iota(new_size(n)),) * static_int(ndim, "ndim")


@implements(np.diag_indices_from)
def diag_indices_from(arr: Any) -> Any:
    """The indices of the diagonal of an array."""
    x = array(arr)
    if x.ndim < 2:
        raise op_error(ValueError, "input array must be at least 2-d")
    for n in x.sizes[1:]:
        gap = n - x.sizes[0]
        if gap != 0 and not current().decide("==", gap, "the diagonal of an array with equal sides"):
            raise op_error(ValueError, "All dimensions of input must be of equal length")
    return (iota(x.sizes[0]),) * x.ndim


def _sides(arr: Any) -> Any:
    x = array(arr)
    if x.ndim != 2:
        raise op_error(ValueError, "input array must be 2-d")
    return [size_object(n) for n in x.sizes]


@implements(np.tril_indices_from)
def tril_indices_from(arr: Any, k: Any = 0) -> Any:
    """The indices of the lower triangle of a matrix."""
    n, m = _sides(arr)
    return tril_indices(n, k, m)


@implements(np.triu_indices_from)
def triu_indices_from(arr: Any, k: Any = 0) -> Any:
    """The indices of the upper triangle of a matrix."""
    n, m = _sides(arr)
    return triu_indices(n, k, m)


def _np_mask_indices(n: Any, mask_func: Any, k: Any = 0, *, size: Any = None) -> Any:
    from weft.numpy.search import np_nonzero

    mask = np.asarray(mask_func(arrays(np.ones((n, n), int)), k))
    return np_nonzero(mask, size=size)


@implements(np.mask_indices, creates=True, run=_np_mask_indices)
def mask_indices(n: Any, mask_func: Any, k: Any = 0, *, size: Any = None) -> Any:
    """The indices at which a mask function (`triu`, `tril`, one's own) keeps the elements of a square matrix."""
    return nonzero(mask_func(ones((n, n), int), k), size=size)


# -- slices as numbers -------------------------------------------------------------------------------------------------


def _part(key: slice) -> Any:
    """The numbers that a slice stands for: as many as an imaginary step says, else steps apart."""
    start, step = 0 if key.start is None else key.start, 1 if key.step is None else key.step
    if isinstance(step, complex):
        return linspace(start, key.stop, int(abs(step)))
    v = value(step)
    if isinstance(v.atom, Lit) and v.dtype.kind == "c":
        return linspace(start, key.stop, int(abs(complex(v.atom.value))))
    return arange(start, key.stop, step)


class _Rows:
    """What `r_` and `c_` are."""

    def __init__(self, name: str, numpy: Any, columns: bool) -> None:
        self._name, self._numpy, self._columns = name, numpy, columns

    def __repr__(self) -> str:
        return f"<weft.numpy.{self._name}>"

    def __getitem__(self, key: Any) -> Any:
        if not (staging() and has_staged(key)):
            return concrete_result(self._numpy[concrete(key)], key)
        parts = key if isinstance(key, tuple) else (key,)
        if any(isinstance(p, str) for p in parts):
            raise unsupported(f"{self._name}[...] with a directive", "weft.numpy.concatenate, stack or reshape")
        rows = [_part(p) if isinstance(p, slice) else array(p) for p in parts]
        rows = [reshape(r, (1,)) if not r.sizes else r for r in rows]
        if self._columns:
            rows = [reshape(r, (*r.sizes, 1)) if r.ndim == 1 else r for r in rows]
        return staged_result(concatenate(rows, -1 if self._columns else 0), key)


class _Grid:
    """What `mgrid` and `ogrid` are."""

    def __init__(self, name: str, numpy: Any, sparse: bool) -> None:
        self._name, self._numpy, self._sparse = name, numpy, sparse

    def __repr__(self) -> str:
        return f"<weft.numpy.{self._name}>"

    def __getitem__(self, key: Any) -> Any:
        if not (staging() and has_staged(key)):
            return concrete_result(self._numpy[concrete(key)], key)
        if isinstance(key, slice):
            return staged_result(_part(key), key)
        rows = [_part(p) for p in key]
        dtype = result_dtype(*rows)
        axes = [along(array(r, dtype), k, len(rows)) for k, r in enumerate(rows)]
        if self._sparse:
            return staged_result(tuple(axes), key)
        from weft.numpy.joining import stack

        return staged_result(stack(broadcast_arrays(*axes)), key)


r_, c_ = _Rows("r_", np.r_, False), _Rows("c_", np.c_, True)
mgrid, ogrid = _Grid("mgrid", np.mgrid, False), _Grid("ogrid", np.ogrid, True)


def _in_numpy(own: Any, numpy: Any) -> None:
    """Enter NumPy's object, and ours, for code that is staged."""
    SUBSCRIPTED[id(own)] = own.__getitem__
    SUBSCRIPTED[id(numpy)] = lambda key: flavoured(own[key], "np") if has_staged(key) else numpy[key]


for _own, _numpy in ((r_, np.r_), (c_, np.c_), (mgrid, np.mgrid), (ogrid, np.ogrid)):
    _in_numpy(_own, _numpy)
