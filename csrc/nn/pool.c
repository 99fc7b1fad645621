/* A row for a sequence of tokens: the attention of their mean to them and to itself. */
#include <math.h>
#include <stdio.h>

#include "nn/layers.h"

static const df_layer *part(const df_layer *l, const char *name) {
  return df_layer_part(l, name);
}

/* The mean of the tokens, plus a learned vector: B, N, C -> B, 1, C */
static df_tensor *mean_token(df_tape *tape, const df_layer *l, df_tensor *x) {
  df_tensor *mean = df_mean(tape, x, 1u << 1, true);
  return df_add(tape, mean, part(l, "positional_embedding")->weight->value);
}

/* B, N, C -> B, C */
static df_tensor *forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  const df_attention_opts o = { l->o.heads, false, NULL };
  const df_int *size = x[0]->shape.size;
  if (x[0]->shape.ndim != 3 || size[2] != l->o.in)
    return df_fail_null(DF_MISUSE, "attention_pool: tokens [B,N,%td] expected, got %s",
                        l->o.in, df_tensor_text(x[0]));
  df_tensor *mean = mean_token(tape, l, x[0]);
  df_tensor *const both[] = { mean, x[0] };
  df_tensor *all = mean ? df_cat(tape, both, 2, 1) : NULL;
  df_tensor *q = df_layer_of(tape, part(l, "q_proj"), mean);
  df_tensor *k = df_layer_of(tape, part(l, "k_proj"), all);
  df_tensor *y = df_attention(tape, q, k, df_layer_of(tape, part(l, "v_proj"), all), &o);
  return y ? df_reshape(tape, y, &(df_shape){ 2, { size[0], l->o.in } }) : NULL;
}

static void describe(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td, heads %td", l->o.in, l->o.heads);
}

static const df_kind pool = { .name = "attention_pool", 1, 1, forward, describe };
static const df_kind vector = { .name = "vector", 0, 0, NULL, NULL };

static df_layer *vector_layer(df_int width) {
  const df_init normal = { .kind = DF_INIT_NORMAL, .scale = 1 / sqrt((double)width) };
  return df_layer_furnish(df_layer_new(&vector, NULL), &(df_shape){ 2, { 1, width } },
                          normal, NULL, normal);
}

df_layer *df_attention_pool_layer(const df_layer_opts *o) {
  static const char *const products[] = { "k_proj", "q_proj", "v_proj" };
  const df_layer_opts product = { .in = o->in, .out = o->in, .bias = true };
  if (df_at_least_one("attention_pool", "width", o->in)
      || df_at_least_one("attention_pool", "heads", o->heads))
    return NULL;
  if (o->in % o->heads != 0)
    return df_fail_null(DF_MISUSE,
                        "attention_pool: %td heads don't divide a width of %td", o->heads,
                        o->in);
  df_layer *l = df_layer_new(&pool, o);
  if (!l) return NULL;
  df_layer_add(l, vector_layer(o->in), "positional_embedding");
  for (int i = 0; i < 3 && !l->failed; i++)
    df_layer_add(l, df_linear_layer(&product), products[i]);
  return df_layer_done(l);
}
