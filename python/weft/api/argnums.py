"""Which arguments a derivative is taken with respect to."""

from __future__ import annotations

from typing import Any

import numpy as np


def checked_argnums(argnums: Any) -> tuple[int, ...]:
    """``argnums`` as a tuple of ints.

    Raises
    ------
    TypeError
        It is something else.
    """
    nums = (argnums,) if isinstance(argnums, int | np.integer) else tuple(argnums)
    if not all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in nums):
        raise TypeError(f"argnums must be an int or a sequence of ints, got {argnums!r}")
    return tuple(int(n) for n in nums)


def resolved_argnums(nums: tuple[int, ...], count: int) -> tuple[int, ...]:
    """``argnums`` counted from the first argument.

    Raises
    ------
    ValueError
        There are not so many arguments.
    """
    for n in nums:
        if not -count <= n < count:
            raise ValueError(
                f"Positional argnums {n} out of range: differentiating with respect to argnums={nums} requires at least"
                f" {max(nums) + 1} positional arguments to be passed by the caller, but got only {count} positional"
                " arguments."
            )
    return tuple(n % count for n in nums)
