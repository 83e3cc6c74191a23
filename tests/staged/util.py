"""Staging by hand: run a Python function over staged arguments, check the IR, interpret it."""

from __future__ import annotations

import numpy as np

import weft.staged.indexing  # noqa: F401
from weft.ir.interpret import evaluate
from weft.ir.nodes import Function, Renamer, Var, lit
from weft.ir.sizes import Dim, dim, equalities
from weft.ir.types import ArrayType
from weft.ir.verify import verify
from weft.numpy.registry import NUMPY
from weft.staged.context import Context
from weft.staged.value import PY_DTYPES, Staged, lift, wrap


class Staging:
    """One function staged for example arguments."""

    def __init__(self, fn, *args, flavour="np", symbolic=True):
        self.ctx = ctx = Context()
        params, sizes, staged = [], [], []
        for k, a in enumerate(args):
            if type(a) in PY_DTYPES:
                v = Var(ArrayType(PY_DTYPES[type(a)]), f"a{k}")
                if isinstance(a, int) and not isinstance(a, bool):
                    ctx.hints[v] = a
                params.append(v)
                staged.append(wrap(v, "py"))
                continue
            a = np.asarray(a)
            shape = []
            for axis, n in enumerate(a.shape):
                if n < 2 or not symbolic:
                    shape.append(n)
                    continue
                s = Var(ArrayType(np.dtype(np.int64)), f"n{k}{axis}")
                ctx.hints[s] = n
                ctx.shapes.add(s)
                sizes.append((s, k, axis))
                shape.append(dim(s))
            v = Var(ArrayType(a.dtype, tuple(shape)), f"a{k}")
            params.append(v)
            staged.append(wrap(v, flavour))
        self.args = staged
        self.results = []
        with ctx, ctx.builder.scope(params) as block, equalities(ctx.resolve):
            out = fn(*staged)
            self.tree = out
            flat = []
            self.paths = collect(out, flat)
            self.flat = flat
            self.written = [k for k, s in enumerate(staged) if s.cell is not None and s.cell.atom is not params[k]]
            block.results = tuple([v.atom for v in flat]) + tuple([staged[k].cell.atom for k in self.written])
            self.static = out
            self.function = verify(self.resolved(Function("f", block, tuple(sizes))))

    def resolved(self, f):
        """The function with what was learnt of sizes put in."""
        ctx = self.ctx
        kept, atoms = [], {}
        for v, p, axis in f.sizes:
            size = ctx.resolve(dim(v))
            if size == dim(v):
                kept.append((v, p, axis))
            elif isinstance(size, int):
                atoms[v] = lit(size)
        later = {v: ctx.resolve(dim(v)) for v, _, _ in f.sizes if isinstance(ctx.resolve(dim(v)), Dim)}

        class Resolving(Renamer):
            def static(self, value):
                if isinstance(value, Dim):
                    value = ctx.resolve(value)
                return super().static(value)

            def atom(self, a):
                if a in later and later[a].var is not None:
                    a = later[a].var
                return super().atom(a)

        return Resolving(atoms).function(Function(f.name, f.body, tuple(kept)))

    def run(self, *args):
        values = evaluate(self.function, *args)
        n = len(self.flat)
        return rebuild(self.paths, list(values[:n])), dict(zip(self.written, values[n:], strict=True))


def collect(x, flat):
    if isinstance(x, Staged):
        flat.append(x)
        return len(flat) - 1
    if isinstance(x, tuple | list):
        return [collect(v, flat) for v in x]
    if isinstance(x, np.ndarray) or np.isscalar(x):
        flat.append(lift(x))
        return len(flat) - 1
    return ("static", x)


def rebuild(paths, values):
    if isinstance(paths, int):
        return values[paths]
    if isinstance(paths, list):
        return [rebuild(p, values) for p in paths]
    return paths[1]


class StagedNumpy:
    """`np`, with functions replaced by their implementations as the frontend replaces them."""

    def __init__(self, module=np):
        self._module = module

    def __getattr__(self, name):
        v = getattr(self._module, name)
        if isinstance(v, np.ufunc):
            return StagedUfunc(v)
        if isinstance(v, type) and v in NUMPY:
            return StagedType(v)
        if type(v).__name__ == "module":
            return StagedNumpy(v)
        try:
            return NUMPY.get(v, v)
        except TypeError:
            return v


class StagedType:
    """A dtype: called it converts, else it names the dtype."""

    def __init__(self, kind):
        self.dtype = np.dtype(kind)
        self.kind = kind

    def __call__(self, *args):
        return NUMPY[self.kind](*args)


class StagedUfunc:
    def __init__(self, uf):
        self.uf = uf

    def __call__(self, *args, **kwargs):
        return NUMPY[self.uf](*args, **kwargs)

    def __getattr__(self, name):
        return NUMPY[getattr(self.uf, name)]


snp = StagedNumpy()


def copied(args):
    return [a.copy() if isinstance(a, np.ndarray) else a for a in args]


def same(got, want, rtol=1e-12, atol=1e-12, where=""):
    if isinstance(want, tuple | list):
        assert len(got) == len(want), (where, got, want)
        for g, w in zip(got, want, strict=True):
            same(g, w, rtol, atol, where)
        return
    g, w = np.asarray(got), np.asarray(want)
    assert g.dtype == w.dtype, f"{where}: dtype {g.dtype}, NumPy has {w.dtype}"
    assert g.shape == w.shape, f"{where}: shape {g.shape}, NumPy has {w.shape}"
    if w.dtype in (np.float32, np.complex64):
        rtol = max(rtol, 2e-6)
    if w.dtype == np.float16:
        rtol, atol = max(rtol, 2e-3), max(atol, 1e-3)
    np.testing.assert_allclose(g, w, rtol=rtol, atol=atol, err_msg=where)


def check(fn, *args, flavour="np", symbolic=True, rtol=1e-12, atol=1e-12):
    """Stage ``fn(np, *args)`` and compare value, dtype and the written arguments with NumPy's."""
    with np.errstate(all="ignore"):
        mine = copied(args)
        want = fn(np, *mine)
        s = Staging(lambda *xs: fn(snp, *xs), *args, flavour=flavour, symbolic=symbolic)
        got, written = s.run(*copied(args))
    same(got, want, rtol, atol, "result")
    for k, a in enumerate(args):
        if isinstance(a, np.ndarray):
            final = written.get(k, a)
            same(final, mine[k], rtol, atol, f"argument {k} after the call")
    return s
