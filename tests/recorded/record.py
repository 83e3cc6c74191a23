"""Record what JAX answers: ``python tests/recorded/record.py [area ...]`` (needs JAX)."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


def areas() -> list[str]:
    """The areas, each a module of cases beside this one."""
    return sorted(p.stem.removeprefix("area_") for p in HERE.glob("area_*.py"))


def main(wanted: list[str]) -> None:
    """Write ``data/<area>.npz``."""
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
    import jax

    jax.config.update("jax_enable_x64", True)
    for name in ("numpy", "lax", "random", "nn", "tree", "tree_util", "scipy.special", "scipy.linalg", "scipy.stats",
                 "scipy.signal", "scipy.optimize", "scipy.ndimage", "scipy.integrate", "scipy.interpolate"):  # fmt: skip
        importlib.import_module(f"jax.{name}")
    from cases import leaves, total

    for area in wanted or areas():
        found: dict[str, np.ndarray] = {}
        for c in importlib.import_module(f"area_{area}").CASES:
            assert f"{c.name}/0" not in found, f"{area}: two cases are called {c.name}"
            for i, v in enumerate(leaves(c.run(jax, *c.args))):
                found[f"{c.name}/{i}"] = v
            if c.grad:
                found[f"{c.name}/grad"] = np.asarray(jax.grad(total(jax, c.run))(*c.args))
        np.savez_compressed(HERE / "data" / f"{area}.npz", **found)  # type: ignore[arg-type]
        print(f"{area}: {len(found)} results by JAX {jax.__version__}")


if __name__ == "__main__":
    main(sys.argv[1:])
