"""Named axes of vmap, and communication over them."""

from __future__ import annotations

import re

import numpy as np
import pytest

import weft
from weft import lax

X = np.arange(12.0).reshape(4, 3) + 1.0


def mapped(f, **options):
    return weft.vmap(f, axis_name="i", **options)


def total(x):
    return lax.psum(x, "i")


# -- values, beside those that JAX recorded (tests/recorded/area_axis_names.py) ----------------------------------------


def test_a_number_is_multiplied_by_the_size():
    def f(x):
        n = lax.psum(1, "i")
        assert n == 4
        return x * n + lax.psum(0.5, "i")

    np.testing.assert_array_equal(mapped(f)(X), X * 4 + 2.0)


def test_axis_size():
    np.testing.assert_array_equal(mapped(lambda x: x * lax.axis_size("i"))(X), X * 4)
    sizes = weft.vmap(mapped(lambda x: x * lax.axis_size(("j", "i"))), axis_name="j")
    np.testing.assert_array_equal(sizes(X), X * 12)


def test_one_program_serves_every_size():
    f = weft.jit(mapped(lambda x: x / total(x)))
    for n in (2, 3, 7):
        x = np.arange(2.0 * n).reshape(n, 2) + 1
        np.testing.assert_allclose(f(x), x / x.sum(axis=0))
    assert f.cache_info().compilations + f.cache_info().loaded == 1
    np.testing.assert_array_equal(f(np.ones((1, 2))), np.ones((1, 2)))


def test_gather_over_two_axes():
    def f(x):
        return lax.all_gather(x, ("i", "j")), lax.all_gather(x, ("j", "i"), tiled=False)

    rows, columns = mapped(weft.vmap(f, axis_name="j"))(X)
    assert rows.shape == (4, 3, 12)
    for k in range(4):
        np.testing.assert_array_equal(rows[k, 0], X.ravel())
        np.testing.assert_array_equal(columns[k, 1], X.T.ravel())


def test_axis_index_over_two_axes():
    found = mapped(weft.vmap(lambda x: lax.axis_index(("i", "j")), axis_name="j"))(X)
    np.testing.assert_array_equal(found, np.arange(12).reshape(4, 3))
    found = mapped(weft.vmap(lambda x: lax.axis_index(("j", "i")), axis_name="j"))(X)
    np.testing.assert_array_equal(found, np.arange(12).reshape(3, 4).T)


def test_the_inner_of_two_axes_of_one_name():
    f = mapped(mapped(total))
    np.testing.assert_array_equal(f(X), np.tile(X.sum(axis=1, keepdims=True), (1, 3)))


@pytest.mark.parametrize(("f", "want"), [(lax.pargmax, [1, 0, 3]), (lax.pargmin, [0, 2, 1])])
def test_positions_of_extremes(f, want):
    x = np.array([[1.0, 5.0, 2.0], [7.0, 4.0, 0.0], [3.0, 0.0, 1.0], [7.0, 5.0, 9.0]])
    np.testing.assert_array_equal(mapped(lambda v: f(v, "i"))(x), [want] * 4)


def test_broadcast_from_a_position_ignores_nan_elsewhere():
    x = np.array([np.nan, 2.0, np.inf])
    np.testing.assert_array_equal(mapped(lambda v: lax.pbroadcast(v, "i", 1))(x), [2.0, 2.0, 2.0])


def test_shuffle():
    np.testing.assert_array_equal(mapped(lambda v: lax.pshuffle(v, "i", [2, 0, 3, 1]))(X), X[[2, 0, 3, 1]])


def test_bools_are_counted():
    np.testing.assert_array_equal(mapped(lambda v: total(v > 5.0))(X), [(X > 5).sum(axis=0)] * 4)


def test_sum_in_a_loop_and_in_a_common_branch():
    def f(x, n):
        s = x
        for k in range(n):
            s = s / total(s)
        if n > 2:
            s = s * total(x)
        return s

    want = X
    for _ in range(3):
        want = want / want.sum(axis=0)
    want = want * X.sum(axis=0)
    np.testing.assert_allclose(weft.vmap(f, in_axes=(0, None), axis_name="i")(X, 3), want)


def test_a_while_loop_that_all_lanes_leave_together():
    def f(x):
        while total(x) > 1.0:
            x = x / 2.0
        return x

    x = np.array([3.0, 10.0, 1.0])
    np.testing.assert_array_equal(mapped(f)(x), x / 16)
    np.testing.assert_array_equal(weft.grad(lambda x: np.sum(mapped(f)(x)))(x), [1 / 16] * 3)


def test_a_sum_between_loops_of_each_lane():
    def f(x):
        n = 0.0
        while x > 1.0:
            x = x / 2.0
            n = n + 1.0
        most = lax.pmax(n, "i")
        while n < most:
            n = n + 1.0
            x = x * 3.0
        return x, n

    x = np.array([8.0, 1.0, 3.0])
    np.testing.assert_array_equal(mapped(f)(x)[0], [1.0, 27.0, 0.75 * 3])
    np.testing.assert_array_equal(mapped(f)(x)[1], [3.0] * 3)


def test_one_result_for_all_lanes():
    assert weft.vmap(lambda x: lax.pmean(x, "i"), axis_name="i", out_axes=None)(np.arange(5.0)) == 2.0


def test_with_nothing_mapped():
    f = weft.vmap(lambda: lax.axis_index("i"), axis_size=3, axis_name="i")
    np.testing.assert_array_equal(f(), [0, 1, 2])


# -- derivatives -------------------------------------------------------------------------------------------------------


def test_gradients_of_the_mapped_function():
    def f(x):
        return np.sum(mapped(lambda v: v * total(v * v))(x))

    def plain(x):
        return np.sum(x * np.sum(x * x, axis=0))

    np.testing.assert_allclose(weft.grad(f)(X), weft.grad(plain)(X))
    np.testing.assert_allclose(weft.hessian(f)(X), weft.hessian(plain)(X))
    weft.check_grads(f, (X,), 2)


def test_gradient_of_an_extreme_is_shared_by_ties():
    x = np.array([1.0, 3.0, 3.0])
    np.testing.assert_array_equal(weft.grad(lambda x: mapped(lambda v: lax.pmax(v, "i"))(x)[0])(x), [0.0, 0.5, 0.5])


def test_inside_custom_derivatives_and_checkpoints():
    @weft.custom_jvp
    def centred(x):
        return x - lax.pmean(x, "i")

    @centred.defjvp
    def _(primals, tangents):
        return centred(*primals), tangents[0] - lax.pmean(tangents[0], "i")

    def f(x):
        return np.sum(mapped(lambda v: centred(v) ** 2)(x))

    x = np.array([1.0, 2.0, 6.0])
    np.testing.assert_allclose(weft.grad(f)(x), 2 * (x - 3))

    def g(x):
        return np.sum(mapped(weft.checkpoint(lambda v: np.sin(v) * total(np.cos(v))))(x))

    def plain(x):
        return np.sum(np.sin(x) * np.sum(np.cos(x)))

    np.testing.assert_allclose(weft.grad(g)(x), weft.grad(plain)(x))


# -- errors ------------------------------------------------------------------------------------------------------------


def refuses(error, text, f, x=X):
    with pytest.raises(error, match=text) as e:
        mapped(f)(x)
    return str(e.value)


def test_no_axis_of_the_name():
    text = refuses(
        NameError, "unbound axis name: j. psum is called where the axes here are 'i'", lambda x: lax.psum(x, "j")
    )
    assert "test_axis_names.py" in text
    with pytest.raises(NameError, match="no mapped axis has a name here"):
        weft.vmap(total)(X)
    with pytest.raises(NameError, match="unbound axis name: i"):
        lax.psum(np.ones(3), "i")
    with pytest.raises(NameError, match="unbound axis name: i"):
        weft.jit(total)(X)


def test_names_are_strings():
    with pytest.raises(TypeError, match="axis_name must be a string, got 3"):
        weft.vmap(total, axis_name=3)
    refuses(TypeError, "an axis name is a string, not 0", lambda x: lax.psum(x, 0))
    refuses(ValueError, "an axis is named twice", lambda x: lax.psum(x, ("i", "i")))


def own_loop(x):
    s = 0.0
    while s < x[0]:
        s = s + lax.psum(x[1], "i")
    return s


def own_branch(x):
    if x[0] > 2.0:
        return lax.psum(x, "i")
    return x


@pytest.mark.parametrize("f", [own_loop, own_branch])
def test_lanes_cannot_meet_where_each_goes_its_own_way(f):
    text = refuses(
        weft.StagingError, re.escape("psum over axis 'i' inside a loop or branch that each lane runs by itself"), f
    )
    assert "remedy: communicate before or after it" in text and "lax.psum(x" in text and "^^^^" in text


@pytest.mark.parametrize(
    ("text", "f"),
    [
        ("ppermute destinations must be unique", lambda x: lax.ppermute(x, "i", [(0, 1), (2, 1)])),
        ("between 0 and 3", lambda x: lax.ppermute(x, "i", [(0, 4)])),
        ("does not represent a permutation", lambda x: lax.pshuffle(x, "i", [0, 0, 1, 2])),
        ("cover all indices exactly once", lambda x: lax.psum(x, "i", axis_index_groups=[[0, 1]])),
        ("all have the same size", lambda x: lax.psum(x, "i", axis_index_groups=[[0, 1, 2], [3]])),
        (r"equal x.shape\[split_axis\], but they are 4 and 3", lambda x: lax.all_to_all(x, "i", 0, 0)),
        ("axis 0 of the operand has size 3, the named axis 4", lambda x: lax.psum_scatter(x, "i")),
        ("3, is not a multiple of 4", lambda x: lax.psum_scatter(x, "i", tiled=True)),
    ],
)
def test_wrong_arguments(text, f):
    refuses(ValueError, text, f)
