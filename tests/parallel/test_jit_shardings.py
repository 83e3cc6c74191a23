"""jit with in_shardings and out_shardings, constraints, and arrays made of pieces."""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import lax
from weft.sharding import NamedSharding, PmapSharding, SingleDeviceSharding
from weft.sharding import PartitionSpec as P

X = np.arange(16.0).reshape(8, 2)


@pytest.fixture
def mesh(devices):
    return weft.make_mesh((2, 4), ("x", "y"))


@pytest.fixture
def over(mesh):
    return lambda *spec: NamedSharding(mesh, P(*spec))


def double(x):
    return x * 2


def add(a, b):
    return a + 1, b * 2


# -- arguments and results ---------------------------------------------------------------------------------------------


def test_arguments_and_results_are_put(over):
    seen = weft.jit(lambda x: x, in_shardings=over("x"))(X)  # a result that is its argument
    assert seen.sharding == over("x")
    found = weft.jit(double, in_shardings=over("x"), out_shardings=over("y"))(X)
    np.testing.assert_array_equal(found, X * 2)
    assert found.sharding == over("y")
    assert {s.data.shape for s in found.addressable_shards} == {(2, 2)}
    again = weft.jit(double, in_shardings=over("y"), out_shardings=over())(found)
    np.testing.assert_array_equal(again, X * 4)
    assert again.sharding == over() and again.is_fully_replicated
    assert weft.jit(double)(found).sharding == weft.jit(double)(wnp.asarray(X)).sharding


def test_as_a_decorator(over):
    @weft.jit(out_shardings=over("x"))
    def f(x):
        return x + 1

    assert f(X).sharding == over("x")

    @functools.partial(weft.jit, in_shardings=(over("x"), None), out_shardings=(over("x"), None))
    def g(x, w):
        return x @ w, x.sum()

    y, total = g(X, np.ones(2))
    np.testing.assert_array_equal(y, X.sum(axis=1))
    assert y.sharding == over("x") and total == X.sum()


class Params(NamedTuple):
    w: np.ndarray
    b: np.ndarray


def test_trees(over):
    shardings = Params(over("x"), over())
    f = weft.jit(lambda p, d: (p, {"s": d["a"] + d["b"]}), in_shardings=(shardings, over("y")),
                 out_shardings=(shardings, {"s": over("y")}))  # fmt: skip
    p, d = f(Params(X, np.ones(3)), {"a": X, "b": X})
    assert (p.w.sharding, p.b.sharding, d["s"].sharding) == (over("x"), over(), over("y"))
    np.testing.assert_array_equal(d["s"], 2 * X)
    assert isinstance(p, Params)
    both = weft.jit(lambda d: d, out_shardings=over("x"))({"a": X, "b": (X, None)})
    assert both["a"].sharding == both["b"][0].sharding == over("x") and both["b"][1] is None


def test_numbers_stay_numbers(over):
    found = weft.jit(lambda x, k: x * k, in_shardings=(over("x"), over()))(X.astype("f4"), 3.0)
    assert found.dtype == np.float32
    with pytest.raises(ValueError, match="for arrays of at least 1 axes"):
        weft.jit(lambda x, k: x * k, in_shardings=over("x"))(X, 3.0)


def test_static_arguments_have_no_sharding(over):
    def f(n, x, how="plain"):
        return x.reshape(n, -1) * (2 if how == "double" else 1)

    for g in (
        weft.jit(f, static_argnums=0, in_shardings=over("x")),
        weft.jit(f, static_argnums=(0, 2), in_shardings=(over("x"),), out_shardings=over("y")),
        weft.jit(f, static_argnames=("n", "how"), in_shardings=[over("x")]),
    ):
        np.testing.assert_array_equal(g(4, X), X.reshape(4, -1))
    np.testing.assert_array_equal(g(4, X, "double"), X.reshape(4, -1) * 2)


def test_specifications_for_the_mesh_around(mesh, over):
    f = weft.jit(double, in_shardings=P("x"), out_shardings=P("y"))
    with mesh:
        assert f(X).sharding == over("y")
    with pytest.raises(RuntimeError, match="needs a mesh: call it inside `with mesh:`"):
        f(X)


def test_one_device(devices):
    one = SingleDeviceSharding(devices[3])
    for f in (weft.jit(double, in_shardings=one), weft.jit(double, out_shardings=one)):
        assert f(X).sharding == one
        assert f(weft.device_put(X, devices[3])).sharding == one


def test_what_was_put_elsewhere_is_refused(over, devices):
    f = weft.jit(double, in_shardings=over("x"))
    for there in (over("y"), over("x", "y"), over(), devices[0], SingleDeviceSharding(devices[1])):
        with pytest.raises(ValueError, match="not how an argument is divided that was put somewhere already"):
            f(weft.device_put(X[:, [0, 1, 0, 1]], there))
    for there in (over("x"), over("x", None)):
        np.testing.assert_array_equal(f(weft.device_put(X, there)), X * 2)
    np.testing.assert_array_equal(f(wnp.asarray(X)), X * 2)
    rows = NamedSharding(weft.make_mesh((8,), ("i",)), P("i"))
    pieces = weft.pmap(double)(X)
    np.testing.assert_array_equal(weft.jit(double, in_shardings=rows)(pieces), X * 4)
    with pytest.raises(ValueError, match="put somewhere already"):
        weft.jit(double, in_shardings=rows)(weft.pmap(double)(X[:4]))


def test_a_training_step_feeds_itself(over):
    @functools.partial(weft.jit, in_shardings=(over(), over("x"), over("x")), out_shardings=(over(), None))
    def step(w, x, y):
        value, g = weft.value_and_grad(lambda w: wnp.mean((x @ w - y) ** 2))(w)
        return w - 0.1 * g, value

    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 3))
    y = x @ np.array([1.0, -2.0, 0.5])
    w = wnp.zeros(3)
    for _ in range(200):
        w, value = step(w, x, y)
    np.testing.assert_allclose(w, [1.0, -2.0, 0.5], atol=1e-6)
    assert w.sharding == over() and step.cache_info().compilations + step.cache_info().loaded == 1


def test_a_function_that_runs_on_many_devices(mesh, over):
    rows = over(("x", "y"))
    f = weft.jit(weft.pmap(double), in_shardings=rows, out_shardings=rows)
    assert f(X).sharding == rows
    pieces = weft.jit(weft.shard_map(double, mesh=mesh, in_specs=P("x"), out_specs=P("x")), in_shardings=over("y"))
    found = pieces(X)
    np.testing.assert_array_equal(found, X * 2)
    assert found.sharding == over("x")
    cut = weft.pmap(lambda x, n: x.reshape(n, -1), in_axes=(0, None))
    found = weft.jit(cut, static_argnums=1, in_shardings=rows)(X, 2)
    np.testing.assert_array_equal(found, X.reshape(8, 2, 1))


def test_inside_other_transformations(over):
    f = weft.jit(lambda x: (x * x).sum(), in_shardings=over("x"), out_shardings=over())
    np.testing.assert_array_equal(weft.grad(f)(X), 2 * X)
    np.testing.assert_array_equal(weft.jit(lambda x: f(x) + 1.0)(X), (X * X).sum() + 1)
    g = weft.jit(double, in_shardings=over("x"), out_shardings=over("x"))
    np.testing.assert_array_equal(weft.vmap(g)(np.ones((3, 8))), np.full((3, 8), 2.0))
    with pytest.raises(ValueError, match="takes positional arguments"):
        weft.jit(lambda x: g(x=x))(X)


def test_what_is_shown_of_it(over):
    f = weft.jit(double, in_shardings=over("x"), out_shardings=over("y"))
    struct = weft.ShapeDtypeStruct(X.shape, X.dtype)
    assert f.eval_shape(struct) == f.lower(X).out_info == weft.eval_shape(f, struct) == struct
    compiled = f.lower(X).compile()
    assert compiled(X).sharding == over("y")
    assert f.cache_info().hits == 1
    assert "2.0" in f.inspect(X).python and "2.0" in f.source
    f.clear_cache()
    assert f.cache_info().compilations == 0
    with pytest.raises(ValueError, match="divisible by 2"):
        f.lower(weft.ShapeDtypeStruct((3, 2), "f8"))


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (ValueError, "divisible by 4, but it is equal to 2", lambda s: weft.jit(double, in_shardings=s(None, "y"))(X)),
        (ValueError, "divisible by 4, but it is equal to 2", lambda s: weft.jit(double, out_shardings=s(None, "y"))(X)),
        (ValueError, "at least 3 axes, not of 2", lambda s: weft.jit(double, in_shardings=s("x", None, "y"))(X)),
        (ValueError, "at least 1 axes, not of 0", lambda s: weft.jit(lambda x: x.sum(), out_shardings=s("x"))(X)),
        (ValueError, "takes positional arguments", lambda s: weft.jit(double, in_shardings=s("x"))(x=X)),
        (ValueError, "it has 1, for 2", lambda s: weft.jit(add, in_shardings=(s("x"),))(X, X)),
        (ValueError, "it has 3, for 2", lambda s: weft.jit(add, in_shardings=[s("x")] * 3)(X, X)),
        (ValueError, "it has 2, for 1", lambda s: weft.jit(add, in_shardings=(None, s("x")), static_argnums=0)(1, X)),
        (ValueError, "in_shardings must be a tree prefix", lambda s: weft.jit(lambda d: d, in_shardings=({"c": s("x")},))({"a": X})),
        (ValueError, "out_shardings must be a tree prefix", lambda s: weft.jit(add, out_shardings=(s("x"),) * 3)(X, X)),
        (TypeError, "in_shardings is made of shardings", lambda s: weft.jit(double, in_shardings=3)),
        (TypeError, "out_shardings is made of shardings", lambda s: weft.jit(double, out_shardings=("x",))),
    ],
)  # fmt: skip
def test_wrong_calls(error, text, call, over):
    with pytest.raises(error, match=re.escape(text)):
        call(over)


def test_one_program_runs_in_one_place(over, devices):
    for kinds in ({"in_shardings": (over("x"), SingleDeviceSharding(devices[1]))},
                  {"in_shardings": over("x"), "out_shardings": SingleDeviceSharding(devices[1])}):  # fmt: skip
        with pytest.raises(ValueError, match="Received incompatible devices for jitted computation"):
            weft.jit(add, **kinds)


# -- constraints -------------------------------------------------------------------------------------------------------


def test_constraints_outside_compiled_code_divide(mesh, over):
    found = lax.with_sharding_constraint(
        {"a": X, "b": (weft.device_put(X, over("y")), 3.0)}, {"a": over("x"), "b": over()}
    )
    assert (found["a"].sharding, found["b"][0].sharding, found["b"][1].sharding) == (over("x"), over(), over())
    np.testing.assert_array_equal(found["a"], X)
    with mesh:
        assert lax.with_sharding_constraint(X, P("x")).sharding == over("x")


def test_constraints_inside_compiled_code_change_nothing(over):
    def f(x):
        x = lax.with_sharding_constraint(x * 2, over("x"))
        return lax.with_sharding_constraint({"y": x}, over(None, "y"))["y"]  # a hint, which need not fit

    np.testing.assert_array_equal(weft.jit(f)(X), X * 2)
    np.testing.assert_array_equal(weft.grad(lambda x: f(x * x).sum())(X), 4 * X)
    np.testing.assert_array_equal(weft.vmap(f)(X[None]), X[None] * 2)


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (ValueError, "divisible by 4, but it is equal to 2", lambda s: lax.with_sharding_constraint(X, s(None, "y"))),
        (ValueError, "None is no sharding", lambda s: lax.with_sharding_constraint((X, X), (s("x"), None))),
        (ValueError, "must be a tree prefix", lambda s: lax.with_sharding_constraint((X, X), (s("x"),))),
        (RuntimeError, "needs a mesh", lambda s: lax.with_sharding_constraint(X, P("x"))),
        (TypeError, "is made of shardings", lambda s: lax.with_sharding_constraint(X, "x")),
        (ValueError, "at least 3 axes, not of 2", lambda s: weft.jit(lambda x: lax.with_sharding_constraint(x, s(None, None, "y")))(X)),
    ],
)  # fmt: skip
def test_wrong_constraints(error, text, call, over):
    with pytest.raises(error, match=re.escape(text)):
        call(over)


# -- arrays from pieces ------------------------------------------------------------------------------------------------


def test_pieces_that_a_function_makes(over):
    seen = []

    def piece(index):
        seen.append(index)
        return X[index]

    for spec, pieces in (("x",), 2), ((), 1), ((("y", "x"),), 8), (("y", "x"), 8):
        seen.clear()
        made = weft.make_array_from_callback((8, 2), over(*spec), piece)
        np.testing.assert_array_equal(made, X)
        assert made.sharding == over(*spec) and len(seen) == pieces
    assert weft.make_array_from_callback((), over(), lambda index: np.int8(3)).dtype == np.int8
    assert weft.make_array_from_callback((8, 2), over("x"), lambda i: X[i].astype("f4"), dtype="f4").dtype == np.float32
    by_lists = weft.make_array_from_callback((8, 2), over("x"), lambda i: X[i].tolist())
    np.testing.assert_array_equal(by_lists, X)


def test_data_of_this_process(over):
    made = weft.make_array_from_process_local_data(over("x"), {"a": X, "b": (wnp.asarray(X), X.astype("i4"))})
    for leaf, dtype in zip(weft.tree.leaves(made), ("f8", "f8", "i4"), strict=True):
        np.testing.assert_array_equal(leaf, X)
        assert leaf.sharding == over("x") and leaf.dtype == dtype
    assert weft.make_array_from_process_local_data(over("x"), X, (8, 2)).shape == (8, 2)
    before = X.copy()
    made = weft.make_array_from_process_local_data(over("x"), before)
    before[:] = 0.0
    np.testing.assert_array_equal(made, X)


def test_pieces_that_lie_on_their_devices(devices, over):
    rows = NamedSharding(weft.make_mesh((8,), ("i",)), P("i"))
    pieces = [weft.device_put(X[k : k + 1], d) for k, d in enumerate(devices)]
    for given in (pieces, pieces[::-1]):
        made = weft.make_array_from_single_device_arrays((8, 2), rows, given)
        np.testing.assert_array_equal(made, X)
        assert made.sharding == rows
    pmapped = weft.make_array_from_single_device_arrays((8, 2), PmapSharding(tuple(devices)), pieces)
    np.testing.assert_array_equal(weft.pmap(double)(pmapped), X * 2)
    whole = weft.make_array_from_single_device_arrays(
        (8, 2), SingleDeviceSharding(devices[2]), [weft.device_put(X, devices[2])]
    )
    assert whole.device == devices[2]
    np.testing.assert_array_equal(whole, X)
    back = [s.data for s in made.addressable_shards]
    assert [b.shape for b in back] == [(1, 2)] * 8


def single(devices, change=None, count=8, shape=(8, 2), **options):
    pieces = [weft.device_put(X[k : k + 1], d) for k, d in enumerate(devices)]
    for k, v in (change or {}).items():
        pieces[k] = v
    rows = NamedSharding(weft.make_mesh((8,), ("i",)), P("i"))
    return weft.make_array_from_single_device_arrays(shape, rows, pieces[:count], **options)


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (ValueError, "divisible by 2", lambda s, d: weft.make_array_from_callback((8, 3), s(None, "x"), lambda i: X)),
        (ValueError, "has shape (4, 2), but what was given has (1, 2)", lambda s, d: weft.make_array_from_callback((8, 2), s("x"), lambda i: X[:1])),
        (ValueError, "its dtype: float32, not float64", lambda s, d: weft.make_array_from_callback((8, 2), s("x"), lambda i: X[i], dtype="f4")),
        (ValueError, "global_shape is (16, 2), and local_data has shape (8, 2)", lambda s, d: weft.make_array_from_process_local_data(s("x"), X, (16, 2))),
        (ValueError, "divisible by 4", lambda s, d: weft.make_array_from_process_local_data(s(None, "y"), X)),
        (ValueError, "each of the 8 devices of the sharding, got 3", lambda s, d: single(d, count=3)),
        (ValueError, "has shape (2, 2), but what was given has (1, 2)", lambda s, d: single(d, shape=(16, 2))),
        (TypeError, "must be weft.Array, each on its device, not ndarray", lambda s, d: single(d, {3: X[3:4]})),
        (ValueError, "lie on different devices, not on [0, 1, 2, 2", lambda s, d: single(d, {3: weft.device_put(X[:1], d[2])})),
        (ValueError, "its dtype: float64, not int32", lambda s, d: single(d, {7: weft.device_put(X[:1].astype("i4"), d[7])})),
        (ValueError, "its dtype: float32, not float64", lambda s, d: single(d, dtype="f4")),
        (ValueError, "must lie on one device each", lambda s, d: single(d, {3: weft.device_put(X[:2], s("x"))})),
        (ValueError, "no array lies on CpuDevice(id=0)", lambda s, d: weft.make_array_from_single_device_arrays(
            (8, 2), SingleDeviceSharding(d[0]), [weft.device_put(X, d[1])])),
    ],
)  # fmt: skip
def test_wrong_pieces(error, text, call, over, devices):
    with pytest.raises(error, match=re.escape(text)):
        call(over, devices)
