"""What happens around a compiled entry: memory, in-place writes, host calls, errors, threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest

from weft import _runtime
from weft.runtime import Array, Dispatcher, Plan

LEAF = ("leaf", 0)
INCREMENT = "double* a = (double*)in[0]; weft_i64 n = sizes[0]; for (weft_i64 i = 0; i < n; ++i) a[i] += 1;"
PLUS = """
  double* a = (double*)in[0];
  double* r = (double*)ctx->result(ctx, 0, 1, sizes);
  if (!r) return WEFT_NO_MEMORY;
  for (weft_i64 i = 0; i < sizes[0]; ++i) r[i] = a[i] + 1;
"""
NP_ARRAY = [("array", "f8", 1, "np", -1)]


def test_new_numpy_array(jitted):
    f = jitted(PLUS, results=NP_ARRAY, tree=LEAF)
    for _ in range(3):
        result = f(np.arange(5.0))
        assert type(result) is np.ndarray
        np.testing.assert_array_equal(result, np.arange(5.0) + 1)
        assert result.flags.writeable
        assert result.flags.owndata
        assert result.ctypes.data % 64 == 0
    assert f(np.ones(0)).shape == (0,)
    grown = f(np.arange(3.0))
    grown.resize(1000, refcheck=False)
    assert grown[:3].tolist() == [1, 2, 3]
    assert not grown[3:].any()


def test_new_weft_array(jitted):
    f = jitted(PLUS, results=[("array", "f8", 1, "weft", -1)], tree=LEAF)
    first = f(np.arange(5.0))
    assert type(first) is Array
    second = f(first)
    np.testing.assert_array_equal(np.asarray(second), np.arange(5.0) + 2)


def test_in_place(jitted):
    f = jitted(INCREMENT, mutates=[0])
    a = np.zeros(10)
    assert f(a) is None
    assert f(a) is None
    assert a.tolist() == [2.0] * 10


@pytest.mark.parametrize("layout", ["strided", "negative", "swapped", "unaligned"])
def test_unusual_layouts(jitted, layout):
    def fresh():
        if layout == "strided":
            return np.arange(20.0)[::2]
        if layout == "negative":
            return np.arange(10.0)[::-1]
        if layout == "swapped":
            return np.arange(10.0).astype(">f8")
        return np.frombuffer(bytearray(81), np.uint8)[1:].view("f8")

    a = fresh()
    want = a + 1
    plus = jitted(PLUS, results=NP_ARRAY, tree=LEAF)
    np.testing.assert_array_equal(plus(a), want)
    assert plus(a).dtype.isnative
    f = jitted(INCREMENT, mutates=[0])
    f(a)
    np.testing.assert_array_equal(a, want)
    f(a)
    np.testing.assert_array_equal(a, want + 1)


def test_fortran_order_and_broadcast(jitted):
    body = "double* a = (double*)in[0]; *(double*)out[0] = a[1];"
    f = jitted(body, results=[("scalar", "f8", 0, "py", -1)], tree=LEAF)
    assert f(np.asfortranarray(np.arange(6.0).reshape(2, 3))) == 1.0
    assert f(np.broadcast_to(np.arange(3.0), (2, 3))) == 1.0


def test_read_only(jitted):
    f = jitted(INCREMENT, mutates=[0])
    a = np.zeros(4)
    a.flags.writeable = False
    with pytest.raises(ValueError, match="assignment destination is read-only"):
        f(a)
    with pytest.raises(TypeError, match=r"args\[0\] is written in place"):
        f(Array.from_numpy(np.zeros(4)))


def test_same_array_twice(jitted):
    body = "double *a = (double*)in[0], *b = (double*)in[1]; a[0] = 5; b[1] = a == b;"
    f = jitted(body, mutates=[0, 1])
    a = np.zeros(3)
    f(a, a)
    assert a.tolist() == [5, 1, 0]
    b = np.zeros(6)[::2]
    f(b, b)
    assert b.tolist() == [5, 1, 0]
    f(np.zeros(3), np.zeros(3))
    assert f.slow_calls == 2


def test_alias_of_unwritten_leaf(jitted):
    # Written through the first, read through the second: one copy has to serve both.
    f = jitted("((double*)in[0])[0] = 7; *(double*)out[0] = ((double*)in[1])[0];", mutates=[1],
               results=[("scalar", "f8", 0, "py", -1)], tree=LEAF)  # fmt: skip
    b = np.zeros(6)[::2]
    assert f(b, b) == 7
    assert b.tolist() == [7, 0, 0]


def test_overlap(jitted):
    f = jitted(INCREMENT, mutates=[0])
    a = np.zeros(10)
    with pytest.raises(ValueError, match=r"args\[0\] is written in place and overlaps args\[1\]\['x'\]"):
        f(a[:5], {"x": a[3:]})
    f(a[:5], {"x": a[5:]})
    assert a.tolist() == [1.0] * 5 + [0.0] * 5
    f(a[::2], {"x": a[1::2]})
    assert a.tolist() == [2, 1, 2, 1, 2, 0, 1, 0, 1, 0]


def test_failure_keeps_what_was_written(jitted):
    def fail(*views):
        raise KeyError("from the host")

    body = "((double*)in[0])[0] = 3; return ctx->host(ctx, 0, 0, 0);"
    f = jitted(body, mutates=[0], host=[fail])
    a = np.zeros(6)[::2]
    for _ in range(2):
        a[0] = 0
        with pytest.raises(KeyError, match="from the host"):
            f(a)
        assert a[0] == 3


@pytest.mark.parametrize("heavy", [False, True])
def test_host(jitted, heavy):
    seen = []

    def host(a, scalar):
        seen.append((a.shape, a.dtype, scalar.shape, scalar[()]))
        a[...] *= scalar

    body = """
      double factor = 3;
      WeftView views[] = {{in[0], 12, 1, sizes}, {&factor, 12, 0, 0}};
      if (int status = ctx->host(ctx, 0, 2, views)) return status;
    """
    f = jitted(body, mutates=[0], host=[host], heavy=heavy)
    a = np.ones(4)
    f(a)
    f(a)
    assert a.tolist() == [9.0] * 4
    assert seen == [((4,), np.dtype("f8"), (), 3.0)] * 2


def test_host_view_outlives_the_call(jitted):
    kept = []
    body = "double x[3] = {1, 2, 3}; weft_i64 n = 3; WeftView v = {x, 12, 1, &n}; return ctx->host(ctx, 0, 1, &v);"
    f = jitted(body, host=[kept.append])
    f()
    f()
    assert [a.tolist() for a in kept] == [[1, 2, 3]] * 2


def test_host_calls_a_compiled_function(jitted):
    inner = jitted(INCREMENT, mutates=[0])
    body = "WeftView v = {in[0], 12, 1, sizes}; return ctx->host(ctx, 0, 1, &v);"
    f = jitted(body, mutates=[0], host=[lambda a: inner(a)], heavy=True)
    a = np.zeros(3)
    f(a)
    f(a)
    assert a.tolist() == [2.0] * 3


@pytest.mark.parametrize("heavy", [False, True])
def test_host_error_in_a_parallel_body(jitted, heavy):
    prelude = """
    struct Env { WeftContext* ctx; };
    static void body(void* p, weft_i64 lo, weft_i64 hi) { Env* e = (Env*)p; e->ctx->host(e->ctx, 0, 0, 0); }
    """
    f = jitted("Env e = {ctx}; ctx->parallel(ctx, 1000, 1, body, &e);", prelude, host=[lambda: 1 / 0], heavy=heavy)
    for _ in range(20):
        with pytest.raises(ZeroDivisionError):
            f()
    assert f.slow_calls >= 1


def test_status(jitted):
    with pytest.raises(MemoryError):
        jitted("return WEFT_NO_MEMORY;")()
    with pytest.raises(RuntimeError, match="status 1"):
        jitted("return WEFT_ERROR;")()
    with pytest.raises(RuntimeError, match="did not make its result 0"):
        jitted("", results=NP_ARRAY, tree=LEAF)()
    with pytest.raises(RuntimeError, match="host function 4"):
        jitted("return ctx->host(ctx, 4, 0, 0);", host=[print])()


def test_impossible_sizes(jitted):
    body = "weft_i64 dims[2] = {1ll << 40, 1ll << 40}; if (!ctx->result(ctx, 0, 2, dims)) return WEFT_NO_MEMORY;"
    with pytest.raises(MemoryError):
        jitted(body, results=[("array", "f8", 2, "np", -1)], tree=LEAF)()
    with pytest.raises(MemoryError):
        jitted("if (!ctx->alloc(ctx, 1ll << 50)) return WEFT_NO_MEMORY;")()


def test_scratch(jitted):
    body = """
      double* blocks[10];
      for (int i = 0; i < 10; ++i) {
        blocks[i] = (double*)ctx->alloc(ctx, 8 * (i * 100 + 1));
        if ((unsigned long long)blocks[i] % 64) return WEFT_ERROR;
        blocks[i][0] = i;
        blocks[i][i * 100] = i;
      }
      ctx->release(ctx, blocks[0]);
      ctx->release(ctx, blocks[9]);
      ctx->release(ctx, blocks[5]);
      *(double*)out[0] = blocks[3][300] + blocks[4][0];
    """
    f = jitted(body, results=[("scalar", "f8", 0, "py", -1)], tree=LEAF)
    for _ in range(100):
        assert f() == 7.0


def test_scratch_in_parallel_bodies(jitted):
    prelude = """
    struct Env { WeftContext* ctx; double* r; };
    static void body(void* p, weft_i64 lo, weft_i64 hi) {
      Env* e = (Env*)p;
      for (weft_i64 i = lo; i < hi; ++i) {
        double* t = (double*)e->ctx->alloc(e->ctx, 8 * (i % 50 + 1));
        t[i % 50] = (double)i;
        e->r[i] = t[i % 50];
        if (i % 3) e->ctx->release(e->ctx, t);
      }
    }
    """
    body = """
      double* r = (double*)ctx->result(ctx, 0, 1, sizes);
      Env e = {ctx, r};
      ctx->parallel(ctx, sizes[0], 1, body, &e);
    """
    for heavy in (False, True):
        f = jitted(body, prelude, results=NP_ARRAY, tree=LEAF, heavy=heavy)
        for _ in range(5):
            np.testing.assert_array_equal(f(5000), np.arange(5000.0))


def test_two_threads_in_one_dispatcher(jitted):
    f = jitted(PLUS, results=NP_ARRAY, tree=LEAF, heavy=True)
    failures = []

    def work(seed):
        a = np.full(1000 + seed, float(seed))
        for _ in range(500):
            if not (f(a) == seed + 1).all():
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_heavy_releases_the_gil(jitted):
    prelude = 'extern "C" int usleep(unsigned);'
    f = jitted("usleep(200000);", prelude, heavy=True)
    f()
    ticks = 0
    thread = threading.Thread(target=f)
    thread.start()
    while thread.is_alive():
        ticks += 1
        time.sleep(0.005)
    assert ticks > 5


def test_no_leaks(jitted):
    np_result = jitted(PLUS, results=NP_ARRAY, tree=("tuple", [("leaf", 0), ("const", None)]))
    failing = jitted("return ctx->host(ctx, 0, 0, 0);", host=[lambda: 1 / 0])
    a, key = np.zeros(10), "some key"

    def work():
        for _ in range(200):
            np_result({key: a[::1]})
            with pytest.raises(ZeroDivisionError):
                failing([a])

    work()
    counts = sys.getrefcount(a), sys.getrefcount(key)
    tracemalloc.start()
    work()
    before = tracemalloc.get_traced_memory()[0]
    work()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 20_000
    assert (sys.getrefcount(a), sys.getrefcount(key)) == counts


def test_pool_reuses_memory(jitted):
    f = jitted(PLUS, results=NP_ARRAY, tree=LEAF)
    a = np.zeros(1_000_000)
    addresses = set()
    for _ in range(20):
        result = f(a)
        addresses.add(result.ctypes.data)
        del result
    if not os.environ.get("WEFT_SANITIZE"):
        assert len(addresses) <= 2
    kept = _runtime.pool_statistics()["kept_bytes"]
    _runtime.pool_trim()
    assert _runtime.pool_statistics()["kept_bytes"] <= kept


def test_parallel_covers_everything(jitted):
    prelude = """
    static void body(void* p, weft_i64 lo, weft_i64 hi) { double* r = (double*)p; for (weft_i64 i = lo; i < hi; ++i) r[i] += (double)i; }
    """
    f = jitted("ctx->parallel(ctx, sizes[0], 1, body, in[0]);", prelude, mutates=[0], heavy=True)
    before = _runtime.thread_count()
    try:
        for threads in (1, 2, 3, 8):
            _runtime.set_thread_count(threads)
            assert _runtime.thread_count() == threads
            for n in (0, 1, 2, 3, 7, 100, 10007):
                a = np.zeros(n)
                f(a)
                np.testing.assert_array_equal(a, np.arange(float(n)))
    finally:
        _runtime.set_thread_count(before)


def test_nested_parallel(jitted):
    prelude = """
    struct Env { WeftContext* ctx; double* r; };
    static void inner(void* p, weft_i64 lo, weft_i64 hi) { double* r = (double*)p; for (weft_i64 i = lo; i < hi; ++i) r[i] += 1; }
    static void outer(void* p, weft_i64 lo, weft_i64 hi) {
      Env* e = (Env*)p;
      for (weft_i64 i = lo; i < hi; ++i) e->ctx->parallel(e->ctx, 10, 1, inner, e->r + 10 * i);
    }
    """
    f = jitted("Env e = {ctx, (double*)in[0]}; ctx->parallel(ctx, 20, 1, outer, &e);", prelude, mutates=[0])
    a = np.zeros(200)
    for _ in range(50):
        f(a)
    assert (a == 50).all()


def test_parallel_from_many_threads(jitted):
    prelude = """
    static void body(void* p, weft_i64 lo, weft_i64 hi) { double* r = (double*)p; for (weft_i64 i = lo; i < hi; ++i) r[i] += 1; }
    """
    f = jitted("ctx->parallel(ctx, sizes[0], 1, body, in[0]);", prelude, mutates=[0], heavy=True)
    arrays = [np.zeros(1000) for _ in range(4)]
    f(np.zeros(1000))

    def work(a):
        for _ in range(300):
            f(a)

    threads = [threading.Thread(target=work, args=(a,)) for a in arrays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((a == 300).all() for a in arrays)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork(jitted):
    prelude = """
    static void body(void* p, weft_i64 lo, weft_i64 hi) { double* r = (double*)p; for (weft_i64 i = lo; i < hi; ++i) r[i] += 1; }
    """
    f = jitted("ctx->parallel(ctx, sizes[0], 1, body, in[0]);", prelude, mutates=[0], heavy=True)
    before = _runtime.thread_count()
    _runtime.set_thread_count(3)
    try:
        f(np.zeros(100))
        child = os.fork()
        if child == 0:
            a = np.zeros(100)
            f(a)
            f(a)
            os._exit(0 if (a == 2).all() else 1)
        deadline = time.time() + 20
        done, status = 0, 0
        while not done and time.time() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0.01)
        if not done:
            os.kill(child, 9)
            os.waitpid(child, 0)
        assert done and status == 0
    finally:
        _runtime.set_thread_count(before)


def test_thread_count_from_the_environment():
    code = "import weft.runtime; from weft import _runtime; print(_runtime.thread_count())"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "WEFT_NUM_THREADS": "5"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "5"


def test_run_checks_its_arguments(kernels):
    f = Dispatcher(None)
    plan = Plan(kernels.entry(""))
    with pytest.raises(TypeError):
        f.run(plan, [1])
    with pytest.raises(TypeError):
        f.run(3, ())
    with pytest.raises(TypeError):
        f.add(3, plan)
    assert f.run(plan, (), None) is None
