/* The root mean square norm as a layer, scaled and shifted by an embedding, with an
** activation behind it. */
#include <stdio.h>

#include "nn/layers.h"

/* Half `which` of m (B, 2 C) as B, 1, .., C with the dimensions of x. */
static df_tensor *half_of(df_tape *tape, const df_tensor *x, df_tensor *m, int which) {
  const df_int C = x->shape.size[x->shape.ndim - 1];
  df_shape shape = { .ndim = x->shape.ndim };
  for (int i = 1; i < shape.ndim; i++) shape.size[i] = 1;
  shape.size[0] = x->shape.size[0], shape.size[shape.ndim - 1] = C;
  m = df_narrow(tape, m, 1, which * C, C);
  return m ? df_reshape(tape, m, &shape) : NULL;
}

static df_code check(const df_tensor *x, const df_tensor *m) {
  const df_int *size = x->shape.size;
  if (x->shape.ndim >= 2 && m->shape.ndim == 2 && m->shape.size[0] == size[0]
      && m->shape.size[1] == 2 * size[x->shape.ndim - 1])
    return DF_OK;
  return df_fail(DF_MISUSE, "rms_norm: scale and shift are %s, but x %s wants [%td,%td]",
                 df_tensor_text(m), df_tensor_text(x), size[0],
                 2 * size[x->shape.ndim - 1]);
}

/* act(h (1 + s) + t), with h the norm of x and s, t the halves of m; h alone without m */
static df_tensor *rms_norm_forward(df_tape *tape, const df_layer *l,
                                   df_tensor *const *x) {
  df_tensor *y = df_rms_norm(tape, x[0], l->weight->value, l->o.norm.tiny);
  if (y && x[1]) {
    if (check(y, x[1]) != DF_OK) return NULL;
    y = df_mul(tape, y, df_plus(tape, half_of(tape, y, x[1], 0), 1));
    y = y ? df_add(tape, y, half_of(tape, y, x[1], 1)) : NULL;
  }
  return y ? df_activation(tape, (df_act)l->o.act, y) : NULL;
}

static void describe(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td", l->o.in);
}

static const df_kind rms_norm = { .name = "rms_norm", 1, 2, rms_norm_forward, describe };

df_layer *df_rms_norm_layer(const df_layer_opts *o) {
  if (df_at_least_one("rms_norm", "channels", o->in) || df_check_act(o)) return NULL;
  const df_init one = { .kind = DF_INIT_ONE };
  return df_layer_furnish(df_layer_new(&rms_norm, o), &(df_shape){ 1, { o->in } }, one,
                          NULL, one);
}
