"""vmap of random programs: every kind of statement inside every other, one and two deep."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ir_programs import P, at, c, for_, if_, map_, put, total, while_
from test_batch import check, function, lanes_of, vector

from weft.ir.builder import current
from weft.ir.nodes import At, Gather, lit
from weft.ir.sizes import dim
from weft.ir.types import bool_, f64, i64, scalar
from weft.transforms.batch import batch

N = 3
TYPES = [scalar(f64), vector(N), scalar(i64), scalar(bool_), scalar(f64)]
ARGS = [0.7, np.array([0.3, -0.8, 1.2]), np.int64(3), np.bool_(True), -0.4]


class Writer:
    """Emits random statements; values stay bounded, so that rounding does not grow."""

    def __init__(self, draw):
        self.draw = draw
        self.budget = 25

    def pick(self, options):
        return self.draw(st.sampled_from(list(options)))

    def block(self, pool, depth, count):
        """Emit statements; ``pool`` holds the values in scope by kind: s, v, i, b."""
        pool = {k: list(vs) for k, vs in pool.items()}
        for _ in range(self.draw(st.integers(1, count))):
            self.budget -= 1
            if self.budget < 0:
                break
            kinds = ["unary", "binary", "reduce", "spread", "read", "write", "compare", "integer", "mask", "ragged"]
            if depth:
                kinds += ["for", "while", "if", "map", "accumulate"] * 2
            getattr(self, self.pick(kinds))(pool, depth)
        return pool

    def some(self, pool, kind):
        return self.pick(pool[kind])

    def unary(self, pool, depth):
        kind = self.pick("sv")
        pool[kind].append(self.pick([P.sin, P.tanh, P.neg, P.abs])(self.some(pool, kind)))

    def binary(self, pool, depth):
        a, b = self.some(pool, "s"), self.some(pool, self.pick("sv"))
        out = self.pick([P.mul, P.add, P.maximum])(a, b)
        pool["v" if out.type.rank else "s"].append(P.tanh(out))

    def reduce(self, pool, depth):
        pool["s"].append(P.tanh(total(self.some(pool, "v"))))

    def spread(self, pool, depth):
        pool["v"].append(P.broadcast(self.some(pool, "s"), shape=(N,), dims=()))

    def read(self, pool, depth):
        pool["s"].append(at(self.some(pool, "v"), P.mod(self.some(pool, "i"), N)))

    def write(self, pool, depth):
        pool["v"].append(put(self.some(pool, "v"), self.some(pool, "s"), P.mod(self.some(pool, "i"), N)))

    def compare(self, pool, depth):
        pool["b"].append(P.gt(self.some(pool, "s"), self.some(pool, "s")))

    def integer(self, pool, depth):
        pool["i"].append(P.mod(P.add(self.some(pool, "i"), self.some(pool, "i")), 4))

    def mask(self, pool, depth):
        count, idx = P.mask_indices(P.gt(self.some(pool, "v"), self.some(pool, "s")))
        picked = P.index(self.some(pool, "v"), idx, spec=(Gather(),), mode="fast")
        inner = self.block(pool, 0, 2)
        pool["s"] += [P.tanh(total(picked)), inner["s"][-1]]
        pool["i"].append(count)

    def ragged(self, pool, depth):
        n = current().atom(self.some(pool, "i"))
        size = int(n.value) if not hasattr(n, "id") else dim(n)
        pool["s"].append(P.tanh(total(P.broadcast(self.some(pool, "s"), shape=(size,), dims=()))))

    def carried(self, pool):
        kinds = self.draw(st.lists(st.sampled_from("svi"), min_size=1, max_size=3))
        return kinds, [self.some(pool, k) for k in kinds]

    def inside(self, pool, kinds, values, depth):
        inner = {k: list(vs) for k, vs in pool.items()}
        for k, v in zip(kinds, values):
            inner[k].append(v)
        return self.block(inner, depth - 1, 4)

    def for_(self, pool, depth):
        kinds, inits = self.carried(pool)
        n = current().atom(self.some(pool, "i"))
        trip = 2 if not hasattr(n, "id") or self.pick([True, False]) else dim(n)

        def body(k, *carries):
            inner = self.inside(pool, [*kinds, "i"], [*carries, k], depth)
            return [self.some(inner, kind) for kind in kinds], [self.some(inner, self.pick("sv"))]

        outs = for_(trip, inits, body, reverse=self.pick([False, True]))
        for k, o in zip(kinds, outs):
            pool[k].append(o)
        pool["s"].append(P.tanh(P.reduce_sum(outs[-1], axes=tuple(range(outs[-1].type.rank)))))

    def while_(self, pool, depth):
        kinds, inits = self.carried(pool)
        limit = self.some(pool, "i")

        def cond(n, *carries):
            return P.lt(n, limit)

        def body(n, *carries):
            inner = self.inside(pool, kinds, carries, depth)
            return [P.add(n, 1), *[self.some(inner, kind) for kind in kinds]], [self.some(inner, "s")]

        n, *rest = while_([lit(0), *inits], cond, body)
        for k, o in zip(kinds, rest):
            pool[k].append(o)
        pool["i"].append(n)
        pool["s"].append(P.tanh(total(rest[-1])))

    def if_(self, pool, depth):
        kinds = self.draw(st.lists(st.sampled_from("svi"), min_size=1, max_size=3))

        def branch():
            inner = self.inside(pool, [], [], depth)
            return [self.some(inner, k) for k in kinds]

        for k, o in zip(kinds, if_(self.some(pool, "b"), branch, branch)):
            pool[k].append(o)

    def map(self, pool, depth):
        def body(i):
            inner = self.inside(pool, ["i"], [i], depth)
            return [], [self.some(inner, "s"), self.some(inner, "v")]

        vec, mat = map_([N], [], body)
        pool["v"] += [vec, P.tanh(P.reduce_sum(mat, axes=(0,)))]

    def accumulate(self, pool, depth):
        def body(i, s, v):
            inner = self.inside(pool, ["i"], [i], depth)
            at_ = P.mod(self.some(inner, "i"), N)
            return [
                P.add(s, self.some(inner, "s")), P.accum(v, self.some(inner, "s"), at_, spec=(At(),), mode="fast")
            ], []  # fmt: skip

        s, v = map_([N], [self.some(pool, "s"), self.some(pool, "v")], body)
        pool["s"].append(P.tanh(s))
        pool["v"].append(P.tanh(v))


for _name in ("for", "while", "if"):
    setattr(Writer, _name, getattr(Writer, _name + "_"))


def program(draw):
    def emit(s, v, i, b, t):
        w = Writer(draw)
        pool = w.block({"s": [s, t, c(0.5)], "v": [v], "i": [i, lit(1)], "b": [b]}, 3, 6)
        return [pool["s"][-1], pool["v"][-1], pool["i"][-1], pool["b"][-1]]

    return function(TYPES, emit)


flags = st.tuples(*[st.booleans()] * len(TYPES)).filter(any)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), flags)
def test_random_programs(data, on):
    f = program(data.draw)
    check(f, lanes_of(ARGS, on, 3), on)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), flags, flags)
def test_random_programs_two_deep(data, inner, outer):
    f = program(data.draw)
    g, _ = batch(f, inner)
    check(g, lanes_of(lanes_of(ARGS, inner, 3, 1), outer, 2, 2), outer, 2)
