// Signature keys that outlive a call: equality, hash, and the Python object that holds one.
#pragma once

#include <cstdint>
#include <vector>

#include "weft/frame.h"

namespace weft {

struct Key {
  std::vector<Word> words;
  std::vector<Ref> statics;

  // A copy of a frame's words and statics from a mark on.
  static Key copy(const Frame& frame, std::size_t from_word, std::size_t from_static);

  int visit(visitproc visit, void* arg) const;
};

// Whether two static objects would be staged alike: the same object, or of one type and equal. Numbers inside tuples
// compare by type as well (1 == True == 1.0 in Python), floats by their bits. -1 with a Python error.
int same_static(PyObject* left, PyObject* right);

int same_key(const Key& left, const Key& right);

// Whether the frame's part from the marks on equals the key; -1 with a Python error.
int matches(const Key& key, const Frame& frame, std::size_t from_word, std::size_t from_static);

// False with a Python error set (TypeError: something static is not hashable).
bool hash_frame(const Frame& frame, std::uint64_t* hash);
bool hash_key(const Key& key, std::uint64_t* hash);  // the same value; the TypeError is Python's own

extern PyTypeObject* key_type;  // weft._runtime.Key
PyObject* make_key(Key key, std::uint64_t hash);
const Key& key_of(PyObject* object);
std::uint64_t key_hash_of(PyObject* object);
int add_key_type(PyObject* module);

}  // namespace weft
