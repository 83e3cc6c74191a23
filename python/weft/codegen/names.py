"""C++ names for variables and buffers: the user's, made legal and unique."""

from __future__ import annotations

import functools
import re
from typing import Any

_KEYWORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char class concept const constexpr continue
decltype default delete do double else enum explicit export extern false float for friend goto if inline int long
mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register requires return
short signed sizeof static struct switch template this throw true try typedef typeid typename union unsigned using
virtual void volatile while xor xor_eq compl linux unix ctx inputs scalars sizes lo hi failure status views main
"""


_OF_DEVICES = ("team.h", "launch.h", "complex_device.h")


@functools.cache
def reserved(device: bool = False) -> frozenset[str]:
    """Words a variable cannot be called: C++'s, the skeletons', and every name that the headers mention which a file
    for the processor, or for a device, may include."""
    from weft.runtime.paths import kernels_dir

    words = set(_KEYWORDS.split())
    for header in sorted(kernels_dir().glob("*.h")):
        if header.name in _OF_DEVICES and not device:
            continue
        text = re.sub(r"//.*", "", header.read_text())
        words.update(w for w in re.findall(r"[A-Za-z_]\w*", text) if len(w) > 2)
        words.update(re.findall(r"#\s*define\s+(\w+)", text))
    return frozenset(words)


class Names:
    """Hands out names: the hint if it is free, else with a number."""

    def __init__(self, device: bool = False) -> None:
        self._reserved = reserved(device)
        self._names: dict[Any, str] = {}
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}
        self._scopes: list[list[str]] = [[]]
        self._keys: list[list[Any]] = [[]]  # what was named in each scope

    def enter(self) -> None:
        """Begin a C++ block."""
        self._scopes.append([])
        self._keys.append([])

    def leave(self) -> None:
        """End a block: the names that were given in it are free again, and what had them may be named anew."""
        for name in self._scopes.pop():
            self._taken.discard(name)
        for key in self._keys.pop():
            self._names.pop(key, None)
        self._next.clear()

    def __call__(self, key: Any, hint: str) -> str:
        """The name of ``key``, which is ``hint`` if possible."""
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = self.fresh(hint)
            self._keys[-1].append(key)
        return name

    def hint(self, key: Any) -> str:
        """What a name of ``key`` begins with."""
        return self._names.get(key) or getattr(key, "name", "") or "v"

    def rename(self, key: Any, name: str) -> None:
        """Call ``key`` by another name, already handed out."""
        self._names[key] = name

    def fresh(self, hint: str) -> str:
        """A name that nothing else has."""
        base = re.sub(r"\W", "_", hint) if not hint.isidentifier() or not hint.isascii() else hint
        base = re.sub(r"[^\x00-\x7f]", "_", base) or "v"
        if base[0].isdigit() or base.startswith("__"):
            base = "v" + base.lstrip("_")
        name = base
        while name in self._taken or name in self._reserved:
            self._next[base] = self._next.get(base, 0) + 1
            name = f"{base}{self._next[base]}" if not base[-1].isdigit() else f"{base}_{self._next[base]}"
        self._taken.add(name)
        self._scopes[-1].append(name)
        return name
