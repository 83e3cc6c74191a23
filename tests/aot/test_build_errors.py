"""What `weft build` says of functions and targets that cannot be built."""

import re
import sys

import pytest
from tests.aot.conftest import weft

CASES = {
    "sizes that meet and have two names": (
        """
        @export("f64[n], f64[m] -> f64[n]")
        def f(x, y):
            return x + y
        """,
        r"f, exported as 'f64\[n\], f64\[m\] -> f64\[n\]': tried with n = 11, m = 13: ValueError: .*could not be broadcast(.|\n)*"
        r"sizes that have to be equal need the same name in the signature",
    ),
    "a number of iterations at staging": (
        """
        @export("f64[n] -> f64[n]")
        def f(x):
            return np.array([v * 2 for v in x])
        """,
        r"this signature leaves n open, but \S+_source.py:\d+ in f needs to know it \(the length of an array .*\): write a"
        r" number, as in f64\[3\]",
    ),
    "an integer that decides on a length": (
        """
        @export("f64[n], i64 -> f64[n]")
        def f(x, k):
            return x * len((0,) * k)
        """,
        r"this signature leaves the number k open, but \S+_source.py:\d+ in f needs to know it \(.*\): export a function"
        r" that sets k, or leave it out of the signature if it has a default",
    ),
    "a static argument": (
        """
        @export("f64, i64 -> f64")
        @weft.jit(static_argnums=1)
        def f(x, k):
            return x * k
        """,
        r"k is a static argument of weft.jit, and a signature has no values: leave it out if it has a default",
    ),
    "another size in the result": (
        """
        @export("f64[n] -> f64[n]")
        def f(x):
            return x[1:]
        """,
        r"it returns f64\[n - 1\], and the signature says f64\[n\]",
    ),
    "another dtype in the result": (
        """
        @export("f64[n] -> f32[n]")
        def f(x):
            return x * 2
        """,
        r"it returns f64\[n\], and the signature says f32\[n\]",
    ),
    "another number of results": (
        """
        @export("f64[n] -> f64, f64")
        def f(x):
            return x.sum()
        """,
        r"it returns f64, which is not what the signature says after '->'",
    ),
    "no result where one is said": (
        """
        @export("f64[n] -> f64")
        def f(x):
            x[:] = 0
        """,
        r"it returns None, which is not what the signature says after '->'",
    ),
    "one of several results": (
        """
        @export("f64[n] -> f64[n], i64")
        def f(x):
            return x, x.sum()
        """,
        r"result 2 is f64, and the signature says i64",
    ),
    "a size that only the run knows": (
        """
        @export("f64[n] -> f64[n]")
        def f(x):
            return x[x > 0]
        """,
        r"it returns f64\[\?\], and the signature says f64\[n\]",
    ),
    "another type for one size": (
        """
        @export("f64[n] -> f64[n]")
        def f(x):
            return x.squeeze()
        """,
        r"it returns f64, for n = 1, and the signature says f64\[n\]: if such sizes are not needed, export it with least",
    ),
    "large captured data": (
        """
        BIG = np.ones(100_000)

        @export("f64[n] -> f64[n]")
        def f(x):
            return x * BIG[0]
        """,
        r"it captures 'BIG', an array of 800,000 bytes: what a function captures is built in, up to 65,536 bytes; pass",
    ),
    "a captured container that cannot be built in": (
        """
        BOX = [weft.tree_util]

        @export("f64 -> f64")
        def f(x):
            return x * len(BOX)
        """,
        r"it captures a module: a built module cannot make it again",
    ),
    "a result that cannot be made again": (
        """
        @export("f64 -> f64")
        def f(x):
            return {1: x}
        """,
        r"the result is a dict with keys that are not strings: a built module cannot make it again",
    ),
    "a function that is called back": (
        """
        def callback(v):
            return v

        @export("f64 -> f64")
        def f(x):
            return weft.pure_callback(callback, weft.ShapeDtypeStruct((), "float64"), x)
        """,
        r"it calls back a Python function, callback, which a built module cannot hold",
    ),
    "what weft does not compile": (
        """
        @export("f64[n] -> f64")
        def f(x):
            try:
                return x[0]
            except IndexError:
                return 0.0
        """,
        r"f, exported as 'f64\[n\] -> f64': 'try' is not compiled\n  remedy: ",
    ),
    "too many names of sizes": (
        """
        @export("f64[a, b, c, d, e, f] -> f64")
        def f(x):
            return x.sum()
        """,
        r"6 names of sizes make 729 programs, since sizes 0 and 1 are compiled apart: write numbers for some, or .*least=2",
    ),
    "too many questions": (
        "@export('f64[n] -> f64')\ndef f(x):\n"
        + "".join(f"    if x.shape[0] > {7 * k}:\n        return x[{k}]\n" for k in range(20, 0, -1))
        + "    return x[0]\n",
        r"more than 16 programs would be needed: .*\(a Python branch on a size, \S+_source.py:\d+",
    ),
    "the same name twice": (
        """
        @export("f64 -> f64")
        def f(x):
            return x

        g = export("f64 -> f64", name="f")(weft.grad(f))
        """,
        r"two functions are exported as 'f', by .* and .*: give one of them another name, as in @weft.export",
    ),
    "no name at all": (
        """
        def f(x):
            return x

        export("f64 -> f64")(weft.grad(f))
        """,
        r"exports <weft.grad.*> without a name: bind it to a variable of the module, or write weft.export\(",
    ),
    "no exports": ("x = 1", r"exports no functions: mark functions with @weft.export"),
    "a file that fails": ("1 / 0", r"_source.py cannot be run: ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(project, case):
    text, message = CASES[case]
    p = project(text)
    done = p.build()
    assert done.exit_code == 1
    assert re.search(message, done.output), done.output
    assert not p.out.exists() or not list(p.out.iterdir()), "nothing is left of a build that failed"


def test_all_wrong_functions_are_named(project):
    done = project(
        """
        @export("f64 -> f32")
        def f(x):
            return x

        @export("f64 -> f64")
        def good(x):
            return x

        @export("f64 -> i64")
        def g(x):
            return x
        """
    ).build()
    assert "f, exported as 'f64 -> f32'" in done.output and "g, exported as 'f64 -> i64'" in done.output
    assert "good" not in done.output


def test_one_size_that_does_not_compile(project):
    p = project(
        """
        @export("f64[n] -> f64[n]")
        def f(x):
            if x.shape[0] == 1:
                try:
                    return x
                except ValueError:
                    pass
            return x
        """
    )
    done = p.build()
    assert done.exit_code == 1
    assert "for n = 1, 'try' is not compiled" in done.output
    assert "if such sizes are not needed, export it with least=2" in done.output
    p.file.write_text(p.file.read_text().replace('f64[n]")', 'f64[n]", least=2)'))
    del sys.modules[p.file.stem]
    assert p.build().exit_code == 0


@pytest.mark.parametrize(
    "target, message",
    [
        ("no.such.module", "no.such.module cannot be imported: ModuleNotFoundError"),
        ("no-name.x", "'no-name.x' is not the name of a module; write package.module:name or path/to/file.py"),
        ("missing.py", "there is no file .*missing.py"),
        ("math", "math exports no functions: mark functions with @weft.export"),
    ],
)
def test_targets(target, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = weft(target, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert re.search(message, done.output)


def test_a_function_that_is_not_exported(project):
    p = project('@export("f64 -> f64")\ndef f(x):\n    return x\n')
    done = weft(f"{p.file}:g", "-o", p.out)
    assert done.exit_code == 1
    assert re.search(r"exports no function 'g'; it exports f", done.output)


@pytest.mark.parametrize(
    "options, message",
    [
        ((), "name a package, a module, a file or package.module:function"),
        (("math",), "say where the module goes, with -o, or its sources, with --sources"),
        (("math", "--check"), "--check compares with the sources in the directory that --sources names"),
        (("math", "--check", "--sources", "s", "-o", "o"), "--check builds nothing: leave -o out"),
        (("math", "cmath", "-o", "o"), "several targets make one module: say its --name"),
        (("math", "-o", "o", "--name", "a-b"), "--name: 'a-b' is not a name that can be imported"),
        (("math", "-o", "o", "--march", "z80"), "--march: there is no level 'z80'; these are: .*native"),
        (("math", "-o", "o", "--march", "native,x86-64"), "'native' is what this processor has, and goes alone"),
        (("--from", "s"), "--from needs -o, where the module goes"),
        (("math", "--from", "s", "-o", "o"), "--from compiles sources that were written before: give it -o, and no"),
    ],
)
def test_options(options, message):
    done = weft(*options)
    assert done.exit_code == 2
    assert re.search(message, " ".join(done.output.split()))


def test_a_module_that_would_hide_its_sources(project):
    p = project('@export("f64 -> f64")\ndef f(x):\n    return x\n')
    done = weft(p.file, "-o", p.root)
    assert done.exit_code == 1
    assert "would be confused with" in done.output and "choose another --name" in done.output


def test_no_compiler(project, monkeypatch):
    p = project('@export("f64 -> f64")\ndef f(x):\n    return x\n')
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setitem(sys.modules, "ziglang", None)
    monkeypatch.setattr("weft.build.toolchain.candidates", lambda: [])
    done = p.build()
    assert done.exit_code == 1
    assert "no C++ compiler was found: install g++ or clang++" in done.output
