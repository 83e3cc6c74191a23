"""Run by mpirun: every collective across processes against its meaning, on all of the primitive's dtypes."""

import numpy as np
from mpi4py import MPI

import weft.primitives  # noqa: F401
from weft.distributed.exchange import Exchange
from weft.ir.primitive import REGISTRY
from weft.ir.types import bool_

DEVICES = 2
world = MPI.COMM_WORLD
n = DEVICES * world.size
mine = slice(world.rank * DEVICES, (world.rank + 1) * DEVICES)
exchange = Exchange(world.Dup())
DTYPES = [np.dtype(c) for c in "?bhilBHILefdFD"]


def check(op, whole, perm=None, **attrs):
    want = REGISTRY[op].numpy(whole, axis="i", **({"perm": perm} if perm is not None else {"groups": None}), **attrs)[
        mine
    ]
    results = [np.full_like(w, 7) for w in want]
    exchange(op, perm, list(whole[mine]), results)
    for r, w in zip(results, want, strict=True):
        np.testing.assert_allclose(r, w, rtol=1e-3 if w.dtype.char == "e" else 1e-6)
        assert r.dtype == w.dtype


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

x = np.arange(float(n))
x[n - 1] = np.nan
check("pmax", x)
results = [np.zeros(1, np.int64)[0:1].reshape(()) for _ in range(DEVICES)]
exchange("axis_index", None, [], results)
assert [int(r) for r in results] == list(range(n))[mine]
print(f"process {world.rank}: all collectives agree")
