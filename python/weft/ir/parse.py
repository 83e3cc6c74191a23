"""Reading the IR's text form back: the inverse of `weft.ir.printer.to_text`."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import At, Atom, Block, Call, For, Function, Gather, If, Lit, Map, Op, Span, Stmt, Var, While, lit
from weft.ir.primitive import REGISTRY
from weft.ir.rules import Remat
from weft.ir.sizes import Size, dim
from weft.ir.types import BY_SHORT, ArrayType, i64, scalar


class ParseError(ValueError):
    """Text that is not the text form of the IR; the message shows the line."""


_HEAD = re.compile(r"def (?P<name>\w+)(\[(?P<sizes>[^\]]*)\])?\((?P<params>.*)\)( updates (?P<updates>.*))?:$")
_LOOP = re.compile(r"(?P<kind>for|rfor|map) (?P<index>[\w, ]+) in (?P<sizes>.*?)( carry \((?P<carry>.*)\))?:$")
_WHILE = re.compile(r"while( carry \((?P<carry>.*)\))?:$")
_IF = re.compile(r"if (?P<pred>.*):$")
_OP = re.compile(r"(?:(?P<call>call|remat|custom_jvp|custom_vjp) )?(?P<name>\w+)\((?P<body>.*)\)$")


def parse(text: str, functions: Mapping[str, Function] | None = None) -> Function:
    """The function that a text stands for.

    Parameters
    ----------
    text
        As `to_text` prints it (comments that give source lines are skipped).
    functions
        The functions that ``call`` statements name.

    Raises
    ------
    ParseError
        The text is malformed, or names an unknown primitive or variable.
    """
    import weft.primitives  # noqa: F401

    lines = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"  # \d+$", "", raw.rstrip())
        if line.strip():
            lines.append((number, len(line) - len(line.lstrip()), line.strip()))
    return _Parser(lines, functions or {}).function()


def split(text: str, sep: str = ",") -> list[str]:
    """The parts of a text at separators outside brackets and strings."""
    parts, depth, start, quote = [], 0, 0, ""
    i = 0
    while i < len(text):
        c = text[i]
        if quote:
            if c == "\\":
                i += 1
            elif c == quote:
                quote = ""
        elif c in "'\"":
            quote = c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c == sep and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
        i += 1
    last = text[start:].strip()
    return [*parts, last] if last or parts else []


class _Parser:
    def __init__(self, lines: Sequence[tuple[int, int, str]], functions: Mapping[str, Function]) -> None:
        self.lines = lines
        self.functions = functions
        self.at = 0
        self.scopes: list[dict[str, Var]] = [{}]

    def fail(self, message: str) -> ParseError:
        number, _, line = self.lines[max(0, min(self.at, len(self.lines)) - 1)]
        return ParseError(f"line {number}: {message}\n  {line}")

    def next(self, indent: int | None = None) -> str:
        """The next line, at this indentation."""
        if self.at >= len(self.lines) or (indent is not None and self.lines[self.at][1] != indent):
            raise self.fail("a statement is missing, or stands at the wrong depth")
        line = self.lines[self.at][2]
        self.at += 1
        return line

    # -- names, types, operands ------------------------------------------------------------------------------------

    def lookup(self, name: str) -> Var:
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        raise self.fail(f"unknown variable {name!r}")

    def bind(self, text: str) -> tuple[Var, ...]:
        """``name: type, ...`` as variables, whose types may name each other."""
        pairs = [p.split(":", 1) for p in split(text)]
        found = []
        for name, *_ in pairs:
            v = self.scopes[-1][name.strip()] = Var(scalar(i64), name.strip())
            found.append(v)
        for v, pair in zip(found, pairs, strict=True):
            if len(pair) != 2:
                raise self.fail(f"{v.name!r} has no type")
            v.type = self.type(pair[1].strip())
        return tuple(found)

    def type(self, text: str) -> ArrayType:
        """A type."""
        m = re.fullmatch(r"(\w+)(\[(.*)\])?", text)
        if m is None or m[1] not in BY_SHORT:
            raise self.fail(f"not a type: {text!r}")
        return ArrayType(BY_SHORT[m[1]], tuple([self.size(s) for s in split(m[3])]) if m[3] else ())

    def size(self, text: str) -> Size:
        """A size."""
        value = self.static(text)
        if isinstance(value, bool) or not (isinstance(value, int) or hasattr(value, "terms")):
            raise self.fail(f"not a size: {text!r}")
        return value  # type: ignore[no-any-return]

    def atom(self, text: str) -> Atom:
        """An operand: a variable, or ``value:type``."""
        if re.fullmatch(r"[A-Za-z_]\w*", text):
            return self.lookup(text)
        value, _, kind = text.rpartition(":")
        t = self.type(kind.strip())
        return Lit(lit(_number(value.strip()), t.dtype).value, t)

    def atoms(self, text: str) -> tuple[Atom, ...]:
        return tuple([self.atom(a) for a in split(text)])

    def static(self, text: str) -> Any:
        """An attribute's value."""
        try:
            return self._static(ast.parse(text, mode="eval").body)
        except SyntaxError:
            raise self.fail(f"not a value: {text!r}") from None

    def _static(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Tuple():
                return tuple([self._static(e) for e in node.elts])
            case ast.Name(id="at"):
                return At()
            case ast.Name(id="gather"):
                return Gather()
            case ast.Name(id=name) if name in BY_SHORT:
                return BY_SHORT[name]
            case ast.Name(id=name):
                return dim(self.lookup(name))
            case ast.Call(func=ast.Name(id="span"), args=[size, step]):
                return Span(self._static(size), self._static(step))
            case ast.UnaryOp(op=ast.USub()):
                return -self._static(node.operand)
            case ast.BinOp(op=ast.Add()):
                return self._static(node.left) + self._static(node.right)
            case ast.BinOp(op=ast.Sub()):
                return self._static(node.left) - self._static(node.right)
            case ast.BinOp(op=ast.Mult()):
                return self._static(node.left) * self._static(node.right)
        raise self.fail(f"not a value: {ast.unparse(node)!r}")

    # -- structure -------------------------------------------------------------------------------------------------

    def function(self) -> Function:
        m = _HEAD.match(self.next())
        if m is None:
            raise self.fail("a function begins with 'def name[sizes](parameters):'")
        names = split(m["sizes"] or "")
        symbols = {n: Var(scalar(i64), n) for n in names}
        self.scopes[-1].update(symbols)
        params = self.bind(m["params"])
        sizes = []
        for name, v in symbols.items():
            where = [(k, a) for k, p in enumerate(params) for a, s in enumerate(p.type.shape) if s == dim(v)]
            if not where:
                raise self.fail(f"size {name!r} is not the size of an axis of a parameter")
            sizes.append((v, *where[0]))
        updates = {}
        for u in split(m["updates"] or ""):
            name, _, result = u.partition(" = result ")
            updates[int(result)] = params.index(self.lookup(name))
        body = self.block(params, self.lines[self.at][1])
        return Function(m["name"], body, tuple(sizes), updates)

    def block(self, params: tuple[Var, ...], indent: int) -> Block:
        """Statements up to ``yield``; the scope with the parameters is the current one."""
        stmts: list[Stmt] = []
        while True:
            line = self.next(indent)
            if line == "yield" or line.startswith("yield "):
                return Block(params, stmts, self.atoms(line[5:].strip()))
            stmts.append(self.stmt(line, indent))

    def inner(self, params: str, indent: int) -> Block:
        """A block with a scope of its own, two columns deeper."""
        self.scopes.append({})
        block = self.block(self.bind(params), indent + 2)
        self.scopes.pop()
        return block

    def stmt(self, line: str, indent: int) -> Stmt:
        m = re.match(r"((?:\w+: [^=]*?)) = (?=\S)", line)
        outs, rest = (m[1], line[m.end() :]) if m else ("", line)
        if (m := _LOOP.match(rest)) is not None:
            return self.loop(m, outs, indent)
        if (m := _WHILE.match(rest)) is not None:
            names, inits = self.carries(m["carry"])
            self.expect("cond:", indent)
            cond = self.inner(names, indent)
            self.expect("do:", indent)
            body = self.inner(names, indent)
            return While(inits, cond, body, self.bind(outs))
        if (m := _IF.match(rest)) is not None:
            pred = self.atom(m["pred"])
            then = self.inner("", indent)
            self.expect("else:", indent)
            return If(pred, then, self.inner("", indent), self.bind(outs))
        if (m := _OP.match(rest)) is None:
            raise self.fail("not a statement")
        args = self.atoms(next(iter(split(m["body"], ";")), ""))
        if m["call"]:
            if m["name"] not in self.functions:
                raise self.fail(f"unknown function {m['name']!r}")
            if m["call"].startswith("custom"):
                raise self.fail("a rule of the user's own has no text")
            rule = Remat() if m["call"] == "remat" else None
            return Call(self.functions[m["name"]], args, self.bind(outs), rule=rule)
        if m["name"] not in REGISTRY:
            raise self.fail(f"unknown primitive {m['name']!r}")
        pairs = [p.split("=", 1) for p in split(_attributes(m["body"]))]
        values = {k.strip(): self.static(v.strip()) for k, v in pairs}
        return Op(REGISTRY[m["name"]], args, values, self.bind(outs))

    def expect(self, word: str, indent: int) -> None:
        if self.next(indent) != word:
            raise self.fail(f"expected '{word}'")

    def carries(self, text: str | None) -> tuple[str, tuple[Atom, ...]]:
        """``x: type = start, ...`` as binders and start values."""
        pairs = [c.rpartition(" = ") for c in split(text or "")]
        return ", ".join(p[0] for p in pairs), tuple([self.atom(p[2]) for p in pairs])

    def loop(self, m: re.Match[str], outs: str, indent: int) -> Stmt:
        names, inits = self.carries(m["carry"])
        sizes = tuple([self.size(s) for s in split(m["sizes"])])
        index = ", ".join(f"{n}: i64" for n in split(m["index"]))
        body = self.inner(", ".join(filter(None, (index, names))), indent)
        if m["kind"] == "map":
            return Map(sizes, inits, body, self.bind(outs))
        return For(sizes[0], inits, body, self.bind(outs), m["kind"] == "rfor")


def _attributes(body: str) -> str:
    """What follows the semicolon between operands and attributes."""
    parts = split(body, ";")
    return parts[1] if len(parts) > 1 else ""


def _number(text: str) -> Any:
    words = {"True": True, "False": False, "nan": np.nan, "inf": np.inf, "-inf": -np.inf}
    if text in words:
        return words[text]
    return complex(text) if "j" in text else float(text) if re.search(r"[.en]", text) else int(text)
