/* Classes as rows of zeros with one number in the place of the class. */
#include <stdio.h>
#include <string.h>

#include "nn/layers.h"

static df_code check(const df_layer *l, const df_tensor *like, const df_tensor *class) {
  const df_int B = like->shape.ndim > 0 ? like->shape.size[0] : 1;
  if (class->shape.ndim != 1 || class->shape.size[0] != B)
    return df_fail(DF_MISUSE, "one_hot: the classes must be [%td], got %s", B,
                   df_tensor_text(class));
  return df_check_classes(class, l->o.classes);
}

/* like: B, ...   class: B, integers, or NULL   ->  B, classes; all 0 without a class */
static df_tensor *forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  const df_int B = x[0]->shape.ndim > 0 ? x[0]->shape.size[0] : 1, n = l->o.classes;
  df_tensor *class = x[1] ? df_indices(tape, "one_hot: class", x[1]) : NULL;
  if (x[1] && (!class || check(l, x[0], class) != DF_OK)) return NULL;
  df_tensor *y = df_result(tape, &(df_shape){ 2, { B, n } });
  if (!y) return NULL;
  df_real *to = df_tensor_reals(y);
  const int64_t *at = class ? df_tensor_data(class) : NULL;
  memset(to, 0, (size_t)(B * n) * sizeof *to);
  for (df_int i = 0; at && i < B; i++)
    if (at[i] > 0) to[i * n + at[i] - 1] = (df_real)l->o.factor;
  return y;
}

static void describe(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td", l->o.classes);
}

static const df_kind one_hot = { .name = "one_hot", 1, 2, forward, describe, NULL, true };

df_layer *df_one_hot_layer(const df_layer_opts *o) {
  if (df_at_least_one("one_hot", "classes", o->classes)) return NULL;
  return df_layer_new(&one_hot, o);
}
