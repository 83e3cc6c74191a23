"""Operands that primitives refuse, in NumPy's words."""

from __future__ import annotations

import numpy as np
import pytest
from tests.ir.util import run

import weft.primitives  # noqa: F401
from weft.ir.nodes import At, Gather, Span, Var
from weft.ir.primitive import REGISTRY
from weft.ir.sizes import dim
from weft.ir.types import ArrayType, bool_, c128, f32, f64, i64, scalar


def t(dtype, *shape):
    return ArrayType(dtype, shape)


N = dim(Var(scalar(i64), "n"))
NONE = ((), ())

ERRORS = [
    ("add", (t(f64, 2), t(f64, 3)), {}, ValueError, r"could not be broadcast together with shapes \(2,\) \(3,\)"),
    ("add", (t(f64, 2), t(f64, 1)), {}, ValueError, r"shapes \(2,\) \(1,\)"),
    ("add", (t(f64, N), t(f64, 3)), {}, ValueError, "could not be broadcast"),
    ("add", (t(f64), t(f32)), {}, TypeError, "dtypes differ"),
    ("add", (t(f64),), {}, TypeError, "takes 2 operands, got 1"),
    ("sub", (t(bool_), t(bool_)), {}, TypeError, "not defined for dtype bool"),
    ("floor", (t(c128),), {}, TypeError, "not defined for dtype complex128"),
    ("lt", (t(c128), t(c128)), {}, TypeError, "not defined for dtype complex128"),
    ("exp", (t(i64),), {}, TypeError, "not defined for dtype int64"),
    ("div", (t(i64), t(i64)), {}, TypeError, "not defined for dtype int64"),
    ("real", (t(f64),), {}, TypeError, "not defined for dtype float64"),
    ("select", (t(i64), t(f64), t(f64)), {}, TypeError, "the condition is i64, not bool"),
    ("select", (t(bool_, 2), t(f64, 3), t(f64)), {}, ValueError, r"\(2,\) \(3,\)"),
    ("cast", (t(f64),), {"dtype": np.dtype("U3")}, TypeError, "not defined for dtype <U3"),
    ("broadcast", (t(f64, 3),), {"shape": (2, 4), "dims": (1,)}, ValueError, r"from shape \(3,\) into shape \(2, 4\)"),
    ("broadcast", (t(f64, 3),), {"shape": (2, 3), "dims": ()}, TypeError, "do not name 1 increasing axes"),
    ("broadcast", (t(f64, N),), {"shape": (3,), "dims": (0,)}, ValueError, "could not broadcast"),
    ("reshape", (t(f64, 2, 3),), {"shape": (4,)}, ValueError, r"cannot reshape array of size 6 into shape \(4,\)"),
    ("reshape", (t(f64, N, 2),), {"shape": (N * 2 + 1,)}, ValueError, "cannot reshape array of size 2 \\* n"),
    ("transpose", (t(f64, 2, 3),), {"perm": (0, 0)}, ValueError, "axes don't match array"),
    ("concat", (t(f64, 2), t(f64, 2, 1)), {"axis": 0}, ValueError, "same number of dimensions.*index 0 has 1.*1 has 2"),
    ("concat", (t(f64, 2, 3), t(f64, 2, 4)), {"axis": 0}, ValueError, "along dimension 1.*size 3.*index 1 has size 4"),
    ("concat", (), {"axis": 0}, ValueError, "need at least one array to concatenate"),
    ("concat", (t(f64, 2),), {"axis": 1}, ValueError, "axis 1 is out of bounds for array of dimension 1"),
    ("make", (t(f64), t(f64)), {"shape": (3,)}, ValueError, r"2 elements do not fill shape \(3,\)"),
    ("make", (), {"shape": (0,)}, TypeError, "no dtype"),
    ("index", (t(f64, 2), t(i64), t(i64)), {"spec": (At(), At()), "mode": "check"}, IndexError, "too many indices"),
    ("index", (t(f64, 2), t(f64)), {"spec": (At(),), "mode": "check"}, IndexError, "must be of integer"),
    ("index", (t(f64, 2), t(i64, 2)), {"spec": (At(),), "mode": "check"}, IndexError, "not a scalar"),
    (
        "index", (t(f64, 2, 2), t(i64, 2), t(i64, 3)), {"spec": (Gather(), Gather()), "mode": "check"},
        IndexError, r"indexing arrays could not be broadcast together with shapes \(2,\) \(3,\)",
    ),
    ("index", (t(f64, 2), t(i64)), {"spec": (At(),), "mode": "clip"}, ValueError, "mode 'clip'"),
    (
        "store", (t(f64, 4), t(f64, 3), t(i64)), {"spec": (Span(2),), "mode": "check"},
        ValueError, r"could not broadcast input array from shape \(3,\) into shape \(2,\)",
    ),
    ("store", (t(f64, 4), t(f32), t(i64)), {"spec": (At(),), "mode": "check"}, TypeError, "dtypes differ"),
    ("accum", (t(bool_, 4), t(bool_), t(i64)), {"spec": (At(),), "mode": "check"}, TypeError, "not defined for dtype bool"),
    ("mask_indices", (t(i64, 3),), {"outs": (N,)}, TypeError, "not a bool array"),
    ("reduce_sum", (t(f64, 2),), {"axes": (1,)}, np.exceptions.AxisError, "axis 1 is out of bounds for array of dimension 1"),
    ("reduce_sum", (t(f64, 2, 2),), {"axes": (0, 0)}, ValueError, "duplicate value in 'axis'"),
    ("reduce_max", (t(f64, 0),), {"axes": (0,)}, ValueError, "zero-size array to reduction operation maximum which has no"),
    ("reduce_min", (t(f64, 0),), {"axes": (0,)}, ValueError, "zero-size array to reduction operation minimum which has no"),
    ("reduce_or", (t(i64, 2),), {"axes": (0,)}, TypeError, "not defined for dtype int64"),
    ("argmax", (t(f64, 0),), {"axis": 0}, ValueError, "attempt to get argmax of an empty sequence"),
    ("cumsum", (t(f64, 2),), {"axis": 2, "reverse": False}, np.exceptions.AxisError, "out of bounds"),
    ("sort", (t(c128, 2),), {"axis": 0}, TypeError, "not defined for dtype complex128"),
    (
        "dot", (t(f64, 2, 3), t(f64, 4, 2)), {"contract": ((1,), (0,)), "batch": NONE},
        ValueError, r"shapes \(2, 3\) and \(4, 2\) not aligned: 3 \(dim 1\) != 4 \(dim 0\)",
    ),
    ("dot", (t(f64, 2), t(f32, 2)), {"contract": ((0,), (0,)), "batch": NONE}, TypeError, "dtypes differ"),
    ("dot", (t(f64, 2), t(f64, 2)), {"contract": ((0,), (1,)), "batch": NONE}, ValueError, r"axes \(1,\) of shape \(2,\)"),
    ("check", (t(i64),), {"exc": "ValueError", "message": ""}, TypeError, "not bool"),
    ("check", (t(bool_),), {"exc": "NoSuchError", "message": ""}, TypeError, "not an exception"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "types", "attrs", "error", "message"), ERRORS)
def test_refused(name, types, attrs, error, message):
    with pytest.raises(error, match=message):
        REGISTRY[name].type_rule(*types, **attrs)


def test_sizes_that_may_be_equal_are_accepted():
    m = dim(Var(scalar(i64), "m"))
    reshape = REGISTRY["reshape"].type_rule
    assert reshape(t(f64, N), shape=(m, 2)) == (t(f64, m, 2),)  # the caller checks at run time
    assert reshape(t(f64, N, m), shape=(m, N)) == (t(f64, m, N),)
    assert reshape(t(f64, N + 1, 2), shape=(N * 2 + 2,)) == (t(f64, N * 2 + 2),)


@pytest.mark.parametrize(
    ("index", "spec", "message"),
    [
        (3, (At(), Span(4)), "index 3 is out of bounds for axis 0 with size 3"),
        (-4, (At(), Span(4)), "index -4 is out of bounds for axis 0 with size 3"),
        (np.array([0, 5, 9]), (Gather(), Span(4)), "index 5 is out of bounds for axis 0 with size 3"),
        (4, (Span(3), At()), "index 4 is out of bounds for axis 1 with size 4"),
        (np.array([[0], [-5]]), (Span(3), Gather()), "index -5 is out of bounds for axis 1 with size 4"),
    ],
)
@pytest.mark.parametrize("name", ["index", "store", "accum"])
def test_out_of_bounds(name, index, spec, message):
    prim = REGISTRY[name]

    def emit(a, i):
        places = [i if not isinstance(e, Span) else 0 for e in spec]
        value = [] if name == "index" else [1.0]
        return prim(a, *value, *places, spec=spec, mode="check")

    with pytest.raises(IndexError, match=message):
        run(emit, np.zeros((3, 4)), np.asarray(index, np.int64)[()])
