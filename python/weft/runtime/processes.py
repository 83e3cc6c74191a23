"""The processes of a job, as far as the runtime has to know of them. `weft.distributed` joins them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class _Job:
    def __init__(self) -> None:
        self.index, self.count = 0, 1
        self.exchange: Any = None
        self.fail: Callable[[str], None] | None = None
        self.asked = False


_job = _Job()


def index() -> int:
    """The number of this process."""
    return _job.index


def count() -> int:
    """How many processes there are."""
    return _job.count


def exchange() -> Any:
    """What runs collectives across processes; None: there is one."""
    return _job.exchange


def joined() -> int:
    """How many processes there are, for a program that is made for so many: none may join later."""
    _job.asked = True
    return _job.count


def join(index: int, count: int, exchange: Any) -> None:
    """Be process ``index`` of ``count``.

    Raises
    ------
    RuntimeError
        Programs for one process were made already, and would go on by themselves.
    """
    if _job.asked and count > 1:
        raise RuntimeError("distributed.initialize must be called before any function made by pmap is called.")
    _job.index, _job.count, _job.exchange = index, count, exchange if count > 1 else None


def leave() -> None:
    """Be alone again."""
    _job.__init__()  # type: ignore[misc]


def on_failure(fail: Callable[[str], None]) -> None:
    """Say what ends the job."""
    _job.fail = fail


def fail(why: str) -> None:
    """End the job, if there is one: other processes may be waiting for this one."""
    if _job.count > 1 and _job.fail is not None:
        _job.fail(why)
