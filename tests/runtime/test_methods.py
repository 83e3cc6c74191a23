"""Attributes and methods of arrays: NumPy's values, eagerly and in compiled code; the others say what to write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.runtime.method_table import APART, CALLS, JAX, NUMPY, function

import weft
import weft.numpy as wnp
from weft import Array, StagingError
from weft.runtime.missing import COMPILED, MISSING

X = np.array([[0.5, -1.25, 2.0, 0.75], [1.5, 0.25, -0.5, 3.0], [-2.0, 1.0, 0.125, 4.0]])
DATA = (X, np.array([3, 1, 4, 0, 5]), X > 0.3, X + 1j * X[::-1], np.array(2.5))
ALL = [call for calls in CALLS.values() for call in calls]
GROUPS = [ALL[k : k + 30] for k in range(0, len(ALL), 30)]


def leaves(found: Any) -> list[Any]:
    return [v for item in found for v in leaves(item)] if isinstance(found, list | tuple) else [found]


def same(found: Any, want: Any, calls: list[str], kind: Any) -> None:
    assert len(found) == len(want) == len(calls)
    for call, x, y in zip(calls, found, want, strict=True):
        given, wanted = leaves(x), leaves(y)
        assert len(given) == len(wanted), call
        for a, w in zip(given, wanted, strict=True):
            if isinstance(w, np.ndarray | np.generic):
                assert isinstance(a, kind), (call, type(a))
                assert (a.dtype, a.shape) == (w.dtype, w.shape), (call, a, w)
                np.testing.assert_allclose(np.asarray(a), w, rtol=1e-6, atol=1e-12, err_msg=call)
            else:  # Python's numbers
                assert type(a) is type(w) and a == w, (call, a, w)


@pytest.mark.parametrize("calls", GROUPS, ids=lambda calls: calls[0])
def test_as_numpy(calls: list[str]) -> None:
    run = function(calls)
    want = run(*DATA)
    arrays = [Array.from_numpy(a) for a in DATA]
    same(run(*arrays), want, calls, Array)
    compiled = weft.jit(run)
    same(compiled(*arrays), want, calls, Array)
    same(compiled(*DATA), want, calls, np.ndarray | np.generic)


def test_every_attribute_is_decided() -> None:
    names = {*NUMPY, *JAX, *[n for n in dir(np.ndarray) if not n.startswith("_")]}
    x = wnp.ones((3, 3))
    for name in sorted(names):
        assert hasattr(x, name) == (name in CALLS or name in APART), name
        assert hasattr(x, name) != (name in MISSING), name
    assert {n for n in dir(x) if not n.startswith("_")} - {"from_numpy"} <= set(CALLS) | APART


@pytest.mark.parametrize("name", sorted(MISSING))
def test_missing_ones_say_what_to_write(name: str) -> None:
    with pytest.raises(AttributeError, match=f"a weft.Array has no attribute '{name}': .+"):
        getattr(wnp.ones(3), name)


@pytest.mark.parametrize("name", ["fill", "flags", "strides", "format", "put", "partition"])
def test_missing_ones_in_compiled_code(name: str) -> None:
    run = function([f"x.{name}(1)" if name in ("fill", "partition") else f"x.{name}"])
    with pytest.raises((StagingError, TypeError, AttributeError)) as caught:
        weft.jit(run)(*[Array.from_numpy(a) for a in DATA])
    said = MISSING[name].removeprefix(": ").partition("weft.numpy")[0]
    assert said[:20] in str(caught.value) or "immutable" in str(caught.value)


@pytest.mark.parametrize("name", sorted(COMPILED))
def test_what_is_not_compiled_says_what_to_write(name: str) -> None:
    with pytest.raises(StagingError, match="is not compiled") as caught:
        weft.jit(function([f"x.{name}"]))(*DATA)
    assert COMPILED[name] in str(caught.value)


def test_no_such_attribute() -> None:
    with pytest.raises(AttributeError, match="a weft.Array has no attribute 'nope'$"):
        _ = wnp.ones(3).nope
    assert getattr(wnp.ones(3), "nope", None) is None


def test_sorting() -> None:
    x = wnp.asarray(X)
    np.testing.assert_array_equal(x.sort(0), np.sort(X, 0))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(weft.jit(lambda x: x.sort())(x), np.sort(X))

    def in_place(x: Any) -> Any:
        y = x.copy()
        y.sort(axis=0)
        z = x.copy()
        z.partition(1)
        return y, z[:, 1]

    for want, got in zip(in_place(X), weft.jit(in_place)(X), strict=True):
        np.testing.assert_array_equal(got, want)


def test_what_only_eager_arrays_have() -> None:
    x = Array.from_numpy(X)
    assert x.tobytes() == X.tobytes() and x.tolist() == X.tolist()
    np.testing.assert_array_equal(x.byteswap(), X.byteswap())
    np.testing.assert_array_equal(x.view(np.int32), X.view(np.int32))
    with pytest.raises(ValueError, match="immutable"):
        x.byteswap(inplace=True)
    with pytest.raises(TypeError, match="no other type"):
        x.view(type=np.matrix)
    assert x.device == weft.devices("cpu")[0] and x.devices() == {x.device} and not x.committed
    assert x.to_device(x.device).committed and x.astype("f4", device=x.device).committed
    with pytest.raises(ValueError, match="stream=None"):
        x.to_device(x.device, stream=1)
    assert x.copy_to_host_async() is None and x.block_until_ready() is x
    assert (x.weak_type, x.is_deleted(), x.is_fully_addressable, x.is_fully_replicated) == (False, False, True, True)
    assert x.ptp() == 6.0
    with pytest.raises(TypeError, match="according to the rule 'safe'"):
        x.astype(int, casting="safe")


def test_views_of_bits_write_through() -> None:
    def change(x: Any) -> Any:
        y = x.copy()
        bits = y.view(np.int64)
        bits[0] = 0
        bits[1:] |= np.int64(1) << 63
        return y, bits

    for want, got in zip(change(np.abs(X)), weft.jit(change)(np.abs(X)), strict=True):
        np.testing.assert_array_equal(got, want)
    for dtype, kind in (("int32", "int32"), ("bool", "bool"), ("complex128", "complex128")):
        with pytest.raises(StagingError, match=f"a view of float64 as {kind}"):
            weft.jit(lambda x, dtype=dtype: x.view(dtype))(X)


def test_the_namespace() -> None:
    x = wnp.asarray(X)
    assert x.__array_namespace__() is wnp is x.__array_namespace__(api_version="2024.12")
    with pytest.raises(ValueError, match="up to 2024.12, not '2031.12'"):
        x.__array_namespace__(api_version="2031.12")

    def portable(x: Any) -> Any:
        xp = x.__array_namespace__()
        return xp.sum(xp.exp(x))

    want = np.exp(X).sum()
    for got in (portable(x), weft.jit(portable)(x), weft.jit(portable)(X)):
        np.testing.assert_allclose(got, want)
