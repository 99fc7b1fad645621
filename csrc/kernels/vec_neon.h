/* The operations of vec.h in AArch64's NEON. Vectors have four floats. */
#ifndef df_vec_neon_h
#define df_vec_neon_h

#include "base/base.h"

#include <arm_neon.h>

#define VL 4

typedef float32x4_t V;
typedef uint32x4_t M; /* all bits of a lane, or none */
typedef uint32x4_t U;

static inline U ulanes(void) {
  static const uint32_t lane[VL] = { 0, 1, 2, 3 };
  return vld1q_u32(lane);
}
static inline M vfirst(df_int n) {
  return vcltq_u32(ulanes(), vdupq_n_u32((uint32_t)(n < VL ? n : VL)));
}

static inline V vload(const float *p, df_int n) {
  if (n >= VL) return vld1q_f32(p);
  float lane[VL] = { 0 };
  for (df_int k = 0; k < n; k++) lane[k] = p[k];
  return vld1q_f32(lane);
}
static inline void vstore(float *p, V v, df_int n) {
  if (n >= VL) {
    vst1q_f32(p, v);
    return;
  }
  float lane[VL];
  vst1q_f32(lane, v);
  for (df_int k = 0; k < n; k++) p[k] = lane[k];
}
static inline V vset1(float a) { return vdupq_n_f32(a); }
static inline void vstore4(float *p, V a, V b, V c, V d) {
  vst4q_f32(p, (float32x4x4_t){ { a, b, c, d } });
}

static inline V vadd(V a, V b) { return vaddq_f32(a, b); }
static inline V vsub(V a, V b) { return vsubq_f32(a, b); }
static inline V vmul(V a, V b) { return vmulq_f32(a, b); }
static inline V vdiv(V a, V b) { return vdivq_f32(a, b); }
static inline V vfma(V a, V b, V c) { return vfmaq_f32(c, a, b); }
static inline V vneg(V a) { return vnegq_f32(a); }
static inline V vabs(V a) { return vabsq_f32(a); }
static inline V vsqrt(V a) { return vsqrtq_f32(a); }
static inline V vfloor(V a) { return vrndmq_f32(a); }
static inline V vround(V a) { return vrndnq_f32(a); }

static inline M vlt(V a, V b) { return vcltq_f32(a, b); }
static inline M vle(V a, V b) { return vcleq_f32(a, b); }
static inline M veq(V a, V b) { return vceqq_f32(a, b); }
static inline M visnan(V a) { return vmvnq_u32(vceqq_f32(a, a)); }
static inline bool vany(M m) { return vmaxvq_u32(m) != 0; }
static inline V vselect(M m, V a, V b) { return vbslq_f32(m, a, b); }
static inline V vmax(V a, V b) { return vselect(vlt(b, a), a, b); } /* fmax prefers NaN */
static inline V vmin(V a, V b) { return vselect(vlt(a, b), a, b); }

static inline double vsum(V a) {
  float lane[VL];
  double s = 0;
  vstore(lane, a, VL);
  for (int k = 0; k < VL; k++) s += (double)lane[k];
  return s;
}

static inline U ubits(V a) { return vreinterpretq_u32_f32(a); }
static inline V vbits(U a) { return vreinterpretq_f32_u32(a); }
static inline U uround(V a) { return vreinterpretq_u32_s32(vcvtnq_s32_f32(a)); }
static inline V unumber(U a) { return vcvtq_f32_s32(vreinterpretq_s32_u32(a)); }
static inline U uset1(uint32_t a) { return vdupq_n_u32(a); }
static inline U uadd(U a, U b) { return vaddq_u32(a, b); }
static inline U usub(U a, U b) { return vsubq_u32(a, b); }
static inline U uand(U a, U b) { return vandq_u32(a, b); }
static inline U uxor(U a, U b) { return veorq_u32(a, b); }
static inline U ushl(U a, int k) { return vshlq_u32(a, vdupq_n_s32(k)); }
static inline U ushr(U a, int k) { return vshlq_u32(a, vdupq_n_s32(-k)); }
static inline U usar(U a, int k) {
  return vreinterpretq_u32_s32(vshlq_s32(vreinterpretq_s32_u32(a), vdupq_n_s32(-k)));
}
static inline M utest(U a, int k) { return vtstq_u32(a, vdupq_n_u32(1u << k)); }
static inline M ubelow(U a, U b) { return vcltq_u32(a, b); }
static inline U uload(const uint32_t *p) { return vld1q_u32(p); }
static inline void ustore4(uint32_t *p, U a, U b, U c, U d) {
  vst4q_u32(p, (uint32x4x4_t){ { a, b, c, d } });
}
static inline void ustore(uint16_t *p, U a) { vst1q_u16(p, vreinterpretq_u16_u32(a)); }
static inline U umul(U a, uint32_t k, U *high) {
  U factor = vdupq_n_u32(k);
  U one = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a), vget_low_u32(factor)));
  U two = vreinterpretq_u32_u64(vmull_high_u32(a, factor));
  *high = vuzp2q_u32(one, two);
  return vuzp1q_u32(one, two);
}

/* v 2^k by two factors, because one float cannot hold 2^-150. */
static inline V vscale(V v, V k) {
  U whole = uround(k), half = usar(whole, 1), bias = uset1(127);
  V one = vbits(ushl(uadd(half, bias), 23));
  V two = vbits(ushl(uadd(usub(whole, half), bias), 23));
  return vmul(vmul(v, one), two);
}

static inline uint16x4_t load_halves(const uint16_t *p, df_int n) {
  if (n >= VL) return vld1_u16(p);
  uint16_t lane[VL] = { 0 };
  for (df_int k = 0; k < n; k++) lane[k] = p[k];
  return vld1_u16(lane);
}
static inline void store_halves(uint16_t *p, uint16x4_t v, df_int n) {
  uint16_t lane[VL];
  vst1_u16(lane, v);
  for (df_int k = 0; k < (n < VL ? n : VL); k++) p[k] = lane[k];
}
static inline U uload16(const uint16_t *p, df_int n) {
  return vmovl_u16(load_halves(p, n));
}
static inline void ustore16(uint16_t *p, U a, df_int n) {
  store_halves(p, vmovn_u32(a), n);
}
static inline V vload_f16(const uint16_t *p, df_int n) {
  return vcvt_f32_f16(vreinterpret_f16_u16(load_halves(p, n)));
}
static inline void vstore_f16(uint16_t *p, V v, df_int n) {
  store_halves(p, vreinterpret_u16_f16(vcvt_f16_f32(v)), n);
}

#include "kernels/vec_math.h"

/* 24 sums, 2 weights and an x: 27 of 32 registers. */
#define MR 12
#define NR 2
/* 24 sums, and 8 registers for weights. */
#define FEW_TILES 4

#endif
