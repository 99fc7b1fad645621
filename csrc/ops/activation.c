/* Softmax and its logarithm along one dimension. Both work on rows. If it isn't the last
** dimension, it is swapped with the last and back. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/line.h"
#include "ops/op.h"
#include "ops/sink.h"

#define BLOCK 1024  /* reals of a buffer */
#define GRAIN 16384 /* elements of a chunk, about */

typedef struct rows { /* n elements each */
  df_real *to;
  df_real beta;
  const df_real *x, *dy;
  df_int n;
} rows;

static void run(const rows *r, df_int count, df_task *task) {
  if (r->n > 0) df_parallel(count / r->n, GRAIN / r->n + 1, task, (void *)r);
}

static df_int row_length(const df_tensor *x) {
  return x->shape.ndim ? x->shape.size[x->shape.ndim - 1] : 1;
}

/* y = f(x) along the last dimension; keeps y. */
static df_tensor *along_rows(df_tape *tape, const df_op *op, df_task *task,
                             df_tensor *x) {
  x = df_dense(tape, x);
  df_tensor *y = x ? df_result(tape, &x->shape) : NULL;
  if (!y) return NULL;
  rows r = { df_tensor_reals(y), 0, df_tensor_reals(x), NULL, row_length(x) };
  run(&r, df_tensor_count(x), task);
  df_note note = { .op = op, .n = 1, .x = &x, .kept = 1, .keep = &y };
  return df_tape_note(tape, y, note);
}

static df_code undo_rows(df_node *node, df_tensor *dy, df_task *task) {
  df_tensor *y = node->keep[0];
  df_sink s;
  if (df_sink_open(node, 0, &s) != DF_OK) return df_error_code();
  if (!s.to) return DF_OK;
  rows r = { s.to, s.beta, df_tensor_reals(y), df_tensor_reals(dy), row_length(y) };
  run(&r, df_tensor_count(y), task);
  return DF_OK;
}

static df_tensor *along(df_tape *tape, const df_op *op, df_task *task, df_tensor *x,
                        int dim) {
  if (!x) return NULL;
  int last = x->shape.ndim - 1, order[DF_DIMS];
  if (dim >= last) return along_rows(tape, op, task, x);
  for (int i = 0; i <= last; i++) order[i] = i;
  order[dim] = last, order[last] = dim;
  df_tensor *y = along_rows(tape, op, task, df_permute(tape, x, order));
  return df_dense(tape, y ? df_permute(tape, y, order) : NULL);
}

/* ==== softmax: y_i = e^x_i / sum_j e^x_j ============================================ */

static void softmax_rows(void *context, df_int begin, df_int end) {
  const rows *r = context;
  for (df_int i = begin; i < end; i++)
    df_kernel()->softmax(r->to + i * r->n, r->x + i * r->n, 1, r->n);
}

/* With y = softmax(x): dx = y (dy - sum(dy y)) */
static void softmax_back_rows(void *context, df_int begin, df_int end) {
  const rows *r = context;
  for (df_int i = begin; i < end; i++) {
    df_int at = i * r->n;
    df_kernel()->softmax_back(r->to + at, r->beta, r->dy + at, r->x + at, 1, r->n);
  }
}

static df_code softmax_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  return undo_rows(node, dy, softmax_back_rows);
}

df_tensor *df_softmax(df_tape *tape, df_tensor *x, int dim) {
  static const df_op op = { "softmax", softmax_backward };
  return along(tape, &op, softmax_rows, x, dim);
}

/* ==== log softmax: y_i = x_i - ln sum_j e^x_j ======================================= */

static void log_softmax_rows(void *context, df_int begin, df_int end) {
  const rows *r = context;
  df_real c[2];
  for (df_int i = begin; i < end; i++) {
    const df_real *x = r->x + i * r->n;
    df_log_shares_of(x, r->n, c);
    df_log_shares(r->to + i * r->n, x, c, r->n);
  }
}

/* A row of -inf has no shares and no slope: dx gets 0. */
static bool is_nothing(const df_real *y, df_int n) {
  return y[0] == -(df_real)INFINITY && df_kernel()->max(y, n) == -(df_real)INFINITY;
}

/* With y = x - ln sum_j e^x_j: dx = dy - e^y sum(dy) */
static void log_softmax_back_rows(void *context, df_int begin, df_int end) {
  const rows *r = context;
  const df_kernels *k = df_kernel();
  df_real p[BLOCK];
  for (df_int i = begin; i < end; i++) {
    const df_real *dy = r->dy + i * r->n;
    if (is_nothing(r->x + i * r->n, r->n)) {
      if (r->beta == 0) memset(r->to + i * r->n, 0, (size_t)r->n * sizeof *r->to);
      continue;
    }
    const df_real c[2] = { 1, (df_real)-k->sum(dy, r->n) };
    for (df_int j = 0; j < r->n; j += BLOCK) {
      df_int n = df_min(BLOCK, r->n - j), at = i * r->n + j;
      const df_real *term[2] = { r->dy + at, p };
      k->exp(p, r->x + at, n);
      k->mix(r->to + at, r->beta, c, term, 2, n);
    }
  }
}

static df_code log_softmax_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  return undo_rows(node, dy, log_softmax_back_rows);
}

df_tensor *df_log_softmax(df_tape *tape, df_tensor *x, int dim) {
  static const df_op op = { "log_softmax", log_softmax_backward };
  return along(tape, &op, log_softmax_rows, x, dim);
}
