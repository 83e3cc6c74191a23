"""Running a staged program by the IR interpreter, where there is no compiler."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.frontend.stage import Program, Result
from weft.ir.interpret import evaluate
from weft.runtime import Array, Leaf, Signature, flatten_value
from weft.runtime.watched import ABSENT, value_at


class Interpreted:
    """A program as a Python function of a call's signature."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def hidden(self) -> list[Leaf] | None:
        """The captured leaves as they are now; None if they have other types than when staged."""
        captures = self.program.captures
        for source, value in captures.statics:
            now = value_at(source.kind, source.holder, source.key)
            if now is not value and not (source.kind == "length" and now == value):
                return None
        leaves: list[Leaf] = []
        for source, value in captures.hidden:
            now = value_at(source.kind, source.holder, source.key)
            if now is ABSENT:
                return None
            s = flatten_value(now)
            if s.key != flatten_value(value).key:
                return None
            leaves += s.leaves
        return leaves

    def applies(self, signature: Signature) -> list[Leaf] | None:
        """All leaves of a call that this program can answer, else None."""
        hidden = self.hidden()
        if hidden is None:
            return None
        leaves = [*signature.leaves, *hidden]
        table = [n for x in leaves for n in x.shape]
        table += [x.value for x in leaves if x.flavour == "py" and x.dtype == "i"]
        for kind, const, terms, _ in self.program.guards:
            n = const + sum(table[slot] * c for slot, c in terms)
            if not {"==": n == 0, ">=": n >= 0, "!=": n != 0}[kind]:
                return None
        return leaves

    def run(self, leaves: list[Leaf]) -> Any:
        """Evaluate the program on leaves."""
        p = self.program
        for i in p.mutates:
            if not leaves[i].value.flags.writeable:
                raise ValueError("assignment destination is read-only")
            for j, other in enumerate(leaves):
                if j != i and isinstance(other.value, np.ndarray) and other.alias is None and leaves[i].alias is None:
                    if np.shares_memory(leaves[i].value, other.value):
                        raise ValueError(f"{leaves[i].path} is written, and overlaps {other.path} in memory")
        values = [np.asarray(x.value) if x.shape else x.value for x in leaves]
        computed = evaluate(p.function, *values)
        for r, k in p.function.updates.items():
            leaves[k].value[...] = computed[r]
        results = [leaves[r.leaf].value if r.kind == "leaf" else give(r, computed[i]) for i, r in enumerate(p.results)]
        return assemble(p.tree, results)


def give(r: Result, value: Any) -> Any:
    """A computed value as the object that the program returns."""
    data = np.array(value, dtype=r.dtype)
    if r.flavour == "py":
        return data.item()
    if r.flavour == "np":
        return data if r.rank else data[()]
    return Array.from_numpy(data)


def assemble(tree: tuple[Any, ...], results: list[Any]) -> Any:
    """The returned structure."""
    match tree:
        case ("leaf", k):
            return results[k]
        case ("const", x):
            return x
        case ("tuple", items):
            return tuple([assemble(t, results) for t in items])
        case ("list", items):
            return [assemble(t, results) for t in items]
        case ("dict", keys, items):
            return dict(zip(keys, [assemble(t, results) for t in items], strict=True))
        case ("call", fn, items):
            return fn(*[assemble(t, results) for t in items])
    raise ValueError(f"not a structure: {tree!r}")
