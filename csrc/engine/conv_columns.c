/* The cut of a product's columns into blocks whose packed weights fit a workspace. */
#include "engine/conv_columns.h"

#include "engine/workspace.h"

#define BLOCK_BYTES ((size_t)16 << 20) /* packed weights, or one panel if it is more */
#define PANEL       32                 /* a multiple of the panel of each kernel table */

typedef struct columns {
  df_conv c;             /* the current block */
  df_int *width, total;  /* columns of the block, in c; of all blocks */
  df_int panels, blocks; /* panels of PANEL columns; number of blocks */
  df_workspace room;
} columns;

static df_code open_columns(columns *b, size_t (*bytes)(const df_conv *)) {
  b->total = *b->width;
  b->c.pitch = df_conv_pitch(&b->c, b->total);
  b->panels = df_max(1, df_ceil_div(b->total, PANEL));
  *b->width = PANEL;
  df_int each = df_max(1, (df_int)(BLOCK_BYTES / (bytes(&b->c) + 1)));
  b->blocks = df_ceil_div(b->panels, df_min(each, b->panels));
  *b->width = df_min(b->total, df_ceil_div(b->panels, b->blocks) * PANEL);
  df_int reals = (df_int)(bytes(&b->c) / sizeof(df_real)) + 1;
  return df_workspace_open(&b->room, reals, 1);
}

/* Makes block i the current one; returns its first column. */
static df_int to_block(columns *b, df_int i) {
  df_int from = i * b->panels / b->blocks * PANEL;
  *b->width = df_min(b->total, (i + 1) * b->panels / b->blocks * PANEL) - from;
  return from;
}

df_code df_columns_forward(const df_algorithm *a, const df_conv *c, df_real *y,
                           const df_image *x, const df_weights *w, const df_real *bias,
                           const df_real *add) {
  columns b = { .c = *c, .width = &b.c.K };
  df_code code = open_columns(&b, a->ahead.bytes);
  if (code != DF_OK) return code;
  for (df_int i = 0; i < b.blocks && code == DF_OK; i++) {
    df_int k = to_block(&b, i);
    df_weights part = df_weights_outputs(w, k, b.c.K);
    code = a->ahead.pack(b.room.base, &part, &b.c);
    if (code == DF_OK)
      code = a->forward(&b.c, y + k, x, b.room.base, bias ? bias + k : NULL,
                        add ? add + k : NULL);
  }
  df_workspace_close(&b.room);
  return code;
}

df_code df_columns_data(const df_algorithm *a, const df_conv *c, df_real *dx,
                        bool accumulate, const df_real *dy, const df_weights *w) {
  columns b = { .c = *c, .width = &b.c.C };
  df_code code = open_columns(&b, a->back.bytes);
  if (code != DF_OK) return code;
  for (df_int i = 0; i < b.blocks && code == DF_OK; i++) {
    df_int first = to_block(&b, i);
    df_weights part = df_weights_inputs(w, first, b.c.C);
    code = a->back.pack(b.room.base, &part, &b.c);
    if (code == DF_OK) code = a->data(&b.c, dx + first, accumulate, dy, b.room.base);
  }
  df_workspace_close(&b.room);
  return code;
}
