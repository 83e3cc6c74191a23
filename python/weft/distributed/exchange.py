"""Collectives across processes, by MPI: what the last of a process's devices does for all of them.

`Exchange` is given the operands of this process's devices and the memory of their results; positions on the axis are
counted through the processes, a process's devices side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Groups = tuple[tuple[int, ...], ...]


class Group:
    """Positions that exchange values, as one of their processes sees them.

    Parameters
    ----------
    members
        The positions, in the group's order.
    devices
        How many devices each process has.
    rank
        This process.
    comm
        The communicator of the processes that have members, in their order.

    Attributes
    ----------
    mine, places
        The numbers of this process's devices in the group, and their places in it.
    counts
        How many members each of its processes has.
    order
        For each place in the group, where it stands when members are counted through the processes.
    in_order
        Whether that is the group's order.
    """

    def __init__(self, members: Sequence[int], devices: int, rank: int, comm: Any) -> None:
        self.comm = comm
        self.size = len(members)
        by_process = sorted(members)
        own = [k for k in by_process if k // devices == rank]
        self.mine = [k % devices for k in own]
        self.places = [members.index(k) for k in own]
        processes = sorted({k // devices for k in members})
        self.counts = np.array([sum([k // devices == p for k in members]) for p in processes])
        self.order = np.array([by_process.index(k) for k in members])
        self.in_order = by_process == list(members)


class Exchange:
    """The collectives of a job.

    Parameters
    ----------
    comm
        The communicator of all processes, used for nothing else.
    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm
        self._apart = comm.Dup()  # for what is said while programs are made
        self._parties: dict[tuple[int, ...], bytes] = {}
        self._comms: dict[tuple[int, ...], Any] = {tuple(range(comm.size)): comm}
        self._groupings: dict[tuple[int, Groups | None], list[Group]] = {}

    def party(self, gpus: tuple[int, ...], make: Callable[[], bytes]) -> bytes:
        """What joins these GPUs with those of the other processes, which ask for it in the same order; the first
        process makes it.

        Raises
        ------
        ValueError
            Processes have different numbers of GPUs.
        """
        if gpus not in self._parties:
            counts = self._apart.allgather(len(gpus))
            if len(set(counts)) > 1:
                raise ValueError(f"processes have different numbers of GPUs: {counts}")
            self._parties[gpus] = self._apart.bcast(make() if self.comm.rank == 0 else None)
        return self._parties[gpus]

    def __call__(
        self,
        op: str,
        perm: Sequence[tuple[int, int]] | None,
        operands: Sequence[Array],
        results: Sequence[Array],
        groups: Groups | None = None,
    ) -> None:
        """Run collective ``op``: operand and result ``k`` are those of this process's device ``k``."""
        if op == "ppermute":
            self._permute(perm or (), operands, results)
        elif op == "axis_index":
            for k, r in enumerate(results):
                r[...] = self.comm.rank * len(results) + k
        else:
            for group in self._grouping(len(results), groups):
                mine = group.mine
                run = getattr(self, f"_{op}")
                run(group, [operands[k] for k in mine], [results[k] for k in mine])

    # -- groups ----------------------------------------------------------------------------------------------------

    def _grouping(self, devices: int, groups: Groups | None) -> list[Group]:
        """The groups that this process takes part in. All processes go through all groups in one order, when they make
        communicators and when they use them, so that none waits for one that waits for it."""
        key = devices, groups
        if key not in self._groupings:
            found = []
            for members in groups or (tuple(range(devices * self.comm.size)),):
                comm = self._comm(tuple(sorted({k // devices for k in members})))
                if any([k // devices == self.comm.rank for k in members]):
                    found.append(Group(members, devices, self.comm.rank, comm))
            self._groupings[key] = found
        return self._groupings[key]

    def _comm(self, processes: tuple[int, ...]) -> Any:
        if processes not in self._comms:
            every = self.comm.Get_group()
            some = every.Incl(list(processes))
            self._comms[processes] = self.comm.Create(some)
            some.Free()
            every.Free()
        return self._comms[processes]

    # -- reductions ------------------------------------------------------------------------------------------------

    def _reduced(self, group: Group, operands: Sequence[Array]) -> Array:
        total: Array = np.add.reduce(np.stack(operands), axis=0, dtype=operands[0].dtype)
        wide = np.float32 if total.dtype == np.float16 else np.uint8 if total.dtype == bool else total.dtype
        buffer = np.ascontiguousarray(total, dtype=wide)
        group.comm.Allreduce(_in_place(), buffer, op=_mpi().SUM)
        return buffer.astype(total.dtype)

    def _fill(self, total: Array, results: Sequence[Array]) -> None:
        for r in results:
            r[...] = total

    def _psum(self, group: Group, operands: Sequence[Array], results: Sequence[Array]) -> None:
        self._fill(self._reduced(group, operands), results)

    def _psum_scatter(self, group: Group, operands: Sequence[Array], results: Sequence[Array]) -> None:
        total = self._reduced(group, operands)
        for place, r in zip(group.places, results, strict=True):
            r[...] = total[place]

    def _pmax(self, group: Group, operands: Sequence[Array], results: Sequence[Array]) -> None:
        self._fill(self._extreme(np.maximum, group, operands), results)

    def _pmin(self, group: Group, operands: Sequence[Array], results: Sequence[Array]) -> None:
        self._fill(self._extreme(np.minimum, group, operands), results)

    def _extreme(self, combine: np.ufunc, group: Group, operands: Sequence[Array]) -> Array:
        # gathered: MPI's MAX and MIN leave open what becomes of NaN
        mine: Array = combine.reduce(np.stack(operands), axis=0)
        every = _gathered(group.comm, mine[None], np.ones(group.comm.size, np.int64))
        return combine.reduce(every, axis=0)  # type: ignore[no-any-return]

    # -- exchanges -------------------------------------------------------------------------------------------------

    def _all_gather(self, group: Group, operands: Sequence[Array], results: Sequence[Array]) -> None:
        every = _gathered(group.comm, np.stack(operands), group.counts)
        self._fill(every if group.in_order else every[group.order], results)

    def _all_to_all(self, group: Group, operands: Sequence[Array], results: Sequence[Array]) -> None:
        mine, n = len(operands), group.size
        rest = operands[0].shape[1:]
        by_process = np.argsort(group.order)  # the places, counted through the processes
        # sender here, receiver (by process) -> receiving process: sender here, receiver there
        send = np.stack(operands)[:, by_process]
        parts = np.split(send, np.cumsum(group.counts)[:-1], axis=1)
        flat = np.concatenate([p.reshape(-1) for p in parts])
        received = np.empty_like(flat)
        item = operands[0].itemsize * int(np.prod(rest, dtype=np.int64)) * mine
        # what is sent to a process is as long as what comes from it: a row for each device here and each there
        sizes = group.counts * item
        group.comm.Alltoallv(_bytes(flat, sizes), _bytes(received, sizes))
        # sending process: sender there, receiver here
        blocks = np.split(received, np.cumsum(group.counts * (received.size // n))[:-1])
        senders = np.concatenate([b.reshape(-1, mine, *rest) for b in blocks])
        for k, r in enumerate(results):
            r[by_process] = senders[:, k]

    def _permute(self, perm: Sequence[tuple[int, int]], operands: Sequence[Array], results: Sequence[Array]) -> None:
        mine, rank = len(operands), self.comm.rank
        waiting = []
        kept = []
        for r in results:
            r[...] = 0
        for a, b in perm:
            if b // mine == rank and a // mine != rank:
                buffer = np.empty_like(operands[0], order="C")
                kept.append((buffer, results[b % mine]))
                waiting.append(self.comm.Irecv(_bytes(buffer), source=a // mine, tag=b))
        for a, b in perm:
            if a // mine != rank:
                continue
            if b // mine == rank:
                results[b % mine][...] = operands[a % mine]
            else:
                buffer = np.ascontiguousarray(operands[a % mine])
                kept.append((buffer, None))  # type: ignore[arg-type]
                waiting.append(self.comm.Isend(_bytes(buffer), dest=b // mine, tag=b))
        _mpi().Request.Waitall(waiting)
        for buffer, result in kept:
            if result is not None:
                result[...] = buffer


def _mpi() -> Any:
    from mpi4py import MPI

    return MPI


def _in_place() -> Any:
    return _mpi().IN_PLACE


def _bytes(x: Array, sizes: Array | None = None) -> Any:
    """An array as MPI takes it whatever its dtype; ``sizes``: of the parts for each process, in bytes."""
    data = x.reshape(-1).view(np.uint8)
    return [data, _mpi().BYTE] if sizes is None else [data, sizes, np.cumsum(sizes) - sizes, _mpi().BYTE]


def _gathered(comm: Any, mine: Array, counts: Array) -> Array:
    """The rows of all processes; ``counts``: how many each has."""
    mine = np.ascontiguousarray(mine)
    every = np.empty((int(counts.sum()), *mine.shape[1:]), mine.dtype)
    if (counts == counts[0]).all():
        comm.Allgather(_bytes(mine), _bytes(every))
    else:
        comm.Allgatherv(_bytes(mine), _bytes(every, counts * (mine.nbytes // len(mine))))
    return every
