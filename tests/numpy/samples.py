"""Sample calls that, with those of `test_functions`, cover every public function of `weft.numpy` and its namespaces.

A sample is an expression over ``np`` and the arguments ``a``. Where weft takes a keyword that NumPy lacks, a second
expression says the same in NumPy's words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Sample:
    """One call.

    Attributes
    ----------
    text
        The expression.
    args
        The arguments.
    numpy
        NumPy's expression, where it is another one.
    """

    text: str
    args: tuple[Any, ...]
    numpy: str = ""


R = np.random.default_rng(7)
V, W = R.normal(size=6), R.uniform(0.2, 0.9, 6)
M, S = R.normal(size=(3, 4)), R.normal(size=(4, 4))
T = R.normal(size=(2, 3, 4))
C = M + 1j * M[::-1]
P = S @ S.T + 4 * np.eye(4)
I, J = np.array([3, 1, 2, 1, 0, 5]), np.array([4, -6, 9, 0, 2, 7])
IM = R.integers(-5, 9, (3, 4))
U8 = np.array([[1, 200, 3], [77, 0, 255]], "u1")
B = np.array([True, False, True, True, False, True])
NAN = np.array([[1.0, np.nan, 3.0, -2.0], [np.nan, 5.0, 2.0, 0.5], [1.5, 2.5, np.nan, np.nan]])
Q = np.array([0.13, 0.37, 0.82])
POINTS = R.normal(size=(20, 2))

_UNARY = (
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arctanh", "exp", "exp2",
    "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "floor", "ceil", "trunc", "rint", "absolute", "fabs",
    "negative", "positive", "square", "reciprocal", "sign", "conjugate", "deg2rad", "radians", "rad2deg", "degrees",
    "isnan", "isinf", "isfinite", "signbit", "logical_not", "modf", "frexp", "spacing",
)  # fmt: skip
_BINARY = (
    "divide", "floor_divide", "remainder", "fmod", "divmod", "power", "float_power", "fmax", "fmin", "arctan2",
    "hypot", "copysign", "logaddexp", "logaddexp2", "heaviside", "equal", "not_equal", "less_equal", "greater",
    "greater_equal", "logical_xor", "nextafter",
)  # fmt: skip
_METHODS = (
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull",
    "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest",
)  # fmt: skip


def _rows(*rows: Any) -> list[Sample]:
    return [Sample(*row) for row in rows]


ELEMENTWISE = [
    *[Sample(f"np.{f}(a[0])", (W,)) for f in _UNARY],
    Sample("np.arccosh(a[0] + 1)", (W,)),
    *[Sample(f"np.{f}(a[0], a[1])", (W, W[::-1].copy() + 0.05)) for f in _BINARY],
    *_rows(
        ("np.invert(a[0])", (I,)), ("np.bitwise_count(a[0])", (J,)), ("np.gcd(a[0], a[1])", (I, J)),
        ("np.lcm(a[0], a[1])", (I, J)), ("np.ldexp(a[0], a[1])", (W, I)), ("np.bitwise_and(a[0], 3)", (J,)),
        ("np.bitwise_or(a[0], a[1])", (I, J)), ("np.bitwise_xor(a[0], a[1])", (I, J)),
        ("np.left_shift(a[0], a[1])", (J, I)), ("np.right_shift(a[0], a[1])", (J, I)),
        ("np.maximum(a[0], a[1])", (C, C[:, ::-1].copy())), ("np.fmin(a[0], a[1])", (C, C[:, ::-1].copy())),
        ("np.less(a[0], a[1])", (C, C[:, ::-1].copy())), ("np.greater_equal(a[0], a[0])", (C,)),
        ("np.less(a[0], a[1])", (J, J.astype("u8"))), ("np.equal(a[0], a[1])", (J.astype("u8"), J)),
        ("np.greater(a[0], -1)", (I.astype("u8"),)), ("np.less_equal(-3, a[0])", (I.astype("u8"),)),
        ("np.astype(a[0], np.float32)", (M,)), ("np.astype(a[0], np.bool_)", (IM,)),
        ("np.array_equiv(a[0], a[1])", (M, M[:1].copy())), ("np.array_equiv(a[0], a[0][0])", (np.ones((2, 3)),)),
    ),
]  # fmt: skip

SHAPES = _rows(
    ("np.empty((2, a[0])).shape", (3,)), ("np.empty_like(a[0]).shape[0]", (M,)), ("np.matrix_transpose(a[0])", (T,)),
    ("np.diagflat(a[0], 1)", (V,)), ("np.dsplit(a[0], 2)", (T,)), ("np.dsplit(a[0], [1, 3])", (T,)),
    ("np.unstack(a[0])", (M,)), ("np.unstack(a[0], axis=-1)", (M,)), ("np.resize(a[0], (4, 5))", (M,)),
    ("np.resize(a[0], 3)", (V,)), ("np.diag_indices(a[0])", (4,)), ("np.diag_indices(3, 3)", ()),
    ("np.diag_indices_from(a[0])", (S,)), ("np.tril_indices_from(a[0], 1)", (M,)), ("np.triu_indices_from(a[0])", (M,)),
    ("np.mask_indices(4, np.triu, 1)", ()), ("np.zeros(2, np.result_type(a[0], np.float32))", (IM,)),
    ("np.array([np.iscomplexobj(a[0]), np.isrealobj(a[0]), np.isscalar(a[1])])", (C, 2.0)),
    ("np.fromfunction(lambda i, j: i + 2 * j, (3, a[0]))", (4,)),
    ("np.fromfunction(lambda i, j: i + 2 * j, (3, 2), dtype=int)", ()),
    ("np.meshgrid(a[0], a[1])", (V, W)), ("np.geomspace(a[0], 8.0, 5)", (0.5,)), ("np.geomspace(-1, -9, a[0])", (3,)),
    ("np.geomspace(a[0], 2.0, 3, axis=1)", (W,)), ("np.geomspace(1j, 4, 4)", ()),
    ("np.geomspace(1, 100, 4, endpoint=False)", ()),
)  # fmt: skip

EDITS = _rows(
    ("np.insert(a[0], 2, 9.5)", (V,)), ("np.insert(a[0], 1, a[1], axis=0)", (M, M[0].copy())),
    ("np.insert(a[0], [1, 3, 1], [7.0, 8.0, 9.0])", (V,)), ("np.insert(a[0], 1, [[1.0], [2.0], [3.0]], axis=1)", (M,)),
    ("np.insert(a[0], [1], [[1.0], [2.0], [3.0]], axis=1)", (M,)), ("np.insert(a[0], slice(1, 4), 0.0)", (V,)),
    ("np.insert(a[0], -1, 5)", (I,)), ("np.insert(a[0], a[1], [4.0, 5.0])", (V, np.array([0, 6]))),
    ("np.delete(a[0], [0, 2, -1])", (V,)), ("np.delete(a[0], slice(None, None, 2))", (V,)),
    ("np.delete(a[0], a[0] > 0)", (V,)), ("np.delete(a[0], a[1], axis=1)", (M, 2)),
    ("np.packbits(a[0])", (B,)), ("np.packbits(a[0], axis=1, bitorder='little')", (IM,)), ("np.unpackbits(a[0])", (U8,)),
    ("np.unpackbits(a[0], axis=0, count=11)", (U8,)), ("np.unpackbits(a[0], count=-3, bitorder='little')", (U8,)),
    ("np.trim_zeros(a[0])", (np.array([0.0, 0.0, 1.5, 0.0, 2.5, 0.0]),)), ("np.trim_zeros(a[0], 'f')", (J * 0,)),
    ("np.trim_zeros(a[0])", (np.pad(M, ((1, 2), (2, 1))),)), ("np.ediff1d(a[0], 7.0, [1.0, 2.0])", (V,)),
)  # fmt: skip

REDUCTIONS = [
    *[Sample(f"np.quantile(a[0], a[1], method='{m}')", (V, Q)) for m in _METHODS],
    *[Sample(f"np.quantile(a[0], a[1], axis=0, method='{m}')", (IM, Q)) for m in ("lower", "nearest", "hazen")],
    *[Sample(f"np.nanquantile(a[0], a[1], axis={ax})", (NAN, Q)) for ax in (0, 1, None)],
    *_rows(
        ("np.percentile(a[0], 30, axis=1)", (M.astype("f4"),)), ("np.quantile(a[0], [0.5], axis=1)", (M.astype("f4"),)),
        ("np.quantile(a[0], [[0.5, 0.2], [0.1, 0.3]], axis=1, keepdims=True)", (M,)),
        ("np.nanpercentile(a[0], [20, 70.0], axis=1, keepdims=True)", (NAN,)), ("np.nanpercentile(a[0], 40)", (NAN,)),
        ("np.nanquantile(a[0], 0.3, axis=0, method='higher')", (NAN,)), ("np.nanmedian(a[0], axis=1)", (NAN,)),
        ("np.nanmedian(a[0])", (NAN,)), ("np.nanmedian(a[0], axis=0, keepdims=True)", (NAN,)),
        ("np.nanargmax(a[0], axis=1)", (NAN,)), ("np.nanargmin(a[0])", (NAN,)),
        ("np.nanargmin(a[0], axis=0, keepdims=True)", (NAN,)), ("np.cumulative_sum(a[0])", (V,)),
        ("np.cumulative_sum(a[0], axis=1, include_initial=True)", (IM,)), ("np.cumulative_prod(a[0], axis=0)", (M,)),
        ("np.cumulative_prod(a[0], include_initial=True, dtype=np.float32)", (I,)), ("np.nancumprod(a[0])", (NAN,)),
        ("np.nanmax(a[0], axis=1, initial=2.0)", (NAN,)), ("np.nanmin(a[0], initial=9.0, where=a[0] > 0)", (NAN,)),
        ("np.nanmean(a[0], axis=0, where=a[0] > -1)", (NAN,)), ("np.nanstd(a[0], axis=1, ddof=1)", (NAN,)),
        ("np.nanvar(a[0], where=a[0] > 0)", (NAN,)),
        ("np.apply_along_axis(lambda r: r.max() - r.min(), 1, a[0])", (M,)),
        ("np.apply_along_axis(lambda r: r * r, 0, a[0])", (T,)),
        ("np.apply_along_axis(lambda r: np.outer(r, r), 1, a[0])", (T,)),
        ("np.apply_over_axes(np.sum, a[0], [0, 2])", (T,)), ("np.matvec(a[0], a[1])", (T, M[0].copy())),
        ("np.matvec(a[0], a[1])", (M, T[:, 0].copy())), ("np.vecmat(a[0], a[1])", (M[:, 0].copy(), T)),
        ("np.vecmat(a[0], a[1])", (C[:, 0].copy(), C)),
    ),
]  # fmt: skip

SORTING = _rows(
    ("np.sort(a[0], axis=0, descending=True)", (M,), "np.sort(a[0], axis=0)[::-1]"),
    ("np.argsort(a[0], descending=True)", (I,), "np.array([5, 0, 2, 1, 3, 4])"), ("np.sort(a[0], axis=1)", (C,)),
    ("np.argsort(a[0], axis=0)", (C,)), ("np.sort_complex(a[0])", (V,)), ("np.sort_complex(a[0])", (C,)),
    ("np.sort_complex(a[0])", (I.astype("i2"),)), ("np.partition(np.sort(a[0]), 2)", (V,)),
    ("np.argpartition(np.sort(a[0]), 2)", (V,)), ("np.unique_all(a[0])", (IM,)), ("np.unique_counts(a[0])", (I,)),
    ("np.unique_inverse(a[0])", (NAN,)), ("np.unique_values(a[0])", (IM,), "np.unique(a[0])"), ("np.unique(a[0], axis=0)", (IM % 2,)),
    ("np.unique(a[0], True, True, True, axis=1)", (IM % 2,)), ("np.union1d(a[0], a[1])", (I, J)),
    ("np.intersect1d(a[0], a[1])", (I, J)), ("np.intersect1d(a[0], a[1], return_indices=True)", (I, J)),
    ("np.setdiff1d(a[0], a[1])", (I, J)), ("np.setdiff1d(a[0], a[1], True)", (I, J)), ("np.setxor1d(a[0], a[1])", (I, J)),
    ("np.isin(a[0], [])", (I,)), ("np.unique(a[0], size=3)", (I,), "np.unique(a[0])[:3]"),
    ("np.unique(a[0], size=7, fill_value=-1)", (I,), "np.append(np.unique(a[0]), [-1, -1])"),
    ("np.unique_values(a[0], size=7)", (I,), "np.append(np.unique(a[0]), [0, 0])"),
    ("np.union1d(a[0], a[1], size=11)", (I, J), "np.append(np.union1d(a[0], a[1]), [-6] * 2)"),
    ("np.intersect1d(a[0], a[1], size=4, fill_value=8)", (I, J), "np.append(np.intersect1d(a[0], a[1]), [8] * 2)"),
    ("np.setdiff1d(a[0], a[1], size=5)", (I, J), "np.append(np.setdiff1d(a[0], a[1]), [0] * 2)"),
    ("np.setxor1d(a[0], a[1], size=2)", (I, J), "np.setxor1d(a[0], a[1])[:2]"),
    ("np.nonzero(a[0] > 0, size=4)", (V,), "(np.append(np.nonzero(a[0] > 0)[0], [0] * 9)[:4],)"),
    ("np.flatnonzero(a[0] > 9, size=2, fill_value=5)", (M,), "np.array([5, 5])"),
    ("np.argwhere(a[0] > 9, size=2, fill_value=7)", (M,), "np.full((2, 2), 7)"),
    ("np.where(a[0] > 9, size=2)", (M,), "(np.zeros(2, int), np.zeros(2, int))"),
    ("np.extract(a[0] > 9, a[0], size=2, fill_value=0.5)", (M,), "np.full(2, 0.5)"),
    ("np.compress(a[0][0] > 9, a[0], 1, size=2)", (M,), "np.zeros((3, 2))"),
    ("np.bincount(a[0], length=4)", (I,), "np.bincount(a[0])[:4]"),
    ("np.take(a[0], [0, 9, -1], axis=1, mode='fill')", (M,), "np.insert(a[0][:, [0, -1]], 1, np.nan, 1)"),
    ("np.take(a[0], [0, 9], mode='fill', fill_value=4)", (I,), "np.array([3, 4])"),
    ("np.mask_indices(3, np.tril, size=7)", (), "tuple(np.append(i, 0) for i in np.tril_indices(3))"),
    ("np.unravel_index(a[0], (3, 4), order='F')", (I,)),
    ("np.ravel_multi_index((a[0], a[0]), (6, 7), order='F')", (I,)),
    ("np.ravel_multi_index((a[0], a[0]), (3, 4), mode=('wrap', 'clip'))", (I,)),
    ("np.histogram_bin_edges(a[0], 4)", (V,)), ("np.histogram2d(a[0], a[1], 3)", (V, W)),
    ("np.histogram2d(a[0], a[1], [2, 4], range=[[-1, 1], [0, 1]])", (V, W)),
    ("np.histogram2d(a[0], a[1], [-1.0, 0.0, 2.0])", (V, V * 2)), ("np.histogramdd(a[0], (2, 3))", (POINTS,)),
    ("np.histogramdd(a[0], 2, density=True, weights=a[1])", (POINTS, R.uniform(size=20))),
    ("np.histogram(a[0], 3, weights=a[1])", (V, W)),
)  # fmt: skip

NUMERICS = _rows(
    ("np.polyadd(a[0], a[1])", (V, W[:3].copy())), ("np.polysub(a[0], a[1])", (I, V)), ("np.polymul(a[0], a[1])", (V, W)),
    ("np.polymul([0, 0, 1, 2], a[0])", (V,)), ("np.polydiv(a[0], a[1])", (V, W[:3].copy())),
    ("np.polydiv([1, 3, 2], [1, 1])", ()), ("np.polydiv(a[0][:2], a[0])", (V,)), ("np.polyder(a[0])", (V,)),
    ("np.polyder(a[0], 2)", (I,)), ("np.polyint(a[0], 2, [1, 2])", (V,)), ("np.polyint(a[0])", (I,)),
    ("np.sort(np.roots(a[0]))", (np.array([0.0, 2, -1, 3, 5, 0, 0]),), "np.sort(np.roots(a[0]).astype(complex))"),
    ("np.polymul(a[0], a[1], trim_leading_zeros=False)", (V, W), "np.polymul(a[0], a[1])"),
    ("np.polydiv(a[0], a[1], trim_leading_zeros=False)[0]", (V, W[:3].copy()), "np.polydiv(a[0], a[1])[0]"),
    ("np.poly(a[0])", (V,)), ("np.poly(a[0])", (S,)), ("np.poly([])", ()),
    ("np.polyfit(a[0], a[1], 2)", (V, W)), ("np.polyfit(a[0], a[1], 1, w=a[1])", (V, W)),
    ("np.polyfit(a[0], a[1], 1, cov=True)", (V, W)), ("np.polyfit(a[0], a[1], 1)", (V, np.stack([W, V * 2], 1))),
    ("np.bartlett(a[0])", (5,)), ("np.blackman(6)", ()), ("np.hamming(a[0])", (1,)), ("np.hanning(a[0])", (4,)),
    ("np.hanning(0)", ()), ("np.kaiser(a[0], a[1])", (5, 8.5)), ("np.i0(a[0])", (V,)), ("np.i0(a[0])", (I,)),
    ("np.unwrap(a[0])", (np.cumsum(V) * 4,)), ("np.unwrap(a[0], axis=0, period=3.0)", (M * 5,)),
    ("np.unwrap(a[0], period=4)", (J,)), ("np.unwrap(a[0], discont=5.0)", (np.cumsum(V) * 6,)),
    ("np.piecewise(a[0], [a[0] < 0, a[0] > 0.5], [lambda x: -x, lambda x: x * x, 3.0])", (M,)),
    ("np.piecewise(a[0], [a[0] < 0], [0, 1])", (I,)),
)  # fmt: skip

MORE = _rows(
    ("np.digitize(a[0], [2.0, 0.0, 0.0, -1.0])", (M,)), ("np.digitize(a[0], a[1], right=True)", (I, np.array([4, 2, 1]))),
    ("np.digitize(a[0], [3.0, 3.0])", (I,)),
    ("np.gradient(a[0], edge_order=2)", (V,)), ("np.gradient(a[0], a[1])", (V, np.sort(W))),
    ("np.gradient(a[0], np.cumsum(a[1]), edge_order=2)", (V, W)), ("np.gradient(a[0], 2.0, axis=0, edge_order=2)", (M,)),
    ("np.gradient(a[0], 0.5, np.array([0, 1, 3, 4]))", (M,)), ("np.einsum(a[0], [0, 1], a[1], [1, 2], [0, 2])", (M, S)),
    ("np.einsum(a[0], [..., 0], a[0], [..., 0])", (M,)), ("np.array(len(np.einsum_path('ij,jk,kl', a[0], a[1], a[1])[0]))", (M, S)), ("np.round(a[0], -1)", (IM * 7,)),
    ("np.lexsort(a[0])", (IM,)), ("np.lexsort((a[0], a[0] % 2), axis=0)", (IM,)), ("np.lexsort((a[0], a[1]))", (I, J)),
    ("np.interp(a[0], a[1], a[2], period=2.0)", (M * 3, V, W)), ("np.interp(a[0], a[1], a[2])", (M, np.sort(V), C[0, :1] + W)),
    ("np.max(a[0], axis=1)", (C,)), ("np.min(a[0])", (C,)), ("np.max(a[0], axis=0, keepdims=True)", (C,)),
    ("np.argmax(a[0], axis=1)", (C,)), ("np.argmin(a[0])", (C,)),
    *[(f"np.pad(a[0], ((1, 2), (0, 3)), mode='{m}')", (M,)) for m in (
        "linear_ramp", "maximum", "minimum", "mean", "median", "edge", "wrap", "reflect", "symmetric")],
    *[(f"np.pad(a[0], (9, 5), mode='{m}', reflect_type='odd')", (V,)) for m in ("reflect", "symmetric")],
    ("np.pad(a[0], 2, mode='mean', stat_length=(2, 3))", (V,)), ("np.pad(a[0], 2, mode='mean')", (IM,)),
    ("np.pad(a[0], 3, mode='linear_ramp', end_values=(-9, 9))", (I,)),
    ("np.cov(a[0], a[1])", (M, M[:2] * 2)), ("np.cov(a[0], fweights=[1, 2, 3, 1])", (M,)), ("np.cov(a[0])", (C,)),
    ("np.cov(a[0], aweights=a[1], ddof=0)", (M, W[:4].copy())), ("np.cov(a[0], rowvar=False, aweights=[1.0, 2, 1])", (M,)),
    ("np.cov(a[0], dtype=np.float32)", (M,)), ("np.corrcoef(a[0], a[1])", (V, W)), ("np.corrcoef(a[0])", (C,)),
    ("np.correlate(a[0], a[1], 'full')", (C[0], C[1])), ("np.correlate(a[0], a[1], 'valid')", (C[0, :2].copy(), C[1])),
)  # fmt: skip

SMALL = (np.arange(-3, 9).reshape(3, 4) * 20).astype("i1")
JAX = _rows(
    ("np.take(a[0], [0, 1], indices_are_sorted=True)", (V,), "a[0][:2]"),
    ("np.searchsorted(np.sort(a[0]), 0.1, method='sort')", (V,), "np.searchsorted(np.sort(a[0]), 0.1)"),
    ("np.isin(a[0], [1, 2], method='auto')", (I,), "np.isin(a[0], [1, 2])"),
    ("np.polyval(a[0], 2.0, unroll=8)", (V,), "np.polyval(a[0], 2.0)"),
    *[(f"np.{f}(a[0], a[0].T, precision='highest', preferred_element_type=np.int32)", (SMALL,),
       f"np.{f}(a[0].astype('i4'), a[0].T.astype('i4'))") for f in ("dot", "matmul", "linalg.matmul")],
    ("np.tensordot(a[0], a[0], 2, preferred_element_type=np.float32)", (SMALL,),
     "np.tensordot(a[0].astype('f4'), a[0].astype('f4'), 2)"),
    ("np.einsum('ij,kj->ik', a[0], a[0], preferred_element_type=np.int32)", (SMALL,),
     "a[0].astype('i4') @ a[0].T.astype('i4')"),
    ("np.convolve(a[0][0], a[0][1], preferred_element_type=np.int64)", (SMALL,),
     "np.convolve(a[0][0].astype(int), a[0][1].astype(int))"),
    ("np.repeat(a[0], [2, 1, 0, 0, 1, 1], total_repeat_length=7)", (V,), "a[0][[0, 0, 1, 4, 5, 5, 5]]"),
    ("np.repeat(a[0], 2, axis=1, total_repeat_length=5)", (M,), "a[0][:, [0, 0, 1, 1, 2]]"),
    ("np.take_along_axis(a[0], np.array([[0, 9], [-1, 2], [-7, 3]]), 1, mode='clip')", (M,),
     "np.take_along_axis(a[0], np.array([[0, 3], [0, 2], [0, 3]]), 1)"),
    ("np.take_along_axis(a[0], np.array([[0, 9], [-1, 2], [-7, 3]]), 1, mode='wrap')", (M,),
     "np.take_along_axis(a[0], np.array([[0, 1], [3, 2], [1, 3]]), 1)"),
    ("np.take_along_axis(a[0], np.array([9, -1, -9]), 0, mode='fill', fill_value=7)", (I,), "np.array([7, 5, 7])"),
    ("np.put(a[0], [0, -1], 5.0, inplace=False)", (V,), "np.concatenate([[5.0], a[0][1:-1], [5.0]])"),
    ("np.place(a[0], a[0] > 0, [1.0], inplace=False)", (M,), "np.where(a[0] > 0, 1.0, a[0])"),
    ("np.fill_diagonal(a[0], 0.5, inplace=False)", (S,), "np.where(np.eye(4) > 0, 0.5, a[0])"),
    ("np.put_along_axis(a[0], np.array([[1], [0], [3]]), 9.0, 1, inplace=False)", (M,),
     "np.where(np.arange(4) == [[1], [0], [3]], 9.0, a[0])"),
    ("np.putmask(a[0], a[0] < 0, [2.0, 3.0], inplace=False)", (M,), "np.where(a[0] < 0, [2.0, 3.0] * 2, a[0])"),
)  # fmt: skip

LINALG = _rows(
    *[(f"np.linalg.{f}(a[0])", (P,)) for f in (
        "cholesky", "cond", "det", "eigvalsh", "inv", "matrix_norm", "matrix_rank", "matrix_transpose", "pinv", "slogdet",
        "svdvals", "trace", "vector_norm", "norm", "diagonal", "eigh",
    )],
    *[(f"np.linalg.{f}(a[0], a[1])", (P, S)) for f in ("solve", "matmul", "tensordot", "vecdot")],
    ("np.sort(np.linalg.eigvals(a[0]))", (S + 1j * S.T,)), ("np.linalg.outer(a[0], a[1])", (V, W)),
    ("np.abs(np.linalg.eig(a[0])[1])", (S.astype(complex),)), ("np.linalg.cross(a[0], a[1])", (V[:3].copy(), W[:3].copy())),
    ("np.linalg.lstsq(a[0], a[1])", (M.T.copy(), V[:4].copy())), ("np.linalg.matrix_power(a[0], 3)", (S,)),
    ("np.linalg.multi_dot([a[0], a[1]])", (M, S)), ("np.abs(np.linalg.qr(a[0])[1])", (S,)),
    ("np.abs(np.linalg.svd(a[0])[0])", (S,)), ("np.linalg.tensorinv(np.reshape(a[0], (2, 2, 4)))", (P,)),
    ("np.linalg.tensorsolve(a[0], a[1])", (P, V[:4].copy())),
)  # fmt: skip

FFT = _rows(
    *[(f"np.fft.{f}(a[0])", (M,)) for f in ("fft", "ifft", "rfft", "ihfft", "fft2", "ifft2", "rfft2", "fftn", "ifftn",
                                            "rfftn", "fftshift", "ifftshift")],
    *[(f"np.fft.{f}(a[0])", (C,)) for f in ("irfft", "hfft", "irfft2", "irfftn")],
    ("np.fft.fftfreq(5, 0.5)", ()), ("np.fft.rfftfreq(a[0])", (6,)),
)  # fmt: skip

SAMPLES = [*ELEMENTWISE, *SHAPES, *EDITS, *REDUCTIONS, *SORTING, *NUMERICS, *MORE, *JAX, *LINALG, *FFT]

#: Sizes of results depend on data: a batch of them is refused. With ``size=`` they do not.
RAGGED = (
    "unique", "union1d", "intersect1d", "setdiff1d", "setxor1d", "trim_zeros", "polymul", "polydiv", "roots", "lstsq",
    "delete(a[0], a[0]", "extract", "compress", "nonzero", "argwhere",
)  # fmt: skip

#: Samples at points where there is no derivative, or none is defined.
KINKS = ("trim_zeros", "unique", "mode='fill'", "roots", "eig(", "qr(", "svd(", "float32")

#: Functions that write into an argument, which is an array of NumPy; staged code only.
IN_PLACE = {"copyto", "fill_diagonal", "place", "put", "put_along_axis", "putmask"}
