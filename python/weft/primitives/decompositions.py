"""Decompositions: eigh, eig, svd, qr.

Their factors are only defined up to signs (phases, if complex), so what is differentiated should not depend on these.
Equal eigenvalues or singular values have eigenvectors without a derivative: it comes out inf or nan. The values alone
are differentiable there, and `svd` and `eigh` without vectors are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.errors import StagingError
from weft.ir.nodes import Atom, Op
from weft.ir.primitive import Primitive
from weft.ir.sizes import Size, same_size
from weft.ir.types import ArrayType, is_complex
from weft.primitives import matrices as M
from weft.primitives.declare import COMPLEX, prim
from weft.primitives.samples import Sample, dtypes, values
from weft.primitives.solves import Atoms, declare, over_stacks, right_solve, solve, triangular_solve


def _inverse_differences(v: Atom, n: Size) -> Atom:
    """``1 / (v[j] - v[i])``, 0 on the diagonal."""
    shape = (*v.type.shape, n)
    gap = M.off_diagonal(M.sub(M.columns(v, shape), M.rows(v, shape)), 1)
    return M.off_diagonal(prim("reciprocal")(gap))


# -- Hermitian eigenvalues ---------------------------------------------------------------------------------------------


def _eigh_type(a: ArrayType, *, lower: bool, vectors: bool) -> tuple[ArrayType, ...]:
    M.check_square("eigh", a)
    found = M.real_type(a, a.shape[:-1])
    return (found, a) if vectors else (found,)


def _eigh(a: Any, *, lower: bool, vectors: bool) -> Any:
    side: Any = "L" if lower else "U"
    return tuple(np.linalg.eigh(a, side)) if vectors else np.linalg.eigvalsh(a, side)


def _eigenvectors(op: Op) -> tuple[Atom, Atom]:
    """Eigenvalues and eigenvectors of the operand."""
    if op.attrs["vectors"]:
        return op.outs  # type: ignore[return-value]
    return eigh(op.args[0], lower=op.attrs["lower"], vectors=True)  # type: ignore[no-any-return]


def _eigh_jvp(op: Op, tangents: Atoms) -> Atoms:
    (t,) = tangents
    if t is None:
        return [None] * len(op.outs)
    w, v = _eigenvectors(op)
    inner = M.mm(M.H(v), M.from_triangle(t, lower=op.attrs["lower"]), v)
    change = M.real(M.diagonal(inner))
    if not op.attrs["vectors"]:
        return [change]
    gaps = M.as_dtype(_inverse_differences(w, v.type.shape[-1]), v.type.dtype)
    return [change, M.mm(v, M.mul(gaps, inner))]


def _eigh_vjp(op: Op, cts: Atoms, wanted: Sequence[bool]) -> Atoms:
    ct_w, ct_v = (*cts, None)[:2]
    if ct_w is None and ct_v is None:
        return [None]
    w, v = _eigenvectors(op)
    n = v.type.shape[-1]
    inner = None
    if ct_w is not None:
        inner = M.diagonal_matrix(M.as_dtype(ct_w, v.type.dtype), n)
    if ct_v is not None:
        gaps = M.as_dtype(_inverse_differences(w, n), v.type.dtype)
        inner = M.total(inner, M.mul(gaps, M.mm(M.T(v), ct_v)))
    assert inner is not None
    return [M.to_triangle(M.mm(M.conj(v), inner, M.T(v)), lower=op.attrs["lower"])]


def _eigh_samples(d: Any, s: tuple[int, ...]) -> list[Sample]:
    a = values(d, s, seed=4) + np.diag(np.arange(s[-1]) * 3).astype(d)
    return [((a,), {"lower": lower, "vectors": v}) for lower in (True, False) for v in (True, False)]


def _eigh_python(args: Sequence[str], attrs: dict[str, Any]) -> str:
    side = "" if attrs["lower"] else ", 'U'"
    return f"np.linalg.{'eigh' if attrs['vectors'] else 'eigvalsh'}({args[0]}{side})"


# Reads one triangle alone, as NumPy does; so derivatives with respect to the other, strict one are 0.
eigh: Primitive = declare(
    "eigh", _eigh_type, _eigh, _eigh_jvp, _eigh_vjp, _eigh_python,
    over_stacks(_eigh_samples, [(3, 3), (1, 1), (2, 2, 2), (0, 0), (0, 2, 2)]), effect="raise",
)  # fmt: skip

# -- general eigenvalues -----------------------------------------------------------------------------------------------

# Note [Any scale]
# An eigenvector times any number is one, and which of them LAPACK gives depends on its phases, so a program that
# differentiates them is refused. The derivative of the eigenvalues is made of eigenvectors too, in a way that does not
# depend on their scale; there ``any_scale`` is True, and their derivative is one that is right up to it.


def _eig_type(a: ArrayType, *, vectors: bool, any_scale: bool) -> tuple[ArrayType, ...]:
    dtype = M.check_square("eig", a)
    if not is_complex(dtype):
        raise TypeError(f"eig: not defined for dtype {dtype}")
    found = a.with_shape(a.shape[:-1])
    return (found, a) if vectors else (found,)


def _eig(a: Any, *, vectors: bool, any_scale: bool) -> Any:
    return tuple(np.linalg.eig(a)) if vectors else np.linalg.eigvals(a)


def _eig_parts(op: Op, uses_vectors: bool) -> tuple[Atom, Atom]:
    if uses_vectors and not op.attrs["any_scale"]:
        raise StagingError(
            "eigenvectors of a general matrix have no derivative: their phases are arbitrary",
            remedy="differentiate np.linalg.eigvals, or np.linalg.eigh of a Hermitian matrix",
            loc=op.loc,
        )
    if op.attrs["vectors"] and op.attrs["any_scale"]:
        return op.outs  # type: ignore[return-value]
    return eig(op.args[0], vectors=True, any_scale=True)  # type: ignore[no-any-return]


def _eig_jvp(op: Op, tangents: Atoms) -> Atoms:
    (t,) = tangents
    if t is None:
        return [None] * len(op.outs)
    w, v = _eig_parts(op, op.attrs["vectors"])
    inner = solve(v, M.mm(t, v))
    change = M.diagonal(inner)
    if not op.attrs["vectors"]:
        return [change]
    return [change, M.mm(v, M.mul(_inverse_differences(w, v.type.shape[-1]), inner))]


def _eig_vjp(op: Op, cts: Atoms, wanted: Sequence[bool]) -> Atoms:
    ct_w, ct_v = (*cts, None)[:2]
    if ct_w is None and ct_v is None:
        return [None]
    w, v = _eig_parts(op, ct_v is not None)
    n = v.type.shape[-1]
    inner = M.total(
        None if ct_w is None else M.diagonal_matrix(ct_w, n),
        None if ct_v is None else M.mul(_inverse_differences(w, n), M.mm(M.T(v), ct_v)),
    )
    assert inner is not None
    return [solve(M.T(v), M.mm(inner, M.T(v)))]


def _eig_samples() -> list[Sample]:
    found: list[Sample] = []
    for d in dtypes(COMPLEX):
        for s in ((3, 3), (1, 1), (2, 2, 2), (0, 0)):
            a = values(d, s, seed=3) + np.diag(np.arange(s[-1]) * 2).astype(d)
            found += [((a,), {"vectors": v, "any_scale": False}) for v in (False, True)]
    return found


eig: Primitive = declare(
    "eig", _eig_type, _eig, _eig_jvp, _eig_vjp,
    lambda args, attrs: f"np.linalg.{'eig' if attrs['vectors'] else 'eigvals'}({args[0]})", _eig_samples,
    effect="raise",
)  # fmt: skip

# -- singular values ---------------------------------------------------------------------------------------------------


def check_smaller(name: str, a: ArrayType, size: Size) -> None:
    """Raise unless ``size`` is that of one side of the matrices (the caller knows which is smaller)."""
    sides = a.shape[-2:]
    if not any(same_size(size, n) for n in sides):
        raise ValueError(f"{name}: size {size} is neither {sides[0]} nor {sides[1]}")
    if all(isinstance(n, int) for n in sides) and size != min(sides):  # type: ignore[type-var]
        raise ValueError(f"{name}: size {size} is not the smaller one of {sides}")


def _svd_type(a: ArrayType, *, full: bool, vectors: bool, size: Size) -> tuple[ArrayType, ...]:
    M.check_matrices("svd", a)
    check_smaller("svd", a, size)
    *lead, m, n = a.shape
    s = M.real_type(a, (*lead, size))
    if not vectors:
        return (s,)
    return (a.with_shape((*lead, m, m if full else size)), s, a.with_shape((*lead, n if full else size, n)))


def _svd(a: Any, *, full: bool, vectors: bool, size: int) -> Any:
    return tuple(np.linalg.svd(a, full)) if vectors else np.linalg.svdvals(a)


class _Svd:
    """What both modes of the derivative are made of: the thin factors, and maps between their changes."""

    def __init__(self, op: Op) -> None:
        (a,), k = op.args, op.attrs["size"]
        self.vectors = op.attrs["vectors"]
        *_, m, n = a.type.shape
        if self.vectors and op.attrs["full"] and not (same_size(m, k) and same_size(n, k)):
            raise StagingError(
                "the full factors of np.linalg.svd have no derivative: the vectors that complete them are arbitrary",
                remedy="np.linalg.svd(a, full_matrices=False)",
                loc=op.loc,
            )
        u, s, vh = op.outs if self.vectors else prim("svd")(a, full=False, vectors=True, size=k)
        self.u, self.v, self.s, self.k = u, M.H(vh), s, k
        self.tall, self.wide = not same_size(m, k), not same_size(n, k)
        self.dtype = a.type.dtype
        self.square = (*s.type.shape, k)

    def gaps(self) -> Atom:
        """``1 / (s[j]**2 - s[i]**2)``, 0 on the diagonal."""
        col, row = M.columns(self.s, self.square), M.rows(self.s, self.square)
        gap = M.off_diagonal(M.mul(M.sub(col, row), M.add(col, row)), 1)
        return self.scale(M.off_diagonal(prim("reciprocal")(gap)))

    def scale(self, x: Atom) -> Atom:
        return M.as_dtype(x, self.dtype)

    def by_column(self) -> Atom:
        return self.scale(M.columns(self.s, self.square))

    def by_row(self) -> Atom:
        return self.scale(M.rows(self.s, self.square))

    def divided(self, x: Atom) -> Atom:
        """The columns of ``x`` over the singular values."""
        return prim("div")(x, self.scale(M.columns(self.s, x.type.shape)))  # type: ignore[no-any-return]


def _svd_jvp(op: Op, tangents: Atoms) -> Atoms:
    (t,) = tangents
    if t is None:
        return [None] * len(op.outs)
    f = _Svd(op)
    inner = M.mm(M.H(f.u), t, f.v)
    change = M.real(M.diagonal(inner))
    if not f.vectors:
        return [change]
    gaps, col, row = f.gaps(), f.by_column(), f.by_row()
    right, left = M.mul(inner, col), M.mul(row, inner)
    turn_u = M.mul(gaps, M.add(right, M.H(right)))
    turn_v = M.mul(gaps, M.add(left, M.H(left)))
    phase = M.imaginary_diagonal(inner)
    if phase is not None:
        turn_u = M.add(turn_u, prim("div")(phase, col))
    du, dv = M.mm(f.u, turn_u), M.mm(f.v, turn_v)
    if f.tall:
        du = M.add(du, f.divided(M.sub(M.mm(t, f.v), M.mm(f.u, inner))))
    if f.wide:
        dv = M.add(dv, f.divided(M.sub(M.mm(M.H(t), f.u), M.mm(f.v, M.H(inner)))))
    return [du, change, M.H(dv)]


def _svd_vjp(op: Op, cts: Atoms, wanted: Sequence[bool]) -> Atoms:
    if all(ct is None for ct in cts):
        return [None]
    f = _Svd(op)
    ct_u, ct_s, ct_vh = cts if f.vectors else (None, cts[0], None)
    inner: Atom | None = None  # the cotangent of u^H da v
    found: Atom | None = None
    if ct_s is not None:
        inner = M.diagonal_matrix(f.scale(ct_s), f.k)
    if ct_u is not None:
        turn = M.mm(M.T(f.u), ct_u)
        skew = M.mul(f.gaps(), turn)
        inner = M.total(inner, M.mul(M.add(skew, M.H(skew)), f.by_column()))
        phase = M.imaginary_diagonal(turn)
        if phase is not None:
            inner = M.total(inner, prim("div")(phase, f.by_column()))
        if f.tall:
            over = f.divided(ct_u)
            found = M.mm(over, M.T(f.v))
            inner = M.total(inner, M.neg(M.mm(M.T(f.u), over)))
    if ct_vh is not None:
        ct_v = M.H(ct_vh)
        skew = M.mul(f.gaps(), M.mm(M.T(f.v), ct_v))
        inner = M.total(inner, M.mul(M.add(skew, M.H(skew)), f.by_row()))
        if f.wide:
            over = f.divided(ct_v)
            found = M.total(found, M.mm(M.conj(f.u), M.H(over)))
            inner = M.total(inner, M.neg(M.H(M.mm(M.T(f.v), over))))
    assert inner is not None
    return [M.total(found, M.mm(M.conj(f.u), inner, M.T(f.v)))]


def _svd_samples(d: Any, s: tuple[int, ...]) -> list[Sample]:
    a, k = values(d, s, seed=6), min(s[-2:])
    kinds = [(False, True), (False, False), *([(True, True)] if s[-1] == s[-2] else [])]
    return [((a,), {"full": full, "vectors": v, "size": k}) for full, v in kinds]


def _svd_python(args: Sequence[str], attrs: dict[str, Any]) -> str:
    if not attrs["vectors"]:
        return f"np.linalg.svdvals({args[0]})"
    return f"np.linalg.svd({args[0]}{'' if attrs['full'] else ', full_matrices=False'})"


svd: Primitive = declare(
    "svd", _svd_type, _svd, _svd_jvp, _svd_vjp, _svd_python,
    over_stacks(_svd_samples, [(3, 2), (2, 3), (2, 2), (1, 1), (2, 3, 2), (0, 2, 2), (0, 0)]), effect="raise",
)  # fmt: skip

# -- orthogonal and triangular factor ----------------------------------------------------------------------------------


def _qr_type(a: ArrayType, *, full: bool, vectors: bool, size: Size) -> tuple[ArrayType, ...]:
    M.check_matrices("qr", a)
    check_smaller("qr", a, size)
    *lead, m, n = a.shape
    r = a.with_shape((*lead, m if full else size, n))
    return (a.with_shape((*lead, m, m if full else size)), r) if vectors else (r,)


def _qr(a: Any, *, full: bool, vectors: bool, size: int) -> Any:
    if not vectors:
        return np.linalg.qr(a, "r")
    return tuple(np.linalg.qr(a, "complete" if full else "reduced"))


def _qr_factors(op: Op) -> tuple[Atom, Atom]:
    (a,), k = op.args, op.attrs["size"]
    *_, m, n = a.type.shape
    if not same_size(n, k) or (op.attrs["full"] and not same_size(m, k)):
        what = "the complete factors" if op.attrs["full"] else "np.linalg.qr of a matrix with more columns than rows"
        raise StagingError(
            f"{what} cannot be differentiated" if "np." in what else f"{what} of np.linalg.qr have no derivative",
            remedy="np.linalg.qr(a[:, :a.shape[0]]), and q.T @ a for r" if "np." in what else "mode='reduced'",
            loc=op.loc,
        )
    return op.outs if op.attrs["vectors"] else qr(a, full=False, vectors=True, size=k)  # type: ignore[return-value]


def _qr_jvp(op: Op, tangents: Atoms) -> Atoms:
    (t,) = tangents
    if t is None:
        return [None] * len(op.outs)
    q, r = _qr_factors(op)
    over = right_solve(r, t, lower=False)
    inner = M.mm(M.H(q), over)
    below = M.tril(inner, strict=True)
    turn = M.total(M.sub(below, M.H(below)), M.imaginary_diagonal(inner))
    assert turn is not None
    rest = M.sub(turn, inner)
    dr = M.neg(M.mm(rest, r))
    return [M.add(over, M.mm(q, rest)), dr] if op.attrs["vectors"] else [dr]


def _qr_vjp(op: Op, cts: Atoms, wanted: Sequence[bool]) -> Atoms:
    ct_q, ct_r = cts if op.attrs["vectors"] else (None, cts[0])
    if ct_q is None and ct_r is None:
        return [None]
    q, r = _qr_factors(op)
    rest = M.total(
        None if ct_q is None else M.mm(M.T(q), ct_q), None if ct_r is None else M.neg(M.mm(ct_r, M.T(r)))
    )  # fmt: skip
    assert rest is not None
    turn = M.total(M.tril(M.sub(rest, M.H(rest)), strict=True), M.imaginary_diagonal(rest))
    assert turn is not None
    over = M.total(ct_q, M.mm(M.conj(q), M.sub(turn, rest)))
    assert over is not None
    return [M.T(triangular_solve(r, M.T(over), lower=False, trans=False, unit=False))]


def _qr_samples(d: Any, s: tuple[int, ...]) -> list[Sample]:
    a, k = values(d, s, seed=7), min(s[-2:])
    full = [(True, True)] if s[-1] == s[-2] else []
    return [((a,), {"full": f, "vectors": v, "size": k}) for f, v in [(False, True), (False, False), *full]]


def _qr_python(args: Sequence[str], attrs: dict[str, Any]) -> str:
    if not attrs["vectors"]:
        return f"np.linalg.qr({args[0]}, 'r')"
    mode = ', "complete"' if attrs["full"] else ""
    return f"np.linalg.qr({args[0]}{mode})"


qr: Primitive = declare(
    "qr", _qr_type, _qr, _qr_jvp, _qr_vjp, _qr_python,
    over_stacks(_qr_samples, [(3, 2), (2, 2), (1, 1), (2, 3, 2), (0, 2, 2)]), effect="raise",
)  # fmt: skip

__all__ = ["eig", "eigh", "qr", "svd"]
