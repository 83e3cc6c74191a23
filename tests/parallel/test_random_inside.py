"""Random programs over two axes of a mesh: gradients inside `shard_map`, against those of the whole program."""

from __future__ import annotations

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import lax
from weft.sharding import PartitionSpec as P

AXES = ("a", "b")
RING = [(0, 1), (1, 2), (2, 3), (3, 0)]


@weft.custom_jvp
def soft(x, w):
    return wnp.tanh(x) * w


@soft.defjvp
def soft_jvp(primals, tangents):
    (x, w), (a, b) = primals, tangents
    return soft(x, w), (1.0 - wnp.tanh(x) ** 2) * w * a + wnp.tanh(x) * b


# Each step maps (w, x, m, k): w is shared, x is each device's, m is the same along "a".


def mix(w, x, m, k):
    return w, wnp.tanh(x * w + 0.1 * m), m


def along_b(w, x, m, k):
    return w, x, wnp.sin(m * w)


def sum_over_both(w, x, m, k):
    return w + 0.05 * lax.psum(lax.psum(x, "a") * w, "b"), x, m


def sum_over_b(w, x, m, k):
    return w, x - 0.1 * lax.psum(x * m, "b"), m


def mean(w, x, m, k):
    return w * (1.0 + 0.1 * lax.pmean(x * m, AXES)), x, m


def gather(w, x, m, k):
    return w, x + 0.1 * wnp.sum(lax.all_gather(x * w, "a"), axis=0), m


def scatter(w, x, m, k):
    return w, x + 0.1 * lax.psum_scatter(wnp.outer(wnp.arange(2.0), x * w), "a"), m


def rotate(w, x, m, k):
    return w, x + 0.2 * lax.ppermute(m * w, "b", RING), m


def loop(w, x, m, k):
    for _ in range(k + 1):
        x = 0.5 * x * w + 0.1 * lax.pmean(x * m, "a")
    return w, x, m


def loop_that_starts_shared(w, x, m, k):
    s, z = 0.0, w
    for j in range(3):
        s = s + z[j] * x[j]
        z = z * 0.5 + w[k % 3]
    return w, x + 0.1 * s * z, m


def scan(w, x, m, k):
    c, ys = lax.scan(lambda c, r: (wnp.tanh(c * r + w), c * m), x, wnp.stack([x, m * w]))
    return w, c + wnp.sum(ys, axis=0), m


def common_while(w, x, m, k):
    while wnp.sum(w * w) > 0.5:
        w = w * 0.8
        x = x * w
    return w, x, m


def own_while(w, x, m, k):
    z, h = x, 2.0 * w
    while wnp.sum(z * z) > 0.3:
        z = z * 0.7 * wnp.cos(h) + 0.05 * (h * w)
    return w, x + z, m


def common_branch(w, x, m, k):
    if w[0] > 0.1:
        x = x * w
    else:
        m = m * w * 0.5 + 0.1
    return w, x, m


def own_branch(w, x, m, k):
    if x[k % 3] > 0.1:
        x = x * w * 1.5
    else:
        x = w - x
    return w, x, m


def write(w, x, m, k):
    return w, x + wnp.zeros(3).at[0].set(w[1]).at[1].add(x[2]) * m, m


def again(w, x, m, k):
    return w, weft.checkpoint(lambda w, x: wnp.sin(x * w) + 0.1 * lax.psum(x * w, "a"))(w, x), m


def again_in_blocks(w, x, m, k):
    for _ in weft.checkpoint(range(4)):
        x = wnp.sin(x * w)
    return w, x, m


def lanes(w, x, m, k):
    rows = weft.vmap(lambda r: wnp.tanh(r * w) * r[0])(wnp.stack([x, m, w]))
    return w, x + 0.1 * wnp.sum(rows, axis=0), m


def position(w, x, m, k):
    return w, x * (1.0 + 0.1 * lax.axis_index("a")) + 0.1 * w * lax.axis_index("b"), m


def shared(w, x, m, k):
    return wnp.sin(w) + 0.3, x, m


def gradients(w, x, m, k):
    g = weft.grad(lambda w: wnp.sum(wnp.sin(w * x) * w))(w)
    h = weft.grad(lambda x: lax.psum(wnp.sum(wnp.sin(w * x)), "a"))(x)
    return w + 0.05 * g, x + 0.1 * h, m


def ruled(w, x, m, k):
    return w, soft(x, w) + soft(w, m), m


def choice(w, x, m, k):
    return w, wnp.where(x > m, x * w, w), m


STEPS = [
    mix, along_b, sum_over_both, sum_over_b, mean, gather, scatter, rotate, loop, loop_that_starts_shared, scan,
    common_while, own_while, common_branch, own_branch, write, again, again_in_blocks, lanes, position, shared,
    gradients, ruled, choice,
]  # fmt: skip

# Of a shared number and one of each device: losses that are shared, or that devices along some axes have each.
LOSSES = [
    (lambda s, z: lax.pmean(z, AXES) + s, P()),
    (lambda s, z: lax.psum(wnp.sin(z), AXES) * s, P()),
    (lambda s, z: lax.pmean(lax.psum(z, "a") ** 2, "b") + s, P()),
    (lambda s, z: wnp.log(1.0 + lax.psum(z * z, AXES)) * s, P()),
    (lambda s, z: z + s, P(AXES)),
    (lambda s, z: lax.psum(z, "a") * s, P("b")),
]


@pytest.mark.parametrize("seed", range(16))
def test_gradients_inside_are_those_of_the_whole_program(seed, devices):
    rng = np.random.default_rng(seed)
    plan = [(STEPS[k], int(rng.integers(0, 4))) for k in rng.integers(0, len(STEPS), int(rng.integers(3, 8)))]
    last, where = LOSSES[seed % len(LOSSES)]

    def loss(w, x, m):
        for step, k in plan:
            w, x, m = step(w, x, m, k)
        return last(wnp.sum(w**2), wnp.sum(x * m))

    mesh = weft.make_mesh((2, 4), AXES)
    specs = (P(), P(AXES), P("b"))
    args = rng.standard_normal(3) * 0.7, rng.standard_normal(24), rng.standard_normal(12)
    each = weft.shard_map(lambda *a: wnp.reshape(loss(*a), (1,)), mesh=mesh, in_specs=specs, out_specs=where)
    want = weft.grad(lambda *a: wnp.sum(each(*a)), argnums=(0, 1, 2))(*args)
    inside = weft.shard_map(
        lambda *a: weft.grad(loss, argnums=(0, 1, 2))(*a), mesh=mesh, in_specs=specs, out_specs=specs
    )
    text = f"{[(step.__name__, k) for step, k in plan]}, loss {seed % len(LOSSES)}"
    runs = [inside]
    if own_while not in [step for step, _ in plan]:  # as lanes, they cannot communicate between its two passes
        runs.append(weft.jit(lambda *a: inside(*a)))
    for f in runs:
        for a, b in zip(f(*args), want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10, err_msg=text)


# -- loops whose bodies differentiate ----------------------------------------------------------------------------------


def step_of_each(w, x, m, k):
    v, g = weft.value_and_grad(lambda w: wnp.sum(wnp.sin(w * x)))(w)
    return w - 0.1 * g, x + 0.01 * v, m


def step_of_all(w, x, m, k):
    v, g = weft.value_and_grad(lambda w: lax.pmean(wnp.sum(wnp.sin(w * x)), AXES) + wnp.sum(w**2))(w)
    return w - 0.1 * g, x, m + 0.01 * v


def step_of_two(w, x, m, k):
    g, h = weft.grad(lambda w, m: wnp.sum(wnp.cos(w * m)), argnums=(0, 1))(w, m)
    return w + 0.1 * g, x * 0.9, m + h


def becomes_own(w, x, m, k):
    return w * wnp.cos(m), x, m


def made_after(w, x, m, k):
    z = wnp.ones_like(w)
    return w + 0.1 * weft.grad(lambda w: wnp.sum(w * w * z))(w), x, m


def swapped(w, x, m, k):
    return m, x, w


@weft.custom_vjp
def sine(w):
    return wnp.sin(w)


sine.defvjp(lambda w: (wnp.sin(w), w), lambda w, ct: weft.vjp(lambda w: 1.5 * wnp.sin(w), w)[1](ct))


def by_a_rule(w, x, m, k):
    return w, x, sine(m) + 0.1 * weft.grad(lambda m: wnp.sum(sine(m) * w))(m)


TRAINING = [
    step_of_each, step_of_all, step_of_two, becomes_own, made_after, swapped, by_a_rule, mix, mean, own_branch, shared,
]  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_loops_are_what_their_iterations_are(seed, devices):
    """Or refused: what is carried may vary in some iterations only, which one body for all cannot say."""
    rng = np.random.default_rng(seed)
    plan = [(TRAINING[k], int(rng.integers(0, 4))) for k in rng.integers(0, len(TRAINING), int(rng.integers(1, 5)))]

    def unrolled(*c):
        for _ in (0, 1, 2):
            for step, k in plan:
                c = step(*c, k)
        return c

    def statement(*c):
        for _ in range(3):
            for step, k in plan:
                c = step(*c, k)
        return c

    def function(*c):
        def body(_, c):
            for step, k in plan:
                c = step(*c, k)
            return c

        return lax.fori_loop(0, 3, body, c)

    mesh = weft.make_mesh((2, 4), AXES)
    args = rng.standard_normal(3) * 0.7, rng.standard_normal(24), rng.standard_normal(12)
    runs = [
        weft.shard_map(f, mesh=mesh, in_specs=(P(), P(AXES), P("b")), out_specs=P(AXES))
        for f in (unrolled, statement, function)
    ]
    want = runs[0](*args)
    for f in runs[1:]:
        try:
            got = f(*args)
        except weft.StagingError as e:
            assert "may be one value for each device or one that they share" in str(e)
            assert {becomes_own, swapped} & {step for step, _ in plan}
            continue
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10, err_msg=f"{[step.__name__ for step, _ in plan]}")
