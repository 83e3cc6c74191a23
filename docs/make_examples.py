"""Fills the printed stages of the architecture page: ``python docs/make_examples.py``.

The page marks each text with ``<!-- stage: NAME -->`` before a fenced block, whose content is replaced. A test runs
the same code and compares, so that the page stays true.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
PAGE = HERE / "architecture.md"
BLOCK = re.compile(r"(<!-- stage: ([\w-]+) -->\n```\w*\n)(.*?)(```\n)", re.S)


def stages() -> dict[str, str]:
    """Each stage's text, by the name that the page gives it."""
    sys.path[:0] = [str(HERE), str(HERE / "examples")]
    try:
        import nests
        import settle as example
    finally:
        del sys.path[:2]
    import weft
    from weft.frontend.stage import stage
    from weft.ir.printer import to_text
    from weft.lowering import lower

    x = np.ones(4)
    plain, gradient = weft.jit(example.settle), weft.jit(weft.grad(example.settle))
    lanes = weft.jit(weft.vmap(weft.grad(example.settle), in_axes=(0, None)))
    until = weft.jit(weft.vmap(example.settle_until, in_axes=(0, None, None)))
    first = stage(plain, plain.signature((x, 0.5), {}), "settle")
    shown = plain.inspect(x, 0.5)
    derived = gradient.inspect(x, 0.5)
    staged = gradient.lower(x, 0.5).function
    return {
        "source": inspect.getsource(example.settle),
        "staged": to_text(first.function),
        "ir": shown.ir,
        "gradient": derived.ir,
        "gradient-python": derived.python,
        "batched": to_text(lanes.lower(np.ones((3, 4)), 0.5).function),
        "until-source": inspect.getsource(example.settle_until),
        "until-batched": to_text(until.lower(np.ones((3, 4)), 0.5, 1e-3).function),
        "nests": nests.to_text(lower(staged)),
        "cpp": kernel(derived.cpp),
        "cuda": kernels(gradient.inspect(x, 0.5, target="cuda").cuda),
    }


def kernels(text: str) -> str:
    """The kernels, without what the file includes."""
    inside = text[text.index("namespace weft {\n") + len("namespace weft {\n") : text.rindex("}  // namespace")]
    return re.sub(r"// /.*/", "// ", inside).strip() + "\n"


def kernel(text: str) -> str:
    """The function itself, without the declarations before it and the module's table after it."""
    start = text.index("namespace {\n") + len("namespace {\n")
    return text[start : text.index("}  // namespace", start)].strip() + "\n"


def filled(page: str) -> str:
    """The page with every stage's text as it is now."""
    texts = stages()
    wanted = {m.group(2) for m in BLOCK.finditer(page)}
    if wanted != set(texts):
        raise ValueError(f"the page shows {sorted(wanted)}, and there are {sorted(texts)}")
    return BLOCK.sub(lambda m: m.group(1) + texts[m.group(2)].strip("\n") + "\n" + m.group(4), page)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
