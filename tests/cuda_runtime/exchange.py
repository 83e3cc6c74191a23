"""csrc/cuda's collectives on arrays of the host, through exchange.cpp, and what they are to give."""

from __future__ import annotations

import ctypes
import os

import numpy as np

from weft.primitives import collective

OPERATIONS = ["psum", "pmax", "pmin", "all_gather", "psum_scatter", "all_to_all", "ppermute"]  # as C++ numbers them
REDUCTIONS = {"psum": "?bBiIlLqQefdFD", "psum_scatter": "?bBiIlLqQefdFD", "pmax": "?bBiIlLqQ", "pmin": "?bBiIlLqQ"}
DTYPES = "?bBhHiIlLqQefdFD"


class Request(ctypes.Structure):
    """As exchange.cpp has it."""

    _fields_ = (
        [(n, ctypes.c_int) for n in "operation moves devices first total dtype rank result_rank repeat last".split()]
        + [(n, ctypes.POINTER(ctypes.c_int)) for n in ("move", "device")]
        + [(n, ctypes.c_char_p) for n in ("name", "id")]
        + [(n, ctypes.POINTER(ctypes.c_longlong)) for n in ("dims", "result_dims")]
        + [(n, ctypes.POINTER(ctypes.c_void_p)) for n in ("operands", "results")]
    )


class Exchange:
    """csrc/cuda's collectives on arrays of the host."""

    def __init__(self, path):
        self.lib = ctypes.CDLL(str(path))
        for name in ("exchange_arrays", "exchange_new_id", "exchange_synchronise"):
            getattr(self.lib, name).restype = ctypes.c_char_p

    def new_id(self):
        made = ctypes.create_string_buffer(128)
        self.check(self.lib.exchange_new_id(made))
        return made.raw

    def synchronise(self, device):
        self.check(self.lib.exchange_synchronise(device))

    def __call__(self, name, operands, *, perm=(), devices=None, first=0, total=0, party=None, repeat=1, last=0):
        operands = [np.asarray(x, order="C") for x in operands]
        count, shape = len(operands), operands[0].shape
        places = total or count
        if name == "all_gather":
            out = (places, *shape)
        else:
            out = shape[1:] if name == "psum_scatter" else shape
        results = [np.full(out, 77).astype(operands[0].dtype) for _ in operands]

        def ints(values, kind):
            return (kind * max(1, len(values)))(*values)

        request = Request(
            OPERATIONS.index(name), len(perm), count, first, total, operands[0].dtype.num, len(shape), len(out),
            repeat, last, ints([k for move in perm for k in move], ctypes.c_int),
            ints(range(count) if devices is None else devices, ctypes.c_int), name.encode(), party,
            ints(shape, ctypes.c_longlong), ints(out, ctypes.c_longlong),
            ints([x.ctypes.data for x in operands], ctypes.c_void_p),
            ints([y.ctypes.data for y in results], ctypes.c_void_p),
        )  # fmt: skip
        # The id has zeros in it, and c_char_p points at the whole of it.
        self.check(self.lib.exchange_arrays(ctypes.byref(request)))
        return results

    def violations(self):
        fake = ctypes.CDLL(os.environ["WEFT_CUDA_DRIVER"])
        fake.fake_violations.restype = ctypes.c_char_p
        return fake.fake_violations().decode()

    def check(self, message):
        if message is not None:
            raise RuntimeError(message.decode())


def values(name, dtype, n, shape=(5,)):
    rng = np.random.default_rng(sum(map(ord, name + dtype)) + n)
    shape = (n, *((n,) if name in ("psum_scatter", "all_to_all") else ()), *shape)
    x = rng.integers(0, 2, shape) if dtype == "?" else rng.integers(-40, 40, shape)
    x = x * (1 + 0.5j) if dtype in "FD" else x * 0.25 if dtype in "efd" else x
    return x.astype(dtype)


def expected(name, x, perm=()):
    """By the primitives' own meaning."""
    n = len(x)
    attrs = {"size": n} if name in ("all_gather", "psum_scatter") else {}
    more = {"perm": tuple(perm)} if name == "ppermute" else {"groups": None, **attrs}
    return getattr(collective, name).numpy(x, axis="i", **more)


PERMS = {1: [(), ((0, 0),)], 2: [((0, 1), (1, 0)), ((1, 0),)], 3: [((0, 1), (1, 2), (2, 0)), ((2, 2), (0, 1))]}
PERMS[8] = [tuple((k, (k + 3) % 8) for k in range(8))]
PERMS[4] = [((0, 1), (1, 2), (2, 3), (3, 0)), ((1, 3), (3, 0)), ()]
