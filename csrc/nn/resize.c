/* Changes of size without products: B, H, W, C -> B, H', W', C. */
#include <math.h>
#include <stdio.h>

#include "nn/layers.h"

static void describe_times(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "times %td", l->o.times);
}

/* Nearest neighbours. */
static df_tensor *enlarge_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  return df_upsample(tape, x[0], l->o.times);
}

static const df_kind enlarge = {
  .name = "enlarge", 1, 1, enlarge_forward, describe_times
};

df_layer *df_enlarge_layer(const df_layer_opts *o) {
  if (df_at_least_one("enlarge", "times", o->times)) return NULL;
  return df_layer_new(&enlarge, o);
}

/* Means of times x times pixels. */
static df_tensor *avg_pool_forward(df_tape *tape, const df_layer *l,
                                   df_tensor *const *x) {
  return df_avg_pool(tape, x[0], l->o.times);
}

static const df_kind avg_pool = {
  .name = "avg_pool", 1, 1, avg_pool_forward, describe_times
};

df_layer *df_avg_pool_layer(const df_layer_opts *o) {
  if (df_at_least_one("avg_pool", "times", o->times)) return NULL;
  return df_layer_new(&avg_pool, o);
}

/* A binomial filter: 1 3 3 1 for four taps. Its sum is `up`, so the mean stays. */
static df_tensor *fir_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  df_fir_opts o = { l->o.up,      l->o.down,      l->o.before, l->o.after,
                    l->o.reflect, (int)l->o.taps, { 0 } };
  double tap = (double)o.up * exp2(1 - (double)o.taps);
  for (int k = 0; k < o.taps; k++) {
    o.tap[k] = tap;
    tap *= (double)(o.taps - 1 - k) / (k + 1);
  }
  return df_fir(tape, x[0], &o);
}

static void describe_fir(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "taps %td, up %td, down %td", l->o.taps, l->o.up, l->o.down);
}

static const df_kind fir = { .name = "fir", 1, 1, fir_forward, describe_fir };

df_layer *df_fir_layer(const df_layer_opts *o) {
  if (o->taps < 1 || o->taps > DF_FIR_TAPS)
    return df_fail_null(DF_MISUSE, "fir: a filter has 1 to %d taps, got %td", DF_FIR_TAPS,
                        o->taps);
  return df_layer_new(&fir, o);
}
