"""Elementwise operations of lax."""

from __future__ import annotations

from typing import Any

import numpy as np
from recorded_cases import case

X = np.linspace(0.05, 0.95, 12).reshape(3, 4)
Y = np.linspace(0.8, 0.1, 12).reshape(3, 4)
N = np.array([[0, 1, -1, 7], [-8, 100, -128, 127], [3, -3, 64, 12]], np.int8)
M = np.array([[3, 1, -2, 0], [2, -7, 1, 9], [-1, 4, 30, 2]], np.int8)
EDGES = np.array([0.0, -0.0, 1.5, -2.5, np.inf, -np.inf, np.nan, 0.49999999999999994, 1e300])
HALVES = np.array([0.5, -0.5, 1.5, 2.5, -2.5, 3.4999999])
SPECIAL = ("bessel_i0e", "bessel_i1e", "digamma", "erf", "erf_inv", "erfc", "lgamma")
UNARY = (
    "abs", "acos", "asin", "asinh", "atan", "atanh", "cbrt", "ceil", "cos", "cosh", "exp", "exp2", "expm1", "floor",
    "log", "log1p", "logistic", "neg", "reciprocal", "round", "rsqrt", "sign", "sin", "sinh", "sqrt", "square", "tan",
    "tanh",
)  # fmt: skip
BINARY = ("add", "atan2", "div", "max", "min", "mul", "pow", "rem", "sub")
COMPARE = ("eq", "ge", "gt", "le", "lt", "ne")
SHIFTS = ("shift_left", "shift_right_arithmetic", "shift_right_logical")


def each(names: tuple[str, ...]) -> Any:
    return lambda j, *xs: [getattr(j.lax, n)(*xs) for n in names]


CASES = [
    case("unary", each(UNARY), X, grad=True, vmap=True),
    case("unary32", each(UNARY), X.astype(np.float32), rtol=3e-6, atol=1e-6),
    case("acosh", lambda j, x: j.lax.acosh(1.0 + x), X, grad=True, vmap=True),
    case("special", each(SPECIAL), X, grad=True, vmap=True),
    case("igamma", lambda j, a, x: [j.lax.igamma(a, x), j.lax.igammac(a, x)], X, Y, vmap=True),
    case("zeta", lambda j, x: j.lax.zeta(2.0 + x, 1.5 + x), X),
    case("polygamma", lambda j, x: j.lax.polygamma(np.full_like(X, 2.0), x), X, rtol=1e-5),
    case("betainc", lambda j, a, b: j.lax.betainc(1.0 + a, 1.0 + b, a), X, Y, rtol=1e-5),
    case("edges", each(("abs", "ceil", "floor", "neg", "round", "sign", "is_finite")), EDGES),
    case("binary", each(BINARY), X, Y, grad=True, vmap=True),
    case("ties", lambda j, x: [j.lax.max(x, 0.5), j.lax.min(x, np.full(4, 0.5))], np.array([0.5, 0.2, 0.5, 0.9]), grad=True),
    case("compare", each(COMPARE), X, X.round(1), vmap=True),
    case("integers", each(("add", "bitwise_and", "bitwise_or", "bitwise_xor", "div", "mul", "rem", "sub", "max")), N, M),
    case("bits", each(("bitwise_not", "clz", "population_count", "sign", "neg", "abs")), N, vmap=True),
    case("bits_unsigned", each(("clz", "population_count")), np.array([0, 1, 2**63, 2**64 - 1], np.uint64)),
    case("shifts", each(SHIFTS), N, np.abs(M % 9)),
    case("shifts_far", each(SHIFTS), np.array([1, -1, -5, 2**40]), np.array([64, 70, 63, -1])),
    case("int_zero", each(("div", "rem")), np.array([7, -7, 0, 5]), np.array([0, 0, 0, -2])),
    case("integer_pow", lambda j, x: [j.lax.integer_pow(x, n) for n in (-3, 0, 1, 2, 7)], X, grad=True, vmap=True),
    case("pow_int", lambda j, x: [j.lax.pow(x, 3), j.lax.pow(x, np.array([[0, 1, 2, -1]] * 3))], X, grad=True),
    case("round", lambda j, x: [j.lax.round(x), j.lax.round(x, j.lax.RoundingMethod.TO_NEAREST_EVEN)], HALVES, vmap=True),
    case("clamp", lambda j, x: [j.lax.clamp(0.3, x, 0.6), j.lax.clamp(x * 0.5, np.full_like(X, 0.4), 1.0)], X, grad=True, vmap=True),
    case("clamp_ties", lambda j, x: j.lax.clamp(0.0, x, 1.0), np.array([0.0, 0.5, 1.0, 2.0, -1.0]), grad=True),
    case("clamp_nan", lambda j, x: j.lax.clamp(0.0, x, 1.0), np.array([np.nan, np.inf, -np.inf, -0.0])),
    case("select_n", lambda j, x, y: [j.lax.select_n(x > 0.5, x, y), j.lax.select_n(np.array([[0, 1, 2, 1]] * 3), x, y, x * y)], X, Y, grad=True, vmap=True),
    case("nextafter", lambda j, x, y: j.lax.nextafter(x, y), X, Y, rtol=0, atol=0),
    case("complex", lambda j, x, y: [j.lax.complex(x, y), j.lax.conj(j.lax.complex(x, y)), j.lax.real(j.lax.complex(x, y)), j.lax.imag(j.lax.complex(x, y))], X, Y, vmap=True),
    case("conj_real", lambda j, x: j.lax.conj(x), X),
    case("complex_unary", lambda j, x, y: [getattr(j.lax, n)(j.lax.complex(x, y)) for n in ("abs", "exp", "log", "sin", "sqrt", "square", "tanh", "sign", "reciprocal", "rsqrt")], X, Y),
    case("convert", lambda j, x: [j.lax.convert_element_type(x * 10, d) for d in (np.int32, np.float32, np.complex64, np.bool_)], X, vmap=True),
    case("bitcast", lambda j, x: [j.lax.bitcast_convert_type(x, d) for d in (np.int64, np.uint32, np.int8)], X, rtol=0, atol=0),
    case("bitcast_up", lambda j, x: j.lax.bitcast_convert_type(x, np.float32), np.arange(24, dtype=np.int8).reshape(2, 3, 4), vmap=True, rtol=0, atol=0),
    case("reduce_precision", lambda j, x: [j.lax.reduce_precision(x * 1e5, 5, 10), j.lax.reduce_precision(x, 8, 7), j.lax.reduce_precision(x * 1e-5, 4, 3)], X, vmap=True, rtol=0, atol=0),
    case("reduce_precision32", lambda j, x: [j.lax.reduce_precision(x, 5, 10), j.lax.reduce_precision(x, 8, 7)], EDGES.astype(np.float32), rtol=0, atol=0),
    case("mulhi", lambda j, x, y: [j.lax.mulhi(x, y), j.lax.mulhi(x.astype(np.uint64), y.astype(np.uint64))], np.array([2**62, -3, 2**63 - 1, 12345678901234]), np.array([5, 7, -(2**63), -98765432109876])),
    case("stop_gradient", lambda j, x: x * j.lax.stop_gradient(x), X, grad=True, vmap=True),
]  # fmt: skip
