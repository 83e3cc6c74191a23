// NumPy's type numbers, by which the runtime knows the dtype of a value that generated code hands over.
#pragma once

#include "scalar.h"

namespace weft {

struct c64;
struct c128;

template <class T>
struct number;
template <class T>
inline constexpr int number_of = number<T>::value;
#define WEFT_NUMBER(T, n)           \
  template <>                       \
  struct number<T> {                \
    static constexpr int value = n; \
  };
WEFT_NUMBER(bool, 0)
WEFT_NUMBER(i8, 1)
WEFT_NUMBER(u8, 2)
WEFT_NUMBER(i16, 3)
WEFT_NUMBER(u16, 4)
WEFT_NUMBER(i32, 5)
WEFT_NUMBER(u32, 6)
WEFT_NUMBER(i64, 7)
WEFT_NUMBER(u64, 8)
WEFT_NUMBER(f32, 11)
WEFT_NUMBER(f64, 12)
WEFT_NUMBER(c64, 14)
WEFT_NUMBER(c128, 15)
#ifdef WEFT_HAS_F16
WEFT_NUMBER(f16, 23)
#endif

#undef WEFT_NUMBER

}  // namespace weft
