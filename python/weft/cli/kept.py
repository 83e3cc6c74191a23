"""``weft cache``: what the artifact cache holds."""

from __future__ import annotations

import time

from weft.build import cache as caches


def size_text(size: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError


def age_text(seconds: float) -> str:
    """A span of time for people."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return "now"


def show_entries() -> None:
    """Print the cache's artifacts."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    cache = caches.default()
    entries = cache.entries()
    if not entries:
        console.print(f"no artifacts in {cache.root}", highlight=False, soft_wrap=True)
        return
    table = Table(box=None, header_style="bold")
    for heading, justify in (("function", "left"), ("artifact", "left"), ("size", "right"), ("compiled in", "right")):
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("used", justify="right", no_wrap=True)
    now = time.time()
    for e in entries:
        seconds = e.facts.get("seconds")
        took = f"{seconds * 1e3:.0f} ms" if isinstance(seconds, int | float) else "failed" if not e.facts else ""
        table.add_row(str(e.facts.get("name") or "?"), e.key[:12], size_text(e.size), took, age_text(now - e.used))
    console.print(table)
    total = sum(e.size for e in entries)
    console.print(
        f"{len(entries)} artifacts, {size_text(total)} of {size_text(cache.limit)} in {cache.root}",
        highlight=False,
        soft_wrap=True,
    )


def clear() -> None:
    """Empty the cache."""
    import click

    cache = caches.default()
    size = sum(e.size for e in cache.entries())
    click.echo(f"removed {cache.clear()} artifacts ({size_text(size)}) from {cache.root}")
