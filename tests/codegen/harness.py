"""Compiles and runs lowered functions through a context made with ctypes, apart from weft's own runtime."""

from __future__ import annotations

import ctypes as C
import functools
import hashlib
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from weft.codegen import cpp
from weft.ir.nodes import Function
from weft.ir.types import SHORT
from weft.lowering import lower
from weft.lowering.loops import Program
from weft.runtime import hostcalls

ROOT = Path(__file__).resolve().parents[2]
FLAGS = (
    "-std=gnu++17 -O2 -ftree-vectorize -march=native -fPIC -fvisibility=hidden -fwrapv -fno-math-errno "
    "-fno-trapping-math -ffp-contract=off -fno-exceptions -fno-rtti -fopenmp-simd -w"
).split()
NUMBERS = {d.num: d for d in SHORT}
STUB = '\nextern "C" void* weft_bind_module(const WeftArtifact* a) { return (void*)a; }\n'


class View(C.Structure):
    _fields_ = [("data", C.c_void_p), ("dtype", C.c_int), ("rank", C.c_int), ("dims", C.POINTER(C.c_longlong))]


BODY = C.CFUNCTYPE(None, C.c_void_p, C.c_longlong, C.c_longlong)
I64, PTR, INT = C.c_longlong, C.c_void_p, C.c_int
TYPES = {
    "alloc": C.CFUNCTYPE(PTR, PTR, I64),
    "release": C.CFUNCTYPE(None, PTR, PTR),
    "result": C.CFUNCTYPE(PTR, PTR, INT, INT, C.POINTER(I64)),
    "host": C.CFUNCTYPE(INT, PTR, INT, INT, C.POINTER(View)),
    "parallel": C.CFUNCTYPE(None, PTR, I64, I64, BODY, PTR),
    "gemm": C.CFUNCTYPE(INT, PTR, INT, INT, INT, I64, I64, I64, PTR, I64, PTR, I64, PTR, I64, INT),
}


class Context(C.Structure):
    _fields_ = list(TYPES.items())


class Artifact(C.Structure):
    _fields_ = [
        ("abi", INT), ("name", C.c_char_p), ("meta", C.c_char_p), ("count", INT), ("names", PTR),
        ("entries", C.POINTER(C.c_void_p)),
    ]  # fmt: skip


ENTRY = C.CFUNCTYPE(INT, C.POINTER(Context), C.POINTER(PTR), C.POINTER(PTR), C.POINTER(I64))


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="weft-test-")


def build(text: str, flags: list[str] = FLAGS) -> Any:
    """The entry of a generated file."""
    name = "m" + hashlib.sha256((text + " ".join(flags)).encode()).hexdigest()[:16]
    folder = Path(_folder().name)
    out = folder / f"{name}.so"
    if not out.exists():
        source = folder / f"{name}.cpp"
        source.write_text(text.replace("@HASH@", name) + STUB)
        command = ["g++", *flags, f"-I{ROOT / 'csrc' / 'kernels'}", "-shared", str(source), "-o", str(out), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:3000] + "\n" + text
    lib = C.CDLL(str(out))
    init = getattr(lib, f"PyInit_{name}")
    init.restype = C.POINTER(Artifact)
    return ENTRY(init().contents.entries[0])


class Run:
    """One call: its memory, results and host functions."""

    def __init__(self, program: Program, fail_alloc_at: int = -1) -> None:
        self.program = program
        self.kept: list[Any] = []
        self.results: dict[int, np.ndarray] = {}
        self.error: BaseException | None = None
        self.allocs = 0
        self.fail_at = fail_alloc_at
        self.live: set[int] = set()
        self.callbacks = {n: t(getattr(self, n)) for n, t in TYPES.items()}
        self.context = Context(**self.callbacks)

    def alloc(self, ctx: int, n: int) -> int | None:
        self.allocs += 1
        if self.allocs == self.fail_at:
            return None
        # what was not written must not look like something: signalling rubbish
        raw = np.full(n + 192, 0xA5, np.uint8)
        self.kept.append(raw)
        p = (raw.ctypes.data + 127) & ~63
        self.live.add(p)
        return p

    def release(self, ctx: int, p: int) -> None:
        assert p in self.live, "released twice, or never allocated"
        self.live.remove(p)

    def result(self, ctx: int, k: int, rank: int, dims: Any) -> int:
        assert k not in self.results, f"result {k} is made twice"
        shape = tuple(dims[d] for d in range(rank))
        r = self.results[k] = np.full(int(np.prod(shape)) * 16 + 16, 0xA5, np.uint8)
        dtype = self.program.meta["results"][k]["dtype"]
        self.results[k] = np.ndarray(shape, dtype, buffer=r)
        self.kept.append(r)
        return r.ctypes.data

    def host(self, ctx: int, id: int, count: int, views: Any) -> int:
        what = self.program.meta["host"][id]
        arrays = []
        for k in range(count):
            v = views[k]
            shape = tuple(v.dims[d] for d in range(v.rank))
            dtype = NUMBERS[v.dtype]
            size = int(np.prod(shape)) * dtype.itemsize
            raw = (C.c_char * max(size, 1)).from_address(v.data) if v.data else b"\0" * 16
            arrays.append(np.ndarray(shape, dtype, buffer=raw))
        try:
            hostcalls.make(what)(*arrays)
        except Exception as e:  # noqa: BLE001
            self.error = e
            return 1
        return 0

    def parallel(self, ctx: int, n: int, grain: int, body: Any, env: int) -> None:
        assert grain >= 1
        # uneven chunks, last first: the order must not matter
        cuts = sorted({0, n // 3, n - n // 4, n})
        for lo, hi in reversed(list(zip(cuts, cuts[1:], strict=False))):
            body(env, lo, hi)

    def gemm(self, ctx: int, dtype: int, ta: int, tb: int, m: int, n: int, k: int, a: int, lda: int, b: int, ldb: int,
             c: int, ldc: int, acc: int) -> int:  # fmt: skip
        t = NUMBERS[dtype]

        def matrix(p: int, rows: int, cols: int, ld: int) -> np.ndarray:
            if not rows or not cols:
                return np.zeros((rows, cols), t)
            raw = (C.c_char * (((rows - 1) * ld + cols) * t.itemsize)).from_address(p)
            return np.ndarray((rows, cols), t, raw, strides=(ld * t.itemsize, t.itemsize))

        x = matrix(a, k, m, lda).T if ta else matrix(a, m, k, lda)
        y = matrix(b, n, k, ldb).T if tb else matrix(b, k, n, ldb)
        out = matrix(c, m, n, ldc)
        out[...] = x @ y + (out if acc else 0)
        return 0


class Compiled:
    """A function compiled through the harness."""

    def __init__(self, f: Function, flags: list[str] = FLAGS) -> None:
        self.program = lower(f)
        self.text = cpp(self.program)
        self.entry = build(self.text, flags)
        self.function = f
        self.run: Run | None = None

    def prepare(self, *args: Any, fail_alloc_at: int = -1) -> tuple[Run, list[np.ndarray], list[Any], Any]:
        """A call ready to be made (for timing): the run, the inputs, scalar results, and a function that calls."""
        f, program = self.function, self.program
        run = Run(program, fail_alloc_at)
        inputs = [np.array(a, dtype=p.type.dtype, order="C") for a, p in zip(args, f.params, strict=True)]
        sizes = [n for a in inputs for n in a.shape] or [0]
        results = program.meta["results"]
        scalars = [np.zeros((), r["dtype"]) if r["kind"] == "scalar" else None for r in results]
        ins = (PTR * max(len(inputs), 1))(*[a.ctypes.data for a in inputs])
        outs = (PTR * max(len(results), 1))(*[s.ctypes.data if s is not None else None for s in scalars])
        table = (I64 * len(sizes))(*sizes)
        return run, inputs, scalars, lambda: self.entry(C.byref(run.context), ins, outs, table)

    def __call__(self, *args: Any, fail_alloc_at: int = -1) -> list[Any]:
        """The results; arguments are copied first, `inputs` holds what became of them."""
        run, inputs, scalars, call = self.prepare(*args, fail_alloc_at=fail_alloc_at)
        self.run, self.inputs = run, inputs
        before = [a.copy() for a in inputs]
        status = call()
        if status == 2:
            raise MemoryError
        if status:
            assert run.error is not None
            raise run.error
        found: list[Any] = []
        for k, r in enumerate(self.program.meta["results"]):
            if r["kind"] == "leaf":
                found.append(inputs[r["param"]])
            elif r["kind"] == "scalar":
                found.append(scalars[k][()])
            elif "updates" in r:
                found.append(inputs[r["updates"]])
            else:
                found.append(run.results[k])
        for p, (a, b) in enumerate(zip(inputs, before, strict=True)):
            if p not in self.program.meta["mutates"]:
                np.testing.assert_array_equal(a, b, err_msg=f"parameter {p} was written")
        return found
