/* Items are blocks of rows and of columns. All weights of a block of columns pass by for
** each block of rows. */
#include "engine/rows.h"

#include <string.h>

#include "base/pool.h"
#include "engine/ahead.h"
#include "engine/panel.h"
#include "engine/pitch.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

/* Rows of an item. Blocks have equal heights, up to a register block: all weights pass by
** for each, so a rest of few rows would wait for them. */
#define ROWS_BLOCK   256
#define ITEMS_WANTED 8 /* enough for a few threads */

typedef struct rows_run {
  df_rows r;
  df_int ldx;
  df_int blocks;      /* number of blocks of rows */
  df_int groups;      /* number of groups of panels: items share a block's columns */
  df_workspace room;  /* copied rows */
  df_workspace panel; /* a panel of 16 bits as reals */
} rows_run;

/* The first row of a block, a multiple of a register block's height. */
static df_int row_of(const rows_run *run, df_int block) {
  df_int h = df_kernel()->height, steps = df_ceil_div(run->r.m, h);
  return df_min(run->r.m, block * steps / run->blocks * h);
}

#define WAYS 8 /* lines of a set of the first cache, at least */

/* Rows that are rounded are read from a copy. So are those of a register block that share
** a set of the first cache, and are more than it holds. */
static bool copies(const df_rows *r) {
  bool many = df_kernel()->height > WAYS;
  return r->round || (many && df_rows_collide(r->C, sizeof(df_real)));
}

static void copy_rows(const rows_run *run, df_real *to, df_int row, df_int m) {
  const df_rows *r = &run->r;
  const df_real *x = r->x + row * r->C;
  for (df_int i = 0; i < m; i++, to += run->ldx, x += r->C)
    if (r->round) df_kernel()->round_bf16(to, x, r->C);
    else memcpy(to, x, (size_t)r->C * sizeof *x);
}

/* y[k, to) of the block: m rows of x times packed weights from column k on, in reals. */
static void multiply(const rows_run *run, const df_real *x, df_int row, df_int m,
                     df_int k, df_int to, const df_real *packed) {
  const df_rows *r = &run->r;
  df_int at = row * r->ldy + k, none = 0;
  df_kernel()->rows(r->y + at, r->ldy, x, run->ldx, &none, 1, packed,
                    r->bias ? r->bias + k : NULL, r->add ? r->add + at : NULL, r->ldy,
                    r->accumulate, m, r->C, to - k);
}

/* Elements of a pack of 16 bits. */
static void read_ahead(const df_rows *r, df_int first, df_int n) {
  const uint16_t *at = (const uint16_t *)r->packed + first;
  df_read_ahead((const void *)at, 0, 1, n * 2 / (df_int)sizeof(df_real));
}

#define PIECE 28 /* rows between two reads of the next panel */

/* The same with a pack of 16 bits, whose panels become reals one by one. With 256 rows to
** a block this costs 1 to 3 % of the time. Meanwhile the next panel is read: for 154 rows
** and weights in memory this saves 2 %. */
static void multiply_narrow(rows_run *run, const df_real *x, df_int row, df_int m,
                            df_int k, df_int to) {
  const df_rows *r = &run->r;
  df_int h = df_kernel()->height, steps = df_ceil_div(m, h);
  df_int panel = df_kernel()->panel, size = panel * r->C, pieces = df_ceil_div(m, PIECE);
  df_real *reals = df_workspace_take(&run->panel);
  for (df_int end; k < to; k = end) {
    end = df_min(k + panel, to);
    df_panels_reals(r->packed, r->pack_type, k * r->C, size, reals);
    for (df_int i = 0; i < pieces; i++) {
      df_int from = i * steps / pieces * h, next = (i + 1) * steps / pieces * h;
      if (end < to) read_ahead(r, end * r->C + i * size / pieces, size / pieces);
      multiply(run, x + from * run->ldx, row + from, df_min(m, next) - from, k, end,
               reals);
    }
  }
  df_workspace_give(&run->panel, reals);
}

/* All groups read one copy of a block. With a single group, the copy is made where it is
** read. */
static void rows_items(void *context, df_int begin, df_int end) {
  rows_run *run = context;
  const df_rows *r = &run->r;
  df_int panel = df_kernel()->panel, panels = df_ceil_div(r->K, panel);
  bool own = copies(r) && run->groups == 1, shared = copies(r) && !own;
  df_real *copy = own ? df_workspace_take(&run->room) : NULL;
  const df_real *rows = shared ? run->room.base : r->x;
  for (df_int item = begin; item < end; item++) {
    df_int block = item / run->groups, g = item % run->groups;
    df_int row = row_of(run, block), m = row_of(run, block + 1) - row;
    df_int k = g * panels / run->groups * panel;
    df_int to = df_min((g + 1) * panels / run->groups * panel, r->K);
    const df_real *x = own ? copy : rows + row * run->ldx;
    if (own) copy_rows(run, copy, row, m);
    if (r->pack_type != DF_PACK_REALS) multiply_narrow(run, x, row, m, k, to);
    else multiply(run, x, row, m, k, to, (const df_real *)r->packed + k * r->C);
  }
  if (own) df_workspace_give(&run->room, copy);
}

#define COPIED_ROWS 32 /* rows copied at a time */

static void copy_items(void *context, df_int begin, df_int end) {
  const rows_run *run = context;
  df_int row = begin * COPIED_ROWS;
  copy_rows(run, run->room.base + row * run->ldx, row,
            df_min(end * COPIED_ROWS, run->r.m) - row);
}

static df_code run_copied(rows_run *run) {
  bool shared = run->groups > 1;
  df_int rows = shared ? run->r.m : ROWS_BLOCK + df_kernel()->height;
  df_int pieces = shared ? 1 : run->blocks;
  run->ldx = df_odd_lines(run->r.C, sizeof(df_real));
  if (df_workspace_open(&run->room, rows * run->ldx, pieces) != DF_OK) return DF_MEMORY;
  if (shared) df_parallel(df_ceil_div(run->r.m, COPIED_ROWS), 1, copy_items, run);
  df_parallel(run->blocks * run->groups, 1, rows_items, run);
  df_workspace_close(&run->room);
  return DF_OK;
}

static df_code run_rows(rows_run *run) {
  if (copies(&run->r)) return run_copied(run);
  df_parallel(run->blocks * run->groups, 1, rows_items, run);
  return DF_OK;
}

df_code df_rows_run(const df_rows *r) {
  if (r->m == 0 || r->K == 0) return DF_OK;
  rows_run run = { .r = *r, .ldx = r->C };
  df_int panel = df_kernel()->panel, panels = df_ceil_div(r->K, panel);
  run.blocks = df_ceil_div(r->m, ROWS_BLOCK);
  run.groups = df_min(panels, df_ceil_div(ITEMS_WANTED, run.blocks));
  if (r->pack_type == DF_PACK_REALS) return run_rows(&run);
  if (df_workspace_open(&run.panel, panel * r->C, run.blocks * run.groups) != DF_OK)
    return DF_MEMORY;
  df_code code = run_rows(&run);
  df_workspace_close(&run.panel);
  return code;
}
