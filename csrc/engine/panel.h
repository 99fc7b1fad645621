/* Weights packed for the kernel `rows`: in panels of columns, with zeros behind the last
** column. */
#ifndef df_panel_h
#define df_panel_h

#include "engine/weights.h"

df_int df_packed_size(df_int C, df_int K); /* in reals */

/* Packs panels whose columns are outputs. A column has the inputs of all taps, tap by
** tap. Rounded to bf16 if asked. */
df_code df_pack_outputs(df_real *packed, const df_weights *w, bool round);

/* Packs C x n weights, n <= panel, on this thread. Element (c, k) is w[c sc + k sk]. */
void df_pack_panel(df_real *packed, const df_real *w, df_int C, df_int sc, df_int n,
                   df_int sk, bool round);

#endif
