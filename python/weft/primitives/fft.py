"""Fourier transforms, unscaled in both directions; scaling, padding and cropping are the library's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Atom, Op
from weft.ir.primitive import Library, Primitive, register
from weft.ir.sizes import Size
from weft.ir.types import ArrayType, DType, c64, c128, f32, f64, i64, real_dtype
from weft.primitives.declare import check_dtypes, like, linear_jvp, prim, to_batched
from weft.primitives.samples import Sample, dtypes, values

Atoms = Sequence[Atom | None]


def _check(name: str, x: ArrayType, wanted: tuple[DType, ...], *axes: int) -> None:
    check_dtypes(name, [x], "fc")
    if x.dtype not in wanted:
        raise TypeError(f"{name}: not defined for dtype {x.dtype}")
    for axis in axes:
        if not 0 <= axis < x.rank:
            raise np.exceptions.AxisError(axis, x.rank)
        if x.shape[axis] == 0:
            raise ValueError("Invalid number of FFT data points (0) specified.")


def _replaced(x: ArrayType, axis: int, size: Size) -> tuple[Size, ...]:
    return (*x.shape[:axis], size, *x.shape[axis + 1 :])


# -- complex to complex ------------------------------------------------------------------------------------------------


def _fft_type(x: ArrayType, *, axes: tuple[int, ...], inverse: bool) -> tuple[ArrayType, ...]:
    _check("fft", x, (c64, c128), *axes)
    if len(set(axes)) != len(axes):
        raise ValueError(f"fft: duplicate axes {axes}")
    return (x,)


def _fft(x: Any, *, axes: tuple[int, ...], inverse: bool) -> Any:
    return np.fft.ifftn(x, axes=axes, norm="forward") if inverse else np.fft.fftn(x, axes=axes)


def _fft_vjp(op: Op, cts: Atoms, wanted: Sequence[bool]) -> Atoms:
    # the matrix of a transform is symmetric
    return [None if cts[0] is None else fft(cts[0], **op.attrs)]


def _fft_batch(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    axes = tuple([k + 1 for k in op.attrs["axes"]])
    return [fft(args[0], axes=axes, inverse=op.attrs["inverse"])]


def _fft_python(args: Sequence[str], attrs: dict[str, Any]) -> str:
    axes = attrs["axes"]
    name, where = ("", f"axis={axes[0]}") if len(axes) == 1 else ("n", f"axes={axes}")
    scale = ', norm="forward"' if attrs["inverse"] else ""
    return f"np.fft.{'i' if attrs['inverse'] else ''}fft{name}({args[0]}, {where}{scale})"


def _fft_samples() -> list[Sample]:
    places = [((4,), (0,)), ((5,), (0,)), ((2, 3), (0,)), ((2, 3), (0, 1)), ((2, 3, 2), (1,)), ((0, 3), (1,))]
    return [
        ((values(d, s),), {"axes": axes, "inverse": inverse})
        for d in dtypes("c") for s, axes in places for inverse in (False, True)
    ]  # fmt: skip


fft: Primitive = register(
    Primitive(
        "fft", _fft_type, _fft, Library("fft"), linear_jvp, _fft_vjp, _fft_batch, linear=True, python=_fft_python,
        samples=_fft_samples,
    )
)  # fmt: skip

# -- real to half of the spectrum, and back ----------------------------------------------------------------------------
#
# `size` is how many elements the result has along the axis: ``n // 2 + 1`` of a transform of n, and n of an inverse one
# (which the operand's ``n // 2 + 1`` do not tell).


def _rfft_type(x: ArrayType, *, axis: int, size: Size) -> tuple[ArrayType, ...]:
    _check("rfft", x, (f32, f64), axis)
    n = x.shape[axis]
    if isinstance(n, int) and isinstance(size, int) and size != n // 2 + 1:
        raise ValueError(f"rfft: {n} elements have {n // 2 + 1} frequencies, not {size}")
    return (ArrayType(c64 if x.dtype == f32 else c128, _replaced(x, axis, size)),)


def _irfft_type(x: ArrayType, *, axis: int, size: Size) -> tuple[ArrayType, ...]:
    _check("irfft", x, (c64, c128), axis)
    n = x.shape[axis]
    if isinstance(n, int) and isinstance(size, int) and n != size // 2 + 1:
        raise ValueError(f"irfft: {size} elements have {size // 2 + 1} frequencies, not {n}")
    return (ArrayType(real_dtype(x.dtype), _replaced(x, axis, size)),)


def _twice(op: Op, half: Atom, whole: Size, numbers: tuple[Any, Any]) -> Atom:
    """``half`` with the frequencies that stand for two multiplied by one number, the others by another."""
    axis, shape = op.attrs["axis"], half.type.shape
    k = prim("iota")(size=shape[axis], dtype=i64)
    last = prim("eq")(prim("add")(k, k), whole)
    alone = prim("bitor")(prim("eq")(k, 0), last)
    weight = prim("select")(alone, like(numbers[1], half), like(numbers[0], half))
    if len(shape) > 1:
        weight = prim("broadcast")(weight, shape=shape, dims=(axis,))
    return prim("mul")(weight, half)  # type: ignore[no-any-return]


def _rfft_vjp(op: Op, cts: Atoms, wanted: Sequence[bool]) -> Atoms:
    ct, (x,), axis = cts[0], op.args, op.attrs["axis"]
    if ct is None:
        return [None]
    n = x.type.shape[axis]
    return [irfft(_twice(op, prim("conj")(ct), n, (0.5, 1)), axis=axis, size=n)]


def _irfft_vjp(op: Op, cts: Atoms, wanted: Sequence[bool]) -> Atoms:
    ct, (x,), axis = cts[0], op.args, op.attrs["axis"]
    if ct is None:
        return [None]
    back = prim("conj")(rfft(ct, axis=axis, size=x.type.shape[axis]))
    return [_twice(op, back, op.attrs["size"], (2, 1))]


def _half_batch(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    return [op.prim(to_batched(args[0], batched[0], size), axis=op.attrs["axis"] + 1, size=op.attrs["size"])]


_HALVES = [((5,), 0, 3), ((4,), 0, 3), ((2, 3), 1, 2), ((3, 2), 0, 2), ((1,), 0, 1), ((2,), 0, 2), ((0, 4), 1, 3)]

rfft: Primitive = register(
    Primitive(
        "rfft", _rfft_type, lambda x, *, axis, size: np.fft.rfft(x, axis=axis), Library("rfft"), linear_jvp, _rfft_vjp,
        _half_batch, linear=True, python=lambda args, attrs: f"np.fft.rfft({args[0]}, axis={attrs['axis']})",
        samples=lambda: [
            ((values(d, s),), {"axis": axis, "size": size}) for d in dtypes("f") for s, axis, size in _HALVES
        ],
    )
)  # fmt: skip


def _irfft_samples() -> list[Sample]:
    found: list[Sample] = []
    for d in dtypes("c"):
        for s, axis, size in _HALVES:
            half = (*s[:axis], size, *s[axis + 1 :])
            found.append(((values(d, half),), {"axis": axis, "size": s[axis]}))
    return found


irfft: Primitive = register(
    Primitive(
        "irfft", _irfft_type, lambda x, *, axis, size: np.fft.irfft(x, size, axis=axis, norm="forward"),
        Library("irfft"), linear_jvp, _irfft_vjp, _half_batch, linear=True,
        python=lambda args, attrs: f'np.fft.irfft({args[0]}, {attrs["size"]}, axis={attrs["axis"]}, norm="forward")',
        samples=_irfft_samples,
    )
)  # fmt: skip

__all__ = ["fft", "irfft", "rfft"]
