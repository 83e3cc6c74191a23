"""The IR as text: stable names, one statement a line, blocks indented."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.nodes import (
    At,
    Atom,
    Block,
    Call,
    For,
    Function,
    Gather,
    If,
    Map,
    Op,
    Span,
    Stmt,
    Var,
    While,
)  # fmt: skip
from weft.ir.sizes import Dim
from weft.ir.types import SHORT, ArrayType

#: Words of the text form, which no variable is named.
_RESERVED = frozenset({
    *SHORT.values(), "at", "call", "carry", "cond", "custom_jvp", "custom_vjp", "def", "do", "else", "for", "gather",
    "if", "in", "map", "remat", "rfor", "span", "updates", "while", "yield", "True", "False", "None", "inf", "nan",
})  # fmt: skip


class Namer:
    """Unique, stable names for variables: the hint, with a number where it is taken."""

    def __init__(self, reserved: frozenset[str] = frozenset()) -> None:
        self._names: dict[Var, str] = {}
        self._taken: set[str] = set(reserved)
        self._next: dict[str, int] = {}

    def __call__(self, v: Var) -> str:
        name = self._names.get(v)
        if name is None:
            base = v.name or "v"
            name = base
            while name in self._taken or (not v.name and name == base):
                self._next[base] = self._next.get(base, 0) + 1
                name = f"{base}{self._next[base]}" if not base[-1].isdigit() else f"{base}_{self._next[base]}"
            self._taken.add(name)
            self._names[v] = name
        return name


class Printer:
    """Prints blocks and functions; see `to_text`."""

    def __init__(self, *, locs: bool = False) -> None:
        self.name = Namer(_RESERVED)
        self.locs = locs
        self.lines: list[str] = []

    def size(self, s: Any) -> str:
        """A size."""
        if isinstance(s, int):
            return str(s)
        text = ""
        for v, c in s.terms:
            sign, mag = ("-" if c < 0 else "+"), abs(c)
            part = self.name(v) if mag == 1 else f"{mag}*{self.name(v)}"
            text += part if not text and c > 0 else (f"-{part}" if not text else f" {sign} {part}")
        if s.const:
            text += f" {'-' if s.const < 0 else '+'} {abs(s.const)}"
        return text

    def type(self, t: ArrayType) -> str:
        """A type."""
        base = SHORT.get(t.dtype, str(t.dtype))
        return f"{base}[{', '.join(map(self.size, t.shape))}]" if t.shape else base

    def atom(self, a: Atom) -> str:
        """An operand."""
        if isinstance(a, Var):
            return self.name(a)
        return f"{literal(a.value)}:{self.type(a.type)}"

    def static(self, v: Any) -> str:
        """An attribute's value."""
        match v:
            case Dim():
                return self.size(v)
            case ArrayType():
                return self.type(v)
            case At():
                return "at"
            case Gather():
                return "gather"
            case Span():
                return f"span({self.size(v.size)}, {v.step})"
            case tuple():
                return "(" + ", ".join(map(self.static, v)) + ("," if len(v) == 1 else "") + ")"
            case np.dtype():
                return SHORT.get(v, str(v))
            case _:
                return repr(v)

    def binders(self, vs: tuple[Var, ...]) -> str:
        """Variables with their types."""
        return ", ".join(f"{self.name(v)}: {self.type(v.type)}" for v in vs)

    def line(self, depth: int, text: str, stmt: Stmt | None = None) -> None:
        """One line."""
        where = f"  # {stmt.loc.line}" if self.locs and stmt is not None and stmt.loc else ""
        self.lines.append("  " * depth + text + where)

    def atoms(self, atoms: tuple[Atom, ...]) -> str:
        """Operands, comma-separated."""
        return ", ".join(map(self.atom, atoms))

    def block(self, b: Block, depth: int) -> None:
        """A block's statements and its results."""
        for s in b.stmts:
            self.stmt(s, depth)
        self.line(depth, "yield " + self.atoms(b.results))

    def stmt(self, s: Stmt, depth: int) -> None:
        """A statement."""
        head = ""
        match s:
            case Op():
                attrs = ", ".join(f"{k}={self.static(v)}" for k, v in sorted(s.attrs.items()))
                rhs = f"{s.prim.name}({self.atoms(s.args)}{'; ' + attrs if attrs else ''})"
                outs = self.binders(s.outs)
                self.line(depth, f"{outs} = {rhs}" if outs else rhs, s)
                return
            case Call():
                word = "call" if s.rule is None else s.rule.word
                self.line(depth, f"{self.binders(s.outs)} = {word} {s.func.name}({self.atoms(s.args)})", s)
                return
            case For():
                k, *carries = s.body.params
                head = f"{'rfor' if s.reverse else 'for'} {self.name(k)} in {self.size(s.trip)}"
                head += self._carries(tuple(carries), s.inits)
            case While():
                head = "while" + self._carries(s.body.params, s.inits)
            case If():
                head = f"if {self.atom(s.pred)}"
            case Map():
                n = len(s.sizes)
                index = ", ".join(map(self.name, s.body.params[:n]))
                head = f"map {index} in {', '.join(map(self.size, s.sizes))}"
                head += self._carries(s.body.params[n:], s.inits)
            case _:
                raise TypeError(f"not a statement: {s!r}")
        # results are named after the blocks, so that a loop's carry keeps the plain name
        at = len(self.lines)
        match s:
            case While():
                for p, q in zip(s.cond.params, s.body.params, strict=True):
                    if p is not q:
                        self.name._names.setdefault(p, self.name(q))
                self.line(depth, "cond:")
                self.block(s.cond, depth + 1)
                self.line(depth, "do:")
                self.block(s.body, depth + 1)
            case If():
                self.block(s.then, depth + 1)
                self.line(depth, "else:")
                self.block(s.orelse, depth + 1)
            case For() | Map():
                self.block(s.body, depth + 1)
        outs = self.binders(s.outs)
        where = f"  # {s.loc.line}" if self.locs and s.loc else ""
        self.lines.insert(at, "  " * depth + (f"{outs} = {head}:" if outs else f"{head}:") + where)

    def _carries(self, params: tuple[Var, ...], inits: tuple[Atom, ...]) -> str:
        if not params:
            return ""
        pairs = zip(params, inits, strict=True)
        return " carry (" + ", ".join(f"{self.name(p)}: {self.type(p.type)} = {self.atom(i)}" for p, i in pairs) + ")"

    def function(self, f: Function) -> None:
        """A function, with the sizes that its parameters bind."""
        sizes = f"[{', '.join(self.name(v) for v, _, _ in f.sizes)}]" if f.sizes else ""
        head = f"def {f.name}{sizes}({self.binders(f.params)})"
        if f.updates:
            head += " updates " + ", ".join(f"{self.name(f.params[p])} = result {r}" for r, p in f.updates.items())
        self.line(0, head + ":")
        self.block(f.body, 1)


def literal(value: Any) -> str:
    """A NumPy scalar as text that reads back to the same bits."""
    v = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, np.float32 | np.float16):
        return str(value)
    return repr(v)


def to_text(node: Function | Block | Stmt, *, locs: bool = False) -> str:
    """The text form of a function, block or statement.

    Parameters
    ----------
    node
        What to print.
    locs
        Append each statement's source line as a comment.
    """
    p = Printer(locs=locs)
    match node:
        case Function():
            p.function(node)
        case Block():
            p.block(node, 0)
        case _:
            p.stmt(node, 0)
    return "\n".join(p.lines) + "\n"
