/* A network's own x0 beside what it is asked about. */
#ifndef df_self_condition_h
#define df_self_condition_h

#include "nn/layers.h"

/* What a network of inputs xt: B, ..., C, t, class and x0 looks at: xt, or with
** self_condition B, ..., 2C, where an x0 of NULL is zeros (Chen et al. 2023). */
df_tensor *df_seen(df_tape *tape, const df_layer *network, df_tensor *const *x);

#endif
