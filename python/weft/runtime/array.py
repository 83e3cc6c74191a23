"""`weft.Array`: an immutable device array."""

from __future__ import annotations

import contextvars
import functools
import math
import operator
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from weft import _runtime
from weft.runtime import eager
from weft.runtime.missing import MISSING

if TYPE_CHECKING:
    from weft.runtime.sharding import Shard, Sharding

#: The functions of `weft.numpy` that operators are, by their names in the module `operator`.
_NAMES = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "power", "matmul": "matmul", "and_": "bitwise_and", "or_": "bitwise_or",
    "xor": "bitwise_xor", "lshift": "left_shift", "rshift": "right_shift", "eq": "equal", "ne": "not_equal",
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "neg": "negative", "pos": "positive",
    "invert": "invert", "abs": "absolute",
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
    base = a.base
    while type(base) is np.ndarray and base.base is not None:
        base = base.base
    return Array.from_numpy(a, copy=base is not None and not isinstance(base, Array))


def _is_operand(x: Any) -> bool:
    """Whether arrays take ``x`` for an operand; else its own class is asked."""
    if isinstance(x, Array | np.ndarray | np.generic | int | float | complex | list | tuple):
        return not isinstance(x, np.ma.MaskedArray)  # its mask would be lost
    kind = type(x)
    asks = getattr(kind, "__array_ufunc__", 0) is None or getattr(kind, "__array_priority__", 0) > 100
    return hasattr(kind, "__array__") and not asks and not _staged(x)


def _operate(name: str, x: Any, *other: Any) -> Any:
    """An operator where C++ leaves it to Python: on other devices, with other operands than arrays and numbers."""
    if not all(map(_is_operand, (x, *other))):
        return NotImplemented
    if eager.active and eager.is_elsewhere(x, *other):
        return eager.apply(_NAMES[name], x, *other)
    with np.errstate(all="ignore"):
        return _wrap(getattr(operator, name)(*map(_plain, (x, *other))))


def _subscript(x: Array, key: Any) -> Any:
    """``x[key]`` where C++ leaves it to Python."""
    if _staged(key):
        from weft.staged.indexing import getitem
        from weft.staged.value import lift

        return getitem(lift(x), key)
    if eager.active and eager.is_elsewhere(x, key):
        found = _pieces().row(x, key)
        return eager.apply("getitem", x, key) if found is None else found
    return _wrap(x._view()[_plain(key)])


@functools.cache
def _pieces() -> Any:
    from weft.runtime import pieces

    return pieces


def _conditions() -> tuple[Any, Any]:
    """NumPy's context variable for floating-point conditions, and its value when none is reported."""
    context = contextvars.copy_context()
    before = dict(context.items())
    context.run(np.seterr, all="ignore")
    ((variable, value),) = [(k, v) for k, v in context.items() if before.get(k) is not v]
    return variable, value


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
        return _runtime.placed(_wrap(getattr(self._view(), name)), self)

    return property(get, doc=doc)


def _delegate(name: str) -> Any:
    """A method that is a function of `weft.numpy` with the array as its first argument."""

    def method(self: Array, *args: Any, **kwargs: Any) -> Any:
        return _function(name)(self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"`weft.numpy.{name}` of this array."
    return method


@functools.cache
def _function(name: str) -> Any:
    import weft.numpy

    return getattr(weft.numpy, name)


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

    def __reversed__(self) -> Iterator[Any]:
        return iter(self[::-1]) if self.ndim else iter(self)

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

    def __trunc__(self) -> Any:
        return math.trunc(self.item())

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.item()) if digits is None else self.round(digits)

    def __reduce__(self) -> Any:
        return _rebuild, (np.array(self._view()),)

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self.nbytes

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"a weft.Array has no attribute {name!r}{MISSING.get(name, '')}")

    def __copy__(self) -> Array:
        return self

    def __deepcopy__(self, memo: Any) -> Array:
        return self

    # -- other libraries -------------------------------------------------------------------------------------------

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """`weft.numpy`, as the array API standard asks for it."""
        if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
            raise ValueError(f"weft.numpy follows the array API standard up to 2024.12, not {api_version!r}")
        import weft.numpy

        return weft.numpy

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Any:
        """The elements for another library, through DLPack.

        Memory is shared, marked read-only. A consumer older than DLPack 1.0 knows no such mark, and gets a copy.
        """
        if self.__dlpack_device__()[0] != 1 and dl_device != (1, 0):
            raise BufferError(f"an array of {self.device} is not exported yet: pass numpy.asarray(x)")
        if dl_device not in (None, (1, 0)):
            raise BufferError(f"an array of the CPU is not exported to the DLPack device {dl_device}")
        marks = max_version is not None and max_version[0] >= 1
        if copy is False and not marks:
            raise BufferError("an immutable array is shared only with a consumer of DLPack 1.0 or later")
        if marks and not copy:
            return self._view().__dlpack__(max_version=max_version)  # type: ignore[call-arg]
        own = np.array(self._view())
        return own.__dlpack__(max_version=max_version) if marks else own.__dlpack__()  # type: ignore[call-arg]

    def to_device(self, device: Any, /, *, stream: Any = None) -> Array:
        """The array on a device; `weft.device_put`."""
        if stream is not None:
            raise ValueError("weft has no streams to choose from: stream=None")
        from weft.runtime.devices import device_put

        moved: Array = device_put(self, device)
        return moved

    # -- methods ---------------------------------------------------------------------------------------------------

    all, any, argmax, argmin = map(_delegate, ("all", "any", "argmax", "argmin"))
    argpartition, argsort, choose = map(_delegate, ("argpartition", "argsort", "choose"))
    conj = conjugate = _delegate("conjugate")
    cumprod, cumsum, diagonal = map(_delegate, ("cumprod", "cumsum", "diagonal"))
    dot, max, mean, min, nonzero = map(_delegate, ("dot", "max", "mean", "min", "nonzero"))
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
        return _at()(self)

    @_elsewhere
    def astype(
        self, dtype: Any, order: Any = "K", casting: Any = "unsafe", subok: Any = True, copy: bool = True,
        device: Any = None,
    ) -> Array:  # fmt: skip
        """The array converted to a dtype.

        Parameters
        ----------
        dtype
            The dtype.
        casting
            Which conversions are allowed, as in NumPy.
        order, subok, copy
            Accepted for NumPy's sake: arrays are immutable, and row-major.
        device
            Where to put the result.
        """
        same = np.dtype(dtype) == self.dtype
        made = self if same else _on_view(np.ndarray.astype, self, dtype, casting=casting)
        return made if device is None else made.to_device(device)

    def clip(self, min: Any = None, max: Any = None) -> Array:
        """The elements, none below ``min`` or above ``max``."""
        return _function("clip")(self, min, max)  # type: ignore[no-any-return]

    def compress(self, condition: Any, axis: Any = None) -> Array:
        """Slices along an axis where the condition holds."""
        return _function("compress")(condition, self, axis)  # type: ignore[no-any-return]

    @_elsewhere
    def byteswap(self, inplace: bool = False) -> Array:
        """The elements with their bytes in reverse order."""
        if inplace:
            raise ValueError("a weft.Array is immutable: write x = x.byteswap()")
        return _on_view(np.ndarray.byteswap, self)

    @_elsewhere
    def view(self, dtype: Any = None, type: Any = None) -> Array:
        """The same bytes read as another dtype; sizes of elements may differ, which changes the last axis."""
        if type is not None:
            raise TypeError("view(): arrays have no other type; numpy.asarray(x).view(type=...) has")
        return self if dtype is None else _on_view(np.ndarray.view, self, dtype)

    def reshape(self, *shape: Any, order: Any = "C", copy: Any = None) -> Array:
        """The same elements in another shape; one size may be -1."""
        if eager.active and eager.is_elsewhere(self):
            dims = _full_shape(self.size, _plain(shape))
            return self._reshaped(dims) if order == "C" else eager.apply("method", self, "reshape", dims, order=order)
        return _on_view(np.ndarray.reshape, self, *shape, order=order)

    @_elsewhere
    def transpose(self, *axes: Any) -> Array:
        """The axes in another order, reversed if none is given."""
        return _on_view(np.ndarray.transpose, self, *axes)

    @_elsewhere
    def flatten(self, order: Any = "C") -> Array:
        """The elements in one row."""
        return _on_view(np.ndarray.flatten, self, order)

    def copy(self, order: Any = "C") -> Array:
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

    # -- what JAX's arrays have ------------------------------------------------------------------------------------

    @property
    def sharding(self) -> Sharding:
        """How the array is divided over devices."""
        from weft.runtime.sharding import SingleDeviceSharding

        return self._sharding or SingleDeviceSharding(self.device)

    def devices(self) -> set[_runtime.Device]:
        """The devices that hold the elements."""
        return self._sharding.device_set if self._sharding is not None else {self.device}

    @property
    def addressable_shards(self) -> list[Shard]:
        """The pieces of the devices of this process."""
        from weft.runtime.sharding import shards_of

        return shards_of(self, self.sharding)

    @property
    def global_shards(self) -> list[Shard]:
        """The pieces of all devices."""
        return self.addressable_shards

    def addressable_data(self, index: int) -> Array:
        """The piece of a device."""
        return self.addressable_shards[index].data  # type: ignore[no-any-return]

    @property
    def weak_type(self) -> bool:
        """False: only Python's numbers give way in promotion."""
        return False

    @property
    def is_fully_addressable(self) -> bool:
        """True: the array lies on devices of this process."""
        return True

    @property
    def is_fully_replicated(self) -> bool:
        """Whether each of its devices has the whole array."""
        return self._sharding is None or self._sharding.is_fully_replicated

    def is_deleted(self) -> bool:
        """False: memory is freed with the last reference."""
        return False

    def copy_to_host_async(self) -> None:
        """Nothing: elements are copied to the host when they are read there."""


def _on_view(method: Any, x: Array, *args: Any, **kwargs: Any) -> Any:
    """A method of NumPy's arrays."""
    return _runtime.call_eagerly(method, (x, *args), kwargs)


@functools.cache
def _at() -> Any:
    from weft.runtime.at import AtHelper

    return AtHelper


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
_runtime.set_assembler(lambda x: _pieces().to_host(x))
_runtime.set_operators(_operate, _subscript, *_conditions())
