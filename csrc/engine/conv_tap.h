/* Convolutions as products of shifted rows: forward, and backward to the data. A kernel
** of R x S is R taps of S C adjacent reals of a padded line, so no columns are copied; a
** backward of stride s is s x s such passes over dy, each with the part of the kernel
** that meets its pixels, so nothing is gathered twice and nothing is added atomically. */
#ifndef df_conv_tap_h
#define df_conv_tap_h

#include "base/error.h"
#include "engine/operand.h"

/* y[n,p,q,k] = sum_rsc x[n, p stride + r - top, q stride + s - left, c] w[k,r,s,c]
**   x: B, H, W, C    w: K, R, S, C (R <= DF_TAPS_MAX)    y: B, P, Q, K */
typedef struct df_conv {
  df_int B, H, W, C;
  df_int K, R, S, stride, top, left;
  df_int P, Q;
  bool round; /* operands to bf16 */
} df_conv;

/* A 1 x 1 kernel on plain rows is one product of matrices. */
bool df_conv_is_product(const df_conv *c, const df_image *x);

/* Weights packed for the forward: size in reals, and the packing. */
df_int df_conv_packed(const df_conv *c);
void df_conv_pack(df_real *packed, const df_real *w, const df_conv *c);

/* y = conv(x) + bias + add; bias (K) and add (as y) may be NULL. All dense but x. */
df_code df_conv_forward(const df_conv *c, df_real *y, const df_image *x,
                        const df_real *packed, const df_real *bias, const df_real *add);

/* Weights packed for the backward to x. */
df_int df_conv_back_packed(const df_conv *c);
void df_conv_back_pack(df_real *packed, const df_real *w, const df_conv *c);

/* dx (B, H, W, C, dense) = or += the gradient through y to x. */
df_code df_conv_data(const df_conv *c, df_real *dx, bool accumulate, const df_real *dy,
                     const df_real *packed);

/* How B images of P lines of Q pixels are cut into blocks of some 256 pixels: lines of
** one image, or whole images. By shape alone. */
typedef struct df_blocks {
  df_int B, P;
  df_int images, lines; /* of a block; lines < P only with one image */
  df_int count;
} df_blocks;

typedef struct df_block {
  df_int n, images, p, lines; /* first image, how many; first line, how many */
} df_block;

df_blocks df_blocks_of(df_int B, df_int P, df_int Q);
df_block df_block_at(const df_blocks *b, df_int index);

#endif
