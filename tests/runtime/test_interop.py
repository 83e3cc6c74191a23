"""`weft.Array` among other libraries: NumPy's protocols, DLPack, Python's; and moving trees of arrays."""

from __future__ import annotations

import copy
import fractions
import math
import operator
import pickle
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

import weft
import weft.dlpack
import weft.numpy as wnp
from weft import Array

X = np.arange(6.0).reshape(2, 3)
CPU = weft.devices("cpu")[0]


def address(x: Any) -> int:
    return int(np.asarray(x).ctypes.data)


# -- NumPy -------------------------------------------------------------------------------------------------------------


def test_numpy_reads_without_a_copy_and_cannot_write() -> None:
    x = wnp.asarray(X)
    view = np.asarray(x)
    assert address(x) == view.ctypes.data and not view.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        view.flags.writeable = True
    for made in (np.array(x), np.asarray(x, copy=True), np.asarray(x, dtype="f4")):
        made[0] = 7.0
    np.testing.assert_array_equal(x, X)
    with pytest.raises(ValueError, match="Unable to avoid copy"):
        np.asarray(x, dtype="f4", copy=False)
    assert memoryview(x).readonly and memoryview(x).shape == (2, 3)


def test_numpys_functions_give_numpys_arrays_and_operators_give_ours() -> None:
    x = wnp.asarray(X)
    for found, want in (
        (np.sin(x), np.sin(X)),
        (np.concatenate([x, X]), np.concatenate([X, X])),
        (np.add(x, X), X + X),
        (np.add(x, x, out=np.zeros((2, 3))), X + X),
        (np.where(x > 1, x, 0), np.where(X > 1, X, 0)),
    ):
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, want)
    assert type(np.sum(x, axis=0)) is Array  # these functions call the method of that name
    for op in (operator.add, operator.sub, operator.mul, operator.truediv, operator.lt, operator.eq, operator.pow):
        for left, right in ((X, x), (x, X), (np.float64(2.0), x), (x, np.float64(2.0)), ([1.0, 2.0, 3.0], x)):
            found = op(left, right)
            assert type(found) is Array
            with np.errstate(all="ignore"):
                np.testing.assert_array_equal(found, op(np.asarray(left), np.asarray(right)))
    with pytest.raises(TypeError, match="'return' arrays|must be of ArrayType"):
        np.add(X, X, out=x)


def test_in_place_operators() -> None:
    x = wnp.asarray(X)
    before, y = x, X.copy()
    y += x  # NumPy's array is written
    np.testing.assert_array_equal(y, 2 * X)
    x += y  # the name is bound again
    assert type(x) is Array
    np.testing.assert_array_equal(x, 3 * X)
    np.testing.assert_array_equal(before, X)
    for change in ("x[0] = 1", "x[0, 1] += 1", "x[...] *= 2"):
        with pytest.raises(TypeError, match=r"immutable: instead of `x\[index\] = value` write `x = x.at\[index\].set"):
            exec(change, {"x": x})


def test_results_own_their_memory() -> None:
    x = X.copy()
    made = [wnp.asarray(x), wnp.ravel(x), wnp.atleast_1d(x), wnp.broadcast_to(x, (2, 3)), wnp.asarray(x)[1:] + 0]
    made += [*wnp.split(x, 2), *wnp.broadcast_arrays(x, x), *wnp.atleast_1d(x, x), wnp.real(x), wnp.transpose(x)]
    kept = [np.array(m) for m in made]
    x[:] = -1.0
    for m, k in zip(made, kept, strict=True):
        np.testing.assert_array_equal(m, k)


def test_views_of_immutable_arrays_share() -> None:
    x = wnp.asarray(X)
    assert address(x[1]) == address(x) + 24 and address(x.reshape(3, 2)) == address(x)
    assert wnp.ravel(x) is not x and address(wnp.ravel(x)) == address(x)
    row = x[1]
    del x
    np.testing.assert_array_equal(row, X[1])


def test_no_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = wnp.asarray([-1.0, 0.0, 1.0])
        found = [x / 0.0, 1 / x, wnp.log(x), wnp.sqrt(x), x // 0.0, wnp.exp(x * 1e9), wnp.asarray([2**62]) * 4, x**-1]
        found.append((x * np.inf).astype(int))
    assert len(found) == 9
    with np.errstate(all="raise"):
        assert np.isinf(np.asarray(x / 0.0)).tolist() == [True, False, True]
        with pytest.raises(FloatingPointError):
            np.ones(1) / np.zeros(1)  # the caller's own setting holds


# -- DLPack ------------------------------------------------------------------------------------------------------------


class Exporter:
    """An array of another library, of one version of DLPack or the other."""

    def __init__(self, a: Any, device: tuple[int, int] = (1, 0)) -> None:
        self.a, self.device = a, device

    def __dlpack__(self, **options: Any) -> Any:
        return self.a.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device


def test_export() -> None:
    x = wnp.asarray(X)
    shared = np.from_dlpack(x)
    assert shared.ctypes.data == address(x) and not shared.flags.writeable
    assert np.from_dlpack(x, copy=True).ctypes.data != address(x)
    assert x.__dlpack_device__() == (1, 0)
    for old in ({}, {"stream": None}, {"max_version": (0, 8)}):  # knows no mark for read-only memory: a copy
        capsule = x.__dlpack__(**old)
        assert '"dltensor"' in repr(capsule)
    assert '"dltensor_versioned"' in repr(weft.dlpack.to_dlpack(x))
    with pytest.raises(BufferError, match=r"DLPack 1\.0 or later"):
        x.__dlpack__(copy=False)
    with pytest.raises(BufferError, match="DLPack device"):
        x.__dlpack__(dl_device=(2, 0), max_version=(1, 0))
    with pytest.raises(TypeError, match="wants a weft.Array, not ndarray"):
        weft.dlpack.to_dlpack(X)


def test_an_old_consumer_cannot_write_into_an_array() -> None:
    class Old:
        def __init__(self, x: Array) -> None:
            self.x = x

        def __dlpack__(self, **options: Any) -> Any:
            return self.x.__dlpack__()

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

    x = wnp.asarray(X)
    theirs = np.from_dlpack(Old(x))
    assert theirs.ctypes.data != address(x)
    np.testing.assert_array_equal(theirs, X)


def test_import() -> None:
    for function in (weft.dlpack.from_dlpack, wnp.from_dlpack):
        source = np.arange(4.0)
        shared, copied = function(source), function(source, copy=True)
        assert type(shared) is Array and address(shared) == source.ctypes.data != address(copied)
        assert address(function(Exporter(source))) == source.ctypes.data
        assert address(function(shared)) == address(shared)
        np.testing.assert_array_equal(function(source[::2]), [0.0, 2.0])
        with pytest.raises(BufferError, match="not row-major"):
            function(source[::2], copy=False)
        with pytest.raises(BufferError, match="arrays of GPUs"):
            function(Exporter(source, (2, 0)))
        assert function(source, device=CPU).committed and function(source, device="cpu").device == CPU
    loop = weft.jit(lambda x: x * 2)(weft.dlpack.from_dlpack(np.arange(3.0)))
    np.testing.assert_array_equal(loop, [0.0, 2.0, 4.0])


# -- Python ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [X, X[0, 0], np.zeros((0, 3)), np.array([1 + 2j], "c8"), np.array([True])], ids=repr)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(x: Any, protocol: int) -> None:
    found = pickle.loads(pickle.dumps(wnp.asarray(x), protocol))
    assert type(found) is Array and found.dtype == x.dtype and found.shape == x.shape
    np.testing.assert_array_equal(found, x)
    assert found.at[...].set(0).dtype == x.dtype


def test_copies_are_the_array() -> None:
    x = wnp.asarray(X)
    assert copy.copy(x) is x and copy.deepcopy({"a": [x]})["a"][0] is x and x.copy() is x
    assert sys.getsizeof(x) > x.nbytes


def test_text() -> None:
    assert repr(wnp.array([1.0, 2.5])) == "Array([1. , 2.5])"
    assert repr(wnp.array([[1, 2], [3, 4]], "i4")) == "Array([[1, 2],\n       [3, 4]], dtype=int32)"
    assert repr(wnp.zeros((0, 2))) == repr(np.zeros((0, 2))).replace("array(", "Array(")
    assert repr(wnp.arange(2000.0)) == repr(np.arange(2000.0)).replace("array(", "Array(")
    assert repr(wnp.array(2.0)) == "Array(2.)"
    assert str(wnp.asarray(X)) == str(X) == f"{wnp.asarray(X)}"
    assert f"{wnp.array(2.567):.1f}|{wnp.array(3):>4d}|{wnp.array(1 + 2j):.0f}" == "2.6|   3|1+2j"
    with pytest.raises(TypeError, match="unsupported format string"):
        format(wnp.asarray(X), ".2f")
    with np.printoptions(precision=2):
        assert repr(wnp.array([1 / 3])) == "Array([0.33])"


def test_iteration_and_membership() -> None:
    x = wnp.asarray(X)
    first, second = x
    assert type(first) is Array and [float(v) for v in second] == [3.0, 4.0, 5.0]
    assert [r.tolist() for r in reversed(x)] == X[::-1].tolist() and len(x) == 2
    assert 4.0 in x and 9.0 not in x and wnp.array(4.0) in x
    assert [*map(float, wnp.arange(3.0))] == [0.0, 1.0, 2.0]
    for call in (len, iter, reversed):
        with pytest.raises(TypeError):
            call(wnp.array(1.0))  # type: ignore[operator]


def test_numbers() -> None:
    assert [10, 20, 30][wnp.array(1)] == 20 and list(range(3))[wnp.array(0) : wnp.array(2)] == [0, 1]
    assert bool(wnp.array(0.0)) is False and bool(wnp.array([2])) is True
    assert math.trunc(wnp.array(-2.5)) == -2 and math.floor(wnp.array(-2.5)) == -3 and math.ceil(wnp.array(2.5)) == 3
    with pytest.raises(ValueError, match="truth value of an array with more than one element is ambiguous"):
        bool(wnp.ones(2))
    with pytest.raises(ValueError, match="truth value of an empty array"):
        bool(wnp.ones(0))
    with pytest.raises(TypeError, match="only integer scalar arrays"):
        operator.index(wnp.ones(1))
    with pytest.raises(TypeError, match="unhashable type: 'Array'"):
        {wnp.array(1)}
    with pytest.raises(TypeError, match=r"write x \*\* y % z"):
        pow(wnp.array(2), 3, 5)


def test_operands_that_are_refused() -> None:
    x = wnp.ones(2)
    assert (x == None) is False and (x != "a") is True  # noqa: E711
    for other in (None, "a", {"a": 1}, b"a"):
        with pytest.raises(TypeError, match="unsupported operand type"):
            x + other
        with pytest.raises(TypeError, match="unsupported operand type"):
            other - x
    with pytest.raises(ValueError, match="could not be broadcast together"):
        x + wnp.ones(3)
    with pytest.raises(OverflowError):
        wnp.ones(2, "uint8") + 300
    with pytest.raises(ValueError, match="negative integer powers"):
        wnp.arange(3) ** -1


class Asks:
    """An operand that answers itself."""

    def __radd__(self, other: Any) -> str:
        return "radd"


class Ranks(Asks):
    """One that could be an array, but wants to be asked."""

    __array_priority__ = 1000

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.ones(2)


class Converts(Asks):
    """One that is an array."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.ones(2)


def test_other_classes_may_answer() -> None:
    x = wnp.ones(2)
    assert x.__add__("a") is NotImplemented and x.__lt__(None) is NotImplemented
    assert x + Asks() == "radd" and x + Ranks() == "radd"
    np.testing.assert_array_equal(x + Converts(), [2.0, 2.0])
    with pytest.raises(TypeError, match="unsupported operand"):
        x + fractions.Fraction(1, 2)
    masked = x + np.ma.array([1.0, 2.0], mask=[0, 1])
    assert isinstance(masked, np.ma.MaskedArray) and masked.mask.tolist() == [False, True]
    with pytest.raises(TypeError, match="unsupported operand"):  # the mask would be lost
        np.ma.array([1.0, 2.0]) + x


# -- trees and devices -------------------------------------------------------------------------------------------------


def test_trees_of_arrays_move() -> None:
    tree = {"a": X, "b": [1.5, (wnp.arange(3), None)]}
    put = weft.device_put(tree, CPU)
    assert type(put["a"]) is Array and put["a"].committed and type(put["b"][0]) is Array
    assert put["b"][1][0].committed and put["b"][1][1] is None
    assert weft.block_until_ready(put) is put
    back = weft.device_get(put)
    assert type(back["a"]) is np.ndarray and type(back["b"][1][0]) is np.ndarray
    np.testing.assert_array_equal(back["a"], X)
    assert back["b"][0] == 1.5 and back["b"][1][1] is None
    source = X.copy()
    moved = weft.device_put(source)
    source[:] = 0
    np.testing.assert_array_equal(moved, X)  # a copy: the source may change


def test_operators_before_the_library_is_loaded() -> None:
    code = (
        "import sys, numpy as np, weft; from weft import Array\n"
        "x = Array.from_numpy(np.arange(3.0)); y = (x + 1) * x[::-1]\n"
        "assert y.tolist() == [2.0, 2.0, 0.0] and 'weft.numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
