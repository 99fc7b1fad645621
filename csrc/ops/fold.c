/* Folds over any dimensions. Shapes alone cut the work into partials, which are folded in
** order and in double. So the bits don't depend on threads. */
#include "ops/fold.h"

#include <math.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/block.h"

/* ==== reducers ====================================================================== */

struct df_reducer {
  double start;
  double (*line)(const df_real *x, df_int n);
  /* y[c] joined with x[r ld + c] for all rows */
  void (*rows)(df_real *y, const df_real *x, df_int rows, df_int C, df_int ld);
  double (*join)(double a, double b);
  const df_reducer *again; /* the reducer that folds partial results */
  /* NULL, or corrects y, a fold in reals of n elements `step` apart */
  double (*mend)(double y, const df_real *x, df_int n, df_int step);
  double (*finish)(double y); /* NULL, or applied to the final value */
};

static double plus(double a, double b) { return a + b; }
static double larger(double a, double b) { return a > b || a != a ? a : b; }
static double smaller(double a, double b) { return a < b || a != a ? a : b; }

static double line_sum(const df_real *x, df_int n) { return df_kernel()->sum(x, n); }
static double line_squares(const df_real *x, df_int n) {
  return df_kernel()->sum_squares(x, n);
}
/* Squares of |x| < 1e-19 underflow and of |x| > 1e19 overflow in float. */
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

const df_reducer df_summing = { 0, line_sum, rows_sum, plus, &df_summing, NULL, NULL };
const df_reducer df_rooting = { 0,           line_squares, rows_squares, plus,
                                &df_rooting, mend_squares, sqrt };
const df_reducer df_maximal = { -INFINITY,   line_max, rows_max, larger,
                                &df_maximal, NULL,     NULL };
const df_reducer df_minimal = { INFINITY,    line_min, rows_min, smaller,
                                &df_minimal, NULL,     NULL };

/* ==== one pass: x is P, M, C; M goes ================================================ */

#define PART 16384 /* elements of a partial, about */
#define ROWS 512   /* rows of a partial, if they are added in single precision */

typedef struct pass {
  const df_reducer *r;
  const df_real *x;
  df_int P, M, C;
  df_int columns, blocks; /* columns of a block, blocks of C */
  df_int rows, parts;     /* rows of a part, parts of M */
  df_real *to, beta, scale;
  double *partial; /* P, parts, C; NULL if parts is 1 */
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

/* Adjacent dimensions that are all folded, or all kept, merged into one. */
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
static df_code fold(const df_reducer *r, df_real *to, df_real beta, double scale,
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

df_code df_reduce_dims(const df_reducer *r, df_real *to, df_real beta, double scale,
                       const df_real *x, const df_shape *shape, unsigned dims) {
  return fold(r, to, beta, scale, x, group(shape, dims));
}

df_code df_reduce_to(df_real *to, df_real beta, const df_shape *shape, const df_real *g,
                     const df_shape *g_shape) {
  unsigned dims = 0;
  int lead = g_shape->ndim - shape->ndim;
  for (int i = 0; i < g_shape->ndim; i++)
    if (i < lead || shape->size[i - lead] != g_shape->size[i]) dims |= 1u << i;
  return df_reduce_dims(&df_summing, to, beta, 1, g, g_shape, dims);
}

void df_reduced_shape(const df_shape *x, unsigned dims, bool keep, df_shape *y) {
  *y = (df_shape){ .ndim = 0 };
  for (int i = 0; i < x->ndim; i++)
    if (!(dims >> i & 1)) y->size[y->ndim++] = x->size[i];
    else if (keep) y->size[y->ndim++] = 1;
}
