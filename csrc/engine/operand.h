/* Images as a convolution reads them: plain rows of pixels, or a form of its own, written
** by the op before it. Only operand.c knows how such forms lie; a new one is a word of
** df_form, its lines in operand.c, and the algorithms that read it. */
#ifndef df_operand_h
#define df_operand_h

#include "base/base.h"

/* A batch of images to read from. In ROWS and PADDED channels are adjacent reals. In HALF
** they are adjacent bf16, with zeros up to df_half_width(C) of them; in HALVES as many of what
** the first lost follow in each pixel. In all but ROWS a pixel left and right of each line
** and a line above and below each image may be read, and are zero; in HALF and HALVES 31
** pixels behind that, too, which hold anything. */
typedef struct df_image {
  const df_real *at; /* the first pixel of image 0 */
  df_form form;
  df_int B, H, W, C;
  df_int pixel, line, image; /* reals from a pixel, a line, an image, to the next */
} df_image;

/* Channels of a plane of bf16: a multiple of 32, as products of pairs want them. */
static inline df_int df_half_width(df_int C) { return df_ceil_div(C, 32) * 32; }

/* B images of H, W, C that begin at x: dense, or an operand as below. */
df_image df_image_of(df_form form, const df_real *x, df_int B, df_int H, df_int W,
                     df_int C);

static inline const df_real *df_image_line(const df_image *x, df_int n, df_int h) {
  return x->at + n * x->image + h * x->line;
}

/* An operand to be written: B images of H, W, C in a form that isn't ROWS. */
typedef struct df_operand {
  df_form form;
  df_real *at;
  df_int B, H, W, C;
} df_operand;

/* Reals that it takes, what is around the pixels among these. */
df_int df_operand_size(const df_operand *o);

/* Writes what is around the pixels: once, by whoever makes an operand. */
void df_operand_clear(const df_operand *o);

/* Channels [c, c + channels) of `pixels` pixels of image n, from the one at h W + w on:
** x is pixels x channels, dense. */
void df_operand_put(const df_operand *o, df_int n, df_int pixel, df_int pixels, df_int c,
                    df_int channels, const df_real *x);

#endif
