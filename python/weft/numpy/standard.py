"""What the array API standard adds: conversions, exchange, and questions about dtypes and the namespace."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft import _runtime, dtypes
from weft.numpy.common import array, of, op_error
from weft.numpy.registry import implements
from weft.runtime.dlpack import from_dlpack as from_dlpack
from weft.staged.arith import cast

#: The version of the standard that `weft.numpy` follows.
API_VERSION = "2024.12"


def _np_astype(x: Any, dtype: Any, /, *, copy: Any = True) -> Any:
    a = np.asarray(x)
    if a.dtype.kind == "c" and np.dtype(dtype).kind not in "cb":
        raise TypeError(f"astype() of {a.dtype} to {np.dtype(dtype)} would lose imaginary parts: take .real first")
    return a.astype(dtype, copy=copy)


@implements(np.astype, run=_np_astype)
def astype(x: Any, dtype: Any, /, *, copy: Any = True, device: Any = None) -> Any:
    """An array converted to a dtype."""
    v, target = array(x), np.dtype(dtype)
    if v.dtype.kind == "c" and target.kind not in "cb":
        raise op_error(TypeError, f"astype() of {v.dtype} to {target} would lose imaginary parts: take .real first")
    return of(cast(v.atom, target))


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: "bool", "signed integer", "integral", "real floating", "numeric", ..., a dtype.

    Parameters
    ----------
    dtype
        The dtype.
    kind
        A kind, a dtype, or a tuple of them, of which one has to fit.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> wnp.isdtype(wnp.float32, ("real floating", "bool"))
    True
    """

    def plain(k: Any) -> Any:
        return k if isinstance(k, str) else tuple(map(plain, k)) if isinstance(k, tuple) else np.dtype(k)

    return bool(np.isdtype(np.dtype(dtype), plain(kind)))


def _dtype_of(x: Any) -> Any:
    """The dtype of an array; anything else is one, or names one."""
    return getattr(x, "dtype", x) if not isinstance(x, type) else x


def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    """Whether a dtype, or an array's, can be converted to another.

    Parameters
    ----------
    from_, to
        Dtypes or arrays.
    casting
        What is allowed: "no", "equiv", "safe", "same_kind" or "unsafe".

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> wnp.can_cast(wnp.int32, wnp.float64), wnp.can_cast(wnp.arange(2), wnp.int8)
    (True, False)
    """
    return np.can_cast(_dtype_of(from_), _dtype_of(to), casting)


def finfo(type: Any, /) -> Any:
    """The limits of a floating dtype, or of an array's.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> float(wnp.finfo(wnp.float32).eps)
    1.1920928955078125e-07
    """
    return np.finfo(_dtype_of(type))


def iinfo(type: Any, /) -> Any:
    """The limits of an integer dtype, or of an array's.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> wnp.iinfo(wnp.int8).max
    127
    """
    return np.iinfo(_dtype_of(type))


# -- inspection --------------------------------------------------------------------------------------------------------

_KINDS: dict[str, str] = {"b": "bool", "i": "signed integer", "u": "unsigned integer", "f": "real floating",
                          "c": "complex floating"}  # fmt: skip
_DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
           "complex64", "complex128")  # fmt: skip


class NamespaceInfo:
    """What `weft.numpy` can do, as the array API standard asks for it.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> wnp.__array_namespace_info__().default_dtypes()["real floating"]
    dtype('float64')
    """

    def capabilities(self) -> dict[str, Any]:
        """Whether sizes may depend on data, and how many axes an array may have."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Any:
        """Where new arrays are."""
        return _runtime.default_device()

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype[Any]]:
        """The dtypes that new arrays have."""
        return {
            "real floating": dtypes.default_float(),
            "complex floating": dtypes.default_complex(),
            "integral": dtypes.default_int(),
            "indexing": dtypes.default_int(),
        }

    def devices(self) -> list[Any]:
        """The devices of this process."""
        from weft.runtime.devices import devices, gpus

        try:
            return [*devices("cpu"), *gpus()]
        except RuntimeError:  # there are none
            return devices("cpu")

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, np.dtype[Any]]:
        """The dtypes of a kind, by name; of all kinds if none is given."""
        found = {name: np.dtype(name) for name in _DTYPES}
        return {n: d for n, d in found.items() if kind is None or np.isdtype(d, kind)}


def __array_namespace_info__() -> NamespaceInfo:
    """The standard's questions about this namespace.

    Returns
    -------
    NamespaceInfo
        With ``capabilities``, ``default_device``, ``default_dtypes``, ``devices`` and ``dtypes``.
    """
    return NamespaceInfo()
