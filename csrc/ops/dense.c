/* Dense reals from operands of any strides and type. Most ops begin with them. */
#include "ops/op.h"
#include "ops/sink.h"
#include "ops/whole.h"

static df_code pass_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  return df_sink_pass(node, 0, dy);
}

/* In the float build, doubles would silently lose their digits. */
static bool computable(df_dtype dtype) { return dtype != DF_F64 || DF_REAL == DF_F64; }

static df_tensor *copy(df_tape *tape, df_tensor *x, df_dtype dtype) {
  static const df_op op = { "to", pass_backward };
  df_tensor *y = df_scope_own(tape, df_tensor_new(dtype, &x->shape));
  if (!y) return NULL;
  df_tensor_copy(y, x);
  if (!df_dtype_is_float(dtype)) return y; /* a step function has no slope */
  return df_tape_note(tape, y, (df_note){ .op = &op, .n = 1, .x = (df_tensor *[]){ x } });
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
  return df_whole_fits(x, DF_REAL) == DF_OK ? copy(tape, x, DF_REAL) : NULL;
}

bool df_all_dense(df_tape *tape, df_tensor **x, int n) {
  for (int i = 0; i < n; i++) {
    if (!x[i]) continue;
    x[i] = df_dense(tape, x[i]);
    if (!x[i]) return false;
  }
  return true;
}

df_tensor *df_to(df_tape *tape, df_tensor *x, df_dtype dtype) {
  if (!x || x->dtype == dtype) return x;
  return copy(tape, x, dtype);
}
