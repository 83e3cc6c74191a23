"""The programs that are timed on a GPU. Each has a size, inputs for it, and a check of its result against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import weft
import weft.numpy as wnp


def chain(x: Any, y: Any) -> Any:
    """A chain of elementwise operations: one kernel, which reads two arrays and writes one."""
    z = x * 1.5 + y
    z = wnp.where(z > 0, z, 0.1 * z)
    return wnp.sqrt(z * z + 1.0) - wnp.exp(-z * z) * y


def softmax(x: Any) -> Any:
    """The softmax of each row."""
    e = wnp.exp(x - wnp.max(x, axis=1, keepdims=True))
    return e / wnp.sum(e, axis=1, keepdims=True)


def total(x: Any) -> Any:
    """The sum of all elements."""
    return wnp.sum(x)


def duplicate(x: Any) -> Any:
    """A copy by the driver, within the device, in which one element is another."""
    return x.at[0].set(0.5)


def small(x: Any) -> Any:
    """Next to nothing: what remains is the call."""
    return x + 1.0


def lorenz(x: Any, y: Any, z: Any, end: Any, tol: Any) -> Any:
    """One Lorenz trajectory by Bogacki and Shampine's pair, the step chosen by the error: as many steps as it takes."""
    t, h, steps = 0.0, 1e-3, 0 * x
    while t < end:
        h = min(h, end - t)
        ax, ay, az = 10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z
        u, v, w = x + 0.5 * h * ax, y + 0.5 * h * ay, z + 0.5 * h * az
        bx, by, bz = 10.0 * (v - u), u * (28.0 - w) - v, u * v - 8.0 / 3.0 * w
        u, v, w = x + 0.75 * h * bx, y + 0.75 * h * by, z + 0.75 * h * bz
        cx, cy, cz = 10.0 * (v - u), u * (28.0 - w) - v, u * v - 8.0 / 3.0 * w
        u = x + h * (2.0 * ax + 3.0 * bx + 4.0 * cx) / 9.0
        v = y + h * (2.0 * ay + 3.0 * by + 4.0 * cy) / 9.0
        w = z + h * (2.0 * az + 3.0 * bz + 4.0 * cz) / 9.0
        dx, dy, dz = 10.0 * (v - u), u * (28.0 - w) - v, u * v - 8.0 / 3.0 * w
        ex = h * (-5.0 * ax + 6.0 * bx + 8.0 * cx - 9.0 * dx) / 72.0
        ey = h * (-5.0 * ay + 6.0 * by + 8.0 * cy - 9.0 * dy) / 72.0
        ez = h * (-5.0 * az + 6.0 * bz + 8.0 * cz - 9.0 * dz) / 72.0
        error = max(abs(ex), abs(ey), abs(ez)) / tol
        if error <= 1.0:
            x, y, z, t = u, v, w, t + h
        h = h * min(5.0, max(0.2, 0.9 * (error + 1e-12) ** (-1.0 / 3.0)))
        steps = steps + 1
    return x, y, z, steps


ensemble = weft.vmap(lorenz, in_axes=(0, 0, 0, None, None))


def lorenz_jax() -> Any:
    """The same ensemble in JAX: `lax.while_loop` under `vmap`."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def slope(x: Any, y: Any, z: Any) -> Any:
        return 10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z

    def one(x: Any, y: Any, z: Any, end: Any, tol: Any) -> Any:
        def body(s: Any) -> Any:
            x, y, z, t, h, steps = s
            h = jnp.minimum(h, end - t)
            a = slope(x, y, z)
            b = slope(*(p + 0.5 * h * q for p, q in zip((x, y, z), a)))
            c = slope(*(p + 0.75 * h * q for p, q in zip((x, y, z), b)))
            new = [p + h * (2 * i + 3 * j + 4 * k) / 9 for p, i, j, k in zip((x, y, z), a, b, c)]
            d = slope(*new)
            errors = [abs(h * (-5 * i + 6 * j + 8 * k - 9 * m) / 72) for i, j, k, m in zip(a, b, c, d)]
            error = jnp.maximum(jnp.maximum(errors[0], errors[1]), errors[2]) / tol
            good = error <= 1.0
            x, y, z = (jnp.where(good, n, o) for n, o in zip(new, (x, y, z)))
            t = jnp.where(good, t + h, t)
            h = h * jnp.minimum(5.0, jnp.maximum(0.2, 0.9 * (error + 1e-12) ** (-1 / 3)))
            return x, y, z, t, h, steps + 1

        start = (x, y, z, jnp.zeros(()), jnp.full((), 1e-3), jnp.zeros((), int))
        x, y, z, _, _, steps = jax.lax.while_loop(lambda s: s[3] < end, body, start)
        return x, y, z, steps

    return jax.jit(jax.vmap(one, in_axes=(0, 0, 0, None, None)))


@dataclass(frozen=True)
class Case:
    """A program, what it is called on at a size, and what it must give.

    Attributes
    ----------
    name
        In words.
    function
        What is jitted.
    inputs
        Arguments for a size.
    check
        Raises if the results (as NumPy arrays) are wrong for these arguments.
    moved
        The bytes that a call must read and write at least; 0 where that is not what limits it.
    size, quick
        The size that is timed, and one for trying it out.
    """

    name: str
    function: Callable[..., Any]
    inputs: Callable[[int], tuple[Any, ...]]
    check: Callable[..., None]
    moved: Callable[[int], int]
    size: int
    quick: int


def _vectors(n: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    return rng.standard_normal(n, np.float32), rng.standard_normal(n, np.float32)


def _rows(n: int) -> tuple[Any, ...]:
    return (np.random.default_rng(1).standard_normal((n, n), np.float32),)


def _states(n: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(2)
    return (*(rng.uniform(-10, 10, n) + c for c in (0.0, 0.0, 25.0)), 2.0, 1e-6)


def _check_chain(result: Any, x: Any, y: Any) -> None:
    x, y = x[:100_000].astype(float), y[:100_000].astype(float)
    z = x * 1.5 + y
    z = np.where(z > 0, z, 0.1 * z)
    np.testing.assert_allclose(result[:100_000], np.sqrt(z * z + 1) - np.exp(-z * z) * y, rtol=1e-4, atol=1e-5)


def _check_softmax(result: Any, x: Any) -> None:
    e = np.exp(x[:64].astype(float) - x[:64].max(axis=1, keepdims=True))
    np.testing.assert_allclose(result[:64], e / e.sum(axis=1, keepdims=True), rtol=1e-5)


def _check_total(result: Any, x: Any) -> None:
    np.testing.assert_allclose(result, x.sum(dtype=float), rtol=1e-4, atol=1e-3 * np.sqrt(x.size))


def _check_copy(result: Any, x: Any) -> None:
    np.testing.assert_array_equal(result[1:], x[1:])
    assert result[0] == 0.5


def _check_small(result: Any, x: Any) -> None:
    np.testing.assert_array_equal(result, x + 1.0)


def _check_lorenz(result: Any, *args: Any) -> None:
    x, y, z, steps = result
    assert steps.min() > 10 and steps.max() > 1.2 * steps.min()  # lanes differ
    for k in range(0, len(x), max(1, len(x) // 20)):
        want = lorenz(*(float(a[k]) for a in args[:3]), *args[3:])
        assert abs(int(steps[k]) - want[3]) <= 2
        np.testing.assert_allclose([x[k], y[k], z[k]], want[:3], rtol=1e-3, atol=1e-3)


CHAIN = Case("elementwise chain, float32", chain, _vectors, _check_chain, lambda n: 12 * n, 1 << 27, 5_000)
SOFTMAX = Case("softmax of rows, float32", softmax, _rows, _check_softmax, lambda n: 8 * n * n, 1 << 14, 70)
SUM = Case("sum, float32", total, lambda n: _vectors(n)[:1], _check_total, lambda n: 4 * n, 1 << 28, 5_000)
COPY = Case("copy, float32", duplicate, lambda n: _vectors(n)[:1], _check_copy, lambda n: 8 * n, 1 << 28, 5_000)
LORENZ = Case("ensemble of Lorenz trajectories", ensemble, _states, _check_lorenz, lambda n: 0, 1_000_000, 100)
SMALL = Case("a call of ten elements", small, lambda n: (np.arange(float(n)),), _check_small, lambda n: 0, 10, 10)
