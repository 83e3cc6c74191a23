"""Linear algebra: what `scipy.linalg` has besides, or otherwise than, NumPy. SciPy itself is not needed.

Matrices are the last two axes. As in JAX, ``overwrite_*`` have no effect, and ``check_finite`` has one in
`solve_triangular` and `cho_solve` alone: nans go through.
"""

from typing import Any

from weft.scipy.factors import (
    cho_factor,
    cholesky,
    det,
    eigh,
    eigh_tridiagonal,
    inv,
    lu,
    lu_factor,
    lu_solve,
    polar,
    qr,
    qr_multiply,
    solve,
    solve_sylvester,
    svd,
)
from weft.scipy.matrices import (
    block_diag,
    circulant,
    companion,
    convolution_matrix,
    dft,
    fiedler,
    fiedler_companion,
    hadamard,
    hankel,
    helmert,
    hilbert,
    invhilbert,
    invpascal,
    leslie,
    pascal,
    toeplitz,
)
from weft.scipy.matrixfunctions import expm, expm_frechet
from weft.scipy.triangular import cho_solve, solve_triangular

_WHY = dict.fromkeys(
    ("schur", "hessenberg", "rsf2csf", "funm", "sqrtm", "logm"),
    "it needs the Schur form, which NumPy has not; of a symmetric matrix use its eigenvectors, weft.numpy.linalg.eigh",
)

__all__ = [
    "block_diag", "cho_factor", "cho_solve", "cholesky", "circulant", "companion", "convolution_matrix", "det", "dft",
    "eigh", "eigh_tridiagonal", "expm", "expm_frechet", "fiedler", "fiedler_companion", "hadamard", "hankel",
    "helmert", "hilbert", "inv", "invhilbert", "invpascal", "leslie", "lu", "lu_factor", "lu_solve", "pascal",
    "polar", "qr", "qr_multiply", "solve", "solve_sylvester", "solve_triangular", "svd", "toeplitz",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """What is not there, and why."""
    reason = f": {_WHY[name]}" if name in _WHY else ""
    raise AttributeError(f"module 'weft.scipy.linalg' has no attribute {name!r}{reason}")
