"""What of NumPy's and JAX's arrays `weft.Array` and staged values have not, and what to write instead."""

from __future__ import annotations

_CHANGE = "arrays are immutable"

#: The names, and what an AttributeError says of each.
MISSING: dict[str, str] = {
    name: f": {text}"
    for name, text in {
        "fill": f"{_CHANGE}: write x = weft.numpy.full_like(x, value)",
        "put": f"{_CHANGE}: write x = x.ravel().at[indices].set(values).reshape(x.shape)",
        "itemset": f"{_CHANGE}: write x = x.at[index].set(value)",
        "partition": f"{_CHANGE}: write x = weft.numpy.partition(x, kth)",
        "resize": f"{_CHANGE}: write x = weft.numpy.resize(x, shape), or x.reshape(shape)",
        "setfield": f"{_CHANGE}: write x.view(dtype), and .at on it",
        "setflags": f"{_CHANGE}: numpy.array(x) is a copy that can be written",
        "getfield": "write x.view(dtype) and index it",
        "base": "whether arrays share memory cannot be told, as none of them changes",
        "flags": "write numpy.asarray(x).flags",
        "strides": "arrays are row-major; numpy.asarray(x).strides has them",
        "data": "write memoryview(x)",
        "unsafe_buffer_pointer": "write numpy.asarray(x).ctypes.data",
        "on_device_size_in_bytes": "write x.nbytes",
        "platform": "write x.device.platform",
        "clone": "the array itself serves, as it never changes",
        "ctypes": "write numpy.asarray(x).ctypes",
        "flat": "write x.ravel()",
        "dump": "write pickle.dump(x, file), or numpy.save(file, x)",
        "dumps": "write pickle.dumps(x)",
        "tofile": "write numpy.asarray(x).tofile(file)",
        "newbyteorder": "elements have the machine's byte order; x.byteswap() swaps them",
        "format": "arrays are row-major",
        "delete": "memory is freed with the last reference: del x",
        "aval": "x.shape and x.dtype say it",
        "traceback": "where an array was made is not kept",
        "device_buffer": "the array itself is one",
        "device_buffers": "the array itself is one",
    }.items()
}

#: What staged code writes in place of attributes of NumPy's arrays that are not compiled.
COMPILED: dict[str, str] = {
    "flat": "write x.ravel()",
    "put": "write np.put(x, indices, values)",
    "itemset": "write x[index] = value",
    "byteswap": "swap the bytes before the call, or of the results",
    "tobytes": "return the array",
    "tofile": "return the array",
    "dump": "return the array",
    "dumps": "return the array",
    "device": "compiled code runs where its arguments lie",
    "devices": "compiled code runs where its arguments lie",
    "sharding": "compiled code runs where its arguments lie",
    "addressable_shards": "compiled code runs where its arguments lie",
    "addressable_data": "compiled code runs where its arguments lie",
    "global_shards": "compiled code runs where its arguments lie",
    "resize": "write x = np.resize(x, shape)",
}


def remedy(name: str, weft: bool) -> str:
    """What to write in staged code for an attribute that arrays (weft's, or NumPy's) have not; "" if unknown."""
    said = MISSING.get(name, "").removeprefix(": ") if weft else ""
    return said or COMPILED.get(name, "")
