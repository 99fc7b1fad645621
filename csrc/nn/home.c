/* Values of a model in one vector; gradients of what is trainable in another. */
#include "nn/home.h"

#include <stdlib.h>
#include <string.h>

#define LINE (DF_ALIGN / (df_int)sizeof(df_real)) /* elements */

static df_int padded(const df_param *p) {
  return df_ceil_div(df_param_count(p), LINE) * LINE;
}

/* A vector of zeros. */
static df_storage *zeros(df_int count) {
  df_storage *s = df_storage_new((size_t)count * sizeof(df_real));
  if (s) memset(s->body->data, 0, (size_t)count * sizeof(df_real));
  return s;
}

/* ==== gradients ==================================================================== */

void df_home_forget(df_home *h) {
  for (int i = 0; i < h->n; i++) {
    df_leaf *leaf = &h->param[i]->leaf;
    df_tensor_release(leaf->grad);
    leaf->grad = NULL;
    leaf->arrived = false;
  }
}

static df_code lay_out_gradients(df_home *h, df_storage *vector) {
  df_int at = 0;
  for (int i = 0; i < h->n; i++) {
    df_param *p = h->param[i];
    if (!p->leaf.trainable) continue;
    p->leaf.grad = df_tensor_on(vector, DF_REAL, &p->shape, at);
    if (!p->leaf.grad) return DF_MEMORY;
    at += padded(p);
  }
  return DF_OK;
}

static df_code provide_gradients(df_home *h) {
  df_int count = 0;
  for (int i = 0; i < h->n; i++)
    if (h->param[i]->leaf.trainable) count += padded(h->param[i]);
  df_storage *vector = zeros(count);
  if (!vector) return DF_MEMORY;
  df_code code = lay_out_gradients(h, vector);
  df_storage_release(vector);
  if (code != DF_OK) df_home_forget(h);
  return code;
}

static df_code need(df_leaf *leaf) {
  df_param *p = (df_param *)leaf;
  return provide_gradients(p->home);
}

static void drop(df_leaf *leaf) {
  const df_home *h = ((df_param *)leaf)->home;
  for (int i = 0; i < h->n; i++) h->param[i]->leaf.arrived = false;
}

void df_home_set_trainable(df_home *h, int i, bool trainable) {
  df_leaf *leaf = &h->param[i]->leaf;
  if (leaf->trainable == trainable) return;
  df_home_forget(h);
  leaf->trainable = trainable;
}

/* ==== values ======================================================================= */

static df_code move_in(df_home *h, df_param *p) {
  p->value = df_tensor_on(h->values, DF_REAL, &p->shape, h->count);
  if (!p->value) return DF_MEMORY;
  p->value->leaf = &p->leaf;
  p->leaf.need = need;
  p->leaf.drop = drop;
  p->home = h;
  p->at = h->count;
  h->count += padded(p);
  h->param[h->n++] = df_param_retain(p);
  return DF_OK;
}

/* A parameter whose home is gone: its value stays, and no gradient arrives. */
static void move_out(df_param *p) {
  p->home = NULL;
  p->leaf.trainable = false;
  p->value->leaf = NULL;
  p->value->record = 0;
  df_param_release(p);
}

static int by_name(const void *a, const void *b) {
  const df_param *const *p = a, *const *q = b;
  return strcmp((*p)->name, (*q)->name);
}

static df_code names_differ(df_param *const *param, int n) {
  df_param **sorted = malloc((size_t)n * sizeof *sorted + 1);
  if (!sorted) return df_fail(DF_MEMORY, "not enough memory to sort names");
  memcpy(sorted, param, (size_t)n * sizeof *sorted);
  qsort(sorted, (size_t)n, sizeof *sorted, by_name);
  df_code code = DF_OK;
  for (int i = 1; i < n && code == DF_OK; i++)
    if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
      code = df_fail(DF_MISUSE, "model: two parameters are named '%s'", sorted[i]->name);
  free(sorted);
  return code;
}

static df_code furnish(df_home *h, df_param *const *param, int n, uint64_t seed) {
  df_int count = 0;
  for (int i = 0; i < n; i++) count += padded(param[i]);
  h->param = calloc((size_t)n + 1, sizeof *h->param);
  if (!h->param) return df_fail(DF_MEMORY, "not enough memory for a model");
  h->values = zeros(count);
  if (!h->values || names_differ(param, n) != DF_OK) return df_error_code();
  for (int i = 0; i < n; i++)
    if (move_in(h, param[i]) != DF_OK) return df_error_code();
  for (int i = 0; i < n; i++) df_param_start(param[i], seed);
  return DF_OK;
}

df_home *df_home_new(df_param *const *param, int n, uint64_t seed) {
  df_home *h = calloc(1, sizeof *h);
  if (!h) return df_fail_null(DF_MEMORY, "not enough memory for a model");
  h->refs = 1;
  if (furnish(h, param, n, seed) == DF_OK) return h;
  df_home_release(h);
  return NULL;
}

df_home *df_home_retain(df_home *h) {
  h->refs++;
  return h;
}

void df_home_release(df_home *h) {
  if (!h || --h->refs > 0) return;
  df_home_forget(h);
  for (int i = 0; i < h->n; i++) move_out(h->param[i]);
  df_storage_release(h->values);
  free(h->param);
  free(h);
}

df_int df_home_elements(const df_home *h, bool trainable_only) {
  df_int count = 0;
  for (int i = 0; i < h->n; i++)
    if (!trainable_only || h->param[i]->leaf.trainable)
      count += df_param_count(h->param[i]);
  return count;
}
