/* Products of rows with packed weights. Shapes alone cut the work, so results have the
** same bits on any number of threads. */
#ifndef df_rows_h
#define df_rows_h

#include "engine/weights.h"

/* y (m x K) = or += x (m x C) W + bias (K) + add (m x K). x is dense; rows of y and of
** add are ldy apart. A row's bits don't depend on the other rows. bias and add may be
** NULL. */
typedef struct df_rows {
  df_int m, C, K, ldy;
  df_real *y;
  const df_real *x, *bias, *add;
  const void *packed; /* panels (engine/panel.h) of this type */
  df_pack_type pack_type;
  bool accumulate;
  bool round; /* rounds x to bf16; the weights are already rounded */
} df_rows;
df_code df_rows_run(const df_rows *r);

#endif
