"""Frames, functions made while staging, and the locations that staged code changes."""

from __future__ import annotations

import collections
from dataclasses import dataclass, field
from typing import Any

import gast

from weft.errors import StagingError
from weft.frontend.source import Parsed
from weft.ir.nodes import Loc
from weft.staged.context import Context, Location
from weft.staged.value import Staged
from weft.staged.value import _numbers as numbers


class Undefined:
    """What a variable holds before it is assigned; ``why`` tells what to say when it is read."""

    __slots__ = ("loc", "why")

    def __init__(self, why: str = "", loc: Loc | None = None) -> None:
        self.why = why
        self.loc = loc

    def __repr__(self) -> str:
        return "<undefined>"


UNDEFINED = Undefined()


class Maybe:
    """A variable that a loop assigns only if it runs: reading it checks at run time, as Python would."""

    __slots__ = ("defined", "value")

    def __init__(self, value: Any, defined: Staged) -> None:
        self.value = value
        self.defined = defined


_NOWHERE = Parsed(gast.Pass(), "<weft>", "weft", frozenset(), frozenset())


class Frame:
    """The variables of one call of a function."""

    __slots__ = ("comprehension", "enclosing", "globals", "locals", "origin", "parsed", "python", "serial")

    def __init__(
        self,
        parsed: Parsed,
        *,
        python: Any = None,
        enclosing: Frame | None = None,
        globals_: dict[str, Any],
        origin: Any,
    ) -> None:
        self.parsed = parsed
        self.python = python  # the Python function, whose closure cells hold captured variables
        self.enclosing = enclosing  # the frame in which a nested function was defined
        self.globals = globals_
        self.origin = origin  # the path to the function, for captured variables
        self.comprehension = False  # a comprehension's scope: assignment expressions bind in the function around it
        self.locals: dict[str, Any] = {}
        self.serial = next(numbers)  # when it was made


class StagedFunction:
    """A function or lambda defined inside staged code: a node, and the frame it closes over."""

    def __init__(self, parsed: Parsed, frame: Frame, defaults: list[Any], kw_defaults: dict[str, Any]) -> None:
        self.parsed = parsed
        self.frame = frame
        self.defaults = defaults
        self.kw_defaults = kw_defaults
        self.__name__ = parsed.name
        self.__qualname__ = parsed.name
        self.__doc__ = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from weft.frontend.calls import call

        return call(self, args, kwargs)

    def __repr__(self) -> str:
        return f"<function {self.__name__}>"


class StagedMethod:
    """A Python callable that native code calls back: its body is staged."""

    def __init__(self, fn: Any) -> None:
        self.fn = fn
        self.__name__ = getattr(fn, "__name__", "function")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from weft.frontend.calls import call

        return call(self.fn, args, kwargs)


# -- locations -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VarLoc(Location):
    """A variable of a frame."""

    frame: Frame
    name: str

    def get(self) -> Any:
        return self.frame.locals.get(self.name, UNDEFINED)

    def set(self, content: Any) -> None:
        if content is UNDEFINED:
            self.frame.locals.pop(self.name, None)
        else:
            self.frame.locals[self.name] = content

    @property
    def label(self) -> str:
        return f"variable '{self.name}'"


class _Held(Location):
    """A location that is an object, equal by identity."""

    __slots__ = ("obj",)

    def __init__(self, obj: Any) -> None:
        self.obj = obj

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.obj is other.obj  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return id(self.obj)

    @property
    def label(self) -> str:
        return f"a {type(self.obj).__name__}"


class ListLoc(_Held):
    """The items of a list."""

    __slots__ = ()

    def get(self) -> Any:
        return list(self.obj)

    def set(self, content: Any) -> None:
        self.obj[:] = content


class DictLoc(_Held):
    """The items of a dict (or the attributes of an object, by its ``__dict__``)."""

    __slots__ = ()

    def get(self) -> Any:
        return dict(self.obj)

    def set(self, content: Any) -> None:
        self.obj.clear()
        self.obj.update(content)


class DequeLoc(_Held):
    """The items of a deque."""

    __slots__ = ()

    def get(self) -> Any:
        return list(self.obj)

    def set(self, content: Any) -> None:
        self.obj.clear()
        self.obj.extend(content)


class SetLoc(_Held):
    """The members of a set."""

    __slots__ = ()

    def get(self) -> Any:
        return set(self.obj)

    def set(self, content: Any) -> None:
        self.obj.clear()
        self.obj.update(content)


@dataclass
class State(Context):
    """The context of one staging, as the frontend sees it: frames, and objects made on the way."""

    frames: list[Frame] = field(default_factory=list)
    owned: dict[int, tuple[int, Any]] = field(default_factory=dict)
    memo: dict[Any, Any] = field(default_factory=dict)
    frozen: dict[int, tuple[Any, str]] = field(default_factory=dict)
    rebuilt: dict[int, Any] = field(default_factory=dict)
    compared: dict[int, Any] = field(default_factory=dict)
    captures: Any = None
    arguments: set[Any] = field(default_factory=set)

    @property
    def frame(self) -> Frame:
        """The innermost function's variables; outside all of the user's functions, an empty frame."""
        return self.frames[-1] if self.frames else Frame(_NOWHERE, globals_={}, origin=None)

    def own(self, obj: Any) -> Any:
        """Note that a container was made by this staging, and may be changed by it."""
        self.owned[id(obj)] = (next(numbers), obj)
        return obj

    def owns(self, obj: Any) -> bool:
        """Whether a container was made by this staging."""
        found = self.owned.get(id(obj))
        return found is not None and found[1] is obj

    def rebuild(self, obj: Any) -> Any:
        """Note that a container stands for an argument's: what it holds is told by the call's signature."""
        self.rebuilt[id(obj)] = obj
        return obj

    def stands_in(self, obj: Any) -> bool:
        """Whether an object was made for an argument's container."""
        return self.rebuilt.get(id(obj)) is obj

    def age(self, obj: Any) -> int:
        """When a container was made (containers of the outside: before everything)."""
        found = self.owned.get(id(obj))
        return found[0] if found is not None and found[1] is obj else -1

    def change(self, obj: Any) -> None:
        """Call before changing a container."""
        if not self.owns(obj):
            raise StagingError(
                f"a change to a {type(obj).__name__} that the compiled function did not make (an argument or a captured"
                " object)",
                remedy="build a new one (a copy, to begin with) and return it, or return the new value and put it in"
                " place outside",
                loc=self.loc,
            )
        found = self.frozen.get(id(obj))
        if found is not None and found[0] is obj:
            raise StagingError(found[1], remedy="build a new one on each path", loc=self.loc)
        self.touch(location(obj))


def location(obj: Any) -> Location:
    """The location of a container's content."""
    if isinstance(obj, list):
        return ListLoc(obj)
    if isinstance(obj, dict):
        return DictLoc(obj)
    if isinstance(obj, set):
        return SetLoc(obj)
    if isinstance(obj, collections.deque):
        return DequeLoc(obj)
    return DictLoc(obj.__dict__)
