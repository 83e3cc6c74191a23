// Special functions of float64, by name.
#pragma once

namespace weft {

struct SpecialFunction {
  const char* name;
  int arity;
  // y[i] = f(x[0][i], x[1][i], ...) for i < n
  void (*run)(double* y, const double* const* x, long long n);
};

// nullptr for a name that is not there.
const SpecialFunction* special_function(const char* name);

}  // namespace weft
