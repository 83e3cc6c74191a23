"""One program for many devices: staging a function for the part of its arguments that a device has.

The call's signature, and the guards of its plan, are those of the whole arguments. The function is staged once, for one
part; where the devices communicate is named by axes, and a `Topology` says which devices these axes join.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weft import _runtime
from weft.errors import StagingError
from weft.runtime import processes

if TYPE_CHECKING:
    from weft.frontend.stage import Program
    from weft.runtime import Leaf, Signature

Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Topology:
    """Devices on a grid with named axes.

    Attributes
    ----------
    axes
        Names (None: it has none) and sizes, outermost first; the devices are counted in this order.
    devices
        The devices' numbers.
    processes
        How many processes have such devices each; the (only) axis goes through all of them.
    platform
        The devices' platform.
    """

    axes: tuple[tuple[str | None, int], ...]
    devices: tuple[int, ...]
    processes: int = 1
    platform: str = "cpu"

    @property
    def count(self) -> int:
        """How many devices there are."""
        return len(self.devices)

    def rows(self, names: Sequence[str | None]) -> tuple[int, ...]:
        """For each device its position on these axes, counted through them with the last one fastest."""
        found = []
        for rank in range(self.count):
            place = self.place(rank)
            row = 0
            for name in names:
                row = row * dict(self.axes)[name] + place[name]
            found.append(row)
        return tuple(found)

    def place(self, rank: int) -> dict[str | None, int]:
        """The position of a device on each axis."""
        found = {}
        for name, size in reversed(self.axes):
            rank, found[name] = divmod(rank, size)
        return found

    def groups(self, name: str | None) -> Groups:
        """The devices that an axis joins, in its order."""
        others = [n for n, _ in self.axes if n != name]
        found: dict[int, list[int]] = {}
        for rank, row in enumerate(self.rows(others)):
            found.setdefault(row, []).append(rank)
        return tuple([tuple(g) for g in found.values()])

    def collective(self, entry: dict[str, Any]) -> dict[str, Any]:
        """The description of a collective over an axis, as one over the devices."""
        perm = None if entry.get("perm") is None else tuple(entry["perm"])
        if self.processes > 1:
            first = processes.index() * self.count
            if entry["op"] == "axis_index":
                return {"op": "axis_index", "first": first}
            groups = None if not entry.get("groups") else tuple([tuple(g) for g in entry["groups"]])
            made = {"op": entry["op"], "perm": perm, "outer": Across(entry["op"], perm, groups)}
            if self.platform == "cpu":
                return made
            if groups:
                raise NotImplementedError(f"{entry['op']} with axis_index_groups over the GPUs of several processes")
            id = processes.exchange().party(self.devices, _runtime.exchange_id)
            return {**made, "first": first, "total": self.count * self.processes, "id": id}
        groups = self.groups(entry["axis"])
        if entry.get("groups"):
            groups = tuple([tuple([g[k] for k in part]) for g in groups for part in entry["groups"]])
        return {"op": entry["op"], "groups": groups, "perm": perm}


class Across:
    """A collective across processes: the runtime calls it once for all CPU devices of this one; GPUs talk by NCCL."""

    def __init__(self, op: str, perm: tuple[tuple[int, int], ...] | None, groups: Groups | None) -> None:
        self.op, self.perm, self.groups = op, perm, groups

    def __call__(self, operands: list[Any], results: list[Any]) -> None:
        processes.exchange()(self.op, self.perm, operands, results, self.groups)

    def failed(self, error: BaseException) -> None:
        """The program fails in this process: the others must not wait for it."""
        processes.fail(f"{type(error).__name__}: {error}")


@dataclass(frozen=True)
class Spread:
    """How a program is spread over devices.

    Attributes
    ----------
    topology
        The devices.
    splits
        For each leaf of the arguments, and each captured one behind them: the row of its leading axis that each device
        gets, or None: all get the whole.
    outs
        For each result: the row of a new leading axis that each device's part is, or None: all have the same.
    """

    topology: Topology
    splits: tuple[tuple[int, ...] | None, ...]
    outs: tuple[tuple[int, ...] | None, ...]


def encode_spread(spread: Spread) -> dict[str, Any]:
    """How a program is spread, as JSON values."""
    return dataclasses.asdict(spread)


def decode_spread(stored: dict[str, Any]) -> Spread:
    """What `encode_spread` was given."""
    topology = stored["topology"]
    return Spread(
        Topology(
            **{**topology, "axes": tuple([(n, k) for n, k in topology["axes"]]), "devices": tuple(topology["devices"])}
        ),
        *[tuple([None if rows is None else tuple(rows) for rows in stored[name]]) for name in ("splits", "outs")],
    )


class Part:
    """The function that is staged: of one device's part of the arguments. It looks like a transformed function, so that
    what it captures is found.

    Parameters
    ----------
    fun
        The user's function.
    topology
        The devices.
    out_names
        Given the structure of the result, the axes along which each leaf is divided (see `Parts`).
    """

    def __init__(self, fun: Callable[..., Any], topology: Topology, out_names: Callable[[Any], list[Any]]) -> None:
        self.__wrapped__ = fun
        self.topology = topology
        self._out_names = out_names
        self.out_names: list[Any] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.stage_call(args, kwargs)

    def stage_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stage the function with the axes' names bound; all results are new arrays."""
        from weft.api.staging import state
        from weft.frontend.calls import call
        from weft.frontend.trees import flatten, unflatten
        from weft.staged.arith import prim
        from weft.staged.value import lift, wrap

        s = state()
        with ExitStack() as bound:
            for name, size in self.topology.axes:
                bound.enter_context(s.axis(name, size * self.topology.processes))
            returned = call(self.__wrapped__, args, kwargs)
        leaves: list[Any] = []
        tree = flatten(returned, s, leaves)
        self.out_names = self._out_names(tree)
        new = [wrap(prim("barrier")(lift(v).atom), "weft") for v in leaves]
        return unflatten(tree, iter(new), s)


def stage(
    fun: Callable[..., Any],
    signature: Signature,
    name: str,
    topology: Topology,
    names: Sequence[tuple[str | None, ...] | None],
    out_names: Callable[[Any], list[Any]],
    check: bool = True,
) -> Program:
    """Stage a call for devices.

    Parameters
    ----------
    fun, signature, name
        The function, the call with whole arguments, and what the program is called.
    topology
        The devices.
    names
        For each leaf the axes along which it is divided: its leading axis has their sizes' product; None: all get it.
    out_names
        The same of the results, given their structure; each has then a new leading axis.
    check
        Refuse a result that devices have differently and that is not divided; else it is the first device's.

    Raises
    ------
    StagingError
        The function writes an argument in place; a result that is not divided differs between devices.
    """
    from weft.api.compiled import finished
    from weft.frontend.stage import stage as stage_one
    from weft.transforms.gpus import for_gpus

    part = Part(fun, topology, out_names)
    leaves = [_part_of(x) if n is not None else x for x, n in zip(signature.leaves, names, strict=True)]
    program = stage_one(part, _replaced(signature, leaves=leaves), name)
    if program.mutates:
        raise StagingError(
            f"{name} writes {program.leaves[program.mutates[0]].path} in place, of which each device has a part",
            remedy="write to a copy and return it",
        )
    captured = len(program.leaves) - len(leaves)
    divided = [*names, *[None] * captured]
    _check_results(program, topology, divided, part.out_names if check else [])
    program = finished(program)
    if topology.platform == "gpu":
        program.function = for_gpus(program.function, {n: k * topology.processes for n, k in topology.axes})
    whole = [*signature.leaves, *program.leaves[len(leaves) :]]
    program.guards = _whole_guards(program.guards, program.leaves, whole)
    for i, n in enumerate(divided):
        if n is not None:
            slot = sum([len(x.shape) for x in whole[:i]])
            program.guards.append(("==", -whole[i].shape[0], [(slot, 1)], "the number of parts"))
    program.leaves = whole
    program.spread = Spread(
        topology,
        tuple([None if n is None else topology.rows(n) for n in divided]),
        tuple([None if n is None else topology.rows(n) for n in part.out_names]),
    )
    return program


def _part_of(leaf: Leaf) -> Leaf:
    return _replaced(leaf, shape=tuple(leaf.shape[1:]))


def _replaced(record: Any, **new: Any) -> Any:
    """One of the runtime's records with other values for some fields."""
    return type(record)([new.get(name, getattr(record, name)) for name in record.__match_args__])


def _whole_guards(guards: list[Any], parts: Sequence[Leaf], whole: Sequence[Leaf]) -> list[Any]:
    """Guards over the sizes of parts, as guards over those of the whole arguments."""
    slots: list[int] = []
    at = 0
    for p, w in zip(parts, whole, strict=True):
        at += len(w.shape)
        slots += range(at - len(p.shape), at)
    shift = at - len(slots)  # integers stand behind all sizes
    sizes = len(slots)

    def moved(slot: int) -> int:
        return slots[slot] if slot < sizes else slot + shift

    return [(kind, const, [(moved(slot), c) for slot, c in terms], why) for kind, const, terms, why in guards]


def _check_results(
    program: Program, topology: Topology, divided: Sequence[Any], out_names: Sequence[tuple[str | None, ...] | None]
) -> None:
    """Refuse a result that devices have differently and that is to be the same for all; and devices that would
    communicate where each goes its own way."""
    from weft.transforms.batch_plan import Plan
    from weft.transforms.inline import inline_calls

    f = inline_calls(program.function)
    for name, _ in topology.axes:
        mapped = [p for p, n in zip(f.params, divided, strict=True) if n is not None and name in n]
        plan = Plan(f, mapped, lambda s, flags: (True,) * len(s.outs), name, apart=True)
        for k, n in enumerate(out_names):
            if (n is None or name not in n) and plan.is_batched(f.results[k]):
                where = f" over axis {name!r}" if name is not None else ""
                raise ValueError(
                    f"result {k} of {program.function.name} differs between devices{where}, but out_axes (out_specs)"
                    " says that it is the same for all: pmap has mapped output but out_axes is None"
                )


__all__ = ["Part", "Spread", "Topology", "stage"]
