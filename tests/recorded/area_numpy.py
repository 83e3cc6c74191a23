"""`weft.numpy`: what `jax.numpy` adds to NumPy, and functions whose conventions are worth comparing."""

from __future__ import annotations

import numpy as np
from recorded_cases import case

X = np.linspace(-2.0, 2.0, 12).reshape(3, 4)
Y = np.sin(np.arange(12.0)).reshape(3, 4)
P = np.abs(Y) + 0.1
V = np.cos(np.arange(7.0))
I = np.array([3, 1, 2, 1, 0, 5])
J = np.array([4, -6, 9, 0, 2, 7])
N = np.array([[1.0, np.nan, 3.0], [np.nan, 5.0, -2.0]])
F = np.linspace(-1, 1, 8, dtype=np.float32)

CASES = [
    # results of a given size
    *[case(f"nonzero_{n}", lambda j, x, n=n: j.numpy.nonzero(x > 0, size=n), X, vmap=True) for n in (2, 9)],
    case("nonzero_fill", lambda j, x: j.numpy.nonzero(x > 1, size=6, fill_value=(7, 8)), X),
    case("flatnonzero", lambda j, x: j.numpy.flatnonzero(x > 0, size=8, fill_value=-1), X, vmap=True),
    case("argwhere", lambda j, x: j.numpy.argwhere(x > 1, size=5, fill_value=-1), X, vmap=True),
    case("where_one", lambda j, x: j.numpy.where(x > 1, size=5), X, vmap=True),
    case("extract", lambda j, x: j.numpy.extract(x > 0, x, size=4), X, grad=True, vmap=True),
    case("compress", lambda j, x: j.numpy.compress(x[0] > 0, x, axis=1, size=3, fill_value=9.0), X, vmap=True),
    *[case(f"unique_{n}", lambda j, x, n=n: j.numpy.unique(x, True, True, True, size=n), I, vmap=True) for n in (3, 8)],
    case("unique_fill", lambda j, x: j.numpy.unique(x, size=8, fill_value=-5), I, vmap=True),
    case("unique_axis", lambda j, x: j.numpy.unique(x % 2, axis=0, size=4, return_counts=True), I.reshape(3, 2), vmap=True),
    case("unique_all", lambda j, x: tuple(j.numpy.unique_all(x, size=4)), I, vmap=True),
    case("unique_counts", lambda j, x: tuple(j.numpy.unique_counts(x, size=7)), I, vmap=True),
    case("unique_inverse", lambda j, x: tuple(j.numpy.unique_inverse(x, size=7)), I, vmap=True),
    case("union1d", lambda j, x, y: j.numpy.union1d(x, y, size=12), I, J, vmap=True),
    case("intersect1d", lambda j, x, y: j.numpy.intersect1d(x, y, size=5), I, J, vmap=True),
    case("intersect1d_at", lambda j, x, y: j.numpy.intersect1d(x, y, size=5, return_indices=True), I, J),
    case("setdiff1d", lambda j, x, y: j.numpy.setdiff1d(x, y, size=6), I, J, vmap=True),
    case("setxor1d", lambda j, x, y: j.numpy.setxor1d(x, y, size=3, fill_value=8), I, J, vmap=True),
    case("bincount", lambda j, x: j.numpy.bincount(x, length=4), J, vmap=True),
    case("bincount_weights", lambda j, w, x: j.numpy.bincount(x, w, length=8), V[:6], I, grad=True, vmap=True),
    case("repeat", lambda j, x: j.numpy.repeat(x, np.array([2, 0, 1]), axis=0, total_repeat_length=5), X, grad=True, vmap=True),
    # indices out of bounds
    case("take_fill", lambda j, x: j.numpy.take(x, np.array([0, 9, -1]), axis=1, mode="fill"), X),
    case("take_clip", lambda j, x: j.numpy.take(x, np.array([0, 9, 2]), axis=1, mode="clip"), X, grad=True, vmap=True),
    case("take_wrap", lambda j, x: j.numpy.take(x, np.array([0, 9, -1]), mode="wrap"), X, grad=True, vmap=True),
    case("take_along_fill", lambda j, x: j.numpy.take_along_axis(x, np.array([[0, 9]] * 3), 1, mode="fill", fill_value=2.0), X, grad=True),
    case("take_along_clip", lambda j, x: j.numpy.take_along_axis(x, np.array([[0, 9]] * 3), 1, mode="clip"), X, grad=True),
    # sorting
    case("sort_down", lambda j, x: j.numpy.sort(x, axis=0, descending=True), Y, grad=True, vmap=True),
    case("argsort_down", lambda j, x: j.numpy.argsort(x % 3, descending=True), I, vmap=True),
    case("sort_complex", lambda j, x: j.numpy.sort_complex(x + 1j * x[::-1]), Y),
    case("lexsort", lambda j, x, y: j.numpy.lexsort((x, y)), I, J % 3, vmap=True),
    # numerics
    case("polyfit", lambda j, y: j.numpy.polyfit(np.arange(7.0), y, 2), V, grad=True, vmap=True),
    case("roots", lambda j, p: j.numpy.sort(j.numpy.roots(p, strip_zeros=False)), np.array([1.0, -6.0, 11.0, -6.0])),
    case("polymul", lambda j, p: j.numpy.polymul(p, p[:3], trim_leading_zeros=False), V, grad=True, vmap=True),
    case("polydiv", lambda j, p: j.numpy.polydiv(p, p[:3], trim_leading_zeros=False), V, grad=True),
    case("polyint", lambda j, p: j.numpy.polyint(p, 2), V, grad=True, vmap=True),
    case("unwrap", lambda j, x: j.numpy.unwrap(x * 7), Y, grad=True, vmap=True),
    *[case(f"quantile_{m}", lambda j, x, m=m: j.numpy.quantile(x, 0.37, axis=1, method=m), Y, grad=True, vmap=True)
      for m in ("linear", "lower", "higher", "midpoint", "nearest")],
    case("nanquantile", lambda j, x: j.numpy.nanquantile(x, np.array([0.2, 0.6]), axis=0), N),
    case("nanmedian", lambda j, x: j.numpy.nanmedian(x, axis=1), N),
    case("nanmax", lambda j, x: (j.numpy.nanmax(x, axis=0), j.numpy.nanmin(x), j.numpy.nanargmax(x, axis=1)), N),
    case("nanvar", lambda j, x: (j.numpy.nanvar(x), j.numpy.nanmean(x, axis=1), j.numpy.nanstd(x, axis=1)), N),
    case("cov", lambda j, x: (j.numpy.cov(x), j.numpy.corrcoef(x)), Y, grad=True, vmap=True),
    case("cov_weights", lambda j, x: j.numpy.cov(x, aweights=np.arange(1.0, 5.0)), Y, grad=True, vmap=True),
    case("gradient", lambda j, x: j.numpy.gradient(x, 0.5), Y, grad=True, vmap=True),
    case("interp", lambda j, x: j.numpy.interp(x, np.arange(4.0), np.cos(np.arange(4.0)), period=3.5), Y, grad=True),
    case("histogram", lambda j, x: j.numpy.histogram(x, 4, weights=np.ones((3, 4))), Y),
    case("histogram2d", lambda j, x: [v.astype(float) for v in j.numpy.histogram2d(x[0], x[1], 3)], Y),
    case("digitize", lambda j, x: j.numpy.digitize(x, np.array([-0.5, 0.0, 0.5])).astype(int), Y, vmap=True),
    case("i0", lambda j, x: j.numpy.i0(x), X, grad=True, vmap=True),
    case("sinc", lambda j, x: j.numpy.sinc(x), X, grad=True, vmap=True),
    case("windows", lambda j: (j.numpy.hanning(5), j.numpy.hamming(4), j.numpy.blackman(6), j.numpy.bartlett(5), j.numpy.kaiser(4, 2.5))),
    case("logaddexp2", lambda j, x, y: j.numpy.logaddexp2(x, y), X, Y, grad=True, vmap=True),
    case("frexp", lambda j, x: j.numpy.frexp(x), X, vmap=True),
    case("gcd", lambda j, x, y: (j.numpy.gcd(x, y), j.numpy.lcm(x, y)), I, J, vmap=True),
    case("bits", lambda j, x: (j.numpy.packbits(x > 2), j.numpy.unpackbits(x.astype(np.uint8), count=9)), J, vmap=True),
    case("nextafter", lambda j, x, y: j.numpy.nextafter(x, y), X, Y, rtol=0, atol=0, vmap=True),
    case("spacing", lambda j, x: j.numpy.spacing(x), X, rtol=0, atol=0),
    # functions of functions
    case("vectorize", lambda j, x: j.numpy.vectorize(lambda a, b: a * b + 1)(x, x[0]), X, grad=True, vmap=True),
    case("vectorize_core", lambda j, x: j.numpy.vectorize(lambda a, b: a @ b, signature="(n,k),(k)->(n)")(x[None], x), X, grad=True),
    case("apply_along_axis", lambda j, x: j.numpy.apply_along_axis(lambda r: j.numpy.outer(r, r), 0, x), X, grad=True, vmap=True),
    case("apply_over_axes", lambda j, x: j.numpy.apply_over_axes(j.numpy.sum, x, [0, 1]), X, grad=True, vmap=True),
    case("piecewise", lambda j, x: j.numpy.piecewise(x, [x < -0.4, x > 1], [lambda v: -v, lambda v: v * v, 0.25]), X, grad=True, vmap=True),
    case("frompyfunc", lambda j, x: j.numpy.frompyfunc(lambda a, b: a + 2 * b, 2, 1).outer(x[0], x[1]), X, grad=True),
    # editing
    case("insert", lambda j, x: j.numpy.insert(x, np.array([1, 3, 1]), 9.0, axis=1), X, grad=True, vmap=True),
    case("delete", lambda j, x: j.numpy.delete(x, np.array([0, 2]), axis=1, assume_unique_indices=True), X, grad=True, vmap=True),
    case("put", lambda j, x: j.numpy.put(x, np.array([0, 5]), 1.5, inplace=False), X, grad=True, vmap=True),
    case("fill_diagonal", lambda j, x: j.numpy.fill_diagonal(x, 0.0, inplace=False), X, grad=True, vmap=True),
    case("place", lambda j, x: j.numpy.place(x, x > 0, np.array([1.0, 2.0]), inplace=False), X),
    case("trim_zeros", lambda j: j.numpy.trim_zeros(np.array([0, 0, 1, 2, 0])), compiled=False),
    case("cumulative", lambda j, x: (j.numpy.cumulative_sum(x, axis=1, include_initial=True), j.numpy.cumulative_prod(x, axis=0)), X, grad=True, vmap=True),
    # products
    case("preferred", lambda j, x: j.numpy.dot(x, x, preferred_element_type=np.float64), F, rtol=1e-7),
    case("vecmat", lambda j, x: (j.numpy.vecmat(x[0], x.T), j.numpy.matvec(x, x[1])), Y, grad=True, vmap=True),
    case("einsum_lists", lambda j, x: j.numpy.einsum(x, [0, 1], x, [2, 1], [0, 2]), X, grad=True, vmap=True),
]  # fmt: skip
