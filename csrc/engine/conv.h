/* What a convolution is, and the ways to compute one: algorithms, of which each direction
** takes the first of the list (conv.c) that can do it and pays. */
#ifndef df_conv_h
#define df_conv_h

#include "base/error.h"
#include "engine/operand.h"

/* y[n,p,q,k] = sum_rsc x[n, p stride + r - top, q stride + s - left, c] w[k,r,s,c]
**   x: B, H, W, C    w: K, R, S, C (R <= DF_TAPS_MAX)    y: B, P, Q, K */
typedef struct df_conv {
  df_int B, H, W, C;
  df_int K, R, S, stride, top, left;
  df_int P, Q;
  df_precision precision;
} df_conv;

/* y from x and w; dx from dy and w; dw from x and dy. */
typedef enum df_direction { DF_FORWARD, DF_DATA, DF_WEIGHT } df_direction;

/* Weights (K, R, S, C, dense) as a direction of an algorithm reads them. */
typedef struct df_packing {
  size_t (*bytes)(const df_conv *c);
  void (*pack)(void *packed, const df_real *w, const df_conv *c); /* over the pool */
} df_packing;

/* All arrays are dense but x. What `can` refuses may be NULL. */
typedef struct df_algorithm {
  const char *name;
  df_form (*form)(const df_conv *c); /* of x, best */
  /* By one image's shape, the precision and the instruction set, never by the batch, so
  ** that a sample has the same bits alone; gradients of weights are of a batch. */
  bool (*can)(const df_conv *c, df_direction d, df_form x);
  bool (*pays)(const df_conv *c, df_direction d);
  df_packing ahead, back; /* for forward, for data */
  /* y = conv(x) + bias + add; bias (K) and add (as y) may be NULL */
  df_code (*forward)(const df_conv *c, df_real *y, const df_image *x, const void *packed,
                     const df_real *bias, const df_real *add);
  /* dx = or += the gradient through y to x */
  df_code (*data)(const df_conv *c, df_real *dx, bool accumulate, const df_real *dy,
                  const void *packed);
  /* dw = or += sum over images and pixels of dy times what w met in x */
  df_code (*weight)(const df_conv *c, df_real *dw, bool accumulate, const df_image *x,
                    const df_real *dy);
} df_algorithm;

/* The algorithm for a direction, x lying so (DF_DATA: ROWS); never NULL. */
const df_algorithm *df_conv_choose(const df_conv *c, df_direction d, df_form x);

/* The form in which the forward wants x from whoever writes it. */
df_form df_conv_form(const df_conv *c);

/* For tests: takes the one of this name wherever it can, whether or not it pays; NULL:
** the best again. DF_MISUSE with a sentence that lists what there is. */
df_code df_conv_force(const char *name);
const char *df_conv_forced(void);       /* or NULL */
const char *const *df_conv_names(void); /* NULL behind the last */

#endif
