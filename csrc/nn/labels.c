/* Classes for a table with a row for none, its last, as DiT has (Peebles & Xie 2023). */
#include <stdio.h>

#include "ops/context.h"
#include "nn/layers.h"

df_code df_check_classes(const df_tensor *class, df_int classes) {
  if (class->dtype != DF_I64 || class->shape.ndim != 1) return DF_OK;
  const int64_t *c = df_tensor_data(class);
  for (df_int i = 0; i < class->shape.size[0]; i++) {
    df_int k = (df_int)c[i * class->stride[0]];
    if (k < 0 || k > classes)
      return df_fail(DF_MISUSE,
                     "sample %td is of class %td, but this network knows 1..%td, and 0 "
                     "for none",
                     i + 1, k, classes);
  }
  return DF_OK;
}

static df_code check_labels(const df_layer *l, const df_tensor *like,
                            const df_tensor *class) {
  const df_int B = like->shape.size[0];
  if (!class) return DF_OK;
  if (class->shape.ndim != 1 || class->shape.size[0] != B)
    return df_fail(DF_MISUSE, "labels: the classes must be [%td], got %s", B,
                   df_tensor_text(class));
  return df_check_classes(class, l->o.classes);
}

/* Ones for the samples whose class is forgotten, in training only; NULL: there are none,
** unless *failed. A sample's draw depends on its place in the batch alone. */
static const df_real *forgotten(df_tape *tape, const df_layer *l, df_int B,
                                bool *failed) {
  if (l->o.dropout <= 0 || !df_layer_drops(tape, l)) return NULL;
  const df_random key = df_tape_draw(tape, DF_STREAM_DROPOUT);
  df_tensor *y = df_bernoulli(tape, &(df_shape){ 2, { B, 1 } }, l->o.dropout, &key);
  *failed = !y;
  return y ? df_tensor_reals(y) : NULL;
}

/* y_k = class_k, or classes + 1 where the class is 0, absent or forgotten.
**   like: B, ...   class: B, integers, or NULL   ->  B, integers */
static df_tensor *labels_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  const df_int B = x[0]->shape.ndim > 0 ? x[0]->shape.size[0] : 1;
  df_tensor *class = x[1] ? df_indices(tape, "labels: class", x[1]) : NULL;
  bool failed = x[1] && !class;
  if (failed || check_labels(l, x[0], class) != DF_OK) return NULL;
  const df_real *forget = forgotten(tape, l, B, &failed);
  const int64_t *from = class ? df_tensor_data(class) : NULL;
  df_tensor *y =
      failed ? NULL : df_scope_own(tape, df_tensor_new(DF_I64, &(df_shape){ 1, { B } }));
  if (!y) return NULL;
  int64_t *to = df_tensor_data(y);
  for (df_int k = 0; k < B; k++) {
    const bool known = from && from[k] != 0 && !(forget && forget[k] != 0);
    to[k] = known ? from[k] : (int64_t)l->o.classes + 1;
  }
  return y;
}

static void describe(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td, dropout %g", l->o.classes, l->o.dropout);
}

static const df_kind labels = {
  .name = "labels", 1, 2, labels_forward, describe, NULL, true
};

df_layer *df_labels_layer(const df_layer_opts *o) {
  if (df_at_least_one("labels", "classes", o->classes)) return NULL;
  return df_layer_new(&labels, o);
}
