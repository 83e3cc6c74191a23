"""Writes through library views, out=, in-place functions and methods, and ``.at`` while staging."""

import numpy as np
import pytest
from tests.staged.util import Staging, check, same, snp

R = np.random.default_rng(1)
V, M, T = R.normal(size=6), R.normal(size=(3, 4)), R.normal(size=(2, 3, 4))
C = M + 1j

PROGRAMS = {}


def program(*args):
    def add(f):
        PROGRAMS[f.__name__] = (f, args)
        return f

    return add


@program(M)
def through_transpose(np, x):
    y = x.T
    y[0] = 5.0
    x[1, 1] = 7.0
    return y, y[1]


@program(M)
def through_reshape(np, x):
    y = x.reshape(-1)
    y[3:6] = 0.0
    x[2] += 1
    return y


@program(T)
def through_functions(np, x):
    a = np.swapaxes(x, 0, 2)
    b = np.expand_dims(x, 1)
    c = np.moveaxis(x, 0, -1)
    a[0] = 1.0
    b[0, 0, 1] = 2.0
    c[..., 1] *= 3.0
    return a, b, c


@program(T)
def through_ravel_and_squeeze(np, x):
    np.ravel(x)[::5] = -1.0
    np.squeeze(x[:1])[1] = 9.0
    return x.sum()


@program(T)
def flips_are_views(np, x):
    y = np.flip(x, 1)
    y[:, 0] = 0.0
    z = np.rot90(x[0])
    z[0] += 100.0
    return y, z


@program(V)
def splits_are_views(np, x):
    a, b, c = np.split(x, 3)
    b[...] = 0.0
    a += 5
    return c


@program(M)
def copies_are_not_views(np, x):
    a, b, c, d = x.copy(), x.flatten(), np.array(x), np.positive(x)
    e, f = x.astype(float), np.concatenate([x])
    for y in (a, c, d, e, f):
        y[0] = 0.0
    b[0] = 1.0
    return a, b, c, d, e, f


@program(M)
def asarray_is_the_same(np, x):
    y = np.asarray(x)
    y[0] = 3.0
    z = np.asarray(x, dtype=np.float32)
    z[1] = 4.0
    return y, z


@program(C)
def complex_parts(np, x):
    x.real[0] = 5.0
    np.imag(x)[:, 1] = -2.0
    return x.real, x.imag


@program(M)
def diagonal_follows(np, x):
    d = np.diagonal(x)
    x[1, 1] = 50.0
    return d


@program(V, V * 2)
def outs(np, x, y):
    np.add(x, y, out=x)
    np.multiply(x, 2, x)
    np.sqrt(np.abs(x), out=y[:])
    np.sum(np.stack([x, y]), axis=0, out=y)
    np.cumsum(y, out=x)
    np.clip(x, 0, 1, out=x)
    return np.maximum(x, 0.5, out=y)


@program(M, M > 0)
def out_where(np, x, m):
    y = np.zeros(x.shape)
    np.divide(1.0, x, out=y, where=m)
    np.sqrt(x, out=x, where=m)
    return y


@program(M)
def out_casts(np, x):
    y = np.zeros(x.shape, dtype=np.float32)
    np.add(x, 1, out=y)
    return y


@program(V)
def fills_and_sorts(np, x):
    y = np.empty(4)
    y.fill(2.0)
    x.sort()
    x[::-1].sort()
    return y


@program(M)
def fill_diagonal(np, x):
    np.fill_diagonal(x, -1.0)


@program(M, np.array([0, 2, 0]), np.array([1.0, 2.0, 3.0]))
def scatter_add(np, x, i, v):
    np.add.at(x, (i, 1), v)
    np.subtract.at(x, (slice(None), i), 1.0)
    np.multiply.at(x, (i, 3), v)
    np.maximum.at(x, (i, 0), v)
    np.add.at(x, 1, 0.5)


@program(M)
def scatter_rows(np, x):
    np.multiply.at(x, [0, 0, 2], 2.0)
    np.divide.at(x, ([0, 0], slice(1, 3)), np.array([[2.0, 3.0], [4.0, 5.0]]))


@program(M, M > 0)
def copyto_and_put(np, x, m):
    np.copyto(x, 0.5, where=m)
    np.put(x, [0, 5], [10.0, 11.0])
    np.putmask(x, x > 10, 1.0)
    np.put_along_axis(x, np.argmax(x, axis=1)[:, None], 99.0, axis=1)


@program(M, V, np.arange(21.0).reshape(7, 3), np.zeros((3, 3, 3)))
def values_are_repeated(np, x, v, tall, cube):
    np.put(x, [0, 1, 2, 3, 4], [10.0, 11.0])
    np.put(v, [7, -1, 3], 5.0, mode="wrap")
    np.put(v, [9, -4], [1.0, 2.0], mode="clip")
    np.place(x, x > 0, [1.0, 2.0, 3.0])
    np.putmask(x, x < 0, [-1.0, -2.0])
    np.fill_diagonal(tall, [5.0, 6.0], wrap=True)
    np.fill_diagonal(cube, [1.0, 2.0])


@program(M)
def integer_array_results_are_copies(np, x):
    y = x[[0, 1]]
    y[...] = 0.0
    z = x[x > 0]
    z[...] = 1.0


@program(M)
def augmented_matmul(np, x):
    y = np.eye(3)
    y @= x @ x.T
    x @= np.eye(4)
    return y


@pytest.mark.parametrize("name", list(PROGRAMS))
@pytest.mark.parametrize("symbolic", [True, False], ids=["sym", "lit"])
def test_programs(name, symbolic):
    f, args = PROGRAMS[name]

    def run(np, *a):
        out = f(np, *a)
        # NumPy's results may be views of what is written later: look at them at the end
        return [
            np.array(o) if o.shape else o for o in (out if isinstance(out, tuple) else () if out is None else (out,))
        ]

    check(run, *args, symbolic=symbolic)


AT = {
    "set": lambda x: x.at[1].set(5.0), "set_slice": lambda x: x.at[:, 1:3].set(0.0), "set_mask": lambda x: x.at[x > 0].set(0.0),
    "add": lambda x: x.at[0, 1].add(2.0), "add_repeated": lambda x: x.at[np.array([0, 0, 1])].add(1.0), "subtract": lambda x: x.at[np.array([0, 0])].subtract(1.0),
    "multiply": lambda x: x.at[np.array([0, 0, 2]), np.array([1, 1, 2])].multiply(np.array([2.0, 3.0, 4.0])), "divide": lambda x: x.at[0].divide(4.0), "power": lambda x: x.at[np.array([2, 2])].power(2.0),
    "min": lambda x: x.at[1].min(0.1), "max": lambda x: x.at[np.array([1, 1]), np.array([0, 0])].max(np.array([0.1, 0.3])), "apply": lambda x: x.at[2].apply(lambda v: v * 3),
    "get": lambda x: x.at[1, 2].get(),
}  # fmt: skip


@pytest.mark.parametrize("name", list(AT))
@pytest.mark.parametrize("flavour", ["np", "weft"])
def test_at(name, flavour):
    import weft.numpy as wnp

    f = AT[name]
    want = np.asarray(f(wnp.asarray(M)))
    s = Staging(f, M, flavour=flavour)
    got, written = s.run(M)
    same(got, want)
    assert not written and s.tree.flavour == flavour


ERRORS = {
    "axis": (lambda np, x: np.sum(x, axis=2), (M,), ValueError, "axis 2 is out of bounds"),
    "axes": (lambda np, x: np.sum(x, axis=(0, 0)), (M,), ValueError, "duplicate"),
    "broadcast": (lambda np, x, y: x + y[:2], (M, M), ValueError, "could not be broadcast"),
    "ufunc broadcast": (lambda np, x, y: np.add(x, y), (M, V), ValueError, r"shapes \(3, 4\) \(6,\)"),
    "matmul": (lambda np, x: np.matmul(x, x), (M,), ValueError, "mismatch in its core dimension"),
    "dot": (lambda np, x: np.dot(x, x), (M,), ValueError, "not aligned"),
    "reshape": (lambda np, x: np.reshape(x, (5, -1)), (M,), ValueError, "cannot reshape"),
    "reshape number": (lambda np, x: np.reshape(x, (5, 2)), (M,), ValueError, "cannot reshape"),
    "concatenate": (lambda np, x, y: np.concatenate([x, y]), (M, M.T.copy()), ValueError, "must match exactly"),
    "concatenate ranks": (lambda np, x, y: np.concatenate([x, y]), (M, V), ValueError, "dimension"),
    "stack": (lambda np, x, y: np.stack([x, y]), (M, V), ValueError, "same shape"),
    "empty max": (lambda np, x: np.max(x), (np.zeros(0),), ValueError, "no identity"),
    "empty argmax": (lambda np, x: np.argmax(x), (np.zeros(0),), ValueError, "empty sequence"),
    "empty max at run time": (lambda np, x: np.max(x[x > 100]), (M,), ValueError, "no identity"),
    "keyword": (lambda np, x: np.sum(x, axes=0), (M,), TypeError, "weft supports sum"),
    "where": (lambda np, x: np.sin(x, where=x > 0), (M,), TypeError, "np.where"),
    "bool minus": (lambda np, x: np.subtract(x, x), (M > 0,), TypeError, "boolean subtract"),
    "negative power": (lambda np, x: np.power(x, -1), (np.array([1, 2]),), ValueError, "negative integer powers"),
    "negative power at run time": (lambda np, x, y: np.power(x, y), (np.array([1, 2]), np.array([1, -2])), ValueError, "negative integer powers"),
    "split": (lambda np, x: np.split(x, 4), (V,), ValueError, "equal division"),
    "squeeze": (lambda np, x: np.squeeze(x, 0), (M,), ValueError, "not equal to one"),
    "take": (lambda np, x: np.take(x, [9], axis=0), (M,), IndexError, "out of bounds"),
    "negative size": (lambda np, n: np.zeros(n), (-1,), ValueError, "negative dimensions"),
    "arange step": (lambda np, n: np.arange(0, 5, n), (0,), ZeroDivisionError, "division by zero"),
    "out cast": (lambda np, x: np.add(x, 0.5, out=x), (np.array([1, 2]),), TypeError, "same_kind"),
    "out of a constant": (lambda np, x: np.add(x, 0.5, out=M), (M,), TypeError, "out="),
    "einsum": (lambda np, x: np.einsum("ij,jk", x), (M,), ValueError, "einstein"),
    "einsum sizes": (lambda np, x, y: np.einsum("i,i", x, y), (V, V[:3].copy()), ValueError, "'i'"),
    "readonly diagonal": (lambda np, x: np.diagonal(x).__setitem__(0, 1.0), (M,), ValueError, "read-only"),
    "repeat": (lambda np, x: np.repeat(x, [1, 2]), (V,), ValueError, "repeats"),
    "len": (lambda np, x: len(x), (2.0,), TypeError, "len"),
    "attribute of a float": (lambda np, x: x.sum(), (2.0,), AttributeError, "'float' object has no attribute 'sum'"),
    "search complex": (lambda np, x: np.searchsorted(x, 1j), (C[0].copy(),), TypeError, "complex"),
    "float index": (lambda np, x: np.take(x, [0.5]), (V,), TypeError, "int64"),
    "quantile range": (lambda np, x: np.percentile(x, 101), (V,), ValueError, "Percentiles"),
    "searchsorted": (lambda np, x: np.searchsorted(x, 1.0, side="both"), (V,), ValueError, "side"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(ERRORS))
def test_errors(name):
    f, args, kind, match = ERRORS[name]
    with pytest.raises(kind, match=match):
        Staging(lambda *a: f(snp, *a), *args).run(*args)


def test_flavours():
    import weft.numpy as wnp

    s = Staging(lambda x: (wnp.sin(x), snp.sin(x), x + 1, wnp.zeros(3), snp.zeros(3), x.T), M)
    assert [v.flavour for v in s.tree] == ["weft", "np", "np", "weft", "np", "np"]
    s = Staging(lambda x: (x.sum(), wnp.sin(x), snp.sin(x), x * 2.0, x.T, x.reshape(-1)), M, flavour="weft")
    assert [v.flavour for v in s.tree] == ["weft", "weft", "np", "weft", "weft", "weft"]
    s = Staging(lambda a: (wnp.sin(a), snp.sin(a), a * 2), 2.0)
    assert [v.flavour for v in s.tree] == ["weft", "np", "py"]


def test_weft_arrays_are_immutable_while_staging():
    with pytest.raises(TypeError, match=r"\.at\["):
        Staging(lambda x: x.__setitem__(0, 1.0), M, flavour="weft")


def test_symbols_survive():
    """No size is fixed where none is needed."""
    s = Staging(lambda x, y: snp.matmul(x, y.T) + snp.sum(x, axis=1)[:, None], M, M)
    assert all(g.kind == "==" and len(g.size.terms) == 2 for g in s.ctx.guards), s.ctx.guards
    s = Staging(lambda x: snp.reshape(x, (-1, x.shape[1])) + x.ravel().reshape(x.shape), M)
    assert not s.ctx.guards
    s = Staging(lambda x: snp.concatenate([x, x])[x.shape[0] :] - x, M)
    assert not s.ctx.guards
    s = Staging(lambda x: snp.pad(x, 1)[1:-1, 1:-1] + x, M)
    assert not s.ctx.guards
