"""The Python functions that compiled code calls back: exceptions, printing, and NumPy's meaning of a primitive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weft.errors import exception_class, shown


def make(entry: dict[str, Any]) -> Callable[..., Any]:
    """The host function that the code generator described."""
    match entry["kind"]:
        case "raise":
            exc = exception_class(entry["exc"])
            message = entry["message"]

            def fail(*views: Any) -> None:
                raise exc(message.format(*map(shown, views))) if message else exc()

            return fail
        case "print":
            text = entry["text"]

            def show(*views: Any) -> None:
                print(text.format(*map(shown, views)), end="", flush=True)

            return show
        case "host":
            return numpy_meaning(entry)
    raise NotImplementedError(f"host function {entry!r}")


def is_ordered(entry: dict[str, Any]) -> bool:
    """Whether a host function does what must keep its order with Python's own code: prints, or calls the user's."""
    if entry["kind"] != "host":
        return bool(entry["kind"] != "raise")
    import weft.primitives  # noqa: F401
    from weft.ir.primitive import REGISTRY, Host

    return REGISTRY[entry["prim"]].kind == Host("callback")


def numpy_meaning(entry: dict[str, Any]) -> Callable[..., Any]:
    """A primitive without native code, by NumPy: views of operands, size symbols, then results."""
    import weft.primitives  # noqa: F401
    from weft.ir.nodes import Renamer, lit
    from weft.ir.primitive import REGISTRY

    meaning = REGISTRY[entry["prim"]].numpy
    attrs, symbols, count = entry["attrs"], entry["symbols"], entry["operands"]

    def run(*views: Any) -> None:
        sizes = views[count : count + len(symbols)]
        renamer = Renamer({v: lit(int(n)) for v, n in zip(symbols, sizes, strict=True)})
        static = {k: renamer.static(v) for k, v in attrs.items()}
        values = [v if v.ndim else v[()] for v in views[:count]]
        found = meaning(*values, **static)
        results = found if isinstance(found, tuple) else (found,)
        for view, value in zip(views[count + len(symbols) :], results, strict=True):
            view[...] = value

    return run
