"""The attributes and methods of staged arrays, attached to `Staged`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from weft.ir.nodes import Atom
from weft.ir.types import ArrayType
from weft.numpy import cumulative, elementwise, products, reductions, search, shape, sorting
from weft.numpy.at import AtHelper
from weft.numpy.common import array, cast, current, emit, of, op_error, prim, product, size_object, unsupported
from weft.numpy.registry import ENTRIES, Entry
from weft.numpy.ufuncs import UFUNCS
from weft.runtime.missing import MISSING
from weft.staged import arith
from weft.staged.indexing import setitem
from weft.staged.value import Staged, View, join_flavours, lift, py_kind, wrap


class Attribute:
    """An attribute of arrays and NumPy scalars, which Python numbers lack."""

    def __init__(self, name: str, get: Callable[[Staged], Any], python: bool = False) -> None:
        self.name = name
        self.get = get
        self.python = python

    def __get__(self, x: Staged | None, owner: type | None = None) -> Any:
        if x is None:
            return self
        if x.flavour == "py" and not self.python:
            raise op_error(AttributeError, f"'{py_kind(x.dtype).__name__}' object has no attribute '{self.name}'")
        return self.get(x)


def attribute(name: str, *, python: bool = False) -> Callable[[Callable[[Staged], Any]], Any]:
    """Attach a property to `Staged`."""

    def decorate(get: Callable[[Staged], Any]) -> Any:
        setattr(Staged, name, Attribute(name, get, python))
        return get

    return decorate


def method(name: str, impl: Callable[..., Any]) -> None:
    """Attach a function as a method of `Staged`; results have the array's flavour."""
    entry = ENTRIES.get(impl) or Entry(name, impl, impl)

    def get(x: Staged) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            return entry.stage(x.flavour, (x, *args), kwargs)

        call.__name__ = name
        call.__doc__ = impl.__doc__
        return call

    setattr(Staged, name, Attribute(name, get))


_METHODS: dict[str, Callable[..., Any]] = {
    "sum": reductions.sum, "prod": reductions.prod, "mean": reductions.mean, "var": reductions.var,
    "std": reductions.std, "max": reductions.max, "min": reductions.min, "ptp": reductions.ptp, "any": reductions.any,
    "all": reductions.all, "argmax": reductions.argmax, "argmin": reductions.argmin, "cumsum": cumulative.cumsum,
    "cumprod": cumulative.cumprod, "argsort": sorting.argsort, "argpartition": sorting.argpartition,
    "searchsorted": sorting.searchsorted,
    "dot": products.dot, "trace": shape.trace, "diagonal": shape.diagonal, "swapaxes": shape.swapaxes,
    "squeeze": shape.squeeze, "ravel": shape.ravel, "take": search.take, "nonzero": search.nonzero,
    "choose": search.choose, "round": elementwise.round_,
    "conj": UFUNCS[np.conjugate],
}  # fmt: skip


def _repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    """Each element several times."""
    from weft.numpy.joining import repeat

    return repeat(a, repeats, axis)


def _clip(a: Any, min: Any = None, max: Any = None, out: Any = None) -> Any:
    """The elements, none below ``min`` or above ``max``."""
    return elementwise.clip(a, min, max)


def _compress(a: Any, condition: Any, axis: Any = None, out: Any = None) -> Any:
    """Slices along an axis where the condition holds."""
    return search.compress(condition, a, axis)


def _reshape(a: Any, *sizes: Any, order: Any = "C", copy: Any = None) -> Any:
    """The same elements in another shape."""
    one = len(sizes) == 1 and isinstance(sizes[0], list | tuple)
    return shape.reshape(a, sizes[0] if one else sizes, order)


def _transpose(a: Any, *axes: Any) -> Any:
    """The axes in another order."""
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], list | tuple)):
        return shape.transpose(a, axes[0])
    return shape.transpose(a, axes or None)


def _flatten(a: Any, order: Any = "C") -> Any:
    """A flat copy."""
    return shape.ravel(array(a), order)


def _astype(x: Any, dtype: Any, order: Any = "K", casting: Any = "unsafe", subok: Any = True, copy: Any = True) -> Any:
    """The array converted to a dtype: a copy."""
    target = np.dtype(dtype)
    if not np.can_cast(x.dtype, target, casting):
        raise op_error(
            TypeError, f"Cannot cast array data from {x.dtype!r} to {target!r} according to the rule '{casting}'"
        )
    if copy is False and target == x.dtype:
        return x
    return of(cast(array(x).atom, target))


def _copy(x: Any, order: Any = "C") -> Any:
    """A copy."""
    return of(array(x).atom)


def _fill(x: Any, value: Any) -> None:
    """Set all elements, in place."""
    setitem(x, ..., value)


def _sort(x: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """Sort in place; a weft array gives a sorted copy."""
    out = sorting.sort(x, axis)
    if x.flavour == "weft":
        return out
    if x.cell is None:
        raise op_error(TypeError, "a scalar has no axis to sort")
    x.put(out.atom)
    return None


def _partition(x: Any, kth: Any, axis: Any = -1, kind: Any = None, order: Any = None) -> None:
    """Bring the element of a sorted array to its place, smaller ones before it, in place."""
    if x.flavour == "weft":
        raise op_error(AttributeError, f"a weft.Array has no attribute 'partition'{MISSING['partition']}")
    _sort(x, axis)


@dataclass(frozen=True, slots=True)
class BitsView(View):
    """The same bits read as another dtype of that size."""

    old: np.dtype[Any]
    new: np.dtype[Any]

    def get(self, base: Atom) -> Atom:
        out: Atom = prim("bitcast")(base, dtype=self.new)
        return out

    def put(self, base: Atom, value: Atom) -> Atom:
        out: Atom = prim("bitcast")(value, dtype=self.old)
        return out


def _view(x: Any, dtype: Any = None, type: Any = None) -> Any:
    """The same bytes read as another dtype."""
    target = x.dtype if dtype is None else np.dtype(dtype)
    if type is not None:
        raise unsupported("x.view(type=...)", "arrays of compiled code have no other type")
    if target == x.dtype:
        return x
    if target.itemsize != x.dtype.itemsize or not {target.kind, x.dtype.kind} <= set("iuf"):
        raise unsupported(
            f"a view of {x.dtype} as {target}", "weft.lax.bitcast_convert_type reads integers and floats in parts"
        )
    return x.viewed(BitsView(x.dtype, target), ArrayType(target, x.type.shape))


def _to_device(x: Any, device: Any, *, stream: Any = None) -> Any:
    """Compiled code runs where its arguments lie."""
    raise unsupported("x.to_device(device) in compiled code", "move the arguments or the results, with weft.device_put")


def _namespace(x: Any, *, api_version: Any = None) -> Any:
    """The module of the functions for this array."""
    return importlib.import_module("weft.numpy") if x.flavour == "weft" else np


def _item(x: Any, *args: Any) -> Any:
    """One element as a Python scalar."""
    from weft.staged.indexing import getitem

    if args:
        key = args[0] if len(args) == 1 and isinstance(args[0], tuple) else args
        v = getitem(x, key) if len(key) == x.ndim else getitem(shape.ravel(array(x)), key[0])
        return wrap(v.atom, "py")
    if any(n != 1 for n in x.sizes) and current().number(product(x.sizes)) != 1:
        raise op_error(ValueError, "can only convert an array of size 1 to a Python scalar")
    a = emit("reshape", x, shape=()).atom if x.sizes else x.atom
    return wrap(cast(a, np.dtype({"b": bool, "i": int, "u": int, "f": float, "c": complex}[x.dtype.kind])), "py")


def _tolist(x: Any) -> Any:
    """Nested lists of the elements, when the shape is known."""
    if not x.sizes:
        return _item(x)
    if not all(isinstance(n, int) for n in x.sizes):
        raise unsupported("tolist() of an array of run-time length", "keep the array")
    from weft.staged.indexing import getitem

    return [_tolist(getitem(x, k)) for k in range(x.sizes[0])]


_METHODS |= {
    "clip": _clip, "compress": _compress, "repeat": _repeat, "reshape": _reshape, "transpose": _transpose,
    "flatten": _flatten, "astype": _astype, "copy": _copy, "fill": _fill, "sort": _sort, "partition": _partition,
    "view": _view, "to_device": _to_device, "__array_namespace__": _namespace,
}  # fmt: skip
for _name, _impl in _METHODS.items():
    method(_name, _impl)

setattr(Staged, "item", Attribute("item", lambda x: lambda *args: _item(x, *args)))  # noqa: B010
setattr(Staged, "tolist", Attribute("tolist", lambda x: lambda: _tolist(x)))  # noqa: B010
setattr(Staged, "block_until_ready", Attribute("block_until_ready", lambda x: lambda: x))  # noqa: B010
setattr(Staged, "copy_to_host_async", Attribute("copy_to_host_async", lambda x: lambda: None))  # noqa: B010
setattr(Staged, "is_deleted", Attribute("is_deleted", lambda x: lambda: False))  # noqa: B010


# -- attributes --------------------------------------------------------------------------------------------------------


def _flavoured(x: Staged, result: Any) -> Any:
    return result if result.flavour == x.flavour else wrap(result.atom, x.flavour)


attribute("T")(lambda x: _flavoured(x, shape.transpose(x)))
attribute("mT")(lambda x: _flavoured(x, shape.matrix_transpose(x)))
attribute("real", python=True)(lambda x: _flavoured(x, elementwise.real(x)))
attribute("imag", python=True)(lambda x: _flavoured(x, elementwise.imag(x)))
attribute("size")(lambda x: size_object(product(x.sizes)))
attribute("itemsize")(lambda x: x.dtype.itemsize)
attribute("nbytes")(lambda x: size_object(product([*x.sizes, x.dtype.itemsize])))
attribute("at")(lambda x: AtHelper(x))
attribute("weak_type")(lambda x: False)


@attribute("conjugate", python=True)
def _conjugate(x: Staged) -> Any:
    return lambda: _flavoured(x, UFUNCS[np.conjugate](x)) if x.dtype.kind == "c" else arith.pos(x)


@attribute("is_integer", python=True)
def _is_integer(x: Staged) -> Any:
    if x.flavour != "py" or x.dtype.kind != "f":
        raise op_error(AttributeError, "only Python floats have is_integer()")
    return lambda: wrap(emit("bitand", emit("isfinite", x), emit("eq", emit("floor", x), x)).atom, "py")


def _matmul(x: Any, y: Any) -> Any:
    flavour = join_flavours(*[v.flavour for v in map(lift, (x, y))])
    return wrap(products.matmul(x, y).atom, flavour)


def _imatmul(x: Staged, y: Any) -> Any:
    if x.cell is None:
        return _matmul(x, y)
    setitem(x, ..., products.matmul(x, y))
    return x


setattr(Staged, "__matmul__", _matmul)  # noqa: B010
setattr(Staged, "__rmatmul__", lambda x, y: _matmul(y, x))  # noqa: B010
setattr(Staged, "__imatmul__", _imatmul)  # noqa: B010
setattr(Staged, "__divmod__", lambda x, y: (arith.floordiv(x, y), arith.mod(x, y)))  # noqa: B010
setattr(Staged, "__rdivmod__", lambda x, y: (arith.floordiv(y, x), arith.mod(y, x)))  # noqa: B010


def _round_operator(x: Staged, digits: Any = None) -> Any:
    out = elementwise.round_(x, 0 if digits is None else digits)
    if x.flavour != "py":
        return wrap(out.atom, x.flavour)
    if digits is None:
        return arith.to_py(wrap(out.atom, "py"), int)
    return wrap(out.atom, "py")


setattr(Staged, "__round__", _round_operator)  # noqa: B010
