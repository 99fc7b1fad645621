/* A network's own x0 beside what it is asked about. */
#ifndef df_self_condition_h
#define df_self_condition_h

#include "nn/layers.h"

/* x: B, ..., C   x0: as x, or NULL for zeros  ->  B, ..., 2C (Chen et al. 2023) */
df_tensor *df_beside_x0(df_tape *tape, df_tensor *x, df_tensor *x0);

#endif
