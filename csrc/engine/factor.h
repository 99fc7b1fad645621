/* The two sides of a product of matrices that fits the caches, as the kernel that will
** multiply them reads them: reals for `rows`, or planes of bf16 for `pairs` where these
** pay. Rooms are the caller's, of as many reals as the sizes say, 64-byte aligned. */
#ifndef df_factor_h
#define df_factor_h

#include "base/base.h"

typedef struct df_factors {
  int planes; /* of bf16; 0: reals */
  bool round; /* reals to bf16 */
} df_factors;

df_factors df_factors_of(df_precision precision);

/* m rows of C. */
typedef struct df_left {
  const void *at;
  df_int ld, low;     /* from a row to the next; planes: to the low one */
  df_int parts, step; /* reals: a row's C in so many parts, `step` apart */
} df_left;

df_int df_left_size(df_factors f, df_int m, df_int C);
/* From m rows (pitch ldx), read where they are if they can be; or from C rows of m. */
df_left df_left_rows(df_factors f, df_real *room, const df_real *x, df_int ldx, df_int m,
                     df_int C);
df_left df_left_turned(df_factors f, df_real *room, const df_real *x, df_int ldx,
                       df_int m, df_int C);
/* From parts of df_kernel()->panel columns, each m rows, dense; rounded where they are. */
df_left df_left_panels(df_factors f, df_real *room, df_real *x, df_int step, df_int parts,
                       df_int m);
/* Its rows from `row` on; its columns from c on, a multiple of 32. */
df_left df_left_below(df_factors f, df_left x, df_int row);
df_left df_left_from(df_factors f, df_left x, df_int c);

/* C rows of K, in panels of df_kernel()->panel columns, which are 32 where planes are. */
typedef struct df_right {
  const void *at;
  df_int panel, low; /* planes: from a panel to the next, to the low plane */
} df_right;

df_int df_right_size(df_factors f, df_int C, df_int K);
/* From C rows (pitch ldw), with zeros up to `tall` of them; or from K rows of C. */
df_right df_right_rows(df_factors f, df_real *room, const df_real *w, df_int ldw,
                       df_int C, df_int tall, df_int K);
df_right df_right_columns(df_factors f, df_real *room, const df_real *w, df_int ldw,
                          df_int C, df_int K);
/* From C rows of a panel, dense; which is rounded, or used, where it is if it can be. */
df_right df_right_panel(df_factors f, df_real *room, df_real *w, df_int C);

/* y (m x K, pitch ldy) = or += x w, each sum in the order of C */
void df_multiply(df_factors f, df_real *y, df_int ldy, df_left x, df_right w,
                 bool accumulate, df_int m, df_int C, df_int K);

#endif
