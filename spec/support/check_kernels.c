/* Compares every kernel of every table of this machine with the scalar table. The scalar
** table is compared with libm in double and with known results. It also checks that
** nothing is written past the end, that calls in place give the same, and that dividing
** the array changes no bit. It prints one line per table and fails on a fault. It needs
** only base and kernels. */
#include "base/error.h"
#include "kernels/kernels.h"
#include "check_attend.h"
#include "check_pairs.h"
#include "check_winograd.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST  5000 /* elements of the longest array */
#define GUARD 64   /* elements after it that must not change */

static const df_int LENGTH[] = { 0,  1,  3,  4,  5,  7,  8,  9,   11,   15,
                                 16, 17, 19, 31, 32, 33, 35, 300, 1027, MOST };
#define LENGTHS ((int)(sizeof LENGTH / sizeof *LENGTH))

static const df_kernels *scalar, *table; /* the reference; the table that is checked */
static long checks, faults;

typedef struct close {
  double relative, absolute; /* allowed errors */
} close;
static const close SAME = { 0, 0 };

static void judge(bool right, const char *kernel, df_int n, df_int i, double y,
                  double r) {
  checks++;
  if (right) return;
  if (faults++ < 20)
    printf("%s: %s n = %td [%td] %.9g, not %.9g\n", table->name, kernel, n, i, y, r);
}

static bool near(double y, double ref, close c) {
  if (y == ref || (isnan(y) && isnan(ref))) return true;
  return fabs(y - ref) <= c.relative * fabs(ref) + c.absolute;
}

static void compare(const char *kernel, const df_real *y, const df_real *ref, df_int n,
                    close c) {
  df_int i = 0;
  while (i < n && near((double)y[i], (double)ref[i], c)) i++;
  bool right = i == n;
  judge(right, kernel, n, i, right ? 0 : (double)y[i], right ? 0 : (double)ref[i]);
}

static void compare_bytes(const char *kernel, const void *y, const void *ref, df_int n,
                          size_t size) {
  judge(memcmp(y, ref, (size_t)n * size) == 0, kernel, n, -1, 0, 0);
}

/* -- arrays ------------------------------------------------------------------------ */

typedef df_real array[MOST + GUARD];

/* Limits; large arguments for sin; numbers halfway between two bf16, and two f16. */
static const double SPECIAL[] = {
  0,     -0.0,     1,          -1,         0.5,           -0.5,           2.5,
  -1.5,  INFINITY, -INFINITY,  NAN,        1e30,          -1e30,          1e-30,
  1e-40, -1e-45,   3.4e38,     -3.4e38,    88.7,          88.8,           -87.4,
  -103,  -105,     0.625,      10.1,       1e5,           -3e6,           12345678,
  7e8,   -9e8,     1.00390625, 1.01171875, 1.00048828125, -1.00146484375, 65519,
  65520, 3e-8,     -9e-8
};
#define SPECIALS ((df_int)(sizeof SPECIAL / sizeof *SPECIAL))

/* Fills with numbers of all magnitudes, and with special ones if requested. */
static void fill(df_real *x, df_int n, uint32_t sample, bool special) {
  df_random key = { 11, DF_STREAM_USER, sample, 0 };
  for (df_int i = 0; i < n; i++) {
    df_words w = df_random_block(&key, (uint32_t)i);
    double u = 2 * df_unit(w.word[0]) - 1, size = df_unit(w.word[1]);
    x[i] = (df_real)(i % 3 ? 4 * u : u * exp(30 * size - 20));
    if (special && i % 2) x[i] = (df_real)SPECIAL[(i / 2 + (df_int)sample) % SPECIALS];
  }
}

/* Fills with ordinary numbers, for products and sums. Their error is relative to their
** terms. */
static void fill_plain(df_real *x, df_int n, uint32_t sample) {
  df_random key = { 12, DF_STREAM_USER, sample, 0 };
  scalar->normal(x, 0, n, &key);
}

static void poison(df_real *y) {
  for (df_int i = 0; i < MOST + GUARD; i++) y[i] = (df_real)NAN;
}

static void guarded(const char *kernel, const df_real *y, df_int n) {
  df_int i = n;
  while (i < n + GUARD && isnan(y[i])) i++;
  judge(i == n + GUARD, kernel, n, i, 0, (double)NAN);
}

/* -- unary ------------------------------------------------------------------------- */

typedef struct unary {
  const char *name;
  size_t at;
  double (*truth)(double);
  close close;
} unary;

#define AT(name) offsetof(df_kernels, name)

static double minus(double x) { return -x; }
static double signum(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static double inverse(double x) { return 1 / x; }
static double squared(double x) { return x * x; }
static double logistic(double x) { return 1 / (1 + exp(-x)); }
static double silu(double x) { return x == -INFINITY ? 0 : x * logistic(x); }
static double relu(double x) { return x < 0 ? 0 : x; }
static double gelu(double x) {
  return x == -INFINITY ? 0 : 0.5 * x * erfc(-x * sqrt(0.5));
}
static double gelu_tanh(double x) {
  double u = sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x);
  return x == -INFINITY ? 0 : x * logistic(2 * u);
}
static double quick_gelu(double x) {
  return x == -INFINITY ? 0 : x * logistic(1.702 * x);
}

static double mish(double x) { return x == -INFINITY ? 0 : x * tanh(log1p(exp(x))); }

static double log_erfc(double x) {
  if (x < 20) return fabs(x) < 0.1 ? log1p(-erf(x)) : log(erfc(x));
  return -x * x - log(x) - 0.5 * log(3.14159265358979323846) - 0.5 / x / x;
}

/* The bounds of 1e-5 are due to the float argument of erfc: x / sqrt 2 is rounded. */
static const unary UNARY[] = {
  { "neg", AT(neg), minus, { 0, 0 } },
  { "abs", AT(abs), fabs, { 0, 0 } },
  { "sign", AT(sign), signum, { 0, 0 } },
  { "floor", AT(floor), floor, { 0, 0 } },
  { "round", AT(round), rint, { 0, 0 } },
  { "exp", AT(exp), exp, { 2e-6, 3e-45 } },
  { "log", AT(log), log, { 2e-6, 0 } },
  { "sqrt", AT(sqrt), sqrt, { 2e-7, 0 } },
  { "reciprocal", AT(reciprocal), inverse, { 2e-7, 3e-45 } },
  { "square", AT(square), squared, { 2e-7, 3e-45 } },
  { "sin", AT(sin), sin, { 2e-6, 1e-6 } },
  { "cos", AT(cos), cos, { 2e-6, 1e-6 } },
  { "tanh", AT(tanh), tanh, { 2e-6, 0 } },
  { "erf", AT(erf), erf, { 2e-6, 3e-45 } },
  { "erfc", AT(erfc), erfc, { 2e-6, 3e-45 } },
  { "log_erfc", AT(log_erfc), log_erfc, { 2e-6, 3e-45 } },
  { "silu", AT(silu), silu, { 2e-6, 1e-36 } },
  { "relu", AT(relu), relu, { 0, 0 } },
  { "gelu", AT(gelu), gelu, { 2e-5, 2e-43 } },
  { "gelu_tanh", AT(gelu_tanh), gelu_tanh, { 2e-5, 1e-36 } },
  { "quick_gelu", AT(quick_gelu), quick_gelu, { 2e-5, 1e-36 } },
  { "mish", AT(mish), mish, { 4e-6, 1e-36 } },
  { "sigmoid", AT(sigmoid), logistic, { 2e-6, 3e-45 } },
};

static df_unary *unary_of(const df_kernels *k, size_t at) {
  return *(df_unary *const *)(const void *)((const char *)k + at);
}

static df_unary_back *back_of(const df_kernels *k, size_t at) {
  return *(df_unary_back *const *)(const void *)((const char *)k + at);
}

static void check_unary(const unary *u, df_int n) {
  static array x, y, ref, part;
  df_unary *f = unary_of(table, u->at);
  fill(x, n, (uint32_t)n, true);
  poison(y);
  f(y, x, n);
  for (df_int i = 0; i < n; i++) ref[i] = (df_real)u->truth((double)x[i]);
  compare(u->name, y, ref, n, u->close);
  guarded(u->name, y, n);
  memcpy(part, x, (size_t)n * sizeof *x);
  f(part, part, n);
  compare_bytes(u->name, part, y, n, sizeof *y);
  df_int cut = n / 3;
  f(part, x, cut), f(part + cut, x + cut, n - cut);
  compare_bytes(u->name, part, y, n, sizeof *y);
}

/* Slopes are compared with scalar. core64 checks the formulas. */
static const unary BACK[] = {
  { "abs_back", AT(abs_back), NULL, { 0, 0 } },
  { "log_back", AT(log_back), NULL, { 2e-6, 3e-45 } },
  { "reciprocal_back", AT(reciprocal_back), NULL, { 2e-6, 3e-45 } },
  { "square_back", AT(square_back), NULL, { 2e-6, 3e-45 } },
  { "sin_back", AT(sin_back), NULL, { 2e-6, 4e-6 } },
  { "cos_back", AT(cos_back), NULL, { 2e-6, 4e-6 } },
  { "erf_back", AT(erf_back), NULL, { 4e-6, 3e-44 } },
  { "erfc_back", AT(erfc_back), NULL, { 4e-6, 3e-44 } },
  { "log_erfc_back", AT(log_erfc_back), NULL, { 4e-6, 3e-44 } },
  { "silu_back", AT(silu_back), NULL, { 4e-6, 1e-6 } },
  { "gelu_back", AT(gelu_back), NULL, { 4e-6, 1e-6 } },
  { "gelu_tanh_back", AT(gelu_tanh_back), NULL, { 4e-6, 1e-6 } },
  { "quick_gelu_back", AT(quick_gelu_back), NULL, { 4e-6, 1e-6 } },
  { "mish_back", AT(mish_back), NULL, { 4e-6, 1e-6 } },
  { "exp_back", AT(exp_back), NULL, { 2e-6, 3e-45 } },
  { "sqrt_back", AT(sqrt_back), NULL, { 2e-6, 3e-45 } },
  { "tanh_back", AT(tanh_back), NULL, { 2e-6, 0 } },
  { "relu_back", AT(relu_back), NULL, { 0, 0 } },
  { "sigmoid_back", AT(sigmoid_back), NULL, { 2e-6, 0 } },
};

static void check_back(const unary *u, df_int n, df_real beta) {
  static array k, dy, dx, ref;
  fill(k, n, (uint32_t)n + 1, true);
  fill_plain(dy, n, 5);
  poison(dx), poison(ref);
  if (beta != 0) fill_plain(dx, n, 6), fill_plain(ref, n, 6);
  back_of(table, u->at)(dx, beta, dy, k, n);
  back_of(scalar, u->at)(ref, beta, dy, k, n);
  close c = u->close;
  if (beta != 0) c.absolute += 1e-6; /* error of the old dx, which a product may cancel */
  compare(u->name, dx, ref, n, c);
  guarded(u->name, dx, n);
}

/* -- binary, product, clamp, mix, update ------------------------------------------- */

static void check_binary(const char *name, size_t at, df_int n, df_int sa, df_int sb) {
  static array a, b, y, ref;
  df_binary *const *f = (df_binary *const *)(const void *)((const char *)table + at);
  df_binary *const *g = (df_binary *const *)(const void *)((const char *)scalar + at);
  fill(a, df_max(n, 1), 21, true), fill(b, df_max(n, 1), 22, true);
  poison(y);
  (*f)(y, a, sa, b, sb, n), (*g)(ref, a, sa, b, sb, n);
  compare(name, y, ref, n, SAME);
  guarded(name, y, n);
  if (sa == 1) (*f)(a, a, 1, b, sb, n), compare(name, a, ref, n, SAME);
  else if (sb == 1) (*f)(b, a, 0, b, 1, n), compare(name, b, ref, n, SAME);
}

static void check_products(df_int n, df_real beta, df_int sa, df_int sb) {
  static array a, b, y, ref;
  fill_plain(a, n + 1, 31), fill_plain(b, n + 1, 32);
  poison(y), poison(ref);
  if (beta != 0) fill_plain(y, n, 33), fill_plain(ref, n, 33);
  table->product(y, beta, (df_real)-1.5, a, sa, b, sb, n);
  scalar->product(ref, beta, (df_real)-1.5, a, sa, b, sb, n);
  compare("product", y, ref, n, (close){ 1e-6, 1e-6 });
  guarded("product", y, n);
  fill(a, n, 34, true);
  table->clamp(y, a, -1, (df_real)0.75, n), scalar->clamp(ref, a, -1, (df_real)0.75, n);
  compare("clamp", y, ref, n, SAME);
}

static void check_mix(df_int n, df_int k, df_real beta) {
  static array x[4], y, ref;
  const df_real c[4] = { (df_real)0.3, (df_real)-1.7, 2, (df_real)1e-3 };
  const df_real *from[4] = { x[0], x[1], x[2], x[3] };
  for (uint32_t j = 0; j < 4; j++) fill_plain(x[j], n, 40 + j);
  poison(y), poison(ref);
  if (beta != 0) fill_plain(y, n, 45), fill_plain(ref, n, 45);
  table->mix(y, beta, c, from, k, n), scalar->mix(ref, beta, c, from, k, n);
  compare("mix", y, ref, n, (close){ 1e-6, 2e-6 });
  guarded("mix", y, n);
  if (beta != 0) return;
  table->mix(x[0], 0, c, from, k, n);
  compare_bytes("mix", x[0], y, k > 0 ? n : 0, sizeof *y);
}

static void check_adamw(df_int n, bool averaged) {
  static array w[2], g, m[2], v[2], a[2];
  const df_update u = { (df_real)1e-3, (df_real)0.9, (df_real)0.999, (df_real)1e-8, 10,
                        1000,          (df_real)0.1, (df_real)0.5,   (df_real)0.99 };
  fill_plain(g, n, 53);
  for (int i = 0; i < 2; i++) {
    poison(w[i]);
    fill_plain(w[i], n, 50), fill_plain(m[i], n, 51), fill_plain(v[i], n, 52);
    scalar->abs(v[i], v[i], n), fill_plain(a[i], n, 54);
  }
  table->adamw(w[0], g, m[0], v[0], averaged ? a[0] : NULL, &u, n);
  scalar->adamw(w[1], g, m[1], v[1], averaged ? a[1] : NULL, &u, n);
  const close c = { 1e-6, 1e-6 };
  compare("adamw w", w[0], w[1], n, c), compare("adamw m", m[0], m[1], n, c);
  compare("adamw v", v[0], v[1], n, c), compare("adamw average", a[0], a[1], n, c);
  guarded("adamw", w[0], n);
}

/* -- reductions, norms, softmax ---------------------------------------------------- */

static void check_number(const char *kernel, double y, double ref, double size,
                         df_int n) {
  judge(near(y, ref, (close){ 0, 2e-6 * size }), kernel, n, 0, y, ref);
}

static void check_sums(const df_real *a, const df_real *b, df_int n) {
  double s = 0, size = 0, squares = 0, dot = 0, dots = 0;
  for (df_int i = 0; i < n; i++) {
    double u = (double)a[i], v = (double)b[i];
    s += u, size += fabs(u), squares += u * u, dot += u * v, dots += fabs(u * v);
  }
  check_number("sum", table->sum(a, n), s, size, n);
  check_number("sum_squares", table->sum_squares(a, n), squares, squares, n);
  check_number("dot", table->dot(a, b, n), dot, dots, n);
}

static void check_extremes(df_real *x, df_int n) {
  compare("max", (df_real[]){ table->max(x, n) }, (df_real[]){ scalar->max(x, n) }, 1,
          SAME);
  compare("min", (df_real[]){ table->min(x, n) }, (df_real[]){ scalar->min(x, n) }, 1,
          SAME);
  for (df_int at = 0; at < n; at += df_max(1, n / 7)) { /* NaN is found at any position */
    df_real old = x[at];
    x[at] = (df_real)NAN;
    judge(isnan(table->max(x, n)) && isnan(table->min(x, n)), "max", n, at, 0,
          (double)NAN);
    x[at] = old;
  }
}

/* Every `step`-th element of the row is -inf, unless step is 0. A row of only -inf gives
** 0, and log 0 for its logarithm. */
static void check_softmax(df_int n, df_real scale, df_int step) {
  static array x, y, ref, dy, dx, dref;
  fill_plain(x, n, 60), fill_plain(dy, n, 61);
  for (df_int i = 0; step && i < n; i += step) x[i] = -(df_real)INFINITY;
  poison(y), poison(dx);
  table->softmax(y, x, scale, n), scalar->softmax(ref, x, scale, n);
  compare("softmax", y, ref, n, (close){ 4e-6, 1e-12 });
  guarded("softmax", y, n);
  table->softmax_back(dx, 0, dy, ref, scale, n);
  scalar->softmax_back(dref, 0, dy, ref, scale, n);
  compare("softmax_back", dx, dref, n, (close){ 4e-6, 1e-6 });
  if (n == 0) return;
  check_number("logsumexp", table->logsumexp(x, n), scalar->logsumexp(x, n), 4, n);
  double total = table->sum(y, n), all = step == 1 ? 0 : 1;
  judge(near(total, all, (close){ 0, 1e-5 }), "softmax", n, -1, total, all);
}

static void check_norm(df_int rows, df_int C) {
  static array x, dz, a, b, s[4], y, ref;
  df_int n = rows * C;
  fill_plain(x, n, 70), fill_plain(dz, n, 71), fill_plain(a, C, 72), fill_plain(b, C, 73);
  const close sums = { 2e-6, 2e-6 * sqrt((double)rows) * 4 }, each = { 2e-6, 4e-6 };
  for (uint32_t i = 0; i < 4; i++) poison(s[i]), fill_plain(s[i], C, 74 + i / 2);
  table->moments(s[0], s[2], x, a, rows, C), scalar->moments(s[1], s[3], x, a, rows, C);
  compare("moments", s[0], s[1], C, sums), compare("moments", s[2], s[3], C, sums);
  guarded("moments", s[0], C), guarded("moments", s[2], C);
  for (uint32_t i = 0; i < 4; i++) fill_plain(s[i], C, 74 + i / 2);
  table->norm_back_moments(s[0], s[2], dz, x, a, rows, C);
  scalar->norm_back_moments(s[1], s[3], dz, x, a, rows, C);
  compare("norm_back_moments", s[0], s[1], C, sums);
  compare("norm_back_moments", s[2], s[3], C, sums);
  df_int used = rows > 1 ? C - C / 3 : C; /* columns of a window */
  for (uint32_t i = 0; i < 2; i++) poison(s[i]), fill_plain(s[i], used, 78);
  table->sum_rows(s[0], x, rows, used, C), scalar->sum_rows(s[1], x, rows, used, C);
  compare("sum_rows", s[0], s[1], used, sums), guarded("sum_rows", s[0], used);
  poison(y);
  table->norm_rows(y, x, dz, a, b, rows, C), scalar->norm_rows(ref, x, dz, a, b, rows, C);
  compare("norm_rows", y, ref, n, each), guarded("norm_rows", y, n);
  for (int beta = 0; beta < 2; beta++) {
    poison(y), poison(ref);
    if (beta) fill_plain(y, n, 79), fill_plain(ref, n, 79);
    table->norm_back_rows(y, (df_real)beta, dz, x, s[1], a, b, s[0], rows, C);
    scalar->norm_back_rows(ref, (df_real)beta, dz, x, s[1], a, b, s[0], rows, C);
    compare("norm_back_rows", y, ref, n, (close){ 4e-6, 1e-5 });
    guarded("norm_back_rows", y, n);
  }
  memcpy(y, dz, (size_t)n * sizeof *y);
  table->norm_back_rows(y, 0, y, x, s[1], a, b, s[0], rows, C);
  scalar->norm_back_rows(ref, 0, dz, x, s[1], a, b, s[0], rows, C);
  compare("norm_back_rows in place", y, ref, n, (close){ 4e-6, 1e-5 });
}

/* -- noise ------------------------------------------------------------------------- */

/* Results of Random123 for zeros, ones and the digits of pi. */
static void check_philox(void) {
  static const uint32_t kat[3][10] = {
    { 0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 },
    { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
      0x41c83b0e, 0xa20bc7c6, 0x6d5451fd },
    { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
      0x94fdcceb, 0x5001e420, 0x24126ea1 },
  };
  for (int i = 0; i < 3; i++) {
    const uint32_t *c = kat[i];
    df_words w = df_philox(c, c + 4);
    compare_bytes("philox", w.word, c + 6, 4, sizeof *c);
    df_random key = { c[4] | (uint64_t)c[5] << 32, c[3], c[1], c[2] };
    df_real y[4], unit[4];
    table->uniform(y, (df_int)c[0] * 4, 4, &key);
    for (int k = 0; k < 4; k++) unit[k] = (df_real)df_unit(c[6 + k]);
    compare_bytes("uniform", y, unit, 4, sizeof *y);
  }
}

static void check_noise(df_int first, df_int n) {
  static array x, y, ref, part;
  const df_random key = { 0x123456789abcdefu, DF_STREAM_SAMPLER, 7, 9 };
  poison(y);
  table->uniform(y, first, n, &key), scalar->uniform(ref, first, n, &key);
  compare("uniform", y, ref, n, SAME);
  guarded("uniform", y, n);
  poison(y);
  table->normal(y, first, n, &key), scalar->normal(ref, first, n, &key);
  compare("normal", y, ref, n, (close){ 2e-6, 1e-6 });
  guarded("normal", y, n);
  df_int cut = n / 3;
  table->normal(part, first, cut, &key);
  table->normal(part + cut, first + cut, n - cut, &key);
  compare_bytes("normal", part, y, n, sizeof *y);
  fill_plain(x, n, 80);
  static const double KEEP[] = { 0.9, 0.25, 1, 0 };
  for (int i = 0; i < 4; i++) {
    poison(y);
    table->dropout(y, x, KEEP[i], first, n, &key);
    scalar->dropout(ref, x, KEEP[i], first, n, &key);
    compare("dropout", y, ref, n, SAME);
    guarded("dropout", y, n);
  }
}

/* -- rows -------------------------------------------------------------------------- */

#define ROOM 40000 /* for 43 rows of 64 columns and 9 taps of 21 channels */

typedef struct product {
  df_int m, C, K, taps;
  bool bias, add, accumulate;
} product;

static void plain_rows(const product *p, df_real *y, df_int ldy, const df_real *x,
                       df_int ldx, const df_int *tap, const df_real *w,
                       const df_real *bias, const df_real *add) {
  for (df_int m = 0; m < p->m; m++)
    for (df_int k = 0; k < p->K; k++) {
      double s = bias ? (double)bias[k] : 0;
      if (add) s += (double)add[m * ldy + k];
      if (p->accumulate) s += (double)y[m * ldy + k];
      for (df_int t = 0; t < p->taps; t++)
        for (df_int c = 0; c < p->C; c++)
          s += (double)x[m * ldx + tap[t] + c] * (double)w[(t * p->C + c) * p->K + k];
      y[m * ldy + k] = (df_real)s;
    }
}

/* Columns after K are zero. Weights whose K columns are far apart give the same
** panels. */
static void check_packed(const product *p, const df_real *w, const df_real *packed) {
  static df_real turned[ROOM], again[ROOM];
  df_int height = p->taps * p->C, P = table->panel, n = df_ceil_div(p->K, P) * height * P;
  double beyond = 0;
  for (df_int i = 0; i < n; i++)
    if (i / (height * P) * P + i % P >= p->K) beyond += fabs((double)packed[i]);
  judge(beyond == 0, "pack_weights", p->m, 0, beyond, 0);
  for (df_int r = 0; r < height; r++)
    for (df_int k = 0; k < p->K; k++) turned[k * height + r] = w[r * p->K + k];
  table->pack_weights(again, turned, p->taps, p->C, p->C, 1, p->K, height);
  compare_bytes("pack_weights", again, packed, n, sizeof *again);
}

static void check_rows(const product *p) {
  static df_real x[ROOM], w[ROOM], packed[ROOM], bias[200];
  static df_real add[20000], y[20000], ref[20000];
  df_int ldx = p->C + 3, ldy = p->K + 2, tap[DF_TAPS_MAX];
  for (df_int t = 0; t < p->taps; t++) tap[t] = (t * 5) % (2 * ldx + 1); /* any order */
  fill_plain(x, p->m * ldx + 3 * ldx, 90), fill_plain(w, p->taps * p->C * p->K, 91);
  fill_plain(bias, p->K, 92), fill_plain(add, p->m * ldy, 93);
  for (df_int i = 0; i < 20000; i++) y[i] = ref[i] = (df_real)NAN;
  for (df_int i = 0; p->accumulate && i < p->m * ldy; i++) y[i] = ref[i] = (df_real)0.25;
  table->pack_weights(packed, w, p->taps, p->C * p->K, p->C, p->K, p->K, 1);
  const df_real *b = p->bias ? bias : NULL, *a = p->add ? add : NULL;
  table->rows(y, ldy, x, ldx, tap, p->taps, packed, b, a, ldy, p->accumulate, p->m, p->C,
              p->K);
  plain_rows(p, ref, ldy, x, ldx, tap, w, b, a);
  double size = 2e-6 * sqrt((double)(p->taps * p->C + 4));
  for (df_int m = 0; m < p->m; m++)
    compare("rows", y + m * ldy, ref + m * ldy, ldy, (close){ 2e-6, size });
  judge(isnan(y[p->m * ldy]), "rows", p->m, p->m * ldy, 0, (double)NAN);

  df_real one[200]; /* one row alone has the same bits */
  for (df_int k = 0; k < p->K; k++) one[k] = (df_real)0.25;
  df_int m = p->m / 2;
  table->rows(one, ldy, x + m * ldx, ldx, tap, p->taps, packed, b, a ? a + m * ldy : NULL,
              ldy, p->accumulate, 1, p->C, p->K);
  compare_bytes("rows", one, y + m * ldy, p->K, sizeof *y);
  check_packed(p, w, packed);
}

static void check_all_rows(void) {
  static const df_int HEIGHTS[] = { 1, 2, 3, 5, 6, 7, 8, 11, 13, 14, 15, 20, 29, 43 };
  static const df_int WIDTHS[] = { 1, 3, 7, 8, 9, 16, 17, 31, 32, 33, 50, 64 };
  for (int i = 0; i < 14; i++)
    for (int k = 0; k < 12; k++) {
      int bits = i + k;
      product p = { HEIGHTS[i], 1 + (5 * i + k) % 21,
                    WIDTHS[k],  k % 3 == 0 ? 9 : 1,
                    bits & 1,   bits & 2,
                    bits & 4 };
      check_rows(&p);
    }
}

/* -- pack -------------------------------------------------------------------------- */

static void check_transpose(df_int rows, df_int C) {
  static array x, y, back;
  fill_plain(x, rows * (C + 1), 95);
  table->transpose(y, rows + 2, x, C + 1, rows, C);
  table->transpose(back, C + 1, y, rows + 2, C, rows);
  for (df_int r = 0; r < rows; r++)
    compare_bytes("transpose", back + r * (C + 1), x + r * (C + 1), C, sizeof *x);
  if (rows > 0 && C > 1) judge(y[rows + 2] == x[1], "transpose", rows, C, 0, 0);
}

/* Converts all 16-bit numbers forth and back; a NaN must only stay NaN. */
static void check_halves(const char *name, bool bf16) {
  static uint16_t half[65536], again[65536];
  static df_real wide[65536], ref[65536];
  for (int i = 0; i < 65536; i++) half[i] = (uint16_t)i;
  (bf16 ? table->from_bf16 : table->from_f16)(wide, half, 65536);
  (bf16 ? scalar->from_bf16 : scalar->from_f16)(ref, half, 65536);
  (bf16 ? table->to_bf16 : table->to_f16)(again, wide, 65536);
  compare(name, wide, ref, 65536, SAME);
  int nans = 0, wrong = 0, infinity = bf16 ? 0x7f80 : 0x7c00;
  for (int i = 0; i < 65536; i++) {
    bool nan = (i & 0x7fff) > infinity, still = (again[i] & 0x7fff) > infinity;
    nans += isnan(wide[i]) != nan || still != nan;
    wrong += !nan && again[i] != half[i];
  }
  judge(nans == 0, name, 65536, -1, nans, 0),
      judge(wrong == 0, name, 65536, -1, wrong, 0);
}

static void check_halves_rounding(df_int n) {
  static array x, y, ref;
  static uint16_t half[MOST], want[MOST];
  fill(x, n, 96, true);
  for (df_int i = 0; i < n; i++) x[i] = isnan(x[i]) ? 1 : x[i];
  table->to_f16(half, x, n), scalar->to_f16(want, x, n);
  compare_bytes("to_f16", half, want, n, sizeof *half);
  table->to_bf16(half, x, n), scalar->to_bf16(want, x, n);
  compare_bytes("to_bf16", half, want, n, sizeof *half);
  table->round_bf16(y, x, n), scalar->round_bf16(ref, x, n);
  compare_bytes("round_bf16", y, ref, n, sizeof *y);
}

static void check_formats(df_int n) {
  static array x, y, ref;
  static uint8_t bytes[MOST], byte_ref[MOST];
  static int64_t whole[MOST], whole_ref[MOST];
  static double wide[MOST];
  fill(x, n, 97, true);
  table->to_u8(bytes, x, n), scalar->to_u8(byte_ref, x, n);
  compare_bytes("to_u8", bytes, byte_ref, n, 1);
  table->to_i64(whole, x, n), scalar->to_i64(whole_ref, x, n);
  compare_bytes("to_i64", whole, whole_ref, n, sizeof *whole);
  table->from_i64(y, whole, n), scalar->from_i64(ref, whole, n);
  compare_bytes("from_i64", y, ref, n, sizeof *y);
  for (df_int i = 0; i < n; i++) bytes[i] = (uint8_t)(i * 7);
  table->image_from_u8(y, bytes, n), scalar->image_from_u8(ref, bytes, n);
  compare_bytes("image_from_u8", y, ref, n, sizeof *y);
  table->from_u8(y, bytes, n), table->to_u8(byte_ref, y, n);
  compare_bytes("from_u8", byte_ref, bytes, n, 1);
  table->to_f64(wide, x, n), table->from_f64(y, wide, n);
  compare("to_f64", y, x, n, SAME);
}

/* Blocks of ggml at an odd address, from an element within a block on. */
typedef void block_reader(df_real *y, const uint8_t *x, df_int first, df_int n);

static void check_blocks(const char *name, size_t kernel, int bytes, df_int first,
                         df_int n) {
  static array y, ref;
  static uint8_t x[1 + (MOST / 32 + 2) * 24 * 2];
  block_reader *const *f = (const void *)((const char *)table + kernel);
  block_reader *const *g = (const void *)((const char *)scalar + kernel);
  for (size_t i = 0; i < sizeof x; i++) x[i] = (uint8_t)(i * 37 + i / 7);
  for (size_t i = 1; i + 4 < sizeof x; i += (size_t)bytes) x[i + 1] = x[i + 3] = 0xac;
  (*f)(y, x + 1, first, n), (*g)(ref, x + 1, first, n);
  compare(name, y, ref, n, (close){ 1e-6, 1e-6 });
}

static void check_all_blocks(df_int first, df_int n) {
  check_blocks("from_q8_0", AT(from_q8_0), 34, first, n);
  check_blocks("from_q4_0", AT(from_q4_0), 18, first, n);
  check_blocks("from_q4_1", AT(from_q4_1), 20, first, n);
  check_blocks("from_q5_0", AT(from_q5_0), 22, first, n);
  check_blocks("from_q5_1", AT(from_q5_1), 24, first, n);
}

/* -- all --------------------------------------------------------------------------- */

static void check_elementwise(df_int n) {
  for (size_t i = 0; i < sizeof UNARY / sizeof *UNARY; i++) check_unary(&UNARY[i], n);
  for (size_t i = 0; i < sizeof BACK / sizeof *BACK; i++)
    check_back(&BACK[i], n, 0), check_back(&BACK[i], n, 1);
  for (int steps = 0; steps < 4; steps++) {
    int sa = steps & 1, sb = steps >> 1;
    check_binary("add", AT(add), n, sa, sb), check_binary("sub", AT(sub), n, sa, sb);
    check_binary("mul", AT(mul), n, sa, sb), check_binary("div", AT(div), n, sa, sb);
    check_binary("maximum", AT(maximum), n, sa, sb);
    check_binary("minimum", AT(minimum), n, sa, sb);
    check_products(n, (df_real)sa, sa, sb);
  }
  for (df_int k = 0; k <= 4; k++)
    check_mix(n, k, 0), check_mix(n, k, 1), check_mix(n, k, (df_real)0.5);
  check_adamw(n, false), check_adamw(n, true);
}

static void check_length(df_int n) {
  static array a, b;
  check_elementwise(n);
  fill_plain(a, n, 1), fill_plain(b, n, 2);
  check_sums(a, b, n);
  if (n > 0) check_extremes(a, n);
  check_softmax(n, 1, 0), check_softmax(n, (df_real)-0.3, 0);
  check_softmax(n, 2, n > 1 ? 2 : 0), check_softmax(n, 1, 1);
  for (df_int first = 0; first < 7; first++) check_noise(first, n);
  check_noise(((df_int)1 << 33) + 3, n);
  check_halves_rounding(n), check_formats(n);
  check_all_blocks(0, n), check_all_blocks(29, n);
  for (df_int rows = 0; n <= 35 && rows <= 67; rows += 13)
    check_norm(rows, n), check_transpose(n, rows);
}

/* The error of a long sum may not grow with its length. */
static void check_long_sum(void) {
  enum { N = 10000000 };
  df_real *x = malloc(N * sizeof *x);
  if (!x) return;
  for (df_int i = 0; i < N; i++) x[i] = (df_real)(0.1 + (double)(i % 10) * 0.01);
  double exact = 0;
  for (df_int i = 0; i < N; i++) exact += (double)x[i];
  check_number("sum", table->sum(x, N), exact, exact, N);
  free(x);
}

static void check_table(const char *name) {
  checks = 0;
  long before = faults;
  judge(df_kernels_choose(name) == DF_OK, df_error_text(), 0, 0, 0, 0);
  table = df_kernel();
  for (int i = 0; i < LENGTHS; i++) check_length(LENGTH[i]);
  check_philox(), check_all_rows(), check_long_sum();
  check_halves("f16", false), check_halves("bf16", true);
  printf("%s: %ld checks, %ld faults\n", name, checks, faults - before);
  faults += df_check_attend(table) + df_check_pairs(table) + df_check_winograd(table);
}

int main(void) {
  df_kernels_choose("scalar");
  scalar = table = df_kernel();
  for (const char *const *name = df_kernels_names(); *name; name++) check_table(*name);
  faults += df_check_tiles(scalar);
  return faults ? EXIT_FAILURE : EXIT_SUCCESS;
}
