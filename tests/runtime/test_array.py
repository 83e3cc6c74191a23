"""`weft.Array`, without the library's methods."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from weft import _runtime
from weft.runtime import Array


def test_properties():
    a = Array.from_numpy(np.arange(6, dtype=np.float32).reshape(2, 3))
    assert type(a) is Array
    assert (a.shape, a.dtype, a.ndim, a.size, a.nbytes, a.itemsize) == ((2, 3), np.dtype("f4"), 2, 6, 24, 4)
    assert a.block_until_ready() is a
    assert weakref.ref(a)() is a


def test_numpy_reads_it_without_a_copy():
    a = Array.from_numpy(np.arange(4.0))
    for view in (np.asarray(a), a.__array__(), a._view(), np.from_dlpack(a)):
        assert view.tolist() == [0, 1, 2, 3]
        assert not view.flags.writeable
        assert view.ctypes.data == a._view().ctypes.data
    assert memoryview(a).readonly
    assert np.array(a).flags.writeable
    assert np.array(a).ctypes.data != a._view().ctypes.data
    assert a.__array__(np.float32).dtype == np.float32
    assert a.__array__(copy=True).flags.writeable
    with pytest.raises(ValueError, match="without a copy"):
        a.__array__(np.float32, copy=False)
    assert a.__dlpack_device__() == (1, 0)
    a.__dlpack__()  # a consumer that knows no read-only flag


def test_views_keep_it_alive():
    view = np.asarray(Array.from_numpy(np.arange(1000.0)))
    gc.collect()
    assert view.sum() == 499500


def test_copy_or_share():
    source = np.zeros(3)
    shared, copied = Array.from_numpy(source, copy=False), Array.from_numpy(source)
    source[0] = 1
    assert np.asarray(shared)[0] == 1
    assert np.asarray(copied)[0] == 0
    strided = Array.from_numpy(np.arange(6.0)[::2], copy=False)
    assert np.asarray(strided).tolist() == [0, 2, 4]
    assert Array.from_numpy(np.arange(3).astype(">i4")).dtype == np.dtype("=i4")
    assert Array.from_numpy([[1, 2], [3, 4]]).shape == (2, 2)
    assert Array.from_numpy(np.zeros((0, 3))).size == 0
    assert Array.from_numpy(np.zeros((1,) * 10)).ndim == 10


def test_other_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    a = Array.from_numpy(np.arange(3, dtype=ml_dtypes.bfloat16))
    assert a.dtype == ml_dtypes.bfloat16
    assert a._view().astype(float).tolist() == [0, 1, 2]
    for bad in (np.array([object()]), np.array(["text"]), np.array([1], "M8[s]")):
        with pytest.raises(TypeError, match="cannot hold"):
            Array.from_numpy(bad)


def test_immutable():
    a = Array.from_numpy(np.zeros(3))
    with pytest.raises(TypeError, match=r"x\.at\[index\]\.set\(value\)"):
        a[0] = 1
    with pytest.raises(TypeError, match="immutable"):
        del a[0]
    with pytest.raises(TypeError, match="unhashable"):
        hash(a)
    with pytest.raises(TypeError, match="directly"):
        Array()
    with pytest.raises(AttributeError):
        a.name = 1
    with pytest.raises((BufferError, ValueError)):
        np.frombuffer(a, dtype=np.float64)[0] = 1


def test_array_class_needs_slots():
    class Roomy(_runtime.ArrayBase):
        pass

    with pytest.raises(TypeError, match="__slots__"):
        _runtime.set_array_class(Roomy)
    with pytest.raises(TypeError, match="subclass"):
        _runtime.set_array_class(int)
