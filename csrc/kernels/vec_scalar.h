/* The operations of vec.h without vector instructions. A vector is one real, and
** functions come from libm in the precision of df_real. This is the reference for the
** others, and core64 uses nothing else. */
#ifndef df_vec_scalar_h
#define df_vec_scalar_h

#include "base/base.h"

#include <string.h>
#include <tgmath.h>

#define VL 1

typedef df_real V;
typedef bool M;
typedef uint32_t U;

static inline V vload(const df_real *p, df_int n) { return n > 0 ? *p : 0; }
static inline void vstore(df_real *p, V v, df_int n) {
  if (n > 0) *p = v;
}
static inline V vset1(df_real a) { return a; }
static inline void vstore4(df_real *p, V a, V b, V c, V d) {
  p[0] = a, p[1] = b, p[2] = c, p[3] = d;
}

static inline V vadd(V a, V b) { return a + b; }
static inline V vsub(V a, V b) { return a - b; }
static inline V vmul(V a, V b) { return a * b; }
static inline V vdiv(V a, V b) { return a / b; }
static inline V vfma(V a, V b, V c) { return a * b + c; }
static inline V vneg(V a) { return -a; }
static inline V vabs(V a) { return fabs(a); }
static inline V vsqrt(V a) { return sqrt(a); }
static inline V vfloor(V a) { return floor(a); }
static inline V vround(V a) { return rint(a); }
static inline V vmax(V a, V b) { return a > b ? a : b; }
static inline V vmin(V a, V b) { return a < b ? a : b; }

static inline M vlt(V a, V b) { return a < b; }
static inline M vle(V a, V b) { return a <= b; }
static inline M veq(V a, V b) { return a == b; }
static inline M visnan(V a) { return a != a; }
static inline M vfirst(df_int n) { return n > 0; }
static inline V vselect(M m, V a, V b) { return m ? a : b; }

static inline V vexp(V a) { return exp(a); }
static inline V vexp_near(V a) { return exp(a); }
static inline V vpower(V a) { return exp2(a); }
static inline V vlog(V a) { return log(a); }
static inline V vsin(V a) { return sin(a); }
static inline V vcos(V a) { return cos(a); }
static inline V vtanh(V a) { return tanh(a); }
static inline V verf(V a) { return erf(a); }
static inline V verfc(V a) { return erfc(a); }
static inline V vbell(V a) { return exp(-a * a); }
/* Computed in double, since exp magnifies the error of the square. For x >= 9 it uses the
** asymptotic series 1 - q + 3 q^2 - 15 q^3 ... with q = 1 / (2 a^2). The 11th term is
** below 1e-14. */
static inline V verfcx(V a) {
  double x = (double)a, q = 0.5 / (x * x), s = 1;
  if (x < 9) return (df_real)(exp(x * x) * erfc(x));
  for (int n = 10; n > 0; n--) s = 1 - (2 * n - 1) * q * s;
  return (df_real)(s / (x * 1.7724538509055160273));
}
static inline V vlog_erfc(V a) {
  if (fabs(a) < (df_real)0.5) return log1p(-erf(a));
  return a < 1 ? log(erfc(a)) : log(verfcx(a)) - a * a;
}
static inline void vturn(V u, V *s, V *c) {
  V angle = (df_real)6.283185307179586477 * u;
  *s = sin(angle), *c = cos(angle);
}

static inline double vsum(V a) { return (double)a; }

/* Packs a real into a small float with `digits` fraction bits and smallest exponent
** `least` (f16: 10, -14; bf16: 7, -126). It is rounded once, half to even. small_unpack
** is the inverse. */
static inline uint16_t small_pack(df_real x, int digits, int least) {
  uint32_t sign = signbit(x) ? 0x8000u : 0;
  uint32_t infinity = (uint32_t)(2 - 2 * least + 1) << digits;
  double a = fabs((double)x);
  if (a != a) return (uint16_t)(sign | infinity | 1u << (digits - 1));
  if (a >= ldexp(1.0, 2 - least)) return (uint16_t)(sign | infinity);
  int e = a > 0 ? ilogb(a) : least;
  if (e < least) e = least;
  uint32_t steps = (uint32_t)rint(ldexp(a, digits - e)); /* may carry into the exponent */
  return (uint16_t)(sign | (((uint32_t)(e - least) << digits) + steps));
}
static inline df_real small_unpack(uint16_t x, int digits, int least) {
  int field = (x & 0x7fff) >> digits, fraction = x & ((1 << digits) - 1);
  df_real sign = x & 0x8000 ? -1 : 1;
  if (field == 3 - 2 * least) return fraction ? (df_real)NAN : sign * (df_real)INFINITY;
  if (field > 0) fraction += 1 << digits;
  return sign * ldexp((df_real)fraction, (field > 0 ? field : 1) + least - 1 - digits);
}

static inline V vload_f16(const uint16_t *p, df_int n) {
  return n > 0 ? small_unpack(*p, 10, -14) : 0;
}
static inline void vstore_f16(uint16_t *p, V v, df_int n) {
  if (n > 0) *p = small_pack(v, 10, -14);
}
static inline V vload_bf16(const uint16_t *p, df_int n) {
  return n > 0 ? small_unpack(*p, 7, -126) : 0;
}
static inline void vstore_bf16(uint16_t *p, V v, df_int n) {
  if (n > 0) *p = small_pack(v, 7, -126);
}
static inline void vstore2_bf16(uint16_t *p, V a, V b) {
  vstore_bf16(p, a, 1);
  vstore_bf16(p + 1, b, 1);
}
static inline V vround_bf16(V v) { return small_unpack(small_pack(v, 7, -126), 7, -126); }

static inline U uset1(uint32_t a) { return a; }
static inline U uadd(U a, U b) { return a + b; }
static inline U uxor(U a, U b) { return a ^ b; }
static inline U ushr(U a, int k) { return a >> k; }
static inline U ushl(U a, int k) { return a << k; }
static inline U ulanes(void) { return 0; }
static inline U uload(const uint32_t *p) { return *p; }
static inline void ustore(uint16_t *p, U a) { memcpy(p, &a, sizeof a); }
static inline U uload16(const uint16_t *p, df_int n) { return n > 0 ? *p : 0; }
static inline U upair(V a, V b) {
  return small_pack(a, 7, -126) | (uint32_t)small_pack(b, 7, -126) << 16;
}
static inline V vlower(U u) { return small_unpack((uint16_t)u, 7, -126); }
static inline V vupper(U u) { return small_unpack((uint16_t)(u >> 16), 7, -126); }
static inline void ustore4(uint32_t *p, U a, U b, U c, U d) {
  p[0] = a, p[1] = b, p[2] = c, p[3] = d;
}
static inline U umul(U a, uint32_t k, U *high) {
  uint64_t product = (uint64_t)a * k;
  *high = (uint32_t)(product >> 32);
  return (uint32_t)product;
}
static inline M ubelow(U a, U b) { return a < b; }
static inline V unumber(U a) { return (df_real)a; }

/* Compiler vectors of 16 bytes, which any 64-bit machine has; four rows by two
** vectors. */
#define RL        ((df_int)(16 / sizeof(df_real)))
#define MR        4
#define NR        2
#define FEW_TILES 1

typedef df_real R __attribute__((vector_size(16)));

static inline R rload(const df_real *p) {
  R r;
  memcpy(&r, p, sizeof r);
  return r;
}
static inline R rset1(df_real a) { return a - (R){ 0 }; }
static inline R radd(R a, R b) { return a + b; }
static inline R rfma(R a, R b, R c) { return a * b + c; }
static inline R rload_n(const df_real *p, df_int n) {
  R r = { 0 };
  memcpy(&r, p, (size_t)df_min(n, RL) * sizeof(df_real));
  return r;
}
static inline void rstore(df_real *p, R r, df_int n) {
  memcpy(p, &r, (size_t)df_min(n, RL) * sizeof(df_real));
}

/* Pairs of bf16; each number is widened to a real. */
typedef struct P {
  R even, odd;
} P;
#define HAVE_PAIRS

static inline df_real widened(uint16_t x) {
  uint32_t bits = (uint32_t)x << 16;
  float wide;
  memcpy(&wide, &bits, sizeof wide);
  return (df_real)wide;
}
static inline P pload(const uint16_t *p) {
  P a;
  for (int k = 0; k < RL; k++)
    a.even[k] = widened(p[2 * k]), a.odd[k] = widened(p[2 * k + 1]);
  return a;
}
static inline P pset1(const uint16_t *p) {
  return (P){ rset1(widened(p[0])), rset1(widened(p[1])) };
}

#endif
