/* Images as a convolution reads them: plain rows of pixels, or PLANES, the form in which
** a tap of a 3x3 kernel is a constant offset. Only operand.c knows how PLANES lie. */
#ifndef df_operand_h
#define df_operand_h

#include "base/base.h"

/* A batch of images to read from. Channels are adjacent, pixels of a line C apart. */
typedef struct df_image {
  const df_real *at; /* the first pixel of image 0 */
  df_int B, H, W, C;
  df_int line, image; /* reals from a line, an image, to the next */
  bool zeros;         /* a pixel left and right of each line and a line above and below
                      ** each image may be read, and are zero */
} df_image;

/* ROWS: B, H, W, C dense. */
df_image df_image_rows(const df_real *x, df_int B, df_int H, df_int W, df_int C);
/* PLANES, written as below. */
df_image df_image_planes(const df_real *planes, df_int B, df_int H, df_int W, df_int C);

static inline const df_real *df_image_line(const df_image *x, df_int n, df_int h) {
  return x->at + n * x->image + h * x->line;
}

/* Reals that B images in PLANES take, the zeros around them among these. */
df_int df_operand_size(df_int B, df_int H, df_int W, df_int C);

/* Zeroes what is around the pixels: once, by whoever writes an operand. */
void df_operand_clear(df_real *planes, df_int B, df_int H, df_int W, df_int C);

/* Where line h of image n is written: W pixels of C channels, adjacent. */
df_real *df_operand_line(df_real *planes, df_int H, df_int W, df_int C, df_int n,
                         df_int h);

#endif
