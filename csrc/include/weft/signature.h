// A call's signature as Python objects, for the slow path and for error messages: read back from a frame's words.
#pragma once

#include <string>

#include "weft/frame.h"

namespace weft {

// Signature(key, leaves, args, kwargs, hidden, hidden_key, device): see dispatch's documentation in _runtime.pyi. The
// frame holds the arguments up to `arguments`, captured values after it.
PyObject* make_signature(Frame& frame, const Frame::Mark& arguments);

// Where a leaf, or static object, of the frame stands: "args[0]['w']". Never fails: "an argument" at the worst.
std::string path_of_leaf(const Frame& frame, std::size_t leaf);
std::string path_of_static(const Frame& frame, std::size_t fixed);

// Sets the TypeError for a static object that is not hashable.
void refuse_static(const Frame& frame, std::size_t fixed);

int add_signature_types(PyObject* module);

}  // namespace weft
