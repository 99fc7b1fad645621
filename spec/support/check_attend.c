/* Compares attention's kernels of every table with formulas in double: strips, powers of
** scores, slopes, sums of tiles. It is a part of check_kernels. */
#include "check_attend.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define M_MOST 43
#define C_MOST 35
#define PANEL  32 /* the widest panel */
#define K_MOST 50
#define GUARD  64

typedef df_real tile[M_MOST * PANEL + GUARD];

static const df_kernels *table;
static long checks, faults;

static void judge(bool right, const char *kernel, df_int i, double y, double ought) {
  checks++;
  if (right) return;
  if (faults++ < 20)
    printf("%s: %s [%td] %.9g, not %.9g\n", table->name, kernel, i, y, ought);
}

static void near(const char *kernel, df_int i, df_real y, double ought, double size) {
  judge(fabs((double)y - ought) <= 4e-6 * fabs(ought) + 1e-6 * size || y == ought, kernel,
        i, (double)y, ought);
}

static void fill(df_real *x, df_int n, uint32_t sample) {
  df_random key = { 15, DF_STREAM_USER, sample, 0 };
  table->normal(x, 0, n, &key);
}

static void poison(df_real *y, df_int n) {
  for (df_int i = 0; i < n; i++) y[i] = (df_real)NAN;
}

static void untouched(const char *kernel, const df_real *y, df_int n) {
  for (df_int i = n; i < n + GUARD; i++) judge(isnan(y[i]), kernel, i, (double)y[i], NAN);
}

/* Rows of x and weights w of one case, and x w in double. */
typedef struct example {
  df_int m, C, P;
  df_real x[M_MOST * C_MOST], w[C_MOST * PANEL], strips[M_MOST * C_MOST + GUARD];
  double product[M_MOST * PANEL];
} example;

/* Strips from x have the same bits as strips from its transpose. */
static void open_example(example *e, df_int m, df_int C) {
  static df_real turned[M_MOST * C_MOST], again[M_MOST * C_MOST];
  e->m = m, e->C = C, e->P = table->panel;
  fill(e->x, m * C, 1), fill(e->w, C * e->P, 2), poison(e->strips, m * C + GUARD);
  for (df_int i = 0; i < m; i++)
    for (df_int c = 0; c < C; c++) turned[c * m + i] = e->x[i * C + c];
  table->pack_strips(e->strips, e->x, C, 1, m, C);
  table->pack_strips(again, turned, 1, m, m, C);
  judge(memcmp(again, e->strips, (size_t)(m * C) * sizeof *again) == 0, "pack_strips", m,
        0, 0);
  untouched("pack_strips", e->strips, m * C);
  for (df_int i = 0; i < m * e->P; i++) {
    double s = 0;
    for (df_int c = 0; c < C; c++)
      s += (double)e->x[i / e->P * C + c] * (double)e->w[c * e->P + i % e->P];
    e->product[i] = s;
  }
}

/* All columns of the strips, and only the first. */
static void check_strips(const example *e) {
  static tile y;
  df_int n = e->m * e->P;
  poison(y, n + GUARD);
  table->strips(y, e->strips, e->C, e->w, false, e->m, e->C);
  table->strips(y, e->strips, e->C, e->w, true, e->m, e->C);
  for (df_int i = 0; i < n; i++) near("strips", i, y[i], 2 * e->product[i], 4);
  untouched("strips", y, n);
  table->strips(y, e->strips, e->C, e->w, false, e->m, 1);
  for (df_int i = 0; i < n; i++) {
    double one = (double)e->x[i / e->P * e->C] * (double)e->w[i % e->P];
    near("strips", i, y[i], one, 1);
  }
}

/* The exponents of a case: some keys are hidden by -inf, and the last column by the
** shift, so that its powers are 0. */
static double exponent(const example *e, const df_scores *s, df_int i) {
  double x = (double)s->factor * e->product[i] + (double)s->shift[i % e->P];
  return s->add ? x + (double)s->add[i] : x;
}

static void check_powers(const example *e, df_scores s) {
  df_real most[PANEL], total[PANEL], share[PANEL], before = s.x ? 0 : 1;
  static tile again;
  fill(share, PANEL, 5);
  for (df_int c = 0; c < PANEL; c++) most[c] = -(df_real)INFINITY, total[c] = before;
  memcpy(again, s.y, sizeof again);
  table->score_powers(&s, most, total);
  for (df_int c = 0; c < e->P; c++) {
    double top = -INFINITY, sum = (double)before;
    for (df_int i = c; i < s.used * e->P; i += e->P) {
      double x = exponent(e, &s, i), power = x < -126.5 ? 0 : exp2(x);
      near("score_powers", i, s.y[i], power, 2 * power);
      top = fmax(top, x), sum += power;
    }
    near("score_powers, most", c, most[c], top, 1 + fabs(top));
    near("score_powers, total", c, total[c], sum, sum);
  }
  df_scores more = s;
  more.y = again;
  table->score_again(&more, share);
  for (df_int i = 0; i < s.used * e->P; i++) {
    double ought = (double)s.y[i] * (double)share[i % e->P];
    near("score_again", i, again[i], ought, fabs(ought));
  }
}

static void check_slopes(const example *e, df_scores s) {
  static tile p;
  fill(p, s.used * e->P, 6);
  s.add = NULL;
  table->score_slopes(&s, p);
  for (df_int i = 0; i < s.used * e->P; i++) {
    double ought = exponent(e, &s, i) * (double)p[i];
    near("score_slopes", i, s.y[i], ought, 200 * fabs((double)p[i]));
  }
}

/* From strips, and from products that are there already. */
static void check_scores(const example *e, df_int used, const df_real *add) {
  static tile y;
  df_real shift[PANEL];
  fill(shift, e->P, 3);
  shift[e->P - 1] = -200;
  for (int ready = 0; ready < 2; ready++) {
    df_scores s = { .y = y, .x = ready ? NULL : e->strips, .w = e->w, .m = e->m };
    s.used = used, s.C = e->C, s.factor = (df_real)0.75, s.shift = shift, s.add = add;
    poison(y, e->m * e->P + GUARD);
    for (df_int i = 0; i < e->m * e->P; i++) y[i] = (df_real)e->product[i];
    check_powers(e, s);
    for (df_int i = 0; i < e->m * e->P; i++) y[i] = (df_real)e->product[i];
    check_slopes(e, s);
    untouched("scores", y, e->m * e->P);
  }
}

/* Columns of y beyond the K-th are not written. */
static void check_panels(df_int m, df_int parts, df_int K) {
  static df_real x[2 * M_MOST * PANEL], w[2 * PANEL * K_MOST];
  static df_real packed[2 * PANEL * (K_MOST + PANEL)], y[M_MOST * (K_MOST + 1)];
  df_int P = table->panel, step = m * P + 3, ldy = K + 1;
  fill(x, parts * step, 7), fill(w, parts * P * K, 8), poison(y, m * ldy);
  for (df_int i = 0; i < m * ldy; i++)
    if (i % ldy < K) y[i] = (df_real)0.5;
  table->pack_weights(packed, w, 1, 0, parts * P, K, K, 1);
  table->add_panels(y, ldy, x, step, parts, packed, m, K);
  for (df_int i = 0; i < m * ldy; i++) {
    double s = 0.5;
    for (df_int r = 0; r < parts * P && i % ldy < K; r++)
      s += (double)x[r / P * step + i / ldy * P + r % P] * (double)w[r * K + i % ldy];
    if (i % ldy < K) near("add_panels", i, y[i], s, 8);
    else judge(isnan(y[i]), "add_panels", i, (double)y[i], NAN);
  }
}

static void check_dots(const example *e) {
  df_real y[M_MOST + 1];
  df_int rows = e->m / 2;
  y[rows] = (df_real)NAN;
  table->dot_rows(y, e->x, e->C, e->x + rows * e->C, e->C, rows, e->C);
  for (df_int r = 0; r < rows; r++) {
    double s = 0;
    for (df_int c = r * e->C; c < (r + 1) * e->C; c++)
      s += (double)e->x[c] * (double)e->x[rows * e->C + c];
    near("dot_rows", r, y[r], s, 4);
  }
  judge(isnan(y[rows]), "dot_rows", rows, (double)y[rows], NAN);
}

long df_check_attend(const df_kernels *kernels) {
  static const df_int HEIGHTS[] = { 1, 2, 5, 6, 7, 13, 14, 15, 29, 43 };
  static const df_int DEPTHS[] = { 1, 3, 8, 16, 17, 35 };
  static example e;
  static tile add;
  table = kernels, checks = faults = 0;
  for (int i = 0; i < 10; i++)
    for (int k = 0; k < 6; k++) {
      open_example(&e, HEIGHTS[i], DEPTHS[k]);
      fill(add, e.m * e.P, 4);
      for (df_int j = 0; j < e.m * e.P; j++)
        if (j % 3 == 1 || j / e.P >= (e.m + 1) / 2) add[j] = -(df_real)INFINITY;
      check_strips(&e), check_dots(&e);
      check_scores(&e, e.m, NULL), check_scores(&e, (e.m + 1) / 2, add);
      check_panels(HEIGHTS[i], 1 + k % 2, 1 + (i * 7 + k * 11) % K_MOST);
    }
  printf("%s, attention: %ld checks, %ld faults\n", table->name, checks, faults);
  return faults;
}
