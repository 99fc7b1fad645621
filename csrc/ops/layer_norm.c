/* Layer normalisation (Ba et al. 2016) of each row of the last dimension. The mean is
** subtracted before anything is squared. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/kernels.h"
#include "ops/op.h"
#include "ops/norm_rows.h"

#define RUN 64 /* rows that are summed in reals before doubles take over */

typedef struct layer {
  df_norm_rows at;
  double tiny;
  const df_real *x, *w, *b; /* rows, C and C; w and b may be NULL */
  df_real *mean, *rstd;     /* rows */
  df_real *y;
  const df_real *dy;
  df_real *dx, beta;
  double *sum;      /* spans, 2, C: db, dw */
  df_real *scratch; /* spans, 4, C: a run of db, dw; h; dz w */
} layer;

/* y = x - mean, then minus its own mean. That is the rounding error of a mean far above
** the deviation. */
static void centre(df_real *y, const df_real *x, df_real mean, df_int C) {
  const df_kernels *k = df_kernel();
  df_real low = -mean;
  k->add(y, x, 1, &low, 0, C);
  low = (df_real)(-k->sum(y, C) / (double)C);
  k->add(y, y, 1, &low, 0, C);
}

/* h = (x - mean) rstd */
static void hat(df_real *h, const df_real *x, df_real mean, df_real rstd, df_int C) {
  centre(h, x, mean, C);
  df_kernel()->mul(h, h, 1, &rstd, 0, C);
}

/* ==== forward ======================================================================= */

static void forward_row(layer *l, df_int row) {
  const df_kernels *k = df_kernel();
  df_int C = l->at.C;
  const df_real *x = l->x + row * C;
  df_real *y = l->y + row * C;
  df_real mean = (df_real)(k->sum(x, C) / (double)C);
  centre(y, x, mean, C);
  df_real rstd = (df_real)(1 / sqrt(k->sum_squares(y, C) / (double)C + l->tiny));
  k->mul(y, y, 1, &rstd, 0, C);
  if (l->w) k->mul(y, y, 1, l->w, 1, C);
  if (l->b) k->add(y, y, 1, l->b, 1, C);
  l->mean[row] = mean, l->rstd[row] = rstd;
}

static void forward_spans(void *context, df_int begin, df_int end) {
  layer *l = context;
  const df_int behind = df_norm_rows_end(&l->at, end - 1);
  for (df_int row = df_norm_rows_begin(&l->at, begin); row < behind; row++)
    forward_row(l, row);
}

/* ==== backward ======================================================================
** With h = (x - mean) rstd, y = h w + b and g = dy w:
**   dw = sum(dy h), db = sum(dy)                over rows
**   dx = rstd (g - mean(g) - h mean(g h))       means over the row */

static void backward_row(const layer *l, df_int row, const df_real *h, df_real *g) {
  const df_kernels *k = df_kernel();
  df_int C = l->at.C;
  df_real *dx = l->dx + row * C, rstd = l->rstd[row];
  const df_real *dy = l->dy + row * C, *term[2] = { dy, h };
  if (l->w) {
    k->mul(g, dy, 1, l->w, 1, C);
    term[0] = g;
  }
  df_real constant = (df_real)(-(double)rstd * k->sum(term[0], C) / (double)C);
  df_real c[2] = { rstd, (df_real)(-(double)rstd * k->dot(term[0], h, C) / (double)C) };
  k->mix(dx, l->beta, c, term, 2, C);
  k->add(dx, dx, 1, &constant, 0, C);
}

/* Adds a run of reals to the span's doubles. */
static void flush(double *sum, df_real *some, df_int n) {
  for (df_int i = 0; i < n; i++) sum[i] += (double)some[i], some[i] = 0;
}

static void backward_span(const layer *l, df_int span) {
  df_int C = l->at.C, end = df_norm_rows_end(&l->at, span);
  double *sum = l->sum + span * 2 * C;
  df_real *some = l->scratch + span * 4 * C, *h = some + 2 * C;
  memset(sum, 0, (size_t)C * 2 * sizeof *sum);
  memset(some, 0, (size_t)C * 2 * sizeof *some);
  for (df_int row = df_norm_rows_begin(&l->at, span), done = 1; row < end;
       row++, done++) {
    hat(h, l->x + row * C, l->mean[row], l->rstd[row], C);
    df_kernel()->add(some, some, 1, l->dy + row * C, 1, C);
    df_kernel()->product(some + C, 1, 1, l->dy + row * C, 1, h, 1, C);
    if (l->dx) backward_row(l, row, h, h + C);
    if (done % RUN == 0) flush(sum, some, 2 * C);
  }
  flush(sum, some, 2 * C);
}

static void backward_spans(void *context, df_int begin, df_int end) {
  for (df_int span = begin; span < end; span++) backward_span(context, span);
}

static df_code layer_norm_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  const int of_w = df_sink_parts(node, 1),
            parts = of_w > 1 ? of_w : df_sink_parts(node, 2);
  layer l = { .at = df_norm_rows_of(node->keep[0], parts),
              .x = df_tensor_reals(node->keep[0]) };
  df_sink s;
  if (df_sink_open(node, 0, &s) != DF_OK) return df_error_code();
  l.mean = df_tensor_reals(node->keep[1]), l.rstd = l.mean + l.at.rows;
  l.w = node->keep[2] ? df_tensor_reals(node->keep[2]) : NULL;
  l.dy = df_tensor_reals(dy), l.dx = s.to, l.beta = s.beta;
  size_t sums = (size_t)(l.at.spans * 2 * l.at.C);
  l.sum = df_alloc(sums * sizeof *l.sum + 2 * sums * sizeof *l.scratch);
  if (!l.sum) return DF_MEMORY;
  l.scratch = (void *)(l.sum + sums);
  df_norm_rows_run(&l.at, backward_spans, &l);
  const df_int C = l.at.C;
  df_code code = df_norm_rows_fold(&l.at, l.sum + C, 2 * C, node, 1);
  if (code == DF_OK) code = df_norm_rows_fold(&l.at, l.sum, 2 * C, node, 2);
  df_free(l.sum);
  return code;
}

/* ==== the op ======================================================================== */

df_tensor *df_layer_norm(df_tape *tape, df_tensor *x, df_tensor *w, df_tensor *b,
                         double tiny) {
  static const df_op op = { "layer_norm", layer_norm_backward };
  df_tensor *of[3] = { x, w, b };
  if (!x || !df_all_dense(tape, of, 3)) return NULL;
  if (df_norm_rows_check("layer_norm", "w", of[1], of[0])
      || df_norm_rows_check("layer_norm", "b", of[2], of[0]))
    return NULL;
  layer l = { .at = df_norm_rows_of(of[0], 1), .x = df_tensor_reals(of[0]) };
  l.tiny = tiny;
  df_shape kept = { 2, { 2, l.at.rows } };
  df_tensor *y = df_result(tape, &of[0]->shape), *statistics = df_result(tape, &kept);
  if (!y || !statistics) return NULL;
  l.y = df_tensor_reals(y);
  l.w = w ? df_tensor_reals(of[1]) : NULL, l.b = b ? df_tensor_reals(of[2]) : NULL;
  l.mean = df_tensor_reals(statistics), l.rstd = l.mean + l.at.rows;
  df_norm_rows_run(&l.at, forward_spans, &l);
  df_tensor *keep[3] = { of[0], statistics, of[1] };
  df_note note = { .op = &op, .n = 3, .x = of, .kept = 3, .keep = keep };
  note.by_parts = 1u << 1 | 1u << 2;
  return df_tape_note(tape, y, note);
}
