// The binding object. Generated code knows nothing of Python or pybind11; its PyInit_<hash> calls weft_bind_module.
//
// This file is compiled once, when weft is installed, and linked into every artifact: compiling pybind11 takes seconds,
// linking it takes milliseconds.
#include <pybind11/pybind11.h>

#include "weft/abi.h"

namespace py = pybind11;

// The C++ driver's start files define this; a plain `ld -shared` does not use them.
// Defined in assembly, since compilers declare it themselves.
asm(".pushsection .data\n"
    ".weak __dso_handle\n"
    ".hidden __dso_handle\n"
    ".balign 8\n"
    "__dso_handle: .quad 0\n"
    ".popsection");

extern "C" __attribute__((visibility("hidden"))) void* weft_bind_module(const WeftArtifact* artifact) {
  try {
    if (artifact->abi != WEFT_ABI_VERSION)
      throw py::import_error("this artifact was built for another version of weft");
    auto module = py::module_::create_extension_module(artifact->name, nullptr, new PyModuleDef);
    py::dict entries;
    for (int index = 0; index < artifact->count; ++index) {
      auto* entry = reinterpret_cast<void*>(artifact->entries[index]);
      entries[artifact->names[index]] = py::reinterpret_steal<py::object>(PyCapsule_New(entry, "weft.entry", nullptr));
    }
    module.attr("meta") = py::str(artifact->meta);
    module.attr("entries") = entries;
    return module.release().ptr();
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_ImportError, error.what());
  }
  return nullptr;
}
