/* Images as a convolution reads them: plain rows of pixels, or a form of its own that the
** op before it writes. Only operand.c knows the layout of such forms. A new form is a
** word in df_form, its lines in operand.c, and the algorithms that read it. */
#ifndef df_operand_h
#define df_operand_h

#include "base/base.h"

/* A batch of images to read from.
**   ROWS, PADDED   channels are adjacent reals
**   HALF           channels are adjacent bf16, with zeros up to df_half_width(C)
**   HALVES         as HALF, then as many bf16 for the rest that HALF loses
**
** All forms but ROWS have zeros around an image, which may be read: one pixel on each
** side. In HALF and HALVES, 31 pixels behind these may be read too; their values are
** undefined. */
typedef struct df_image {
  const df_real *at; /* the first pixel of image 0 */
  df_form form;
  df_int B, H, W, C;
  df_int pixel, line, image; /* reals from a pixel, a line, an image, to the next */
} df_image;

/* Channels of a plane of bf16: a multiple of 32, as `pairs` needs it. */
static inline df_int df_half_width(df_int C) { return df_ceil_div(C, 32) * 32; }

/* B images of H, W, C that begin at x: dense, or an operand. */
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

/* The reals that it takes, including those around the pixels. */
df_int df_operand_size(const df_operand *o);

/* Writes the zeros around the pixels, once for each new operand. */
void df_operand_clear(const df_operand *o);

/* Writes channels [c, c + channels) of `pixels` pixels of image n, from pixel h W + w on.
** x is pixels x channels, dense. */
void df_operand_put(const df_operand *o, df_int n, df_int pixel, df_int pixels, df_int c,
                    df_int channels, const df_real *x);

#endif
