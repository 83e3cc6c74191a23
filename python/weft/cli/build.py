"""``weft build``: exported functions as an extension module. Quiet where no terminal looks on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from weft.aot.make import Text
    from weft.build.aot import Level


class UsageError(Exception):
    """Options that do not go together."""


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    targets: tuple[str, ...]
    output: str | None
    name: str
    sources: str | None
    check: bool
    source: str | None
    march: str
    jobs: int
    depfile: str | None


def run(r: Request) -> None:
    """Build, write sources, or check them."""
    from weft.build.aot import BuildError, chosen_levels
    from weft.errors import CompileError

    check_request(r)
    try:
        levels = chosen_levels(r.march)
    except ValueError as e:
        raise UsageError(f"--march: {e}") from None
    try:
        if r.source is not None:
            build_from(r, levels)
        else:
            build_targets(r, levels)
    except (BuildError, CompileError) as e:
        raise click.ClickException(str(e)) from None
    except OSError as e:
        raise click.ClickException(f"{e.strerror}: {e.filename}") from None


def check_request(r: Request) -> None:
    """Refuse options that do not go together.

    Raises
    ------
    UsageError
        They do not.
    """
    if r.source is not None:
        if r.targets or r.sources or r.check:
            raise UsageError("--from compiles sources that were written before: give it -o, and no targets")
        if not r.output:
            raise UsageError("--from needs -o, where the module goes")
        return
    if not r.targets:
        raise UsageError("name a package, a module, a file or package.module:function")
    if r.check and not r.sources:
        raise UsageError("--check compares with the sources in the directory that --sources names")
    if r.check and r.output:
        raise UsageError("--check builds nothing: leave -o out")
    if not (r.output or r.sources):
        raise UsageError("say where the module goes, with -o, or its sources, with --sources")


def module_name(r: Request) -> str:
    """What the module is called.

    Raises
    ------
    UsageError
        It has no name, or one that cannot be imported.
    """
    where = r.targets[0].partition(":")[0]
    name = r.name or (Path(where).stem if where.endswith(".py") else where.rpartition(".")[2])
    if len(r.targets) > 1 and not r.name:
        raise UsageError("several targets make one module: say its --name")
    if not (name.isidentifier() and name.isascii()):
        raise UsageError(f"--name: {name!r} is not a name that can be imported")
    return name


def build_targets(r: Request, levels: list[Level]) -> None:
    """From functions to sources, and to a module."""
    from weft.aot.collect import collect
    from weft.aot.make import generate, python_files, stale_sources, write_sources
    from weft.build.aot import Compilation, check_place, suffix, written
    from weft.build.files import private_directory

    name = module_name(r)
    loaded = set(sys.modules)
    exported = collect(r.targets)
    where = ", ".join(r.targets)
    if r.check:
        with watched(len(exported)) as step:
            text = generate(name, exported, where, lambda staged, file, content: step(staged.exported.name))
        wrong = stale_sources(text, Path(r.sources or ""))
        if wrong:
            again = f"weft build {' '.join(r.targets)} --name {name} --sources {r.sources}"
            raise click.ClickException("\n".join([*wrong, f"generate them again: {again}"]))
        return
    if r.output:
        check_place(Path(r.output), name)
    compiled = len(levels) if r.output else 0
    with private_directory() as work, watched(len(exported) * (1 + compiled) + bool(compiled)) as step:
        compilation = Compilation(work, levels, r.jobs, done=step) if r.output else None
        try:
            text = Partial(work, compilation, step).generate(name, exported, where)
            if r.sources:
                write_sources(text, Path(r.sources))
            if compilation is not None:
                directory = Path(r.output or "")
                directory.mkdir(parents=True, exist_ok=True)
                main = work / f"{name}.cpp"
                main.write_text(text.files[main.name])
                compilation.module(main)
                compilation.link(directory / (name + suffix()), name)
                written(directory / f"{name}.pyi", text.files[f"{name}.pyi"])
        finally:
            if compilation is not None:
                compilation.stop()
    if r.depfile:
        made = Path(r.output or r.sources or "") / (name + suffix() if r.output else f"{name}.cpp")
        files = " ".join(str(p).replace(" ", "\\ ") for p in python_files(loaded))
        Path(r.depfile).write_text(f"{made}: {files}\n")
    summary(text, {} if compilation is None else compilation.seconds, levels if r.output else [])


@dataclass
class Partial:
    """Compiles each function's kernels while the next function is staged."""

    work: Path
    compilation: Any
    step: Any

    def generate(self, name: str, exported: Any, where: str) -> Text:
        """The module's sources, whose kernels are being compiled by then."""
        from weft.aot.make import generate

        def done(staged: Any, file: str, content: str) -> None:
            self.step(staged.exported.name)
            if self.compilation is not None:
                path = self.work / file
                path.write_text(content)
                self.compilation.kernels(path, staged.exported.name)

        return generate(name, exported, where, done)


def build_from(r: Request, levels: list[Level]) -> None:
    """From sources to modules."""
    from weft.build.aot import BuildError, compile_sources, find_sources

    found = [s for s in find_sources(Path(r.source or "")) if r.name in ("", s.name)]
    if not found:
        what = f"of a module {r.name!r} " if r.name else ""
        raise BuildError(f"there are no sources {what}in {r.source}: write them with `weft build ... --sources`")
    for sources in found:
        with watched((len(sources.kernels)) * len(levels) + 1) as step:
            compile_sources(sources, Path(r.output or ""), levels, r.jobs, step)


@contextmanager
def watched(total: int) -> Iterator[Any]:
    """A progress bar on a terminal; gives what is called, with a function's name, after each step."""
    if not (sys.stderr is not None and sys.stderr.isatty()):
        yield lambda what: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("weft build", total=total)
        yield lambda what: progress.update(task, advance=1, description=what or "weft build")


def summary(text: Text, compiled: dict[str, float], levels: list[Level]) -> None:
    """A table of what was built, on a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        return
    table = Table(box=None, header_style="bold")
    table.add_column("function", no_wrap=True)
    table.add_column("signature")
    table.add_column("built in")
    for heading in ("programs", "staged in", "compiled in"):
        table.add_column(heading, justify="right", no_wrap=True)
    for f in text.functions:
        name = f.exported.name
        frozen = sorted({label for o in f.overloads for label in o.frozen})
        took = f"{compiled[name]:.2f} s" if name in compiled else ""
        signatures = escape("\n".join(str(o.export.signature) for o in f.overloads))
        table.add_row(name, signatures, " ".join(frozen), str(len(f.programs)), f"{text.seconds[name]:.2f} s", took)
    console.print(table)
    if levels:
        console.print(f"{text.name} for {', '.join(level.name for level in levels)}", highlight=False)
