"""Vectors and the nearest entries of a book of codes."""

from __future__ import annotations

from typing import Any

import weft.numpy as wnp
from weft.scipy.arguments import inexact, quiet


@quiet
def vq(obs: Any, code_book: Any, check_finite: bool = True) -> tuple[Any, Any]:
    """For each vector the number of the nearest entry, and its distance.

    Parameters
    ----------
    obs
        Vectors, in rows; or numbers.
    code_book
        Entries, in rows; or numbers.
    check_finite
        Without effect.

    Examples
    --------
    >>> from weft.scipy.cluster.vq import vq
    >>> vq([1.0, 4.0, 5.5], [0.0, 5.0])[0]
    Array([0, 1, 1])
    """
    obs, book = inexact(obs, code_book)
    if obs.ndim != book.ndim or obs.ndim not in (1, 2):
        raise ValueError("vq() wants two vectors, or two matrices with vectors in their rows")
    if obs.ndim == 1:
        obs, book = obs[:, None], book[:, None]
    if obs.shape[1] != book.shape[1]:
        raise ValueError("vq(): the vectors and the entries must be of one length")
    squares = wnp.sum((obs[:, None, :] - book[None, :, :]) ** 2, -1)
    code = wnp.argmin(squares, axis=1)
    return code, wnp.sqrt(wnp.take_along_axis(squares, code[:, None], 1)[:, 0])


__all__ = ["vq"]
