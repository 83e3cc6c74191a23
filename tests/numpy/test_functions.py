"""Library functions against NumPy: value, dtype, shape; sizes symbolic and literal."""

import numpy as np
import pytest
from tests.staged.util import check

R = np.random.default_rng(0)
V = R.normal(size=6)
V4 = R.normal(size=4)
M = R.normal(size=(3, 4))
N = R.normal(size=(4, 5))
S = R.normal(size=(4, 4))
T = R.normal(size=(2, 3, 4))
I = np.array([3, 1, 2, 1, 0, 5])
IM = R.integers(-5, 9, (3, 4))
B = np.array([True, False, True, True])
F4 = M.astype("f4")
C = M + 1j * M[::-1]
NAN = np.array([[1.0, np.nan, 3.0], [np.nan, 5.0, 2.0]])
I1 = np.array([100, 100, 27], "i1")
E0 = np.zeros((0, 3))

CASES = {}


def case(*args, **options):
    def add(f):
        CASES[f"{len(CASES):03d}-{f.__name__ if f.__name__ != '<lambda>' else ''}"] = (f, args, options)
        return f

    return add


def many(table):
    for text, args in table:
        f = eval("lambda np, *a: " + text)
        CASES[f"{text}-{len(CASES)}"] = (f, args, {})


x1, x2 = (M,), (V,)
many([
    # reductions
    *[(f"np.{f}(a[0]{ax})", (m,)) for f in ("sum", "prod", "max", "min", "mean", "var", "std", "any", "all", "argmax", "argmin", "ptp", "count_nonzero")
      for ax in ("", ", axis=0", ", axis=-1", ", axis=1, keepdims=True") for m in (M, IM, F4, M > 0) if not (f == "ptp" and m.dtype == bool)],
    *[(f"np.{f}(a[0], axis=(0, 2))", (T,)) for f in ("sum", "max", "mean", "std", "any", "all")],
    ("np.sum(a[0])", (I1,)), ("np.sum(a[0], dtype=np.float32)", (IM,)), ("np.sum(a[0])", (B,)), ("np.prod(a[0])", (I1,)), ("np.sum(a[0], initial=3)", (M,)),
    ("np.sum(a[0], axis=1, where=a[0] > 0)", (M,)), ("np.max(a[0], initial=10.0)", (M,)), ("np.max(a[0], axis=0, initial=-1.0, where=a[0] < 0)", (M,)),
    ("np.sum(a[0])", (C,)), ("np.mean(a[0], axis=0)", (C,)), ("np.var(a[0])", (C,)), ("np.std(a[0], ddof=1)", (M,)), ("np.mean(a[0])", (M.astype("f2"),)),
    ("np.sum(a[0], axis=0)", (E0,)), ("np.mean(a[0], axis=0, dtype=np.float32)", (M,)), ("np.mean(a[0], where=a[0] > 0)", (M,)), ("np.sum(a[0])", (2.5,)), ("np.sum([a[0], 1.0, a[1]])", (2.5, 3.0)),
    ("np.average(a[0], axis=1, weights=a[1])", (M, V4)), ("np.average(a[0])", (IM,)), ("np.average(a[0], weights=a[0] ** 2)", (M,)),
    *[(f"np.{f}(a[0], axis={ax})", (NAN,)) for f in ("nansum", "nanmean", "nanmax", "nanmin", "nanstd", "nanvar", "nanprod") for ax in (None, 0, 1)],
    ("np.median(a[0])", (V,)), ("np.median(a[0], axis=0)", (M,)), ("np.median(a[0], axis=1, keepdims=True)", (IM,)), ("np.median(a[0], axis=1)", (NAN,)),
    ("np.percentile(a[0], 30)", (V,)), ("np.percentile(a[0], [10, 50.0, 99], axis=1)", (M,)), ("np.quantile(a[0], 0.25, axis=0, keepdims=True)", (M,)), ("np.quantile(a[0], a[1])", (V, 0.4)),
    ("np.trace(a[0])", (S,)), ("np.trace(a[0], offset=1)", (M,)),
    # cumulative
    ("np.cumsum(a[0])", (M,)), ("np.cumsum(a[0], axis=1)", (IM.astype("i4"),)), ("np.cumprod(a[0], axis=0)", (M,)), ("np.diff(a[0])", (V,)), ("np.diff(a[0], 2, axis=0)", (T[0],)), ("np.diff(a[0], prepend=0.0)", (V,)), ("np.diff(a[0], prepend=0.0, append=[1.0])", (V,)),
    ("np.nancumsum(a[0])", (NAN,)), ("np.trapezoid(a[0], dx=0.5)", (V,)), ("np.trapezoid(a[0], a[1])", (V4, V[:4])), ("np.gradient(a[0], 0.5)", (V,)), ("np.gradient(a[0])", (M,)), ("np.ediff1d(a[0])", (V,)),
    # products
    ("np.dot(a[0], a[1])", (M, N)), ("np.dot(a[0], a[1])", (M, V4)), ("np.dot(a[0], a[0])", (V,)), ("np.dot(a[0], a[1])", (T, N)), ("np.dot(a[0], 3.0)", (M,)), ("np.dot(a[0], a[1])", (M, R.normal(size=(2, 4, 3)))),
    ("a[0] @ a[1]", (M, N)), ("np.matmul(a[0], a[1])", (T, N)), ("np.matmul(a[0], a[1])", (M, R.normal(size=(2, 4, 3)))), ("np.matmul(a[0], a[1])", (T, R.normal(size=(2, 4, 2)))), ("np.matmul(a[0], a[1])", (V4, R.normal(size=(2, 4, 2)))), ("np.matmul(a[0], a[1])", (T, V4)),
    ("np.matmul(a[0], a[1])", (R.normal(size=(2, 1, 3, 4)), R.normal(size=(5, 4, 2)))), ("np.matmul(a[0], a[1])", (IM, IM.T.copy())), ("np.matmul(a[0], a[1])", (IM > 1, IM.T > 2)), ("np.matmul(a[0], a[1])", (F4, N)), ("a[0] @ a[1]", (V4, N)), ("a[0] @ a[1]", (IM.astype("i4"), N.astype("f4"))),
    ("np.vdot(a[0], a[1])", (C, C * 2j)), ("np.inner(a[0], a[1])", (M, M * 2)), ("np.inner(a[0], a[0])", (V,)), ("np.outer(a[0], a[1])", (V, M)), ("np.tensordot(a[0], a[1])", (T, R.normal(size=(3, 4, 5)))), ("np.tensordot(a[0], a[1], axes=1)", (T, N)), ("np.tensordot(a[0], a[1], axes=([2, 1], [0, 1]))", (T, R.normal(size=(4, 3, 2)))), ("np.tensordot(a[0], a[1], axes=0)", (V4, V)),
    ("np.cross(a[0], a[1])", (T[0].T[:, :3].copy(), T[1].T[:, :3].copy())), ("np.kron(a[0], a[1])", (M, N)), ("np.kron(a[0], a[1])", (V4, M)), ("np.vecdot(a[0], a[0])", (M,)),
    *[(f"np.linalg.norm(a[0]{o})", (m,)) for m in (V, M, C, IM) for o in ("", ", axis=-1", ", 1, axis=-1", ", np.inf, -1", ", 3, axis=-1", ", 0, axis=-1", ", axis=-1, keepdims=True")],
    ("np.linalg.norm(a[0], 'fro')", (M,)), ("np.linalg.norm(a[0], 1)", (M,)), ("np.linalg.norm(a[0], -np.inf)", (M,)), ("np.linalg.norm(a[0], np.inf, axis=(0, 2))", (T,)), ("np.linalg.matrix_power(a[0], 5)", (S,)), ("np.linalg.matrix_power(a[0], 0)", (S,)), ("np.linalg.multi_dot([a[0], a[1], a[2]])", (M, N, N.T.copy())),
    # einsum
    ("np.einsum('ij,jk->ik', a[0], a[1])", (M, N)), ("np.einsum('ij,jk', a[0], a[1])", (M, N)), ("np.einsum('ij->ji', a[0])", (M,)), ("np.einsum('ij->', a[0])", (M,)), ("np.einsum('ii->i', a[0])", (S,)), ("np.einsum('ii', a[0])", (S,)), ("np.einsum('i,j->ij', a[0], a[1])", (V, V4)), ("np.einsum('i,i', a[0], a[0])", (V,)), ("np.einsum('bij,bjk->bik', a[0], a[1])", (T, R.normal(size=(2, 4, 3)))),
    ("np.einsum('...ij,...jk->...ik', a[0], a[1])", (T, N)), ("np.einsum('ij,kj,kl->il', a[0], a[0], a[1])", (M, M)), ("np.einsum('i,ij,j->', a[0], a[1], a[2])", (M[:, 0].copy(), M, V4)), ("np.einsum('ijk->kj', a[0])", (T,)), ("np.einsum('ij,ij->i', a[0], a[0])", (M,)), ("np.einsum('iij,j->i', a[0], a[1])", (R.normal(size=(3, 3, 4)), V4)), ("np.einsum('ij,ij->ij', a[0], a[0])", (M,)), ("np.einsum('i...->...', a[0])", (T,)), ("np.einsum('ij,j->i', a[0], a[1])", (M, V4[:1].copy())), ("np.einsum('ij,jk->ik', a[0], a[1])", (IM, N)),
    # creation
    ("np.zeros((3, a[0]))", (4,)), ("np.ones(a[0], dtype=np.float32)", (4,)), ("np.full((2, a[0]), 3)", (4,)), ("np.full((a[1], a[1]), a[0])", (4.5, 2)), ("np.zeros_like(a[0])", (M,)), ("np.ones_like(a[0], dtype=int)", (M,)), ("np.full_like(a[0], 2.5)", (IM,)), ("np.zeros(a[0].shape)", (M,)), ("np.zeros((a[0].shape[1], 2))", (M,)), ("np.empty((a[0], 2)).shape", (3,)) if False else ("np.zeros(())", ()),
    ("np.arange(a[0])", (5,)), ("np.arange(a[0], 10)", (5,)), ("np.arange(2, a[0], 3)", (15,)), ("np.arange(a[0], 2, -3)", (15,)), ("np.arange(a[0], a[1], a[2])", (15, 2, -4)), ("np.arange(a[0])", (-3,)), ("np.arange(0.0, a[0], 0.1)", (2.05,)), ("np.arange(7)", ()), ("np.arange(1.0, 3.0, 0.3)", ()), ("np.arange(a[0].shape[0])", (M,)), ("np.arange(5, dtype=np.float32)", ()), ("np.arange(a[0], dtype=np.float64)", (4,)), ("np.arange(a[0])", (3.7,)),
    ("np.linspace(0, 1, a[0])", (7,)), ("np.linspace(a[0], 4, 9)", (1.5,)), ("np.linspace(0, 2, 5, endpoint=False)", ()), ("np.linspace(0, a[0], 5)", (V4,)), ("np.linspace(0.0, 3.0, 1)", ()), ("np.linspace(0, 10, 4, dtype=int)", ()), ("np.linspace(0, 1, a[0])", (1,)), ("np.linspace(0, 1, 5, retstep=True)", ()), ("np.logspace(0, 2, 5)", ()),
    ("np.eye(a[0])", (3,)), ("np.eye(3, a[0], 1)", (5,)), ("np.identity(4)", ()), ("np.tri(3, a[0], -1)", (4,)), ("np.tril(a[0])", (M,)), ("np.triu(a[0], 1)", (M,)), ("np.triu(a[0], -1)", (T,)), ("np.diag(a[0])", (V,)), ("np.diag(a[0], -2)", (V,)), ("np.diag(a[0])", (M,)), ("np.diag(a[0], 2)", (M,)), ("np.diag(a[0], -1)", (M,)), ("np.diagonal(a[0], 0, 1, 2)", (T,)), ("np.meshgrid(a[0], a[1])", (V, V4)), ("np.meshgrid(a[0], a[1], indexing='ij')", (V, V4)), ("np.meshgrid(a[0], a[1], sparse=True)", (V, V4)), ("np.tril_indices(4, -1)", ()), ("np.triu_indices(a[0])", (3,)), ("np.vander(a[0], 3)", (V,)), ("np.indices((2, 3))", ()),
    ("np.array([1, a[0], 2.5])", (3,)), ("np.array([[1, a[0]], [a[1], 2]])", (3, 4.0)), ("np.array([a[0], a[0]])", (V,)), ("np.array(a[0])", (2.5,)), ("np.array([a[0], 1.0])", (np.float32(2.0),)), ("np.asarray([1.0, a[0]], dtype=np.float32)", (2.5,)), ("np.array([[a[0][0], 1.0], [2, 3]])", (V,)), ("np.copy(a[0])", (M,)),
    # shapes
    ("np.reshape(a[0], (4, 3))", (M,)), ("a[0].reshape(-1)", (M,)), ("a[0].reshape(2, -1)", (M,)), ("a[0].reshape((a[0].shape[1], a[0].shape[0]))", (M,)), ("a[0].reshape(-1, a[0].shape[1])", (T,)), ("a[0].ravel().reshape(a[0].shape)", (T,)), ("a[0].reshape(a[0].shape[0], -1)", (T,)), ("a[0].reshape(a[1], -1)", (T, 6)), ("np.reshape(a[0], (2, 6), order='F')", (M,)), ("a[0].reshape(a[0].size)", (T,)), ("a[0].reshape(1, -1)", (V,)), ("np.ravel(a[0], 'F')", (M,)),
    ("np.transpose(a[0])", (T,)), ("a[0].transpose(1, 2, 0)", (T,)), ("a[0].transpose((1, 0, 2))", (T,)), ("a[0].T", (T,)), ("a[0].mT", (T,)), ("np.swapaxes(a[0], 0, -1)", (T,)), ("np.moveaxis(a[0], 0, -1)", (T,)), ("np.moveaxis(a[0], (0, 1), (2, 0))", (T,)), ("np.rollaxis(a[0], 2)", (T,)), ("np.expand_dims(a[0], (0, 2))", (M,)), ("np.expand_dims(a[0], -1)", (2.5,)), ("np.squeeze(a[0])", (M[:, :1].copy(),)), ("np.squeeze(a[0], 1)", (M[:, :1].copy(),)), ("np.atleast_1d(a[0])", (3.0,)), ("np.atleast_2d(a[0])", (V,)), ("np.atleast_3d(a[0])", (M,)), ("np.flip(a[0])", (M,)), ("np.flip(a[0], 1)", (M,)), ("np.fliplr(a[0])", (M,)), ("np.flipud(a[0])", (M,)), ("np.rot90(a[0])", (M,)), ("np.rot90(a[0], 3)", (M,)), ("np.rot90(a[0], 2)", (M,)),
    ("np.broadcast_to(a[0], (3, 4))", (V4,)), ("np.broadcast_to(a[0], (2, 3, 4))", (M,)), ("np.broadcast_to(a[0], a[1].shape)", (2.0, M)), ("np.broadcast_arrays(a[0], a[1])", (M, V4)), ("np.shape(a[0])[0]", (M,)), ("np.size(a[0])", (M,)), ("np.ndim(a[0])", (M,)),
    # joining
    ("np.concatenate([a[0], a[0]])", (M,)), ("np.concatenate((a[0], a[1]), axis=1)", (M, M[:, :2].copy())), ("np.concatenate([a[0], a[1]], axis=None)", (M, V)), ("np.concatenate([a[0], [1, 2]])", (V,)), ("np.concatenate([a[0], a[1]])", (IM, M)), ("np.stack([a[0], a[0] * 2])", (M,)), ("np.stack((a[0], a[0]), axis=-1)", (M,)), ("np.vstack([a[0], a[1]])", (M, V4)), ("np.hstack([a[0], a[0]])", (M,)), ("np.hstack([a[0], a[1]])", (V, V4)), ("np.column_stack([a[0], a[0]])", (V,)), ("np.dstack([a[0], a[0]])", (M,)), ("np.append(a[0], 5.0)", (V,)), ("np.append(a[0], a[0], axis=0)", (M,)), ("np.block([[a[0], a[0]], [a[0], a[0]]])", (M,)),
    ("np.split(a[0], 3)", (V,)), ("np.split(a[0], [2, 4], axis=1)", (S,)), ("np.array_split(a[0], 4)", (V,)), ("np.hsplit(a[0], 2)", (M,)), ("np.vsplit(a[0], 3)", (M,)),
    ("np.roll(a[0], 2)", (V,)), ("np.roll(a[0], -1)", (V,)), ("np.roll(a[0], a[1])", (V, 8)), ("np.roll(a[0], 1, axis=0)", (M,)), ("np.roll(a[0], (1, -2), axis=(0, 1))", (M,)), ("np.roll(a[0], 1)", (M,)), ("np.roll(a[0], 7)", (V4,)), ("np.repeat(a[0], 2)", (M,)), ("np.repeat(a[0], 3, axis=1)", (M,)), ("np.repeat(a[0], a[1])", (V, 2)), ("np.repeat(a[0], [1, 2, 0, 3])", (V4,)), ("np.repeat(a[0], [1, 0, 2], axis=0)", (M,)), ("np.tile(a[0], 2)", (M,)), ("np.tile(a[0], (2, 3))", (V,)), ("np.tile(a[0], (2, 1, 3))", (M,)), ("np.tile(a[0], a[1])", (V, 3)),
    ("np.pad(a[0], 2)", (V,)), ("np.pad(a[0], (1, 2), constant_values=5)", (V,)), ("np.pad(a[0], ((1, 0), (2, 3)))", (M,)), ("np.pad(a[0], ((1, 0), (2, 3)), constant_values=((1, 2), (3, 4)))", (M,)), ("np.pad(a[0], 2, mode='edge')", (M,)), ("np.pad(a[0], 3, mode='reflect')", (V,)), ("np.pad(a[0], 8, mode='symmetric')", (V,)), ("np.pad(a[0], 7, 'wrap')", (V,)), ("np.pad(a[0], a[1])", (V, 2)), ("np.pad(a[0], 12, mode='reflect')", (V4,)), ("np.delete(a[0], 1)", (V,)), ("np.delete(a[0], -1, axis=1)", (M,)),
    # picking
    ("np.take(a[0], [1, 0, -1])", (V,)), ("np.take(a[0], [[1, 0], [2, 2]], axis=1)", (M,)), ("np.take(a[0], 2, axis=0)", (M,)), ("np.take(a[0], a[1], mode='clip')", (V, I + 3)), ("np.take(a[0], a[1], mode='wrap')", (V, I + 3)), ("np.take_along_axis(a[0], np.argsort(a[0], axis=1), axis=1)", (M,)), ("np.nonzero(a[0])", (IM,)), ("np.flatnonzero(a[0] > 0)", (M,)), ("np.argwhere(a[0] > 0)", (M,)), ("np.where(a[0] > 0)", (M,)), ("np.where(a[0] > 0, a[0], 0)", (M,)), ("np.where(a[0] > 0, 1, 2)", (M,)), ("np.where(a[0], 1.0, a[1])", (B, M)), ("np.where(a[0] > 0, a[0], 0.0)", (F4,)), ("np.where(True, a[0], a[0] * 2)", (M,)), ("np.where(a[0] > 1, a[0], -a[0])", (2.0,)), ("np.extract(a[0] > 0, a[0])", (M,)), ("np.compress([True, False, True], a[0], axis=0)", (M,)), ("np.select([a[0] < 0, a[0] < 1], [a[0], a[0] * 2], 7.0)", (M,)), ("np.choose(a[0], [a[1], a[1] * 2])", (np.array([0, 1, 1, 0]), V4)), ("a[0][np.ix_([0, 2], [1, 3])]", (M,)), ("np.unravel_index(a[0], (3, 4))", (I,)), ("np.ravel_multi_index((a[0], a[0]), (6, 7))", (I,)), ("np.bincount(a[0])", (I,)), ("np.bincount(a[0], weights=a[1])", (I, V)), ("np.bincount(a[0], minlength=9)", (I,)),
    # sorting
    ("np.sort(a[0])", (M,)), ("np.sort(a[0], axis=0)", (IM,)), ("np.sort(a[0], axis=None)", (M,)), ("np.argsort(a[0])", (I,)), ("np.argsort(a[0], axis=0)", (M,)), ("np.sort(a[0])", (NAN,)), ("np.lexsort((a[0], a[1]))", (V, I)), ("np.searchsorted(a[0], a[1])", (np.sort(V), M)), ("np.searchsorted(a[0], a[1], side='right')", (np.sort(I), IM)), ("np.searchsorted(a[0], 0.1)", (np.sort(V),)), ("np.digitize(a[0], [-1.0, 0.0, 1.0])", (M,)), ("np.digitize(a[0], [0, 2], right=True)", (IM,)), ("np.interp(a[0], a[1], a[2])", (M, np.sort(V), V)), ("np.interp(a[0], [0, 1, 2], [1.0, 3.0, 2.0], left=-5)", (V,)), ("np.unique(a[0])", (I,)), ("np.unique(a[0], return_index=True, return_inverse=True, return_counts=True)", (I,)), ("np.unique(a[0])", (NAN,)), ("np.isin(a[0], [1, 2])", (IM,)), ("np.isin(a[0], [1, 2], invert=True)", (IM,)), ("np.histogram(a[0], 5)", (M,)), ("np.histogram(a[0], 4, range=(-1, 1))", (V,)), ("np.histogram(a[0], [-1.0, 0, 0.5, 2])", (V,)), ("np.histogram(a[0], bins=3, density=True)", (V,)), ("np.histogram(a[0], 3)", (I,)),
    # elementwise
    ("np.clip(a[0], -0.5, 0.5)", (M,)), ("np.clip(a[0], 0, None)", (IM,)), ("np.clip(a[0], a[1], 2)", (IM, IM[0].copy())), ("np.clip(a[0], 0.5, 2)", (IM,)), ("np.round(a[0])", (M,)), ("np.round(a[0], 2)", (M,)), ("np.round(a[0] * 100, -1)", (M,)), ("np.round(a[0])", (IM,)), ("np.isclose(a[0], a[0] + 1e-9)", (M,)), ("np.isclose(a[0], 1.0)", (NAN,)), ("np.isclose(a[0], a[0], equal_nan=True)", (NAN,)), ("np.allclose(a[0], a[0])", (M,)), ("np.isclose(a[0], 3)", (IM,)), ("np.array_equal(a[0], a[0])", (M,)), ("np.array_equal(a[0], a[1])", (M, V)), ("np.nan_to_num(a[0])", (np.array([np.nan, np.inf, -np.inf, 1.0]),)), ("np.nan_to_num(a[0], nan=2.0, posinf=9.0)", (np.array([np.nan, np.inf, -np.inf, 1.0], "f4"),)), ("np.sinc(a[0])", (np.array([0.0, 0.5, 1.0]),)), ("np.sinc(a[0])", (I,)), ("np.real(a[0])", (C,)), ("np.imag(a[0])", (C,)), ("np.imag(a[0])", (M,)), ("np.angle(a[0])", (C,)), ("np.angle(a[0], deg=True)", (C,)), ("np.angle(a[0])", (M,)), ("a[0].real + a[0].imag", (C,)), ("a[0].conj()", (C,)), ("np.iscomplex(a[0])", (C,)), ("np.isreal(a[0])", (M,)), ("np.isposinf(a[0])", (np.array([np.inf, -np.inf, 0.0]),)), ("np.isneginf(a[0])", (np.array([np.inf, -np.inf, 0.0]),)), ("np.fix(a[0])", (M,)),
    ("np.float32(a[0])", (M,)), ("np.float64(a[0])", (3,)), ("np.int32(a[0])", (3.7,)), ("np.bool_(a[0])", (3.7,)), ("np.int64(a[0])", (M,)), ("np.complex128(a[0])", (M,)), ("np.uint8(a[0])", (3,)), ("np.float32(a[0]) + 1.5", (2.0,)),
    # signals
    *[(f"np.{f}(a[0], a[1], '{m}')", (u, w)) for f in ("convolve", "correlate") for m in ("full", "same", "valid") for u, w in ((V, V4), (V4, V), (V, V4[:3].copy()), (V4[:3].copy(), V), (V4, V4))],
    ("np.convolve(a[0], [1, 2])", (I,)), ("np.polyval(a[0], a[1])", (V4, M)), ("np.polyval([1, 2, 3], a[0])", (2.5,)), ("np.cov(a[0])", (M,)), ("np.cov(a[0])", (V,)), ("np.cov(a[0], rowvar=False, bias=True)", (M,)), ("np.corrcoef(a[0])", (M,)),
    # ufunc methods
    ("np.add.reduce(a[0])", (M,)), ("np.add.reduce(a[0], axis=1)", (IM,)), ("np.multiply.reduce(a[0], axis=None)", (M,)), ("np.maximum.reduce(a[0])", (M,)), ("np.minimum.reduce(a[0], axis=1)", (M,)), ("np.logical_and.reduce(a[0])", (B,)), ("np.logical_or.reduce(a[0], axis=0)", (M > 0,)), ("np.add.accumulate(a[0])", (M,)), ("np.maximum.accumulate(a[0], axis=1)", (M,)), ("np.minimum.accumulate(a[0])", (IM,)), ("np.multiply.outer(a[0], a[1])", (V, M)), ("np.subtract.outer(a[0], a[0])", (V,)), ("np.less.outer(a[0], a[0])", (V,)),
    # methods
    ("a[0].sum(axis=0)", (M,)), ("a[0].mean()", (M,)), ("a[0].max(1)", (M,)), ("a[0].argmax()", (M,)), ("a[0].std(axis=0, ddof=1)", (M,)), ("a[0].dot(a[1])", (M, N)), ("a[0].astype(np.float32)", (M,)), ("a[0].astype(int)", (M,)), ("a[0].astype('f4')", (IM,)), ("a[0].flatten()", (M,)), ("a[0].copy()", (M,)), ("a[0].round(1)", (M,)), ("a[0].clip(0, 1)", (M,)), ("a[0].repeat(2)", (V,)), ("a[0].squeeze()", (M[:1].copy(),)), ("a[0].cumsum()", (M,)), ("a[0].take([0, 1])", (M,)), ("a[0].any()", (M,)), ("a[0].size", (M,)), ("a[0].swapaxes(0, 1)", (M,)), ("a[0].item(0)", (V,)), ("a[0].sum().item()", (V,)), ("a[0].argsort()", (V,)), ("a[0].diagonal()", (M,)), ("a[0].trace()", (S,)), ("a[0].searchsorted(0.3)", (np.sort(V),)), ("a[0].nonzero()", (IM,)), ("round(a[0], 2)", (2.567,)), ("round(a[0])", (2.567,)), ("a[0].conjugate()", (2.5,)), ("a[0].real", (2.5,)), ("divmod(a[0], 3)", (IM,)), ("divmod(a[0], 3)", (-7,)),
])  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("symbolic", [True, False], ids=["sym", "lit"])
def test_matches_numpy(name, symbolic):
    f, args, options = CASES[name]
    check(f, *args, symbolic=symbolic, rtol=1e-10, **options)
