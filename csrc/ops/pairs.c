/* Sums over pairs of samples, for metrics. Shapes alone cut the rows, and each row is
** summed in the same order on any number of threads. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "engine/lapack.h"
#include "ops/metric.h"
#include "ops/op.h"

/* numbers of a sample; with fewer, differences cost less than products */
#define FEW 16
/* relative to the sum of squares: smaller distances are summed from differences */
#define NEAR  1e-9
#define GRAIN 128       /* rows that a thread takes at once */
#define ROOM  (1 << 22) /* doubles of a block, unless GRAIN rows need more */

/* ==== rows of doubles =============================================================== */

double *df_metric_room(df_tape *tape, df_int count) {
  df_tensor *y = df_scope_own(
      tape,
      df_tensor_new(DF_F64, &(df_shape){ .ndim = 1, .size = { df_max(count, 1) } }));
  return y ? df_tensor_data(y) : NULL;
}

double *df_metric_doubles(df_tape *tape, const df_tensor *x) {
  df_tensor *y = df_scope_own(tape, df_tensor_new(DF_F64, &x->shape));
  if (!y) return NULL;
  df_tensor_copy(y, x);
  return df_tensor_data(y);
}

void df_metric_mean(double *mean, const double *x, df_int n, df_int D) {
  memset(mean, 0, (size_t)D * sizeof *mean);
  for (df_int i = 0; i < n; i++)
    for (df_int k = 0; k < D; k++) mean[k] += x[i * D + k];
  for (df_int k = 0; k < D; k++) mean[k] /= (double)n;
}

void df_metric_subtract(double *x, const double *mean, df_int n, df_int D) {
  for (df_int i = 0; i < n; i++)
    for (df_int k = 0; k < D; k++) x[i * D + k] -= mean[k];
}

static double dot(const double *a, const double *b, df_int D) {
  double sum = 0;
  for (df_int k = 0; k < D; k++) sum += a[k] * b[k];
  return sum;
}

static double gap(const double *a, const double *b, df_int D) {
  double sum = 0;
  for (df_int k = 0; k < D; k++) sum += (a[k] - b[k]) * (a[k] - b[k]);
  return sum;
}

static void squares(double *y, const double *x, df_int n, df_int D) {
  for (df_int i = 0; i < n; i++) y[i] = dot(x + i * D, x + i * D, D);
}

/* ==== squared distances ============================================================= */

typedef struct cloud {
  const double *x, *x2; /* centred, and their squares */
  df_int n;
} cloud;

/* From the product of both, unless cancellation leaves no digits or there is no
** product. */
static double square_of(const cloud *a, df_int i, const cloud *b, df_int j, df_int D,
                        const double *product) {
  if (product) {
    double both = a->x2[i] + b->x2[j], y = both - 2 * *product;
    if (y > NEAR * both) return y;
  }
  return gap(a->x + i * D, b->x + j * D, D);
}

typedef struct distances {
  cloud a, b;
  df_int D;
  double *product; /* {n,m}, NULL if D is small */
  df_real *y;
} distances;

static void distance_rows(void *context, df_int begin, df_int end) {
  const distances *t = context;
  df_int m = t->b.n;
  double *p = t->product ? t->product + begin * m : NULL;
  if (p) df_lapack_product(p, t->a.x + begin * t->D, t->b.x, end - begin, m, t->D);
  for (df_int i = begin; i < end; i++)
    for (df_int j = 0; j < m; j++, p = p ? p + 1 : p)
      t->y[i * m + j] = (df_real)square_of(&t->a, i, &t->b, j, t->D, p);
}

static bool fill_rows(df_tape *tape, cloud *r, const df_tensor *x, const double *centre,
                      df_int D) {
  double *y = df_metric_doubles(tape, x), *y2 = df_metric_room(tape, r->n);
  if (!y || !y2) return false;
  df_metric_subtract(y, centre, r->n, D);
  squares(y2, y, r->n, D);
  r->x = y, r->x2 = y2;
  return true;
}

df_tensor *df_pair_squares(df_tape *tape, df_tensor *x, df_tensor *y) {
  df_int n = x->shape.size[0], m = y->shape.size[0], D = x->shape.size[1];
  distances t = { .a = { .n = n }, .b = { .n = m }, .D = D };
  df_tensor *out = df_result(tape, &(df_shape){ .ndim = 2, .size = { n, m } });
  double *all = df_metric_doubles(tape, y), *centre = df_metric_room(tape, D);
  if (!out || !all || !centre) return NULL;
  df_metric_mean(centre, all, m, D);
  if (D >= FEW) t.product = df_metric_room(tape, n * m);
  if (D >= FEW && !t.product) return NULL;
  if (!fill_rows(tape, &t.a, x, centre, D) || !fill_rows(tape, &t.b, y, centre, D))
    return NULL;
  t.y = df_tensor_reals(out);
  df_parallel(n, GRAIN, distance_rows, &t);
  return out;
}

/* ==== sums of a function of pairs =================================================== */

typedef struct sums sums;
typedef double pair_value(const sums *s, df_int i, df_int j, const double *product);

struct sums {
  cloud z;
  const double *along; /* c.z/D of each sample, c the centre */
  double level;        /* c.c/D + 1 */
  const df_pair_function *k;
  pair_value *value;
  df_int n, D, first, P;
  double *block; /* values of some rows {rows,N} */
  double *mixed; /* the block times the labels {rows,P} */
  const double *labels;
  double *out; /* {4,N} */
};

static double distance(const sums *s, df_int i, df_int j, const double *product) {
  return sqrt(square_of(&s->z, i, &s->z, j, s->D, product));
}

static double gauss(const sums *s, df_int i, df_int j, const double *product) {
  double square = square_of(&s->z, i, &s->z, j, s->D, product), sum = 0;
  for (int h = 0; h < s->k->widths; h++)
    sum -= exp(-0.5 * square / (s->k->width[h] * s->k->width[h]));
  return sum / s->k->widths;
}

/* Let a and b be x and y minus their centre c. Then x.y/D + 1 = g + w, with
**   g = c.c/D + 1,  w = c.a/D + c.b/D + a.b/D
** and (g + w)^3 = 3 g^2 a.b/D + 3 g w^2 + w^3 + g^3 + 3 g^2 (c.a + c.b)/D. The last
** two terms cancel in a contrast of two sets. Far from 0 they are nearly all of the sum,
** so leaving them out saves digits. */
static double cubic(const sums *s, df_int i, df_int j, const double *product) {
  double p = product ? *product : dot(s->z.x + i * s->D, s->z.x + j * s->D, s->D);
  double q = p / (double)s->D, g = s->level, w = s->along[i] + s->along[j] + q;
  return -(3 * g * g * q + w * w * (3 * g + w));
}

static pair_value *const values[] = { distance, gauss, cubic };

/* Sums of one row of values, in which the sample's own is 0. */
static void sum_row(const sums *s, df_int i, const double *v) {
  double sum[4] = { 0 };
  df_int N = s->z.n;
  for (df_int j = 0; j < N; j++) {
    int other = j >= s->n;
    sum[other] += v[j], sum[2 + other] += v[j] * v[j];
  }
  for (int k = 0; k < 4; k++) s->out[k * N + i] = sum[k];
}

static void sum_rows(void *context, df_int begin, df_int end) {
  const sums *s = context;
  df_int N = s->z.n, D = s->D, from = s->first + begin;
  double *block = s->block + begin * N;
  bool product = D >= FEW;
  if (product) df_lapack_product(block, s->z.x + from * D, s->z.x, end - begin, N, D);
  for (df_int i = from; i < from + end - begin; i++) {
    double *v = block + (i - from) * N;
    for (df_int j = 0; j < N; j++)
      v[j] = i == j ? 0 : s->value(s, i, j, product ? v + j : NULL);
    sum_row(s, i, v);
  }
  if (s->P > 0)
    df_lapack_product(s->mixed + begin * s->P, block, s->labels, end - begin, s->P, N);
}

/* s.(K s) and s.(K 1) for the rows that were summed last. */
static void add_labelled(const sums *s, df_int count, double *labelled) {
  df_int N = s->z.n;
  for (df_int p = 0; p < s->P; p++)
    for (df_int i = s->first; i < s->first + count; i++) {
      double in = s->labels[p * N + i];
      labelled[2 * p] += in * s->mixed[(i - s->first) * s->P + p];
      labelled[2 * p + 1] += in * (s->out[i] + s->out[N + i]);
    }
}

static void run_sums(sums *s, df_int most, double *labelled) {
  for (s->first = 0; s->first < s->z.n; s->first += most) {
    df_int count = df_min(most, s->z.n - s->first);
    df_parallel(count, GRAIN, sum_rows, s);
    add_labelled(s, count, labelled);
  }
}

static bool place(df_tape *tape, sums *s, const df_tensor *z) {
  df_int N = s->z.n, D = s->D;
  double *x = df_metric_doubles(tape, z), *centre = df_metric_room(tape, D);
  double *along = df_metric_room(tape, N);
  if (!x || !centre || !along) return false;
  df_metric_mean(centre, x, N, D);
  if (!fill_rows(tape, &s->z, z, centre, D)) return false;
  for (df_int i = 0; i < N; i++) along[i] = dot(centre, s->z.x + i * D, D) / (double)D;
  s->along = along;
  s->level = dot(centre, centre, D) / (double)D + 1;
  return true;
}

static df_tensor *doubles(df_tape *tape, df_int rows, df_int columns) {
  df_shape shape = { .ndim = 2, .size = { rows, columns } };
  return df_scope_own(tape, df_tensor_new(DF_F64, &shape));
}

df_tensor *df_pair_sums(df_tape *tape, df_tensor *z, df_int n, const df_pair_function *k,
                        df_tensor *labels, df_tensor **labelled) {
  df_int N = z->shape.size[0], P = labels ? labels->shape.size[0] : 0;
  sums s = { .z = { .n = N }, .k = k, .value = values[k->kind], .n = n, .P = P };
  s.D = z->shape.size[1];
  df_int most = df_max(GRAIN, df_min(N, ROOM / N));
  df_tensor *out = doubles(tape, 4, N), *also = doubles(tape, P, 2);
  s.block = df_metric_room(tape, most * N), s.mixed = df_metric_room(tape, most * P);
  if (labels) s.labels = df_metric_doubles(tape, labels);
  if (!out || !also || !s.block || !s.mixed || (labels && !s.labels)) return NULL;
  if (!place(tape, &s, z)) return NULL;
  s.out = df_tensor_data(out);
  memset(df_tensor_data(also), 0, (size_t)P * 2 * sizeof(double));
  run_sums(&s, most, df_tensor_data(also));
  *labelled = also;
  return out;
}
