/* The average, its update on its own, and the exchange around a call. */
#include "nn/ema.h"

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"

#define PIECE 16384 /* elements that a thread processes at once */

static void copy_values(df_ema *e, df_int from) {
  const df_home *h = e->home;
  memcpy((df_real *)e->values->body->data + from,
         (const df_real *)h->values->body->data + from,
         (size_t)(e->count - from) * sizeof(df_real));
}

static df_tensor *window(const df_ema *e, const df_param *p) {
  return df_tensor_on(e->values, DF_REAL, &p->shape, p->at);
}

df_tensor *df_ema_value(const df_ema *e, int i) {
  return e->value[i] ? e->value[i] : e->home->param[i]->value;
}

static df_code furnish(df_ema *e) {
  df_home *h = e->home;
  e->count = h->count;
  e->values = df_storage_new((size_t)h->count * sizeof(df_real));
  e->value = calloc((size_t)h->n + 1, sizeof *e->value);
  if (!e->values || !e->value)
    return df_fail(DF_MEMORY, "not enough memory for an average");
  copy_values(e, 0);
  for (int i = 0; i < h->n; i++) {
    if (h->param[i]->at < 0) continue;
    e->value[i] = window(e, h->param[i]);
    if (!e->value[i]) return DF_MEMORY;
  }
  return DF_OK;
}

df_ema *df_ema_new(df_home *home) {
  df_ema *e = calloc(1, sizeof *e);
  if (!e) return df_fail_null(DF_MEMORY, "not enough memory for an average");
  e->home = df_home_retain(home);
  if (furnish(e) == DF_OK) return e;
  df_ema_free(e);
  return NULL;
}

void df_ema_free(df_ema *e) {
  if (!e) return;
  for (int i = 0; e->value && i < e->home->n; i++) df_tensor_release(e->value[i]);
  free(e->value);
  df_storage_release(e->values);
  df_home_release(e->home);
  free(e);
}

/* Averages of the parameters from `from` on in the vector. */
static df_code renew_averages(df_ema *e, df_int from) {
  const df_home *h = e->home;
  for (int i = 0; i < h->n; i++) {
    if (h->param[i]->at < from) continue;
    df_tensor *value = window(e, h->param[i]);
    if (!value) return DF_MEMORY;
    df_tensor_release(e->value[i]);
    e->value[i] = value;
  }
  return DF_OK;
}

df_code df_ema_follow(df_ema *e) {
  const df_int from = e->count, to = e->home->count;
  if (from == to) return DF_OK;
  if (df_lengthen(e->values, from, to) != DF_OK) return DF_MEMORY;
  e->count = to;
  copy_values(e, from);
  df_code code = renew_averages(e, from);
  if (code != DF_OK) e->count = from; /* the next call does all of it again */
  return code;
}

void df_ema_move(const df_ema *e, df_int at, df_int n) {
  df_real rate = (df_real)e->rate, rest = 1 - rate;
  const df_real *w = (const df_real *)e->home->values->body->data + at;
  df_kernel()->mix((df_real *)e->values->body->data + at, rate, &rest, &w, 1, n);
}

void df_ema_moved(df_ema *e) {
  if (e->rate == 0) copy_values(e, 0);
  df_storage_touch(e->values);
  e->updates++;
}

static void move_piece(void *context, df_int begin, df_int end) {
  df_ema_move(context, begin, end - begin);
}

df_code df_ema_update(df_ema *e) {
  if (df_ema_follow(e) != DF_OK) return DF_MEMORY;
  df_parallel(e->home->count, PIECE, move_piece, e);
  df_ema_moved(e);
  return DF_OK;
}

void df_ema_swap(df_ema *e) {
  for (int i = 0; i < e->home->n; i++) {
    df_param *p = e->home->param[i];
    if (!e->value[i]) continue;
    df_tensor *value = p->value;
    p->value = e->value[i];
    e->value[i] = value;
  }
  e->home->lent = !e->home->lent;
}
