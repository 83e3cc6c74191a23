"""The programs that one signature of a function needs, each with what the runtime has to know of it.

Sizes 0 and 1 are literal in a program, since NumPy treats them differently; so a name of a size stands for three
programs, or fewer where the export says ``least``. A question about sizes that staging answered from its sample
(``n > 100``) splits what is left open in two, and the other half gets a program of its own. NumPy arrays and
`weft.Array` make the same code as a rule, and differ in what is returned.
"""

from __future__ import annotations

import builtins
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from weft.aot.collect import Exported
from weft.aot.results import Leaf as ResultLeaf
from weft.aot.results import check_results, result_leaves
from weft.aot.sizes import MOST_REGIONS, Question, answers, integer, is_integer, questions, samples, slots
from weft.api.compiled import stage_signature
from weft.api.export import Export
from weft.api.transformed import Transformed
from weft.build.aot import BuildError
from weft.build.signature import Signature, Spec, sample_arguments
from weft.errors import CompileError, StagingError
from weft.frontend.stage import Asked, Program
from weft.ir.printer import to_text
from weft.lowering import lower
from weft.lowering.loops import Program as Lowered
from weft.runtime import Array
from weft.runtime.stored import encode_host, encode_tree, encode_value

MOST_PROGRAMS = 250
_INTEGER = Spec(np.dtype(np.int64), None)
FROZEN_BYTES = 64 << 10  # captured data beyond this is not built into a module


@dataclass
class Overload:
    """One signature of a function, staged.

    Attributes
    ----------
    meta
        What the runtime needs, as JSON values.
    results, weft_results
        The leaves of the result for NumPy arguments, and for `weft.Array` (None: it takes none).
    tree
        The structure of the result.
    mutates
        The arguments that are written.
    frozen
        The captured values that were built in, by name.
    """

    export: Export
    meta: dict[str, Any]
    results: list[ResultLeaf] = field(default_factory=list)
    weft_results: list[ResultLeaf] | None = None
    tree: tuple[Any, ...] = ("const", None)
    mutates: tuple[int, ...] = ()
    frozen: dict[str, Any] = field(default_factory=dict)


@dataclass
class Staged:
    """A function, staged for all its signatures: the programs in the order of the entries."""

    exported: Exported
    overloads: list[Overload]
    programs: list[Lowered]
    frozen: list[Any]


def stage_function(exported: Exported) -> Staged:
    """Stage a function for all its signatures.

    Raises
    ------
    BuildError
        It cannot be compiled for one of them, or returns something else than that says.
    """
    maker = _Maker(exported)
    overloads = [maker.overload(export) for export in exported.exports]
    return Staged(exported, overloads, maker.programs, [json.loads(text) for text in maker.frozen])


class _Maker:
    def __init__(self, exported: Exported) -> None:
        self.exported = exported
        self.target: Transformed = exported.target
        self.names = [name for name, _, _ in exported.parameters()]
        self.programs: list[Lowered] = []
        self.entries: dict[str, int] = {}
        self.frozen: dict[str, int] = {}

    def overload(self, export: Export) -> Overload:
        """Everything that one signature needs."""
        signature = export.signature
        names = list(dict.fromkeys(s for spec in signature.args for s in spec.shape or () if isinstance(s, str)))
        classes = [[n for n in (2, 1, 0) if n >= min(2, export.least.get(s, 0))] for s in names]
        count = int(np.prod([len(c) for c in classes]))
        if count > MOST_PROGRAMS:
            raise self.error(
                signature,
                f"{len(names)} names of sizes make {count} programs, since sizes 0 and 1 are compiled apart: write"
                " numbers for some, or export it with least=2",
            )
        meta: dict[str, Any] = {
            "signature": str(signature),
            "args": [[str(Spec(a.dtype, None)), None if a.shape is None else list(a.shape)] for a in signature.args],
            "least": dict(export.least),
            "writes": [],
            "programs": [],
        }
        made = Overload(export, meta)
        for point in itertools.product(*classes):
            self.size_class(made, dict(zip(names, point, strict=True)))
        return made

    def size_class(self, made: Overload, sizes: dict[str, int]) -> None:
        """The programs for sizes that are 0, 1, or (written 2) more."""
        export = made.export
        general = all(n == 2 for n in sizes.values())
        first = general and not made.meta["programs"]
        lows = {s: max(2, export.least.get(s, 0)) for s, n in sizes.items() if n == 2}
        fixed = {s: n for s, n in sizes.items() if n < 2}
        integers = [integer(n) for n, a in zip(self.names, export.signature.args, strict=False) if a == _INTEGER]
        regions: list[list[Question]] = [[]]
        numbers: set[Any] = set()
        count = 0
        while regions:
            region = regions.pop(0)
            sample = samples([*lows, *integers], lows, region)
            if sample is None:
                continue
            count += 1
            if count > MOST_REGIONS:
                raise self.error(
                    export.signature,
                    f"it asks so much about sizes that more than {MOST_REGIONS} programs would be needed:"
                    f" {region[-1]} ({region[-1].why}, {region[-1].loc})",
                )
            point = {**fixed, **sample}
            record: dict[str, Any] = {"sizes": sizes}
            arrays = first or not made.meta["programs"] or any(a.shape is not None for a in export.signature.args)
            staged: Program | Asked | None
            try:
                staged = self.stage(export.signature, point, set())
                raised = None
            except Exception as e:
                raised = None if first else own_exception(e)
                staged = getattr(e, "asked", None)
                if raised is None or staged is None:
                    raise self.refused(export, sizes, point, e) from e
            open_ = self.open_questions(export, staged, lows, region)
            number = next((q for q in open_ if q.kind == "=="), None)
            if number is not None:  # the sample's by accident, or that of any sample
                if (number.value.terms, number.loc) in numbers:
                    raise self.unknown(export, number)
                numbers.add((number.value.terms, number.loc))
                regions = [[*region, number.negated()], *regions, [*region, number]]
                continue
            regions += answers(region, open_)
            record["guards"] = [q.encoded() for q in (*region, *open_)]
            if raised is not None:
                made.meta["programs"].append({**record, "flavour": "any", "raises": raised})
                continue
            program = staged
            assert isinstance(program, Program)
            leaves = result_leaves(program, export.signature, fixed)
            if first:
                made.results, made.tree, made.mutates = leaves, program.tree, arguments_written(program, export)
                made.meta["writes"] = list(made.mutates)
                made.frozen = {source.label: value for source, value in program.captures.hidden}
            if program.tree == ("const", None) and made.tree != ("const", None):
                leaves = []  # it raises on every path
            else:
                check_results(leaves, export.signature, point, fixed, region, self.error)
            made.meta["programs"].append({**record, "flavour": "np", **self.recipe(export, program)})
            if arrays:
                self.weft_flavour(made, record, point, fixed, set(program.mutates))
            first = False

    def weft_flavour(
        self, made: Overload, record: dict[str, Any], point: dict[str, int], fixed: dict[str, int], written: set[int]
    ) -> None:
        """What a call with `weft.Array` needs: every array that is not written is one."""
        signature = made.export.signature
        taken = {i for i, a in enumerate(signature.args) if a.shape is not None and i not in written}
        if not taken:
            return
        try:
            program = self.stage(signature, point, taken)
        except Exception as e:
            made.meta.setdefault("numpy_only", first_line(e))
            return
        if made.weft_results is None:
            made.weft_results = result_leaves(program, signature, fixed)
        recipe = self.recipe(made.export, program)
        made.meta["programs"].append({**record, "flavour": "weft", **recipe})

    def stage(self, signature: Signature, point: Mapping[str, int], weft: set[int]) -> Program:
        """Stage the function for a sample; ``weft`` says which arguments are `weft.Array`."""
        specs = [
            a if a.shape is None else Spec(a.dtype, tuple(point[s] if isinstance(s, str) else s for s in a.shape))
            for a in signature.args
        ]
        given = [Array.from_numpy(x) if i in weft else x for i, x in enumerate(sample_arguments(specs))]
        given = [point.get(integer(n), x) for n, x in zip(self.names, given, strict=False)]
        call = self.target.signature(tuple(given), {})
        static = [n for n, tree in zip(self.names, call.args[1], strict=False) if tree[0] != "leaf"]
        if static:
            raise BuildError(
                f"{self.exported.name}, exported as '{signature}': {static[0]} is a static argument of weft.jit, and a"
                " signature has no values: leave it out if it has a default, or export a function that sets it"
            )
        return stage_signature(self.target, call)

    def open_questions(
        self, export: Export, program: Program | Asked, lows: Mapping[str, int], region: list[Question]
    ) -> list[Question]:
        """What the program asked that neither the signature nor the region answers."""
        known = {(q.kind, q.value) for q in region}
        found = []
        for q in questions(program, slots(export.signature, program.leaves, self.names)):
            if q.follows(lows) or (q.kind, q.value) in known:
                continue
            found.append(q)
        return found

    def unknown(self, export: Export, q: Question) -> BuildError:
        """A number that decides what is compiled, and that the signature leaves open."""
        names = [s for s, _ in q.value.terms]
        ints = [s[4:] for s in names if is_integer(s)]
        if ints:
            what, need = f"the number {ints[0]}", "it"
            remedy = f"export a function that sets {ints[0]}, or leave it out of the signature if it has a default"
        else:
            what, need, remedy = " and ".join(names), "whether " + str(q), "write numbers"
            spec = next(a for a in export.signature.args if names[0] in (a.shape or ()))
            if len(names) == 1:
                written = Spec(spec.dtype, tuple(3 if s == names[0] else s for s in spec.shape or ()))
                need, remedy = "it", f"write a number, as in {written}; several signatures may be exported"
            elif str(q) in (f"{names[0]} == {names[1]}", f"{names[1]} == {names[0]}"):
                remedy = f"give both sizes one name, as in {spec}"
        return self.error(
            export.signature,
            f"this signature leaves {what} open, but {place(q)} needs to know {need} ({q.why}): {remedy}",
        )

    def recipe(self, export: Export, program: Program) -> dict[str, Any]:
        """How the runtime calls a program; the program itself is added to the function's."""
        for source, value in program.captures.hidden:
            if getattr(value, "nbytes", 0) > FROZEN_BYTES:
                raise self.error(
                    export.signature,
                    f"it captures {source.label!r}, an array of {value.nbytes:,} bytes: what a function captures is"
                    f" built in, up to {FROZEN_BYTES:,} bytes; pass it as an argument",
                )
        try:
            hidden = [json.dumps(encode_value(value)) for _, value in program.captures.hidden]
            tree = encode_tree(program.tree)
        except TypeError as e:
            raise self.error(export.signature, f"{e}: a built module cannot make it again") from None
        lowered, entry = self.entry(program)
        try:
            host = [encode_host(h) for h in lowered.meta["host"]]
        except TypeError as e:
            raise self.error(export.signature, f"{e}, which a built module cannot hold") from None
        return {
            "entry": entry,
            "sizes_frozen": sum(len(leaf.shape) for leaf in program.leaves[len(export.signature.args) :]),
            "frozen": [self.frozen.setdefault(text, len(self.frozen)) for text in hidden],
            "results": [
                [kind, None if dtype is None else dtype.str, *rest]
                for kind, dtype, *rest in (r.entry() for r in program.results)
            ],
            "tree": tree,
            "mutates": list(program.mutates),
            "host": host,
            "heavy": bool(lowered.meta["heavy"]),
        }

    def entry(self, program: Program) -> tuple[Lowered, int]:
        """The number of a program among the function's, which has equal ones once."""
        f = program.function
        f.name = self.exported.name
        text = to_text(f)
        number = self.entries.setdefault(text, len(self.programs))
        if number == len(self.programs):
            f.name = f"{f.name}_{number}" if number else f.name
            self.programs.append(lower(f))
        return self.programs[number], number

    def error(self, signature: Signature, reason: str) -> BuildError:
        """An error about one signature."""
        return BuildError(f"{self.exported.name}, exported as '{signature}': {reason}")

    def refused(self, export: Export, sizes: Mapping[str, int], point: Mapping[str, int], e: Exception) -> BuildError:
        """What staging said."""
        if isinstance(e, BuildError | CompileError):
            return BuildError(str(e))
        small = [f"{s} = {n}" for s, n in sizes.items() if n < 2]
        said = str(e) if isinstance(e, StagingError) else f"{type(e).__name__}: {e}"
        where = f"for {' and '.join(small)}, " if small else ""
        if isinstance(e, ValueError) and sizes and not small:
            where = f"tried with {', '.join(f'{s} = {point[s]}' for s in sizes)}: "
        hint = ""
        if small:
            low = 1 + max(n for n in sizes.values() if n < 2)
            hint = f"\n  remedy: if such sizes are not needed, export it with least={low}"
        elif len(sizes) > 1 and isinstance(e, ValueError):
            hint = "\n  remedy: sizes that have to be equal need the same name in the signature"
        return self.error(export.signature, f"{where}{said}{hint}")


def arguments_written(program: Program, export: Export) -> tuple[int, ...]:
    """The arguments that a program writes."""
    return tuple(i for i in program.mutates if i < len(export.signature.args))


def place(q: Question) -> str:
    """Where a question was asked, in words."""
    if q.loc is None:
        return "the function"
    return f"{q.loc.file}:{q.loc.line}" + (f" in {q.loc.function}" if q.loc.function else "")


def first_line(e: Exception) -> str:
    """A message without the user's line and the remedy."""
    return str(e).split("\n")[0]


def own_exception(e: Exception) -> list[str] | None:
    """Python's and NumPy's own exceptions, which the source would raise too: class and message."""
    from weft.frontend.expressions import Unassigned

    if isinstance(e, Unassigned):
        return ["UnboundLocalError", first_line(e)]
    if isinstance(e, StagingError | CompileError | BuildError):
        return None
    cls = type(e)
    if getattr(builtins, cls.__name__, None) is cls or getattr(np.linalg, cls.__name__, None) is cls:
        return [cls.__name__, first_line(e)]
    return None


__all__ = ["Overload", "Staged", "stage_function"]
