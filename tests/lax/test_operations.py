"""Operations of lax: errors, what their programs look like, sizes known only at run time."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import weft
import weft.lax.absent
from weft import lax

X = np.ones(3)
M = np.arange(6.0).reshape(2, 3)
F32 = np.ones(3, np.float32)
I = np.arange(3)
STRIDES = (1, 1)
NHWC = ("NHWC", "HWIO", "NHWC")
ROWS = lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,))


def image(*shape: int) -> Any:
    return np.sin(np.arange(float(np.prod(shape)))).reshape(shape)


# -- errors --------------------------------------------------------------------------------------------------------------

CASES: list[tuple[Any, type[Exception], str]] = [
    (lambda j: lax.add(X, F32), TypeError, "lax.add requires arguments to have the same dtypes, got float64, float32. (Tip: weft.numpy.add is a similar function that does automatic type promotion on inputs)."),
    (lambda j: lax.add(X, 1), TypeError, "got float64, int64"),
    (lambda j: lax.max(X, np.ones(4)), TypeError, "max got incompatible shapes for broadcasting: (3,), (4,)."),
    (lambda j: lax.mul(X, np.ones((1, 3))), TypeError, "mul: arrays must have the same number of dimensions, got {1, 2}"),
    (lambda j: lax.sin(I), TypeError, "sin does not accept dtype int64. Accepted dtypes are subtypes of floating, complexfloating."),
    (lambda j: lax.bitwise_and(X, X), TypeError, "bitwise_and does not accept dtype float64 at position 0"),
    (lambda j: lax.integer_pow(I, -1), TypeError, "Integers cannot be raised to negative powers"),
    (lambda j: lax.clamp(0, X, 2), TypeError, "lax.clamp requires arguments to have the same dtypes, got int64, float64, int64."),
    (lambda j: lax.clamp(M, X, 2.0), TypeError, "clamp requires min.shape == operand.shape or min.shape == ()"),
    (lambda j: lax.select_n(X, X, X), TypeError, "select `which` must be boolean or integer type, got float64."),
    (lambda j: lax.select_n(X > 0, X, X, X), TypeError, "select with boolean `which` cannot have > 2 cases, got 3"),
    (lambda j: lax.select_n(True), ValueError, "at least one case"),
    (lambda j: lax.complex(I, I), TypeError, "complex does not accept dtype int64"),
    (lambda j: lax.bitcast_convert_type(np.ones((3, 7), np.int8), np.float64), ValueError, "7 * 8 != 64"),
    (lambda j: lax.bitcast_convert_type(X > 0, np.int8), TypeError, "does not accept dtype bool"),
    (lambda j: lax.reduce_precision(X, 0, 3), ValueError, "exponent_bits must be positive"),
    (lambda j: lax.reduce_precision(X, 5, -1), ValueError, "mantissa_bits must be non-negative"),
    (lambda j: lax.full((2,), X), TypeError, "full must be called with scalar fill_value, got fill_value.shape (3,)."),
    (lambda j: lax.broadcast_in_dim(X, (4, 4), (1,)), TypeError, "got operand of shape (3,), target broadcast shape (4, 4)"),
    (lambda j: lax.broadcast_in_dim(X, (4, 3), ()), TypeError, "must have length equal to operand ndim"),
    (lambda j: lax.broadcast_in_dim(M, (3, 2), (1, 0)), TypeError, "strictly increasing"),
    (lambda j: lax.broadcast_to_rank(M, 1), ValueError, "Operand rank 2 is greater than rank=1"),
    (lambda j: lax.reshape(X, (-1,)), TypeError, "Shapes must be 1D sequences of nonnegative sizes, got (-1,)."),
    (lambda j: lax.squeeze(X, (0,)), ValueError, "cannot select an axis to squeeze out which has size not equal to one, got shape=(3,)"),
    (lambda j: lax.transpose(X, (1, 0)), TypeError, "transpose permutation isn't a permutation of operand dimensions, got permutation (1, 0)"),
    (lambda j: lax.rev(X, (1,)), TypeError, "rev dimensions must all be less than operand ndim"),
    (lambda j: lax.concatenate([X, M], 0), TypeError, "Cannot concatenate arrays with different numbers of dimensions: got (3,), (2, 3)."),
    (lambda j: lax.concatenate([], 0), ValueError, "non-empty"),
    (lambda j: lax.split(X, (1, 1)), ValueError, "Sum of sizes 2 must be equal to dimension 0 of the operand shape (3,)"),
    (lambda j: lax.pad(X, 0.0, ((1, 1, 0), (2, 2, 2))), ValueError, "length of padding_config must equal the number of axes of operand"),
    (lambda j: lax.pad(X, 0.0, ((1, 1, -1),)), ValueError, "interior padding in padding_config must be nonnegative"),
    (lambda j: lax.pad(X, X, ((1, 1, 0),)), ValueError, "padding_value must be a scalar; got shape (3,)"),
    (lambda j: lax.pad(X, 0.0, ((-2, -2, 0),)), ValueError, "padding takes away more elements than there are"),
    (lambda j: lax.slice(X, (0,), (5,)), TypeError, "slice limit_indices must be less than or equal to operand shape, got limit_indices (5,)"),
    (lambda j: lax.slice(X, (2,), (1,)), TypeError, "must be greater than or equal to start_indices"),
    (lambda j: lax.slice(X, (0,), (1,), (0,)), TypeError, "slice strides must be positive"),
    (lambda j: lax.slice(X, (0, 0), (1, 1)), TypeError, "must have one entry for each axis"),
    (lambda j: lax.index_in_dim(X, 3), IndexError, "index 3 is out of bounds for axis 0 with size 3"),
    (lambda j: lax.dynamic_slice(X, (0,), (5,)), TypeError, "slice slice_sizes must be less than or equal to operand shape, got slice_sizes (5,) for operand shape (3,)."),
    (lambda j: lax.dynamic_slice(X, (0, 0), (1,)), ValueError, "Length of slice indices must match number of operand dimensions (2 vs (3,))"),
    (lambda j: lax.dynamic_slice(X, (0.5,), (1,)), TypeError, "cannot be interpreted as an integer"),
    (lambda j: lax.dynamic_slice(X, (-1,), (1,), allow_negative_indices=False), ValueError, "Index -1 is out of bounds for dimension 0 if allow_negative_indices=False"),
    (lambda j: lax.dynamic_update_slice(X, np.ones(4), (0,)), TypeError, "update shape must be smaller than operand shape"),
    (lambda j: lax.dynamic_update_slice(X, M, (0,)), TypeError, "must have the same number of axes as operand"),
    (lambda j: lax.dynamic_update_slice(X, F32, (0,)), TypeError, "same dtypes"),
    (lambda j: lax.gather(M, np.array([[0.0]]), ROWS, (1, 3)), TypeError, "start_indices must have an integer type; got float64"),
    (lambda j: lax.gather(M, np.array([[0]]), ROWS, (1,)), TypeError, "Gather op must have one slice size for every input dimension"),
    (lambda j: lax.gather(M, np.array([[0]]), ROWS, (1, 3), mode="no"), ValueError, 'Unknown gather mode "no"'),
    (lambda j: lax.scatter(M, np.array([[0.0]]), M[:1], lax.ScatterDimensionNumbers((1,), (0,), (0,))), TypeError, "indices must have an integer type"),
    (lambda j: lax.sort((X, M)), TypeError, "Arguments to sort must have equal shapes, got (3,), (2, 3)"),
    (lambda j: lax.sort((X, X), num_keys=3), ValueError, "num_keys=3 must be between 1 and len(operand)=2"),
    (lambda j: lax.sort(X, 1), ValueError, "dimension 1 is out of bounds"),
    (lambda j: lax.top_k(X, 5), ValueError, "k argument to top_k must be no larger than size along axis; got k=5 with shape=[3] and axis=0"),
    (lambda j: lax.top_k(np.float64(1), 1), TypeError, "top_k operand must have >= 1 dimension"),
    (lambda j: lax.dot(M, np.ones((4, 5))), ValueError, "lax.dot: dimension_numbers must be specified when not performing simple un-batched"),
    (lambda j: lax.dot_general(M, np.ones((4, 5)), (((1,), (0,)), ((), ()))), TypeError, "dot_general requires contracting dimensions to have the same shape, got (3,) and (4,)."),
    (lambda j: lax.dot_general(M, M, (((1,), (0, 1)), ((), ()))), TypeError, "requires equal numbers of contracting dimensions, got 1 and 2"),
    (lambda j: lax.dot_general(M, M, (((2,), (1,)), ((), ()))), TypeError, "nonnegative and less than the number of axes"),
    (lambda j: lax.batch_matmul(X, X), ValueError, "Arguments to batch_matmul must be at least 2D, got 1, 1"),
    (lambda j: lax.reduce_sum(X, (3,)), ValueError, "reduction axes (3,) contains out-of-bounds indices for float64[3"),
    (lambda j: lax.reduce_sum(M, (0, 0)), ValueError, "duplicate value in 'axes'"),
    (lambda j: lax.reduce(X, (0.0, 1.0), lax.add, (0,)), ValueError, "there are 1 arrays and 2 initial values"),
    (lambda j: lax.reduce(X, X, lax.add, (0,)), TypeError, "init_values must be scalars"),
    (lambda j: lax.cumsum(X, 3), ValueError, "axis 3 is out of bounds for array of shape (3,)"),
    (lambda j: lax.cumlogsumexp(I), TypeError, "cumlogsumexp does not accept dtype int64"),
    (lambda j: lax.argmax(X, 0, np.float32), TypeError, "index_dtype must be an integer type, but got float32."),
    (lambda j: lax.argmax(X, 1, np.int32), ValueError, "Invalid axis 1 for operand shape (3,)."),
    (lambda j: lax.reduce_window(X, 0.0, lax.add, (2, 2), (1,), "VALID"), TypeError, "window_dimensions must have one entry for each axis"),
    (lambda j: lax.reduce_window(X, 0.0, lax.add, (0,), (1,), "VALID"), TypeError, "every element strictly positive"),
    (lambda j: lax.reduce_window(X, 0.0, lax.add, (2,), (1,), "OTHER"), ValueError, "Unrecognized padding type"),
    (lambda j: lax.conv(image(1, 1, 4, 4), image(1, 2, 2, 2), (1, 1), "SAME"), ValueError, "but 1 // 1 != 2."),
    (lambda j: lax.conv(image(1, 1, 4, 4), image(1, 1, 2, 2).astype(np.float32), (1, 1), "SAME"), TypeError, "lax.conv_general_dilated requires arguments to have the same dtypes"),
    (lambda j: lax.conv(image(1, 1, 4), image(1, 1, 2, 2), (1, 1), "SAME"), TypeError, "convolution requires lhs and rhs ndim to be equal, got 3 and 4."),
    (lambda j: lax.conv(image(1, 1, 4, 4), image(1, 1, 2, 2), (1,), "SAME"), TypeError, "window_strides should have length equal to the number of spatial axes"),
    (lambda j: lax.conv(image(1, 1, 4, 4), image(1, 1, 2, 2), (0, 1), "SAME"), ValueError, "must be at least 1"),
    (lambda j: lax.conv_general_dilated(image(1, 3, 4, 4), image(2, 1, 2, 2), (1, 1), "SAME", feature_group_count=2), ValueError, "must divide lhs feature dimension size, but 2 does not divide 3."),
    (lambda j: lax.conv_general_dilated(image(2, 2, 4, 4), image(2, 1, 2, 2), (1, 1), "SAME", feature_group_count=2, batch_group_count=2), ValueError, "At most one of batch_group_count and feature_group_count may be > 1"),
    (lambda j: lax.conv_general_dilated(image(1, 1, 4, 4), image(1, 1, 2, 2), (1, 1), [(0, 0)]), ValueError, "padding must have length equal to the number of spatial axes"),
    (lambda j: lax.conv_general_dilated(image(1, 1, 4), image(1, 1, 2), (1,), "SAME", (2,)), ValueError, "String padding is not implemented for a convolution with lhs_dilation"),
    (lambda j: lax.conv_dimension_numbers((1,) * 4, (1,) * 4, ("NHWC", "HWIO")), TypeError, "must be length 3, got 2."),
    (lambda j: lax.conv_dimension_numbers((1,) * 4, (1,) * 4, ("NHWC", "HWI", "NHWC")), TypeError, "must each have length equal to the number of axes"),
    (lambda j: lax.conv_dimension_numbers((1,) * 4, (1,) * 4, ("NHWN", "HWIO", "NHWC")), TypeError, "'N' and 'C' exactly once"),
    (lambda j: lax.conv_dimension_numbers((1,) * 4, (1,) * 4, ("NHWC", "XWIO", "NHWC")), TypeError, "the same set of spatial characters"),
    (lambda j: lax.conv_transpose(image(1, 4, 4, 1), image(2, 2, 1, 1), (1, 1), "OTHER"), ValueError, "Padding mode must be 'SAME' or 'VALID', got 'OTHER'."),
    (lambda j: lax.fft(X, "DCT", (3,)), ValueError, "Unknown FFT type 'DCT'"),
    (lambda j: lax.fft(X + 1j, "RFFT", (3,)), ValueError, "only real valued inputs supported for rfft"),
    (lambda j: lax.fft(X, "FFT", (4,)), ValueError, "must have sizes (4,) for fft_lengths (4,), got (3,)"),
    (lambda j: lax.linalg.cholesky(I), ValueError, "at least two axes"),
    (lambda j: lax.linalg.eig(M @ M.T), NotImplementedError, "left eigenvectors are not computed"),
    (lambda j: lax.linalg.qr(M, pivoting=True), NotImplementedError, "pivoting=True is not available"),
    (lambda j: lax.linalg.triangular_solve(M @ M.T, np.ones((3, 3))), ValueError, "incompatible shapes (2, 2) and (3, 3)"),
    (lambda j: lax.rng_uniform(0, 1, (2,)), NotImplementedError, "use weft.random.uniform"),
    (lambda j: lax.platform_dependent(1.0, tpu=abs), NotImplementedError, "no function for"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "kind", "text"), CASES, ids=range(len(CASES)))
def test_errors(run: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=re.escape(text)):
        run(0)


def test_errors_show_the_users_line_in_compiled_code() -> None:
    def f(x, y):
        return lax.add(x, y)

    with pytest.raises(
        TypeError, match=r"got float64, float32.*\n  --> .*test_operations.py:\d+ in f\n      return lax.add\(x, y\)"
    ):
        weft.jit(f)(X, F32)


@pytest.mark.parametrize("name", sorted(weft.lax.absent.ABSENT))
def test_absent_names_say_what_to_write(name: str) -> None:
    with pytest.raises(AttributeError, match=re.escape(f"module 'weft.lax' has no attribute '{name}': ")):
        getattr(lax, name)


def test_primitives_are_not_in_lax() -> None:
    with pytest.raises(AttributeError, match="weft.primitives"):
        lax.add_p  # noqa: B018


# -- programs ------------------------------------------------------------------------------------------------------------


def test_a_convolution_and_its_derivatives_are_one_product_each() -> None:
    def loss(x, w):
        y = lax.conv_general_dilated(x, w, STRIDES, "SAME", dimension_numbers=NHWC)
        return weft.numpy.sum(y * y)

    args = image(2, 6, 5, 3), image(3, 3, 3, 4)
    for f, count in ((weft.jit(loss), 1), (weft.jit(weft.grad(loss, argnums=(0, 1))), 3)):
        shown = f.inspect(*args)
        assert shown.ir.count("dot(") == count
        assert " for " not in shown.ir
        assert shown.cpp.count("gemm(ctx") == count


def test_a_convolution_serves_all_image_sizes() -> None:
    f = weft.jit(lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=NHWC))
    w = image(3, 3, 2, 4)
    for shape in ((2, 6, 5, 2), (3, 9, 7, 2)):
        x = image(*shape)
        np.testing.assert_allclose(f(x, w), lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=NHWC))
    assert f.cache_info().compilations + f.cache_info().loaded == 1


def test_max_pooling_has_a_derivative_without_loops() -> None:
    def total(x):
        return weft.numpy.sum(lax.reduce_window(x, -np.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") ** 2)

    ir = weft.jit(weft.grad(total)).inspect(image(2, 6, 6, 3)).ir
    assert " for " not in ir
    assert "gather" not in ir


def test_windows_that_do_not_fit_give_nothing() -> None:
    assert lax.reduce_window(X, 0.0, lax.add, (5,), (1,), "VALID").shape == (0,)
    f = weft.jit(lambda x: lax.reduce_window(x, 0.0, lax.add, (5,), (1,), "VALID"))
    assert f(X).shape == (0,)
    assert f(np.ones(7)).tolist() == [5.0, 5.0, 5.0]


def test_sizes_computed_at_run_time() -> None:
    def f(x):
        kept = x[x > 0]
        return (
            lax.reduce_window(kept, -np.inf, lax.max, (2,), (1,), "VALID"),
            lax.cumsum(kept),
            lax.pad(kept, 0.0, ((1, 1, 0),)),
        )

    x = np.array([1.0, -1.0, 3.0, 2.0, -5.0])
    pooled, sums, padded = weft.jit(f)(x)
    assert pooled.tolist() == [3.0, 3.0]
    assert sums.tolist() == [1.0, 4.0, 6.0]
    assert padded.tolist() == [0.0, 1.0, 3.0, 2.0, 0.0]


def test_reductions_of_nothing() -> None:
    empty = np.zeros((2, 0))
    assert lax.reduce_max(empty, (1,)).tolist() == [-np.inf, -np.inf]
    assert lax.reduce_min(empty.astype(np.int8), (1,)).tolist() == [127, 127]
    assert lax.reduce_sum(empty, (1,)).tolist() == [0.0, 0.0]


def test_a_reduction_from_another_start_has_its_derivative() -> None:
    gradient = weft.grad(lambda x: lax.reduce(x, 2.0, lax.mul, (0,)))(np.array([2.0, 3.0, 4.0]))
    assert gradient.tolist() == [24.0, 16.0, 12.0]


def test_local_convolutions() -> None:
    x, w = image(2, 3, 5), image(4, 6, 4)
    out = lax.conv_general_dilated_local(x, w, (1,), "VALID", (2,))
    patches = np.stack([x[:, :, k : k + 4] for k in range(2)], axis=2).reshape(2, 6, 4)
    np.testing.assert_allclose(out, np.einsum("npw,opw->now", patches, w))


def test_shapes_of_convolutions() -> None:
    assert lax.conv_shape_tuple((2, 3, 8, 9), (5, 3, 3, 2), (2, 1), "SAME") == (2, 5, 4, 9)
    assert lax.conv_general_shape_tuple((2, 8, 9, 3), (3, 2, 3, 5), (2, 1), "VALID", NHWC) == (2, 3, 8, 5)
    assert lax.conv_transpose_shape_tuple((2, 8, 9, 3), (3, 2, 3, 5), (2, 1), "SAME", NHWC) == (2, 16, 9, 5)
    assert lax.reduce_window_shape_tuple((8, 9), (3, 2), (2, 1), "VALID") == (3, 8)
    assert lax.conv_general_permutations(NHWC) == [(0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2)]


def test_small_functions() -> None:
    assert lax.dtype(F32) == np.float32
    assert lax.broadcast_like(X, M).shape == (2, 3)
    assert lax.broadcast_shapes((3, 1), (4,)) == (3, 4)
    assert lax.empty((2,), np.int32).dtype == np.int32
    assert lax.optimization_barrier({"a": X})["a"].tolist() == [1.0, 1.0, 1.0]
    assert float(lax.composite(lambda x: x + 1.0, "plus")(1.0)) == 2.0
    np.testing.assert_allclose(lax.igamma_grad_a(1.0, 2.0), -0.22082542621186, rtol=1e-9)
