"""The Python text of an `index`, for the unparser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft.ir.nodes import At, Gather, Span
from weft.primitives.declare import hinted_type


def subscript(operands: Sequence[str], attrs: dict[str, Any]) -> tuple[str, bool]:
    """The text between the brackets, and whether NumPy puts the gathered axes where this IR does.

    Whole axes are printed ``:`` where the array's type is given. See Note [Python text].
    """
    spec = attrs["spec"]
    t = hinted_type(attrs)
    shape = t.shape if t else (None,) * len(spec)
    parts = [_entry(e, x, n) for e, x, n in zip(spec, operands, shape, strict=True)]
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts), _in_place(spec)


def index_python(args: Sequence[str], attrs: dict[str, Any]) -> str:
    """``x[i, a:b]``; reversed spans are read forwards and flipped."""
    x, *operands = args
    spec = attrs["spec"]
    if not spec:
        return x
    if not _in_place(spec) and At() in spec:
        # first the single places, then the gathers, which may now stand together
        ats = [o if isinstance(e, At) else ":" for e, o in zip(spec, operands, strict=True)]
        rest = [k for k, e in enumerate(spec) if not isinstance(e, At)]
        return index_python([f"{x}[{', '.join(ats)}]", *[operands[k] for k in rest]], _picked(attrs, rest))
    if not _in_place(spec):
        # bring the gathered axes together where the first of them stands
        first = spec.index(Gather())
        order = [k for k, e in enumerate(spec) if isinstance(e, Gather)]
        others = [k for k, e in enumerate(spec) if not isinstance(e, Gather)]
        perm = [*others[:first], *order, *others[first:]]
        return index_python([f"np.transpose({x}, {tuple(perm)})", *[operands[k] for k in perm]], _picked(attrs, perm))
    text, _ = subscript(operands, attrs)
    flips = _flips(spec)
    if flips:
        return f"np.flip({x}[{text}], axis={flips[0] if len(flips) == 1 else tuple(flips)})"
    return f"{x}[{text}]"


def _picked(attrs: dict[str, Any], axes: Sequence[int]) -> dict[str, Any]:
    """The attributes for the array's axes ``axes`` only."""
    found: dict[str, Any] = {"spec": tuple([attrs["spec"][k] for k in axes])}
    t = hinted_type(attrs)
    if t:
        found["types"] = (t.with_shape(tuple([t.shape[k] for k in axes])),)
    return found


def _in_place(spec: Sequence[Any]) -> bool:
    """Whether NumPy's result axes stand in this IR's order: index arrays adjacent, or nothing before them."""
    if Gather() not in spec:
        return True
    fancy = [k for k, e in enumerate(spec) if isinstance(e, At | Gather)]
    adjacent = fancy[-1] - fancy[0] + 1 == len(fancy)
    return adjacent or not any(isinstance(e, Span) for e in spec[: spec.index(Gather())])


def _entry(entry: Any, operand: str, size: Any) -> str:
    match entry:
        case At() | Gather():
            return operand
        case Span():
            n, step = str(entry.size), entry.step
            if operand == "0" and step == 1 and size is not None and str(size) == n:
                return ":"
            if step > 0:
                start, stop = operand, _plus(operand, _times(n, step))
                return f"{'' if start == '0' else start}:{stop}{f':{step}' if step != 1 else ''}"
            # the same elements forwards; the caller flips them
            first, stop = _plus(operand, _times(_plus(n, "-1"), step)), _plus(operand, "1")
            return f"{first}:{stop}{f':{-step}' if step != -1 else ''}"
    raise TypeError(f"not an index specification: {entry!r}")


def _flips(spec: Sequence[Any]) -> list[int]:
    """The result axes to reverse; those behind gathers (of unknown rank) are counted from the end."""
    spans = [k for k, e in enumerate(spec) if isinstance(e, Span)]
    first = spec.index(Gather()) if Gather() in spec else len(spec)
    return [n if k < first else n - len(spans) for n, k in enumerate(spans) if spec[k].step < 0]


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _plus(a: str, b: str) -> str:
    x, y = _number(a), _number(b)
    if x is not None and y is not None:
        return str(x + y)
    if x == 0:
        return b
    if y == 0:
        return a
    if y is not None and y < 0:
        return f"{a} - {-y}"
    return f"{a} - {b[1:]}" if b.startswith("-") else f"{a} + {b}"


def _times(a: str, k: int) -> str:
    x = _number(a)
    if x is not None:
        return str(x * k)
    if k == 1:
        return a
    body = a if a.isidentifier() else f"({a})"
    return f"-{body}" if k == -1 else (f"-{-k} * {body}" if k < 0 else f"{k} * {body}")
