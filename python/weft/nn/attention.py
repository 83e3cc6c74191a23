"""Attention by scaled dot products."""

from __future__ import annotations

from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.lax import stop_gradient
from weft.nn.functions import softmax
from weft.scipy.arguments import as_array, quiet, truth
from weft.scipy.sums import logsumexp

_einsum: Any = wnp.einsum


def _four(x: Any, name: str) -> Any:
    x = as_array(x)
    if x.ndim not in (3, 4):
        raise ValueError(f"dot_product_attention(): {name} must have 3 or 4 axes, not {x.ndim}")
    return x if x.ndim == 4 else wnp.expand_dims(x, 0)


def _grouped(x: Any, heads: Any, groups: Any) -> Any:
    """A bias or mask of (B, N, T, S), or 1 for any of these, as (B, K, G, T, S)."""
    if x.shape[1] == 1:
        return wnp.expand_dims(x, 2)
    b, _, t, s = x.shape
    return wnp.reshape(x, (b, heads, groups, t, s))


def _allowed(
    t: Any, s: Any, causal: bool, window: tuple[Any, Any] | None, queries: Any, keys: Any, mask: Any
) -> list[Any]:
    """What says which query may look at which key, each to be broadcast to (B, K, G, T, S)."""
    found = [] if mask is None else [mask]
    row, column = wnp.arange(t)[:, None], wnp.arange(s)[None, :]
    if causal:
        found.append(row >= column)
    if window is not None:
        found.append((row <= column + window[0]) & (row >= column - window[1]))
    if queries is not None:
        found.append(wnp.arange(t)[:, None] < queries[:, None, None, None, None])
    if keys is not None:
        found.append(wnp.arange(s) < keys[:, None, None, None, None])
    return found


def _lengths(x: Any, batch: Any, name: str) -> Any:
    if x is None:
        return None
    x = as_array(x)
    if x.dtype.kind not in "iu" or x.ndim != 1 or x.shape[0] != batch:
        raise ValueError(f"dot_product_attention(): {name} must be one integer for each element of the batch")
    return x


@quiet
def dot_product_attention(
    query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None, *, scale: Any = None,
    is_causal: bool = False, query_seq_lengths: Any = None, key_value_seq_lengths: Any = None,
    local_window_size: Any = None, implementation: str | None = None, return_residual: bool = False,
) -> Any:  # fmt: skip
    """``softmax(query @ key.T * scale + bias) @ value`` for each head.

    In what follows B is the size of the batch, T and S the lengths of queries and keys, N the number of heads, K that
    of the heads of keys and values (N is a multiple of it), and H the size of a head.

    Parameters
    ----------
    query
        (B, T, N, H), or (T, N, H).
    key, value
        (B, S, K, H), or (S, K, H).
    bias
        Added to the scaled products: it goes with (B, N, T, S).
    mask
        Bools, which go with (B, N, T, S): True where a query may look at a key.
    scale
        A number; 1 over the square root of H if None.
    is_causal
        Queries look at no later key.
    query_seq_lengths, key_value_seq_lengths
        How many queries, and keys and values, count in each element of the batch: (B,). Other queries give 0.
    local_window_size
        How far to the left and to the right a query looks: one number, or two.
    implementation
        None or ``"xla"``, which mean the same here.
    return_residual
        Also give the logarithms of the sums of exponentials, (B, T, N).

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> from weft import nn
    >>> x = wnp.asarray([[[0.0, 1.0]], [[2.0, 0.0]]])
    >>> nn.dot_product_attention(x, x, x, is_causal=True)[0]
    Array([[0., 1.]])
    """
    if implementation not in (None, "xla"):
        raise ValueError(f"dot_product_attention() has the implementations None and 'xla', not {implementation!r}")
    single = as_array(query).ndim == 3
    query, key, value = _four(query, "query"), _four(key, "key"), _four(value, "value")
    b, s, k, h = key.shape
    _, t, n, _ = query.shape
    _same("value", value, key.shape, key.dtype)
    _same("query", query, (b, t, n, h), key.dtype)
    n, k = int(n), int(k)  # a program is made for its numbers of heads
    if n % k != 0:
        raise ValueError(
            f"dot_product_attention(): the number of query heads, {n}, must be a multiple of that of key heads, {k}"
        )
    query = wnp.reshape(query, (b, t, k, n // k, h))
    wide = wnp.promote_types(query.dtype, np.float32)
    logits = _einsum("btkgh,bskh->bkgts", query.astype(wide), key.astype(wide))
    logits = logits * wnp.asarray(1 / wnp.sqrt(wnp.asarray(h)) if scale is None else scale, dtype=wide)
    if bias is not None:
        logits = (logits + _grouped(_four(bias, "bias"), k, n // k)).astype(wide)
    if mask is not None:
        mask = _four(mask, "mask")
        if mask.dtype != bool:
            raise ValueError(f"dot_product_attention(): mask must be bools, not {mask.dtype}; add numbers by bias=")
        mask = _grouped(mask, k, n // k)
    queries = _lengths(query_seq_lengths, b, "query_seq_lengths")
    keys = _lengths(key_value_seq_lengths, b, "key_value_seq_lengths")
    window = local_window_size if isinstance(local_window_size, tuple | None) else (local_window_size,) * 2
    floor = -0.7 * float(np.finfo(np.float32).max)
    for allowed in _allowed(t, s, truth(is_causal, "is_causal"), window, queries, keys, mask):
        logits = wnp.where(allowed, logits, floor)
    weights = softmax(logits).astype(key.dtype)
    found = wnp.reshape(_einsum("bkgts,bskh->btkgh", weights, value), (b, t, n, h))
    if queries is not None:
        found = wnp.where((wnp.arange(t) < queries[:, None])[:, :, None, None], found, 0)
    found = found[0] if single else found
    if not truth(return_residual, "return_residual"):
        return found
    sums = wnp.reshape(wnp.transpose(logsumexp(logits, axis=-1), (0, 3, 1, 2)), (b, t, n)).astype(key.dtype)
    return found, stop_gradient(sums[0] if single else sums)


def _same(name: str, x: Any, shape: tuple[Any, ...], dtype: Any) -> None:
    if x.dtype != dtype:
        raise ValueError(f"dot_product_attention(): {name} has dtype {x.dtype}, and key {dtype}")
    for have, want in zip(x.shape, shape, strict=True):
        if have != want:
            raise ValueError(f"dot_product_attention(): {name} must have the shape {shape}, not {x.shape}")


__all__ = ["dot_product_attention"]
