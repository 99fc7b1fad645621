/* Indices and classes: integers, read from tensors of any type. */
#include <math.h>
#include <stdio.h>

#include "ops/op.h"

#define BEYOND 9223372036854775808.0 /* 2^63, the first that i64 doesn't hold */

static bool is_whole(double x) { return x == floor(x) && x >= -BEYOND && x < BEYOND; }

static df_code refuse(const char *what, const df_tensor *x, df_int i, double value) {
  char number[32] = "";
  if (x->shape.ndim > 0) snprintf(number, sizeof number, " %td", i + 1);
  if (isnan(value)) value = NAN; /* without a sign */
  return df_fail(DF_MISUSE, "%s%s is %.7g, not a whole number of 64 bits", what, number,
                 value);
}

static df_code check_whole(df_tape *tape, const char *what, df_tensor *x) {
  if (!df_dtype_is_float(x->dtype)) return DF_OK;
  df_tensor *dense = df_scope_own(tape, df_tensor_new(DF_F64, &x->shape));
  if (!dense) return DF_MEMORY;
  df_tensor_copy(dense, x);
  const double *value = df_tensor_data(dense);
  for (df_int i = 0; i < df_tensor_count(x); i++)
    if (!is_whole(value[i])) return refuse(what, x, i, value[i]);
  return DF_OK;
}

df_tensor *df_dense_whole(df_tape *tape, df_tensor *x) {
  x = df_to(tape, x, DF_I64);
  return !x || df_tensor_is_dense(x) ? x : df_clone(tape, x);
}

df_tensor *df_indices(df_tape *tape, const char *what, df_tensor *x) {
  if (!x || check_whole(tape, what, x) != DF_OK) return NULL;
  return df_dense_whole(tape, x);
}
