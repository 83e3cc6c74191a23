"""Communication over a named axis: mapping the axis gives the meaning, also of derivatives and under another axis."""

from __future__ import annotations

import numpy as np
import pytest
from tests.ir.util import build

import weft.primitives  # noqa: F401
from weft.ir.interpret import evaluate
from weft.ir.primitive import REGISTRY, Collective
from weft.ir.types import ArrayType, f64
from weft.ir.verify import verify
from weft.transforms.batch import batch
from weft.transforms.forward import jvp
from weft.transforms.reverse import vjp

NAMES = sorted(n for n, p in REGISTRY.items() if isinstance(p.kind, Collective) and n != "axis_index")


def lane_function(prim, x, attrs):
    """The function of one lane."""
    return build([ArrayType(x.dtype, x.shape[1:])], lambda a: prim(a, **attrs))


def all_lanes(f, flags, n, args):
    """What all lanes give, the axis leading."""
    g, out = batch(f, flags, size=n, axis="i", force=True)
    assert all(out)
    return evaluate(verify(g), *args)


def floating(name):
    return [(x, attrs) for (x,), attrs in REGISTRY[name].samples() if x.dtype == f64]


@pytest.mark.parametrize("name", NAMES)
def test_mapping_the_axis_gives_the_meaning(name):
    prim = REGISTRY[name]
    for (x,), attrs in prim.samples():
        (got,) = all_lanes(lane_function(prim, x, attrs), [True], len(x), [x])
        want = prim.numpy(x, **attrs)
        assert got.dtype == want.dtype == x.dtype
        np.testing.assert_allclose(got, want, rtol=1e-6, err_msg=f"{attrs}")


@pytest.mark.parametrize("name", NAMES)
def test_only_what_differs_keeps_the_axis(name):
    prim = REGISTRY[name]
    for (x,), attrs in prim.samples():
        _, flags = batch(lane_function(prim, x, attrs), [True], size=len(x), axis="i")
        assert flags == (prim.kind.varies(attrs),)


@pytest.mark.parametrize("name", NAMES)
def test_an_operand_that_all_lanes_share(name):
    prim = REGISTRY[name]
    for (x,), attrs in prim.samples():
        one = x[0]
        (got,) = all_lanes(lane_function(prim, x, attrs), [False], len(x), [one])
        want = prim.numpy(np.stack([one] * len(x)), **attrs)
        np.testing.assert_allclose(got, want, rtol=1e-6, err_msg=f"{attrs}")


@pytest.mark.parametrize("name", NAMES)
def test_forward_mode_against_differences(name):
    prim, rng = REGISTRY[name], np.random.default_rng(1)
    for x, attrs in floating(name):
        t = rng.standard_normal(x.shape)
        h = 1e-6
        want = (prim.numpy(x + h * t, **attrs) - prim.numpy(x - h * t, **attrs)) / (2 * h)
        got = all_lanes(jvp(lane_function(prim, x, attrs), [True]), [True, True], len(x), [x, t])[1]
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6, err_msg=f"{attrs}")


@pytest.mark.parametrize("name", [n for n in NAMES if n != "psum_invariant"])
def test_reverse_mode_is_forward_mode_transposed(name):
    prim, rng = REGISTRY[name], np.random.default_rng(2)
    for x, attrs in floating(name):
        f = lane_function(prim, x, attrs)
        t, ct = rng.standard_normal(x.shape), rng.standard_normal(prim.numpy(x, **attrs).shape)
        forward = all_lanes(jvp(f, [True]), [True, True], len(x), [x, t])[1]
        back = all_lanes(vjp(f, [True]), [True, True], len(x), [x, ct])[-1]
        np.testing.assert_allclose(np.sum(ct * forward), np.sum(back * t), rtol=1e-9, atol=1e-12, err_msg=f"{attrs}")


@pytest.mark.parametrize("name", NAMES)
def test_another_axis_is_mapped_first(name):
    prim = REGISTRY[name]
    for x, attrs in floating(name):
        both = np.stack([x, x[::-1] * 0.5, x + 1.0])  # other axis, named axis, ...
        inner, _ = batch(lane_function(prim, x, attrs), [True], size=3, axis="k")
        outer, flags = batch(inner, [True], size=len(x), axis="i", force=True)
        (got,) = evaluate(verify(outer), both.swapaxes(0, 1))
        want = np.stack([prim.numpy(b, **attrs) for b in both]).swapaxes(0, 1)
        np.testing.assert_allclose(got, want, rtol=1e-12, err_msg=f"{attrs}")


def test_ties_share_the_derivative_of_an_extreme():
    prim, x = REGISTRY["pmax"], np.array([1.0, 3.0, 3.0])
    f = lane_function(prim, x, {"axis": "i", "groups": None})
    found = all_lanes(vjp(f, [True]), [True, True], 3, [x, np.array([1.0, 0.0, 0.0])])[-1]
    np.testing.assert_array_equal(found, [0.0, 0.5, 0.5])


def test_what_is_shared_and_what_each_lane_has():
    """The cotangent of a value that goes to all lanes is their sum; that of a shared sum goes to all of them."""
    prim, ct = REGISTRY["pvary"], np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    back = vjp(build([ArrayType(f64, (2,))], lambda a: prim(a, axis="i", sure=True)), [True])
    g, flags = batch(back, [False, True], size=3, axis="i")
    assert flags == (False, False)
    value, found = evaluate(verify(g), np.array([7.0, 8.0]), ct)
    np.testing.assert_array_equal(value, [7.0, 8.0])
    np.testing.assert_array_equal(found, ct.sum(axis=0))
    back = vjp(build([ArrayType(f64, (2,))], lambda a: REGISTRY["psum_invariant"](a, axis="i", groups=None)), [True])
    g, flags = batch(back, [True, False], size=3, axis="i")
    assert flags == (False, False)
    value, found = evaluate(verify(g), ct, np.array([7.0, 8.0]))
    np.testing.assert_array_equal(value, ct.sum(axis=0))
    np.testing.assert_array_equal(found, [7.0, 8.0])


def test_constants_keep_their_meaning_over_an_axis():
    f = build([], lambda: REGISTRY["psum"](2.0, axis="i", groups=None))
    np.testing.assert_array_equal(all_lanes(f, [], 3, [])[0], [6.0, 6.0, 6.0])


def test_axis_index_counts():
    f = build([], lambda: REGISTRY["axis_index"](axis="i"))
    np.testing.assert_array_equal(all_lanes(f, [], 4, [])[0], np.arange(4))


def test_the_interpreter_refuses_an_unmapped_axis():
    f = build([ArrayType(f64, ())], lambda a: REGISTRY["psum"](a, axis="i", groups=None))
    with pytest.raises(NameError, match="unbound axis name: i"):
        evaluate(f, np.float64(1.0))
