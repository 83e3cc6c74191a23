"""What an artifact depends on besides its text: the processor, weft itself, the settings in the environment."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

try:  # hashlib would load OpenSSL, which takes 6 ms of every warm start
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

from weft._runtime import ABI_VERSION
from weft.runtime.processor import cpu_features, described


def digest(*parts: str | bytes) -> str:
    """The hash (32 hexadecimal digits) of some parts; where one part ends and the next begins counts."""
    h = blake2b(digest_size=16)
    for p in parts:
        data = p.encode() if isinstance(p, str) else p
        h.update(len(data).to_bytes(8, "little"))
        h.update(data)
    return h.hexdigest()


@functools.cache
def cpu_identity() -> str:
    """A hash of the processor's model and features: code for the native processor runs only where it is equal."""
    return digest(*(f"{name}={value}" for name, value in described().items()))


@functools.cache
def weft_stamp() -> str:
    """A hash that changes when weft's own files do, so that a new weft never reads an old one's records."""
    parts = [str(ABI_VERSION), sys.version]
    package = Path(__file__).resolve().parents[1]
    source = package.parents[1]  # of an editable install, whose templates and headers are the source tree's own
    for root in (package, source / "templates", source / "csrc" / "include", source / "csrc" / "kernels"):
        for path, stat in _files(root) if root.is_dir() else ():
            if path.endswith((".py", ".j2", ".h", ".o", ".so")):
                parts.append(f"{path[len(str(source)) :]} {stat.st_size} {stat.st_mtime_ns}")
    return digest(*parts)


def _files(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    pending = [str(root)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for e in sorted(entries, key=lambda e: e.name):
                if e.is_dir():
                    if e.name != "__pycache__":
                        pending.append(e.path)
                else:
                    yield e.path, e.stat()


def content_digest(*paths: Path) -> str:
    """A hash of the contents of files, and of the files below directories."""
    parts: list[str | bytes] = []
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                parts += [file.name, file.read_bytes()]
    return digest(*parts)


__all__ = ["ABI_VERSION", "blake2b", "content_digest", "cpu_features", "cpu_identity", "digest", "weft_stamp"]
