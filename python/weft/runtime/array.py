"""`weft.Array`: an immutable device array."""

from __future__ import annotations

import functools
import math
import operator
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from weft import _runtime
from weft.runtime import eager

#: The functions of `weft.numpy` that operators are, and NumPy's ufuncs with them.
_NAMES: dict[Any, str] = {
    operator.add: "add", operator.sub: "subtract", operator.mul: "multiply", operator.truediv: "true_divide",
    operator.floordiv: "floor_divide", operator.mod: "remainder", operator.pow: "power", operator.matmul: "matmul",
    operator.and_: "bitwise_and", operator.or_: "bitwise_or", operator.xor: "bitwise_xor",
    operator.lshift: "left_shift", operator.rshift: "right_shift", operator.eq: "equal", operator.ne: "not_equal",
    operator.lt: "less", operator.le: "less_equal", operator.gt: "greater", operator.ge: "greater_equal",
    operator.neg: "negative", operator.pos: "positive", operator.invert: "invert", operator.abs: "absolute",
}  # fmt: skip


def _staged(*values: Any) -> bool:
    """Whether staged values are among operands or in a key (nothing is, before the staging code is loaded)."""
    module = sys.modules.get("weft.numpy.registry")
    return module is not None and module.has_staged(values)


def _plain(x: Any) -> Any:
    """An operand for NumPy."""
    if isinstance(x, Array):
        return x._view()
    if isinstance(x, list | tuple):
        return type(x)([_plain(v) for v in x])
    return x


def _wrap(x: Any) -> Any:
    """A fresh NumPy result as an array."""
    if x is NotImplemented:
        return x
    a = np.asarray(x)
    return Array.from_numpy(a, copy=a.base is not None and not isinstance(a.base, Array))


def _binary(op: Callable[[Any, Any], Any], swap: bool = False) -> Any:
    name = _NAMES[op]

    def method(self: Array, other: Any) -> Any:
        if isinstance(other, str | bytes | dict | type(None)) or _staged(other):
            return NotImplemented
        if eager.active and eager.is_elsewhere(self, other):
            return eager.apply(name, other, self) if swap else eager.apply(name, self, other)
        x, y = self._view(), _plain(other)
        with np.errstate(all="ignore"):
            return _wrap(op(y, x) if swap else op(x, y))

    return method


def _unary(op: Callable[[Any], Any]) -> Any:
    name = _NAMES[op]

    def method(self: Array) -> Any:
        if eager.active and eager.is_elsewhere(self):
            return eager.apply(name, self)
        return _wrap(op(self._view()))

    return method


def _elsewhere(function: Any) -> Any:
    """Decorates a method of NumPy's; on another device than the CPU it is compiled."""
    name = function.__name__

    @functools.wraps(function)
    def method(self: Array, *args: Any, **kwargs: Any) -> Any:
        if eager.active and eager.is_elsewhere(self, args):
            return eager.apply("method", self, name, *args, **kwargs)
        return function(self, *args, **kwargs)

    return method


def _attribute(name: str, doc: str) -> Any:
    def get(self: Array) -> Any:
        if eager.active and eager.is_elsewhere(self):
            return eager.apply("attribute", self, name)
        return _wrap(getattr(self._view(), name))

    return property(get, doc=doc)


def _delegate(name: str) -> Any:
    """A method that is a function of `weft.numpy` with the array as its first argument."""

    def method(self: Array, *args: Any, **kwargs: Any) -> Any:
        import weft.numpy

        return getattr(weft.numpy, name)(self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"`weft.numpy.{name}` of this array."
    return method


class Array(_runtime.ArrayBase):
    """An immutable array on a device.

    Results of weft's functions are instances. It has NumPy's operators and methods, which give new arrays; NumPy reads
    it without a copy. ``x.at[index].set(value)`` takes the place of ``x[index] = value``.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> x = wnp.arange(3.0)
    >>> x.at[1].add(10)
    Array([ 0., 11.,  2.])
    """

    __slots__ = ()
    __module__ = "weft"
    __array_priority__ = 100  # so that `ndarray + Array` asks us
    __hash__ = None  # type: ignore[assignment]

    # -- Python's protocols ----------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return np.array_repr(self._view()).replace("array(", "Array(", 1)

    def __str__(self) -> str:
        return str(self._view())

    def __format__(self, spec: str) -> str:
        return format(self._view()[()], spec) if not self.ndim else format(self._view(), spec)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __contains__(self, x: Any) -> bool:
        return _plain(x) in self._view()

    def __bool__(self) -> bool:
        return bool(self._view())

    def __int__(self) -> int:
        return int(self._view())

    def __float__(self) -> float:
        return float(self._view())

    def __complex__(self) -> complex:
        return complex(self._view())

    def __index__(self) -> int:
        return operator.index(self._view())

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.item()) if digits is None else self.round(digits)

    def __getitem__(self, key: Any) -> Any:
        if _staged(key):
            from weft.staged.indexing import getitem
            from weft.staged.value import lift

            return getitem(lift(self), key)
        if eager.active and eager.is_elsewhere(self, key):
            return eager.apply("getitem", self, key)
        return _wrap(self._view()[_plain(key)])

    def __reduce__(self) -> Any:
        return _rebuild, (np.array(self._view()),)

    def __copy__(self) -> Array:
        return self

    def __deepcopy__(self, memo: Any) -> Array:
        return self

    # -- operators -------------------------------------------------------------------------------------------------

    __add__, __radd__ = _binary(operator.add), _binary(operator.add, True)
    __sub__, __rsub__ = _binary(operator.sub), _binary(operator.sub, True)
    __mul__, __rmul__ = _binary(operator.mul), _binary(operator.mul, True)
    __truediv__, __rtruediv__ = _binary(operator.truediv), _binary(operator.truediv, True)
    __floordiv__, __rfloordiv__ = _binary(operator.floordiv), _binary(operator.floordiv, True)
    __mod__, __rmod__ = _binary(operator.mod), _binary(operator.mod, True)
    __pow__, __rpow__ = _binary(operator.pow), _binary(operator.pow, True)
    __matmul__, __rmatmul__ = _binary(operator.matmul), _binary(operator.matmul, True)
    __and__, __rand__ = _binary(operator.and_), _binary(operator.and_, True)
    __or__, __ror__ = _binary(operator.or_), _binary(operator.or_, True)
    __xor__, __rxor__ = _binary(operator.xor), _binary(operator.xor, True)
    __lshift__, __rlshift__ = _binary(operator.lshift), _binary(operator.lshift, True)
    __rshift__, __rrshift__ = _binary(operator.rshift), _binary(operator.rshift, True)
    __eq__, __ne__ = _binary(operator.eq), _binary(operator.ne)  # type: ignore[assignment]
    __lt__, __le__, __gt__, __ge__ = map(_binary, (operator.lt, operator.le, operator.gt, operator.ge))
    __neg__, __pos__, __invert__ = _unary(operator.neg), _unary(operator.pos), _unary(operator.invert)
    __abs__ = _unary(operator.abs)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    # -- methods ---------------------------------------------------------------------------------------------------

    all, any, argmax, argmin = map(_delegate, ("all", "any", "argmax", "argmin"))
    argsort, choose, clip, compress = map(_delegate, ("argsort", "choose", "clip", "compress"))
    conj = conjugate = _delegate("conjugate")
    cumprod, cumsum, diagonal, dot = map(_delegate, ("cumprod", "cumsum", "diagonal", "dot"))
    max, mean, min, nonzero = map(_delegate, ("max", "mean", "min", "nonzero"))
    prod, ptp, ravel, repeat = map(_delegate, ("prod", "ptp", "ravel", "repeat"))
    round, searchsorted, sort, squeeze = map(_delegate, ("round", "searchsorted", "sort", "squeeze"))
    std, sum, swapaxes, take = map(_delegate, ("std", "sum", "swapaxes", "take"))
    trace, var = map(_delegate, ("trace", "var"))

    T = _attribute("T", "The axes in reverse order.")
    mT = _attribute("mT", "The last two axes swapped.")
    real = _attribute("real", "The real part.")
    imag = _attribute("imag", "The imaginary part.")

    @property
    def at(self) -> Any:
        """``x.at[key].set(v)``, ``add``, ``multiply``, ...: the array with a place changed."""
        from weft.runtime.at import AtHelper

        return AtHelper(self)

    @_elsewhere
    def astype(self, dtype: Any, copy: bool = True) -> Array:
        """The array converted to a dtype.

        Parameters
        ----------
        dtype
            The dtype.
        copy
            Accepted for NumPy's sake: arrays are immutable.
        """
        return self if np.dtype(dtype) == self.dtype else _wrap(self._view().astype(dtype))

    def reshape(self, *shape: Any, order: Any = "C") -> Array:
        """The same elements in another shape; one size may be -1."""
        if eager.active and eager.is_elsewhere(self):
            dims = _full_shape(self.size, _plain(shape))
            return self._reshaped(dims) if order == "C" else eager.apply("method", self, "reshape", dims, order=order)
        return _wrap(self._view().reshape(*_plain(shape), order=order))

    @_elsewhere
    def transpose(self, *axes: Any) -> Array:
        """The axes in another order, reversed if none is given."""
        return _wrap(self._view().transpose(*axes))

    @_elsewhere
    def flatten(self, order: Any = "C") -> Array:
        """The elements in one row."""
        return _wrap(self._view().flatten(order))

    def copy(self) -> Array:
        """The array itself, since it never changes."""
        return self

    def item(self, *args: Any) -> Any:
        """One element as a Python scalar."""
        return self._view().item(*args)

    def tolist(self) -> Any:
        """The elements as nested lists."""
        return self._view().tolist()

    def tobytes(self, order: Any = "C") -> bytes:
        """The elements' bytes."""
        return self._view().tobytes(order)

    def devices(self) -> set[_runtime.Device]:
        """The devices that hold the elements."""
        return {self.device}


def _full_shape(size: int, shape: Any) -> tuple[int, ...]:
    """The shape that `reshape` was asked for, with -1 replaced."""
    given = shape[0] if len(shape) == 1 and not hasattr(shape[0], "__index__") else shape
    dims = tuple(operator.index(n) for n in given)
    known = math.prod([n for n in dims if n != -1])
    if dims.count(-1) > 1:
        raise ValueError("can only specify one unknown dimension")
    fits = known > 0 and size % known == 0 if -1 in dims else known == size
    if min(dims, default=0) < -1 or not fits:
        raise ValueError(f"cannot reshape array of size {size} into shape {dims}")
    return tuple(size // known if n == -1 else n for n in dims)


def _rebuild(data: np.ndarray[Any, Any]) -> Array:
    return Array.from_numpy(data, copy=False)


_runtime.set_array_class(Array)
