"""Abstract values: a dtype and a shape. Rank 0 is a scalar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from weft.ir.sizes import Shape, Size, same_shape

DType = np.dtype[Any]

bool_ = np.dtype(np.bool_)
i8, i16, i32, i64 = (np.dtype(t) for t in (np.int8, np.int16, np.int32, np.int64))
u8, u16, u32, u64 = (np.dtype(t) for t in (np.uint8, np.uint16, np.uint32, np.uint64))
f16, f32, f64 = (np.dtype(t) for t in (np.float16, np.float32, np.float64))
c64, c128 = np.dtype(np.complex64), np.dtype(np.complex128)

SHORT: dict[DType, str] = {
    bool_: "bool", i8: "i8", i16: "i16", i32: "i32", i64: "i64", u8: "u8", u16: "u16", u32: "u32", u64: "u64",
    f16: "f16", f32: "f32", f64: "f64", c64: "c64", c128: "c128",
}  # fmt: skip
BY_SHORT = {name: dtype for dtype, name in SHORT.items()}


def is_float(dtype: DType) -> bool:
    """Whether the dtype is a real floating type."""
    return dtype.kind == "f"


def is_complex(dtype: DType) -> bool:
    """Whether the dtype is complex."""
    return dtype.kind == "c"


def is_inexact(dtype: DType) -> bool:
    """Whether derivatives with respect to values of this dtype exist."""
    return dtype.kind in "fc"


def is_integer(dtype: DType) -> bool:
    """Whether the dtype is a signed or unsigned integer (bool is not)."""
    return dtype.kind in "iu"


def real_dtype(dtype: DType) -> DType:
    """The dtype of the real part."""
    return {c64: f32, c128: f64}.get(dtype, dtype)


@dataclass(frozen=True, slots=True)
class ArrayType:
    """An abstract value: ``dtype`` and ``shape``, whose sizes are ints or `Dim` expressions."""

    dtype: DType
    shape: Shape = ()

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def with_shape(self, shape: tuple[Size, ...]) -> ArrayType:
        """The same dtype with another shape."""
        return ArrayType(self.dtype, shape)

    def with_dtype(self, dtype: DType) -> ArrayType:
        """The same shape with another dtype."""
        return ArrayType(dtype, self.shape)

    def __repr__(self) -> str:
        name = SHORT.get(self.dtype, str(self.dtype))
        return f"{name}[{', '.join(map(repr, self.shape))}]" if self.shape else name


def scalar(dtype: DType) -> ArrayType:
    """The type of a scalar."""
    return ArrayType(dtype, ())


def same_type(a: ArrayType, b: ArrayType) -> bool:
    """Whether two types are known to be equal."""
    return a.dtype == b.dtype and same_shape(a.shape, b.shape)
