// What fake_nccl.cpp needs of the fake driver, and reductions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

struct Stream;
extern "C" {
void fake_lock();
void fake_unlock();
int fake_called(const char* name);
void fake_violate(const char* text);
int fake_current();
void fake_set_current(int number);
int fake_stream_device(Stream* stream);
unsigned long long fake_stream_end(Stream* stream);
int fake_advance(Stream* stream, unsigned long long place);
void fake_enqueue(Stream* stream, int (*action)(void*), void* env);
int fake_inside(int number, const void* memory, std::size_t bytes);
void fake_open_memory(int number);
void fake_close_memory(int number);
}

namespace fake {

enum { kSum, kProduct, kMax, kMin };

template <class T>
T joined(T left, T right, int operation) {
  if (operation == kSum) {
    if constexpr (std::is_integral_v<T>) {
      using Bits = std::make_unsigned_t<T>;
      return static_cast<T>(static_cast<Bits>(left) + static_cast<Bits>(right));
    }
    return static_cast<T>(left + right);
  }
  return operation == kMax ? std::max(left, right) : std::min(left, right);
}

template <class T>
void reduce(char* into, const std::vector<std::string>& all, std::size_t from, std::size_t count, int operation) {
  for (std::size_t k = 0; k < count; ++k) {
    T sum{}, value{};
    for (std::size_t member = 0; member < all.size(); ++member) {
      std::memcpy(&value, all[member].data() + (from + k) * sizeof(T), sizeof(T));
      sum = member == 0 ? value : joined(sum, value, operation);
    }
    std::memcpy(into + k * sizeof(T), &sum, sizeof(T));
  }
}

using Reduce = void (*)(char*, const std::vector<std::string>&, std::size_t, std::size_t, int);
constexpr Reduce kReduce[] = {reduce<signed char>, reduce<unsigned char>, reduce<int>,
                              reduce<unsigned>,    reduce<long long>,     reduce<unsigned long long>,
                              reduce<_Float16>,    reduce<float>,         reduce<double>};

}  // namespace fake
