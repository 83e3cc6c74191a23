// One call's arguments, taken apart: leaves, their sizes, and the signature key.
//
// The key is a preorder walk of the arguments in 64-bit words (a tag, a count or dtype, size classes) and the static
// objects met on the way. Two calls with equal keys may share plans. A Signature (signature.cpp) is read back from it.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "weft/array.h"
#include "weft/placement.h"
#include "weft/python.h"
#include "weft/small.h"

namespace weft {

enum class Tag : std::uint8_t {
  // leaves
  py_float = 1,
  py_int,
  py_bool,
  py_complex,
  py_big_int,
  np_scalar,
  np_array,
  weft_array,
  // structure; the word's payload is the number of children
  arguments,  // and above 32 bits the platform
  keywords,
  tuple,
  list,
  dict,
  named_tuple,
  custom,
  none,
  fixed,
  // follow an array's word: more size classes; the earlier leaf that is the same object
  more_sizes,
  alias
};

using Word = std::uint64_t;
inline Word word(Tag tag, Word payload = 0) { return static_cast<Word>(tag) | payload << 8; }
inline Tag tag_of(Word value) { return static_cast<Tag>(value & 0xff); }
inline Word payload_of(Word value) { return value >> 8; }
inline bool is_leaf(Tag tag) { return tag <= Tag::weft_array; }
inline bool is_array_leaf(Tag tag) { return tag == Tag::np_array || tag == Tag::weft_array; }

struct Leaf {
  PyObject* object;  // owned by the frame
  void* data;        // null: in `value`
  const npy_intp* dims;
  int dtype;
  int rank;
  int alias;  // an earlier leaf that is the same ndarray, or -1
  Tag tag;
  bool plain;  // row-major, aligned, native: a kernel can use the memory as it is
  alignas(16) unsigned char value[16];

  void* address() { return data ? data : value; }
};

// What a dispatcher knows about how to take arguments apart.
class Flattener {
 public:
  Ref custom;                     // obj -> None or (children, aux)
  std::vector<long> static_nums;  // negative ones count from the end
  std::vector<Ref> static_names;
  bool spreads = false;  // its programs run on many devices: arguments may lie on any of them

  enum class Role : std::uint8_t { np_scalar, array_subclass, custom, fields, named_tuple, fixed, refused };
  struct Known {
    Ref type;
    Role role;
    int dtype;
    int offset;  // of a NumPy scalar's value, or -1
    std::size_t bytes;
    Ref children;   // of fields: the names of the attributes that are children,
    Ref auxiliary;  // and of those that are fixed; null: the names of the children are
  };
  std::unordered_map<PyTypeObject*, Known> types;
  std::uint64_t epoch = 0;  // in which `types` was filled

  bool is_static(Py_ssize_t index, Py_ssize_t count) const {
    for (long number : static_nums) {
      if (number == index || number + count == index) return true;
    }
    return false;
  }
  bool is_static(PyObject* name) const;
};

// Called when a class became a container: what was known of classes may be wrong.
void forget_classes();

class Frame {
 public:
  explicit Frame(Flattener& flattener) : flattener_(flattener) {}
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;
  ~Frame() { release(0, 0); }

  // Each returns false with a Python error set.
  bool add_call(PyObject* const* args, Py_ssize_t count, PyObject* names) {
    return add_arguments(args, count, names) && (__builtin_expect(!devices_in_use, 1) || add_platform());
  }
  bool add_call(PyObject* args, PyObject* kwargs);  // a tuple and a dict (or null)
  bool add(PyObject* object);

  struct Mark {
    std::size_t words, statics, leaves, sizes, ints;
    Placement placement;
  };
  Mark mark() const { return {words.size(), statics.size(), leaves.size(), sizes.size(), ints.size(), placement}; }
  void rewind(const Mark& mark);

  // sizes, then the int leaves' values: what guards index. Valid until the next add or rewind.
  const npy_intp* table();
  std::size_t table_size() const { return sizes.size() + ints.size(); }

  // The device that the call runs on, the first of several if it spreads; null with a Python error (arrays are
  // committed to several).
  Device* target();

  Small<Word, 48> words;
  Small<PyObject*, 16> statics;  // owned
  Small<Leaf, 10> leaves;
  Small<npy_intp, 48> sizes;  // all dims of all array leaves
  Small<npy_intp, 16> ints;
  Placement placement;
  bool pending = false;  // an array among the leaves may not be computed yet
  bool big_int = false;  // an int beyond int64 is among the leaves: no plan applies

 private:
  bool add_platform();  // to the key: programs for different platforms are kept apart
  bool add_arguments(PyObject* const* args, Py_ssize_t count, PyObject* names);
  bool add_array(PyArrayObject* array);
  void add_weft_array(ArrayObject* array);
  bool add_np_scalar(PyObject* object, const Flattener::Known& known);
  bool add_other(PyObject* object);
  bool add_fields(PyObject* object, const Flattener::Known& known);
  bool add_dict(PyObject* object);
  bool add_children(PyObject* sequence, Tag tag);
  const Flattener::Known* classify(PyObject* object, Ref* parts);
  bool push_custom(PyObject* object, PyObject* parts);
  void add_static(PyObject* object) {
    words.push(word(Tag::fixed));
    push_static(object);
  }
  void push_static(PyObject* object) {
    Py_INCREF(object);
    statics.push(object);
  }
  Leaf& push_leaf(PyObject* object, Tag tag, int dtype, int rank);
  void push_sizes(Tag tag, const Leaf& leaf);
  int find_alias(PyObject* object);
  void release(std::size_t from_static, std::size_t from_leaf);

  Flattener& flattener_;
  Small<int, 16> arrays_;                        // indices of ndarray leaves, each array once
  std::unordered_map<PyObject*, int> index_of_;  // of the first `indexed_` of them
  std::size_t indexed_ = 0;
  Small<npy_intp, 64> table_;
};

}  // namespace weft
