/* The Frechet distance of Gaussians (Dowson & Landau 1982). With C1 = F1^T F1 and C2 =
** F2^T F2, the singular values of F1 F2^T sum to the trace of (C1 C2)^(1/2). So no root
** of an eigenvalue is taken: a root of one that is 0 up to rounding has half its digits.
** If there are fewer samples than dimensions, F is these samples. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "engine/lapack.h"
#include "ops/metric.h"
#include "ops/op.h"

#define ROWS  256 /* samples whose products are added at once */
#define PANEL 64  /* rows of the covariance */
/* relative to the largest eigenvalue: a negative one that rounding to floats explains */
#define SLACK     1e-5
#define SIZE_MOST 32768 /* LAPACK counts in 32 bits */

typedef struct gaussian {
  df_int D, rows; /* rows of the factor F {rows,D} */
  double *mean, *factor, trace;
} gaussian;

/* ==== the covariance of samples ===================================================== */

typedef struct gram {
  double *c;            /* {D,D} */
  const double *turned; /* some centred samples, {D,count} */
  df_int D, count;
  double *room; /* {D,D}, the block's own product */
} gram;

static void add_panels(void *context, df_int begin, df_int end) {
  const gram *g = context;
  df_int D = g->D, from = begin * PANEL, to = df_min(end * PANEL, D);
  double *part = g->room + from * D;
  df_lapack_product(part, g->turned + from * g->count, g->turned, to - from, D, g->count);
  for (df_int i = 0; i < (to - from) * D; i++) g->c[from * D + i] += part[i];
}

/* Reals to doubles minus the mean; and the same transposed. */
static void take_block(double *turned, const df_real *x, const double *mean, df_int count,
                       df_int D) {
  for (df_int i = 0; i < count; i++)
    for (df_int k = 0; k < D; k++) turned[k * count + i] = (double)x[i * D + k] - mean[k];
}

static double *covariance(df_tape *tape, const df_tensor *x, const double *mean) {
  df_int n = x->shape.size[0], D = x->shape.size[1];
  double *c = df_metric_room(tape, D * D), *room = df_metric_room(tape, D * D);
  double *turned = df_metric_room(tape, ROWS * D);
  if (!c || !room || !turned) return NULL;
  memset(c, 0, (size_t)(D * D) * sizeof *c);
  for (df_int i = 0; i < n; i += ROWS) {
    gram g = {
      .c = c, .turned = turned, .D = D, .count = df_min(ROWS, n - i), .room = room
    };
    take_block(turned, df_tensor_reals(x) + i * D, mean, g.count, D);
    df_parallel(df_ceil_div(D, PANEL), 1, add_panels, &g);
  }
  for (df_int i = 0; i < D * D; i++) c[i] /= (double)(n - 1);
  return c;
}

static void mean_of(double *mean, const df_tensor *x) {
  df_int n = x->shape.size[0], D = x->shape.size[1];
  const df_real *v = df_tensor_reals(x);
  memset(mean, 0, (size_t)D * sizeof *mean);
  for (df_int i = 0; i < n; i++)
    for (df_int k = 0; k < D; k++) mean[k] += (double)v[i * D + k];
  for (df_int k = 0; k < D; k++) mean[k] /= (double)n;
}

/* ==== factors ======================================================================= */

/* F = L^T from Cholesky's L, the lower triangle of c. */
static void turn_lower(double *c, df_int D) {
  for (df_int i = 0; i < D; i++)
    for (df_int j = 0; j < i; j++) {
      c[j * D + i] = c[i * D + j];
      c[i * D + j] = 0;
    }
}

/* F is the eigenvectors times the roots of their eigenvalues, for a singular
** covariance. */
static df_code factor_by_values(df_tape *tape, gaussian *g, double *c) {
  df_int D = g->D;
  double *values = df_metric_room(tape, D);
  if (!values || df_lapack_eigh(c, values, D) != DF_OK) return df_error_code();
  double most = fmax(fabs(values[0]), fabs(values[D - 1]));
  if (values[0] < -SLACK * most)
    return df_fail(DF_MISUSE,
                   "frechet: the covariance isn't positive semidefinite: its eigenvalues "
                   "go from %g to %g",
                   values[0], values[D - 1]);
  for (df_int i = 0; i < D; i++) {
    bool none = values[i] <= (double)D * 2.2e-16 * most;
    double root = none ? 0 : sqrt(values[i]);
    for (df_int k = 0; k < D; k++) c[i * D + k] *= root;
  }
  return DF_OK;
}

static df_code factor_covariance(df_tape *tape, gaussian *g, const double *c) {
  df_int D = g->D, minor;
  size_t size = (size_t)(D * D) * sizeof *c;
  g->rows = D, g->factor = df_metric_room(tape, D * D);
  if (!g->factor) return DF_MEMORY;
  memcpy(g->factor, c, size);
  if (df_lapack_cholesky(g->factor, D, &minor) == DF_OK) {
    turn_lower(g->factor, D);
    return DF_OK;
  }
  memcpy(g->factor, c, size);
  return factor_by_values(tape, g, g->factor);
}

static df_code factor_samples(df_tape *tape, gaussian *g, const df_tensor *x) {
  df_int n = x->shape.size[0], D = g->D;
  mean_of(g->mean, x);
  if (n > D) {
    double *c = covariance(tape, x, g->mean);
    return c ? factor_covariance(tape, g, c) : DF_MEMORY;
  }
  g->rows = n, g->factor = df_metric_doubles(tape, x);
  if (!g->factor) return DF_MEMORY;
  df_metric_subtract(g->factor, g->mean, n, D);
  for (df_int i = 0; i < n * D; i++) g->factor[i] /= sqrt((double)(n - 1));
  return DF_OK;
}

static df_code factor_moments(df_tape *tape, gaussian *g, const df_gaussian *given) {
  df_int D = g->D;
  double *c = df_metric_doubles(tape, given->cov);
  const double *mean = df_metric_doubles(tape, given->x);
  if (!c || !mean) return DF_MEMORY;
  memcpy(g->mean, mean, (size_t)D * sizeof *mean);
  for (df_int i = 0; i < D; i++)
    for (df_int j = 0; j < i; j++)
      c[i * D + j] = c[j * D + i] = 0.5 * (c[i * D + j] + c[j * D + i]);
  return factor_covariance(tape, g, c);
}

static df_code factor(df_tape *tape, gaussian *g, const df_gaussian *given) {
  g->D = given->x->shape.size[given->cov ? 0 : 1];
  if (g->D > SIZE_MOST)
    return df_fail(DF_MISUSE, "frechet: samples of %td numbers; at most %d", g->D,
                   SIZE_MOST);
  g->mean = df_metric_room(tape, g->D);
  if (!g->mean) return DF_MEMORY;
  df_code code =
      given->cov ? factor_moments(tape, g, given) : factor_samples(tape, g, given->x);
  if (code != DF_OK) return code;
  for (df_int i = 0; i < g->rows * g->D; i++) g->trace += g->factor[i] * g->factor[i];
  return DF_OK;
}

/* ==== the distance ================================================================== */

static df_code cross_trace(df_tape *tape, const gaussian *a, const gaussian *b,
                           double *trace) {
  df_int least = df_min(a->rows, b->rows);
  double *product = df_metric_room(tape, a->rows * b->rows);
  double *values = df_metric_room(tape, least);
  if (!product || !values) return DF_MEMORY;
  df_lapack_product(product, a->factor, b->factor, a->rows, b->rows, a->D);
  if (df_lapack_singular(product, values, a->rows, b->rows) != DF_OK)
    return df_error_code();
  for (df_int i = 0; i < least; i++) *trace += values[i];
  return DF_OK;
}

df_tensor *df_frechet(df_tape *tape, const df_gaussian *a, const df_gaussian *b) {
  gaussian p = { 0 }, q = { 0 };
  double cross = 0, square = 0;
  if (factor(tape, &p, a) != DF_OK || factor(tape, &q, b) != DF_OK) return NULL;
  if (cross_trace(tape, &p, &q, &cross) != DF_OK) return NULL;
  for (df_int k = 0; k < p.D; k++)
    square += (p.mean[k] - q.mean[k]) * (p.mean[k] - q.mean[k]);
  double value = square + fmax(0, p.trace + q.trace - 2 * cross);
  df_tensor *out =
      df_scope_own(tape, df_tensor_new(DF_F64, &(df_shape){ .ndim = 1, .size = { 1 } }));
  if (out) *(double *)df_tensor_data(out) = value;
  return out;
}
