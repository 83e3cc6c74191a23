"""Special functions: those of `scipy.special` that are compiled and differentiated. SciPy itself is not needed."""

from typing import Any

from weft.scipy.special import bessel, combinatorial, distributions, elementary, harmonics, primitive
from weft.scipy.special.bessel import *  # noqa: F403
from weft.scipy.special.combinatorial import *  # noqa: F403
from weft.scipy.special.distributions import *  # noqa: F403
from weft.scipy.special.elementary import *  # noqa: F403
from weft.scipy.special.harmonics import *  # noqa: F403
from weft.scipy.special.primitive import *  # noqa: F403
from weft.scipy.sums import log_softmax, logsumexp, softmax

_gammainc_da = primitive.gammainc_da

_WHY = {
    "wofz": "complex functions are not there: dawsn(x) and erfcx(x) are its parts on the axes",
    "jv": "Bessel functions of real order are not there: bessel_jn(x, v=order) gives those of whole orders",
    "jn": "use bessel_jn(x, v=order)[order]",
    "sph_harm": "use sph_harm_y, as in SciPy from 1.15 on",
    "lpmn": "it is not in SciPy from 1.17 on; sph_harm_y gives harmonics",
}


def __getattr__(name: str) -> Any:
    """What is not there, and why."""
    reason = f": {_WHY[name]}" if name in _WHY else ""
    raise AttributeError(f"module 'weft.scipy.special' has no attribute {name!r}{reason}")


__all__ = ["log_softmax", "logsumexp", "softmax"]
for _part in (bessel, combinatorial, distributions, elementary, harmonics, primitive):
    __all__ += _part.__all__
