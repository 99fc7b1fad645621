/* Attention layers. Tokens are (B, N, C) or pixels (B, H, W, C), read as H W tokens. */
#include <stdio.h>

#include "nn/layers.h"

static const df_layer *part(const df_layer *l, const char *name) {
  return df_layer_part(l, name);
}

static df_tensor *as_tokens(df_tape *tape, df_tensor *x) {
  const df_int *size = x->shape.size;
  if (x->shape.ndim == 3) return x;
  if (x->shape.ndim != 4)
    return df_fail_null(DF_MISUSE, "attention: x must be [B,N,C] or [B,H,W,C], got %s",
                        df_tensor_text(x));
  return df_reshape(tape, x, &(df_shape){ 3, { size[0], size[1] * size[2], size[3] } });
}

/* ==== attention ==================================================================== */

typedef struct heads {
  df_tensor *q, *k, *v;
} heads;

/* Three windows on one product. */
static heads project_fused(df_tape *tape, const df_layer *l, df_tensor *x) {
  const df_int C = l->o.inner;
  df_tensor *qkv = df_layer_of(tape, part(l, "qkv"), x);
  if (!qkv) return (heads){ NULL, NULL, NULL };
  return (heads){ df_narrow(tape, qkv, 2, 0, C), df_narrow(tape, qkv, 2, C, C),
                  df_narrow(tape, qkv, 2, 2 * C, C) };
}

static heads project(df_tape *tape, const df_layer *l, df_tensor *x, df_tensor *context) {
  if (l->o.fused) return project_fused(tape, l, x);
  df_tensor *from = l->o.context > 0 ? context : x;
  return (heads){ df_layer_of(tape, part(l, "q"), x),
                  df_layer_of(tape, part(l, "k"), from),
                  df_layer_of(tape, part(l, "v"), from) };
}

static df_code check_context(const df_layer *l, const df_tensor *context) {
  if ((context != NULL) == (l->o.context > 0)) return DF_OK;
  if (context)
    return df_fail(DF_MISUSE, "attention: a context is given, but this layer was made "
                              "without context = its width");
  return df_fail(DF_MISUSE, "attention: the context of width %td is missing",
                 l->o.context);
}

/* y = out(attention(q, k, v)). q is a product of x; k and v are products of the context,
** or of x if there is none.
**   x: B, N, in   context: B, M, context, or NULL   mask: see df_attention, or NULL */
static df_tensor *attention_forward(df_tape *tape, const df_layer *l,
                                    df_tensor *const *x) {
  if (check_context(l, x[1]) != DF_OK) return NULL;
  df_tensor *tokens = as_tokens(tape, x[0]);
  df_tensor *context = x[1] ? as_tokens(tape, x[1]) : NULL;
  heads h = project(tape, l, tokens, context);
  const df_attention_opts o = { l->o.heads, l->o.causal, x[2] };
  df_tensor *y = df_attention(tape, h.q, h.k, h.v, &o);
  y = df_layer_of(tape, part(l, "out"), y);
  return y ? df_reshape(tape, y, &x[0]->shape) : NULL;
}

static void describe_attention(const df_layer *l, char *text, size_t size) {
  const int used = snprintf(text, size, "%td, heads %td", l->o.in, l->o.heads);
  if (l->o.context > 0 && used > 0 && (size_t)used < size)
    snprintf(text + used, size - (size_t)used, ", context %td", l->o.context);
}

static const df_kind attention = {
  .name = "attention", 1, 3, attention_forward, describe_attention
};

static df_code check_attention(const df_layer_opts *o) {
  if (df_at_least_one("attention", "width", o->in)
      || df_at_least_one("attention", "heads", o->heads))
    return DF_MISUSE;
  const df_int width = o->inner > 0 ? o->inner : o->in;
  if (width % o->heads != 0)
    return df_fail(DF_MISUSE, "attention: %td heads don't divide a width of %td",
                   o->heads, width);
  if (o->fused && o->context > 0)
    return df_fail(DF_MISUSE, "attention: a context of width %td needs fused = false",
                   o->context);
  return DF_OK;
}

static void add_product(df_layer *l, const char *name, df_int in, df_int out, bool bias,
                        bool zero) {
  const df_layer_opts o = { .in = in, .out = out, .bias = bias, .zero = zero };
  if (!l->failed) df_layer_add(l, df_linear_layer(&o), name);
}

df_layer *df_attention_layer(const df_layer_opts *o) {
  if (check_attention(o) != DF_OK) return NULL;
  df_layer *l = df_layer_new(&attention, o);
  if (!l) return NULL;
  const df_int from = o->context > 0 ? o->context : o->in;
  const df_int inner = l->o.inner = o->inner > 0 ? o->inner : o->in;
  if (o->fused) add_product(l, "qkv", o->in, 3 * inner, o->qkv_bias, false);
  else {
    add_product(l, "q", o->in, inner, o->qkv_bias, false);
    add_product(l, "k", from, inner, o->qkv_bias, false);
    add_product(l, "v", from, inner, o->qkv_bias, false);
  }
  add_product(l, "out", inner, o->in, o->bias, o->zero);
  return df_layer_done(l);
}

/* ==== x + attention(group_norm(x)), which starts as the identity =================== */

static df_tensor *attention_block_forward(df_tape *tape, const df_layer *l,
                                          df_tensor *const *x) {
  df_tensor *h = as_tokens(tape, x[0]);
  h = df_layer_of(tape, part(l, "attention"), df_layer_of(tape, part(l, "norm"), h));
  return h ? df_add(tape, x[0], df_reshape(tape, h, &x[0]->shape)) : NULL;
}

static const df_kind attention_block = {
  .name = "attention_block", 1, 1, attention_block_forward, describe_attention
};

df_layer *df_attention_block_layer(const df_layer_opts *o) {
  const df_layer_opts inner = { .in = o->in,
                                .heads = o->heads,
                                .fused = true,
                                .bias = true,
                                .qkv_bias = true,
                                .zero = true };
  df_layer *l = df_layer_new(&attention_block, o);
  if (!l) return NULL;
  const df_layer_opts norm = { .in = o->in, .norm = o->norm, .affine = true };
  df_layer_add(l, df_group_norm_layer(&norm), "norm");
  if (!l->failed) df_layer_add(l, df_attention_layer(&inner), "attention");
  return df_layer_done(l);
}
