"""Compiles lowered functions for CUDA and runs them without a GPU, through a context made with ctypes.

The device's memory is apart from the host's: the arena that holds it cannot be touched but while a kernel or a copy
runs, and what kernels must not touch of the host's (scalar arguments, sizes) cannot be touched while one runs. What is
queued runs when somebody waits for it, or at once; blocks and threads run in an order that the seed chooses; memory is
rubbish before it is written.
"""

from __future__ import annotations

import ctypes as C
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
from tests.codegen import harness as host_side
from tests.cuda import build

from weft.codegen.cuda import CudaText, cuda
from weft.ir.nodes import Function
from weft.lowering import lower
from weft.lowering.loops import Program
from weft.runtime import hostcalls

I64, PTR, INT = C.c_longlong, C.c_void_p, C.c_int
TYPES = {
    **host_side.TYPES,
    "launch": C.CFUNCTYPE(INT, PTR, INT, I64, INT, C.POINTER(PTR)),
    "read": C.CFUNCTYPE(INT, PTR, PTR, PTR, I64),
    "write": C.CFUNCTYPE(INT, PTR, PTR, PTR, I64),
    "copy": C.CFUNCTYPE(INT, PTR, PTR, PTR, I64),
    "failure": PTR,
    "check": C.CFUNCTYPE(INT, PTR),
}
FLAGS = ["-std=gnu++17", "-O1", *build.COMMON, "-fno-exceptions", "-fno-rtti", "-w", f"-DWEFT_THREADS={build.THREADS}"]
OK, ERROR, NO_MEMORY = 0, 1, 2
FENCE = 64  # bytes around an allocation that nobody may write


class Context(C.Structure):
    _fields_ = list(TYPES.items())


class Failure(C.Structure):
    _fields_ = [
        ("status", INT), ("id", INT), ("count", INT), ("dtypes", INT * 4), ("unused", INT), ("data", (I64 * 2) * 4),
    ]  # fmt: skip


libc = C.CDLL(None, use_errno=True)
libc.mprotect.argtypes = [PTR, C.c_size_t, INT]


class Arena:
    """Memory that is closed, or open, as a whole."""

    def __init__(self, size: int) -> None:
        self.memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)  # MAP_NORESERVE
        self.start = C.addressof(C.c_char.from_buffer(self.memory))
        self.size, self.used = size, 0

    def protect(self, bits: int) -> None:
        """0: closed; 3: open."""
        assert libc.mprotect(self.start, self.size, bits) == 0

    def take(self, n: int) -> int:
        """Memory, or 0."""
        at = (self.used + FENCE + 63) & ~63
        if at + n + FENCE > self.size:
            return 0
        self.used = at + n + FENCE
        return self.start + at

    def holds(self, p: int) -> bool:
        """Whether a pointer points into it."""
        return self.start <= (p or 0) < self.start + self.size


DEVICE, HOST = Arena(1 << 30), Arena(1 << 20)


class Run:
    """One call: its memory, queue, results and host functions."""

    def __init__(self, program: Program, kernels: tuple[str, ...], lib: Any, seed: int, fail_alloc_at: int) -> None:
        self.program, self.kernels, self.lib, self.seed = program, kernels, lib, seed
        self.queue: list[Callable[[], None]] = []
        self.results: dict[int, tuple[int, tuple[int, ...]]] = {}
        self.error: BaseException | None = None
        self.allocs, self.fail_at, self.launches = 0, fail_alloc_at, 0
        self.live: dict[int, int] = {}
        self.made: list[tuple[int, int]] = []
        self.rubbish = 0x7F if seed & 1 else 0xFF
        DEVICE.used = HOST.used = 0
        DEVICE.protect(3)
        HOST.protect(3)
        self.failure = self.memory(C.sizeof(Failure))
        C.memset(self.failure, 0, C.sizeof(Failure))
        calls = {n: t(self.caught(n)) for n, t in TYPES.items() if n not in ("failure", "parallel")}
        self.context = Context(**calls, failure=self.failure)
        lib.weft_emulated_seed(seed)

    def caught(self, name: str) -> Callable[..., Any]:
        """A function of the context: what it raises is kept, and the entry told to return."""
        body = getattr(self, name)

        def call(*args: Any) -> Any:
            try:
                return body(*args)
            except Exception as e:  # noqa: BLE001
                self.error = self.error or e
                return None if name in ("alloc", "result", "release") else ERROR

        return call

    # -- memory --------------------------------------------------------------------------------------------------------

    def memory(self, n: int) -> int:
        """Memory of the device, full of rubbish; it must be open."""
        p = DEVICE.take(n)
        if p:
            C.memset(p - FENCE, 0xC3, n + 2 * FENCE)
            C.memset(p, self.rubbish, n)
            self.made.append((p, n))
        return p

    def opened(self, action: Callable[[], Any]) -> Any:
        """Do something with the device's memory open."""
        DEVICE.protect(3)
        try:
            return action()
        finally:
            DEVICE.protect(0)

    def alloc(self, ctx: int, n: int) -> int | None:
        assert n >= 0, f"{n} bytes asked for"
        self.allocs += 1
        if self.allocs == self.fail_at:
            return None
        p = self.opened(lambda: self.memory(n))
        if p:
            self.live[p] = n
        return p or None

    def release(self, ctx: int, p: int) -> None:
        assert p in self.live, "released twice, or never allocated"
        n = self.live.pop(p)
        self.later(lambda: C.memset(p, self.rubbish, n))

    def result(self, ctx: int, k: int, rank: int, dims: Any) -> int:
        assert k not in self.results, f"result {k} is made twice"
        shape = tuple(dims[d] for d in range(rank))
        dtype = np.dtype(self.program.meta["results"][k]["dtype"])
        p = self.opened(lambda: self.memory(int(np.prod(shape)) * dtype.itemsize))
        self.results[k] = p, shape
        return p

    def array(self, p: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """A copy of an array of the device."""
        dtype = np.dtype(dtype)
        n = int(np.prod(shape)) * dtype.itemsize
        return np.frombuffer(C.string_at(p, n) if n else b"", dtype).reshape(shape).copy()

    def upload(self, x: np.ndarray) -> int:
        p = self.memory(x.nbytes)
        C.memmove(p, x.ctypes.data, x.nbytes)
        return p

    def fences(self) -> None:
        """What lies around allocations is as it was."""
        for p, n in self.made:
            for at in (p - FENCE, p + n):
                assert C.string_at(at, FENCE) == b"\xc3" * FENCE, f"written outside an allocation of {n} bytes"

    # -- the queue -----------------------------------------------------------------------------------------------------

    def later(self, action: Callable[[], Any]) -> None:
        self.queue.append(action)
        if self.seed & 1:
            self.drain()

    def drain(self) -> None:
        while self.queue:
            self.opened(self.queue.pop(0))

    def inside(self, p: int, n: int) -> None:
        """A copy must stay within one allocation."""
        assert n >= 0 and (n == 0 or any(a <= p and p + n <= a + m for a, m in self.made)), "not memory of the device"

    def launch(self, ctx: int, kernel: int, blocks: int, threads: int, args: Any) -> int:
        name = self.kernels[kernel]
        assert 1 <= blocks <= 0x7FFFFFFF and 1 <= threads <= 1024, f"{name}: {blocks} blocks of {threads} threads"
        prepared = self.lib.weft_emulated_prepare(name.encode(), blocks, threads, args)
        assert prepared, f"no kernel {name}"
        self.launches += 1

        def run() -> None:
            HOST.protect(0)
            failed = self.lib.weft_emulated_run(prepared)
            HOST.protect(3)
            if failed:
                raise build.EmulatorError(self.lib.weft_emulated_error().decode())

        self.later(run)
        return OK

    def read(self, ctx: int, to: int, at: int, n: int) -> int:
        assert not DEVICE.holds(to), "read into the device's memory"
        self.inside(at, n)
        status = self.check(ctx)
        if not status:
            self.opened(lambda: C.memmove(to, at, n))
        return status

    def write(self, ctx: int, to: int, at: int, n: int) -> int:
        assert not DEVICE.holds(at), "written from the device's memory"
        self.inside(to, n)
        data = C.string_at(at, n)
        self.later(lambda: C.memmove(to, data, n))
        return OK

    def copy(self, ctx: int, to: int, at: int, n: int) -> int:
        self.inside(to, n)
        self.inside(at, n)
        assert n == 0 or to + n <= at or at + n <= to, "regions overlap"
        self.later(lambda: C.memmove(to, at, n))
        return OK

    def check(self, ctx: int) -> int:
        self.drain()
        if self.error is not None:
            return ERROR
        found = self.opened(lambda: Failure.from_buffer_copy(C.string_at(self.failure, C.sizeof(Failure))))
        if found.status == ERROR and self.error is None:
            values = [
                np.frombuffer(bytes(found.data[k]), host_side.NUMBERS[found.dtypes[k]], 1).reshape(())
                for k in range(found.count)
            ]
            self.call(found.id, values)
        return int(found.status)

    # -- host functions and libraries ----------------------------------------------------------------------------------

    def call(self, id: int, values: list[Any]) -> int:
        try:
            hostcalls.make(self.program.meta["host"][id])(*values)
        except Exception as e:  # noqa: BLE001
            self.error = e
            return ERROR
        return OK

    def host(self, ctx: int, id: int, count: int, views: Any) -> int:
        arrays = []
        for k in range(count):
            v = views[k]
            assert not DEVICE.holds(v.data), "a view of the device's memory for a host function"
            shape = tuple(v.dims[d] for d in range(v.rank))
            dtype = host_side.NUMBERS[v.dtype]
            size = int(np.prod(shape)) * dtype.itemsize
            raw = (C.c_char * max(size, 1)).from_address(v.data) if v.data else b"\0" * 16
            arrays.append(np.ndarray(shape, dtype, buffer=raw))
        return self.call(id, arrays)

    def gemm(self, ctx: int, *args: Any) -> int:
        if self.seed & 2:  # there is no library
            return 1
        m, n, k, a, lda, b, ldb, c, ldc = args[3:12]
        size = host_side.NUMBERS[args[0]].itemsize
        rows = {True: (k, m), False: (m, k)}[bool(args[1])], {True: (n, k), False: (k, n)}[bool(args[2])], (m, n)
        for p, (r, w), ld in zip((a, b, c), rows, (lda, ldb, ldc), strict=True):
            if r and w:
                self.inside(p, ((r - 1) * ld + w) * size)
        self.later(lambda: host_side.Run.gemm(self, ctx, *args))  # type: ignore[arg-type]
        return OK


class Emulated:
    """A function compiled for CUDA and run in the emulator; ``change`` edits the text first."""

    def __init__(self, f: Function, change: Callable[[CudaText], CudaText] = lambda text: text) -> None:
        self.function = f
        self.program = lower(f)
        self.text = change(cuda(self.program))
        name = build.digest(self.text.host, self.text.device)
        out = build.folder() / f"{name}.so"
        if not out.exists():
            source = build.folder() / f"{name}.cpp"
            source.write_text(self.text.host.replace("@HASH@", name) + host_side.STUB)
            built, job = build.device_job(self.text.device, self.text.kernels, name)
            host = source.with_suffix(".o")
            command = ["g++", *FLAGS, f"-I{build.KERNELS}", "-c", str(source), "-o", str(host)]
            build.finish(build.spawn(command), self.text.host)
            build.finish(job, self.text.device)
            build.link(name, [host, built])
        self.lib = build.load(out)
        init = getattr(self.lib, f"PyInit_{name}")
        init.restype = C.POINTER(host_side.Artifact)
        self.entry = init().contents.entries[0]
        self.run: Run | None = None

    def __call__(self, *args: Any, seed: int = 0, fail_alloc_at: int = -1) -> list[Any]:
        """The results; arguments are copied first, ``inputs`` holds what became of them.

        An even seed queues, an odd one runs everything at once; with bit 1 there is no BLAS; from 2 on blocks and
        threads run in a random order.
        """
        f, meta = self.function, self.program.meta
        inputs = [np.array(a, dtype=p.type.dtype, order="C") for a, p in zip(args, f.params, strict=True)]
        run = self.run = Run(self.program, self.text.kernels, self.lib, seed, fail_alloc_at)
        try:
            where: list[int] = []
            for x, p in zip(inputs, f.params, strict=True):
                if p.type.shape:
                    where.append(run.upload(x))
                else:
                    where.append(self._on_host(x.tobytes()))
            sizes = np.array([n for a in inputs for n in a.shape] or [0], np.int64)
            scalars = [np.dtype(r["dtype"]) if r["kind"] == "scalar" else None for r in meta["results"]]
            outs = [self._on_host(bytes(16)) if s is not None else 0 for s in scalars]
            tables = [self._on_host(np.array(t or [0], np.uint64).tobytes()) for t in (where, outs)]
            DEVICE.protect(0)
            status = self.lib.weft_emulated_host(
                self.entry, C.byref(run.context), *tables, self._on_host(sizes.tobytes())
            )
            if status == -1:
                raise build.EmulatorError(self.lib.weft_emulated_error().decode())
            if run.error is None:
                status = self._caught(run, status)
            DEVICE.protect(3)
            run.fences()
            if run.error is not None:
                raise run.error
            if status == NO_MEMORY:
                raise MemoryError
            assert status == OK, f"status {status}"
            assert self.lib.weft_emulated_heap_used() == 0, "memory of the device's heap was not freed"
            found: list[Any] = []
            changed = [run.array(p, x.shape, x.dtype) if x.ndim else x for p, x in zip(where, inputs, strict=True)]
            for k, (x, new) in enumerate(zip(inputs, changed, strict=True)):
                if k not in meta["mutates"]:
                    np.testing.assert_array_equal(new, x, err_msg=f"parameter {k} was written")
            self.inputs = changed
            for k, r in enumerate(meta["results"]):
                if r["kind"] == "leaf":
                    found.append(changed[r["param"]])
                elif r["kind"] == "scalar" and k in run.results:
                    found.append(run.array(*run.results[k], r["dtype"])[()])
                elif r["kind"] == "scalar":
                    found.append(run.array(outs[k], (), r["dtype"])[()])
                elif "updates" in r:
                    found.append(changed[r["updates"]])
                else:
                    found.append(run.array(*run.results[k], r["dtype"]))
            return found
        finally:
            DEVICE.protect(3)
            self.lib.weft_emulated_heap_reset()

    @staticmethod
    def _caught(run: Run, status: int) -> int:
        """The status of a call, what is still queued and its failures included."""
        try:
            return run.check(0) or status
        except Exception as e:  # noqa: BLE001
            run.error = e
            return ERROR

    @staticmethod
    def _on_host(data: bytes) -> int:
        p = HOST.take(len(data))
        C.memmove(p, data, len(data))
        return p
