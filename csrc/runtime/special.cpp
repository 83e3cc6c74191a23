// The special functions of csrc/kernels on arrays: what the interpreter and eager evaluation call.
#include "weft/special.h"

#include "../kernels/incomplete.h"
#include "../kernels/integrals.h"

namespace weft {
namespace {

template <f64 (*f)(f64)>
void each1(f64* y, const f64* const* x, i64 n) {
  for (i64 i = 0; i < n; ++i) y[i] = f(x[0][i]);
}
template <f64 (*f)(f64, f64)>
void each2(f64* y, const f64* const* x, i64 n) {
  for (i64 i = 0; i < n; ++i) y[i] = f(x[0][i], x[1][i]);
}
template <f64 (*f)(f64, f64, f64)>
void each3(f64* y, const f64* const* x, i64 n) {
  for (i64 i = 0; i < n; ++i) y[i] = f(x[0][i], x[1][i], x[2][i]);
}
template <f64 (*f)(f64, f64, f64, f64)>
void each4(f64* y, const f64* const* x, i64 n) {
  for (i64 i = 0; i < n; ++i) y[i] = f(x[0][i], x[1][i], x[2][i], x[3][i]);
}

constexpr SpecialFunction table[] = {
    {"betainc", 3, each3<betainc>},     {"cosine_integral", 1, each1<cosine_integral>},
    {"dawsn", 1, each1<dawsn>},         {"erfcx", 1, each1<erfcx>},
    {"expi", 1, each1<expi>},           {"expn", 2, each2<expn>},
    {"fresnel_c", 1, each1<fresnel_c>}, {"fresnel_s", 1, each1<fresnel_s>},
    {"gammainc", 2, each2<gammainc>},   {"gammainc_da", 2, each2<gammainc_da>},
    {"gammaincc", 2, each2<gammaincc>}, {"hyp1f1", 3, each3<hyp1f1>},
    {"hyp2f1", 4, each4<hyp2f1>},       {"sine_integral", 1, each1<sine_integral>},
    {"spence", 1, each1<spence>},
};

}  // namespace

const SpecialFunction* special_function(const char* name) {
  for (const SpecialFunction& entry : table) {
    if (__builtin_strcmp(entry.name, name) == 0) return &entry;
  }
  return nullptr;
}

}  // namespace weft
