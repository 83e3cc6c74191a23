"""Meshes, shardings, and functions of the pieces that devices have."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import lax
from weft.sharding import Mesh, NamedSharding, PmapSharding, SingleDeviceSharding
from weft.sharding import PartitionSpec as P

RNG = np.random.default_rng(0)


def draw(*shape):
    return RNG.standard_normal(shape)


@pytest.fixture
def mesh(devices):
    return weft.make_mesh((2, 4), ("x", "y"))


# -- values ------------------------------------------------------------------------------------------------------------


def test_a_product_sharded_by_rows_and_columns(mesh):
    a, b = draw(4, 8), draw(8, 12)

    def product(a, b):
        return lax.psum(a @ b, "y")

    f = weft.shard_map(product, mesh=mesh, in_specs=(P("x", "y"), P("y", None)), out_specs=P("x", None))
    c = f(a, b)
    np.testing.assert_allclose(c, a @ b)
    assert c.sharding == NamedSharding(mesh, P("x", None))
    np.testing.assert_allclose(weft.jit(f)(a, b), a @ b)
    columns = weft.shard_map(
        lambda a, b: a @ b, mesh=mesh, in_specs=(P("x"), P(None, "y")), out_specs=P("x", "y")
    )  # fmt: skip
    np.testing.assert_allclose(columns(a, b), a @ b)


@pytest.mark.parametrize(
    "spec", [P(), P("x"), P("y"), P(None, "x"), P("x", "y"), P("y", "x"), P(("x", "y")), P(("y", "x"), None), P(None, ("x", "y"))]
)  # fmt: skip
def test_pieces_come_back_where_they_were(mesh, spec):
    x = draw(8, 16, 3)
    f = weft.shard_map(lambda v: v * 2.0, mesh=mesh, in_specs=spec, out_specs=spec)
    for g in (f, weft.jit(f)):
        np.testing.assert_array_equal(g(x), x * 2.0)


def test_each_device_has_its_piece(mesh):
    x = np.arange(64.0).reshape(8, 8)

    def where(v):
        return (v[0, 0] + 1000.0 * lax.axis_index("x") + 100.0 * lax.axis_index("y"))[None, None]

    f = weft.shard_map(where, mesh=mesh, in_specs=P("x", "y"), out_specs=P("x", "y"))
    want = [[x[4 * i, 2 * j] + 1000 * i + 100 * j for j in range(4)] for i in range(2)]
    np.testing.assert_array_equal(f(x), want)
    np.testing.assert_array_equal(weft.jit(f)(x), want)


def test_collectives_over_one_axis_and_over_both(mesh):
    x = draw(2, 4, 3)

    def f(v):
        v = v[0, 0]
        return (
            lax.psum(v, "x")[None], lax.pmax(v, "y")[None], lax.psum(v, ("x", "y")), lax.all_gather(v, "y")[None],
            lax.ppermute(v, "y", [(0, 1), (3, 0)])[None, None],
        )  # fmt: skip

    mapped = weft.shard_map(
        f, mesh=mesh, in_specs=P("x", "y"), out_specs=(P("y"), P("x"), P(), P("x"), P("x", "y"))
    )  # fmt: skip
    moved = np.zeros_like(x)
    moved[:, 1], moved[:, 0] = x[:, 0], x[:, 3]
    for g in (mapped, weft.jit(mapped)):
        for got, want in zip(g(x), (x.sum(0), x.max(1), x.sum((0, 1)), x, moved), strict=True):
            np.testing.assert_allclose(got, want)


def test_trees(mesh):
    p = {"w": draw(4, 3), "b": (draw(8), np.float64(2.0))}
    specs = {"w": P("x"), "b": (P("y"), P())}
    f = weft.shard_map(lambda p: {"w": p["w"] * p["b"][1], "b": p["b"]}, mesh=mesh, in_specs=(specs,), out_specs=specs)
    found = f(p)
    np.testing.assert_array_equal(found["w"], p["w"] * 2)
    np.testing.assert_array_equal(found["b"][0], p["b"][0])
    assert found["b"][1] == 2.0


def test_as_a_decorator_inside_a_mesh(devices):
    with weft.make_mesh((4,), ("i",)):

        @weft.shard_map(in_specs=P("i"), out_specs=P())
        def total(x):
            return lax.psum(x.sum(), "i")

    assert float(total(np.arange(8.0))) == 28.0


# -- training ----------------------------------------------------------------------------------------------------------


def mlp(p, x):
    return wnp.tanh(x @ p["w1"]) @ p["w2"]


def loss(p, x, y):
    return wnp.mean((mlp(p, x) - y) ** 2)


def data():
    return {"w1": draw(6, 8), "w2": draw(8, 2)}, draw(16, 6), draw(16, 2)


def test_tensor_and_data_parallel_gradients_are_those_of_the_whole(mesh):
    """Columns of the first matrix and rows of the second on "y", the batch on "x"."""

    def pieces(p, x, y):
        out = lax.psum(wnp.tanh(x @ p["w1"]) @ p["w2"], "y")
        return lax.pmean(wnp.mean((out - y) ** 2), "x")

    specs = {"w1": P(None, "y"), "w2": P("y", None)}
    sharded = weft.shard_map(pieces, mesh=mesh, in_specs=(specs, P("x"), P("x")), out_specs=P())
    p, x, y = data()
    np.testing.assert_allclose(sharded(p, x, y), loss(p, x, y))
    got, want = weft.jit(weft.value_and_grad(sharded))(p, x, y), weft.value_and_grad(loss)(p, x, y)
    for g, w in zip(weft.tree.leaves(got), weft.tree.leaves(want), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-10, atol=1e-12)


def test_data_parallel_training_with_gradients_inside(mesh):
    def step(p, x, y):
        value, g = weft.value_and_grad(loss)(p, x, y)
        g = lax.pmean(g, ("x", "y"))
        return weft.tree.map(lambda p, g: p - 0.1 * g, p, g), lax.pmean(value, ("x", "y"))

    batch = P(("x", "y"))
    f = weft.shard_map(step, mesh=mesh, in_specs=(P(), batch, batch), out_specs=P(), check_vma=False)
    p, x, y = data()
    mine, want = p, p
    for _ in range(5):
        mine, value = f(mine, x, y)
        full, g = weft.value_and_grad(loss)(want, x, y)
        want = weft.tree.map(lambda p, g: p - 0.1 * g, want, g)
        np.testing.assert_allclose(value, full)
    np.testing.assert_allclose(mine["w1"], want["w1"])


def test_derivatives_inside(mesh):
    def step(p, x, y):
        return weft.grad(lambda p: lax.pmean(loss(p, x, y), "x"))(p)

    f = weft.shard_map(step, mesh=mesh, in_specs=(P(), P("x"), P("x")), out_specs=P())
    p, x, y = data()
    want = weft.grad(loss)(p, x, y)
    for g in (f, weft.jit(f)):
        for name, got in g(p, x, y).items():
            np.testing.assert_allclose(got, want[name], rtol=1e-9, atol=1e-12)
    forward = weft.shard_map(
        lambda x: weft.jvp(lambda v: lax.psum(v * v, "x"), (x,), (x,))[1], mesh=mesh, in_specs=P("x"), out_specs=P()
    )  # fmt: skip
    x = draw(2, 3)
    np.testing.assert_allclose(forward(x)[0], 2 * (x * x).sum(axis=0))


# -- shardings ---------------------------------------------------------------------------------------------------------


def test_arrays_know_their_pieces(mesh, devices):
    x = np.arange(32.0).reshape(4, 8)
    a = weft.device_put(x, NamedSharding(mesh, P("x", "y")))
    np.testing.assert_array_equal(a, x)
    assert a.devices() == set(devices)
    shards = a.addressable_shards
    assert len(shards) == 8
    for s in shards:
        np.testing.assert_array_equal(s.data, x[s.index])
        assert s.data.shape == (2, 2) == a.sharding.shard_shape(a.shape)
    assert [s.device.id for s in shards] == list(range(8))
    rows = weft.device_put(x, NamedSharding(mesh, P("x")))
    assert [s.replica_id for s in rows.addressable_shards] == [0, 1, 2, 3] * 2
    assert not a.is_fully_replicated and weft.device_put(x, NamedSharding(mesh, P())).is_fully_replicated
    np.testing.assert_array_equal(a.addressable_data(1), x[:2, 2:4])


def test_sharded_arrays_are_arrays(mesh):
    x = draw(4, 8)
    a = weft.device_put(x, NamedSharding(mesh, P("x", "y")))
    assert repr(a) == repr(wnp.asarray(x))
    np.testing.assert_allclose(a.sum(axis=0) + a[1], x.sum(axis=0) + x[1])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(a)), x)
    np.testing.assert_allclose(weft.jit(lambda v: v @ v.T)(a), x @ x.T)


def test_putting_an_array_on_cpu_devices_copies_nothing(devices):
    mesh = weft.sharding.make_mesh((2, 4), ("x", "y"), devices=weft.devices("cpu")[:8])
    a = weft.device_put(draw(4, 8), NamedSharding(mesh, P("x", "y")))
    assert np.shares_memory(np.asarray(a), np.asarray(weft.device_put(a, NamedSharding(mesh, P()))))


def test_what_pmap_returns_is_fed_back_without_copies(devices):
    seen = []
    f = weft.pmap(lambda x: x + 1.0)
    y = f(np.zeros((4, 3)))
    assert y.sharding == PmapSharding(tuple(devices[:4]))
    assert [s.device for s in y.addressable_shards] == devices[:4]
    for _ in range(3):
        seen.append(y)
        y = f(y)
    np.testing.assert_array_equal(y, np.full((4, 3), 4.0))
    assert seen[0].devices() == set(devices[:4])


def test_put_sharded_and_replicated(devices):
    parts = [{"a": draw(3)} for _ in range(4)]
    found = weft.device_put_sharded(parts, devices[:4])
    np.testing.assert_array_equal(found["a"], np.stack([p["a"] for p in parts]))
    assert found["a"].devices() == set(devices[:4])
    copies = weft.device_put_replicated({"a": 1.5}, devices[:3])
    np.testing.assert_array_equal(copies["a"], [1.5] * 3)
    with pytest.raises(ValueError, match=r"len\(shards\) = 4 must equal len\(devices\) = 2"):
        weft.device_put_sharded(parts, devices[:2])
    with pytest.raises(ValueError, match="must be a non-empty sequence"):
        weft.device_put_replicated(1.0, [])


def test_specifications_and_meshes(mesh, devices):
    assert P("x", None) == P("x", None) != P("x")
    assert repr(P("x", ("y", "z"))) == "PartitionSpec('x', ('y', 'z'))"
    assert pickle.loads(pickle.dumps(P("x", None))) == P("x", None)
    assert len(P("x", None)) == 2 and list(P("x", None)) == ["x", None] and P("x", None)[0] == "x"
    assert hash(mesh) == hash(Mesh(np.array(devices, dtype=object).reshape(2, 4), ("x", "y")))
    assert mesh.shape == {"x": 2, "y": 4} and mesh.size == 8 and not mesh.empty
    assert mesh.device_ids.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    one = wnp.ones(3).sharding
    assert one == SingleDeviceSharding(weft.devices()[0]) and one.is_fully_replicated and one.num_devices == 1


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (ValueError, "axis 0 is to be divided along mesh axes", lambda m: mapped(m, P("y"), P("y"))(np.ones(6))),
        (ValueError, "differs between devices over axis 'x'", lambda m: mapped(m, P("x"), P())(np.ones(4))),
        (ValueError, "for arrays of at least 2 axes, not of 1", lambda m: mapped(m, P("x", "y"), P("x"))(np.ones(4))),
        (ValueError, "Resource axis: z .* is not found in mesh", lambda m: mapped(m, P("z"), P())),
        (ValueError, "a mesh axis divides one axis of an array only", lambda m: P("x", "x")),
        (TypeError, "a PartitionSpec has names", lambda m: P(0)),
        (TypeError, "made of PartitionSpec, not 'x'", lambda m: mapped(m, "x", P())),
        (ValueError, "needs a mesh", lambda m: weft.shard_map(lambda x: x, in_specs=P(), out_specs=P())),
        (ValueError, "got devices.ndim == 2 and len", lambda m: Mesh(m.devices, ("a",))),
        (ValueError, "Number of devices 8 must be >=", lambda m: weft.make_mesh((3, 3), ("a", "b"))),
        (ValueError, "should be divisible by 4", lambda m: weft.device_put(np.ones(6), NamedSharding(m, P("y")))),
        (NotImplementedError, "over some axes of a mesh", lambda m: weft.shard_map(
            lambda x: x, mesh=m, in_specs=P(), out_specs=P(), axis_names={"x"})),
        (ValueError, "shard_map in_specs must be .* for each positional argument: 2 for 1", lambda m: mapped(m, (P(), P()), P())(np.ones(3))),
    ],
)  # fmt: skip
def test_wrong_calls(error, text, call, mesh):
    with pytest.raises(error, match=text):
        call(mesh)


def mapped(mesh, in_specs, out_specs):
    return weft.shard_map(lambda x: x * 2.0, mesh=mesh, in_specs=in_specs, out_specs=out_specs)
