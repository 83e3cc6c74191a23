"""Constants, dtypes and questions that are NumPy's own objects."""

from __future__ import annotations

import numpy as _np

pi, e, euler_gamma, inf, nan, newaxis = _np.pi, _np.e, _np.euler_gamma, _np.inf, _np.nan, None
little_endian = _np.little_endian
s_, index_exp = _np.s_, _np.index_exp

bool_, bool = _np.bool_, _np.bool_
int8, int16, int32, int64, int_, intp = _np.int8, _np.int16, _np.int32, _np.int64, _np.int_, _np.intp
uint8, uint16, uint32, uint64, uint, uintp = _np.uint8, _np.uint16, _np.uint32, _np.uint64, _np.uint, _np.uintp
byte, short, intc, long, longlong = _np.byte, _np.short, _np.intc, _np.long, _np.longlong
ubyte, ushort, uintc, ulong, ulonglong = _np.ubyte, _np.ushort, _np.uintc, _np.ulong, _np.ulonglong
float16, float32, float64, half, single, double = (
    _np.float16, _np.float32, _np.float64, _np.half, _np.single, _np.double
)  # fmt: skip
complex64, complex128, csingle, cdouble = _np.complex64, _np.complex128, _np.csingle, _np.cdouble
float_, complex_ = _np.float64, _np.complex128

generic, number, integer, inexact, floating = _np.generic, _np.number, _np.integer, _np.inexact, _np.floating
signedinteger, unsignedinteger, complexfloating = _np.signedinteger, _np.unsignedinteger, _np.complexfloating
character, flexible, object_ = _np.character, _np.flexible, _np.object_

dtype = _np.dtype
issubdtype, promote_types, broadcast_shapes = _np.issubdtype, _np.promote_types, _np.broadcast_shapes
get_printoptions, set_printoptions, printoptions = _np.get_printoptions, _np.set_printoptions, _np.printoptions

__all__ = [n for n in dir() if not n.startswith("__") and n not in ("annotations", "_np")]
