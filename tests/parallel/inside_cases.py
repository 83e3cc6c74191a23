"""Programs that differentiate inside `shard_map`, each written once over the module that stands in JAX's place.

``python tests/parallel/inside_cases.py`` writes what JAX (0.10) answers beside this file, where JAX is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).with_name("inside.npz")
LINE, GRID = (("i", 4),), (("data", 2), ("model", 4))

W = np.array([0.5, -1.2, 0.8])
X = np.sin(np.arange(24.0)).reshape(8, 3)
Y = np.cos(np.arange(8.0))
A = np.sin(np.arange(12.0) * 0.7).reshape(3, 4)
B = np.cos(np.arange(8.0) * 0.9).reshape(4, 2)
T = np.cos(np.arange(16.0) * 1.3).reshape(8, 2)


@dataclass(frozen=True)
class Program:
    """``body(j, *pieces)`` over a mesh; specifications are strings of axis names, "" for what is not divided."""

    name: str
    body: Callable[..., Any]
    in_specs: tuple[str, ...]
    out_specs: Any
    args: tuple[Any, ...]
    mesh: tuple[tuple[str, int], ...] = LINE
    around: bool = True

    def mapped(self, j: Any) -> Callable[..., Any]:
        """The function of whole arrays."""
        names, sizes = zip(*self.mesh, strict=True)
        if j.__name__ == "weft":
            from weft.sharding import PartitionSpec as P

            mesh = j.make_mesh(sizes, names)
        else:
            from jax.sharding import AxisType
            from jax.sharding import PartitionSpec as P

            mesh = j.make_mesh(sizes, names, axis_types=(AxisType.Auto,) * len(names))

        def spec(s: Any) -> Any:
            if isinstance(s, str):
                return P(*[None if n == "-" else n for n in s.split()])
            return tuple([spec(x) for x in s])

        return j.shard_map(  # type: ignore[no-any-return]
            lambda *a: self.body(j, *a), mesh=mesh, in_specs=spec(self.in_specs), out_specs=spec(self.out_specs)
        )


PROGRAMS: list[Program] = []


def program(in_specs: tuple[str, ...], out_specs: Any, *args: Any, mesh: Any = LINE, around: bool = True) -> Any:
    """Enter a body; ``around``: the gradient of all it returns is recorded too."""

    def enter(body: Callable[..., Any]) -> Callable[..., Any]:
        PROGRAMS.append(Program(body.__name__, body, in_specs, out_specs, args, mesh, around))
        return body

    return enter


SHARED, PIECE = "", "i"
REGRESSION = ((SHARED, PIECE, PIECE), SHARED, W, X, Y)


def local(j: Any, w: Any, x: Any, y: Any) -> Any:
    return j.numpy.sum((x @ w - y) ** 2)


# -- losses: shared, and one for each device ---------------------------------------------------------------------------


@program(*REGRESSION)
def loss_of_each(j, w, x, y):
    return j.grad(lambda w: local(j, w, x, y))(w)


@program(*REGRESSION)
def loss_summed(j, w, x, y):
    return j.grad(lambda w: j.lax.psum(local(j, w, x, y), "i"))(w)


@program(*REGRESSION)
def loss_averaged(j, w, x, y):
    return j.grad(lambda w: j.lax.pmean(local(j, w, x, y), "i"))(w)


@program(*REGRESSION)
def loss_averaged_regularised(j, w, x, y):
    return j.grad(lambda w: j.lax.pmean(local(j, w, x, y), "i") + 0.1 * j.numpy.sum(w**2))(w)


@program(*REGRESSION)
def loss_of_each_regularised(j, w, x, y):
    return j.grad(lambda w: local(j, w, x, y) + 0.1 * j.numpy.sum(w**2))(w)


@program(*REGRESSION)
def loss_of_shared_only(j, w, x, y):
    return j.grad(lambda w: j.numpy.sum(j.numpy.sin(w) ** 2))(w)


@program((SHARED, PIECE, PIECE), (SHARED, PIECE, PIECE), W, X, Y)
def all_arguments(j, w, x, y):
    return j.grad(lambda *a: j.lax.psum(local(j, *a), "i"), argnums=(0, 1, 2))(w, x, y)


@program((SHARED, PIECE, PIECE), (SHARED, PIECE, PIECE), W, X, Y)
def all_arguments_of_each(j, w, x, y):
    return j.grad(lambda *a: local(j, *a), argnums=(0, 1, 2))(w, x, y)


@program((SHARED, PIECE, PIECE), (PIECE, SHARED), W, X, Y)
def value_too(j, w, x, y):
    v, g = j.value_and_grad(lambda w: local(j, w, x, y))(w)
    return v[None], g


@program((SHARED, PIECE, PIECE), (SHARED, PIECE, SHARED), W, X, Y)
def with_aux(j, w, x, y):
    (v, aux), g = j.value_and_grad(lambda w: (j.lax.psum(local(j, w, x, y), "i"), x @ w), has_aux=True)(w)
    return v, aux, g


@program((SHARED, PIECE, PIECE), PIECE, W, X, Y)
def made_to_vary_first(j, w, x, y):
    w = j.lax.pcast(w, "i", to="varying")
    return j.grad(lambda w: local(j, w, x, y))(w)


@program(*REGRESSION)
def made_to_vary_inside(j, w, x, y):
    return j.grad(lambda w: j.numpy.sum(j.lax.pcast(w**3, "i", to="varying")))(w)


@program(*REGRESSION)
def sum_of_what_is_shared(j, w, x, y):
    return j.grad(lambda w: j.lax.psum(j.numpy.sum(w**3), "i"))(w)


@program(*REGRESSION)
def nonlinear_of_a_sum(j, w, x, y):
    return j.grad(lambda w: j.numpy.log(1.0 + j.lax.psum(local(j, w, x, y), "i") ** 2))(w)


@program(*REGRESSION)
def a_sum_meets_its_parts(j, w, x, y):
    def loss(w):
        z = x @ w
        return j.numpy.sum((z - j.lax.pmean(z, "i")) ** 2 * y)

    return j.grad(loss)(w)


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def captured_by_the_loss(j, w, x):
    scale = j.numpy.sum(x) * 0.1  # varies
    shift = j.lax.psum(j.numpy.sum(x), "i")  # does not

    def loss(w, x):
        return j.numpy.sum((x @ w * scale - shift) ** 2)

    return j.grad(loss, argnums=(0, 1))(w, x)


@program((PIECE,), PIECE, X)
def constants_of_the_outside(j, x):
    return j.grad(lambda x: j.numpy.sum(x @ j.numpy.asarray(W) * j.lax.axis_index("i")))(x)


@program((SHARED, PIECE), SHARED, W, X)
def position_on_the_axis(j, w, x):
    return j.grad(lambda w: j.numpy.sum(w**2) * j.lax.axis_index("i"))(w)


@program((SHARED, PIECE), SHARED, W, X)
def masks_and_choices(j, w, x):
    def loss(w):
        z = j.numpy.where(x > 0.0, x * w, w)
        return j.numpy.sum(j.numpy.maximum(z, 0.3 * w) ** 2)

    return j.grad(loss)(w)


@program((SHARED, PIECE), SHARED, W, X)
def stopped(j, w, x):
    return j.grad(lambda w: j.numpy.sum(j.lax.stop_gradient(w) * w * x))(w)


@program((SHARED, PIECE), SHARED, W, X)
def softmax_with_a_common_maximum(j, w, x):
    def loss(w):
        z = x @ w
        top = j.lax.stop_gradient(j.lax.pmax(j.numpy.max(j.lax.stop_gradient(z)), "i"))
        return j.numpy.log(j.lax.psum(j.numpy.sum(j.numpy.exp(z - top)), "i")) + top

    return j.grad(loss)(w)


# -- models ------------------------------------------------------------------------------------------------------------


def mlp(j: Any, p: Any, x: Any) -> Any:
    return j.numpy.tanh(x @ p[0] + p[1]) @ p[2]


@program(((SHARED, SHARED, SHARED), PIECE, PIECE), (SHARED, (SHARED, SHARED, SHARED)), (A, A[0], B), X, T)
def mlp_averaged(j, p, x, t):
    return j.value_and_grad(lambda p: j.lax.pmean(j.numpy.mean((mlp(j, p, x) - t) ** 2), "i"))(p)


@program(((SHARED, SHARED, SHARED), PIECE, PIECE), (SHARED, SHARED, SHARED), (A, A[0], B), X, T)
def training(j, p, x, t):
    for _ in range(3):
        g = j.grad(lambda p: j.lax.pmean(j.numpy.mean((mlp(j, p, x) - t) ** 2), "i"))(p)
        p = tuple([a - 0.1 * b for a, b in zip(p, g, strict=True)])
    return p


@program(((SHARED, SHARED, SHARED), PIECE, PIECE), (SHARED, SHARED, SHARED), (A, A[0], B), X, T)
def training_by_scan(j, p, x, t):
    def step(p, _):
        g = j.grad(lambda p: j.numpy.mean((mlp(j, p, x) - t) ** 2))(p)
        return tuple([a - 0.1 * b / 4 for a, b in zip(p, g, strict=True)]), None

    return j.lax.scan(step, p, None, length=3)[0]


@program((SHARED, "- i", "i", SHARED), (SHARED, ("- i", "i")), X, A, B, T)
def tensor_parallel(j, x, a, b, t):
    def loss(p):
        h = j.numpy.tanh(x @ p[0])
        return j.numpy.mean((j.lax.psum(h @ p[1], "i") - t) ** 2)

    return j.value_and_grad(loss)((a, b))


@program((SHARED, "- i", "i", SHARED), (SHARED, "- i", "i"), X, A, B, T)
def tensor_parallel_all(j, x, a, b, t):
    def loss(x, a, b):
        h = j.numpy.tanh(x @ a)
        y = j.lax.psum(h @ b, "i")
        return j.numpy.mean((y + j.numpy.sin(x[:, :2]) - t) ** 2)

    return j.grad(loss, argnums=(0, 1, 2))(x, a, b)


@program(("data", "- model", "model", "data"), (SHARED, ("- model", "model")), X, A, B, T, mesh=GRID)
def data_and_model(j, x, a, b, t):
    def loss(p):
        y = j.lax.psum(j.numpy.tanh(x @ p[0]) @ p[1], "model")
        return j.lax.pmean(j.numpy.mean((y - t) ** 2), "data")

    return j.value_and_grad(loss)((a, b))


@program(("data", "- model", "model", "data"), ("data", "- model", "model"), X, A, B, T, mesh=GRID)
def data_and_model_of_each(j, x, a, b, t):
    def loss(x, a, b):
        y = j.lax.psum(j.numpy.tanh(x @ a) @ b, "model")
        return j.numpy.sum((y - t) ** 2)

    return j.grad(loss, argnums=(0, 1, 2))(x, a, b)


@program(("data", "model", ""), ("data", "model", ""), X, W[:1].repeat(4) * np.arange(4.0), W, mesh=GRID)
def two_axes_meet(j, x, m, w):
    def loss(x, m, w):
        z = j.numpy.sum(x * w) * m  # over both
        return j.numpy.sum(j.lax.psum(z**2, "model") * j.numpy.sum(x)) + j.numpy.sum(w)

    return j.grad(loss, argnums=(0, 1, 2))(x, m, w)


@program(("data", "model", ""), SHARED, X, Y[:4], W, mesh=GRID)
def summed_over_both(j, x, m, w):
    return j.grad(lambda w: j.lax.psum(j.numpy.sum(j.numpy.sin(x @ w)) * j.numpy.sum(m), ("data", "model")))(w)


@program((SHARED, PIECE), (SHARED, PIECE), A[:, :3], X)
def dense_attention_of_pieces(j, w, x):
    def loss(w, x):
        q = x @ w
        keys = j.lax.all_gather(q, "i", tiled=True)
        s = q @ keys.T
        p = j.numpy.exp(s - j.lax.stop_gradient(j.numpy.max(s)))
        return j.numpy.sum((p / j.numpy.sum(p, axis=1, keepdims=True) @ keys) ** 2)

    return j.grad(loss, argnums=(0, 1))(w, x)


# -- other collectives -------------------------------------------------------------------------------------------------


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def gathered(j, w, x):
    def loss(w, x):
        z = j.lax.all_gather(x @ w, "i")
        return j.numpy.sum(z**2) * j.numpy.sum(x)

    return j.grad(loss, argnums=(0, 1))(w, x)


@program((SHARED, PIECE), SHARED, W, X)
def gathered_of_shared(j, w, x):
    return j.grad(lambda w: j.numpy.sum(j.lax.all_gather(w, "i") ** 2))(w)


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def scattered(j, w, x):
    def loss(w, x):
        z = j.numpy.outer(j.numpy.arange(4.0), x @ w)
        return j.numpy.sum(j.lax.psum_scatter(z, "i") ** 2)

    return j.grad(loss, argnums=(0, 1))(w, x)


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def rotated(j, w, x):
    def loss(w, x):
        z = x @ w
        return j.numpy.sum(j.lax.ppermute(z, "i", [(0, 1), (1, 2), (2, 3), (3, 0)]) ** 3 * z)

    return j.grad(loss, argnums=(0, 1))(w, x)


@program((SHARED, PIECE), SHARED, W, X)
def sent_of_shared(j, w, x):
    return j.grad(lambda w: j.numpy.sum(j.lax.ppermute(w, "i", [(0, 1), (3, 2)]) ** 3))(w)


@program((SHARED, PIECE), (SHARED, PIECE), W, np.sin(np.arange(48.0)).reshape(16, 3))
def exchanged(j, w, x):
    def loss(w, x):
        z = j.lax.all_to_all(x @ w, "i", 0, 0, tiled=True)
        return j.numpy.sum(z**2 * j.numpy.cumsum(z))

    return j.grad(loss, argnums=(0, 1))(w, x)


# -- control flow ------------------------------------------------------------------------------------------------------


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def loop_with_a_sum_in_it(j, w, x):
    def loss(w, x):
        for _ in range(3):
            z = j.lax.pmean(j.numpy.sum(j.numpy.tanh(x * w)), "i")
            w = w * (1.0 + 0.1 * z)
            x = x + 0.1 * z
        return j.numpy.sum(x * w)

    return j.grad(loss, argnums=(0, 1))(w, x)


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def loop_that_starts_shared(j, w, x):
    def loss(w, x):
        z = w
        for k in range(2):
            z = z * j.numpy.cos(x[k]) + w
        return j.numpy.sum(z)

    return j.grad(loss, argnums=(0, 1))(w, x)


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def scanned(j, w, x):
    def loss(w, x):
        def step(c, row):
            c = j.numpy.tanh(c * row + w)
            return c, j.numpy.sum(c)

        c, ys = j.lax.scan(step, j.lax.pcast(w, "i", to="varying"), x)
        return j.numpy.sum(c) + j.numpy.sum(ys**2)

    return j.grad(loss, argnums=(0, 1))(w, x)


@program((SHARED, PIECE), SHARED, W, X)
def scanned_shared(j, w, x):
    def loss(w):
        def step(c, _):
            return c * j.lax.psum(j.numpy.sum(x * c), "i") * 0.1 + w, c[0]

        c, ys = j.lax.scan(step, w, None, length=3)
        return j.numpy.sum(c) + j.numpy.sum(ys)

    return j.grad(loss)(w)


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def counted(j, w, x):
    def loss(w, x):
        start = (w, j.lax.pcast(0.0 * w[0], "i", to="varying"))

        def step(k, c):
            return c[0] * 0.9, c[1] + j.numpy.sum(j.numpy.sin(x * c[0]))

        return j.lax.fori_loop(0, 4, step, start)[1]

    return j.grad(loss, argnums=(0, 1))(w, x)


@program((SHARED, PIECE), SHARED, W, X)
def branch_on_what_is_shared(j, w, x):
    def loss(w):
        return j.lax.cond(w[0] > 0.0, lambda w: j.numpy.sum((x * w) ** 2), lambda w: j.numpy.sum(x + w), w)

    return j.grad(loss)(w)


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def branch_on_what_varies(j, w, x):
    def loss(w, x):
        z = j.lax.cond(x[0, 0] > 0.0, lambda a: j.numpy.sum(a * w), lambda a: j.numpy.sum(a**2 * w), x)
        return j.lax.psum(z, "i") ** 2

    return j.grad(loss, argnums=(0, 1))(w, x)


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def written_in_place(j, w, x):
    def loss(w, x):
        z = x.at[0].set(w * x[1]).at[1].add(w**2)
        return j.numpy.sum(z**3)

    return j.grad(loss, argnums=(0, 1))(w, x)


@program((SHARED, PIECE), SHARED, W, X)
def gathered_by_index(j, w, x):
    def loss(w):
        return j.numpy.sum(w[(j.numpy.abs(x) * 2.9).astype(int)] * x)

    return j.grad(loss)(w)


# -- other derivatives -------------------------------------------------------------------------------------------------


@program((SHARED, PIECE), (PIECE, SHARED, PIECE), W, X)
def pulled_back(j, w, x):
    out, pull = j.vjp(lambda w, x: x @ w, w, x)
    return out, *pull(j.numpy.sin(out))


@program((SHARED, PIECE), (SHARED, SHARED), W, X)
def pulled_back_from_a_sum(j, w, x):
    out, pull = j.vjp(lambda w: j.lax.psum(x.sum(0) * w**2, "i"), w)
    return out, *pull(j.numpy.cos(out))


@program((SHARED, PIECE), (SHARED, SHARED), W, X)
def jacobian_of_a_sum(j, w, x):
    f = lambda w: j.lax.psum(j.numpy.sum(x, axis=0) * w**2 + w[0], "i")  # noqa: E731
    return j.jacrev(f)(w), j.jacfwd(f)(w)


@program((SHARED, PIECE), SHARED, W, X)
def jacobian_of_each(j, w, x):
    return j.jacrev(lambda w: x @ w**2)(w)


@program((SHARED, PIECE), SHARED, W, X)
def second_derivatives(j, w, x):
    return j.hessian(lambda w: j.lax.psum(j.numpy.sum(j.numpy.sin(x @ w)), "i"))(w)


@program((SHARED, PIECE), SHARED, W, X)
def second_derivatives_of_each(j, w, x):
    return j.hessian(lambda w: j.numpy.sum(j.numpy.sin(x @ w)))(w)


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def gradient_of_a_gradient(j, w, x):
    def loss(w, x):
        g = j.grad(lambda w: j.numpy.sum((x @ w) ** 3))(w)
        return j.numpy.sum(g**2)

    return j.grad(loss, argnums=(0, 1))(w, x)


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def gradient_of_a_gradient_of_a_mean(j, w, x):
    def loss(w, x):
        g = j.grad(lambda w: j.lax.pmean(j.numpy.sum((x @ w) ** 3), "i"))(w)
        return j.numpy.sum(g * x)

    return j.grad(loss, argnums=(0, 1))(w, x)


@program((SHARED, PIECE), SHARED, W, X)
def hessian_times_vector(j, w, x):
    g = j.grad(lambda w: j.numpy.sum(j.numpy.sin(x @ w)))
    return j.jvp(g, (w,), (w**2,))[1]


@program((SHARED, PIECE), SHARED, W, X)
def gradient_of_a_direction(j, w, x):
    return j.grad(lambda w: j.jvp(lambda w: j.numpy.sum(j.numpy.sin(x @ w)), (w,), (w**2,))[1])(w)


@program((SHARED, PIECE), (PIECE, SHARED), W, X)
def linear_parts(j, w, x):
    out, push = j.linearize(lambda w: j.numpy.sin(x @ w), w)
    total, push2 = j.linearize(lambda w: j.lax.psum(j.numpy.sum(j.numpy.sin(x @ w)), "i"), w)
    return out + push(w**2), total + push2(w)


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def computed_again(j, w, x):
    def loss(w, x):
        h = j.checkpoint(lambda w, x: j.numpy.sin(x * w) * j.lax.psum(j.numpy.cos(x * w), "i"))(w, x)
        return j.numpy.sum(h**2)

    return j.grad(loss, argnums=(0, 1))(w, x)


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def a_rule_for_forward_mode(j, w, x):
    @j.custom_jvp
    def f(w, x):
        return j.numpy.sin(w * x)

    @f.defjvp
    def rule(primals, tangents):
        (w, x), (a, b) = primals, tangents
        return f(w, x), 2.0 * j.numpy.cos(w * x) * (a * x + b * w)

    return j.grad(lambda w, x: j.numpy.sum(f(w, x) * w), argnums=(0, 1))(w, x)


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def a_rule_for_reverse_mode(j, w, x):
    @j.custom_vjp
    def f(w, x):
        return j.numpy.sin(w * x)

    f.defvjp(
        lambda w, x: (j.numpy.sin(w * x), (w, x)),
        lambda r, ct: (j.lax.psum(j.numpy.sum(3.0 * ct * r[1], axis=0), "i"), 2.0 * ct * r[0]),
    )
    return j.grad(lambda w, x: j.numpy.sum(f(w, x) * w), argnums=(0, 1))(w, x)


@program((SHARED, PIECE), SHARED, W, X)
def a_rule_of_what_is_shared(j, w, x):
    @j.custom_vjp
    def f(w):
        return w**2

    f.defvjp(lambda w: (w**2, w), lambda w, ct: (3.0 * ct * w,))
    return j.grad(lambda w: j.numpy.sum(f(w) * x))(w)


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def a_rule_that_differentiates(j, w, x):
    @j.custom_vjp
    def f(w, x):
        return j.numpy.sin(x @ w)

    def bwd(r, ct):
        return j.vjp(lambda w, x: 2.0 * j.numpy.sin(x @ w), *r)[1](ct)

    f.defvjp(lambda w, x: (f(w, x), (w, x)), bwd)
    return j.grad(lambda w, x: j.numpy.sum(f(w, x) ** 2), argnums=(0, 1))(w, x)


@program((SHARED, PIECE), (PIECE, PIECE), W, X)
def gradients_of_lanes(j, w, x):
    return j.vmap(j.value_and_grad(lambda r: j.numpy.sum(j.numpy.sin(r * w) ** 2)))(x)


@program((SHARED, PIECE), "i", W, X)
def gradients_of_lanes_by_what_is_shared(j, w, x):
    return j.vmap(lambda r: j.grad(lambda w: j.numpy.sum(j.numpy.sin(r * w) ** 2))(w))(x)[:1]


@program((SHARED, PIECE), SHARED, W, X)
def lanes_inside_the_loss(j, w, x):
    return j.grad(lambda w: j.numpy.sum(j.vmap(lambda r: j.numpy.sum(j.numpy.sin(r * w)))(x)))(w)


@program((SHARED, PIECE), SHARED, W, X)
def compiled_parts(j, w, x):
    return j.jit(j.grad(j.jit(lambda w: j.lax.psum(j.numpy.sum(j.numpy.sin(x @ w)), "i"))))(w)


@program((SHARED, PIECE), SHARED, W + 0j, X, around=False)
def complex_numbers(j, w, x):
    return j.grad(lambda w: j.lax.psum(j.numpy.sum(j.numpy.abs(x @ w - 1j) ** 2), "i"))(w)


@program((SHARED, PIECE), SHARED, W, X)
def made_after_another(j, w, x):
    g = j.grad(lambda w: j.numpy.sum(w**2 * j.numpy.ones_like(x[0])))(w)
    h = j.grad(lambda w: j.numpy.sum(w**2 + j.numpy.zeros_like(w)))(w)
    return g + 10.0 * h + j.grad(lambda w: j.numpy.sum(w**3 * j.numpy.ones(x.shape[1])))(w)


@program((SHARED, PIECE), (SHARED, PIECE), W, X)
def a_rule_that_clips(j, w, x):
    @j.custom_vjp
    def clipped(w):
        return w

    clipped.defvjp(lambda w: (w, None), lambda _, ct: (j.numpy.clip(ct, -0.5, 0.5),))
    return j.grad(lambda w, x: j.numpy.sum((clipped(w) * clipped(x)) ** 2), argnums=(0, 1))(w, x)


def total(j: Any, p: Program) -> Callable[..., Any]:
    """A number of all results, whose gradient around is also recorded."""
    f = p.mapped(j)
    return lambda *args: sum([j.numpy.sum(j.numpy.sin(v)) for v in j.tree.leaves(f(*args))])


def leaves(x: Any) -> list[np.ndarray[Any, Any]]:
    """The leaves of nested tuples, as NumPy arrays."""
    return [v for item in x for v in leaves(item)] if isinstance(x, list | tuple) else [np.asarray(x)]


def record(names: list[str]) -> None:
    """Write what JAX answers."""
    import os

    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
    import jax

    jax.config.update("jax_enable_x64", True)
    found = {}
    for p in PROGRAMS:
        if names and p.name not in names:
            continue
        try:
            values = leaves(jax.jit(p.mapped(jax))(*p.args))
            found.update({f"{p.name}/{k}": v for k, v in enumerate(values)})
            values = leaves(jax.jit(jax.grad(total(jax, p)))(*p.args)) if p.around else []
            found.update({f"{p.name}/around/{k}": v for k, v in enumerate(values)})
        except Exception as e:
            raise RuntimeError(p.name) from e
    if not names:
        np.savez_compressed(DATA, **found)  # type: ignore[arg-type]
    print(f"{len(found)} results by JAX {jax.__version__}")


if __name__ == "__main__":
    record(sys.argv[1:])
