"""Files that other processes may read while they are written, and that only their owner may touch."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class CacheError(OSError):
    """A cache directory that must not be used."""


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that readers see the old one or all of the new one."""
    temporary = temporary_name(path)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as f:
            f.write(data)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def temporary_name(path: Path) -> Path:
    """A name beside ``path`` that no other process uses; trimming the cache removes it if it is left behind."""
    return path.with_name(f".tmp-{os.getpid()}-{os.urandom(4).hex()}-{path.name}")


@contextmanager
def private_directory() -> Iterator[Path]:
    """A temporary directory of our own."""
    with tempfile.TemporaryDirectory(prefix="weft-") as name:
        yield Path(name)


def make_private(path: Path) -> Path:
    """Create a directory for its owner alone, or check that it is one.

    Raises
    ------
    CacheError
        It cannot be created, or somebody else could put files there, which loading would run.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        info = path.lstat()
    except OSError as e:
        raise CacheError(f"the cache directory {path} cannot be made: {e.strerror}") from e
    if not stat.S_ISDIR(info.st_mode):
        raise CacheError(f"the cache directory {path} is not a directory")
    check_owner(path, info)
    if info.st_mode & 0o077:
        path.chmod(0o700)
    if not os.access(path, os.W_OK | os.X_OK):
        raise CacheError(f"the cache directory {path} is not writable")
    return path


def check_owner(path: Path, info: os.stat_result) -> None:
    """Refuse what another user owns.

    Raises
    ------
    CacheError
        Another user owns it.
    """
    if hasattr(os, "geteuid") and info.st_uid != os.geteuid():
        raise CacheError(f"{path} belongs to user {info.st_uid}, not to you: weft loads no code from it")
