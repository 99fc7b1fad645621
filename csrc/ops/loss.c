/* Losses: means over all elements, or over each sample. Those of a difference a - b share
** their loops and differ in two functions of a block. Cross entropy has its own. */
#include <math.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/line.h"
#include "ops/op.h"
#include "ops/sink.h"

#define BLOCK 2048        /* reals of a buffer */
#define PART  (8 * BLOCK) /* elements of a partial sum */

/* ==== losses of a difference ======================================================== */

/* With d = a - b, and means over n elements:
**   mse     y = mean(d^2)                                    da = dy 2 d / n
**   l1      y = mean(|d|)                                    da = dy sign(d) / n
**   huber   y = mean(d^2/2 if |d| <= delta, else             da = dy c / n
**                    delta (|d| - delta/2))                  c = clamp(d, -delta, delta)
** and db = -da. */

/* A loss of a difference. `slope` replaces d by the loss's derivative, which still lacks
** `factor`. */
typedef struct measure {
  double (*sum)(df_real *d, df_int n, df_real delta); /* may overwrite d */
  void (*slope)(df_real *d, df_int n, df_real delta);
  double factor;
} measure;

static double square_sum(df_real *d, df_int n, df_real delta) {
  (void)delta;
  return df_kernel()->sum_squares(d, n);
}

static void square_slope(df_real *d, df_int n, df_real delta) {
  (void)d, (void)n, (void)delta;
}

static double abs_sum(df_real *d, df_int n, df_real delta) {
  (void)delta;
  df_kernel()->abs(d, d, n);
  return df_kernel()->sum(d, n);
}

static void abs_slope(df_real *d, df_int n, df_real delta) {
  (void)delta;
  df_kernel()->sign(d, d, n);
}

static void huber_slope(df_real *d, df_int n, df_real delta) {
  df_kernel()->clamp(d, d, -delta, delta, n);
}

/* With c = clamp(d, -delta, delta), both branches of the loss are c d - c^2/2. */
static double huber_sum(df_real *d, df_int n, df_real delta) {
  df_real c[BLOCK];
  df_kernel()->clamp(c, d, -delta, delta, n);
  return df_kernel()->dot(c, d, n) - 0.5 * df_kernel()->sum_squares(c, n);
}

typedef struct loss { /* B samples of n elements, each in `parts` sums */
  const measure *how;
  df_real delta;
  df_int B, n, parts;
  const df_real *a, *b;
  double *sum;       /* B, parts */
  const df_real *dy; /* B */
  df_real *to, beta, sign;
} loss;

/* A node's own numbers. */
typedef struct kept {
  const measure *how;
  double delta;
  bool per_sample;
} kept;

static loss loss_of(const kept *k, const df_tensor *a, const df_tensor *b) {
  df_int count = df_tensor_count(a), B = k->per_sample ? a->shape.size[0] : 1;
  loss l = { .how = k->how, .delta = (df_real)k->delta, .B = B };
  l.a = df_tensor_reals(a), l.b = df_tensor_reals(b);
  l.n = B ? count / B : 0;
  l.parts = df_max(df_ceil_div(l.n, PART), 1);
  return l;
}

static df_int grain(const loss *l) { return PART / (df_min(l->n, PART) + 1) + 1; }

static void sum_parts(void *context, df_int begin, df_int end) {
  const loss *l = context;
  df_real d[BLOCK];
  for (df_int part = begin; part < end; part++) {
    df_int sample = part / l->parts, first = part % l->parts * PART;
    df_int last = df_min(first + PART, l->n);
    double sum = 0;
    for (df_int i = first; i < last; i += BLOCK) {
      df_int at = sample * l->n + i, n = df_min(BLOCK, last - i);
      df_kernel()->sub(d, l->a + at, 1, l->b + at, 1, n);
      sum += l->how->sum(d, n, l->delta);
    }
    l->sum[part] = sum;
  }
}

static void slope_parts(void *context, df_int begin, df_int end) {
  const loss *l = context;
  df_real d[BLOCK];
  const df_real *slope = d;
  for (df_int part = begin; part < end; part++) {
    df_int sample = part / l->parts, first = part % l->parts * PART;
    df_int last = df_min(first + PART, l->n);
    df_real c =
        (df_real)((double)(l->sign * l->dy[sample]) * l->how->factor / (double)l->n);
    for (df_int i = first; i < last; i += BLOCK) {
      df_int at = sample * l->n + i, n = df_min(BLOCK, last - i);
      df_kernel()->sub(d, l->a + at, 1, l->b + at, 1, n);
      l->how->slope(d, n, l->delta);
      df_kernel()->mix(l->to + at, l->beta, &c, &slope, 1, n);
    }
  }
}

/* y[sample] = the mean of its n elements; false: no memory */
static bool means(loss *l, df_real *y) {
  l->sum = df_alloc((size_t)(l->B * l->parts + 1) * sizeof *l->sum);
  if (!l->sum) return false;
  df_parallel(l->B * l->parts, grain(l), sum_parts, l);
  for (df_int sample = 0; sample < l->B; sample++) {
    double sum = 0;
    for (df_int i = 0; i < l->parts; i++) sum += l->sum[sample * l->parts + i];
    y[sample] = (df_real)(sum / (double)l->n);
  }
  df_free(l->sum);
  return true;
}

static df_code check_pair(const char *name, const df_tensor *a, const df_tensor *b,
                          bool per_sample) {
  if (!df_shape_equal(&a->shape, &b->shape))
    return df_fail(DF_MISUSE, "%s: a is %s but b is %s", name, df_tensor_text(a),
                   df_tensor_text(b));
  if (per_sample && a->shape.ndim == 0)
    return df_fail(DF_MISUSE, "%s: a number has no samples", name);
  if (df_tensor_count(a) == 0)
    return df_fail(DF_MISUSE, "%s: %s has no elements to average", name,
                   df_tensor_text(a));
  return DF_OK;
}

static df_code difference_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  loss l = loss_of(node->data, node->keep[0], node->keep[1]);
  l.dy = df_tensor_reals(dy);
  for (int i = 0; i < 2; i++) {
    df_sink s;
    if (df_sink_open(node, i, &s) != DF_OK) return df_error_code();
    if (!s.to) continue;
    l.to = s.to, l.beta = s.beta, l.sign = i == 0 ? 1 : -1;
    df_parallel(l.B * l.parts, grain(&l), slope_parts, &l);
  }
  return DF_OK;
}

static df_tensor *difference(df_tape *tape, const df_op *op, df_tensor *a, df_tensor *b,
                             kept k) {
  df_tensor *x[2] = { df_dense(tape, a), df_dense(tape, b) };
  if (!x[0] || !x[1] || check_pair(op->name, x[0], x[1], k.per_sample) != DF_OK)
    return NULL;
  loss l = loss_of(&k, x[0], x[1]);
  df_shape shape = { k.per_sample ? 1 : 0, { l.B } };
  df_tensor *y = df_result(tape, &shape);
  if (!y || !means(&l, df_tensor_reals(y))) return NULL;
  df_note note = { .op = op, .n = 2, .x = x, .kept = 2, .keep = x };
  note.data = &k, note.size = sizeof k;
  return df_tape_note(tape, y, note);
}

df_tensor *df_mse(df_tape *tape, df_tensor *a, df_tensor *b, bool per_sample) {
  static const df_op op = { "mse", difference_backward };
  static const measure square = { square_sum, square_slope, 2 };
  return difference(tape, &op, a, b, (kept){ &square, 0, per_sample });
}

df_tensor *df_l1(df_tape *tape, df_tensor *a, df_tensor *b, bool per_sample) {
  static const df_op op = { "l1", difference_backward };
  static const measure absolute = { abs_sum, abs_slope, 1 };
  return difference(tape, &op, a, b, (kept){ &absolute, 0, per_sample });
}

df_tensor *df_huber(df_tape *tape, df_tensor *a, df_tensor *b, double delta,
                    bool per_sample) {
  static const df_op op = { "huber", difference_backward };
  static const measure huber = { huber_sum, huber_slope, 1 };
  if (!(delta > 0))
    return df_fail_null(DF_MISUSE, "huber: delta must be above 0, got %g", delta);
  return difference(tape, &op, a, b, (kept){ &huber, delta, per_sample });
}

/* ==== cross entropy ================================================================= */

typedef struct entropy { /* B rows of n logits */
  const df_real *x;
  const int64_t *class;
  df_int B, n;
  bool per_sample;
  double *value;     /* B: -ln softmax(x)[class] */
  const df_real *dy; /* B, or one */
  df_real *to, beta;
} entropy;

static entropy entropy_of(const df_tensor *x, const df_tensor *class, bool per_sample) {
  entropy e = { .B = x->shape.size[0], .n = x->shape.size[1], .per_sample = per_sample };
  e.x = df_tensor_reals(x), e.class = df_tensor_data(class);
  return e;
}

static void entropy_rows(void *context, df_int begin, df_int end) {
  const entropy *e = context;
  for (df_int i = begin; i < end; i++) {
    const df_real *x = e->x + i * e->n;
    double all = df_kernel()->logsumexp(x, e->n);
    e->value[i] = all == -INFINITY ? INFINITY : all - (double)x[e->class[i] - 1];
  }
}

/* With y = -ln softmax(x)[class]: dx = dy (softmax(x) - 1 at the class). It is 0 if all
** of x is -inf. */
static void entropy_back_rows(void *context, df_int begin, df_int end) {
  const entropy *e = context;
  const df_kernels *k = df_kernel();
  df_real p[BLOCK], c[2];
  const df_real *term = p;
  for (df_int i = begin; i < end; i++) {
    const df_real *x = e->x + i * e->n;
    df_real *dx = e->to + i * e->n;
    bool some = df_log_shares_of(x, e->n, c);
    df_real dy = e->per_sample ? e->dy[i] : e->dy[0] / (df_real)e->B;
    for (df_int j = 0; j < e->n; j += BLOCK) {
      df_int n = df_min(BLOCK, e->n - j);
      df_log_shares(p, x + j, c, n);
      k->exp(p, p, n);
      k->mix(dx + j, e->beta, &dy, &term, 1, n);
    }
    if (some) dx[e->class[i] - 1] -= dy;
  }
}

static void entropy_run(entropy *e, df_task *task) {
  df_parallel(e->B, PART / (e->n + 1) + 1, task, e);
}

static df_code entropy_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  const bool *per_sample = node->data;
  entropy e = entropy_of(node->keep[0], node->keep[1], *per_sample);
  df_sink s;
  if (df_sink_open(node, 0, &s) != DF_OK) return df_error_code();
  if (!s.to) return DF_OK;
  e.dy = df_tensor_reals(dy), e.to = s.to, e.beta = s.beta;
  entropy_run(&e, entropy_back_rows);
  return DF_OK;
}

static df_code check_classes(const df_tensor *x, const df_tensor *class) {
  if (x->shape.ndim != 2 || class->shape.ndim != 1
      || x->shape.size[0] != class->shape.size[0] || df_tensor_count(x) == 0)
    return df_fail(DF_MISUSE,
                   "cross_entropy: x must be [B,n] and class [B], none empty, got %s, %s",
                   df_tensor_text(x), df_tensor_text(class));
  const int64_t *at = df_tensor_data(class);
  for (df_int i = 0; i < x->shape.size[0]; i++)
    if (at[i] < 1 || at[i] > x->shape.size[1])
      return df_fail(DF_MISUSE, "cross_entropy: class %td is %lld, outside 1..%td", i + 1,
                     (long long)at[i], x->shape.size[1]);
  return DF_OK;
}

static bool entropy_values(entropy *e, df_real *y) {
  e->value = df_alloc((size_t)e->B * sizeof *e->value);
  if (!e->value) return false;
  entropy_run(e, entropy_rows);
  double sum = 0;
  for (df_int i = 0; i < e->B; i++) {
    sum += e->value[i];
    if (e->per_sample) y[i] = (df_real)e->value[i];
  }
  if (!e->per_sample) *y = (df_real)(sum / (double)e->B);
  df_free(e->value);
  return true;
}

df_tensor *df_cross_entropy(df_tape *tape, df_tensor *x, df_tensor *class,
                            bool per_sample) {
  static const df_op op = { "cross_entropy", entropy_backward };
  df_tensor *keep[2] = { df_dense(tape, x),
                         df_indices(tape, "cross_entropy: class", class) };
  if (!keep[0] || !keep[1] || check_classes(keep[0], keep[1]) != DF_OK) return NULL;
  entropy e = entropy_of(keep[0], keep[1], per_sample);
  df_shape shape = { per_sample ? 1 : 0, { e.B } };
  df_tensor *y = df_result(tape, &shape);
  if (!y || !entropy_values(&e, df_tensor_reals(y))) return NULL;
  df_note note = { .op = &op, .n = 1, .x = keep, .kept = 2, .keep = keep };
  note.data = &per_sample, note.size = sizeof per_sample;
  return df_tape_note(tape, y, note);
}
