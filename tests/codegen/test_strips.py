"""Loops in strips give what the loop gives: the same sums in the same order, the same first failure, the same writes."""

from __future__ import annotations

import math

import numpy as np
import pytest

import weft
from weft.codegen.strips import STRIP

SIZES = [0, 1, 5, STRIP - 1, STRIP, STRIP + 1, 2 * STRIP, 5 * STRIP + 17]


def draw(n, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 2.0, n)


def in_strips(f, *args):
    return "strip += " in weft.jit(f).inspect(*args).cpp


def total(x):
    s = 0.0
    for k in range(len(x)):
        s += math.log(x[k]) / (1.0 + math.exp(-x[k]))
    return s


def backwards(x):
    s = 0.0
    for k in range(len(x) - 1, -1, -1):
        s = 0.5 * s + math.log(x[k]) * math.exp(x[k])
    return s


def several(x):
    s, most, count = 0.0, -1.0, 0
    for k in range(len(x)):
        y = math.exp(x[k]) * math.log(x[k])
        s += y
        if y > most:
            most = y
            count += 1
    return s, most, count


def recurrence(x):
    y = np.zeros(len(x))
    y[0:1] = 1.0
    for k in range(1, len(x)):
        y[k] = 0.9 * y[k - 1] + math.exp(-x[k]) / (1.0 + math.log(x[k]) ** 2)
    return y


def counts(x):
    h = np.zeros(8)
    for k in range(len(x)):
        h[int(x[k] * 4.0) % 8] += math.exp(math.sin(x[k])) / x[k]
    return h


def shifted(x):
    for k in range(len(x) - 1):
        x[k] = math.exp(-x[k + 1]) * math.sqrt(x[k]) + math.log(x[k + 1])
    return x


def in_place(x):
    s = 0.0
    for k in range(len(x)):
        x[k] = math.sqrt(x[k]) * math.exp(-x[k])
        s += x[k]
        x[k] = s
    return s


def swapped(x):
    a, b = 1.0, 2.0
    for k in range(len(x)):
        y = math.exp(x[k]) / math.log(2.0 + x[k])
        a, b = b * 0.5 + y, a
    return a, b


def nested(x):
    s = 0.0
    for i in range(3):
        for k in range(len(x)):
            s += math.log(x[k] + i) * math.exp(-x[k]) / (i + 1)
    return s


def gathered(x):
    s = 0.0
    for k in range(len(x)):
        j = (k * 7) % len(x)
        s += x[j] * math.exp(-x[k]) + k * math.log(x[j])
    return s


PROGRAMS = [total, backwards, several, recurrence, counts, shifted, in_place, swapped, nested, gathered]


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", SIZES)
def test_values(f, n):
    x, y = draw(n), draw(n)
    if f is shifted and n < 2:
        return
    want, got = f(x), weft.jit(f)(y)
    np.testing.assert_allclose(weft.tree.leaves(got), weft.tree.leaves(want), rtol=1e-13)
    np.testing.assert_allclose(y, x, rtol=1e-13)


@pytest.mark.parametrize("f", [f for f in PROGRAMS if f not in (counts, gathered, shifted)], ids=lambda f: f.__name__)
def test_they_are_in_strips(f):
    assert in_strips(f, draw(200))


def test_cheap_and_short_loops_stay_as_they_are():
    def dot(x):
        s = 0.0
        for k in range(len(x)):
            s += x[k] * x[k]
        return s

    def short(x):
        s = 0.0
        for k in range(100):
            s += math.exp(x[k]) / math.log(1.0 + x[k])
        return s

    assert not in_strips(dot, draw(200)) and not in_strips(short, draw(200))


def test_sums_keep_their_order():
    x = np.array([1e16, 1.0, -1e16, 1.0] * 100)

    def f(x):
        s = 0.0
        for k in range(len(x)):
            s += x[k] * math.exp(0.0 * x[k]) * math.cos(0.0 * x[k])
        return s

    assert in_strips(f, x)
    assert weft.jit(f)(x) == f(x)


# -- failures ----------------------------------------------------------------------------------------------------------


def failing(x, out):
    s = 0.0
    for k in range(len(x)):
        if x[k] > 10.0:
            raise ValueError(f"element {k} is {x[k]}")
        y = math.log(x[k]) * math.exp(-x[k])
        out[k] = y
        s += y
    return s


@pytest.mark.parametrize("at", [0, 3, STRIP - 1, STRIP, 2 * STRIP + 5, 299])
@pytest.mark.parametrize(("value", "error"), [(11.0, ValueError), (-1.0, ValueError)])
def test_the_first_failure_is_raised_and_what_was_before_is_done(at, value, error):
    x, out, want = draw(300), np.zeros(300), np.zeros(300)
    x[at] = value
    x[at + 1 :: 7] = -1.0  # later ones are not looked at
    with pytest.raises(error) as expected:
        failing(x, want)
    with pytest.raises(error) as found:
        weft.jit(failing)(x, out)
    assert str(found.value) == str(expected.value)
    np.testing.assert_allclose(out, want, rtol=1e-13)
    assert np.count_nonzero(out) == at


def looked_up(x, index):
    s = 0.0
    for k in range(len(index)):
        j = index[k]
        s += math.exp(-x[j]) * math.log(1.0 + k) * math.sqrt(k + 2.0) * math.exp(math.sin(0.5 * k))
    return s


@pytest.mark.parametrize("at", [0, 70, 199])
def test_what_a_check_keeps_from_being_read_is_not_read(at):
    x, index = draw(10), np.arange(200) % 10
    assert in_strips(looked_up, x, index)
    np.testing.assert_allclose(weft.jit(looked_up)(x, index), looked_up(x, index), rtol=1e-13)
    index[at] = 10**12
    with pytest.raises(IndexError) as expected:
        looked_up(x, index)
    with pytest.raises(IndexError) as found:
        weft.jit(looked_up)(x, index)
    assert str(found.value) == str(expected.value)


def test_shared_expressions_are_looked_at_once():
    def f(x):
        s = 0.0
        for k in range(len(x)):
            y = x[k]
            for _ in range(40):
                y = y * y - y
            s = s * y + math.exp(-x[k])
        return s

    np.testing.assert_allclose(weft.jit(f)(draw(130) * 0.5), f(draw(130) * 0.5))


def test_a_strip_that_is_done_again_reads_what_it_read(draw=draw):
    def f(x):
        for k in range(len(x)):
            x[k] = 2.0 * x[k] + math.log(x[k]) * math.exp(-x[k])
        return x

    x = draw(200)
    x[150] = -1.0
    y = x.copy()
    with pytest.raises(ValueError):
        f(x)
    with pytest.raises(ValueError):
        weft.jit(f)(y)
    np.testing.assert_allclose(y, x, rtol=1e-13)


def test_lanes_with_checks():
    def f(x):
        return math.log(x) * math.exp(-x) / math.sqrt(x)

    g = weft.vmap(f)
    x = draw(1000)
    assert "strip += " in g.inspect(x).cpp
    np.testing.assert_allclose(g(x), [f(v) for v in x], rtol=1e-13)
    x[777] = -1.0
    with pytest.raises(ValueError, match="math domain error"):
        g(x)


def test_gradients():
    x = draw(150)
    for f in (total, backwards, nested):
        weft.test_util.check_grads(f, (x,), order=2)
    np.testing.assert_allclose(
        weft.grad(total)(x),
        [1 / v / (1 + math.exp(-v)) + math.log(v) * math.exp(-v) / (1 + math.exp(-v)) ** 2 for v in x],
    )
