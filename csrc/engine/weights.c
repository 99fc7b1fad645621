/* Blocks of weights. Reals whose channels are adjacent are read in place. Others are
** converted and put in order in a workspace of about 64 KiB. */
#include "engine/weights.h"

#include <string.h>

#include "base/pool.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

#define BLOCK_REALS 16384 /* size of a converted block; also the grain of tasks */
#define CUT         32    /* panels and planes of bf16 begin at multiples of it */

static df_int element(const df_weights *w, df_int k, df_int t, df_int c) {
  df_int tap = t / w->S * w->r_step + t % w->S * w->s_step;
  return w->at + k * w->k_step + tap + c * w->c_step;
}

df_weights df_weights_outputs(const df_weights *w, df_int from, df_int n) {
  df_weights part = *w;
  part.at = element(w, from, 0, 0), part.K = n;
  return part;
}

df_weights df_weights_inputs(const df_weights *w, df_int from, df_int n) {
  df_weights part = *w;
  part.at = element(w, 0, 0, from), part.C = n;
  return part;
}

/* ==== reading ======================================================================= */

static void convert(const df_weights *w, df_real *y, const void *x, df_int at, df_int n) {
  if (w->read) w->read(y, x, at, n);
  else memcpy(y, (const df_real *)x + at, (size_t)n * sizeof *y);
}

#define GATHERED 64 /* elements at a time */

/* Channels that are not adjacent: gathered in their own type, then converted. */
static void gather(const df_weights *w, df_real *y, df_int at, df_int n) {
  _Alignas(DF_ALIGN) char some[GATHERED * sizeof(double)];
  df_int step = w->c_step * w->bytes;
  const char *x = w->data + at * w->bytes;
  for (df_int i = 0; w->bytes == 0 && i < n; i++)
    convert(w, y + i, w->data, at + i * w->c_step, 1);
  for (df_int done = 0, m; w->bytes > 0 && done < n; done += m, x += m * step) {
    m = df_min(GATHERED, n - done);
    if (w->bytes == 2)
      for (df_int i = 0; i < m; i++) memcpy(some + 2 * i, x + i * step, 2);
    else if (w->bytes == 4)
      for (df_int i = 0; i < m; i++) memcpy(some + 4 * i, x + i * step, 4);
    else
      for (df_int i = 0; i < m; i++) memcpy(some + 8 * i, x + i * step, 8);
    convert(w, y + done, some, 0, m);
  }
}

/* Channels [c, c + n) of all taps of output k, tap by tap. Files of other libraries have
** K, C, R, S: the taps of a channel are adjacent, and so are its neighbour's. */
static void read_row(const df_weights *w, df_real *y, df_int k, df_int c, df_int n,
                     df_real *turned) {
  df_int taps = w->R * w->S;
  bool files = w->c_step == taps && w->s_step == 1 && w->r_step == w->S;
  if (taps > 1 && files) {
    convert(w, turned, w->data, element(w, k, 0, c), n * taps);
    df_kernel()->transpose(y, n, turned, taps, n, taps);
    return;
  }
  for (df_int t = 0; t < taps; t++)
    if (w->c_step == 1) convert(w, y + t * n, w->data, element(w, k, t, c), n);
    else gather(w, y + t * n, element(w, k, t, c), n);
}

/* ==== blocks ======================================================================== */

typedef struct blocks {
  const df_weights *w;
  df_int outputs, inputs, across; /* size of a block; number of blocks of inputs */
  bool in_place;
  df_weight_task *task;
  const void *context;
  df_workspace room;
} blocks;

/* Elements from a tap to the next, if it is the same for all; else 0. */
static df_int tap_step(const df_weights *w) {
  if (w->S == 1) return w->r_step;
  return w->R == 1 || w->r_step == w->S * w->s_step ? w->s_step : 0;
}

static bool in_place(const df_weights *w) {
  return !w->read && (w->c_step == 1 || w->C == 1)
         && (w->R * w->S == 1 || tap_step(w) != 0);
}

static void fill(const blocks *b, df_weight_block *block, df_real *room) {
  const df_weights *w = b->w;
  if (b->in_place) {
    block->at =
        (const df_real *)(const void *)w->data + element(w, block->k, 0, block->c);
    block->row = w->k_step, block->tap = tap_step(w);
    return;
  }
  block->at = room;
  block->tap = block->C, block->row = w->R * w->S * block->C;
  for (df_int i = 0; i < block->K; i++)
    read_row(w, room + i * block->row, block->k + i, block->c, block->C,
             room + block->K * block->row);
}

static void run_blocks(void *context, df_int begin, df_int end) {
  blocks *b = context;
  const df_weights *w = b->w;
  df_real *room = b->in_place ? NULL : df_workspace_take(&b->room);
  for (df_int i = begin; i < end; i++) {
    df_int k = i / b->across * b->outputs, c = i % b->across * b->inputs;
    df_weight_block block = { .k = k, .c = c };
    block.K = df_min(b->outputs, w->K - k), block.C = df_min(b->inputs, w->C - c);
    fill(b, &block, room);
    b->task(b->context, &block);
  }
  if (room) df_workspace_give(&b->room, room);
}

/* The size of a dimension that may be cut, if the other one is cut into `other`. */
static df_int size_of(const blocks *b, df_int all, df_int other) {
  df_int part = BLOCK_REALS / (other * b->w->R * b->w->S) / CUT * CUT;
  return df_max(1, df_min(all, b->in_place ? all : df_max(CUT, part)));
}

df_code df_weights_each(const df_weights *w, df_int outputs, df_int inputs,
                        df_weight_task *task, const void *context) {
  if (w->K * w->C * w->R * w->S == 0) return DF_OK;
  blocks b = { .w = w, .in_place = in_place(w), .task = task, .context = context };
  b.outputs = outputs ? outputs : size_of(&b, w->K, inputs);
  b.inputs = inputs ? inputs : size_of(&b, w->C, b.outputs);
  b.across = df_ceil_div(w->C, b.inputs);
  df_int count = df_ceil_div(w->K, b.outputs) * b.across;
  df_int reals = b.outputs * b.inputs * w->R * w->S;
  df_int turned = b.inputs * w->R * w->S;
  if (!b.in_place && df_workspace_open(&b.room, reals + turned, count) != DF_OK)
    return DF_MEMORY;
  df_parallel(count, BLOCK_REALS / reals + 1, run_blocks, &b);
  if (!b.in_place) df_workspace_close(&b.room);
  return DF_OK;
}
