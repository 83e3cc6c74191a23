"""How a compiled program is dispatched, in a form that can be stored: what the runtime's plan is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weft import _runtime
from weft.runtime import Plan, hostcalls
from weft.runtime.devices import devices as devices_of
from weft.runtime.devices import gpus
from weft.runtime.sharding import PmapSharding
from weft.runtime.watched import ABSENT

if TYPE_CHECKING:
    from weft.api.spmd import Spread
    from weft.frontend.stage import Program

Guards = list[tuple[str, int, list[tuple[int, int]], str]]


@dataclass(frozen=True)
class Recipe:
    """The parts of a `Plan`.

    Attributes
    ----------
    guards
        ``(kind, constant, [(slot, coefficient)], why)``.
    statics, hidden
        Captured objects that must be the same, captured data that is read at each call: entries of the plan.
    results, tree, mutates
        As the plan takes them.
    host
        Descriptions of the functions that compiled code calls back.
    name
        The function's, for messages.
    device
        Of a program for GPUs its ``text`` and ``kernels``, and whether these may record that something ``fails``.
    spread
        How the program is spread over devices.
    """

    guards: Guards
    statics: list[tuple[Any, ...]]
    hidden: list[tuple[Any, ...]]
    results: list[tuple[Any, ...]]
    tree: tuple[Any, ...]
    mutates: list[int]
    host: list[dict[str, Any]]
    heavy: bool
    name: str = ""
    device: dict[str, Any] | None = None
    spread: Spread | None = None

    def plan(self, module: Any, hidden_key: Any) -> Plan:
        """The plan that runs ``module``'s entry."""
        return Plan(
            next(iter(module.entries.values())),
            owner=module,
            guards=[(kind, const, terms) for kind, const, terms, _ in self.guards],
            statics=self.statics,
            hidden=self.hidden,
            hidden_key=hidden_key,
            results=self.results,
            tree=self.tree,
            mutates=self.mutates,
            host=[self._host(entry) for entry in self.host],
            heavy=self.heavy,
            ordered=any(map(hostcalls.is_ordered, self.host)),
            name=self.name,
            kernels=None if self.device is None else self.kernels(self.device),
            **({} if self.spread is None else {"spmd": spmd(self.spread)}),
        )

    def _host(self, entry: dict[str, Any]) -> Any:
        if entry["kind"] != "collective":
            return hostcalls.make(entry)
        if self.spread is None:
            raise NameError(f"unbound axis name: {entry['axis']}")
        return _runtime.Collective(**self.spread.topology.collective(entry))

    def kernels(self, device: dict[str, Any]) -> tuple[list[str], Callable[[str], bytes], bool]:
        """The kernels as the plan takes them: compiled when a device first needs them, for its architecture."""

        def image(arch: str) -> bytes:
            from weft.build import cuda

            return cuda.build(device["text"], arch, name=self.name, driver=gpus()[0].driver)

        return device["kernels"], image, device["fails"]


def recipe_of(program: Program, meta: dict[str, Any], device: dict[str, Any] | None = None) -> Recipe:
    """The recipe of a program that was just staged and lowered (for a GPU: with the kernels' text)."""
    captures = program.captures
    return Recipe(
        guards=program.guards,
        statics=[
            source.entry() if value is ABSENT else (*source.entry(), value)
            for source, value in captures.statics
            if source.kind != "value"
        ],
        hidden=[source.entry() for source, _ in captures.hidden],
        results=[r.entry() for r in program.results],
        tree=program.tree,
        mutates=program.mutates,
        host=[dict(entry) for entry in meta.get("host", ())],
        heavy=bool(meta.get("heavy")),
        name=program.function.name,
        device=device,
        spread=program.spread,
    )


def spmd(spread: Spread) -> tuple[Any, ...]:
    """How a program is spread, as the plan takes it."""
    every = devices_of(spread.topology.platform)
    devices = tuple([every[k] for k in spread.topology.devices])
    return (
        devices,
        spread.splits,
        spread.outs,
        [PmapSharding(devices, None if parts is None else 0) for parts in spread.outs],
    )


def holds(guards: Guards, table: Sequence[int]) -> bool:
    """Whether the guards hold of a call's table of sizes and integers."""
    for kind, const, terms, _ in guards:
        n = const + sum([table[slot] * c for slot, c in terms])
        if not (n == 0 if kind == "==" else n >= 0 if kind == ">=" else n != 0):
            return False
    return True


def table_of(leaves: Sequence[Any]) -> list[int]:
    """The table that guards index: all sizes, then the Python ints."""
    return [n for x in leaves for n in x.shape] + [int(x.value) for x in leaves if x.flavour == "py" and x.dtype == "i"]
