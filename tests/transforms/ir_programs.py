"""Programs in the IR that the derivative, simplifier and unparser tests share, built by hand.

Each is made by a function decorated with `program`, which gets the parameters and returns the results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import weft.primitives  # noqa: F401
from weft.ir.builder import Builder, current
from weft.ir.nodes import At, Atom, Function, Gather, Span, Var, lit
from weft.ir.primitive import REGISTRY
from weft.ir.sizes import dim
from weft.ir.types import ArrayType, f64, i64, scalar


class _Prims:
    def __getattr__(self, name: str) -> Any:
        return REGISTRY[name.rstrip("_")] if name not in REGISTRY else REGISTRY[name]


P = _Prims()


@dataclass
class Program:
    """A function with the arguments it is tested on; ``active`` says which of them are differentiated."""

    f: Function
    args: tuple[Any, ...]
    active: tuple[bool, ...]
    smooth: bool = True


PROGRAMS: dict[str, Callable[[], Program]] = {}


def symbol(name: str) -> Var:
    return Var(scalar(i64), name)


def program(
    *args: Any, sizes: Sequence[str] = (), names: Sequence[str] = (), active: Sequence[bool] | None = None
) -> Any:
    """Register a program. Sizes of array arguments become symbols: ``sizes[k]`` names the k-th different size."""

    def register(build: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
        def make() -> Program:
            bound: dict[int, Var] = {}
            where: list[tuple[Var, int, int]] = []
            params = []
            names_ = names or build.__code__.co_varnames
            for k, a in enumerate(args):
                a = np.asarray(a)
                shape: list[Any] = []
                for axis, n in enumerate(a.shape):
                    if n not in bound:
                        bound[n] = symbol("nmpqrstu"[len(bound)])
                        where.append((bound[n], k, axis))
                    shape.append(dim(bound[n]))
                params.append(Var(ArrayType(a.dtype, tuple(shape)), names_[k]))
            with Builder() as b, b.scope(params) as body:
                results = build(*params)
                body.results = tuple([b.atom(r) for r in results])
            f = Function(build.__name__, body, tuple(where), {})
            on = tuple(active) if active is not None else tuple([np.asarray(a).dtype.kind in "fc" for a in args])
            return Program(f, tuple([np.array(a)[()] for a in args]), on)

        PROGRAMS[build.__name__] = make
        return build

    return register


# -- statements --------------------------------------------------------------------------------------------------------


def for_(
    trip: Any, inits: Sequence[Any], body: Callable[..., Any], *, reverse: bool = False, names: Sequence[str] = ()
) -> Any:
    """``body(k, *carries) -> next carries`` or ``(next carries, collected)``."""
    b = current()
    atoms = [b.atom(i) for i in inits]
    k = Var(scalar(i64), "k")
    carries = [Var(a.type, names[j] if j < len(names) else _hint(a)) for j, a in enumerate(atoms)]
    with b.scope((k, *carries)) as block:
        out = body(k, *carries)
        nexts, collected = out if isinstance(out, tuple) and out and isinstance(out[0], list) else (list(out), [])
        block.results = tuple([b.atom(r) for r in (*nexts, *collected)])
    return b.for_(trip, atoms, block, reverse=reverse)


def while_(inits: Sequence[Any], cond: Callable[..., Any], body: Callable[..., Any], names: Sequence[str] = ()) -> Any:
    b = current()
    atoms = [b.atom(i) for i in inits]
    carries = [[Var(a.type, names[j] if j < len(names) else _hint(a)) for j, a in enumerate(atoms)] for _ in range(2)]
    with b.scope(carries[0]) as test:
        test.results = (b.atom(cond(*carries[0])),)
    with b.scope(carries[1]) as block:
        out = body(*carries[1])
        nexts, collected = out if isinstance(out, tuple) and out and isinstance(out[0], list) else (list(out), [])
        block.results = tuple([b.atom(r) for r in (*nexts, *collected)])
    return b.while_(atoms, test, block)


def if_(pred: Any, then: Callable[[], Sequence[Any]], orelse: Callable[[], Sequence[Any]]) -> Any:
    b = current()
    blocks = []
    for branch in (then, orelse):
        with b.scope() as block:
            block.results = tuple([b.atom(r) for r in branch()])
        blocks.append(block)
    return b.if_(b.atom(pred), *blocks)


def map_(sizes: Sequence[Any], inits: Sequence[Any], body: Callable[..., Any]) -> Any:
    """``body(*indices, *accumulators) -> (accumulators, elements)``."""
    b = current()
    atoms = [b.atom(i) for i in inits]
    indices = [Var(scalar(i64), "ijk"[d]) for d in range(len(sizes))]
    accs = [Var(a.type, _hint(a)) for a in atoms]
    with b.scope((*indices, *accs)) as block:
        new, elements = body(*indices, *accs)
        block.results = tuple([b.atom(r) for r in (*new, *elements)])
    return b.map_(sizes, atoms, block)


def _hint(a: Atom) -> str:
    return a.name if isinstance(a, Var) else ""


def at(a: Any, *idx: Any, mode: str = "check") -> Any:
    """``a[idx]`` at integers."""
    return P.index(a, *idx, spec=(At(),) * len(idx), mode=mode)


def put(a: Any, v: Any, *idx: Any, mode: str = "check") -> Any:
    """``a[idx] = v`` at integers."""
    return P.store(a, v, *idx, spec=(At(),) * len(idx), mode=mode)


def row(a: Any, i: Any) -> Any:
    """``a[i]`` of a matrix."""
    return P.index(a, i, 0, spec=(At(), Span(a.type.shape[1])), mode="check")


def full(v: Any, *shape: Any) -> Any:
    return P.broadcast(v, shape=tuple(shape), dims=())


def total(x: Any) -> Any:
    return P.reduce_sum(x, axes=tuple(range(x.type.rank)))


def size(x: Any, axis: int = 0) -> Any:
    return x.type.shape[axis]


def c(x: float) -> Any:
    return lit(x, f64)


rng = np.random.default_rng(0)
ones = np.ones

# -- scalar loops ------------------------------------------------------------------------------------------------------


@program(1.3, 2.1)
def straight(x, y):
    a = P.mul(P.sin(x), y)
    return [P.add(P.mul(a, a), P.div(x, y)), P.exp(a)]


@program(1.0, 1.5, 20.0, 10.0, 28.0, np.int64(12))
def lorenz_rk4(x, y, z, s, r, steps):
    h = c(0.01)

    def rate(x, y, z):
        dx = P.mul(s, P.sub(y, x))
        dy = P.sub(P.mul(x, P.sub(r, z)), y)
        dz = P.sub(P.mul(x, y), P.mul(c(8 / 3), z))
        return dx, dy, dz

    def step(k, x, y, z):
        k1 = rate(x, y, z)
        k2 = rate(*[P.add(u, P.mul(c(0.005), d)) for u, d in zip((x, y, z), k1)])
        k3 = rate(*[P.add(u, P.mul(c(0.005), d)) for u, d in zip((x, y, z), k2)])
        k4 = rate(*[P.add(u, P.mul(h, d)) for u, d in zip((x, y, z), k3)])
        out = []
        for u, a, b, d, e in zip((x, y, z), k1, k2, k3, k4):
            slope = P.add(P.add(a, P.mul(c(2.0), b)), P.add(P.mul(c(2.0), d), e))
            out.append(P.add(u, P.mul(c(0.01 / 6), slope)))
        return out

    return for_(dim(steps), [x, y, z], step, names="xyz")


@program(0.7, 1.9)
def swap(a, b):
    """The carries change places: parallel assignment."""
    a, b = for_(5, [a, b], lambda k, a, b: [P.add(b, c(0.1)), P.mul(a, b)], names="ab")
    return [P.sub(a, P.mul(c(2.0), b))]


@program(0.9)
def same_next(x):
    """Two carries with one next value, one of which is a captured variable."""
    a, b, d = for_(3, [x, c(1.0), c(2.0)], lambda k, a, b, d: [P.mul(a, b), P.mul(a, d), x], names=["a", "b", "d"])
    return [P.add(P.mul(a, b), d)]


@program(2.0)
def newton_sqrt(a):
    def cond(x):
        return P.gt(P.abs(P.sub(P.mul(x, x), a)), c(1e-12))

    x, trip = while_([a], cond, lambda x: [P.mul(c(0.5), P.add(x, P.div(a, x)))], names=["x"])
    return [x]


@program(1.7, np.int64(3))
def counted_while(x, n):
    """A while loop with a counter of its own, whose value the derivative needs."""

    def body(i, s):
        return [P.add(i, 1), P.add(P.mul(s, x), P.cast(P.mul(i, i), dtype=f64))]

    i, s, trip = while_([lit(2), c(1.0)], lambda i, s: P.lt(i, P.add(n, 2)), body, names=["i", "s"])
    return [P.mul(s, s)]


@program(1.1, np.int64(7))
def collatz_flags(x, n):
    """An early exit by a flag: ``if`` inside ``while``, both sides accumulate."""

    def cond(go, i, s):
        return P.logical_and(go, P.lt(i, n)) if "logical_and" in REGISTRY else P.bitand(go, P.lt(i, n))

    def body(go, i, s):
        odd = P.eq(P.mod(i, 2), 1)
        (s,) = if_(odd, lambda: [P.mul(s, x)], lambda: [P.add(s, P.sin(P.mul(s, x)))])
        return [P.lt(s, c(40.0)), P.add(i, 1), s]

    go, i, s, trip = while_([lit(True, np.dtype(bool)), lit(0), c(0.5)], cond, body, names=["go", "i", "s"])
    return [s]


# -- tables ------------------------------------------------------------------------------------------------------------


@program(rng.normal(size=6), rng.normal(size=6))
def dot_loop(x, y):
    (s,) = for_(size(x), [c(0.0)], lambda k, s: [P.add(s, P.mul(at(x, k), at(y, k)))], names=["s"])
    return [P.mul(s, s)]


@program(rng.normal(size=7))
def scan_products(x):
    """In-place prefix products: reads what earlier iterations wrote."""

    def body(k, x):
        return [put(x, P.mul(at(x, k), at(x, P.add(k, 1))), P.add(k, 1))]

    (x,) = for_(size(x) - 1, [x], body, names=["x"])
    return [x]


@program(rng.normal(size=(5, 6)), np.int64(3))
def gauss_seidel(A, steps):
    """An in-place linear stencil: nothing needs saving."""
    n, m = A.type.shape

    def cell(A, i, j):
        i, j = P.add(i, 1), P.add(j, 1)
        s = P.add(at(A, P.sub(i, 1), j), at(A, P.add(i, 1), j))
        s = P.add(s, P.add(at(A, i, P.sub(j, 1)), at(A, i, P.add(j, 1))))
        return put(A, P.mul(c(0.2), P.add(s, at(A, i, j))), i, j)

    def sweep(t, A):
        return for_(n - 2, [A], lambda i, A: for_(m - 2, [A], lambda j, A: [cell(A, i, j)], names="A"), names="A")

    return for_(dim(steps), [A], sweep, names="A")


@program(rng.normal(size=(4, 5)) * 0.3, np.int64(3))
def nonlinear_table(A, steps):
    """An in-place nonlinear recurrence over a 2-D table: scalars are saved, never the table."""
    n, m = A.type.shape

    def cell(A, i, j):
        up = at(A, i, j)
        v = P.sin(P.mul(up, at(A, P.add(i, 1), j)))
        return put(A, v, P.add(i, 1), j)

    def sweep(t, A):
        return for_(n - 1, [A], lambda i, A: for_(m, [A], lambda j, A: [cell(A, i, j)], names="A"), names="A")

    return for_(dim(steps), [A], sweep, names="A")


def _inner(a, di, dj):
    n, m = a.type.shape
    return P.index(a, 1 + di, 1 + dj, spec=(Span(n - 2), Span(m - 2)), mode="fast")


def _five(a):
    s = P.add(
        P.add(_inner(a, 0, 0), _inner(a, 0, -1)), P.add(_inner(a, 0, 1), P.add(_inner(a, 1, 0), _inner(a, -1, 0)))
    )
    return P.mul(c(0.2), s)


@program(rng.normal(size=(5, 6)), rng.normal(size=(5, 6)), np.int64(3))
def jacobi(A, B, steps):
    """Slices of two arrays written in place in turn."""
    n, m = A.type.shape
    spec = (Span(n - 2), Span(m - 2))

    def sweep(t, A, B):
        B = P.store(B, _five(A), 1, 1, spec=spec, mode="fast")
        A = P.store(A, _five(B), 1, 1, spec=spec, mode="fast")
        return [A, B]

    return for_(dim(steps), [A, B], sweep, names="AB")


@program(rng.normal(size=6), rng.normal(size=6), 0.3)
def several_arrays(u, v, g):
    """Two arrays in one loop, with a captured scalar and a carried one."""

    def body(k, u, v, s):
        a = at(u, k)
        u = put(u, P.mul(a, at(v, k)), k)
        s = P.add(s, P.mul(at(u, k), g))
        v = put(v, P.add(P.sin(s), a), P.sub(P.sub(size_of(v), 1), k))
        return [u, v, s]

    return for_(size(u), [u, v, c(1.0)], body, names=["u", "v", "s"])


def size_of(x: Any) -> Any:
    return current().size_value(x.type.shape[0])


@program(rng.normal(size=(4, 4)) + 4 * np.eye(4), rng.normal(size=4))
def forward_substitution(L, b):
    """Triangular: the inner loop's trip count is the outer counter."""

    def outer(i, x):
        (s,) = for_(dim(i), [at(b, i)], lambda j, s: [P.sub(s, P.mul(at(L, i, j), at(x, j)))], names=["s"])
        return [put(x, P.div(s, at(L, i, i)), i)]

    return for_(size(b), [full(c(0.0), *b.type.shape)], outer, names=["x"])


@program(rng.normal(size=5), 0.4)
def while_in_for(x, a):
    """A ragged inner loop: its trip count differs in each iteration."""

    def outer(k, s):
        v = P.add(P.abs(at(x, k)), c(1.0))

        def cond(y):
            return P.gt(P.abs(P.sub(P.mul(y, y), v)), c(1e-10))

        y, trip = while_([v], cond, lambda y: [P.mul(c(0.5), P.add(y, P.div(v, y)))], names=["y"])
        return [P.add(P.mul(s, a), y)]

    return for_(size(x), [c(1.0)], outer, names=["s"])


@program(rng.normal(size=6), 1.1, np.int64(4))
def if_for_while(x, a, n):
    """``if`` inside ``for`` inside ``while``, accumulating in place on both sides of the branch."""

    def sweep(t, x, s):
        def body(k, x, s):
            v = at(x, k)

            def yes():
                w = P.mul(v, P.cos(v))
                return [put(x, P.mul(w, a), k), P.add(s, P.mul(w, v))]

            def no():
                j = P.sub(P.sub(size_of(x), 1), k)
                return [P.accum(x, P.mul(v, P.mul(s, c(0.1))), j, spec=(At(),), mode="check"), s]

            return if_(P.gt(v, c(0.2)), yes, no)

        x, s = for_(size(x), [x, s], body, names=["x", "s"])
        return [P.add(t, 1), x, s]

    t, x, s, trip = while_([lit(0), x, c(0.3)], lambda t, x, s: P.lt(t, n), sweep, names=["t", "x", "s"])
    return [x, s]


@program(rng.normal(size=5), rng.normal(size=5))
def collects(x, y):
    """A loop with collected values, one of them used again by index."""

    def body(k, s):
        s = P.mul(P.add(s, at(x, k)), c(0.5))
        return [s], [P.mul(s, at(y, k)), s]

    s, ps, ss = for_(size(x), [c(0.2)], body, names=["s"], reverse=True)
    (t,) = for_(size(x), [s], lambda k, t: [P.add(t, P.mul(at(ps, k), at(ss, k)))], names=["t"])
    return [t, ps]


@program(rng.normal(size=(3, 4)), rng.normal(size=4))
def rows_loop(W, h):
    """Whole-array carries: h = tanh(W[k] * h)."""

    def body(k, h):
        return [P.tanh(P.mul(row(W, k), h))], [total(h)]

    h, sums = for_(size(W), [h], body, names=["h"])
    return [h, P.mul(sums, sums)]


@program(rng.normal(size=5), np.array([0, 3, 1, 1, 4, 2]))
def gather(x, idx):
    y = P.index(x, idx, spec=(Gather(),), mode="check")
    z = P.accum(P.mul(x, x), P.mul(y, y), idx, spec=(Gather(),), mode="check")
    return [z]


@program(rng.normal(size=4), np.int64(2))
def if_top(x, n):
    """A branch at the top with array results, local loops on one side."""

    def yes():
        (s,) = for_(size(x), [c(1.0)], lambda k, s: [P.mul(s, at(x, k))], names=["s"])
        return [P.mul(x, s), s]

    return if_(P.gt(n, 1), yes, lambda: [x, at(x, 0)])


# -- maps --------------------------------------------------------------------------------------------------------------


@program(rng.normal(size=(4, 5)), rng.normal(size=5), 0.7)
def map_matvec(A, x, g):
    """Lanes read captured arrays with an inner loop; a captured scalar."""

    def lane(i):
        (s,) = for_(size(A, 1), [c(0.0)], lambda j, s: [P.add(s, P.mul(at(A, i, j), at(x, j)))], names=["s"])
        return [], [P.mul(P.sin(s), g)]

    (y,) = map_([size(A)], [], lane)
    return [y, P.mul(g, total(y))]


@program(rng.normal(size=5), rng.normal(size=3))
def map_accumulate(x, h):
    """A map with an accumulator, an array and a scalar: a scatter of products, and their sum."""

    def lane(i, acc, s):
        v = P.mul(at(x, i), at(x, i))
        slot = P.mod(i, 3)
        return [P.accum(acc, P.mul(v, at(h, slot)), slot, spec=(At(),), mode="fast"), P.add(s, v)], [P.sin(v)]

    acc, s, e = map_([size(x)], [h, c(1.0)], lane)
    return [acc, s, e]


@program(rng.normal(size=(3, 4)))
def map_rows(A):
    """Lanes that yield arrays, over the result of a branch inside the lane."""

    def lane(i):
        r = row(A, i)
        s = total(r)
        (y,) = if_(P.gt(s, c(0.0)), lambda: [P.mul(r, s)], lambda: [P.exp(r)])
        return [], [y]

    return map_([size(A)], [], lane)


@program(1.2)
def map_newton(a):
    """A while in each lane."""

    def lane(i):
        v = P.mul(a, P.cast(P.add(i, 1), dtype=f64))

        def cond(y):
            return P.gt(P.abs(P.sub(P.mul(y, y), v)), c(1e-10))

        y, trip = while_([v], cond, lambda y: [P.mul(c(0.5), P.add(y, P.div(v, y)))], names=["y"])
        return [], [y]

    return map_([4], [], lane)


@program(rng.normal(size=6))
def masked(x):
    """Sizes computed at run time: x[x > 0] ** 2."""
    count, idx = P.mask_indices(P.gt(x, c(0.0)))
    y = P.index(x, idx, spec=(Gather(),), mode="fast")
    return [P.mul(y, y), total(P.sin(y))]


@program(rng.normal(size=(3, 3)), rng.normal(size=3), np.int64(3))
def map_in_for(A, x, n):
    """A map inside a loop: each step's vector is saved whole."""

    def step(t, x):
        def lane(i):
            (s,) = for_(3, [c(0.0)], lambda j, s: [P.add(s, P.mul(at(A, i, j), at(x, j)))], names=["s"])
            return [], [P.tanh(s)]

        return map_([size(A)], [], lane)

    return for_(dim(n), [x], step, names=["x"])


@program(rng.normal(size=(5, 5)) * 0.5)
def triangle_table(D):
    """A recurrence over the lower triangle of a table, in place: ragged inner loops."""

    def outer(i, D):
        def inner(j, D):
            a = at(D, P.sub(i, 1), j)
            b = at(D, i, P.sub(j, 1), mode="wrap")
            return [put(D, P.add(at(D, i, j), P.sin(P.mul(a, b))), i, j)]

        return for_(dim(i), [D], inner, names="D")

    return for_(size(D), [D], outer, names="D")


@program(rng.normal(size=(4, 4)) + 4 * np.eye(4))
def lu(A):
    """LU decomposition in place, without pivoting."""
    n = size(A)

    def step(k, A):
        def rows(i, A):
            i = P.add(P.add(k, 1), i)
            A = put(A, P.div(at(A, i, k), at(A, k, k)), i, k)

            def cols(j, A):
                j = P.add(P.add(k, 1), j)
                return [put(A, P.sub(at(A, i, j), P.mul(at(A, i, k), at(A, k, j))), i, j)]

            return for_(n - dim(k) - 1, [A], cols, names="A")

        return for_(n - dim(k) - 1, [A], rows, names="A")

    return for_(n, [A], step, names="A")


@program(rng.normal(size=6), rng.normal(size=6), np.array([0, 2, 3, 6]), np.array([1, 0, 2, 0, 1, 2]))
def sparse_rows(vals, x, start, cols):
    """Rows of a sparse matrix: trip counts from data, and a vector written in place that inner loops read."""

    def outer(i, x):
        lo, hi = at(start, i), at(start, P.add(i, 1))
        trip = P.maximum(P.sub(hi, lo), 0)

        def inner(p, s):
            p = P.add(lo, p)
            return [P.add(s, P.mul(at(vals, p), at(x, at(cols, p))))]

        (s,) = for_(dim(trip), [c(0.0)], inner, names="s")
        return [put(x, P.tanh(s), i)]

    return for_(3, [x], outer, names="x")


@program(rng.normal(size=(3, 4)), rng.normal(size=4), 0.6)
def map_scatter_loop(A, x, g):
    """An accumulator that flows through a loop and a branch inside the lane, and a map inside the lane."""

    def lane(i, acc):
        def inner(j, acc, s):
            v = P.mul(at(A, i, j), at(x, j))
            (acc,) = if_(
                P.gt(v, c(0.0)),
                lambda: [P.accum(acc, P.mul(v, g), j, spec=(At(),), mode="check")],
                lambda: [acc],
            )
            return [acc, P.add(s, P.sin(v))]

        acc, s = for_(size(x), [acc, c(0.0)], inner, names=["acc", "s"])
        (z,) = map_([size(x)], [], lambda j: ([], [P.mul(P.mul(at(x, j), s), at(A, i, j))]))
        return [acc], [P.mul(z, z), s]

    return map_([size(A)], [x], lane)
