"""Many processes, on one machine or more: started by ``mpirun``, joined by MPI (through mpi4py)."""

from weft.distributed.process import initialize, is_initialized, shutdown

__all__ = ["initialize", "is_initialized", "shutdown"]
