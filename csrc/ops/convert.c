/* Conversions between types of elements. The loops are kernels, which convert from and to
** reals. */
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "ops/copy.h"

static void to_reals(df_real *y, df_dtype from, const void *x, df_int n) {
  const df_kernels *k = df_kernel();
  switch (from) {
  case DF_F32: k->from_f32(y, x, n); break;
  case DF_F64: k->from_f64(y, x, n); break;
  case DF_F16: k->from_f16(y, x, n); break;
  case DF_BF16: k->from_bf16(y, x, n); break;
  case DF_U8: k->from_u8(y, x, n); break;
  case DF_I64: k->from_i64(y, x, n); break;
  default: break; /* blocks have readers of their own: stored.h */
  }
}

static void from_reals(df_dtype to, void *y, const df_real *x, df_int n) {
  const df_kernels *k = df_kernel();
  switch (to) {
  case DF_F32: k->to_f32(y, x, n); break;
  case DF_F64: k->to_f64(y, x, n); break;
  case DF_F16: k->to_f16(y, x, n); break;
  case DF_BF16: k->to_bf16(y, x, n); break;
  case DF_U8: k->to_u8(y, x, n); break;
  case DF_I64: k->to_i64(y, x, n); break;
  default: break; /* blocks have readers of their own: stored.h */
  }
}

/* As the kernel to_i64: NaN becomes 0, and a number that doesn't fit the nearest one that
** does. */
static int64_t whole_of(double x) {
  const double end = 9223372036854775808.0;
  if (isnan(x)) return 0;
  return x >= end ? INT64_MAX : x < -end ? INT64_MIN : (int64_t)x;
}

/* i64 and f64 must not pass through float, which would lose digits. */
static bool wide(df_dtype to, void *y, df_dtype from, const void *x, df_int n) {
  if (from == DF_I64 && to == DF_F64) {
    for (df_int i = 0; i < n; i++) ((double *)y)[i] = (double)((const int64_t *)x)[i];
  } else if (from == DF_F64 && to == DF_I64) {
    for (df_int i = 0; i < n; i++) ((int64_t *)y)[i] = whole_of(((const double *)x)[i]);
  } else {
    return false;
  }
  return true;
}

#define BLOCK 1024

void df_dtype_convert(df_dtype to, void *y, df_dtype from, const void *x, df_int n) {
  if (to == from) {
    if (n > 0) memcpy(y, x, (size_t)n * (size_t)df_dtype_size(to));
  } else if (to == DF_REAL) {
    to_reals(y, from, x, n);
  } else if (from == DF_REAL) {
    from_reals(to, y, x, n);
  } else if (!wide(to, y, from, x, n)) {
    df_real middle[BLOCK];
    for (df_int i = 0; i < n; i += BLOCK) {
      df_int m = df_min(BLOCK, n - i);
      to_reals(middle, from, (const char *)x + i * df_dtype_size(from), m);
      from_reals(to, (char *)y + i * df_dtype_size(to), middle, m);
    }
  }
}
