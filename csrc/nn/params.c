/* The life of a parameter, and its first values. */
#include "nn/params.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "ops/copy.h"

#define LARGEST ((df_int)1 << 40) /* elements; beyond, sizes in bytes could overflow */

df_param *df_param_new(const df_shape *shape, df_init init) {
  df_int count = df_shape_count(shape);
  if (count < 0 || count > LARGEST)
    return df_fail_null(DF_MISUSE, "a parameter of shape %s is too large",
                        df_shape_text(shape));
  df_param *p = calloc(1, sizeof *p);
  if (!p) return df_fail_null(DF_MEMORY, "not enough memory for a parameter's head");
  p->refs = 1;
  p->shape = *shape;
  p->init = init;
  df_tensor_retain(init.given);
  p->leaf.trainable = true;
  p->turn = -1;
  return p;
}

void df_param_fix(df_param *p) {
  p->fixed = true;
  p->leaf.trainable = false;
}

df_param *df_param_retain(df_param *p) {
  p->refs++;
  return p;
}

void df_param_release(df_param *p) {
  if (!p || --p->refs > 0) return;
  df_tensor_release(p->init.given);
  df_tensor_release(p->source);
  df_tensor_release(p->value);
  free(p->name);
  free(p);
}

void df_param_forget(df_param *p) {
  df_tensor_release(p->leaf.grad);
  p->leaf.grad = NULL;
  p->leaf.arrived = false;
}

df_int df_param_count(const df_param *p) { return df_shape_count(&p->shape); }

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static uint64_t hash(const char *text) {
  uint64_t h = 0xCBF29CE484222325u;
  for (; *text; text++) h = (h ^ (unsigned char)*text) * 0x100000001B3u;
  return h;
}

static df_random key_of(const df_param *p, uint64_t seed) {
  uint64_t h = hash(p->name);
  return (df_random){ seed, DF_STREAM_INIT, (uint32_t)(h >> 32), (uint32_t)h };
}

static void start_zero(const df_param *p, df_real *w, df_int n, const df_random *key) {
  (void)p, (void)key;
  memset(w, 0, (size_t)n * sizeof *w);
}

static void start_one(const df_param *p, df_real *w, df_int n, const df_random *key) {
  (void)p, (void)key;
  for (df_int i = 0; i < n; i++) w[i] = 1;
}

static void start_uniform(const df_param *p, df_real *w, df_int n, const df_random *key) {
  const double scale = p->init.scale;
  df_kernel()->uniform(w, 0, n, key);
  for (df_int i = 0; i < n; i++) w[i] = (df_real)(scale * (2 * (double)w[i] - 1));
}

static void start_normal(const df_param *p, df_real *w, df_int n, const df_random *key) {
  const df_real scale = (df_real)p->init.scale;
  df_kernel()->normal(w, 0, n, key);
  for (df_int i = 0; i < n; i++) w[i] *= scale;
}

static void start_given(const df_param *p, df_real *w, df_int n, const df_random *key) {
  (void)w, (void)n, (void)key;
  df_tensor_copy(p->value, p->init.given);
}

typedef void starter(const df_param *p, df_real *w, df_int n, const df_random *key);

static starter *const start[] = {
  [DF_INIT_ZERO] = start_zero,       [DF_INIT_ONE] = start_one,
  [DF_INIT_UNIFORM] = start_uniform, [DF_INIT_NORMAL] = start_normal,
  [DF_INIT_GIVEN] = start_given,
};

void df_param_start(df_param *p, uint64_t seed) {
  const df_random key = key_of(p, seed);
  if (p->source) df_tensor_copy(p->value, p->source);
  else start[p->init.kind](p, df_tensor_reals(p->value), df_param_count(p), &key);
  df_tensor_touch(p->value);
  df_tensor_release(p->init.given);
  p->init.given = NULL;
}
