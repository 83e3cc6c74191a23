"""Draws ``house.svg``, the figure of the architecture page: ``python docs/img/house.py``."""

from __future__ import annotations

from pathlib import Path

WIDTH = 990
INK, DIM, LINE = "#1d2733", "#5b6b7c", "#93a4b5"
FILL = {"top": "#fbeed8", "front": "#e3eefb", "ir": "#e4f4e6", "down": "#f3e8f8", "run": "#fde7e3", "side": "#f4f5f6"}


class Drawing:
    """Boxes, arrows and words."""

    def __init__(self, height: int) -> None:
        self.height = height
        self.parts: list[str] = []

    def box(
        self, x: int, y: int, w: int, h: int, title: str, lines: tuple[str, ...], fill: str, path: str = ""
    ) -> None:
        """A box with a title, where its code is, and what it does."""
        place = f'x="{x}" y="{y}" width="{w}" height="{h}" rx="7"'
        self.parts.append(f'<rect {place} fill="{FILL[fill]}" stroke="{LINE}" stroke-width="1.2"/>')
        self.text(x + 14, y + 23, title, 15, weight="600")
        if path:
            self.text(x + w - 14, y + 23, path, 12, DIM, "end", mono=True)
        for k, line in enumerate(lines):
            self.text(x + 14, y + 43 + 17 * k, line, 12.5)

    def text(
        self, x: float, y: float, words: str, size: float, color: str = INK, anchor: str = "start", weight: str = "400",
        mono: bool = False,
    ) -> None:  # fmt: skip
        """A line of text."""
        family = (
            "ui-monospace,Menlo,Consolas,monospace"
            if mono
            else "system-ui,-apple-system,Segoe UI,Helvetica,Arial,sans-serif"
        )
        words = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        self.parts.append(
            f'<text x="{x}" y="{y}" font-family="{family}" font-size="{size}" font-weight="{weight}" fill="{color}"'
            f' text-anchor="{anchor}">{words}</text>'
        )

    def arrow(self, x1: int, y1: int, x2: int, y2: int, words: str = "", left: bool = False) -> None:
        """An arrow, with what flows along it."""
        self.parts.append(
            f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{INK}" stroke-width="1.4" marker-end="url(#head)"/>'
        )
        if words:
            at = (x1 + x2) / 2 + (-9 if left else 9)
            self.text(at, (y1 + y2) / 2 + 4, words, 12, DIM, "end" if left else "start")

    def svg(self) -> str:
        """The whole picture."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}"'
            f' height="{self.height}" role="img" aria-label="The parts of weft and what flows between them">'
            f'<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8"'
            f' orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" fill="{INK}"/></marker></defs>'
            f'<rect width="{WIDTH}" height="{self.height}" fill="#ffffff"/>'
        )
        return "\n".join([head, *self.parts, "</svg>"]) + "\n"


def draw() -> str:
    """The figure."""
    d = Drawing(790)
    left, w = 30, 560
    d.box(
        left,
        20,
        w,
        62,
        "api: jit, grad, vjp, vmap, pmap, shard_map, custom rules",
        ("Transformed functions: what happens at a call for which no plan holds",),
        "top",
        "api/",
    )
    d.arrow(310, 82, 310, 116, "signature: types and structure of the arguments")
    d.box(
        left,
        118,
        w,
        79,
        "frontend: source → gast → staged IR",
        (
            "An abstract interpreter. Python runs on what is known; what is not becomes IR.",
            "Sizes are symbols; captured data become hidden arguments, the rest is guarded.",
        ),
        "front",
        "frontend/  staged/",
    )
    d.arrow(310, 197, 310, 231, "IR function, guards")
    d.box(
        left,
        233,
        360,
        113,
        "ir: typed, functional, structured",
        (
            "op · for · while · if · map · call",
            "in-place writes are store(A, index, v) → A'",
            "printer and parser, verifier, interpreter,",
            "unparser to runnable Python",
        ),
        "ir",
        "ir/",
    )
    d.box(
        left + 372,
        233,
        188,
        113,
        "transforms",
        ("reverse, forward, batch,", "simplify, inline", "every one is IR → IR,", "so that they nest"),
        "ir",
    )
    d.box(
        left,
        358,
        w,
        62,
        "primitives: one declaration each",
        ("type rule, NumPy meaning, derivative, batching, C++ expression, samples for tests",),
        "ir",
        "primitives/",
    )
    d.arrow(310, 420, 310, 454, "IR function")
    d.box(
        left,
        456,
        w,
        79,
        "lowering: loop nests and memory",
        (
            "Fusion of producers into consumers, in-place updates, which loops run in parallel;",
            "nothing here knows a target language.",
        ),
        "down",
        "lowering/",
    )
    d.arrow(310, 535, 310, 569, "loop nests")
    d.box(
        left,
        571,
        274,
        79,
        "codegen",
        ("Python prints expressions, templates", "own files and skeletons"),
        "down",
        "codegen/  templates/",
    )
    d.arrow(304, 610, 328, 610)
    d.box(
        left + 300,
        571,
        260,
        79,
        "build",
        ("compiler, linker, artifacts by content;", "recipes for warm starts"),
        "down",
        "build/",
    )
    d.arrow(460, 650, 460, 684, "extension module", left=True)
    d.box(
        left,
        686,
        w,
        84,
        "runtime (C++): dispatch, arrays, queues, devices",
        (
            "A call is flattened, its key looked up, guards and captured objects checked, and the",
            "kernel called or queued; devices meet in shared memory, processes through MPI.",
        ),
        "run",
        "csrc/  runtime/",
    )

    side, sw = 640, 320
    d.box(
        side,
        118,
        sw,
        79,
        "library",
        ("NumPy's and JAX's functions, in Python over", "primitives: at once, or on staged values"),
        "side",
        "numpy lax random nn scipy",
    )
    d.arrow(side, 157, left + w + 2, 157)
    d.box(
        side,
        233,
        sw,
        187,
        "how it is kept right",
        (
            "The interpreter is the meaning: compiled",
            "code, derivatives and batches are checked",
            "against it, and it against Python.",
            "The verifier runs after every pass.",
            "Each primitive's tests are generated from",
            "its declaration.",
            "Imports run downwards only (tested).",
        ),
        "side",
        "tests/",
    )
    d.box(side, 456, sw, 79, "command line", ("weft show · build · cache · doctor",), "side", "cli/")
    d.box(
        side,
        571,
        sw,
        79,
        "warm start",
        ("a second process finds the artifact by the", "code it was staged from, without staging"),
        "side",
        "api/warm.py",
    )
    d.arrow(side + 135, 650, side + 135, 728)
    d.arrow(side + 135, 728, left + w + 2, 728)
    d.text(side, 40, "A call with known types goes straight", 12.5, DIM)
    d.text(side, 57, "to the runtime.", 12.5, DIM)
    return d.svg()


if __name__ == "__main__":
    Path(__file__).with_name("house.svg").write_text(draw())
