"""Programs to be differentiated that write in place: through views, over tables, by swaps and pivots."""

from __future__ import annotations

import math

import numpy as np
from tests.programs.harness import program
from tests.programs.numeric import arr


@program(lambda: [(arr(4, 3),), (arr(2, 2),), (arr(3, 1),)], grad=(0,))
def gram_schmidt_by_views(a):
    for j in range(a.shape[1]):
        column = a[:, j]
        for k in range(j):
            before = a[:, k]
            column -= (before @ column) * before
        column /= np.sqrt(column @ column)
    return a


@program(lambda: [(arr(4, 6), 2), (arr(2, 4), 1)], grad=(0,), second=True)
def writes_through_views(a, n):
    even, odd = a[::2], a[1::2, ::-1]
    for k in range(n):
        row = even[k]
        row[1:] *= row[:-1]
        odd[k, k] = np.sum(row) * odd[k, -1]
        square = a.T[k : k + 2, :2]
        square += 0.1 * square[0, 0]
    return a, np.sum(odd)


@program(lambda: [(arr(6), arr(6, seed=1), 0.3, 4), (arr(3), arr(3, seed=1), 0.5, 1), (arr(2), arr(2), 0.1, 3)],
         grad=(0, 1, 2), vmap=(0, 0, None, None))  # fmt: skip
def waves_in_three_buffers(before, now, c, steps):
    before, now = before.copy(), now.copy()
    after = np.zeros(len(now))
    for _ in range(steps):
        after[1:-1] = 2.0 * now[1:-1] - before[1:-1] + c * c * (now[2:] - 2.0 * now[1:-1] + now[:-2])
        before, now, after = now, after, before
    return now


@program(lambda: [(arr(5), arr(5, seed=1) + 5.0, arr(5, seed=2), arr(5, seed=3)), (arr(1), arr(1) + 4, arr(1), arr(1))],
         grad=(0, 1, 2, 3), vmap=(0, 0, None, 0))  # fmt: skip
def tridiagonal(lower, middle, upper, right):
    n = len(middle)
    c, d, x = np.zeros(n), np.zeros(n), np.zeros(n)
    c[0], d[0] = upper[0] / middle[0], right[0] / middle[0]
    for i in range(1, n):
        m = middle[i] - lower[i] * c[i - 1]
        c[i] = upper[i] / m
        d[i] = (right[i] - lower[i] * d[i - 1]) / m
    x[n - 1] = d[n - 1]
    for i in range(n - 2, -1, -1):
        x[i] = d[i] - c[i] * x[i + 1]
    return x


@program(lambda: [(arr(4, 4), arr(4)), (arr(1, 1), arr(1)), (arr(3, 3, seed=5), arr(3))], grad=(0, 1))
def elimination_with_pivots(a, b):
    a, b = a.copy(), b.copy()
    n = len(b)
    for k in range(n):
        p = k
        for i in range(k + 1, n):
            if abs(a[i, k]) > abs(a[p, k]):
                p = i
        if p != k:
            for j in range(n):
                a[k, j], a[p, j] = a[p, j], a[k, j]
            b[k], b[p] = b[p], b[k]
        for i in range(k + 1, n):
            factor = a[i, k] / a[k, k]
            a[i, k:] -= factor * a[k, k:]
            b[i] -= factor * b[k]
    for k in range(n - 1, -1, -1):
        b[k] = (b[k] - a[k, k + 1 :] @ b[k + 1 :]) / a[k, k]
    return b


@program(lambda: [(arr(6),), (arr(1),), (np.array([3.0, 2.0, 1.0, 0.5]),)], grad=(0,))
def insertion_sort(x):
    for i in range(1, len(x)):
        v, j = x[i], i
        while j > 0 and x[j - 1] > v:
            x[j] = x[j - 1]
            j -= 1
        x[j] = v
    total = 0.0
    for i in range(len(x)):
        total += x[i] * (i + 1) ** 2
    return total


@program(lambda: [(arr(8), arr(8, seed=1)), (arr(2), arr(2, seed=1)), (arr(1), arr(1))], grad=(0, 1))
def butterflies(re, im):
    n = len(re)
    half = 1
    while half < n:
        for k in range(half):
            c, s = math.cos(math.pi * k / half), -math.sin(math.pi * k / half)
            for i in range(k, n - half, 2 * half):
                j = i + half
                x, y = c * re[j] - s * im[j], s * re[j] + c * im[j]
                re[j], im[j] = re[i] - x, im[i] - y
                re[i] += x
                im[i] += y
        half *= 2
    return re * re + im * im


@program(lambda: [(np.abs(arr(4, 4)),), (np.abs(arr(2, 2)),), (np.abs(arr(1, 1)),)], grad=(0,))
def shortest_paths(d):
    n = d.shape[0]
    for k in range(n):
        for i in range(n):
            for j in range(n):
                d[i, j] = min(d[i, j], d[i, k] + d[k, j])
    return d


@program(lambda: [(arr(5), arr(4, seed=1)), (arr(1), arr(1, seed=1))], grad=(0, 1))
def dynamic_time_warping(x, y):
    D = np.full((len(x) + 1, len(y) + 1), np.inf)
    D[0, 0] = 0.0
    for i in range(len(x)):
        for j in range(len(y)):
            D[i + 1, j + 1] = (x[i] - y[j]) ** 2 + min(D[i, j + 1], D[i + 1, j], D[i, j])
    return D[-1, -1]


@program(lambda: [(arr(3, 3), arr(3), arr(5, 3, seed=2)), (arr(1, 1), arr(1), arr(2, 1))], grad=(0, 1, 2))
def likeliest_path(move, start, seen):
    best = start + seen[0]
    for t in range(1, len(seen)):
        new = np.zeros(len(best))
        for j in range(len(best)):
            new[j] = np.max(best + move[:, j]) + seen[t, j]
        best = new
    return np.max(best)


@program(
    lambda: [(np.array([0.3, 1.7, 2.2, 3.9]), arr(4), 6), (np.array([0.5]), arr(1), 3)], grad=(0, 1), vmap=(0, 0, None)
)
def deposit_on_a_grid(places, charges, n):
    grid = np.zeros(n)
    for k in range(len(places)):
        i = int(places[k])
        part = places[k] - i
        grid[i] += charges[k] * (1.0 - part)
        grid[i + 1] += charges[k] * part
    return grid


@program(lambda: [(arr(2, 7), arr(3, 2, seed=1)), (arr(1, 3), arr(1, 1))], grad=(0, 1))
def convolution_and_pooling(x, kernel):
    m, width = kernel.shape[1], x.shape[1] - kernel.shape[1] + 1
    out = np.full((kernel.shape[0], width), -1.0)
    for f in range(kernel.shape[0]):
        for i in range(width):
            for c in range(x.shape[0]):
                s = 0.0
                for k in range(m):
                    s += x[c, i + k] * kernel[f, k]
                out[f, i] = max(out[f, i], s)
    return out
