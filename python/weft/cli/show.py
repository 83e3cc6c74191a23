"""``weft show``: a function as Python, IR and C++, side by side."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WIDE = 150  # columns from which the three stand side by side
LEXERS = {"python": "python", "ir": "python", "cpp": "cpp"}
TITLES = {"python": "Python", "ir": "IR", "cpp": "C++"}


class ShowError(Exception):
    """A wrong request, in words for the command line."""


def run(function: str, signature: str, transforms: Sequence[str], only: str | None, plain: bool) -> None:
    """Print what ``function`` compiles to for arguments of these types."""
    from weft.build.signature import parse_signature, sample_arguments

    fn = find_function(function)
    try:
        arguments = sample_arguments(parse_signature(signature).args)
    except ValueError as e:
        raise ShowError(f"--args: {e}") from None
    texts = inspect(fn, arguments, transforms)
    display({only: texts[only]} if only else texts, plain)


def find_function(name: str) -> Any:
    """The function that ``module:name`` or ``file.py:name`` names.

    Raises
    ------
    ShowError
        There is none.
    """
    where, colon, attribute = name.rpartition(":")
    if not colon or not where or not attribute:
        raise ShowError(f"{name!r} does not name a function; write package.module:name or path/to/file.py:name")
    value: Any = _module(where)
    for part in attribute.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            known = [n for n, v in vars(value).items() if callable(v) and not n.startswith("_")]
            hint = f"; it has {', '.join(known[:12])}" if known else ""
            raise ShowError(f"{where} has no {part!r}{hint}") from None
    if not callable(value):
        raise ShowError(f"{name} is not a function but {type(value).__name__}")
    return value


def _module(where: str) -> Any:
    if where.endswith(".py"):
        path = Path(where).resolve()
        if not path.is_file():
            raise ShowError(f"there is no file {where}")
        sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        return module
    sys.path.insert(0, "")
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as e:
        raise ShowError(f"cannot import {where}: {e}") from None


def inspect(fn: Any, arguments: Sequence[Any], transforms: Sequence[str]) -> dict[str, str]:
    """The texts of a function: ``python``, ``ir`` and ``cpp``."""
    import weft
    from weft.errors import StagingError

    api: Any = weft
    for name in transforms:
        fn = getattr(api, name)(fn)
    if not hasattr(fn, "inspect"):
        fn = api.jit(fn)
    try:
        found = fn.inspect(*arguments)
    except StagingError as e:
        raise ShowError(str(e)) from None
    except TypeError as e:
        raise ShowError(f"{e}\n(the arguments' types are given by --args)") from e
    return {kind: getattr(found, kind) for kind in TITLES}


def display(texts: dict[str, str], plain: bool) -> None:
    """Print texts, side by side where the terminal is wide enough."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.syntax import Syntax
    from rich.table import Table

    console = Console()
    if plain or not console.is_terminal:
        for kind, text in texts.items():
            if len(texts) > 1:
                print(f"{'#' if kind != 'cpp' else '//'} ---- {TITLES[kind]} ----")
            print(text.rstrip() + "\n")
        return
    panels = []
    for kind, text in texts.items():
        body = Syntax(text.rstrip(), LEXERS[kind], theme="ansi_dark", word_wrap=True, background_color="default")
        panels.append(Panel(body, title=TITLES[kind], title_align="left", border_style="dim"))
    if console.width < WIDE or len(panels) == 1:
        for panel in panels:
            console.print(panel)
        return
    table = Table.grid(expand=True)
    for _ in panels:
        table.add_column(ratio=1)
    table.add_row(*panels)
    console.print(table)
