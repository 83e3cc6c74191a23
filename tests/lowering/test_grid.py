"""What becomes a kernel, what the host keeps, and where they meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import weft
from weft.lowering import loops as L
from weft.lowering import lower
from weft.lowering.grid import DeviceProgram, Fetch, Keep, Launch, for_device
from weft.lowering.visit import walk

X, M, N = np.ones(9), np.ones((5, 7)), np.ones((7, 6))


def schedule(f: Callable[..., Any], *args: Any) -> DeviceProgram:
    return for_device(lower(weft.jit(f).lower(*args).function))


def kinds(f: Callable[..., Any], *args: Any) -> list[str]:
    return [k.kind for k in schedule(f, *args).kernels]


def count(p: DeviceProgram, what: type) -> int:
    return sum(isinstance(s, what) for s in walk(p.body))


def softmax(x):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def test_elementwise_work_is_one_kernel_over_all_axes() -> None:
    (k,) = schedule(lambda x, y: np.sin(x) * y + 1, M, M).kernels
    assert (k.kind, len(k.domain), k.spread, k.fails) == ("threads", 1, set(), False)  # flat: one axis of all elements
    (k,) = schedule(lambda x, y: x[:, :, None] * y, M, N).kernels
    assert (k.kind, len(k.domain)) == ("threads", 3)


def test_rows_of_a_softmax_are_teams_with_workspace() -> None:
    p = schedule(softmax, M)
    (k,) = p.kernels
    assert (k.kind, len(k.domain), len(k.spread), len(k.workspace)) == ("teams", 1, 3, 1)
    assert k.narrow is not None  # the host can choose the team by the rows' length
    assert not p.fails


def test_a_sum_is_cut_into_blocks_and_nobody_waits_for_it() -> None:
    p = schedule(lambda x: np.sum(x * x), X)
    assert [k.kind for k in p.kernels] == ["teams", "region"]
    assert (count(p, Fetch), count(p, Keep), count(p, Launch)) == (0, 1, 2)


def test_a_scalar_that_only_kernels_use_stays_on_the_device() -> None:
    def normed(x):
        return x / np.sqrt(np.sum(x * x))

    p = schedule(normed, X)
    assert (count(p, Fetch), p.fetched) == (0, [])
    assert [k.kind for k in p.kernels] == ["teams", "region", "threads"]
    assert p.kernels[1].defines and set(p.kernels[1].defines) <= set(p.kernels[2].uses)


def test_a_leading_axis_is_summed_by_the_threads_of_the_others() -> None:
    *_, k = schedule(lambda x: np.sum(np.sin(x), axis=0), M).kernels
    assert k.kind == "threads" and len(k.domain) == 1
    assert [type(s) for s in k.body] == [L.Let, L.Loop, L.Write]  # over the summed axis, in a register


def independent(x, y):
    for i in range(x.size):
        y[i] = np.exp(x[i]) + y[i]
    return y


def triangle(x):
    total = np.zeros(x.shape[0])
    for i in range(x.shape[0]):
        s = 0.0
        for j in range(i):
            s += x[i, j]
        total[i] = s
    return total


def recurrence(x):
    for i in range(1, x.size):
        x[i] += 0.5 * x[i - 1]
    return x


def heat(steps, a, b):
    for _ in range(steps):
        b[1:-1] = 0.5 * (a[:-2] + a[2:])
        a[1:-1] = 0.5 * (b[:-2] + b[2:])
    return a


@pytest.mark.parametrize(
    ("f", "args", "want"),
    [
        (independent, (X, X.copy()), ["threads"]),
        (triangle, (np.ones((6, 6)),), ["threads", "threads"]),  # zeros, then a row each
        (recurrence, (X,), ["region"]),
        (heat, (3, X, X.copy()), ["threads", "threads"]),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_loops_as_they_were_written(f, args, want) -> None:
    assert kinds(f, *args) == want


def test_the_host_runs_the_time_loop() -> None:
    p = schedule(heat, 3, X, X.copy())
    (loop,) = [s for s in p.body if isinstance(s, L.Loop)]
    assert [type(s) for s in loop.body] == [Launch, Launch]


def test_a_while_on_data_fetches_its_test_alone() -> None:
    def halved(x, least):
        n = 0
        while np.sum(x * x) > least:
            x = x * 0.5
            n += 1
        return x, n

    p = schedule(halved, X, 0.1)
    (loop,) = [s for s in p.body if isinstance(s, L.Forever)]
    assert sum(isinstance(s, Fetch) for s in loop.head) == 1
    assert count(p, Fetch) == 1


def test_scalar_code_stays_on_the_host() -> None:
    def root(a, x):
        while abs(x * x - a) > 1e-12:
            x = 0.5 * (x + a / x)
        return x

    assert schedule(root, 2.0, 1.0).kernels == []


def test_additions_that_meet_are_shared() -> None:
    def scattered(x, i, v):
        np.add.at(x, i, v)
        return x

    (k,) = schedule(scattered, X, np.zeros(4, np.int64), np.ones(4)).kernels[-1:]
    assert (k.kind, len(k.shared)) == ("threads", 1)

    def assigned(x, i, v):
        x[i] = v  # the last of equal indices wins: an order
        return x

    (k,) = schedule(assigned, X, np.zeros(4, np.int64), np.ones(4)).kernels[-1:]
    assert (k.kind, k.shared) == ("region", frozenset())


def test_the_gradient_of_what_lanes_share_is_shared() -> None:
    def loss(w, x):
        return np.sum(weft.vmap(lambda row: np.exp(row[0] * w[1]) + w[0])(x))

    p = schedule(weft.grad(loss), np.ones(3), M)
    assert all(k.kind != "region" or not k.domain for k in p.kernels)
    assert any(k.kind in ("threads", "teams") for k in p.kernels)


def counted(x):
    out = 0
    for i in range(x.size):
        if x[i] > 0:
            out += 1  # not a declared reduction: the loop's order is kept
    return out


def test_a_loop_that_counts_is_sequential() -> None:
    assert kinds(counted, X) == ["region"]


def test_what_prints_is_run_by_the_host() -> None:
    def shown(x):
        for i in range(3):
            x = x * 2
            print(i)
        return x

    p = schedule(shown, X)
    (loop,) = [s for s in p.body if isinstance(s, L.Loop)]
    assert any(isinstance(s, L.HostCall) for s in loop.body) and any(isinstance(s, Launch) for s in loop.body)


def test_products_go_to_the_library_and_lanes_multiply_by_themselves() -> None:
    assert count(schedule(lambda a, b: a @ b, M, N), L.Gemm) == 1
    p = schedule(lambda a, b: a @ b, np.ones((3, 5, 7)), np.ones((3, 7, 6)))
    (loop,) = [s for s in p.body if isinstance(s, L.Loop)]
    assert isinstance(loop.body[-1], L.Gemm)
