/* Bytes of pictures between a file and a tensor: other channels, another size, a batch
** picked from a set. */
#ifndef df_pixels_h
#define df_pixels_h

#include "base/base.h"

/* y: n pixels of `to` channels (1 or 3) from x: n pixels of `from` channels (1..4). Grey
** is 0.299 R + 0.587 G + 0.114 B. Transparent pixels are drawn on white. */
void df_pixels_channels(uint8_t *y, int to, const uint8_t *x, int from, df_int n);

/* y: upright from x: H x W x C as a camera stored it. `orientation` is EXIF's:
**   2  mirrored left to right       5  transposed
**   3  turned by 180 degrees        6  to be turned clockwise
**   4  mirrored top to bottom       7  transposed along the other diagonal
**                                   8  to be turned counter-clockwise
** For 5..8 y is W x H x C. */
void df_pixels_turn(uint8_t *y, const uint8_t *x, df_int H, df_int W, int C,
                    int orientation);

/* y: h x w x C from x: H x W x C, whose rows are `pitch` bytes apart. A triangle filter
** as wide as the scale interpolates linearly to enlarge and averages areas to shrink.
** DF_MEMORY. */
int df_pixels_resize(uint8_t *y, df_int h, df_int w, const uint8_t *x, df_int pitch,
                     df_int H, df_int W, int C);

/* y: n bytes from x: n reals. [-1, 1] becomes 0..255, rounded; numbers outside are
** clamped, NaN becomes 0. */
void df_pixels_bytes(uint8_t *y, const df_real *x, df_int n);

/* The least and the greatest finite number; 0 and 0 if there is none. */
typedef struct df_range {
  double least, most;
  df_int nans, infinite;
} df_range;
df_range df_pixels_range(const df_real *x, df_int n);
df_range df_pixels_whole_range(const int64_t *x, df_int n);

/* A batch of a set: y[b] = x[index[b] - 1], mirrored left to right if flip[b] is set.
** flip may be NULL.
**   x: n, H, W, C bytes   index, flip: B   y: B, H, W, C reals in [-1, 1] */
typedef struct df_batch {
  df_real *y;
  const uint8_t *x;
  const int64_t *index; /* 1..n, checked by the caller */
  const uint8_t *flip;
  df_int B, H, W, C;
} df_batch;
void df_pixels_gather(const df_batch *g);

#endif
