#include "engine/winograd_few.h"

#include "kernels/kernels.h"

#define ROWS 6 /* rows of 6 points */

/* Each group transforms the weights again: 72 operations, and 36 products for a tile. Two
** groups of 4 tiles pay, but not of 2: vectors of AVX2 have 16 registers. */
bool df_winograd_few_pays(const df_winograd *w) {
  return df_winograd_few_groups(w) <= df_kernel()->few_tiles / 2;
}

df_int df_winograd_few_groups(const df_winograd *w) {
  return df_ceil_div(w->tiles.count, df_kernel()->few_tiles);
}

/* The first tile of a group. */
static df_int tile_of(const df_winograd *w, df_int group) {
  return group * w->tiles.count / df_winograd_few_groups(w);
}

/* A row of points is C x 6 x tiles, so that the factors of a channel are adjacent. */
static df_int row_size(const df_winograd *w, df_int tiles) { return w->x.C * 6 * tiles; }

df_int df_winograd_few_room(const df_winograd *w) {
  return DF_POINTS * df_kernel()->few_tiles * w->pitch;
}

void df_winograd_few_inputs(const df_winograd *w, df_real *v, const df_real *zero,
                            df_real *copy, df_real *room, df_int group) {
  df_int from = tile_of(w, group), tiles = tile_of(w, group + 1) - from,
         lines = 6 * tiles;
  df_winograd dense = *w;
  dense.plane = tiles * w->pitch;
  df_winograd_inputs(&dense, room, zero, copy, from, tiles);
  v += ROWS * row_size(w, from);
  for (int row = 0; row < ROWS; row++, v += row_size(w, tiles))
    df_kernel()->transpose(v, lines, room + row * lines * w->pitch, w->pitch, lines,
                           w->x.C);
}

void df_winograd_few_multiply(const df_winograd *w, df_real *m, const df_real *v,
                              const df_real *taps, df_int c, df_int n) {
  df_int panel = df_kernel()->panel;
  for (df_int group = 0; group < df_winograd_few_groups(w); group++) {
    df_int from = tile_of(w, group), tiles = tile_of(w, group + 1) - from;
    for (int row = 0; row < ROWS; row++) {
      df_winograd_few f = { (int)tiles, n, .w = taps, .tap = n * panel, .add = c > 0 };
      f.v = v + ROWS * row_size(w, from) + row * row_size(w, tiles) + c * 6 * tiles;
      f.m = m + 6 * row * w->output + from * panel, f.output = w->output;
      df_kernel()->winograd_few(&f, row);
    }
  }
}
