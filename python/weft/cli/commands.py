"""The commands and their options; what they do is in the modules beside this one."""

from __future__ import annotations

import click

HELP = {"help_option_names": ["-h", "--help"]}


@click.group(context_settings=HELP)
@click.version_option(package_name="weft", message="weft %(version)s")
def weft() -> None:
    """weft compiles numeric Python functions from their source."""


@weft.command()
@click.argument("function", metavar="MODULE:FUNCTION")
@click.option("--args", "signature", default="", help='Types of the arguments, as in "f64[n, m], f64[m], i64".')
@click.option(
    "-t", "--transform", multiple=True, type=click.Choice(["grad", "vmap"]), help="Apply this first; may be repeated."
)
@click.option("--only", type=click.Choice(["python", "ir", "cpp"]), help="Show one of them alone.")
@click.option("--plain", is_flag=True, help="No colours and no frames.")
def show(function: str, signature: str, transform: tuple[str, ...], only: str | None, plain: bool) -> None:
    """Show what a function compiles to: Python, IR and C++, side by side.

    FUNCTION is `package.module:name` or `path/to/file.py:name`.
    """
    from weft.cli.show import ShowError, run

    try:
        run(function, signature, transform, only, plain)
    except ShowError as e:
        raise click.ClickException(str(e)) from None


@weft.command()
@click.argument("targets", metavar="PACKAGE|MODULE[:FUNCTION]...", nargs=-1)
@click.option("-o", "--output", metavar="DIR", help="Build the extension module and its .pyi there.")
@click.option("--name", default="", help="The module's name; the target's last part without it.")
@click.option("--sources", metavar="DIR", help="Write the generated C++ and the .pyi there, to be committed.")
@click.option("--check", is_flag=True, help="Only see whether what --sources wrote is as it would be written now.")
@click.option("--from", "source", metavar="DIR", help="Compile the sources that lie there, instead of TARGETS.")
@click.option("--march", default="", help="Levels of the processor, as in x86-64,x86-64-v3, or native alone.")
@click.option("-j", "--jobs", default=0, help="How many compilers run at a time; as many as processors without it.")
@click.option("--depfile", metavar="FILE", help="Write there what the module depends on, for make and ninja.")
def build(
    targets: tuple[str, ...], output: str | None, name: str, sources: str | None, check: bool, source: str | None,
    march: str, jobs: int, depfile: str | None,
) -> None:  # fmt: skip
    """Compile exported functions ahead of time, to an extension module.

    A target is a package or module whose functions carry @weft.export, a file (path/to/file.py), or one function of
    them. The module needs NumPy and weft's runtime, and no compiler.
    """
    from weft.cli.build import Request, UsageError, run

    try:
        run(Request(targets, output, name, sources, check, source, march, jobs, depfile))
    except UsageError as e:
        raise click.UsageError(str(e)) from None


@weft.command("cmake-dir")
def cmake_dir() -> None:
    """Print the directory for CMake's `find_package(weft)`."""
    from weft.cmake import directory

    click.echo(directory())


@weft.group(invoke_without_command=True)
@click.pass_context
def cache(context: click.Context) -> None:
    """The compiled code that weft keeps (lists it, without a command)."""
    if context.invoked_subcommand is None:
        context.invoke(cache_list)


@cache.command("list")
def cache_list() -> None:
    """List artifacts, the most recently used first."""
    from weft.cli.kept import show_entries

    show_entries()


@cache.command("clear")
def cache_clear() -> None:
    """Remove all artifacts."""
    from weft.cli.kept import clear

    clear()


@cache.command("path")
def cache_path() -> None:
    """Print the directory."""
    from weft.build.cache import directory

    click.echo(directory())


@weft.command()
def doctor() -> None:
    """Check compiler, cache, BLAS and cores, and say what to do about what is wrong."""
    from weft.cli.doctor import run

    raise SystemExit(run())


__all__ = ["weft"]
