"""Inlining: calls are replaced by copies of the functions they call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from weft.ir.nodes import Atom, Block, Call, For, Function, If, Lit, Map, Op, Renamer, Stmt, Var, While, walk
from weft.ir.sizes import Dim, Size


def inline_calls(f: Function) -> Function:
    """``f`` with every call replaced by the called function's statements.

    Raises
    ------
    NotImplementedError
        A function calls itself: a recursion has no finite inlining.
    """
    if not any([isinstance(s, Call) for s in walk(f.body)]):
        return f
    copy = Renamer().function(f)
    return replace(copy, body=_block(copy.body, (f,)))


def _block(b: Block, active: tuple[Function, ...]) -> Block:
    stmts: list[Stmt] = []
    names: dict[Var, Atom] = {}  # results of inlined calls, replaced in what follows
    for s in b.stmts:
        if names:
            s = _Substitute(names).stmt(s)
        match s:
            case Call():
                body = inlined(s, active)
                stmts.extend(body.stmts)
                names.update(zip(s.outs, body.results, strict=True))
            case Op():
                stmts.append(s)
            case For() | Map():
                stmts.append(replace(s, body=_block(s.body, active)))
            case While():
                stmts.append(replace(s, cond=_block(s.cond, active), body=_block(s.body, active)))
            case If():
                stmts.append(replace(s, then=_block(s.then, active), orelse=_block(s.orelse, active)))
            case _:
                raise TypeError(f"not a statement: {s!r}")
    return Block(b.params, stmts, tuple([names.get(r, r) if isinstance(r, Var) else r for r in b.results]))


def inlined(s: Call, active: tuple[Function, ...] = ()) -> Block:
    """A copy of the called function's body in the caller's variables; it has no parameters."""
    func = s.func
    if any([func is f for f in active]):
        raise NotImplementedError(
            f"{func.name} calls itself: recursive functions are not inlined, so neither differentiated nor compiled"
        )
    sizes: dict[Var, Size] = {}
    for symbol, p, axis in func.sizes:
        sizes[symbol] = s.args[p].type.shape[axis]
    for param, a in zip(func.params, s.args, strict=True):
        if isinstance(a, Lit) and a.type.dtype.kind in "iu":
            sizes[param] = int(a.value)
    copier = _Bind(dict(zip(func.params, s.args, strict=True)), sizes)
    inner = _block(Block((), func.body.stmts, func.body.results), (*active, func))
    copy = copier.block(inner)
    return Block((), [*copier.prelude, *copy.stmts], copy.results)


class _Bind(Renamer):
    """Binds size symbols to the caller's sizes, which may be expressions; as operands they are computed first."""

    def __init__(self, atoms: dict[Var, Atom], sizes: dict[Var, Size]) -> None:
        super().__init__(atoms)
        self._bound = sizes
        self.prelude: list[Stmt] = []

    def _lookup(self, v: Var) -> Size | None:
        return self._bound[v] if v in self._bound else super()._lookup(v)

    def atom(self, a: Atom) -> Atom:
        if isinstance(a, Var) and a not in self.atoms and a in self._bound:
            self.atoms[a] = self._value(self._bound[a])
        return super().atom(a)

    def _value(self, size: Size) -> Atom:
        from weft.ir.builder import Builder

        with Builder() as b, b.scope() as block:
            value: Atom = b.size_value(size) if isinstance(size, Dim) else b.atom(size)
        self.prelude.extend(block.stmts)
        return value


class _Substitute(Renamer):
    """Replaces free variables in statements of our own copy; bound ones keep their identity."""

    def bind(self, v: Var) -> Var:
        return self.bind_all((v,))[0]

    def bind_all(self, vs: Iterable[Var]) -> tuple[Var, ...]:
        out = tuple(vs)
        for v in out:
            v.type = self.static(v.type)
        return out
