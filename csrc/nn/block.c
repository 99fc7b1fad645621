/* Residual blocks on images and changes of size. */
#include <stdio.h>

#include "nn/adapter.h"

/* A 3x3 convolution that keeps the size of the image. */
static df_layer_opts conv3(df_int in, df_int out) {
  return (df_layer_opts){
    .in = in, .out = out, .kernel = 3, .conv = { 1, 1, 1, 1, 1 }, .bias = true
  };
}

static df_tensor *value(const df_param *p) { return p ? p->value : NULL; }

static const df_layer *part(const df_layer *l, int i) { return l->part[i].layer; }

/* ==== norm_conv ==================================================================== */

enum { NORM, CONV };

/* y = conv(dropout(act(group_norm(x + e) (1 + s) + t))) + add. The norm writes the form
** that the convolution reads.
**   x: B, H, W, in   add: as y   e: B, in   m = [s, t]: B, 2 in   ->  B, H', W', out
** add, e and m may be NULL. */
static df_tensor *norm_conv_forward(df_tape *tape, const df_layer *l,
                                    df_tensor *const *x) {
  const df_layer *norm = part(l, NORM), *conv = part(l, CONV);
  df_norm_opts o = norm->o.norm;
  o.keep = df_layer_drops(tape, l) ? 1 - l->o.dropout : 1;
  if (!df_adapters_drop(tape, conv)) /* dropout reads rows */
    o.form = df_conv2d_form(tape, x[0], conv->weight->value, &conv->o.conv);
  const df_normed of = { x[0], x[2], x[3], value(norm->weight), value(norm->bias) };
  df_tensor *h = df_group_norm(tape, &of, &o);
  if (!h && norm->path) df_error_prefix("%s: ", norm->path);
  df_tensor *const to_conv[] = { h, x[1] };
  return df_layer_call(tape, conv, to_conv, 2);
}

static void describe_norm_conv(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td -> %td, kernel %td, groups %td", l->o.in, l->o.out,
           l->o.kernel, part(l, NORM)->o.norm.groups);
}

static const df_kind norm_conv = {
  .name = "norm_conv", 1, 4, norm_conv_forward, describe_norm_conv
};

df_layer *df_norm_conv_layer(const df_layer_opts *o) {
  df_layer *l = df_layer_new(&norm_conv, o);
  if (!l) return NULL;
  df_layer_add(l, df_group_norm_layer(o), "norm");
  if (!l->failed) df_layer_add(l, df_conv_layer(o), "conv");
  return df_layer_done(l);
}

/* ==== the residual block =========================================================== */

enum { ONE, TWO };

/* Ho et al. 2020, appendix B: h = norm_conv(x); y = norm_conv(h + linear(e)) + x. The
** second norm_conv has dropout and starts at zero. If in != out, x passes a 1x1
** convolution. The caller activates e once for all blocks.
**   x: B, H, W, in   e: B, embed   ->  B, H, W, out */

static df_tensor *embedded(df_tape *tape, const df_layer *l, const df_layer *embed,
                           df_tensor *e) {
  if (e) return df_layer_of(tape, embed, e);
  return df_fail_null(
      DF_MISUSE, "res_block: its second input, an embedding of width %td, is missing",
      l->o.embed);
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

static const df_kind res_block = {
  .name = "res_block", 1, 2, res_block_forward, describe_res_block
};

static df_layer *last_norm_conv(const df_layer_opts *o) {
  df_layer_opts last = conv3(o->out, o->out);
  last.norm = o->norm;
  last.act = DF_ACT_SILU;
  last.affine = true;
  last.dropout = o->dropout;
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
  df_layer_opts first = conv3(o->in, o->out);
  first.norm = o->norm;
  first.act = DF_ACT_SILU;
  first.affine = true;
  df_layer *l = df_layer_new(&res_block, o);
  if (!l) return NULL;
  df_layer_add(l, df_norm_conv_layer(&first), "one");
  if (!l->failed) df_layer_add(l, last_norm_conv(o), "two");
  const df_layer_opts embed = { .in = o->embed, .out = o->out, .bias = true };
  if (!l->failed && o->embed > 0) df_layer_add(l, df_linear_layer(&embed), "embed");
  if (!l->failed && o->in != o->out) df_layer_add(l, skip_conv(o->in, o->out), "skip");
  return df_layer_done(l);
}

/* ==== changes of size ============================================================== */

/* Dimension `dim` with `size` rows: row i is the old one at the floor of i old / size. */
static df_tensor *nearest(df_tape *tape, df_tensor *x, int dim, df_int size) {
  df_tensor *index =
      df_scope_own(tape, df_tensor_new(DF_I64, &(df_shape){ 1, { size } }));
  if (!x || !index) return NULL;
  int64_t *to = df_tensor_data(index);
  for (df_int i = 0; i < size; i++) to[i] = i * x->shape.size[dim] / size + 1;
  return df_index(tape, x, dim, index);
}

/* x, enlarged `times` times, or as large as `like`. */
static df_tensor *enlarged(df_tape *tape, df_tensor *x, const df_tensor *like,
                           df_int times) {
  const df_int *own = x->shape.size, *size = like ? like->shape.size : NULL;
  if (like && (x->shape.ndim != 4 || like->shape.ndim != 4))
    return df_fail_null(DF_MISUSE, "upsample: images are [B,H,W,C], got %s and %s",
                        df_tensor_text(x), df_tensor_text(like));
  if (!like || (size[1] == times * own[1] && size[2] == times * own[2]))
    return df_upsample(tape, x, times);
  return nearest(tape, nearest(tape, x, 1, size[1]), 2, size[2]);
}

/* Nearest neighbours, then a 3x3 convolution.
**   x: B, H, W, in   like: B, H', W', any, or NULL for t H and t W  ->  B, H', W', out */
static df_tensor *upsample_forward(df_tape *tape, const df_layer *l,
                                   df_tensor *const *x) {
  return df_layer_of(tape, part(l, 0), enlarged(tape, x[0], x[1], l->o.times));
}

static const df_kind upsample = {
  .name = "upsample", 1, 2, upsample_forward, describe_res_block
};

df_layer *df_upsample_layer(const df_layer_opts *o) {
  const df_layer_opts inner = conv3(o->in, o->out);
  if (df_at_least_one("upsample", "times", o->times)) return NULL;
  df_layer *l = df_layer_new(&upsample, o);
  if (!l) return NULL;
  df_layer_add(l, df_conv_layer(&inner), "conv");
  return df_layer_done(l);
}

/* A 3x3 convolution of stride 2: B, H, W, in -> B, H/2, W/2, out */
static df_tensor *downsample_forward(df_tape *tape, const df_layer *l,
                                     df_tensor *const *x) {
  return df_layer_of(tape, part(l, 0), x[0]);
}

static const df_kind downsample = {
  .name = "downsample", 1, 1, downsample_forward, describe_res_block
};

df_layer *df_downsample_layer(const df_layer_opts *o) {
  df_layer_opts inner = conv3(o->in, o->out);
  inner.conv = o->conv;
  inner.conv.stride = 2;
  df_layer *l = df_layer_new(&downsample, o);
  if (!l) return NULL;
  df_layer_add(l, df_conv_layer(&inner), "conv");
  return df_layer_done(l);
}
