"""A first tour, for people who know NumPy or JAX: ``python examples/introduction.py [picture.svg]``.

The same text runs with JAX after its imports are changed; what differs then is said where it happens.
"""

from __future__ import annotations

import sys
import time

import numpy as np

import weft
import weft.numpy as wnp
from weft import grad, jit, random, vmap


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


# Arrays


def arrays(picture: str | None = None) -> None:
    title("Arrays look like NumPy's")
    x_np = np.linspace(0.0, 10.0, 1000)
    y_np = np.sin(x_np * x_np)
    x = wnp.linspace(0.0, 10.0, 1000)
    y = wnp.sin(x * x)
    print("the same values:", bool(wnp.allclose(y, y_np)), "| type:", type(y).__name__, "| shape:", y.shape)
    if picture:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        plt.figure(figsize=(7, 3))
        plt.plot(x, y)
        plt.title("sin(x²)")
        plt.savefig(picture)
        print("picture:", picture)

    title("They do not change")
    a_np = np.arange(10)
    a_np[0] = 10
    a = wnp.arange(10)
    try:
        a[0] = 10  # type: ignore[index]
    except TypeError as e:
        print("TypeError:", str(e).splitlines()[0])
    b = a.at[0].set(10)
    print("before:", a)
    print("after: ", b)
    print("also:  ", a.at[1::3].add(100), a.at[wnp.array([0, 0, 2])].multiply(7))


# Random numbers


def keys() -> None:
    title("Random numbers have keys")
    key = random.PRNGKey(0)
    x = random.normal(key, (3,))
    print("one key, one answer:", bool(wnp.all(x == random.normal(key, (3,)))))
    key, sub = random.split(key)
    print("a new key:", random.normal(sub, (3,)).round(4))
    print("a die:", random.randint(random.fold_in(key, 7), (10,), 1, 7))


# Speed


def timed(what: str, f, *args) -> None:
    f(*args)  # the first call compiles
    start = time.perf_counter()
    f(*args)
    print(f"  {what:<24} {1e3 * (time.perf_counter() - start):8.2f} ms", file=sys.stderr)


def selu(x, alpha=1.67, scale=1.05):
    return scale * wnp.where(x > 0, x, alpha * wnp.exp(x) - alpha)


def normalised(X):
    X = X - X.mean(0)
    return X / X.std(0)


def speed(n: int) -> None:
    title("jit compiles a whole function")
    key = random.PRNGKey(1)
    m = random.normal(key, (n, n), dtype=wnp.float32)
    # work is queued, and the answer asked for: without waiting, only the queueing would be timed
    timed("matrix product", lambda: wnp.dot(m, m.T).block_until_ready())
    x = random.normal(key, (n * n,))
    selu_jit = jit(selu)
    timed("selu", lambda: selu(x).block_until_ready())
    timed("selu, jitted", lambda: selu_jit(x).block_until_ready())
    print("the same values:", bool(wnp.allclose(selu(x), selu_jit(x))))
    X = random.uniform(key, (n, 10)) * wnp.arange(1, 11)
    found = jit(normalised)(X)
    print(
        "columns have mean 0 and deviation 1:", bool(wnp.allclose(found.mean(0), 0.0, atol=1e-6)), found.std(0).round(3)
    )


# Derivatives


def sum_logistic(x):
    return wnp.sum(1.0 / (1.0 + wnp.exp(-x)))


def derivatives() -> None:
    title("grad gives derivatives")
    x = wnp.arange(3.0)
    print("of a sum of logistics:", grad(sum_logistic)(x).round(6))
    differences = wnp.array([
        (sum_logistic(x + 1e-4 * e) - sum_logistic(x - 1e-4 * e)) / 2e-4 for e in wnp.eye(3)
    ])  # fmt: skip
    print("by differences:       ", differences.round(6))
    print("of the derivative:    ", grad(jit(grad(jit(grad(sum_logistic)))))(1.0).round(6))
    f = lambda x, y: 3 * x**2 * y + 2 * x + y**3
    print("df/dx, df/dy at (1, 2):", grad(f)(1.0, 2.0), grad(f, argnums=1)(1.0, 2.0))
    print("both at once:", [float(g) for g in grad(f, argnums=(0, 1))(1.0, 2.0)])


# Batches


def batches() -> None:
    title("vmap batches")
    key = random.PRNGKey(2)
    matrix = random.normal(key, (150, 100))
    batch = random.normal(key, (10, 100))

    def apply(v):
        return wnp.dot(matrix, v)

    def one_by_one(vs):
        return wnp.stack([apply(v) for v in vs])

    @jit
    def by_hand(vs):
        return wnp.dot(vs, matrix.T)

    @jit
    def by_vmap(vs):
        return vmap(apply)(vs)

    timed("one by one", lambda: one_by_one(batch).block_until_ready())
    timed("by hand", lambda: by_hand(batch).block_until_ready())
    timed("by vmap", lambda: by_vmap(batch).block_until_ready())
    want = one_by_one(batch)
    print("all agree:", bool(wnp.allclose(want, by_hand(batch))), bool(wnp.allclose(want, by_vmap(batch))))


# Printing


@jit
def noisy(x):
    print("noisy is called with", x)
    return x * x


def printing() -> None:
    title("Compiled functions print")
    # at every call, with values; JAX prints once, while it traces, and would show a tracer here
    print(noisy(3.0))
    print(noisy(4.0))


def main(picture: str | None = None, n: int = 1000) -> None:
    print("devices:", ", ".join(d.platform for d in weft.devices()[:1]))
    arrays(picture)
    keys()
    speed(n)
    derivatives()
    batches()
    printing()


if __name__ == "__main__":
    main(*sys.argv[1:2])
