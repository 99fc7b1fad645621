/* Adding the adapters of a layer to its result. */
#include "nn/adapter.h"

#define PARTS 3 /* q, k and v */

bool df_adapters_drop(const df_tape *tape, const df_layer *layer) {
  for (const df_adapter *a = layer->adapter; a; a = a->next)
    if (a->scale != 0 && a->dropout > 0) return df_layer_drops(tape, layer);
  return false;
}

/* scale A x */
static df_tensor *reduced(df_tape *tape, const df_layer *layer, const df_adapter *a,
                          df_tensor *x) {
  if (a->dropout > 0 && df_layer_drops(tape, layer))
    x = df_dropout(tape, x, 1 - a->dropout);
  df_tensor *h = df_layer_of(tape, a->down, x);
  return h && a->scale != 1 ? df_scale(tape, h, a->scale) : h;
}

/* y + scale B A x. A convolution adds y itself. */
static df_tensor *added(df_tape *tape, const df_layer *layer, const df_adapter *a,
                        df_tensor *x, df_tensor *y) {
  df_tensor *const h[] = { reduced(tape, layer, a, x), y };
  if (!h[0] || !y) return NULL;
  if (a->up->kind->most == 2) return df_layer_call(tape, a->up, h, 2);
  return df_add(tape, y, df_layer_of(tape, a->up, h[0]));
}

/* The columns from `at` on, n of them, with their adapters added. */
static df_tensor *part(df_tape *tape, const df_layer *layer, df_tensor *x, df_tensor *y,
                       df_int at, df_int n) {
  y = df_narrow(tape, y, y->shape.ndim - 1, at, n);
  for (const df_adapter *a = layer->adapter; a && y; a = a->next)
    if (a->scale != 0 && a->at == at && a->up->o.out == n)
      y = added(tape, layer, a, x, y);
  return y;
}

static bool has_parts(const df_layer *layer) {
  for (const df_adapter *a = layer->adapter; a; a = a->next)
    if (a->scale != 0 && a->up->o.out < layer->o.out) return true;
  return false;
}

static df_tensor *with_parts(df_tape *tape, const df_layer *layer, df_tensor *x,
                             df_tensor *y) {
  df_tensor *piece[PARTS];
  const df_int n = layer->o.out / PARTS;
  for (int i = 0; i < PARTS; i++) {
    piece[i] = part(tape, layer, x, y, i * n, n);
    if (!piece[i]) return NULL;
  }
  return df_cat(tape, piece, PARTS, y->shape.ndim - 1);
}

df_tensor *df_adapted(df_tape *tape, const df_layer *layer, df_tensor *x, df_tensor *y) {
  for (const df_adapter *a = layer->adapter; a && y; a = a->next)
    if (a->scale != 0 && a->up->o.out == layer->o.out) y = added(tape, layer, a, x, y);
  return y && has_parts(layer) ? with_parts(tape, layer, x, y) : y;
}
