/* Random numbers from Philox blocks. Words 4k to 4k+3 belong to elements 4k to 4k+3 of
** the key. */
#include "kernels/vec.h"

/* Philox runs SETS sets of VL blocks at a time. Each round waits for the previous round
** of its set, so a second set fills the gap. 16 normals take 8.3 ns instead of 10.1 in
** AVX-512, and 17.7 ns instead of 27.2 in AVX2. A third set gains another 2 %. */
#define SETS  2
#define GROUP (4 * VL) /* elements of a set */
#define BATCH (SETS * GROUP)

/* The words of blocks `block` to `block` + SETS VL - 1. This is df_philox (base/philox.h)
** in lanes. */
static inline void philox(U c[SETS][4], uint32_t block, const df_random *key) {
  uint32_t k0 = (uint32_t)key->seed, k1 = (uint32_t)(key->seed >> 32);
  for (int s = 0; s < SETS; s++) {
    c[s][0] = uadd(uset1(block + (uint32_t)(s * VL)), ulanes()),
    c[s][1] = uset1(key->sample);
    c[s][2] = uset1(key->step), c[s][3] = uset1(key->stream);
  }
  for (int round = 0; round < 10; round++) {
    for (int s = 0; s < SETS; s++) {
      U h0, h1, l0 = umul(c[s][0], 0xD2511F53u, &h0),
                l1 = umul(c[s][2], 0xCD9E8D57u, &h1);
      c[s][0] = uxor(uxor(h1, c[s][1]), uset1(k0)), c[s][1] = l1;
      c[s][2] = uxor(uxor(h0, c[s][3]), uset1(k1)), c[s][3] = l0;
    }
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
}

/* Processes elements [first, first + n) in batches that begin at a block. f receives the
** words of a set and writes GROUP reals. */
INLINE void draw(df_real *y, df_int first, df_int n, const df_random *key,
                 void f(df_real *y, const U c[4])) {
  df_int skip = first % 4;
  uint32_t block = (uint32_t)(first / 4);
  for (df_int i = 0; i < n; block += SETS * VL) {
    U c[SETS][4];
    df_real part[BATCH];
    philox(c, block, key);
    df_int count = df_min(BATCH - skip, n - i);
    df_real *to = count == BATCH ? y + i : part;
    for (int s = 0; s < SETS; s++) f(to + s * GROUP, c[s]);
    if (count < BATCH) memcpy(y + i, part + skip, (size_t)count * sizeof *y);
    i += count, skip = 0;
  }
}

static inline V unit(U word) { /* df_unit; also exact in float */
  V steps = vadd(unumber(ushr(word, 9)), vset1((df_real)0.5));
  return vmul(steps, vset1((df_real)(1.0 / 8388608.0)));
}

static inline void units(df_real *y, const U c[4]) {
  vstore4(y, unit(c[0]), unit(c[1]), unit(c[2]), unit(c[3]));
}

static inline void box_muller(V u0, V u1, V *a, V *b) {
  V s, c, r = vsqrt(vmul(vset1(-2), vlog(u0)));
  vturn(u1, &s, &c);
  *a = vmul(r, c), *b = vmul(r, s);
}

static inline void normals(df_real *y, const U c[4]) {
  V z[4];
  box_muller(unit(c[0]), unit(c[1]), &z[0], &z[1]);
  box_muller(unit(c[2]), unit(c[3]), &z[2], &z[3]);
  vstore4(y, z[0], z[1], z[2], z[3]);
}

static void uniform(df_real *y, df_int first, df_int n, const df_random *key) {
  draw(y, first, n, key, units);
}

static void normal(df_real *y, df_int first, df_int n, const df_random *key) {
  draw(y, first, n, key, normals);
}

/* Half a word decides for each element, so one batch of blocks serves twice as many
** elements. Random numbers take nearly all of the time. */
static void dropout(df_real *y, const df_real *x, double keep, df_int first, df_int n,
                    const df_random *key) {
  double bound = rint((keep < 1 ? keep : 1) * 65536); /* halves below this are kept */
  if (bound < 1) {
    memset(y, 0, (size_t)n * sizeof *y);
    return;
  }
  U last = uset1((uint32_t)(bound - 1));
  V divisor = vset1((df_real)keep), zero = vset1(0);
  df_int skip = first % 8;
  uint32_t block = (uint32_t)(first / 8);
  for (df_int i = 0; i < n; block += SETS * VL) {
    U c[SETS][4];
    uint32_t word[BATCH];
    uint16_t half[2 * BATCH];
    philox(c, block, key);
    for (int s = 0; s < SETS; s++)
      ustore4(word + s * GROUP, c[s][0], c[s][1], c[s][2], c[s][3]);
    memcpy(half, word, sizeof half);
    df_int end = df_min(n, i + 2 * BATCH - skip);
    for (const uint16_t *h = half + skip; i < end; i += VL, h += VL) {
      V kept = vdiv(vload(x + i, end - i), divisor);
      M drop = ubelow(last, uload16(h, end - i));
      vstore(y + i, vselect(drop, zero, kept), end - i);
    }
    i = end, skip = 0;
  }
}
