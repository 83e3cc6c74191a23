"""What is done to a function before lowering: calls inlined, dead operations dropped, uses counted."""

from __future__ import annotations

from weft.ir.builder import Builder
from weft.ir.nodes import (
    Atom,
    Block,
    Call,
    For,
    Function,
    If,
    Map,
    Op,
    Renamer,
    Stmt,
    Var,
    While,
    atom_uses,
    free_vars,
    sub_blocks,
)  # fmt: skip
from weft.ir.sizes import Dim, Size, size_vars


def has_calls(b: Block) -> bool:
    """Whether a block calls outlined functions."""
    return any(isinstance(s, Call) or any(has_calls(x) for x in sub_blocks(s)) for s in b.stmts)


def inline_calls(f: Function) -> Function:
    """The function with the bodies of those it calls in place of the calls."""
    if not has_calls(f.body):
        return f
    body = _inlined(f.body, {}, (f.name,))
    return Function(f.name, body, f.sizes, f.updates, f.loc)


def _inlined(b: Block, atoms: dict[Var, Atom], path: tuple[str, ...]) -> Block:
    stmts: list[Stmt] = []
    known = dict(atoms)
    r = Renamer(known)
    for s in b.stmts:
        match s:
            case Call():
                if len(path) > 100:
                    raise NotImplementedError(f"recursive call of {s.func.name!r} cannot be compiled")
                body = _body(s, r, stmts)
                inner = _inlined(body, {}, (*path, s.func.name))
                stmts.extend(inner.stmts)
                for o, x in zip(s.outs, inner.results, strict=True):
                    r.atoms[o] = x
            case Op():
                stmts.append(
                    Op(s.prim, r.all(s.args), {k: r.static(v) for k, v in s.attrs.items()}, _outs(s.outs, r), s.loc)
                )
            case For():
                stmts.append(
                    For(r.static(s.trip), r.all(s.inits), _sub(s.body, r, path), _outs(s.outs, r), s.reverse, s.loc)
                )
            case While():
                stmts.append(
                    While(r.all(s.inits), _sub(s.cond, r, path), _sub(s.body, r, path), _outs(s.outs, r), s.loc)
                )
            case If():
                stmts.append(
                    If(r.atom(s.pred), _sub(s.then, r, path), _sub(s.orelse, r, path), _outs(s.outs, r), s.loc)
                )
            case Map():
                stmts.append(Map(r.static(s.sizes), r.all(s.inits), _sub(s.body, r, path), _outs(s.outs, r), s.loc))
            case _:
                raise TypeError(f"not a statement: {s!r}")
    return Block(b.params, stmts, r.all(b.results))


def _outs(outs: tuple[Var, ...], r: Renamer) -> tuple[Var, ...]:
    """Results keep their variables unless their types name one that has been replaced."""
    return r.bind_all(outs) if any(v in r.atoms for o in outs for s in o.type.shape for v in size_vars(s)) else outs


def _sub(b: Block, r: Renamer, path: tuple[str, ...]) -> Block:
    b2 = Renamer(dict(r.atoms)).block(b) if any(v in r.atoms for v in free_vars(b)) else b
    return _inlined(b2, {}, path)


def _body(s: Call, r: Renamer, stmts: list[Stmt]) -> Block:
    """A fresh copy of the called function's body for these operands."""
    f = s.func
    args = r.all(s.args)
    atoms: dict[Var, Atom] = dict(zip(f.params, args, strict=True))
    inner = Renamer(atoms)
    for v, p, axis in f.sizes:
        size = args[p].type.shape[axis]
        inner.atoms[v] = _size_atom(size, stmts)
    body = [inner.stmt(x) for x in f.body.stmts]
    return Block((), body, inner.all(f.body.results))


def _size_atom(size: Size, stmts: list[Stmt]) -> Atom:
    if isinstance(size, Dim) and size.var is not None:
        return size.var
    b = Builder()
    with b, b.scope() as block:
        a = b.size_value(size)
    stmts.extend(block.stmts)
    return a


# -- dead code -----------------------------------------------------------------------------------------------------


def drop_dead(f: Function) -> Function:
    """The function without operations whose results nobody uses."""
    used: set[Var] = {r for r in f.body.results if isinstance(r, Var)}
    return Function(f.name, _alive(f.body, used), f.sizes, f.updates, f.loc)


def _alive(b: Block, used: set[Var]) -> Block:
    used.update(r for r in b.results if isinstance(r, Var))
    kept: list[Stmt] = []
    for s in reversed(b.stmts):
        if not any(o in used for o in s.outs) and not has_effect(s):
            continue
        match s:
            case Op() | Call():
                pass
            case For():
                s = For(s.trip, s.inits, _alive(s.body, used), s.outs, s.reverse, s.loc)
            case Map():
                s = Map(s.sizes, s.inits, _alive(s.body, used), s.outs, s.loc)
            case While():
                s = While(s.inits, _alive(s.cond, used), _alive(s.body, used), s.outs, s.loc)
            case If():
                s = If(s.pred, _alive(s.then, used), _alive(s.orelse, used), s.outs, s.loc)
            case _:
                raise TypeError(f"not a statement: {s!r}")
        used.update(atom_uses(s))
        kept.append(s)
    return Block(b.params, kept[::-1], b.results)


def has_effect(s: Stmt) -> bool:
    """Whether a statement does more than give its results (a loop may also never end)."""
    if isinstance(s, Op):
        return s.prim.effect == "io" or (s.prim.effect == "raise" and s.attrs.get("mode", "check") == "check")
    return isinstance(s, While) or any(has_effect(x) for b in sub_blocks(s) for x in b.stmts)


# -- uses ------------------------------------------------------------------------------------------------------------


def count_uses(b: Block, uses: dict[Var, int], inner: set[Var], depth: int, home: dict[Var, int]) -> None:
    """How often each variable is used, and which are used in a block below their own."""

    def use(v: Var) -> None:
        uses[v] = uses.get(v, 0) + 1
        if home.get(v, 0) < depth:
            inner.add(v)

    for p in b.params:
        home[p] = depth
    for s in b.stmts:
        for v in atom_uses(s):
            use(v)
        for x in sub_blocks(s):
            count_uses(x, uses, inner, depth + 1, home)
        for o in s.outs:
            home[o] = depth
    for r in b.results:
        if isinstance(r, Var):
            use(r)
