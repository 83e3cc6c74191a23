"""Random IR programs: stores through overlapping slices, loops that carry arrays, branches, maps, reductions."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

import weft.primitives  # noqa: F401
from weft.ir.builder import Builder
from weft.ir.nodes import At, Atom, Function, Gather, Span, Var, lit
from weft.ir.primitive import REGISTRY
from weft.ir.sizes import dim
from weft.ir.types import ArrayType, bool_, f64, i64, scalar
from weft.ir.verify import verify


def prim(name: str) -> Any:
    return REGISTRY[name]


class Generator:
    """Makes one function of parameters ``A, B: f64[n]``, ``M: f64[n, m]``, ``s: f64``, ``k: i64``."""

    def __init__(self, rng: random.Random, size: int = 8) -> None:
        self.rng = rng
        self.size = size
        self.n, self.m = Var(scalar(i64), "n"), Var(scalar(i64), "m")
        self.vec = ArrayType(f64, (dim(self.n),))
        self.mat = ArrayType(f64, (dim(self.n), dim(self.m)))

    def function(self) -> Function:
        rng = self.rng
        params = (
            Var(self.vec, "A"), Var(self.vec, "B"), Var(self.mat, "M"), Var(scalar(f64), "s"), Var(scalar(i64), "k"),
        )  # fmt: skip
        with Builder() as b:
            self.b = b
            with b.scope(params) as block:
                env: list[Atom] = list(params)
                self.statements(env, self.size, 0)
                arrays = [v for v in env if v.type == self.vec]
                mats = [v for v in env if v.type == self.mat]
                scalars = [v for v in env if v.type == scalar(f64)]
                results = [arrays[-1], rng.choice(arrays), mats[-1], scalars[-1], rng.choice(arrays)]
                block.results = tuple(results)
        updates: dict[int, int] = {}
        if rng.random() < 0.6:
            updates[0] = 0
            if rng.random() < 0.5:
                updates[1] = 1
            if rng.random() < 0.5:
                updates[2] = 2
        return verify(Function("program", block, ((self.n, 0, 0), (self.m, 2, 1)), updates))

    def pick(self, env: list[Atom], t: ArrayType) -> Atom:
        found = [v for v in env if v.type == t]
        # recent ones more often, so that chains form
        return self.rng.choice(found[-3:] if self.rng.random() < 0.6 else found)

    def statements(self, env: list[Atom], count: int, depth: int) -> None:
        for _ in range(count):
            self.statement(env, depth)

    def statement(self, env: list[Atom], depth: int) -> None:
        kinds = (
            ["map1"] * 3 + ["store"] * 5 + ["element", "set", "reduce", "matrix", "row", "scalar", "gather", "matstore"]
        )
        if depth < 2:
            kinds += ["for"] * 2 + ["if"] * 2 + ["while", "map", "for"]
        getattr(self, "do_" + self.rng.choice(kinds))(env, depth)

    # -- arithmetic ------------------------------------------------------------------------------------------------

    def combine(self, x: Atom, y: Atom) -> Atom:
        r = self.rng.randrange(5)
        if r == 0:
            return prim("add")(prim("mul")(x, lit(0.5, f64)), y)
        if r == 1:
            return prim("sub")(x, prim("mul")(y, lit(0.25, f64)))
        if r == 2:
            return prim("maximum")(x, y)
        if r == 3:
            return prim("select")(prim("lt")(x, y), prim("add")(x, lit(0.125, f64)), y)
        return prim("mul")(prim("add")(x, y), lit(0.5, f64))

    def do_map1(self, env: list[Atom], depth: int) -> None:
        t = self.rng.choice([self.vec, self.vec, self.mat])
        y = self.pick(env, t if self.rng.random() < 0.8 else scalar(f64))
        out = self.combine(self.pick(env, t), y)
        if self.rng.random() < 0.2:
            out = prim("cos")(out)
        env.append(out)

    def do_scalar(self, env: list[Atom], depth: int) -> None:
        env.append(self.combine(self.pick(env, scalar(f64)), self.pick(env, scalar(f64))))

    # -- parts -----------------------------------------------------------------------------------------------------

    def slice(self, x: Atom, start: int, reverse: bool = False) -> Atom:
        n = dim(self.n) - 2
        if reverse:
            first = self.b.size_value(dim(self.n) - 3 + start)
            return prim("index")(x, first, spec=(Span(n, -1),), mode="fast")
        return prim("index")(x, start, spec=(Span(n),), mode="fast")

    def do_store(self, env: list[Atom], depth: int) -> None:
        rng = self.rng
        a = self.pick(env, self.vec)
        v = self.slice(self.pick([*env, a, a], self.vec), rng.randrange(3), rng.random() < 0.15)
        if rng.random() < 0.7:
            v = self.combine(v, self.slice(self.pick([*env, a, a], self.vec), rng.randrange(3)))
        if rng.random() < 0.15:
            v = self.pick(env, scalar(f64))
        if rng.random() < 0.15:
            env.append(v) if v.type == scalar(f64) else None
        spec = (Span(dim(self.n) - 2),)
        if rng.random() < 0.25:
            out = prim("accum")(a, v, rng.randrange(3), spec=spec, mode="fast")
            out = prim("mul")(out, lit(0.5, f64)) if rng.random() < 0.5 else out
        else:
            out = prim("store")(a, v, rng.randrange(3), spec=spec, mode="fast")
        env.append(out)

    def position(self, env: list[Atom]) -> Atom:
        i = self.pick(env, scalar(i64))
        return prim("mod")(i, self.n) if self.rng.random() < 0.7 else lit(self.rng.randrange(-2, 2))

    def do_element(self, env: list[Atom], depth: int) -> None:
        mode = self.rng.choice(["check", "wrap"])
        env.append(prim("index")(self.pick(env, self.vec), self.position(env), spec=(At(),), mode=mode))

    def do_set(self, env: list[Atom], depth: int) -> None:
        name = self.rng.choice(["store", "store", "accum"])
        a, v = self.pick(env, self.vec), self.pick(env, scalar(f64))
        env.append(prim(name)(a, v, self.position(env), spec=(At(),), mode="check"))

    def do_gather(self, env: list[Atom], depth: int) -> None:
        rng = self.rng
        i = prim("iota")(size=dim(self.n), dtype=i64)
        i = prim("mod")(prim("mul")(i, lit(rng.choice([1, 2, 3]))), self.n)
        if rng.random() < 0.3:
            i = prim("sub")(i, self.n)
        a = self.pick(env, self.vec)
        mode = rng.choice(["check", "wrap"])
        if rng.random() < 0.5:
            env.append(prim("index")(a, i, spec=(Gather(),), mode=mode))
        else:
            v = self.pick([*env, a], self.vec)
            out = prim(rng.choice(["store", "accum"]))(a, v, i, spec=(Gather(),), mode=mode)
            env.append(prim("mul")(out, lit(0.5, f64)))

    def do_reduce(self, env: list[Atom], depth: int) -> None:
        rng = self.rng
        r = rng.randrange(4)
        if r == 0:
            total = prim("reduce_max")(self.pick(env, self.vec), axes=(0,))
        elif r == 1:
            total = prim("reduce_sum")(self.pick(env, self.vec), axes=(0,))
            total = prim("div")(total, prim("cast")(self.n, dtype=f64))
        elif r == 2:
            total = prim("reduce_min")(self.pick(env, self.mat), axes=(1,))
        else:
            rows = prim("reduce_sum")(self.pick(env, self.mat), axes=(1,))
            total = prim("mul")(rows, lit(0.25, f64))
        env.append(total)

    def do_matrix(self, env: list[Atom], depth: int) -> None:
        spread = prim("broadcast")(self.pick(env, self.vec), shape=self.mat.shape, dims=(0,))
        env.append(self.combine(self.pick(env, self.mat), spread))

    def do_row(self, env: list[Atom], depth: int) -> None:
        x = self.pick(env, self.mat)
        column = prim("index")(x, 0, self.rng.choice([0, 1]), spec=(Span(dim(self.n)), At()), mode="fast")
        env.append(column)

    def do_matstore(self, env: list[Atom], depth: int) -> None:
        rng = self.rng
        a = self.pick(env, self.mat)
        r = rng.randrange(3)
        if r == 0:  # a column from another column
            v = prim("index")(
                self.pick([*env, a], self.mat), 0, rng.choice([0, 1]), spec=(Span(dim(self.n)), At()), mode="fast"
            )
            v = self.combine(v, self.pick(env, self.vec))
            out = prim("store")(a, v, 0, rng.choice([0, 1]), spec=(Span(dim(self.n)), At()), mode="fast")
        elif r == 1:  # a row from a row
            m = dim(self.m)
            v = prim("index")(self.pick([*env, a], self.mat), rng.choice([0, 1]), 0, spec=(At(), Span(m)), mode="fast")
            v = prim("mul")(v, self.pick(env, scalar(f64)))
            out = prim("store")(a, v, rng.choice([0, 1]), 0, spec=(At(), Span(m)), mode="fast")
            out = prim("maximum")(prim("minimum")(out, lit(4.0, f64)), lit(-4.0, f64)) if rng.random() < 0.5 else out
        else:  # shifted rows
            spec = (Span(dim(self.n) - 1), Span(dim(self.m)))
            v = prim("index")(self.pick([*env, a], self.mat), rng.choice([0, 1]), 0, spec=spec, mode="fast")
            out = prim("store")(a, v, rng.choice([0, 1]), 0, spec=spec, mode="fast")
        env.append(out)

    # -- control flow ----------------------------------------------------------------------------------------------

    def carries(self, env: list[Atom]) -> list[Atom]:
        kinds = [self.vec, self.vec, self.mat, scalar(f64), scalar(f64)]
        return [self.pick(env, self.rng.choice(kinds)) for _ in range(self.rng.randrange(1, 4))]

    def nexts(self, inner: list[Atom], params: list[Var]) -> list[Atom]:
        return [self.pick([v for v in inner if v.type == p.type][-4:], p.type) for p in params]

    def do_for(self, env: list[Atom], depth: int) -> None:
        rng = self.rng
        inits = self.carries(env)
        k = Var(scalar(i64), "t")
        params = [Var(i.type, i.name if isinstance(i, Var) else "") for i in inits]
        with self.b.scope((k, *params)) as body:
            inner = [*env, *params, k]
            self.statements(inner, rng.randrange(1, 4), depth + 1)
            body.results = tuple(self.nexts(inner, params))
            if rng.random() < 0.3:
                body.results += (self.pick(inner, self.vec),)
        trip = rng.choice([0, 1, 2, 3, dim(self.n) - 2])
        outs = self.b.for_(trip, inits, body, reverse=rng.random() < 0.3)
        env.extend(outs[: len(inits)])
        if len(outs) > len(inits):
            env.append(prim("reduce_max")(outs[-1], axes=(0,)) if trip not in (0,) else outs[0]) if trip != 0 else None

    def do_while(self, env: list[Atom], depth: int) -> None:
        rng = self.rng
        inits = [lit(0), *self.carries(env)]
        cond_params = [Var(i.type) for i in inits]
        with self.b.scope(cond_params) as cond:
            extra = prim("lt")(self.pick([*env, *cond_params], scalar(f64)), lit(3.0, f64))
            cond.results = (prim("bitand")(prim("lt")(cond_params[0], lit(rng.randrange(4))), extra),)
        params = [Var(i.type, i.name if isinstance(i, Var) else "") for i in inits]
        with self.b.scope(params) as body:
            inner = [*env, *params]
            self.statements(inner, rng.randrange(1, 4), depth + 1)
            body.results = (prim("add")(params[0], lit(1)), *self.nexts(inner, params[1:]))
            collect = rng.random() < 0.3
            if collect:
                body.results += (self.pick(inner, rng.choice([self.vec, scalar(f64)])),)
        outs = self.b.while_(inits, cond, body)
        env.extend(outs[1 : len(inits)])
        if collect:
            total = prim("reduce_sum")(outs[-1], axes=(0,))
            env.append(prim("mul")(total, lit(0.125, f64)))

    def do_if(self, env: list[Atom], depth: int) -> None:
        rng = self.rng
        x = self.pick(env, scalar(f64))
        pred = prim("lt")(x, lit(rng.choice([-0.5, 0.0, 0.5]), f64))
        types = [rng.choice([self.vec, self.vec, self.mat, scalar(f64)]) for _ in range(rng.randrange(1, 3))]
        blocks = []
        for _ in range(2):
            with self.b.scope() as block:
                inner = list(env)
                self.statements(inner, rng.randrange(0, 3), depth + 1)
                block.results = tuple(self.pick([v for v in inner if v.type == t][-3:], t) for t in types)
            blocks.append(block)
        env.extend(self.b.if_(pred, *blocks))

    def do_map(self, env: list[Atom], depth: int) -> None:
        rng = self.rng
        i = Var(scalar(i64), "i")
        accs: list[Atom] = [self.pick(env, self.vec)] if rng.random() < 0.4 else []
        params = [Var(a.type, "acc") for a in accs]
        with self.b.scope((i, *params)) as body:
            inner = [*env, i]
            inner.append(prim("index")(self.pick(env, self.vec), i, spec=(At(),), mode="check"))
            self.statements(inner, rng.randrange(1, 4), depth + 1)
            x = self.pick(inner[-4:] + [inner[-1]] if inner[-1].type == scalar(f64) else inner, scalar(f64))
            results: list[Atom] = []
            if accs:
                at = prim("mod")(prim("mul")(i, lit(2)), self.n)
                small = prim("mul")(x, lit(0.0625, f64))
                results.append(prim("accum")(params[0], small, at, spec=(At(),), mode="fast"))
            results.append(x)
            if rng.random() < 0.3:
                results.append(self.pick(inner, self.vec))
            body.results = tuple(results)
        outs = self.b.map_((dim(self.n),), accs, body)
        env.extend(o for o in outs if o.type == self.vec)
        if outs[-1].type.rank == 2:
            env.append(prim("reduce_min")(outs[-1], axes=(1,)))


def arguments(seed: int, n: int = 6, m: int = 4) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(n), rng.standard_normal(n), rng.standard_normal((n, m)), rng.standard_normal(), 3]


_ = bool_
