"""Inlining: calls are replaced by copies of the functions they call.

What is computed again on purpose (`Remat`) gets its operands through `barrier`, an identity that nothing looks through:
otherwise the second computation would be recognised as equal to the first, whose values would then be kept for it.
`drop_barriers` takes them out (and the names that `checkpoint_name` gave, and what tells devices' values from shared
ones), once everything that shares values has run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from weft.ir.nodes import Atom, Block, Call, For, Function, If, Lit, Map, Op, Renamer, Stmt, Var, While, walk
from weft.ir.primitive import REGISTRY
from weft.ir.rules import Remat
from weft.ir.sizes import Dim, Size
from weft.ir.types import is_inexact


def inline_calls(f: Function, *, ruled: bool = True) -> Function:
    """``f`` with every call replaced by the called function's statements.

    Parameters
    ----------
    f
        The function.
    ruled
        Also those calls that have a rule for their derivative.

    Raises
    ------
    NotImplementedError
        A function calls itself: a recursion has no finite inlining.
    """
    if not any([isinstance(s, Call) and (ruled or s.rule is None) for s in walk(f.body)]):
        return f
    copy = Renamer().function(f)
    return replace(copy, body=_block(copy.body, (f,), ruled))


def _block(b: Block, active: tuple[Function, ...], ruled: bool) -> Block:
    stmts: list[Stmt] = []
    names: dict[Var, Atom] = {}  # results of inlined calls, replaced in what follows
    for s in b.stmts:
        if names:
            s = Substitute(names).stmt(s)
        match s:
            case Call() if s.rule is not None and not ruled:
                stmts.append(s)
            case Call():
                body = inlined(s, active, ruled)
                stmts.extend(body.stmts)
                names.update(zip(s.outs, body.results, strict=True))
            case Op():
                stmts.append(s)
            case For() | Map():
                stmts.append(replace(s, body=_block(s.body, active, ruled)))
            case While():
                stmts.append(replace(s, cond=_block(s.cond, active, ruled), body=_block(s.body, active, ruled)))
            case If():
                stmts.append(replace(s, then=_block(s.then, active, ruled), orelse=_block(s.orelse, active, ruled)))
            case _:
                raise TypeError(f"not a statement: {s!r}")
    return Block(b.params, stmts, tuple([names.get(r, r) if isinstance(r, Var) else r for r in b.results]))


def inlined(s: Call, active: tuple[Function, ...] = (), ruled: bool = True) -> Block:
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
    apart, args = _apart(s) if isinstance(s.rule, Remat) and s.rule.again else ([], s.args)
    copier = _Bind(dict(zip(func.params, args, strict=True)), sizes)
    inner = _block(Block((), func.body.stmts, func.body.results), (*active, func), ruled)
    copy = copier.block(inner)
    return Block((), [*apart, *copier.prelude, *copy.stmts], copy.results)


def _apart(s: Call) -> tuple[list[Stmt], tuple[Atom, ...]]:
    """The operands of a call behind barriers (sizes must stay what they are)."""
    barrier = REGISTRY["barrier"]
    stmts: list[Stmt] = []
    args: list[Atom] = []
    for a in s.args:
        if isinstance(a, Var) and (a.type.shape or is_inexact(a.type.dtype)):
            kept = Var(a.type, a.name)
            stmts.append(Op(barrier, (a,), {}, (kept,), s.loc))
            a = kept
        args.append(a)
    return stmts, tuple(args)


def drop_barriers(f: Function) -> Function:
    """``f`` with the operands of barriers and names in the place of their results, and all sums over devices alike."""
    marks = (*[REGISTRY[n] for n in ("barrier", "named", "pvary")], REGISTRY["psum_invariant"])
    if not any([isinstance(s, Op) and s.prim in marks for s in walk(f.body)]):
        return f
    return _Unbarred(lambda s: s.prim in marks[:-1]).function(f)


def drop_pvary(f: Function, axis: str) -> Function:
    """``f`` without what tells values that vary over this axis from others: it is mapped."""
    gone = REGISTRY["pvary"]

    def marked(body: Block) -> bool:
        return any(
            [
                marked(s.func.body) if isinstance(s, Call) else s.prim is gone and s.attrs["axis"] == axis
                for s in walk(body)
                if isinstance(s, Call | Op)
            ]
        )

    if not marked(f.body):
        return f
    return _Unbarred(lambda s: s.prim is gone and s.attrs["axis"] == axis, axis).function(f)


class _Unbarred(Renamer):
    """Copies without some operations that give their operand."""

    def __init__(self, gone: Callable[[Op], bool], axis: str | None = None) -> None:
        super().__init__()
        self._gone = gone
        self._axis = axis

    def block(self, b: Block) -> Block:
        params = self.bind_all(b.params)
        stmts: list[Stmt] = []
        for s in b.stmts:
            if isinstance(s, Op) and self._gone(s):
                self.atoms[s.outs[0]] = self.atom(s.args[0])
                continue
            new = self.stmt(s)
            if self._axis is not None and isinstance(new, Call):
                new = replace(new, func=drop_pvary(new.func, self._axis))
            elif self._axis is None and isinstance(new, Op) and new.prim is REGISTRY["psum_invariant"]:
                new = replace(new, prim=REGISTRY["psum"])
            stmts.append(new)
        return Block(params, stmts, self.all(b.results))


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


class Substitute(Renamer):
    """Replaces free variables in statements of our own copy; bound ones keep their identity."""

    def bind(self, v: Var) -> Var:
        return self.bind_all((v,))[0]

    def bind_all(self, vs: Iterable[Var]) -> tuple[Var, ...]:
        out = tuple(vs)
        for v in out:
            v.type = self.static(v.type)
        return out
