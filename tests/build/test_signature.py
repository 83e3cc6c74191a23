"""Signatures as text."""

import numpy as np
import pytest

from weft.build.signature import parse_signature, sample_arguments


def test_reads_and_prints():
    text = "f64[n, m], f64[m], i64, bool[2, n], c64 -> f64[n], f32"
    s = parse_signature(text)
    assert str(s) == text
    assert s.args[0].dtype == np.float64 and s.args[0].shape == ("n", "m")
    assert s.args[2].shape is None
    assert s.args[3].shape == (2, "n")
    assert s.results[1].dtype == np.float32
    assert str(parse_signature("float64[n],int , float32[]")) == "f64[n], i64, f32[]"
    assert parse_signature("").args == ()
    assert parse_signature("f64").results is None


@pytest.mark.parametrize(
    "text, wrong", [("f64[n", "'f64\\[n'"), ("f65", "'f65'"), ("f64[n-1]", "'n-1'"), ("f64 f64", "'f64 f64'"), ("str", "'str'"), ("f64,,f64", "''")]
)  # fmt: skip
def test_errors_show_what_is_wrong(text, wrong):
    with pytest.raises(ValueError, match=wrong):
        parse_signature(text)


def test_sample_arguments():
    a, b, k, x, f, e = sample_arguments(parse_signature("f64[n, m], f32[m, 5], i64, f64, f32, bool[n]").args)
    assert a.shape[1] == b.shape[0] and b.shape[1] == 5
    assert len({*a.shape, 5, 0, 1}) == 5, "different names, different sizes"
    assert e.shape == (a.shape[0],) and e.dtype == bool
    assert type(k) is int and type(x) is float and type(f) is np.float32
