/* Tiles: their pixels, their values at 36 points, and their outputs. */
#include "engine/winograd.h"

#include "engine/pitch.h"
#include "kernels/kernels.h"

/* ==== tiles ========================================================================= */

df_winograd_tiles df_winograd_tiles_of(df_int height, df_int B, df_int P, df_int Q) {
  df_int down = df_ceil_div(P, height), across = df_ceil_div(Q, 4);
  return (df_winograd_tiles){ P, Q, height, down, across, B * down * across };
}

df_winograd_tile df_winograd_tile_at(const df_winograd_tiles *t, df_int index) {
  df_int line = index / t->across;
  return (df_winograd_tile){ line / t->down, line % t->down * t->height,
                             index % t->across * 4 };
}

bool df_winograd_full(int height, df_int P, df_int Q) {
  df_int covered = df_winograd_tiles_of(height, 1, P, Q).count * height * 4;
  return 5 * covered <= 9 * P * Q;
}

void df_winograd_point_to(const df_real **at, const df_image *x, df_int n, df_int h,
                          df_int w, df_int lines, int wide, const df_real *zero) {
  for (df_int i = h; i < h + lines; i++)
    for (df_int j = w; j < w + wide; j++) {
      bool within = i >= 0 && i < x->H && j >= 0 && j < x->W;
      *at++ = within ? df_image_line(x, n, i) + j * x->pixel : zero;
    }
}

void df_winograd_place(df_int *at, const df_winograd_tiles *t, df_winograd_tile tile,
                       df_int pixel) {
  for (df_int j = 0; j < 4 * t->height; j++) {
    df_int h = tile.p + j / 4, w = tile.q + j % 4;
    at[j] = h < t->P && w < t->Q ? ((tile.n * t->P + h) * t->Q + w) * pixel : -1;
  }
}

void df_winograd_round(const df_real **at, df_form form, int size, df_int C,
                       const df_real *zero, df_real *copy) {
  const df_kernels *kernel = df_kernel();
  for (int j = 0; j < size; j++, copy += C) {
    if (at[j] == zero) continue;
    if (form == DF_HALF) kernel->from_bf16(copy, (const void *)at[j], C);
    else kernel->round_bf16(copy, at[j], C);
    at[j] = copy;
  }
}

/* ==== forward, and to x ============================================================= */

df_winograd df_winograd_ahead(const df_conv *c, df_real *y, const df_image *x,
                              const void *packed, const df_real *bias,
                              const df_real *add) {
  return (df_winograd){ .x = *x,
                        .top = c->top,
                        .left = c->left,
                        .K = c->K,
                        .packed = packed,
                        .y = y,
                        .pixel = df_conv_pitch(c, c->K),
                        .bias = bias,
                        .add = add,
                        .round = df_winograd_rounds(c),
                        .tiles = df_winograd_tiles_of(DF_TILE_TALL, c->B, c->P, c->Q) };
}

df_winograd df_winograd_back(const df_conv *c, df_real *dx, bool accumulate,
                             const df_real *dy, const void *packed) {
  return (df_winograd){ .x = df_image_of(DF_ROWS, dy, c->B, c->P, c->Q, c->K),
                        .top = 2 - c->top,
                        .left = 2 - c->left,
                        .K = c->C,
                        .packed = packed,
                        .y = dx,
                        .pixel = df_conv_pitch(c, c->C),
                        .accumulate = accumulate,
                        .round = df_winograd_rounds(c),
                        .tiles = df_winograd_tiles_of(DF_TILE_TALL, c->B, c->H, c->W) };
}

void df_winograd_pitch(df_winograd *p, df_int count) {
  p->pitch = df_odd_lines(p->x.C, sizeof(df_real));
  p->plane = df_odd_lines(count * p->pitch, sizeof(df_real));
  p->output = df_odd_lines(count * df_kernel()->panel, sizeof(df_real));
}

void df_winograd_inputs(const df_winograd *p, df_real *v, const df_real *zero,
                        df_real *copy, df_int from, df_int count) {
  const df_real *pixel[DF_POINTS];
  for (df_int i = 0; i < count; i++) {
    df_winograd_tile t = df_winograd_tile_at(&p->tiles, from + i);
    df_winograd_point_to(pixel, &p->x, t.n, t.p - p->top, t.q - p->left, 6, 6, zero);
    if (p->round) df_winograd_round(pixel, p->x.form, DF_POINTS, p->x.C, zero, copy);
    df_kernel()->winograd_inputs(v + i * p->pitch, p->plane, pixel, p->x.C);
  }
}

void df_winograd_multiply(const df_winograd *p, df_real *m, const df_real *v,
                          const df_real *u, df_int plane, int first, int points,
                          df_int count, df_int c, df_int n, df_int columns) {
  const df_kernels *kernel = df_kernel();
  df_int none = 0;
  for (df_int j = 0; j < points; j++)
    kernel->rows(m + (first + j) * p->output, kernel->panel,
                 v + (first + j) * p->plane + c, p->pitch, &none, 1, u + j * plane, NULL,
                 NULL, 0, c > 0, count, n, columns);
}

void df_winograd_outputs(const df_winograd *p, const df_real *m, df_int from,
                         df_int count, df_int k, df_int n) {
  df_int panel = df_kernel()->panel, at[16];
  for (df_int i = 0; i < count; i++) {
    df_winograd_place(at, &p->tiles, df_winograd_tile_at(&p->tiles, from + i), p->pixel);
    df_kernel()->winograd_outputs(p->y + k, at, m + i * panel, p->output,
                                  p->bias ? p->bias + k : NULL,
                                  p->add ? p->add + k : NULL, p->accumulate, n);
  }
}

/* ==== the choice ==================================================================== */

/* Pixels outside are one pixel of zeros, so the image needs none around it. But rounded
** pixels take half the memory. */
df_form df_winograd_form(const df_conv *c) {
  return df_winograd_rounds(c) ? DF_HALF : DF_ROWS;
}

bool df_winograd_can(const df_conv *c, df_direction d, df_form x) {
  (void)d;
  bool plain = x == DF_ROWS || x == DF_PADDED;
  return c->R == 3 && c->S == 3 && c->stride == 1
         && (plain || (x == DF_HALF && df_winograd_rounds(c)));
}

df_int df_winograd_count(const df_conv *c, df_direction d) {
  return d == DF_DATA ? df_winograd_tiles_of(DF_TILE_TALL, 1, c->H, c->W).count
                      : df_winograd_tiles_of(DF_TILE_TALL, 1, c->P, c->Q).count;
}

/* Few channels have transforms but hardly any products. */
bool df_winograd_fits(const df_conv *c, df_direction d) {
  df_int P = d == DF_DATA ? c->H : c->P, Q = d == DF_DATA ? c->W : c->Q;
  if (c->precision == DF_HIGHEST || sizeof(df_real) != sizeof(float)) return false;
  return df_min(c->C, c->K) >= 16 && df_winograd_full(DF_TILE_TALL, P, Q);
}

/* An image of 4 x 4 is a tile. Alone with 256 channels it takes 0.15 ms on a core of a
** Zen 4 in AVX-512, by taps 0.17; in AVX2 0.24 and 0.18. Sixteen of them take 0.9 and
** 2.7 ms, in AVX2 1.0 and 3.0. Against bf16 it pays from 64 tiles on. */
df_int df_winograd_least(const df_conv *c) {
  return c->half && df_winograd_rounds(c) ? 64 : 1;
}

/* Transformed weights are four times as many, and few tiles need them all for little
** work. They come from memory, as the other layers push them out of the caches. These are
** ms on one core of a Sapphire Rapids in AVX2:
**
**                     weights in memory:     in the caches:
**   B, H = W, C = K   taps   transformed     taps   transformed
**    1,  8, 256        0.6       1.4          0.5       0.5
**    1, 16, 256        1.4       2.2          1.2       1.4
**    1, 32, 128        1.2       1.7          1.1       1.3
**    4, 32, 128        4.9       5.2          4.6       4.8
**   16, 16, 256       21.7      22.6         21.6      19.9
**   16, 32, 128       20.4      20.2         20.0      19.1
**
** A million weights take 150 MB transformed. Those of 16 bits would take eight times
** their own memory. */
#define FEW_TILES 256

bool df_winograd_from_taps(const df_conv *c, df_direction d) {
  return c->half || c->C * c->K > 1 << 20 || c->B * df_winograd_count(c, d) <= FEW_TILES;
}
