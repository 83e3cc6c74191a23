"""The decorator, and which functions of a package are taken."""

import subprocess
import sys
import textwrap

import pytest

import weft
from weft.aot.collect import BuildError, collect


def takes_two(x, y, z=1.0):
    return x * y * z


@pytest.mark.parametrize(
    "mark, cls, message",
    [
        (lambda: weft.export("f65"), ValueError, "'f65' in 'f65' is not a dtype; these are: bool, i8, "),
        (lambda: weft.export("longdouble"), ValueError, "'longdouble' in 'longdouble' is not a dtype"),
        (lambda: weft.export("f64[n"), ValueError, "'f64\\[n' in 'f64\\[n' is not a type; write them like f64"),
        (lambda: weft.export("f64 -> str"), ValueError, "'str' in 'f64 -> str' is not a dtype"),
        (lambda: weft.export("f64[n - 1]"), ValueError, "'n - 1' in 'f64\\[n - 1\\]' is not a size"),
        (lambda: weft.export(takes_two), TypeError, "weft.export is given the types of the arguments: @weft.export"),
        (lambda: weft.export("f64")(3), TypeError, "weft.export marks functions, and was given 3"),
        (lambda: weft.export("f64")(takes_two), TypeError, "takes_two takes 2 to 3 positional .*, and 'f64' has 1"),
        (lambda: weft.export("f64, f64, f64, f64")(takes_two), TypeError, "takes 2 to 3 positional .* has 4"),
        (
            lambda: weft.export("f64")(lambda x, *, k: x),
            TypeError,
            "needs the keyword argument 'k', and a signature has",
        ),
        (lambda: weft.export("f64", name="a b"), ValueError, "'a b' is not a name that a function can have"),
        (lambda: weft.export("f64[n]", least={"m": 1}), ValueError, "least: 'm' is not the name of a size in 'f64"),
        (lambda: weft.export("f64[n]", least=-1), ValueError, "least: the smallest size of 'n' is a number from 0 on"),
        (lambda: weft.export("f64[n]", least={"n": 0.5}), ValueError, "from 0 on, not 0.5"),
    ],
)
def test_wrong_marks(mark, cls, message):
    with pytest.raises(cls, match=message):
        mark()


def test_a_marked_function_stays_what_it_is():
    def f(x):
        return x

    assert weft.export("f64")(f) is f
    g = weft.grad(f)
    assert weft.export("f64 -> f64")(g) is g
    assert g(2.0) == 1.0


@pytest.fixture
def package(tmp_path, monkeypatch):
    root = tmp_path / "exportpkg"
    files = {
        "__init__.py": "from .a import f\n",
        "a.py": """
            import weft
            @weft.export("f64 -> f64")
            def f(x): return x
            @weft.export("f64 -> f64")
            @weft.jit
            def jitted(x): return x
            slope = weft.export("f64 -> f64")(weft.grad(f))
            weft.export("f64 -> f64", name="curvature")(weft.grad(weft.grad(f)))
            """,
        "sub/__init__.py": "",
        "sub/b.py": """
            import weft
            from exportpkg.a import f
            @weft.export("f64, f64 -> f64")
            @weft.export("f64[n], f64[n] -> f64[n]")
            def g(x, y): return f(x) + y
            """,
        "__main__.py": "raise SystemExit('run')",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    yield root
    for name in [n for n in sys.modules if n.split(".")[0] == "exportpkg"]:
        del sys.modules[name]


def test_a_package_with_its_submodules(package):
    found = {e.name: e for e in collect(["exportpkg"])}
    assert list(found) == ["f", "jitted", "slope", "curvature", "g"]
    assert [str(e.signature) for e in found["g"].exports] == ["f64, f64 -> f64", "f64[n], f64[n] -> f64[n]"]


def test_a_module_or_a_function_of_it(package):
    assert [e.name for e in collect(["exportpkg.sub"])] == ["g"]
    assert [e.name for e in collect(["exportpkg.a:slope", "exportpkg.sub.b"])] == ["slope", "g"]


def test_a_submodule_that_fails(package):
    (package / "sub" / "c.py").write_text("import does_not_exist_at_all")
    with pytest.raises(BuildError, match=r"exportpkg.sub.c cannot be imported: ModuleNotFoundError"):
        collect(["exportpkg"])


def test_a_file_whose_name_is_taken(tmp_path):
    path = tmp_path / "json.py"
    path.write_text("x = 1")
    import json  # noqa: F401

    with pytest.raises(BuildError, match="has the name of a module that is loaded already"):
        collect([str(path)])


def test_marking_needs_neither_the_frontend_nor_templates():
    code = (
        "import sys, weft\n@weft.export('f64 -> f64')\ndef f(x): return x\n"
        "print([m for m in ('gast', 'jinja2', 'weft.frontend', 'weft.aot') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
