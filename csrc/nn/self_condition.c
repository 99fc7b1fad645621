/* Chen et al. 2023: the x0 that a network said last, told along the channels. */
#include "nn/self_condition.h"

static df_tensor *beside(df_tape *tape, df_tensor *x, df_tensor *x0) {
  const int last = x->shape.ndim - 1;
  df_int before[DF_DIMS] = { 0 }, after[DF_DIMS] = { 0 };
  df_tensor *const both[] = { x, x0 };
  if (x0) return df_cat(tape, both, 2, last);
  after[last] = x->shape.size[last];
  return df_pad(tape, x, before, after, NULL);
}

df_tensor *df_seen(df_tape *tape, const df_layer *network, df_tensor *const *x) {
  return network->o.self_condition ? beside(tape, x[0], x[3]) : x[0];
}
