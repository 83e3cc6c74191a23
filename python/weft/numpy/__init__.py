"""NumPy's functions over immutable arrays.

Called on concrete arguments they run at once and give `weft.Array`; inside a function that weft stages they become
part of the program. Names, arguments, values and dtypes are NumPy's.
"""

from __future__ import annotations

from types import ModuleType as _ModuleType
from typing import Any

import numpy as _np

# ruff: noqa: F401  (each of these modules declares its functions)
from weft.numpy import (
    creation,
    cumulative,
    editing,
    einsum,
    elementwise,
    grids,
    histograms,
    joining,
    methods,
    polynomials,
    products,
    quantiles,
    reductions,
    search,
    sets,
    shape,
    signals,
    sorting,
    ufunc_methods,
    ufuncs,
    windows,
)  # fmt: skip
from weft.numpy import fft as fft
from weft.numpy import linalg as linalg
from weft.numpy.registry import MEANINGS as _MEANINGS
from weft.numpy.registry import PUBLIC as _PUBLIC

pi, e, euler_gamma, inf, nan, newaxis = _np.pi, _np.e, _np.euler_gamma, _np.inf, _np.nan, None

bool_, bool, int8, int16, int32, int64 = _np.bool_, _np.bool_, _np.int8, _np.int16, _np.int32, _np.int64
uint8, uint16, uint32, uint64 = _np.uint8, _np.uint16, _np.uint32, _np.uint64
float16, float32, float64 = _np.float16, _np.float32, _np.float64
complex64, complex128, int_, uint, float_ = _np.complex64, _np.complex128, _np.int_, _np.uint, _np.float64
dtype, finfo, iinfo = _np.dtype, _np.finfo, _np.iinfo
integer, floating, inexact, number = _np.integer, _np.floating, _np.inexact, _np.number
complexfloating, signedinteger, unsignedinteger = _np.complexfloating, _np.signedinteger, _np.unsignedinteger
generic, issubdtype = _np.generic, _np.issubdtype
promote_types, can_cast, broadcast_shapes = _np.promote_types, _np.can_cast, _np.broadcast_shapes


def _install() -> list[str]:
    """Put the functions here, under all the names that NumPy has for them; the modules give way to them."""
    space = globals()
    kept = ("at", "common", "fft", "linalg", "registry")
    for name in [n for n, v in space.items() if isinstance(v, _ModuleType) and n[0] != "_" and n not in kept]:
        del space[name]
    meanings = {id(f): public for f, public in _MEANINGS.items()}
    aliases = {name: meanings[id(v)] for name, v in vars(_np).items() if id(v) in meanings}
    space.update(aliases)
    space.update(_PUBLIC)
    hidden = ("Any", "annotations", "at", "common", "registry")
    return sorted(n for n in space if not n.startswith("_") and n not in hidden)


def __getattr__(name: str) -> Any:
    if name in ("ndarray", "Array"):
        from weft.runtime.array import Array

        return Array
    raise AttributeError(f"module 'weft.numpy' has no attribute {name!r}")


__all__ = _install()
