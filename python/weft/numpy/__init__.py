"""NumPy's functions over immutable arrays.

Called on concrete arguments they run at once and give `weft.Array`; inside a function that weft stages they become
part of the program. Names, arguments, values and dtypes are NumPy's, with the keywords that the array API standard
and `jax.numpy` add.
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
    padding,
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
    writing,
)
from weft.numpy import fft as fft
from weft.numpy import functional as _functional
from weft.numpy import host as _host
from weft.numpy import linalg as linalg
from weft.numpy import names as _names
from weft.numpy import standard as _standard
from weft.numpy.functional import frompyfunc, vectorize
from weft.numpy.grids import c_, mgrid, ogrid, r_
from weft.numpy.host import load
from weft.numpy.registry import MEANINGS as _MEANINGS
from weft.numpy.registry import PUBLIC as _PUBLIC
from weft.numpy.standard import __array_namespace_info__, can_cast, finfo, iinfo, isdtype
from weft.runtime.dlpack import from_dlpack

__array_api_version__ = _standard.API_VERSION


def _install() -> list[str]:
    """Put the functions here, under all the names that NumPy has for them; the modules give way to them."""
    space = globals()
    kept = ("at", "common", "fft", "linalg", "registry")
    for name in [n for n, v in space.items() if isinstance(v, _ModuleType) and n[0] != "_" and n not in kept]:
        del space[name]
    meanings = {id(f): public for f, public in _MEANINGS.items()}
    space.update({name: meanings[id(v)] for name, v in vars(_np).items() if id(v) in meanings})
    space.update(_PUBLIC)
    space.update(_host.HOST)
    space.update({name: getattr(_names, name) for name in _names.__all__})
    hidden = ("Any", "annotations", "at", "common", "registry")
    return sorted(n for n in space if not n.startswith("_") and n not in hidden)


def __getattr__(name: str) -> Any:
    if name in ("ndarray", "Array"):
        from weft.runtime.array import Array

        return Array
    from weft.numpy.absent import message

    raise AttributeError(message(name))


__all__ = [*_install(), "ndarray"]
