"""Random Python programs as text: loops, branches, early exits, in-place writes through overlapping views.

Every array has five elements (``a``, ``b`` arguments; ``u``, ``v``, ``w`` locals) or three (views ``p``, ``q``), ``m`` is a
matrix of three rows and five columns. Values stay small, so that no path overflows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FLOATS = ("x", "y", "f", "g")
INTS = ("n", "k")
FIVES = ("a", "b", "u", "v", "w")
THREES = ("p", "q")


@dataclass
class Scope:
    """What may be named where a statement stands."""

    ints: tuple[str, ...] = INTS
    depth: int = 0
    loop: bool = False
    helpers: tuple[str, ...] = ()
    counter: list[int] = field(default_factory=lambda: [0])

    def inside(self, **changes: Any) -> Scope:
        return Scope(**{**self.__dict__, "depth": self.depth + 1, **changes})


class Writer:
    """Writes a program by chance."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def pick(self, *options: Any) -> Any:
        return self.random.choice(options)

    def number_in(self, lo: int, hi: int) -> int:
        return self.random.randint(lo, hi)

    # -- expressions -----------------------------------------------------------------------------------------------

    def integer(self, s: Scope) -> str:
        name = self.pick(*s.ints)
        return self.pick(
            name, f"{name} + 1", f"2 * {name} - 3", f"{name} // 2", f"{name} % 3", f"-{name}", "0", "1", "2",
            f"({name} if x > y else 1)", f"min({name}, 2)", f"int({name} > 1)",
        )  # fmt: skip

    def index(self, s: Scope, size: int) -> str:
        return self.pick(
            str(self.number_in(-size, size - 1)), f"({self.integer(s)}) % {size}", f"-1 - ({self.integer(s)}) % {size}"
        )

    def number(self, s: Scope, depth: int = 0) -> str:
        if depth >= 2:
            return self.pick("x", "y", "f", "g", "0.5", "-1.5", "2.0", f"a[{self.index(s, 5)}]")
        sub = lambda: self.number(s, depth + 1)  # noqa: E731
        match self.number_in(0, 12):
            case 0 | 1:
                return sub()
            case 2:
                return f"{self.pick(*FIVES)}[{self.index(s, 5)}]"
            case 3:
                return f"{self.pick(*THREES)}[{self.index(s, 3)}]"
            case 4:
                return f"math.sin({sub()})"
            case 5:
                return f"0.5 * ({sub()} + {sub()})"
            case 6:
                return f"math.tanh({sub()} * {sub()})"
            case 7:
                return f"({sub()} if {self.condition(s)} else {sub()})"
            case 8:
                return f"np.sum({self.pick(*FIVES)}) * 0.1"
            case 9:
                return f"m[{self.index(s, 3)}, {self.index(s, 5)}]"
            case 10:
                return f"max({sub()}, {sub()}) * 0.5"
            case 11:
                return f"s[{self.pick(0, 1)}] * 0.25"
            case _:
                return f"({self.integer(s)}) * 0.25"

    def condition(self, s: Scope) -> str:
        simple = [
            f"{self.pick('x', 'y', 'f', 'g')} > {self.pick('0.0', 'x', '0.3', '-0.4')}",
            f"{self.integer(s)} {self.pick('<', '>=', '==', '!=')} {self.pick('0', '1', '2')}",
            f"{self.pick(*FIVES)}[{self.index(s, 5)}] < {self.pick('x', '0.1')}",
        ]
        match self.number_in(0, 5):
            case 0:
                return f"({simple[0]} and {simple[2]})"
            case 1:
                return f"({simple[1]} or {simple[2]})"
            case 2:
                return f"not {simple[0]}"
            case 3:
                name = self.pick(*s.ints)
                return f"({name} < 5 and {name} >= 0 and {self.pick(*FIVES)}[{name}] > 0.0)"
            case 4:
                return f"-1 < {self.integer(s)} <= 3"
            case _:
                return self.pick(*simple)

    def five(self, s: Scope) -> str:
        x, y = self.pick(*FIVES), self.pick(*FIVES)
        return self.pick(
            f"{x} * 0.5", f"0.5 * ({x} + {y})", f"np.tanh({x} - {self.number(s, 2)})", f"{x}[::-1] * 1.0", f"m[{self.index(s, 3)}] * 0.5",
            f"np.where({x} > 0.0, {x} * 0.5, {y} * 0.25)", f"np.zeros(5) + {self.number(s, 2)}", f"{x}.copy()",
        )  # fmt: skip

    def three(self, s: Scope) -> str:
        x = self.pick(*FIVES)
        return self.pick(
            f"{x}[1:4] * 0.5", f"{x}[2:] - {self.number(s, 2)} * 0.1", f"{self.pick(*THREES)} * 0.5", "m[:, 1] * 0.5"
        )

    def view_five(self, s: Scope) -> str:
        x = self.pick(*FIVES)
        return self.pick(x, f"{x}[::-1]", f"m[{self.index(s, 3)}]", f"{x}[:]")

    def view_three(self, s: Scope) -> str:
        x = self.pick(*FIVES)
        return self.pick(
            f"{x}[1:4]",
            f"{x}[2:]",
            f"{x}[:3]",
            f"{x}[3:0:-1]",
            f"m[:, {self.index(s, 5)}]",
            f"m[{self.index(s, 3)}, 1:4]",
        )

    # -- statements ------------------------------------------------------------------------------------------------

    def block(self, s: Scope, most: int = 3) -> list[str]:
        return [line for _ in range(self.number_in(1, most)) for line in self.statement(s)]

    def statement(self, s: Scope) -> list[str]:
        kind = self.number_in(0, 20)
        if s.depth >= 3 and kind >= 14:
            kind %= 14
        match kind:
            case 0 | 1:
                return [f"{self.pick('f', 'g', 'x')} {self.pick('=', '=', '+=')} 0.5 * {self.number(s)}"]
            case 2 | 3:
                return [f"{self.pick(*FIVES)}[{self.index(s, 5)}] {self.pick('=', '+=', '*=')} 0.5 * {self.number(s)}"]
            case 4:
                return [f"{self.pick(*THREES)}[{self.index(s, 3)}] = 0.5 * {self.number(s)}"]
            case 5:
                return [f"{self.pick('u', 'v', 'w')} = {self.five(s)}"]
            case 6:
                return [f"{self.pick('u', 'v', 'w')} = {self.view_five(s)}"]
            case 7:
                return [f"{self.pick(*THREES)} = {self.view_three(s)}"]
            case 8:
                return [f"{self.pick(*FIVES)}[:] = {self.five(s)}"]
            case 9:
                x = self.pick(*FIVES)
                return [f"{x}[{self.pick('1:4', '::2', ':3', '3:0:-1')}] {self.pick('=', '+=')} {self.three(s)}"]
            case 10:
                return [f"{self.pick(*THREES)} {self.pick('+=', '*=')} {self.pick('0.5', self.three(s))}"]
            case 11:
                x, y = self.pick(("u", "v"), ("v", "w"), ("f", "g"), ("p", "q"), ("x", "f"))
                return [f"{x}, {y} = {y}, {x}"]
            case 12:
                return self.pick(
                    [f"m[{self.index(s, 3)}] = {self.five(s)}"],
                    [f"s[{self.pick(0, 1)}] = 0.5 * {self.number(s)}"],
                    [f"m[{self.index(s, 3)}, {self.index(s, 5)}] += 0.5 * {self.number(s)}"],
                    [f"u[np.array([0, 2, -1])] = {self.three(s)}"],
                    ["v[v > 0.2] *= 0.5"],
                )  # fmt: skip
            case 13:
                if s.helpers:
                    return [f"f = {self.pick(*s.helpers)}({self.pick(*FIVES)}, {self.number(s, 1)})"]
                return ["g = g * 0.5"]
            case 14 | 15 | 16:
                out = [f"if {self.condition(s)}:", *indented(self.block(s.inside()))]
                if self.pick(True, False):
                    out += ["else:", *indented(self.block(s.inside()))]
                return out
            case 17 | 18:
                return self.loop(s)
            case 19:
                c = self.fresh("c", s)
                inner = s.inside(loop=True, ints=(*s.ints, c))
                return [f"{c} = 0", f"while {c} < {self.pick('3', 'k', 'n')} and {self.condition(inner)}:",
                        *indented([f"{c} += 1", *self.block(inner), *self.leave(s)])]  # fmt: skip
            case _:
                return self.pick([f"if {self.condition(s)}:", "    return done()"],
                                 ["if f > 3.0:", "    raise ValueError('large')"], self.leave(s) or ["f *= 0.5"])  # fmt: skip

    def leave(self, s: Scope) -> list[str]:
        if not s.loop or self.pick(True, False):
            return []
        return [f"if {self.condition(s)}:", f"    {self.pick('break', 'continue', 'return done()')}"]

    def loop(self, s: Scope) -> list[str]:
        i = self.fresh("i", s)
        inner = s.inside(loop=True, ints=(*s.ints, i))
        head = self.pick(
            f"for {i} in range({self.pick('3', 'n', 'k', 'n - k')}):", f"for {i} in range({self.pick('n', '4')}, 0, -1):",
            f"for {i} in range(k, n, 2):", f"for {i}, x in enumerate({self.pick(*FIVES)}):",
            f"for {i}, (f, g) in enumerate(zip({self.pick(*FIVES)}, {self.pick(*FIVES)})):",
        )  # fmt: skip
        out = [head, *indented(self.leave(inner) + self.block(inner) + self.leave(inner))]
        if self.number_in(0, 4) == 0:
            out += ["else:", *indented(self.block(s.inside(), 1))]
        return out

    def fresh(self, hint: str, s: Scope) -> str:
        s.counter[0] += 1
        return f"{hint}{s.counter[0]}"

    # -- the program -----------------------------------------------------------------------------------------------

    def helper(self) -> list[str]:
        s = Scope(depth=2, counter=[50])
        body = self.block(s, 2)
        return ["def helper(a, x):", "    f, g, y = x, 0.5, x + 1.0", "    b = u = v = w = a", "    p = q = a[1:4]", "    s = [x, 1.0]", "    n, k = 2, 1",
                "    m = np.zeros((3, 5)) + x", "    def done():", "        return float(f)", *indented(body), "    return float(f) + a[0]"]  # fmt: skip

    def program(self) -> str:
        helpers: tuple[str, ...] = ()
        text = ["import math", "import numpy as np", ""]
        if self.pick(True, False):
            text += [*self.helper(), ""]
            helpers = ("helper",)
        body = [line for _ in range(self.number_in(2, 6)) for line in self.statement(Scope(helpers=helpers))]
        done = "return float(f), float(g), float(x), u.copy(), v.copy(), w.copy(), p.copy(), q.copy(), float(s[0])"
        text += [
            "def program(x, y, n, k, a, b, m):",
            "    f, g = x * 0.5, y",
            f"    u = {self.pick('a.copy()', 'a', 'np.zeros(5)', 'm[0]', 'a[::-1]')}",
            f"    v = {self.pick('b.copy()', 'u', 'b[:]', 'np.ones(5)')}",
            f"    w = {self.pick('u', 'v', 'a * 0.5', 'm[1]')}",
            f"    p = {self.pick('u[1:4]', 'a[2:]', 'np.zeros(3)', 'm[:, 0]')}",
            f"    q = {self.pick('p', 'v[2:]', 'u[3:0:-1]', 'p[::-1]')}",
            "    s = [x, y]",
            "    def done():",
            f"        {done}",
            *indented(body),
            "    return done()",
        ]
        return "\n".join(text) + "\n"


def indented(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


def program(seed: int) -> str:
    """The text of a module with a function ``program(x, y, n, k, a, b, m)``."""
    return Writer(seed).program()


def shrunk(text: str, fails: Callable[[str], bool]) -> str:
    """A smaller program that still fails: lines, with what is indented under them, are left out while it does."""
    lines = text.rstrip("\n").split("\n")
    size = len(lines)
    while size:
        size = len(lines)
        at = len(lines) - 1
        while at >= 0:
            indent = len(lines[at]) - len(lines[at].lstrip())
            end = at + 1
            while end < len(lines) and len(lines[end]) - len(lines[end].lstrip()) > indent:
                end += 1
            tries = [lines[:at] + lines[end:]]
            if end > at + 1:  # also its body alone
                tries.append(lines[:at] + [x[4:] for x in lines[at + 1 : end]] + lines[end:])
            for new in tries:
                if fails("\n".join(new) + "\n"):
                    lines = new
                    break
            at -= 1
        if len(lines) == size:
            break
    return "\n".join(lines) + "\n"
