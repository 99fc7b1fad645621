#include "engine/tile_block.h"

#include <string.h>

/* Pixels of a block. With more, the sums (2.4 MB for C = K = 256) pass through the caches
** less often. With fewer, pairs and dy stay in the second cache. */
#define BLOCK_PIXELS 512
#define ROWS_BLOCK   256 /* rows of a 1 x 1 kernel, whose sums are few */

/* ==== sizes ========================================================================= */

static df_int copied(const df_tile_blocks *g) {
  return g->rows ? 0 : df_ceil_div(df_flat_room(&g->flat), 32) * 32;
}

df_int df_tile_pairs_room(const df_tile_blocks *g) {
  return copied(g) + df_tile_panels(g) * g->panel;
}

df_int df_tile_dy_room(const df_tile_blocks *g, df_int K) {
  return (K + DF_BEHIND) * g->ld;
}

bool df_tile_is_copied(const df_tile_blocks *g) { return !g->rows && !g->flat.direct; }

static df_int pixels(const df_tile_blocks *g) { return g->c.B * g->c.P * g->c.Q; }

/* Blocks are counted through all parts. */
static df_int row_of(const df_tile_blocks *g, df_int block) {
  return block / g->count * pixels(g) + block % g->count * pixels(g) / g->count;
}

/* The rows of a block of a 1 x 1 kernel. */
static df_int rows_of(const df_tile_blocks *g, df_int block) {
  df_int at = block % g->count;
  return (at + 1) * pixels(g) / g->count - at * pixels(g) / g->count;
}

static df_block block_of(const df_tile_blocks *g, df_int block) {
  if (g->rows) return (df_block){ .images = 1, .lines = 1 };
  df_block b = df_block_at(&g->flat.blocks, block % g->count);
  b.n += block / g->count * g->c.B;
  return b;
}

/* ==== packing ======================================================================= */

/* dy of a block: rows of `most` pixels, 0 where no output is. */
void df_tile_turn(const df_tile_blocks *g, uint16_t *to, df_int block, df_int k,
                  df_int K) {
  const df_conv *c = &g->c;
  const df_block b = block_of(g, block);
  df_int from = g->rows ? row_of(g, block) : (b.n * c->P + b.p) * c->Q;
  df_int each = g->rows ? rows_of(g, block) : c->Q, all = b.images * b.lines * each;
  const df_real *dy = g->dy + from * c->K + k;
  const bool adjacent = g->rows || (g->by_lines && g->deep == c->Q);
  if (!adjacent || all < g->most) memset(to, 0, (size_t)(K * g->ld) * sizeof *to);
  if (adjacent) {
    df_kernel()->turn_planes(to, g->ld, g->low, dy, c->K, all, K);
    return;
  }
  for (df_int i = 0; i < b.images; i++)
    for (df_int j = 0; j < b.lines; j++, dy += c->Q * c->K) {
      df_int flat = i * g->flat.image + j * g->flat.line;
      df_int at = g->by_lines ? (i * b.lines + j) * g->deep : flat;
      df_kernel()->turn_planes(to + at, g->ld, g->low, dy, c->K, c->Q, K);
    }
}

/* Pairs of channels [c, c + n); the odd ones begin a pixel later. */
static void pair_flat(const df_tile_blocks *g, uint16_t *to, const uint16_t *x,
                      df_int count, df_int c, df_int n) {
  for (df_int odd = 0; odd < 2; odd++)
    for (df_int plane = 0; plane < g->flat.planes; plane++)
      df_kernel()->pair_planes(
          to + c / DF_PANEL * g->panel + (odd * g->flat.planes + plane) * g->plane,
          g->panel, x + odd * g->flat.pixel + plane * g->flat.low + c, g->flat.pixel,
          count - odd, n, g->tall);
}

/* Pairs lie behind the block's copy. The pixels of a 1 x 1 kernel are read in place. */
void df_tile_pair(const df_tile_blocks *g, uint16_t *room, df_int block, df_int c,
                  df_int n) {
  uint16_t *pairs = room + copied(g);
  if (g->rows) {
    const df_real *x = g->flat.x.at + row_of(g, block) * g->c.C + c;
    df_kernel()->pair_rows(pairs + c / DF_PANEL * g->panel, g->panel,
                           g->low ? g->plane : 0, x, g->c.C, rows_of(g, block),
                           df_min(n, g->c.C - c), g->most);
    return;
  }
  df_block b = block_of(g, block);
  const uint16_t *x = df_flat_rows(&g->flat, &b, room);
  pair_flat(g, pairs, x, df_flat_count(&g->flat, &b) + df_flat_reach(&g->flat), c, n);
}

/* ==== products ====================================================================== */

/* The first pair that a kernel's tap meets from flat row `row` on. */
static df_int pairs_at(const df_tile_blocks *g, df_int row) {
  return row % 2 * g->flat.planes * g->plane + row / 2 * 2 * DF_PANEL;
}

void df_tile_product_open(const df_tile_blocks *g, df_tile_product *p, df_int block,
                          df_int K, df_int tap, df_int row) {
  const df_block b = block_of(g, block);
  df_int taps = df_tile_taps(g), lines = g->by_lines ? b.images * b.lines : 1;
  for (df_int i = 0; i < lines; i++) p->tap[i] = i * g->deep;
  for (df_int t = 0; t < taps; t++) {
    df_int at = g->rows ? 0 : df_flat_tap(&g->flat, t / g->c.S, t % g->c.S);
    for (df_int i = 0; i < lines; i++) {
      df_int line = i / b.lines * g->flat.image + i % b.lines * g->flat.line;
      p->w_tap[t * lines + i] = pairs_at(g, at + line);
    }
  }
  p->pairs = (df_pairs){ .m = K,
                         .K = taps * DF_PANEL,
                         .C = g->deep,
                         .ldy = row,
                         .y_panel = tap,
                         .ldx = g->ld,
                         .x_low = g->low,
                         .tap = p->tap,
                         .taps = lines,
                         .w_low = g->low ? g->plane : 0,
                         .w_tap = p->w_tap };
}

void df_tile_product_run(const df_tile_blocks *g, df_tile_product *p, df_real *sums,
                         bool accumulate, const uint16_t *dy, const uint16_t *room,
                         df_int panel) {
  p->pairs.y = sums, p->pairs.accumulate = accumulate;
  p->pairs.x = dy, p->pairs.w = room + copied(g) + panel * g->panel;
  df_kernel()->pairs(&p->pairs);
}

/* ==== the cut ======================================================================= */

static df_int rounded(df_int count) {
  return df_ceil_div(count, df_kernel()->pairs_step) * df_kernel()->pairs_step;
}

/* Chooses the cut with fewer rows. Example: 2 images of 7 x 7 pixels have 98 outputs. As
** flat rows they take 119 rows. Line by line they take 14 times 8, since pairs come in
** steps of 2. */
static void cut_lines(df_tile_blocks *g) {
  df_flat_open(&g->flat, BLOCK_PIXELS);
  df_int lines = g->flat.blocks.images * g->flat.blocks.lines;
  df_int reach = df_flat_reach(&g->flat), most = df_flat_most(&g->flat);
  g->count = g->flat.blocks.count;
  g->deep = rounded(g->c.Q);
  g->by_lines = lines <= DF_LINES_MAX && lines * g->deep <= rounded(most);
  if (!g->by_lines) g->deep = rounded(most);
  g->most = g->by_lines ? lines * g->deep : g->deep;
  g->tall = (rounded(most) + g->deep + reach + 1) / 2 * 2;
}

static void cut_rows(df_tile_blocks *g) {
  g->count = df_ceil_div(pixels(g), ROWS_BLOCK);
  g->most = g->deep = g->tall = rounded(df_min(pixels(g), ROWS_BLOCK));
}

/* The pitch of turned dy is never a multiple of 128 bytes. Such a pitch would
** put the rows of a register block into few lines of the cache: a fifth of the rate. */
static df_int pitch(df_int halves) {
  df_int lines = df_ceil_div(halves, 32);
  return (lines + (lines % 2 == 0)) * 32;
}

df_tile_blocks df_tile_blocks_of(const df_conv *c, const df_image *x, const df_real *dy) {
  df_tile_blocks g = { .c = *c, .dy = dy, .flat = df_flat_of(c, x) };
  g.rows = df_flat_is_rows(c, x->form);
  if (g.rows) cut_rows(&g);
  else cut_lines(&g);
  g.ld = pitch(g.most * g.flat.planes);
  g.low = g.flat.planes == 2 ? g.most : 0;
  g.plane = g.tall * DF_PANEL;
  g.panel = g.plane * g.flat.planes * (g.rows ? 1 : 2);
  return g;
}
