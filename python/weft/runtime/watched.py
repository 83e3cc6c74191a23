"""Places outside a program that it relies on, and what is there now: what the runtime's plans check at each call."""

from __future__ import annotations

from typing import Any


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT: Any = _Absent()  # what a place is watched for where nothing is to be there


def raw_lookup(cls: type, name: str) -> Any:
    """What a class has by a name, as it stands there: descriptors are not asked."""
    for c in cls.__mro__:
        if name in c.__dict__:
            return c.__dict__[name]
    return ABSENT


def value_at(kind: str, holder: Any, key: Any = None) -> Any:
    """What is at a place now; `ABSENT` for nothing."""
    match kind:
        case "dict":
            return holder.get(key, ABSENT)
        case "cell":
            try:
                return holder.cell_contents
            except ValueError:
                return ABSENT
        case "attr":
            return getattr(holder, key, ABSENT)
        case "value":
            return holder
        case "code" | "defaults" | "kwdefaults":
            return getattr(holder, f"__{kind}__")
        case "lookup":
            return raw_lookup(holder, key)
        case "own":
            return getattr(holder, "__dict__", {}).get(key, ABSENT)
        case "type":
            return type(holder)
        case "length":
            return len(holder)
    raise ValueError(f"unknown source {kind!r}")
