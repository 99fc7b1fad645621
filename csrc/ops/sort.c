/* Sorting along a dimension: a stable merge sort of (value, place), one line at a
** time. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "ops/line.h"
#include "ops/fold.h"
#include "ops/op.h"
#include "ops/sink.h"

/* values and their places, sorted together */
typedef struct pairs {
  df_real *v;
  int64_t *at;
} pairs;

typedef struct job {
  const df_real *x;
  pairs to, spare;
  df_int length;
  df_real sign; /* -1 for descending */
} job;

static bool before(df_real a, df_real b, df_real sign) {
  return sign * a < sign * b || (isnan(b) && !isnan(a));
}

#define RUN 16 /* elements sorted by insertion */

static void insertion(pairs p, df_int n, df_real sign) {
  for (df_int i = 1; i < n; i++) {
    df_real v = p.v[i];
    int64_t at = p.at[i];
    df_int k = i;
    for (; k > 0 && before(v, p.v[k - 1], sign); k--)
      p.v[k] = p.v[k - 1], p.at[k] = p.at[k - 1];
    p.v[k] = v, p.at[k] = at;
  }
}

/* to = the runs [0, middle) and [middle, n) of from, merged */
static void merge(pairs to, pairs from, df_int middle, df_int n, df_real sign) {
  df_int a = 0, b = middle;
  for (df_int i = 0; i < n; i++) {
    bool right = a == middle || (b < n && before(from.v[b], from.v[a], sign));
    df_int k = right ? b++ : a++;
    to.v[i] = from.v[k], to.at[i] = from.at[k];
  }
}

static pairs behind(pairs p, df_int n) { return (pairs){ p.v + n, p.at + n }; }

static void sort_line(pairs to, pairs spare, df_int n, df_real sign) {
  pairs from = to;
  for (df_int i = 0; i < n; i += RUN) insertion(behind(to, i), df_min(RUN, n - i), sign);
  for (df_int run = RUN; run < n; run *= 2) {
    for (df_int i = 0; i < n; i += 2 * run)
      merge(behind(spare, i), behind(from, i), df_min(run, n - i), df_min(2 * run, n - i),
            sign);
    pairs swap = from;
    from = spare, spare = swap;
  }
  if (from.v == to.v) return;
  memcpy(to.v, from.v, (size_t)n * sizeof *to.v);
  memcpy(to.at, from.at, (size_t)n * sizeof *to.at);
}

static void sort_lines(void *context, df_int begin, df_int end) {
  const job *j = context;
  df_int n = j->length;
  for (df_int i = begin; i < end; i++) {
    pairs to = behind(j->to, i * n);
    for (df_int k = 0; k < n; k++) to.v[k] = j->x[i * n + k], to.at[k] = k + 1;
    sort_line(to, behind(j->spare, i * n), n, j->sign);
  }
}

static df_int line_grain(df_int length) { return 2048 / df_max(1, length) + 1; }

static df_code sort_all(const df_tensor *x, df_tensor *y, df_tensor *index, double sign) {
  df_int count = df_tensor_count(x), length = x->shape.size[x->shape.ndim - 1];
  job j = { .x = df_tensor_reals(x), .length = length, .sign = (df_real)sign };
  j.to = (pairs){ df_tensor_reals(y), df_tensor_data(index) };
  size_t places = (size_t)count * sizeof(int64_t);
  char *spare = df_alloc(places + (size_t)count * sizeof(df_real));
  if (!spare) return DF_MEMORY;
  j.spare = (pairs){ (df_real *)(void *)(spare + places), (int64_t *)(void *)spare };
  if (count > 0) df_parallel(count / length, line_grain(length), sort_lines, &j);
  df_free(spare);
  return DF_OK;
}

/* ==== the ops ======================================================================= */

typedef struct scatter {
  df_real *to, beta;
  const df_real *dy;
  const int64_t *at;
  df_int length;
} scatter;

static void scatter_lines(void *context, df_int begin, df_int end) {
  const scatter *s = context;
  for (df_int i = begin * s->length; i < end * s->length; i++) {
    df_real *to = s->to + i / s->length * s->length + s->at[i] - 1;
    *to = s->beta == 0 ? s->dy[i] : s->beta * *to + s->dy[i];
  }
}

/* With y_k = x[at_k]: dx[at_k] = dy_k. Each place occurs once. */
static df_code sort_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  df_sink s;
  (void)tape;
  if (df_sink_open(node, 0, &s) != DF_OK) return df_error_code();
  df_int n = dy->shape.size[dy->shape.ndim - 1];
  if (!s.to || n == 0) return DF_OK;
  scatter j = { s.to, s.beta, df_tensor_reals(dy), df_tensor_data(node->keep[0]), n };
  df_parallel(df_tensor_count(dy) / n, line_grain(n), scatter_lines, &j);
  return DF_OK;
}

df_tensor *df_sort(df_tape *tape, df_tensor *x, int dim, bool descending,
                   df_tensor **index) {
  static const df_op op = { "sort", sort_backward };
  df_tensor *lines = df_dense(tape, df_to_last(tape, x, dim));
  if (!lines) return NULL;
  df_tensor *y = df_result(tape, &lines->shape);
  df_tensor *at = df_scope_own(tape, df_tensor_new(DF_I64, &lines->shape));
  if (!y || !at || sort_all(lines, y, at, descending ? -1 : 1) != DF_OK) return NULL;
  df_note note = { .op = &op, .n = 1, .x = &lines, .kept = 1, .keep = &at };
  y = df_from_last(tape, df_tape_note(tape, y, note), dim);
  if (!index) return y;
  *index = df_from_last(tape, at, dim);
  return *index ? y : NULL;
}

df_tensor *df_topk(df_tape *tape, df_tensor *x, df_int k, int dim, df_tensor **index) {
  df_tensor *at = NULL;
  if (!x) return NULL;
  if (k < 0 || k > x->shape.size[dim])
    return df_fail_null(DF_MISUSE, "topk: %td of the %td along dimension %d of %s", k,
                        x->shape.size[dim], dim + 1, df_tensor_text(x));
  df_tensor *y = df_sort(tape, x, dim, true, &at);
  y = df_dense(tape, df_narrow(tape, y, dim, 0, k));
  if (!y || !index) return y;
  *index = df_clone(tape, df_narrow(tape, at, dim, 0, k));
  return *index ? y : NULL;
}

df_tensor *df_quantile(df_tape *tape, df_tensor *x, double q, int dim, bool keep) {
  if (!x) return NULL;
  df_int n = x->shape.size[dim];
  if (n == 0 || !(q >= 0 && q <= 1))
    return df_fail_null(DF_MISUSE, "quantile: q = %g of %td elements; q is in 0..1", q,
                        n);
  df_tensor *sorted = df_sort(tape, x, dim, false, NULL);
  double place = q * (double)(n - 1), part = place - floor(place);
  df_int low = (df_int)floor(place);
  df_tensor *y = df_narrow(tape, sorted, dim, low, 1);
  if (part > 0) {
    df_tensor *above = df_narrow(tape, sorted, dim, low + 1, 1);
    y = df_add(tape, df_scale(tape, y, 1 - part), df_scale(tape, above, part));
  }
  df_shape shape;
  df_reduced_shape(&x->shape, 1u << dim, keep, &shape);
  return df_reshape(tape, df_dense(tape, y), &shape);
}
