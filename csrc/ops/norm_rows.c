#include "ops/norm_rows.h"

#define PART 16384 /* elements of a part, about */

df_norm_rows df_norm_rows_of(const df_tensor *x) {
  df_norm_rows r = { .C = x->shape.size[x->shape.ndim - 1] };
  r.rows = df_tensor_count(x) / r.C;
  r.span = df_max(PART / r.C, 1), r.parts = df_ceil_div(r.rows, r.span);
  return r;
}

void df_norm_rows_run(const df_norm_rows *r, df_task *task, void *context) {
  df_parallel(r->parts, df_max(PART / (r->span * r->C), 1), task, context);
}

df_int df_norm_rows_end(const df_norm_rows *r, df_int part) {
  return df_min((part + 1) * r->span, r->rows);
}

df_code df_norm_rows_fold(const df_norm_rows *r, const double *sum, df_int stride,
                          df_node *node, int operand) {
  df_sink s;
  if (df_sink_open(node, operand, &s) != DF_OK) return df_error_code();
  if (!s.to) return DF_OK;
  for (df_int c = 0; c < r->C; c++) {
    double total = 0;
    for (df_int p = 0; p < r->parts; p++) total += sum[p * stride + c];
    if (s.beta != 0) total += (double)(s.beta * s.to[c]);
    s.to[c] = (df_real)total;
  }
  return DF_OK;
}

df_code df_norm_rows_check(const char *op, const char *what, const df_tensor *w,
                           const df_tensor *x) {
  if (x->shape.ndim < 1 || df_tensor_count(x) == 0)
    return df_fail(DF_MISUSE, "%s: x must be [...,C] with elements, it is %s", op,
                   df_tensor_text(x));
  df_int C = x->shape.size[x->shape.ndim - 1];
  if (!w || (w->shape.ndim == 1 && w->shape.size[0] == C)) return DF_OK;
  return df_fail(DF_MISUSE, "%s: %s is %s but rows of x %s have %td elements", op, what,
                 df_tensor_text(w), df_tensor_text(x), C);
}
