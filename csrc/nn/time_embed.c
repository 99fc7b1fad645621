/* The embedding of t and class: silu(linear(silu(linear(sinusoid(t)))) + class row). */
#include <stdio.h>

#include "nn/layers.h"

enum { SINUSOID, ONE, TWO, CLASS };

static df_tensor *add_class(df_tape *tape, const df_layer *l, df_tensor *e,
                            df_tensor *class) {
  if (!class || !e) return e;
  if (l->o.classes == 0)
    return df_fail_null(DF_MISUSE, "a class is given, but this network was made without "
                                   "classes = n");
  if (df_check_classes(class, l->o.classes) != DF_OK) return NULL;
  return df_add(tape, e, df_layer_of(tape, l->part[CLASS].layer, class));
}

static df_tensor *time_embed_forward(df_tape *tape, const df_layer *l,
                                     df_tensor *const *x) {
  df_tensor *e = df_layer_of(tape, l->part[SINUSOID].layer, x[0]);
  e = df_silu(tape, df_layer_of(tape, l->part[ONE].layer, e));
  e = df_layer_of(tape, l->part[TWO].layer, e);
  return df_silu(tape, add_class(tape, l, e, x[1]));
}

static void describe(const df_layer *l, char *text, size_t size) {
  int used = snprintf(text, size, "%td -> %td", l->o.in, l->o.out);
  if (l->o.classes > 0 && used > 0 && (size_t)used < size)
    snprintf(text + used, size - (size_t)used, ", classes %td", l->o.classes);
}

static const df_kind time_embed = {
  .name = "time_embed", 1, 2, time_embed_forward, describe, NULL, true
};

static df_layer *sinusoid(df_int width) {
  const df_layer_opts o = { .sinusoid = { .width = width, .max_period = 10000 } };
  return df_sinusoid_layer(&o);
}

static df_layer *product(df_int in, df_int out) {
  const df_layer_opts o = { .in = in, .out = out, .bias = true };
  return df_linear_layer(&o);
}

df_layer *df_time_embed_layer(const df_layer_opts *o) {
  const df_layer_opts rows = { .in = o->classes, .out = o->out };
  df_layer *l = df_layer_new(&time_embed, o);
  if (!l) return NULL;
  df_layer_add(l, sinusoid(o->in), "sinusoid");
  if (!l->failed) df_layer_add(l, product(o->in, o->out), "one");
  if (!l->failed) df_layer_add(l, product(o->out, o->out), "two");
  if (!l->failed && o->classes > 0) df_layer_add(l, df_embedding_layer(&rows), "class");
  return df_layer_done(l);
}
