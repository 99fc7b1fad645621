/* Linear algebra of small matrices, in double. The ops have no gradients: they serve
** metrics and oracles, not networks. */
#include <math.h>
#include <string.h>

#include "engine/lapack.h"
#include "ops/op.h"

#define SIZE_MAX_N 32768 /* with more, LAPACK's workspace sizes overflow */

static df_code check_square(const char *name, const df_tensor *a) {
  const df_int *n = a->shape.size;
  if (a->shape.ndim != 2 || n[0] != n[1] || n[0] == 0 || n[0] > SIZE_MAX_N)
    return df_fail(DF_MISUSE, "%s: a must be [n,n] with n in 1..%d, it is %s", name,
                   SIZE_MAX_N, df_tensor_text(a));
  return DF_OK;
}

static df_code check_finite(const char *name, const char *what, const df_tensor *x) {
  const double *v = df_tensor_data(x);
  for (df_int i = 0; i < df_tensor_count(x); i++)
    if (!isfinite(v[i]))
      return df_fail(DF_MISUSE, "%s: element %td of %s %s is %g", name, i + 1, what,
                     df_tensor_text(x), v[i]);
  return DF_OK;
}

/* Symmetric up to the rounding of a float. */
static df_code check_symmetric(const char *name, const df_tensor *a) {
  const double *v = df_tensor_data(a);
  df_int n = a->shape.size[0];
  double most = 0;
  for (df_int i = 0; i < n * n; i++) most = fmax(most, fabs(v[i]));
  for (df_int i = 0; i < n; i++)
    for (df_int j = 0; j < i; j++)
      if (fabs(v[i * n + j] - v[j * n + i]) > 1e-5 * most)
        return df_fail(
            DF_MISUSE, "%s: a %s isn't symmetric: [%td,%td] is %g, [%td,%td] %g", name,
            df_tensor_text(a), i + 1, j + 1, v[i * n + j], j + 1, i + 1, v[j * n + i]);
  return DF_OK;
}

/* A result of a tracked value would silently count as a constant. */
static df_code check_constant(const df_tape *tape, const char *name, df_tensor *x) {
  if (!df_tracked(tape, 1, &x)) return DF_OK;
  return df_fail(DF_MISUSE, "%s has no gradient, but %s is being recorded; detach() it",
                 name, df_tensor_text(x));
}

/* x copied to doubles, owned by the scope */
static df_tensor *doubles(df_tape *tape, const df_tensor *x) {
  df_tensor *y = df_scope_own(tape, df_tensor_new(DF_F64, &x->shape));
  if (y) df_tensor_copy(y, x);
  return y;
}

static df_tensor *square(df_tape *tape, const char *name, df_tensor *a) {
  if (!a || check_square(name, a) != DF_OK || check_constant(tape, name, a) != DF_OK)
    return NULL;
  df_tensor *y = doubles(tape, a);
  return y && check_finite(name, "a", y) == DF_OK ? y : NULL;
}

static df_tensor *symmetric(df_tape *tape, const char *name, df_tensor *a) {
  df_tensor *y = square(tape, name, a);
  return y && check_symmetric(name, y) == DF_OK ? y : NULL;
}

/* The reals of (a window on) doubles. */
static df_tensor *reals(df_tape *tape, const df_tensor *x) {
  df_tensor *y = df_result(tape, &x->shape);
  if (y) df_tensor_copy(y, x);
  return y;
}

static df_tensor *transposed(df_tape *tape, const df_tensor *x) {
  static const int order[2] = { 1, 0 };
  return df_scope_own(tape, df_tensor_permute(x, order));
}

df_tensor *df_eigh(df_tape *tape, df_tensor *a, df_tensor **values) {
  static const df_op op = { "eigh", NULL };
  df_tensor *v = symmetric(tape, "eigh", a);
  if (!v) return NULL;
  df_shape shape = { 1, { v->shape.size[0] } };
  df_tensor *w = df_scope_own(tape, df_tensor_new(DF_F64, &shape));
  if (!w) return NULL;
  if (df_lapack_eigh(df_tensor_data(v), df_tensor_data(w), shape.size[0]) != DF_OK)
    return NULL;
  df_tensor *columns = transposed(tape, v), *y = columns ? reals(tape, columns) : NULL;
  *values = reals(tape, w);
  return *values ? df_tape_note(tape, y, (df_note){ .op = &op }) : NULL;
}

df_tensor *df_cholesky(df_tape *tape, df_tensor *a) {
  static const df_op op = { "cholesky", NULL };
  df_tensor *l = symmetric(tape, "cholesky", a);
  if (!l) return NULL;
  df_int n = l->shape.size[0], minor;
  double *at = df_tensor_data(l);
  if (df_lapack_cholesky(at, n, &minor) != DF_OK)
    return df_fail_null(
        DF_MISUSE,
        "cholesky: a %s isn't positive definite: its leading minor %td isn't "
        "positive",
        df_tensor_text(a), minor);
  for (df_int i = 0; i < n; i++)
    memset(at + i * n + i + 1, 0, (size_t)(n - i - 1) * sizeof *at);
  return df_tape_note(tape, reals(tape, l), (df_note){ .op = &op });
}

static df_code check_right(const df_tensor *a, const df_tensor *b) {
  int ndim = b->shape.ndim;
  if ((ndim == 1 || ndim == 2) && b->shape.size[0] == a->shape.size[0]) return DF_OK;
  return df_fail(DF_MISUSE, "solve: a is %s, so b must be [%td] or [%td,m], it is %s",
                 df_tensor_text(a), a->shape.size[0], a->shape.size[0],
                 df_tensor_text(b));
}

df_tensor *df_solve(df_tape *tape, df_tensor *a, df_tensor *b) {
  static const df_op op = { "solve", NULL };
  df_tensor *left = square(tape, "solve", a);
  if (!left || !b || check_right(left, b) != DF_OK) return NULL;
  if (check_constant(tape, "solve", b) != DF_OK) return NULL;
  df_int n = left->shape.size[0], m = b->shape.ndim == 2 ? b->shape.size[1] : 1, pivot;
  bool turn = b->shape.ndim == 2;
  left = transposed(tape, left);
  left = left ? doubles(tape, left) : NULL;
  df_tensor *rows = turn ? transposed(tape, b) : b;
  rows = rows ? doubles(tape, rows) : NULL;
  if (!left || !rows || check_finite("solve", "b", rows) != DF_OK) return NULL;
  df_code code =
      df_lapack_solve(df_tensor_data(left), df_tensor_data(rows), n, m, &pivot);
  if (code == DF_MEMORY) return NULL;
  if (code != DF_OK)
    return df_fail_null(DF_MISUSE, "solve: a %s is singular: pivot %td is 0",
                        df_tensor_text(a), pivot);
  df_tensor *x = turn ? transposed(tape, rows) : rows;
  return df_tape_note(tape, x ? reals(tape, x) : NULL, (df_note){ .op = &op });
}
