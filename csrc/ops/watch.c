/* The watch looks at each result of an op until one is not finite. */
#include "ops/watch.h"

#include <math.h>

#include "kernels/kernels.h"
#include "ops/inside.h"

static bool finite(const df_tensor *y) {
  df_int n = df_tensor_count(y);
  if (y->form != DF_ROWS || y->dtype != DF_REAL || n == 0 || !df_tensor_is_dense(y))
    return true;
  const df_kernels *k = df_kernel();
  return isfinite(k->max(df_tensor_reals(y), n))
         && isfinite(k->min(df_tensor_reals(y), n));
}

void df_watch_op(df_watch *w, const df_tensor *y, const df_note *note) {
  if (!w->on || !y || w->nonfinite_op) return;
  for (int i = 0; i < note->n; i++) {
    if (!note->x[i] || !note->x[i]->leaf) continue;
    df_tensor_release(w->parameter);
    w->parameter = df_tensor_retain(note->x[i]);
  }
  if (!finite(y)) w->nonfinite_op = note->op->name;
}

void df_watch_clear(df_watch *w) {
  df_tensor_release(w->parameter);
  *w = (df_watch){ .on = false };
}

void df_watch_start(df_tape *tape) {
  df_watch_clear(&tape->watch);
  tape->watch.on = true;
}

const char *df_watch_stop(df_tape *tape, df_tensor **parameter) {
  df_watch *w = &tape->watch;
  w->on = false;
  *parameter = w->parameter;
  w->parameter = NULL;
  return w->nonfinite_op;
}
