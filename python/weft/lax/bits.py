"""Bits of numbers."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.lax.operands import array, check_kinds, error, same_dtype, same_rank, sizes, text
from weft.lax.regions import apply


def _word(size: int) -> np.dtype[Any]:
    return np.dtype(f"u{size}")


def bitcast_convert_type(operand: Any, new_dtype: Any) -> Any:
    """The same bits read as another dtype.

    Parameters
    ----------
    operand
        An array of integers or floating numbers.
    new_dtype
        Such a dtype. If it is smaller, the result has another axis, for the parts of an element; if it is larger, the
        last axis has the parts of one, the lowest first.

    Examples
    --------
    >>> import numpy as np, weft
    >>> hex(int(weft.lax.bitcast_convert_type(np.float32(1.0), np.uint32)))
    '0x3f800000'
    """
    x, dtype = array(operand), np.dtype(new_dtype)
    for d in (x.dtype, dtype):
        if d.kind not in "iuf":
            raise error(
                TypeError, f"bitcast_convert_type does not accept dtype {d}. Accepted are integer and floating."
            )
    if x.dtype == dtype:
        return x
    old, new = x.dtype.itemsize, dtype.itemsize
    if old == new:
        return apply("bitcast", x, dtype=dtype)
    if old > new:
        whole = apply("bitcast", x, dtype=_word(old))
        parts = [(whole >> np.array(8 * new * k, _word(old))).astype(_word(new)) for k in range(old // new)]
        return apply("bitcast", wnp.stack(parts, axis=-1), dtype=dtype)
    count = new // old
    if not x.ndim or (sizes(x)[-1] not in (count, "?")):
        raise error(
            ValueError,
            f"Attempting to convert array of shape {text(x)} from {x.dtype} of size {8 * old} bits to {dtype} of size"
            f" {8 * new}, bits but {sizes(x)[-1] if x.ndim else 1} * {8 * old} != {8 * new}",
        )
    words = apply("bitcast", x, dtype=_word(old)).astype(_word(new))
    total = words[..., 0]
    for k in range(1, count):
        total = total | (words[..., k] << np.array(8 * old * k, _word(new)))
    return apply("bitcast", total, dtype=dtype)


def reduce_precision(operand: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """Elements rounded to a floating format with fewer bits.

    Parameters
    ----------
    operand
        A floating array.
    exponent_bits, mantissa_bits
        The format. What is too large becomes infinite, what is below its normal numbers zero.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.reduce_precision(np.array([1.1, 1e30]), 5, 10).tolist()
    [1.099609375, inf]
    """
    x = array(operand)
    check_kinds("reduce_precision", [x.dtype], "f")
    wide, short = operator.index(exponent_bits), operator.index(mantissa_bits)
    if wide < 1:
        raise error(ValueError, f"reduce_precision: exponent_bits must be positive; got {wide}")
    if short < 0:
        raise error(ValueError, f"reduce_precision: mantissa_bits must be non-negative; got {short}")
    info = np.finfo(x.dtype)
    word = _word(x.dtype.itemsize)

    def bits(n: int) -> Any:
        return np.array(n, word)

    u = apply("bitcast", x, dtype=word)
    all_bits = (1 << 8 * word.itemsize) - 1
    if short < info.nmant:
        unit = 1 << (info.nmant - short)
        odd = (u & bits(unit)) >> bits(info.nmant - short)
        u = (u + (odd + bits(unit // 2 - 1))) & bits(all_bits ^ (unit - 1))
    if wide < info.nexp:
        mask = ((1 << info.nexp) - 1) << info.nmant
        bias = (1 << (info.nexp - 1)) - 1
        reach = (1 << (wide - 1)) - 1
        sign = u & bits(1 << (8 * word.itemsize - 1))
        power = u & bits(mask)
        u = wnp.where(power > bits((bias + reach) << info.nmant), sign | bits(mask), u)
        u = wnp.where(power <= bits((bias - reach) << info.nmant), sign, u)
    return wnp.where(wnp.isnan(x), x, apply("bitcast", u, dtype=x.dtype))


def mulhi(x: Any, y: Any, /) -> Any:
    """The upper halves of products of integers.

    Parameters
    ----------
    x, y
        Arrays of one integer dtype and shape.
    """
    x, y = same_dtype("mulhi", (x, y))
    check_kinds("mulhi", [x.dtype, y.dtype], "iu")
    same_rank("mulhi", (x, y))
    n = 4 * x.dtype.itemsize
    half = np.array(n, x.dtype)
    mask = np.array((1 << n) - 1, x.dtype)
    (a, b), (c, d) = [(v >> half, v & mask) for v in (x, y)]  # the lower halves are not negative
    if x.dtype.kind == "i":
        word = _word(x.dtype.itemsize)
        low = ((b.astype(word) * d.astype(word)) >> half.astype(word)).astype(x.dtype)
    else:
        low = (b * d) >> half
    middle = a * d + low
    second = (middle & mask) + b * c
    return a * c + (middle >> half) + (second >> half)
