/* Making adapters, and giving them to layers. */
#include "nn/adapter.h"

#include <stdlib.h>

static bool is_conv(const df_layer *layer) { return layer->weight->shape.ndim == 4; }

static df_code check(const df_layer *layer, df_int rank) {
  char text[96];
  df_layer_text(layer, text, sizeof text);
  if (!layer->kind->adapts)
    return df_fail(DF_MISUSE, "lora: %s has no product to adapt", text);
  return df_at_least_one("lora", "rank", rank);
}

df_layer *df_adapter_down(const df_layer *layer, df_int rank, double normal) {
  if (check(layer, rank) != DF_OK) return NULL;
  df_layer_opts o = { .in = layer->o.in,
                      .out = rank,
                      .kernel = layer->o.kernel,
                      .conv = layer->o.conv,
                      .normal = normal };
  return is_conv(layer) ? df_conv_layer(&o) : df_linear_layer(&o);
}

df_layer *df_adapter_up(const df_layer *layer, df_int rank, df_int parts) {
  if (check(layer, rank) != DF_OK) return NULL;
  df_layer_opts o = { .in = rank,
                      .out = layer->o.out / parts,
                      .kernel = 1,
                      .conv = { .stride = 1 },
                      .zero = true };
  return is_conv(layer) ? df_conv_layer(&o) : df_linear_layer(&o);
}

df_code df_adapter_add(df_layer *layer, df_layer *down, df_layer *up, df_int at) {
  df_adapter *a = calloc(1, sizeof *a), **end = &layer->adapter;
  if (!a) return df_fail(DF_MEMORY, "not enough memory for an adapter");
  *a = (df_adapter){ .down = df_layer_retain(down), .up = df_layer_retain(up), .at = at };
  while (*end) end = &(*end)->next;
  *end = a;
  return DF_OK;
}

static df_adapter **find(df_layer *layer, const df_layer *down) {
  df_adapter **a = &layer->adapter;
  while (*a && (*a)->down != down) a = &(*a)->next;
  return a;
}

/* A record that keeps its values fails then, rather than give a wrong gradient. */
static void touch(const df_adapter *a) {
  df_tensor *value = a->down->weight->value;
  if (value) df_tensor_touch(value);
}

void df_adapter_remove(df_layer *layer, const df_layer *down) {
  df_adapter **at = find(layer, down), *a = *at;
  if (!a) return;
  touch(a);
  *at = a->next;
  df_layer_release(a->down);
  df_layer_release(a->up);
  free(a);
}

void df_adapter_set(df_layer *layer, const df_layer *down, double scale, double dropout) {
  df_adapter *a = *find(layer, down);
  if (!a || (a->scale == scale && a->dropout == dropout)) return;
  touch(a);
  a->scale = scale;
  a->dropout = dropout;
}
