/* Functions of two numbers over shapes that broadcast. Each is a row that names its
** kernel and the slopes by both operands. Integers stay integers, except under div. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/binary.h"
#include "ops/block.h"
#include "ops/fold.h"
#include "ops/op.h"
#include "ops/sink.h"
#include "ops/whole.h"

enum { READS_A = 1, READS_B = 2 };

/* to = beta to + dy slope; a step of 0 means that one value serves all. */
typedef void slope_of(df_real *to, df_real beta, const df_real *dy, const df_real *a,
                      df_int sa, const df_real *b, df_int sb, df_int n);

struct df_binary_op {
  df_op op;
  size_t kernel;  /* its place in df_kernels, or 0 and: */
  df_binary *own; /* a loop of this file */
  df_whole *whole;
  slope_of *slope[2]; /* NULL: the slope is 1 */
  int reads[2];       /* the operands that the slopes read */
};

/* ==== slopes ========================================================================
**   y = a + b         da = dy             db = dy
**   y = a - b         da = dy             db = -dy
**   y = a b           da = dy b           db = dy a
**   y = a / b         da = dy / b         db = -dy a / b^2
**   y = max(a, b)     da = dy [a > b]     db = dy [b > a]     half each if a = b
**   y = min(a, b)     da = dy [a < b]     db = dy [b < a]     half each if a = b
**   y = a^b           da = dy b a^(b-1)   db = dy a^b ln a
** The gradient of a broadcast operand is summed down to the operand's shape. */

static void sink(df_real *to, df_real beta, df_real g) {
  *to = beta == 0 ? g : beta * *to + g;
}

static void minus(df_real *to, df_real beta, const df_real *dy, const df_real *a,
                  df_int sa, const df_real *b, df_int sb, df_int n) {
  const df_real c = -1;
  (void)a, (void)sa, (void)b, (void)sb;
  df_kernel()->mix(to, beta, &c, &dy, 1, n);
}

static void times_a(df_real *to, df_real beta, const df_real *dy, const df_real *a,
                    df_int sa, const df_real *b, df_int sb, df_int n) {
  (void)b, (void)sb;
  df_kernel()->product(to, beta, 1, dy, 1, a, sa, n);
}

static void times_b(df_real *to, df_real beta, const df_real *dy, const df_real *a,
                    df_int sa, const df_real *b, df_int sb, df_int n) {
  (void)a, (void)sa;
  df_kernel()->product(to, beta, 1, dy, 1, b, sb, n);
}

static void over_b(df_real *to, df_real beta, const df_real *dy, const df_real *a,
                   df_int sa, const df_real *b, df_int sb, df_int n) {
  (void)a, (void)sa;
  for (df_int i = 0; i < n; i++) sink(to + i, beta, dy[i] / b[i * sb]);
}

static void quotient_b(df_real *to, df_real beta, const df_real *dy, const df_real *a,
                       df_int sa, const df_real *b, df_int sb, df_int n) {
  for (df_int i = 0; i < n; i++)
    sink(to + i, beta, -dy[i] * (a[i * sa] / b[i * sb]) / b[i * sb]);
}

/* 1 if x > y, 1/2 if they are equal */
static df_real share(df_real x, df_real y) {
  return x > y ? 1 : x < y ? 0 : (df_real)0.5;
}

static void larger_a(df_real *to, df_real beta, const df_real *dy, const df_real *a,
                     df_int sa, const df_real *b, df_int sb, df_int n) {
  for (df_int i = 0; i < n; i++) sink(to + i, beta, dy[i] * share(a[i * sa], b[i * sb]));
}

static void larger_b(df_real *to, df_real beta, const df_real *dy, const df_real *a,
                     df_int sa, const df_real *b, df_int sb, df_int n) {
  for (df_int i = 0; i < n; i++) sink(to + i, beta, dy[i] * share(b[i * sb], a[i * sa]));
}

static void power(df_real *y, const df_real *a, df_int sa, const df_real *b, df_int sb,
                  df_int n) {
  for (df_int i = 0; i < n; i++) y[i] = (df_real)pow(a[i * sa], b[i * sb]);
}

static void power_a(df_real *to, df_real beta, const df_real *dy, const df_real *a,
                    df_int sa, const df_real *b, df_int sb, df_int n) {
  for (df_int i = 0; i < n; i++) {
    double p = b[i * sb], rest = pow(a[i * sa], p - 1);
    sink(to + i, beta, dy[i] * (df_real)(p == 0 || rest == 0 ? 0 : p * rest));
  }
}

static void power_b(df_real *to, df_real beta, const df_real *dy, const df_real *a,
                    df_int sa, const df_real *b, df_int sb, df_int n) {
  for (df_int i = 0; i < n; i++) {
    double x = a[i * sa], p = b[i * sb], y = pow(x, p);
    double slope = y == 0 || (x == 0 && p == 0) ? 0 : y * log(x);
    sink(to + i, beta, dy[i] * (df_real)slope);
  }
}

/* ==== the rows ====================================================================== */

static bool whole_add(int64_t *y, const int64_t *a, df_int sa, const int64_t *b,
                      df_int sb, df_int n) {
  bool misfit = false;
  for (df_int i = 0; i < n; i++)
    misfit |= __builtin_add_overflow(a[i * sa], b[i * sb], &y[i]);
  return !misfit;
}
static bool whole_sub(int64_t *y, const int64_t *a, df_int sa, const int64_t *b,
                      df_int sb, df_int n) {
  bool misfit = false;
  for (df_int i = 0; i < n; i++)
    misfit |= __builtin_sub_overflow(a[i * sa], b[i * sb], &y[i]);
  return !misfit;
}
static bool whole_mul(int64_t *y, const int64_t *a, df_int sa, const int64_t *b,
                      df_int sb, df_int n) {
  bool misfit = false;
  for (df_int i = 0; i < n; i++)
    misfit |= __builtin_mul_overflow(a[i * sa], b[i * sb], &y[i]);
  return !misfit;
}
static bool whole_maximum(int64_t *y, const int64_t *a, df_int sa, const int64_t *b,
                          df_int sb, df_int n) {
  for (df_int i = 0; i < n; i++) y[i] = a[i * sa] > b[i * sb] ? a[i * sa] : b[i * sb];
  return true;
}
static bool whole_minimum(int64_t *y, const int64_t *a, df_int sa, const int64_t *b,
                          df_int sb, df_int n) {
  for (df_int i = 0; i < n; i++) y[i] = a[i * sa] < b[i * sb] ? a[i * sa] : b[i * sb];
  return true;
}

/* x^p for p >= 0, by repeated squaring. A square that overflows is a factor of the
** result, so the result overflows too. */
static bool raise(int64_t *y, int64_t x, int64_t p) {
  bool fits = true;
  for (*y = 1; p > 0 && fits; p /= 2) {
    if (p % 2) fits = !__builtin_mul_overflow(*y, x, y);
    if (p > 1) fits = !__builtin_mul_overflow(x, x, &x) && fits;
  }
  return fits;
}
static bool whole_pow(int64_t *y, const int64_t *a, df_int sa, const int64_t *b,
                      df_int sb, df_int n) {
  bool fits = true;
  for (df_int i = 0; i < n; i++) fits = raise(&y[i], a[i * sa], b[i * sb]) && fits;
  return fits;
}

static df_code binary_backward(df_tape *tape, df_node *node, df_tensor *dy);

#define KERNEL(k) .kernel = offsetof(df_kernels, k)

static const df_binary_op table[] = {
  { .op = { "add", binary_backward }, KERNEL(add), .whole = whole_add },
  { .op = { "sub", binary_backward },
    KERNEL(sub),
    .whole = whole_sub,
    .slope = { NULL, minus } },
  { .op = { "mul", binary_backward },
    KERNEL(mul),
    .whole = whole_mul,
    .slope = { times_b, times_a },
    .reads = { READS_B, READS_A } },
  { .op = { "div", binary_backward },
    KERNEL(div),
    .slope = { over_b, quotient_b },
    .reads = { READS_B, READS_A | READS_B } },
  { .op = { "maximum", binary_backward },
    KERNEL(maximum),
    .whole = whole_maximum,
    .slope = { larger_a, larger_b },
    .reads = { READS_A | READS_B, READS_A | READS_B } },
  { .op = { "minimum", binary_backward },
    KERNEL(minimum),
    .whole = whole_minimum,
    .slope = { larger_b, larger_a },
    .reads = { READS_A | READS_B, READS_A | READS_B } },
  { .op = { "pow", binary_backward },
    .own = power,
    .whole = whole_pow,
    .slope = { power_a, power_b },
    .reads = { READS_A | READS_B, READS_A | READS_B } },
};

const df_binary_op *df_binary_find(const char *name) {
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(table[i].op.name, name) == 0) return &table[i];
  return NULL;
}

const char *df_binary_name(const df_binary_op *row) { return row->op.name; }

df_whole *df_binary_whole(const df_binary_op *row) { return row->whole; }

df_binary *df_binary_kernel(const df_binary_op *row) {
  df_binary *f = row->own;
  if (row->kernel) memcpy(&f, (const char *)df_kernel() + row->kernel, sizeof f);
  return f;
}

/* ==== forward ======================================================================= */

typedef struct job {
  df_binary *f;
  df_real *y; /* dense */
  df_array a, b;
} job;

static void real_block(void *context, df_int begin, df_int end) {
  const job *j = context;
  df_real mine[DF_BLOCK], other[DF_BLOCK];
  df_int sa, sb, n = end - begin;
  const df_real *a = df_fetch(&j->a, DF_REAL, begin, n, mine, &sa);
  const df_real *b = df_fetch(&j->b, DF_REAL, begin, n, other, &sb);
  j->f(j->y + begin, a, sa, b, sb, n);
}

typedef struct whole_job {
  df_whole *f;
  int64_t *y;
  const df_array *a, *b;
  atomic_bool misfit;
} whole_job;

static void whole_block(void *context, df_int begin, df_int end) {
  whole_job *j = context;
  int64_t mine[DF_BLOCK], other[DF_BLOCK], spare[DF_BLOCK];
  int64_t *y = j->y ? j->y + begin : spare;
  df_int sa, sb, n = end - begin;
  const int64_t *a = df_fetch(j->a, DF_I64, begin, n, mine, &sa);
  const int64_t *b = df_fetch(j->b, DF_I64, begin, n, other, &sb);
  if (!j->f(y, a, sa, b, sb, n)) j->misfit = true;
}

/* Fails with the first pair from `begin` on whose result i64 doesn't hold. */
static df_code misfit(const df_binary_op *row, const df_array *a, const df_array *b,
                      df_int begin, df_int n) {
  int64_t mine[DF_BLOCK], other[DF_BLOCK], y;
  df_int sa, sb;
  const int64_t *u = df_fetch(a, DF_I64, begin, n, mine, &sa);
  const int64_t *v = df_fetch(b, DF_I64, begin, n, other, &sb);
  for (df_int i = 0; i < n; i++)
    if (!row->whole(&y, u + i * sa, 0, v + i * sb, 0, 1))
      return df_fail(DF_MISUSE,
                     "%s: i64 doesn't hold the result of %lld and %lld; x:to \"%s\" "
                     "first rounds it",
                     row->op.name, (long long)u[i * sa], (long long)v[i * sb],
                     df_dtype_name(DF_REAL));
  return DF_OK;
}

df_code df_whole_run(const df_binary_op *row, int64_t *y, const df_array *a,
                     const df_array *b, df_int count) {
  whole_job j = { row->whole, y, a, b, false };
  df_code code = DF_OK;
  df_parallel(count, DF_BLOCK, whole_block, &j);
  if (!j.misfit) return DF_OK;
  for (df_int at = 0; at < count && code == DF_OK; at += DF_BLOCK)
    code = misfit(row, a, b, at, df_min(DF_BLOCK, count - at));
  return code;
}

df_code df_fit_shapes(const char *name, const df_tensor *a, const df_tensor *b,
                      df_shape *both) {
  if (df_shape_broadcast(&a->shape, &b->shape, both)) return DF_OK;
  return df_fail(DF_MISUSE, "%s: shapes %s and %s don't fit: sizes must agree or be 1",
                 name, df_tensor_text(a), df_tensor_text(b));
}

df_code df_fit(const char *name, const df_tensor *a, const df_tensor *b, df_shape *both) {
  if (df_computable(name, a) != DF_OK || df_computable(name, b) != DF_OK)
    return DF_MISUSE;
  return df_fit_shapes(name, a, b, both);
}

bool df_both_whole(const df_tensor *a, const df_tensor *b) {
  return !df_dtype_is_float(a->dtype) && !df_dtype_is_float(b->dtype);
}

typedef struct shapes {
  df_shape of[2], full;
} shapes;

/* Keeps the operands that the wanted slopes read. */
static df_tensor *note(df_tape *tape, const df_binary_op *row, df_tensor *y, df_tensor *a,
                       df_tensor *b) {
  df_tensor *x[2] = { a, b };
  int reads = df_tracked(tape, 1, &a) ? row->reads[0] : 0;
  if (df_tracked(tape, 1, &b)) reads |= row->reads[1];
  df_tensor *keep[2] = { reads & READS_A ? a : NULL, reads & READS_B ? b : NULL };
  shapes s = { { a->shape, b->shape }, y->shape };
  df_note n = { .op = &row->op, .n = 2, .x = x, .kept = 2, .keep = keep };
  n.data = &s, n.size = sizeof s;
  return df_tape_note(tape, y, n);
}

/* False, with an error, if reals would round an integer. */
static bool fits_reals(const df_tensor *a, const df_tensor *b) {
  return df_whole_fits(a, DF_REAL) == DF_OK && df_whole_fits(b, DF_REAL) == DF_OK;
}

df_tensor *df_binary_of(df_tape *tape, const df_binary_op *row, df_tensor *a,
                        df_tensor *b) {
  df_shape full;
  if (!a || !b || df_fit(row->op.name, a, b, &full) != DF_OK) return NULL;
  bool whole = row->whole && df_both_whole(a, b);
  if (!whole && !fits_reals(a, b)) return NULL;
  df_tensor *y = df_scope_own(tape, df_tensor_new(whole ? DF_I64 : DF_REAL, &full));
  if (!y) return NULL;
  job j = { .a = df_array_of(a, &full), .b = df_array_of(b, &full) };
  if (whole) {
    df_code code = df_whole_run(row, df_tensor_data(y), &j.a, &j.b, df_tensor_count(y));
    return code == DF_OK ? y : NULL;
  }
  j.f = df_binary_kernel(row), j.y = df_tensor_reals(y);
  df_parallel(df_tensor_count(y), DF_BLOCK, real_block, &j);
  return note(tape, row, y, a, b);
}

/* ==== backward ====================================================================== */

typedef struct undo {
  slope_of *slope;
  df_real *to, beta;
  const df_real *dy;
  df_array a, b; /* without data: not kept, not read */
} undo;

static void slope_block(void *context, df_int begin, df_int end) {
  const undo *u = context;
  df_real mine[DF_BLOCK], other[DF_BLOCK];
  const df_real *a = NULL, *b = NULL;
  df_int sa = 0, sb = 0, n = end - begin;
  if (u->a.data) a = df_fetch(&u->a, DF_REAL, begin, n, mine, &sa);
  if (u->b.data) b = df_fetch(&u->b, DF_REAL, begin, n, other, &sb);
  u->slope(u->to + begin, u->beta, u->dy + begin, a, sa, b, sb, n);
}

/* The slope is 1. */
static df_code pass(df_node *node, int i, const shapes *s, df_tensor *dy) {
  df_sink to;
  if (df_shape_equal(&s->of[i], &s->full)) return df_sink_pass(node, i, dy);
  if (df_sink_open(node, i, &to) != DF_OK) return df_error_code();
  if (!to.to) return DF_OK;
  return df_reduce_to(to.to, to.beta, &s->of[i], df_tensor_reals(dy), &s->full);
}

static df_code undo_operand(df_tape *tape, df_node *node, int i, df_tensor *dy) {
  const df_binary_op *row = (const df_binary_op *)(const void *)node->op;
  const shapes *s = node->data;
  df_wide w;
  if (!row->slope[i]) return pass(node, i, s, dy);
  if (df_wide_open(tape, node, i, &s->of[i], &s->full, &w) != DF_OK)
    return df_error_code();
  if (!w.to) return DF_OK;
  undo u = { .slope = row->slope[i], .to = w.to, .beta = w.beta };
  u.dy = df_tensor_reals(dy);
  if (node->keep[0]) u.a = df_array_of(node->keep[0], &s->full);
  if (node->keep[1]) u.b = df_array_of(node->keep[1], &s->full);
  df_parallel(df_tensor_count(dy), DF_BLOCK, slope_block, &u);
  return df_wide_close(&w);
}

static df_code binary_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  df_code code = undo_operand(tape, node, 0, dy);
  return code == DF_OK ? undo_operand(tape, node, 1, dy) : code;
}

/* ==== by name ======================================================================= */

df_tensor *df_add(df_tape *tape, df_tensor *a, df_tensor *b) {
  return df_binary_of(tape, df_binary_find("add"), a, b);
}

df_tensor *df_sub(df_tape *tape, df_tensor *a, df_tensor *b) {
  return df_binary_of(tape, df_binary_find("sub"), a, b);
}

df_tensor *df_mul(df_tape *tape, df_tensor *a, df_tensor *b) {
  return df_binary_of(tape, df_binary_find("mul"), a, b);
}

df_tensor *df_div(df_tape *tape, df_tensor *a, df_tensor *b) {
  return df_binary_of(tape, df_binary_find("div"), a, b);
}

/* Exponents that have a kernel. */
static const struct {
  double p;
  const char *name;
} powers[] = { { 2, "square" }, { 0.5, "sqrt" }, { -1, "reciprocal" } };

static bool has_negative(const df_tensor *p) {
  df_array a = df_array_of(p, &p->shape);
  df_int step, count = df_tensor_count(p);
  int64_t room[DF_BLOCK];
  for (df_int at = 0; at < count; at += DF_BLOCK) {
    df_int n = df_min(DF_BLOCK, count - at);
    const int64_t *v = df_fetch(&a, DF_I64, at, n, room, &step);
    for (df_int i = 0; i < n; i++)
      if (v[i * step] < 0) return true;
  }
  return false;
}

static df_tensor *power_of(df_tape *tape, df_tensor *x, df_tensor *p) {
  return df_binary_of(tape, df_binary_find("pow"), x, p);
}

df_tensor *df_pow(df_tape *tape, df_tensor *x, df_tensor *p) {
  double value;
  if (!x || !p || df_computable("pow", p) != DF_OK) return NULL;
  if (df_both_whole(x, p)) {
    if (!has_negative(p)) return power_of(tape, x, p);
    x = df_dense(tape, x);
    if (!x) return NULL;
  }
  if (p->shape.ndim > 0 || df_tracked(tape, 1, &p)) return power_of(tape, x, p);
  df_dtype_convert(DF_F64, &value, p->dtype, df_tensor_data(p), 1);
  for (size_t i = 0; i < sizeof powers / sizeof *powers; i++)
    if (powers[i].p == value) return df_unary_of(tape, df_unary_find(powers[i].name), x);
  return power_of(tape, x, p);
}

df_tensor *df_plus(df_tape *tape, df_tensor *x, double c) {
  df_tensor *number = df_result(tape, &(df_shape){ 0 });
  if (!x || !number) return NULL;
  *df_tensor_reals(number) = (df_real)c;
  return df_add(tape, x, number);
}
