"""Symbolic sizes: an array's size is an ``int`` or an affine expression over i64 variables (a `Dim`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weft.ir.nodes import Var


@dataclass(frozen=True, slots=True)
class Dim:
    """``const + sum(coef * var)``; never constant (that is an ``int``), terms ordered by variable number."""

    const: int
    terms: tuple[tuple[Var, int], ...]

    def __add__(self, other: Size) -> Size:
        if isinstance(other, int):
            return Dim(self.const + other, self.terms)
        return affine(self.const + other.const, (*self.terms, *other.terms))

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return Dim(-self.const, tuple((v, -c) for v, c in self.terms))

    def __sub__(self, other: Size) -> Size:
        return self + (-other)

    def __rsub__(self, other: Size) -> Size:
        return (-self) + other

    def __mul__(self, k: int) -> Size:
        return affine(self.const * k, tuple((v, c * k) for v, c in self.terms))

    __rmul__ = __mul__

    @property
    def var(self) -> Var | None:
        """The variable, if this size is exactly one variable."""
        return self.terms[0][0] if self.const == 0 and len(self.terms) == 1 and self.terms[0][1] == 1 else None

    def __repr__(self) -> str:
        parts = [(f"{c}*" if c not in (1, -1) else ("-" if c == -1 else "")) + repr(v) for v, c in self.terms]
        text = " + ".join(parts)
        if self.const:
            text += f" + {self.const}"
        return text.replace("+ -", "- ")


Size = int | Dim
Shape = tuple[Size, ...]


def affine(const: int, terms: tuple[tuple[Var, int], ...]) -> Size:
    """The normal form of ``const + sum(coef * var)``."""
    total: dict[Var, int] = {}
    for v, c in terms:
        total[v] = total.get(v, 0) + c
    kept = tuple(sorted(((v, c) for v, c in total.items() if c), key=lambda t: t[0].id))
    return Dim(const, kept) if kept else const


def dim(var: Var) -> Dim:
    """The size that is the value of ``var``."""
    return Dim(0, ((var, 1),))


def size_vars(size: Size) -> Iterator[Var]:
    """The variables that a size names."""
    if isinstance(size, Dim):
        for v, _ in size.terms:
            yield v


def map_size(size: Size, lookup: Callable[[Var], Size | None]) -> Size:
    """``size`` with each variable replaced by what ``lookup`` gives for it (None: kept)."""
    if isinstance(size, int):
        return size
    const, terms = size.const, []
    changed = False
    for v, c in size.terms:
        new = lookup(v)
        if new is None:
            terms.append((v, c))
            continue
        changed = True
        if isinstance(new, int):
            const += c * new
        else:
            const += c * new.const
            terms.extend((w, c * k) for w, k in new.terms)
    return affine(const, tuple(terms)) if changed else size


def eval_size(size: Size, env: Mapping[Var, int]) -> int:
    """The number a size stands for when its variables have the values in ``env``."""
    if isinstance(size, int):
        return size
    return size.const + sum(int(env[v]) * c for v, c in size.terms)


# -- equalities learnt while staging -----------------------------------------------------------------------------

Resolver = Callable[["Size"], "Size"]
_resolvers: list[Resolver] = []


@contextmanager
def equalities(resolver: Resolver) -> Iterator[None]:
    """While active, sizes are compared after ``resolver`` has replaced symbols known to be equal or fixed."""
    _resolvers.append(resolver)
    try:
        yield
    finally:
        _resolvers.pop()


def resolve(size: Size) -> Size:
    """The representative of ``size`` under the equalities in force."""
    return _resolvers[-1](size) if _resolvers and isinstance(size, Dim) else size


def same_size(a: Size, b: Size) -> bool:
    """Whether two sizes are known to be equal (False means: not known)."""
    return a == b or (bool(_resolvers) and resolve(a) == resolve(b))


def same_shape(a: Shape, b: Shape) -> bool:
    """Whether two shapes are known to be equal."""
    return len(a) == len(b) and all(same_size(x, y) for x, y in zip(a, b, strict=True))


def vars_of_type(type: object) -> Iterator[Var]:
    """The variables that a type's sizes name."""
    for size in type.shape:  # type: ignore[attr-defined]
        yield from size_vars(size)
