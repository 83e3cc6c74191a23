"""The cache's directory: private, bounded, swept."""

import os
import stat
import time

import pytest

from weft.build import cache as caches
from weft.build import files
from weft.build.cache import Cache, CacheError


def put(cache, key, size=1000, used=None):
    path = cache.get_or_build(key, "// " + key, lambda source, out: out.write_bytes(b"x" * size) and None)
    if used is not None:
        for suffix in (".so", ".cpp", ".json"):
            os.utime(cache.path(key, suffix), (used, used))
    return path


def test_private(root):
    cache = caches.default()
    assert cache.root == root / "artifacts"
    assert stat.S_IMODE(cache.root.stat().st_mode) == 0o700
    path = put(cache, "k")
    assert stat.S_IMODE(path.stat().st_mode) & 0o022 == 0


def test_an_open_directory_is_closed(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    folder.chmod(0o777)
    Cache(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_somebody_elses_directory_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "theirs"
    folder.mkdir()
    monkeypatch.setattr(files.os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(CacheError, match="belongs to user"):
        Cache(folder)


def test_a_link_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(CacheError, match="not a directory"):
        Cache(tmp_path / "link")


def test_somebody_elses_artifact_is_not_loaded(root, monkeypatch):
    cache = caches.default()
    put(cache, "k")
    monkeypatch.setattr(files.os, "geteuid", lambda: os.getuid() + 1)
    assert cache.get("k") is None


def test_unusable_directory_warns_once_and_works(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WEFT_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="WEFT_CACHE_DIR"):
        cache = caches.default()
    assert put(cache, "k").exists()
    assert caches.default() is cache


def test_least_recently_used_go_first(tmp_path):
    cache = Cache(tmp_path / "c", limit=1 << 30)
    now = time.time()
    for i in range(5):
        put(cache, f"k{i}", used=now - 1000 + i)
    assert cache.get("k0") is not None  # used now
    removed = cache.trim(3 * 1200)
    assert removed == 2
    assert {e.key for e in cache.entries()} == {"k0", "k3", "k4"}
    assert not cache.path("k1", ".cpp").exists()


def test_bounded(tmp_path):
    cache = Cache(tmp_path / "c", limit=20_000)
    for i in range(60):
        put(cache, f"k{i}", used=1000 + i)
    assert sum(e.size for e in cache.entries()) < 22_000
    assert cache.get("k59") is not None


def test_sweeps_what_the_dead_left(tmp_path):
    cache = Cache(tmp_path / "c")
    old, new = cache.root / ".tmp-1-a-k.so", cache.root / ".tmp-2-b-k.so"
    old.write_bytes(b"")
    new.write_bytes(b"")
    os.utime(old, (0, 0))
    cache.trim()
    assert not old.exists()
    assert new.exists()


def test_clear(tmp_path):
    cache = Cache(tmp_path / "c")
    put(cache, "a")
    put(cache, "b")
    assert cache.clear() == 2
    assert cache.entries() == []


def test_size_setting(monkeypatch):
    for text, size in {"500M": 500 << 20, "2G": 2 << 30, "1.5k": 1536, "77": 77, "3 GiB": 3 << 30, "": 1 << 30}.items():
        monkeypatch.setenv("WEFT_CACHE_SIZE", text)
        assert caches.limit_from_environment() == size
    monkeypatch.setenv("WEFT_CACHE_SIZE", "much")
    with pytest.warns(UserWarning, match="not a size"):
        assert caches.limit_from_environment() == 1 << 30


def test_failed_builds_leave_only_the_text(tmp_path):
    cache = Cache(tmp_path / "c")

    def build(source, out):
        out.write_bytes(b"half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.get_or_build("k", "text", build)
    assert {p.name for p in cache.root.iterdir() if p.is_file()} == {"k.cpp"}


def test_atomic_writes_leave_nothing_behind(tmp_path):
    files.write_atomically(tmp_path / "f", b"one")
    files.write_atomically(tmp_path / "f", b"two")
    assert (tmp_path / "f").read_bytes() == b"two"
    with pytest.raises(OSError):
        files.write_atomically(tmp_path / "missing" / "f", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
