/* A register block of `rows` is two vectors of outputs wide, and one to three outputs
** leave most of it empty. So the taps become columns too: a pixel of x times all R S K
** weights at once. Then each output adds the R S numbers that its neighbours have for it.
** The gradient of an x with few channels is the same with turned weights. The gradient of
** the weights is x times the R S K numbers of dy that a pixel has met. */
#include "engine/conv_few.h"

#include <string.h>

#include "base/pool.h"
#include "engine/conv_weight.h"
#include "engine/gemm.h"
#include "engine/panel.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

#define COLUMNS_MAX 32 /* R S K */
#define BAND        16 /* lines of outputs of a task */

/* ==== forward, and to x ============================================================= */

typedef struct pass {
  df_image x;
  df_int R, S, top, left, P, Q, K;
  df_int first, per_output, per_tap; /* place of the column of an output and a tap */
  const df_real *packed;             /* C x columns */
  df_real *y;                        /* B, P, Q, K */
  const df_real *bias, *add;
  bool accumulate;
  df_int columns, bands;
  df_int wide; /* a line's numbers of one column, with the zeros around them */
  df_workspace room;
} pass;

/* The columns of line h of image n, each with zeros around it. */
static void multiply_line(const pass *p, df_real *to, df_real *product, df_int n,
                          df_int h) {
  const df_kernels *kernel = df_kernel();
  df_int none = 0, W = p->x.W, skip = df_max(0, -p->left), at = df_max(0, p->left);
  memset(to, 0, (size_t)(p->columns * p->wide) * sizeof *to);
  if (h < 0 || h >= p->x.H) return;
  kernel->rows(product, p->columns, df_image_line(&p->x, n, h), p->x.C, &none, 1,
               p->packed, NULL, NULL, 0, false, W, p->x.C, p->columns);
  kernel->transpose(to + at, p->wide, product + skip * p->columns, p->columns, W - skip,
                    p->columns);
}

/* Output k of a line. Lines of columns begin at `from`, one for each line of the
** kernel. */
static void add_shifted(const pass *p, df_real *sum, const df_real *from, df_int k) {
  const df_real *x[COLUMNS_MAX];
  df_real one[COLUMNS_MAX];
  df_int line = p->columns * p->wide;
  for (df_int t = 0; t < p->R * p->S; t++) {
    df_int column = p->first + k * p->per_output + t * p->per_tap;
    x[t] = from + t / p->S * line + column * p->wide + t % p->S;
    one[t] = 1;
  }
  df_kernel()->mix(sum, 0, one, x, p->R * p->S, p->Q);
}

static void finish_line(const pass *p, df_int at, const df_real *sum, df_int k) {
  for (df_int q = 0; q < p->Q; q++) {
    df_int i = at + q * p->K + k;
    df_real v = sum[q] + (p->bias ? p->bias[k] : 0);
    if (p->add) v += p->add[i];
    p->y[i] = p->accumulate ? v + p->y[i] : v;
  }
}

static void run_bands(void *context, df_int begin, df_int end) {
  pass *p = context;
  df_int line = p->columns * p->wide;
  df_real *lines = df_workspace_take(&p->room);
  df_real *product = lines + (BAND + p->R - 1) * line;
  df_real *sum = product + p->x.W * p->columns;
  for (df_int item = begin; item < end; item++) {
    df_int n = item / p->bands, from = item % p->bands * BAND;
    df_int count = df_min(BAND, p->P - from);
    for (df_int i = 0; i < count + p->R - 1; i++)
      multiply_line(p, lines + i * line, product, n, from + i - p->top);
    for (df_int i = 0; i < count; i++)
      for (df_int k = 0; k < p->K; k++) {
        add_shifted(p, sum, lines + i * line, k);
        finish_line(p, (n * p->P + from + i) * p->Q * p->K, sum, k);
      }
  }
  df_workspace_give(&p->room, lines);
}

static df_code run(pass *p) {
  p->columns = p->R * p->S * p->K;
  p->bands = df_ceil_div(p->P, BAND);
  p->wide = df_max(p->Q + p->S - 1, p->x.W + df_max(0, p->left));
  df_int reals = (BAND + p->R - 1) * p->columns * p->wide + p->x.W * p->columns + p->Q;
  df_int items = p->x.B * p->bands;
  if (df_workspace_open(&p->room, reals, items) != DF_OK) return DF_MEMORY;
  df_parallel(items, 1, run_bands, p);
  df_workspace_close(&p->room);
  return DF_OK;
}

static size_t bytes(const df_conv *c) {
  return (size_t)df_packed_size(c->C, c->R * c->S * c->K) * sizeof(df_real);
}

typedef struct packing {
  df_real *packed;
  const df_conv *c;
} packing;

/* Columns of `depth` reals that are `step` apart. Column j begins at `from`. */
static void pack_column(df_real *packed, df_int j, const df_real *from, df_int step,
                        df_int depth) {
  df_int panel = df_kernel()->panel;
  df_real *to = packed + j / panel * panel * depth + j % panel;
  for (df_int i = 0; i < depth; i++) to[i * panel] = from[i * step];
}

static void pack_ahead(const void *context, const df_weight_block *b) {
  const packing *p = context;
  df_int taps = p->c->R * p->c->S;
  for (df_int j = 0; j < b->K * taps; j++)
    pack_column(p->packed, j, b->at + j / taps * b->row + j % taps * b->tap, 1, b->C);
}

static void pack_back(const void *context, const df_weight_block *b) {
  const packing *p = context;
  for (df_int j = 0; j < p->c->R * p->c->S * b->C; j++)
    pack_column(p->packed, j, b->at + j / b->C * b->tap + j % b->C, b->row, b->K);
}

/* The whole kernel is one block, as there are few columns. */
static df_code pack_whole(void *packed, size_t size, const df_weights *w,
                          df_weight_task *task, const df_conv *c) {
  packing p = { packed, c };
  memset(packed, 0, size);
  return df_weights_each(w, w->K, w->C, task, &p);
}

static df_code pack(void *packed, const df_weights *w, const df_conv *c) {
  return pack_whole(packed, bytes(c), w, pack_ahead, c);
}

static df_code forward(const df_conv *c, df_real *y, const df_image *x,
                       const void *packed, const df_real *bias, const df_real *add) {
  pass p = { .x = *x,
             .R = c->R,
             .S = c->S,
             .top = c->top,
             .left = c->left,
             .P = c->P,
             .Q = c->Q,
             .K = c->K,
             .per_output = c->R * c->S,
             .per_tap = 1,
             .packed = packed,
             .y = y,
             .bias = bias,
             .add = add };
  return run(&p);
}

static size_t back_bytes(const df_conv *c) {
  return (size_t)df_packed_size(c->K, c->R * c->S * c->C) * sizeof(df_real);
}

static df_code back_pack(void *packed, const df_weights *w, const df_conv *c) {
  return pack_whole(packed, back_bytes(c), w, pack_back, c);
}

/* Packs the taps in reverse order. */
static df_code data(const df_conv *c, df_real *dx, bool accumulate, const df_real *dy,
                    const void *packed) {
  pass p = { .x = df_image_of(DF_ROWS, dy, c->B, c->P, c->Q, c->K),
             .R = c->R,
             .S = c->S,
             .top = c->R - 1 - c->top,
             .left = c->S - 1 - c->left,
             .P = c->H,
             .Q = c->W,
             .K = c->C,
             .first = (c->R * c->S - 1) * c->C,
             .per_output = 1,
             .per_tap = -c->C,
             .packed = packed,
             .y = dx,
             .accumulate = accumulate };
  return run(&p);
}

/* ==== to the weights ================================================================ */

#define PART_LINES 64 /* at least so many lines of x in a part, if they are cut */

typedef struct gradient {
  df_conv c;
  const df_image *x;
  const df_real *dy;
  df_int columns, parts;
  df_real *partial; /* parts x C x columns */
  df_workspace room;
} gradient;

/* For each pixel of line h, the numbers of dy that met it, in panels. `met` is zero
** before. */
static void collect_line(const gradient *g, df_real *met, df_int n, df_int h) {
  const df_conv *c = &g->c;
  df_int panel = df_kernel()->panel;
  for (df_int j = 0; j < g->columns; j++) {
    df_int k = j / (c->R * c->S), r = j / c->S % c->R, s = j % c->S;
    df_int p = h - r + c->top, shift = c->left - s; /* q = w + shift */
    if (p < 0 || p >= c->P) continue;
    df_real *to = met + j / panel * panel * c->W + j % panel;
    const df_real *dy = g->dy + ((n * c->P + p) * c->Q + shift) * c->K + k;
    df_int end = df_min(c->W, c->Q - shift);
    for (df_int w = df_max(0, -shift); w < end; w++) to[w * panel] = dy[w * c->K];
  }
}

static void run_parts(void *context, df_int begin, df_int end) {
  gradient *g = context;
  const df_conv *c = &g->c;
  const df_kernels *kernel = df_kernel();
  df_int size = df_ceil_div(g->columns, kernel->panel) * kernel->panel * c->W;
  df_real *met = df_workspace_take(&g->room);
  for (df_int part = begin; part < end; part++) {
    df_int from = part * c->B * c->H / g->parts, to = (part + 1) * c->B * c->H / g->parts;
    df_real *sum = g->partial + part * c->C * g->columns;
    memset(sum, 0, (size_t)(c->C * g->columns) * sizeof *sum);
    for (df_int line = from; line < to; line++) {
      memset(met, 0, (size_t)size * sizeof *met);
      collect_line(g, met, line / c->H, line % c->H);
      kernel->rows_turned(sum, g->columns, df_image_line(g->x, line / c->H, line % c->H),
                          c->C, met, true, c->C, c->W, g->columns);
    }
  }
  df_workspace_give(&g->room, met);
}

static df_code weight(const df_conv *c, df_real *dw, bool accumulate, const df_image *x,
                      const df_real *dy) {
  gradient g = { .c = *c, .x = x, .dy = dy, .columns = c->R * c->S * c->K };
  df_int panel = df_kernel()->panel;
  g.parts = df_max(1, df_min(DF_PARTS_MAX, c->B * c->H / PART_LINES));
  df_workspace partials;
  if (df_workspace_open(&partials, g.parts * c->C * g.columns, 1) != DF_OK)
    return DF_MEMORY;
  g.partial = partials.base;
  df_code code =
      df_workspace_open(&g.room, df_ceil_div(g.columns, panel) * panel * c->W, g.parts);
  if (code == DF_OK) {
    df_parallel(g.parts, 1, run_parts, &g);
    df_workspace_close(&g.room);
    code = df_weight_fold(dw, accumulate, g.partial, g.parts, c->C, g.columns);
  }
  df_workspace_close(&partials);
  return code;
}

/* ==== the algorithm ================================================================= */

static df_form form(const df_conv *c) {
  (void)c;
  return DF_ROWS;
}

static bool can(const df_conv *c, df_direction d, df_form x) {
  df_int outputs = d == DF_DATA ? c->C : c->K;
  return c->R * c->S * outputs <= COLUMNS_MAX && c->stride == 1
         && c->precision != DF_MEDIUM && (x == DF_ROWS || x == DF_PADDED);
}

static bool pays(const df_conv *c, df_direction d) {
  return c->R * c->S > 1 && (d == DF_DATA ? c->K : c->C) >= 8
         && sizeof(df_real) == sizeof(float);
}

const df_algorithm df_conv_few = {
  "few",   form, can,    pays, { bytes, pack }, { back_bytes, back_pack },
  forward, data, weight, NULL
};
