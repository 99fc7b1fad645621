/* Weights packed in panels of df_kernel()->panel columns. */
#include "engine/panel.h"

#include <string.h>

#include "kernels/kernels.h"

df_int df_packed_size(df_int C, df_int K) {
  df_int panel = df_kernel()->panel;
  return df_ceil_div(K, panel) * panel * C;
}

void df_pack_panel(df_real *packed, const df_real *w, df_int C, df_int sc, df_int n,
                   df_int sk, bool round) {
  const df_kernels *kernel = df_kernel();
  df_int panel = kernel->panel;
  if (sc == 1 && n > 1) {
    for (df_int c = 0; n < panel && c < C; c++)
      memset(packed + c * panel + n, 0, (size_t)(panel - n) * sizeof *packed);
    kernel->transpose(packed, panel, w, sk, n, C);
  } else {
    kernel->pack_weights(packed, w, 1, 0, C, sc, n, sk);
  }
  if (round) kernel->round_bf16(packed, packed, C * panel);
}

/* ==== packs of any type ============================================================= */

size_t df_panels_bytes(df_pack_type type, df_int size) {
  return (size_t)size * (type == DF_PACK_REALS ? sizeof(df_real) : sizeof(uint16_t));
}

#define NARROWED 2048 /* reals that are packed before they become 16 bits */

void df_panels_put(const df_panels *p, df_int first, const df_real *w, df_int C,
                   df_int sc, df_int n, df_int sk) {
  const df_kernels *kernel = df_kernel();
  df_real some[NARROWED];
  if (p->type == DF_PACK_REALS) {
    df_pack_panel((df_real *)p->at + first, w, C, sc, n, sk, p->round);
    return;
  }
  uint16_t *to = (uint16_t *)p->at + first;
  for (df_int c = 0, most = NARROWED / kernel->panel, m; c < C; c += m) {
    m = df_min(most, C - c);
    df_pack_panel(some, w + c * sc, m, sc, n, sk, p->round);
    (p->type == DF_PACK_F16 ? kernel->to_f16 : kernel->to_bf16)(to, some,
                                                                m * kernel->panel);
    to += m * kernel->panel;
  }
}

typedef struct packing {
  const df_panels *to;
  const df_weights *w;
} packing;

/* Taps that are adjacent are one column. */
static void pack_block(const void *context, const df_weight_block *b) {
  const packing *p = context;
  df_int taps = p->w->R * p->w->S, C = p->w->C, panel = df_kernel()->panel;
  df_int first = b->k * taps * C + b->c * panel;
  if (b->C == C && (taps == 1 || b->tap == C)) {
    df_panels_put(p->to, first, b->at, taps * C, 1, b->K, b->row);
    return;
  }
  for (df_int t = 0; t < taps; t++)
    df_panels_put(p->to, first + t * C * panel, b->at + t * b->tap, b->C, 1, b->K,
                  b->row);
}

df_code df_panels_outputs(const df_panels *p, const df_weights *w) {
  packing context = { p, w };
  return df_weights_each(w, df_kernel()->panel, DF_WEIGHTS_ALL, pack_block, &context);
}

const df_real *df_panels_reals(const void *packed, df_pack_type type, df_int first,
                               df_int n, df_real *room) {
  const df_kernels *kernel = df_kernel();
  if (type == DF_PACK_REALS) return (const df_real *)packed + first;
  (type == DF_PACK_F16 ? kernel->from_f16
                       : kernel->from_bf16)(room, (const uint16_t *)packed + first, n);
  return room;
}
