"""The array API standard, 2024.12: every name with its signature, promotion, special values, inspection."""

from __future__ import annotations

import inspect
import itertools
import re

import numpy as np
import pytest
from tests.staged.util import Staging, snp

import weft
import weft.numpy as wnp
from weft.numpy.ufuncs import UFUNCS

#: The functions of the standard: arguments by position (``_``), by position or name, and after ``;`` by name.
MAIN = """
abs(_) acos(_) acosh(_) add(_, _) all(_; axis, keepdims) any(_; axis, keepdims) arange(_, stop, step; dtype, device)
argmax(_; axis, keepdims) argmin(_; axis, keepdims) argsort(_; axis, descending, stable)
asarray(_; dtype, device, copy) asin(_) asinh(_) astype(_, _; copy, device) atan(_) atan2(_, _) atanh(_)
bitwise_and(_, _) bitwise_invert(_) bitwise_left_shift(_, _) bitwise_or(_, _) bitwise_right_shift(_, _)
bitwise_xor(_, _) broadcast_arrays(*) broadcast_shapes(*) broadcast_to(_, shape) can_cast(_, _) ceil(_)
clip(_, min, max) concat(_; axis) conj(_) copysign(_, _) cos(_) cosh(_) count_nonzero(_; axis, keepdims)
cumulative_prod(_; axis, dtype, include_initial) cumulative_sum(_; axis, dtype, include_initial)
diff(_; axis, n, prepend, append) divide(_, _) empty(shape; dtype, device) empty_like(_; dtype, device) equal(_, _)
exp(_) expm1(_) expand_dims(_, axis) eye(_, _; k, dtype, device) finfo(_) flip(_; axis) floor(_) floor_divide(_, _)
from_dlpack(_; device, copy) full(shape, fill_value; dtype, device) full_like(_, fill_value; dtype, device)
greater(_, _) greater_equal(_, _) hypot(_, _) iinfo(_) imag(_) isdtype(dtype, kind) isfinite(_) isin(_, _; invert)
isinf(_) isnan(_) less(_, _) less_equal(_, _) linspace(_, _, num; dtype, device, endpoint) log(_) log10(_) log1p(_)
log2(_) logaddexp(_, _) logical_and(_, _) logical_not(_) logical_or(_, _) logical_xor(_, _) matmul(_, _)
matrix_transpose(_) max(_; axis, keepdims) maximum(_, _) mean(_; axis, keepdims) meshgrid(*; indexing)
min(_; axis, keepdims) minimum(_, _) moveaxis(_, _, _) multiply(_, _) negative(_) nextafter(_, _) nonzero(_)
not_equal(_, _) ones(shape; dtype, device) ones_like(_; dtype, device) permute_dims(_, axes) positive(_) pow(_, _)
prod(_; axis, dtype, keepdims) real(_) reciprocal(_) remainder(_, _) repeat(_, _; axis) reshape(_, shape; copy)
result_type(*) roll(_, shift; axis) round(_) searchsorted(_, _; side, sorter) sign(_) signbit(_) sin(_) sinh(_)
sort(_; axis, descending, stable) sqrt(_) square(_) squeeze(_, axis) stack(_; axis) std(_; axis, correction, keepdims)
subtract(_, _) sum(_; axis, dtype, keepdims) take(_, _; axis) take_along_axis(_, _; axis) tan(_) tanh(_)
tensordot(_, _; axes) tile(_, _) tril(_; k) triu(_; k) trunc(_) unique_all(_) unique_counts(_) unique_inverse(_)
unique_values(_) unstack(_; axis) var(_; axis, correction, keepdims) vecdot(_, _; axis) where(_, _, _)
zeros(shape; dtype, device) zeros_like(_; dtype, device)
"""
LINALG = """
cholesky(_; upper) cross(_, _; axis) det(_) diagonal(_; offset) eigh(_) eigvalsh(_) inv(_) matmul(_, _)
matrix_norm(_; keepdims, ord) matrix_power(_, _) matrix_rank(_; rtol) matrix_transpose(_) outer(_, _) pinv(_; rtol)
qr(_; mode) slogdet(_) solve(_, _) svd(_; full_matrices) svdvals(_) tensordot(_, _; axes) trace(_; offset, dtype)
vecdot(_, _; axis) vector_norm(_; axis, keepdims, ord)
"""
FFT = """
fft(_; n, axis, norm) fftfreq(_; d, dtype, device) fftn(_; s, axes, norm) fftshift(_; axes) hfft(_; n, axis, norm)
ifft(_; n, axis, norm) ifftn(_; s, axes, norm) ifftshift(_; axes) ihfft(_; n, axis, norm) irfft(_; n, axis, norm)
irfftn(_; s, axes, norm) rfft(_; n, axis, norm) rfftfreq(_; d, dtype, device) rfftn(_; s, axes, norm)
"""
_ROW = re.compile(r"(\w+)\(([^()]*)\)")
ROWS = [
    (space, name, args)
    for space, table in (("", MAIN), ("linalg", LINALG), ("fft", FFT))
    for name, args in _ROW.findall(table)
]


@pytest.mark.parametrize(("space", "name", "args"), ROWS, ids=[f"{s}.{n}" if s else n for s, n, _ in ROWS])
def test_signatures(space, name, args):
    function = getattr(getattr(wnp, space) if space else wnp, name)
    params = list(inspect.signature(function).parameters.values())
    by_position, _, by_name = [part.strip() for part in args.partition(";")]
    positional = [p for p in params if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    wanted = [a.strip() for a in by_position.split(",") if a.strip() not in ("", "*")]
    if any(p.kind is p.VAR_POSITIONAL for p in params):
        assert set(a.strip() for a in by_name.split(",") if a.strip()) <= {p.name for p in params}
        return
    assert len(positional) >= len(wanted), (name, params)
    names = {p.name for p in params if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    needed = {a for a in wanted if a != "_"} | {a.strip() for a in by_name.split(",") if a.strip()}
    assert needed <= names, (name, needed - names)
    required = [p.name for p in params if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    assert len(required) <= len(wanted), (name, required)


def test_constants_and_dtypes():
    assert wnp.pi == np.pi and wnp.e == np.e and wnp.inf == np.inf and wnp.nan != wnp.nan and wnp.newaxis is None
    for name, dtype in wnp.__array_namespace_info__().dtypes().items():
        assert np.dtype(getattr(wnp, name)) == dtype
    assert wnp.__array_api_version__ == "2024.12"
    assert wnp.arange(3).__array_namespace__() is wnp


def test_inspection():
    info = wnp.__array_namespace_info__()
    assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}
    assert info.default_device() == weft.devices()[0] and weft.devices("cpu")[0] in info.devices()
    assert info.default_dtypes(device=info.default_device()) == {
        "real floating": np.float64, "complex floating": np.complex128, "integral": np.int64, "indexing": np.int64,
    }  # fmt: skip
    weft.config.default_float = "float32"
    try:
        assert info.default_dtypes()["complex floating"] == np.complex64
    finally:
        weft.config.default_float = "float64"
    assert set(info.dtypes(kind="signed integer")) == {"int8", "int16", "int32", "int64"}
    assert set(info.dtypes(kind=("bool", "complex floating"))) == {"bool", "complex64", "complex128"}


def test_questions_about_dtypes():
    x = wnp.arange(3, dtype=wnp.float32)
    assert wnp.isdtype(x.dtype, "real floating") and not wnp.isdtype(wnp.int8, ("complex floating", "bool"))
    assert wnp.isdtype(wnp.int8, wnp.int8) and wnp.finfo(x).bits == 32 and wnp.iinfo(wnp.arange(2)).bits == 64
    assert wnp.can_cast(x, wnp.float64) and not wnp.can_cast(x, wnp.int64)
    assert weft.jit(lambda y: wnp.finfo(y).eps + y)(np.zeros(2, "f4"))[0] == np.finfo("f4").eps
    assert wnp.astype(x, wnp.int8).dtype == np.int8
    with pytest.raises(TypeError, match=r"take \.real first"):
        wnp.astype(wnp.array([1j]), wnp.float64)
    with pytest.raises(TypeError, match=r"take \.real first"):
        weft.jit(lambda z: wnp.astype(z, np.float64))(np.array([1j]))


def test_devices_and_copies():
    device = weft.devices("cpu")[0]
    for made in (wnp.zeros(2, device=device), wnp.asarray([1.0], device=device), wnp.linspace(0, 1, 3, device="cpu"),
                 wnp.astype(wnp.arange(2), np.float32, device=device), wnp.fft.fftfreq(4, device=device, dtype=np.float32)):  # fmt: skip
        assert made.device == device
    assert wnp.fft.fftfreq(4, dtype=np.float32).dtype == np.float32
    with pytest.raises(TypeError, match=r"a device is one of weft\.devices"):
        wnp.zeros(2, device=3)
    with pytest.raises(weft.StagingError, match="device= inside compiled code, which runs on one device"):
        weft.jit(lambda x: x + wnp.zeros(2, device=device))(np.ones(2))
    x = wnp.arange(3)
    assert wnp.asarray(x, copy=True).tolist() == wnp.from_dlpack(x).tolist() == [0, 1, 2]


# -- promotion ---------------------------------------------------------------------------------------------------------

INTS = ("i1", "i2", "i4", "i8")
UINTS = ("u1", "u2", "u4", "u8")
MIXED = {("i1", "u1"): "i2", ("i1", "u2"): "i4", ("i1", "u4"): "i8", ("i2", "u1"): "i2", ("i2", "u2"): "i4",
         ("i2", "u4"): "i8", ("i4", "u1"): "i4", ("i4", "u2"): "i4", ("i4", "u4"): "i8", ("i8", "u1"): "i8",
         ("i8", "u2"): "i8", ("i8", "u4"): "i8"}  # fmt: skip
FLOATS = {("f4", "f4"): "f4", ("f4", "f8"): "f8", ("f8", "f8"): "f8", ("c8", "c8"): "c8", ("c8", "c16"): "c16",
          ("c16", "c16"): "c16", ("f4", "c8"): "c8", ("f4", "c16"): "c16", ("f8", "c8"): "c16", ("f8", "c16"): "c16"}  # fmt: skip


def promotions():
    """The standard's tables: pairs of dtypes and what they give."""
    for kind in (INTS, UINTS):
        for (i, a), (j, b) in itertools.product(enumerate(kind), repeat=2):
            yield a, b, kind[max(i, j)]
    for (a, b), c in [*MIXED.items(), *FLOATS.items()]:
        yield a, b, c
        yield b, a, c
    yield "?", "?", "?"


def test_promotion():
    for a, b, want in promotions():
        x, y = np.ones(2, a), np.ones(2, b)
        assert wnp.result_type(x.dtype, y.dtype) == wnp.where(x > 0, x, y).dtype == want
        assert wnp.concat([wnp.asarray(x), wnp.asarray(y)]).dtype == want
        staged = Staging(lambda x, y: (snp.where(x > 0, x, y), snp.concatenate([x, y])), x, y).flat
        assert [v.dtype for v in staged] == [want, want], (a, b)
        if want != "?":
            assert wnp.add(x, y).dtype == (wnp.asarray(x) + wnp.asarray(y)).dtype == want
    for dtype in (*INTS, *UINTS, "f4", "f8", "c8", "c16"):
        x = wnp.ones(2, dtype)
        assert (x + 1).dtype == (1 + x).dtype == (x * True).dtype == dtype
        if dtype[0] in "fc":
            assert (x * 0.5).dtype == wnp.multiply(x, 0.5).dtype == dtype
        if dtype[0] == "c":
            assert (x + 1j).dtype == dtype


# -- special values ----------------------------------------------------------------------------------------------------

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-310, 1e300])
INTEGERS = np.array([0, 1, -1, 2, -7, 127, -128])


def bits(x):
    """What tells signed zeros apart, and takes all nans for one."""
    x = np.asarray(x)
    if x.dtype.kind == "c":
        return np.stack([bits(x.real), bits(x.imag)])
    return np.where(np.isnan(x), 7, np.signbit(x)) if x.dtype.kind == "f" else x


@pytest.mark.parametrize("uf", [u for u in UFUNCS if u.nin <= 2], ids=lambda u: u.__name__)
def test_special_values(uf):
    """Every ufunc at infinities, nan, signed zeros and edges, as NumPy has it, to the sign of zero."""
    for grid in (SPECIAL, SPECIAL.astype("f4"), INTEGERS, INTEGERS.astype("i1"), INTEGERS.astype("u1")):
        args = (grid,) if uf.nin == 1 else tuple(np.ascontiguousarray(v) for v in np.meshgrid(grid, grid))
        if uf is np.power and grid.dtype.kind in "iu":
            args = (args[0], np.abs(args[1].astype("i8")).astype(grid.dtype) % 7)
        if uf in (np.left_shift, np.right_shift) and grid.dtype.kind in "iu":
            args = (args[0], np.abs(args[1].astype("i8")).astype(grid.dtype) % 9)
        if uf is np.ldexp:
            args = (args[0], np.resize(np.arange(-4, 5), args[0].shape))
        if uf is np.reciprocal and grid.dtype.kind in "iu":
            args = (grid[grid != 0],)
        try:
            with np.errstate(all="ignore"):
                want = uf(*args)
        except TypeError:
            continue
        got, _ = Staging(lambda *xs: getattr(snp, uf.__name__)(*xs), *args).run(*args)  # noqa: B023
        for g, w in zip(got if uf.nout > 1 else [got], want if uf.nout > 1 else [want], strict=True):
            np.testing.assert_allclose(
                g, w, rtol={2: 2e-3, 4: 1e-6}.get(g.dtype.itemsize, 1e-14), atol=1e-3 * (g.dtype == "f2")
            )
            np.testing.assert_array_equal(bits(g), bits(w), err_msg=f"{uf.__name__} of {grid.dtype}")


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">=", "==", "!="])
def test_comparisons_are_exact(operator):
    """Of int64 with uint64 beyond float64's digits, of Python integers of any size, of complex numbers."""
    big = np.array([2**63 - 1, -1, 0, -(2**63)], "i8")
    more = np.array([2**63, 2**64 - 1, 0, 2**63 - 1], "u8")
    z = np.array([1 + 2j, 1 - 1j, np.nan, 2j])
    cases = [(big, more), (more, big), (more, -1), (-1, more), (np.array([7, 255], "u1"), 300), (300, np.array([7], "i1")),
             (z, z[::-1].copy()), (z, 1), (2.0, z)]  # fmt: skip
    compare = eval(f"lambda x, y: x {operator} y")
    name = {"<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal", "==": "equal", "!=": "not_equal"}
    for x, y in cases:
        want = compare(x, y)
        # a Python number that is known while staging, and one of a library function
        if isinstance(y, int):
            got, _ = Staging(lambda x: compare(x, y), x).run(x)  # noqa: B023
        elif isinstance(x, int | float):
            got, _ = Staging(lambda y: compare(x, y), y).run(y)  # noqa: B023
        else:
            got, _ = Staging(compare, x, y).run(x, y)
        np.testing.assert_array_equal(got, want)
        if not isinstance(x, int) and not isinstance(y, int):
            got, _ = Staging(lambda x, y: getattr(snp, name[operator])(x, y), x, y).run(x, y)
            np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(
            compare(
                wnp.asarray(x) if isinstance(x, np.ndarray) else x, wnp.asarray(y) if isinstance(y, np.ndarray) else y
            ),
            want,
        )
