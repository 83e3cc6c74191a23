"""Every attribute of arrays, and calls that NumPy's, weft's and staged arrays answer alike.

The calls are Python over ``x`` (3 by 4, floats), ``i`` (5 integers), ``b`` (3 by 4, bools), ``z`` (3 by 4, complex) and
``s`` (no axes). `function` makes a function of them whose source can be read.
"""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Callable, Sequence
from typing import Any

#: Calls by the attribute that they are of.
CALLS: dict[str, list[str]] = {
    "T": ["x.T", "s.T"],
    "all": ["b.all()", "b.all(axis=0)", "x.all(1, keepdims=True)"],
    "any": ["b.any()", "b.any(axis=-1)", "x.any(axis=(0, 1))"],
    "argmax": ["x.argmax()", "x.argmax(axis=0)", "x.argmax(1, keepdims=True)"],
    "argmin": ["x.argmin()", "i.argmin(axis=0)"],
    "argpartition": ["x.take(x.argpartition(2, axis=1)[:, 2] * 0)"],
    "argsort": ["x.argsort()", "i.argsort(0)", "x.argsort(axis=None)"],
    "astype": ["x.astype('float32')", "x.astype(int)", "i.astype(bool)", "i.astype('complex64', copy=False)"],
    "choose": ["(i % 2).choose([10, 20])"],
    "clip": ["x.clip(0.5)", "x.clip(-1, 1)", "i.clip(min=2)", "x.clip(max=0.25)", "x.clip(None, 1)"],
    "compress": ["x.compress([True, False, True], axis=0)"],
    "conj": ["z.conj()", "x.conj()"],
    "conjugate": ["z.conjugate()", "i.conjugate()"],
    "copy": ["x.copy()", "s.copy()"],
    "cumprod": ["x.cumprod()", "x.cumprod(axis=1)"],
    "cumsum": ["x.cumsum()", "i.cumsum(0)", "x.cumsum(axis=0, dtype='float32')"],
    "diagonal": ["x.diagonal()", "x.diagonal(1)", "x.diagonal(-1, 1, 0)"],
    "dot": ["x.dot(x.T)", "i.dot(i)", "x.dot(2.0)"],
    "dtype": ["x.astype(i.dtype)"],
    "flatten": ["x.flatten()", "x.flatten('F')", "s.flatten()"],
    "imag": ["z.imag", "x.imag"],
    "item": ["s.item()", "x.item(5)", "x.item(1, 2)", "i.item((2,))"],
    "itemsize": ["x.itemsize + z.itemsize"],
    "mT": ["x.mT"],
    "max": ["x.max()", "x.max(axis=1)", "i.max(initial=9)", "x.max(0, where=b, initial=-5.0)"],
    "mean": ["x.mean()", "x.mean(0)", "i.mean()", "x.mean(axis=1, dtype='float32', keepdims=True)"],
    "min": ["x.min()", "x.min(axis=(0, 1), keepdims=True)"],
    "nbytes": ["x.nbytes"],
    "ndim": ["x.ndim + s.ndim"],
    "nonzero": ["b.nonzero()", "i.nonzero()[0]"],
    "prod": ["x.prod()", "i.prod(axis=0)", "b.prod()"],
    "ravel": ["x.ravel()", "x.ravel('F')"],
    "real": ["z.real", "i.real"],
    "repeat": ["x.repeat(2)", "x.repeat(2, axis=1)"],
    "reshape": ["x.reshape(4, 3)", "x.reshape((2, -1))", "x.reshape(-1)", "x.reshape(4, 3, order='F')", "s.reshape(1, 1)"],
    "round": ["x.round()", "x.round(1)", "i.round()", "z.round(decimals=1)"],
    "searchsorted": ["i.cumsum().searchsorted(7)", "i.cumsum().searchsorted([0, 8], side='right')"],
    "shape": ["x.shape[0] + x.shape[1]"],
    "size": ["x.size + s.size"],
    "squeeze": ["x[None, :, None].squeeze()", "x[None].squeeze(0)"],
    "std": ["x.std()", "x.std(axis=0, ddof=1)"],
    "sum": ["x.sum()", "x.sum(axis=0)", "b.sum()", "i.sum(dtype='float32')", "x.sum(1, keepdims=True, where=b)"],
    "swapaxes": ["x.swapaxes(0, 1)"],
    "take": ["x.take([1, 5])", "x.take(i % 3, axis=0)", "i.take(-1)", "x.take([0, 9], axis=1, mode='clip')"],
    "tolist": ["s.tolist()"],
    "trace": ["x.trace()", "x.trace(offset=1)", "i[:4].reshape(2, 2).trace(dtype='float32')"],
    "transpose": ["x.transpose()", "x.transpose(1, 0)", "x.transpose((0, 1))", "x.transpose(None)"],
    "var": ["x.var()", "z.var(axis=1)", "i.var(ddof=1)"],
    "view": ["x.view('float64')", "x.view('int64')", "i.view('uint64')", "x[1].view('uint64')"],
    "__operators__": [
        "x + 1", "1 - x", "x * x", "x / 2.0", "i // 2", "i % 3", "x ** 2", "2 ** i", "x @ x.T", "i & 3", "i | 8",
        "i ^ i[::-1]", "i << 2", "i >> 1", "-x", "+x", "~i", "~b", "abs(x)", "divmod(i, 3)", "x < 0.5", "x >= s",
        "i == 3", "i != i[0]", "b & ~b", "len(x) + len(i)",
    ],
    "__getitem__": [
        "x[1]", "x[1, 2]", "x[:, ::-1]", "x[..., 0]", "x[None, 1:]", "x[[0, 2]]", "x[x > 0.5]", "x[i % 3, 1]",
        "x[:, i % 4]", "x[-1, -1]", "x[b]", "s[()]", "x[1:1]", "i[i[0] % 5]",
    ],
    "__conversions__": ["float(s)", "int(s)", "bool(s)", "complex(s)", "[x[i[0] % 3, 0], x[0, 0]]"],
}  # fmt: skip

#: Attributes that need another answer than NumPy's array of the same bytes, or that NumPy has not; tested apart.
APART = {
    "at", "block_until_ready", "byteswap", "committed", "copy_to_host_async", "device", "devices", "is_deleted",
    "addressable_data", "addressable_shards", "global_shards", "sharding", "is_fully_addressable",
    "is_fully_replicated", "is_ready", "ptp", "sort", "to_device", "tobytes", "weak_type",
}  # fmt: skip

#: Those of NumPy's arrays (2.4) and of JAX's (0.10).
NUMPY = """T all any argmax argmin argpartition argsort astype base byteswap choose clip compress conj conjugate copy
ctypes cumprod cumsum data device diagonal dot dtype dump dumps fill flags flat flatten getfield imag item itemsize mT
max mean min nbytes ndim nonzero partition prod put ravel real repeat reshape resize round searchsorted setfield
setflags shape size sort squeeze std strides sum swapaxes take to_device tobytes tofile tolist trace transpose var
view""".split()
JAX = """addressable_data addressable_shards at aval block_until_ready clone committed copy_to_host_async delete
device_buffer device_buffers devices format global_shards is_deleted is_fully_addressable is_fully_replicated is_ready
on_device_size_in_bytes platform ptp sharding traceback unsafe_buffer_pointer weak_type""".split()

_numbers = itertools.count()


def function(calls: Sequence[str]) -> Callable[..., Any]:
    """A function of ``x, i, b, z, s`` that returns what the calls give."""
    name = f"<method table {next(_numbers)}>"
    text = "def calls(x, i, b, z, s):\n    return [\n" + "".join(f"        {c},\n" for c in calls) + "    ]\n"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    space: dict[str, Any] = {}
    exec(compile(text, name, "exec"), space)
    made: Callable[..., Any] = space["calls"]
    return made
