"""Effects, and the identities that stop derivatives and sharing."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.errors import exception_class, shown
from weft.ir.primitive import Elementwise, Host, Primitive, register
from weft.ir.types import ArrayType
from weft.primitives.declare import ANY, elementwise_batch, format_cpp
from weft.primitives.samples import dtypes, values


def _check_type(pred: ArrayType, *payload: ArrayType, exc: str, message: str) -> tuple[ArrayType, ...]:
    if pred.dtype.kind != "b" or pred.shape:
        raise TypeError(f"check: the predicate is {pred}, not bool")
    exception_class(exc)
    return ()


def _check(pred: Any, *payload: Any, exc: str, message: str) -> tuple[()]:
    if not pred:
        raise exception_class(exc)(message.format(*map(shown, payload)))
    return ()


check = register(
    Primitive(
        "check", _check_type, _check, Host("check"), effect="raise",
        samples=lambda: [((np.True_, np.int64(3), np.ones(2)), {"exc": "ValueError", "message": "bad {0} {1}"})],
    )
)  # fmt: skip


def _print(*args: Any, text: str) -> tuple[()]:
    print(text.format(*map(shown, args)), end="", flush=True)
    return ()


print_ = register(
    Primitive(
        "print", lambda *types, text: (), _print, Host("print"), effect="io",
        samples=lambda: [((np.float64(1.5), np.arange(3)), {"text": "x = {0}, {1}"})],
    )
)  # fmt: skip

stop_gradient = register(
    Primitive(
        "stop_gradient", lambda x: (x,), lambda x: x, Elementwise(format_cpp("{0}")), batch=elementwise_batch,
        inline_cheap=True, python=lambda args, attrs: args[0],
        samples=lambda: [((values(d, s),), {}) for d in dtypes(ANY) for s in ((2, 3), ())],
    )
)  # fmt: skip

barrier = register(
    Primitive(
        "barrier", lambda x: (x,), lambda x: x, Elementwise(format_cpp("{0}")), batch=elementwise_batch,
        jvp=lambda op, tangents: list(tangents), vjp=lambda op, cts, wanted: list(cts), linear=True, inline_cheap=True,
        python=lambda args, attrs: args[0],
        samples=lambda: [((values(d, s),), {}) for d in dtypes(ANY) for s in ((2, 3), ())],
    )
)  # fmt: skip

named = register(
    Primitive(
        "named", lambda x, label: (x,), lambda x, label: x, Elementwise(format_cpp("{0}")), batch=elementwise_batch,
        jvp=lambda op, tangents: list(tangents), vjp=lambda op, cts, wanted: list(cts), linear=True, inline_cheap=True,
        python=lambda args, attrs: args[0],
        samples=lambda: [((values(d, s),), {"label": "x"}) for d in dtypes(ANY) for s in ((2, 3), ())],
    )
)  # fmt: skip
