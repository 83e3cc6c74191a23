# NumPy's headers, from the interpreter that builds the wheel: the target weft_numpy.
execute_process(
  COMMAND ${Python_EXECUTABLE} -c "import numpy; print(numpy.get_include())"
  OUTPUT_VARIABLE WEFT_NUMPY_INCLUDE
  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
add_library(weft_numpy INTERFACE)
target_include_directories(weft_numpy SYSTEM INTERFACE ${WEFT_NUMPY_INCLUDE})
