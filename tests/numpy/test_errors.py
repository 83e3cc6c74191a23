"""What is refused, while staging and at run time: the kind of error and what it says."""

import numpy as np
import pytest
from tests.staged.util import Staging, snp

import weft
import weft.numpy as wnp

V = np.array([0.5, -1.0, 2.0, 3.0])
M = np.arange(6.0).reshape(2, 3)
I = np.array([1, 5, 2])
U8 = np.array([3, 7], "u1")
ALL = np.full((2, 2), np.nan)

#: Text, arguments, kind, what it says; and whether NumPy says it of a call that is not compiled too.
ERRORS = [
    ("np.quantile(a[0], 1.5)", (V,), ValueError, r"Quantiles must be in the range \[0, 1\]"),
    ("np.quantile(a[0], a[1])", (V, V), ValueError, r"Quantiles must be in the range \[0, 1\]"),
    ("np.nanpercentile(a[0], 101)", (V,), ValueError, r"Percentiles must be in the range \[0, 100\]"),
    ("np.quantile(a[0], 0.5, method='best')", (V,), ValueError, "'best'"),
    ("np.quantile(a[0] * 1j, 0.5)", (V,), TypeError, "a must be an array of real numbers"),
    ("np.nanargmax(a[0], axis=1)", (ALL,), ValueError, "All-NaN slice encountered"),
    ("np.cumulative_sum(a[0])", (M,), ValueError, "``axis`` argument is required"),
    ("np.diff(a[0], n=-1)", (V,), ValueError, "order must be non-negative"),
    ("np.insert(a[0], 9, 1.0)", (V,), IndexError, "index 9 is out of bounds"),
    ("np.insert(a[0], [0, 9], 1.0)", (V,), IndexError, "out of bounds"),
    ("np.delete(a[0], -9)", (V,), IndexError, "out of bounds"),
    ("np.delete(a[0], [0, 9])", (V,), IndexError, "out of bounds"),
    ("np.packbits(a[0])", (V,), TypeError, "integer or boolean"),
    ("np.unpackbits(a[0])", (I,), TypeError, "unsigned byte"),
    ("np.packbits(a[0], bitorder='up')", (U8,), ValueError, "'order' must be either 'little' or 'big'"),
    ("np.polyder(a[0], -1)", (V,), ValueError, "Order of derivative must be positive"),
    ("np.polyint(a[0], -1)", (V,), ValueError, "Order of integral must be positive"),
    ("np.polyfit(a[0], a[0], -1)", (V,), ValueError, "expected deg >= 0"),
    ("np.polyfit(a[0], a[0], 1)", (M,), TypeError, "expected 1D vector for x"),
    ("np.roots(a[0])", (M,), ValueError, ""),
    ("np.histogram(a[0], 0)", (V,), ValueError, "`bins` must be positive"),
    ("np.histogramdd(a[0], (2, 2))", (M,), ValueError, "dimension of bins must be equal to the dimension"),
    ("np.histogram2d(a[0], a[1])", (V, V[:2].copy()), ValueError, "x and y must have the same length"),
    ("np.i0(a[0] * 1j)", (V,), TypeError, "i0 not supported for complex values"),
    ("np.digitize(a[0], a[0])", (V,), ValueError, "monotonically"),
    ("np.gradient(a[0], edge_order=3)", (V,), ValueError, "'edge_order' greater than 2 not supported"),
    ("np.gradient(a[0], a[1])", (V, I), ValueError, "distances must match"),
    ("np.pad(a[0], 2, mode='mirror')", (V,), ValueError, "mode 'mirror' is not supported"),
    ("np.pad(a[0], 2, mode='edge', constant_values=1)", (V,), ValueError, "unsupported keyword arguments for mode 'edge'"),
    ("np.ravel_multi_index((a[0], a[0]), (4, 4))", (I,), ValueError, "invalid entry in coordinates array"),
    ("np.unravel_index(a[0], (2, 2))", (I,), ValueError, "out of bounds"),
    ("np.max(a[0], where=a[0] > 0)", (V,), ValueError, "to use a where mask one has to specify 'initial'"),
    ("np.piecewise(a[0], [a[0] > 0], [1, 2, 3])", (V,), ValueError, "functions are expected"),
    ("np.diag_indices_from(a[0])", (V,), ValueError, "input array must be at least 2-d"),
    ("np.tril_indices_from(a[0])", (V,), ValueError, "2-d"),
    ("np.dsplit(a[0], 1)", (M,), ValueError, "dsplit only works on arrays of 3 or more dimensions"),
    ("np.unstack(np.float64(1.0))", (), ValueError, "at least 1-d"),
    ("np.cov(np.ones((2, 2, 2)))", (), ValueError, "has more than 2 dimensions"),
    ("np.put(a[0], [0], 1.0, mode='x')", (V,), ValueError, "clipmode must be one of"),
    ("np.place(a[0], [True], 1.0)", (V,), ValueError, "same size"),
    ("np.interp(a[0], a[0], a[0], period=0.0)", (V,), ValueError, "period must be a non-zero value"),
    ("np.lexsort(())", (), TypeError, "need sequence of keys with len > 0"),
    ("np.astype(a[0] * 1j, np.float64)", (V,), TypeError, "take .real first"),
]  # fmt: skip

#: What NumPy does and compiled code does not; eagerly there is an answer.
COMPILED_ONLY = [
    ("np.quantile(a[0], 0.5, method='inverted_cdf', weights=a[0] ** 2)", (V,), "quantiles with weights"),
    ("np.histogram(a[0], 'auto')", (V,), "a histogram with bins chosen from the data"),
    ("np.searchsorted(a[0] * 1j, 1j)", (V,), "searching among complex numbers"),
]


def staged(text, args):
    fn = eval("lambda np, *a: " + text)
    with np.errstate(all="ignore"):
        return Staging(lambda *xs: fn(snp, *xs), *args).run(*args)


@pytest.mark.parametrize(("text", "args", "kind", "says"), ERRORS, ids=[e[0] for e in ERRORS])
def test_refused(text, args, kind, says):
    with pytest.raises(kind, match=says):
        staged(text, args)
    if "complex" not in says and "real" not in says:
        with pytest.raises(kind):
            eval("lambda np, *a: " + text)(wnp, *args)


@pytest.mark.parametrize(("text", "args", "says"), COMPILED_ONLY, ids=[e[0] for e in COMPILED_ONLY])
def test_not_compiled(text, args, says):
    fn = eval("lambda np, *a: " + text)
    assert fn(wnp, *args) is not None
    with pytest.raises(weft.StagingError, match=says):
        staged(text, args)


def test_directives_are_not_compiled():
    assert wnp.r_["0,2", V].shape == (1, 4)
    with pytest.raises(weft.StagingError, match=r"r_\[...\] with a directive"):
        weft.jit(lambda x: wnp.r_["0,2", x])(V)
    with pytest.raises(ValueError, match="fill_value must be a scalar or have 1 entries"):
        weft.jit(lambda x: wnp.nonzero(x, size=2, fill_value=(1, 2)))(V)


def test_lanes_with_different_sizes():
    x = np.array([[1, 1, 2], [3, 4, 5]])
    with pytest.raises(ValueError, match="depends on the lane"):
        weft.vmap(wnp.unique)(x)
    assert weft.vmap(lambda row: wnp.unique(row, size=3))(x).tolist() == [[1, 2, 1], [3, 4, 5]]
    with pytest.raises(ValueError, match="fill_value must be a scalar or have 1 entries"):
        wnp.nonzero(x[0], size=2, fill_value=(1, 2))
