"""Inside `shard_map`: over which axes of the mesh the values staged so far vary, and reverse mode that knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from weft.errors import StagingError
from weft.ir.nodes import Atom, Block, Function, Var
from weft.ir.types import is_inexact
from weft.transforms.explicit import explicit
from weft.transforms.varying import SAME, Analysis, Axes, Varies, just

if TYPE_CHECKING:
    from weft.frontend.frame import State


class Varying:
    """What varies inside a function of pieces.

    Parameters
    ----------
    s
        The staging under way.
    axes
        The mesh's axes.
    known
        The arguments' leaves, and over which axes they are divided.
    """

    def __init__(self, s: State, axes: Iterable[str], known: dict[Var, Varies]) -> None:
        self._s = s
        self._known = known
        self._starts: dict[Var, Atom | Varies | None] = {}
        self.axes: Axes = frozenset(axes)
        self.asked = 0
        self._analysis = Analysis(self.axes, self._known, self._s.at_least)
        self._done: dict[Block, int] = {}

    @classmethod
    def of_pieces(cls, axes: Sequence[str], pieces: Iterable[tuple[Any, Iterable[str]]]) -> Varying:
        """What varies in a function of these leaves, each divided along some of the axes."""
        from weft.api.staging import state
        from weft.staged.value import Staged

        s = state()
        outer: Varying | None = s.varying
        found = [(v.atom, just(names)) for v, names in pieces if isinstance(v, Staged)]
        known = {a: x for a, x in found if isinstance(a, Var)}
        if outer is None:
            return cls(s, axes, known)
        more = dict(zip(known, outer.of(known), strict=True))
        new = cls(s, {*outer.axes, *axes}, {**outer._known, **{a: x | more[a] for a, x in known.items()}})
        new._starts = outer._starts
        return new

    # -- questions -------------------------------------------------------------------------------------------------

    def now(self) -> Analysis:
        """What is known at this point. Statements never change once they have been staged."""
        a = self._analysis
        outside = [*self._s.params, *[v for v, _, _ in self._s.symbols]]  # type: ignore[attr-defined]
        for v in outside:  # the arguments that are pieces are known already
            a.of.setdefault(v, SAME)
        for b in self._s.builder.blocks:
            for p in b.params:
                if p not in a.of:
                    start = self._starts.get(p)
                    a.set(p, a.unknown if start is None else start if isinstance(start, Varies) else a.atom(start))
            first = self._done.get(b, 0)
            for s in b.stmts[first:]:
                a.stmt(s)
            self._done[b] = len(b.stmts)
        return a

    def of(self, atoms: Iterable[Atom]) -> list[Varies]:
        """Over which axes these vary."""
        self.asked += 1
        a = self.now()
        return [a.atom(x) for x in atoms]

    def like(self, atom: Atom) -> list[tuple[str, bool]]:
        """The axes over which a value may vary, and whether it surely does."""
        (found,) = self.of([atom])
        return [(axis, axis in found.sure) for axis in sorted(found.may)]

    def begin(self, params: Iterable[Var], starts: Iterable[Atom | Varies | None]) -> None:
        """Note what the parameters of a block stand for: an atom of the blocks around it, what is known of it, or
        nothing."""
        self._starts.update(zip(params, starts, strict=True))

    def apart(self, more: dict[Var, Varies]) -> Varying:
        """For functions that are staged later, where these variables of the blocks that are open now are known."""
        return Varying(self._s, self.axes, {**self._known, **more})

    def loop(self) -> LoopCarries:
        """For the carries of a loop that is going to be staged."""
        return LoopCarries(self)

    # -- reverse mode ----------------------------------------------------------------------------------------------

    def settled(self, found: Varies, result: bool) -> Axes:
        """The axes of an argument or a result, which decide what a derivative means.

        Raises
        ------
        StagingError
            They are not known.
        """
        self.asked += 1
        what = "the result of the function" if result else "an argument that is differentiated"
        if not found.known:
            over = ", ".join(map(repr, sorted(found.may - found.sure)))
            raise StagingError(
                f"reverse mode inside shard_map: {what} may be one value for each device or one that they share:"
                f" whether it varies over {over} depends on a branch, or on how often a loop runs",
                remedy=f"make it {'shared, with weft.lax.psum or pmean, or ' if result else ''}vary always: with"
                " weft.lax.pcast(x, axis_name, to='varying') in the other branch, or of what the loop starts with",
                loc=self._s.loc,
            )
        return found.may

    def reverse(
        self, raw: Function, f: Function, atoms: Sequence[Atom], active: Sequence[bool], outputs: int
    ) -> Reverse:
        """A function that is going to be differentiated in reverse mode.

        Parameters
        ----------
        raw, f
            As it was staged, which tells over which axes its results vary; and simplified.
        atoms, active
            Its arguments, and which are differentiated.
        outputs
            How many of its results come first that are differentiated.
        """
        known = self.now()
        given = [known.atom(a) for a in atoms]
        args = [self.settled(v, False) if on else v.may for v, on in zip(given, active, strict=True)]
        results = known.inner().function(raw, given)
        outs = [
            self.settled(v, True) if k < outputs and is_inexact(r.type.dtype) else None
            for k, (v, r) in enumerate(zip(results, raw.results, strict=True))
        ]
        made = explicit(f, known, args, active, outs)
        return Reverse(
            self, made, [x for x, on in zip(args, active, strict=True) if on], [x for x in outs if x is not None]
        )


class Reverse:
    """A function whose derivatives add up what devices share.

    Attributes
    ----------
    function
        The function.
    args, outs
        Over which axes its arguments and results that are differentiated vary.
    """

    def __init__(self, varying: Varying, function: Function, args: list[Axes], outs: list[Axes]) -> None:
        self.varying, self.function, self.args, self.outs = varying, function, args, outs

    def check(self, name: str, what: str, atoms: Sequence[Atom], like: Sequence[Axes]) -> None:
        """Refuse cotangents (tangents) that do not vary as the values that they belong to."""
        for v, axes in zip(self.varying.of(atoms), like, strict=True):
            if v != just(axes):
                raise StagingError(
                    f"{name} inside shard_map: a {what} varies over {_text(v.may)}, and what it belongs to over"
                    f" {_text(axes)}",
                    remedy="weft.lax.pcast(x, axis_name, to='varying') makes a shared value vary; weft.lax.psum or"
                    " pmean gives one that is shared",
                    loc=self.varying._s.loc,
                )

    def linear(self, backward: Function, residuals: Sequence[Atom]) -> Function:
        """The backward half, to be transposed with respect to the cotangents."""
        known = self.varying.now()
        kept = [known.most_of(a) for a in residuals]
        given = [*kept, *self.outs]
        active = [i >= len(kept) for i in range(len(given))]
        return explicit(backward, known, given, active, list(self.args))


def _text(axes: Axes) -> str:
    return ", ".join(map(repr, sorted(axes))) or "no axis"


class LoopCarries:
    """What is taken of a loop's carries while its body is staged.

    It is what they start as. If the body makes them something else, and something in it asked, it is staged again with
    what is then not known; an answer that depends on it is refused.
    """

    def __init__(self, varying: Varying) -> None:
        self._varying = varying
        self._loose: dict[Any, Varies] = {}
        self._starts: dict[Any, Varies] = {}
        self._asked = 0
        self.found = False

    def begin(self, names: Iterable[Any], params: Sequence[Var], starts: Iterable[Atom | None]) -> None:
        """Take these parameters for the carries; a start may be missing."""
        a = self._varying.now()
        self._starts = {
            name: self._loose.get(name, a.unknown if x is None else a.atom(x))
            for name, x in zip(names, starts, strict=True)
        }
        self._asked = self._varying.asked
        self._varying.begin(params, self._starts.values())

    def again(self, results: Sequence[Atom]) -> bool:
        """At the end of an attempt, inside the body: whether another one is needed."""
        self.found = False
        if self._varying.asked != self._asked:
            a = self._varying.now()
            for (name, start), r in zip(self._starts.items(), results, strict=True):
                joined = start.joined(a.atom(r))
                if joined != start:
                    self._loose[name], self.found = joined, True
        return self.found
