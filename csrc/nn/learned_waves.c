/* A time next to sines and cosines of it, whose frequencies are trained. */
#include <stdio.h>

#include "nn/layers.h"

#define PI 3.14159265358979323846

/* With u = t - offset: [u, sin 2 pi w u, cos 2 pi w u]. Each product is rounded as in
** PyTorch, since the angles are large.   t: B   w: n   ->  B, 1 + 2 n */
static df_tensor *forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  if (x[0]->shape.ndim != 1)
    return df_fail_null(DF_MISUSE, "learned_waves: t must be [B], it is %s",
                        df_tensor_text(x[0]));
  const df_shape column = { 2, { x[0]->shape.size[0], 1 } };
  df_tensor *u = df_plus(tape, df_dense(tape, x[0]), -l->o.offset);
  u = u ? df_view(tape, u, &column) : NULL;
  df_tensor *angle = u ? df_scale(tape, df_mul(tape, u, l->weight->value), 2 * PI) : NULL;
  if (!angle) return NULL;
  df_tensor *const all[] = { u, df_unary_of(tape, df_unary_find("sin"), angle),
                             df_unary_of(tape, df_unary_find("cos"), angle) };
  return all[1] && all[2] ? df_cat(tape, all, 3, 1) : NULL;
}

static void describe(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td", l->o.sinusoid.width);
}

static const df_kind learned_waves = {
  .name = "learned_waves", 1, 1, forward, describe, NULL, true
};

df_layer *df_learned_waves_layer(const df_layer_opts *o) {
  const df_int width = o->sinusoid.width;
  if (width < 2 || width % 2 != 0)
    return df_fail_null(
        DF_MISUSE, "learned_waves: width must be even and at least 2, got %td", width);
  const df_init normal = { .kind = DF_INIT_NORMAL, .scale = 1 };
  return df_layer_furnish(df_layer_new(&learned_waves, o),
                          &(df_shape){ 1, { width / 2 } }, normal, NULL, normal);
}
