"""What only the host does: files, texts, buffers. It takes arrays that exist, not those of code being staged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from weft.errors import StagingError
from weft.numpy.registry import arrays, concrete, concrete_result, has_staged

_DOCS = {
    "array2string": "An array as text, with options.",
    "array_repr": "An array as text, as its repr shows it.",
    "array_str": "An array as text, as print shows it.",
    "asarray_chkfinite": "An array; ValueError if it holds nan or infinities.",
    "base_repr": "An integer as text in a number system.",
    "binary_repr": "An integer as text in binary.",
    "common_type": "The scalar type that floating functions of these arrays give.",
    "format_float_positional": "A number as text without an exponent.",
    "format_float_scientific": "A number as text with an exponent.",
    "frombuffer": "The numbers in a buffer of bytes: a copy.",
    "fromfile": "The numbers in a file.",
    "fromiter": "The numbers that an iterable gives.",
    "fromregex": "The numbers that a regular expression finds in a file.",
    "fromstring": "The numbers in a text.",
    "genfromtxt": "The numbers in a text file, some of which may be missing.",
    "iterable": "Whether an object can be iterated over.",
    "loadtxt": "The numbers in a text file.",
    "min_scalar_type": "The smallest dtype that holds a number.",
    "real_if_close": "The real parts, if all imaginary parts are about zero.",
    "save": "Write an array to a ``.npy`` file.",
    "savetxt": "Write an array to a text file.",
    "savez": "Write arrays to an ``.npz`` file.",
    "savez_compressed": "Write arrays to a compressed ``.npz`` file.",
}


def _host(name: str, numpy: Callable[..., Any], doc: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        if has_staged(args) or has_staged(kwargs):
            raise StagingError(
                f"weft.numpy.{name} of a value that is only known at run time",
                remedy="call it outside of compiled code, on the result",
            )
        given = [concrete(a) for a in args]
        named = {k: concrete(v) for k, v in kwargs.items()}
        result = numpy(*given, **named)
        return concrete_result(result, given, named) if isinstance(result, np.ndarray | np.generic) else result

    function.__name__ = function.__qualname__ = name
    function.__module__ = "weft.numpy"
    function.__doc__ = doc
    function.__dict__["__wrapped__"] = numpy  # for its signature
    return function


#: Functions of the host, by name.
HOST = {name: _host(name, getattr(np, name), doc) for name, doc in _DOCS.items()}


class Archive:
    """The arrays of an ``.npz`` file, by name, as `load` gives them; each is read when it is asked for."""

    def __init__(self, file: Any) -> None:
        self._file = file

    @property
    def files(self) -> list[str]:
        """The names."""
        return list(self._file.files)

    def __getitem__(self, name: str) -> Any:
        return arrays(self._file[name])

    def __contains__(self, name: str) -> bool:
        return name in self._file

    def __iter__(self) -> Iterator[str]:
        return iter(self._file)

    def __len__(self) -> int:
        return len(self._file)

    def keys(self) -> Any:
        """The names."""
        return self._file.keys()

    def items(self) -> Iterator[tuple[str, Any]]:
        """Names and arrays."""
        return ((name, self[name]) for name in self)

    def values(self) -> Iterator[Any]:
        """The arrays."""
        return (self[name] for name in self)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def load(file: Any, *args: Any, **kwargs: Any) -> Any:
    """The array in a ``.npy`` file, or the arrays in an ``.npz`` file by name.

    Parameters
    ----------
    file
        A path, or a file opened for reading bytes.
    args, kwargs
        As `numpy.load` takes them.

    Examples
    --------
    >>> import io, weft.numpy as wnp
    >>> file = io.BytesIO()
    >>> wnp.save(file, wnp.arange(3))
    >>> file.seek(0)
    0
    >>> wnp.load(file)
    Array([0, 1, 2])
    """
    found = np.load(file, *args, **kwargs)
    return arrays(found) if isinstance(found, np.ndarray) else Archive(found)
