"""Scalar expressions as C++, with no more parentheses than precedence needs."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import Any

from weft.codegen.names import Names
from weft.ir.primitive import Elementwise, Primitive, Reduce
from weft.ir.sizes import Shape, Size
from weft.ir.types import SHORT, DType, i64
from weft.lowering import loops as L

PRIMARY, UNARY, PRODUCT, SUM, SHIFT, COMPARE, EQUAL, BITAND, BITXOR, BITOR, AND, OR, TERNARY = range(13)
_LEVEL = {
    "*": PRODUCT, "/": PRODUCT, "%": PRODUCT, "+": SUM, "-": SUM, "<<": SHIFT, ">>": SHIFT, "<": COMPARE,
    "<=": COMPARE, ">": COMPARE, ">=": COMPARE, "==": EQUAL, "!=": EQUAL, "&": BITAND, "^": BITXOR, "|": BITOR,
    "&&": AND, "||": OR,
}  # fmt: skip

Text = tuple[str, int]


def ctype(dtype: DType) -> str:
    """The C++ name of a dtype."""
    return SHORT[dtype]


def constant(value: Any, dtype: DType) -> Text:
    """A literal with exactly this value."""
    if dtype.kind == "c":
        re_, im = (constant(part, value.real.dtype)[0] for part in (value.real, value.imag))
        return f"{ctype(dtype)}{{{re_}, {im}}}", PRIMARY
    if dtype.kind == "f":
        x, suffix = float(value), "f" if dtype.itemsize == 4 else ""
        if math.isnan(x):
            return f'__builtin_nan{suffix}("")', PRIMARY
        if math.isinf(x):
            return f"{'-' if x < 0 else ''}__builtin_inf{suffix}()", UNARY if x < 0 else PRIMARY
        if dtype.itemsize == 2:
            return f"(f16){x!r}", UNARY
        text = str(value) if dtype.itemsize == 4 else repr(x)
        if not any(c in text for c in ".en"):
            text += ".0"
        return text + suffix, UNARY if text[0] == "-" else PRIMARY
    if dtype.kind == "b":
        return ("true" if value else "false"), PRIMARY
    n = int(value)
    if n == -(2**63):
        return "(-9223372036854775807ll - 1)", PRIMARY
    if dtype.itemsize == 4 and abs(n) >= 2**31:
        return (f"{n}u" if n > 0 else "(-2147483647 - 1)"), PRIMARY
    suffix = ("ull" if dtype.kind == "u" else "ll") if abs(n) >= 2**31 else ""
    return f"{n}{suffix}", UNARY if n < 0 else PRIMARY


@functools.cache
def _template(prim: Primitive, dtypes: tuple[DType, ...], out: DType) -> tuple[str, int, str]:
    """A primitive's C++ text over ``{0}``, ``{1}``, ..., its precedence, and its operator if it is a binary one."""
    kind = prim.kind
    assert isinstance(kind, Elementwise)
    text = kind.cpp([f"\x01{k}\x02" for k in range(len(dtypes))], dtypes, out)
    return _classified(text)


@functools.cache
def _combination(prim: Primitive, dtype: DType) -> tuple[str, int, str]:
    kind = prim.kind
    assert isinstance(kind, Reduce)
    return _classified(kind.cpp("\x010\x02", "\x011\x02", dtype))


def _classified(text: str) -> tuple[str, int, str]:
    m = re.fullmatch(r"\x010\x02 (\S{1,2}) \x011\x02", text)
    if m and m[1] in _LEVEL:
        return text, _LEVEL[m[1]], m[1]
    if re.fullmatch(r"[-!~]\x010\x02", text):
        return text, UNARY, ""
    # a call or a lone operand is primary: one name, and the parenthesis after it closes at the end
    m = re.match(r"(\w+)\(", text)
    if (m and _closes_at_end(text, m.end() - 1)) or re.fullmatch(r"\x010\x02(\.\w+)?", text):
        return text, PRIMARY, ""
    inner = re.fullmatch(r"\((.*)\)", text)
    if inner and _closes_at_end(text, 0):
        return text, PRIMARY, ""
    if re.match(r"\(\w+\)", text) and re.fullmatch(r"\(\w+\)(\x010\x02|\w+\(.*\)|\(.*\))", text):
        return text, UNARY, ""
    return text, TERNARY, ""


def _closes_at_end(text: str, at: int) -> bool:
    depth = 0
    for k in range(at, len(text)):
        depth += (text[k] == "(") - (text[k] == ")")
        if depth == 0:
            return k == len(text) - 1
    return False


def reduction_clause(prim: Primitive, dtype: DType) -> str | None:
    """How OpenMP names a reduction, if it knows it."""
    text, _, op = _combination(prim, dtype)
    if dtype.kind == "c" or (dtype.itemsize == 2 and dtype.kind == "f"):
        return None
    if op in ("+", "*", "|", "&"):
        return op
    m = re.match(r"(maximum|minimum)\(", text)
    return m[1] if m and dtype.kind == "f" else None


class Expressions:
    """Prints expressions; ``name`` gives variables and buffers their names."""

    def __init__(self, device: bool = False) -> None:
        self.names = Names(device)
        self.headers: set[str] = set()

    # -- names -----------------------------------------------------------------------------------------------------

    def var(self, v: Any) -> str:
        """A variable's name."""
        return self.names(v, v.name or "v")

    def buffer(self, b: L.Buffer) -> str:
        """A buffer's name."""
        return self.names(b, b.name or "t")

    # -- sizes and places ------------------------------------------------------------------------------------------

    def size(self, s: Size) -> Text:
        """An affine expression."""
        if isinstance(s, int):
            return constant(s, i64)
        parts: list[tuple[str, str]] = []
        for v, c in s.terms:
            name = self.var(v)
            mag = name if abs(c) == 1 else f"{abs(c)} * {name}"
            parts.append(("-" if c < 0 else "+", mag))
        parts.sort(key=lambda p: p[0] == "-")
        if s.const > 0 or (s.const and parts[0][0] == "+"):
            parts.append(("-" if s.const < 0 else "+", str(abs(s.const))))
        elif s.const:
            parts.insert(0, ("-", str(-s.const)))
        parts.sort(key=lambda p: p[0] == "-")
        sign, first = parts[0]
        text = first if sign == "+" else f"-{first}"
        for sign, mag in parts[1:]:
            text += f" {sign} {mag}"
        if len(parts) > 1:
            return text, SUM
        if sign == "-":
            return text, UNARY if "*" not in text else PRODUCT
        return text, PRODUCT if "*" in text else PRIMARY

    def product(self, sizes: Shape) -> Text:
        """A product of sizes."""
        number, rest = 1, []
        for s in sizes:
            if isinstance(s, int):
                number *= s
            else:
                rest.append(s)
        if number == 0 or not rest:
            return constant(number, i64)
        texts = [self.paren(self.size(s), PRODUCT) for s in rest]
        if number != 1:
            texts.insert(0, str(number))
        return (" * ".join(texts), PRODUCT) if len(texts) > 1 else self.size(rest[0])

    def offset(self, p: L.Place) -> Text:
        """A place's position in its buffer: row-major, outermost axis first."""
        if not p.index:
            return "0", PRIMARY
        known: Size | None = p.index[0]
        text: Text = ("", PRIMARY)
        for i, n in zip(p.index[1:], p.shape[1:], strict=True):
            if isinstance(n, int) and known is not None:
                known = known * n + i
                continue
            if isinstance(known, int):
                known = n * known + i
                continue
            if known is not None:
                text, known = self.size(known), None
            scaled = f"{self.paren(text, PRODUCT)} * {self.paren(self.size(n), UNARY)}"
            text = (scaled, PRODUCT) if isinstance(i, int) and i == 0 else self._plus(scaled, i)
        return self.size(known) if known is not None else text

    def _plus(self, left: str, right: Size) -> Text:
        text, level = self.size(right)
        if text.startswith("-"):
            return f"{left} - {text[1:]}", SUM
        return f"{left} + {text}", SUM

    def element(self, p: L.Place) -> str:
        """An element of a buffer."""
        return f"{self.buffer(p.buffer)}[{self.offset(p)[0]}]"

    def pointer(self, p: L.Place) -> str:
        """A pointer to an element."""
        at = self.offset(p)[0]
        return self.buffer(p.buffer) if at == "0" else f"{self.buffer(p.buffer)} + {at}"

    # -- expressions -----------------------------------------------------------------------------------------------

    @staticmethod
    def paren(t: Text, level: int) -> str:
        """A text as an operand of an operator of this level."""
        return t[0] if t[1] <= level else f"({t[0]})"

    def text(self, e: L.Expr) -> str:
        """An expression that stands alone."""
        return self.expr(e)[0]

    def expr(self, e: L.Expr) -> Text:
        """An expression and its precedence."""
        match e:
            case L.Const():
                return constant(e.value, e.dtype)
            case L.Ref():
                return self.var(e.var), PRIMARY
            case L.Index():
                return self.size(e.size)
            case L.Product():
                return self.product(e.sizes)
            case L.Load():
                return self.element(e.place), PRIMARY
            case L.Apply():
                kind = e.prim.kind
                assert isinstance(kind, Elementwise)
                self.headers.update(kind.needs)
                return self._filled(_template(e.prim, tuple([a.dtype for a in e.args]), e.dtype), e.args)
            case L.Combine():
                return self._filled(_combination(e.prim, e.left.dtype), (e.left, e.right))
            case L.Builtin():
                return self._builtin(e)
        raise TypeError(f"not an expression: {e!r}")

    def _filled(self, template: tuple[str, int, str], args: tuple[L.Expr, ...]) -> Text:
        text, level, op = template
        if op:
            a, b = args
            left = self._operand(a, b, self.expr(a), level)
            right = self._operand(b, None, self.expr(b), level - 1)
            if (op == "-" and right.startswith("-")) or (op == "+" and right.startswith("+")):
                right = f"({right})"
            return f"{left} {op} {right}", level

        def fill(m: re.Match[str]) -> str:
            e = args[int(m[1])]
            t = self.expr(e)
            before, after = text[m.start() - 1 : m.start()], text[m.end() : m.end() + 1]
            alone = before in ("(", " ") and after in (")", ",") and (before == "(" or text[m.start() - 2] == ",")
            if isinstance(e, L.Const | L.Index) and e.dtype.kind in "iu" and _plain(t[0]):
                return f"({ctype(e.dtype)}){t[0]}" if t[1] == PRIMARY else f"({ctype(e.dtype)})({t[0]})"
            return t[0] if alone else self.paren(t, PRIMARY)

        return re.sub(r"\x01(\d)\x02", fill, text), level

    def _operand(self, e: L.Expr, other: L.Expr | None, t: Text, level: int) -> str:
        if isinstance(e, L.Const) and (other is None or isinstance(other, L.Const)) and e.dtype == i64:
            if other is not None:
                return f"(i64){self.paren(t, PRIMARY)}"
        return self.paren(t, level)

    def _builtin(self, e: L.Builtin) -> Text:
        args = [self.expr(a) for a in e.args]
        match e.name:
            case "wrap":
                i, n = self.paren(args[0], PRIMARY), self.paren(args[1], SUM)
                return f"{i} < 0 ? {i} + {n} : {i}", TERNARY
            case "outside":
                i, n = self.paren(args[0], PRIMARY), self.paren(args[1], PRIMARY)
                return f"(u64){i} >= (u64){n}", COMPARE
            case "not":
                return f"!{self.paren(args[0], UNARY)}", UNARY
            case "same":
                return f"{self.paren(args[0], COMPARE)} == {self.paren(args[1], COMPARE)}", EQUAL
            case "first or":
                return f"{self.paren(args[0], COMPARE)} == 0 || {self.paren(args[1], PRIMARY)}", OR
        raise TypeError(f"no such builtin: {e.name}")


def _plain(text: str) -> bool:
    """Whether a text consists of integer literals alone, whose C++ type is int."""
    return re.fullmatch(r"-?\d+", text) is not None


Printer = Callable[[Any], str]
