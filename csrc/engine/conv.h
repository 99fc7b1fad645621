/* Convolutions, and the algorithms that compute them. Each direction takes the first
** algorithm of the list (conv.c) that can do it and pays. */
#ifndef df_conv_h
#define df_conv_h

#include "base/error.h"
#include "engine/operand.h"
#include "engine/weights.h"

/* y[n,p,q,k] = sum_rsc x[n, p stride + r - top, q stride + s - left, c] w[k,r,s,c]
**   x: B, H, W, C    w: K, R, S, C (R <= DF_TAPS_MAX)    y: B, P, Q, K */
typedef struct df_conv {
  df_int B, H, W, C;
  df_int K, R, S, stride, top, left;
  df_int P, Q;
  df_precision precision;
  bool half; /* the weights are stored in 16 bits */
  /* The type in which `rows` and `winograd_taps` pack the weights. */
  df_pack_type pack_type;
  df_int pitch; /* from a pixel of the result, and of add, to the next; 0: adjacent */
} df_conv;

/* The pitch of a result of so many columns: K of y, C of dx. */
static inline df_int df_conv_pitch(const df_conv *c, df_int columns) {
  return c->pitch ? c->pitch : columns;
}

/* y from x and w; dx from dy and w; dw from x and dy. */
typedef enum df_direction { DF_FORWARD, DF_DATA, DF_WEIGHT } df_direction;

/* Weights (K, R, S, C) packed for a direction of an algorithm. */
typedef struct df_packing {
  size_t (*bytes)(const df_conv *c);
  df_code (*pack)(void *packed, const df_weights *w, const df_conv *c); /* by the pool */
} df_packing;

/* Arrays but x and w are dense, save for the pitch. Functions for what `can` refuses may
** be NULL. */
typedef struct df_algorithm {
  const char *name;
  df_form (*form)(const df_conv *c); /* the best form for x */
  /* They depend on one image's shape, the precision and the instruction set, never on the
  ** batch. So a sample has the same bits alone. Gradients of weights are sums over the
  ** batch. */
  bool (*can)(const df_conv *c, df_direction d, df_form x);
  bool (*pays)(const df_conv *c, df_direction d);
  df_packing ahead, back; /* for forward, for data */
  /* y = conv(x) + bias + add; bias (K) and add (as y) may be NULL */
  df_code (*forward)(const df_conv *c, df_real *y, const df_image *x, const void *packed,
                     const df_real *bias, const df_real *add);
  /* dx = or += the gradient through y to x */
  df_code (*data)(const df_conv *c, df_real *dx, bool accumulate, const df_real *dy,
                  const void *packed);
  /* dw = or += sum over images and pixels of dy times the x that w was multiplied with */
  df_code (*weight)(const df_conv *c, df_real *dw, bool accumulate, const df_image *x,
                    const df_real *dy);
  /* The same of a batch of `parts`, a power of 2. Each is of c's shape, and x is the
  ** first. Each has the bits of `weight`, and they are added in a tree (engine/tree.h).
  ** It may be NULL. */
  df_code (*weight_parts)(const df_conv *c, int parts, df_real *dw, bool accumulate,
                          const df_image *x, const df_real *dy);
} df_algorithm;

/* The algorithm for a direction, given the form of x (DF_DATA: ROWS); never NULL. */
const df_algorithm *df_conv_choose(const df_conv *c, df_direction d, df_form x);

/* The form in which the forward pass wants x. */
df_form df_conv_form(const df_conv *c);

/* For tests: uses the algorithm of this name wherever it can, even if it doesn't pay.
** NULL: the best again. DF_MISUSE with an error that lists the names. */
df_code df_conv_force(const char *name);
const char *df_conv_forced(void);       /* or NULL */
const char *const *df_conv_names(void); /* ends with NULL */

#endif
