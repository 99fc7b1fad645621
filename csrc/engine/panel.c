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

typedef struct packing {
  df_real *packed;
  const df_weights *w;
  bool round;
} packing;

/* Taps that are adjacent are one column. */
static void pack_block(const void *context, const df_weight_block *b) {
  const packing *p = context;
  df_int taps = p->w->R * p->w->S, C = p->w->C, panel = df_kernel()->panel;
  df_real *to = p->packed + b->k * taps * C + b->c * panel;
  if (b->C == C && (taps == 1 || b->tap == C)) {
    df_pack_panel(to, b->at, taps * C, 1, b->K, b->row, p->round);
    return;
  }
  for (df_int t = 0; t < taps; t++)
    df_pack_panel(to + t * C * panel, b->at + t * b->tap, b->C, 1, b->K, b->row,
                  p->round);
}

df_code df_pack_outputs(df_real *packed, const df_weights *w, bool round) {
  packing p = { packed, w, round };
  return df_weights_each(w, df_kernel()->panel, DF_WEIGHTS_ALL, pack_block, &p);
}
