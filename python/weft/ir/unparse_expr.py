"""Python expressions as `ast` nodes, for the unparser: literals, subscripts, substitution.

`ast.unparse` puts parentheses where precedence asks for them, so nothing here is concerned with that.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

import numpy as np

from weft.ir.nodes import Lit, Op, Var
from weft.ir.types import ArrayType, bool_, c128, f64, i64

PLAIN = (ast.Name, ast.Constant, ast.Call, ast.Subscript, ast.Attribute, ast.BinOp, ast.UnaryOp)


def generic_name(v: Var) -> str:
    return "i" if v.type.dtype == i64 and not v.type.shape else ("t" if not v.type.shape else "w")


def np_name(path: str) -> ast.expr:
    e: ast.expr = ast.Name("np")
    for part in path.split("."):
        e = attribute(e, part)
    return e


def attribute(e: ast.expr, name: str) -> ast.expr:
    return ast.Attribute(e, name)


def call(func: ast.expr, *args: ast.expr) -> ast.expr:
    return ast.Call(func, list(args), [])


def names_in(e: ast.expr) -> set[str]:
    return {n.id for n in ast.walk(e) if isinstance(n, ast.Name)}


def dtype_text(t: ArrayType) -> str:
    return "bool" if t.dtype == bool_ else f"np.{t.dtype.name}"


def negated(e: ast.expr) -> ast.expr:
    flipped: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
    if isinstance(e, ast.Compare) and len(e.ops) == 1 and type(e.ops[0]) in flipped:
        return ast.Compare(e.left, [flipped[type(e.ops[0])]()], e.comparators)
    return ast.UnaryOp(ast.Not(), e)


def literal(a: Lit) -> ast.expr:
    value, dtype = a.value, a.type.dtype
    if dtype.kind == "c":
        parts = f"complex({value.real!r}, {value.imag!r})" if dtype == c128 else f"np.complex64({complex(value)!r})"
        return ast.parse(parts.replace("np.float64", "").replace("np.float32", ""), mode="eval").body
    plain = value.item()
    if dtype.kind == "f" and not np.isfinite(value):
        e = np_name("nan") if np.isnan(value) else np_name("inf")
        e = ast.UnaryOp(ast.USub(), e) if value < 0 else e
    elif dtype.kind in "fiu" and (plain < 0 or (plain == 0 and np.signbit(value))):
        e = ast.UnaryOp(ast.USub(), ast.Constant(-plain))
    else:
        e = ast.Constant(float(str(value)) if dtype.kind == "f" and dtype != f64 else plain)
    if dtype in (f64, i64, bool_):
        return e
    return call(np_name(dtype.name), e)


def tidy_slices(template: ast.expr, shape: Sequence[str]) -> None:
    """``1:1 + n - 2`` becomes ``1:n - 1``, and ``2:n`` of an axis with n elements ``2:``."""
    for node in ast.walk(template):
        if not isinstance(node, ast.Subscript):
            continue
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        direct = isinstance(node.value, ast.Name) and node.value.id == "_a0"
        for axis, part in enumerate(parts):
            if isinstance(part, ast.Slice):
                part.lower = part.lower and tidy(part.lower)
                part.upper = part.upper and tidy(part.upper)
                if direct and part.upper is not None and ast.unparse(part.upper) == shape[axis]:
                    part.upper = None
        if direct and isinstance(node.slice, ast.Tuple):
            while len(parts) > 1 and isinstance(parts[-1], ast.Slice) and ast.unparse(parts[-1]) == ":":
                parts.pop()
            if len(parts) == 1:
                node.slice = parts[0]


def tidy(e: ast.expr) -> ast.expr:
    """A sum of names and integers with the integers added up, names first."""
    terms: dict[str, int] = {}
    const = 0

    def collect(e: ast.expr, sign: int) -> bool:
        nonlocal const
        match e:
            case ast.Constant(value=int(n)):
                const += sign * n
                return True
            case ast.Name(id=name):
                terms[name] = terms.get(name, 0) + sign
                return True
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
                return collect(left, sign) and collect(right, sign if isinstance(e.op, ast.Add) else -sign)
            case ast.UnaryOp(op=ast.USub(), operand=x):
                return collect(x, -sign)
        return False

    if not collect(e, 1) or any([abs(c) > 1 for c in terms.values()]):
        return e
    ordered = sorted([(name, c) for name, c in terms.items() if c], key=lambda t: -t[1])
    text = " ".join([f"{'+' if c > 0 else '-'} {name}" for name, c in ordered])
    if const or not text:
        text += f" {'+' if const >= 0 else '-'} {abs(const)}"
    return ast.parse(text.strip().removeprefix("+ "), mode="eval").body


class Filler(ast.NodeTransformer):
    def __init__(self, values: dict[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)


def fill(template: ast.expr, values: dict[str, ast.expr]) -> ast.expr:
    return Filler(values).visit(template)  # type: ignore[no-any-return]


def _select(s: Op, args: Sequence[ast.expr]) -> ast.expr | None:
    """A scalar choice is Python's own."""
    return None if s.outs[0].type.shape else ast.IfExp(args[0], args[1], args[2])


def _not(s: Op, args: Sequence[ast.expr]) -> ast.expr | None:
    return None if s.outs[0].type.shape else ast.UnaryOp(ast.Not(), args[0])


SPECIAL = {"select": _select, "logical_not": _not}
