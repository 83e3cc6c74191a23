"""Many devices of the CPU: dispatch, bandwidth of a collective, data-parallel training, overlap. Beside JAX."""

from __future__ import annotations

import sys

from timing import Figure, child, show


def figures(quick: bool = False) -> list[Figure]:
    """Measure, in a process whose CPU is eight devices for both."""
    found = []
    for r in child("benchmarks/children/many_devices.py", *(["--quick"] if quick else [])):
        figure = Figure(r["name"], r["seconds"])
        if "beats" in r:
            figure.beats(*r["beats"], factor=r.get("factor", 1.0))
        if "within" in r and figure.met is not False:
            goal, met = figure.goal, figure.met
            figure.within(r["within"])
            figure.goal, figure.met = f"{figure.goal}, and {goal}", figure.met and met is not False
        if "efficiency" in r:
            figure.goal, figure.met = "efficiency ≥ 0.85", r["efficiency"] >= 0.85
        if "slower" in r:
            figure.times_at_most(r["slower"], r["seconds"]["alone"], "alone")
        found.append(figure)
    return found


if __name__ == "__main__":
    show("many devices", figures("--quick" in sys.argv))
