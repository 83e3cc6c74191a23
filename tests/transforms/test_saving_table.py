"""What derivatives save: programs, and the types of all values that their forward loops keep for the reverse ones.

A size is named after the argument that it comes from. What a loop keeps for itself while it runs once more inside the
reverse loop is marked ``again``: that memory lasts for one iteration.
"""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import weft
from weft.ir.nodes import For, Stmt, While, sub_blocks

SERIAL = re.compile(r"(\w+)_\d+\b")  # a variable's name as text ends with its serial number
X, A = np.linspace(0.5, 1.5, 5), np.linspace(0.1, 0.9, 20).reshape(4, 5)


def linear_stencil(A, steps):
    for _ in range(steps):
        for i in range(1, A.shape[0] - 1):
            for j in range(1, A.shape[1] - 1):
                A[i, j] = 0.25 * (A[i - 1, j] + A[i + 1, j] + A[i, j - 1] + A[i, j + 1])
    return A[1, 1]


def linear_stencil_by_slices(A, steps):
    for _ in range(steps):
        A[1:-1] = 0.5 * A[1:-1] + 0.25 * (A[2:] + A[:-2])
    return np.sum(A)


def buffers_in_turn(A, steps):
    B = A.copy()
    for _ in range(steps):
        B[1:-1] = 0.5 * (A[2:] - A[:-2])
        A, B = B, A
    return np.sum(A)


def rate_of_a_stencil(A, rate, steps):
    for _ in range(steps):
        A[1:-1] = A[1:-1] + rate * (A[2:] - A[:-2])
    return np.sum(A)


def recurrence_over_a_table(A):
    for i in range(1, A.shape[0]):
        for j in range(1, A.shape[1]):
            A[i, j] += math.tanh(A[i - 1, j] + A[i, j - 1])
    return A[-1, -1]


def product_in_place(x):
    for i in range(1, len(x)):
        x[i] = x[i] * x[i - 1]
    return x[-1]


def elements_of_an_argument(x):
    total = 0.0
    for i in range(len(x)):
        total += math.sin(x[i]) * math.cos(x[len(x) - 1 - i])
    return total


def carried_nonlinearly(x, n):
    s = x[0]
    for _ in range(n):
        s = s * s - 0.5
    return s


def carried_linearly(x, n):
    s = x[0]
    for i in range(n):
        s = 0.5 * s + i * x[i]
    return s


def indices(x, n):
    total = 0.0
    for i in range(n):
        for j in range(i):
            total += x[(3 * i + 2 * j) % len(x)] * (i - j)
    return total


def indices_of_data(x, places):
    total = 0.0
    for k in range(len(places)):
        total += x[places[k]] * x[places[k] // 2]
    return total


def triangle(A):
    total = 1.0
    for i in range(A.shape[0]):
        for j in range(i):
            total = total * A[i, j]
    return total


def branch_on_data(x):
    s = 0.0
    for i in range(len(x)):
        if x[i] > s:
            s = s * x[i]
        else:
            s = s + x[i]
    return s


def branch_on_the_argument(x):
    s = 0.0
    for i in range(len(x)):
        s += 2.0 * x[i] if x[i] > 0.5 else x[i] * x[i]
    return s


def root(x):
    y = x[0]
    while abs(y * y - x[0]) > 1e-9:
        y = 0.5 * (y + x[0] / y)
    return y


def roots(x):
    total = 0.0
    for i in range(len(x)):
        y = x[i]
        while abs(y * y - x[i]) > 1e-9:
            y = 0.5 * (y + x[i] / y)
        total += y
    return total


def counted_while(x):
    i, s = 0, 0.0
    while i < len(x):
        s += x[i]
        i += 1
    return s


def elementwise_chain(x, n):
    for _ in range(n):
        x = np.exp(-x)
    return np.sum(x)


def sums_of_rows(A):
    total = 0.0
    for i in range(A.shape[0]):
        total += np.sum(A[i] * A[i])
    return total


def row_by_row(A):
    for i in range(1, A.shape[0]):
        A[i] *= np.tanh(A[i - 1])
    return np.sum(A)


def matrix_power(A, n):
    M = A[:, :4]
    P = M
    for _ in range(n):
        P = P @ M
    return np.sum(P)


def no_loop(x):
    return np.sum(np.sin(x) * np.exp(x))


#: The function, its arguments, which are differentiated, and what is saved.
TABLE = [
    # linear in what is differentiated: nothing
    (linear_stencil, (A, 3), 0, []),
    (linear_stencil_by_slices, (A, 3), 0, []),
    (buffers_in_turn, (A, 3), 0, []),
    (carried_linearly, (X, 3), 0, []),
    (counted_while, (X,), 0, []),
    (no_loop, (X,), 0, []),
    # read again from the argument, or computed again
    (sums_of_rows, (A,), 0, []),
    (branch_on_the_argument, (X,), 0, []),
    (indices, (X, 3), 0, []),
    (indices_of_data, (X, np.array([1, 2])), 0, []),
    # what was used nonlinearly, never the array that is written in place
    (rate_of_a_stencil, (A, 0.1, 3), 1, ["f64[steps, A_0 - 2, A_1]"]),
    (recurrence_over_a_table, (A,), 0, ["f64[A_0 - 1, A_1 - 1]"]),
    (product_in_place, (X,), 0, ["f64[x_n - 1]", "f64[x_n - 1]"]),
    (row_by_row, (A,), 0, ["f64[A_0 - 1, A_1]", "f64[A_0 - 1, A_1]"]),
    (carried_nonlinearly, (X, 3), 0, ["f64[n]"]),
    (elementwise_chain, (X, 3), 0, ["f64[n, x_n]"]),
    (matrix_power, (A, 3), 0, ["f64[n, 4, 4]"]),
    (branch_on_data, (X,), 0, ["f64[x_n]"]),
    (triangle, (A,), 0, ["f64[A_0, A_0]"]),
    # the results of costly functions
    (elements_of_an_argument, (X,), 0, ["f64[x_n]", "f64[x_n]"]),
    # per iteration of a while: the estimate and the quotient; inside a loop, of one element's iterations at a time
    (root, (X,), 0, ["f64[trip]", "f64[trip]"]),
    (roots, (X,), 0, ["again f64[trip]", "again f64[trip]"]),
]


def kept(f, args, argnums):
    """What is collected by the forward loops of a gradient, as types, and again inside its reverse loops."""
    function = weft.jit(weft.grad(f, argnums=argnums)).lower(*args).function

    def walk(stmts: list[Stmt], inside: bool, again: bool) -> list[str]:
        found = []
        for s in stmts:
            reverse = isinstance(s, For) and s.reverse
            if isinstance(s, For | While) and not reverse and (again or not inside):
                carried = len(s.inits) + isinstance(s, While)
                found += [("again " if again else "") + SERIAL.sub(r"\1", str(o.type)) for o in s.outs[carried:]]
            for b in sub_blocks(s):
                found += walk(b.stmts, True, again or reverse)
        return found

    return sorted(walk(function.body.stmts, False, False))


@pytest.mark.parametrize(("f", "args", "argnums", "saved"), TABLE, ids=lambda v: getattr(v, "__name__", ""))
def test_saved(f, args, argnums, saved):
    assert kept(f, args, argnums) == saved
