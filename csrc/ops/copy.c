/* Copies between windows of any strides and types, over the pool. Adjacent dimensions are
** merged. Two-dimensional slices whose fast dimensions differ are transposed. */
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/copy.h"
#include "ops/stored.h"

#define GRAIN 4096 /* elements of a chunk */

/* y[..] = x[..] over `ndim` dimensions, those of y's smallest steps last; in elements */
typedef struct copy {
  df_dtype to, from;
  char *y;
  const char *x;
  int ndim;
  df_int size[DF_DIMS], sy[DF_DIMS], sx[DF_DIMS];
  int flat; /* transposing: the dimension in which x is contiguous */
} copy;

static void add_dim(copy *c, df_int size, df_int sy, df_int sx) {
  int at = c->ndim++;
  for (; at > 0 && labs(c->sy[at - 1]) < labs(sy); at--) {
    c->size[at] = c->size[at - 1];
    c->sy[at] = c->sy[at - 1], c->sx[at] = c->sx[at - 1];
  }
  c->size[at] = size, c->sy[at] = sy, c->sx[at] = sx;
}

/* Two adjacent dimensions that one step walks through become one. */
static void merge(copy *c) {
  int last = 0;
  for (int i = 1; i < c->ndim; i++) {
    df_int n = c->size[i];
    if (c->sy[last] == n * c->sy[i] && c->sx[last] == n * c->sx[i]) n *= c->size[last];
    else last++;
    c->size[last] = n, c->sy[last] = c->sy[i], c->sx[last] = c->sx[i];
  }
  c->ndim = last + 1;
}

static copy plan(df_tensor *y, const df_tensor *x) {
  copy c = { .to = y->dtype, .from = x->dtype, .flat = -1 };
  c.y = df_tensor_data(y);
  c.x = df_tensor_data(x);
  for (int i = 0; i < x->shape.ndim; i++)
    if (x->shape.size[i] != 1) add_dim(&c, x->shape.size[i], y->stride[i], x->stride[i]);
  if (c.ndim == 0) add_dim(&c, 1, 1, 1);
  merge(&c);
  return c;
}

/* Finds where run number `run` begins. It counts the dimensions before `end`, except
** `without`. */
static void seek(const copy *c, df_int run, int end, int without, char **y,
                 const char **x) {
  df_int oy = 0, ox = 0;
  for (int i = end - 1; i >= 0; i--) {
    if (i == without) continue;
    df_int at = run % c->size[i];
    run /= c->size[i];
    oy += at * c->sy[i], ox += at * c->sx[i];
  }
  *y = c->y + oy * df_dtype_size(c->to);
  *x = c->x + ox * df_dtype_size(c->from);
}

/* n elements with steps in bytes */
static void copy_stepped(df_dtype to, char *y, df_int sy, df_dtype from, const char *x,
                         df_int sx, df_int n) {
  int width = df_dtype_size(to);
  if (to != from)
    for (df_int i = 0; i < n; i++) df_dtype_convert(to, y + i * sy, from, x + i * sx, 1);
  else if (width == 4)
    for (df_int i = 0; i < n; i++) memcpy(y + i * sy, x + i * sx, 4);
  else
    for (df_int i = 0; i < n; i++) memcpy(y + i * sy, x + i * sx, (size_t)width);
}

/* One dimension is cut anywhere. */
static void copy_line(void *context, df_int begin, df_int end) {
  const copy *c = context;
  df_int wy = df_dtype_size(c->to), wx = df_dtype_size(c->from);
  char *y = c->y + begin * c->sy[0] * wy;
  const char *x = c->x + begin * c->sx[0] * wx;
  if (c->sy[0] == 1 && c->sx[0] == 1) df_dtype_convert(c->to, y, c->from, x, end - begin);
  else copy_stepped(c->to, y, c->sy[0] * wy, c->from, x, c->sx[0] * wx, end - begin);
}

static void copy_run(const copy *c, char *y, const char *x) {
  int last = c->ndim - 1, wy = df_dtype_size(c->to), wx = df_dtype_size(c->from);
  df_int n = c->size[last], sy = c->sy[last], sx = c->sx[last];
  if (sy == 1 && sx == 1) df_dtype_convert(c->to, y, c->from, x, n);
  else copy_stepped(c->to, y, sy * wy, c->from, x, sx * wx, n);
}

/* A run is found once for all runs that lie one step apart. A pixel has few channels, and
** dividing for each run would cost more than copying it. */
static void copy_runs(void *context, df_int begin, df_int end) {
  const copy *c = context;
  int last = c->ndim - 1;
  df_int of = c->size[last - 1];
  df_int dy = c->sy[last - 1] * df_dtype_size(c->to);
  df_int dx = c->sx[last - 1] * df_dtype_size(c->from);
  for (df_int run = begin, n; run < end; run += n) {
    char *y;
    const char *x;
    n = df_min(end - run, of - run % of);
    seek(c, run, last, -1, &y, &x);
    for (df_int i = 0; i < n; i++) copy_run(c, y + i * dy, x + i * dx);
  }
}

#define TILE 64 /* elements along y's last dimension */

static void copy_tiles(void *context, df_int begin, df_int end) {
  const copy *c = context;
  int last = c->ndim - 1;
  df_int tiles = df_ceil_div(c->size[last], TILE);
  for (df_int item = begin; item < end; item++) {
    df_int first = item % tiles * TILE, n = df_min(TILE, c->size[last] - first);
    char *y;
    const char *x;
    seek(c, item / tiles, last, c->flat, &y, &x);
    df_kernel()->transpose((df_real *)(void *)y + first, c->sy[c->flat],
                           (const df_real *)(const void *)x + first * c->sx[last],
                           c->sx[last], n, c->size[c->flat]);
  }
}

/* True if x is contiguous along another dimension than y, both of reals. */
static bool transposes(copy *c) {
  int last = c->ndim - 1;
  if (c->to != DF_REAL || c->from != DF_REAL || c->sy[last] != 1) return false;
  for (int i = 0; i < last; i++)
    if (c->sx[i] == 1) c->flat = i;
  return c->flat >= 0 && c->sx[last] > 0;
}

static void copy_numbers(df_tensor *y, const df_tensor *x) {
  df_int count = df_tensor_count(x);
  copy c = plan(y, x);
  int last = c.ndim - 1;
  df_int n = c.size[last];
  if (count == 0) {
    /* nothing to do */
  } else if (c.ndim == 1) {
    df_parallel(n, GRAIN, copy_line, &c);
  } else if (transposes(&c)) {
    df_int plane = c.size[c.flat], tiles = df_ceil_div(n, TILE);
    df_parallel(count / plane / n * tiles, GRAIN / (plane * TILE) + 1, copy_tiles, &c);
  } else {
    df_parallel(count / n, GRAIN / n + 1, copy_runs, &c);
  }
}

void df_tensor_copy(df_tensor *y, const df_tensor *x) {
  if (df_dtype_in_blocks(x->dtype)) df_blocks_copy(y, x);
  else copy_numbers(y, x);
  df_tensor_touch(y);
}
