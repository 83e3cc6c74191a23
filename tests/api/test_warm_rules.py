"""Programs with rules are found again in another process, and only where the rules are the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TEXT = """
import numpy as np, weft
{decorator}
def f(x):
    return np.sin(np.sin(x))
{rule}
def loss(x):
    return np.sum(f(x))
g = weft.grad({target})
print(repr(g(0.5)))
print(g.cache_info().loaded)
"""

JVP = "f.defjvps(lambda t, out, x: {k} * t)"
RULE = """
def rule(p, t):
    return f(p[0]), {k} * t[0]
f.defjvp(rule)
"""


def run(folder: Path, decorator: str = "", rule: str = "", target: str = "loss") -> tuple[float, int]:
    script = folder / "program.py"
    script.write_text(TEXT.format(decorator=decorator, rule=rule, target=target))
    env = {**os.environ, "WEFT_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    value, loaded = done.stdout.split()
    return float(value.removeprefix("np.float64(").removesuffix(")")), int(loaded)


def test_rules_are_part_of_what_is_found(tmp_path):
    plain = run(tmp_path)
    assert run(tmp_path) == (plain[0], 1)
    three = {"decorator": "@weft.custom_jvp", "rule": RULE.format(k=3.0)}
    assert run(tmp_path, **three) == (3.0, 0)
    assert run(tmp_path, **three) == (3.0, 1)
    assert run(tmp_path, decorator="@weft.custom_jvp", rule=RULE.format(k=4.0)) == (4.0, 0)
    assert run(tmp_path, decorator="@weft.custom_jvp", rule=JVP.format(k=5.0)) == (5.0, 0)
    assert run(tmp_path, decorator="@weft.checkpoint") == (plain[0], 0)
    assert run(tmp_path, decorator="@weft.checkpoint") == (plain[0], 1)
    assert run(tmp_path)[0] == plain[0]


def test_a_rule_of_the_function_itself(tmp_path):
    plain = run(tmp_path, target="f")
    assert run(tmp_path, target="f") == (plain[0], 1)
    for k in (3.0, 4.0):
        value, _ = run(tmp_path, decorator="@weft.custom_jvp", rule=RULE.format(k=k), target="f")
        assert value == k
    for policy in ("dots_saveable", "everything_saveable"):
        value, loaded = run(
            tmp_path, decorator=f"@weft.checkpoint(policy=weft.checkpoint_policies.{policy})", target="f"
        )
        assert (value, loaded) == (plain[0], 0)
