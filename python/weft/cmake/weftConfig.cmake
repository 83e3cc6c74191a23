# find_package(weft CONFIG REQUIRED) gives weft_add_module. Found through `weft cmake-dir`; scikit-build-core finds it by
# itself where weft is among the build requirements.
#
#   weft_add_module(<name>
#     FROM <package, module, file.py or module:function>... | SOURCES <directory>
#     [DESTINATION <directory>] [MARCH <level>...] [DEPENDS <file>...])
#
# Builds the extension module <name> from exported functions, or from sources that `weft build --sources` wrote, in the
# target <name>; with DESTINATION it is installed there, with its .pyi. It is built again when a Python file changes that
# was imported for it. The property BUILT_MODULE of the target is the file.
include_guard(GLOBAL)

if(NOT Python_EXECUTABLE)
  find_package(Python 3.11 REQUIRED COMPONENTS Interpreter)
endif()
execute_process(
  COMMAND "${Python_EXECUTABLE}" -c "import sysconfig, weft; print(sysconfig.get_config_var('EXT_SUFFIX'), end='')"
  OUTPUT_VARIABLE weft_SUFFIX ERROR_VARIABLE weft_error RESULT_VARIABLE weft_failed)
if(weft_failed)
  message(FATAL_ERROR "weft cannot be imported by ${Python_EXECUTABLE}: install it there.\n${weft_error}")
endif()

function(weft_add_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "SOURCES;DESTINATION" "FROM;MARCH;DEPENDS")
  if(arg_UNPARSED_ARGUMENTS OR (NOT arg_FROM AND NOT arg_SOURCES) OR (arg_FROM AND arg_SOURCES))
    message(FATAL_ERROR "weft_add_module(${name}): write FROM with a package, module or file, or SOURCES with a directory"
                        " (${arg_UNPARSED_ARGUMENTS})")
  endif()
  set(directory "${CMAKE_CURRENT_BINARY_DIR}/weft/${name}")
  set(module "${directory}/${name}${weft_SUFFIX}")
  set(options --name ${name} -o "${directory}")
  if(arg_MARCH)
    string(REPLACE ";" "," levels "${arg_MARCH}")
    list(APPEND options --march ${levels})
  endif()
  if(arg_SOURCES)
    get_filename_component(sources "${arg_SOURCES}" ABSOLUTE)
    file(GLOB files CONFIGURE_DEPENDS "${sources}/${name}.pyi" "${sources}/${name}.cpp" "${sources}/${name}-*.cpp")
    list(APPEND arg_DEPENDS ${files})
    set(command build --from "${sources}" ${options})
    set(dependencies)
  else()
    set(targets)
    foreach(target IN LISTS arg_FROM)
      if(target MATCHES "\\.py(:.*)?$")
        string(REGEX REPLACE ":[A-Za-z_0-9]+$" "" file "${target}")
        string(REGEX MATCH ":[A-Za-z_0-9]+$" function "${target}")
        get_filename_component(file "${file}" ABSOLUTE)
        list(APPEND arg_DEPENDS "${file}")
        set(target "${file}${function}")
      endif()
      list(APPEND targets "${target}")
    endforeach()
    set(command build ${targets} ${options} --depfile "${directory}.d")
    set(dependencies DEPFILE "${directory}.d")
  endif()
  set(environment)
  if(CMAKE_CXX_COMPILER)
    set(environment "CXX=${CMAKE_CXX_COMPILER}")
  endif()
  add_custom_command(
    OUTPUT "${module}" "${directory}/${name}.pyi"
    COMMAND "${CMAKE_COMMAND}" -E env ${environment} "${Python_EXECUTABLE}" -m weft ${command}
    DEPENDS ${arg_DEPENDS}
    ${dependencies}
    WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
    COMMENT "weft build ${name}"
    VERBATIM)
  add_custom_target(${name} ALL DEPENDS "${module}" "${directory}/${name}.pyi")
  set_target_properties(${name} PROPERTIES BUILT_MODULE "${module}")
  if(arg_DESTINATION)
    install(PROGRAMS "${module}" DESTINATION "${arg_DESTINATION}")
    install(FILES "${directory}/${name}.pyi" DESTINATION "${arg_DESTINATION}")
  endif()
endfunction()
