"""Linear systems and determinants: solve, triangular solve, Cholesky factor, determinants, adjugate, pseudoinverse.

All take stacks of matrices, whose leading axes agree. Where NumPy raises LinAlgError they do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Atom, Op
from weft.ir.primitive import Library, Primitive, register
from weft.ir.sizes import same_shape
from weft.ir.types import ArrayType, is_complex
from weft.primitives import matrices as M
from weft.primitives.declare import INEXACT, like, prim, shape_text
from weft.primitives.samples import Sample, dtypes, values

Atoms = Sequence[Atom | None]
BLOCK = 64


def regular(dtype: Any, shape: tuple[int, ...], seed: int = 0) -> Any:
    """Matrices that are far from singular."""
    return values(dtype, shape, seed=seed) + (3 * shape[-1] * np.eye(shape[-1])).astype(dtype)


def definite(dtype: Any, shape: tuple[int, ...], seed: int = 0) -> Any:
    """Hermitian positive definite matrices."""
    a = values(dtype, shape, seed=seed)
    return (a @ a.conj().mT / shape[-1] + 2 * np.eye(shape[-1])).astype(dtype)


def over_stacks(
    make: Callable[[Any, tuple[int, ...]], list[Sample]], shapes: Sequence[tuple[int, ...]]
) -> Callable[[], list[Sample]]:
    """Samples of every dtype and shape."""
    return lambda: [sample for d in dtypes(INEXACT) for s in shapes for sample in make(d, s)]


def declare(
    name: str, type_rule: Any, meaning: Any, jvp: Any, vjp: Any, python: Any, samples: Any, **more: Any
) -> Primitive:
    """Declare a primitive over stacks of matrices, run by NumPy."""

    def quiet(*xs: Any, **attrs: Any) -> Any:
        with np.errstate(all="ignore"):
            return meaning(*xs, **attrs)

    kind = Library(name)
    return register(
        Primitive(name, type_rule, quiet, kind, jvp, vjp, M.batch_leading, python=python, samples=samples, **more)
    )


# -- solve -----------------------------------------------------------------------------------------------------------


def _solve_type(a: ArrayType, b: ArrayType) -> tuple[ArrayType, ...]:
    M.check_square("solve", a, b)
    return (b,)


def _solve_jvp(op: Op, tangents: Atoms) -> Atoms:
    (a, _), (x,), (ta, tb) = op.args, op.outs, tangents
    right = M.total(tb, None if ta is None else M.neg(M.mm(ta, x)))
    return [None if right is None else solve(a, right)]


def _solve_vjp(op: Op, cts: Atoms, wanted: Sequence[bool]) -> Atoms:
    (a, _), (x,), (ct,) = op.args, op.outs, cts
    if ct is None:
        return [None, None]
    ct_b = solve(M.T(a), ct)
    return [M.neg(M.mm(ct_b, M.T(x))) if wanted[0] else None, ct_b if wanted[1] else None]


solve = declare(
    "solve", _solve_type, np.linalg.solve, _solve_jvp, _solve_vjp,
    lambda args, attrs: f"np.linalg.solve({args[0]}, {args[1]})",
    over_stacks(
        lambda d, s: [((regular(d, (*s[:-1], s[-2])), values(d, s, seed=1)), {})],
        [(3, 2), (1, 1), (2, 3, 1), (0, 2), (0, 2, 2), (2, 2, 2, 3)],
    ),
    effect="raise",
)  # fmt: skip

# -- triangular solve --------------------------------------------------------------------------------------------------


def _triangular_type(a: ArrayType, b: ArrayType, *, lower: bool, trans: bool, unit: bool) -> tuple[ArrayType, ...]:
    M.check_square("triangular_solve", a, b)
    return (b,)


def _triangular(a: Any, b: Any, *, lower: bool, trans: bool, unit: bool) -> Any:
    n = a.shape[-1]
    t = np.tril(a) if lower else np.triu(a)
    if unit:
        t = np.where(np.eye(n, dtype=bool), np.ones((), a.dtype), t)
    if not np.all(np.diagonal(t, axis1=-2, axis2=-1)):
        raise np.linalg.LinAlgError("Singular matrix")
    if lower != trans:  # a lower triangle is an upper one read from its end
        t, b = np.flip(t, (-2, -1)), np.flip(b, -2)
    if trans:
        t = t.mT
    x = np.zeros_like(b)
    for lo in reversed(range(0, n, BLOCK)):
        hi = min(lo + BLOCK, n)
        left = b[..., lo:hi, :] - t[..., lo:hi, hi:] @ x[..., hi:, :]
        x[..., lo:hi, :] = np.linalg.solve(t[..., lo:hi, lo:hi], left)
    return np.flip(x, -2) if lower != trans else x


def _triangle(a: Atom, attrs: dict[str, Any]) -> Atom:
    """The part of a matrix that a triangular solve reads."""
    return (M.tril if attrs["lower"] else M.triu)(a, strict=attrs["unit"])


def _triangular_jvp(op: Op, tangents: Atoms) -> Atoms:
    (a, _), (x,), (ta, tb) = op.args, op.outs, tangents
    moved = None
    if ta is not None:
        ta = _triangle(ta, op.attrs)
        moved = M.neg(M.mm(M.T(ta) if op.attrs["trans"] else ta, x))
    right = M.total(tb, moved)
    return [None if right is None else triangular_solve(a, right, **op.attrs)]


def _triangular_vjp(op: Op, cts: Atoms, wanted: Sequence[bool]) -> Atoms:
    (a, _), (x,), (ct,) = op.args, op.outs, cts
    if ct is None:
        return [None, None]
    trans = op.attrs["trans"]
    ct_b = triangular_solve(a, ct, **{**op.attrs, "trans": not trans})
    outer = M.mm(x, M.T(ct_b)) if trans else M.mm(ct_b, M.T(x))
    return [M.neg(_triangle(outer, op.attrs)) if wanted[0] else None, ct_b if wanted[1] else None]


def _triangular_python(args: Sequence[str], attrs: dict[str, Any]) -> str:
    (a, b), part = args, "tril" if attrs["lower"] else "triu"
    text = f"np.{part}({a})"
    if attrs["unit"]:
        strict = f"np.{part}({a}, {-1 if attrs['lower'] else 1})"
        text = f"({strict} + np.eye({a}.shape[-1], dtype={a}.dtype))"
    return f"np.linalg.solve({text}{'.mT' if attrs['trans'] else ''}, {b})"


triangular_solve: Primitive = declare(
    "triangular_solve", _triangular_type, _triangular, _triangular_jvp, _triangular_vjp, _triangular_python,
    over_stacks(
        lambda d, s: [
            ((regular(d, (*s[:-1], s[-2])), values(d, s, seed=1)), {"lower": lower, "trans": trans, "unit": unit})
            for lower in (True, False) for trans in (False, True) for unit in (False, True)
        ],
        [(3, 2), (2, 2, 1), (0, 2)],
    ),
    effect="raise",
)  # fmt: skip


def right_solve(a: Atom, b: Atom, *, lower: bool, trans: bool = False) -> Atom:
    """``x`` with ``x op(a) = b`` for a triangular ``a``."""
    return M.T(triangular_solve(a, M.T(b), lower=lower, trans=not trans, unit=False))


# -- Cholesky factor ---------------------------------------------------------------------------------------------------


def _one_square(name: str) -> Callable[..., tuple[ArrayType, ...]]:
    def type_rule(a: ArrayType) -> tuple[ArrayType, ...]:
        M.check_square(name, a)
        return (a,)

    return type_rule


def _half(a: Atom) -> Atom:
    """The lower triangle with half the diagonal."""
    return prim("select")(M.compare("eq", a.type.shape), M.mul(a, like(0.5, a)), M.tril(a))  # type: ignore[no-any-return]


def _cholesky_jvp(op: Op, tangents: Atoms) -> Atoms:
    (t,), (factor,) = tangents, op.outs
    if t is None:
        return [None]
    full = M.from_triangle(t, lower=True)
    inner = triangular_solve(factor, full, lower=True, trans=False, unit=False)
    inner = right_solve(M.conj(factor), inner, lower=True, trans=True)
    return [M.mm(factor, _half(inner))]


def _cholesky_vjp(op: Op, cts: Atoms, wanted: Sequence[bool]) -> Atoms:
    (ct,), (factor,) = cts, op.outs
    if ct is None:
        return [None]
    inner = _half(M.mm(M.T(factor), ct))
    inner = triangular_solve(factor, inner, lower=True, trans=True, unit=False)
    return [M.to_triangle(right_solve(M.conj(factor), inner, lower=True), lower=True)]


# Reads the lower triangle alone, as NumPy does; so derivatives with respect to the strict upper triangle are 0.
cholesky = declare(
    "cholesky", _one_square("cholesky"), np.linalg.cholesky, _cholesky_jvp, _cholesky_vjp,
    lambda args, attrs: f"np.linalg.cholesky({args[0]})",
    over_stacks(lambda d, s: [((definite(d, s),), {})], [(3, 3), (1, 1), (2, 2, 2), (0, 0), (0, 2, 2)]),
    effect="raise",
)  # fmt: skip

# -- adjugate and determinant ------------------------------------------------------------------------------------------


def _per_matrix(name: str) -> Callable[..., tuple[ArrayType, ...]]:
    def type_rule(a: ArrayType) -> tuple[ArrayType, ...]:
        M.check_square(name, a)
        return (a.with_shape(a.shape[:-2]),)

    return type_rule


def _adjugate(a: Any) -> Any:
    """Through the SVD, so that it is exact for singular matrices too: adj(u s v) = adj(v) adj(s) adj(u)."""
    u, s, v = np.linalg.svd(a)
    others = np.where(np.eye(a.shape[-1], dtype=bool), np.ones((), s.dtype), s[..., None, :])
    sign = np.linalg.det(u) * np.linalg.det(v)
    inner = v.conj().mT * np.prod(others, axis=-1)[..., None, :]
    return np.asarray(sign[..., None, None] * (inner @ u.conj().mT), a.dtype)


_ADJUGATE_TEXT = (
    "(lambda u, s, v: (np.linalg.det(u) * np.linalg.det(v))[..., None, None] * ((v.conj().mT * np.prod(np.where("
    "np.eye(s.shape[-1], dtype=bool), s.dtype.type(1), s[..., None, :]), axis=-1)[..., None, :]) @ u.conj().mT))"
    "(*np.linalg.svd({0}))"
)


def _adjugate_frame(a: Atom) -> tuple[Atom, Atom, Atom, Atom]:
    """``u, v, c, p``: the derivative of adj at ``u s v^H`` along E is ``c v D u^H`` for ``F = u^H E v``, where D is
    ``-F p`` off the diagonal and, on it, ``p`` times the diagonal of F; ``p[i, j]`` is the product of all singular
    values but i and j, and 0 on the diagonal."""
    n = a.type.shape[-1]
    u, s, vh = prim("svd")(a, full=False, vectors=True, size=n)
    c = M.mul(det(u), det(vh))
    shape = (*a.type.shape, n)
    r = len(shape)

    def number(axis: int) -> Atom:
        return M.number(n, shape, axis)

    spread = prim("broadcast")(s, shape=shape, dims=(*range(r - 3), r - 1))
    out = prim("bitor")(prim("eq")(number(r - 1), number(r - 2)), prim("eq")(number(r - 1), number(r - 3)))
    p = prim("reduce_prod")(M.keep(prim("logical_not")(out), spread, 1), axes=(r - 1,))
    return u, M.H(vh), c, M.as_dtype(M.off_diagonal(p), a.type.dtype)


def _weighted(p: Atom, f: Atom) -> Atom:
    """The linear map of `_adjugate_frame` from F to D; ``p`` is symmetric, so it is its own transpose."""
    v = M.diagonal(f)
    column = prim("reshape")(v, shape=(*v.type.shape, 1))
    middle = prim("reshape")(M.mm(p, column), shape=v.type.shape)
    return M.sub(M.diagonal_matrix(middle, f.type.shape[-1]), M.mul(p, f))


def _adjugate_jvp(op: Op, tangents: Atoms) -> Atoms:
    (a,), (t,) = op.args, tangents
    if t is None:
        return [None]
    u, v, c, p = _adjugate_frame(a)
    inner = M.mm(v, _weighted(p, M.mm(M.H(u), t, v)), M.H(u))
    return [M.mul(M.everywhere(c, a.type.shape), inner)]


def _adjugate_vjp(op: Op, cts: Atoms, wanted: Sequence[bool]) -> Atoms:
    (a,), (ct,) = op.args, cts
    if ct is None:
        return [None]
    u, v, c, p = _adjugate_frame(a)
    inner = M.mm(M.conj(u), _weighted(p, M.mm(M.T(v), ct, M.conj(u))), M.T(v))
    return [M.mul(M.everywhere(c, a.type.shape), inner)]


def _singular(d: Any, s: tuple[int, ...]) -> Any:
    """Matrices of rank n - 1."""
    a = values(d, s, seed=5)
    a[..., -1, :] = a[..., 0, :]
    return a


# Exact at singular matrices, and so is its derivative; the second derivative (the third of det) is exact there for real
# matrices, and not defined by this way for complex ones, whose singular vectors lose their phases where s is 0.
adjugate = declare(
    "adjugate", _one_square("adjugate"), _adjugate, _adjugate_jvp, _adjugate_vjp,
    lambda args, attrs: _ADJUGATE_TEXT.format(*args),
    over_stacks(
        lambda d, s: [
            ((values(d, s, seed=2),), {}), *([((_singular(d, s),), {})] if 0 not in s and d.kind == "f" else [])
        ],
        [(3, 3), (2, 2), (2, 3, 3), (0, 0), (0, 2, 2)],
    ),
)  # fmt: skip


def _det_jvp(op: Op, tangents: Atoms) -> Atoms:
    (a,), (t,) = op.args, tangents
    return [None if t is None else M.trace(M.mm(adjugate(a), t))]


def _det_vjp(op: Op, cts: Atoms, wanted: Sequence[bool]) -> Atoms:
    (a,), (ct,) = op.args, cts
    return [None if ct is None else M.mul(M.everywhere(ct, a.type.shape), M.T(adjugate(a)))]


det: Primitive = declare(
    "det", _per_matrix("det"), np.linalg.det, _det_jvp, _det_vjp, lambda args, attrs: f"np.linalg.det({args[0]})",
    over_stacks(
        lambda d, s: [((values(d, s, seed=2),), {}), *([((_singular(d, s),), {})] if 0 not in s else [])],
        [(3, 3), (2, 2), (2, 3, 3), (0, 0), (0, 2, 2)],
    ),
)  # fmt: skip


def _slogdet_type(a: ArrayType) -> tuple[ArrayType, ...]:
    M.check_square("slogdet", a)
    return (a.with_shape(a.shape[:-2]), M.real_type(a, a.shape[:-2]))


def _slogdet_jvp(op: Op, tangents: Atoms) -> Atoms:
    (a,), (sign, _), (t,) = op.args, op.outs, tangents
    if t is None:
        return [None, None]
    change = M.trace(solve(a, t))
    if not is_complex(a.type.dtype):
        return [None, change]
    turn = prim("imag")(change)
    return [M.mul(sign, prim("complex_")(like(0, turn), turn)), M.real(change)]


def _slogdet_vjp(op: Op, cts: Atoms, wanted: Sequence[bool]) -> Atoms:
    (a,), (sign, _), (ct_sign, ct_log) = op.args, op.outs, cts
    dtype = a.type.dtype
    change = None if ct_log is None else M.as_dtype(ct_log, dtype)
    if ct_sign is not None and is_complex(dtype):
        turned = prim("imag")(M.mul(ct_sign, sign))
        change = M.total(change, prim("complex_")(like(0, turned), turned))
    if change is None:
        return [None]
    return [M.mul(M.everywhere(change, a.type.shape), solve(M.T(a), M.eye_like(a)))]


# Its derivative at a singular matrix does not exist: LinAlgError.
slogdet = declare(
    "slogdet", _slogdet_type, lambda a: tuple(np.linalg.slogdet(a)), _slogdet_jvp, _slogdet_vjp,
    lambda args, attrs: f"np.linalg.slogdet({args[0]})",
    over_stacks(lambda d, s: [((regular(d, s),), {})], [(3, 3), (1, 1), (2, 2, 2), (0, 0), (0, 2, 2)]),
)  # fmt: skip

# -- pseudoinverse -----------------------------------------------------------------------------------------------------


def _pinv_type(a: ArrayType, rcond: ArrayType) -> tuple[ArrayType, ...]:
    M.check_matrices("pinv", a)
    if rcond.dtype != np.float64 or not same_shape(rcond.shape, a.shape[:-2]):
        raise TypeError(f"pinv: rcond is {rcond}, not f64 of shape {shape_text(a.shape[:-2])}")
    return (a.with_shape((*a.shape[:-2], a.shape[-1], a.shape[-2])),)


def _pinv_parts(op: Op) -> tuple[Atom, Atom, Atom, Atom, Atom]:
    """The inverse, its two Gram matrices, and the projectors onto what it maps to zero."""
    a, p = op.args[0], op.outs[0]
    left, right = M.mm(a, p), M.mm(p, a)
    return p, M.mm(p, M.H(p)), M.mm(M.H(p), p), M.sub(M.eye_like(left), left), M.sub(M.eye_like(right), right)


def _pinv_jvp(op: Op, tangents: Atoms) -> Atoms:
    t = tangents[0]
    if t is None:
        return [None]
    p, columns, rows, no_column, no_row = _pinv_parts(op)
    th = M.H(t)
    inner = M.neg(M.mm(p, t, p))
    return [M.add(M.add(inner, M.mm(columns, th, no_column)), M.mm(no_row, th, rows))]


def _pinv_vjp(op: Op, cts: Atoms, wanted: Sequence[bool]) -> Atoms:
    ct = cts[0]
    if ct is None or not wanted[0]:
        return [None, None]
    p, columns, rows, no_column, no_row = _pinv_parts(op)
    inner = M.neg(M.mm(M.T(p), ct, M.T(p)))
    outer = M.add(M.mm(no_column, M.T(ct), columns), M.mm(rows, M.T(ct), no_row))
    return [M.add(inner, M.conj(outer)), None]


pinv = declare(
    "pinv", _pinv_type, lambda a, rcond: np.linalg.pinv(a, rcond), _pinv_jvp, _pinv_vjp,
    lambda args, attrs: f"np.linalg.pinv({args[0]}, {args[1]})",
    over_stacks(
        lambda d, s: [((values(d, s), np.full(s[:-2], 1e-6)[()]), {})],
        [(3, 2), (2, 3), (2, 2), (2, 3, 2), (0, 2), (2, 0)],
    ),
    effect="raise",
)  # fmt: skip

__all__ = ["adjugate", "cholesky", "det", "pinv", "slogdet", "solve", "triangular_solve"]
