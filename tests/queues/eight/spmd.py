"""Plans that run on several devices at once, and collectives. Run by test_eight_devices.py."""

from __future__ import annotations

import itertools
import os
import threading
import time
from typing import Any

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import _runtime
from weft._runtime import Collective
from weft.runtime import Plan

CPU = weft.devices("cpu")
LEAF = ("leaf", 0)
TYPES = {"f4": ("float", 11), "f8": ("double", 12), "i4": ("int", 5), "i8": ("long", 7), "u1": ("unsigned char", 2),
         "i2": ("short", 3), "u4": ("unsigned", 6), "c8": ("float _Complex", 14), "c16": ("double _Complex", 15),
         "f2": ("_Float16", 23), "?": ("bool", 0)}  # fmt: skip

# One device's part: result 0 = collective 0 of argument 0; RANK and DIMS are the result's.
CALL = """
  weft_i64 in_dims[8], dims[8];
  for (int k = 0; k < IN_RANK; ++k) in_dims[k] = sizes[k];
  DIMS
  void* r = ctx->result(ctx, 0, RANK, dims);
  if (!r) return WEFT_NO_MEMORY;
  WeftView views[2] = {{in[0], DTYPE, IN_RANK, in_dims}, {r, DTYPE, RANK, dims}};
  int status = ctx->host(ctx, 0, 2, views);
  if (status) return status;
"""


def body(dtype: str, in_rank: int, rank: int, dims: str) -> str:
    text = CALL.replace("DIMS", dims).replace("IN_RANK", str(in_rank))
    return text.replace("RANK", str(rank)).replace("DTYPE", str(TYPES[dtype][1]))


def spmd(n: int, splits: tuple[bool, ...], outs: tuple[bool, ...] = (True,), shardings: Any = None) -> Any:
    return (CPU[:n], splits, outs, shardings)


def dims_of(rank: int) -> list[tuple[int, list[tuple[int, int]]]]:
    return [(0, [(k, 1)]) for k in range(rank)]


def draw(dtype: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype == "?":
        return rng.random(shape) > 0.7
    x = rng.normal(size=shape) * 10
    return (x + 1j * rng.normal(size=shape) if dtype[0] == "c" else x if dtype[0] == "f" else np.abs(x)).astype(dtype)


SAME = "for (int k = 0; k < IN_RANK; ++k) dims[k] = sizes[k];"
MORE = "dims[0] = COUNT; for (int k = 0; k < IN_RANK; ++k) dims[k + 1] = sizes[k];"
LESS = "for (int k = 1; k < IN_RANK; ++k) dims[k - 1] = sizes[k];"


def meaning(op: str, x: np.ndarray, groups: Any, perm: Any) -> np.ndarray:
    n = len(x)
    out: dict[int, Any] = {}
    for g in groups or [range(n)]:
        part = x[list(g)]
        if op == "psum":
            total = part[0]
            for row in part[1:]:
                total = (total | row) if x.dtype == bool else (total + row).astype(x.dtype)
            if x.dtype == np.float16:
                total = part.astype("f4").sum(0).astype("f2")
            found = [total] * len(g)
        elif op in ("pmax", "pmin"):
            found = [part.max(0) if op == "pmax" else part.min(0)] * len(g)
        elif op == "all_gather":
            found = [part] * len(g)
        elif op == "psum_scatter":
            found = list(sum(part[1:], part[0]))
        elif op == "all_to_all":
            found = list(part.swapaxes(0, 1))
        elif op == "ppermute":
            found = [np.zeros_like(part[0]) for _ in g]
            for a, b in perm:
                found[b] = part[a]
        out.update(zip(g, found, strict=True))
    return np.stack([out[k] for k in range(n)])


def run_collective(jitted, op, x, n, *, groups=None, perm=None, known=True):
    size = len(groups[0]) if groups else n
    dtype = x.dtype.char if x.dtype == bool else x.dtype.str[1:]
    in_rank = x.ndim - 1
    change = {"all_gather": 1, "psum_scatter": -1}.get(op, 0)
    text = {1: MORE.replace("COUNT", str(size)), 0: SAME, -1: LESS}[change]
    dims = dims_of(in_rank)
    dims = [(size, []), *dims] if change == 1 else dims[1:] if change == -1 else dims
    rank = in_rank + change
    f = jitted(
        body(dtype, in_rank, rank, text),
        results=[("array", dtype, rank, "weft", -1, dims if known else None)],
        tree=LEAF,
        host=[Collective(op, groups, perm)],
        spmd=spmd(n, (True,)),
    )
    return f(weft.device_put(x))


CASES = [
    (op, n, shape)
    for op in ("psum", "pmax", "pmin", "all_gather", "psum_scatter", "all_to_all", "ppermute")
    for n in range(1, 9)
    for shape in ((3,), (2, 3), (70_000,), (0,))
]


@pytest.mark.parametrize("op, n, shape", CASES)
def test_collectives(jitted, op, n, shape):
    full = (n, n, *shape) if op in ("psum_scatter", "all_to_all") else (n, *shape)
    x = draw("f8", full)
    perm = [(k, (k + 1) % n) for k in range(n - 1)] if op == "ppermute" else None
    expected = meaning(op, x, None, perm)
    for known in (True, False):
        found = run_collective(jitted, op, x, n, perm=perm, known=known)
        assert found.shape == expected.shape
        np.testing.assert_array_equal(np.asarray(found), expected)


@pytest.mark.parametrize("op, dtype", itertools.product(("psum", "pmax", "pmin", "all_gather"), TYPES))
def test_dtypes(jitted, op, dtype):
    x = draw(dtype, (5, 40))
    if dtype[0] == "c" and op in ("pmax", "pmin"):
        with pytest.raises(RuntimeError, match=f"{op}: it does not reduce this dtype"):
            run_collective(jitted, op, x, 5).tolist()
        return
    found = run_collective(jitted, op, x, 5)
    np.testing.assert_array_equal(np.asarray(found), meaning(op, x, None, None))
    assert found.dtype == x.dtype


def test_integers_wrap_and_nans_win(jitted):
    x = np.array([[100], [100], [100]], np.int16) * np.int16(300)
    np.testing.assert_array_equal(run_collective(jitted, "psum", x, 3), [[90000 - 65536]] * 3)
    y = np.array([[1.0, np.nan], [np.nan, 2.0], [3.0, 0.0]])
    for op in ("pmax", "pmin"):
        assert np.isnan(np.asarray(run_collective(jitted, op, y, 3))).all()


GROUPS = (((0, 2, 4, 6), (7, 5, 3, 1)), ((1, 0), (2, 3), (5, 4), (7, 6)))


@pytest.mark.parametrize("op", ["psum", "pmax", "all_gather", "psum_scatter", "all_to_all", "ppermute"])
@pytest.mark.parametrize("groups", GROUPS)
def test_groups(jitted, op, groups):
    size = len(groups[0])
    x = draw("f4", (8, size, 3) if op in ("psum_scatter", "all_to_all") else (8, 3))
    perm = [(0, 1)] if op == "ppermute" else None
    found = run_collective(jitted, op, x, 8, groups=groups, perm=perm)
    np.testing.assert_array_equal(np.asarray(found), meaning(op, x, groups, perm))


def test_sums_have_the_same_bits_everywhere(jitted):
    x = draw("f4", (8, 100_003))
    first = np.asarray(run_collective(jitted, "psum", x, 8))
    assert (first == first[0]).all()
    expected = x[0]
    for row in x[1:]:
        expected = expected + row
    np.testing.assert_array_equal(first[0], expected)
    for _ in range(5):
        np.testing.assert_array_equal(run_collective(jitted, "psum", x, 8), first)


INDEX = """
  weft_i64 at = -1;
  WeftView view = {&at, 7, 0, 0};
  int status = ctx->host(ctx, 0, 1, &view);
  if (status) return status;
  *(weft_i64*)out[0] = at;
"""


@pytest.mark.parametrize("groups", [None, *GROUPS])
def test_axis_index(jitted, groups):
    f = jitted(INDEX, results=[("scalar", "i8", 0, "weft", -1)], tree=LEAF, host=[Collective("axis_index", groups)],
               spmd=spmd(8, ()))  # fmt: skip
    found = f()
    assert found.dtype == np.int64
    expected = np.zeros(8, int)
    for g in groups or [range(8)]:
        expected[list(g)] = range(len(g))
    assert found.tolist() == expected.tolist()


# -- arguments and results ---------------------------------------------------------------------------------------------

AXPY = """
  weft_i64 n = sizes[0];
  double a = *(double*)in[1], *x = (double*)in[0], *y = (double*)in[2];
  double* r = (double*)ctx->result(ctx, 0, 1, &n);
  if (!r) return WEFT_NO_MEMORY;
  for (weft_i64 i = 0; i < n; ++i) r[i] = a * x[i] + y[i];
"""


@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("heavy", [False, True])
def test_arguments_are_split_or_given_whole(jitted, n, heavy):
    f = jitted(AXPY, results=[("array", "f8", 1, "weft", -1, [(0, [(0, 1)])])], tree=LEAF, heavy=heavy,
               spmd=spmd(n, (True, False, False)))  # fmt: skip
    x, y = draw("f8", (n, 6)), draw("f8", (6,), 1)
    expected = 2.5 * x + y
    for a in (x, np.asfortranarray(x), weft.device_put(x), wnp.asarray(x) + 0.0):
        for b in (y, weft.device_put(y, CPU[3]), np.repeat(y, 2)[::2]):
            np.testing.assert_array_equal(f(a, 2.5, b), expected)
    twice = f(f(x, 2.5, y), 1.0, y)
    np.testing.assert_array_equal(twice, expected + y)


def test_the_leading_axis_is_checked(jitted):
    f = jitted(AXPY, results=[("array", "f8", 1, "weft", -1, [(0, [(0, 1)])])], tree=LEAF,
               spmd=spmd(4, (True, False, False)))  # fmt: skip
    with pytest.raises(ValueError, match=r"args\[0\] has no leading axis of size 4 to split"):
        f(np.ones((3, 2)), 1.0, np.ones(2))


def test_results_of_device_0(jitted):
    f = jitted(AXPY, results=[("array", "f8", 1, "weft", -1, [(0, [(0, 1)])])], tree=LEAF,
               spmd=spmd(4, (True, False, False), (False,)))  # fmt: skip
    x = draw("f8", (4, 3))
    np.testing.assert_array_equal(f(x, 1.0, np.zeros(3)), x[0])
    g = jitted(INDEX, results=[("scalar", "i8", 0, "weft", -1)], tree=LEAF, host=[Collective("axis_index")],
               spmd=spmd(8, (), (False,)))  # fmt: skip
    assert g().shape == () and g().item() == 0


def test_results_of_unknown_size(jitted):
    text = """
      double* x = (double*)in[0];
      weft_i64 n = (weft_i64)x[0];
      double* r = (double*)ctx->result(ctx, 0, 1, &n);
      if (!r) return WEFT_NO_MEMORY;
      for (weft_i64 i = 0; i < n; ++i) r[i] = x[1] + i;
    """
    f = jitted(text, results=[("array", "f8", 1, "weft", -1)], tree=LEAF, spmd=spmd(3, (True,)))
    found = f(np.array([[2.0, 10.0], [2.0, 20.0], [2.0, 30.0]]))
    assert found.tolist() == [[10.0, 11.0], [20.0, 21.0], [30.0, 31.0]]
    with pytest.raises(ValueError, match="different shapes on devices 0 and 2"):
        f(np.array([[2.0, 10.0], [2.0, 20.0], [3.0, 30.0]]))


def test_a_wrong_size_is_noticed(jitted):
    f = jitted(AXPY, results=[("array", "f8", 1, "weft", -1, [(1, [(0, 1)])])], tree=LEAF,
               spmd=spmd(2, (True, False, False)))  # fmt: skip
    with pytest.raises(RuntimeError, match="result 0 of '' has other sizes than its plan says"):
        f(np.ones((2, 3)), 1.0, np.ones(3)).tolist()


def test_arguments_that_are_results(jitted):
    mark = object()
    f = jitted("", results=[("leaf", None, 0, "weft", 0)], tree=LEAF, spmd=spmd(2, (True,), (True,), [mark]))
    x = wnp.ones((2, 3))
    assert f(x) is x


def test_shardings(jitted):
    mark = {"some": "sharding"}
    f = jitted(AXPY, results=[("array", "f8", 1, "weft", -1, [(0, [(0, 1)])])], tree=LEAF,
               spmd=spmd(2, (True, False, False), (True,), [mark]))  # fmt: skip
    y = f(np.ones((2, 3)), 1.0, np.ones(3))
    assert y._sharding is mark
    assert (y + 1.0)._sharding is None
    y._sharding = None
    assert y._sharding is None


def test_plans_that_are_refused(kernels):
    entry = kernels.entry("")
    array = ("array", "f8", 1, "weft", -1)
    for options, message in [
        ({"results": [array], "spmd": (CPU[:2], (), (True,)), "mutates": [0]}, "writes no argument"),
        ({"results": [array], "spmd": (CPU[:2], (), ())}, "of each result"),
        ({"results": [array], "spmd": (CPU[:1] * 2, (), (True,))}, "a device twice"),
        ({"results": [array], "spmd": ([], (), (True,))}, "no device"),
        ({"results": [("array", "f8", 1, "np", -1)], "spmd": (CPU[:2], (), (True,))}, "flavour 'weft'"),
        ({"results": [("leaf", None, 0, "weft", 0)], "spmd": (CPU[:2], (True,), (False,))}, "as the argument is split"),
        ({"results": [array], "spmd": (CPU[:2], (), (True,), [1, 2])}, "a sharding per result"),
    ]:
        with pytest.raises(ValueError, match=message):
            Plan(entry, **options)
    for arguments, message in [
        (("sum",), "unknown operation"),
        (("psum", ((0, 1), (1, 2))), "each device once"),
        (("ppermute",), "has a perm"),
        (("psum", None, [(0, 1)]), "has a perm"),
    ]:
        with pytest.raises(ValueError, match=message):
            Collective(*arguments)


def test_collectives_need_devices(jitted):
    f = jitted(body("f8", 1, 1, SAME), results=[("array", "f8", 1, "weft", -1)], tree=LEAF, host=[Collective("psum")])
    with pytest.raises(RuntimeError, match="only on the devices of an spmd plan"):
        f(np.ones(3))


# -- several collectives, and what goes wrong --------------------------------------------------------------------------

# Argument 0 is added up over the devices `sizes`-many times; argument 1 says, by device, what goes wrong.
LOOP = """
  weft_i64 n = sizes[0], steps = *(weft_i64*)in[2];
  weft_i64 fault = *(weft_i64*)in[1];
  double* r = (double*)ctx->result(ctx, 0, 1, &n);
  double* t = (double*)ctx->alloc(ctx, n * 8);
  if (!r || !t) return WEFT_NO_MEMORY;
  for (weft_i64 i = 0; i < n; ++i) r[i] = ((double*)in[0])[i];
  for (weft_i64 step = 0; step < steps; ++step) {
    if (step == 3) {
      if (fault == 1) return ctx->host(ctx, 2, 0, 0);
      if (fault == 2) break;
      if (fault == 3) return WEFT_NO_MEMORY;
    }
    WeftView views[2] = {{r, 12, 1, &n}, {t, 12, 1, &n}};
    weft_i64 less = n - 1;
    if (fault == 5 && step == 3) views[0].dims = views[1].dims = &less;
    int status = ctx->host(ctx, fault == 4 && step == 3 ? 1 : 0, 2, views);
    if (status) return status;
    for (weft_i64 i = 0; i < n; ++i) r[i] = t[i] * 0.5;
  }
"""


def fail() -> None:
    raise ZeroDivisionError("in a device")


def loop(jitted, n: int, **more: Any):
    return jitted(
        LOOP, results=[("array", "f8", 1, "weft", -1, [(0, [(0, 1)])])], tree=LEAF, heavy=True,
        host=[Collective("psum"), Collective("psum"), fail], spmd=spmd(n, (True, True, False)), **more,
    )  # fmt: skip


@pytest.mark.parametrize("n", range(1, 9))
def test_many_meetings(jitted, n):
    f = loop(jitted, n)
    x = draw("f8", (n, 20))
    expected = x
    for _ in range(50):
        expected = np.stack([expected.sum(0) * 0.5] * n)
    for _ in range(20):
        np.testing.assert_allclose(np.asarray(f(x, np.zeros(n, int), 50)), expected)


@pytest.mark.parametrize("where", [0, 3, 7])
@pytest.mark.parametrize(
    "fault, error, message",
    [(1, ZeroDivisionError, "in a device"), (2, RuntimeError, "has ended without"), (3, MemoryError, None),
     (4, RuntimeError, "all devices have to call the same"), (5, RuntimeError, "different shapes or dtypes")],
)  # fmt: skip
def test_a_device_that_fails_fails_all(jitted, where, fault, error, message):
    f = loop(jitted, 8)
    faults = np.zeros(8, int)
    faults[where] = fault
    for _ in range(3):
        y = None
        with pytest.raises(error, match=message):
            y = f(np.ones((8, 20)), faults, 10)
            y.block_until_ready()
        if y is not None:
            with pytest.raises(error, match=message):
                wnp.sum(y)
        assert f(np.ones((8, 20)), np.zeros(8, int), 1)[0, 0] == 4.0


@pytest.mark.parametrize("where", [0, 5])
def test_faults_that_are_injected(jitted, where):
    f = loop(jitted, 8)
    x, zeros = np.ones((8, 20)), np.zeros(8, int)
    f(x, zeros, 5).block_until_ready()
    for kind, error in (("raise", RuntimeError), ("memory", MemoryError)):
        _runtime._inject(kind, where)
        with pytest.raises(error):
            f(x, zeros, 5).block_until_ready()
        assert f(x, zeros, 1)[0, 0] == 4.0
    _runtime._inject("delay", where, 1, 0.1)
    assert f(x, zeros, 1)[0, 0] == 4.0


def test_what_takes_a_failed_array_fails(jitted):
    _runtime.set_queueing("always")
    f = loop(jitted, 8)
    faults = np.zeros(8, int)
    faults[2] = 1
    y = f(np.ones((8, 5)), faults, 10)
    z = f(y, np.zeros(8, int), 10)
    for a in (z, y):
        with pytest.raises(ZeroDivisionError):
            a.block_until_ready()


# A row of a mesh runs its own number of steps: only the row meets.
def test_groups_meet_apart(jitted):
    groups = ((0, 1, 2, 3), (4, 5, 6, 7))
    text = LOOP.replace("steps = *(weft_i64*)in[2]", "steps = 1 + 2 * *(weft_i64*)in[2]")
    f = jitted(
        text, results=[("array", "f8", 1, "weft", -1, [(0, [(0, 1)])])], tree=LEAF, heavy=True,
        host=[Collective("psum", groups), fail, fail], spmd=spmd(8, (True, True, True)),
    )  # fmt: skip
    steps = np.array([1] * 4 + [0] * 4)
    found = f(np.ones((8, 3)), np.zeros(8, int), steps)
    assert found[:, 0].tolist() == [8.0] * 4 + [2.0] * 4


def test_rows_and_columns(jitted):
    rows, columns = ((0, 1, 2, 3), (4, 5, 6, 7)), ((0, 4), (1, 5), (2, 6), (3, 7))
    text = """
      weft_i64 n = sizes[0];
      double* r = (double*)ctx->result(ctx, 0, 1, &n);
      double* t = (double*)ctx->alloc(ctx, n * 8);
      for (int step = 0; step < 20; ++step) {
        WeftView first[2] = {{step ? r : in[0], 12, 1, &n}, {t, 12, 1, &n}}, second[2] = {{t, 12, 1, &n}, {r, 12, 1, &n}};
        if (ctx->host(ctx, 0, 2, first)) return WEFT_ERROR;
        for (weft_i64 i = 0; i < n; ++i) t[i] *= 0.25;
        if (ctx->host(ctx, 1, 2, second)) return WEFT_ERROR;
        for (weft_i64 i = 0; i < n; ++i) r[i] *= 0.5;
      }
    """
    f = jitted(
        text, results=[("array", "f8", 1, "weft", -1, [(0, [(0, 1)])])], tree=LEAF, heavy=True,
        host=[Collective("psum", rows), Collective("psum", columns)], spmd=spmd(8, (True,)),
    )  # fmt: skip
    x = draw("f8", (8, 11))
    for _ in range(10):
        np.testing.assert_allclose(np.asarray(f(x)), np.stack([x.mean(0)] * 8))


@pytest.mark.parametrize("op", ["psum", "pmax", "all_gather"])
def test_beyond_the_process(jitted, op):
    seen = []

    def outer(operands, results):
        seen.append(np.stack(operands))
        for k, (a, r) in enumerate(zip(operands, results, strict=True)):
            r[...] = 10.0 * a.sum() + k

    f = jitted(
        body("f8", 1, 1, SAME), results=[("array", "f8", 1, "weft", -1, dims_of(1))], tree=LEAF,
        host=[Collective(op, ((0, 1), (2, 3)), None, outer)], spmd=spmd(4, (True,)),
    )  # fmt: skip
    x = draw("f8", (4, 3))
    want = 10.0 * x.sum(axis=1)[:, None] + np.array([0.0, 1.0, 0.0, 1.0])[:, None]
    np.testing.assert_allclose(f(x), np.tile(want, (1, 3)))
    assert sorted(v.tolist() for v in seen) == sorted([x[:2].tolist(), x[2:].tolist()])
    told = []

    class Broken:
        def __call__(self, operands, results):
            raise ConnectionError("gone")

        def failed(self, error):
            told.append(str(error))

    g = jitted(
        body("f8", 1, 1, SAME), results=[("array", "f8", 1, "weft", -1, dims_of(1))], tree=LEAF,
        host=[Collective(op, None, None, Broken())], spmd=spmd(4, (True,)),
    )  # fmt: skip
    with pytest.raises(ConnectionError, match="gone"):
        g(x).tolist()
    assert told == ["gone"]


@pytest.mark.parametrize("rows", [(0, 0, 1, 1), (1, 0, 1, 0)])
def test_devices_that_share_rows(jitted, rows):
    f = jitted(
        body("f8", 1, 1, SAME), results=[("array", "f8", 1, "weft", -1, dims_of(1))], tree=LEAF,
        host=[Collective("psum", ((0, 1), (2, 3)))], spmd=spmd(4, (rows,), ((1, 1, 0, 0),)),
    )  # fmt: skip
    x = draw("f8", (2, 3))
    parts = x[list(rows)]
    np.testing.assert_allclose(f(x), np.stack([parts[2] + parts[3], parts[0] + parts[1]]))
    with pytest.raises(ValueError, match="no leading axis of size 2"):
        f(draw("f8", (4, 3)))


def test_two_threads(jitted):
    """Runs of several Python threads on the same devices keep one order everywhere."""
    f = loop(jitted, 8)
    x = draw("f8", (8, 20))
    expected = np.asarray(f(x, np.zeros(8, int), 6))
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(50):
            y = f(x, np.zeros(8, int), 6)
            if not np.array_equal(np.asarray(y), expected):
                wrong.append(y)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_soak(jitted):
    f = loop(jitted, 8)
    y, zeros = wnp.ones((8, 20)), wnp.asarray(np.zeros(8, int))
    for _ in range(200):
        y = f(y, zeros, 2) * 0.1
    weft.effects_barrier()
    before = _runtime.pool_statistics()
    for _ in range(2000):
        y = f(y, zeros, 2) * 0.0625
    weft.effects_barrier()
    if "WEFT_SANITIZE" not in os.environ:  # there the pool keeps nothing
        assert _runtime.pool_statistics()["from_system"] - before["from_system"] < 100
    assert y.shape == (8, 20)


def test_callbacks_may_wait_for_the_same_devices(jitted):
    _runtime.set_queueing("always")
    double = weft.jit(lambda x: x * 2.0)
    x = weft.device_put(wnp.ones(3), CPU[1])
    double(x).block_until_ready()
    seen = []
    f = jitted(
        "ctx->host(ctx, 0, 0, 0); *(double*)out[0] = 1.0;", results=[("scalar", "f8", 0, "weft", -1)], tree=LEAF,
        host=[lambda: seen.append(double(x).tolist())], ordered=True, spmd=spmd(4, ()),
    )  # fmt: skip
    assert f().tolist() == [1.0] * 4
    assert seen == [[2.0] * 3] * 4


def test_fewer_threads(jitted):
    _runtime.set_queueing("always")
    f = loop(jitted, 8)
    x, zeros = np.ones((8, 20)), np.zeros(8, int)
    f(x, zeros, 5).block_until_ready()
    count = _runtime.thread_count()
    try:
        for threads in (1, count, 1):
            _runtime.set_thread_count(threads)
            for _ in range(20):
                y = f(x, zeros, 2)
                assert _runtime.computing_threads() <= count
            assert y[0, 0] == 16.0
    finally:
        _runtime.set_thread_count(count)


def test_queued_runs_return_at_once(jitted):
    _runtime.set_queueing("always")
    f = loop(jitted, 8)
    x, zeros = np.ones((8, 20)), np.zeros(8, int)
    f(x, zeros, 1).block_until_ready()
    _runtime._inject("delay", 4, 1, 0.3)
    start = time.perf_counter()
    y = f(x, zeros, 1)
    z = f(y, zeros, 1)
    assert time.perf_counter() - start < 0.2
    assert not z.is_ready()
    x[:] = 0.0
    assert z[0, 0] == 16.0
