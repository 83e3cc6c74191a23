"""More programs as users of JAX write them: models, filters, containers of their own."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from recorded_cases import case


def flow(j):
    # normalizing flow w/ logdet
    jnp, random = j.numpy, j.random

    def bij(p, x):
        s = jnp.tanh(x[:1] @ p["s"])
        t = x[:1] @ p["t"]
        return jnp.concatenate([x[:1], x[1:] * jnp.exp(s) + t])

    p = {"s": jnp.ones((1, 2)) * 0.3, "t": jnp.ones((1, 2)) * 0.7}
    f = lambda x: bij(p, x)
    logdet = lambda x: jnp.linalg.slogdet(j.jacfwd(f)(x))[1]
    x = random.normal(random.PRNGKey(2), (4, 3))
    return j.vmap(f)(x), j.vmap(logdet)(x), j.vmap(j.grad(logdet))(x)


def hmm(j):
    jnp, lax = j.numpy, j.lax
    A = jnp.log(jnp.array([[0.7, 0.3], [0.4, 0.6]]))
    B = jnp.log(jnp.array([[0.9, 0.1], [0.2, 0.8]]))
    pi = jnp.log(jnp.array([0.5, 0.5]))
    obs = jnp.array([0, 1, 1, 0, 0, 1])

    def ll(A):
        def step(a, o):
            a = j.nn.logsumexp(a[:, None] + A, axis=0) + B[:, o]
            return a, a

        a, al = lax.scan(step, pi + B[:, obs[0]], obs[1:])
        return j.scipy.special.logsumexp(a), al

    (v, al), g = j.jit(j.value_and_grad(ll, has_aux=True))(A)
    return v, al, g


def sde(j):
    jnp, lax, random = j.numpy, j.lax, j.random

    def path(key, theta):
        dW = random.normal(key, (50,)) * jnp.sqrt(0.02)

        def step(x, dw):
            x = x + theta * (1.0 - x) * 0.02 + 0.3 * dw
            return x, x

        return lax.scan(step, 0.0, dW)[1]

    keys = random.split(random.PRNGKey(7), 16)
    f = lambda th: jnp.mean(j.vmap(path, (0, None))(keys, th)[:, -1])
    return j.jit(f)(1.5), j.grad(f)(1.5), j.vmap(path, (0, None))(keys, 1.0).std(axis=0)


def vae(j):
    jnp, random = j.numpy, j.random
    ks = random.split(random.PRNGKey(0), 6)
    D, H, Z = 6, 8, 2
    p = dict(
        e1=random.normal(ks[0], (D, H)) * 0.3,
        mu=random.normal(ks[1], (H, Z)) * 0.3,
        ls=random.normal(ks[2], (H, Z)) * 0.3,
        d1=random.normal(ks[3], (Z, H)) * 0.3,
        d2=random.normal(ks[4], (H, D)) * 0.3,
    )
    x = (random.uniform(ks[5], (10, D)) > 0.5).astype(float)

    def elbo(p, key, x):
        h = j.nn.softplus(x @ p["e1"])
        mu, ls = h @ p["mu"], h @ p["ls"]
        z = mu + jnp.exp(ls) * random.normal(key, mu.shape)
        lo = j.nn.gelu(z @ p["d1"]) @ p["d2"]
        rec = -jnp.sum(jnp.logaddexp(0.0, jnp.where(x > 0, -1.0, 1.0) * lo))
        kl = 0.5 * jnp.sum(jnp.exp(2 * ls) + mu**2 - 1 - 2 * ls)
        return rec - kl

    def obj(p, key):
        keys = random.split(key, x.shape[0])
        return -jnp.mean(j.vmap(elbo, (None, 0, 0))(p, keys, x))

    @j.jit
    def step(p, key):
        v, g = j.value_and_grad(obj)(p, key)
        return j.tree.map(lambda a, b: a - 0.05 * b, p, g), v

    key = random.PRNGKey(9)
    for i in range(5):
        key, k = random.split(key)
        p, v = step(p, k)
    return v, p


def sinkhorn(j):
    jnp, lax = j.numpy, j.lax
    C = jnp.abs(jnp.arange(5.0)[:, None] - jnp.arange(4.0)[None])
    a, b = jnp.ones(5) / 5, jnp.ones(4) / 4

    def cost(C):
        K = jnp.exp(-C / 0.5)

        def body(uv, _):
            u, v = uv
            u = a / (K @ v)
            v = b / (K.T @ u)
            return (u, v), None

        (u, v), _ = lax.scan(body, (jnp.ones(5), jnp.ones(4)), length=30)
        P = u[:, None] * K * v
        return jnp.sum(P * C)

    return j.jit(cost)(C), j.grad(cost)(C)


def graph(j):
    jnp = j.numpy
    src = jnp.array([0, 1, 2, 3, 0])
    dst = jnp.array([1, 2, 3, 0, 2])

    def layer(W, x):
        m = (x @ W)[src]
        agg = jnp.zeros_like(x).at[dst].add(m)
        deg = jnp.zeros(x.shape[0]).at[dst].add(1.0)
        return jnp.maximum(agg / jnp.maximum(deg, 1)[:, None], 0)

    W = jnp.eye(3) + 0.1
    x = jnp.arange(12.0).reshape(4, 3) / 10
    seg = j.ops.segment_sum(x[src], dst, num_segments=4) if hasattr(j, "ops") else jnp.zeros((4, 3)).at[dst].add(x[src])
    return layer(W, x), j.grad(lambda W: jnp.sum(layer(W, layer(W, x)) ** 2))(W), seg


def pic(j):
    # implicit diff with custom_vjp fixed point
    jnp, lax = j.numpy, j.lax

    @functools.partial(j.custom_vjp, nondiff_argnums=(0,))
    def fixed_point(f, a, x_guess):
        def cond(c):
            return jnp.max(jnp.abs(c[0] - c[1])) > 1e-12

        def body(c):
            return c[1], f(a, c[1])

        return lax.while_loop(cond, body, (x_guess, f(a, x_guess)))[1]

    def fwd(f, a, x0):
        x = fixed_point(f, a, x0)
        return x, (a, x)

    def rev(f, res, xb):
        a, x = res
        _, vjp_a = j.vjp(lambda a: f(a, x), a)
        _, vjp_x = j.vjp(lambda x: f(a, x), x)
        w = fixed_point(lambda p, w: p + vjp_x(w)[0], xb, xb)
        return vjp_a(w)[0], jnp.zeros_like(x)

    fixed_point.defvjp(fwd, rev)

    def newton_sqrt(a):
        return fixed_point(lambda a, x: 0.5 * (x + a / x), a, a)

    return newton_sqrt(2.0), j.grad(newton_sqrt)(2.0)


def struct(j):
    jnp = j.numpy

    @j.tree_util.register_pytree_node_class
    class Quat:
        def __init__(s, w, v):
            s.w, s.v = w, v

        def tree_flatten(s):
            return (s.w, s.v), None

        @classmethod
        def tree_unflatten(cls, aux, c):
            return cls(*c)

        def __mul__(s, o):
            return Quat(s.w * o.w - s.v @ o.v, s.w * o.v + o.w * s.v + jnp.cross(s.v, o.v))

    q = Quat(jnp.array(1.0), jnp.array([0.0, 1.0, 2.0]))
    r = Quat(jnp.array(0.5), jnp.array([1.0, 0.0, 1.0]))
    out = j.jit(lambda a, b: a * b)(q, r)
    g = j.grad(lambda a: (a * r).w ** 2)(q)
    m = j.vmap(lambda w, v: (Quat(w, v) * r).v)(jnp.ones(3), jnp.arange(9.0).reshape(3, 3))
    return out.w, out.v, g.w, g.v, m


def dqn(j):
    jnp, random, lax = j.numpy, j.random, j.lax

    class Env(NamedTuple):
        pos: Any
        t: Any

    def reset(key):
        return Env(random.randint(key, (), 0, 5), jnp.array(0))

    def step(s, a):
        pos = jnp.clip(s.pos + jnp.where(a == 1, 1, -1), 0, 6)
        r = (pos == 6).astype(float)
        return Env(pos, s.t + 1), r, (pos == 6) | (s.t >= 9)

    def rollout(key, Q):
        k0, k = random.split(key)

        def body(c, k):
            s, done = c
            ka, kb = random.split(k)
            a = jnp.where(random.uniform(ka) < 0.2, random.randint(kb, (), 0, 2), jnp.argmax(Q[s.pos]))
            s2, r, d = step(s, a)
            s2 = j.tree.map(lambda new, old: jnp.where(done, old, new), s2, s)
            return (s2, done | d), (jnp.where(done, 0.0, r), a)

        _, (r, a) = lax.scan(body, (reset(k0), jnp.array(False)), random.split(k, 10))
        return r.sum(), a

    Q = jnp.tile(jnp.array([0.0, 1.0]), (7, 1))
    return j.vmap(rollout, (0, None))(random.split(random.PRNGKey(11), 8), Q)


def fourier(j):
    jnp = j.numpy
    x = jnp.linspace(0, 1, 32, endpoint=False)
    y = jnp.sin(2 * jnp.pi * 3 * x) + 0.5 * jnp.cos(2 * jnp.pi * 5 * x)
    f = lambda y: jnp.sum(jnp.abs(jnp.fft.rfft(y)) ** 2 * jnp.arange(17))
    return jnp.abs(jnp.fft.rfft(y)), j.grad(f)(y), jnp.fft.ifft(jnp.fft.fft(y)).real


def einops(j):
    jnp = j.numpy
    a = jnp.arange(24.0).reshape(2, 3, 4)
    b = jnp.arange(20.0).reshape(4, 5)
    return (
        jnp.einsum("bij,jk->bik", a, b),
        jnp.tensordot(a, b, axes=1),
        jnp.einsum("bii->b", a[:, :3, :3]),
        jnp.stack(jnp.split(a, 2, axis=2)),
        jnp.pad(a[0], ((1, 1), (0, 2)), constant_values=3.0),
        jnp.where(a > 5, a, -a).sum((0, 2)),
        jnp.linalg.norm(a, axis=(1, 2)),
        jnp.argsort(-a[0, 0]),
        jnp.percentile(a, jnp.array([25.0, 75.0])),
        jnp.cov(a[0]),
        jnp.unique(jnp.array([3, 1, 1, 2]), size=3),
        jnp.nonzero(jnp.array([0, 1, 1]), size=2)[0],
        jnp.vectorize(lambda x, y: x @ y, signature="(n),(n)->()")(a, a),
        jnp.apply_along_axis(lambda v: v.cumsum(), 1, a[0]),
        jnp.interp(jnp.array([1.5]), jnp.arange(3.0), jnp.array([1.0, 3.0, 2.0])),
    )


def meta(j):
    jnp = j.numpy

    def inner(w, x, y):
        return jnp.mean((x @ w - y) ** 2)

    def outer(w, xs, ys, xq, yq):
        for _ in range(3):
            w = w - 0.1 * j.grad(inner)(w, xs, ys)
        return inner(w, xq, yq)

    r = np.random.default_rng(0)
    xs, ys, xq, yq = [jnp.asarray(r.normal(size=s)) for s in ((4, 5, 3), (4, 5), (4, 6, 3), (4, 6))]
    w = jnp.zeros(3)
    f = lambda w: jnp.mean(j.vmap(outer, (None, 0, 0, 0, 0))(w, xs, ys, xq, yq))
    return j.jit(j.value_and_grad(f))(w)


def lower_tri(j):
    jnp = j.numpy

    def f(v):
        L = jnp.zeros((3, 3)).at[jnp.tril_indices(3)].set(v)
        return jnp.linalg.det(L @ L.T + jnp.eye(3)) + jnp.trace(jnp.linalg.inv(L @ L.T + jnp.eye(3)))

    v = jnp.arange(1.0, 7.0) / 3
    return f(v), j.grad(f)(v), j.hessian(f)(v)


def misc_lax(j):
    jnp, lax = j.numpy, j.lax
    x = jnp.arange(12.0).reshape(3, 4)
    return (
        lax.reduce(x, 0.0, lax.add, (0,)),
        lax.dot_general(x, x, (((1,), (1,)), ((), ()))),
        lax.rev(x, (0,)),
        lax.pad(x, 0.0, ((1, 0, 0), (0, 1, 1))),
        lax.slice(x, (0, 1), (3, 4), (2, 1)),
        lax.iota("int32", 4),
        lax.broadcasted_iota("int32", (2, 3), 1),
        lax.clamp(1.0, x, 5.0),
        lax.expand_dims(x, (0,)),
        lax.map(lambda r: r.sum() * 2, x),
        lax.cumsum(x, axis=1, reverse=True),
        lax.sort_key_val(jnp.array([3, 1, 2]), jnp.array([1.0, 2.0, 3.0])),
        lax.erf(x / 10),
        lax.rsqrt(x + 1),
        lax.integer_pow(x, 3),
        lax.bitwise_and(jnp.array([6, 3]), jnp.array([3, 1])),
        lax.population_count(jnp.array([7, 8])),
        lax.conv_general_dilated_patches(x[None, None], (2, 2), (1, 1), "VALID"),
    )


CASES = [
    case(f.__name__, f, compiled=False, rtol=1e-5)
    for f in (flow, hmm, sde, vae, sinkhorn, graph, pic, struct, dqn, fourier, einops, meta, lower_tri, misc_lax)
]
