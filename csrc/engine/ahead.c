#include "engine/ahead.h"

/* It is not inline, since the compiler drops calls of one that only reads ahead. */
void df_read_ahead(const df_real *x, df_int ld, df_int m, df_int C) {
  const df_int line = DF_ALIGN / (df_int)sizeof *x;
  for (df_int i = 0; i < m; i++, x += ld)
    for (df_int c = 0; c < C; c += line) __builtin_prefetch(x + c, 0, 2);
}
