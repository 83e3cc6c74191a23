"""What staging asked about sizes, in the words of a signature: which answers it leaves open, and samples for each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weft.build.signature import Signature
from weft.ir.nodes import Loc

_UNUSUAL = (11, 13, 17, 19, 23, 29, 31, 37)
MOST_REGIONS = 16  # programs of one signature that differ by questions such as "n > 100"


@dataclass(frozen=True)
class Linear:
    """``const + sum(coefficient * name)``; names of sizes, and of integer arguments (see `integer`)."""

    const: int
    terms: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, const: int, terms: Mapping[str, int]) -> Linear:
        """The normal form."""
        return cls(const, tuple(sorted((name, c) for name, c in terms.items() if c)))

    def at(self, sizes: Mapping[str, int]) -> int:
        """The number it is for these sizes."""
        return self.const + sum(sizes[name] * c for name, c in self.terms)

    def __str__(self) -> str:
        parts = [f"{'-' if c < 0 else '+'} {'' if abs(c) == 1 else f'{abs(c)}*'}{name}" for name, c in self.terms]
        if self.const or not parts:
            parts.append(f"{'-' if self.const < 0 else '+'} {abs(self.const)}")
        text = " ".join(parts)
        return text[2:] if text.startswith("+ ") else "-" + text[2:]


@dataclass(frozen=True)
class Question:
    """``value kind 0``, with kind ``==``, ``>=`` or ``!=``, as staging found it in a sample."""

    kind: str
    value: Linear
    why: str = ""
    loc: Loc | None = None

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether it is so for these sizes."""
        n = self.value.at(sizes)
        return n == 0 if self.kind == "==" else n >= 0 if self.kind == ">=" else n != 0

    def negated(self) -> Question:
        """The other answer."""
        if self.kind == ">=":
            other = Linear(-self.value.const - 1, tuple((s, -c) for s, c in self.value.terms))
            return Question(">=", other, self.why, self.loc)
        return Question("!=" if self.kind == "==" else "==", self.value, self.why, self.loc)

    def follows(self, lows: Mapping[str, int]) -> bool:
        """Whether it holds for all sizes from ``lows`` on."""
        value = self.value
        least = value.const + sum(lows.get(s, 0) * c for s, c in value.terms)
        if not value.terms:
            return self.holds({})
        if any(s not in lows for s, _ in value.terms):
            return False
        rising, falling = all(c > 0 for _, c in value.terms), all(c < 0 for _, c in value.terms)
        if self.kind == ">=":
            return rising and least >= 0
        return self.kind == "!=" and ((rising and least > 0) or (falling and least < 0))

    def encoded(self) -> list[Any]:
        """As JSON values."""
        return [self.kind, self.value.const, [list(t) for t in self.value.terms]]

    def __str__(self) -> str:
        sides: dict[bool, list[tuple[str, int]]] = {True: [], False: []}
        for s, c in self.value.terms:
            sides[c > 0].append((s, abs(c)))
        const = self.value.const
        left = Linear(max(const, 0), tuple(sides[True]))
        right = Linear(max(-const, 0), tuple(sides[False]))
        if not left.terms:
            return f"{right} {'<=' if self.kind == '>=' else self.kind} {left}"
        return f"{left} {self.kind} {right}"


def integer(argument: str) -> str:
    """What questions call an integer argument, so that it is not taken for a size of that name."""
    return f"int {argument}"


def is_integer(name: str) -> bool:
    """Whether a name is an integer argument's, and not a size's."""
    return name.startswith("int ")


def samples(names: Sequence[str], lows: Mapping[str, int], region: Sequence[Question]) -> dict[str, int] | None:
    """Numbers of which all of ``region`` holds, different for different names if possible; None if none were found."""
    near = sorted({q.value.const * sign + d for q in region for sign in (-1, 1) for d in (-1, 0, 1, 2)})
    candidates = []
    for name in names:
        low = lows.get(name, 0)
        # Numbers that programs do not name, so that none is taken for equal to one that they do.
        first = [1, 0, -1] if is_integer(name) else [*_UNUSUAL, *range(max(low, 38), low + 46)]
        found = dict.fromkeys([*first, *range(low, low + 5), *near])
        candidates.append([n for n in found if n >= low or is_integer(name)])
    best: dict[str, int] | None = None
    for point in itertools.islice(itertools.product(*candidates), 100_000):
        found = dict(zip(names, point, strict=True))
        if all(q.holds(found) for q in region):
            if len(set(point)) == len(point):
                return found
            if best is None or len(set(point)) > len(set(best.values())):
                best = found
    return best


def answers(region: Sequence[Question], open_: Sequence[Question]) -> Iterator[list[Question]]:
    """The regions that a program does not serve, which asked ``open_`` in this order inside ``region``."""
    for i, q in enumerate(open_):
        yield [*region, *open_[:i], q.negated()]


def slots(signature: Signature, leaves: Sequence[Any], names: Sequence[str]) -> list[Linear]:
    """What each slot of the table that guards index holds: sizes of all leaves, then the integers.

    Parameters
    ----------
    signature
        The arguments, which are the first leaves.
    leaves
        All leaves of the staged call.
    names
        The parameters' names.
    """
    table: list[Linear] = []
    count = len(signature.args)
    for i, leaf in enumerate(leaves):
        spec = (signature.args[i].shape or ()) if i < count else leaf.shape
        for size, n in zip(spec, leaf.shape, strict=True):
            open_ = isinstance(size, str) and n > 1  # 0 and 1 are compiled apart
            table.append(Linear(0, ((size, 1),)) if open_ else Linear(n))
    for i, leaf in enumerate(leaves):
        if leaf.flavour == "py" and leaf.dtype == "i":
            table.append(Linear(0, ((integer(names[i]), 1),)) if i < count else Linear(int(leaf.value)))
    return table


def questions(program: Any, table: Sequence[Linear]) -> list[Question]:
    """A program's guards in the words of the signature."""
    found = []
    for (kind, const, terms, why), loc in zip(program.guards, program.places, strict=True):
        total: dict[str, int] = {}
        for slot, c in terms:
            const += c * table[slot].const
            for name, k in table[slot].terms:
                total[name] = total.get(name, 0) + c * k
        found.append(Question(kind, Linear.of(const, total), why, loc))
    return found


__all__ = ["MOST_REGIONS", "Linear", "Question", "answers", "questions", "samples", "slots"]
