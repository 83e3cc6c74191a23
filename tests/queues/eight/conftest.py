"""Hand-written kernels, as in tests/runtime."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_path = Path(__file__).parents[2] / "runtime" / "conftest.py"
_spec = importlib.util.spec_from_file_location("weft_kernels", _path)
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

kernels = _module.kernels
jitted = _module.jitted
