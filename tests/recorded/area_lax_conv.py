"""Convolutions of lax."""

from __future__ import annotations

from typing import Any

import numpy as np
from recorded_cases import case


def image(*shape: int) -> Any:
    return np.sin(np.arange(float(np.prod(shape))) * 0.7).reshape(shape)


def kernel(*shape: int) -> Any:
    return np.cos(np.arange(float(np.prod(shape))) * 1.3).reshape(shape)


def conv(*args: Any, **options: Any) -> Any:
    return lambda j, x, w: j.lax.conv_general_dilated(x, w, *args, **options)


FIRST, LAST = None, ("NHWC", "HWIO", "NHWC")
A, B = image(2, 4, 7, 6), image(2, 7, 6, 4)
CASES = [
    case("valid", conv((1, 1), "VALID"), A, kernel(6, 4, 3, 2), grad=True, vmap=True),
    case("same_last", conv((2, 1), "SAME", None, (1, 2), LAST), B, kernel(3, 2, 4, 6), grad=True, vmap=True),
    case("negative_padding", conv((1, 2), [(1, 2), (-1, 1)]), A, kernel(6, 4, 3, 2), grad=True),
    case("same_lower", conv((1, 2), "SAME_LOWER", dimension_numbers=LAST), B, kernel(3, 2, 4, 6)),
    case("dilated_input", conv((1, 1), [(1, 2), (2, 1)], (2, 3), None, LAST), B, kernel(3, 2, 4, 6), grad=True, vmap=True),
    case("dilated_input_first", conv((1, 1), [(1, 0), (-1, 3)], (2, 3), (1, 2)), A, kernel(6, 4, 3, 2), grad=True),
    case("dilated_both", conv((2, 3), [(2, 2), (3, 1)], (2, 1), (2, 1)), A, kernel(6, 4, 3, 2), grad=True),
    case("mixed_layout", conv((1, 1), "SAME", dimension_numbers=("HWNC", "IOWH", "CHWN")), image(7, 6, 2, 4), kernel(4, 6, 2, 3), grad=True),
    case("groups", conv((1, 1), "VALID", feature_group_count=2), A, kernel(6, 2, 3, 2), grad=True, vmap=True),
    case("groups_last", conv((2, 1), "SAME", None, (1, 2), LAST, 2), B, kernel(3, 2, 2, 6), grad=True),
    case("groups_dilated", conv((1, 1), [(1, 2), (-1, 1)], (2, 3), None, LAST, 2), B, kernel(3, 2, 2, 6), grad=True),
    case("depthwise", conv((1, 1), "SAME", feature_group_count=4), A, kernel(8, 1, 3, 2), grad=True, vmap=True),
    case("depthwise_last", conv((2, 1), "SAME", None, (1, 2), LAST, 4), B, kernel(3, 2, 1, 4), grad=True),
    case("batch_groups", conv((1, 1), "VALID", batch_group_count=2), image(4, 3, 5, 4), kernel(6, 3, 3, 2), grad=True),
    case("batch_groups_last", conv((2, 1), "SAME", None, None, LAST, 1, 2), image(4, 5, 4, 3), kernel(3, 2, 3, 4), grad=True),
    case("line", conv((2,), [(1, 1)], dimension_numbers=("NWC", "OIW", "NWC")), image(2, 5, 3), kernel(4, 3, 3), grad=True),
    case("volume", conv((1, 1, 2), "SAME"), image(2, 3, 4, 5, 4), kernel(2, 3, 2, 2, 2), grad=True),
    case("no_sides", conv((), []), image(2, 3), kernel(4, 3), grad=True),
    case("one_by_one", conv((1, 1), "VALID"), image(2, 3, 4, 4), kernel(5, 3, 1, 1), grad=True, vmap=True),
    case("batch_groups_depthwise", conv((2, 1), "VALID", None, (1, 2), LAST, 1, 2), image(4, 5, 6, 1), kernel(3, 2, 1, 4), grad=True),
    case("no_room", conv((1, 1), [(1, 1), (1, 1)], (3, 1), (2, 1), LAST), image(2, 1, 4, 3), kernel(4, 2, 3, 2)),
    case("float32", conv((1, 1), "SAME", dimension_numbers=LAST), B.astype(np.float32), kernel(3, 2, 4, 6).astype(np.float32), rtol=1e-4, atol=1e-5),
    case("integers", conv((1, 1), "VALID"), (A * 9).astype(np.int32), (kernel(6, 4, 3, 2) * 9).astype(np.int32)),
    case("empty", conv((1, 1), "VALID"), image(2, 4, 2, 6), kernel(6, 4, 3, 2)),
    case("plain", lambda j, x, w: [j.lax.conv(x, w, (1, 2), "SAME"), j.lax.conv_with_general_padding(x, w, (1, 1), [(0, 0), (1, 1)], None, (2, 1))], A, kernel(6, 4, 3, 2), grad=True),
    case("transpose_same", lambda j, x, w: [j.lax.conv_transpose(x, w, (2, 3), p) for p in ("SAME", "VALID")], B, kernel(3, 2, 4, 6), grad=True, vmap=True),
    case("transpose_padding", lambda j, x, w: [j.lax.conv_transpose(x, w, (2, 2), [(1, 1), (0, 1)]), j.lax.conv_transpose(x, w, (1, 2), [(1, 1), (0, 1)], use_consistent_padding=True), j.lax.conv_transpose(x, w, (1, 1), "SAME", (2, 1))], B, kernel(3, 2, 4, 6)),
    case("transpose_kernel", lambda j, x, w: j.lax.conv_transpose(x, w, (2, 2), "SAME", transpose_kernel=True), B, kernel(3, 3, 6, 4)),
    case("patches", lambda j, x, w: [j.lax.conv_general_dilated_patches(x, (3, 2), (1, 2), "SAME"), j.lax.conv_general_dilated_patches(x, (2, 2), (1, 1), [(0, 1), (1, 0)], None, (2, 1), ("NCHW", "OIHW", "NHWC"))], A, np.zeros(1), grad=True),
]  # fmt: skip
