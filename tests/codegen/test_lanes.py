"""Lanes in blocks give what each lane gives alone, whatever their trip counts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import weft
from weft.codegen.lanes import FUNCTIONS
from weft.runtime.paths import kernels_dir


def root(a):
    x = a
    n = 0
    while abs(x * x - a) > 1e-12:
        x = 0.5 * (x + a / x)
        n += 1
        if n > 50:
            break
    return x, n


def nested(x, y):
    s = 0.0
    i = 0
    while i * 0.5 < x:
        j = 0
        while j < y:
            s += np.sin(s + i) * 0.1 if s < 1.0 else 0.25
            j += 1
        if s > 3.0:
            s = -s
        elif s < -2.0:
            s = s * 0.5 + x
        i += 1
    return s


def escape(c):
    z = c
    n = 0
    while abs(z) < 2.0 and n < 40:
        z = z * z + c
        n += 1
    return n


def shared(x, scale):
    total = 0.0
    while total < scale:
        total += x * scale
        for k in range(3):
            total += 0.125 * k
    return total


def blocks(text: str) -> int:
    """How many loops over blocks of lanes a program has."""
    return len(re.findall(r"\+= lane_count", text))


CASES = [
    (root, lambda rng, n: (rng.uniform(0.1, 9, n),)),
    (nested, lambda rng, n: (rng.uniform(0.1, 4, n), rng.uniform(0, 5, n))),
    (escape, lambda rng, n: (rng.uniform(-4, 1, n),)),
]


@pytest.mark.parametrize(("f", "make"), CASES, ids=lambda c: getattr(c, "__name__", ""))
@pytest.mark.parametrize("n", [2, 7, 8, 9, 37])
def test_lanes_agree_with_python(f, make, n) -> None:
    args = make(np.random.default_rng(n), n)
    batched = weft.vmap(f)
    got = batched(*args)
    want = [f(*lane) for lane in zip(*args, strict=True)]
    columns = zip(*want, strict=True) if isinstance(want[0], tuple) else [want]
    for x, y in zip(got if isinstance(got, tuple) else (got,), columns, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-13)
    assert blocks(batched.inspect(*args).cpp) == 1


def test_shared_values_and_inner_loops() -> None:
    xs = np.linspace(0.1, 2.0, 19)
    batched = weft.vmap(shared, in_axes=(0, None))
    np.testing.assert_allclose(batched(xs, 2.5), [shared(x, 2.5) for x in xs], rtol=1e-13)


def test_one_long_lane_and_lanes_that_never_run() -> None:
    def count(x):
        n = 0
        while x < 1.0:
            x = x * 1.001
            n += 1
        return n

    xs = np.full(33, 2.0)
    xs[5] = 1e-3
    xs[32] = 0.5
    np.testing.assert_array_equal(weft.vmap(count)(xs), [count(x) for x in xs])


def test_what_vectors_do_not_express_runs_lane_by_lane() -> None:
    def digits(x, n):
        s = 0
        while n > 0:
            s += n % 10
            n //= 10
        return x * s

    xs, ns = np.arange(9.0), np.arange(9) * 123
    batched = weft.vmap(digits)
    np.testing.assert_array_equal(batched(xs, ns), [digits(x, n) for x, n in zip(xs, ns, strict=True)])
    assert blocks(batched.inspect(xs, ns).cpp) == 0


def test_gradients_of_lanes() -> None:
    xs = np.linspace(0.5, 9, 21)
    np.testing.assert_allclose(weft.vmap(weft.grad(lambda a: root(a)[0]))(xs), 0.5 / np.sqrt(xs), rtol=1e-9)


def test_the_header_overloads_what_the_generator_calls() -> None:
    text = Path(kernels_dir(), "lanes.h").read_text()
    named = set(re.findall(r"WEFT_LANES\((\w+)\)", text)) - {"name"} | set(
        re.findall(r"inline \w+ (abs|select)\(", text)
    )
    assert named == set(FUNCTIONS)
