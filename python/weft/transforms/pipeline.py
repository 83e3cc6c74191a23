"""The passes a staged function goes through before it is lowered, as a literal list."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from weft.ir.nodes import Function
from weft.ir.printer import to_text
from weft.ir.sizes import Size
from weft.ir.verify import verify
from weft.transforms.inline import drop_barriers, inline_calls
from weft.transforms.schedule import schedule
from weft.transforms.simplify import simplify


@dataclass(frozen=True)
class Pass:
    """A pass: ``run`` maps a function, and what is known of its sizes, to a function with the same meaning."""

    name: str
    doc: str
    run: Callable[[Function, Sequence[Size]], Function]


PIPELINE = (
    Pass("inline", "Replace calls by the bodies of the functions called.", lambda f, _: inline_calls(f)),
    Pass("simplify", "Fold, share and hoist; drop what is dead; settle index checks.", simplify),
    Pass("barriers", "Take out what kept second computations apart from first ones.", lambda f, _: drop_barriers(f)),
    Pass("schedule", "Gather what is added at several offsets; clear arrays late.", lambda f, _: schedule(f)),
)


def optimise(f: Function, facts: Sequence[Size] = ()) -> Function:
    """Run the pipeline. ``WEFT_VERIFY=1`` checks the IR after each pass, ``WEFT_DUMP=DIR`` writes each stage there.

    Each of ``facts``, over sizes and integer parameters, is known not to be negative.
    """
    check, dump = os.environ.get("WEFT_VERIFY") == "1", os.environ.get("WEFT_DUMP")
    if check:
        verify(f, after="staging")
    for number, p in enumerate(PIPELINE):
        if dump:
            write(f, dump, number, p.name)
        f = p.run(f, facts)
        if check:
            verify(f, after=p.name)
    if dump:
        write(f, dump, len(PIPELINE), "final")
    return f


def write(f: Function, folder: str, number: int, name: str) -> None:
    """Write one stage as text."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"{f.name}.{number}.{name}.txt"), "w", encoding="utf-8") as out:
        out.write(to_text(f))
