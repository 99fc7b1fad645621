/* Layers that arrange tokens, and attention of queries, keys and values that are there
** already. */
#include <stdio.h>

#include "nn/layers.h"

/* ==== rows and tokens ============================================================== */

/* B, ... -> B, the product of the rest */
static df_tensor *flatten_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  const df_shape *of = &x[0]->shape;
  df_shape flat = { 2, { of->ndim > 0 ? of->size[0] : 1, 1 } };
  (void)l;
  for (int i = 1; i < of->ndim; i++) flat.size[1] *= of->size[i];
  return df_reshape(tape, x[0], &flat);
}

/* B, n C -> B, n, C */
static df_tensor *unflatten_forward(df_tape *tape, const df_layer *l,
                                    df_tensor *const *x) {
  const df_int *size = x[0]->shape.size, n = l->o.pieces;
  if (x[0]->shape.ndim != 2 || size[1] % n != 0)
    return df_fail_null(DF_MISUSE,
                        "unflatten: a row a sample, [B,%td C], expected, got %s", n,
                        df_tensor_text(x[0]));
  return df_reshape(tape, x[0], &(df_shape){ 3, { size[0], n, size[1] / n } });
}

static void describe_pieces(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td", l->o.pieces);
}

/* B, N, C and B, M, C -> B, N + M, C */
static df_tensor *join_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  (void)l;
  for (int i = 0; i < 2; i++)
    if (x[i]->shape.ndim != 3)
      return df_fail_null(DF_MISUSE, "join: tokens are [B,N,C], got %s",
                          df_tensor_text(x[i]));
  return df_cat(tape, x, 2, 1);
}

/* ==== attention without products =================================================== */

/* The mask with a place for each of n more keys, which it doesn't hide. */
static df_tensor *with_own(df_tape *tape, df_tensor *mask, df_int n) {
  const int last = mask->shape.ndim - 1;
  df_int before[DF_DIMS] = { 0 }, after[DF_DIMS] = { 0 };
  if (last < 0)
    return df_fail_null(DF_MISUSE, "attend: a mask has a number for each key, got %s",
                        df_tensor_text(mask));
  after[last] = n;
  if (df_dtype_is_float(mask->dtype)) return df_pad(tape, mask, before, after, NULL);
  df_tensor *kept = df_result(tape, &(df_shape){ 0 });
  if (!kept) return NULL;
  df_tensor_reals(kept)[0] = 1;
  return df_pad(tape, mask, before, after, kept);
}

/* softmax(q k^T / sqrt(D) + mask) v in each head. With `own`, the last N keys are those
** of the N queries' own tokens, and the mask is of the keys in front of them.
**   q: B, N, heads D   k, v: B, M, heads D   mask: see df_attention, or NULL */
static df_tensor *attend_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  df_attention_opts o = { l->o.heads, false, x[3] };
  if (x[3] && l->o.own && x[0]->shape.ndim == 3
      && !(o.mask = with_own(tape, x[3], x[0]->shape.size[1])))
    return NULL;
  return df_attention(tape, x[0], x[1], x[2], &o);
}

static void describe_heads(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "heads %td", l->o.heads);
}

/* ==== the kinds ==================================================================== */

static const df_kind flatten = { .name = "flatten", 1, 1, flatten_forward };
static const df_kind unflatten = {
  .name = "unflatten", 1, 1, unflatten_forward, describe_pieces
};
static const df_kind join = { .name = "join", 2, 2, join_forward };
static const df_kind attend = { .name = "attend", 3, 4, attend_forward, describe_heads };

df_layer *df_flatten_layer(const df_layer_opts *o) { return df_layer_new(&flatten, o); }
df_layer *df_join_layer(const df_layer_opts *o) { return df_layer_new(&join, o); }

df_layer *df_unflatten_layer(const df_layer_opts *o) {
  if (df_at_least_one("unflatten", "pieces", o->pieces)) return NULL;
  return df_layer_new(&unflatten, o);
}

df_layer *df_attend_layer(const df_layer_opts *o) {
  if (df_at_least_one("attend", "heads", o->heads)) return NULL;
  return df_layer_new(&attend, o);
}
