/* The two sides of a product of matrices that fits the caches, in the layout of the
** kernel that multiplies them. They are reals for `rows`, or planes of bf16 for `pairs`
** where it pays. The caller provides room: as many reals as the sizes say, 64-byte
** aligned. */
#ifndef df_factor_h
#define df_factor_h

#include "base/base.h"

typedef struct df_factors {
  int planes; /* number of planes of bf16; 0: reals */
  bool round; /* reals to bf16 */
} df_factors;

df_factors df_factors_of(df_precision precision);

/* m rows of C. */
typedef struct df_left {
  const void *at;
  df_int ld, low;     /* from a row to the next; from a row to its low plane */
  df_int parts, step; /* reals: a row's C are in `parts` pieces, `step` apart */
} df_left;

df_int df_left_size(df_factors f, df_int m, df_int C);
/* From m rows (pitch ldx), which are read in place if possible; or from C rows of m. */
df_left df_left_rows(df_factors f, df_real *room, const df_real *x, df_int ldx, df_int m,
                     df_int C);
/* The same, always copied: rows lie at an odd pitch. */
df_left df_left_copied(df_factors f, df_real *room, const df_real *x, df_int ldx,
                       df_int m, df_int C);
df_left df_left_turned(df_factors f, df_real *room, const df_real *x, df_int ldx,
                       df_int m, df_int C);
/* From parts of df_kernel()->panel columns, each m dense rows. They are rounded in
** place. */
df_left df_left_panels(df_factors f, df_real *room, df_real *x, df_int step, df_int parts,
                       df_int m);
/* The rows from `row` on; the columns that begin at c, a multiple of 32. */
df_left df_left_below(df_factors f, df_left x, df_int row);
df_left df_left_from(df_factors f, df_left x, df_int c);

/* C rows of K, in panels of df_kernel()->panel columns, or of 32 with planes. */
typedef struct df_right {
  const void *at;
  df_int panel, low; /* planes: from a panel to the next, and to the low plane */
} df_right;

df_int df_right_size(df_factors f, df_int C, df_int K);
/* From C rows (pitch ldw), with zeros up to `tall` rows; or from K rows of C. */
df_right df_right_rows(df_factors f, df_real *room, const df_real *w, df_int ldw,
                       df_int C, df_int tall, df_int K);
df_right df_right_columns(df_factors f, df_real *room, const df_real *w, df_int ldw,
                          df_int C, df_int K);
/* From C dense rows of a panel, which is rounded or used in place if possible. */
df_right df_right_panel(df_factors f, df_real *room, df_real *w, df_int C);

/* y (m x K, pitch ldy) = or += x w; each sum runs over C in order */
void df_multiply(df_factors f, df_real *y, df_int ldy, df_left x, df_right w,
                 bool accumulate, df_int m, df_int C, df_int K);

#endif
