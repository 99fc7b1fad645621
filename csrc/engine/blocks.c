/* Blocks of about 256 pixels. A kernel call takes one line as one tap, so a block has at
** most DF_TAPS_MAX lines. */
#include "engine/blocks.h"

#include "kernels/kernels.h"

#define BLOCK_PIXELS 256

df_blocks df_blocks_of(df_int B, df_int P, df_int Q) {
  df_blocks b = { .B = B, .P = P, .images = 1, .lines = P };
  if (P * Q > BLOCK_PIXELS || P > DF_TAPS_MAX) {
    df_int wanted = df_max(1, BLOCK_PIXELS / Q);
    df_int parts = df_ceil_div(P, df_min(wanted, DF_TAPS_MAX));
    b.lines = df_ceil_div(P, parts);
  } else if (P * Q > 0) {
    b.images = df_min(BLOCK_PIXELS / (P * Q), DF_TAPS_MAX / P);
  }
  b.images = df_max(1, df_min(b.images, B));
  b.count = P * Q > 0 ? df_ceil_div(B, b.images) * df_ceil_div(P, b.lines) : 0;
  return b;
}

df_block df_block_at(const df_blocks *b, df_int index) {
  df_int parts = df_ceil_div(b->P, b->lines);
  df_int n = index / parts * b->images, p = index % parts * b->lines;
  return (df_block){ n, df_min(b->images, b->B - n), p, df_min(b->lines, b->P - p) };
}
