"""Programs: simulations, recurrences, linear algebra by loops, in-place stencils."""

from __future__ import annotations

import math

import numpy as np
from tests.programs.harness import program

RNG = np.random.default_rng(0)


def arr(*shape, seed=0, dtype=float):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@program(lambda: [(1.0, 2.0, 20.0, 10.0, 28.0, 8 / 3, 0.01, 20), (1.0, 1.0, 1.0, 10.0, 28.0, 8 / 3, 0.01, 0)],
         grad=(0, 1, 2, 3, 4, 5), second=True, vmap=(0, 0, None, None, 0, None, None, None))  # fmt: skip
def lorenz(x, y, z, sigma, rho, beta, dt, steps):
    def deriv(x, y, z):
        return sigma * (y - x), x * (rho - z) - y, x * y - beta * z

    for _ in range(steps):
        k1 = deriv(x, y, z)
        k2 = deriv(x + 0.5 * dt * k1[0], y + 0.5 * dt * k1[1], z + 0.5 * dt * k1[2])
        k3 = deriv(x + 0.5 * dt * k2[0], y + 0.5 * dt * k2[1], z + 0.5 * dt * k2[2])
        k4 = deriv(x + dt * k3[0], y + dt * k3[1], z + dt * k3[2])
        x += dt / 6 * (k1[0] + 2 * k2[0] + 2 * k3[0] + k4[0])
        y += dt / 6 * (k1[1] + 2 * k2[1] + 2 * k3[1] + k4[1])
        z += dt / 6 * (k1[2] + 2 * k2[2] + 2 * k3[2] + k4[2])
    return x, y, z


@program(lambda: [(4, arr(5, 6), arr(5, 6, seed=1)), (1, arr(3, 3), arr(3, 3)), (3, arr(2, 7), arr(2, 7))])
def jacobi(steps, A, B):
    for _ in range(1, steps):
        B[1:-1, 1:-1] = 0.2 * (A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1])
        A[1:-1, 1:-1] = 0.2 * (B[1:-1, 1:-1] + B[1:-1, :-2] + B[1:-1, 2:] + B[2:, 1:-1] + B[:-2, 1:-1])


@program(lambda: [(arr(6, 6), 3), (arr(4, 5), 2)], grad=(0,), second=True, vmap=(0, None))
def jacobi_sum(A, steps):
    B = np.zeros_like(A)
    for _ in range(steps):
        B[1:-1, 1:-1] = 0.25 * (A[1:-1, :-2] * A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1])
        A[1:-1, 1:-1] = 0.25 * (B[1:-1, :-2] + B[1:-1, 2:] + B[2:, 1:-1] * B[:-2, 1:-1])
    return np.sum(A * A)


@program(lambda: [(arr(5, 5), 2), (arr(3, 4), 3), (arr(2, 2), 1)], grad=(0,), vmap=(0, None))
def gauss_seidel(u, sweeps):
    for _ in range(sweeps):
        for i in range(1, u.shape[0] - 1):
            for j in range(1, u.shape[1] - 1):
                u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] * u[i, j])
    return u


@program(lambda: [(2.0,), (1e-3,), (100.0,), (1.0,)], grad=(0,), second=True, vmap=0,
         grad_calls=lambda: [(2.0,), (0.3,), (50.0,)])  # fmt: skip
def root(a):
    x = a
    while abs(x * x - a) > 1e-12:
        x = 0.5 * (x + a / x)
    return x


@program(lambda: [(-0.5, 0.5, 50), (2.0, 2.0, 50), (0.0, 0.0, 10), (0.3, 0.5, 0)], vmap=(0, 0, None))
def mandelbrot(cr, ci, limit):
    z = 0j
    c = complex(cr, ci)
    n = 0
    for i in range(limit):
        if abs(z) > 2.0:
            break
        z = z * z + c
        n = i + 1
    return n


@program(lambda: [(0.1, 2.5, 0.9), (0.95, 2.5, 0.9), (0.01, 1.1, 0.5)], grad=(0, 1), second=True, vmap=(0, 0, None))
def logistic(x, r, target):
    t = 0.0
    while x < target:
        x = x + 0.05 * r * x * (1.0 - x)
        t += 0.05 * x
    return x * t


@program(lambda: [(10.0, 0.8, 0.05), (3.0, 1.2, 0.0)], grad=(0, 1, 2), vmap=(0, 0, None))
def projectile(speed, angle, drag):
    x, y = 0.0, 0.0
    vx, vy = speed * math.cos(angle), speed * math.sin(angle)
    dt = 0.01
    while True:
        v = math.sqrt(vx * vx + vy * vy)
        vx -= dt * drag * v * vx
        vy -= dt * (9.81 + drag * v * vy)
        x_old, y_old = x, y
        x += dt * vx
        y += dt * vy
        if y < 0:
            break
    return x_old + (x - x_old) * y_old / (y_old - y)


@program(lambda: [(arr(5, 5),), (arr(1, 1),), (arr(0, 0),)], grad=(0,))
def triangular(a):
    total = 0.0
    for i in range(a.shape[0]):
        for j in range(i):
            total += a[i, j] * a[j, i]
        for j in range(i, a.shape[1]):
            total -= a[i, j]
    return total


@program(lambda: [(arr(4), arr(5, seed=1), 0.7), (arr(1), arr(1, seed=1), 0.7), (arr(6), arr(2, seed=3), 2.0)],
         grad=(0, 1, 2), vmap=(0, None, None))  # fmt: skip
def soft_dtw(x, y, gamma):
    n, m = len(x), len(y)
    R = np.full((n + 1, m + 1), 1e10)
    R[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            d = (x[i - 1] - y[j - 1]) ** 2
            a, b, c = -R[i - 1, j - 1] / gamma, -R[i - 1, j] / gamma, -R[i, j - 1] / gamma
            top = max(a, b, c)
            s = math.exp(a - top) + math.exp(b - top) + math.exp(c - top)
            R[i, j] = d - gamma * (math.log(s) + top)
    return R[n, m]


@program(lambda: [(arr(7),), (arr(1),), (arr(0),)], grad=(0,), vmap=0)
def prefix_sums(x):
    out = np.empty_like(x)
    s = 0.0
    for i in range(len(x)):
        s += x[i]
        out[i] = s
    return out


@program(lambda: [(arr(8),), (arr(1),), (np.array([3, 1, 2]),), (arr(5, dtype=np.float32),)])
def bubble_sort(x):
    n = len(x)
    for i in range(n):
        swapped = False
        for j in range(n - 1 - i):
            if x[j] > x[j + 1]:
                x[j], x[j + 1] = x[j + 1], x[j]
                swapped = True
        if not swapped:
            break
    return x


@program(lambda: [(arr(3, 4), arr(4, 2, seed=1)), (arr(1, 1), arr(1, 3)), (arr(2, 0), arr(0, 3))], grad=(0, 1),
         second=True, vmap=(0, None))  # fmt: skip
def matmul_loops(a, b):
    n, k = a.shape
    m = b.shape[1]
    c = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            s = 0.0
            for p in range(k):
                s += a[i, p] * b[p, j]
            c[i, j] = s
    return c


def _spd(n):
    a = arr(n, n, seed=n)
    return a @ a.T + n * np.eye(n)


@program(lambda: [(_spd(4),), (_spd(1),), (_spd(6),)], grad=(0,), second=True)
def lu_logdet(a):
    a = a.copy()
    n = a.shape[0]
    for k in range(n):
        for i in range(k + 1, n):
            a[i, k] /= a[k, k]
            for j in range(k + 1, n):
                a[i, j] -= a[i, k] * a[k, j]
    total = 0.0
    for k in range(n):
        total += np.log(a[k, k])
    return total


@program(lambda: [(_spd(4),), (_spd(2),)], grad=(0,))
def cholesky_slices(a):
    n = a.shape[0]
    L = np.zeros((n, n))
    for j in range(n):
        L[j, j] = np.sqrt(a[j, j] - np.sum(L[j, :j] ** 2))
        for i in range(j + 1, n):
            L[i, j] = (a[i, j] - np.sum(L[i, :j] * L[j, :j])) / L[j, j]
    return L


@program(lambda: [(arr(8), 0.1, 5), (arr(3), 0.2, 2), (arr(2), 0.1, 1)], grad=(0, 1), vmap=(0, None, None))
def heat(u, alpha, steps):
    u = u.copy()
    v = np.zeros_like(u)
    for _ in range(steps):
        v[:] = u
        v[1:-1] = u[1:-1] + alpha * (u[2:] - 2 * u[1:-1] + u[:-2])
        u, v = v, u
    return u


@program(lambda: [(arr(4, 2), arr(4, 2, seed=1), np.ones(4), 3), (arr(2, 2), arr(2, 2), np.ones(2), 1)], grad=(0, 1, 2))
def nbody(pos, vel, mass, steps):
    n = pos.shape[0]
    pos, vel = pos.copy(), vel.copy()
    for _ in range(steps):
        acc = np.zeros_like(pos)
        for i in range(n):
            for j in range(n):
                if i != j:
                    d = pos[j] - pos[i]
                    r2 = d[0] * d[0] + d[1] * d[1] + 0.1
                    acc[i] += mass[j] * d / (r2 * math.sqrt(r2))
        vel += 0.01 * acc
        pos += 0.01 * vel
    energy = 0.0
    for i in range(n):
        energy += 0.5 * mass[i] * np.sum(vel[i] ** 2)
    return pos, energy


@program(lambda: [(0.0, 2.0, 1e-9), (0.0, 3.0, 1e-6)])
def bisection(lo, hi, tol):
    def f(x):
        return x * x - 2.0

    if f(lo) > 0.0:
        return lo
    for _ in range(200):
        mid = 0.5 * (lo + hi)
        if hi - lo < tol:
            return mid
        if f(mid) > 0.0:
            hi = mid
        else:
            lo = mid
    return math.nan


@program(lambda: [(48, 36), (17, 5), (7, 0), (0, 9)])
def gcd(a, b):
    while b:
        a, b = b, a % b
    return a


@program(lambda: [(27,), (1,), (6,)], vmap=0)
def collatz(n):
    steps = 0
    while n != 1:
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        steps += 1
    return steps


@program(lambda: [(RNG.integers(0, 5, 20), 5), (np.array([0]), 1), (np.zeros(0, dtype=int), 3)])
def histogram(x, bins):
    counts = np.zeros(bins, dtype=np.int64)
    for v in x:
        counts[v] += 1
    return counts


@program(lambda: [(arr(6), np.array([0, 2, 2, 1, 0, 5]), 6)], grad=(0,), vmap=(0, None, None))
def scatter_add(w, idx, n):
    out = np.zeros(n)
    for i in range(len(idx)):
        out[idx[i]] += w[i] * w[i]
    return out


@program(lambda: [(1.5, 10), (1.5, 0), (0.3, 1)], grad=(0,), second=True, vmap=(0, None))
def horner_series(x, n):
    term, total = 1.0, 1.0
    for k in range(1, n + 1):
        term *= x / k
        total += term
    return total


@program(lambda: [(1.3,), (-0.7,), (0.0,)], grad=(0,), vmap=0)
def newton_with_guard(a):
    x = 1.0
    for _ in range(50):
        fx = x * x * x + x - a
        if abs(fx) < 1e-13:
            break
        x -= fx / (3 * x * x + 1)
    return x


@program(lambda: [(arr(5), 0.3), (arr(1), 0.3)], grad=(0, 1), vmap=(0, None))
def exponential_smoothing(x, alpha):
    level = x[0]
    out = np.zeros(len(x))
    for i in range(len(x)):
        level = alpha * x[i] + (1 - alpha) * level
        out[i] = level
    return out


@program(lambda: [(np.array([1, 5, 2, 5]), 11), (np.array([7]), 7), (np.array([2, 4]), 7)])
def coin_change(coins, amount):
    best = np.full(amount + 1, 10**6)
    best[0] = 0
    for a in range(1, amount + 1):
        for c in coins:
            if c <= a and best[a - c] + 1 < best[a]:
                best[a] = best[a - c] + 1
    return best[amount]


@program(lambda: [(np.array([1, 3, 2, 5, 3]), np.array([3, 2, 5])), (np.array([1]), np.array([2]))])
def longest_common_subsequence(a, b):
    t = np.zeros((len(a) + 1, len(b) + 1), dtype=np.int32)
    for i in range(len(a)):
        for j in range(len(b)):
            t[i + 1, j + 1] = t[i, j] + 1 if a[i] == b[j] else max(t[i, j + 1], t[i + 1, j])
    return t[-1, -1]


@program(
    lambda: [(arr(5, dtype=np.float32), np.float32(0.5)), (arr(1, dtype=np.float32), np.float32(2.0))], grad=(0, 1)
)
def single_precision(x, s):
    y = x * 2 + 1
    acc = np.float32(0)
    for v in y:
        acc += v * s
    return acc / len(x), y * 0.5


@program(lambda: [(1.0, 2.0), (-0.5, 0.25)])
def complex_arithmetic(a, b):
    z = complex(a, b)
    w = z * z.conjugate() + 2j * z - 1
    return w, abs(w), w.real, w.imag, -z, z == w


@program(lambda: [(arr(4), arr(4, seed=1)), (arr(1), arr(1, seed=1))])
def complex_arrays(re, im):
    z = re + 1j * im
    total = 0j
    for v in z:
        total += v * np.conj(v)
    z[0] = 1j
    return z, total, np.abs(z), z.real


@program(lambda: [(3.0, 0.1), (0.5, 0.1)], grad=(0,), vmap=(0, None))
def while_true_break(x, tol):
    n = 0
    while True:
        x = x * 0.5
        n += 1
        if x < tol:
            break
    return x * n


@program(lambda: [(np.array([1.0, -2.0, 3.0, -4.0, 0.0, 9.0]),), (np.array([-1.0]),), (np.zeros(0),)], grad=(0,), loose=True,
         grad_calls=lambda: [(np.array([1.0, -2.0, 3.0]),), (np.array([-1.0]),), (np.zeros(0),)])  # fmt: skip
def continue_and_break(x):
    s = 0.0
    for v in x:
        if v < 0:
            continue
        if v == 0:
            break
        s += v * v
    else:
        s += 100.0
    return s


@program(lambda: [(arr(6), 0.0), (np.abs(arr(4)), 0.0), (arr(1), 9.0), (np.zeros(0), 1.0)])
def first_above(x, limit):
    for i in range(len(x)):
        if x[i] > limit:
            return i
    return -1


@program(lambda: [(arr(3, 4), 0.9), (arr(3, 4), 100.0), (arr(1, 1), 0.0)])
def search_in_table(a, limit):
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            if a[i, j] > limit:
                return i, j
    return -1, -1


@program(lambda: [(arr(7), 3), (arr(3), 2)], grad=(0,), vmap=(0, None))
def running_max_window(x, w):
    out = np.zeros(len(x) - w + 1)
    for i in range(len(x) - w + 1):
        out[i] = np.max(x[i : i + w]) * x[i]
    return out


@program(lambda: [(arr(9), 2.0), (arr(2), 1.0)], grad=(0, 1))
def kalman(z, q):
    m, p, loglik = 0.0, 1.0, 0.0
    for k in range(len(z)):
        p = p + q * q
        s = p + 0.5
        gain = p / s
        r = z[k] - m
        m = m + gain * r
        p = (1 - gain) * p
        loglik += -0.5 * (r * r / s + math.log(2 * math.pi * s))
    return loglik


@program(lambda: [(np.abs(_spd(3)) / 50, 6), (np.abs(_spd(2)), 1)], grad=(0,), vmap=(0, None))
def power_iteration(a, steps):
    v = np.ones(a.shape[0])
    for _ in range(steps):
        v = a @ v
        v = v / np.sqrt(np.sum(v * v))
    return v @ a @ v
