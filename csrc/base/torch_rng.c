/* MT19937 and PyTorch's conversions. */
#include "base/torch_rng.h"

#include <math.h>

#define N   DF_TORCH_WORDS
#define M   397
#define TAU 6.283185307179586

void df_torch_seed(df_torch_rng *g, uint64_t seed) {
  g->word[0] = (uint32_t)seed;
  for (uint32_t i = 1; i < N; i++)
    g->word[i] = 1812433253u * (g->word[i - 1] ^ g->word[i - 1] >> 30) + i;
  g->used = N;
  g->cached = 0;
  g->cache = 0;
}

static void refill(df_torch_rng *g) {
  uint32_t *w = g->word;
  for (int i = 0; i < N; i++) {
    uint32_t next = w[(i + 1) % N];
    uint32_t y = (w[i] & 0x80000000u) | (next & 0x7fffffffu);
    w[i] = w[(i + M) % N] ^ y >> 1 ^ (next & 1 ? 0x9908b0dfu : 0);
  }
  g->used = 0;
}

static uint32_t draw(df_torch_rng *g) {
  if (g->used >= N) refill(g);
  uint32_t y = g->word[g->used++];
  y ^= y >> 11;
  y ^= y << 7 & 0x9d2c5680u;
  y ^= y << 15 & 0xefc60000u;
  return y ^ y >> 18;
}

static uint64_t draw_long(df_torch_rng *g) {
  uint64_t high = draw(g);
  return high << 32 | draw(g);
}

/* uniform in [0, 1): 24 bits; 53 bits */
static double unit(df_torch_rng *g) { return (double)(draw(g) & 0xffffffu) * 0x1p-24; }

static double unit_long(df_torch_rng *g) {
  return (double)(draw_long(g) & 0x1fffffffffffffu) * 0x1p-53;
}

void df_torch_uniform(df_torch_rng *g, df_real *y, df_int n) {
  for (df_int i = 0; i < n; i++) y[i] = (df_real)unit(g);
}

/* Short tensors draw pairs of doubles. The second number of a pair is cached. */
static double normal(df_torch_rng *g) {
  if (g->cached) {
    g->cached = 0;
    return g->cache;
  }
  double angle = TAU * unit_long(g), r = sqrt(-2 * log(1 - unit_long(g)));
  g->cached = 1;
  g->cache = r * sin(angle);
  return r * cos(angle);
}

/* Turns 16 uniform numbers into normal ones by Box-Muller: 0..7 give radii, 8..15 angles.
** PyTorch rounds the angle to float, and so does this. */
static void sixteen(df_real *y) {
  for (int i = 0; i < 8; i++) {
    float u = 1 - (float)y[i], angle = (float)TAU * (float)y[i + 8];
    float r = sqrtf(-2 * logf(u));
    y[i] = (df_real)(r * cosf(angle));
    y[i + 8] = (df_real)(r * sinf(angle));
  }
}

/* Long tensors draw uniform numbers first and convert them in groups of 16. If n is not a
** multiple of 16, the last 16 numbers are drawn again. */
void df_torch_normal(df_torch_rng *g, df_real *y, df_int n) {
  if (n < 16) {
    for (df_int i = 0; i < n; i++) y[i] = (df_real)normal(g);
    return;
  }
  df_torch_uniform(g, y, n);
  for (df_int i = 0; i + 16 <= n; i += 16) sixteen(y + i);
  if (n % 16 == 0) return;
  df_torch_uniform(g, y + n - 16, 16);
  sixteen(y + n - 16);
}

void df_torch_coin(df_torch_rng *g, df_real *y, df_int n, double p) {
  for (df_int i = 0; i < n; i++) y[i] = unit_long(g) < p;
}

void df_torch_whole(df_torch_rng *g, int64_t *y, df_int n, int64_t low, uint64_t range) {
  bool wide = range == 0 || range >= (uint64_t)1 << 28;
  for (df_int i = 0; i < n; i++) {
    uint64_t word = wide ? draw_long(g) : draw(g);
    y[i] = (int64_t)(range ? (uint64_t)low + word % range : word);
  }
}

void df_torch_permutation(df_torch_rng *g, int64_t *y, df_int n) {
  for (df_int i = 0; i < n; i++) y[i] = i + 1;
  for (df_int i = 0; i + 1 < n; i++) {
    df_int other = i + (df_int)(draw(g) % (uint64_t)(n - i));
    int64_t kept = y[i];
    y[i] = y[other], y[other] = kept;
  }
}
