"""What lowering needs to know of a function beforehand: where its values are used."""

from __future__ import annotations

from weft.ir.nodes import (
    Block,
    Var,
    atom_uses,
    sub_blocks,
)  # fmt: skip


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
