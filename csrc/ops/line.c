/* Lines of adjacent elements. */
#include "ops/line.h"

#include <math.h>

#include "kernels/kernels.h"
#include "ops/op.h"

df_tensor *df_lines_of(df_tape *tape, df_tensor *x, unsigned dims, df_int *length) {
  int order[DF_DIMS], n = 0;
  if (!x) return NULL;
  if (!dims) dims = (1u << x->shape.ndim) - 1;
  for (int i = 0; i < x->shape.ndim; i++)
    if (!(dims >> i & 1)) order[n++] = i;
  int kept = n;
  *length = 1;
  for (int i = 0; i < x->shape.ndim; i++)
    if (dims >> i & 1) order[n++] = i, *length *= x->shape.size[i];
  bool together = true;
  for (int i = 0; i < kept; i++) together = together && order[i] == i;
  return together ? x : df_permute(tape, x, order);
}

df_tensor *df_to_last(df_tape *tape, df_tensor *x, int dim) {
  int order[DF_DIMS];
  if (!x || dim == x->shape.ndim - 1) return x;
  for (int i = 0; i < x->shape.ndim; i++) order[i] = i < dim ? i : i + 1;
  order[x->shape.ndim - 1] = dim;
  return df_permute(tape, x, order);
}

df_tensor *df_from_last(df_tape *tape, df_tensor *x, int dim) {
  int order[DF_DIMS];
  if (!x || dim == x->shape.ndim - 1) return x;
  for (int i = 0; i < x->shape.ndim; i++) order[i] = i <= dim ? i : i - 1;
  order[dim] = x->shape.ndim - 1;
  df_tensor *y = df_permute(tape, x, order);
  return y && y->dtype != DF_REAL ? df_clone(tape, y) : df_dense(tape, y);
}

bool df_log_shares_of(const df_real *line, df_int n, df_real c[2]) {
  df_real top = df_kernel()->max(line, n);
  c[0] = c[1] = 0;
  if (top == -(df_real)INFINITY) return false;
  c[0] = -top;
  c[1] = (df_real)((double)top - df_kernel()->logsumexp(line, n));
  return true;
}

void df_log_shares(df_real *y, const df_real *x, const df_real c[2], df_int n) {
  df_kernel()->add(y, x, 1, &c[0], 0, n);
  df_kernel()->add(y, y, 1, &c[1], 0, n);
}
