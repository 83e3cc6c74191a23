"""Loops and branches over functions: what JAX has no recording of."""

from __future__ import annotations

import functools
import re
from typing import Any

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import lax
from weft.api import written

XS = np.arange(1.0, 5.0)


class Tagged:
    def __init__(self, value: Any, tag: str) -> None:
        self.value, self.tag = value, tag


weft.tree_util.register_pytree_node(Tagged, lambda t: ((t.value,), t.tag), lambda tag, c: Tagged(c[0], tag))


def add(c, x):
    return c + x, c * x


def grown(c, x):
    return (c, c), x


def program(f, **options):
    """The compiled scan over a function, as an eager call makes it."""
    length, reverse = options.get("length"), options.get("reverse", False)
    from weft.lax.control import _scan_stage

    return written.compiled(_scan_stage(length, reverse), f"scan(length={length}, reverse={reverse})", f=f)


# -- values --------------------------------------------------------------------------------------------------------------


def test_python_numbers_in_a_carry_take_the_dtype_the_body_gives() -> None:
    for xs, dtype in ((XS, "f8"), (XS.astype("f4"), "f4"), (np.arange(3), "i8")):
        total, _ = lax.scan(add, 0, xs)
        assert type(total) is weft.Array
        assert total.dtype == dtype


def test_a_body_may_ask_of_a_number_what_only_arrays_have() -> None:
    out = lax.fori_loop(0, 3, lambda i, x: x.at[()].add(1.0), 0.0)
    assert float(out) == 3.0


def test_the_counter_leaves_dtypes_alone() -> None:
    assert lax.fori_loop(0, 3, lambda i, x: x * i + i, np.float32(1)).dtype == np.float32
    lower = np.int32(1)
    assert float(lax.fori_loop(lower, 4, lambda i, x: x + i, 0.0)) == 6.0


def test_arguments_are_not_written() -> None:
    x = np.zeros(3)
    lax.fori_loop(0, 3, lambda i, v: v.at[i].set(1.0), x)
    assert x.tolist() == [0.0, 0.0, 0.0]


def test_dicts_may_come_in_another_order() -> None:
    out = lax.fori_loop(0, 2, lambda i, d: {"b": d["b"] + 10.0, "a": d["a"] + 1.0}, {"a": 0.0, "b": 5.0})
    assert {k: float(v) for k, v in out.items()} == {"a": 2.0, "b": 25.0}


def test_a_while_loop_has_a_reverse_derivative() -> None:
    def root(a):
        return lax.while_loop(lambda x: abs(x * x - a) > 1e-13, lambda x: 0.5 * (x + a / x), a)

    np.testing.assert_allclose(weft.grad(root)(2.0), 0.5 / np.sqrt(2.0), rtol=1e-9)
    np.testing.assert_allclose(weft.vmap(weft.grad(root))(XS + 1), 0.5 / np.sqrt(XS + 1), rtol=1e-9)


def test_partial_functions_methods_and_compiled_functions_are_staged() -> None:
    class Cell:
        w = 2.0

        def step(self, c, x):
            return c + self.w * x, c

    total, _ = lax.scan(Cell().step, 0.0, XS)
    assert float(total) == 20.0
    assert float(lax.scan(functools.partial(lambda w, c, x: (c + w * x, c), 3.0), 0.0, XS)[0]) == 30.0
    assert float(lax.scan(weft.jit(add), 0.0, XS)[0]) == 10.0


def test_eager_branches_run_python() -> None:
    seen: list[str] = []

    def left(x):
        seen.append("left")
        return x + 1

    assert int(lax.cond(True, left, lambda x: x, 3)) == 4
    assert int(lax.switch(-5, [left, lambda x: x], 3)) == 4
    assert seen == ["left", "left"]
    assert type(lax.cond(False, left, lambda x: np.ones(2), 3)) is weft.Array


# -- programs ------------------------------------------------------------------------------------------------------------


def test_one_program_serves_all_lengths() -> None:
    f = weft.jit(lambda xs: lax.scan(add, 0.0, xs))
    for n in (3, 5, 100):
        assert float(f(np.ones(n))[0]) == n
    assert f.cache_info().compilations + f.cache_info().loaded == 1


def test_functions_made_anew_share_a_program() -> None:
    def make(w: Any) -> Any:
        return lambda c, x: (c + w * x, x)

    first = program(make(2))
    assert program(make(2)) is first
    assert program(make(3)) is not first
    for w in (2.0, 3.0, -1.5):
        assert float(lax.scan(make(w), 0.0, XS)[0]) == 10.0 * w
    other = program(make(7.0))
    assert float(other(0.0, XS)[0]) == 70.0
    assert other.cache_info().loaded == 1  # from the disk cache: nothing was staged


def test_recursive_functions_are_compared() -> None:
    def make() -> Any:
        def f(c, x, depth=2):
            return (c + x, x) if depth == 0 else f(c, x, depth - 1)

        return f

    assert program(make()) is program(make())


def test_captured_values_are_seen_when_they_change() -> None:
    box = {"w": 2.0}

    def step(c, x):
        return c + box["w"] * x, None

    assert float(lax.scan(step, 0.0, XS)[0]) == 20.0
    box["w"] = 5.0
    assert float(lax.scan(step, 0.0, XS)[0]) == 50.0


def test_a_scan_is_one_loop_that_collects_in_place() -> None:
    def cell(h, x):
        h = wnp.tanh(h @ W + x)
        return h, h

    W = np.eye(3)
    shown = weft.jit(lambda h, xs: lax.scan(cell, h, xs)[1]).inspect(np.zeros(3), np.ones((5, 3)))
    assert len(re.findall(r"= for ", shown.ir)) == 1
    assert "store(" not in shown.ir
    assert "concat" not in shown.ir


def test_a_map_of_independent_rows_is_parallel() -> None:
    shown = weft.jit(lambda x: lax.map(lambda r: wnp.sin(r) @ r, x)).inspect(np.ones((4, 5)))
    assert "parallel(ctx, x_0" in shown.cpp


def test_a_batched_scan_stays_one_loop() -> None:
    def run(h, xs):
        return lax.scan(lambda c, x: (wnp.tanh(c @ W + x), None), h, xs)[0]

    W = np.eye(3)
    shown = weft.jit(weft.vmap(run)).inspect(np.zeros((7, 3)), np.ones((7, 5, 3)))
    assert len(re.findall(r"= for ", shown.ir)) == 1
    assert "map " not in shown.ir
    assert shown.cpp.count("gemm(ctx") == 1


def test_lanes_of_a_while_loop_end_by_themselves() -> None:
    def count(n):
        return lax.while_loop(lambda c: c[0] < 100, lambda c: (c[0] * 2, c[1] + 1), (n, 0))[1]

    n = np.array([1, 50, 99, 3])
    assert weft.vmap(count)(n).tolist() == [7, 1, 1, 6]


# -- errors --------------------------------------------------------------------------------------------------------------


def writes(xs):
    seen = np.zeros(4)

    def step(c, x):
        seen[0] = x
        return c, x

    return lax.scan(step, 0.0, xs)


CASES: list[tuple[Any, type[Exception], str]] = [
    (lambda: lax.scan(grown, 0.0, XS), TypeError, "the input carry carry is a leaf, but the carry output is a tuple of length 2"),
    (lambda: lax.scan(lambda c, x: ({"a": c["a"]}, x), {"a": 1.0, "b": 2.0}, XS), TypeError, "a dict with keys ['a', 'b']"),
    (lambda: lax.scan(lambda c, x: ((c[0], [c[1][0] + x]), x), (0.0, [np.float32(1)]), XS), TypeError, "carry[1][0] has type float32[], but the corresponding output has type float64[], so the dtypes do not match"),
    (lambda: lax.scan(lambda c, x: (XS, x), 0.0, XS), TypeError, "so the shapes do not match"),
    (lambda: lax.scan(lambda c, x: (Tagged(c.value, "b"), x), Tagged(0.0, "a"), XS), TypeError, "the input carry carry is a Tagged with 'a', but the carry output is a Tagged with 'b'"),
    (lambda: lax.scan(lambda c, x: c, 0.0, XS), TypeError, "scan body output must be a pair (carry, y), got float64[]"),
    (lambda: lax.scan(lambda c, x: (c, x, x), 0.0, XS), TypeError, "got a tuple of length 3"),
    (lambda: lax.scan(add, 0.0, (XS, XS[:3])), ValueError, "scan got values with different leading axis sizes: 4, 3."),
    (lambda: lax.scan(add, 0.0, XS, length=3), ValueError, "scan got `length` argument of 3 which disagrees with leading axis sizes [4]."),
    (lambda: lax.scan(add, 0.0), ValueError, "scan got no values to scan over and `length` not provided."),
    (lambda: lax.scan(add, 0.0, {"a": 1.0}), ValueError, "xs['a'] has type float64[]"),
    (lambda: lax.scan(add, 0.0, XS, length=2.5), TypeError, "length must be an integer"),
    (lambda: lax.scan(3, 0.0, XS), TypeError, "f must be a function"),
    (lambda: weft.jit(writes)(XS), weft.StagingError, "the function given to scan changes array 'seen', which is not its own"),
    (lambda: lax.while_loop(lambda c: c, lambda c: c + 1, 1), TypeError, "cond_fun must return a boolean scalar, but got output type(s) int64[]."),
    (lambda: lax.while_loop(lambda c: c > XS, lambda c: c + 1, 1), TypeError, "got output type(s) bool[4]."),
    (lambda: lax.while_loop(lambda c: c < 3, lambda c: (c, c), 1), TypeError, "body_fun carry input and carry output must have the same pytree structure"),
    (lambda: lax.fori_loop(0, 3.0, lambda i, x: x, 1), TypeError, "lower and upper arguments to fori_loop must be scalar integers, got upper=3.0."),
    (lambda: lax.fori_loop(XS, 3, lambda i, x: x, 1), TypeError, "scalar integers"),
    (lambda: lax.map(lambda x: x, 3.0), ValueError, "map got values with no leading axis"),
    (lambda: lax.map(lambda x: x, XS, batch_size=0), ValueError, "batch_size must be positive"),
    (lambda: lax.cond(True, 1, 2), TypeError, "true_fun and false_fun arguments should be callable"),
    (lambda: lax.cond(XS, abs, abs, 1.0), TypeError, "Pred must be a scalar"),
    (lambda: lax.cond(True, abs, abs, 1.0, operand=2.0), TypeError, "if 'operand' keyword is passed"),
    (lambda: weft.jit(lambda p: lax.cond(p, lambda: 1.0, lambda: np.int32(3)))(True), TypeError, "true_fun output has type float64[], false_fun output has type int32[]"),
    (lambda: weft.jit(lambda p: lax.cond(p, lambda: {"a": 1.0}, lambda: (2.0,)))(True), TypeError, "true_fun output is a dict with keys ['a'], but false_fun output is a tuple of length 1"),
    (lambda: weft.jit(lambda i: lax.switch(i, [lambda: 1.0, lambda: XS]))(1), TypeError, "branch 0 and branch 1 output must have identical types"),
    (lambda: lax.switch(1.0, [abs]), TypeError, "Index type must be an integer, got float64."),
    (lambda: lax.switch(0, []), ValueError, "Empty branch sequence"),
    (lambda: lax.switch(0, [1]), TypeError, "sequence of callables"),
    (lambda: lax.associative_scan(add, (XS, XS[:2])), ValueError, "different leading axis sizes"),
    (lambda: lax.associative_scan(lambda a, b: a, XS, axis=1), ValueError, "axis 1 is out of bounds"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "kind", "text"), CASES, ids=range(len(CASES)))
def test_errors(run: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=re.escape(text)):
        run()


def test_errors_show_the_line_of_the_function() -> None:
    with pytest.raises(TypeError, match=r"test_control.py:\d+ in grown\n      return \(c, c\), x"):
        weft.jit(lambda xs: lax.scan(grown, 0.0, xs))(XS)


def test_a_size_computed_inside_cannot_leave() -> None:
    with pytest.raises(weft.StagingError, match="has a size that is computed inside it"):
        lax.scan(lambda c, x: (c, wnp.zeros(int(0) + 2)[: wnp.sum(x > 0)]), 0.0, np.ones((3, 4)))


# -- with other transformations ------------------------------------------------------------------------------------------


def test_programs_come_from_the_disk_cache() -> None:
    def halve(x):
        return x / 2

    def large(x):
        return x > 1.0

    from weft.lax.control import _stage_while

    loop = written.compiled(_stage_while, "while_loop", body_fun=halve, cond_fun=large)
    for p, args in ((program(add), (0.0, XS)), (loop, (7.0,))):
        first = p(*args)
        p.clear_cache()
        assert str(p(*args)) == str(first)
        assert p.cache_info().loaded == 1


def test_forward_and_reverse_mode_agree() -> None:
    def f(x):
        def step(c, k):
            c = lax.cond(c > 1.0, lambda v: wnp.sin(v) * k, lambda v: v * v + k, c)
            return c, c

        last, ys = lax.scan(step, x, XS)
        return last + wnp.sum(ys) + lax.while_loop(lambda v: v < 50.0, lambda v: v * (2.0 + x), x)

    _, tangent = weft.jvp(f, (0.7,), (1.0,))
    np.testing.assert_allclose(weft.grad(f)(0.7), tangent, rtol=1e-12)
    step = 1e-6
    np.testing.assert_allclose(tangent, (f(0.7 + step) - f(0.7 - step)) / (2 * step), rtol=1e-6)
    second = (weft.grad(f)(0.7 + step) - weft.grad(f)(0.7 - step)) / (2 * step)
    np.testing.assert_allclose(weft.grad(weft.grad(f))(0.7), second, rtol=1e-5)
    np.testing.assert_allclose(weft.hessian(f)(0.7), second, rtol=1e-5)


def test_a_checkpointed_body() -> None:
    def total(body):
        return lambda h: wnp.sum(lax.scan(body, h, XS)[1])

    def body(h, x):
        h = wnp.tanh(h * x)
        return h, wnp.sin(h)

    np.testing.assert_allclose(weft.grad(total(weft.checkpoint(body)))(0.3), weft.grad(total(body))(0.3), rtol=1e-12)


def test_loops_inside_loops_inside_branches() -> None:
    def f(x, n):
        def inner(i, v):
            return lax.cond(i % 2 == 0, lambda u: lax.fori_loop(0, i, lambda k, w: w + k * x, u), lambda u: u * 2.0, v)

        return lax.fori_loop(0, n, inner, x)

    def plain(x, n):
        v = x
        for i in range(n):
            v = v + sum(range(i)) * x if i % 2 == 0 else v * 2.0
        return v

    for n in (0, 1, 6):
        np.testing.assert_allclose(weft.jit(f)(1.5, n), plain(1.5, n))
        np.testing.assert_allclose(f(1.5, n), plain(1.5, n))
    np.testing.assert_allclose(weft.grad(f)(1.5, 6), plain(1.0, 6))
