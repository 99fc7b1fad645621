/* Comparisons, which make masks; the choice between two tensors by a mask; and whether
** two tensors are equal or close. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "ops/binary.h"
#include "ops/block.h"
#include "ops/op.h"
#include "ops/sink.h"
#include "ops/whole.h"

/* ==== comparisons =================================================================== */

/* Whether a relation holds if a and b are unordered (NaN), less, equal, more. */
typedef struct relation {
  const char *name;
  uint8_t holds[4];
} relation;

static const relation relations[] = {
  { "eq", { 0, 0, 1, 0 } }, { "ne", { 1, 1, 0, 1 } }, { "lt", { 0, 1, 0, 0 } },
  { "le", { 0, 1, 1, 0 } }, { "gt", { 0, 0, 0, 1 } }, { "ge", { 0, 0, 1, 1 } },
};

typedef struct comparison {
  const relation *r;
  bool turned; /* b is the integer */
  uint8_t *y;
  df_array a, b;
} comparison;

static void compare_reals(void *context, df_int begin, df_int end) {
  const comparison *c = context;
  df_real mine[DF_BLOCK], other[DF_BLOCK];
  df_int sa, sb, n = end - begin;
  const df_real *a = df_fetch(&c->a, DF_REAL, begin, n, mine, &sa);
  const df_real *b = df_fetch(&c->b, DF_REAL, begin, n, other, &sb);
  for (df_int i = 0; i < n; i++) {
    df_real u = a[i * sa], v = b[i * sb];
    c->y[begin + i] = c->r->holds[(u < v) + 2 * (u == v) + 3 * (u > v)];
  }
}

static void compare_wholes(void *context, df_int begin, df_int end) {
  const comparison *c = context;
  int64_t mine[DF_BLOCK], other[DF_BLOCK];
  df_int sa, sb, n = end - begin;
  const int64_t *a = df_fetch(&c->a, DF_I64, begin, n, mine, &sa);
  const int64_t *b = df_fetch(&c->b, DF_I64, begin, n, other, &sb);
  for (df_int i = 0; i < n; i++) {
    int64_t u = a[i * sa], v = b[i * sb];
    c->y[begin + i] = c->r->holds[(u < v) + 2 * (u == v) + 3 * (u > v)];
  }
}

/* An integer next to a real. Neither is converted to the other, which would round it. */
static void compare_mixed(void *context, df_int begin, df_int end) {
  const comparison *c = context;
  int64_t mine[DF_BLOCK];
  double other[DF_BLOCK];
  df_int sa, sb, n = end - begin;
  const int64_t *a = df_fetch(c->turned ? &c->b : &c->a, DF_I64, begin, n, mine, &sa);
  const double *b = df_fetch(c->turned ? &c->a : &c->b, DF_F64, begin, n, other, &sb);
  for (df_int i = 0; i < n; i++) {
    int order = df_whole_order(a[i * sa], b[i * sb]);
    int place = order == 2 ? 0 : 2 + (c->turned ? -order : order);
    c->y[begin + i] = c->r->holds[place];
  }
}

static df_task *comparing(const df_tensor *a, const df_tensor *b) {
  if (df_both_whole(a, b)) return compare_wholes;
  bool mixed = !df_dtype_is_float(a->dtype) || !df_dtype_is_float(b->dtype);
  return mixed ? compare_mixed : compare_reals;
}

df_tensor *df_compare(df_tape *tape, const char *name, df_tensor *a, df_tensor *b) {
  const relation *r = relations;
  df_shape full;
  while (strcmp(r->name, name) != 0) r++;
  if (!a || !b) return NULL;
  df_task *task = comparing(a, b);
  df_code code = task == compare_mixed ? df_fit_shapes(name, a, b, &full)
                                       : df_fit(name, a, b, &full);
  if (code != DF_OK) return NULL;
  df_tensor *y = df_scope_own(tape, df_tensor_new(DF_U8, &full));
  if (!y) return NULL;
  comparison c = { r, !df_dtype_is_float(b->dtype), df_tensor_data(y),
                   df_array_of(a, &full), df_array_of(b, &full) };
  df_parallel(df_tensor_count(y), DF_BLOCK, task, &c);
  return y;
}

static void finite_block(void *context, df_int begin, df_int end) {
  const comparison *c = context;
  df_real mine[DF_BLOCK];
  df_int step, n = end - begin;
  const df_real *a = df_fetch(&c->a, DF_REAL, begin, n, mine, &step);
  for (df_int i = 0; i < n; i++) c->y[begin + i] = isfinite(a[i * step]);
}

static bool is_finite(const df_real *x, df_int n) {
  const df_kernels *k = df_kernel();
  return n == 0 || (isfinite(k->max(x, n)) && isfinite(k->min(x, n)));
}

df_int df_nonfinite_samples(const df_tensor *x) {
  df_int B = x->shape.ndim ? x->shape.size[0] : 1, all = df_tensor_count(x), count = 0;
  const df_real *v = df_tensor_reals(x);
  if (is_finite(v, all)) return 0;
  for (df_int i = 0; i < B; i++) count += !is_finite(v + i * (all / B), all / B);
  return count;
}

df_tensor *df_isfinite(df_tape *tape, df_tensor *x) {
  if (!x || df_computable("isfinite", x) != DF_OK) return NULL;
  df_tensor *y = df_scope_own(tape, df_tensor_new(DF_U8, &x->shape));
  if (!y) return NULL;
  comparison c = { .y = df_tensor_data(y), .a = df_array_of(x, &x->shape) };
  df_parallel(df_tensor_count(y), DF_BLOCK, finite_block, &c);
  return y;
}

/* ==== the op where ================================================================== */

typedef struct choice {
  df_array mask, a, b;
  void *y; /* dense */
} choice;

static void choose_reals(void *context, df_int begin, df_int end) {
  const choice *c = context;
  df_real mask[DF_BLOCK], mine[DF_BLOCK], other[DF_BLOCK], *y = (df_real *)c->y + begin;
  df_int sm, sa, sb, n = end - begin;
  const df_real *m = df_fetch(&c->mask, DF_REAL, begin, n, mask, &sm);
  const df_real *a = df_fetch(&c->a, DF_REAL, begin, n, mine, &sa);
  const df_real *b = df_fetch(&c->b, DF_REAL, begin, n, other, &sb);
  for (df_int i = 0; i < n; i++) {
    df_real either[2] = { b[i * sb], a[i * sa] }; /* masks are unpredictable: no branch */
    y[i] = either[m[i * sm] != 0];
  }
}

static void choose_wholes(void *context, df_int begin, df_int end) {
  const choice *c = context;
  df_real mask[DF_BLOCK];
  int64_t mine[DF_BLOCK], other[DF_BLOCK], *y = (int64_t *)c->y + begin;
  df_int sm, sa, sb, n = end - begin;
  const df_real *m = df_fetch(&c->mask, DF_REAL, begin, n, mask, &sm);
  const int64_t *a = df_fetch(&c->a, DF_I64, begin, n, mine, &sa);
  const int64_t *b = df_fetch(&c->b, DF_I64, begin, n, other, &sb);
  for (df_int i = 0; i < n; i++) y[i] = m[i * sm] != 0 ? a[i * sa] : b[i * sb];
}

typedef struct where_shapes {
  df_shape of[2], full;
} where_shapes;

typedef struct masking {
  df_real *to, beta;
  const df_real *dy;
  df_array mask;
  bool first; /* passes dy where the mask holds, else where it doesn't */
} masking;

static void mask_block(void *context, df_int begin, df_int end) {
  const masking *j = context;
  df_real mine[DF_BLOCK];
  df_int step, n = end - begin;
  const df_real *m = df_fetch(&j->mask, DF_REAL, begin, n, mine, &step);
  for (df_int i = 0; i < n; i++) {
    df_real g = (m[i * step] != 0) == j->first ? j->dy[begin + i] : 0;
    df_real *to = j->to + begin + i;
    *to = j->beta == 0 ? g : j->beta * *to + g;
  }
}

/* With y = a where the mask holds, else b: da = dy there, and db = dy elsewhere. */
static df_code where_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const where_shapes *s = node->data;
  for (int i = 0; i < 2; i++) {
    df_wide w;
    if (df_wide_open(tape, node, i, &s->of[i], &s->full, &w) != DF_OK)
      return df_error_code();
    if (!w.to) continue;
    masking j = { w.to, w.beta, df_tensor_reals(dy), df_array_of(node->keep[0], &s->full),
                  i == 0 };
    df_parallel(df_tensor_count(dy), DF_BLOCK, mask_block, &j);
    if (df_wide_close(&w) != DF_OK) return df_error_code();
  }
  return DF_OK;
}

df_tensor *df_where(df_tape *tape, df_tensor *mask, df_tensor *a, df_tensor *b) {
  static const df_op op = { "where", where_backward };
  where_shapes s;
  df_shape both;
  if (!mask || !a || !b || df_fit("where", a, b, &both) != DF_OK) return NULL;
  if (df_computable("where", mask) != DF_OK) return NULL;
  if (!df_shape_broadcast(&both, &mask->shape, &s.full))
    return df_fail_null(DF_MISUSE, "where: the mask %s doesn't fit the values %s",
                        df_tensor_text(mask), df_shape_text(&both));
  bool whole = df_both_whole(a, b);
  if (!whole && (df_whole_fits(a, DF_REAL) || df_whole_fits(b, DF_REAL))) return NULL;
  df_tensor *y = df_scope_own(tape, df_tensor_new(whole ? DF_I64 : DF_REAL, &s.full));
  df_tensor *x[2] = { a, b };
  if (!y) return NULL;
  choice c = { df_array_of(mask, &s.full), df_array_of(a, &s.full),
               df_array_of(b, &s.full), df_tensor_data(y) };
  df_parallel(df_tensor_count(y), DF_BLOCK, whole ? choose_wholes : choose_reals, &c);
  s.of[0] = a->shape, s.of[1] = b->shape;
  df_note note = { .op = &op, .n = 2, .x = x, .kept = 1, .keep = &mask };
  note.data = &s, note.size = sizeof s;
  return df_tape_note(tape, y, note);
}

/* ==== the same ====================================================================== */

typedef bool closeness(const df_array *a, const df_array *b, df_int begin, df_int n,
                       double rtol, double atol);

/* `apart` is |p - q|. */
static bool near(bool same, double apart, double q, double rtol, double atol) {
  return same || (isfinite(apart) && apart <= atol + rtol * fabs(q));
}

static bool close_reals(const df_array *a, const df_array *b, df_int begin, df_int n,
                        double rtol, double atol) {
  double mine[DF_BLOCK], other[DF_BLOCK];
  df_int sa, sb;
  const double *u = df_fetch(a, DF_F64, begin, n, mine, &sa);
  const double *v = df_fetch(b, DF_F64, begin, n, other, &sb);
  for (df_int i = 0; i < n; i++) {
    double p = u[i * sa], q = v[i * sb];
    if (!near(p == q, fabs(p - q), q, rtol, atol)) return false;
  }
  return true;
}

static bool close_whole(const df_array *a, const df_array *b, df_int begin, df_int n,
                        double rtol, double atol) {
  int64_t mine[DF_BLOCK], other[DF_BLOCK];
  df_int sa, sb;
  const int64_t *u = df_fetch(a, DF_I64, begin, n, mine, &sa);
  const int64_t *v = df_fetch(b, DF_I64, begin, n, other, &sb);
  for (df_int i = 0; i < n; i++) {
    int64_t p = u[i * sa], q = v[i * sb];
    uint64_t apart = p > q ? (uint64_t)p - (uint64_t)q : (uint64_t)q - (uint64_t)p;
    if (!near(p == q, (double)apart, (double)q, rtol, atol)) return false;
  }
  return true;
}

/* One of the two is of integers. */
static bool close_mixed(const df_array *a, const df_array *b, df_int begin, df_int n,
                        double rtol, double atol) {
  bool turned = df_dtype_is_float(a->dtype);
  int64_t mine[DF_BLOCK];
  double other[DF_BLOCK];
  df_int sa, sb;
  const int64_t *u = df_fetch(turned ? b : a, DF_I64, begin, n, mine, &sa);
  const double *v = df_fetch(turned ? a : b, DF_F64, begin, n, other, &sb);
  for (df_int i = 0; i < n; i++) {
    int64_t whole = u[i * sa];
    double real = v[i * sb], apart = df_whole_distance(whole, real);
    bool same = df_whole_order(whole, real) == 0;
    if (!near(same, apart, turned ? (double)whole : real, rtol, atol)) return false;
  }
  return true;
}

bool df_close(const df_tensor *a, const df_tensor *b, double rtol, double atol) {
  df_array u = df_array_of(a, &a->shape), v = df_array_of(b, &b->shape);
  df_int count = df_tensor_count(a);
  bool mixed = !df_dtype_is_float(a->dtype) || !df_dtype_is_float(b->dtype);
  closeness *f = df_both_whole(a, b) ? close_whole : mixed ? close_mixed : close_reals;
  if (!df_shape_equal(&a->shape, &b->shape)) return false;
  for (df_int at = 0; at < count; at += DF_BLOCK) {
    df_int n = df_min(DF_BLOCK, count - at);
    if (!f(&u, &v, at, n, rtol, atol)) return false;
  }
  return true;
}
