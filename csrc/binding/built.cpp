// The binding object of modules built ahead of time: PyInit calls weft_bind_built, and the module's functions are made
// by weft.runtime.built of the weft that is installed where the module is imported.
#include <pybind11/pybind11.h>

#include "weft/built.h"

namespace py = pybind11;

namespace {

const WeftBuilt* built = nullptr;  // each module has an object of its own

py::list entries_of(int level) {
  py::list functions;
  for (int function = 0; function < built->functions; ++function) {
    const WeftEntry* entries = built->entries[level * built->functions + function];
    py::list found;
    for (int index = 0; index < built->counts[function]; ++index) {
      auto* entry = reinterpret_cast<void*>(entries[index]);
      found.append(py::reinterpret_steal<py::object>(PyCapsule_New(entry, "weft.entry", nullptr)));
    }
    functions.append(found);
  }
  return functions;
}

void fill(py::handle module) {
  py::object bind;
  try {
    bind = py::module_::import("weft.runtime.built").attr("bind");
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ModuleNotFoundError)) throw;
    std::string missing = py::str(error.value().attr("name"));
    if (missing.rfind("weft", 0) != 0) throw;
    std::string remedy = missing == "weft" ? "which is not installed: pip install weft"
                                           : "and the weft that is installed is too old: pip install -U weft";
    py::raise_from(error, PyExc_ImportError,
                   (std::string(built->name) + " was built with weft and needs its runtime, " + remedy).c_str());
    throw py::error_already_set();
  }
  py::list levels;
  for (int level = 0; level < built->level_count; ++level) {
    levels.append(py::make_tuple(built->levels[level].name, built->levels[level].needs, entries_of(level)));
  }
  bind(module, built->abi, built->meta, levels);
}

extern "C" int execute(PyObject* module) {
  try {
    fill(module);
    return 0;
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_ImportError, error.what());
  }
  return -1;
}

PyModuleDef_Slot slots[] = {{Py_mod_exec, reinterpret_cast<void*>(execute)}, {0, nullptr}};
PyModuleDef definition = {PyModuleDef_HEAD_INIT, nullptr, nullptr, 0, nullptr, slots, nullptr, nullptr, nullptr};

}  // namespace

extern "C" __attribute__((visibility("hidden"))) void* weft_bind_built(const WeftBuilt* given) {
  built = given;
  definition.m_name = given->name;
  return PyModuleDef_Init(&definition);
}
