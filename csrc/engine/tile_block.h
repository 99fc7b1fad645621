/* A block of pixels in the gradient of a convolution's weights (tile_weight.c). Turned dy
** has K rows of pixels, and x is pairs of pixels with a column for each channel. Their
** product is the gradient. In flat rows a tap moves the pairs by a constant. It may be
** odd, so there are pairs that begin at even pixels and pairs that begin at odd ones. */
#ifndef df_tile_block_h
#define df_tile_block_h

#include "engine/flat.h"
#include "kernels/kernels.h"

#define DF_LINES_MAX 128

/* The blocks of a batch of several parts, one after the other. */
typedef struct df_tile_blocks {
  df_conv c; /* one part */
  const df_real *dy;
  df_flat flat;
  bool rows;    /* a 1 x 1 kernel: pixels are rows, x is plain */
  df_int count; /* number of blocks in a part */
  /* lines of dy are adjacent, without the zeros between lines of flat rows */
  bool by_lines;
  /* pixels summed at a time (a line or all); pixels of the largest block */
  df_int deep, most;
  df_int tall;    /* pixels that a block's pairs hold */
  df_int ld, low; /* turned dy: from a row to the next, and to its low plane */
  /* bf16 of a panel's plane of pairs; of all its planes, even and odd */
  df_int plane, panel;
} df_tile_blocks;

/* The cut of a part of x and dy; x is the first one. */
df_tile_blocks df_tile_blocks_of(const df_conv *c, const df_image *x, const df_real *dy);

static inline df_int df_tile_taps(const df_tile_blocks *g) { return g->c.R * g->c.S; }
static inline df_int df_tile_panels(const df_tile_blocks *g) {
  return df_ceil_div(g->c.C, DF_PANEL);
}

/* bf16 of a block's pairs with the copy of x they may need; of dy for K rows, including
** those that products may read behind it. */
df_int df_tile_pairs_room(const df_tile_blocks *g);
df_int df_tile_dy_room(const df_tile_blocks *g, df_int K);

/* Packs channels [c, c + n) of a block into its room. All channels at once if x is copied
** first. */
bool df_tile_is_copied(const df_tile_blocks *g);
void df_tile_pair(const df_tile_blocks *g, uint16_t *room, df_int block, df_int c,
                  df_int n);

/* Turns dy of a block, rows [k, k + K). */
void df_tile_turn(const df_tile_blocks *g, uint16_t *to, df_int block, df_int k,
                  df_int K);

/* Sums over a block's pixels. The layout of sums: reals from a tap, a row k, to the
** next. */
typedef struct df_tile_product {
  df_pairs pairs;
  df_int tap[DF_LINES_MAX], w_tap[DF_TAPS_MAX * DF_LINES_MAX];
} df_tile_product;
void df_tile_product_open(const df_tile_blocks *g, df_tile_product *p, df_int block,
                          df_int K, df_int tap, df_int row);

/* sums = or += the product of turned dy and a panel of the pairs in a room. */
void df_tile_product_run(const df_tile_blocks *g, df_tile_product *p, df_real *sums,
                         bool accumulate, const uint16_t *dy, const uint16_t *room,
                         df_int panel);

#endif
