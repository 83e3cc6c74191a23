"""Functions whose results depend on how elements lie, on random arrays: staged and eager against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.staged.util import Staging, same, snp

import weft.numpy as wnp

#: Few values, so that they are often equal; nan, infinities and zeros of both signs among the floating ones.
FLOATS = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, np.nan, np.inf, -np.inf, 1e-300])
INTEGERS = st.integers(-4, 4)


@st.composite
def rows(draw, least=0):
    dtype = draw(st.sampled_from(["f8", "f4", "i8", "i1", "u1", "?"]))
    values = FLOATS if dtype[0] == "f" else INTEGERS
    x = draw(st.lists(values, min_size=least, max_size=9))
    return np.array(x, "f8" if dtype[0] == "f" else "i8").astype(dtype)


def agree(text, *args, rtol=1e-12):
    fn = eval("lambda np, *a: " + text)
    with np.errstate(all="ignore"):
        want = fn(np, *args)
        got, _ = Staging(lambda *xs: fn(snp, *xs), *args).run(*args)
        eager = fn(wnp, *args)
    same(got, want, rtol, 1e-12, f"staged {text}")
    same(eager, want, rtol, 1e-12, f"eager {text}")


ONE = (
    "np.sort(a[0])", "np.argsort(a[0], kind='stable')", "np.unique(a[0], True, True, True)", "np.unique_all(a[0])",
    "np.cumulative_sum(a[0], include_initial=True)", "np.flatnonzero(a[0])", "np.trim_zeros(a[0])", "np.packbits(a[0] > 0)",
    "np.nan_to_num(a[0])", "np.diff(a[0].astype(float))", "np.sort_complex(a[0])", "np.ediff1d(a[0].astype('i8'))",
    "np.any(a[0])", "np.isin(a[0], [0, 1])", "np.resize(a[0], 5)", "np.count_nonzero(a[0])", "np.vander(a[0], 3)",
)  # fmt: skip
FILLED = (
    "np.max(a[0])", "np.argmin(a[0])", "np.argmax(a[0])", "np.ptp(a[0].astype('f8'))", "np.median(a[0].astype('f8'))",
    "np.quantile(a[0].astype('f8'), 0.37)", "np.percentile(a[0].astype('f8'), [13.0, 81.0], method='nearest')",
    "np.nanmedian(a[0].astype('f8'))", "np.nanquantile(a[0].astype('f8'), 0.61)", "np.maximum.accumulate(a[0])",
    "np.insert(a[0], 0, 1)", "np.delete(a[0], -1)", "np.pad(a[0], 3, 'wrap')", "np.pad(a[0], (4, 2), 'reflect')",
)  # fmt: skip
TWO = (
    "np.union1d(a[0], a[1])", "np.intersect1d(a[0], a[1])", "np.setdiff1d(a[0], a[1])", "np.setxor1d(a[0], a[1])",
    "np.isin(a[0], a[1])", "np.searchsorted(np.sort(a[0]), a[1])", "np.searchsorted(np.sort(a[0]), a[1], 'right')",
    "np.concatenate([a[0], a[1]])", "np.digitize(a[0], np.unique(np.append(a[1], 0)))", "np.less.outer(a[0], a[1])",
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.data())
@pytest.mark.parametrize("text", ONE)
def test_one(text, data):
    agree(text, data.draw(rows()))


@settings(max_examples=25, deadline=None)
@given(st.data())
@pytest.mark.parametrize("text", FILLED)
def test_filled(text, data):
    agree(text, data.draw(rows(least=1)))


@settings(max_examples=25, deadline=None)
@given(st.data())
@pytest.mark.parametrize("text", TWO)
def test_two(text, data):
    agree(text, data.draw(rows()), data.draw(rows()))
