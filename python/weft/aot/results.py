"""The types of a staged function's results, and whether they are those that the signature says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weft.aot.sizes import Linear, Question
from weft.build.signature import Signature, Spec
from weft.frontend.stage import Program
from weft.ir.nodes import Var
from weft.ir.sizes import Dim, Size


@dataclass(frozen=True)
class Leaf:
    """One leaf of a result; sizes are None where only the run knows them.

    ``flavour`` is "py", "np" or "weft".
    """

    dtype: np.dtype[Any]
    shape: tuple[Linear | None, ...]
    flavour: str

    def __str__(self) -> str:
        name = str(Spec(self.dtype, None))
        return f"{name}[{', '.join('?' if n is None else str(n) for n in self.shape)}]" if self.shape else name


_CONSTANTS = {t: np.dtype(t) for t in (bool, int, float, complex)}


def result_leaves(program: Program, signature: Signature, fixed: Mapping[str, int]) -> list[Leaf]:
    """The leaves of what a program returns, in the order of its structure.

    Parameters
    ----------
    program
        The program.
    signature
        The types of its arguments.
    fixed
        The names of sizes that are numbers in the program.
    """

    def argument(i: int) -> tuple[Linear | None, ...]:
        if i >= len(signature.args):
            return tuple(Linear(n) for n in program.leaves[i].shape)
        return tuple(size_of(s, fixed) for s in signature.args[i].shape or ())

    f = program.function
    symbols = {v: argument(p)[axis] for v, p, axis in f.sizes}

    def size(n: Size) -> Linear | None:
        if not isinstance(n, Dim):
            return Linear(n)
        const, terms = n.const, dict[str, int]()
        for v, c in n.terms:
            known = symbols.get(v)
            if known is None:
                return None
            const += c * known.const
            for s, k in known.terms:
                terms[s] = terms.get(s, 0) + c * k
        return Linear.of(const, terms)

    found = []
    for kind, what in leaves_of(program.tree):
        if kind == "const":
            if isinstance(what, np.generic):
                found.append(Leaf(what.dtype, (), "np"))
            elif type(what) in _CONSTANTS:
                found.append(Leaf(_CONSTANTS[type(what)], (), "py"))
            continue
        r = program.results[what]
        if r.kind == "leaf":
            param: Var = f.params[r.leaf]
            found.append(Leaf(param.type.dtype, argument(r.leaf), r.flavour))
        else:
            t = f.results[what].type
            found.append(Leaf(t.dtype, tuple(map(size, t.shape)), r.flavour))
    return found


def leaves_of(tree: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """The leaves of a structure: ``("leaf", result number)`` or ``("const", value)``."""
    match tree:
        case ("leaf" | "const", x):
            yield tree[0], x
        case ("tuple" | "list", items) | ("dict" | "call", _, items):
            for item in items:
                yield from leaves_of(item)


def size_of(s: int | str, fixed: Mapping[str, int]) -> Linear:
    """A size of a signature."""
    if isinstance(s, int):
        return Linear(s)
    return Linear(fixed[s]) if s in fixed else Linear(0, ((s, 1),))


def check_results(
    leaves: Sequence[Leaf], signature: Signature, point: Mapping[str, int], small: Mapping[str, int],
    region: Sequence[Question], error: Callable[[Signature, str], Exception],
) -> None:  # fmt: skip
    """Compare what a function returns with what its signature says, for one sample of sizes, of which some are fixed.

    Raises
    ------
    Exception
        What ``error`` makes of a signature and a reason, where they differ.
    """
    wanted = signature.results
    if wanted is None:
        return
    where = f", for {' and '.join(f'{s} = {n}' for s, n in small.items())}" if small else ""
    returned = ", ".join(map(str, leaves)) or "None"
    if len(wanted) != len(leaves):
        raise error(signature, f"it returns {returned}{where}, which is not what the signature says after '->'")
    equalities = any(q.kind == "==" for q in region)
    bound: dict[str, Linear | None] = {}
    for k, (spec, leaf) in enumerate(zip(wanted, leaves, strict=True)):
        fits = spec.dtype == leaf.dtype and len(spec.shape or ()) == len(leaf.shape)
        for s, n in zip(spec.shape or (), leaf.shape, strict=False):
            if isinstance(s, str) and s not in point:  # a name that no argument has: any size, the same everywhere
                fits = fits and bound.setdefault(s, n) == n
                continue
            said = size_of(s, small)
            same = said == n or (equalities and n is not None and said.at(point) == n.at(point))
            fits = fits and same
        if not fits:
            which = f"result {k + 1} is {leaf}" if len(leaves) > 1 else f"it returns {leaf}"
            remedy = ": if such sizes are not needed, export it with least=2" if small else ""
            raise error(signature, f"{which}{where}, and the signature says {spec}{remedy}")


__all__ = ["Leaf", "check_results", "leaves_of", "result_leaves"]
