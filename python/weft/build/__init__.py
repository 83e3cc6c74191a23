"""From C++ text to a loaded extension module: compilers, the artifact cache, the index for warm starts."""
