"""``x.at[key]`` beyond what JAX recorded: errors, weft's own modes, derivatives, sizes, NumPy's keys."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import Array
from weft.test_util import check_grads

X = np.linspace(0.5, 3.0, 12).reshape(3, 4)
ROWS = np.array([2, 0, 2])


def both(f: Any, *args: Any) -> list[Any]:
    """What a function gives eagerly and compiled, for weft's arrays."""
    given = [wnp.asarray(a) for a in args]
    return [f(*given), weft.jit(f)(*given)]


KEYS = [
    1, -1, (1, 2), slice(1, None), (slice(None), -1), (..., 1), (None, 2), (slice(None, None, -2), None),
    [0, 2], ([0, 1], [3, 3]), (slice(None), [1, 1]), ([[0], [2]], [[1, 3]]), (ROWS, None, slice(2)), X > 1.0,
    X[:, 0] > 1.0, (X[:, 0] > 1.0, 2), (slice(None), X[0] < 1.0), (), ..., np.int64(2), np.array(1), [],
]  # fmt: skip
UFUNCS = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "power": np.power,
          "min": np.minimum, "max": np.maximum}  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_every_key_as_numpy(key: Any) -> None:
    def updated(x: Any) -> Any:
        place = x.at[key]
        return [place.get(), place.set(7), *[getattr(place, name)(1.5) for name in UFUNCS]]

    wanted = [X[key], X.copy()]
    wanted[1][key] = 7
    for uf in UFUNCS.values():
        wanted.append(X.copy())
        uf.at(wanted[-1], np.asarray(key, int) if isinstance(key, list) else key, 1.5)
    x = wnp.asarray(X)
    for found in (updated(x), weft.jit(updated)(x)):
        for got, want in zip(found, wanted, strict=True):
            assert type(got) is Array and got.dtype == want.dtype
            np.testing.assert_allclose(got, want, rtol=1e-14)
    np.testing.assert_array_equal(x, X)


def test_wrap() -> None:
    i = np.array([0, 5, -1, -9])
    want = X.copy()
    np.add.at(want, np.mod(i, 3), 1.0)
    for found in both(lambda x, i: x.at[i].get(mode="wrap"), X, i):
        np.testing.assert_array_equal(found, X.take(i, axis=0, mode="wrap"))
    for found in both(lambda x, i: x.at[i].add(1.0, mode="wrap"), X, i):
        np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("mode", [None, "promise_in_bounds"])
@pytest.mark.parametrize("key", [5, -4, np.array([0, 3])], ids=str)
def test_out_of_bounds(key: Any, mode: Any) -> None:
    x = wnp.asarray(X)
    index = int(np.max(key)) if np.max(key) > 0 else int(np.min(key))
    for call in (
        lambda x, i: x.at[i].get(mode=mode),
        lambda x, i: x.at[i].set(0.0, mode=mode),
        lambda x, i: x.at[i].add(1.0, mode=mode),
        lambda x, i: x.at[i].max(1.0, mode=mode),
        lambda x, i: x.at[i].apply(lambda v: 2.0 * v, mode=mode),
    ):
        for run in (call, weft.jit(call)):
            with pytest.raises(IndexError, match=f"index {index} is out of bounds for axis 0 with size 3"):
                run(x, key)


def test_errors() -> None:
    x = wnp.asarray(X)
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda x: x.at[0].get(mode="near"), ValueError, "unknown mode 'near'.*'clip', 'drop', 'fill', 'wrap'"),
        (lambda x: x.at[0].set(1.0, mode="near"), ValueError, "unknown mode 'near'"),
        (lambda x: x.at[0, 0, 0].set(1.0, mode="clip"), IndexError, "too many indices for array: array is 2-dim"),
        (lambda x: x.at[..., ...].set(1.0, mode="clip"), IndexError, "single ellipsis"),
        (lambda x: x.at[0.5].get(mode="clip"), IndexError, "only integers, slices"),
        (lambda x: x.at[0].set(np.ones(3)), ValueError, "broadcast"),
        (lambda x: x.at[0].set(1j), TypeError, "Cannot cast complex values to float64"),
        (lambda x: x.at[-1].get(wrap_negative_indices=False), IndexError, "out of bounds for axis 0"),
        (lambda x: x.at[np.array([-1])].set(0.0, wrap_negative_indices=False), IndexError, "out of bounds for axis 0"),
        (lambda x: x[:0].at[0].get(mode="clip"), IndexError, "out of bounds for axis 0 with size 0"),
        (lambda x: x.astype("uint8").at[0].set(300), OverflowError, "300 out of bounds for uint8"),
    ]
    for call, kind, text in cases:
        for run in (call, weft.jit(call)):
            with pytest.raises(kind, match=text):
                run(x)
    with pytest.raises(IndexError, match="boolean index did not match"):
        x.at[np.array([True, False])].set(1.0, mode="drop")
    with pytest.raises(TypeError, match="unexpected keyword"):
        x.at[0].set(1.0, fill_value=2)
    with pytest.raises(ValueError, match="fill_value must be a scalar"):
        x.at[7].get(mode="fill", fill_value=[1.0, 2.0])


def test_wrap_negative_indices_must_be_known() -> None:
    with pytest.raises(weft.StagingError, match="wrap_negative_indices must be known while staging"):
        weft.jit(lambda x, w: x.at[0].set(0.0, wrap_negative_indices=w))(wnp.asarray(X), True)


@pytest.mark.parametrize("mode", ["clip", "drop", "wrap", None])
def test_derivatives(mode: Any) -> None:
    i = np.array([2, 0, 1, 2]) if mode is None else np.array([2, 7, -1, -9])

    def update(x: Any, v: Any) -> Any:
        rows = wnp.asarray(x).at[i].get(mode=mode, fill_value=0.75).at[1:, i].add(0.5, mode=mode)
        return [getattr(rows.at[i, 1], name)(v, mode=mode) for name in ("set", *UFUNCS)]

    check_grads(update, (np.linspace(0.5, 2.0, 16).reshape(4, 4), np.array([1.1, 1.7, 0.9, 2.3])), order=1)


def test_batches() -> None:
    xs = np.stack([X, 2.0 * X])
    index = np.array([[2, 7, -1], [0, 0, -9]])

    def update(x: Any, i: Any) -> Any:
        return [x.at[i].set(i[:, None] * 1.0, mode="drop"), x.at[i, 1].multiply(x[0, :3], mode="clip"),
                x.at[i[0]].get(mode="fill"), x.at[:, i[1]].add(1.0, mode="wrap")]  # fmt: skip

    lanes = [update(wnp.asarray(x), wnp.asarray(i)) for x, i in zip(xs, index, strict=True)]
    batch = weft.vmap(update)(xs, index)
    for k, found in enumerate(batch):
        np.testing.assert_array_equal(found, np.stack([np.asarray(lane[k]) for lane in lanes]))
    alone = weft.vmap(update, in_axes=(0, None))(xs, index[0])
    np.testing.assert_array_equal(alone[0][1], update(wnp.asarray(xs[1]), wnp.asarray(index[0]))[0])


def test_one_program_for_every_size() -> None:
    @weft.jit
    def update(x: Any, i: Any) -> Any:
        return x.at[i].add(1.0, mode="drop").at[-1].get(mode="clip")

    for n, m in itertools.product((2, 5, 9), (2, 4)):
        x, i = np.arange(2.0 * n).reshape(n, 2), np.arange(m) * 3
        want = x.copy()
        np.add.at(want, i[i < n], 1.0)
        np.testing.assert_array_equal(update(x, i), want[-1])
    assert update.cache_info()["staged"] <= 1 if "staged" in update.cache_info() else True


def test_no_indices() -> None:
    none = np.zeros(0, int)
    for mode in ("clip", "drop", "wrap", None):
        for found in both(lambda x, mode=mode: x.at[none].set(1.0, mode=mode), X):
            np.testing.assert_array_equal(found, X)
        for found in both(lambda x, mode=mode: x.at[none].get(mode=mode), X):
            assert found.shape == (0, 4)


def test_staged_parts_of_a_concrete_array() -> None:
    x = wnp.asarray(X)

    @weft.jit
    def use(i: Any, v: Any) -> Any:
        return [x.at[i].set(v, mode="drop"), x.at[0].add(v), x.at[9].get(mode="fill", fill_value=v)]

    a, b, c = use(np.int64(1), np.float64(4.0))
    np.testing.assert_array_equal(a, x.at[1].set(4.0))
    np.testing.assert_array_equal(b, x.at[0].add(4.0))
    np.testing.assert_array_equal(c, [4.0] * 4)
    np.testing.assert_array_equal(use(np.int64(3), np.float64(4.0))[0], X)


def test_updates_keep_the_dtype_and_divide_makes_floats() -> None:
    i = wnp.array([5, 6], "int16")
    assert i.at[0].set(7.9).tolist() == [7, 6] and i.at[0].add(2.75).tolist() == [7, 6]
    assert i.at[0].add(2.75).dtype == np.int16
    for found in both(lambda i: i.at[0].divide(2), np.array([5, 6])):
        assert found.dtype == np.float64 and found.tolist() == [2.5, 6.0]
    assert wnp.array([1.0], "f4").at[0].divide(np.float64(3)).dtype == np.float32


def test_applied_again_where_indices_repeat() -> None:
    for found in both(lambda x: x.at[np.array([0, 2, 0])].apply(lambda v: 2.0 * v), X):
        np.testing.assert_array_equal(found, X * np.array([[4.0], [1.0], [2.0]]))
    for found in both(lambda x: x.at[x > 1.0].apply(np.sqrt), X):
        np.testing.assert_allclose(found, np.where(X > 1.0, np.sqrt(X), X))
    seen = []
    wnp.asarray(X).at[1:].apply(lambda v: (seen.append(v.shape), v)[1])
    assert seen == [(2, 4)]


def test_assignment_is_refused_in_compiled_code_too() -> None:
    def write(x: Any) -> Any:
        x[0] = 1.0
        return x

    for run in (write, weft.jit(write)):
        with pytest.raises(TypeError, match=r"x = x\.at\[i(n)?d?(e)?x\]\.set\("):
            run(wnp.asarray(X))

    def rebound(x: Any) -> Any:
        y = x
        y += 1.0
        return x, y

    x, y = weft.jit(rebound)(wnp.asarray(X))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, X + 1.0)
