"""`jax.scipy.linalg`: factors up to signs, solves, matrix functions, special matrices."""

from __future__ import annotations

import numpy as np
from recorded_cases import case

R = np.random.default_rng(0)
A = R.normal(size=(4, 4)) + 3 * np.eye(4)
S = A @ A.T
W, T = R.normal(size=(3, 5)), R.normal(size=(5, 3))
B, V = R.normal(size=(4, 2)), R.normal(size=4)
C = A + 1j * R.normal(size=(4, 4))
STACK = R.normal(size=(2, 3, 3)) * 0.5

CASES = [
    case("det", lambda j, a: j.scipy.linalg.det(a), A, grad=True, vmap=True),
    case("inv", lambda j, a: j.scipy.linalg.inv(a), A, grad=True, vmap=True),
    case("cholesky", lambda j, a: j.scipy.linalg.cholesky(a @ a.T), A, grad=True),
    case("cholesky_lower", lambda j, a: j.scipy.linalg.cholesky(a @ a.T, lower=True), A, grad=True),
    case("cho_solve", lambda j, a, b: j.scipy.linalg.cho_solve(j.scipy.linalg.cho_factor(a @ a.T), b), A, B, grad=True),
    case("eigh", lambda j, a: j.scipy.linalg.eigh(a + a.T, eigvals_only=True), A, grad=True),
    case("eigh_pairs", lambda j, a: (lambda w, v: v * w @ v.T)(*j.scipy.linalg.eigh(a + a.T)), A, grad=True),
    case("eigh_tridiagonal", lambda j, d, e: j.scipy.linalg.eigh_tridiagonal(d, e, eigvals_only=True), V, V[:3], rtol=1e-6),
    *[case(f"svd_{k}", lambda j, a: j.scipy.linalg.svd(a, compute_uv=False), m, grad=True) for k, m in (("wide", W), ("tall", T))],
    case("svd_pieces", lambda j, a: (lambda u, s, v: u * s @ v)(*j.scipy.linalg.svd(a, full_matrices=False)), W),
    case("qr", lambda j, a: (lambda q, r: q @ r)(*j.scipy.linalg.qr(a)), T),
    case("qr_economic", lambda j, a: j.numpy.abs(j.scipy.linalg.qr(a, mode="economic")[1]), T, grad=True),
    case("qr_r", lambda j, a: j.numpy.abs(j.scipy.linalg.qr(a, mode="r")[0]), T),
    case("solve", lambda j, a, b: j.scipy.linalg.solve(a, b), A, B, grad=True, vmap=True),
    case("solve_vector", lambda j, a, b: j.scipy.linalg.solve(a, b), A, V, grad=True),
    case("solve_pos", lambda j, a, b: j.scipy.linalg.solve(a @ a.T, b, assume_a="pos"), A, B, grad=True),
    case("lu_factor", lambda j, a: j.scipy.linalg.lu_factor(a), A, grad=True),
    case("lu_factor_complex", lambda j, a: j.scipy.linalg.lu_factor(a), C),
    case("lu", lambda j, a: j.scipy.linalg.lu(a), A, grad=True),
    case("lu_wide", lambda j, a: j.scipy.linalg.lu(a), W),
    case("lu_tall", lambda j, a: j.scipy.linalg.lu(a, permute_l=True), T),
    *[case(f"lu_solve_{t}", lambda j, a, b, t=t: j.scipy.linalg.lu_solve(j.scipy.linalg.lu_factor(a), b, t), A, B, grad=True) for t in (0, 1, 2)],
    case("lu_solve_vector", lambda j, a, b: j.scipy.linalg.lu_solve(j.scipy.linalg.lu_factor(a), b), A, V, grad=True),
    case("expm", lambda j, a: j.scipy.linalg.expm(a), A, grad=True, rtol=1e-7, atol=1e-6),
    case("expm_small", lambda j, a: j.scipy.linalg.expm(a * 0.01), A, grad=True),
    case("expm_large", lambda j, a: j.scipy.linalg.expm(a * 10), -S / 10, rtol=1e-5),
    case("expm_complex", lambda j, a: j.scipy.linalg.expm(a), C, rtol=1e-7, atol=1e-6),
    case("expm_f32", lambda j, a: j.scipy.linalg.expm(a), (A * 0.3).astype(np.float32), rtol=1e-4, atol=1e-4),
    case("expm_stack", lambda j, a: j.scipy.linalg.expm(a), STACK, grad=True),
    case("expm_triangle", lambda j, a: j.scipy.linalg.expm(j.numpy.triu(a), upper_triangular=True), A, grad=True, rtol=1e-7, atol=1e-6),
    case("expm_frechet", lambda j, a, e: j.scipy.linalg.expm_frechet(a, e), STACK[0], STACK[1]),
    case("polar", lambda j, a: j.scipy.linalg.polar(a), A, rtol=1e-6, atol=1e-6),
    case("polar_left", lambda j, a: j.scipy.linalg.polar(a, side="left"), W, rtol=1e-6, atol=1e-6),
    case("sylvester", lambda j, a, b, c: j.scipy.linalg.solve_sylvester(a, b, c), A, np.eye(2) + 0.1, B, rtol=1e-5),
    case("block_diag", lambda j, a, b: j.scipy.linalg.block_diag(a, b, a[0]), W, B, grad=True),
    case("toeplitz", lambda j, a: j.scipy.linalg.toeplitz(a), V, grad=True),
    case("toeplitz_2", lambda j, a, b: j.scipy.linalg.toeplitz(a, b), V, W[0], grad=True),
    case("toeplitz_complex", lambda j, a: j.scipy.linalg.toeplitz(a), C[0]),
    case("circulant", lambda j, a: j.scipy.linalg.circulant(a), V, grad=True),
    case("hankel", lambda j, a, b: j.scipy.linalg.hankel(a, b), V, W[0], grad=True),
    case("hankel_1", lambda j, a: j.scipy.linalg.hankel(a), V),
    case("leslie", lambda j, a, b: j.scipy.linalg.leslie(a, b), V, W[0, :3], grad=True),
    case("companion", lambda j, a: j.scipy.linalg.companion(a), V, grad=True),
    case("fiedler", lambda j, a: j.scipy.linalg.fiedler(a), V, grad=True),
    *[case(f"fiedler_companion_{n}", lambda j, a: j.scipy.linalg.fiedler_companion(a), R.normal(size=n)) for n in (2, 3, 4, 5, 6, 7)],
    *[case(f"convolution_matrix_{m}_{n}", lambda j, a, m=m, n=n: j.scipy.linalg.convolution_matrix(a, n, m), V, grad=True)
      for m in ("full", "same", "valid") for n in (2, 3, 6)],
    case("dft", lambda j: [j.scipy.linalg.dft(5, s) for s in (None, "sqrtn", "n")], atol=1e-12),
    case("hadamard", lambda j: j.scipy.linalg.hadamard(8)),
    case("helmert", lambda j: [j.scipy.linalg.helmert(5), j.scipy.linalg.helmert(4, full=True)]),
    case("hilbert", lambda j: [j.scipy.linalg.hilbert(5), j.scipy.linalg.invhilbert(5)]),
    case("pascal", lambda j: [j.scipy.linalg.invpascal(5, k) for k in ("symmetric", "lower", "upper")]),
]  # fmt: skip
