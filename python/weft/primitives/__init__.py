"""The primitives, one file per family. Importing this package declares them all."""

from weft.primitives import (  # noqa: F401
    bits,
    callbacks,
    collective,
    decompositions,
    effects,
    elementwise,
    fft,
    indexing,
    linalg,
    random,
    reduction,
    scan,
    shape,
    solves,
    sorting,
    special,
    special_integrals,
)  # fmt: skip
