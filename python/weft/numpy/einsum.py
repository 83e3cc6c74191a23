"""Einstein summation, contracted from left to right."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.nodes import Gather, Span, lit
from weft.numpy.common import (
    Staged,
    agree,
    array,
    current,
    emit,
    iota,
    op_error,
    reshape,
    result_dtype,
    transpose,
    unsupported,
)  # fmt: skip
from weft.numpy.hints import hinted
from weft.numpy.products import contract
from weft.numpy.registry import implements
from weft.numpy.ufuncs import ufunc


@hinted(np.einsum, None)
def einsum(subscripts: Any, /, *operands: Any, out: Any = None, optimize: Any = False, dtype: Any = None) -> Any:
    """Sums of products named by letters: ``einsum("ij,jk->ik", a, b)``."""
    if not isinstance(subscripts, str):
        subscripts, given = _lettered(subscripts, operands)
        operands = tuple(given)
    kind = np.dtype(dtype) if dtype is not None else result_dtype(*[array(v) for v in operands])
    vs = [array(v, kind) for v in operands]
    inputs, output = parse(subscripts, [v.ndim for v in vs])
    terms = [_simplified(v, labels) for v, labels in zip(vs, inputs, strict=True)]
    total, labels = terms[0]
    for k, (v, other) in enumerate(terms[1:], 1):
        later = set(output).union(*[set(t[1]) for t in terms[k + 1 :]])
        total, labels = _pair(total, labels, v, other, later)
    total, labels = _summed(total, labels, set(output))
    return transpose(total, [labels.index(c) for c in output])


@implements(np.einsum_path, keep=True)
def einsum_path(*operands: Any, optimize: Any = "greedy", einsum_call: Any = False) -> Any:
    """An order in which to contract operands of these shapes, and a report on it; it is known while staging."""

    def known(x: Any) -> Any:
        if not isinstance(x, Staged):
            return x
        sizes = [current().number(n) for n in x.sizes]
        if any(n is None for n in sizes):
            raise unsupported("np.einsum_path of arrays of run-time length", "give the path to np.einsum")
        return np.broadcast_to(np.zeros((), x.dtype), sizes)  # type: ignore[arg-type]

    return np.einsum_path(*map(known, operands), optimize=optimize, einsum_call=einsum_call)


def _lettered(first: Any, rest: tuple[Any, ...]) -> tuple[str, list[Any]]:
    """Subscripts as a string, where they were given as a list of axes after each operand (and one of the result)."""
    given = [first, *rest]
    text = ["".join("..." if i is ... else chr(97 + i) for i in axes) for axes in given[1::2]]
    if len(given) % 2:
        out = "".join("..." if i is ... else chr(97 + i) for i in given[-1])
        return ",".join(text) + "->" + out, given[:-1:2]
    return ",".join(text), given[::2]


def parse(subscripts: str, ranks: list[int]) -> tuple[list[str], str]:
    """The labels of each operand and of the result; an ellipsis becomes capital Greek letters."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ranks):
        what = "more" if len(ranks) > len(inputs) else "fewer"
        raise op_error(
            ValueError,
            f"{what} operands provided to einstein sum function than specified in the subscripts string",
        )
    wide = 0
    for labels, rank in zip(inputs, ranks, strict=True):
        if "..." in labels:
            wide = max(wide, rank - len(labels.replace("...", "")))
    spare = "".join(chr(0x391 + k) for k in range(wide))
    for k, (labels, rank) in enumerate(zip(inputs, ranks, strict=True)):
        if "..." in labels:
            n = rank - len(labels.replace("...", ""))
            labels = labels.replace("...", spare[len(spare) - n :] if n else "")
            inputs[k] = labels
        if len(labels) != rank or "." in labels:
            raise op_error(
                ValueError,
                f"einstein sum subscripts string contains {'too many' if len(labels) > rank else 'not enough'}"
                f" subscripts for operand {k}",
            )
    joined = "".join(inputs)
    if arrow:
        output = right.replace("...", spare)
    else:
        output = spare + "".join(sorted(c for c in set(joined) - set(spare) if joined.count(c) == 1))
    for c in output:
        if c not in joined:
            raise op_error(
                ValueError,
                f"einstein sum subscripts string included output subscript '{c}' which never appeared in an input",
            )
        if output.count(c) > 1:
            raise op_error(ValueError, f"einstein sum subscripts string includes output subscript '{c}' multiple times")
    return inputs, output


def _simplified(x: Staged, labels: str) -> tuple[Staged, str]:
    """An operand with repeated labels replaced by its diagonal."""
    for c in dict.fromkeys(labels):
        while labels.count(c) > 1:
            i = labels.index(c)
            j = labels.index(c, i + 1)
            x = _diagonal(x, i, j, c)
            labels = labels[:j] + labels[j + 1 :]
    return x, labels


def _diagonal(x: Staged, i: int, j: int, label: str) -> Staged:
    def fail() -> None:
        raise op_error(ValueError, f"dimensions in single operand for collapsing index '{label}' don't match")

    agree(x.sizes[i], x.sizes[j], fail)
    k = iota(x.sizes[i])
    spec = tuple([Gather() if a in (i, j) else Span(n) for a, n in enumerate(x.sizes)])
    out = emit("index", x, *[k if a in (i, j) else lit(0) for a in range(x.ndim)], spec=spec, mode="fast")
    return out


def _summed(x: Staged, labels: str, wanted: set[str]) -> tuple[Staged, str]:
    axes = tuple([k for k, c in enumerate(labels) if c not in wanted])
    if not axes:
        return x, labels
    name = "reduce_or" if x.dtype == np.bool_ else "reduce_sum"
    return emit(name, x, axes=axes), "".join(c for c in labels if c in wanted)


def _pair(x: Staged, p: str, y: Staged, q: str, later: set[str]) -> tuple[Staged, str]:
    """The product of two operands, summed over labels that nothing later names."""
    x, p = _summed(x, p, later | set(q))
    y, q = _summed(y, q, later | set(p))
    # axes of size one broadcast against the other operand's
    x, p = _dropped(x, p, y, q)
    y, q = _dropped(y, q, x, p)
    for c in p:
        if c in q:
            agree(x.sizes[p.index(c)], y.sizes[q.index(c)], _mismatch(c))
    shared = [c for c in p if c in q]
    over = [c for c in shared if c not in later]
    batch = [c for c in shared if c in later]
    if not over:
        return _multiplied(x, p, y, q)
    out = contract(
        x, y, ([p.index(c) for c in over], [q.index(c) for c in over]),
        ([p.index(c) for c in batch], [q.index(c) for c in batch]),
    )  # fmt: skip
    return out, "".join([*batch, *[c for c in p if c not in shared], *[c for c in q if c not in shared]])


def _mismatch(label: str) -> Any:
    def fail() -> None:
        raise op_error(
            ValueError, f"operands could not be broadcast together: sizes of the einsum index '{label}' differ"
        )

    return fail


def _dropped(x: Staged, p: str, y: Staged, q: str) -> tuple[Staged, str]:
    """``x`` without axes of size one whose label has another size in ``y``."""
    gone = [k for k, c in enumerate(p) if x.sizes[k] == 1 and c in q and y.sizes[q.index(c)] != 1]
    if not gone:
        return x, p
    sizes = tuple([n for k, n in enumerate(x.sizes) if k not in gone])
    return reshape(x, sizes), "".join(c for k, c in enumerate(p) if k not in gone)


def _multiplied(x: Staged, p: str, y: Staged, q: str) -> tuple[Staged, str]:
    labels = p + "".join(c for c in q if c not in p)
    left = reshape(x, (*x.sizes, *[1] * (len(labels) - len(p))))
    order = [q.index(c) for c in labels if c in q]
    y = transpose(y, order)
    sizes = iter(y.sizes)
    right = reshape(y, tuple([next(sizes) if c in q else 1 for c in labels]))
    return ufunc(np.multiply, left, right), labels
