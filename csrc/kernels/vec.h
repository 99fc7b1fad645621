/* The vector operations in which every body is written. vec_scalar.h, vec_avx2.h,
** vec_avx512.h and vec_neon.h define them for one instruction set each. A unit isa_*.c
** includes one of these files before the bodies. This file documents the operations, and
** defines those that can be composed from others.
**
** V is VL reals, M is one truth value per lane, and U is VL words of 32 bits. n is the
** number of elements left. Lanes from n on read 0 and are not written, so a body is one
** loop:
**     for (df_int i = 0; i < n; i += VL) vstore(y + i, vexp(vload(x + i, n - i)), n - i);
** The last elements then get the same bits as elements in the middle.
**
**   vload(p, n)  vstore(p, v, n)  vset1(a)  vstore4(p, a, b, c, d): p[4 i + j], full
**   vadd vsub vmul vdiv vneg vabs vsqrt vfloor vround (half to even)
**   vfma(a, b, c): a b + c, rounded once if the machine has FMA
**   vmax(a, b): a > b ? a : b, so NaN in either gives b; vmin likewise
**   vlt vle veq visnan -> M;  vfirst(n): the first n lanes;  vselect(m, a, b): m ? a : b
**   vexp vlog vsin vcos vtanh verf verfc vlog_erfc: relative error below 2e-6 in float,
**     correct at 0, infinities, NaN, denormal and huge arguments; libm in vec_scalar.h
**   verfcx(a): e^(a^2) erfc(a), a >= 1;  vbell(a): e^(-a^2)
**   vexp_near(a): vexp for |a| <= 104; in double for any a
**   vpower(a): 2^a for a < 127, 0 for a < -126.5 in float; NaN stays NaN
**   vturn(u, &s, &c): sin and cos of 2 pi u, u in [0, 1]
**   vsum(v) -> double: the sum of the lanes in a fixed order
**   vload_f16 vstore_f16 vload_bf16 vstore_bf16 vround_bf16: half to even, NaN stays NaN
**   uset1 uadd uxor ushr(a, k) ulanes (0, 1, 2 ...) ustore4; uload(p) is full
**   umul(a, k, &high): low half of a k;  ubelow(a, b) -> M: a < b, unsigned
**   unumber(a): to V, a < 2^24
**   R, RL lanes, rload(p), rload_n(p, n), rset1, rfma, radd, rstore(p, r, n): the vector
**     of the rows kernel; it is V, except in vec_scalar.h
**   MR, NR: rows and vectors of R in a register block
**   FEW_TILES: of winograd_few, 6 sums each
**   P: RL pairs of bf16; pload(p) full; pset1(p): one pair in all lanes; rdot(a, b, r):
**     r plus both products of each pair; PAIR_ROWS: rows in a register block of pairs
**   vstore2_bf16(p, a, b): a, then b, both full
**   upair(a, b): words with bf16 of a in the lower and of b in the upper half; ushl;
**     vlower(u), vupper(u): a and b again; uload16(p, n), ustore(p, u) full */
#ifndef df_vec_h
#define df_vec_h

#ifndef VL
#error "include one of vec_scalar.h, vec_avx2.h, vec_avx512.h, vec_neon.h first"
#endif

#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

#ifndef RL
#define RL VL
typedef V R;

static inline R rload(const df_real *p) { return vload(p, VL); }
static inline R rload_n(const df_real *p, df_int n) { return vload(p, n); }
static inline void rstore(df_real *p, R r, df_int n) { vstore(p, r, n); }
static inline R rset1(df_real a) { return vset1(a); }
static inline R radd(R a, R b) { return vadd(a, b); }
static inline R rfma(R a, R b, R c) { return vfma(a, b, c); }
#endif

/* Pairs of bf16 as two vectors of floats, unless the machine can multiply pairs
** directly. */
#ifndef HAVE_PAIRS
typedef struct P {
  R even, odd;
} P;

static inline P halves_of(U u) { return (P){ vlower(u), vupper(u) }; }
static inline P pload(const uint16_t *p) { return halves_of(uload((const uint32_t *)p)); }
static inline P pset1(const uint16_t *p) {
  uint32_t pair;
  memcpy(&pair, p, sizeof pair);
  return halves_of(uset1(pair));
}
#endif
#ifndef PAIR_ROWS
#define PAIR_ROWS 4
static inline R rdot(P a, P b, R s) {
  return rfma(a.odd, b.odd, rfma(a.even, b.even, s));
}
#endif

/* The result is NaN if a or b is NaN. */
static inline V vmax_nan(V a, V b) { return vselect(visnan(a), a, vmax(a, b)); }
static inline V vmin_nan(V a, V b) { return vselect(visnan(a), a, vmin(a, b)); }

/* p = beta p + v; p is not read if beta is 0. */
static inline void vsink(df_real *p, df_real beta, V v, df_int n) {
  vstore(p, beta == 0 ? v : vfma(vset1(beta), vload(p, n), v), n);
}

#endif
