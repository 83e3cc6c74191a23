// The extension module weft._runtime.
#define WEFT_IMPORTS_NUMPY
#include "weft/python.h"

#include <dlfcn.h>
#include <pybind11/pybind11.h>

#include "weft/abi.h"
#include "weft/array.h"
#include "weft/blas.h"
#include "weft/collective.h"
#include "weft/dispatch.h"
#include "weft/key.h"
#include "weft/operators.h"
#include "weft/plan.h"
#include "weft/pool.h"
#include "weft/signature.h"
#include "weft/special.h"
#include "weft/threads.h"

namespace py = pybind11;

namespace weft {
void add_device_functions(py::module_& m);  // device_python.cpp
void add_queue_functions(py::module_& m);   // queue_python.cpp
void add_pieces_functions(py::module_& m);  // pieces_python.cpp
void add_last_words(py::module_& m);        // last_words.cpp
}  // namespace weft

namespace {

// Until 3.12 a class made in Python does not inherit vectorcall, because it may be given a __call__ later; a subclass
// of Dispatcher that promises not to is called as fast as Dispatcher itself.
py::object inherit_vectorcall(py::object type) {
  auto* cls = reinterpret_cast<PyTypeObject*>(type.ptr());
  if (PyType_Check(type.ptr()) == 0 || cls->tp_base == nullptr ||
      (cls->tp_base->tp_flags & Py_TPFLAGS_HAVE_VECTORCALL) == 0 || cls->tp_call != cls->tp_base->tp_call) {
    throw py::type_error("inherit_vectorcall wants a subclass of Dispatcher without a __call__ of its own");
  }
  cls->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
  return type;
}

void set_array_class(const py::object& type) {
  if (!PyType_Check(type.ptr()) || !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type.ptr()), weft::array_base)) {
    throw py::type_error("set_array_class wants a subclass of ArrayBase");
  }
  auto* cls = reinterpret_cast<PyTypeObject*>(type.ptr());
  if (cls->tp_basicsize != weft::array_base->tp_basicsize || cls->tp_dictoffset != 0) {
    throw py::type_error("an array class has no instance dictionary: set __slots__ = ()");
  }
  weft::array_class = reinterpret_cast<PyTypeObject*>(py::object(type).release().ptr());
}

// A function of Python's own convention: pybind11's takes as long as a whole operation on a small array.
PyObject* call_eagerly(PyObject*, PyObject* const* values, Py_ssize_t count) {
  if (count != 3 || !PyTuple_CheckExact(values[1]) || !PyDict_CheckExact(values[2])) {
    PyErr_SetString(PyExc_TypeError, "call_eagerly wants a function, a tuple and a dict");
    return nullptr;
  }
  return weft::call_eagerly(values[0], values[1], values[2]);
}

PyMethodDef functions[] = {
    {"call_eagerly", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call_eagerly)), METH_FASTCALL,
     "call_eagerly(function, args, kwargs)\n--\n\nCall a function of NumPy arrays on arrays; its results become "
     "arrays."},
    {nullptr, nullptr, 0, nullptr}};

py::dict pool_statistics() {
  weft::PoolStatistics statistics = weft::pool_statistics();
  py::dict result;
  result["taken"] = statistics.taken;
  result["from_system"] = statistics.from_system;
  result["kept_bytes"] = statistics.kept_bytes;
  return result;
}

// The file that `symbol`'s definition was loaded from, "" when it cannot be told.
std::string file_of(const void* symbol) {
  Dl_info info;
  return symbol && dladdr(symbol, &info) && info.dli_fname ? info.dli_fname : "";
}

// What an artifact is linked with (see weft.runtime.paths): the very files this process has loaded.
std::string library_file(const std::string& name, const std::string& symbol) {
  void* handle = dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL);
  return handle ? file_of(dlsym(handle, symbol.c_str())) : "";
}

// out[i] = f(x[0][i], ...) for a special function of csrc/kernels, on contiguous arrays of float64.
void special(const std::string& name, const py::buffer& out, const py::args& xs) {
  const weft::SpecialFunction* function = weft::special_function(name.c_str());
  if (function == nullptr) throw py::key_error(name);
  if (static_cast<int>(xs.size()) != function->arity) throw py::type_error(name + ": wrong number of arguments");
  std::vector<py::buffer_info> held;
  held.push_back(out.request(true));
  for (const py::handle& x : xs) held.push_back(py::cast<py::buffer>(x).request());
  std::vector<const double*> operands;
  for (const py::buffer_info& b : held) {
    py::ssize_t step = sizeof(double);
    bool contiguous = b.format == py::format_descriptor<double>::format() && b.size == held[0].size;
    for (py::ssize_t k = b.ndim; k-- > 0; step *= b.shape[k]) contiguous = contiguous && b.strides[k] == step;
    if (!contiguous && b.size > 0) throw py::type_error(name + ": wants contiguous arrays of float64 of one size");
    operands.push_back(static_cast<const double*>(b.ptr));
  }
  py::gil_scoped_release free;
  function->run(static_cast<double*>(held[0].ptr), operands.data() + 1, held[0].size);
}

}  // namespace

PYBIND11_MODULE(_runtime, m) {
  m.doc() = "weft's runtime: memory pool, threads, arrays, dispatch.";
  if (_import_array() < 0) throw py::error_already_set();
  for (auto add : {weft::add_array_types, weft::add_key_type, weft::add_signature_types, weft::add_plan_type,
                   weft::add_collective_type, weft::add_dispatcher_type}) {
    if (add(m.ptr()) < 0) throw py::error_already_set();
  }
  weft::add_device_functions(m);
  weft::add_queue_functions(m);
  weft::add_pieces_functions(m);
  weft::add_last_words(m);
  if (PyModule_AddFunctions(m.ptr(), functions) < 0) throw py::error_already_set();
  m.attr("ABI_VERSION") = WEFT_ABI_VERSION;
  m.def("inherit_vectorcall", inherit_vectorcall, py::arg("cls"),
        "A class decorator: calls of this subclass of Dispatcher are as fast as Dispatcher's.");
  m.def("set_array_class", set_array_class, py::arg("cls"), "Make new arrays instances of this subclass of ArrayBase.");
  m.def(
      "set_operators",
      [](const py::object& operation, const py::object& subscript, const py::object& variable,
         const py::object& value) {
        weft::set_operators(operation.ptr(), subscript.ptr(), variable.ptr(), value.ptr());
      },
      py::arg("operation"), py::arg("subscript"), py::arg("variable"), py::arg("value"),
      "What operators and subscripts of arrays do with operands that C++ does not know; how NumPy's conditions are "
      "off.");
  m.def("set_thread_count", weft::set_thread_count, py::arg("count"), "Set how many threads parallel loops use.");
  m.def("thread_count", weft::thread_count, "How many threads parallel loops use.");
  m.def("set_blas_path", weft::set_blas_path, py::arg("path"), "Where OpenBLAS lies; it is opened at first use.");
  m.def("blas_library", weft::blas_library, "The library that matrix products run on, or ''.");
  m.def("forget_classes", weft::forget_classes, "Called when a class became a container.");
  m.def("set_watched", weft::set_watched, py::arg("on"), "Whether every call of a Dispatcher goes to its slow path.");
  m.def("special", special, py::arg("name"), py::arg("out"),
        "A special function of arrays of float64, by the name of its primitive, written to out.");
  m.def("pool_statistics", pool_statistics, "Counts of the memory pool.");
  m.def("pool_trim", weft::pool_trim, "Give the pool's free memory back to the system.");
  m.def("library_file", library_file, py::arg("name"), py::arg("symbol"),
        "The file of a shared library as this process loads it, or ''.");
}
