"""Control flow and factorisations of lax."""

from __future__ import annotations

import numpy as np
from recorded_cases import case

V = np.linspace(0.5, 2.0, 5)
X = np.sin(np.arange(12.0)).reshape(3, 4)
A = np.cos(np.arange(16.0) * 1.7).reshape(4, 4) + 3 * np.eye(4)
S = A @ A.T
B = np.sin(np.arange(8.0)).reshape(4, 2)


def cell(carry, x):
    h = carry["h"] * 0.9 + x
    return {"h": h, "n": carry["n"] + 1}, (h * h, {"last": carry["h"]})


def rnn(j):
    def step(h, x):
        h = j.numpy.tanh(h @ A * 0.1 + x)
        return h, h

    return step


def newton(j):
    return lambda x: j.lax.while_loop(lambda v: abs(v * v - x) > 1e-12, lambda v: 0.5 * (v + x / v), x)


def affine(a, b):
    return a[0] * b[0], b[0] * a[1] + b[1]


CASES = [
    case("scan_trees", lambda j, x: j.lax.scan(cell, {"h": 0.0, "n": 0}, x), V, grad=True, vmap=True),
    case("scan_rnn", lambda j, h, x: j.lax.scan(rnn(j), h, x), X[0], X, grad=True, vmap=True),
    case("scan_reverse", lambda j, x: j.lax.scan(lambda c, x: (c * 0.5 + x, c * x), 1.0, x, reverse=True), V, grad=True),
    case("scan_length", lambda j, x: j.lax.scan(lambda c, _: (c * 1.5, c), x, None, length=4), X, grad=True, vmap=True),
    case("scan_no_output", lambda j, x: j.lax.scan(lambda c, x: (c + x, None), np.zeros(4), x), X, grad=True),
    case("scan_weak", lambda j, x: j.lax.scan(lambda c, x: (c + x, c), 0, x), V.astype(np.float32)),
    case("scan_several", lambda j, x, v: j.lax.scan(lambda c, a: (c + a[0] * a[1]["v"], a[0][0]), np.ones(4), (x, {"v": v[:3]})), X, V, grad=True),
    case("scan_nested", lambda j, x: j.lax.scan(lambda c, row: j.lax.scan(lambda d, e: (d * e, d + e), c, row), 1.0, x), X, grad=True, vmap=True),
    case("scan_empty", lambda j, x: j.lax.scan(lambda c, x: (c + x, x * 2), 1.5, x[:0]), V),
    case("fori", lambda j, x: j.lax.fori_loop(0, 5, lambda i, v: v * 0.5 + i, x), X, grad=True, vmap=True),
    case("fori_offset", lambda j, x: [j.lax.fori_loop(2, 7, lambda i, v: v + j.numpy.asarray(x)[i % 5] * i, 0.0), j.lax.fori_loop(7, 2, lambda i, v: v + 1.0, 3.0)], V, grad=True),
    case("fori_tree", lambda j, x: j.lax.fori_loop(0, 6, lambda i, v: (v[1], v[0] + v[1]), (x, x * 2)), V, grad=True),
    case("fori_update", lambda j, x: j.lax.fori_loop(1, 5, lambda i, v: v.at[i].add(v[i - 1] * 0.5), j.numpy.asarray(x)), V, grad=True, vmap=True),
    case("while", lambda j, x: newton(j)(x[2]), V, vmap=True),
    case("while_tree", lambda j, x: j.lax.while_loop(lambda c: c["n"] < 4, lambda c: {"n": c["n"] + 1, "x": c["x"] * 1.5}, {"n": 0, "x": x}), V, vmap=True),
    case("while_lanes", lambda j, n: j.lax.while_loop(lambda c: c[0] < 100.0, lambda c: (c[0] * 2, c[1] + 1), (n[1], 0)), V, vmap=True),
    case("cond", lambda j, x: [j.lax.cond(x[0] > 0, lambda v: v * 2, lambda v: v - 1, x), j.lax.cond(x[0] < 0, lambda a, b: a * b, lambda a, b: a + b, x, x * 3)], V, grad=True, vmap=True),
    case("cond_tree", lambda j, x: j.lax.cond(x[0] > 1, lambda v: {"a": v, "b": (v[0], 1)}, lambda v: {"a": -v, "b": (v[1], 2)}, x), V, vmap=True),
    case("cond_operand", lambda j, x: [j.lax.cond(x[1] > 0, lambda v: v * 2, lambda v: v, operand=x), j.lax.cond(x[0] > 9, x, lambda v: v, -x, lambda v: v * 3)], V),
    case("switch", lambda j, x, i: [j.lax.switch(i[k], [lambda v: v, lambda v: v * v, lambda v: j.numpy.sin(v)], x) for k in range(4)], V, np.array([1, -3, 7, 2]), grad=True, vmap=True),
    case("switch_known", lambda j, x: j.lax.switch(1, [lambda v, w: v, lambda v, w: v * w], x, x), V, grad=True),
    case("map", lambda j, x: [j.lax.map(lambda r: j.numpy.sum(r * r), x), j.lax.map(lambda r: (r[0] * 2, r[1] @ r[1]), (x[:, 0], x))], X, grad=True, vmap=True),
    case("map_batches", lambda j, x: [j.lax.map(lambda r: r * j.numpy.sum(r), x, batch_size=n) for n in (1, 2, 3, 5)], X, grad=True),
    case("associative_scan", lambda j, x: [j.lax.associative_scan(lambda a, b: a * b, x), j.lax.associative_scan(lambda a, b: a + b, x, reverse=True, axis=1)], X, grad=True, vmap=True),
    case("associative_affine", lambda j, x: j.lax.associative_scan(affine, (x, x + 1.0), axis=-1), X, grad=True, vmap=True),
    case("associative_one", lambda j, x: j.lax.associative_scan(lambda a, b: a * b, x[:1]), X),
    case("platform", lambda j, x: j.lax.platform_dependent(x, cpu=lambda v: v * 2, default=lambda v: v), V),
    case("cholesky", lambda j, s: j.lax.linalg.cholesky(s), S, grad=True, vmap=True),
    case("cholesky_asymmetric", lambda j, s: [j.lax.linalg.cholesky(s), j.lax.linalg.cholesky(s, symmetrize_input=False)], S + np.triu(A, 1) * 0.01),
    case("eigh", lambda j, s: [abs(j.lax.linalg.eigh(s)[0]), j.lax.linalg.eigh(s)[1]], S),
    case("svd", lambda j, a: [abs(j.lax.linalg.svd(a, full_matrices=False)[0]), j.lax.linalg.svd(a, compute_uv=False)], A[:, :3]),
    case("qr", lambda j, a: [abs(v) for v in (*j.lax.linalg.qr(a), *j.lax.linalg.qr(a[:, :2], full_matrices=False))], A, vmap=True),
    case("triangular", lambda j, a, b: [j.lax.linalg.triangular_solve(a, b, left_side=True, lower=low, transpose_a=t, unit_diagonal=u) for low, t, u in ((True, False, False), (False, True, False), (True, True, True))], A, B, grad=True, vmap=True),
    case("triangular_right", lambda j, a, b: [j.lax.linalg.triangular_solve(a, b.T, lower=low, transpose_a=t) for low, t in ((True, False), (True, True), (False, False))], A, B, grad=True),
    case("triangular_vector", lambda j, a, b: [j.lax.linalg.triangular_solve(a, b[:, 0], lower=True), j.lax.linalg.triangular_solve(a, b[:, 0], left_side=True)], A, B),
    case("lu", lambda j, a: j.lax.linalg.lu(a[:, ::-1]), A, grad=True, vmap=True),
    case("pivots", lambda j, p: j.lax.linalg.lu_pivots_to_permutation(p, 6), np.array([3, 5, 2, 5], np.int32)),
    case("householder", lambda j, a, t: [j.lax.linalg.householder_product(a, t), j.lax.linalg.householder_product(a[:, :3], t[:2])], A, V[:4] * 0.3),
    case("tridiagonal", lambda j, a, b: j.lax.linalg.tridiagonal_solve(a[0], a[1] + 5.0, a[2], b), A * np.array([[0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]]), B, vmap=True),
    case("symmetric_product", lambda j, a: j.lax.linalg.symmetric_product(a, a + a.T, alpha=2.0, beta=0.5, symmetrize_output=True), A),
    case("cholesky_update", lambda j, a, w: j.lax.linalg.cholesky_update(np.linalg.cholesky(S).T, w[:4]), A, V),
]  # fmt: skip
