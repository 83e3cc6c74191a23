"""What `weft.numpy` holds: every name of NumPy and JAX is there or says what to use; the host's functions; vectorize."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft.numpy.absent import ABSENT

JAX = json.loads((Path(__file__).parent / "jax_names.json").read_text())
PRIVATE = {"__array_namespace_info__", "__version__"}


def test_every_name_is_there_or_says_what_to_use():
    for name in {*np.__all__, *JAX["numpy"]} - PRIVATE:
        assert (name in wnp.__all__) != (name in ABSENT), name
        if name in ABSENT:
            with pytest.raises(AttributeError, match=f"module 'weft.numpy' has no attribute '{name}': "):
                getattr(wnp, name)
        else:
            assert getattr(wnp, name) is not None or name == "newaxis"
    for part in ("linalg", "fft"):
        assert {*getattr(np, part).__all__, *JAX[part]} <= set(dir(getattr(wnp, part)))
    with pytest.raises(AttributeError, match="module 'weft.numpy' has no attribute 'nonsense'$"):
        wnp.nonsense  # noqa: B018


def test_there_are_more_than_three_hundred_functions():
    assert sum(callable(getattr(wnp, n)) and not isinstance(getattr(wnp, n), type) for n in wnp.__all__) > 350


def test_constants_are_numpys():
    for name in ("pi", "e", "inf", "euler_gamma", "float32", "int_", "half", "uintp", "generic", "s_", "index_exp"):
        assert getattr(wnp, name) is getattr(np, name)
    assert wnp.complex_ is np.complex128 and wnp.ndarray is weft.Array


# -- the host ----------------------------------------------------------------------------------------------------------


def test_files():
    x = wnp.arange(6.0).reshape(2, 3)
    file = io.BytesIO()
    wnp.save(file, x)
    file.seek(0)
    back = wnp.load(file)
    assert isinstance(back, weft.Array) and back.tolist() == x.tolist()
    file = io.BytesIO()
    wnp.savez(file, a=x, b=wnp.arange(2))
    file.seek(0)
    with wnp.load(file) as found:
        assert sorted(found) == found.files == ["a", "b"] and len(found) == 2 and "a" in found
        assert isinstance(found["a"], weft.Array) and found["b"].tolist() == [0, 1]
        assert [k for k, _ in found.items()] == list(found.keys()) and len(list(found.values())) == 2
    text = io.StringIO()
    wnp.savetxt(text, x)
    assert wnp.loadtxt(io.StringIO(text.getvalue())).tolist() == x.tolist()


def test_texts_and_buffers():
    assert wnp.array_repr(wnp.arange(2)) == "array([0, 1])" and wnp.array_str(wnp.arange(2)) == "[0 1]"
    assert wnp.frombuffer(b"\x01\x02", np.uint8).tolist() == [1, 2]
    assert wnp.fromiter((k * k for k in range(3)), int).tolist() == [0, 1, 4]
    assert wnp.fromstring("1 2", sep=" ").tolist() == [1.0, 2.0]
    assert wnp.iterable([1]) and wnp.base_repr(5, 3) == "12" and wnp.min_scalar_type(300) == np.uint16
    assert wnp.real_if_close(wnp.array([1 + 0j])).dtype == np.float64
    path, report = wnp.einsum_path("ij,jk,kl", np.ones((2, 3)), np.ones((3, 4)), np.ones((4, 5)))
    assert path[0] == "einsum_path" and "scaling" in report
    with wnp.printoptions(precision=2):
        assert "0.33" in repr(wnp.array(1 / 3)) and "0.333" not in repr(wnp.array(1 / 3))


def test_the_host_takes_no_staged_values():
    with pytest.raises(weft.StagingError, match=r"weft.numpy.save of a value that is only known at run time"):
        weft.jit(lambda x: wnp.save("nowhere", x))(np.ones(2))


# -- functions of functions --------------------------------------------------------------------------------------------


def larger(a, b):
    if a > b:
        return a
    return b


def test_vectorize():
    f = wnp.vectorize(larger)
    x = np.arange(4.0)
    assert f(x, 2.0).tolist() == [2, 2, 2, 3] and f(x[:, None], x).shape == (4, 4) and f(1.0, 2.0).tolist() == 2.0
    assert weft.jit(lambda x: f(x, 2.0))(x).tolist() == [2, 2, 2, 3]
    assert weft.jit(lambda x: np.vectorize(larger)(x, 2.0))(x).tolist() == [2, 2, 2, 3]
    assert weft.grad(lambda x: wnp.sum(f(x, 1.5) ** 2))(x).tolist() == [0, 0, 4, 6]
    assert weft.vmap(lambda row: f(row, 1.0))(np.ones((2, 3))).shape == (2, 3)
    assert f.__name__ == "larger" and "larger" in repr(f)


def test_vectorize_with_core_axes():
    f = wnp.vectorize(lambda a, b: a @ b, signature="(n,k),(k)->(n)")
    a, b = np.arange(24.0).reshape(2, 3, 4), np.ones((5, 1, 4))
    np.testing.assert_allclose(f(a, b), np.matmul(a, b[..., None])[..., 0])
    two = wnp.vectorize(lambda a: (a.sum(), a * 2), signature="(n)->(),(n)")
    total, double = two(a)
    assert total.shape == (2, 3) and double.shape == (2, 3, 4)
    with pytest.raises(ValueError, match="not a valid gufunc signature"):
        wnp.vectorize(larger, signature="n->n")
    with pytest.raises(TypeError, match="wrong number of positional arguments"):
        f(a)
    with pytest.raises(ValueError, match="an operand with 0 axes"):
        f(a, 1.0)


def test_vectorize_with_excluded():
    f = wnp.vectorize(lambda a, mode: a * 2 if mode == "double" else a, excluded={1, "mode"})
    assert f(np.arange(3.0), "double").tolist() == [0, 2, 4] and f(np.arange(3.0), mode="x").tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="excluded holds positions and names"):
        wnp.vectorize(larger, excluded={1.5})
    with pytest.raises(TypeError, match="takes a function"):
        wnp.vectorize(3)


def test_frompyfunc():
    f = wnp.frompyfunc(lambda a, b: a + 2 * b, 2, 1, identity=0)
    assert f(np.arange(3), 1).tolist() == [2, 3, 4] and f.outer(np.arange(2), np.arange(2)).tolist() == [[0, 2], [1, 3]]
    assert (f.nin, f.nout, f.identity) == (2, 1, 0)
    assert weft.jit(lambda x: np.frompyfunc(larger, 2, 1)(x, 1))(np.arange(3)).tolist() == [1, 1, 2]
    with pytest.raises(TypeError, match="takes 2 arguments, not 1"):
        f(1)


def test_grids():
    for name in ("mgrid", "ogrid"):
        mine, theirs = getattr(wnp, name), getattr(np, name)
        for key in (np.s_[0:3], np.s_[0:2, 1:4:2], np.s_[0:1:3j]):
            got, want = mine[key], theirs[key]
            for g, w in zip(
                got if isinstance(want, tuple) else [got], want if isinstance(want, tuple) else [want], strict=True
            ):
                np.testing.assert_array_equal(g, w)
    assert wnp.r_[1:4, 0, wnp.arange(2)].tolist() == [1, 2, 3, 0, 0, 1] and wnp.c_[[1, 2], [3, 4]].tolist() == [
        [1, 3],
        [2, 4],
    ]

    @weft.jit
    def f(x, n):
        return np.r_[x, 1:n], np.c_[x, x], np.mgrid[0:n, 0:2], wnp.ogrid[0:n, 1:3], np.s_[1:n]

    x = np.array([0.5, 1.5])
    got = f(x, 3)
    for g, w in zip(got[:3], (np.r_[x, 1:3], np.c_[x, x], np.mgrid[0:3, 0:2]), strict=True):
        np.testing.assert_array_equal(g, w)
        assert isinstance(g, np.ndarray)
    assert isinstance(got[3][0], weft.Array) and got[3][1].tolist() == [[1, 2]]


def test_functions_that_write():
    x, y = np.zeros((2, 2)), wnp.zeros((2, 2))
    assert wnp.fill_diagonal(x, 3.0) is None and x.tolist() == [[3, 0], [0, 3]]
    assert wnp.fill_diagonal(y, 3.0, inplace=False).tolist() == x.tolist() and y.tolist() == [[0, 0], [0, 0]]
    for call in (lambda y: wnp.fill_diagonal(y, 3.0), lambda y: wnp.put(y, [0], 1.0)):
        for run in (call, weft.jit(call)):
            with pytest.raises(TypeError, match=r"writes into its argument, and arrays of weft do not change"):
                run(y)


def test_ufuncs_that_write():
    x = wnp.zeros(3)
    for run in (
        lambda x: wnp.add.at(x, [0, 0, 2], 1.5, inplace=False),
        weft.jit(lambda x: wnp.add.at(x, [0, 0, 2], 1.5, inplace=False)),
    ):
        assert run(x).tolist() == [3, 0, 1.5]
    y = np.zeros(3)
    assert wnp.subtract.at(y, [1, 1], 1.0) is None and y.tolist() == [0, -2, 0]
    with pytest.raises(TypeError, match=r"add.at\(\) writes into its argument"):
        wnp.add.at(x, [0], 1.0)


def test_joining_casts_as_it_is_told():
    x = np.array([1.5, 2.5])
    for run in (
        lambda x, **k: wnp.concatenate([x, x], **k),
        lambda x, **k: weft.jit(lambda x: wnp.hstack([x, x], **k))(x),
    ):
        assert run(x, dtype=np.float32).dtype == np.float32
        assert run(x, dtype=int, casting="unsafe").tolist() == [1, 2, 1, 2]
        with pytest.raises(TypeError, match="Cannot cast array data from"):
            run(x, dtype=int)


def test_integers_may_stay_as_they_are():
    x = np.array([100, 100], "i1")
    for run in (lambda f: f(x), lambda f: weft.jit(f)(x)):
        assert (
            run(lambda x: wnp.sum(x)).tolist() == 200
            and run(lambda x: wnp.sum(x, promote_integers=False)).tolist() == -56
        )
        assert run(lambda x: wnp.prod(x, promote_integers=False)).dtype == np.int8
