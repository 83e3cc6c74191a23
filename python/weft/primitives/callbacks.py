"""Calls of Python functions that the user gave: with results that depend on the operands alone, or with effects.

The attribute ``host`` is the function: ``host(values, outs) -> results``, where ``outs`` holds dtypes and shapes. It is
a Python object of this process, so programs with it are neither stored nor built ahead of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft.errors import StagingError
from weft.ir.nodes import Atom, Op
from weft.ir.primitive import Host, Primitive, register
from weft.ir.sizes import Size
from weft.ir.types import ArrayType
from weft.primitives.declare import prim


def _types(*types: ArrayType, host: Any, outs: Any, method: str = "") -> tuple[ArrayType, ...]:
    return tuple([ArrayType(dtype, shape) for dtype, shape in outs])


def _meaning(*values: Any, host: Any, outs: Any, method: str = "") -> tuple[Any, ...]:
    found: tuple[Any, ...] = host(values, outs)
    return found


def _python(args: Sequence[str], attrs: dict[str, Any]) -> str:
    name = attrs["host"].name
    return f"{name if name.isidentifier() else 'callback'}({', '.join(args)})"


def _refused(what: str, op: Op) -> StagingError:
    return StagingError(
        f"{what} of '{op.attrs['host'].name}' has no derivative",
        remedy="put the call into a function with a rule (weft.custom_jvp or weft.custom_vjp), or its arguments through"
        " weft.lax.stop_gradient",
        loc=op.loc,
    )


def _jvp(what: str) -> Any:
    def rule(op: Op, tangents: Sequence[Any]) -> Any:
        raise _refused(what, op)

    return rule


def _vjp(what: str) -> Any:
    def rule(op: Op, cts: Sequence[Any], wanted: Sequence[bool]) -> Any:
        raise _refused(what, op)

    return rule


def _all_lanes(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    """One call for all lanes; operands that the lanes share get the axis too, of size 1 or of the lanes' number."""
    many: Size = size if op.attrs["method"] == "broadcast_all" else 1
    given = [
        a if flag else prim("broadcast")(a, shape=(many, *a.type.shape), dims=tuple(range(1, a.type.rank + 1)))
        for a, flag in zip(args, batched, strict=True)
    ]
    outs = tuple([(dtype, (size, *shape)) for dtype, shape in op.attrs["outs"]])
    found = lanes_callback(*given, **{**op.attrs, "outs": outs})
    return found if isinstance(found, tuple) else (found,)


pure_callback = register(
    Primitive(
        "pure_callback", _types, _meaning, Host("callback"), effect="raise", jvp=_jvp("pure_callback"),
        vjp=_vjp("pure_callback"), python=_python,
    )
)  # fmt: skip

lanes_callback = register(
    Primitive(
        "lanes_callback", _types, _meaning, Host("callback"), effect="raise", batch=_all_lanes,
        jvp=_jvp("pure_callback"), vjp=_vjp("pure_callback"), python=_python,
    )
)  # fmt: skip

io_callback = register(
    Primitive(
        "io_callback", _types, _meaning, Host("callback"), effect="io", jvp=_jvp("io_callback"),
        vjp=_vjp("io_callback"), python=_python,
    )
)  # fmt: skip
