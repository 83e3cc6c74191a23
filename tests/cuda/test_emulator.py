"""The emulator itself: what it finds wrong with kernels, and that a wrong kernel shows under some order."""

from __future__ import annotations

import ctypes as C

import numpy as np
import pytest
from tests.cuda import build
from tests.cuda.build import THREADS, EmulatorError

BODIES = {
    "early": "(i64* y) { if (threadIdx.x < 12) return; __syncthreads(); y[0] = 1; }",
    "lanes": "(i64* y) { if (threadIdx.x == 5) return; y[0] = __shfl_sync(all_lanes, 1, 0); }",
    "mixed": "(i64* y) { if (threadIdx.x < 32) __syncwarp(); else __syncthreads(); if (threadIdx.x == 3) __syncwarp(); }",
    "kinds": "(i64* y) { if (threadIdx.x == 7) __syncthreads(); else __syncthreads_or(1); }",
    "apart": "(i64* y) { if (threadIdx.x % 2) y[0] = __any_sync(all_lanes, 1); else __syncwarp(); }",
    "outside": "(i64* y) { y[threadIdx.x] = __shfl_sync(threadIdx.x % 32 < 16 ? 0xffffu : 0xffff0000u, 1, 0); }",
    "unmasked": "(i64* y) { __syncwarp(1u); }",
    "null": "(i64* y) { ((volatile i64*)nullptr)[2] = 1; }",
    "freed": "(i64* y) { if (threadIdx.x == 0) { void* p = malloc(8); free(p); free(p); } }",
    "deep": "(i64* y) { Block().local<u64, 6145, struct Deep>()[0] = 1; }",
    "racy": "(i64* y) { __shared__ i64 last; last = threadIdx.x; __syncthreads(); y[threadIdx.x] = last; }",
    "unsynced": """(i64* y) {
      i64* const room = Block().local<i64, WEFT_THREADS, struct Unsynced>();
      room[threadIdx.x] = threadIdx.x;
      y[threadIdx.x] = room[WEFT_THREADS - 1 - threadIdx.x];
    }""",
    "synced": """(i64* y) {
      i64* const room = Block().local<i64, WEFT_THREADS, struct Synced>();
      room[threadIdx.x] = threadIdx.x;
      __syncthreads();
      y[threadIdx.x] = room[WEFT_THREADS - 1 - threadIdx.x];
    }""",
    "left": "(i64* y) { y[threadIdx.x] = Block().local<i64, WEFT_THREADS, struct Left>()[threadIdx.x]; }",
    "votes": """(i64* y) {
      const u32 odd = __ballot_sync(all_lanes, threadIdx.x & 1);
      const int count = __syncthreads_count(threadIdx.x < 10), all = __syncthreads_and(threadIdx.x < 10);
      y[threadIdx.x] = odd + 10ll * count + all + __all_sync(all_lanes, 1);
    }""",
    "shifts": """(i64* y) {
      const i64 t = threadIdx.x;
      y[t] = __shfl_down_sync(all_lanes, t, 3) * 10000 + __shfl_up_sync(all_lanes, t, 2) * 100 +
             __shfl_xor_sync(all_lanes, (int)t, 1);
    }""",
    "halves": """(i64* y) {
      const u32 mask = threadIdx.x % 32 < 16 ? 0xffffu : 0xffff0000u;
      y[threadIdx.x] = __shfl_sync(mask, threadIdx.x, threadIdx.x % 32 < 16 ? 2 : 20);
    }""",
    "ids": "(i64* y) { y[blockIdx.x * blockDim.x + threadIdx.x] = blockIdx.x * 1000 + gridDim.x; }",
}  # fmt: skip
BODIES["arguments"] = """(i8 a, f64 b, bool c, c128 d, i64* y, f32 e, i32 f) {
  y[0] = a; y[1] = (i64)b; y[2] = c; y[3] = (i64)d.im; y[4] = (i64)e; y[5] = f;
}"""
TEXT = (
    '#include "team.h"\n#include "complex.h"\nnamespace weft {\n'
    + "".join(f'extern "C" __global__ void {name}{body}\n' for name, body in BODIES.items())
    + "}\n"
)


@pytest.fixture(scope="module")
def device() -> build.Device:
    return build.Device(TEXT, tuple(BODIES))


def called(device: build.Device, kernel: str, blocks: int = 1, seed: int = 0) -> np.ndarray:
    y = np.zeros(THREADS * blocks, np.int64)
    device(kernel, blocks, y, seed=seed)
    return y


WRONG = {
    "early": r"kernel early, block 0: 52 of 64 threads \(thread 12 first\) wait at __syncthreads, but 12 \(thread 0 "
    r"first\) have ended: every thread of a block must come to every barrier",
    "lanes": r"kernel lanes, block 0: thread 0 waits at __shfl_sync with mask ffffffff for thread 5, which has ended: "
    r"all lanes of the mask must come together",
    "mixed": r"kernel mixed, block 0: thread 3 waits at __syncwarp with mask ffffffff for thread 0, which has ended",
    "kinds": r"waits at another kind of __syncthreads than thread",
    "apart": r"thread 0 waits at __syncwarp with mask ffffffff for thread 1, which waits at a vote",
    "outside": r"thread (16|48) reads from lane 0 by __shfl_sync, which is not in its mask ffff0000",
    "unmasked": r"thread \d+ is not in the mask 00000001 of its own __syncwarp",
    "null": r"kernel null, block 0: thread \d+ touched memory that it may not, at 0x10",
    "freed": r"thread 0 freed what is not memory of the device's heap, or not any more",
    "deep": r"takes more than 49152 bytes of shared memory",
}


@pytest.mark.parametrize("kernel", WRONG)
def test_says_what_is_wrong(device, kernel):
    for seed in range(4):
        with pytest.raises(EmulatorError, match=WRONG[kernel]):
            called(device, kernel, seed=seed)
    # and goes on with the next kernel
    np.testing.assert_array_equal(called(device, "synced"), np.arange(THREADS)[::-1])


def test_a_missing_barrier_shows(device):
    """What is right gives the same under every order, what is not does not."""
    for kernel, distinct in (("synced", False), ("racy", True), ("unsynced", True)):
        found = {called(device, kernel, seed=seed).tobytes() for seed in range(6)}
        assert (len(found) > 1) == distinct, kernel


def test_shared_memory_is_rubbish_at_first(device):
    for seed, value in ((0, -1), (1, 0x7F7F7F7F7F7F7F7F)):
        assert (called(device, "left", blocks=2, seed=seed)[:THREADS] == value).all()


def test_votes(device):
    np.testing.assert_array_equal(called(device, "votes", seed=3), 0xAAAAAAAA + 100 + 0 + 1)


def test_shifts(device):
    t = np.arange(THREADS)
    lane = t % 32
    down, up = np.where(lane + 3 < 32, t + 3, t), np.where(lane >= 2, t - 2, t)
    np.testing.assert_array_equal(called(device, "shifts", seed=2), down * 10000 + up * 100 + (t ^ 1))


def test_halves_of_a_warp_go_their_own_ways(device):
    t = np.arange(THREADS)
    want = t // 32 * 32 + np.where(t % 32 < 16, 2, 20)
    np.testing.assert_array_equal(called(device, "halves", seed=2), want)


@pytest.mark.parametrize("blocks", [1, 2, 6, 97])
def test_every_block_runs_once(device, blocks):
    for seed in range(8):
        got = called(device, "ids", blocks, seed)
        np.testing.assert_array_equal(got, np.repeat(np.arange(blocks), THREADS) * 1000 + blocks)


def test_arguments_of_every_size(device):
    y = np.zeros(6, np.int64)
    device("arguments", 1, np.int8(-3), np.float64(7), np.bool_(True), np.complex128(4 - 5j), y, np.float32(9),
           np.int32(-11), threads=1)  # fmt: skip
    assert y.tolist() == [-3, 7, 1, -5, 9, -11]


def test_launches_that_no_device_takes(device):
    for blocks, threads in ((0, 32), (1, -1), (1, 2000)):
        with pytest.raises(EmulatorError, match=f"launched with {blocks} blocks of {threads} threads"):
            device("ids", blocks, np.zeros(1), threads=threads)
    with pytest.raises(EmulatorError, match="launched with blocks of 128 threads, and compiled for 64"):
        device("ids", 1, np.zeros(1), threads=128)
    with pytest.raises(EmulatorError, match="no kernel nothing"):
        device("nothing", 1)


def test_arguments_are_read_when_a_kernel_is_queued(device):
    y, cell = np.zeros(THREADS, np.int64), np.zeros(1, np.uint64)
    cell[0] = y.ctypes.data
    args = (C.c_void_p * 1)(cell.ctypes.data)
    prepared = device.lib.weft_emulated_prepare(b"synced", 1, THREADS, args)
    cell[0] = 0
    assert not y.any()
    assert device.lib.weft_emulated_run(prepared) == 0
    np.testing.assert_array_equal(y, np.arange(THREADS)[::-1])
    assert device.lib.weft_emulated_prepare(b"nothing", 1, 1, args) is None
