"""The artifact cache: extension modules by the hash of all that went into them.

``<key>.so`` is the module, ``<key>.cpp`` the text it was made from, ``<key>.json`` facts for ``weft cache list``;
kernels for a GPU are a ``<key>.cubin`` and a ``<key>.cu``. An artifact's file ends with its own size and hash, so that
one rename publishes it whole, and a damaged one is found out and made again. One process compiles; others that want the
same artifact wait on a lock, which the system releases when its holder dies.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import stat
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from weft.build.environment import blake2b
from weft.build.files import CacheError, check_owner, make_private, temporary_name, write_atomically

DEFAULT_LIMIT = 1 << 30
_MAGIC = b"weft-artifact-1\0"
_TRAILER = len(_MAGIC) + 8 + 32
_TEXTS = {".so": ".cpp", ".cubin": ".cu"}
_SUFFIXES = (*_TEXTS, *_TEXTS.values(), ".json")
_LOCK_TIMEOUT = 300.0
_STALE = 3600.0


@dataclass(frozen=True)
class Entry:
    """One artifact in the cache: its key, size with all its files, time of last use, and facts about it."""

    key: str
    size: int
    used: float
    facts: dict[str, Any]


class Cache:
    """A directory of artifacts.

    Parameters
    ----------
    root
        The directory; it is made private to the user.
    limit
        How many bytes it may hold; the artifacts least recently used go first.

    Raises
    ------
    CacheError
        The directory cannot be used, or belongs to somebody else.
    """

    def __init__(self, root: Path, limit: int | None = None) -> None:
        self.root = make_private(root)
        self.limit = limit_from_environment() if limit is None else limit
        self._modules: dict[str, ModuleType] = {}
        self._mutex = threading.RLock()
        self._unscanned: int | None = None  # bytes added since the sizes were last summed

    # -- artifacts -------------------------------------------------------------------------------------------------

    def path(self, key: str, suffix: str = ".so") -> Path:
        """Where the artifact of this key lies."""
        return self.root / f"{key}{suffix}"

    def get(self, key: str, kind: str = ".so") -> Path | None:
        """The file of an artifact, if it is there and whole. One that is damaged, a link, somebody else's or writable
        by others is removed, never loaded."""
        path = self.path(key, kind)
        try:
            with open(path, "rb", opener=_no_links) as f:
                info = os.fstat(f.fileno())
                check_owner(path, info)
                private = stat.S_ISREG(info.st_mode) and not info.st_mode & 0o022
                sound = private and _is_whole(f.read())
        except FileNotFoundError:
            return None
        except OSError:  # a symbolic link, another owner, no permission
            sound = False
        if not sound:
            self.remove(key)
            return None
        if time.time() - info.st_mtime > 60:  # the time of last use, to the minute
            with suppress(OSError):
                os.utime(path)
        return path

    def get_or_build(
        self,
        key: str,
        text: str,
        build: Callable[[Path, Path], None],
        facts: dict[str, Any] | None = None,
        kind: str = ".so",
    ) -> Path:
        """The file of an artifact, built if need be.

        Parameters
        ----------
        key
            The hash of all that goes into it.
        text
            Its C++ text, kept for inspection beside it (and for a report if it does not compile).
        build
            ``build(source, out)`` makes the artifact's file ``out``.
        facts
            What ``weft cache list`` shows.
        kind
            What its file is called: a shared object, or a ``.cubin``, whose text is a ``.cu``.
        """
        found = self.get(key, kind)
        if found is not None:
            return found
        with self._lock(key):
            found = self.get(key, kind)  # somebody else may have built it while we waited
            if found is not None:
                return found
            source = self.path(key, _TEXTS[kind])
            write_atomically(source, text.encode())
            temporary = temporary_name(self.path(key, kind))
            try:
                began = time.perf_counter()
                build(source, temporary)
                seconds = time.perf_counter() - began
                _seal(temporary)
                facts = {**(facts or {}), "seconds": round(seconds, 4), "created": time.time()}
                write_atomically(self.path(key, ".json"), json.dumps(facts).encode())
                os.replace(temporary, self.path(key, kind))
            finally:
                with suppress(OSError):
                    os.unlink(temporary)
        self._added(key)
        return self.path(key, kind)

    def read(self, key: str, kind: str) -> bytes | None:
        """What an artifact's file holds; None if it is gone."""
        path = self.get(key, kind)
        try:
            return path.read_bytes()[:-_TRAILER] if path else None
        except OSError:
            return None

    def load(self, key: str) -> ModuleType | None:
        """The extension module of this key; None if the cache has none that can be loaded."""
        with self._mutex:
            module = self._modules.get(key)
            if module is None:
                path = self.get(key)
                if path is None:
                    return None
                try:
                    module = import_extension(key, path)
                except ImportError:
                    self.remove(key)
                    raise
                self._modules[key] = module
            return module

    def remove(self, key: str) -> None:
        """Remove an artifact (a process that has loaded it keeps it)."""
        for suffix in _SUFFIXES:
            with suppress(OSError):
                os.unlink(self.path(key, suffix))

    # -- housekeeping ----------------------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """All artifacts, the most recently used first."""
        found = []
        for key, (size, used) in self._sizes().items():
            try:
                facts = json.loads(self.path(key, ".json").read_text())
            except (OSError, ValueError):
                facts = {}
            found.append(Entry(key, size, used, facts))
        return sorted(found, key=lambda e: -e.used)

    def trim(self, limit: int | None = None) -> int:
        """Remove the artifacts least recently used until the rest fits, and what dead processes left behind.

        Returns
        -------
        int
            How many artifacts were removed.
        """
        limit = self.limit if limit is None else limit
        self._sweep()
        sizes = self._sizes()
        total = sum(size for size, _ in sizes.values())
        removed = 0
        for key, (size, _) in sorted(sizes.items(), key=lambda item: item[1][1]):
            if total <= limit:
                break
            self.remove(key)
            total -= size
            removed += 1
        return removed

    def clear(self) -> int:
        """Remove everything; returns the number of artifacts there were."""
        removed = self.trim(-1)
        for path in [*self.root.glob("*.json"), *self.root.glob("*.c*"), *self.root.glob("index/*")]:
            with suppress(OSError):
                path.unlink()
        return removed

    def _added(self, key: str) -> None:
        # summing takes a few milliseconds: after the first time only when a good part of the limit was added
        size = sum(p.stat().st_size for p in map(functools.partial(self.path, key), _SUFFIXES) if p.exists())
        if self._unscanned is None or self._unscanned + size > self.limit // 32:
            self.trim()
            self._unscanned = 0
        else:
            self._unscanned += size

    def _sizes(self) -> dict[str, tuple[int, float]]:
        sizes: dict[str, list[float]] = {}
        with os.scandir(self.root) as entries:
            for e in entries:
                key, dot, suffix = e.name.partition(".")
                if not key or not dot or "." + suffix not in _SUFFIXES or key.startswith("toolchain-"):
                    continue
                with suppress(OSError):
                    info = e.stat(follow_symlinks=False)
                    entry = sizes.setdefault(key, [0, 0.0])
                    entry[0] += info.st_size
                    entry[1] = max(entry[1], info.st_mtime)
        return {key: (int(size), used) for key, (size, used) in sizes.items()}

    def _sweep(self) -> None:
        now = time.time()
        for path in [*self.root.glob(".tmp-*"), *self.root.glob("locks/*"), *self.root.glob("index/.tmp-*")]:
            with suppress(OSError):
                if now - path.lstat().st_mtime > _STALE:
                    path.unlink()

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        from filelock import FileLock, Timeout

        locks = make_private(self.root / "locks")
        lock = FileLock(locks / key, timeout=_LOCK_TIMEOUT)
        try:
            lock.acquire()
        except (Timeout, OSError, NotImplementedError):
            # a file system without locks, or a holder that hangs: work twice, the rename keeps it right
            yield
            return
        try:
            yield
        finally:
            lock.release()


def import_extension(name: str, path: Path) -> ModuleType:
    """Import the extension module at ``path``, whose initialisation function is ``PyInit_<name>``."""
    loader = ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def _no_links(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))


def _seal(path: Path) -> None:
    """Append what `_is_whole` checks. Loaders do not mind bytes after the end of a shared object."""
    data = path.read_bytes()
    with open(path, "ab") as f:
        f.write(_MAGIC + len(data).to_bytes(8, "little") + _hash(data))
    path.chmod(0o600)


def _hash(data: bytes | memoryview) -> bytes:
    return blake2b(data, digest_size=32).digest()


def _is_whole(data: bytes) -> bool:
    if len(data) < _TRAILER:
        return False
    view = memoryview(data)
    body, trailer = view[:-_TRAILER], view[-_TRAILER:]
    size = int.from_bytes(trailer[len(_MAGIC) : len(_MAGIC) + 8], "little")
    return trailer[: len(_MAGIC)] == _MAGIC and size == len(body) and trailer[len(_MAGIC) + 8 :] == _hash(body)


# -- the process's cache -----------------------------------------------------------------------------------------------


def directory() -> Path:
    """Where artifacts are kept: ``WEFT_CACHE_DIR``, else the platform's cache directory for the user."""
    chosen = os.environ.get("WEFT_CACHE_DIR", "").strip()
    if chosen:
        return Path(chosen).expanduser().absolute() / "artifacts"
    import platformdirs

    return Path(platformdirs.user_cache_dir("weft", appauthor=False)) / "artifacts"


def limit_from_environment() -> int:
    """The size limit: ``WEFT_CACHE_SIZE`` in bytes, or with a suffix as in ``500M`` or ``2G``; else 1 GiB."""
    text = os.environ.get("WEFT_CACHE_SIZE", "").strip()
    if not text:
        return DEFAULT_LIMIT
    m = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", text, re.IGNORECASE)
    if m is None:
        warnings.warn(f"WEFT_CACHE_SIZE={text!r} is not a size (write 500M or 2G); using 1 GiB", stacklevel=2)
        return DEFAULT_LIMIT
    return int(float(m[1]) * 1024 ** " kmgt".index(m[2].lower() or " "))


_caches: dict[str, Cache] = {}
_caches_mutex = threading.Lock()


def default() -> Cache:
    """The process's cache. Where the directory cannot be used there is one warning, and a temporary one instead."""
    key = os.environ.get("WEFT_CACHE_DIR", "")
    with _caches_mutex:
        cache = _caches.get(key)
        if cache is None:
            try:
                cache = Cache(directory())
            except CacheError as e:
                warnings.warn(
                    f"{e}; compiled code is not kept (WEFT_CACHE_DIR sets another directory)", RuntimeWarning, 2
                )
                import tempfile  # which takes 5 ms, and is needed here only

                temporary = tempfile.TemporaryDirectory(prefix="weft-", ignore_cleanup_errors=True)
                cache = Cache(Path(temporary.name) / "artifacts")
                _keep_alive.append(temporary)
            _caches[key] = cache
        return cache


_keep_alive: list[Any] = []


def _unlock_after_fork() -> None:
    global _caches_mutex
    _caches_mutex = threading.Lock()
    for cache in _caches.values():
        cache._mutex = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_after_fork)

__all__ = ["Cache", "CacheError", "Entry", "default", "directory", "import_extension"]
