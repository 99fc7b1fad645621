/* Sums and extremes over any dimensions, and ops made of them. */
#include <math.h>

#include "ops/block.h"
#include "ops/fold.h"
#include "ops/integer.h"
#include "ops/op.h"
#include "ops/sink.h"

/* ==== the ops ======================================================================= */

typedef struct reduction {
  df_op op;
  const df_reducer *r;
} reduction;

typedef struct reduced {
  df_shape x, kept; /* kept: x's shape with 1 for folded sizes */
  unsigned dims;
  double scale;
} reduced;

static unsigned all_if_none(const df_tensor *x, unsigned dims) {
  return dims ? dims : (1u << x->shape.ndim) - 1;
}

static df_tensor *reduce(df_tape *tape, const reduction *row, df_tensor *x, unsigned dims,
                         bool keep, double scale) {
  df_shape shape;
  if (!x || df_computable(row->op.name, x) != DF_OK) return NULL;
  reduced d = { .x = x->shape, .dims = all_if_none(x, dims), .scale = scale };
  df_reduced_shape(&x->shape, d.dims, true, &d.kept);
  df_reduced_shape(&x->shape, d.dims, keep, &shape);
  x = df_dense(tape, x);
  df_tensor *y = x ? df_result(tape, &shape) : NULL;
  if (!y) return NULL;
  if (df_reduce_dims(row->r, df_tensor_reals(y), 0, scale, df_tensor_reals(x), &x->shape,
                     d.dims)
      != DF_OK)
    return NULL;
  df_tensor *kept[2] = { x, y };
  df_note note = { .op = &row->op, .n = 1, .x = &x, .keep = kept };
  note.kept = row->r == &df_summing ? 0 : 2;
  note.data = &d, note.size = sizeof d;
  return df_tape_note(tape, y, note);
}

/* A reduced tensor, or its gradient, in the shape `kept`. */
static df_tensor *with_ones(df_tape *tape, df_tensor *y, const reduced *d) {
  return df_scope_own(tape, df_tensor_view(y, &d->kept));
}

/* With y = scale sum x, scale being 1, or 1/n for the mean: dx_k = scale dy. */
static df_code sum_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const reduced *d = node->data;
  df_tensor *g = with_ones(tape, dy, d);
  return g ? df_sink_take(node, 0, d->scale, g, &d->x) : DF_MEMORY;
}

static const reduction sum_row = { { "sum", sum_backward }, &df_summing };
static const reduction mean_row = { { "mean", sum_backward }, &df_summing };

/* The number of elements that are folded into one. */
static df_int folded(const df_tensor *x, unsigned dims) {
  df_int n = 1;
  dims = all_if_none(x, dims);
  for (int i = 0; i < x->shape.ndim; i++)
    if (dims >> i & 1) n *= x->shape.size[i];
  return n;
}

/* True for bytes if they are so few that no sum of them is rounded. */
static bool adds_exactly(const df_tensor *x, unsigned dims) {
  return x->dtype == DF_U8 && folded(x, dims) < (1 << 24) / 256;
}

df_tensor *df_sum(df_tape *tape, df_tensor *x, unsigned dims, bool keep) {
  if (!x || df_dtype_is_float(x->dtype)) return reduce(tape, &sum_row, x, dims, keep, 1);
  if (!adds_exactly(x, dims)) return df_whole_sum(tape, x, dims, keep);
  return df_to(tape, reduce(tape, &sum_row, x, dims, keep, 1), DF_I64);
}

df_tensor *df_mean(df_tape *tape, df_tensor *x, unsigned dims, bool keep) {
  if (!x) return NULL;
  return reduce(tape, &mean_row, x, dims, keep, 1 / (double)folded(x, dims));
}

/* With y = sqrt(sum x^2): dx = dy x / y, and 0 at the origin unless dy is NaN. x is
** divided first, since x / y is at most 1 and dy / y may overflow. */
static df_code norm_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const reduced *d = node->data;
  df_tensor *y = node->keep[1], *below = df_result(tape, &dy->shape);
  if (!below) return DF_MEMORY;
  const df_real *from = df_tensor_reals(y);
  df_real *to = df_tensor_reals(below);
  for (df_int i = 0; i < df_tensor_count(y); i++) to[i] = from[i] == 0 ? 1 : from[i];
  df_tensor *slope = df_div(tape, node->keep[0], with_ones(tape, below, d));
  df_tensor *g = df_mul(tape, slope, with_ones(tape, dy, d));
  return g ? df_sink_pass(node, 0, g) : df_error_code();
}

static const reduction norm_row = { { "norm", norm_backward }, &df_rooting };

df_tensor *df_norm(df_tape *tape, df_tensor *x, unsigned dims, bool keep) {
  return reduce(tape, &norm_row, x, dims, keep, 1);
}

/* With y = max x: dx_k = dy / n at each of the n places where x_k = y. */
static df_code extreme_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const reduced *d = node->data;
  df_tensor *y = with_ones(tape, node->keep[1], d);
  df_tensor *where = df_compare(tape, "eq", node->keep[0], y);
  df_tensor *count = df_sum(tape, df_dense(tape, where), d->dims, true);
  df_tensor *share = df_div(tape, with_ones(tape, dy, d), count);
  df_tensor *g = df_mul(tape, where, share);
  return g ? df_sink_pass(node, 0, g) : df_error_code();
}

static const reduction max_row = { { "max", extreme_backward }, &df_maximal };
static const reduction min_row = { { "min", extreme_backward }, &df_minimal };

static df_tensor *extreme(df_tape *tape, const reduction *row, df_tensor *x,
                          unsigned dims, bool keep) {
  df_shape shape;
  if (x) df_reduced_shape(&x->shape, all_if_none(x, dims), keep, &shape);
  if (x && folded(x, dims) == 0 && df_shape_count(&shape) > 0)
    return df_fail_null(DF_MISUSE, "%s: %s has no elements there", row->op.name,
                        df_tensor_text(x));
  return reduce(tape, row, x, dims, keep, 1);
}

df_tensor *df_largest(df_tape *tape, df_tensor *x, unsigned dims, bool keep) {
  return extreme(tape, &max_row, x, dims, keep);
}

df_tensor *df_smallest(df_tape *tape, df_tensor *x, unsigned dims, bool keep) {
  return extreme(tape, &min_row, x, dims, keep);
}

/* ==== by other ops ================================================================== */

/* The distance of each element from the mean; *share is 1 / (n - correction). It is inf
** if n - correction isn't positive, and then the variance is NaN. */
static df_tensor *away(df_tape *tape, df_tensor *x, unsigned dims, df_int correction,
                       double *share) {
  if (!x) return NULL;
  *share = 1 / (double)df_max(folded(x, dims) - correction, 0);
  return df_sub(tape, x, df_mean(tape, x, dims, true));
}

df_tensor *df_var(df_tape *tape, df_tensor *x, unsigned dims, bool keep,
                  df_int correction) {
  double share = 0;
  df_tensor *from = away(tape, x, dims, correction, &share);
  df_tensor *squares = df_unary_of(tape, df_unary_find("square"), from);
  return df_scale(tape, df_sum(tape, squares, dims, keep), share);
}

/* It is the norm of these distances, which has slope 0 at a variance of 0. */
df_tensor *df_std(df_tape *tape, df_tensor *x, unsigned dims, bool keep,
                  df_int correction) {
  double share = 0;
  df_tensor *from = away(tape, x, dims, correction, &share);
  return df_scale(tape, df_norm(tape, from, dims, keep), sqrt(share));
}
