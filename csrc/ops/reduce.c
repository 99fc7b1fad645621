/* Sums and extremes over any dimensions. The work is cut into partials by shape alone,
** which are folded in order and in double, so the bits don't depend on threads. */
#include <math.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/block.h"
#include "ops/op.h"
#include "ops/sink.h"
#include "ops/whole.h"

/* ==== what is folded ================================================================ */

typedef struct reducer {
  double start;
  double (*line)(const df_real *x, df_int n);
  /* y[c] joined with x[r ld + c] of all rows */
  void (*rows)(df_real *y, const df_real *x, df_int rows, df_int C, df_int ld);
  double (*join)(double a, double b);
  const struct reducer *again; /* what folds its results */
  /* NULL, or y, n elements `step` apart folded in reals, made right where those fail */
  double (*mend)(double y, const df_real *x, df_int n, df_int step);
  double (*finish)(double y); /* NULL, or done to what is folded */
} reducer;

static double plus(double a, double b) { return a + b; }
static double larger(double a, double b) { return a > b || a != a ? a : b; }
static double smaller(double a, double b) { return a < b || a != a ? a : b; }

static double line_sum(const df_real *x, df_int n) { return df_kernel()->sum(x, n); }
static double line_squares(const df_real *x, df_int n) {
  return df_kernel()->sum_squares(x, n);
}
/* Squares of floats from 1e-19 down and from 1e19 up are none. */
static double mend_squares(double y, const df_real *x, df_int n, df_int step) {
  if (y > 1e-25 && y < 1e35) return y;
  y = 0;
  for (df_int i = 0; i < n; i++) y += (double)x[i * step] * (double)x[i * step];
  return y;
}
static double line_max(const df_real *x, df_int n) { return df_kernel()->max(x, n); }
static double line_min(const df_real *x, df_int n) { return df_kernel()->min(x, n); }

static void rows_sum(df_real *y, const df_real *x, df_int rows, df_int C, df_int ld) {
  df_kernel()->sum_rows(y, x, rows, C, ld);
}
static void rows_squares(df_real *y, const df_real *x, df_int rows, df_int C, df_int ld) {
  for (df_int r = 0; r < rows; r++)
    df_kernel()->product(y, 1, 1, x + r * ld, 1, x + r * ld, 1, C);
}
static void rows_max(df_real *y, const df_real *x, df_int rows, df_int C, df_int ld) {
  for (df_int r = 0; r < rows; r++) df_kernel()->maximum(y, y, 1, x + r * ld, 1, C);
}
static void rows_min(df_real *y, const df_real *x, df_int rows, df_int C, df_int ld) {
  for (df_int r = 0; r < rows; r++) df_kernel()->minimum(y, y, 1, x + r * ld, 1, C);
}

static const reducer summing = { 0, line_sum, rows_sum, plus, &summing, NULL, NULL };
static const reducer rooting = { 0,        line_squares, rows_squares, plus,
                                 &rooting, mend_squares, sqrt };
static const reducer maximal = { -INFINITY, line_max, rows_max, larger,
                                 &maximal,  NULL,     NULL };
static const reducer minimal = { INFINITY, line_min, rows_min, smaller,
                                 &minimal, NULL,     NULL };

/* ==== one pass: x is P, M, C; M goes ================================================ */

#define PART 16384 /* elements of a partial */
#define ROWS 512   /* of one, where they are added in single precision */

typedef struct pass {
  const reducer *r;
  const df_real *x;
  df_int P, M, C;
  df_int columns, blocks; /* columns of a block, blocks of C */
  df_int rows, parts;     /* rows of a part, parts of M */
  df_real *to, beta, scale;
  double *partial; /* P, parts, C; NULL where parts is 1 */
} pass;

static void emit(const pass *s, df_int at, double value) {
  df_real y = (df_real)(s->r->finish ? s->r->finish(value) : value) * s->scale;
  s->to[at] = s->beta == 0 ? y : s->beta * s->to[at] + y;
}

static void fold_lines(void *context, df_int begin, df_int end) {
  const pass *s = context;
  for (df_int i = begin; i < end; i++) {
    df_int p = i / s->parts, first = i % s->parts * s->rows;
    const df_real *x = s->x + p * s->M + first;
    df_int n = df_min(s->rows, s->M - first);
    double v = s->r->line(x, n);
    if (s->r->mend) v = s->r->mend(v, x, n, 1);
    if (s->partial) s->partial[i] = v;
    else emit(s, p, v);
  }
}

static void fold_rows(void *context, df_int begin, df_int end) {
  const pass *s = context;
  for (df_int i = begin; i < end; i++) {
    df_int c = i % s->blocks * s->columns, at = i / s->blocks;
    df_int p = at / s->parts, first = at % s->parts * s->rows;
    df_int n = df_min(s->columns, s->C - c), rows = df_min(s->rows, s->M - first);
    df_real y[DF_BLOCK];
    for (df_int k = 0; k < n; k++) y[k] = (df_real)s->r->start;
    const df_real *x = s->x + (p * s->M + first) * s->C + c;
    s->r->rows(y, x, rows, n, s->C);
    for (df_int k = 0; k < n; k++) {
      double v = s->r->mend ? s->r->mend(y[k], x + k, rows, s->C) : (double)y[k];
      if (s->partial) s->partial[at * s->C + c + k] = v;
      else emit(s, p * s->C + c + k, v);
    }
  }
}

static void fold_partials(void *context, df_int begin, df_int end) {
  const pass *s = context;
  for (df_int i = begin; i < end; i++) {
    const double *v = s->partial + i / s->C * s->parts * s->C + i % s->C;
    double total = v[0];
    for (df_int k = 1; k < s->parts; k++) total = s->r->join(total, v[k * s->C]);
    emit(s, i, total);
  }
}

static df_code run(pass *s) {
  s->columns = df_min(s->C, DF_BLOCK);
  s->blocks = df_ceil_div(s->C, df_max(1, s->columns));
  s->rows = s->C == 1 ? PART : df_min(ROWS, df_max(1, PART / df_max(1, s->columns)));
  s->parts = df_max(1, df_ceil_div(s->M, s->rows));
  if (s->parts > 1) {
    s->partial = df_alloc((size_t)(s->P * s->parts * s->C) * sizeof(double));
    if (!s->partial) return DF_MEMORY;
  }
  df_int work = df_min(s->M, s->rows) * s->columns;
  df_parallel(s->P * s->parts * s->blocks, PART / 4 / df_max(1, work) + 1,
              s->C == 1 ? fold_lines : fold_rows, s);
  if (s->partial) df_parallel(s->P * s->C, DF_BLOCK, fold_partials, s);
  df_free(s->partial);
  return DF_OK;
}

/* ==== any dimensions ================================================================ */

/* Sizes, neighbours of one fate merged. */
typedef struct groups {
  int n;
  df_int size[DF_DIMS];
  bool goes[DF_DIMS];
} groups;

static groups group(const df_shape *shape, unsigned dims) {
  groups g = { .n = 0 };
  for (int i = 0; i < shape->ndim; i++) {
    bool goes = dims >> i & 1;
    if (shape->size[i] == 1) continue;
    if (g.n > 0 && g.goes[g.n - 1] == goes) g.size[g.n - 1] *= shape->size[i];
    else g.goes[g.n] = goes, g.size[g.n++] = shape->size[i];
  }
  return g;
}

static int last_going(const groups *g) {
  int i = g->n - 1;
  while (i >= 0 && !g->goes[i]) i--;
  return i;
}

static df_int product(const groups *g, int from, int to) {
  df_int n = 1;
  for (int i = from; i < to; i++) n *= g->size[i];
  return n;
}

/* to = beta to + scale (x folded), one group of dimensions after the other */
static df_code fold(const reducer *r, df_real *to, df_real beta, double scale,
                    const df_real *x, groups g) {
  int k = last_going(&g);
  pass s = { .r = r, .x = x, .P = product(&g, 0, g.n), .M = 1, .C = 1 };
  if (k >= 0) {
    s.P = product(&g, 0, k), s.M = g.size[k], s.C = product(&g, k + 1, g.n);
    g.size[k] = 1, g.goes[k] = false;
  }
  if (last_going(&g) < 0) {
    s.to = to, s.beta = beta, s.scale = (df_real)scale;
    return run(&s);
  }
  s.to = df_alloc((size_t)(s.P * s.C) * sizeof *s.to), s.scale = 1;
  if (!s.to) return DF_MEMORY;
  df_code code = run(&s);
  if (code == DF_OK) code = fold(r->again, to, beta, scale, s.to, g);
  df_free(s.to);
  return code;
}

df_code df_reduce_to(df_real *to, df_real beta, const df_shape *shape, const df_real *g,
                     const df_shape *g_shape) {
  unsigned dims = 0;
  int lead = g_shape->ndim - shape->ndim;
  for (int i = 0; i < g_shape->ndim; i++)
    if (i < lead || shape->size[i - lead] != g_shape->size[i]) dims |= 1u << i;
  return fold(&summing, to, beta, 1, g, group(g_shape, dims));
}

/* ==== the ops ======================================================================= */

typedef struct reduction {
  df_op op;
  const reducer *r;
} reduction;

typedef struct reduced {
  df_shape x, kept; /* kept: sizes of 1 where x was folded */
  unsigned dims;
  double scale;
} reduced;

static unsigned all_if_none(const df_tensor *x, unsigned dims) {
  return dims ? dims : (1u << x->shape.ndim) - 1;
}

void df_reduced_shape(const df_shape *x, unsigned dims, bool keep, df_shape *y) {
  *y = (df_shape){ .ndim = 0 };
  for (int i = 0; i < x->ndim; i++)
    if (!(dims >> i & 1)) y->size[y->ndim++] = x->size[i];
    else if (keep) y->size[y->ndim++] = 1;
}

static df_tensor *reduce(df_tape *tape, const reduction *row, df_tensor *x, unsigned dims,
                         bool keep, double scale) {
  df_shape shape;
  if (!x || df_computable(row->op.name, x) != DF_OK) return NULL;
  reduced d = { .x = x->shape, .dims = all_if_none(x, dims), .scale = scale };
  df_reduced_shape(&x->shape, d.dims, true, &d.kept);
  df_reduced_shape(&x->shape, d.dims, keep, &shape);
  if (!(x = df_dense(tape, x))) return NULL;
  df_tensor *y = df_result(tape, &shape);
  if (!y) return NULL;
  if (fold(row->r, df_tensor_reals(y), 0, scale, df_tensor_reals(x),
           group(&x->shape, d.dims))
      != DF_OK)
    return NULL;
  df_tensor *kept[2] = { x, y };
  df_note note = { .op = &row->op, .n = 1, .x = &x, .keep = kept };
  note.kept = row->r == &summing ? 0 : 2;
  note.data = &d, note.size = sizeof d;
  return df_tape_note(tape, y, note);
}

/* A reduced tensor, or its gradient, with its sizes of 1. */
static df_tensor *with_ones(df_tape *tape, df_tensor *y, const reduced *d) {
  return df_scope_own(tape, df_tensor_view(y, &d->kept));
}

static df_code sum_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const reduced *d = node->data;
  df_tensor *g = with_ones(tape, dy, d);
  return g ? df_sink_take(node, 0, d->scale, g, &d->x) : DF_MEMORY;
}

static const reduction sum_row = { { "sum", sum_backward }, &summing };
static const reduction mean_row = { { "mean", sum_backward }, &summing };

/* How many elements make one of the result. */
static df_int folded(const df_tensor *x, unsigned dims) {
  df_int n = 1;
  dims = all_if_none(x, dims);
  for (int i = 0; i < x->shape.ndim; i++)
    if (dims >> i & 1) n *= x->shape.size[i];
  return n;
}

/* Bytes, so few that no sum of them is rounded. */
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

/* The square root of the sum of squares; its slope x / y, and 0 at the origin (but for a dy
** that is no number). Divided first: x / y is at most 1, dy / y may be no float. */
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

static const reduction norm_row = { { "norm", norm_backward }, &rooting };

df_tensor *df_norm(df_tape *tape, df_tensor *x, unsigned dims, bool keep) {
  return reduce(tape, &norm_row, x, dims, keep, 1);
}

/* Where several elements are the extreme, they share. */
static df_code extreme_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const reduced *d = node->data;
  df_tensor *y = with_ones(tape, node->keep[1], d);
  df_tensor *where = df_compare(tape, "eq", node->keep[0], y);
  df_tensor *count = df_sum(tape, df_dense(tape, where), d->dims, true);
  df_tensor *share = df_div(tape, with_ones(tape, dy, d), count);
  df_tensor *g = df_mul(tape, where, share);
  return g ? df_sink_pass(node, 0, g) : df_error_code();
}

static const reduction max_row = { { "max", extreme_backward }, &maximal };
static const reduction min_row = { { "min", extreme_backward }, &minimal };

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

/* How far each is from the mean; *share: 1 / (n - correction), inf where nothing is left of
** n, so that the variance of nothing is nan. */
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

/* The norm of that, whose slope at no variance is 0. */
df_tensor *df_std(df_tape *tape, df_tensor *x, unsigned dims, bool keep,
                  df_int correction) {
  double share = 0;
  df_tensor *from = away(tape, x, dims, correction, &share);
  return df_scale(tape, df_norm(tape, from, dims, keep), sqrt(share));
}
