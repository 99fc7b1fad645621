/* exp, log, sin, cos, tanh, erf, erfc, erfcx and ln erfc in float, for all vectors. The
** polynomials are minimax fits for the given intervals (Lawson's weights on Chebyshev
** points). Their relative error is below 1e-7 before rounding.
**
** This file needs more operations than vec.h lists:
**   ubits vbits: the same bits as U, as V;  uround: to the nearest integer
**   uand usub ushl usar (arithmetic shift);  utest(a, k): a has bit k;  vany(m)
**   vscale(v, k): v 2^k for integer -160 <= k <= 160
**   uload16(p, n)  ustore16(p, u, n) */
#ifndef df_vec_math_h
#define df_vec_math_h

#include <math.h>

/* c[0] + c[1] x + ... + c[n - 1] x^(n - 1) */
static inline __attribute__((always_inline)) V polynomial(V x, const float *c, int n) {
  V s = vset1(c[n - 1]);
  for (int k = n - 2; k >= 0; k--) s = vfma(s, x, vset1(c[k]));
  return s;
}

/* |x| <= 104: x = k ln 2 + r, |r| <= ln 2 / 2; e^r = 1 + r P(r) */
static inline V vexp_near(V x) {
  static const float p[] = { 9.999997020e-01f, 4.999914765e-01f, 1.666763872e-01f,
                             4.189816117e-02f, 8.290272206e-03f };
  V k = vround(vmul(x, vset1(1.44269504f)));
  V r = vfma(k, vset1(-0.693145752f), x); /* ln 2 in two parts, the first exact */
  r = vfma(k, vset1(-1.42860677e-06f), r);
  return vscale(vfma(r, polynomial(r, p, 5), vset1(1.0f)), k);
}

static inline V vexp(V x) { /* NaN stays; above and below: inf and 0 */
  return vexp_near(vmin(vset1(89.0f), vmax(vset1(-104.0f), x)));
}

/* x = k + r, |r| <= 1/2; 2^r = 1 + r P(r). Adding 1.5 2^23 + 127 rounds to an integer,
** whose low bits are then the exponent of 2^k; for k = -127 that is the exponent of 0.
** This takes half as many operations as vexp. */
static inline V vpower(V x) {
  static const float p[] = { 1.0f,
                             6.931470037e-01f,
                             2.402224243e-01f,
                             5.550733581e-02f,
                             9.671512991e-03f,
                             1.326472731e-03f };
  V magic = vset1(12582912.0f + 127);
  x = vmax(vset1(-127.0f), x);
  V sum = vadd(x, magic), r = vsub(x, vsub(sum, magic));
  return vmul(polynomial(r, p, 6), vbits(ushl(ubits(sum), 23)));
}

/* x = 2^k (1 + f), 1 + f in [sqrt 1/2, sqrt 2); ln(1 + f) = f - f^2/2 + f^3 P(f) */
static inline V vlog(V x) {
  static const float p[] = { 3.333333171e-01f,  -2.500082103e-01f, 2.000122688e-01f,
                             -1.662335737e-01f, 1.420175786e-01f,  -1.316018199e-01f,
                             1.276157789e-01f,  -7.634498635e-02f };
  V zero = vset1(0.0f), infinity = vset1(INFINITY);
  M tiny = vlt(x, vset1(1.17549435e-38f)); /* denormal: scaled by 2^23 */
  U u = ubits(vselect(tiny, vmul(x, vset1(8388608.0f)), x));
  U e = usar(usub(u, uset1(0x3f3504f3u)), 23);
  V k = vadd(unumber(e), vselect(tiny, vset1(-23.0f), zero));
  V f = vsub(vbits(usub(u, ushl(e, 23))), vset1(1.0f)), f2 = vmul(f, f);
  V r = vmul(vmul(f2, f), polynomial(f, p, 8));
  r = vfma(k, vset1(-2.12194440e-04f), vfma(f2, vset1(-0.5f), r));
  r = vfma(k, vset1(0.693359375f), vadd(f, r)); /* ln 2 in two parts */
  r = vselect(veq(x, infinity), infinity, r);
  r = vselect(veq(x, zero), vneg(infinity), r);
  return vselect(vle(zero, x), r, vset1(NAN));
}

/* sin(r + j pi / 2) for |r| <= pi / 4; *next is the value for j + 1 */
static inline V sine_quarter(V r, U j, V *next) {
  static const float p[] = { -1.666665387e-01f, 8.332113280e-03f, -1.950877381e-04f };
  static const float q[] = { 4.166664566e-02f, -1.388730635e-03f, 2.443124112e-05f };
  V z = vmul(r, r);
  V s = vfma(vmul(z, r), polynomial(z, p, 3), r);
  V c = vfma(z, vfma(z, polynomial(z, q, 3), vset1(-0.5f)), vset1(1.0f));
  M odd = utest(j, 0);
  U minus = ushl(uand(j, uset1(2)), 30);
  U turned = ushl(uand(uadd(j, uset1(1)), uset1(2)), 30);
  *next = vbits(uxor(ubits(vselect(odd, s, c)), turned));
  return vbits(uxor(ubits(vselect(odd, c, s)), minus));
}

#define FAR 65536.0f /* above this, pi in two floats is not enough: libm per lane */

static inline V far_lanes(V x, V y, float f(float)) {
  if (!vany(vlt(vset1(FAR), vabs(x)))) return y;
  float from[VL], to[VL];
  vstore(from, x, VL), vstore(to, y, VL);
  for (int k = 0; k < VL; k++)
    if (fabsf(from[k]) > FAR) to[k] = f(from[k]);
  return vload(to, VL);
}

static inline V quarters(V x, V *r) { /* x = k pi / 2 + r */
  V k = vround(vmul(x, vset1(0.636619772f)));
  *r = vfma(k, vset1(4.37113883e-08f), vfma(k, vset1(-1.57079637f), x));
  return k;
}

static inline V vsin(V x) {
  V r, next, k = quarters(x, &r);
  V s = sine_quarter(r, uround(k), &next);
  s = vselect(veq(x, vset1(0.0f)), x, s); /* -0 */
  return far_lanes(x, s, sinf);
}

static inline V vcos(V x) {
  V r, c, k = quarters(x, &r);
  sine_quarter(r, uround(k), &c);
  return far_lanes(x, c, cosf);
}

static inline void vturn(V u, V *s, V *c) {
  V k = vround(vmul(u, vset1(4.0f)));
  V r = vmul(vfma(k, vset1(-0.25f), u), vset1(6.28318531f)); /* the difference is exact */
  *s = sine_quarter(r, uround(k), c);
}

/* x + x^3 P(x^2) near 0, else 1 - 2 / (e^2x + 1) */
static inline V vtanh(V x) {
  static const float p[] = { -3.333328194e-01f, 1.333144220e-01f, -5.373971509e-02f,
                             2.063908727e-02f, -5.704987037e-03f };
  V a = vabs(x), z = vmul(x, x), one = vset1(1.0f);
  V small = vfma(vmul(z, x), polynomial(z, p, 5), x);
  V large = vsub(one, vdiv(vset1(2.0f), vadd(vexp(vadd(a, a)), one)));
  large = vselect(vlt(x, vset1(0.0f)), vneg(large), large);
  return vselect(vlt(a, vset1(0.625f)), small, large);
}

static inline V erf_near(V x) { /* x P(x^2), |x| < 1 */
  static const float p[] = { 1.128379166e+00f,  -3.761262582e-01f, 1.128358515e-01f,
                             -2.685381193e-02f, 5.188327683e-03f,  -8.010193603e-04f,
                             7.853861281e-05f };
  return vmul(x, polynomial(vmul(x, x), p, 7));
}

static inline V verfcx(V a) { /* t P(t), t = 1 / (1 + a) */
  static const float p[] = { 5.641895533e-01f,  5.641903877e-01f,  2.821788490e-01f,
                             -2.864869535e-01f, -6.273387671e-01f, -8.283342123e-01f,
                             4.926704884e+00f,  -6.171231270e+00f, 2.681768894e+00f };
  V t = vdiv(vset1(1.0f), vadd(a, vset1(1.0f)));
  return vmul(t, polynomial(t, p, 9));
}

/* Corrects for the rounding of a^2, which exp magnifies. */
static inline V vbell(V a) {
  a = vmin(vset1(10.5f), vabs(a)); /* above: 0 */
  V square = vmul(a, a), rest = vfma(a, a, vneg(square)), bell = vexp(vneg(square));
  return vfma(vneg(bell), rest, bell);
}

static inline V erfc_far(V a) { return vmul(vbell(a), verfcx(a)); } /* a >= 1 */

static inline V verf(V x) {
  V a = vabs(x), large = vsub(vset1(1.0f), erfc_far(a));
  large = vselect(vlt(x, vset1(0.0f)), vneg(large), large);
  return vselect(vlt(a, vset1(1.0f)), erf_near(x), large);
}

static inline V verfc(V x) {
  V a = vabs(x), far = erfc_far(a);
  far = vselect(vlt(x, vset1(0.0f)), vsub(vset1(2.0f), far), far);
  return vselect(vlt(a, vset1(1.0f)), vsub(vset1(1.0f), erf_near(x)), far);
}

/* x P(x) near 0; ln erfc(x) for x < 0; -x^2 + ln erfcx(x) for x > 0 */
static inline V vlog_erfc(V x) {
  static const float p[] = { -1.128379226e+00f, -6.366198063e-01f, -1.027724445e-01f,
                             1.912903413e-02f,  2.077521640e-04f,  -1.699676155e-03f,
                             5.949898041e-04f,  -1.767085087e-05f, -7.201689004e-05f,
                             2.152013622e-05f,  1.978584123e-06f };
  V a = vabs(x), zero = vset1(0.0f);
  M below = vlt(x, zero);
  V large = vlog(vselect(below, verfc(x), verfcx(a)));
  large = vsub(large, vselect(below, zero, vmul(a, a)));
  V small = vmul(x, polynomial(x, p, 11));
  return vselect(vlt(a, vset1(1.0f)), small, large);
}

/* The upper half of a float, rounded half to even; a NaN becomes quiet. */
#ifndef HAVE_UPPER_HALF
static inline U upper_half(V v) {
  U u = ubits(v), odd = uand(ushr(u, 16), uset1(1));
  U rounded = ushr(uadd(uadd(u, uset1(0x7fff)), odd), 16);
  U quiet = ushr(ubits(vadd(v, v)), 16); /* adding makes a NaN quiet and keeps its sign */
  return ubits(vselect(visnan(v), vbits(quiet), vbits(rounded)));
}
static inline U upair(V a, V b) { return uxor(upper_half(a), ushl(upper_half(b), 16)); }
static inline void vstore_bf16(uint16_t *p, V v, df_int n) {
  ustore16(p, upper_half(v), n);
}
static inline void vstore2_bf16(uint16_t *p, V a, V b) {
  vstore_bf16(p, a, VL);
  vstore_bf16(p + VL, b, VL);
}
#endif
static inline V vround_bf16(V v) { return vbits(ushl(upper_half(v), 16)); }
static inline V vlower(U u) { return vbits(ushl(u, 16)); }
static inline V vupper(U u) { return vbits(uand(u, uset1(0xffff0000u))); }
static inline V vload_bf16(const uint16_t *p, df_int n) {
  return vbits(ushl(uload16(p, n), 16));
}

#endif
