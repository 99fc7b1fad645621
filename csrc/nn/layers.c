/* Making, naming, calling and describing layers of any kind. */
#include "nn/layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/locale.h"

/* ==== making ======================================================================= */

df_layer *df_layer_new(const df_kind *kind, const df_layer_opts *o) {
  df_layer *layer = calloc(1, sizeof *layer);
  if (!layer) return df_fail_null(DF_MEMORY, "not enough memory for a layer");
  layer->refs = 1;
  layer->kind = kind;
  if (o) layer->o = *o;
  return layer;
}

static df_layer *add_failed(df_layer *layer, df_layer *part, char *name) {
  if (part) df_fail(DF_MEMORY, "not enough memory for a layer");
  free(name);
  df_layer_release(part);
  layer->failed = true;
  return NULL;
}

df_layer *df_layer_add(df_layer *layer, df_layer *part, const char *name) {
  const size_t room = strlen(name) + 1;
  char *own = part ? malloc(room) : NULL;
  if (!own) return add_failed(layer, part, NULL);
  df_part *grown = realloc(layer->part, (size_t)(layer->parts + 1) * sizeof *grown);
  if (!grown) return add_failed(layer, part, own);
  layer->part = grown;
  memcpy(own, name, room);
  layer->part[layer->parts++] = (df_part){ own, part };
  return part;
}

df_layer *df_layer_done(df_layer *layer) {
  if (!layer->failed) return layer;
  df_layer_release(layer);
  return NULL;
}

df_layer *df_layer_retain(df_layer *layer) {
  layer->refs++;
  return layer;
}

static void release_adapters(df_adapter *a) {
  while (a) {
    df_adapter *next = a->next;
    df_layer_release(a->down);
    df_layer_release(a->up);
    free(a);
    a = next;
  }
}

void df_layer_release(df_layer *layer) {
  if (!layer || --layer->refs > 0) return;
  release_adapters(layer->adapter);
  df_param_release(layer->weight);
  df_param_release(layer->bias);
  for (int i = 0; i < layer->parts; i++) {
    df_layer_release(layer->part[i].layer);
    free(layer->part[i].name);
  }
  free(layer->part);
  free(layer->path);
  if (layer->kind->release) layer->kind->release(layer);
  free(layer);
}

df_layer *df_layer_furnish(df_layer *layer, const df_shape *weight, df_init w,
                           const df_shape *bias, df_init b) {
  if (!layer) return NULL;
  layer->weight = df_param_new(weight, w);
  if (bias) layer->bias = df_param_new(bias, b);
  if (layer->weight && (layer->bias || !bias)) return layer;
  df_layer_release(layer);
  return NULL;
}

df_code df_at_least_one(const char *layer, const char *what, df_int value) {
  if (value >= 1) return DF_OK;
  return df_fail(DF_MISUSE, "%s: %s must be at least 1, got %td", layer, what, value);
}

df_code df_check_act(const df_layer_opts *o) {
  if (o->act >= DF_ACT_NONE && o->act <= DF_ACT_TANH) return DF_OK;
  return df_fail(DF_MISUSE, "act: a number in 0..%d expected, got %td", DF_ACT_TANH,
                 o->act);
}

df_int df_groups_for(df_int C) {
  df_int most = df_min(32, C / 4);
  for (df_int groups = most; groups > 1; groups--)
    if (C % groups == 0) return groups;
  return 1;
}

/* ==== naming ======================================================================= */

static char *joined(const char *path, const char *name) {
  size_t size = strlen(path) + strlen(name) + 2;
  char *text = malloc(size);
  if (!text) return df_fail_null(DF_MEMORY, "not enough memory for a name");
  snprintf(text, size, "%s%s%s", path, *path && *name ? "." : "", name);
  return text;
}

/* A layer that is one bare parameter names it itself. */
static int name_param(df_param *p, const char *path, const char *name, df_param **list,
                      int n) {
  if (!p || n < 0 || (p->place < n && list[p->place] == p)) return n;
  if (p->value || p->home)
    return df_fail(DF_MISUSE,
                   "model: '%s' is in a model already; a layer can be in one model",
                   p->name),
           -1;
  char *text = joined(path, name);
  if (!text) return -1;
  free(p->name);
  p->name = text;
  p->place = n;
  list[n] = p;
  return n + 1;
}

int df_layer_name(df_layer *layer, const char *path, df_param **list, int n) {
  bool bare = layer->weight && !layer->kind->forward;
  n = name_param(layer->weight, path, bare ? "" : "weight", list, n);
  n = name_param(layer->bias, path, "bias", list, n);
  if (n >= 0 && (layer->weight || layer->parts) && !layer->path)
    layer->path = joined(path, "");
  for (int i = 0; i < layer->parts && n >= 0; i++) {
    char *inner = joined(path, layer->part[i].name);
    if (!inner) return -1;
    n = df_layer_name(layer->part[i].layer, inner, list, n);
    free(inner);
  }
  return n;
}

int df_layer_count(const df_layer *layer) {
  int n = (layer->weight ? 1 : 0) + (layer->bias ? 1 : 0);
  for (int i = 0; i < layer->parts; i++) n += df_layer_count(layer->part[i].layer);
  return n;
}

const df_layer *df_layer_part(const df_layer *layer, const char *name) {
  for (int i = 0; i < layer->parts; i++)
    if (strcmp(layer->part[i].name, name) == 0) return layer->part[i].layer;
  return NULL;
}

void df_layer_text(const df_layer *layer, char *text, size_t size) {
  int used = snprintf(text, size, "%s", layer->kind->name);
  if (!layer->kind->describe || used < 0 || (size_t)used + 2 >= size) return;
  text += used, size -= (size_t)used;
  *text = '(';
  df_locale l;
  bool own = df_locale_enter(&l);
  layer->kind->describe(layer, text + 1, size - 2);
  if (own) df_locale_leave(&l);
  size_t inner = strlen(text);
  text[inner] = ')', text[inner + 1] = '\0';
}

/* ==== calling ====================================================================== */

void df_layer_set_eval(df_layer *layer, bool eval) {
  layer->eval = eval;
  for (int i = 0; i < layer->parts; i++) df_layer_set_eval(layer->part[i].layer, eval);
}

bool df_layer_drops(const df_tape *tape, const df_layer *layer) {
  return !layer->eval && df_tape_training(tape);
}

static df_code refuse(const df_layer *layer, int n) {
  char text[96];
  df_layer_text(layer, text, sizeof text);
  if (!layer->kind->forward)
    return df_fail(DF_MISUSE, "%s can't be called; its parts can", text);
  if (layer->weight && !layer->weight->value)
    return df_fail(DF_MISUSE,
                   "%s has no values yet: nn.model(root) packs a network and "
                   "gives its layers their first values",
                   text);
  if (layer->kind->least == layer->kind->most)
    return df_fail(DF_MISUSE, "%s is called with %d tensors, not %d", text,
                   layer->kind->most, n);
  return df_fail(DF_MISUSE, "%s is called with %d to %d tensors, not %d", text,
                 layer->kind->least, layer->kind->most, n);
}

static bool is_ready(const df_layer *layer, int n) {
  return layer->kind->forward && n >= layer->kind->least && n <= layer->kind->most
         && (!layer->weight || layer->weight->value);
}

df_tensor *df_layer_call(df_tape *tape, const df_layer *layer, df_tensor *const *x,
                         int n) {
  df_tensor *inputs[DF_INPUTS] = { NULL };
  if (!is_ready(layer, n)) return refuse(layer, n), NULL;
  for (int i = 0; i < n; i++) inputs[i] = x[i];
  for (int i = 0; i < layer->kind->least; i++)
    if (!inputs[i]) return NULL;
  size_t mark = df_scope_open(tape);
  return df_scope_yield(tape, mark, df_layer_forward(tape, layer, inputs));
}

static df_tensor *with_path(const df_layer *layer, df_tensor *y) {
  if (!y && layer->parts == 0 && layer->path && *layer->path)
    df_error_prefix("%s: ", layer->path);
  return y;
}

df_tensor *df_layer_forward(df_tape *tape, const df_layer *layer, df_tensor *const *x) {
  if (layer->weight && !layer->weight->value) return refuse(layer, 0), NULL;
  return with_path(layer, layer->kind->forward(tape, layer, x));
}

df_tensor *df_layer_gated(df_tape *tape, const df_layer *layer, df_tensor *x) {
  if (layer->weight && !layer->weight->value) return refuse(layer, 0), NULL;
  return with_path(layer, layer->kind->gated(tape, layer, x));
}

df_tensor *df_layer_of(df_tape *tape, const df_layer *layer, df_tensor *x) {
  return df_layer_call(tape, layer, &x, 1);
}

/* ==== recomputed in the backward pass ============================================== */

static df_tensor *run_layer(df_tape *tape, void *layer, df_tensor *const *x) {
  const df_layer *l = layer;
  return df_layer_call(tape, l, x, l->kind->most);
}

static void release_layer(void *layer) { df_layer_release(layer); }

/* A recomputed layer keeps its inputs, and one value of each storage that its parameters
** are in, so that a write there is noticed. */
typedef struct kept {
  df_tensor **x;
  int inputs, n;
} kept;

static void keep_value(kept *k, const df_param *p) {
  if (!p || !p->value) return;
  for (int i = k->inputs; i < k->n; i++)
    if (k->x[i]->storage == p->value->storage) return;
  k->x[k->n++] = p->value;
}

static void keep_values(kept *k, const df_layer *layer) {
  keep_value(k, layer->weight);
  keep_value(k, layer->bias);
  for (const df_adapter *a = layer->adapter; a; a = a->next) {
    keep_values(k, a->down);
    keep_values(k, a->up);
  }
  for (int i = 0; i < layer->parts; i++) keep_values(k, layer->part[i].layer);
}

/* Parameters, with those of adapters. */
static int count_values(const df_layer *layer) {
  int n = (layer->weight ? 1 : 0) + (layer->bias ? 1 : 0);
  for (const df_adapter *a = layer->adapter; a; a = a->next) n += 2;
  for (int i = 0; i < layer->parts; i++) n += count_values(layer->part[i].layer);
  return n;
}

static df_tensor *recompute(df_tape *tape, const df_layer *layer, df_tensor *const *x,
                            int n, kept *k) {
  k->n = k->inputs = layer->kind->most;
  for (int i = 0; i < k->inputs; i++) k->x[i] = i < n ? x[i] : NULL;
  keep_values(k, layer);
  const df_stretch s = { .run = run_layer,
                         .what = df_layer_retain((df_layer *)layer),
                         .release = release_layer,
                         .n = k->inputs,
                         .kept = k->n };
  size_t mark = df_scope_open(tape);
  return df_scope_yield(tape, mark, df_recompute(tape, &s, k->x));
}

df_tensor *df_layer_recomputed(df_tape *tape, const df_layer *layer, df_tensor *const *x,
                               int n) {
  if (!x[0] || !df_tape_recording(tape)) return df_layer_call(tape, layer, x, n);
  const int room = layer->kind->most + count_values(layer);
  kept k = { .x = df_alloc((size_t)room * sizeof *k.x) };
  df_tensor *y = k.x ? recompute(tape, layer, x, n, &k) : NULL;
  df_free(k.x);
  return y;
}
