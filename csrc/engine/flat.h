/* The input of a block of a convolution's outputs as rows of bf16, in which each tap is a
** constant offset. It is an operand in place, or a padded copy of plain lines. A copy has
** one image for each phase of the stride. */
#ifndef df_flat_h
#define df_flat_h

#include "engine/blocks.h"
#include "engine/conv.h"

typedef struct df_flat {
  df_image x;
  df_int R, S, stride, top, left, P, Q; /* as in df_conv */
  int planes;                           /* planes of bf16: 1 or 2 */

  /* set by df_flat_open */
  df_blocks blocks;
  bool direct;               /* x itself is read */
  df_int pixel, low;         /* bf16 of a pixel; from a pixel to its low plane, 0: none */
  df_int wide;               /* pixels of a padded line */
  df_int line, image, phase; /* pixels from one to the next */
} df_flat;

/* The number of planes that a precision asks for: 2 for high, 1 for medium, 0 if pairs
** can't help. */
int df_flat_planes(df_precision precision);

/* The input that a convolution reads from x, not yet opened. */
df_flat df_flat_of(const df_conv *c, const df_image *x);

/* A 1 x 1 kernel on plain x: pixels are rows, and nothing needs to be flat. */
bool df_flat_is_rows(const df_conv *c, df_form x);

/* True if x has the wanted form, and every tap of every output is a pixel or a zero in
** it. */
bool df_flat_direct(const df_flat *f);

/* Cuts into blocks of about so many pixels: lines of one image, or whole images. It
** depends on the shape alone. */
void df_flat_open(df_flat *f, df_int pixels);

/* Rows of a block, including those between its lines; rows of the largest block. */
df_int df_flat_count(const df_flat *f, const df_block *b);
df_int df_flat_most(const df_flat *f);

/* place[i]: from the first output to row i's, or -1. The output's pitches of pixels,
** lines and images are given. */
void df_flat_place(const df_flat *f, const df_block *b, df_int *place, df_int pixel,
                   df_int line, df_int image);

/* From a row to the pixel that its tap r, s reads; and the largest such offset. */
df_int df_flat_tap(const df_flat *f, df_int r, df_int s);
df_int df_flat_reach(const df_flat *f);

/* bf16 of a copy of the largest block; 0 if x is read in place. */
df_int df_flat_room(const df_flat *f);

/* The block's first row, in x or copied to `room`. Each phase of a copy has room for the
** largest block, and is 0 behind a smaller one. */
const uint16_t *df_flat_rows(const df_flat *f, const df_block *b, uint16_t *room);

#endif
