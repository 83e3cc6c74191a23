"""What the collectives of data-parallel training cost from 8 to 8,192 devices, by a model: `docs/scaling.md`.

    python benchmarks/parallel/scaling.py

The model is that of Thakur, Rabenseifner and Gropp, Optimization of Collective Communication Operations in MPICH
(2005): a message of n bytes costs a + n / b. Inside a machine devices reduce-scatter and gather over its links; between
machines each device exchanges its part with its peers, by a ring for long messages and by halving and doubling for
short ones, whichever is faster.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """A network: seconds to begin a message, and bytes per second and direction of one device."""

    latency: float
    bandwidth: float


@dataclass(frozen=True)
class Cluster:
    """Machines with ``local`` devices each."""

    name: str
    local: int
    inside: Link
    between: Link


#: Stated by their makers: NVLink 4 has 450 GB/s in each direction per GPU, NDR InfiniBand 400 Gb/s per port and GPU.
#: Latencies are those that NCCL's and MPI's own tests show on such machines, launch of the kernel included.
NCCL = Cluster(
    "8 GPUs of a machine on NVLink 4, machines on NDR InfiniBand (NCCL)", 8, Link(6e-6, 360e9), Link(12e-6, 46e9)
)
MPI = Cluster("machines of 2 sockets on 100 Gb/s Ethernet (MPI)", 2, Link(1e-6, 10e9), Link(15e-6, 11e9))


def ring(n: float, p: int, link: Link) -> float:
    """All-reduce of n bytes over p by a ring."""
    return 2 * (p - 1) * link.latency + 2 * (p - 1) / p * n / link.bandwidth


def doubling(n: float, p: int, link: Link) -> float:
    """The same by recursive halving and doubling."""
    return 2 * math.ceil(math.log2(p)) * link.latency + 2 * (p - 1) / p * n / link.bandwidth


def all_reduce(n: float, p: int, c: Cluster) -> float:
    """All-reduce over p devices: reduce-scatter inside machines, all-reduce of parts between them, gather inside."""
    local, machines = min(p, c.local), max(1, p // c.local)
    inside = min(ring(n, local, c.inside), doubling(n, local, c.inside)) if local > 1 else 0.0
    part = n / local
    between = min(ring(part, machines, c.between), doubling(part, machines, c.between)) if machines > 1 else 0.0
    return inside + between


@dataclass(frozen=True)
class Job:
    """Data-parallel training: parameters' bytes, and seconds that a device computes in a step."""

    name: str
    gradient: float
    compute: float


#: Each device keeps its part of the batch as devices are added (weak scaling).
JOBS = [
    Job("digits classifier, 18 thousand float64 parameters, 1 ms a step", 18e3 * 8, 1e-3),
    Job("ResNet-50, 25.6 million float32 parameters, 64 images: 60 ms a step", 25.6e6 * 4, 60e-3),
    Job("1.3 billion parameters in 16 bits, 8,192 tokens: 250 ms a step", 1.3e9 * 2, 250e-3),
]

DEVICES = [8, 64, 512, 4096, 8192]


def efficiency(job: Job, p: int, c: Cluster, overlapped: float = 0.0) -> float:
    """The fraction of time that devices compute, if the given part of the communication hides behind it."""
    return job.compute / (job.compute + all_reduce(job.gradient, p, c) * (1 - overlapped))


def main() -> None:
    """Print the tables."""
    for c in (NCCL, MPI):
        print(f"\n{c.name}\n")
        print("| all-reduce of | " + " | ".join(f"{p:,}" for p in DEVICES) + " |")
        print("|---" * (len(DEVICES) + 1) + "|")
        for n in (4e3, 1e6, 100e6, 2.6e9):
            label = f"{n / 1e6:g} MB" if n >= 1e6 else f"{n / 1e3:g} kB"
            print(f"| {label} | " + " | ".join(f"{all_reduce(n, p, c) * 1e3:.3g} ms" for p in DEVICES) + " |")
        print(
            "\n| weak scaling, nothing overlapped (half overlapped) | " + " | ".join(f"{p:,}" for p in DEVICES) + " |"
        )
        print("|---" * (len(DEVICES) + 1) + "|")
        for job in JOBS:
            cells = [f"{efficiency(job, p, c):.2f} ({efficiency(job, p, c, 0.5):.2f})" for p in DEVICES]
            print(f"| {job.name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
