/* Weights packed in panels of df_kernel()->panel columns. */
#include "engine/panel.h"

#include <string.h>

#include "base/pool.h"
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
  const df_real *w;
  df_int C, sc, K, sk;
  bool round;
} packing;

static void pack_panels(void *context, df_int begin, df_int end) {
  const packing *p = context;
  df_int panel = df_kernel()->panel;
  for (df_int i = begin; i < end; i++)
    df_pack_panel(p->packed + i * panel * p->C, p->w + i * panel * p->sk, p->C, p->sc,
                  df_min(panel, p->K - i * panel), p->sk, p->round);
}

#define GRAIN 16384 /* reals of a chunk */

void df_pack_weights(df_real *packed, const df_real *w, df_int C, df_int sc, df_int K,
                     df_int sk, bool round) {
  packing p = { packed, w, C, sc, K, sk, round };
  df_int panel = df_kernel()->panel;
  df_parallel(df_ceil_div(K, panel), GRAIN / (panel * C + 1) + 1, pack_panels, &p);
}
