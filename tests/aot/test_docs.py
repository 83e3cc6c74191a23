"""What docs/ci.md shows is so."""

import re
from pathlib import Path

from tests.aot.conftest import Project, weft

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "ci.md").read_text()


def test_the_example_builds_and_goes_stale(tmp_path):
    (text,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M)
    p = Project(tmp_path, text, head="")
    assert p.build("--sources", p.root / "generated").exit_code == 0
    m = p.load()
    assert abs(m.slope(1.0, 0.3) - (m.anomaly(1.000001, 0.3) - m.anomaly(0.999999, 0.3)) / 2e-6) < 1e-8
    path = p.root / "generated" / f"{p.name}-anomaly.cpp"
    path.write_text("")
    done = weft(p.file, "--name", p.name, "--sources", p.root / "generated", "--check")
    shown = re.search(r"```text\nError: generated/_compiled-anomaly.cpp(.*?)\n", PAGE)
    assert shown is not None and f"{path}{shown[1]}" in done.output
    assert done.exit_code == 1


def test_the_cmake_lines_are_the_examples():
    (lines,) = re.findall(r"^```cmake\n(.*?)^```", PAGE, re.S | re.M)
    example = Path(__file__).resolve().parents[2] / "examples" / "orbit" / "CMakeLists.txt"
    assert lines == example.read_text()
