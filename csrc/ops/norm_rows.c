#include "ops/norm_rows.h"

#define SPAN 16384 /* elements of a span, about */

df_norm_rows df_norm_rows_of(const df_tensor *x, int parts) {
  df_norm_rows r = { .C = x->shape.size[x->shape.ndim - 1] };
  r.rows = df_tensor_count(x) / r.C;
  r.span = df_max(SPAN / r.C, 1);
  r.part = r.rows / parts, r.per = df_ceil_div(r.part, r.span);
  r.spans = r.per * parts;
  return r;
}

void df_norm_rows_run(const df_norm_rows *r, df_task *task, void *context) {
  df_parallel(r->spans, df_max(SPAN / (r->span * r->C), 1), task, context);
}

df_int df_norm_rows_begin(const df_norm_rows *r, df_int span) {
  return span / r->per * r->part + span % r->per * r->span;
}

df_int df_norm_rows_end(const df_norm_rows *r, df_int span) {
  return df_min(df_norm_rows_begin(r, span) + r->span, (span / r->per + 1) * r->part);
}

typedef struct sums {
  const df_norm_rows *r;
  const double *sum;
  df_int stride, spans; /* spans of a part */
} sums;

static df_code fold_part(void *context, int part, df_real *to, df_real beta) {
  const sums *s = context;
  const double *sum = s->sum + part * s->spans * s->stride;
  for (df_int c = 0; c < s->r->C; c++) {
    double total = 0;
    for (df_int p = 0; p < s->spans; p++) total += sum[p * s->stride + c];
    if (beta != 0) total += (double)(beta * to[c]);
    to[c] = (df_real)total;
  }
  return DF_OK;
}

df_code df_norm_rows_fold(const df_norm_rows *r, const double *sum, df_int stride,
                          df_node *node, int operand) {
  sums s = { r, sum, stride, r->spans / df_sink_parts(node, operand) };
  return df_sink_by_parts(node, operand, fold_part, &s);
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
