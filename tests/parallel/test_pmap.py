"""pmap: the values of vmap, computed by many devices."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import lax

RNG = np.random.default_rng(0)
COUNTS = [1, 2, 3, 5, 8]


def rows(n, *shape):
    return RNG.standard_normal((n, *shape))


def agrees(f, *args, **options):
    """The values of pmap, once they are those of vmap."""
    found = weft.pmap(f, **options)(*args)
    wanted = weft.vmap(f, **options)(*args)
    for got, want in zip(weft.tree.leaves(found), weft.tree.leaves(wanted), strict=True):
        assert isinstance(got, weft.Array)
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    assert weft.tree.structure(found) == weft.tree.structure(wanted)
    return found


@pytest.mark.parametrize("n", COUNTS)
def test_each_device_has_a_piece(n, devices):
    found = agrees(lambda x: wnp.sin(x) @ x, rows(n, 4))
    assert found.sharding.device_set == set(devices[:n])


def test_trees_scalars_and_several_results(devices):
    def f(p, s):
        return {"a": p["w"] * s, "b": (p["w"].sum(), 2)}, s > 0

    agrees(f, {"w": rows(4, 3)}, rows(4))


def test_whole_arguments(devices):
    agrees(lambda x, w: x @ w, rows(3, 2, 4), rows(4, 5), in_axes=(0, None))
    agrees(lambda p, x: p["w"] * x + p["b"], {"w": rows(3, 2), "b": np.float64(1.5)}, rows(2),
           in_axes=({"w": 0, "b": None}, None))  # fmt: skip
    agrees(lambda x, k: x * k, rows(3, 2), 5, in_axes=(0, None))


def test_other_axes(devices):
    x = rows(3, 5, 4)
    found = weft.pmap(lambda v: v * 2.0, in_axes=1, out_axes=2)(x)
    np.testing.assert_array_equal(found, np.moveaxis(x * 2.0, 1, 2))
    found = weft.pmap(lambda v, w: (v, w), in_axes=(2, None), out_axes=(-1, None))(x, 1.0)
    np.testing.assert_array_equal(found[0], x)
    assert found[1] == 1.0


def test_one_result_for_all(devices):
    found = weft.pmap(lambda x: lax.psum(x, "i"), axis_name="i", out_axes=None)(rows(4, 3))
    assert found.shape == (3,)


def test_static_arguments(devices):
    @functools.partial(weft.pmap, static_broadcasted_argnums=(1,))
    def f(x, how):
        return x * 2 if how == "double" else x

    x = rows(2, 3)
    np.testing.assert_array_equal(f(x, "double"), x * 2)
    np.testing.assert_array_equal(f(x, "keep"), x)


def test_captured_arrays_are_whole_and_seen_when_they_change(devices):
    w = np.ones(3)
    f = weft.pmap(lambda x: x * w)
    x = rows(2, 3)
    np.testing.assert_array_equal(f(x), x)
    w[:] = 3.0
    np.testing.assert_array_equal(f(x), x * 3)


def test_one_program_for_every_size_and_results_fed_back(devices):
    f = weft.pmap(lambda x: x * 2.0)
    for n in (2, 7):
        x = f(f(rows(4, n)))
        assert x.shape == (4, n)
    assert len(f._programs) == 2  # of NumPy arrays, and of results
    weft.pmap(lambda x: x)(x)


def test_loops_branches_and_in_place_writes(devices):
    def f(x):
        y = x.copy()
        for i in range(1, len(y)):
            y[i] += 0.5 * y[i - 1]
        n = 0
        while y[-1] > 0.1:
            y[-1] *= 0.5
            n += 1
        return y, n

    agrees(f, np.abs(rows(5, 6)))


def test_results_whose_shape_depends_on_data(devices):
    x = np.array([[1.0, -1.0, 2.0], [-3.0, 4.0, 5.0]])
    found = weft.pmap(lambda v: v[v > 0])(x)
    np.testing.assert_array_equal(found, [[1.0, 2.0], [4.0, 5.0]])
    with pytest.raises(ValueError, match="shape"):
        np.asarray(weft.pmap(lambda v: v[v > 1.5])(x))


# -- collectives -------------------------------------------------------------------------------------------------------

GROUPS = [[0, 2], [3, 1]]

COLLECTIVES = {
    "psum": lambda x: lax.psum(x, "i"),
    "psum of scalars": lambda x: x / lax.psum(x.sum(), "i"),
    "psum of a tree": lambda x: lax.psum({"a": x, "b": (x[0], x > 0)}, "i"),
    "psum groups": lambda x: lax.psum(x, "i", axis_index_groups=GROUPS),
    "pmean": lambda x: x - lax.pmean(x, "i"),
    "pmax": lambda x: lax.pmax(x, "i"),
    "pmin": lambda x: lax.pmin(x, "i"),
    "pmax groups": lambda x: lax.pmax(x, "i", axis_index_groups=GROUPS),
    "pargmax": lambda x: lax.pargmax(x, "i"),
    "all_gather": lambda x: lax.all_gather(x, "i"),
    "all_gather tiled": lambda x: lax.all_gather(x, "i", axis=1, tiled=True),
    "all_gather groups": lambda x: lax.all_gather(x, "i", axis_index_groups=GROUPS),
    "psum_scatter": lambda x: lax.psum_scatter(x, "i"),
    "psum_scatter tiled": lambda x: lax.psum_scatter(x, "i", scatter_dimension=1, tiled=True),
    "psum_scatter groups": lambda x: lax.psum_scatter(x[:2], "i", axis_index_groups=GROUPS),
    "all_to_all": lambda x: lax.all_to_all(x, "i", 0, 1),
    "all_to_all tiled": lambda x: lax.all_to_all(x, "i", 1, 0, tiled=True),
    "all_to_all groups": lambda x: lax.all_to_all(x[:2], "i", 0, 0, axis_index_groups=GROUPS),
    "ppermute": lambda x: lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 3), (3, 0)]),
    "ppermute some": lambda x: lax.ppermute(x, "i", [(2, 0)]),
    "pbroadcast": lambda x: lax.pbroadcast(x, "i", 2),
    "axis_index": lambda x: (x * lax.axis_index("i"), lax.axis_index("i")),
    "axis_size": lambda x: x * lax.axis_size("i"),
    "many": lambda x: lax.psum(lax.pmax(x, "i") * lax.ppermute(x, "i", [(0, 3)]), "i"),
}


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "c16"])
@pytest.mark.parametrize("name", COLLECTIVES)
def test_collectives(name, dtype, devices):
    if dtype == "c16" and any(word in name for word in ("max", "min", "tree", "many")):
        return  # no order
    x = (RNG.standard_normal((4, 4, 8)) * 10).astype(dtype)
    found = weft.pmap(COLLECTIVES[name], axis_name="i")(x)
    wanted = weft.vmap(COLLECTIVES[name], axis_name="i")(x)
    for got, want in zip(weft.tree.leaves(found), weft.tree.leaves(wanted), strict=True):
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        np.testing.assert_allclose(got, want, rtol=1e-5 if dtype == "f4" else 1e-12)


@pytest.mark.parametrize("n", COUNTS)
def test_collectives_on_any_number_of_devices(n, devices):
    def f(x):
        return (
            lax.psum(x, "i"), lax.pmax(x, "i"), lax.all_gather(x, "i"), lax.psum_scatter(x, "i"),
            lax.all_to_all(x, "i", 0, 0), lax.ppermute(x, "i", [(k, (k + 1) % n) for k in range(n)]),
            lax.axis_index("i"),
        )  # fmt: skip

    agrees(f, rows(n, n, 3), axis_name="i")


def test_large_operands_are_shared_out(devices):
    x = rows(4, 100_003)
    found = weft.pmap(lambda v: lax.psum(v, "i"), axis_name="i")(x)
    np.testing.assert_allclose(found, np.tile(x.sum(axis=0), (4, 1)), rtol=1e-12, atol=1e-12)
    assert all(np.array_equal(found[0], found[k]) for k in range(4))  # the same bits everywhere


def test_collectives_in_loops(devices):
    def f(x):
        for k in range(50):
            x = x / lax.psum(x, "i") + k
        return x

    agrees(f, np.abs(rows(8, 3)) + 1, axis_name="i")


def test_a_loop_that_all_devices_leave_together(devices):
    def f(x):
        n = 0
        while lax.pmax(x, "i") > 1.0:
            x = x / 2.0
            n += 1
        return x, n

    agrees(f, np.array([1.0, 100.0, 3.0]), axis_name="i")


# -- other transformations ---------------------------------------------------------------------------------------------


def loss(w, x, y):
    return wnp.mean((x @ w - y) ** 2)


def test_gradients_inside(devices):
    def f(w, x, y):
        value, g = weft.value_and_grad(loss)(w, x, y)
        return lax.pmean(value, "i"), lax.pmean(g, "i")

    w, x, y = rows(3), rows(4, 10, 3), rows(4, 10)
    value, g = agrees(f, w, x, y, axis_name="i", in_axes=(None, 0, 0))
    np.testing.assert_allclose(value[0], loss(w, x.reshape(40, 3), y.reshape(40)))
    np.testing.assert_allclose(g[0], weft.grad(loss)(w, x.reshape(40, 3), y.reshape(40)))


def test_collectives_are_differentiated_inside(devices):
    def f(x):
        return weft.grad(lambda v: wnp.sum(v * lax.psum(v * v, "i")))(x)

    agrees(f, rows(4, 3), axis_name="i")
    agrees(lambda x: weft.jvp(lambda v: v * lax.pmax(v, "i"), (x,), (x,))[1], rows(4, 3), axis_name="i")


def test_around_and_inside_other_transformations(devices):
    x = rows(4, 3)
    mapped = weft.pmap(lambda v: v * lax.psum(v, "i"), axis_name="i")
    want = x * x.sum(axis=0)
    np.testing.assert_allclose(weft.jit(mapped)(x), want)
    np.testing.assert_allclose(weft.pmap(weft.jit(lambda v: v * lax.psum(v, "i")), axis_name="i")(x), want)
    np.testing.assert_allclose(
        weft.grad(lambda x: mapped(x).sum())(x), weft.grad(lambda x: wnp.sum(x * x.sum(axis=0)))(x)
    )
    np.testing.assert_allclose(weft.vmap(mapped)(np.stack([x, 2 * x])), np.stack([want, 4 * want]))
    batched = weft.pmap(weft.vmap(lambda v: v * lax.psum(v, "i")), axis_name="i")
    np.testing.assert_allclose(batched(x), want)


class Params(NamedTuple):
    w: weft.Array
    b: weft.Array


def test_a_training_step(devices):
    @functools.partial(weft.pmap, axis_name="d")
    def update(p, x, y):
        value, g = weft.value_and_grad(lambda p: wnp.mean((p.w * x + p.b - y) ** 2))(p)
        g = lax.pmean(g, "d")
        return weft.tree.map(lambda p, g: p - 0.1 * g, p, g), lax.pmean(value, "d")

    x = RNG.standard_normal((8, 16))
    p = Params(wnp.zeros(8), wnp.zeros(8))
    for _ in range(100):
        p, value = update(p, x, 2 * x - 1)
    np.testing.assert_allclose(p.w, np.full(8, 2.0), rtol=1e-6)
    np.testing.assert_allclose(p.b, np.full(8, -1.0), rtol=1e-6)
    assert float(value[0]) < 1e-10


# -- errors ------------------------------------------------------------------------------------------------------------


def test_more_pieces_than_devices(devices):
    with pytest.raises(ValueError, match="requires 9 logical devices, but only 8 are available"):
        weft.pmap(lambda x: x)(rows(9, 2))


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (ValueError, "inconsistent sizes for array axes to be mapped", lambda: weft.pmap(wnp.add)(rows(2, 3), rows(3, 3))),
        (ValueError, "rank should be at least 1, but is only 0", lambda: weft.pmap(lambda x: x)(1.0)),
        (ValueError, "must have at least one non-None value", lambda: weft.pmap(lambda x: x, in_axes=None)(1.0)),
        (ValueError, "out_axes", lambda: weft.pmap(lambda x: x, out_axes=None)(rows(2, 3))),
        (ValueError, "in_axes must be an int, None, or a tuple", lambda: weft.pmap(wnp.add, in_axes=(0,))(rows(2), rows(2))),
        (TypeError, "axis_name must be a string", lambda: weft.pmap(wnp.add, axis_name=3)),
        (NameError, "unbound axis name: j", lambda: weft.pmap(lambda x: lax.psum(x, "j"), axis_name="i")(rows(2))),
        (NotImplementedError, "global_arg_shapes", lambda: weft.pmap(wnp.add, global_arg_shapes=(1,))),
    ],
)  # fmt: skip
def test_wrong_calls(error, text, call, devices):
    with pytest.raises(error, match=text):
        call()


def write(x):
    x[0] = 1.0
    return x


def test_writes_to_arguments_are_refused(devices):
    with pytest.raises(weft.StagingError, match="in place, of which each device has a part"):
        weft.pmap(write)(rows(2, 3))


def lonely(x):
    if x[0] > 0:
        return lax.psum(x, "i")
    return x


def test_devices_cannot_meet_where_each_goes_its_own_way(devices):
    with pytest.raises(weft.StagingError, match="inside a loop or branch that each lane runs by itself"):
        weft.pmap(lonely, axis_name="i")(rows(2, 3))


def test_lanes_of_one_device_cannot_wait_for_other_devices(devices):
    with pytest.raises(weft.StagingError, match="psum over axis 'i' inside a loop or branch"):
        weft.pmap(weft.vmap(lonely), axis_name="i")(rows(2, 4, 3))


def test_an_error_on_one_device_reaches_the_caller(devices):
    def f(x):
        if x[0] > 100.0:
            raise ValueError("too large")
        return lax.psum(x, "i")

    g = weft.pmap(f, axis_name="i")
    x = rows(4, 3)
    np.testing.assert_allclose(g(x)[0], x.sum(axis=0))
    x[2, 0] = 101.0
    with pytest.raises(ValueError, match="too large"):
        np.asarray(g(x))
    x[2, 0] = 0.0
    np.testing.assert_allclose(g(x)[0], x.sum(axis=0))


def test_each_device_goes_its_own_way_between_meetings(devices):
    def f(x):
        for k in range(3):
            while x > 1.0:  # as often as this device needs
                x = x * 0.5
            if x > 0.75:
                x = x - 0.5
            x = x + lax.psum(x, "i")
        return x, lax.pmax(x, "i")

    x = np.array([0.3, 5.0, 9.0, 1.5])
    want = x.copy()
    for _ in range(3):
        for k in range(4):
            while want[k] > 1.0:
                want[k] *= 0.5
            if want[k] > 0.75:
                want[k] -= 0.5
        want = want + want.sum()
    got, largest = weft.pmap(f, axis_name="i", out_axes=(0, None))(x)
    np.testing.assert_allclose(got, want)
    np.testing.assert_allclose(largest, want.max())


def test_devices_that_raise_in_a_loop_with_meetings(devices):
    def f(x):
        for k in range(5):
            x = lax.pmean(x, "i") + lax.axis_index("i")
            if x > 4.0:
                raise ValueError("grew too large")
        return x

    with pytest.raises(ValueError, match="grew too large"):
        np.asarray(weft.pmap(f, axis_name="i")(np.zeros(4)))
