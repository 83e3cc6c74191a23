"""Linear algebra against NumPy: values, dtypes, shapes, result types, errors; compiled, batched, differentiated."""

from __future__ import annotations

import linecache

import numpy as np
import pytest
from tests.staged.util import check, same

import weft
import weft.numpy as wnp

R = np.random.default_rng(0)
S = R.normal(size=(4, 4)) + 4 * np.eye(4)
S2 = R.normal(size=(4, 4))
STACK = R.normal(size=(2, 3, 3)) + 3 * np.eye(3)
M = R.normal(size=(5, 3))
W = R.normal(size=(3, 5))
V = R.normal(size=4)
B = R.normal(size=(4, 2))
SPD = S @ S.T
C = S + 1j * R.normal(size=(4, 4))
HERMITIAN = C @ C.conj().T
F4 = S.astype("f4")
INT = np.array([[4, 1], [2, 3]])
T3 = R.normal(size=(2, 5, 3))
DEFICIENT = np.outer(R.normal(size=5), R.normal(size=3))
TENSOR = R.normal(size=(2, 3, 6))
E0 = np.zeros((0, 0))

CASES = [
    ("np.linalg.solve(a[0], a[1])", (S, V)), ("np.linalg.solve(a[0], a[1])", (S, B)), ("np.linalg.solve(a[0], a[1])", (C, B)), ("np.linalg.solve(a[0], a[1])", (F4, V.astype("f4"))), ("np.linalg.solve(a[0], a[1])", (F4, V)), ("np.linalg.solve(a[0], a[1])", (INT, np.array([1, 2]))), ("np.linalg.solve(a[0], a[1])", (STACK, R.normal(size=(3, 2)))), ("np.linalg.solve(a[0], a[1])", (STACK, R.normal(size=3))), ("np.linalg.solve(a[0], a[1])", (STACK[0], R.normal(size=(2, 3, 1)))), ("np.linalg.solve(a[0], a[1])", (E0, np.zeros(0))),
    ("np.linalg.inv(a[0])", (S,)), ("np.linalg.inv(a[0])", (STACK,)), ("np.linalg.inv(a[0])", (C,)), ("np.linalg.inv(a[0])", (F4,)), ("np.linalg.inv(a[0])", (INT,)),
    ("np.linalg.tensorsolve(a[0], a[1])", (R.normal(size=(2, 3, 6)), R.normal(size=(2, 3)))), ("np.linalg.tensorsolve(a[0], a[1], axes=(1,))", (R.normal(size=(2, 6, 3)), R.normal(size=(2, 3)))), ("np.linalg.tensorinv(a[0])", (TENSOR,)), ("np.linalg.tensorinv(a[0], ind=1)", (R.normal(size=(6, 2, 3)),)),
    ("np.linalg.cholesky(a[0])", (SPD,)), ("np.linalg.cholesky(a[0])", (SPD + np.triu(S, 1),)), ("np.linalg.cholesky(a[0], upper=True)", (SPD + np.tril(S, -1),)), ("np.linalg.cholesky(a[0])", (HERMITIAN,)), ("np.linalg.cholesky(a[0], upper=True)", (HERMITIAN,)), ("np.linalg.cholesky(a[0])", (SPD.astype("f4"),)), ("np.linalg.cholesky(a[0])", (STACK @ STACK.mT,)),
    ("np.linalg.det(a[0])", (S,)), ("np.linalg.det(a[0])", (STACK,)), ("np.linalg.det(a[0])", (INT,)), ("np.linalg.det(a[0])", (C,)), ("np.linalg.det(a[0])", (F4,)), ("np.linalg.det(a[0])", (E0,)), ("np.linalg.slogdet(a[0])", (S,)), ("np.linalg.slogdet(a[0])", (STACK,)), ("np.linalg.slogdet(a[0])", (C,)), ("np.linalg.slogdet(a[0])", (np.zeros((2, 2)),)), ("np.linalg.slogdet(a[0])", (F4,)), ("np.linalg.slogdet(a[0]).logabsdet", (S,)),
    ("np.linalg.eigh(a[0])", (SPD,)), ("np.linalg.eigh(a[0])", (S2,)), ("np.linalg.eigh(a[0], 'U')", (S2,)), ("np.linalg.eigh(a[0], UPLO='u')", (C,)), ("np.linalg.eigh(a[0]).eigenvectors", (STACK,)), ("np.linalg.eigvalsh(a[0])", (S2,)), ("np.linalg.eigvalsh(a[0], 'U')", (C,)), ("np.linalg.eigvalsh(a[0])", (F4,)), ("np.linalg.eigh(a[0])[0]", (INT,)), ("np.linalg.eig(a[0])", (C,)), ("np.linalg.eigvals(a[0])", (C,)), ("np.linalg.eig(a[0].astype(complex))", (S,)),
    ("np.linalg.svd(a[0])", (M,)), ("np.linalg.svd(a[0])", (W,)), ("np.linalg.svd(a[0], full_matrices=False)", (M,)), ("np.linalg.svd(a[0], full_matrices=False)", (W,)), ("np.linalg.svd(a[0])", (S,)), ("np.linalg.svd(a[0], compute_uv=False)", (T3,)), ("np.linalg.svd(a[0], False).U", (T3,)), ("np.linalg.svd(a[0])", (C,)), ("np.linalg.svd(a[0])", (F4,)), ("np.linalg.svdvals(a[0])", (W,)), ("np.linalg.svd(a[0], hermitian=True)", (SPD - 30 * np.eye(4),)), ("np.linalg.svd(a[0], compute_uv=False, hermitian=True)", (SPD - 30 * np.eye(4),)), ("np.linalg.svd(a[0], False)", (INT,)),
    ("np.linalg.qr(a[0])", (M,)), ("np.linalg.qr(a[0])", (W,)), ("np.linalg.qr(a[0], 'complete')", (M,)), ("np.linalg.qr(a[0], mode='r')", (M,)), ("np.linalg.qr(a[0])", (T3,)), ("np.linalg.qr(a[0])", (C,)), ("np.linalg.qr(a[0]).R", (F4,)), ("np.linalg.qr(a[0], 'complete')", (S,)), ("np.linalg.qr(a[0], 'complete')", (W,)),
    ("np.linalg.lstsq(a[0], a[1])", (M, R.normal(size=5))), ("np.linalg.lstsq(a[0], a[1])", (M, R.normal(size=(5, 2)))), ("np.linalg.lstsq(a[0], a[1])", (W, R.normal(size=3))), ("np.linalg.lstsq(a[0], a[1])", (DEFICIENT, R.normal(size=(5, 2)))), ("np.linalg.lstsq(a[0], a[1])", (S, V)), ("np.linalg.lstsq(a[0], a[1], rcond=0.5)", (M, R.normal(size=5))), ("np.linalg.lstsq(a[0], a[1], rcond=None)[0]", (INT, np.array([1, 2]))), ("np.linalg.lstsq(a[0], a[1])", (C, V)),
    ("np.linalg.pinv(a[0])", (M,)), ("np.linalg.pinv(a[0])", (W,)), ("np.linalg.pinv(a[0], 0.5)", (M,)), ("np.linalg.pinv(a[0], rtol=None)", (DEFICIENT,)), ("np.linalg.pinv(a[0])", (T3,)), ("np.linalg.pinv(a[0])", (C,)), ("np.linalg.pinv(a[0], hermitian=True)", (S2,)), ("np.linalg.pinv(a[0], rcond=a[1])", (T3, np.array([0.1, 0.9]))),
    ("np.linalg.matrix_rank(a[0])", (M,)), ("np.linalg.matrix_rank(a[0])", (DEFICIENT,)), ("np.linalg.matrix_rank(a[0])", (T3,)), ("np.linalg.matrix_rank(a[0], tol=2.0)", (M,)), ("np.linalg.matrix_rank(a[0], rtol=0.5)", (T3,)), ("np.linalg.matrix_rank(a[0], hermitian=True)", (SPD,)), ("np.linalg.cond(a[0])", (M,)), ("np.linalg.cond(a[0])", (T3,)), ("np.linalg.cond(a[0], -2)", (S,)), ("np.linalg.cond(a[0])", (np.zeros((2, 2)),)), ("np.linalg.cond(a[0], 2)", (C,)),
    ("np.linalg.norm(a[0])", (V,)), ("np.linalg.norm(a[0])", (M,)), ("np.linalg.norm(a[0])", (C,)), *[(f"np.linalg.norm(a[0], {o})", (V,)) for o in ("1", "2", "3", "0.5", "-1", "0", "np.inf", "-np.inf")],
    *[(f"np.linalg.norm(a[0], {o})", (m,)) for o in ("1", "-1", "2", "-2", "np.inf", "-np.inf", "'fro'", "'nuc'") for m in (M, C)], *[(f"np.linalg.norm(a[0], {o}, axis=(0, 2), keepdims=True)", (T3,)) for o in ("1", "2", "np.inf", "'nuc'", "'fro'")], ("np.linalg.norm(a[0], 2, axis=(2, 1))", (T3,)), ("np.linalg.norm(a[0], axis=1)", (T3,)), ("np.linalg.norm(a[0], 3, axis=-1, keepdims=True)", (T3,)), ("np.linalg.norm(a[0], axis=0)", (INT,)),
    ("np.linalg.vector_norm(a[0])", (T3,)), ("np.linalg.vector_norm(a[0], axis=(0, 2))", (T3,)), ("np.linalg.vector_norm(a[0], axis=1, keepdims=True, ord=1)", (T3,)), ("np.linalg.matrix_norm(a[0])", (T3,)), ("np.linalg.matrix_norm(a[0], ord=2, keepdims=True)", (T3,)),
    ("np.linalg.matrix_power(a[0], 3)", (S,)), ("np.linalg.matrix_power(a[0], -2)", (S,)), ("np.linalg.matrix_power(a[0], 0)", (STACK,)), ("np.linalg.multi_dot([a[0], a[1], a[2]])", (M, W, M)), ("np.linalg.matmul(a[0], a[1])", (M, W)), ("np.linalg.tensordot(a[0], a[1], axes=1)", (M, W)), ("np.linalg.vecdot(a[0], a[1], axis=0)", (M, M)), ("np.linalg.outer(a[0], a[1])", (V, V)), ("np.linalg.cross(a[0], a[1])", (M, M[::-1].copy())), ("np.linalg.trace(a[0])", (T3[:, :3],)), ("np.linalg.trace(a[0], offset=1)", (T3,)), ("np.linalg.diagonal(a[0], offset=-1)", (T3,)), ("np.linalg.matrix_transpose(a[0])", (T3,)),
]  # fmt: skip
IDS = [f"{text}-{k}" for k, (text, _) in enumerate(CASES)]


def python_function(text):
    """The case as a function with source."""
    file, source = f"<linalg {text}>", f"def case(*a):\n    return {text}\n"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    space = {"np": np}
    exec(compile(source, file, "exec"), space)
    return space["case"]


def function(text):
    return eval("lambda np, *a: " + text)


@pytest.mark.parametrize(("text", "args"), CASES, ids=IDS)
@pytest.mark.parametrize("symbolic", [True, False], ids=["sym", "lit"])
def test_matches_numpy(text, args, symbolic):
    check(function(text), *args, symbolic=symbolic, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("text", "args"), CASES[::4], ids=IDS[::4])
def test_compiled(text, args):
    same(weft.jit(python_function(text))(*args), function(text)(np, *args), rtol=1e-9, atol=1e-10)


def test_public_functions_and_results():
    x = wnp.linalg.solve(S, V)
    assert isinstance(x, weft.Array)
    np.testing.assert_allclose(x, np.linalg.solve(S, V))
    out = wnp.linalg.eigh(SPD)
    assert type(out).__name__ == "EighResult" and isinstance(out.eigenvalues, weft.Array)
    assert set(wnp.linalg.__all__) >= set(np.linalg.__all__) - {"LinAlgError"} and wnp.linalg.LinAlgError
    assert wnp.trace is not wnp.linalg.trace and wnp.outer is not wnp.linalg.outer


def test_result_types_survive_compilation():
    @weft.jit
    def f(a):
        return np.linalg.svd(a, full_matrices=False), np.linalg.qr(a), np.linalg.slogdet(a.T @ a)

    s, q, d = f(M)
    assert (type(s), type(q), type(d)) == tuple(
        type(g(x)) for g, x in ((np.linalg.svd, M), (np.linalg.qr, M), (np.linalg.slogdet, S))
    )
    np.testing.assert_allclose(s.U * s.S @ s.Vh, M, atol=1e-12)
    np.testing.assert_allclose(q.Q @ q.R, M, atol=1e-12)
    assert isinstance(d.logabsdet, np.float64)


ERRORS = [
    ("np.linalg.solve(a[0], a[1])", (np.zeros((2, 2)), np.ones(2)), np.linalg.LinAlgError, "Singular matrix"),
    ("np.linalg.inv(a[0])", (np.ones((2, 2)),), np.linalg.LinAlgError, "Singular matrix"),
    ("np.linalg.inv(a[0])", (M,), np.linalg.LinAlgError, "Last 2 dimensions of the array must be square"),
    ("np.linalg.det(a[0])", (V,), np.linalg.LinAlgError, "1-dimensional array given. Array must be at least two-dim"),
    ("np.linalg.cholesky(a[0])", (-np.eye(2),), np.linalg.LinAlgError, "Matrix is not positive definite"),
    ("np.linalg.solve(a[0], a[1])", (S, np.ones(3)), ValueError, "mismatch in its core dimension 0"),
    ("np.linalg.eigh(a[0], 'X')", (S,), ValueError, "UPLO argument must be 'L' or 'U'"),
    ("np.linalg.svd(a[0])", (np.full((2, 2), np.nan),), np.linalg.LinAlgError, "SVD did not converge"),
    ("np.linalg.inv(a[0])", (S.astype("f2"),), TypeError, "array type float16 is unsupported in linalg"),
    ("np.linalg.lstsq(a[0], a[1])", (M, V), np.linalg.LinAlgError, "Incompatible dimensions"),
    ("np.linalg.norm(a[0], 7)", (M,), ValueError, "Invalid norm order for matrices."),
    ("np.linalg.norm(a[0], 'fro', axis=0)", (M,), ValueError, "Invalid norm order 'fro' for vectors"),
    ("np.linalg.pinv(a[0], 1e-3, rtol=1e-2)", (M,), ValueError, "`rtol` and `rcond` can't be both set."),
    ("np.linalg.qr(a[0], mode='odd')", (M,), ValueError, "Unrecognized mode 'odd'"),
    ("np.linalg.outer(a[0], a[0])", (M,), ValueError, "Input arrays must be one-dimensional"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "args", "error", "message"), ERRORS)
def test_errors_are_numpys(text, args, error, message):
    with pytest.raises(error, match=message):
        weft.jit(python_function(text))(*args)
    with pytest.raises(error):
        function(text)(np, *args)


def test_what_is_not_compiled_says_what_to_write():
    for text, args, remedy in (
        ("np.linalg.eig(a[0])", (S,), "astype\\(complex\\)"),
        ("np.linalg.eigvals(a[0])", (S,), "np.linalg.eigvalsh of a symmetric matrix"),
        ("np.linalg.qr(a[0], mode='raw')", (M,), "mode='reduced'"),
        ("np.linalg.cond(a[0], 1)", (S,), "np.linalg.norm\\(x, 1\\)"),
        ("np.linalg.matrix_rank(a[0])", (V,), "np.any"),
        ("np.linalg.norm(a[0], a[1])", (V, 2.0), "give ord as a number"),
    ):
        with pytest.raises(weft.StagingError, match=remedy):
            weft.jit(python_function(text))(*args)


def test_no_derivative_says_what_to_write():
    for text, args, remedy in (
        ("np.linalg.svd(a[0])[0][0, 0]", (M,), "full_matrices=False"),
        ("np.linalg.qr(a[0], 'complete')[0][0, 0]", (M,), "mode='reduced'"),
        ("np.linalg.qr(a[0])[0][0, 0]", (W,), r"a\[:, :a.shape\[0\]\]"),
        ("np.real(np.linalg.eig(a[0] + 0j)[1][0, 0])", (S,), "np.linalg.eigvals"),
    ):
        with pytest.raises(weft.StagingError, match=remedy) as e:
            weft.grad(python_function(text))(*args)
        assert text.partition("(")[0] in str(e.value) or "case" in str(e.value)


# -- in programs ---------------------------------------------------------------------------------------------------------


def kalman(x, p, ys):
    """Factor and solve in a loop, with a branch on run-time values around one of them."""
    a = np.array([[1.0, 0.1], [0.0, 1.0]])
    total = 0.0
    for t in range(ys.shape[0]):
        x = a @ x
        p = a @ p @ a.T + 0.1 * np.eye(2)
        s = p + np.eye(2)
        r = ys[t] - x
        if np.sum(r * r) > 1.0:
            total -= 0.5 * r @ np.linalg.solve(s, r) + 0.5 * np.linalg.slogdet(s)[1]
        else:
            half = np.linalg.cholesky(s)
            z = np.linalg.solve(half, r)
            total -= 0.5 * z @ z + np.sum(np.log(np.diag(half)))
        k = np.linalg.inv(s.T) @ p
        x = x + k.T @ r
        p = p - k.T @ s @ k
    return total


YS = R.normal(size=(6, 2)) * 1.5
P0 = np.array([[1.0, 0.2], [0.2, 2.0]])


def differences(f, x, h=1e-6):
    g = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[i] = h
        g[i] = (f(x + e) - f(x - e)) / (2 * h)
    return g


def test_loops_and_branches():
    x0 = np.array([0.5, -1.0])
    assert np.isclose(weft.jit(kalman)(x0, P0, YS), kalman(x0, P0, YS), rtol=1e-12)
    gx, gp, gy = weft.grad(kalman, argnums=(0, 1, 2))(x0, P0, YS)
    np.testing.assert_allclose(gx, differences(lambda v: kalman(v, P0, YS), x0), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(gp, differences(lambda v: kalman(x0, v, YS), P0), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(gy, differences(lambda v: kalman(x0, P0, v), YS), rtol=1e-6, atol=1e-8)


def test_under_vmap():
    x0 = np.array([0.5, -1.0])
    many = R.normal(size=(5, 6, 2))
    want = [kalman(x0, P0, ys) for ys in many]
    np.testing.assert_allclose(weft.jit(weft.vmap(kalman, in_axes=(None, None, 0)))(x0, P0, many), want, rtol=1e-11)
    grads = weft.vmap(weft.grad(kalman), in_axes=(0, None, None))(np.stack([x0, -x0]), P0, YS)
    for k, v in enumerate((x0, -x0)):
        np.testing.assert_allclose(grads[k], weft.grad(kalman)(v, P0, YS), rtol=1e-10)


def test_a_batched_solve_is_one_call():
    f = weft.jit(weft.vmap(lambda a, b: np.linalg.solve(a, b)))
    a, b = R.normal(size=(7, 3, 3)) + 3 * np.eye(3), R.normal(size=(7, 3))
    np.testing.assert_allclose(f(a, b), np.stack([np.linalg.solve(x, y) for x, y in zip(a, b)]), rtol=1e-11)
    ir = str(f.inspect(a, b).ir)
    assert ir.count("solve(") == 1 and "map" not in ir.replace("vmap", "")
    shared = weft.vmap(lambda a, b: np.linalg.solve(a, b), in_axes=(None, 0))
    np.testing.assert_allclose(shared(a[0], b), np.linalg.solve(a[0], b.T).T, rtol=1e-11)


def test_run_time_sizes():
    @weft.jit
    def hilbert(n):
        i = np.arange(n)
        a = 1.0 / (i[:, None] + i[None, :] + 1) + np.eye(n)
        return np.linalg.cholesky(a), np.linalg.svd(a)[1], np.linalg.inv(a)

    for n in (2, 3, 5):
        i = np.arange(n)
        a = 1.0 / (i[:, None] + i[None, :] + 1) + np.eye(n)
        same(hilbert(n), (np.linalg.cholesky(a), np.linalg.svd(a)[1], np.linalg.inv(a)), rtol=1e-11)


# -- derivatives -----------------------------------------------------------------------------------------------------------


GRADS = [
    ("np.sum(np.linalg.solve(a[0], np.ones(4)) ** 2)", (S,)),
    ("np.sum(np.linalg.inv(a[0]) ** 3)", (S,)),
    ("np.linalg.det(a[0])", (S,)),
    ("np.linalg.slogdet(a[0])[1]", (S,)),
    ("np.sum(np.linalg.cholesky(a[0]) ** 3)", (SPD,)),
    ("np.sum(np.linalg.cholesky(a[0], upper=True) ** 3)", (SPD,)),
    ("np.sum(np.linalg.eigh(a[0])[0] ** 2)", (SPD,)),
    ("np.sum(np.linalg.eigh(a[0])[1][:, 0] ** 4)", (SPD,)),
    ("np.sum(np.sin(np.linalg.eigvalsh(a[0], 'U')))", (SPD,)),
    ("np.sum(np.linalg.svd(a[0], full_matrices=False)[0] ** 4)", (M,)),
    ("np.sum(np.linalg.svd(a[0], full_matrices=False)[2] ** 4)", (W,)),
    ("np.linalg.norm(a[0], 'nuc')", (M,)),
    ("np.linalg.norm(a[0], 2)", (W,)),
    ("np.linalg.cond(a[0])", (S,)),
    ("np.sum(np.linalg.qr(a[0])[0] ** 4)", (M,)),
    ("np.sum(np.linalg.qr(a[0], mode='r') ** 3)", (M,)),
    ("np.sum(np.linalg.pinv(a[0]) ** 2)", (M,)),
    ("np.sum(np.linalg.pinv(a[0]) ** 2)", (W,)),
    ("np.sum(np.linalg.lstsq(a[0], np.arange(5.0))[0] ** 2)", (M,)),
    ("np.linalg.lstsq(a[0], np.arange(5.0))[1][0]", (M,)),
    ("np.sum(np.real(np.linalg.eigvals(a[0] + 0j)) ** 2)", (S,)),
    ("np.sum(np.linalg.matrix_power(a[0], -2))", (S,)),
    ("np.linalg.norm(a[0], 3)", (V,)),
    ("np.sum(np.linalg.vector_norm(a[0], axis=(0, 2)))", (T3,)),
    ("np.sum(np.linalg.solve(a[0], a[0].mT) ** 2)", (STACK,)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "args"), GRADS, ids=[t for t, _ in GRADS])
def test_gradients(text, args):
    f = python_function(text)
    (x,) = args
    want = differences(f, x)
    np.testing.assert_allclose(weft.grad(f)(x), want, rtol=1e-5, atol=1e-6 * np.abs(want).max())
    t = R.normal(size=x.shape)
    _, forward = weft.jvp(f, (x,), (t,))
    np.testing.assert_allclose(forward, np.sum(want * t), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["eigh", "svd"])
def test_complex_vectors_up_to_their_phases(name):
    """Projectors onto vectors do not depend on phases, so differences show their derivatives."""
    if name == "eigh":

        def f(a):
            return np.sum(WEIGHT * np.real(projector(np.linalg.eigh(a)[1])))
    else:

        def f(a):
            u, s, vh = np.linalg.svd(a, full_matrices=False)
            return np.sum(WEIGHT * np.real(np.exp(s[0]) * np.outer(u[:, 0], vh[0]) + projector(u) + projector(vh.T)))

    (g,) = weft.vjp(f, C)[1](1.0)
    rng = np.random.default_rng(5)
    for _ in range(4):
        t = rng.normal(size=C.shape) + 1j * rng.normal(size=C.shape)
        h = 1e-6
        want = (f(C + h * t) - f(C - h * t)) / (2 * h)
        np.testing.assert_allclose(np.real(np.sum(g * t)), want, rtol=1e-6)
        np.testing.assert_allclose(weft.jvp(f, (C,), (t,))[1], want, rtol=1e-6)


WEIGHT = R.normal(size=(4, 4))


def projector(v):
    return np.outer(v[:, 1], np.conj(v[:, 1]))


def test_norms_at_zero_have_derivative_zero():
    for text in (
        "np.linalg.norm(a[0])",
        "np.linalg.norm(a[0], 3)",
        "np.sum(np.linalg.norm(a[0], axis=0, keepdims=True))",
    ):
        f = python_function(text)
        np.testing.assert_array_equal(weft.grad(f)(np.zeros(3)), np.zeros(3))
        assert weft.jvp(f, (np.zeros(3),), (np.ones(3),))[1] == 0
    np.testing.assert_array_equal(
        weft.grad(python_function("np.linalg.norm(a[0])"))(np.zeros((2, 2))), np.zeros((2, 2))
    )
    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    g = weft.grad(python_function("np.sum(np.linalg.norm(a[0], axis=1))"))(x)
    np.testing.assert_allclose(g, [[0, 0], [0.6, 0.8]])


def test_determinants_of_singular_matrices():
    one = np.outer([1.0, 2, 3], [1.0, -1, 2])
    two = np.diag([1.0, 2, 0])
    f = python_function("np.linalg.det(a[0])")
    np.testing.assert_allclose(weft.grad(f)(one), np.zeros((3, 3)), atol=1e-12)
    np.testing.assert_allclose(weft.grad(f)(two), np.diag([0.0, 0, 2]), atol=1e-12)
    g = weft.grad(lambda a: np.sum(weft.grad(f)(a) * np.eye(3)))(two)
    np.testing.assert_allclose(g, np.diag([2.0, 1, 3]), atol=1e-12)
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        weft.grad(python_function("np.linalg.slogdet(a[0])[1]"))(one)


def test_one_triangle_is_read_and_differentiated():
    a = SPD + np.triu(R.normal(size=(4, 4)), 1)
    for text in (
        "np.sum(np.linalg.cholesky(a[0]) ** 2 * np.arange(16.0).reshape(4, 4))",
        "np.sum(np.linalg.eigvalsh(a[0]) ** 3)",
    ):
        g = weft.grad(python_function(text))(a)
        np.testing.assert_array_equal(np.triu(g, 1), 0)
        np.testing.assert_allclose(g, differences(python_function(text), a), rtol=1e-5, atol=1e-4)
    logdet = python_function("2 * np.sum(np.log(np.diag(np.linalg.cholesky((a[0] + a[0].T) / 2))))")
    np.testing.assert_allclose(weft.grad(logdet)(SPD), np.linalg.inv(SPD), rtol=1e-9)


def test_equal_eigenvalues():
    f = python_function("np.sum(np.linalg.eigvalsh(a[0]) ** 2)")
    np.testing.assert_allclose(weft.grad(f)(2 * np.eye(3)), 4 * np.eye(3), atol=1e-12)
    g = python_function("np.linalg.eigh(a[0])[1][0, 0]")
    assert not np.isfinite(weft.grad(g)(2 * np.eye(3))).all()
    h = python_function("np.sum(np.linalg.lstsq(a[0], np.ones(3))[0])")
    np.testing.assert_allclose(weft.grad(h)(np.eye(3)), -np.ones((3, 3)), atol=1e-12)


def test_second_derivatives():
    def f(a):
        return np.linalg.slogdet(a @ a.T + np.eye(3))[1] + np.sum(np.linalg.eigvalsh(a + a.T) ** 3)

    a = R.normal(size=(3, 3))
    t = R.normal(size=(3, 3))
    _, got = weft.jvp(weft.grad(f), (a,), (t,))
    h = 1e-5
    want = (weft.grad(f)(a + h * t) - weft.grad(f)(a - h * t)) / (2 * h)
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)
    back = weft.grad(lambda a: np.sum(weft.grad(f)(a) * t))(a)
    np.testing.assert_allclose(back, got, rtol=1e-9, atol=1e-9)
