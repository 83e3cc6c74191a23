"""Programs to be differentiated: loops and branches of every kind, containers, helpers, objects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from tests.programs.harness import program
from tests.programs.numeric import _spd, arr

WEIGHTS = np.array([0.5, -1.0, 2.0, 0.25])


# -- loops -------------------------------------------------------------------------------------------------------------


@program(lambda: [(arr(5), 4), (arr(3), 0), (arr(1), 1)], grad=(0,), second=True, vmap=(0, None), loose=True)
def three_deep(x, n):
    total = 0.0
    for i in range(n):
        for j in range(i, n):
            for k in range(j + 1, len(x)):
                total += x[i] * x[j] * math.sin(x[k])
    return total


@program(
    lambda: [(arr(4), np.array([2, 0, 5, 1])), (arr(1), np.array([0])), (arr(2), np.array([1, 1]))],
    grad=(0,),
    loose=True,
)
def bounds_from_data(x, counts):
    total = 1.0
    for i in range(len(counts)):
        for j in range(counts[i]):
            total = total * 0.9 + x[i] * x[i] * (j + 1)
    return total


@program(lambda: [(arr(9), 8, -1, -3), (arr(9), 1, 9, 2), (arr(4), 0, 4, 5), (arr(4), 3, 1, 1)], grad=(0,))
def steps_and_directions(x, lo, hi, step):
    for i in range(lo, hi, step):
        x[i] = x[i] * x[i - 1] + x[0]
    return x


@program(lambda: [(arr(6), 2.0), (np.abs(arr(6)), 0.5), (arr(0), 1.0)], grad=(0, 1), loose=True)
def continue_in_while(x, limit):
    i, total, product = 0, 0.0, 1.0
    while i < len(x):
        i += 1
        if x[i - 1] < 0.0:
            continue
        total += x[i - 1] * product
        product *= 1.0 - 0.1 * x[i - 1]
        if total > limit:
            total = total * limit
            break
    return total + product


@program(lambda: [(arr(3, 4), 0.6), (arr(3, 4), 9.0), (arr(1, 1), -9.0)], grad=(0, 1))
def break_out_of_two(a, limit):
    total = 0.0
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            if a[i, j] > limit:
                total += limit * a[i, j]
                break
            total += a[i, j] ** 2
        else:
            total = total * 0.5
            continue
        total += a[i, 0]
    return total


@program(lambda: [(arr(5), 1.0), (arr(5), 50.0), (arr(5), -5.0)], grad=(0, 1), vmap=(0, None))
def return_out_of_two(x, limit):
    total = 0.0
    if limit < 0.0:
        return total * x[0] + limit * limit
    for i in range(len(x)):
        for j in range(i + 1):
            total += x[i] * x[j]
            if total > limit:
                return total * x[j] - limit
        x[i] = total
    return total + np.sum(x * x)


@program(lambda: [(1.7, 0.01), (40.0, 0.01), (0.3, 0.01)], grad=(0,), vmap=(0, None))
def two_exits(x, tol):
    y, n = x, 0
    while True:
        y = 0.5 * (y + x / y)
        if abs(y * y - x) < tol:
            return y * (n + 1)
        n += 1
        if n > 3:
            break
    return y * y


@program(lambda: [(0.1, 1.9, 1e-3), (0.0, 0.5, 1e-9), (1.0, 1.0, 1e-3)], grad=(0, 1), vmap=(0, 0, None))
def adaptive_quadrature(a, b, tol):
    def simpson(lo, hi):
        return (hi - lo) / 6.0 * (math.exp(-lo * lo) + 4.0 * math.exp(-(((lo + hi) / 2.0) ** 2)) + math.exp(-hi * hi))

    def area(lo, hi, depth):
        mid = 0.5 * (lo + hi)
        whole, halves = simpson(lo, hi), simpson(lo, mid) + simpson(mid, hi)
        if depth == 0:
            return halves
        if abs(whole - halves) < tol:
            return halves + (halves - whole) / 15.0
        return area(lo, mid, depth - 1) + area(mid, hi, depth - 1)

    return area(a, b, 2)


@program(lambda: [(1.0, 0.5, 1.0, 1e-4), (0.2, 2.0, 0.7, 1e-3)], grad=(0, 1), vmap=(0, 0, None, None))
def steps_accepted_and_rejected(y, rate, end, tol):
    t, h = 0.0, 0.3
    while t < end:
        h = min(h, end - t)
        k1 = -rate * y * y
        k2 = -rate * (y + h * k1) ** 2
        error = abs(0.5 * h * (k2 - k1))
        if error < tol:
            y = y + 0.5 * h * (k1 + k2)
            t = t + h
            h = 1.5 * h
        else:
            h = 0.5 * h
    return y


@program(lambda: [(_spd(4), arr(4), 1e-6), (_spd(2), arr(2), 1e-6), (_spd(1), arr(1), 1e-6)], grad=(0, 1))
def conjugate_gradients(A, b, tol):
    x, r = np.zeros(len(b)), b.copy()
    p, square = r.copy(), r @ r
    while square > tol:
        Ap = A @ p
        step = square / (p @ Ap)
        x = x + step * p
        r -= step * Ap
        new = r @ r
        p = r + (new / square) * p
        square = new
    return x


@program(lambda: [(arr(3, 3) * 0.3, 1e-9), (arr(1, 1), 1e-9)], grad=(0,))
def exponential_of_a_matrix(a, tol):
    term = np.eye(a.shape[0])
    total = term.copy()
    k = 1
    while np.max(np.abs(term)) > tol:
        term = term @ a / k
        total += term
        k += 1
    return total


# -- conditions on data ------------------------------------------------------------------------------------------------


@program(lambda: [(2.0, 3.0, 0.1, 25), (0.1, -1.0, 0.3, 6)], grad=(0, 1), vmap=(0, 0, None, None))
def reflecting_walls(x, v, dt, steps):
    for _ in range(steps):
        v -= dt * 0.5 * x
        x += dt * v
        if x < 0.0:
            x, v = -x, -0.9 * v
        elif x > 2.5:
            x = 5.0 - x
            v = -v
    return x, v


@program(lambda: [(arr(12) + 1.5, 0.7), (arr(1), 0.7)], grad=(0, 1))
def neuron_with_threshold(current, leak):
    v, traces = 0.0, np.zeros(len(current))
    for t in range(len(current)):
        v = leak * v + current[t]
        if v > 2.0:
            traces[t] = v * v
            v = 0.1 * (v - 2.0)
        else:
            traces[t] -= 0.1 * v
    return traces


@program(lambda: [(arr(5), arr(5, seed=1), 0.5), (arr(1), arr(1), 0.5)], grad=(0, 1, 2))
def huber(x, y, width):
    total = 0.0
    for a, b in zip(x, y):
        r = abs(a - b)
        total += 0.5 * r * r if r < width else width * (r - 0.5 * width)
    return total


@program(lambda: [(arr(4), arr(4, seed=1)), (arr(1), arr(1, seed=1))], grad=(0, 1))
def writes_on_both_sides(x, y):
    for i in range(len(x)):
        if x[i] > y[i]:
            x[i] = x[i] * y[i]
            y[0] += x[i]
        else:
            if y[i] > 0.5:
                x[0] -= y[i]
            y[i] = math.tanh(x[0])
    return x, y


@program(
    lambda: [(np.array([0.0, 0.7, 1.5, 2.0, 3.1]), arr(5), 1.2), (np.array([0.0, 1.0]), arr(2), 0.4)], grad=(0, 1, 2)
)
def interpolation_by_bisection(knots, values, at):
    lo, hi = 0, len(knots) - 1
    while hi - lo > 1:
        mid = (lo + hi) // 2
        if knots[mid] > at:
            hi = mid
        else:
            lo = mid
    t = (at - knots[lo]) / (knots[hi] - knots[lo])
    return values[lo] * (1.0 - t) + values[hi] * t * t


@program(lambda: [(arr(3), arr(5, 3, seed=1), arr(5, 2, seed=2)), (arr(1), arr(2, 1), arr(2, 1))], grad=(0, 1, 2))
def attention_in_one_pass(query, keys, values):
    top, total = -math.inf, 0.0
    out = np.zeros(values.shape[1])
    for i in range(len(keys)):
        score = query @ keys[i]
        if score > top:
            scale = math.exp(top - score)
            total *= scale
            out *= scale
            top = score
        weight = math.exp(score - top)
        total += weight
        out += weight * values[i]
    return out / total


# -- containers, helpers, objects --------------------------------------------------------------------------------------


@program(
    lambda: [({"w": arr(3, 3), "b": [arr(3), arr(3, seed=1)]}, arr(3, seed=2), 0.1, 3)], grad=(0, 1, 2), second=True
)
def descent_with_momentum(p, target, rate, steps):
    def slope(w, b):
        error = np.tanh(w @ b[0] + b[1]) - target
        inner = error * (1.0 - np.tanh(w @ b[0] + b[1]) ** 2)
        return np.outer(inner, b[0]), inner

    w, b, speed = p["w"].copy(), p["b"], np.zeros((3, 3))
    for _ in range(steps):
        dw, db = slope(w, b)
        speed = 0.9 * speed - rate * dw
        w += speed
        b = [b[0], b[1] - rate * db]
    return {"w": w, "b": b}


@program(lambda: [([arr(2), arr(3), arr(1)], {"a": 2.0, "b": 0.5}), ([arr(1)], {"c": 1.0})], grad=(0, 1))
def loops_over_containers(parts, scales):
    total = 0.0
    for k, part in enumerate(parts):
        for name, scale in scales.items():
            total += scale ** (k + 1) * np.sum(part) * len(name)
        for v in part[::-1]:
            total = total * 0.5 + v * v
    return total


@dataclass
class Rod:
    length: float
    angles: np.ndarray

    def bent(self, by):
        return Rod(self.length, self.angles + by)

    def tip(self):
        x, y = 0.0, 0.0
        for i in range(len(self.angles)):
            x += self.length * math.cos(self.angles[i])
            y += self.length * math.sin(self.angles[i])
        return x, y


@program(lambda: [(Rod(0.5, arr(4)), arr(2), 3), (Rod(1.5, arr(1)), arr(2), 1)], grad=(0, 1))
def dataclass_with_methods(rod, goal, steps):
    for k in range(steps):
        x, y = rod.tip()
        rod = rod.bent(0.1 * (goal[0] - x) * (k + 1))
    return rod, rod.tip()[1] - goal[1] * y


class Moments(NamedTuple):
    count: int
    mean: float
    square: float

    def with_one_more(self, x):
        d = x - self.mean
        mean = self.mean + d / (self.count + 1)
        return Moments(self.count + 1, mean, self.square + d * (x - mean))


@program(lambda: [(arr(6),), (arr(1),), (arr(2),)], grad=(0,))
def named_tuple_carried(x):
    m = Moments(0, 0.0, 0.0)
    for v in x:
        m = m.with_one_more(float(v))
    return m.mean, m.square


@program(lambda: [(arr(4), 1.5, 3), (arr(4), 0.5, 0)], grad=(0, 1), vmap=(0, None, None), loose=True)
def closures_over_arrays(x, s, n):
    table = np.sin(x) * s
    hits = 0

    def at(i):
        nonlocal hits
        hits += 1
        return table[i % 4] * WEIGHTS[i % 4]

    total = 0.0
    for i in range(n):
        total += at(i) * at(i + 1)
        table[i] *= 2.0
    return total * (hits + 1)


@program(lambda: [(arr(3), 0.5), (arr(2), 2.0)], grad=(0, 1))
def arrays_that_grow(x, s):
    out, items = x[:1], []
    for k in (1.0, 2.0, 3.0):
        out = np.append(out, np.sum(out) * s * k)
        items.append(out * k)
    items.append(np.array([s, *out[:2]]))
    return np.concatenate(items)


@program(lambda: [(arr(5, dtype=np.float32), np.float32(0.3), 4)], grad=(0, 1))
def single_precision_in_place(x, a, steps):
    for _ in range(steps):
        x[1:-1] += a * (x[2:] - 2 * x[1:-1] + x[:-2])
        x[0] *= a
    return x * x


@program(lambda: [(arr(4), 3), (arr(1), 2)], grad=(0,), second=True, vmap=(0, None))
def power_of_a_sum(x, n):
    def power(b, k):
        if k == 0:
            return 1.0
        half = power(b, k // 2)
        return half * half * (b if k % 2 else 1.0)

    return power(np.sum(x * x), 5) * n
