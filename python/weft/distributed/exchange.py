"""Collectives across processes, by MPI: what the last of a process's devices does for all of them.

`Exchange` is given the operands of this process's devices and the memory of their results; positions on the axis are
counted through the processes, a process's devices side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class Exchange:
    """The collectives of a job.

    Parameters
    ----------
    comm
        The communicator of all processes, used for nothing else.
    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm

    def __call__(
        self, op: str, perm: Sequence[tuple[int, int]] | None, operands: Sequence[Array], results: Sequence[Array]
    ) -> None:
        """Run collective ``op``: operand and result ``k`` are those of this process's device ``k``."""
        if op == "ppermute":
            self._permute(perm or (), operands, results)
        else:
            getattr(self, f"_{op}")(operands, results)

    # -- reductions ------------------------------------------------------------------------------------------------

    def _reduced(self, combine: np.ufunc, op: Any, operands: Sequence[Array]) -> Array:
        total: Array = combine.reduce(np.stack(operands), axis=0, dtype=operands[0].dtype)
        wide = np.float32 if total.dtype == np.float16 else np.uint8 if total.dtype == bool else total.dtype
        buffer = np.ascontiguousarray(total, dtype=wide)
        self.comm.Allreduce(_in_place(), buffer, op=op)
        return buffer.astype(total.dtype)

    def _fill(self, total: Array, results: Sequence[Array]) -> None:
        for r in results:
            r[...] = total

    def _psum(self, operands: Sequence[Array], results: Sequence[Array]) -> None:
        self._fill(self._reduced(np.add, _mpi().SUM, operands), results)

    def _pmax(self, operands: Sequence[Array], results: Sequence[Array]) -> None:
        self._fill(self._extreme(np.maximum, operands), results)

    def _pmin(self, operands: Sequence[Array], results: Sequence[Array]) -> None:
        self._fill(self._extreme(np.minimum, operands), results)

    def _extreme(self, combine: np.ufunc, operands: Sequence[Array]) -> Array:
        # gathered: MPI's MAX and MIN leave open what becomes of NaN
        mine: Array = combine.reduce(np.stack(operands), axis=0)
        every = self._gathered(mine)
        return combine.reduce(every, axis=0)  # type: ignore[no-any-return]

    # -- exchanges -------------------------------------------------------------------------------------------------

    def _gathered(self, mine: Array) -> Array:
        mine = np.ascontiguousarray(mine)
        every = np.empty((self.comm.size, *mine.shape), mine.dtype)
        self.comm.Allgather(_bytes(mine), _bytes(every))
        return every

    def _all_gather(self, operands: Sequence[Array], results: Sequence[Array]) -> None:
        every = self._gathered(np.stack(operands))
        self._fill(every.reshape(-1, *operands[0].shape), results)

    def _psum_scatter(self, operands: Sequence[Array], results: Sequence[Array]) -> None:
        total = self._reduced(np.add, _mpi().SUM, operands)
        first = self.comm.rank * len(operands)
        for k, r in enumerate(results):
            r[...] = total[first + k]

    def _all_to_all(self, operands: Sequence[Array], results: Sequence[Array]) -> None:
        mine, n = len(operands), self.comm.size
        rest = operands[0].shape[1:]
        # sender, receiving process, receiver there -> receiving process, receiver there, sender
        send = np.ascontiguousarray(np.stack(operands).reshape(mine, n, mine, *rest).swapaxes(0, 1).swapaxes(1, 2))
        received = np.empty_like(send)
        self.comm.Alltoall(_bytes(send), _bytes(received))
        for k, r in enumerate(results):
            r[...] = received[:, k].reshape(n * mine, *rest)

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

    def _axis_index(self, operands: Sequence[Array], results: Sequence[Array]) -> None:
        for k, r in enumerate(results):
            r[...] = self.comm.rank * len(results) + k


def _mpi() -> Any:
    from mpi4py import MPI

    return MPI


def _in_place() -> Any:
    return _mpi().IN_PLACE


def _bytes(x: Array) -> Any:
    """An array as MPI takes it whatever its dtype."""
    return [x.reshape(-1).view(np.uint8), _mpi().BYTE]
