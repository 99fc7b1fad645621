/* Convolutions as products of shifted rows: forward, and backward to the data. A kernel
** of R x S is R taps of S C adjacent reals of a padded line, so no columns are copied; a
** backward of stride s is s x s such passes over dy, each with the part of the kernel
** that meets its pixels, so nothing is gathered twice and nothing is added atomically. */
#ifndef df_conv_tap_h
#define df_conv_tap_h

#include "engine/conv.h"

extern const df_algorithm df_conv_taps;

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

/* Backward to the data, along one dimension: the outputs i with (i + before) mod stride ==
** phase, that is first, first + stride, ..., read entries j0 - (taps - 1) + 0, 1, ... of
** dy through the kernel's entries phase + stride (taps - 1), ..., phase + stride, phase. */
typedef struct df_phase {
  df_int phase, taps, first, count, before;
} df_phase;

df_phase df_phase_of(df_int at, df_int kernel, df_int stride, df_int before, df_int size);

#endif
