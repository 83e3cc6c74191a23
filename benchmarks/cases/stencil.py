"""A five-point stencil with in-place slices, and its reverse mode."""

from __future__ import annotations

import numpy as np
import peers
from timing import Figure, alternate

import weft

SIZE, STEPS = 250, 100


def jacobi(steps, A, B):
    """As NumPy users write it."""
    for _ in range(1, steps):
        B[1:-1, 1:-1] = 0.2 * (A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1])
        A[1:-1, 1:-1] = 0.2 * (B[1:-1, 1:-1] + B[1:-1, :-2] + B[1:-1, 2:] + B[2:, 1:-1] + B[:-2, 1:-1])


def energy(steps, A, B):
    """A number that depends on every element, for the derivative."""
    A, B = A.copy(), B.copy()
    jacobi(steps, A, B)
    return np.sum(A * A)


def with_numba(numba, parallel):
    """The loops that Numba does best on."""

    @numba.njit(parallel=parallel)
    def f(steps, A, B):
        n, m = A.shape
        for _ in range(1, steps):
            for i in numba.prange(1, n - 1):
                for j in range(1, m - 1):
                    B[i, j] = 0.2 * (A[i, j] + A[i, j - 1] + A[i, j + 1] + A[i + 1, j] + A[i - 1, j])
            for i in numba.prange(1, n - 1):
                for j in range(1, m - 1):
                    A[i, j] = 0.2 * (B[i, j] + B[i, j - 1] + B[i, j + 1] + B[i + 1, j] + B[i - 1, j])

    return f


def with_jax(jax):
    """The same for JAX: a loop of functional updates, and the number for the derivative."""

    def half(A, B):
        new = 0.2 * (A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1])
        return B.at[1:-1, 1:-1].set(new)

    def body(_, state):
        A, B = state
        B = half(A, B)
        return half(B, A), B

    def run(A, B):
        return jax.lax.fori_loop(1, STEPS, body, (A, B))

    def total(A, B):
        A, _ = run(A, B)
        return (A * A).sum()

    return jax.jit(run), jax.jit(total), jax.jit(jax.value_and_grad(total, (0, 1)))


def figures(quick: bool = False) -> list[Figure]:
    """Measure."""
    turns = 5 if quick else 25
    rng = np.random.default_rng(0)
    A, B = rng.random((2, SIZE, SIZE))
    ours = weft.jit(jacobi)
    ways = {"weft": ours, "numpy": jacobi}
    if numba := peers.numba():
        ways |= {"numba": with_numba(numba, False), "numba, parallel": with_numba(numba, True)}
    if module := peers.pythran():
        ways["pythran"] = module.jacobi
    wanted = A.copy(), B.copy()
    jacobi(STEPS, *wanted)
    for name, f in ways.items():
        got = A.copy(), B.copy()
        f(STEPS, *got)
        np.testing.assert_allclose(got, wanted, rtol=1e-12, err_msg=name)
    work = A.copy(), B.copy()
    calls = {name: lambda f=f: f(STEPS, *work) for name, f in ways.items()}

    value = weft.jit(energy)
    both = weft.jit(weft.value_and_grad(energy, argnums=(1, 2)))
    plain = {"weft": lambda: value(STEPS, A, B), "numpy": lambda: energy(STEPS, A, B)}
    reverse = {"weft": lambda: both(STEPS, A, B)}
    if jax := peers.jax():
        run, total, gradient = with_jax(jax)
        a, b = jax.numpy.asarray(A), jax.numpy.asarray(B)
        np.testing.assert_allclose(np.asarray(run(a, b)), wanted, rtol=1e-12)
        calls["jax"] = lambda: jax.block_until_ready(run(a, b))
        plain["jax"] = lambda: jax.block_until_ready(total(a, b))
        reverse["jax"] = lambda: jax.block_until_ready(gradient(a, b))
    (e, grads), direction = reverse["weft"](), rng.normal(size=(2, SIZE, SIZE))
    h = 1e-4
    slope = (energy(STEPS, *([A, B] + h * direction)) - energy(STEPS, *([A, B] - h * direction))) / (2 * h)
    np.testing.assert_allclose(e, energy(STEPS, A, B), rtol=1e-12)
    np.testing.assert_allclose(np.sum(direction * np.array(grads)), slope, rtol=1e-6)

    title = f"stencil {SIZE}², {STEPS} steps"
    missing = peers.missing("numba", "jax", "pythran")
    first = Figure(title, alternate(calls, turns), missing=missing).beats("numba", "jax")
    second = Figure(f"{title}, value", alternate(plain, turns), missing=peers.missing("jax"))
    third = Figure(f"{title}, value and gradient", alternate(reverse, turns), missing=peers.missing("jax"))
    return [first, second, third.times_at_most(3.0, second.ours, "the value")]
