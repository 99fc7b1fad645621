/* Pitches of rows. Rows at a multiple of 4 KB from each other share the 8 or 12 lines of
** one set of the first cache. A block of 14 rows of them takes 1.3 times as long. */
#ifndef df_pitch_h
#define df_pitch_h

#include "base/base.h"

/* Elements of `size` bytes in an odd number of cache lines, at least n. */
static inline df_int df_odd_lines(df_int n, df_int size) {
  df_int line = DF_ALIGN / size;
  return (df_ceil_div(n, line) | 1) * line;
}

/* True if rows of n adjacent elements share a set. */
static inline bool df_rows_collide(df_int n, df_int size) { return n * size % 4096 == 0; }

#endif
