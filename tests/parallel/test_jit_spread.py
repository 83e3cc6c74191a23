"""jit of a function that runs on many devices: it goes on to run there."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import lax
from weft.sharding import NamedSharding, PmapSharding
from weft.sharding import PartitionSpec as P

RNG = np.random.default_rng(0)


def rows(n, *shape):
    return RNG.standard_normal((n, *shape))


def share(x):
    return x / lax.psum(x, "i")


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_jit_of_pmap_runs_on_the_devices(n, devices):
    x = rows(n, 3)
    for f in (
        weft.jit(weft.pmap(share, axis_name="i")),
        weft.jit(weft.pmap(weft.jit(share), axis_name="i")),
        weft.jit(weft.jit(weft.pmap(share, axis_name="i"))),
        weft.jit(donate_argnums=0)(weft.pmap(share, axis_name="i")),
    ):
        found = f(x)
        np.testing.assert_allclose(found, x / x.sum(axis=0), rtol=1e-12)
        assert found.sharding == PmapSharding(tuple(devices[:n]), 0)


@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_jit_around_shard_map_as_a_decorator(n, devices):
    mesh = weft.make_mesh((n,), ("i",))

    @weft.jit
    @functools.partial(weft.shard_map, mesh=mesh, in_specs=({"x": P("i"), "w": (P(),)}, P()), out_specs=(P("i"), P()))
    def f(p, k):
        return p["x"] @ p["w"][0] * k, lax.psum(p["x"].sum(), "i")

    x, w = rows(8, 3), rows(3, 2)
    found, total = f({"x": x, "w": (w,)}, 2)
    np.testing.assert_allclose(found, x @ w * 2, rtol=1e-12)
    np.testing.assert_allclose(total, x.sum(), rtol=1e-12)
    assert found.sharding == NamedSharding(mesh, P("i")) and total.sharding == NamedSharding(mesh, P())
    assert [s.device for s in found.addressable_shards] == devices[:n]


def test_trees_and_axes_that_are_moved(devices):
    @weft.jit
    @functools.partial(weft.pmap, axis_name="i", in_axes=({"w": 1, "b": None}, 0), out_axes={"y": 1, "s": None})
    def f(p, x):
        return {"y": p["w"] * x + p["b"], "s": lax.psum(x, "i")}

    p, x = {"w": rows(3, 4), "b": (rows(3))}, rows(4)
    found = f(p, x)
    np.testing.assert_allclose(found["y"], p["w"] * x + p["b"][:, None], rtol=1e-12)
    np.testing.assert_allclose(found["s"], x.sum(), rtol=1e-12)
    assert found["y"].sharding == PmapSharding(tuple(devices[:4]), 1)
    assert {s.data.shape for s in found["y"].addressable_shards} == {(3, 1)}


def cut(x, n):
    return x.reshape(n, -1) * 2


@pytest.mark.parametrize("in_axes", [(0, None), 0])
def test_static_arguments_of_jit(in_axes, devices):
    x = rows(3, 4)
    for f in (
        weft.jit(weft.pmap(cut, in_axes=in_axes), static_argnums=1),
        weft.jit(weft.pmap(cut, in_axes=in_axes), static_argnums=(-1,)),
        weft.jit(weft.pmap(cut, in_axes=in_axes, static_broadcasted_argnums=1)),
        weft.jit(weft.pmap(cut, in_axes=in_axes), static_argnames="n"),
    ):
        for n in (2, 4):
            found = f(x, n)
            np.testing.assert_array_equal(found, x.reshape(3, n, -1) * 2)
            assert found.sharding == PmapSharding(tuple(devices[:3]), 0)
    f = weft.jit(weft.pmap(cut), static_argnames="n")
    np.testing.assert_array_equal(f(x, n=2), x.reshape(3, 2, -1) * 2)
    moved = weft.jit(weft.pmap(cut, in_axes=1), static_argnums=1)
    np.testing.assert_array_equal(moved(x.T, 2), x.reshape(3, 2, -1) * 2)


def test_static_arguments_inside_a_program(devices):
    x = rows(3, 4)
    for in_axes in (0, (0, None)):
        mapped = weft.pmap(cut, in_axes=in_axes, static_broadcasted_argnums=1)
        np.testing.assert_array_equal(weft.jit(lambda x: mapped(x, 2) + 1.0)(x), x.reshape(3, 2, -1) * 2 + 1)
        jitted = weft.jit(weft.pmap(cut, in_axes=in_axes), static_argnums=1)
        g = weft.grad(lambda x: jitted(x, 2).sum())(x)
        np.testing.assert_array_equal(g, np.full((3, 4), 2.0))
    named = weft.jit(weft.pmap(cut), static_argnames="n")
    np.testing.assert_array_equal(weft.jit(lambda x: named(x, n=2))(x), x.reshape(3, 2, -1) * 2)


def test_a_static_argument_of_jit_makes_shard_map_a_part_of_the_program(devices):
    mesh = weft.make_mesh((2,), ("i",))
    f = weft.jit(
        weft.shard_map(lambda x, k: x * k, mesh=mesh, in_specs=(P("i"), P()), out_specs=P("i")), static_argnums=1
    )
    np.testing.assert_array_equal(f(np.arange(4.0), 3), np.arange(4.0) * 3)


def test_derivatives_and_lanes_around(devices):
    mapped = weft.jit(weft.pmap(lambda v: v * lax.psum(v, "i"), axis_name="i"))
    x = rows(4, 3)
    want = x * x.sum(axis=0)
    np.testing.assert_allclose(weft.grad(lambda x: mapped(x).sum())(x), 2 * np.tile(x.sum(axis=0), (4, 1)))
    np.testing.assert_allclose(weft.vmap(mapped)(np.stack([x, 2 * x])), np.stack([want, 4 * want]))
    np.testing.assert_allclose(weft.jit(lambda x: mapped(x) + 1.0)(x), want + 1.0)
    mesh = weft.make_mesh((4,), ("i",))
    cubes = weft.jit(weft.shard_map(lambda v: v**3, mesh=mesh, in_specs=P("i"), out_specs=P("i")))
    np.testing.assert_allclose(weft.grad(lambda x: cubes(x).sum())(x), 3 * x**2)


def test_what_is_shown_of_it(devices):
    x = rows(4, 5, 3)
    mesh = weft.make_mesh((2, 2), ("a", "b"))
    for f, shape in (
        (weft.pmap(lambda v: v[0] * 2.0, axis_name="i"), (4, 3)),
        (weft.pmap(lambda v: v * 2.0, in_axes=0, out_axes=2), (5, 3, 4)),
        (weft.pmap(lambda v: v[0].sum(), out_axes=0), (4,)),
        (weft.shard_map(lambda v: v[:, 0], mesh=mesh, in_specs=P("a", None, None), out_specs=P(("b", "a"))), (8, 3)),
        (weft.shard_map(lambda v: lax.pmax(v, "b"), mesh=mesh, in_specs=P(("a", "b")), out_specs=P("a")), (2, 5, 3)),
    ):
        g = weft.jit(f)
        struct = weft.ShapeDtypeStruct(x.shape, x.dtype)
        for lowered in (g.lower(x), g.lower(struct)):
            assert lowered.out_info == weft.ShapeDtypeStruct(shape, "float64")
        assert g.eval_shape(struct) == weft.eval_shape(f, x) == lowered.out_info
        assert g.cache_info().compilations == 0
        compiled = g.lower(x).compile()
        assert g.cache_info().compilations + g.cache_info().loaded == 1
        found = compiled(x)
        assert g(x).shape == found.shape == shape
        assert g.cache_info().compilations + g.cache_info().loaded == 1 and g.cache_info().hits == 2
        assert "return" in g.inspect(x).python and "def" in g.source
        g.clear_cache()
        assert g.cache_info().compilations == 0 and g.cache_info().reasons == ()
        np.testing.assert_array_equal(g(x), found)


def test_without_compiled_parts(devices):
    x = rows(4, 3, 2)
    mesh = weft.make_mesh((2, 2), ("a", "b"))
    moved = weft.pmap(lambda v: v / 2.0, in_axes=1, out_axes=2)
    cutting = weft.pmap(cut, in_axes=(1, None), static_broadcasted_argnums=1)
    over = weft.shard_map(lambda v: lax.psum(v, "a"), mesh=mesh, in_specs=P(("b", "a")), out_specs=P("b"))
    with weft.debug_nans(True):
        np.testing.assert_array_equal(weft.jit(moved)(x), np.moveaxis(x / 2.0, 1, 2))
        np.testing.assert_array_equal(weft.jit(cutting)(x, 2), np.moveaxis(x, 1, 0).reshape(3, 2, 4) * 2)
        np.testing.assert_allclose(weft.jit(over)(x), x.reshape(2, 2, 1, 3, 2).sum(axis=1).reshape(2, 3, 2))
    with weft.disable_jit():
        np.testing.assert_array_equal(weft.jit(moved)(x), np.moveaxis(x / 2.0, 1, 2))


def test_wrong_calls(devices):
    with pytest.raises(ValueError, match="requires 9 logical devices, but only 8 are available"):
        weft.jit(weft.pmap(lambda x: x))(rows(9, 2))
    with pytest.raises(ValueError, match=r"len\(in_axes\)=1, len\(args\)=2"):
        weft.jit(weft.pmap(wnp.add, in_axes=(1,)))(rows(2, 2), rows(2, 2))
    with pytest.raises(ValueError, match="static_argnums has 3"):
        weft.jit(weft.pmap(lambda x: x), static_argnums=3)
    mesh = weft.make_mesh((2,), ("i",))
    with pytest.raises(TypeError, match="takes positional arguments"):
        weft.jit(weft.shard_map(lambda x: x, mesh=mesh, in_specs=P("i"), out_specs=P("i")))(x=rows(2))
