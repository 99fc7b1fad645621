/* The sides of a product are packed panels and rows, in reals or in bf16. */
#include "engine/factor.h"

#include <string.h>

#include "engine/flat.h"
#include "engine/panel.h"
#include "engine/pitch.h"
#include "kernels/kernels.h"

df_factors df_factors_of(df_precision precision) {
  int planes = df_flat_planes(precision);
  bool pay = df_kernel()->pairs_pay >= planes;
  return (df_factors){ pay ? planes : 0, precision == DF_MEDIUM };
}

df_int df_factor_width(df_int C) {
  df_int step = df_kernel()->pairs_step;
  return df_ceil_div(C, step) * step;
}

static df_int deep(df_int C) { return df_factor_width(C); }

/* Reals that hold so many bf16, in whole cache lines. */
static df_int reals_of(df_int halves) {
  df_int line = DF_ALIGN / (df_int)sizeof(uint16_t);
  return df_ceil_div(halves, line) * (DF_ALIGN / (df_int)sizeof(df_real));
}

static df_int left_pitch(df_factors f, df_int C) {
  if (f.planes) return df_odd_lines(deep(C) * f.planes, sizeof(uint16_t));
  return df_odd_lines(C, sizeof(df_real));
}

df_int df_left_size(df_factors f, df_int m, df_int C) {
  df_int ld = left_pitch(f, C);
  return f.planes ? reals_of((m + DF_BEHIND) * ld) : m * ld;
}

static df_left left_of(df_factors f, const void *at, df_int C) {
  return (df_left){ at, left_pitch(f, C), f.planes == 2 ? deep(C) : 0 };
}

df_left df_left_rows(df_factors f, df_real *room, const df_real *x, df_int ldx, df_int m,
                     df_int C) {
  df_left to = left_of(f, room, C);
  if (f.planes) {
    df_kernel()->planes((void *)room, to.ld, to.low, x, ldx, m, C, deep(C));
    return to;
  }
  if (!f.round) return (df_left){ x, ldx, 0 };
  return df_left_copied(f, room, x, ldx, m, C);
}

df_left df_left_copied(df_factors f, df_real *room, const df_real *x, df_int ldx,
                       df_int m, df_int C) {
  df_left to = left_of(f, room, C);
  for (df_int i = 0; i < m; i++, x += ldx) {
    df_real *row = room + i * to.ld;
    if (f.round) df_kernel()->round_bf16(row, x, C);
    else memcpy(row, x, (size_t)C * sizeof *x);
  }
  return to;
}

/* Zeroes the columns behind the C-th in each plane of m rows. */
static void clear_rest(df_factors f, uint16_t *at, df_int ld, df_int m, df_int C) {
  size_t rest = (size_t)(deep(C) - C) * sizeof *at;
  for (df_int i = 0; i < m && rest > 0; i++)
    for (int plane = 0; plane < f.planes; plane++)
      memset(at + i * ld + plane * deep(C) + C, 0, rest);
}

df_left df_left_turned(df_factors f, df_real *room, const df_real *x, df_int ldx,
                       df_int m, df_int C) {
  df_left to = left_of(f, room, C);
  if (f.planes) {
    df_kernel()->turn_planes((void *)room, to.ld, to.low, x, ldx, C, m);
    clear_rest(f, (void *)room, to.ld, m, C);
    return to;
  }
  df_kernel()->transpose(room, to.ld, x, ldx, C, m);
  for (df_int i = 0; i < m && f.round; i++)
    df_kernel()->round_bf16(room + i * to.ld, room + i * to.ld, C);
  return to;
}

/* Element (r, c) is x[r sr + c sc]. */
static df_left pack_strips(df_factors f, df_real *room, const df_real *x, df_int sr,
                           df_int sc, df_int m, df_int C) {
  df_kernel()->pack_strips(room, x, sr, sc, m, C);
  if (f.round) df_kernel()->round_bf16(room, room, m * C);
  return (df_left){ room, C, 0 };
}

df_left df_left_strips(df_factors f, df_real *room, const df_real *x, df_int ldx,
                       df_int m, df_int C) {
  if (f.planes) return df_left_rows(f, room, x, ldx, m, C);
  return pack_strips(f, room, x, ldx, 1, m, C);
}

df_left df_left_strips_turned(df_factors f, df_real *room, const df_real *x, df_int ldx,
                              df_int m, df_int C) {
  if (f.planes) return df_left_turned(f, room, x, ldx, m, C);
  return pack_strips(f, room, x, 1, ldx, m, C);
}

df_int df_right_size(df_factors f, df_int C, df_int K) {
  if (!f.planes) return df_packed_size(C, K);
  return reals_of(df_ceil_div(K, DF_PANEL) * DF_PANEL * deep(C) * f.planes);
}

static df_right right_of(df_factors f, const void *at, df_int C) {
  df_int plane = deep(C) * DF_PANEL;
  return (df_right){ at, plane * f.planes, f.planes == 2 ? plane : 0 };
}

/* Panels of `tall` rows. */
static void pack_panels(df_factors f, df_real *room, const df_real *w, df_int C,
                        df_int tall, df_int sc, df_int K, df_int sk) {
  df_int panel = df_kernel()->panel, rest = (tall - C) * panel;
  for (df_int k = 0; k < K; k += panel, room += tall * panel) {
    df_pack_panel(room, w + k * sk, C, sc, df_min(panel, K - k), sk, f.round);
    memset(room + C * panel, 0, (size_t)rest * sizeof *room);
  }
}

df_right df_right_rows(df_factors f, df_real *room, const df_real *w, df_int ldw,
                       df_int C, df_int tall, df_int K) {
  df_right to = right_of(f, room, tall);
  if (f.planes)
    df_kernel()->pair_rows((void *)room, to.panel, to.low, w, ldw, C, K, deep(tall));
  else pack_panels(f, room, w, C, tall, ldw, K, 1);
  return to;
}

df_right df_right_columns(df_factors f, df_real *room, const df_real *w, df_int ldw,
                          df_int C, df_int K) {
  df_right to = right_of(f, room, C);
  if (f.planes)
    df_kernel()->pair_columns((void *)room, to.panel, to.low, w, ldw, C, K, deep(C));
  else pack_panels(f, room, w, C, C, 1, K, ldw);
  return to;
}

df_right df_right_panel(df_factors f, df_real *room, df_real *w, df_int C) {
  df_int panel = df_kernel()->panel;
  if (f.planes) return df_right_rows(f, room, w, panel, C, C, panel);
  if (f.round) df_kernel()->round_bf16(w, w, C * panel);
  return right_of(f, w, C);
}

static void multiply_planes(df_real *y, df_int ldy, df_left x, df_right w,
                            bool accumulate, df_int m, df_int C, df_int K) {
  const df_int none = 0;
  df_pairs p = { .m = m,
                 .K = K,
                 .C = deep(C),
                 .y = y,
                 .ldy = ldy,
                 .x = x.at,
                 .ldx = x.ld,
                 .x_low = x.low,
                 .tap = &none,
                 .taps = 1,
                 .w = w.at,
                 .panel = w.panel,
                 .w_low = w.low,
                 .accumulate = accumulate };
  df_kernel()->pairs(&p);
}

void df_multiply(df_factors f, df_real *y, df_int ldy, df_left x, df_right w,
                 bool accumulate, df_int m, df_int C, df_int K) {
  const df_int none = 0;
  if (f.planes) multiply_planes(y, ldy, x, w, accumulate, m, C, K);
  else
    df_kernel()->rows(y, ldy, x.at, x.ld, &none, 1, w.at, NULL, NULL, 0, accumulate, m, C,
                      K);
}

void df_multiply_panel(df_factors f, df_real *y, df_left x, df_right w, bool accumulate,
                       df_int m, df_int C) {
  df_int panel = df_kernel()->panel;
  if (f.planes) multiply_planes(y, panel, x, w, accumulate, m, C, panel);
  else df_kernel()->strips(y, x.at, x.ld, w.at, accumulate, m, C);
}

void df_add_panels(df_factors f, df_real *room, df_real *y, df_int ldy, df_real *x,
                   df_int step, df_int parts, df_right w, df_int m, df_int K) {
  df_int C = df_kernel()->panel;
  if (!f.planes) {
    for (df_int i = 0; i < parts && f.round; i++)
      df_kernel()->round_bf16(x + i * step, x + i * step, m * C);
    df_kernel()->add_panels(y, ldy, x, step, parts, w.at, m, K);
    return;
  }
  df_left to = left_of(f, room, parts * C);
  uint16_t *half = (void *)room;
  for (df_int i = 0; i < parts; i++)
    df_kernel()->planes(half + i * C, to.ld, to.low, x + i * step, C, m, C, C);
  multiply_planes(y, ldy, to, w, true, m, parts * C, K);
}
