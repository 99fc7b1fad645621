/* dW as products of shifted rows. Lines of x are turned (channels by pixels), and dy is
** packed like weights. Then dW[r,s] (C x K) is `rows` over the pixels, and a shift of the
** kernel is a constant offset. Shapes cut the pixels into parts, which are folded in
** order. */
#include "engine/conv_weight.h"

#include <string.h>

#include "base/pool.h"
#include "engine/blocks.h"
#include "engine/gemm.h"
#include "engine/panel.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

#define PART_PIXELS  1024 /* at least so many pixels in a part, if they are cut */
#define ITEMS_WANTED 8    /* enough for a few threads */
#define FOLD_ROWS    32

typedef struct gradient {
  df_conv c;
  const df_image *x;
  const df_real *dy;
  df_real *dw;
  bool accumulate;
  df_blocks blocks;
  df_int parts, groups;  /* number of parts of blocks, and of groups of panels of K */
  bool flat;             /* x is turned in one go, together with its zeros */
  df_int column, line;   /* pixels of one phase, and of all phases, of a turned line */
  df_int image, channel; /* from an image, a channel, to the next */
  df_real *partial;      /* parts x (R S C) x K */
  df_workspace room;     /* turned x, packed dy */
} gradient;

/* One line of x, turned. Pixel j stride + f - left becomes [c][f][j], for each phase
** f. */
static void turn_line(const gradient *g, df_real *to, const df_real *x) {
  const df_conv *c = &g->c;
  for (df_int f = 0; f < c->stride; f++) {
    df_int skip = df_max(0, df_ceil_div(c->left - f, c->stride));
    df_int from = skip * c->stride + f - c->left;
    df_int count = from < c->W ? df_ceil_div(c->W - from, c->stride) : 0;
    count = df_min(count, g->column - skip);
    if (count > 0)
      df_kernel()->transpose(to + f * g->column + skip, g->channel, x + from * c->C,
                             c->stride * c->C, count, c->C);
  }
}

static void turn_lines(const gradient *g, df_real *to, const df_block *b) {
  const df_conv *c = &g->c;
  df_int span = (b->lines - 1) * c->stride + c->R;
  memset(to, 0, (size_t)(g->channel * c->C) * sizeof *to);
  for (df_int i = 0; i < b->images; i++)
    for (df_int j = 0; j < span; j++) {
      df_int h = b->p * c->stride + j - c->top;
      if (h >= 0 && h < c->H)
        turn_line(g, to + i * g->image + j * g->line, df_image_line(g->x, b->n + i, h));
    }
}

/* The number of pixels from the first to the last that a flat block's taps read. */
static df_int flat_pixels(const gradient *g, df_int images, df_int lines) {
  return (images - 1) * g->image + (lines + g->c.R - 2) * g->line + g->c.Q + g->c.S - 1;
}

static void turn_block(const gradient *g, df_real *to, const df_block *b) {
  const df_conv *c = &g->c;
  const df_real *x = df_image_line(g->x, b->n, b->p - c->top) - c->left * c->C;
  df_int pixels = flat_pixels(g, b->images, b->lines);
  if (g->flat) df_kernel()->transpose(to, g->channel, x, c->C, pixels, c->C);
  else turn_lines(g, to, b);
  if (c->precision != DF_MEDIUM) return;
  for (df_int i = 0; i < c->C; i++) {
    df_real *row = to + i * g->channel;
    df_kernel()->round_bf16(row, row, g->flat ? pixels : g->channel);
  }
}

/* Adds a block to dW for columns [k, to). */
static void add_block(const gradient *g, df_real *room, df_real *dw, bool first,
                      const df_block *b, df_int k, df_int to) {
  const df_kernels *kernel = df_kernel();
  const df_conv *c = &g->c;
  df_int pixels = b->images * b->lines * c->Q, taps = b->images * b->lines;
  df_int tap[DF_TAPS_MAX];
  df_real *packed = room + g->channel * c->C;
  const df_real *dy = g->dy + (b->n * c->P + b->p) * c->Q * c->K;
  turn_block(g, room, b);
  for (df_int j = k; j < to; j += kernel->panel)
    df_pack_panel(packed + (j - k) * pixels, dy + j, pixels, c->K,
                  df_min(kernel->panel, c->K - j), 1, c->precision == DF_MEDIUM);
  for (df_int t = 0; t < taps; t++)
    tap[t] = t / b->lines * g->image + t % b->lines * c->stride * g->line;
  for (df_int rs = 0; rs < c->R * c->S; rs++) {
    df_int r = rs / c->S, s = rs % c->S;
    const df_real *x = room + r * g->line + s % c->stride * g->column + s / c->stride;
    kernel->rows(dw + rs * c->C * c->K + k, c->K, x, g->channel, tap, taps, packed, NULL,
                 NULL, 0, !first, c->C, c->Q, to - k);
  }
}

static void run_items(void *context, df_int begin, df_int end) {
  gradient *g = context;
  const df_conv *c = &g->c;
  df_int panel = df_kernel()->panel, panels = df_ceil_div(c->K, panel);
  df_real *room = df_workspace_take(&g->room);
  for (df_int item = begin; item < end; item++) {
    df_int part = item / g->groups, group = item % g->groups;
    df_int from = part * g->blocks.count / g->parts;
    df_int to = (part + 1) * g->blocks.count / g->parts;
    df_int k = group * panels / g->groups * panel;
    df_int k_to = df_min((group + 1) * panels / g->groups * panel, c->K);
    for (df_int i = from; i < to; i++) {
      df_block b = df_block_at(&g->blocks, i);
      add_block(g, room, g->partial + part * c->R * c->S * c->C * c->K, i == from, &b, k,
                k_to);
    }
  }
  df_workspace_give(&g->room, room);
}

typedef struct fold {
  df_real *dw; /* K x rows */
  bool accumulate;
  const df_real *partial; /* parts x rows x K */
  df_int parts, rows, K;
  df_workspace room; /* two blocks of rows */
} fold;

static void fold_items(void *context, df_int begin, df_int end) {
  fold *f = context;
  const df_kernels *kernel = df_kernel();
  df_int K = f->K, rows = f->rows;
  df_real *sum = df_workspace_take(&f->room), *turned = sum + FOLD_ROWS * K;
  for (df_int item = begin; item < end; item++) {
    df_int row = item * FOLD_ROWS, n = df_min(FOLD_ROWS, rows - row);
    df_fold(sum, false, f->partial + row * K, f->parts, rows * K, n * K);
    if (!f->accumulate) {
      kernel->transpose(f->dw + row, rows, sum, K, n, K);
      continue;
    }
    kernel->transpose(turned, FOLD_ROWS, sum, K, n, K);
    for (df_int k = 0; k < K; k++)
      df_fold(f->dw + k * rows + row, true, turned + k * FOLD_ROWS, 1, 0, n);
  }
  df_workspace_give(&f->room, sum);
}

df_code df_weight_fold(df_real *dw, bool accumulate, const df_real *partial, df_int parts,
                       df_int rows, df_int K) {
  fold f = { dw, accumulate, partial, parts, rows, K, .room = { 0 } };
  df_int items = df_ceil_div(rows, FOLD_ROWS);
  if (df_workspace_open(&f.room, 2 * FOLD_ROWS * K, items) != DF_OK) return DF_MEMORY;
  df_parallel(items, 1, fold_items, &f);
  df_workspace_close(&f.room);
  return DF_OK;
}

/* True if every tap of every output reads a pixel of x, or a zero next to the images. */
static bool is_flat(const df_conv *c, const df_image *x) {
  return x->form == DF_PADDED && c->stride == 1 && c->top <= 1 && c->left <= 1
         && c->P + c->R - c->top <= c->H + 2 && c->Q + c->S - c->left <= c->W + 2;
}

/* Sizes of the turned block. A channel's pitch avoids powers of two, which would put the
** rows of a register block into the same lines of the cache. */
static df_int turned_size(gradient *g) {
  const df_conv *c = &g->c;
  df_int images = g->blocks.images, lines = g->blocks.lines, pixels;
  g->flat = is_flat(c, g->x);
  if (g->flat) {
    g->column = g->line = g->x->line / c->C;
    g->image = g->x->image / c->C;
    pixels = flat_pixels(g, images, lines);
  } else {
    g->column = df_ceil_div((c->Q - 1) * c->stride + c->S, c->stride);
    g->line = g->column * c->stride;
    g->image = ((lines - 1) * c->stride + c->R) * g->line;
    pixels = images * g->image;
  }
  g->channel = df_ceil_div(pixels, 16) * 16;
  if (g->channel % 32 == 0) g->channel += 16;
  return g->channel * c->C;
}

static df_code run(gradient *g) {
  const df_conv *c = &g->c;
  df_int panel = df_kernel()->panel, panels = df_ceil_div(c->K, panel);
  df_int pixels = g->blocks.images * g->blocks.lines * c->Q, items = g->parts * g->groups;
  df_int reals = turned_size(g) + pixels * panels * panel;
  if (df_workspace_open(&g->room, reals, items) != DF_OK) return DF_MEMORY;
  df_parallel(items, 1, run_items, g);
  df_workspace_close(&g->room);
  return df_weight_fold(g->dw, g->accumulate, g->partial, g->parts, c->R * c->S * c->C,
                        c->K);
}

df_code df_conv_weight(const df_conv *c, df_real *dw, bool accumulate, const df_image *x,
                       const df_real *dy) {
  gradient g = { .c = *c,
                 .x = x,
                 .dy = dy,
                 .dw = dw,
                 .accumulate = accumulate,
                 .blocks = df_blocks_of(c->B, c->P, c->Q) };
  df_int count = c->K * c->R * c->S * c->C;
  if (count == 0) return DF_OK;
  if (g.blocks.count == 0) {
    if (!accumulate) memset(dw, 0, (size_t)count * sizeof *dw);
    return DF_OK;
  }
  df_int pixels = c->B * c->P * c->Q, panels = df_ceil_div(c->K, df_kernel()->panel);
  g.parts = df_max(1, df_min(df_min(DF_PARTS_MAX, g.blocks.count), pixels / PART_PIXELS));
  g.groups = df_min(panels, df_ceil_div(ITEMS_WANTED, g.parts));
  df_workspace partials;
  if (df_workspace_open(&partials, g.parts * count, 1) != DF_OK) return DF_MEMORY;
  g.partial = partials.base;
  df_code code = run(&g);
  df_workspace_close(&partials);
  return code;
}
