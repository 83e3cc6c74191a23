"""Programs as users of JAX write them: samplers, solvers, networks."""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
from recorded_cases import case


def mcmc(j):
    jnp, lax, random = j.numpy, j.lax, j.random

    def logp(x):
        return -0.5 * jnp.sum((x - 1.0) ** 2) / 0.5

    def step(carry, key):
        x, lp = carry
        k1, k2 = random.split(key)
        prop = x + 0.5 * random.normal(k1, x.shape)
        lpp = logp(prop)
        accept = jnp.log(random.uniform(k2)) < lpp - lp
        x = jnp.where(accept, prop, x)
        lp = jnp.where(accept, lpp, lp)
        return (x, lp), x

    x0 = jnp.zeros(3)
    keys = random.split(random.PRNGKey(42), 500)

    @j.jit
    def run(x0, keys):
        return lax.scan(step, (x0, logp(x0)), keys)

    (_, _), xs = run(x0, keys)
    return xs.mean(axis=0), xs[-1]


def rnn(j):
    jnp, lax = j.numpy, j.lax
    rng = np.random.default_rng(0)
    params = {
        "Wx": rng.normal(size=(3, 5)) * 0.5,
        "Wh": rng.normal(size=(5, 5)) * 0.3,
        "b": np.zeros(5),
        "o": rng.normal(size=5),
    }
    params = j.tree.map(jnp.asarray, params)

    def cell(h, x, p):
        h = jnp.tanh(x @ p["Wx"] + h @ p["Wh"] + p["b"])
        return h, h @ p["o"]

    def loss(p, xs, ys):
        h0 = jnp.zeros(5)
        _, out = lax.scan(lambda h, x: cell(h, x, p), h0, xs)
        return jnp.mean((out - ys) ** 2)

    xs = jnp.asarray(rng.normal(size=(4, 7, 3)))
    ys = jnp.asarray(rng.normal(size=(4, 7)))
    batched = lambda p: jnp.mean(j.vmap(loss, in_axes=(None, 0, 0))(p, xs, ys))
    vg = j.jit(j.value_and_grad(batched))
    for _ in range(5):
        l, g = vg(params)
        params = j.tree.map(lambda p, g: p - 0.1 * g, params, g)
    return l, params


def newton(j):
    jnp, lax = j.numpy, j.lax

    def solve(f, x0):
        df = j.grad(f)

        def cond(s):
            return jnp.abs(f(s[0])) > 1e-10

        def body(s):
            return s[0] - f(s[0]) / df(s[0]), s[1] + 1

        return lax.while_loop(cond, body, (x0, 0))

    f = lambda x: x**3 - 2 * x - 5
    a = j.jit(functools.partial(solve, f))(2.0)
    b = j.vmap(functools.partial(solve, f))(jnp.array([1.5, 2.0, 3.0]))
    return a, b


def gp(j):
    jnp = j.numpy

    def kernel(p, x, y):
        return jnp.exp(p["amp"]) * jnp.exp(-0.5 * (x[:, None] - y[None, :]) ** 2 / jnp.exp(2 * p["ls"]))

    def nll(p, x, y):
        K = kernel(p, x, x) + jnp.exp(p["noise"]) * jnp.eye(x.shape[0])
        L = jnp.linalg.cholesky(K)
        a = j.scipy.linalg.cho_solve((L, True), y)
        return 0.5 * y @ a + jnp.sum(jnp.log(jnp.diag(L))) + 0.5 * len(x) * jnp.log(2 * jnp.pi)

    x = jnp.linspace(0, 5, 20)
    y = jnp.sin(x)
    p = {"amp": jnp.array(0.0), "ls": jnp.array(0.0), "noise": jnp.array(-2.0)}
    v, g = j.jit(j.value_and_grad(nll))(p, x, y)
    H = j.hessian(lambda q: nll({"amp": q[0], "ls": q[1], "noise": q[2]}, x, y))(jnp.zeros(3))
    return v, g, H


def adam(j):
    jnp = j.numpy

    class State(NamedTuple):
        step: int
        m: dict
        v: dict

    def init(p):
        z = j.tree.map(jnp.zeros_like, p)
        return State(jnp.zeros((), int), z, z)

    def update(g, s, p, lr=0.05, b1=0.9, b2=0.999, eps=1e-8):
        t = s.step + 1
        m = j.tree.map(lambda m, g: b1 * m + (1 - b1) * g, s.m, g)
        v = j.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, s.v, g)
        mh = j.tree.map(lambda m: m / (1 - b1**t), m)
        vh = j.tree.map(lambda v: v / (1 - b2**t), v)
        p = j.tree.map(lambda p, m, v: p - lr * m / (jnp.sqrt(v) + eps), p, mh, vh)
        return p, State(t, m, v)

    key = j.random.PRNGKey(0)
    k1, k2, k3 = j.random.split(key, 3)
    X = j.random.normal(k1, (64, 3))
    w = jnp.array([1.0, -2.0, 3.0])
    Y = X @ w + 0.01 * j.random.normal(k2, (64,))
    p = {"w": j.random.normal(k3, (3,)), "b": jnp.zeros(())}
    loss = lambda p: jnp.mean((X @ p["w"] + p["b"] - Y) ** 2)

    @j.jit
    def step(p, s):
        l, g = j.value_and_grad(loss)(p)
        p, s = update(g, s, p)
        return p, s, l

    s = init(p)
    for _ in range(100):
        p, s, l = step(p, s)
    return l, p, s.step


def ode(j):
    jnp, lax = j.numpy, j.lax

    def rk4(f, y, t, h):
        k1 = f(y, t)
        k2 = f(y + h / 2 * k1, t + h / 2)
        k3 = f(y + h / 2 * k2, t + h / 2)
        k4 = f(y + h * k3, t + h)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def lorenz(y, t, s=10.0, r=28.0, b=8 / 3):
        return jnp.array([s * (y[1] - y[0]), y[0] * (r - y[2]) - y[1], y[0] * y[1] - b * y[2]])

    ts = jnp.linspace(0, 1, 101)

    @j.jit
    def solve(y0):
        def body(i, y):
            return rk4(lorenz, y, ts[i], 0.01)

        return lax.fori_loop(0, 100, body, y0)

    y = solve(jnp.array([1.0, 1.0, 1.0]))
    J = j.jacfwd(solve)(jnp.array([1.0, 1.0, 1.0]))
    return y, J


def custom(j):
    jnp = j.numpy

    @j.custom_vjp
    def clip_grad(lo, hi, x):
        return x

    def fwd(lo, hi, x):
        return x, (lo, hi)

    def bwd(res, g):
        lo, hi = res
        return None, None, jnp.clip(g, lo, hi)

    clip_grad.defvjp(fwd, bwd)

    @j.custom_jvp
    def log1pexp(x):
        return jnp.log(1.0 + jnp.exp(x))

    @log1pexp.defjvp
    def _(primals, tangents):
        (x,) = primals
        (xd,) = tangents
        return log1pexp(x), (1 - 1 / (1 + jnp.exp(x))) * xd

    return (
        j.grad(lambda x: jnp.sum(clip_grad(-0.75, 0.75, jnp.sin(x)) ** 2 * 3))(jnp.array([1.0, 2.0, 3.0])),
        j.vmap(j.grad(log1pexp))(jnp.arange(3.0)),
        j.grad(log1pexp)(100.0),
    )


def kmeans(j):
    jnp, lax = j.numpy, j.lax
    key = j.random.key(3)
    X = j.random.normal(key, (60, 2)) + jnp.repeat(jnp.array([[0.0, 0.0], [5.0, 5.0], [-5.0, 5.0]]), 20, axis=0)
    c0 = X[jnp.array([0, 20, 40])]

    @functools.partial(j.jit, static_argnums=2)
    def fit(X, c, k):
        def body(c, _):
            d = jnp.linalg.norm(X[:, None] - c[None], axis=-1)
            a = jnp.argmin(d, axis=1)
            oh = j.nn.one_hot(a, k, dtype=X.dtype)
            c = (oh.T @ X) / jnp.sum(oh, axis=0)[:, None]
            return c, jnp.sum(jnp.min(d, axis=1))

        return lax.scan(body, c, None, length=5)

    return fit(X, c0, 3)


def attention(j):
    jnp = j.numpy
    key = j.random.PRNGKey(1)
    ks = j.random.split(key, 4)
    x = j.random.normal(ks[0], (2, 5, 8))
    Wq, Wk, Wv = [j.random.normal(k, (8, 8)) / jnp.sqrt(8) for k in ks[1:]]

    def att(x, mask):
        q, k, v = x @ Wq, x @ Wk, x @ Wv
        split = lambda t: t.reshape(t.shape[0], t.shape[1], 2, 4).transpose(0, 2, 1, 3)
        q, k, v = map(split, (q, k, v))
        s = jnp.einsum("bhqd,bhkd->bhqk", q, k) / jnp.sqrt(4)
        s = jnp.where(mask, s, -jnp.inf)
        w = j.nn.softmax(s, axis=-1)
        return jnp.einsum("bhqk,bhkd->bqhd", w, v).reshape(x.shape)

    mask = jnp.tril(jnp.ones((5, 5), bool))
    f = j.jit(lambda x: att(x, mask))
    return f(x), j.grad(lambda x: jnp.sum(f(x) ** 2))(x)


def cnn(j):
    jnp, lax, random = j.numpy, j.lax, j.random
    k = random.split(random.PRNGKey(0), 4)
    x = random.normal(k[0], (4, 1, 8, 8), "float32")
    p = {
        "c1": random.normal(k[1], (4, 1, 3, 3), "float32") * 0.3,
        "c2": random.normal(k[2], (8, 4, 3, 3), "float32") * 0.2,
        "w": random.normal(k[3], (8 * 2 * 2, 10), "float32") * 0.1,
    }
    y = jnp.array([1, 2, 3, 4])

    def net(p, x):
        x = j.nn.relu(lax.conv_general_dilated(x, p["c1"], (1, 1), "SAME"))
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        x = j.nn.relu(lax.conv(x, p["c2"], (2, 2), "SAME"))
        return x.reshape(x.shape[0], -1) @ p["w"]

    def loss(p):
        lp = j.nn.log_softmax(net(p, x))
        return -jnp.mean(jnp.take_along_axis(lp, y[:, None], axis=1))

    return j.jit(j.value_and_grad(loss))(p)


def life(j):
    jnp, lax = j.numpy, j.lax
    g = (j.random.uniform(j.random.PRNGKey(5), (10, 10)) < 0.4).astype(jnp.int32)

    def step(g, _):
        n = sum(jnp.roll(jnp.roll(g, i, 0), k, 1) for i in (-1, 0, 1) for k in (-1, 0, 1) if (i, k) != (0, 0))
        g = jnp.where((n == 3) | ((g == 1) & (n == 2)), 1, 0).astype(jnp.int32)
        return g, g.sum()

    return lax.scan(step, g, jnp.arange(10))


def mandel(j):
    jnp, lax = j.numpy, j.lax
    c = jnp.linspace(-2, 0.5, 12)[None, :] + 1j * jnp.linspace(-1, 1, 8)[:, None]

    def count(c):
        def cond(s):
            z, n = s
            return (jnp.abs(z) < 2) & (n < 50)

        def body(s):
            z, n = s
            return z * z + c, n + 1

        return lax.while_loop(cond, body, (0j * c, 0))[1]

    return j.jit(j.vmap(j.vmap(count)))(c)


@dataclasses.dataclass
class Lin:
    w: object
    b: object
    act: str


def dc(j):
    jnp = j.numpy
    try:
        j.tree_util.register_dataclass(Lin, data_fields=["w", "b"], meta_fields=["act"])
    except ValueError:
        pass
    l = Lin(jnp.ones((3, 2)), jnp.zeros(2), "tanh")

    @j.jit
    def f(l, x):
        y = x @ l.w + l.b
        return jnp.tanh(y) if l.act == "tanh" else y

    g = j.grad(lambda l: jnp.sum(f(l, jnp.arange(3.0))))(l)
    return g.w, g.b, j.tree.leaves(j.tree.map(lambda x: x * 2, l))


def assoc(j):
    jnp, lax = j.numpy, j.lax
    return (
        lax.associative_scan(jnp.add, jnp.arange(7.0)),
        lax.associative_scan(
            lambda a, b: (a[0] * b[0], a[1] * b[0] + b[1]), (jnp.arange(1.0, 6.0) / 5, jnp.arange(5.0))
        ),
        lax.cummax(jnp.array([1, 3, 2, 5, 4])),
    )


def dyn(j):
    jnp, lax = j.numpy, j.lax

    @j.jit
    def f(x, i):
        a = lax.dynamic_slice(x, (i, 0), (2, 3))
        x = lax.dynamic_update_slice(x, a * 10, (0, i))
        v, k = lax.top_k(x[0], 2)
        return (
            x,
            v,
            k,
            lax.switch(i, [lambda z: z, lambda z: z * 2, lambda z: z * 3], x[0]),
            lax.cond(i > 1, lambda z: z + 1, lambda z: z - 1, x[1]),
        )

    return f(jnp.arange(20.0).reshape(4, 5), 1), f(jnp.arange(20.0).reshape(4, 5), 2)


def lbfgs(j):
    jnp = j.numpy
    from importlib import import_module

    opt = import_module(j.__name__ + ".scipy.optimize")

    def rosen(x):
        return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    r = opt.minimize(rosen, jnp.array([-1.2, 1.0, 0.5]), method="BFGS")
    return r.x, r.success


def hvp(j):
    jnp = j.numpy
    f = lambda x: jnp.sum(jnp.sin(x) * x**2)

    def h(f, x, v):
        return j.jvp(j.grad(f), (x,), (v,))[1]

    x = jnp.arange(4.0)
    v = jnp.ones(4)
    y, pull = j.vjp(f, x)
    return h(f, x, v), pull(2.0)[0], j.jacrev(j.grad(f))(x), j.linearize(f, x)[1](v)


def checkpoint(j):
    jnp = j.numpy

    @j.checkpoint
    def block(x, w):
        return jnp.tanh(x @ w)

    def net(ws, x):
        for w in ws:
            x = block(x, w)
        return jnp.sum(x)

    ws = [jnp.eye(3) * 0.5 + 0.1 for _ in range(4)]
    return j.grad(net)(ws, jnp.ones(3))


CASES = [
    case(f.__name__, f, compiled=False, rtol=1e-3 if f is cnn else 1e-5, atol=1e-6)  # cnn has float32
    for f in (
        mcmc,
        rnn,
        newton,
        gp,
        adam,
        ode,
        custom,
        kmeans,
        attention,
        cnn,
        life,
        mandel,
        dc,
        assoc,
        dyn,
        hvp,
        checkpoint,
    )
]
