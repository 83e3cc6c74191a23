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
