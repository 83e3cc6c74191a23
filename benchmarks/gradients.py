"""Gradients beside their values (``python benchmarks/gradients.py [NAME...] [--quick]``).

Each program of ``objectives/`` is measured in a process of its own that may use one core, and in one that may use all.
Its value is checked against plain Python and its gradient against finite differences and JAX's before it is timed.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from objectives import Objective

NAMES = (
    "gmm", "bundle", "lstm", "hand", "lorenz", "soft_dtw", "gauss_seidel", "heat", "nbody", "kepler", "lanes",
    "black_scholes", "transformer",
)  # fmt: skip
RATIO, MOST, OTHERS = 2.5, 5.0, 1.3  # gradient to value: the mean, and each; and to the best of the others


def leaves(x: Any) -> list[Any]:
    """The arrays in a structure."""
    import weft

    return weft.tree.leaves(x)


def check(o: Objective, value: Any, gradient: Any, theirs: dict[str, Any]) -> None:
    """The value against plain Python's, the gradient against differences of it along two directions, and JAX's."""
    import numpy as np

    import weft

    def plain(*args: Any) -> Any:
        if o.lanes is None:
            return o.fn(*args)
        return np.array([o.fn(*lane) for lane in zip(*[a if a.ndim > 1 else a.tolist() for a in args])])

    wanted = plain(*o.args)
    got, slopes = gradient(*o.args)
    rtol = o.value_rtol
    atol = rtol * np.max(np.abs(wanted))
    np.testing.assert_allclose(value(*o.args), wanted, rtol, atol, err_msg=f"{o.name}: value")
    np.testing.assert_allclose(got, wanted, rtol, atol, err_msg=f"{o.name}: value beside the gradient")
    rng = np.random.default_rng(100)
    for _ in range(2):
        direction = weft.tree.map(lambda v: rng.normal(size=np.shape(v)), [o.args[n] for n in o.argnums])

        def inner(g: Any, d: Any) -> Any:
            return np.sum(g.sum(axis=1) * d if o.jacobian else g * d)

        def along(t: float, direction: Any = direction) -> float:
            args = list(o.args)
            for n, d in zip(o.argnums, direction):
                args[n] = weft.tree.map(lambda v, w: v + t * w, args[n], d)
            return np.sum(np.asarray(value(*args)))

        h = o.step
        slope = (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)
        mine = sum(inner(np.asarray(g), d) for g, d in zip(leaves(slopes), leaves(direction), strict=True))
        np.testing.assert_allclose(mine, slope, rtol=o.rtol, err_msg=f"{o.name}: gradient")
    for name, (run, both) in theirs.items():
        np.testing.assert_allclose(np.asarray(run()), wanted, 100 * rtol, 100 * atol, err_msg=f"{o.name}: {name}")
        if both is not None:
            for mine, other in zip(leaves(list(slopes)), leaves(list(both()[1])), strict=True):
                scale = np.max(np.abs(other))
                np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-8 * scale, err_msg=f"{o.name}: {name}")


def measured(o: Objective, quick: bool) -> list[dict[str, Any]]:
    """The value and the gradient of one objective, in this process."""
    import peers
    from timing import Figure, alternate

    value, gradient = o.value(), o.gradient()
    jax = peers.jax()
    theirs = o.jax(jax) if jax is not None and o.jax is not None else {}
    check(o, value, gradient, theirs)
    missing = peers.missing("jax")
    plain: dict[str, Any] = {"weft": lambda: value(*o.args)}
    reverse: dict[str, Any] = {"weft": lambda: gradient(*o.args)}
    for name, (run, both) in theirs.items():
        plain[name] = run
        if both is None:
            missing[name] = "refused"
        else:
            reverse[name] = both
    turns = 3 if quick else 9
    first = Figure(f"{o.name}, value", alternate(plain, turns), missing=peers.missing("jax"))
    what = "Jacobian" if o.jacobian else "gradient"
    second = Figure(f"{o.name}, value and {what}", alternate(reverse, turns), missing=missing)
    second.seconds |= {name: ms / 1e3 for name, ms in o.stated.items()}
    return [asdict(first), asdict(second)]


def here(name: str, quick: bool) -> None:
    """Measure one file's objectives in this process, and print them as JSON."""
    module = importlib.import_module(f"objectives.{name}")
    print(json.dumps({"figures": [f for o in module.objectives() for f in measured(o, quick)]}))


def figures(quick: bool = False, names: tuple[str, ...] = NAMES) -> list[Any]:
    """Measure all of them, on one core and then on all."""
    from timing import Figure, child

    found: list[Any] = []
    pairs: list[tuple[float, float]] = []
    for cores in ("one core", "all cores"):
        if cores == "all cores" and len(os.sched_getaffinity(0)) == 1:
            break
        for name in names:
            quickly = ["--quick"] if quick else []
            parts = child("benchmarks/gradients.py", "--here", cores, name, *quickly)["figures"]
            for value, gradient in zip(parts[::2], parts[1::2]):
                first, second = Figure(**value), Figure(**gradient)
                if cores == "one core":
                    jacobian = second.name.endswith("Jacobian")
                    if not jacobian:
                        pairs.append((first.ours, second.ours))
                    judge(second, None if jacobian else first.ours)
                    found.append(first)
                else:
                    second.name += ", all cores"
                    second.seconds = {k: t for k, t in second.seconds.items() if "stated" not in k}
                found.append(second)
    values, gradients = (math.exp(sum(map(math.log, times)) / len(pairs)) for times in zip(*pairs))
    both = Figure("geometric mean of the gradients", {"weft": gradients, "of the values": values})
    return [*found, both.times_at_most(RATIO, values, "the values'")]


def judge(f: Any, value: float | None) -> None:
    """Within the goal of the ratio, if it has one, and, where anything stands beside it, of the others."""
    best = min((t for name, t in f.seconds.items() if name != "weft"), default=math.inf)
    goals = []
    if value is not None:
        goals.append((f"≤ {MOST:g} × value (is {f.ours / value:.2f})", f.ours <= MOST * value))
    if best < math.inf:
        goals.append((f"≤ {OTHERS:g} × the best beside it (is {f.ours / best:.2f})", f.ours <= OTHERS * best))
    f.goal = ", ".join(text for text, _ in goals)
    f.met = all(met for _, met in goals) if goals else None


def main() -> None:
    """The command line."""
    args = [a for a in sys.argv[1:] if not a.startswith("-")]
    quick = "--quick" in sys.argv
    if "--here" in sys.argv:
        if args[0] == "one core":  # before anything starts threads
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
            os.environ |= {"WEFT_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        here(args[1], quick)
    else:
        from timing import show

        show("gradients", figures(quick, tuple(args) or NAMES))


if __name__ == "__main__":
    main()
