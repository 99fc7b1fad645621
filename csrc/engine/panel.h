/* Weights packed for the kernel `rows`: in panels of columns, with zeros behind the last
** column. */
#ifndef df_panel_h
#define df_panel_h

#include "base/base.h"

df_int df_packed_size(df_int C, df_int K); /* in reals */

/* Packs C x K weights over the pool. Element (c, k) is w[c sc + k sk], rounded to bf16 if
** asked. */
void df_pack_weights(df_real *packed, const df_real *w, df_int C, df_int sc, df_int K,
                     df_int sk, bool round);

/* The same for n <= panel columns, on this thread. */
void df_pack_panel(df_real *packed, const df_real *w, df_int C, df_int sc, df_int n,
                   df_int sk, bool round);

#endif
