"""`weft.Array` and the eager functions of `weft.numpy`."""

import copy
import operator
import pickle

import numpy as np
import pytest

import weft
import weft.lax
import weft.numpy as wnp
from weft import Array

X = np.arange(6.0).reshape(2, 3)


def both(got, want):
    assert type(got) is Array, type(got)
    w = np.asarray(want)
    assert got.dtype == w.dtype and got.shape == w.shape
    np.testing.assert_array_equal(np.asarray(got), w)


OPS = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]


@pytest.mark.parametrize("op", OPS)
def test_operators(op):
    a, b = X + 1, X[::-1] + 2
    both(op(wnp.asarray(a), wnp.asarray(b)), op(a, b))
    both(op(wnp.asarray(a), b), op(a, b))
    both(op(a, wnp.asarray(b)), op(a, b))
    both(op(wnp.asarray(a), 2), op(a, 2))
    both(op(2.0, wnp.asarray(a)), op(2.0, a))
    both(op(np.float64(2.0), wnp.asarray(a)), op(2.0, a))
    both(op(wnp.asarray(a, dtype=np.float32), 2.5), op(a.astype("f4"), 2.5))


def test_more_operators():
    i = np.array([5, 3, 6])
    w = wnp.array(i)
    both(w & 3, i & 3), both(w | 8, i | 8), both(3 ^ w, 3 ^ i), both(w << 2, i << 2), both(w >> 1, i >> 1), both(~w, ~i)
    both(-w, -i), both(+w, +i), both(abs(-w), i)
    both(wnp.asarray(X) @ X.T, X @ X.T), both(X.T @ wnp.asarray(X), X.T @ X)
    q, r = divmod(w, 4)
    both(q, i // 4), both(r, i % 4)
    q, r = divmod(20, w)
    both(q, 20 // i), both(r, 20 % i)
    assert (w == None) is False  # noqa: E711
    assert (w != "a") is True


def test_conversions():
    x = wnp.array(2.5)
    assert float(x) == 2.5 and int(x) == 2 and bool(x) and complex(x) == 2.5 and x.item() == 2.5
    assert f"{x:.2f}" == "2.50" and operator.index(wnp.array(3)) == 3 and [10, 20][wnp.array(1)] == 20
    with pytest.raises(ValueError):
        bool(wnp.zeros(3))
    with pytest.raises(TypeError):
        operator.index(x)
    with pytest.raises(TypeError):
        hash(x)
    with pytest.raises(TypeError):
        iter(x)
    with pytest.raises(TypeError):
        len(x)
    assert round(x) == 2 and float(round(wnp.array(2.567), 2)) == 2.57


def test_text():
    assert repr(wnp.array([1.0, 2.0])) == "Array([1., 2.])"
    assert repr(wnp.array([1, 2], dtype="f4")) == "Array([1., 2.], dtype=float32)"
    assert str(wnp.array([[1, 2], [3, 4]])) == "[[1 2]\n [3 4]]"
    assert repr(wnp.array([[1, 2], [3, 4]])) == "Array([[1, 2],\n       [3, 4]])"


def test_immutable():
    x = wnp.asarray(X)
    with pytest.raises(TypeError, match=r"\.at\["):
        x[0] = 1.0
    y = x
    y += 1.0
    both(x, X), both(y, X + 1)
    with pytest.raises(ValueError):
        np.asarray(x)[0] = 3.0


def test_no_aliasing_of_arguments():
    x = X.copy()
    for made in (
        wnp.asarray(x),
        wnp.array(x),
        wnp.ravel(x),
        wnp.real(x),
        wnp.atleast_1d(x),
        wnp.transpose(x),
        wnp.squeeze(x),
    ):
        before = np.array(made)
        x += 1
        np.testing.assert_array_equal(np.asarray(made), before)
        x -= 1
    both(wnp.asarray(wnp.asarray(X)), X)


def test_indexing_and_iteration():
    x = wnp.asarray(X)
    (
        both(x[1], X[1]),
        both(x[1, 2], X[1, 2]),
        both(x[:, ::-1], X[:, ::-1]),
        both(x[x > 2], X[X > 2]),
        both(x[wnp.array([1, 0])], X[[1, 0]]),
    )
    both(x[..., None], X[..., None]), both(x[wnp.array(1)], X[1])
    assert len(x) == 2
    rows = list(x)
    both(rows[1], X[1])
    assert 3.0 in x and 7.0 not in x
    with pytest.raises(IndexError):
        x[5]


def test_at():
    x = wnp.asarray(X)

    def changed(f):
        y = X.copy()
        f(y)
        return y

    both(x.at[0].set(9.0), changed(lambda y: y.__setitem__(0, 9.0)))
    both(x.at[0, 1].add(2), changed(lambda y: y.__setitem__((0, 1), y[0, 1] + 2)))
    both(x.at[np.array([0, 0, 1])].add(1.0), np.array([[2.0, 3, 4], [4, 5, 6]]))
    both(x.at[:, 1:].multiply(3), changed(lambda y: y[:, 1:].__imul__(3)))
    both(x.at[x > 2].set(0.0), np.where(X > 2, 0.0, X))
    both(x.at[1].min(3.5), changed(lambda y: y.__setitem__(1, np.minimum(y[1], 3.5))))
    both(x.at[1].max(3.5), changed(lambda y: y.__setitem__(1, np.maximum(y[1], 3.5))))
    (
        both(x.at[0].divide(2), changed(lambda y: y[0].__itruediv__(2))),
        both(x.at[0].power(2), changed(lambda y: y[0].__ipow__(2))),
        both(x.at[0].subtract(2), changed(lambda y: y[0].__isub__(2))),
    )
    both(x.at[0].apply(lambda v: v * 10), changed(lambda y: y[0].__imul__(10)))
    both(x.at[0].get(), X[0])
    both(wnp.array([1, 2]).at[0].set(7.9), np.array([7, 2]))
    both(wnp.array(3.0).at[()].set(1), np.array(1.0))
    with pytest.raises(IndexError):
        x.at[7].set(1.0)
    with pytest.raises(ValueError, match="unknown mode 'near'"):
        x.at[0].set(1.0, mode="near")


METHODS = {
    "sum": {}, "mean": {"axis": 0}, "max": {}, "min": {"axis": 1}, "std": {"ddof": 1}, "var": {}, "prod": {}, "any": {}, "all": {}, "argmax": {}, "argmin": {"axis": 1},
    "cumsum": {"axis": 1}, "cumprod": {}, "ravel": {}, "flatten": {}, "squeeze": {}, "argsort": {}, "trace": {}, "diagonal": {}, "conj": {}, "transpose": {},
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_methods(name):
    both(getattr(wnp.asarray(X), name)(**METHODS[name]), getattr(X, name)(**METHODS[name]))


def test_more_methods():
    x = wnp.asarray(X)
    (
        both(x.T, X.T),
        both(x.mT, X.mT),
        both(x.real, X.real),
        both(x.imag, X.imag),
        both(x.reshape(3, 2), X.reshape(3, 2)),
        both(x.reshape((-1,)), X.ravel()),
    )
    (
        both(x.astype("f4"), X.astype("f4")),
        both(x.clip(1, 3), X.clip(1, 3)),
        both(x.round(1), X.round(1)),
        both(x.dot(X.T), X.dot(X.T)),
        both(x.take([1]), X.take([1])),
    )
    (
        both(x.repeat(2), X.repeat(2)),
        both(x.swapaxes(0, 1), X.swapaxes(0, 1)),
        both(x.transpose(1, 0), X.T),
        both(wnp.asarray(X.T).sort(0), np.sort(X.T, 0)),
    )
    both(x.copy(), X)
    assert x.tolist() == X.tolist() and x.tobytes() == X.tobytes() and x.size == 6 and x.nbytes == 48 and x.ndim == 2
    assert x.block_until_ready() is x and x.devices() == {x.device} == {weft.devices("cpu")[0]}


def test_pickle_and_copies():
    x = wnp.asarray(X)
    both(pickle.loads(pickle.dumps(x)), X)
    assert copy.copy(x) is x and copy.deepcopy([x])[0] is x


def test_numpy_interoperates():
    x = wnp.asarray(X)
    assert type(np.sin(x)) is np.ndarray and type(np.asarray(x)) is np.ndarray
    np.testing.assert_array_equal(np.concatenate([x, X]), np.concatenate([X, X]))
    y = X.copy()
    y += x
    np.testing.assert_array_equal(y, 2 * X)
    np.testing.assert_array_equal(np.from_dlpack(x), X)


EAGER = [
    ("sin", (X,)), ("sum", (X, 0)), ("sum", (3.0,)), ("where", (X > 1, X, 0)), ("concatenate", ([X, X],)), ("einsum", ("ij,kj->ik", X, X)), ("arange", (5,)), ("zeros", (3,)), ("zeros", ((2, 3),)),
    ("linspace", (0, 1, 5)), ("add", (1, 2)), ("maximum", (X, 2)), ("reshape", (X, (3, 2))), ("argmax", (X,)), ("allclose", (X, X)), ("dot", (X, X.T)), ("stack", ([X, X],)), ("var", (X,)), ("eye", (3,)),
    ("full", ((2,), 7)), ("pad", (X, 1)), ("sort", (X,)), ("clip", (X, 1, 2)), ("array_equal", (X, X)), ("isclose", (1.0, 1.0)), ("absolute", (-X,)), ("abs", (-3,)), ("amax", (X,)), ("acos", (0.5,)), ("median", (X,)),
]  # fmt: skip


@pytest.mark.parametrize("name, args", EAGER, ids=lambda v: v if isinstance(v, str) else "")
def test_eager(name, args):
    both(getattr(wnp, name)(*args), getattr(np, name)(*args))
    lifted = [
        [wnp.asarray(v) for v in a] if isinstance(a, list) else wnp.asarray(a) if isinstance(a, np.ndarray) else a
        for a in args
    ]
    both(getattr(wnp, name)(*lifted), getattr(np, name)(*args))


def test_eager_structures_and_statics():
    parts = wnp.split(X, 2)
    assert isinstance(parts, list)
    both(parts[1], X[1:])
    i, j = wnp.nonzero(X > 2)
    both(i, np.nonzero(X > 2)[0])
    assert wnp.shape(X) == (2, 3) and wnp.ndim(X) == 2 and wnp.size(X) == 6
    (
        both(wnp.add.reduce(X), X.sum(0)),
        both(wnp.multiply.outer(X[0], X[0]), np.multiply.outer(X[0], X[0])),
        both(wnp.linalg.norm(X), np.linalg.norm(X)),
    )
    assert wnp.pi == np.pi and wnp.newaxis is None and wnp.float32 is np.float32 and wnp.ndarray is Array
    both(wnp.pad(X, 1, constant_values=3), np.pad(X, 1, constant_values=3))


def test_eager_errors():
    with pytest.raises(TypeError, match="out="):
        wnp.add(X, X, out=X.copy())
    with pytest.raises(TypeError, match="unexpected"):
        wnp.sum(X, axes=0)
    with pytest.raises(ValueError):
        wnp.reshape(X, (4, 4))


def test_lax():
    both(weft.lax.stop_gradient(X), X)
    both(weft.lax.select(X > 1, X, -X), np.where(X > 1, X, -X))
    with pytest.raises(TypeError):
        weft.lax.select(X > 1, X, X[0])
