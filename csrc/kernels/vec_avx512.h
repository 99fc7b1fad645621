/* The operations of vec.h in AVX-512 F, BW, DQ and VL. Vectors have 16 floats. */
#ifndef df_vec_avx512_h
#define df_vec_avx512_h

#include "base/base.h"

#include <immintrin.h>

#define VL 16

typedef __m512 V;
typedef __mmask16 M;
typedef __m512i U;

static inline M vfirst(df_int n) { return (M)(n >= VL ? 0xffff : (1u << n) - 1); }

static inline V vload(const float *p, df_int n) {
  return n >= VL ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(vfirst(n), p);
}
static inline void vstore(float *p, V v, df_int n) {
  if (n >= VL) _mm512_storeu_ps(p, v);
  else _mm512_mask_storeu_ps(p, vfirst(n), v);
}
static inline V vset1(float a) { return _mm512_set1_ps(a); }

static inline V vadd(V a, V b) { return _mm512_add_ps(a, b); }
static inline V vsub(V a, V b) { return _mm512_sub_ps(a, b); }
static inline V vmul(V a, V b) { return _mm512_mul_ps(a, b); }
static inline V vdiv(V a, V b) { return _mm512_div_ps(a, b); }
static inline V vfma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
static inline V vneg(V a) { return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f)); }
static inline V vabs(V a) { return _mm512_abs_ps(a); }
static inline V vsqrt(V a) { return _mm512_sqrt_ps(a); }
static inline V vfloor(V a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
static inline V vround(V a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline V vmax(V a, V b) { return _mm512_max_ps(a, b); }
static inline V vmin(V a, V b) { return _mm512_min_ps(a, b); }

static inline M vlt(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline M vle(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
static inline M veq(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
static inline M visnan(V a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
static inline bool vany(M m) { return m != 0; }
static inline V vselect(M m, V a, V b) { return _mm512_mask_blend_ps(m, b, a); }
static inline V vscale(V v, V k) { return _mm512_scalef_ps(v, k); }

static inline double vsum(V a) {
  __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(a));
  __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1));
  return _mm512_reduce_add_pd(_mm512_add_pd(low, high));
}

static inline U ubits(V a) { return _mm512_castps_si512(a); }
static inline V vbits(U a) { return _mm512_castsi512_ps(a); }
static inline U uround(V a) { return _mm512_cvtps_epi32(a); }
static inline V unumber(U a) { return _mm512_cvtepi32_ps(a); }
static inline U uset1(uint32_t a) { return _mm512_set1_epi32((int)a); }
static inline U uadd(U a, U b) { return _mm512_add_epi32(a, b); }
static inline U usub(U a, U b) { return _mm512_sub_epi32(a, b); }
static inline U uand(U a, U b) { return _mm512_and_si512(a, b); }
static inline U uxor(U a, U b) { return _mm512_xor_si512(a, b); }
static inline U ushl(U a, int k) { return _mm512_slli_epi32(a, (unsigned)k); }
static inline U ushr(U a, int k) { return _mm512_srli_epi32(a, (unsigned)k); }
static inline U usar(U a, int k) { return _mm512_srai_epi32(a, (unsigned)k); }
static inline M utest(U a, int k) {
  return _mm512_test_epi32_mask(a, _mm512_set1_epi32(1 << k));
}
static inline M ubelow(U a, U b) { return _mm512_cmplt_epu32_mask(a, b); }
static inline U ulanes(void) {
  return _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
}
static inline U uload(const uint32_t *p) { return _mm512_loadu_si512(p); }
static inline void ustore(uint16_t *p, U a) { _mm512_storeu_si512(p, a); }
static inline U umul(U a, uint32_t k, U *high) {
  U factor = uset1(k), even = _mm512_mul_epu32(a, factor);
  U odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), factor);
  *high = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
  return _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}

/* Interleaves pairs, then quadruples within 128 bits, then 4 x 4 blocks of 128 bits. */
static inline void ustore4(uint32_t *p, U a, U b, U c, U d) {
  U ab0 = _mm512_unpacklo_epi32(a, b), ab2 = _mm512_unpackhi_epi32(a, b);
  U cd0 = _mm512_unpacklo_epi32(c, d), cd2 = _mm512_unpackhi_epi32(c, d);
  U q0 = _mm512_unpacklo_epi64(ab0, cd0), q1 = _mm512_unpackhi_epi64(ab0, cd0);
  U q2 = _mm512_unpacklo_epi64(ab2, cd2), q3 = _mm512_unpackhi_epi64(ab2, cd2);
  U even0 = _mm512_shuffle_i32x4(q0, q1, 0x88),
    even2 = _mm512_shuffle_i32x4(q2, q3, 0x88);
  U odd0 = _mm512_shuffle_i32x4(q0, q1, 0xdd), odd2 = _mm512_shuffle_i32x4(q2, q3, 0xdd);
  _mm512_storeu_si512(p, _mm512_shuffle_i32x4(even0, even2, 0x88));
  _mm512_storeu_si512(p + 16, _mm512_shuffle_i32x4(odd0, odd2, 0x88));
  _mm512_storeu_si512(p + 32, _mm512_shuffle_i32x4(even0, even2, 0xdd));
  _mm512_storeu_si512(p + 48, _mm512_shuffle_i32x4(odd0, odd2, 0xdd));
}
static inline void vstore4(float *p, V a, V b, V c, V d) {
  ustore4((uint32_t *)p, ubits(a), ubits(b), ubits(c), ubits(d));
}

static inline __m256i load_halves(const uint16_t *p, df_int n) {
  return _mm256_maskz_loadu_epi16(vfirst(n), p);
}
static inline U uload16(const uint16_t *p, df_int n) {
  return _mm512_cvtepu16_epi32(load_halves(p, n));
}
static inline void ustore16(uint16_t *p, U a, df_int n) {
  _mm256_mask_storeu_epi16(p, vfirst(n), _mm512_cvtepi32_epi16(a));
}
static inline V vload_f16(const uint16_t *p, df_int n) {
  return _mm512_cvtph_ps(load_halves(p, n));
}
static inline void vstore_f16(uint16_t *p, V v, df_int n) {
  __m256i half = _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  _mm256_mask_storeu_epi16(p, vfirst(n), half);
}

/* The rounding instruction treats subnormals as 0. */
#ifdef __AVX512BF16__
#define HAVE_UPPER_HALF
static inline __m256i bf16_of(V a) { return (__m256i)_mm512_cvtneps_pbh(a); }
static inline U upper_half(V a) { return _mm512_cvtepu16_epi32(bf16_of(a)); }
static inline U upair(V a, V b) {
  const U turns =
      _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23,
                       7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(turns, (U)_mm512_cvtne2ps_pbh(b, a));
}
static inline void vstore2_bf16(uint16_t *p, V a, V b) {
  _mm512_storeu_si512(p, (U)_mm512_cvtne2ps_pbh(b, a));
}
static inline void vstore_bf16(uint16_t *p, V v, df_int n) {
  if (n >= VL) _mm256_storeu_si256((void *)p, bf16_of(v));
  else _mm256_mask_storeu_epi16(p, vfirst(n), bf16_of(v));
}
#endif

#include "kernels/vec_math.h"

/* 28 sums, 2 weights and an x: 31 of 32 registers. */
#define MR 14
#define NR 2
/* 24 sums, and 8 registers for weights. */
#define FEW_TILES 4

#endif
