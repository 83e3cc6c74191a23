"""The primitives, one file per family. Importing this package declares them all."""

from weft.primitives import (  # noqa: F401
    decompositions,
    effects,
    elementwise,
    fft,
    indexing,
    linalg,
    reduction,
    scan,
    shape,
    solves,
    sorting,
    special,
)  # fmt: skip
