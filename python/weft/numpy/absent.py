"""Names of `numpy` and `jax.numpy` that are not here, and what to write instead."""

from __future__ import annotations

_NARROW = "floating numbers have 16, 32 or 64 bits here: use float16, float32 or float64"
_WIDE = "there are no numbers of more than 64 bits here: use float64 or complex128"
_SMALL = "integers have 8, 16, 32 or 64 bits here: use int8 or uint8"
_DATES = "there are no arrays of dates here: use numpy, and pass numbers on"
_TEXT = "there are no arrays of text or raw bytes here: use numpy"
_ERRORS = "floating-point errors give nan and inf and are not signalled; weft.debug_nans finds where a nan arises"
_MATRIX = "arrays with two axes and @ take the place of matrices"
_LOOPS = "use numpy's over numpy.asarray(x), or a loop over indices"
_RECORDS = "there are no arrays with fields here: use a dict or a dataclass of arrays, which weft takes as a tree"
_NUMPY = "it is about NumPy itself: use numpy"
_FIXED = "arrays of weft never change and their memory is their own"

#: For each name, why it is not there and what to use.
ABSENT: dict[str, str] = {
    **dict.fromkeys(("bfloat16", "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn", "float8_e3m4", "float8_e4m3",
                     "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
                     "float8_e8m0fnu"), _NARROW),
    **dict.fromkeys(("longdouble", "clongdouble", "float128", "complex256"), _WIDE),
    **dict.fromkeys(("int1", "int2", "int4", "uint1", "uint2", "uint4"), _SMALL),
    **dict.fromkeys(("datetime64", "timedelta64", "datetime_as_string", "datetime_data", "busday_count",
                     "busday_offset", "busdaycalendar", "is_busday", "isnat"), _DATES),
    **dict.fromkeys(("str_", "bytes_", "char", "strings", "void"), _TEXT),
    **dict.fromkeys(("errstate", "seterr", "geterr", "seterrcall", "geterrcall", "getbufsize", "setbufsize",
                     "ComplexWarning"), _ERRORS),
    **dict.fromkeys(("matrix", "asmatrix", "bmat"), _MATRIX),
    **dict.fromkeys(("nditer", "nested_iters", "flatiter", "ndenumerate", "ndindex"), _LOOPS),
    **dict.fromkeys(("rec", "recarray", "record"), _RECORDS),
    **dict.fromkeys(("ctypeslib", "f2py", "get_include", "info", "lib", "show_config", "show_runtime", "test",
                     "testing", "typing", "core", "exceptions", "dtypes", "sctypeDict", "ScalarType", "typecodes",
                     "typename", "mintypecode"), _NUMPY),
    **dict.fromkeys(("may_share_memory", "shares_memory", "require", "isfortran", "memmap"), _FIXED),
    "broadcast": "use broadcast_arrays or broadcast_shapes",
    "emath": "use complex operands: sqrt(x + 0j)",
    "ma": "use a mask beside the array, where=, and the functions that ignore nan",
    "poly1d": "use the functions of coefficients: polyval, polyadd, polymul, polyder, roots",
    "polynomial": "use the functions of coefficients: polyval, polyadd, polymul, polyder, roots",
    "random": "use weft.random, whose functions take keys",
    "row_stack": "use vstack",
    "ufunc": "there is no class of ufuncs; vectorize and frompyfunc make functions of arrays",
    "False_": "use False",
    "True_": "use True",
}  # fmt: skip


def message(name: str) -> str:
    """What the AttributeError of a name says."""
    why = ABSENT.get(name)
    plain = f"module 'weft.numpy' has no attribute {name!r}"
    return plain if why is None else f"{plain}: {why}"
