"""A cache of its own for every test, and C++ text of a smallest extension module."""

from pathlib import Path

import pytest

from weft.build import cache as caches
from weft.build import toolchain as toolchains

MODULE = """
typedef long long i64;
extern "C" {
void* PyModule_Create2(void*, int);
int PyModule_AddIntConstant(void*, const char*, long);
static const char* definition[13] = {(const char*)1, 0, 0, 0, 0, "@HASH@", 0, (const char*)-1, 0, 0, 0, 0, 0};
__attribute__((visibility("default"))) void* PyInit_@HASH@() {
  void* m = PyModule_Create2(definition, 1013);
  PyModule_AddIntConstant(m, "answer", @ANSWER@);
  return m;
}
}
"""


def module_text(answer: int) -> str:
    return MODULE.replace("@ANSWER@", str(answer))


@pytest.fixture
def root(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("WEFT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def cache(root: Path) -> caches.Cache:
    return caches.default()


@pytest.fixture
def compiler():
    found = toolchains.find()
    if found is None:
        pytest.skip("no C++ compiler")
    return found
