"""What vmap makes of programs: one batched operation where there is one, a loop of lanes only where lanes part."""

from __future__ import annotations

import re

import numpy as np
import pytest

import weft

RNG = np.random.default_rng(0)
MATRIX = RNG.standard_normal((4, 4)) + 4 * np.eye(4)
MATRICES = RNG.standard_normal((3, 4, 4)) + 4 * np.eye(4)
VECTORS = RNG.standard_normal((3, 4))
ROWS = RNG.standard_normal((3, 5, 4))


def lifted(f, *args, in_axes=0):
    """The batched program's text, once its values were compared with a Python loop's."""
    axes = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
    lanes = [f(*[a if x is None else a[k] for a, x in zip(args, axes)]) for k in range(3)]
    g = weft.jit(weft.vmap(f, in_axes=in_axes))
    np.testing.assert_allclose(g(*args), np.stack(lanes), rtol=1e-10, atol=1e-12)
    return g.inspect(*args).ir


def count(ir, name):
    return len(re.findall(rf"\b{name}\(", ir))


def loops(ir):
    return {kind: len(re.findall(rf"= {kind} ", ir)) for kind in ("map", "for", "while")}


NONE = {"map": 0, "for": 0, "while": 0}

ONE_OPERATION = {
    "matvec": ("dot", lambda v: MATRIX @ v, (VECTORS,), 0),
    "matvec of each": ("dot", lambda a, v: a @ v, (MATRICES, VECTORS), 0),
    "matmul by one": ("dot", lambda a, b: a @ b, (ROWS, MATRIX), (0, None)),
    "vector times matrix": ("dot", lambda v, a: v @ a, (VECTORS, MATRIX), (0, None)),
    "tensordot": ("dot", lambda a, b: np.tensordot(a, b, axes=([1], [0])), (ROWS, MATRIX), (0, None)),
    "einsum": ("dot", lambda a, b: np.einsum("ij,jk->ik", a, b), (ROWS, MATRICES), 0),
    "solve": ("solve", lambda a, b: np.linalg.solve(a, b), (MATRICES, VECTORS), 0),
    "inverse": ("solve", lambda a: np.linalg.inv(a), (MATRICES,), 0),
    "determinant": ("det", lambda a: np.linalg.det(a), (MATRICES,), 0),
    "cholesky": ("cholesky", lambda a: np.linalg.cholesky(a @ a.T), (MATRICES,), 0),
    "fft": ("fft", lambda v: np.abs(np.fft.fft(v)), (VECTORS,), 0),
    "sort": ("sort", lambda v: np.sort(v), (VECTORS,), 0),
    "cumulative sum": ("cumsum", lambda v: np.cumsum(v), (VECTORS,), 0),
    "sum": ("reduce_sum", lambda a: np.sum(a, axis=0), (ROWS,), 0),
    "gather": ("index", lambda v: v[np.array([2, 0, 1])], (VECTORS,), 0),
}


@pytest.mark.parametrize("name", ONE_OPERATION)
def test_one_batched_operation(name):
    op, f, args, in_axes = ONE_OPERATION[name]
    ir = lifted(f, *args, in_axes=in_axes)
    assert loops(ir) == NONE, ir
    assert count(ir, op) == 1, ir


def test_two_axes_become_one_product():
    g = weft.jit(weft.vmap(weft.vmap(lambda v: MATRIX @ v)))
    x = RNG.standard_normal((3, 5, 4))
    np.testing.assert_allclose(g(x), x @ MATRIX.T)
    ir = g.inspect(x).ir
    assert loops(ir) == NONE and count(ir, "dot") == 1


def test_the_gradient_of_a_product_is_products():
    ir = lifted(weft.grad(lambda v: np.sum(np.tanh(MATRIX @ v))), VECTORS)
    assert loops(ir) == NONE and count(ir, "dot") == 2


def recurrence(v):
    s = 0.0
    for x in v:
        s = np.tanh(s + x)
    return s


def test_a_loop_of_common_length_stays_one_loop():
    ir = lifted(recurrence, VECTORS)
    assert loops(ir) == {"map": 0, "for": 1, "while": 0}


def halvings(x):
    n = 0
    while x > 1.0:
        x = x / 2.0
        n += 1
    return n


def test_lanes_of_a_while_end_by_themselves():
    x = np.array([1.0, 1000.0, 3.0])
    ir = lifted(halvings, x)
    assert loops(ir) == {"map": 1, "for": 0, "while": 1}
    np.testing.assert_array_equal(weft.vmap(halvings)(x), [0, 10, 2])


def test_a_lane_that_ends_at_once_is_not_run_on():
    def f(x):
        while x != 0.0:
            if x < 0.0:
                raise ValueError("a lane ran beyond its end")
            x = x - 1.0
        return x

    np.testing.assert_array_equal(weft.vmap(f)(np.array([0.0, 5.0, 2.0])), np.zeros(3))


def test_a_common_condition_keeps_one_while():
    def f(x, n):
        while n > 1:
            x = x * 0.5
            n = n // 2
        return x

    g = weft.jit(weft.vmap(f, in_axes=(0, None)))
    np.testing.assert_array_equal(g(VECTORS, 9), VECTORS / 8)
    assert loops(g.inspect(VECTORS, 9).ir) == {"map": 0, "for": 0, "while": 1}


def test_what_lanes_share_is_done_once():
    def f(v, a):
        return np.linalg.inv(a) @ v

    ir = lifted(f, VECTORS, MATRIX, in_axes=(0, None))
    assert loops(ir) == NONE
    assert re.search(r"f64\[(\w+), \1\] = \w*solve\w*\(", ir), ir  # the inverse of one matrix, not of three
