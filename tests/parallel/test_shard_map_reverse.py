"""Reverse mode inside `shard_map`: what JAX answers, what the whole program's derivative is, what is refused."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import lax
from weft.sharding import PartitionSpec as P

sys.path.insert(0, str(Path(__file__).parent))

from inside_cases import DATA, PROGRAMS, leaves, total  # noqa: E402


@functools.cache
def recorded():
    return dict(np.load(DATA))


def compare(name, found):
    got = leaves(found)
    want = recorded()
    assert [n for n in want if n.rpartition("/")[0] == name] == [f"{name}/{k}" for k in range(len(got))], name
    for k, x in enumerate(got):
        y = want[f"{name}/{k}"]
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12, err_msg=f"{name}, result {k}")


@pytest.mark.parametrize("p", PROGRAMS, ids=lambda p: p.name)
def test_as_jax(p, devices):
    compare(p.name, p.mapped(weft)(*p.args))


@pytest.mark.parametrize("p", PROGRAMS, ids=lambda p: p.name)
def test_as_part_of_a_program(p, devices):
    f = p.mapped(weft)
    compare(p.name, weft.jit(lambda args: f(*args))(p.args))


@pytest.mark.parametrize("p", [p for p in PROGRAMS if p.around], ids=lambda p: p.name)
def test_a_gradient_around_as_jax(p, devices):
    compare(f"{p.name}/around", weft.grad(total(weft, p))(*p.args))


# -- programs of weft's own --------------------------------------------------------------------------------------------

W = np.array([0.5, -1.2, 0.8])
X = np.sin(np.arange(24.0)).reshape(8, 3)


@pytest.fixture
def line(devices):
    return weft.make_mesh((4,), ("i",))


def both_ways(body, mesh, out=P()):
    """The results of a function of W and a piece of X, run by devices, and as part of a program."""
    f = weft.shard_map(body, mesh=mesh, in_specs=(P(), P("i")), out_specs=out)
    found = leaves(f(W, X)), leaves(weft.jit(lambda *a: f(*a))(W, X))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    return found[0]


def whole(loss, mesh):
    """The gradients of the sum of all devices' losses, with respect to W and X."""
    each = weft.shard_map(lambda w, x: loss(w, x)[None], mesh=mesh, in_specs=(P(), P("i")), out_specs=P("i"))
    return leaves(weft.grad(lambda w, x: wnp.sum(each(w, x)), argnums=(0, 1))(W, X))


def in_place(w, x):
    z = np.zeros(3)
    for k in range(3):
        z[k] = w[k] * x[0, k]
        if k > 0:
            z[k] += z[k - 1] ** 2
    return z.sum()


def own_loop(w, x):
    z = x[0]
    h = 2.0 * w
    while wnp.sum(z * z) > 0.05:
        z = 0.6 * z * np.cos(h) + 0.05 * h * w
    return wnp.sum(z * w)


def common_loop(w, x):
    z = x
    while lax.pmax(lax.stop_gradient(wnp.max(abs(z))), "i") > 0.1:
        z = z * 0.7 * np.cos(w)
    return wnp.sum(z**2)


def own_branch(w, x):
    if x[0, 0] > 0.0:
        return wnp.sum(x * w)
    return wnp.sum(w * w) + lax.pcast(0.0, "i", to="varying")


def branch_that_differs(w, x):
    z = wnp.sum(w * w)
    if x[0, 0] > 0.0:
        z = wnp.sum(x * w)
    return z


def carried(w, x):
    s = lax.pcast(0.0, "i", to="varying")
    n = wnp.sum(w > -9.0)
    for k in range(n):
        s += wnp.sum(np.sin(x * w)) / (k + 1)
    return s


def checkpointed(w, x):
    z = x
    for _ in weft.checkpoint(range(9)):
        z = np.sin(z * w)
    return wnp.sum(z)


def in_groups(w, x):
    return wnp.sum(lax.psum(w * x, "i", axis_index_groups=[[0, 1], [2, 3]]) ** 2 * x)


def from_one(w, x):
    return wnp.sum(lax.pbroadcast(w * x, "i", 2) ** 2 * x)


def lanes_that_loop(w, x):
    def lane(r):
        t = w * 2.0
        while wnp.sum(r * r) > 0.1:
            r = 0.7 * r * np.cos(t)
        return wnp.sum(r * t)

    return wnp.sum(weft.vmap(lane)(x))


def communicating_lanes(w, x):
    return wnp.sum(weft.vmap(lambda r: r - lax.pmean(r * w, "lane") + lax.psum(r, "i"), axis_name="lane")(x) ** 2)


OWN = [
    in_place, own_loop, common_loop, own_branch, branch_that_differs, carried, checkpointed, in_groups, from_one,
    lanes_that_loop, communicating_lanes,
]  # fmt: skip


@pytest.mark.parametrize("loss", OWN, ids=lambda f: f.__name__)
def test_losses_of_all_devices_are_added_up(loss, line):
    f = weft.shard_map(
        lambda w, x: weft.grad(loss, argnums=(0, 1))(w, x), mesh=line, in_specs=(P(), P("i")), out_specs=(P(), P("i"))
    )
    for a, b in zip(leaves(f(W, X)), whole(loss, line), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", [f for f in OWN if f is not own_loop], ids=lambda f: f.__name__)
def test_as_lanes_of_a_program(loss, line):
    found = both_ways(lambda w, x: weft.grad(loss, argnums=(0, 1))(w, x), line, (P(), P("i")))
    for a, b in zip(found, whole(loss, line), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_steps_of_a_loop(line):
    """What is carried beside the parameters may become other than it starts, if no derivative is of it."""

    def train(w, x):
        value, history = 0.0, []
        for _ in range(3):
            value, g = weft.value_and_grad(lambda w: wnp.sum(np.sin(w * x) ** 2))(w)
            history.append(value)
            w = w - 0.1 * g
        return w, lax.psum(value + sum(history), "i")

    got = both_ways(train, line, (P(), P()))
    w, seen = W, []
    for _ in range(3):
        seen.append(np.sum(np.sin(w * X) ** 2))
        w = w - 0.1 * np.sum(2 * np.sin(w * X) * np.cos(w * X) * X, axis=0)
    np.testing.assert_allclose(got[0], w)
    np.testing.assert_allclose(got[1], seen[-1] + sum(seen))


def test_what_is_captured_is_shared(line):
    scale = np.array([1.0, 2.0, 3.0])
    (got,) = both_ways(lambda w, x: weft.grad(lambda w: wnp.sum((w * scale) ** 2))(w) + 0.0 * lax.psum(x[0], "i"), line)
    np.testing.assert_allclose(got, 2 * W * scale**2)


def test_one_sum_for_each_parameter(line):
    """Inside a loop nothing is summed: what only enters it is summed once, behind the reverse loop."""

    def loss(w, x):
        z = x
        for k in range(5):
            z = np.sin(z * w) + w[k % 3]
        return wnp.sum(z)

    f = weft.shard_map(lambda w, x: weft.grad(loss)(w, x), mesh=line, in_specs=(P(), P("i")), out_specs=P())
    lines = f.inspect(W, X).ir.splitlines()
    sums = [line for line in lines if "psum" in line]
    assert len(sums) == 1 and sums[0].startswith("  w_ct") and lines.index(sums[0]) == len(lines) - 2


def test_without_the_check_each_device_differentiates_for_itself(line):
    f = weft.shard_map(
        lambda w, x: weft.grad(lambda w: wnp.sum(w * x))(w)[None],
        mesh=line, in_specs=(P(), P("i")), out_specs=P("i"), check_vma=False,
    )  # fmt: skip
    np.testing.assert_allclose(f(W, X), X.reshape(4, 2, 3).sum(axis=1))


def test_meshes_inside_each_other_and_lanes(line):
    def body(w, x):
        return weft.vmap(lambda s: weft.grad(lambda w: s * wnp.sum(w * x))(w))(wnp.arange(2.0))

    (got,) = both_ways(body, line)
    np.testing.assert_allclose(got, np.arange(2.0)[:, None] * X.sum(axis=0))


# -- what is refused ---------------------------------------------------------------------------------------------------


def shared_or_not(w, x):
    if w[0] > 0.0:
        return wnp.sum(w)
    return wnp.sum(w * x)


def both_shared(w, x):
    if x[0, 0] > 0.0:
        return wnp.sum(w)
    return wnp.sum(2.0 * w)


def starts_shared(w, x):
    z, k = 0.0, 0
    while k < 3:
        z, k = z + wnp.sum(w * x), k + 1
    return z


def runs_unknown_times(w, x):
    z = 0.0
    for _ in range(wnp.sum(w > 0.0)):
        z = z + wnp.sum(w * x)
    return z


@pytest.mark.parametrize("loss", [shared_or_not, both_shared, starts_shared, runs_unknown_times])
def test_a_loss_that_may_be_shared(loss, line):
    with pytest.raises(weft.StagingError, match=r"the result of the function may be one value .*\n.*psum or pmean"):
        both_ways(lambda w, x: weft.grad(loss)(w, x), line)
    both_ways(lambda w, x: weft.grad(lambda w, x: lax.pmean(loss(w, x), "i"))(w, x), line)  # as it says


def test_parameters_that_become_each_devices_own(line):
    def train(start):
        def body(w, x):
            w = start(w)
            for _ in range(3):
                g = weft.grad(lambda w: wnp.sum((w * x) ** 2))(w)
                w = w - 0.1 * g * x[0]
            return w

        return body

    with pytest.raises(weft.StagingError, match=r"an argument that is differentiated may be .*\n.*lax.pcast"):
        both_ways(train(lambda w: w), line, P("i"))
    (got,) = both_ways(train(lambda w: lax.pcast(w, "i", to="varying")), line, P("i"))
    want = []
    for x in X.reshape(4, 2, 3):
        w = W
        for _ in range(3):
            w = w - 0.1 * np.sum(2 * w * x**2, axis=0) * x[0]
        want.append(w)
    np.testing.assert_allclose(got, np.concatenate(want))


@weft.custom_vjp
def unsummed(w, x):
    return w * x


unsummed.defvjp(lambda w, x: (w * x, (w, x)), lambda r, ct: (wnp.sum(ct * r[1], axis=0), ct * r[0]))


@weft.custom_jvp
def other_tangent(w, x):
    return w * w


other_tangent.defjvp(lambda p, t: (p[0] * p[0], 2.0 * p[0] * t[0] + wnp.sum(t[1], axis=0)))


@pytest.mark.parametrize(
    ("message", "body"),
    [
        ("vjp inside shard_map: a cotangent varies over no axis, and what it belongs to over 'i'",
         lambda w, x: weft.vjp(lambda w: w * x[0], w)[1](wnp.ones(3))[0]),
        ("vjp inside shard_map: a cotangent varies over 'i', and what it belongs to over no axis",
         lambda w, x: weft.vjp(lambda w: w * 2.0, w)[1](x[0])[0]),
        ("linearize inside shard_map: a tangent varies over 'i', and what it belongs to over no axis",
         lambda w, x: weft.linearize(lambda w: w * 2.0, w)[1](x[0])),
        ("pmax has no reverse-mode derivative inside shard_map",
         lambda w, x: weft.grad(lambda w: lax.pmax(wnp.sum(w * x), "i"))(w)),
        ("the VJP bwd rule of unsummed returns a cotangent that varies over i, and the argument does not",
         lambda w, x: weft.grad(lambda w: wnp.sum(unsummed(w, x)))(w)),
        ("the JVP rule of other_tangent returns a tangent that varies over i, and its output does not",
         lambda w, x: weft.grad(lambda w, x: wnp.sum(other_tangent(w, x)), argnums=(0, 1))(w, x)[0]),
    ],
)  # fmt: skip
def test_what_does_not_fit(message, body, line):
    with pytest.raises(weft.StagingError, match=message):
        both_ways(body, line)


def test_results_that_differ_are_no_shared_ones(line):
    with pytest.raises(ValueError, match="mapped output but out_axes is None"):
        both_ways(lambda w, x: weft.grad(lambda x: wnp.sum(w * x * x))(x), line)


def test_wrong_calls(line):
    with pytest.raises(NotImplementedError, match="a value is made to vary, by to='varying'"):
        both_ways(lambda w, x: lax.pcast(w, "i", to="reduced"), line)
    with pytest.raises(ValueError, match="vmap axis_name 'i' is an axis of the mesh of shard_map around it"):
        both_ways(lambda w, x: weft.vmap(lambda r: lax.psum(r, "i"), axis_name="i")(x), line)


def test_one_meaning_inside_another(line):
    inner = weft.shard_map(
        lambda x: weft.grad(wnp.sum)(x), mesh=weft.make_mesh((2,), ("k",)), in_specs=P("k"), out_specs=P("k"),
        check_vma=False,
    )  # fmt: skip
    with pytest.raises(weft.StagingError, match="check_vma=False inside one with check_vma=True"):
        both_ways(lambda w, x: inner(x), line, P("i"))


def test_a_mesh_inside_another(line):
    """The axes of both are followed."""
    other = weft.make_mesh((2,), ("k",))

    def body(w, x):
        inner = weft.shard_map(
            lambda w, v, x: weft.grad(lambda w, v: wnp.sum((x * w * v) ** 2), argnums=(0, 1))(w, v),
            mesh=other, in_specs=(P(), P(), P("k")), out_specs=P(),
        )  # fmt: skip
        return inner(w, x[0] * 1.0, x)

    got = both_ways(body, line, (P(), P("i")))
    first = np.repeat(X.reshape(4, 2, 3)[:, 0], 2, axis=0)
    np.testing.assert_allclose(got[0], np.sum(2 * W * (X * first) ** 2, axis=0))
    np.testing.assert_allclose(got[1], np.sum((2 * first * (X * W) ** 2).reshape(4, 2, 3), axis=1).ravel())


def test_constants_are_summed_too(line):
    (got,) = both_ways(lambda w, x: w * lax.psum(np.float64(2.0), "i"), line)
    np.testing.assert_allclose(got, 8.0 * W)
