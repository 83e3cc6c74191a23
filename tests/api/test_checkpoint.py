"""`checkpoint`: values are those without it, less is kept, and what is computed again is not shared with the first time."""

from __future__ import annotations

import math
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import weft
from weft.ad_checkpoint import checkpoint_name
from weft.ir.nodes import For, Op, Var, walk
from weft.transforms.inline import inline_calls

X = np.array([0.3, -1.2, 2.0, 0.7])
W = np.random.default_rng(0).normal(size=(4, 4))
POLICIES = weft.checkpoint_policies


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setenv("WEFT_VERIFY", "1")
    monkeypatch.setattr("weft.api.warm.load", lambda t, signature: None)


def layer(w, x):
    return np.tanh(w @ np.tanh(w @ x))


def count(program, prim):
    """How many operations of a kind a program has."""
    return sum(isinstance(s, Op) and s.prim.name == prim for s in walk(program.function.body))


# -- functions -------------------------------------------------------------------------------------------------------


def losses(policy):
    f = weft.checkpoint(layer, policy=policy)
    return lambda w: np.sum(f(w, f(w, X)) ** 2)


PLAIN = lambda w: np.sum(layer(w, layer(w, X)) ** 2)  # noqa: E731
ALL = [None, *vars(POLICIES).values()]
ALL = [p if p is not POLICIES.save_only_these_names else p("h") for p in ALL]


@pytest.mark.parametrize("policy", ALL)
def test_values_of_every_policy(policy):
    f = losses(policy)
    np.testing.assert_allclose(weft.jit(f)(W), PLAIN(W), rtol=1e-14)
    np.testing.assert_allclose(weft.grad(f)(W), weft.grad(PLAIN)(W), rtol=1e-12)
    np.testing.assert_allclose(weft.jvp(f, (W,), (W,))[1], weft.jvp(PLAIN, (W,), (W,))[1], rtol=1e-12)
    want = weft.hvp(PLAIN, (W,), (W,))
    np.testing.assert_allclose(weft.hvp(f, (W,), (W,)), want, rtol=1e-10)
    second = weft.grad(lambda w: np.sum(weft.grad(f)(w) * W))(W)
    np.testing.assert_allclose(second, want, rtol=1e-10)
    got = weft.vmap(weft.grad(f))(np.stack([W, 2 * W]))
    np.testing.assert_allclose(got, np.stack([weft.grad(PLAIN)(W), weft.grad(PLAIN)(2 * W)]), rtol=1e-12)


def test_what_policies_compute_again():
    products = {p: count(weft.grad(losses(p)).lower(W), "dot") for p in ALL if p is not None}
    nothing = count(weft.grad(losses(None)).lower(W), "dot")
    plain = count(weft.grad(PLAIN).lower(W), "dot")
    assert products[POLICIES.everything_saveable] == plain
    assert products[POLICIES.dots_saveable] == plain
    assert products[POLICIES.dots_with_no_batch_dims_saveable] == plain
    assert products[POLICIES.nothing_saveable] == nothing == plain + 4  # both products of each layer, again
    assert count(weft.jit(losses(None)).lower(W), "dot") == 4  # without a derivative nothing is computed twice


def test_names_that_are_saved():
    def f(x):
        return np.sum(np.sin(checkpoint_name(np.sin(np.sin(x)), "h")))

    def sines(policy):
        return count(weft.grad(weft.checkpoint(f, policy=policy)).lower(X), "sin")

    # the value is not asked for: of the first computation only what is kept remains
    assert sines(POLICIES.save_only_these_names("h")) == 3
    assert sines(POLICIES.save_only_these_names("other")) == sines(None) == 2
    both = weft.value_and_grad(weft.checkpoint(f))
    assert count(both.lower(X), "sin") == 5
    want = np.cos(np.sin(np.sin(X))) * np.cos(np.sin(X)) * np.cos(X)
    np.testing.assert_allclose(weft.grad(weft.checkpoint(f))(X), want)
    assert checkpoint_name({"a": 1}, "h") == {"a": 1}


def test_a_stack_of_products_has_batch_dimensions():
    stack = np.stack([W, W + 1])
    f = lambda policy: lambda w: np.sum(weft.checkpoint(lambda w: np.sin(np.sin(w @ w)), policy=policy)(w))  # noqa: E731
    dots = {
        p: count(weft.value_and_grad(f(p)).lower(stack), "dot")
        for p in (POLICIES.dots_saveable, POLICIES.dots_with_no_batch_dims_saveable)
    }
    assert dots[POLICIES.dots_saveable] + 1 == dots[POLICIES.dots_with_no_batch_dims_saveable]
    np.testing.assert_allclose(
        weft.grad(f(None))(stack), weft.grad(lambda w: np.sum(np.sin(np.sin(w @ w))))(stack), rtol=1e-12
    )


def test_closures_structures_and_writes():
    def outer(p, k):
        @weft.checkpoint
        def f(q, *, power=2):
            return {"r": np.sin(q["a"]) * k * q["n"] ** power, "s": "text"}

        return np.sum(f(p, power=3)["r"]) * k

    args = ({"a": X, "n": 2}, 3.0)
    plain = lambda p, k: np.sum(np.sin(p["a"]) * k * p["n"] ** 3) * k  # noqa: E731
    loss = lambda a, k: outer({"a": a, "n": 2}, k)  # noqa: E731
    got, want = (
        weft.grad(loss, argnums=(0, 1))(X, 3.0),
        weft.grad(lambda a, k: plain({"a": a, "n": 2}, k), argnums=(0, 1))(X, 3.0),
    )
    np.testing.assert_allclose(got[0], want[0])
    assert got[1] == pytest.approx(want[1])
    assert weft.jit(outer)(*args) == pytest.approx(plain(*args))

    @weft.remat
    def write(x):
        x[0] = x[1] * x[1]

    def writes(x):
        write(x)
        return np.sum(x * x)

    x = X.copy()
    np.testing.assert_allclose(weft.grad(writes)(x), [0.0, 2 * X[1] + 4 * X[1] ** 3, 2 * X[2], 2 * X[3]])
    assert weft.jit(writes)(x) == pytest.approx(X[1] ** 4 + np.sum(X[1:] ** 2))
    assert x[0] == X[1] ** 2


def test_inside_loops_branches_and_maps():
    body = weft.checkpoint(lambda x, k: np.sin(x) * k if k > 1.0 else np.cos(x))
    plain = lambda x, k: np.sin(x) * k if k > 1.0 else np.cos(x)  # noqa: E731

    def steps(g):
        def f(x, n):
            for k in range(n):
                x = g(x, float(k))
            while np.sum(x * x) < 3.0:
                x = x + 0.3 * g(x, 2.0)
            return np.sum(x)

        return f

    for n in (0, 1, 4):
        np.testing.assert_allclose(weft.grad(steps(body))(X, n), weft.grad(steps(plain))(X, n), rtol=1e-12)
    rows, ns = np.stack([X, 2 * X, X + 1]), np.array([0, 3, 1])
    want = np.stack([weft.grad(steps(plain))(x, n) for x, n in zip(rows, ns)])
    np.testing.assert_allclose(weft.vmap(weft.grad(steps(body)))(rows, ns), want, rtol=1e-12)


def test_prints_once(capfd):
    @weft.checkpoint
    def f(x):
        print("seen", x)
        return math.sin(math.sin(x))

    weft.grad(f)(0.5)
    assert capfd.readouterr().out == "seen 0.5\n"


def test_checks_are_kept():
    f = weft.checkpoint(lambda x, i: np.sin(x[i]) * x[i])
    with pytest.raises(IndexError):
        weft.grad(f)(X, 4)
    np.testing.assert_allclose(weft.grad(f)(X, -1), [0, 0, 0, np.sin(0.7) + 0.7 * np.cos(0.7)])


# -- loops -----------------------------------------------------------------------------------------------------------


def flow(levels=2):
    def f(x, n):
        for i in weft.checkpoint(range(n), levels=levels):
            x = x + 0.01 * np.sin(x) * x + i * 0.001
        return np.sum(x)

    return f


def plain_flow(x, n):
    for i in range(n):
        x = x + 0.01 * np.sin(x) * x + i * 0.001
    return np.sum(x)


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_loops(levels):
    f = flow(levels)
    g, want, run = weft.grad(f), weft.grad(plain_flow), weft.jit(f)
    for n in (0, 1, 2, 3, 4, 5, 8, 9, 10, 16, 17, 99, 100, 101, 1000):
        np.testing.assert_allclose(g(X, n), want(X, n), rtol=1e-11, err_msg=str(n))
        assert run(X, n) == pytest.approx(plain_flow(X, n), rel=1e-14)
        assert f(X, n) == plain_flow(X, n)
    assert g.cache_info().compilations <= 2
    direction = weft.jvp(lambda x: f(x, 30), (X,), (X,))[1]
    assert direction == pytest.approx(weft.jvp(lambda x: plain_flow(x, 30), (X,), (X,))[1])


def test_loops_in_every_order():
    second = lambda f: weft.grad(lambda x: np.sum(weft.grad(f)(x, 12) ** 2))  # noqa: E731
    np.testing.assert_allclose(second(flow())(X), second(plain_flow)(X), rtol=1e-11)
    np.testing.assert_allclose(weft.hessian(flow())(X, 12), weft.hessian(plain_flow)(X, 12), rtol=1e-11, atol=1e-14)
    rows = np.stack([X, X + 1, X * 2])
    for ns, axes in ((12, (0, None)), (np.array([0, 5, 12]), (0, 0))):
        got = weft.vmap(weft.grad(flow(3)), in_axes=axes)(rows, ns)
        np.testing.assert_allclose(got, weft.vmap(weft.grad(plain_flow), in_axes=axes)(rows, ns), rtol=1e-11)
    got = weft.grad(lambda r: np.sum(weft.vmap(flow(), in_axes=(0, None))(r, 12)))(rows)
    np.testing.assert_allclose(got, weft.vmap(weft.grad(plain_flow), in_axes=(0, None))(rows, 12), rtol=1e-11)


def test_what_loops_run_over():
    def f(xs, n, k):
        s = 0.0
        for i, x in weft.checkpoint(enumerate(xs)):
            s = s + np.sin(s + x) * i
        for i in weft.checkpoint(range(n, -1, -k)):
            s = s * np.cos(s) + i
        for i in weft.checkpoint(range(7)):
            for x in weft.checkpoint(xs):
                s = s + 0.1 * np.sin(x * s)
        return s

    def plain(xs, n, k):
        s = 0.0
        for i, x in enumerate(xs):
            s = s + np.sin(s + x) * i
        for i in range(n, -1, -k):
            s = s * np.cos(s) + i
        for i in range(7):
            for x in xs:
                s = s + 0.1 * np.sin(x * s)
        return s

    for n, k in ((10, 1), (9, 2), (0, 3), (-5, 1)):
        assert f(X, n, k) == plain(X, n, k)
        np.testing.assert_allclose(weft.grad(f)(X, n, k), weft.grad(plain)(X, n, k), rtol=1e-11)


def test_in_place_recurrences_and_carried_structures():
    def f(table, state, n):
        for _ in weft.checkpoint(range(n)):
            for j in range(1, table.size):
                table[j] += 0.1 * table[j - 1] * table[j]
            state = {"a": state["a"] * 1.01 + np.sum(table), "b": state["b"]}
        return state["a"] * state["b"] + np.sum(table)

    def plain(table, state, n):
        for _ in range(n):
            for j in range(1, table.size):
                table[j] += 0.1 * table[j - 1] * table[j]
            state = {"a": state["a"] * 1.01 + np.sum(table), "b": state["b"]}
        return state["a"] * state["b"] + np.sum(table)

    state = {"a": 1.0, "b": 2.0}
    got, want = (weft.grad(h, argnums=(0, 1))(X, state, 11) for h in (f, plain))
    np.testing.assert_allclose(got[0], want[0], rtol=1e-11)
    assert got[1] == pytest.approx(want[1])
    x, y = X.copy(), X.copy()
    assert weft.jit(f)(x, state, 3) == pytest.approx(plain(y, state, 3))
    np.testing.assert_allclose(x, y)


def saved(program):
    """The sizes of what a program keeps of a loop's iterations, in elements of the state, and its forward sweeps."""
    loops = [s for s in walk(program.function.body) if isinstance(s, For)]
    kept = [o for s in loops for o in s.outs[len(s.inits) :]]
    return kept, loops


def test_forward_work_and_memory_of_a_long_loop():
    """100,000 steps over 1,000 elements: by the program, two sweeps and two roots of saved states."""

    def steps(x, n):
        for _ in weft.checkpoint(range(n)):
            x = x + 0.001 * np.sin(x)
        return np.sum(x)

    program = weft.grad(steps).lower(np.zeros(1000), 100_000)
    kept, loops = saved(program)
    sines = [s for s in walk(program.function.body) if isinstance(s, Op) and s.prim.name == "sin"]
    assert len(kept) == 2  # the state of each block, and of each step of one block
    assert all(o.type.rank == 2 for o in kept)
    assert len([s for s in loops if not s.reverse]) == 3 and len([s for s in loops if s.reverse]) == 2
    # one in the first sweep, one in the second; the backward sweep reads the second one's states
    assert len(sines) == 2


def test_the_memory_it_takes():
    text = """
        import numpy as np, resource, weft
        def flow(x, n):
            for i in weft.checkpoint(range(n)):
                x = x + 0.001 * np.sin(x)
            return np.sum(x)
        x = np.linspace(0.0, 1.0, 1000)
        g = weft.grad(flow)
        g(x, 10)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        g(x, 100_000)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "long.py"
        script.write_text(textwrap.dedent(text))
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 64 * 1024


def test_the_first_computation_is_not_shared():
    f = weft.checkpoint(lambda x: np.exp(np.sin(x)))
    program = weft.value_and_grad(lambda x: np.sum(f(x))).lower(X)
    assert count(program, "sin") == count(program, "exp") == 2
    assert count(program, "barrier") == count(program, "named") == 0
    assert inline_calls(program.function) is program.function
    assert all(isinstance(v, Var) for v in program.function.params)


# -- refusals --------------------------------------------------------------------------------------------------------


def with_break(x, n):
    for i in weft.checkpoint(range(n)):  # <- for
        x = x * 2.0
        if x > 10.0:
            break
    return x


def with_return(x, n):
    for i in weft.checkpoint(range(n)):  # <- for
        if x > 10.0:
            return x
        x = x * 2.0
    return x


def inside_zip(x, n):
    for i, j in zip(weft.checkpoint(range(n)), range(n)):
        x = x * i
    return x


def comprehension(x, n):
    return sum([x * i for i in weft.checkpoint(range(3))])


def grows(x, n):
    items = []
    for i in weft.checkpoint(range(3)):
        items.append(x * i)
    return items


@pytest.mark.parametrize(
    ("f", "reason", "remedy"),
    [
        (with_break, "a checkpointed loop with a 'break' or 'return'", "skip the rest of the body"),
        (with_return, "a checkpointed loop with a 'break' or 'return'", "skip the rest of the body"),
        (inside_zip, "inside zip, enumerate or reversed", "put it around them"),
        (comprehension, "has an effect in a `for` statement only", "write the loop as a statement"),
        (grows, "carried by the loop with types that do not join", "remedy"),
    ],
)
def test_refused_loops(f, reason, remedy):
    with pytest.raises(weft.StagingError) as info:
        weft.jit(f)(2.0, 3)
    assert reason in str(info.value) and remedy in str(info.value) and "test_checkpoint.py" in str(info.value)


def test_arguments():
    assert list(weft.checkpoint(range(3))) == [0, 1, 2] and len(weft.checkpoint(range(3))) == 3
    assert "range(0, 3)" in repr(weft.checkpoint(range(3)))
    assert weft.checkpoint(policy=POLICIES.dots_saveable)(math.sin)(0.5) == math.sin(0.5)
    with pytest.raises(ValueError, match="levels"):
        weft.checkpoint(range(3), levels=0)
    with pytest.raises(TypeError, match="a function, or what a loop runs over"):
        weft.checkpoint(3)
    with pytest.raises(TypeError, match="policy"):
        weft.checkpoint(math.sin, policy="dots")

    def strings(x):
        for c in weft.checkpoint("abc"):
            x = x * 2.0
        return x

    with pytest.raises(weft.StagingError, match="only loops over ranges and arrays"):
        weft.jit(strings)(1.0)
