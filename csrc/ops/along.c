/* Ops along whole lines of x: products, logarithms of sums, places of extremes, running
** sums. One thread works a line. */
#include <math.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/fold.h"
#include "ops/integer.h"
#include "ops/line.h"
#include "ops/op.h"
#include "ops/sink.h"

static df_tensor *gather_lines(df_tape *tape, df_tensor *x, unsigned dims,
                               df_int *length) {
  return df_dense(tape, df_lines_of(tape, x, dims, length));
}

typedef struct job {
  const df_real *x, *y, *dy;
  df_real *to, beta; /* y or dx */
  int64_t *at;
  double sign;
  df_int length;
} job;

#define GRAIN 4096 /* elements of a chunk */

static void over_lines(job *j, df_int lines, df_task *task) {
  df_parallel(lines, GRAIN / df_max(1, j->length) + 1, task, j);
}

static void sink(df_real *to, df_real beta, df_real g) {
  *to = beta == 0 ? g : beta * *to + g;
}

/* Folds each line of x to one number; keeps x and y. */
static df_tensor *fold(df_tape *tape, const df_op *op, df_tensor *x, unsigned dims,
                       bool keep, df_task *task) {
  df_shape shape;
  df_int length;
  df_tensor *lines = gather_lines(tape, x, dims, &length);
  if (!lines) return NULL;
  df_reduced_shape(&x->shape, dims ? dims : (1u << x->shape.ndim) - 1, keep, &shape);
  df_tensor *y = df_result(tape, &shape);
  if (!y) return NULL;
  job j = { .x = df_tensor_reals(lines), .to = df_tensor_reals(y), .length = length };
  over_lines(&j, df_tensor_count(y), task);
  df_tensor *kept[2] = { lines, y };
  df_note note = { .op = op, .n = 1, .x = &lines, .kept = 2, .keep = kept };
  note.data = &length, note.size = sizeof length;
  return df_tape_note(tape, y, note);
}

static df_code unfold(df_node *node, df_tensor *dy, df_task *task) {
  const df_int *length = node->data;
  df_sink s;
  if (df_sink_open(node, 0, &s) != DF_OK) return df_error_code();
  if (!s.to) return DF_OK;
  job j = { .x = df_tensor_reals(node->keep[0]), .y = df_tensor_reals(node->keep[1]) };
  j.dy = df_tensor_reals(dy), j.to = s.to, j.beta = s.beta, j.length = *length;
  over_lines(&j, df_tensor_count(dy), task);
  return DF_OK;
}

/* ==== prod ========================================================================== */

static void prod_lines(void *context, df_int begin, df_int end) {
  const job *j = context;
  for (df_int i = begin; i < end; i++) {
    const df_real *x = j->x + i * j->length;
    double y = 1;
    for (df_int k = 0; k < j->length; k++) y *= x[k];
    j->to[i] = (df_real)y;
  }
}

/* A product that can't overflow on its way: part 2^power, with zeros and infinities
** counted apart. The signs of infinities are in part. */
typedef struct factors {
  double part;
  int64_t power;
  df_int zeros, infinities;
} factors;

/* x as a product of one number. */
static factors factor_of(double x) {
  factors f = { 1, 0, x == 0, isinf(x) != 0 };
  int power = 0;
  if (isnan(x)) f.part = x;
  else if (f.infinities) f.part = x > 0 ? 1 : -1;
  else if (!f.zeros) f.part = frexp(x, &power);
  f.power = power;
  return f;
}

static void take(factors *all, double x) {
  factors f = factor_of(x);
  int power = 0;
  double part = all->part * f.part;
  all->part = isnan(part) ? part : frexp(part, &power);
  all->power += f.power + power;
  all->zeros += f.zeros, all->infinities += f.infinities;
}

/* The product of all but x, which is one of them. Zeros and infinities need no division
** by 0. */
static double without(const factors *all, double x) {
  factors f = factor_of(x);
  df_int zeros = all->zeros - f.zeros, infinities = all->infinities - f.infinities;
  double part = all->part / f.part;
  if (zeros && infinities) return NAN;
  if (zeros) return part * 0;
  if (infinities) return part * INFINITY;
  int64_t power = all->power - f.power;
  return ldexp(part, (int)(power < -4096 ? -4096 : power > 4096 ? 4096 : power));
}

/* With y = prod_k x_k: dx_k = dy prod_{j != k} x_j */
static void prod_slopes(void *context, df_int begin, df_int end) {
  const job *j = context;
  for (df_int i = begin; i < end; i++) {
    const df_real *x = j->x + i * j->length;
    factors all = { .part = 1 };
    for (df_int k = 0; k < j->length; k++) take(&all, x[k]);
    for (df_int k = 0; k < j->length; k++)
      sink(j->to + i * j->length + k, j->beta, j->dy[i] * (df_real)without(&all, x[k]));
  }
}

static df_code prod_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  return unfold(node, dy, prod_slopes);
}

df_tensor *df_prod(df_tape *tape, df_tensor *x, unsigned dims, bool keep) {
  static const df_op op = { "prod", prod_backward };
  if (x && !df_dtype_is_float(x->dtype)) return df_whole_prod(tape, x, dims, keep);
  return fold(tape, &op, x, dims, keep, prod_lines);
}

/* ==== logsumexp ===================================================================== */

static void logsumexp_lines(void *context, df_int begin, df_int end) {
  const job *j = context;
  for (df_int i = begin; i < end; i++) {
    const df_real *x = j->x + i * j->length;
    j->to[i] = j->length ? (df_real)df_kernel()->logsumexp(x, j->length) : -INFINITY;
  }
}

/* With y = ln sum_k e^x_k: dx_k = dy e^(x_k - y), dy times the softmax of x. It is 0 if
** all of x is -inf. */
static void logsumexp_slopes(void *context, df_int begin, df_int end) {
  const job *j = context;
  const df_kernels *k = df_kernel();
  const df_real one = 1;
  df_real share[1024], c[2];
  for (df_int i = begin; i < end; i++)
    for (df_int at = 0; at < j->length; at += 1024) {
      df_int n = df_min(1024, j->length - at), from = i * j->length + at;
      if (at == 0) df_log_shares_of(j->x + from, j->length, c);
      df_log_shares(share, j->x + from, c, n);
      k->exp(share, share, n);
      k->product(j->to + from, j->beta, j->dy[i], share, 1, &one, 0, n);
    }
}

static df_code logsumexp_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  return unfold(node, dy, logsumexp_slopes);
}

df_tensor *df_logsumexp(df_tape *tape, df_tensor *x, unsigned dims, bool keep) {
  static const df_op op = { "logsumexp", logsumexp_backward };
  return fold(tape, &op, x, dims, keep, logsumexp_lines);
}

/* ==== argmax ======================================================================== */

static void argmax_lines(void *context, df_int begin, df_int end) {
  const job *j = context;
  for (df_int i = begin; i < end; i++) {
    const df_real *x = j->x + i * j->length;
    df_int best = 0;
    for (df_int k = 1; k < j->length && !isnan(x[best]); k++)
      if (j->sign * x[k] > j->sign * x[best] || isnan(x[k])) best = k;
    j->at[i] = best + 1;
  }
}

df_tensor *df_argmax(df_tape *tape, df_tensor *x, unsigned dims, bool keep,
                     bool smallest) {
  df_shape shape;
  df_int length;
  df_tensor *lines = gather_lines(tape, x, dims, &length);
  if (!lines) return NULL;
  if (length == 0)
    return df_fail_null(DF_MISUSE, "%s: %s has no elements there",
                        smallest ? "argmin" : "argmax", df_tensor_text(x));
  df_reduced_shape(&x->shape, dims ? dims : (1u << x->shape.ndim) - 1, keep, &shape);
  df_tensor *y = df_scope_own(tape, df_tensor_new(DF_I64, &shape));
  if (!y) return NULL;
  job j = { .x = df_tensor_reals(lines), .at = df_tensor_data(y), .length = length };
  j.sign = smallest ? -1 : 1;
  over_lines(&j, df_tensor_count(y), argmax_lines);
  return y;
}

/* ==== cumsum ======================================================================== */

static void running_sums(void *context, df_int begin, df_int end) {
  const job *j = context;
  for (df_int i = begin; i < end; i++) {
    double sum = 0;
    for (df_int k = i * j->length; k < (i + 1) * j->length; k++)
      j->to[k] = (df_real)(sum += j->x[k]);
  }
}

/* With y_k = sum_{j <= k} x_j: dx_k = sum_{j >= k} dy_j */
static void sums_to_the_end(void *context, df_int begin, df_int end) {
  const job *j = context;
  for (df_int i = begin; i < end; i++) {
    double sum = 0;
    for (df_int k = (i + 1) * j->length - 1; k >= i * j->length; k--)
      sink(j->to + k, j->beta, (df_real)(sum += j->dy[k]));
  }
}

static df_code cumsum_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  df_sink s;
  (void)tape;
  if (df_sink_open(node, 0, &s) != DF_OK) return df_error_code();
  if (!s.to) return DF_OK;
  job j = { .dy = df_tensor_reals(dy), .to = s.to, .beta = s.beta };
  j.length = dy->shape.size[dy->shape.ndim - 1];
  over_lines(&j, df_tensor_count(dy) / df_max(1, j.length), sums_to_the_end);
  return DF_OK;
}

df_tensor *df_cumsum(df_tape *tape, df_tensor *x, int dim) {
  static const df_op op = { "cumsum", cumsum_backward };
  if (x && !df_dtype_is_float(x->dtype)) return df_whole_cumsum(tape, x, dim);
  df_tensor *lines = df_dense(tape, df_to_last(tape, x, dim));
  if (!lines) return NULL;
  df_tensor *y = df_result(tape, &lines->shape);
  if (!y) return NULL;
  job j = { .x = df_tensor_reals(lines), .to = df_tensor_reals(y) };
  j.length = x->shape.size[dim];
  over_lines(&j, df_tensor_count(y) / df_max(1, j.length), running_sums);
  df_note note = { .op = &op, .n = 1, .x = &lines };
  return df_from_last(tape, df_tape_note(tape, y, note), dim);
}
