/* What most ops begin with: dense reals, whatever the operand's strides and type. */
#include <math.h>

#include "ops/op.h"
#include "ops/sink.h"

static df_code pass_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  return df_sink_pass(node, 0, dy);
}

static const df_op op = { "to", pass_backward };

/* Doubles in the float build would silently lose their digits. */
static bool computable(df_dtype dtype) { return dtype != DF_F64 || DF_REAL == DF_F64; }

static df_tensor *copy(df_tape *tape, df_tensor *x, df_dtype dtype) {
  df_tensor *y = df_scope_own(tape, df_tensor_new(dtype, &x->shape));
  if (!y) return NULL;
  df_tensor_copy(y, x);
  if (!df_dtype_is_float(dtype)) return y; /* steps: no slope */
  return df_tape_note(tape, y, (df_note){ .op = &op, .n = 1, .x = (df_tensor *[]){ x } });
}

/* Beyond this, neighbours among whole numbers would be one real. */
#define WHOLE_MAX (DF_REAL == DF_F64 ? 9007199254740992.0 : 16777216.0)

static df_tensor *reals_of_whole(df_tape *tape, df_tensor *x) {
  df_tensor *y = copy(tape, x, DF_REAL);
  for (df_int i = 0; y && i < df_tensor_count(y); i++)
    if (fabs((double)df_tensor_reals(y)[i]) >= WHOLE_MAX)
      return df_fail_null(DF_MISUSE,
                          "a tensor %s of i64 holds about %.0f: from %.0f on, %s rounds "
                          "whole numbers; x:to \"%s\" first where that may be",
                          df_tensor_text(x), (double)df_tensor_reals(y)[i], WHOLE_MAX,
                          df_dtype_name(DF_REAL), df_dtype_name(DF_REAL));
  return y;
}

df_tensor *df_dense(df_tape *tape, df_tensor *x) {
  if (!x) return NULL;
  if (x->dtype == DF_REAL && x->form == DF_ROWS && df_tensor_is_dense(x)) return x;
  if (!computable(x->dtype))
    return df_fail_null(DF_MISUSE,
                        "a tensor %s of f64: doubles are computed in the "
                        "verification build (DIFFUSION_PRECISION=double); "
                        "x:to \"f32\" first",
                        df_tensor_text(x));
  return x->dtype == DF_I64 ? reals_of_whole(tape, x) : copy(tape, x, DF_REAL);
}

df_tensor *df_to(df_tape *tape, df_tensor *x, df_dtype dtype) {
  if (!x || x->dtype == dtype) return x;
  return copy(tape, x, dtype);
}
