/* Attention with learned keys and values, which all queries see next to those of the
** tokens. Its linear form (Shen et al. 2021) has no scores between tokens. Tokens are
** (B, N, C) or pixels (B, H, W, C), read as H W tokens. */
#include <math.h>
#include <stdio.h>

#include "nn/layers.h"

static const df_layer *part(const df_layer *l, const char *name) {
  return df_layer_part(l, name);
}

static df_tensor *as_tokens(df_tape *tape, const char *kind, df_tensor *x) {
  const df_int *size = x->shape.size;
  if (x->shape.ndim == 3) return x;
  if (x->shape.ndim != 4)
    return df_fail_null(DF_MISUSE, "%s: x must be [B,N,C] or [B,H,W,C], got %s", kind,
                        df_tensor_text(x));
  return df_reshape(tape, x, &(df_shape){ 3, { size[0], size[1] * size[2], size[3] } });
}

/* ==== the learned keys and values ================================================== */

static const df_kind memory = { .name = "memory", 0, 0, NULL, NULL };

static df_layer *memory_layer(df_int a, df_int b, df_int c) {
  const df_init normal = { .kind = DF_INIT_NORMAL, .scale = 1 };
  return df_layer_furnish(df_layer_new(&memory, NULL), &(df_shape){ 3, { a, b, c } },
                          normal, NULL, normal);
}

/* The rows of keys (which 0) or of values (which 1): heads, b, c. */
static df_tensor *learned(df_tape *tape, const df_layer *l, int which) {
  df_tensor *all = part(l, "memory")->weight->value;
  return df_narrow(tape, all, 0, which * l->o.heads, l->o.heads);
}

/* ==== softmax attention ============================================================ */

/* M learned rows in front of the rows x (B, N, heads D). */
static df_tensor *behind_learned(df_tape *tape, const df_layer *l, df_tensor *x,
                                 int which) {
  const df_int B = x->shape.size[0], width = x->shape.size[2], M = l->o.memory;
  const int order[] = { 1, 0, 2 };
  if (M == 0) return x;
  df_tensor *m = df_permute(tape, learned(tape, l, which), order);
  m = m ? df_reshape(tape, m, &(df_shape){ 3, { 1, M, width } }) : NULL;
  m = m ? df_expand(tape, m, &(df_shape){ 3, { B, M, width } }) : NULL;
  df_tensor *const both[] = { m, x };
  return m ? df_cat(tape, both, 2, 1) : NULL;
}

/* Each channel divided by its length over the tokens. */
static df_tensor *over_tokens(df_tape *tape, df_tensor *x, double factor) {
  const int turn[] = { 0, 2, 1 };
  const double n = x ? (double)x->shape.size[1] : 1;
  df_tensor *y = x ? df_permute(tape, x, turn) : NULL;
  y = df_rms_norm(tape, y, NULL, 1e-24 / n);
  y = y ? df_permute(tape, df_scale(tape, y, factor / sqrt(n)), turn) : NULL;
  return y;
}

static df_tensor *attend(df_tape *tape, const df_layer *l, df_tensor *qkv) {
  const df_int I = l->o.inner;
  const df_attention_opts o = { l->o.heads, false, NULL };
  df_tensor *q = df_narrow(tape, qkv, 2, 0, I), *k = df_narrow(tape, qkv, 2, I, I);
  df_tensor *v = df_narrow(tape, qkv, 2, 2 * I, I);
  if (!q || !k || !v) return NULL;
  if (l->o.cosine > 0) {
    q = over_tokens(tape, q, l->o.cosine * sqrt((double)(I / l->o.heads)));
    k = over_tokens(tape, k, 1);
  }
  k = k ? behind_learned(tape, l, k, 0) : NULL;
  v = k ? behind_learned(tape, l, v, 1) : NULL;
  return v ? df_attention(tape, q, k, v, &o) : NULL;
}

/* ==== linear attention ============================================================= */

/* Columns I `which` of qkv (B, N, 3 I) as B, heads, D, N. */
static df_tensor *columns(df_tape *tape, const df_layer *l, df_tensor *qkv, int which) {
  const df_int *size = qkv->shape.size, I = l->o.inner, D = I / l->o.heads;
  const int order[] = { 0, 2, 3, 1 };
  df_tensor *y = df_narrow(tape, qkv, 2, which * I, I);
  y = y ? df_reshape(tape, y, &(df_shape){ 4, { size[0], size[1], l->o.heads, D } })
        : NULL;
  return y ? df_permute(tape, y, order) : NULL;
}

/* M learned columns in front of those of x (B, heads, D, N). */
static df_tensor *after_learned(df_tape *tape, const df_layer *l, df_tensor *x,
                                int which) {
  if (l->o.memory == 0 || !x) return x;
  const df_int B = x->shape.size[0], h = l->o.heads, D = l->o.inner / h, M = l->o.memory;
  df_tensor *m = learned(tape, l, which);
  m = m ? df_view(tape, m, &(df_shape){ 4, { 1, h, D, M } }) : NULL;
  m = m ? df_expand(tape, m, &(df_shape){ 4, { B, h, D, M } }) : NULL;
  df_tensor *const both[] = { m, x };
  return m ? df_cat(tape, both, 2, 3) : NULL;
}

/* q softmax(k) v^T: q over each head's channels, k over the tokens */
static df_tensor *attend_linear(df_tape *tape, const df_layer *l, df_tensor *qkv) {
  const df_int *size = qkv->shape.size, I = l->o.inner, N = size[1];
  const int turn[] = { 0, 1, 3, 2 }, back[] = { 0, 2, 1, 3 };
  df_tensor *q = columns(tape, l, qkv, 0), *k = columns(tape, l, qkv, 1);
  df_tensor *v = columns(tape, l, qkv, 2);
  if (!q || !k || !v) return NULL;
  k = df_softmax(tape, after_learned(tape, l, k, 0), 3);
  if (l->o.spread) v = df_scale(tape, v, 1 / (double)N);
  v = k ? after_learned(tape, l, v, 1) : NULL;
  v = v ? df_permute(tape, v, turn) : NULL;
  q = v ? df_softmax(tape, df_permute(tape, q, turn), 3) : NULL;
  q = df_scale(tape, q, 1 / sqrt((double)(I / l->o.heads)));
  df_tensor *y = q ? df_matmul(tape, q, df_matmul(tape, k, v)) : NULL;
  y = y ? df_permute(tape, y, back) : NULL;
  return y ? df_reshape(tape, y, &(df_shape){ 3, { size[0], N, I } }) : NULL;
}

/* ==== the kinds ==================================================================== */

typedef df_tensor *attender(df_tape *tape, const df_layer *l, df_tensor *qkv);

static df_tensor *forward(df_tape *tape, const df_layer *l, df_tensor *x,
                          attender *attended) {
  df_tensor *qkv = as_tokens(tape, l->kind->name, x);
  qkv = qkv ? df_layer_of(tape, part(l, "qkv"), qkv) : NULL;
  df_tensor *y = qkv ? attended(tape, l, qkv) : NULL;
  y = y ? df_layer_of(tape, part(l, "out"), y) : NULL;
  return y ? df_reshape(tape, y, &x->shape) : NULL;
}

static df_tensor *memory_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  return forward(tape, l, x[0], attend);
}

static df_tensor *linear_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  return forward(tape, l, x[0], attend_linear);
}

static void describe(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td, heads %td of %td, memory %td", l->o.in, l->o.heads,
           l->o.inner / l->o.heads, l->o.memory);
}

static const df_kind memory_attention = {
  .name = "memory_attention", 1, 1, memory_forward, describe
};
static const df_kind linear_attention = {
  .name = "linear_attention", 1, 1, linear_forward, describe
};

static df_code check(const df_kind *kind, const df_layer_opts *o) {
  if (df_at_least_one(kind->name, "width", o->in)
      || df_at_least_one(kind->name, "heads", o->heads)
      || df_at_least_one(kind->name, "inner", o->inner))
    return DF_MISUSE;
  if (o->memory < 0)
    return df_fail(DF_MISUSE, "%s: memory must be 0 or more, got %td", kind->name,
                   o->memory);
  if (o->inner % o->heads == 0) return DF_OK;
  return df_fail(DF_MISUSE, "%s: %td heads don't divide a width of %td", kind->name,
                 o->heads, o->inner);
}

static df_layer *make(const df_kind *kind, const df_layer_opts *o,
                      df_layer *learned_rows) {
  const df_layer_opts qkv = { .in = o->in, .out = 3 * o->inner };
  const df_layer_opts out = { .in = o->inner, .out = o->in, .bias = true };
  df_layer *l = df_layer_new(kind, o);
  if (!l) {
    df_layer_release(learned_rows);
    return NULL;
  }
  if (o->memory > 0) df_layer_add(l, learned_rows, "memory");
  if (!l->failed) df_layer_add(l, df_linear_layer(&qkv), "qkv");
  if (!l->failed) df_layer_add(l, df_linear_layer(&out), "out");
  return df_layer_done(l);
}

df_layer *df_memory_attention_layer(const df_layer_opts *o) {
  if (check(&memory_attention, o) != DF_OK) return NULL;
  const df_int h = o->heads, D = o->inner / h;
  return make(&memory_attention, o,
              o->memory > 0 ? memory_layer(2 * h, o->memory, D) : NULL);
}

df_layer *df_linear_attention_layer(const df_layer_opts *o) {
  if (check(&linear_attention, o) != DF_OK) return NULL;
  const df_int h = o->heads, D = o->inner / h;
  return make(&linear_attention, o,
              o->memory > 0 ? memory_layer(2 * h, D, o->memory) : NULL);
}
