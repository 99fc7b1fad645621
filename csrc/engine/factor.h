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

/* Channels of a plane: C and zeros, as `pairs` needs them. */
df_int df_factor_width(df_int C);

/* m rows of C. */
typedef struct df_left {
  const void *at;
  df_int ld, low; /* from a row to the next, or columns in strips; to the low plane */
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
/* The same in strips, for df_multiply_panel. */
df_left df_left_strips(df_factors f, df_real *room, const df_real *x, df_int ldx,
                       df_int m, df_int C);
df_left df_left_strips_turned(df_factors f, df_real *room, const df_real *x, df_int ldx,
                              df_int m, df_int C);

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
/* y (m x df_kernel()->panel, dense) = or += x w, of the first C columns of x in strips */
void df_multiply_panel(df_factors f, df_real *y, df_left x, df_right w, bool accumulate,
                       df_int m, df_int C);
/* y (m x K, pitch ldy) += x w. x is `parts` panels side by side, `step` apart, each m
** dense rows. They are rounded in place. */
void df_add_panels(df_factors f, df_real *room, df_real *y, df_int ldy, df_real *x,
                   df_int step, df_int parts, df_right w, df_int m, df_int K);

#endif
