"""JAX's names of errors are raised where programs expect them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import errors

SEEN: list[Any] = []


class Leaky:
    """A container whose flattening stores what it sees."""

    def __init__(self, x: Any) -> None:
        self.x = x


def _flatten(box: Leaky) -> Any:
    SEEN[:] = [box.x]
    return (box.x,), None


weft.tree_util.register_pytree_node(Leaky, _flatten, lambda aux, children: Leaky(*children))


class Asks:
    """A container that needs values while it is put together."""

    def __init__(self, x: Any, how: Callable[[Any], Any]) -> None:
        self.x, self.how = x, how


weft.tree_util.register_pytree_node(Asks, lambda a: ((a.x,), a.how), lambda how, children: Asks(how(children[0]), how))


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        (bool, errors.TracerBoolConversionError, "a Python bool is needed here"),
        (int, errors.TracerIntegerConversionError, "a Python integer is needed here"),
        (float, errors.ConcretizationTypeError, "a Python float is needed here"),
        (complex, errors.ConcretizationTypeError, "a Python float is needed here"),
        (np.asarray, errors.TracerArrayConversionError, "a NumPy array is needed here"),
    ],
)
def test_values_that_are_not_known(how: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said) as e:
        weft.jit(lambda x: weft.tree.map(lambda v: v + 1.0, Asks(x, how)))(2.0)
    assert isinstance(e.value, errors.ConcretizationTypeError)
    assert isinstance(e.value, weft.StagingError)
    assert isinstance(e.value, TypeError)
    assert "remedy:" in str(e.value)


def test_boolean_index() -> None:
    with pytest.raises(errors.NonConcreteBooleanIndexError, match="a boolean scalar as an index") as e:
        weft.jit(lambda x: x[wnp.any(x > 0)])(np.ones(3))
    assert isinstance(e.value, IndexError)


def test_values_that_outlive_their_staging() -> None:
    assert weft.jit(lambda x: weft.tree.leaves(Leaky(x))[0])(2.0) == 2.0
    with pytest.raises(errors.UnexpectedTracerError, match="a compiled function stored it outside") as e:
        SEEN[0] + 1.0
    assert "return the value from the function" in str(e.value)
    left = SEEN[0]
    with pytest.raises(errors.UnexpectedTracerError, match="'left' is a staged value that an earlier staging left"):
        weft.jit(lambda x: x + left)(2.0)


@pytest.mark.parametrize(
    "store",
    [
        lambda x: weft.tree.map(SEEN.append, [x]),
        lambda x: weft.tree.map(functools.partial(SEEN.insert, 0), [x]),
        lambda x: SEEN.append(x),
    ],
)
def test_storing_outside_is_refused(store: Any) -> None:
    SEEN.clear()
    with pytest.raises(weft.StagingError, match="a change to a list that the compiled function did not make"):
        weft.jit(store)(1.0)


class Scale:
    """A callable object, and one with methods."""

    def __call__(self, x: Any) -> Any:
        return self.clip(x)

    def clip(self, x: Any) -> Any:
        return x if x > 2 else 0.0


def test_callables_given_to_library_functions_are_staged() -> None:
    scale = Scale()
    assert weft.jit(lambda t: weft.tree.map(scale, t))([1.0, 3.0]) == [0.0, 3.0]
    assert weft.jit(lambda t: weft.tree.map(scale.clip, t))([1.0, 3.0]) == [0.0, 3.0]
    assert weft.jit(lambda t: weft.tree.map(functools.partial(Scale.clip, None), t))([1.0, 3.0]) == [0.0, 3.0]
