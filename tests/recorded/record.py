"""Record what JAX answers: ``python tests/recorded/record.py [area ...]`` (needs JAX)."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


def areas() -> list[str]:
    """The areas, each a module of cases beside this one."""
    return sorted(p.stem.removeprefix("area_") for p in HERE.glob("area_*.py"))


#: What is changed in an example to run it with JAX: its imports, and the module's name.
IMPORTS = (
    ("import weft.numpy as wnp", "import jax.numpy as wnp"), ("import weft\n", "import jax\n"),
    ("from weft import", "from jax import"), ("weft.", "jax."),
)  # fmt: skip
EXAMPLES = ("introduction", "parallel", "state_and_trees")


def record_example(name: str) -> None:
    """Write ``data/<name>.txt``: what the example prints when JAX stands in weft's place."""
    text = (HERE.parents[1] / "examples" / f"{name}.py").read_text()
    for ours, theirs in IMPORTS:
        text = text.replace(ours, theirs)
    found = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True,
        env={**os.environ, "JAX_ENABLE_X64": "1"},
    )  # fmt: skip
    (HERE / "data" / f"{name}.txt").write_text(found.stdout)
    print(f"{name}: {len(found.stdout.splitlines())} lines")


def main(wanted: list[str]) -> None:
    """Write ``data/<area>.npz``, and the text of examples."""
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
    import jax

    jax.config.update("jax_enable_x64", True)
    for name in ("numpy", "lax", "ops", "random", "nn", "tree", "tree_util", "scipy.special", "scipy.linalg", "scipy.stats",
                 "scipy.signal", "scipy.optimize", "scipy.ndimage", "scipy.integrate", "scipy.interpolate",
                 "scipy.fft", "scipy.cluster.vq"):  # fmt: skip
        importlib.import_module(f"jax.{name}")
    from recorded_cases import leaves, total

    for name in wanted or EXAMPLES:
        if name in EXAMPLES:
            record_example(name)
    for area in [w for w in wanted if w not in EXAMPLES] if wanted else areas():
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
