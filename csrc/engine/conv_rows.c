/* The three products of a 1 x 1 kernel are y = x w^T, dx = dy w and dw = dy^T x. */
#include "engine/conv_rows.h"

#include "engine/gemm.h"
#include "engine/panel.h"
#include "engine/rows.h"
#include "kernels/kernels.h"

static df_form form(const df_conv *c) {
  (void)c;
  return DF_ROWS;
}

static bool can(const df_conv *c, df_direction d, df_form x) {
  (void)d;
  return c->R == 1 && c->S == 1 && c->stride == 1 && c->top == 0 && c->left == 0
         && c->P == c->H && c->Q == c->W && x == DF_ROWS;
}

static bool pays(const df_conv *c, df_direction d) {
  (void)c, (void)d;
  return true;
}

static bool rounds(const df_conv *c) { return c->precision == DF_MEDIUM; }

static size_t bytes(const df_conv *c) {
  return df_panels_bytes(c->pack_type, df_packed_size(c->C, c->K));
}

static df_code pack(void *packed, const df_weights *w, const df_conv *c) {
  df_panels to = { packed, c->pack_type, rounds(c) };
  return df_panels_outputs(&to, w);
}

static df_code forward(const df_conv *c, df_real *y, const df_image *x,
                       const void *packed, const df_real *bias, const df_real *add) {
  df_rows r = { .m = c->B * c->H * c->W,
                .C = c->C,
                .K = c->K,
                .x = x->at,
                .packed = packed,
                .pack_type = c->pack_type,
                .y = y,
                .ldy = df_conv_pitch(c, c->K),
                .bias = bias,
                .add = add,
                .round = rounds(c) };
  return df_rows_run(&r);
}

static size_t back_bytes(const df_conv *c) {
  return df_panels_bytes(c->pack_type, df_packed_size(c->K, c->C));
}

typedef struct packing {
  df_panels to;
  const df_conv *c;
} packing;

/* Rows of w packed at a time. They are read in order, and a piece of a panel is written
** in order too. */
#define ROWS_PACKED 16

/* Inputs as columns of K. */
static void pack_inputs(const void *context, const df_weight_block *b) {
  const packing *p = context;
  df_int panel = df_kernel()->panel;
  df_int first = b->c * p->c->K + b->k * panel;
  for (df_int c = 0; c < b->C; c += panel, first += panel * p->c->K)
    df_panels_put(&p->to, first, b->at + c, b->K, b->row, df_min(panel, b->C - c), 1);
}

static df_code back_pack(void *packed, const df_weights *w, const df_conv *c) {
  packing p = { { packed, c->pack_type, rounds(c) }, c };
  return df_weights_each(w, ROWS_PACKED, DF_WEIGHTS_ALL, pack_inputs, &p);
}

static df_code data(const df_conv *c, df_real *dx, bool accumulate, const df_real *dy,
                    const void *packed) {
  df_rows r = { .m = c->B * c->H * c->W,
                .C = c->K,
                .K = c->C,
                .x = dy,
                .packed = packed,
                .pack_type = c->pack_type,
                .y = dx,
                .ldy = df_conv_pitch(c, c->C),
                .accumulate = accumulate,
                .round = rounds(c) };
  return df_rows_run(&r);
}

static df_code weight(const df_conv *c, df_real *dw, bool accumulate, const df_image *x,
                      const df_real *dy) {
  df_product p = { .m = c->K,
                   .n = c->C,
                   .k = c->B * c->P * c->Q,
                   .batch = 1,
                   .a = { dy, c->K, true, 0 },
                   .b = { x->at, c->C, false, 0 },
                   .c = dw,
                   .ldc = c->C,
                   .accumulate = accumulate,
                   .precision = c->precision };
  return df_gemm(&p);
}

const df_algorithm df_conv_rows = {
  "rows",  form, can,    pays, { bytes, pack }, { back_bytes, back_pack },
  forward, data, weight, NULL
};
