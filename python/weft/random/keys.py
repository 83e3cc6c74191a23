"""Keys: made from seeds, split, and combined with numbers.

A key is an array of two words, ``uint32[2]`` (`PRNGKey`), or a `KeyArray` (`key`), which is a container of such an
array that cannot be mistaken for numbers. Functions take either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.random.arguments import Shape, count, dims, operation, shape_of
from weft.staged.value import Staged
from weft.tree_util import register_pytree_node

Words = tuple[Any, Any]

threefry = operation("threefry")

_NAME, _TAG = "threefry2x32", "fry"
_U32 = np.dtype(np.uint32)


class KeyType:
    """The dtype of `KeyArray`: ``key<fry>``."""

    name = f"key<{_TAG}>"
    itemsize = 8
    kind = "V"

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyType)

    def __hash__(self) -> int:
        return hash(self.name)


class KeyArray:
    """An array of keys.

    Keys are made by `weft.random.key` and `weft.random.split`; they are indexed, iterated over, reshaped and compared
    as arrays are, and no arithmetic is defined for them. `weft.random.key_data` gives their words.
    """

    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None

    def __init__(self, data: Any) -> None:
        self._data = data

    @property
    def shape(self) -> Shape:
        """The sizes."""
        return dims(self._data)[:-1]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> Any:
        """The number of keys."""
        return count(self.shape)

    @property
    def dtype(self) -> KeyType:
        """``key<fry>``."""
        return KeyType()

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return len(self._data)

    def __iter__(self) -> Iterator[KeyArray]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d key array")
        return (KeyArray(self._data[i]) for i in range(len(self)))

    def __getitem__(self, index: Any) -> KeyArray:
        items = index if isinstance(index, tuple) else (index,)
        return KeyArray(
            self._data[(*items, slice(None)) if ... in [i for i in items if i is ...] else (*items, ..., slice(None))]
        )

    def __eq__(self, other: object) -> Any:
        return self._same(other)

    def __ne__(self, other: object) -> Any:
        return wnp.logical_not(self._same(other))

    def _same(self, other: object) -> Any:
        if not isinstance(other, KeyArray):
            raise TypeError(f"keys are compared with keys, not with {type(other).__name__}")
        return wnp.all(self._data == other._data, axis=-1)

    def reshape(self, *shape: Any) -> KeyArray:
        """The same keys in another shape."""
        sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], list | tuple) else shape
        return KeyArray(wnp.reshape(self._data, (*_filled(sizes, self.size), 2)))

    def flatten(self) -> KeyArray:
        """The keys along one axis."""
        return self.reshape(self.size)

    ravel = flatten

    def copy(self) -> KeyArray:
        """A copy."""
        return KeyArray(wnp.array(self._data))

    def block_until_ready(self) -> KeyArray:
        """Wait until the keys are computed; returns them."""
        self._data.block_until_ready()
        return self

    def __bool__(self) -> bool:
        raise TypeError("key array cannot be converted to boolean.")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("an array of keys cannot be converted to a NumPy array: take weft.random.key_data(keys)")

    def __repr__(self) -> str:
        return f"Array({self.shape}, dtype={self.dtype.name}) overlaying:\n{self._data}"

    def __getattr__(self, name: str) -> Any:
        if name == "_data":  # while it is unpickled
            raise AttributeError(name)
        raise AttributeError(f"arrays of keys have no attribute {name!r}")


register_pytree_node(KeyArray, lambda keys: ((keys._data,), _TAG), lambda aux, children: KeyArray(*children))


def _filled(shape: Any, size: Any) -> tuple[Any, ...]:
    """A shape in which -1 is replaced by what is left."""
    known = 1
    for s in shape:
        known = known * (1 if isinstance(s, int) and s == -1 else s)
    return tuple([size // known if isinstance(s, int) and s == -1 else s for s in shape])


# -- words -------------------------------------------------------------------------------------------------------------


def high(pair: Any) -> Any:
    """The first word of a pair."""
    return wnp.right_shift(pair, np.uint64(32)).astype(_U32)


def low(pair: Any) -> Any:
    """The second word of a pair."""
    return pair.astype(_U32)


def counts(shape: Shape) -> Words:
    """The positions of a shape's elements in row-major order, as pairs of words."""
    if not shape:
        return np.uint32(0), np.uint32(0)
    n = count(shape)
    if isinstance(n, int) and n < 2**32:
        return np.uint32(0), wnp.reshape(wnp.arange(n, dtype=_U32), shape)
    positions = wnp.reshape(wnp.arange(n), shape)
    return wnp.right_shift(positions, 32).astype(_U32), positions.astype(_U32)


def data_of(name: str, key: Any) -> Any:
    """The words of one or many keys as an array, whose last axis has size 2."""
    if isinstance(key, KeyArray):
        return key._data
    if not all(hasattr(key, a) for a in ("ndim", "shape", "dtype")):
        raise TypeError(f"{name}: a key is made by weft.random.key(seed) or PRNGKey(seed), and is not {key!r}")
    if key.ndim < 1 or key.shape[-1] != 2:
        raise TypeError(f"{name}: the shape of a key's data ends with (2,), and is not {key.shape}")
    if key.dtype != _U32:
        raise TypeError(f"{name}: a key's data has dtype uint32, not {key.dtype}")
    return key


def words_of(name: str, key: Any) -> Words:
    """The words of one key."""
    data = data_of(name, key)
    if data.ndim > 1:
        raise ValueError(
            f"{name} accepts a single key, but was given a key array of shape {tuple(data.shape[:-1])} != (). Use"
            " weft.vmap for batching."
        )
    return data[0], data[1]


def like(key: Any, data: Any) -> Any:
    """Words as a key of the kind that ``key`` is of."""
    return KeyArray(data) if isinstance(key, KeyArray) else data


# -- public ------------------------------------------------------------------------------------------------------------


def _implementation(impl: Any) -> None:
    if impl is None or isinstance(impl, KeyType) or impl == _NAME:
        return
    raise ValueError(f'unrecognized PRNG implementation "{impl}". Did you mean one of: "{_NAME}"?')


def _seed(name: str, seed: Any) -> Any:
    if isinstance(seed, KeyArray):
        raise TypeError(f"{name} accepts a scalar seed, but was given a PRNG key.")
    if dims(seed):
        raise TypeError(
            f"{name} accepts a scalar seed, but was given an array of shape {dims(seed)} != (). Use weft.vmap for"
            " batching"
        )
    if isinstance(seed, int) and not isinstance(seed, np.generic):
        if not -(2**63) <= seed < 2**63:
            raise OverflowError(f"{name}: the seed {seed} does not fit 64 bits")
        value = seed & (2**64 - 1)
        return wnp.asarray(np.array([value >> 32, value & 0xFFFFFFFF], _U32))
    value = wnp.asarray(seed)
    if value.dtype.kind not in "iub":
        raise TypeError(f"PRNG key seed must be an integer; got {seed!r}")
    wide = value.dtype.itemsize == 8
    top = wnp.right_shift(value.astype(np.uint64), np.uint64(32)).astype(_U32) if wide else np.uint32(0)
    return wnp.stack([wnp.asarray(top), value.astype(_U32)])


def PRNGKey(seed: Any, *, impl: Any = None) -> Any:
    """A key made from a seed, as an array of two words.

    Parameters
    ----------
    seed
        An integer of up to 64 bits.
    impl
        None or ``"threefry2x32"``.

    Examples
    --------
    >>> import weft
    >>> weft.random.PRNGKey(42)
    Array([ 0, 42], dtype=uint32)
    """
    _implementation(impl)
    return _seed("PRNGKey", seed)


def key(seed: Any, *, impl: Any = None, dtype: Any = None) -> KeyArray:
    """A key made from a seed.

    Parameters
    ----------
    seed
        An integer of up to 64 bits.
    impl, dtype
        None or ``"threefry2x32"``.

    Examples
    --------
    >>> import weft
    >>> weft.random.key(42).dtype
    key<fry>
    """
    if impl is not None and dtype is not None:
        raise ValueError("Cannot specify both `impl` and `dtype` arguments to weft.random.key")
    _implementation(impl if dtype is None else dtype)
    return KeyArray(_seed("key", seed))


def split(key: Any, num: Any = 2) -> Any:
    """New keys made from a key, which is not to be used again.

    Parameters
    ----------
    key
        A random key.
    num
        How many keys, or the shape of the array of them.

    Examples
    --------
    >>> import weft
    >>> key, subkey = weft.random.split(weft.random.PRNGKey(0))
    >>> subkey
    Array([ 928981903, 3453687069], dtype=uint32)
    """
    words = words_of("split", key)
    pairs = threefry(*words, *counts(shape_of(num)))
    return like(key, wnp.stack([high(pairs), low(pairs)], axis=-1))


def fold_in(key: Any, data: Any) -> Any:
    """A new key made from a key and an integer.

    Parameters
    ----------
    key
        A random key.
    data
        An integer, of which the last 32 bits count; a Python integer must have no more than these.

    Examples
    --------
    >>> import weft
    >>> weft.random.fold_in(weft.random.PRNGKey(0), 7)
    Array([2716826189,  292468403], dtype=uint32)
    """
    words = words_of("fold_in", key)
    if dims(data):
        raise TypeError(
            f"fold_in accepts a scalar, but was given an array of shape {dims(data)} != (). Use weft.vmap for batching."
        )
    if isinstance(data, int) and not isinstance(data, np.generic):
        if not 0 <= data < 2**32:
            raise OverflowError(f"Python integer {data} out of bounds for uint32")
        number: Any = np.uint32(data)
    else:
        number = wnp.asarray(data).astype(_U32)
    pair = threefry(*words, np.uint32(0), number)
    return like(key, wnp.stack([high(pair), low(pair)], axis=-1))


def clone(key: Any) -> Any:
    """The same key; it says that the key is used again on purpose.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.clone(key)
    Array([0, 0], dtype=uint32)
    """
    data = data_of("clone", key)
    return like(key, data)


def key_data(keys: Any) -> Any:
    """The words of keys, an array of uint32 with one more axis, of size 2.

    Examples
    --------
    >>> import weft
    >>> weft.random.key_data(weft.random.key(1))
    Array([0, 1], dtype=uint32)
    """
    return data_of("key_data", keys)


def wrap_key_data(key_bits_array: Any, *, impl: Any = None, dtype: Any = None) -> KeyArray:
    """The keys that have these words: the inverse of `key_data`.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.wrap_key_data(key)
    Array((), dtype=key<fry>) overlaying:
    [0 0]
    """
    if impl is not None and dtype is not None:
        raise ValueError("Cannot specify both `impl` and `dtype` arguments to weft.random.wrap_key_data")
    _implementation(impl if dtype is None else dtype)
    data = data_of("wrap_key_data", key_bits_array)
    return KeyArray(data if isinstance(data, Staged) else wnp.asarray(data))


def key_impl(keys: Any) -> str:
    """The name of the generator that keys are for: ``"threefry2x32"``.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.key_impl(key)
    'threefry2x32'
    """
    data_of("key_impl", keys)
    return _NAME


def key_dtype(impl: Any = None) -> KeyType:
    """The dtype of keys.

    Examples
    --------
    >>> import weft
    >>> weft.random.key_dtype()
    key<fry>
    """
    _implementation(impl)
    return KeyType()


__all__ = ["KeyArray", "PRNGKey", "clone", "fold_in", "key", "key_data", "key_dtype", "key_impl", "split",
           "wrap_key_data"]  # fmt: skip
