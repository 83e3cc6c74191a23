"""csrc/kernels/team.h in the emulator, by every kind of team, at odd sizes and in several orders; and under nvcc."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.cuda import build

from weft.ir.types import SHORT, f16

TEXT = (build.HERE / "teams.cu").read_text()
DTYPES = {n: d for d, n in SHORT.items() if d != f16}
TEAMS = ("thread", "warp", "block")
TYPED = [f"{k}_{t}" for t in DTYPES for k in ("sum_thread", "sum_warp", "sum_block", "add", "combine")]
PRODUCTS = [f"gemm_{k}_{t}" for t in ("f32", "f64", "c64", "c128") for k in (*TEAMS, "tiles")]
KERNELS = (
    *TYPED, *PRODUCTS, *(f"{k}_{t}" for k in ("order", "share", "grow", "copy") for t in TEAMS), "rotate_warp",
    "rotate_block", "divide_each", "swap_two", "fail_at", "fail_memory",
)  # fmt: skip
SEEDS = range(5)
RNG = np.random.default_rng(11)


@pytest.fixture(scope="module", params=[64, 256])
def device(request: pytest.FixtureRequest) -> build.Device:
    return build.Device(TEXT, KERNELS, request.param)


def size_of(device: build.Device, team: str) -> int:
    return {"thread": 1, "warp": 32, "block": device.threads}[team]


def numbers(dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if dtype.kind == "b":
        return RNG.random(shape) < 0.1
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return RNG.integers(info.min, info.max, shape, dtype, endpoint=True)
    x = RNG.standard_normal(shape)
    return (x + 1j * RNG.standard_normal(shape) if dtype.kind == "c" else x).astype(dtype)


def bound(dtype: np.dtype) -> float:
    return {"f4": 1e-5, "c8": 1e-5, "f8": 1e-13, "c16": 1e-13}.get(dtype.str[1:], 0)


# -- what a team does together ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("team", TEAMS)
@pytest.mark.parametrize("t", DTYPES)
def test_reduce(device, t, team):
    for n in (1, 5, 32, 33, 100, 1000):
        x = numbers(DTYPES[t], (5, n))
        want = x.any(1) if t == "bool" else x.sum(1, dtype=x.dtype)
        first = None
        for seed in SEEDS:
            got = np.empty(5, x.dtype)
            device(f"sum_{team}_{t}", 2, x, got, 5, n, seed=seed)
            np.testing.assert_allclose(got, want, rtol=bound(x.dtype), atol=10 * bound(x.dtype))
            if first is None:
                first = got
            np.testing.assert_array_equal(got, first)  # to the last bit, whatever ran when


@pytest.mark.parametrize("team", TEAMS)
def test_reduction_keeps_the_order(device, team):
    y = np.zeros(4 * device.threads, np.int64)
    device(f"order_{team}", 4, y, seed=3)
    teams = 4 * device.threads // size_of(device, team)
    np.testing.assert_array_equal(y[:teams], size_of(device, team) - 1)


@pytest.mark.parametrize("team", ["warp", "block"])
def test_local_memory_is_a_teams_own(device, team):
    x, size = np.arange(3 * device.threads), size_of(device, team)
    for seed in SEEDS:
        y = np.zeros_like(x)
        device(f"rotate_{team}", 3, x, y, 5, seed=seed)
        np.testing.assert_array_equal(y.reshape(-1, size), np.roll(x.reshape(-1, size), -5, axis=1))


@pytest.mark.parametrize("team", TEAMS)
def test_share_and_any(device, team):
    size, n = size_of(device, team), 3 * device.threads
    for seed in SEEDS:
        z, y, found = np.zeros(n, complex), np.zeros(n, np.int64), np.zeros(n, bool)
        device(f"share_{team}", 3, z, y, found, seed=seed)
        np.testing.assert_array_equal(z, 0.5 - 1j * (np.arange(n) // size))
        np.testing.assert_array_equal(y, -7)
        assert found.all()


# -- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("team", TEAMS)
def test_grow(device, team):
    for seed in SEEDS:
        for n, row in ((1, 1), (10, 3), (50, 40)):
            y = np.zeros(7, np.int64)
            device(f"grow_{team}", 2, y, 7, n, row, seed=seed)
            lists = np.arange(0, n, 3)[:, None] + np.arange(row)
            np.testing.assert_array_equal(y, lists.sum() + lists.size * np.arange(7))
            assert device.lib.weft_emulated_heap_used() == 0


@pytest.mark.parametrize("team", TEAMS)
def test_no_memory_to_grow(device, team):
    device.lib.weft_emulated_heap_limit(2000)
    y = np.zeros(1, np.int64)
    device(f"grow_{team}", 1, y, 1, 1000, 4)
    device.lib.weft_emulated_heap_limit(8 << 20)
    assert y[0] == -1
    assert device.lib.weft_emulated_heap_used() == 0


@pytest.mark.parametrize("team", TEAMS)
def test_copy(device, team):
    x = RNG.integers(0, 100, (5, 77))
    y = np.zeros((6, 77), np.int64)
    device(f"copy_{team}", 2, y, x, 5, 77, seed=2)
    np.testing.assert_array_equal(y[:5], x)
    assert not y[5].any()


def test_divide(device):
    at = np.array([0, 5, 2**31, 2**32 - 1, 2**32, 2**40 + 3, 2**62, 7])
    n = np.array([3, 5, 7, 2**32 - 1, 3, 2**35, 1, 2**50])
    q, rest = np.zeros_like(at), np.zeros_like(at)
    device("divide_each", 1, at, n, q, rest, len(at))
    np.testing.assert_array_equal(q, at // n)
    np.testing.assert_array_equal(rest, at % n)


def test_swap(device):
    a, b = np.zeros(1, np.int64), np.zeros(1, np.int64)
    device("swap_two", 1, a, b, 3)
    assert (a[0], b[0]) == (2, 1)


# -- atomic updates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [1, 3, 50])
@pytest.mark.parametrize("t", DTYPES)
def test_atomic_updates(device, t, places):
    """Many threads to few elements, whose neighbours stay as they are."""
    dtype = DTYPES[t]
    x = numbers(dtype, (300,))
    if dtype.kind in "fc":
        x = (x / np.abs(x)).astype(dtype)
    for kind in ("add", "combine"):
        start = np.ones(places + 1, dtype) if kind == "combine" else np.zeros(places + 1, dtype)
        ufunc = {"add": np.add, "combine": np.multiply}[kind]
        want = start.copy()
        ufunc.at(want, np.arange(300) % places, x)
        for seed in SEEDS:
            got = start.copy()
            device(f"{kind}_{t}", 3, x, got, 300, places, seed=seed)
            np.testing.assert_allclose(got, want, rtol=300 * bound(dtype), atol=100 * bound(dtype))


# -- matrix products -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("team", [*TEAMS, "tiles"])
@pytest.mark.parametrize("t", ["f32", "f64", "c64", "c128"])
def test_products(device, t, team):
    dtype = DTYPES[t]
    for m, n, k in ((1, 1, 1), (5, 3, 0), (3, 40, 17), (33, 31, 70), (65, 33, 16), (70, 129, 33)):
        for ta, tb in ((False, False), (True, False), (False, True), (True, True)):
            a, b = numbers(dtype, (m, k)), numbers(dtype, (k, n))
            left = np.zeros((k if ta else m, (m if ta else k) + 2), dtype)
            right = np.zeros((n if tb else k, (k if tb else n) + 1), dtype)
            left[:, :-2], right[:, :-1] = (a.T if ta else a), (b.T if tb else b)
            c = np.full((m, n + 3), 7, dtype)
            flags = [np.bool_(ta), np.bool_(tb)]
            device(f"gemm_{team}_{t}", 2, *flags, m, n, k, left, left.shape[1], right, right.shape[1], c, n + 3, seed=m)
            np.testing.assert_allclose(c[:, :n], a @ b, rtol=bound(dtype), atol=100 * bound(dtype))
            assert (c[:, n:] == 7).all()


# -- failures --------------------------------------------------------------------------------------------------------


def test_the_first_failure_stays(device):
    for seed in SEEDS:
        f = np.zeros(12, np.int64)
        device("fail_at", 2, f, 50, seed=seed)
        device("fail_memory", 1, f)
        status, id, count, *dtypes = f.view(np.int32)[:7]
        assert (status, id, count) == (1, 3, 4)
        assert dtypes == [DTYPES[t].num for t in ("i64", "f32", "bool", "c128")]
        data = f[4:].reshape(4, 2)
        assert 50 <= data[0, 0] < 2 * device.threads
        assert data[1].view(np.float32)[0] == 0.5
        assert data[2].view(np.uint8)[0] == 1
        np.testing.assert_array_equal(data[3].view(np.float64), [1, -2])


def test_no_memory_is_a_failure(device):
    f = np.zeros(12, np.int64)
    device("fail_at", 1, f, 5000)
    assert not f.any()
    device("fail_memory", 1, f)
    assert f.view(np.int32)[0] == 2


def test_a_failure_is_laid_out_as_the_runtime_reads_it():
    text = (build.ROOT / "csrc/include/weft/abi.h").read_text()
    body = re.search(r"typedef struct WeftFailure \{(.*?)\}", text, re.S)[1]
    fields = re.findall(r"(int|weft_i64) (\w+)((?:\[\d\])*);", body)
    assert fields == [
        ("int", "status", ""), ("int", "id", ""), ("int", "count", ""), ("int", "dtypes", "[4]"), ("int", "unused", ""),
        ("weft_i64", "data", "[4][2]"),
    ]  # fmt: skip


# -- compilers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", build.compilers())
def test_nvcc_compiles_the_headers(arch):
    build.nvcc(TEXT, arch)


@pytest.mark.parametrize("header", ["team.h", "scalar.h", "complex.h", "numbers.h", "complex_device.h"])
def test_headers_need_nothing_else(header):
    lines = (build.KERNELS / header).read_text().splitlines()
    included = [x.split()[1] for x in lines if x.startswith("#include")]
    assert set(included) <= {'"scalar.h"', '"numbers.h"', '"complex.h"', '"complex_device.h"'}
