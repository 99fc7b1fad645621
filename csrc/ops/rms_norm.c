/* Root mean square normalisation (Zhang & Sennrich 2019) of each row of the last
** dimension. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/kernels.h"
#include "ops/op.h"
#include "ops/norm_rows.h"

typedef struct rms {
  df_norm_rows at;
  double tiny;
  const df_real *x, *w; /* rows and C; w may be NULL */
  df_real *scale;       /* rows: 1 / sqrt(mean of squares + tiny) */
  df_real *y;
  const df_real *dy;
  df_real *dx, beta;
  double *dw;   /* spans, C */
  df_real *row; /* spans, 2, C: h, dy w */
} rms;

/* ==== forward ======================================================================= */

static void forward_row(rms *r, df_int row) {
  const df_kernels *k = df_kernel();
  df_int C = r->at.C;
  const df_real *x = r->x + row * C;
  df_real *y = r->y + row * C;
  df_real scale = (df_real)(1 / sqrt(k->sum_squares(x, C) / (double)C + r->tiny));
  k->mul(y, x, 1, &scale, 0, C);
  if (r->w) k->mul(y, y, 1, r->w, 1, C);
  r->scale[row] = scale;
}

static void forward_spans(void *context, df_int begin, df_int end) {
  rms *r = context;
  const df_int behind = df_norm_rows_end(&r->at, end - 1);
  for (df_int row = df_norm_rows_begin(&r->at, begin); row < behind; row++)
    forward_row(r, row);
}

/* ==== backward ======================================================================
** With h = x scale, y = h w and g = dy w:
**   dw = sum(dy h)                   over rows
**   dx = scale (g - h mean(g h))     the mean over the row */

static void backward_row(const rms *r, df_int row, const df_real *h, df_real *g) {
  const df_kernels *k = df_kernel();
  df_int C = r->at.C;
  const df_real *dy = r->dy + row * C, scale = r->scale[row], *term[2] = { dy, h };
  if (r->w) {
    k->mul(g, dy, 1, r->w, 1, C);
    term[0] = g;
  }
  df_real c[2] = { scale, (df_real)(-(double)scale * k->dot(term[0], h, C) / (double)C) };
  k->mix(r->dx + row * C, r->beta, c, term, 2, C);
}

static void backward_span(const rms *r, df_int span) {
  df_int C = r->at.C;
  double *dw = r->dw + span * C;
  df_real *h = r->row + span * 2 * C;
  memset(dw, 0, (size_t)C * sizeof *dw);
  const df_int behind = df_norm_rows_end(&r->at, span);
  for (df_int row = df_norm_rows_begin(&r->at, span); row < behind; row++) {
    const df_real *dy = r->dy + row * C;
    df_kernel()->mul(h, r->x + row * C, 1, r->scale + row, 0, C);
    for (df_int c = 0; c < C; c++) dw[c] += (double)dy[c] * (double)h[c];
    if (r->dx) backward_row(r, row, h, h + C);
  }
}

static void backward_spans(void *context, df_int begin, df_int end) {
  for (df_int span = begin; span < end; span++) backward_span(context, span);
}

static df_code rms_norm_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  rms r = { .at = df_norm_rows_of(node->keep[0], df_sink_parts(node, 1)),
            .x = df_tensor_reals(node->keep[0]) };
  df_sink s;
  if (df_sink_open(node, 0, &s) != DF_OK) return df_error_code();
  r.scale = df_tensor_reals(node->keep[1]);
  r.w = node->keep[2] ? df_tensor_reals(node->keep[2]) : NULL;
  r.dy = df_tensor_reals(dy), r.dx = s.to, r.beta = s.beta;
  size_t sums = (size_t)(r.at.spans * r.at.C);
  r.dw = df_alloc(sums * sizeof *r.dw + 2 * sums * sizeof *r.row);
  if (!r.dw) return DF_MEMORY;
  r.row = (void *)(r.dw + sums);
  df_norm_rows_run(&r.at, backward_spans, &r);
  df_code code = df_norm_rows_fold(&r.at, r.dw, r.at.C, node, 1);
  df_free(r.dw);
  return code;
}

/* ==== the op ======================================================================== */

df_tensor *df_rms_norm(df_tape *tape, df_tensor *x, df_tensor *w, double tiny) {
  static const df_op op = { "rms_norm", rms_norm_backward };
  df_tensor *of[2] = { x, w };
  if (!x || !df_all_dense(tape, of, 2)
      || df_norm_rows_check("rms_norm", "w", of[1], of[0]) != DF_OK)
    return NULL;
  rms r = { .at = df_norm_rows_of(of[0], 1), .x = df_tensor_reals(of[0]) };
  r.tiny = tiny;
  df_tensor *y = df_result(tape, &of[0]->shape);
  df_tensor *scale = df_result(tape, &(df_shape){ 1, { r.at.rows } });
  if (!y || !scale) return NULL;
  r.y = df_tensor_reals(y), r.scale = df_tensor_reals(scale);
  r.w = w ? df_tensor_reals(of[1]) : NULL;
  df_norm_rows_run(&r.at, forward_spans, &r);
  df_tensor *keep[3] = { of[0], scale, of[1] };
  df_note note = { .op = &op, .n = 2, .x = of, .kept = 3, .keep = keep };
  note.by_parts = 1u << 1;
  return df_tape_note(tape, y, note);
}
