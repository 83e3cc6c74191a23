// A vector of trivial elements that lives on the stack until it outgrows it.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>

namespace weft {

template <class T, std::size_t N>
class Small {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_default_constructible_v<T>);

 public:
  Small() = default;
  Small(const Small&) = delete;
  Small& operator=(const Small&) = delete;
  ~Small() {
    if (data_ != inline_) std::free(data_);
  }

  std::size_t size() const { return size_; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](std::size_t index) { return data_[index]; }
  const T& operator[](std::size_t index) const { return data_[index]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

  void push(const T& value) { *extend(1) = value; }
  // Makes room for `count` more, uninitialised, and returns the first of them.
  T* extend(std::size_t count) {
    if (size_ + count > capacity_) grow(size_ + count);
    T* first = data_ + size_;
    size_ += count;
    return first;
  }
  void truncate(std::size_t size) { size_ = size; }

 private:
  void grow(std::size_t least) {
    std::size_t capacity = capacity_ * 2 > least ? capacity_ * 2 : least;
    T* data = static_cast<T*>(std::malloc(capacity * sizeof(T)));
    if (!data) throw std::bad_alloc();
    if (size_) std::memcpy(static_cast<void*>(data), data_, size_ * sizeof(T));
    if (data_ != inline_) std::free(data_);
    data_ = data;
    capacity_ = capacity;
  }

  std::size_t size_ = 0;
  std::size_t capacity_ = N;
  T* data_ = inline_;
  T inline_[N];
};

}  // namespace weft
