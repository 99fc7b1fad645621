/* The average, its update on its own, and the exchange around a call. */
#include "nn/ema.h"

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"

#define PIECE 16384 /* elements a thread works at once */

static df_code furnish(df_ema *e) {
  df_home *h = e->home;
  e->values = df_storage_new((size_t)h->count * sizeof(df_real));
  e->value = calloc((size_t)h->n + 1, sizeof *e->value);
  if (!e->values || !e->value)
    return df_fail(DF_MEMORY, "not enough memory for an average");
  memcpy(e->values->body->data, h->values->body->data,
         (size_t)h->count * sizeof(df_real));
  for (int i = 0; i < h->n; i++) {
    const df_param *p = h->param[i];
    e->value[i] = df_tensor_on(e->values, DF_REAL, &p->shape, p->at);
    if (!e->value[i]) return DF_MEMORY;
  }
  return DF_OK;
}

df_ema *df_ema_new(df_home *home, double decay, bool warmup) {
  df_ema *e = calloc(1, sizeof *e);
  if (!e) return df_fail_null(DF_MEMORY, "not enough memory for an average");
  *e = (df_ema){ .home = df_home_retain(home), .decay = decay, .warmup = warmup };
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

double df_ema_rate(const df_ema *e) {
  double ramp = (1 + (double)e->updates) / (10 + (double)e->updates);
  return e->warmup && ramp < e->decay ? ramp : e->decay;
}

typedef struct update_task {
  df_real *average, rate, rest;
  const df_real *w;
} update_task;

static void update_piece(void *context, df_int begin, df_int end) {
  const update_task *u = context;
  const df_real *w = u->w + begin;
  df_kernel()->mix(u->average + begin, u->rate, &u->rest, &w, 1, end - begin);
}

void df_ema_update(df_ema *e) {
  df_real rate = (df_real)df_ema_rate(e);
  update_task u = { e->values->body->data, rate, 1 - rate, e->home->values->body->data };
  df_parallel(e->home->count, PIECE, update_piece, &u);
  df_storage_touch(e->values);
  e->updates++;
}

void df_ema_swap(df_ema *e) {
  for (int i = 0; i < e->home->n; i++) {
    df_param *p = e->home->param[i];
    df_tensor *value = p->value;
    p->value = e->value[i];
    e->value[i] = value;
  }
}
