// weft._runtime.Dispatcher: the callable that weft.jit returns.
//
// A call is flattened into a Frame, its key is looked up, and the first plan that applies runs: no Python object is
// made on the way. When none applies, slow(args, kwargs) answers.
#pragma once

#include "weft/python.h"

namespace weft {

int add_dispatcher_type(PyObject* module);

// While on, no plan answers a call by itself: slow(args, kwargs) gets them all, and may run plans.
void set_watched(bool on);

}  // namespace weft
