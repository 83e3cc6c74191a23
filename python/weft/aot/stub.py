"""The `.pyi` of a built module."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from weft.aot.programs import Overload, Staged
from weft.aot.results import Leaf
from weft.build.signature import Spec
from weft.runtime.built import name_of

_PYTHON = {"f64": "float", "i64": "int", "bool": "bool", "c128": "complex"}
_WEAK = {"f16": "float", "f32": "float", "c64": "complex"}  # a Python number may stand for one
_WIDTH = ["bool", "int", "float", "complex"]
_IMPORTS = {
    r"\b(Any|overload)\b": "from typing import {}",
    r"\bnp\.": "import numpy as np",
    r"\bNDArray\b": "from numpy.typing import NDArray",
    r"\bArray\b": "from weft import Array",
}


def stub(doc: str, functions: Sequence[Staged]) -> str:
    """The text of a `.pyi`."""
    body = "\n\n".join("\n".join(declarations(f)) for f in functions)
    imports = []
    for pattern, line in _IMPORTS.items():
        found = sorted(set(re.findall(pattern, re.sub(r'""".*?"""', "", body, flags=re.DOTALL))))
        if found:
            imports.append(line.format(", ".join(found)))
    standard = [line for line in imports if "typing import" in line and "numpy" not in line]
    others = [line for line in imports if line not in standard]
    parts = ["\n".join(block) for block in (standard, others) if block]
    return "\n\n".join([quoted(doc, ""), *parts, body]) + "\n"


def declarations(f: Staged) -> Iterator[str]:
    """The lines that declare a function."""
    found: dict[tuple[str, ...], list[str]] = {}
    for o in f.overloads:
        for arguments, result in kinds(o):
            results = found.setdefault(arguments, [])
            if result not in results:
                results.append(result)
    parameters = f.exported.parameters()
    # Of overloads that a call fits, type checkers take the first: those that take less come first.
    forms = sorted(found.items(), key=lambda item: sum(width(a) for a in item[0]))
    for arguments, results in forms:
        given = []
        for (name, has, default), a in zip(parameters, arguments, strict=False):
            kept = has and type(default) in (int, float, bool) and "Array" not in a
            given.append(f"{name}: {a}" + (f" = {default!r}" if kept else ""))
        if len(forms) > 1:
            yield "@overload"
        several = sum(any("NDArray" in a for a in given_types) for given_types, _ in forms) > 1
        remark = "  # type: ignore[overload-overlap, unused-ignore]" if several else ""  # f32 and f64 overlap
        head = f"def {f.exported.name}({', '.join(given)}) -> {' | '.join(results)}:"
        doc = f.exported.doc
        yield f"{head}{remark}\n    {quoted(doc, '    ')}\n" if doc else f"{head} ...{remark}\n"


def width(argument: str) -> int:
    """How much an argument's type takes."""
    return _WIDTH.index(argument) if argument in _WIDTH else len(_WIDTH) if "|" in argument else 0


def kinds(o: Overload) -> Iterator[tuple[tuple[str, ...], str]]:
    """The types of arguments and result: of NumPy arrays, and of weft's."""
    args = o.export.signature.args
    yield tuple(argument(a, "NDArray") for a in args), result(o.tree, iter(o.results))
    if o.weft_results is not None:
        types = tuple(argument(a, "NDArray" if i in o.mutates else "Array") for i, a in enumerate(args))
        yield types, result(o.tree, iter(o.weft_results))


def argument(spec: Spec, array: str) -> str:
    """The type of an argument."""
    name = name_of(spec.dtype)
    if spec.shape is not None:
        return f"NDArray[{numpy(spec.dtype)}]" if array == "NDArray" else "Array"
    if name in _PYTHON:
        return _PYTHON[name]
    return f"{numpy(spec.dtype)} | {_WEAK.get(name, 'int')}"


def numpy(dtype: Any) -> str:
    """NumPy's scalar type."""
    return "np.bool" if dtype.kind == "b" else f"np.{dtype.name}"


def result(tree: tuple[Any, ...], leaves: Iterator[Leaf]) -> str:
    """The type of a structure over these leaves."""
    match tree:
        case ("const", None):
            return "None"
        case ("const", str()):
            return "str"
        case ("leaf" | "const", _):
            leaf = next(leaves)
            if leaf.flavour == "py":
                return _PYTHON.get(name_of(leaf.dtype), "Any")
            if leaf.flavour == "weft":
                return "Array"
            return f"NDArray[{numpy(leaf.dtype)}]" if leaf.shape else numpy(leaf.dtype)
        case ("tuple", items):
            return f"tuple[{', '.join(result(t, leaves) for t in items) or '()'}]"
        case ("list", items):
            return f"list[{union(result(t, leaves) for t in items)}]"
        case ("dict", _, items):
            return f"dict[str, {union(result(t, leaves) for t in items)}]"
        case (_, _, items):
            for t in items:
                result(t, leaves)
    return "Any"


def union(types: Iterator[str]) -> str:
    """One of several types."""
    return " | ".join(dict.fromkeys(types)) or "Any"


def quoted(doc: str, indent: str) -> str:
    """A docstring as source."""
    text = doc.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    lines = [line if i == 0 or not line else indent + line for i, line in enumerate(text.splitlines() or [""])]
    text = "\n".join(lines)
    if len(lines) > 1:
        text += "\n" + indent
    elif text.endswith('"'):
        text += " "
    return f'"""{text}"""'


__all__ = ["stub"]
