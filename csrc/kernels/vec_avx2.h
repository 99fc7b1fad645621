/* The operations of vec.h in AVX2 with FMA and F16C. Vectors have eight floats. */
#ifndef df_vec_avx2_h
#define df_vec_avx2_h

#include "base/base.h"

#include <immintrin.h>
#include <string.h>

#define VL 8

typedef __m256 V;
typedef __m256 M; /* all bits of a lane, or none */
typedef __m256i U;

static inline __m256i first_lanes(df_int n) {
  static const int32_t lane[2 * VL] = { -1, -1, -1, -1, -1, -1, -1, -1 };
  return _mm256_loadu_si256((const __m256i *)(lane + VL - (n < VL ? n : VL)));
}
static inline M vfirst(df_int n) { return _mm256_castsi256_ps(first_lanes(n)); }

static inline V vload(const float *p, df_int n) {
  return n >= VL ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first_lanes(n));
}
static inline void vstore(float *p, V v, df_int n) {
  if (n >= VL) _mm256_storeu_ps(p, v);
  else _mm256_maskstore_ps(p, first_lanes(n), v);
}
static inline V vset1(float a) { return _mm256_set1_ps(a); }

static inline V vadd(V a, V b) { return _mm256_add_ps(a, b); }
static inline V vsub(V a, V b) { return _mm256_sub_ps(a, b); }
static inline V vmul(V a, V b) { return _mm256_mul_ps(a, b); }
static inline V vdiv(V a, V b) { return _mm256_div_ps(a, b); }
static inline V vfma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
static inline V vneg(V a) { return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f)); }
static inline V vabs(V a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline V vsqrt(V a) { return _mm256_sqrt_ps(a); }
static inline V vfloor(V a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
static inline V vround(V a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline V vmax(V a, V b) { return _mm256_max_ps(a, b); }
static inline V vmin(V a, V b) { return _mm256_min_ps(a, b); }

static inline M vlt(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
static inline M vle(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
static inline M veq(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
static inline M visnan(V a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
static inline bool vany(M m) { return _mm256_movemask_ps(m) != 0; }
static inline V vselect(M m, V a, V b) { return _mm256_blendv_ps(b, a, m); }

static inline double vsum(V a) {
  float lane[VL];
  double s = 0;
  vstore(lane, a, VL);
  for (int k = 0; k < VL; k++) s += (double)lane[k];
  return s;
}

static inline U ubits(V a) { return _mm256_castps_si256(a); }
static inline V vbits(U a) { return _mm256_castsi256_ps(a); }
static inline U uround(V a) { return _mm256_cvtps_epi32(a); }
static inline V unumber(U a) { return _mm256_cvtepi32_ps(a); }
static inline U uset1(uint32_t a) { return _mm256_set1_epi32((int)a); }
static inline U uadd(U a, U b) { return _mm256_add_epi32(a, b); }
static inline U usub(U a, U b) { return _mm256_sub_epi32(a, b); }
static inline U uand(U a, U b) { return _mm256_and_si256(a, b); }
static inline U uxor(U a, U b) { return _mm256_xor_si256(a, b); }
static inline U ushl(U a, int k) { return _mm256_slli_epi32(a, k); }
static inline U ushr(U a, int k) { return _mm256_srli_epi32(a, k); }
static inline U usar(U a, int k) { return _mm256_srai_epi32(a, k); }
static inline M utest(U a, int k) { /* blendv and vany read only the sign */
  return vbits(ushl(a, 31 - k));
}
static inline M ubelow(U a, U b) {
  U sign = uset1(0x80000000u); /* AVX2 compares signed integers only */
  return vbits(_mm256_cmpgt_epi32(uxor(b, sign), uxor(a, sign)));
}
static inline U ulanes(void) { return _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0); }
static inline U uload(const uint32_t *p) {
  return _mm256_loadu_si256((const __m256i *)p);
}
static inline void ustore(uint16_t *p, U a) { _mm256_storeu_si256((__m256i *)p, a); }
static inline U umul(U a, uint32_t k, U *high) {
  U factor = uset1(k), even = _mm256_mul_epu32(a, factor);
  U odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), factor);
  *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
  return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}

/* v 2^k by two factors, because one float cannot hold 2^-150. */
static inline V vscale(V v, V k) {
  U whole = uround(k), half = usar(whole, 1), bias = uset1(127);
  V one = vbits(ushl(uadd(half, bias), 23));
  V two = vbits(ushl(uadd(usub(whole, half), bias), 23));
  return vmul(vmul(v, one), two);
}

/* Interleaves pairs, then quadruples within 128 bits, then the 128-bit halves. */
static inline void ustore4(uint32_t *p, U a, U b, U c, U d) {
  U ab0 = _mm256_unpacklo_epi32(a, b), ab2 = _mm256_unpackhi_epi32(a, b);
  U cd0 = _mm256_unpacklo_epi32(c, d), cd2 = _mm256_unpackhi_epi32(c, d);
  U q0 = _mm256_unpacklo_epi64(ab0, cd0), q1 = _mm256_unpackhi_epi64(ab0, cd0);
  U q2 = _mm256_unpacklo_epi64(ab2, cd2), q3 = _mm256_unpackhi_epi64(ab2, cd2);
  __m256i *out = (__m256i *)p;
  _mm256_storeu_si256(out + 0, _mm256_permute2x128_si256(q0, q1, 0x20));
  _mm256_storeu_si256(out + 1, _mm256_permute2x128_si256(q2, q3, 0x20));
  _mm256_storeu_si256(out + 2, _mm256_permute2x128_si256(q0, q1, 0x31));
  _mm256_storeu_si256(out + 3, _mm256_permute2x128_si256(q2, q3, 0x31));
}
static inline void vstore4(float *p, V a, V b, V c, V d) {
  ustore4((uint32_t *)p, ubits(a), ubits(b), ubits(c), ubits(d));
}

static inline __m128i load_halves(const uint16_t *p, df_int n) {
  if (n >= VL) return _mm_loadu_si128((const __m128i *)p);
  uint16_t lane[VL] = { 0 };
  for (df_int k = 0; k < n; k++) lane[k] = p[k];
  return _mm_loadu_si128((const __m128i *)lane);
}
static inline void store_halves(uint16_t *p, __m128i v, df_int n) {
  if (n >= VL) {
    _mm_storeu_si128((__m128i *)p, v);
    return;
  }
  uint16_t lane[VL];
  _mm_storeu_si128((__m128i *)lane, v);
  for (df_int k = 0; k < n; k++) p[k] = lane[k];
}
static inline U uload16(const uint16_t *p, df_int n) {
  return _mm256_cvtepu16_epi32(load_halves(p, n));
}
static inline void ustore16(uint16_t *p, U a, df_int n) {
  __m128i low = _mm256_castsi256_si128(a), high = _mm256_extracti128_si256(a, 1);
  store_halves(p, _mm_packus_epi32(low, high), n);
}
static inline V vload_f16(const uint16_t *p, df_int n) {
  return _mm256_cvtph_ps(load_halves(p, n));
}
static inline void vstore_f16(uint16_t *p, V v, df_int n) {
  store_halves(p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT), n);
}

#include "kernels/vec_math.h"

/* 12 sums, 2 weights and an x: 15 of 16 registers. */
#define MR 6
#define NR 2
/* 12 sums, and 4 registers for weights. */
#define FEW_TILES 2

#endif
