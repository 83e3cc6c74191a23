"""Python expressions as `ast` nodes, for the unparser: names, literals, sizes, the ops' own text, subscripts.

`ast.unparse` puts parentheses where precedence asks for them, so nothing here is concerned with that.
"""

from __future__ import annotations

import ast
import keyword
from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Atom, Lit, Op, Span, Var
from weft.ir.primitive import REGISTRY
from weft.ir.printer import Namer
from weft.ir.sizes import Dim, Size
from weft.ir.types import ArrayType, bool_, c128, f64, i64, scalar
from weft.ir.unparse_plan import Plan

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
    if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.Not):
        return e.operand
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


_RESERVED = frozenset([*keyword.kwlist, "np", "range", "reversed", "len", "float", "int", "bool", "print", "_"])


class Expressions:
    """The expressions of a function's variables, under a plan; ``exprs`` holds those that are written inline."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.namer = Namer(_RESERVED)
        self.names: dict[Var, str] = {}
        self.exprs: dict[Var, ast.expr] = {}

    def name(self, v: Var) -> str:
        """The Python name of a variable."""
        head = self.plan.head(v)
        found = self.names.get(head)
        if found is None:
            members = self.plan.members.get(head, [head])
            hints = [m.name for m in members if m.name]
            plain = [h for h in hints if not h.endswith(("_ct", "_t"))]
            hint = (plain or hints or [generic_name(head)])[0]
            if not hint.isidentifier():
                hint = generic_name(head)
            found = self.names[head] = self.namer(Var(head.type, hint))
        return found

    def text(self, a: Atom) -> str:
        """An operand as source."""
        return ast.unparse(self.expr(a))

    def expr(self, a: Atom) -> ast.expr:
        """An operand as an expression."""
        if isinstance(a, Lit):
            return literal(a)
        found = self.exprs.get(a)
        return found if found is not None else ast.Name(self.name(a))

    def size(self, s: Size) -> str:
        """A size as source."""
        if isinstance(s, int):
            return str(s)
        text = ""
        for v, c in sorted(s.terms, key=lambda t: t[1] < 0):
            part = self.text(v) if abs(c) == 1 else f"{abs(c)} * {self.text(v)}"
            text += (f" {'-' if c < 0 else '+'} {part}") if text else (f"-{part}" if c < 0 else part)
        if s.const:
            text += f" {'-' if s.const < 0 else '+'} {abs(s.const)}"
        return text

    def shape(self, sizes: Sequence[Size]) -> str:
        """A shape as source: one size, or a tuple."""
        if len(sizes) == 1:
            return self.size(sizes[0])
        return f"({', '.join(map(self.size, sizes))})"

    def static(self, value: Any) -> Any:
        """An attribute with sizes as text."""
        if isinstance(value, Dim):
            return self.size(value)
        if isinstance(value, Span):
            return Span(self.static(value.size), value.step)
        if type(value) is tuple:
            return tuple([self.static(v) for v in value])
        return value

    def value(self, s: Op) -> ast.expr:
        """An op's expression."""
        args = [self.expr(a) for a in s.args]
        special = SPECIAL.get(s.prim.name)
        if special is not None:
            found = special(s, args)
            if found is not None:
                return found
        if s.prim.python is None:
            raise NotImplementedError(f"{s.prim.name} has no Python text")
        attrs = {k: self.static(v) for k, v in s.attrs.items()}
        attrs["types"] = [a.type for a in s.args]  # dot's text depends on ranks
        if s.prim is REGISTRY["broadcast"] and not s.args[0].type.shape:
            return self.filled(s.args[0], s.outs[0].type)
        if s.prim is REGISTRY["index"]:
            return self.subscript(s.args[0], args[0], args[1:], attrs)
        marks = [f"_a{k}" for k in range(len(args))]
        template = ast.parse(s.prim.python(marks, attrs), mode="eval").body
        return fill(template, dict(zip(marks, args, strict=True)))

    def filled(self, a: Atom, t: ArrayType) -> ast.expr:
        """An array of one value."""
        shape = self.shape(t.shape) if t.shape else "()"
        dtype = "" if t.dtype == f64 else f", dtype={dtype_text(t)}"
        if isinstance(a, Lit) and not np.any(a.value) and not np.signbit(np.real(a.value)):
            return ast.parse(f"np.zeros({shape}{dtype})", mode="eval").body
        given = literal(Lit(a.value, scalar(f64))) if isinstance(a, Lit) and t.dtype.kind == "f" else self.expr(a)
        return fill(ast.parse(f"np.full({shape}, _a0{dtype})", mode="eval").body, {"_a0": given})

    def subscript(self, array: Atom, base: ast.expr, operands: Sequence[ast.expr], attrs: dict[str, Any]) -> ast.expr:
        """``base[operands]`` as the index primitive prints it."""
        printer = REGISTRY["index"].python
        assert printer is not None
        shape = [self.size(n) for n in array.type.shape]
        texts = [ast.unparse(o) for o in operands]
        texts = [t if isinstance(o, PLAIN) else f"({t})" for t, o in zip(texts, operands, strict=True)]
        template = ast.parse(printer(["_a0", *texts], {**attrs, "shape": shape}), mode="eval").body
        tidy_slices(template, shape)
        return fill(template, {"_a0": base})
