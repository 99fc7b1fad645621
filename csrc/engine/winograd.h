/* Tiles of Winograd's algorithms (kernels/body/winograd_lines.h). An image is cut into
** tiles of 4 x 4 outputs. Each reads 6 x 6 pixels, which become values at 36 points.
** Short tiles have 2 x 4 outputs, 4 x 6 pixels and 24 points. */
#ifndef df_winograd_h
#define df_winograd_h

#include "engine/conv.h"

#define DF_POINTS 36
#define DF_TAPS   9

/* Channels whose transformed weights are used at a time. They are packed at a time too.
** The products of so many channels are summed apart, so results don't depend on the form
** of the weights. With 64, sums are stored so often that 640 channels take 1.15 times as
** long in AVX-512 and 1.08 times in AVX2. */
#define DF_CHANNELS 256

static inline bool df_winograd_rounds(const df_conv *c) {
  return c->precision == DF_MEDIUM;
}

/* ==== tiles ========================================================================= */

#define DF_TILE_TALL  4 /* lines of a tile */
#define DF_TILE_SHORT 2

/* Tiles of B images of P x Q pixels, image by image, line by line. */
typedef struct df_winograd_tiles {
  df_int P, Q, height, down, across, count;
} df_winograd_tiles;

typedef struct df_winograd_tile {
  df_int n, p, q; /* its image, its first line and pixel */
} df_winograd_tile;

df_winograd_tiles df_winograd_tiles_of(df_int height, df_int B, df_int P, df_int Q);
df_winograd_tile df_winograd_tile_at(const df_winograd_tiles *t, df_int index);

/* False if tiles of an image cover more than 1.8 times its pixels: the rest is wasted. */
bool df_winograd_full(int height, df_int P, df_int Q);

/* Pointers to lines x wide pixels of x from (h, w) on. They point to `zero` outside the
** image. */
void df_winograd_point_to(const df_real **at, const df_image *x, df_int n, df_int h,
                          df_int w, df_int lines, int wide, const df_real *zero);

/* at[q]: the offset of pixel q of a tile in images of P x Q pixels, -1 outside. */
void df_winograd_place(df_int *at, const df_winograd_tiles *t, df_winograd_tile tile,
                       df_int pixel);

/* Replaces `size` pixels by copies in `copy`, which are reals rounded to bf16. Pixels
** outside the image stay `zero`. */
void df_winograd_round(const df_real **at, df_form form, int size, df_int C,
                       const df_real *zero, df_real *copy);

/* ==== forward, and to x ============================================================= */

/* The gradient of x is a convolution with turned weights. */
typedef struct df_winograd {
  df_image x;
  df_int top, left, K;
  const void *packed;
  df_real *y;   /* B, P, Q, K */
  df_int pixel; /* from a pixel of y to the next */
  const df_real *bias, *add;
  bool accumulate, round;
  df_winograd_tiles tiles;
  /* pitch from a tile to the next, from a point to the next; the same for outputs */
  df_int pitch, plane, output;
} df_winograd;

df_winograd df_winograd_ahead(const df_conv *c, df_real *y, const df_image *x,
                              const void *packed, const df_real *bias,
                              const df_real *add);
df_winograd df_winograd_back(const df_conv *c, df_real *dx, bool accumulate,
                             const df_real *dy, const void *packed);

/* The pitches of a block of `count` tiles. */
void df_winograd_pitch(df_winograd *p, df_int count);

/* v: `count` tiles from tile `from` on. `zero` is a pixel; `copy` has room for 36, if
** they are rounded. */
void df_winograd_inputs(const df_winograd *p, df_real *v, const df_real *zero,
                        df_real *copy, df_int from, df_int count);

/* m (columns of one panel) = or += products of n channels from c on, c a multiple of
** DF_CHANNELS; 0 is the first. u has them for points [first, first + points), which are
** `plane` apart. */
void df_winograd_multiply(const df_winograd *p, df_real *m, const df_real *v,
                          const df_real *u, df_int plane, int first, int points,
                          df_int count, df_int c, df_int n, df_int columns);

/* y: columns [k, k + n) of `count` tiles. */
void df_winograd_outputs(const df_winograd *p, const df_real *m, df_int from,
                         df_int count, df_int k, df_int n);

/* ==== the choice ==================================================================== */

df_form df_winograd_form(const df_conv *c);
bool df_winograd_can(const df_conv *c, df_direction d, df_form x);

/* Tiles of one image. */
df_int df_winograd_count(const df_conv *c, df_direction d);

/* The least number of tiles of an image that pay. */
df_int df_winograd_least(const df_conv *c);

/* False where transforms or empty tiles outweigh the products. */
bool df_winograd_fits(const df_conv *c, df_direction d);

/* The weights of few tiles stay taps, and are transformed in each product:
** conv_winograd_taps. */
bool df_winograd_from_taps(const df_conv *c, df_direction d);

#endif
