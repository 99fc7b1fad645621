/* norm_conv, the residual block, attention, and changes of size. */
#include "nn/block.h"

#include <stdio.h>

df_layer_opts df_conv3_opts(df_int in, df_int out) {
  return (df_layer_opts){ .in = in,
                          .out = out,
                          .kernel = 3,
                          .conv = { 1, 1, 1, 1, 1 },
                          .norm = { .tiny = 1e-5, .silu = true, .keep = 1 },
                          .keep = 1,
                          .bias = true };
}

static const df_layer *part(const df_layer *l, int i) { return l->part[i].layer; }

/* ==== norm_conv ==================================================================== */

enum { NORM, CONV };

/* x: what is normalised, what is added to the result, what comes to x's pixels first. */
static df_tensor *norm_conv_forward(df_tape *tape, const df_layer *l,
                                    df_tensor *const *x) {
  const df_layer *norm = part(l, NORM), *conv = part(l, CONV);
  df_norm_opts o = norm->o.norm;
  o.silu = l->o.norm.silu;
  o.keep = df_layer_drops(tape, l) ? l->o.norm.keep : 1;
  o.form = df_conv2d_form(tape, x[0], conv->weight->value, &conv->o.conv);
  df_tensor *h =
      df_group_norm(tape, x[0], x[2], norm->weight->value, norm->bias->value, &o);
  if (!h && norm->path) df_error_prefix("%s: ", norm->path);
  df_tensor *const to_conv[] = { h, x[1] };
  return df_layer_call(tape, conv, to_conv, 2);
}

static void describe_norm_conv(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td -> %td, kernel %td, groups %td", l->o.in, l->o.out,
           l->o.kernel, part(l, NORM)->o.norm.groups);
}

static const df_kind norm_conv = { "norm_conv", 1, 3, norm_conv_forward,
                                   describe_norm_conv };

df_layer *df_norm_conv_layer(const df_layer_opts *o) {
  df_layer *l = df_layer_new(&norm_conv, o);
  if (!l) return NULL;
  df_layer_add(l, df_group_norm_layer(o->in, o->norm.groups, o->norm.tiny), "norm");
  if (!l->failed) df_layer_add(l, df_conv_layer(o), "conv");
  return df_layer_done(l);
}

/* ==== the residual block =========================================================== */

enum { ONE, TWO };

static df_tensor *embedded(df_tape *tape, const df_layer *l, const df_layer *embed,
                           df_tensor *e) {
  if (e) return df_layer_of(tape, embed, e);
  return df_fail_null(DF_MISUSE,
                      "res_block: the embedding of width %td that it adds is missing",
                      l->o.width);
}

static df_tensor *res_block_forward(df_tape *tape, const df_layer *l,
                                    df_tensor *const *x) {
  const df_layer *skip = df_layer_part(l, "skip"), *embed = df_layer_part(l, "embed");
  df_tensor *h = df_layer_of(tape, part(l, ONE), x[0]), *e = NULL;
  if (!h || (embed && !(e = embedded(tape, l, embed, x[1])))) return NULL;
  df_tensor *const last[] = { h, skip ? df_layer_of(tape, skip, x[0]) : x[0], e };
  return last[1] ? df_layer_call(tape, part(l, TWO), last, 3) : NULL;
}

static void describe_res_block(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td -> %td", l->o.in, l->o.out);
}

static const df_kind res_block = { "res_block", 1, 2, res_block_forward,
                                   describe_res_block };

static df_layer *last_norm_conv(const df_layer_opts *o) {
  df_layer_opts last = df_conv3_opts(o->out, o->out);
  last.norm = o->norm;
  last.norm.keep = o->keep;
  last.zero = true;
  return df_norm_conv_layer(&last);
}

static df_layer *skip_conv(df_int in, df_int out) {
  const df_layer_opts o = {
    .in = in, .out = out, .kernel = 1, .conv = { .stride = 1 }, .bias = true
  };
  return df_conv_layer(&o);
}

df_layer *df_res_block_layer(const df_layer_opts *o) {
  df_layer_opts first = df_conv3_opts(o->in, o->out);
  first.norm = o->norm;
  first.norm.keep = 1;
  df_layer *l = df_layer_new(&res_block, o);
  if (!l) return NULL;
  df_layer_add(l, df_norm_conv_layer(&first), "one");
  if (!l->failed) df_layer_add(l, last_norm_conv(o), "two");
  if (!l->failed && o->width > 0)
    df_layer_add(l, df_linear_layer(o->width, o->out, true, false), "embed");
  if (!l->failed && o->in != o->out) df_layer_add(l, skip_conv(o->in, o->out), "skip");
  return df_layer_done(l);
}

/* ==== attention ==================================================================== */

enum { QKV, OUT };

static df_tensor *third(df_tape *tape, df_tensor *qkv, df_int C, int which) {
  return qkv ? df_narrow(tape, qkv, 2, which * C, C) : NULL;
}

static df_tensor *as_tokens(df_tape *tape, df_tensor *x) {
  const df_int *size = x->shape.size;
  if (x->shape.ndim == 3) return x;
  if (x->shape.ndim != 4)
    return df_fail_null(DF_MISUSE, "attention: x must be [B,N,C] or [B,H,W,C], got %s",
                        df_tensor_text(x));
  return df_reshape(tape, x, &(df_shape){ 3, { size[0], size[1] * size[2], size[3] } });
}

static df_tensor *attention_forward(df_tape *tape, const df_layer *l,
                                    df_tensor *const *x) {
  const df_int C = l->o.in;
  df_tensor *tokens = as_tokens(tape, x[0]);
  df_tensor *qkv = df_layer_of(tape, part(l, QKV), tokens);
  const df_attention_opts opts = { .heads = l->o.heads };
  df_tensor *y = df_attention(tape, third(tape, qkv, C, 0), third(tape, qkv, C, 1),
                              third(tape, qkv, C, 2), &opts);
  y = df_layer_of(tape, part(l, OUT), y);
  return y ? df_reshape(tape, y, &x[0]->shape) : NULL;
}

static void describe_attention(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td, heads %td", l->o.in, l->o.heads);
}

static const df_kind attention = { "attention", 1, 1, attention_forward,
                                   describe_attention };

df_layer *df_attention_layer(const df_layer_opts *o) {
  if (df_at_least_one("attention", "width", o->in)
      || df_at_least_one("attention", "heads", o->heads))
    return NULL;
  if (o->in % o->heads != 0)
    return df_fail_null(DF_MISUSE, "attention: %td heads don't divide a width of %td",
                        o->heads, o->in);
  df_layer *l = df_layer_new(&attention, o);
  if (!l) return NULL;
  df_layer_add(l, df_linear_layer(o->in, 3 * o->in, true, false), "qkv");
  df_layer_add(l, df_linear_layer(o->in, o->in, true, o->zero), "out");
  return df_layer_done(l);
}

static df_tensor *attention_block_forward(df_tape *tape, const df_layer *l,
                                          df_tensor *const *x) {
  df_tensor *h = x[0] ? as_tokens(tape, x[0]) : NULL;
  h = df_layer_of(tape, part(l, 1), df_layer_of(tape, part(l, 0), h));
  return h ? df_add(tape, x[0], df_reshape(tape, h, &x[0]->shape)) : NULL;
}

static const df_kind attention_block = { "attention_block", 1, 1, attention_block_forward,
                                         describe_attention };

df_layer *df_attention_block_layer(const df_layer_opts *o) {
  df_layer_opts inner = *o;
  inner.zero = true;
  df_layer *l = df_layer_new(&attention_block, o);
  if (!l) return NULL;
  df_layer_add(l, df_group_norm_layer(o->in, o->norm.groups, o->norm.tiny), "norm");
  if (!l->failed) df_layer_add(l, df_attention_layer(&inner), "attention");
  return df_layer_done(l);
}

/* ==== changes of size ============================================================== */

static df_tensor *upsample_forward(df_tape *tape, const df_layer *l,
                                   df_tensor *const *x) {
  return df_layer_of(tape, part(l, 0), df_upsample(tape, x[0], l->o.times));
}

static const df_kind upsample = { "upsample", 1, 1, upsample_forward,
                                  describe_res_block };

df_layer *df_upsample_layer(const df_layer_opts *o) {
  const df_layer_opts inner = df_conv3_opts(o->in, o->out);
  if (df_at_least_one("upsample", "times", o->times)) return NULL;
  df_layer *l = df_layer_new(&upsample, o);
  if (!l) return NULL;
  df_layer_add(l, df_conv_layer(&inner), "conv");
  return df_layer_done(l);
}

static df_tensor *downsample_forward(df_tape *tape, const df_layer *l,
                                     df_tensor *const *x) {
  return df_layer_of(tape, part(l, 0), x[0]);
}

static const df_kind downsample = { "downsample", 1, 1, downsample_forward,
                                    describe_res_block };

df_layer *df_downsample_layer(const df_layer_opts *o) {
  df_layer_opts inner = df_conv3_opts(o->in, o->out);
  inner.conv = o->conv;
  inner.conv.stride = 2;
  df_layer *l = df_layer_new(&downsample, o);
  if (!l) return NULL;
  df_layer_add(l, df_conv_layer(&inner), "conv");
  return df_layer_done(l);
}
