"""Run by mpirun: every collective across processes against its meaning, on all of the primitive's dtypes."""

import sys

import numpy as np
from mpi4py import MPI

import weft.primitives  # noqa: F401
from weft.distributed.exchange import Exchange
from weft.ir.primitive import REGISTRY
from weft.ir.types import bool_

DEVICES = int(sys.argv[1]) if len(sys.argv) > 1 else 2
world = MPI.COMM_WORLD
n = DEVICES * world.size
mine = slice(world.rank * DEVICES, (world.rank + 1) * DEVICES)
exchange = Exchange(world.Dup())
DTYPES = [np.dtype(c) for c in "?bhilBHILefdFD"]


def check(op, whole, perm=None, groups=None, **attrs):
    where = {"perm": perm} if perm is not None else {"groups": groups}
    want = REGISTRY[op].numpy(whole, axis="i", **where, **attrs)[mine]
    results = [np.full_like(w, 7) for w in want]
    exchange(op, perm, list(whole[mine]), results, groups)
    for r, w in zip(results, want, strict=True):
        np.testing.assert_allclose(r, w, rtol=1e-3 if w.dtype.char == "e" else 1e-6)
        assert r.dtype == w.dtype


def check_groups(dtype, groups, rng):
    """Every collective that takes groups."""
    size = len(groups[0])
    whole = rng.integers(0, 3, size=(n, 3)).astype(dtype)
    square = rng.integers(0, 3, size=(n, size, 2)).astype(dtype)
    if dtype != bool_:
        check("psum", whole, groups=groups)
        check("psum_scatter", square, groups=groups, size=size)
    if dtype.kind != "c":
        check("pmax", whole, groups=groups)
        check("pmin", whole[:, 0], groups=groups)
    check("all_gather", whole, groups=groups, size=size)
    check("all_gather", whole[:, 0], groups=groups, size=size)
    check("all_to_all", square, groups=groups)
    check("all_to_all", square[..., 0], groups=groups)


for dtype in DTYPES:
    rng = np.random.default_rng(3)
    whole = rng.integers(0, 3, size=(n, 3)).astype(dtype)
    square = rng.integers(0, 3, size=(n, n, 2)).astype(dtype)
    if dtype != bool_:
        check("psum", whole)
        check("psum_scatter", square, size=n)
    if dtype.kind != "c":
        check("pmax", whole)
        check("pmin", whole[:, 0])
    check("all_gather", whole, size=n)
    check("all_gather", whole[:, 0], size=n)
    check("all_to_all", square)
    check("ppermute", whole, perm=tuple((k, (k + 1) % n) for k in range(n)))
    check("ppermute", whole, perm=((0, n - 1), (n - 1, 0)))

rng = np.random.default_rng(4)
for size in (k for k in range(1, n + 1) if n % k == 0):
    rows = np.arange(n).reshape(-1, size)
    groupings = [rows, rows[::-1, ::-1], np.arange(n).reshape(size, -1).T]
    groupings += [rng.permutation(n).reshape(-1, size) for _ in range(4)]
    for k, grouping in enumerate(groupings):
        for dtype in DTYPES if k == 3 else [np.dtype("f8")]:
            check_groups(dtype, tuple(tuple(map(int, g)) for g in grouping), rng)

x = np.arange(float(n))
x[n - 1] = np.nan
check("pmax", x)
results = [np.zeros(1, np.int64)[0:1].reshape(()) for _ in range(DEVICES)]
exchange("axis_index", None, [], results)
assert [int(r) for r in results] == list(range(n))[mine]
print(f"process {world.rank}: all collectives agree")
