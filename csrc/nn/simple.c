/* Layers without parts: linear, convolution, norms, tables, dropout, a bare parameter.
** Products start uniform within 1/sqrt(fan in), norms at 1 and 0, tables standard
** normal. */
#include <math.h>
#include <stdio.h>

#include "nn/adapter.h"

static const df_init zero = { .kind = DF_INIT_ZERO };
static const df_init one = { .kind = DF_INIT_ONE };

static df_init product_init(const df_layer_opts *o, double fan_in) {
  if (o->zero) return zero;
  if (o->normal > 0) return (df_init){ .kind = DF_INIT_NORMAL, .scale = o->normal };
  return (df_init){ .kind = DF_INIT_UNIFORM, .scale = 1 / sqrt(fan_in) };
}

static df_tensor *value(const df_param *p) { return p ? p->value : NULL; }

/* ==== linear: ..., in -> ..., out ================================================== */

static df_tensor *linear_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  df_tensor *y = df_linear(tape, x[0], value(l->weight), value(l->bias));
  return df_adapted(tape, l, x[0], y);
}

static df_tensor *linear_gated(df_tape *tape, const df_layer *l, df_tensor *x) {
  if (!l->adapter) return df_linear_geglu(tape, x, value(l->weight), value(l->bias));
  return df_geglu(tape, linear_forward(tape, l, &x));
}

static void describe_linear(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td -> %td%s", l->o.in, l->o.out, l->o.bias ? "" : ", no bias");
}

static const df_kind linear = { .name = "linear",
                                1,
                                1,
                                linear_forward,
                                describe_linear,
                                .gated = linear_gated,
                                .adapts = true };

df_layer *df_linear_layer(const df_layer_opts *o) {
  if (df_at_least_one("linear", "in", o->in) || df_at_least_one("linear", "out", o->out))
    return NULL;
  const df_shape w = { 2, { o->out, o->in } }, b = { 1, { o->out } };
  const df_init init = product_init(o, (double)o->in);
  return df_layer_furnish(df_layer_new(&linear, o), &w, init, o->bias ? &b : NULL, init);
}

/* ==== conv: B, H, W, in -> B, H', W', out ========================================== */

/* The weights of each output with mean 0 and variance 1 (Qiao et al. 2019). */
static df_tensor *standardised(df_tape *tape, df_tensor *w) {
  const df_int *n = w->shape.size;
  const df_shape rows = { 2, { n[0], n[1] * n[2] * n[3] } }, shape = w->shape;
  w = df_reshape(tape, w, &rows);
  w = df_layer_norm(tape, w, NULL, NULL, 1e-5);
  return w ? df_reshape(tape, w, &shape) : NULL;
}

static df_tensor *conv_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  df_tensor *w = l->o.standard ? standardised(tape, value(l->weight)) : value(l->weight);
  if (!w) return NULL;
  df_tensor *y = df_conv2d(tape, x[0], w, value(l->bias), x[1], &l->o.conv);
  return df_adapted(tape, l, x[0], y);
}

static void describe_conv(const df_layer *l, char *text, size_t size) {
  int used =
      snprintf(text, size, "%td -> %td, kernel %td", l->o.in, l->o.out, l->o.kernel);
  if (l->o.conv.stride != 1 && used > 0 && (size_t)used < size)
    snprintf(text + used, size - (size_t)used, ", stride %td", l->o.conv.stride);
}

static const df_kind conv = {
  .name = "conv", 1, 2, conv_forward, describe_conv, .adapts = true
};

df_layer *df_conv_layer(const df_layer_opts *o) {
  if (df_at_least_one("conv", "in", o->in) || df_at_least_one("conv", "out", o->out)
      || df_at_least_one("conv", "kernel", o->kernel)
      || df_at_least_one("conv", "stride", o->conv.stride))
    return NULL;
  const df_shape w = { 4, { o->out, o->kernel, o->kernel, o->in } },
                 b = { 1, { o->out } };
  const double fan_in = (double)o->in * (double)o->kernel * (double)o->kernel;
  const df_init init = product_init(o, fan_in);
  return df_layer_furnish(df_layer_new(&conv, o), &w, init, o->bias ? &b : NULL, init);
}

/* ==== norms ======================================================================== */

/* x + e, normalised, scaled and shifted by m; e and m may be NULL. See df_group_norm. */
static df_tensor *group_norm_forward(df_tape *tape, const df_layer *l,
                                     df_tensor *const *x) {
  const df_normed of = { x[0], x[1], x[2], value(l->weight), value(l->bias) };
  return df_group_norm(tape, &of, &l->o.norm);
}

static void describe_group_norm(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td, groups %td", l->o.in, l->o.norm.groups);
}

static const df_kind group_norm = {
  .name = "group_norm", 1, 3, group_norm_forward, describe_group_norm
};

df_layer *df_group_norm_layer(const df_layer_opts *given) {
  df_layer_opts o = { .in = given->in,
                      .norm = { .groups = given->norm.groups,
                                .tiny = given->norm.tiny,
                                .act = (df_act)given->act,
                                .keep = 1 } };
  if (df_at_least_one("group_norm", "channels", o.in) || df_check_act(given)) return NULL;
  if (o.norm.groups == 0) o.norm.groups = df_groups_for(o.in);
  if (o.norm.groups < 1 || o.in % o.norm.groups != 0)
    return df_fail_null(DF_MISUSE, "group_norm: %td groups don't divide %td channels",
                        o.norm.groups, o.in);
  const df_shape shape = { 1, { o.in } };
  df_layer *l = df_layer_new(&group_norm, &o);
  return given->affine ? df_layer_furnish(l, &shape, one, &shape, zero) : l;
}

static df_tensor *layer_norm_forward(df_tape *tape, const df_layer *l,
                                     df_tensor *const *x) {
  return df_layer_norm(tape, x[0], value(l->weight), value(l->bias), l->o.norm.tiny);
}

static void describe_width(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td", l->o.in);
}

static const df_kind layer_norm = {
  .name = "layer_norm", 1, 1, layer_norm_forward, describe_width
};

df_layer *df_layer_norm_layer(const df_layer_opts *o) {
  if (df_at_least_one("layer_norm", "channels", o->in)) return NULL;
  const df_shape shape = { 1, { o->in } };
  df_layer *l = df_layer_new(&layer_norm, o);
  const df_shape *bias = o->bias ? &shape : NULL;
  return o->affine ? df_layer_furnish(l, &shape, one, bias, zero) : l;
}

/* ==== embedding: whole numbers, 0 none -> ..., width =============================== */

static df_tensor *embedding_forward(df_tape *tape, const df_layer *l,
                                    df_tensor *const *x) {
  return df_embedding(tape, x[0], l->weight->value);
}

static void describe_embedding(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td, %td", l->o.in, l->o.out);
}

static const df_kind embedding = {
  .name = "embedding", 1, 1, embedding_forward, describe_embedding, NULL, true
};

static df_init table_init(const df_layer_opts *o) {
  if (o->within > 0) return (df_init){ .kind = DF_INIT_UNIFORM, .scale = o->within };
  return (df_init){ .kind = DF_INIT_NORMAL, .scale = 1 };
}

df_layer *df_embedding_layer(const df_layer_opts *o) {
  if (df_at_least_one("embedding", "rows", o->in)
      || df_at_least_one("embedding", "width", o->out))
    return NULL;
  const df_shape shape = { 2, { o->in, o->out } };
  return df_layer_furnish(df_layer_new(&embedding, o), &shape, table_init(o), NULL, zero);
}

/* ==== positions: B, N, in -> x plus the first N rows of a table ==================== */

/* 1, 2 .. n */
static df_tensor *counted(df_tape *tape, df_int n) {
  df_tensor *index = df_scope_own(tape, df_tensor_new(DF_I64, &(df_shape){ 1, { n } }));
  int64_t *at = index ? df_tensor_data(index) : NULL;
  for (df_int i = 0; at && i < n; i++) at[i] = i + 1;
  return index;
}

static df_tensor *positions_forward(df_tape *tape, const df_layer *l,
                                    df_tensor *const *x) {
  const df_shape *s = &x[0]->shape;
  if (s->ndim != 3 || s->size[2] != l->o.in)
    return df_fail_null(DF_MISUSE, "positions: tokens are [B,N,%td], got %s", l->o.in,
                        df_tensor_text(x[0]));
  if (s->size[1] > l->o.rows)
    return df_fail_null(DF_MISUSE,
                        "positions: %s has %td tokens, but the table has %td rows",
                        df_tensor_text(x[0]), s->size[1], l->o.rows);
  df_tensor *index = counted(tape, s->size[1]);
  df_tape_mix_parts(tape);
  df_tensor *rows = index ? df_embedding(tape, index, l->weight->value) : NULL;
  return rows ? df_add(tape, x[0], rows) : NULL;
}

static void describe_positions(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td, %td", l->o.rows, l->o.in);
}

static const df_kind positions = {
  .name = "positions", 1, 1, positions_forward, describe_positions
};

df_layer *df_positions_layer(const df_layer_opts *o) {
  if (df_at_least_one("positions", "rows", o->rows)
      || df_at_least_one("positions", "width", o->in))
    return NULL;
  const df_shape shape = { 2, { o->rows, o->in } };
  return df_layer_furnish(df_layer_new(&positions, o), &shape, table_init(o), NULL, zero);
}

/* ==== dropout, in d.record only ==================================================== */

static df_tensor *dropout_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  if (l->o.dropout <= 0 || !df_layer_drops(tape, l)) return x[0];
  return df_dropout(tape, x[0], 1 - l->o.dropout);
}

static void describe_dropout(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%g", l->o.dropout);
}

static const df_kind dropout = {
  .name = "dropout", 1, 1, dropout_forward, describe_dropout
};

df_layer *df_dropout_layer(const df_layer_opts *o) {
  if (!(o->dropout >= 0 && o->dropout < 1))
    return df_fail_null(DF_MISUSE, "dropout: the probability must be in [0, 1), got %g",
                        o->dropout);
  return df_layer_new(&dropout, o);
}

/* ==== a bare parameter, and a group of parts ======================================= */

static void describe_parameter(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%s", df_shape_text(&l->weight->shape));
}

static const df_kind parameter = { .name = "parameter", 0, 0, NULL, describe_parameter };

df_layer *df_parameter_layer(df_tensor *x) {
  const df_init given = { .kind = DF_INIT_GIVEN, .given = x };
  return df_layer_furnish(df_layer_new(&parameter, NULL), &x->shape, given, NULL, zero);
}

static const df_kind group = { .name = "group", 0, 0, NULL, NULL };

df_layer *df_group_layer(void) { return df_layer_new(&group, NULL); }
