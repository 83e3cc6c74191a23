"""Random programs: nested loops and branches that write tables in place, through every transformation.

``WEFT_RANDOM_PROGRAMS=500:2000`` tries a tenth of these seeds instead of the usual ones.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from derivative_checks import check_both, check_jvp, check_vjp, inexact
from ir_programs import P, at, c, for_, if_, map_, while_
from test_simplify import check_same
from test_unparse import VEC, N, build, check_text, randoms

from weft.ir.builder import current
from weft.ir.interpret import evaluate
from weft.ir.nodes import At, lit
from weft.ir.sizes import dim
from weft.ir.types import f64, i64, scalar
from weft.ir.verify import verify

FIRST, _, LAST = os.environ.get("WEFT_RANDOM_PROGRAMS", "").partition(":")
SEEDS = range(int(FIRST), int(LAST), 10) if LAST else [*range(40), 219, 854, 864, 893]


class Generator:
    """Emits random statements over the floats, arrays and integers in scope; values stay of order one."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.budget = 14

    def pick(self, items):
        return items[self.rng.integers(len(items))]

    def index(self, ints):
        i = self.pick(ints)
        kind = self.rng.integers(4)
        if kind == 0:
            return P.mod(P.add(i, int(self.rng.integers(4))), N)
        if kind == 1:
            return P.mod(P.mul(i, 3), N)
        if kind == 2:
            return lit(int(self.rng.integers(2)))
        return P.sub(P.sub(current().size_value(dim(N)), 1), P.mod(i, N))

    def block(self, floats, arrays, ints, depth):
        floats, arrays, ints = list(floats), list(arrays), list(ints)
        for _ in range(self.rng.integers(2, 5)):
            if self.budget <= 0:
                break
            self.budget -= 1
            self.statement(floats, arrays, ints, depth)
        return floats, arrays

    def statement(self, floats, arrays, ints, depth):
        rng = self.rng
        kind = rng.integers(10 if depth < 3 else 5)
        if kind == 0:
            floats.append(P.sin(P.mul(self.pick(floats), P.add(self.pick(floats), c(0.5)))))
        elif kind == 1:
            floats.append(at(self.pick(arrays), self.index(ints)))
        elif kind == 2:
            k = rng.integers(len(arrays))
            arrays[k] = P.store(arrays[k], P.cos(self.pick(floats)), self.index(ints), spec=(At(),), mode="check")
        elif kind == 3:
            k = rng.integers(len(arrays))
            v = P.mul(self.pick(floats), c(0.3))
            arrays[k] = P.accum(arrays[k], v, self.index(ints), spec=(At(),), mode="check")
        elif kind == 4:
            k = rng.integers(len(arrays))
            arrays[k] = P.sin(P.mul(arrays[k], self.pick([*arrays, *floats])))
        elif kind in (5, 6):
            self.for_loop(floats, arrays, ints, depth)
        elif kind == 7:
            self.branch(floats, arrays, ints, depth)
        elif kind == 8:
            self.while_loop(floats, arrays, ints, depth)
        else:
            self.map_lanes(floats, arrays, ints, depth)

    def carries(self, floats, arrays):
        fs = sorted(self.rng.choice(len(floats), size=min(len(floats), self.rng.integers(1, 3)), replace=False))
        as_ = [k for k in range(len(arrays)) if self.rng.random() < 0.7]
        return fs, as_

    def nexts(self, inner_floats, inner_arrays, fs, as_):
        """Next carries: late floats, and the arrays, at times in another order."""
        out = [inner_floats[-1 - j] for j in range(len(fs))]
        order = list(as_)
        if self.rng.random() < 0.25:
            order.reverse()
        return out + [inner_arrays[k] for k in order]

    def enter(self, floats, arrays, fs, as_, new):
        inner_floats = [*floats, *new[: len(fs)]]
        inner_arrays = list(arrays)
        for k, a in zip(as_, new[len(fs) :]):
            inner_arrays[k] = a
        return inner_floats, inner_arrays

    def leave(self, floats, arrays, fs, as_, outs):
        for k, o in zip(fs, outs):
            floats[k] = o
        for k, o in zip(as_, outs[len(fs) :]):
            arrays[k] = o

    def for_loop(self, floats, arrays, ints, depth):
        fs, as_ = self.carries(floats, arrays)
        small = [i for i in ints if i in self.counters]
        trips = [dim(N), dim(N) - 1, 3, *[dim(i) for i in small]]

        def body(k, *new):
            self.counters.append(k)
            f, a = self.block(*self.enter(floats, arrays, fs, as_, new), [*ints, k], depth + 1)
            collected = [f[-1]] if self.rng.random() < 0.3 else []
            self.counters.remove(k)
            return self.nexts(f, a, fs, as_), collected

        inits = [floats[k] for k in fs] + [arrays[k] for k in as_]
        trip = self.pick(trips)
        outs = for_(trip, inits, body, reverse=bool(self.rng.random() < 0.3))
        self.leave(floats, arrays, fs, as_, outs)
        if len(outs) > len(inits) and self.rng.random() < 0.8:
            floats.append(P.sin(P.reduce_sum(outs[-1], axes=(0,))))

    def while_loop(self, floats, arrays, ints, depth):
        fs, as_ = self.carries(floats, arrays)
        limit = P.add(P.mod(self.pick(ints), 3), 1)

        def body(t, *new):
            f, a = self.block(*self.enter(floats, arrays, fs, as_, new), [*ints, t], depth + 1)
            return [P.add(t, 1), *self.nexts(f, a, fs, as_)]

        inits = [lit(0)] + [floats[k] for k in fs] + [arrays[k] for k in as_]
        outs = while_(inits, lambda t, *rest: P.lt(t, limit), body)
        self.leave(floats, arrays, fs, as_, outs[1 : len(inits)])

    def branch(self, floats, arrays, ints, depth):
        fs, as_ = self.carries(floats, arrays)
        pred = P.gt(self.pick(floats), c(float(self.rng.normal()) * 0.3))

        def side():
            f, a = self.block(floats, arrays, ints, depth + 1)
            return [f[-1 - j] for j in range(len(fs))] + [a[k] for k in as_]

        self.leave(floats, arrays, fs, as_, if_(pred, side, side))

    def map_lanes(self, floats, arrays, ints, depth):
        k = int(self.rng.integers(len(arrays)))
        target = arrays[k]

        def lane(i, acc):
            self.counters.append(i)
            others = [a for j, a in enumerate(arrays) if j != k] or [P.cos(target)]
            f, _ = self.block(floats, others, [*ints, i], depth + 1)
            self.counters.remove(i)
            return [P.accum(acc, P.mul(f[-1], c(0.2)), self.index([*ints, i]), spec=(At(),), mode="check")], [f[-1]]

        acc, y = map_([dim(N)], [target], lane)
        arrays[k] = acc
        arrays.append(P.sin(y))

    def function(self):
        self.counters = []

        def make(x, y, s, n):
            f, a = self.block([s, c(0.7)], [x, y], [n], 0)
            while self.budget > 0:
                f, a = self.block(f, a, [n], 0)
            return [f[-1], *a[:3]]

        return build([VEC, VEC, scalar(f64), scalar(i64)], make, names=["x", "y", "s", "n"])


@pytest.mark.parametrize("seed", SEEDS)
def test_random_programs(seed):
    f = verify(Generator(seed).function())
    rng = np.random.default_rng(seed)
    args = (rng.normal(size=4), rng.normal(size=4), np.float64(rng.normal()), np.int64(2))
    active = (True, True, True, False)
    check_same(f, args)
    check_text(f, args)
    _, g = check_both(f, args, active, tol=1e-4)
    more = (*args, *randoms(rng, evaluate(f, *args)))
    clean = check_same(g, more)
    check_text(clean, more)
    j = check_jvp(clean, more, inexact(clean), tol=1e-3)
    check_vjp(clean, more, inexact(clean), j)
