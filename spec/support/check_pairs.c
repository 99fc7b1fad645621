/* Compares the products of bf16 of every table, and the tile body in plain C, with the
** contract. Sums are computed in double from the operands as stored. Packing is compared
** with its formula, and the precision of one and two planes is checked. It is a part of
** check_kernels. */
#include "check_pairs.h"
#include "kernels/tile_plain.h"
#include "kernels/vec_scalar.h"
#include "kernels/body/tiles.h"

#include <stdio.h>
#include <stdlib.h>

#define ROOM 200000

static const df_kernels *table;
static const char *name;
static long checks, faults;

static void judge(bool right, const char *kernel, df_int a, df_int b, double y,
                  double r) {
  checks++;
  if (right) return;
  if (faults++ < 20)
    printf("%s: %s %td, %td: %.9g, not %.9g\n", name, kernel, a, b, y, r);
}

static void fill(df_real *x, df_int n, uint32_t sample) {
  df_random key = { 13, DF_STREAM_USER, sample, 0 };
  table->normal(x, 0, n, &key);
}

static double number(uint16_t half) { return (double)widened(half); }

static uint16_t high_of(df_real x) { return small_pack(x, 7, -126); }
static uint16_t low_of(df_real x) { return high_of(x - vround_bf16(x)); }

/* -- packing ----------------------------------------------------------------------- */

#define NOBODY 0xabcd

static void poison(uint16_t *y) {
  for (df_int i = 0; i < ROOM; i++) y[i] = NOBODY;
}

static void check_half(const char *kernel, df_int rows, df_int C, uint16_t is,
                       uint16_t ought) {
  judge(is == ought, kernel, rows, C, is, ought);
}

static void check_planes(df_int rows, df_int C, bool twice) {
  static df_real x[ROOM];
  static uint16_t y[ROOM];
  df_int wide = df_ceil_div(C, 32) * 32, low = twice ? wide : 0, ldx = C + 3;
  df_int ldy = wide * (1 + twice) + 5;
  fill(x, rows * ldx, 1), poison(y);
  table->planes(y, ldy, low, x, ldx, rows, C, wide);
  for (df_int r = 0; r < rows; r++)
    for (df_int c = 0; c < ldy; c++) {
      df_int at = c % wide, plane = c / wide;
      df_real v = at < C ? x[r * ldx + at] : 0;
      uint16_t ought = plane > twice ? NOBODY : plane ? low_of(v) : high_of(v);
      check_half("planes", rows, C, y[r * ldy + c], ought);
    }
  df_int tall = rows + 7;
  poison(y);
  table->turn_planes(y, 2 * tall, twice ? tall : 0, x, ldx, rows, C);
  for (df_int c = 0; c < C; c++)
    for (df_int r = 0; r < 2 * tall; r++) {
      df_int at = r % tall, plane = r / tall;
      df_real v = at < rows ? x[at * ldx + c] : 0;
      uint16_t ought = plane ? low_of(v) : high_of(v);
      if (at >= rows || plane > twice) ought = NOBODY;
      check_half("turn_planes", rows, C, y[c * 2 * tall + r], ought);
    }
}

static void check_panels(df_int rows, df_int C, bool twice) {
  static df_real x[ROOM], turned[ROOM];
  static uint16_t w[ROOM], again[ROOM], plain[ROOM];
  df_int tall = df_ceil_div(rows, 32) * 32, ldx = C + 2, high = tall * DF_PANEL;
  df_int panel = high * (1 + twice) + 64, low = twice ? high : 0;
  df_int panels = df_ceil_div(C, DF_PANEL), ldp = panels * DF_PANEL;
  fill(x, rows * ldx, 2), poison(w), poison(again);
  for (df_int r = 0; r < rows; r++)
    for (df_int c = 0; c < C; c++) turned[c * rows + r] = x[r * ldx + c];
  table->pair_rows(w, panel, low, x, ldx, rows, C, tall);
  table->pair_columns(again, panel, low, turned, rows, rows, C, tall);
  for (df_int r = 0; r < tall; r++)
    for (df_int c = 0; c < ldp; c++) {
      df_int at = c / 32 * panel + (r / 2 * 32 + c % 32) * 2 + r % 2;
      df_real v = r < rows && c < C ? x[r * ldx + c] : 0;
      check_half("pair_rows", rows, C, w[at], high_of(v));
      check_half("pair_columns", rows, C, again[at], high_of(v));
      plain[r * ldp + c] = r < rows ? high_of(v) : NOBODY;
      if (!twice) continue;
      check_half("pair_rows low", rows, C, w[at + low], low_of(v));
      check_half("pair_columns low", rows, C, again[at + low], low_of(v));
    }
  judge(w[panel - 1] == NOBODY && again[panel - 1] == NOBODY, "panel", rows, C, 0, 0);
  if (twice) return;
  poison(again);
  table->pair_planes(again, panel, plain, ldp, rows, ldp, tall);
  judge(memcmp(again, w, (size_t)(panels * panel) * sizeof *w) == 0, "pair_planes", rows,
        C, 0, 0);
}

/* -- products ---------------------------------------------------------------------- */

typedef struct job {
  df_int m, K, C, taps;
  bool twice, bias, add, accumulate, holes,
      apart; /* apart: there is space between taps of w, and between panels of y */
} job;

#define APART 40 /* between the columns of two panels */

static double one_sum(const df_pairs *p, df_int m, df_int k, double *size) {
  const uint16_t *x = p->x + m * p->ldx;
  double sum = 0;
  for (df_int t = 0; t < p->taps; t++)
    for (df_int c = 0; c < p->C; c++) {
      df_int from = df_pairs_tap(p, k / DF_PANEL, t);
      const uint16_t *a = x + p->tap[t] + c;
      const uint16_t *b = p->w + from + (c / 2 * DF_PANEL + k % DF_PANEL) * 2 + c % 2;
      double v = number(*a) * number(*b);
      if (p->x_low)
        v += number(a[p->x_low]) * number(*b) + number(*a) * number(b[p->w_low]);
      sum += v, *size += fabs(v);
    }
  return sum;
}

static void compare(const df_pairs *p, const df_real *before) {
  for (df_int m = 0; m < p->m; m++)
    for (df_int k = 0; k < p->K; k++) {
      df_int column = df_pairs_column(p, k);
      df_int to = (p->place ? p->place[m] : m * p->ldy) + column;
      if (to < column) continue;
      double size = 1, ought = one_sum(p, m, k, &size);
      if (p->bias) ought += (double)p->bias[k];
      if (p->add) ought += (double)p->add[to];
      if (p->accumulate) ought += (double)before[to];
      double off = fabs((double)p->y[to] - ought);
      judge(off <= 1e-6 * size, "pairs", m, k, (double)p->y[to], ought);
    }
}

/* Elements of y outside of rows [0, rows) and K columns must not change. */
static void check_rest(const df_pairs *p, df_int rows, const df_real *before) {
  static bool written[ROOM];
  memset(written, 0, sizeof written);
  for (df_int i = 0; i < rows; i++)
    for (df_int k = 0; k < p->K; k++) written[i * p->ldy + df_pairs_column(p, k)] = true;
  for (df_int i = 0; i < (p->m + 1) * p->ldy; i++)
    if (!written[i])
      judge(p->y[i] == before[i], "pairs beyond", i / p->ldy, i % p->ldy, (double)p->y[i],
            (double)before[i]);
}

/* A single row has the same bits. */
static void check_alone(df_pairs p, void (*product)(const df_pairs *),
                        const df_real *before) {
  static df_real alone[ROOM];
  df_int row = p.m / 2, to = p.place ? p.place[row] : row * p.ldy;
  if (to < 0) return;
  const df_real *y = p.y + to;
  memcpy(alone, before + to, (size_t)p.ldy * sizeof *alone);
  p.m = 1, p.x += row * p.ldx, p.y = alone, p.place = NULL;
  if (p.add) p.add += to;
  product(&p);
  for (df_int k = 0; k < p.K; k++) {
    df_int at = df_pairs_column(&p, k);
    judge(memcmp(alone + at, y + at, sizeof *y) == 0, "pairs alone", row, k,
          (double)alone[at], (double)y[at]);
  }
}

/* Rows are stored in runs of 5 with gaps of two, or runs of 16 with gaps of one. y has
** one column more than is written. */
static void check_product(const job *j, void (*product)(const df_pairs *)) {
  static df_real x[ROOM], w[ROOM], y[ROOM], before[ROOM], add[ROOM], bias[128];
  static uint16_t rows[ROOM], panels[ROOM];
  static df_int place[200];
  df_int tall = j->taps * j->C, ldx = j->C * (1 + j->twice), m = j->m + 3, kept = 0;
  df_int tap[9], w_tap[2 * 9], panel = tall * DF_PANEL * (1 + j->twice);
  df_int ldy = j->apart ? 2 * APART + 1 : j->K + 1;
  for (df_int t = 0; t < j->taps; t++) {
    tap[t] = t * 7 % 4 * ldx;
    for (int i = 0; i < 2; i++)
      w_tap[i * j->taps + t] = i * panel + (j->taps - 1 - t) * j->C * DF_PANEL;
  }
  fill(x, m * j->C, 3), fill(w, tall * j->K, 4), fill(bias, j->K, 5);
  fill(add, (j->m + 1) * ldy, 6), fill(before, (j->m + 1) * ldy, 7);
  memcpy(y, before, sizeof y);
  memset(rows, 0xff, sizeof rows); /* NaN after the last */
  df_int run = j->K % 2 ? 5 : 16, step = j->K % 2 ? 7 : 17;
  for (df_int i = 0; i < j->m; i++) place[i] = i % step < run ? kept++ * ldy : -1;
  df_int x_low = j->twice ? j->C : 0, w_low = j->twice ? tall * DF_PANEL : 0;
  table->planes(rows, ldx, x_low, x, j->C, m, j->C, j->C);
  table->pair_rows(panels, panel, w_low, w, j->K, tall, j->K, tall);
  df_pairs p = { .m = j->m,
                 .K = j->K,
                 .C = j->C,
                 .y = y,
                 .ldy = ldy,
                 .place = j->holes ? place : NULL,
                 .x = rows,
                 .ldx = ldx,
                 .x_low = x_low,
                 .tap = tap,
                 .taps = j->taps,
                 .w = panels,
                 .panel = panel,
                 .w_low = w_low,
                 .w_tap = j->apart ? w_tap : NULL,
                 .y_panel = j->apart ? APART : 0,
                 .bias = j->bias ? bias : NULL,
                 .add = j->add ? add : NULL,
                 .accumulate = j->accumulate };
  product(&p);
  compare(&p, before);
  check_rest(&p, j->holes ? kept : j->m, before);
  check_alone(p, product, before);
}

static void check_products(void (*product)(const df_pairs *), df_int step) {
  static const df_int HEIGHTS[] = { 1, 2, 5, 7, 13, 14, 15, 16, 17, 29, 31, 32, 33, 50 };
  static const df_int WIDTHS[] = { 1, 3, 8, 15, 16, 17, 31, 32, 33, 40, 64 };
  for (int i = 0; i < 14; i++)
    for (int k = 0; k < 11; k++)
      for (int twice = 0; twice < 2; twice++) {
        int bits = i + k;
        job j = { HEIGHTS[i],
                  WIDTHS[k],
                  (1 + (i + k) % 3) * (step == 2 ? 14 : 32),
                  k % 4 == 0 ? 9 : 1,
                  twice,
                  bits & 1,
                  bits & 2,
                  bits & 4,
                  (i + 2 * k) % 5 < 2,
                  i % 2 };
        check_product(&j, product);
      }
}

/* -- precision --------------------------------------------------------------------- */

/* The relative L2 error of a product of reals. */
static double error_of(bool twice, void (*product)(const df_pairs *)) {
  enum { N = 40, K = 32, C = 320 };
  static df_real x[N * C], w[C * K], y[N * K];
  static uint16_t rows[(N + 31) * 2 * C], panels[2 * C * K];
  const df_int none = 0;
  fill(x, N * C, 8), fill(w, C * K, 9);
  table->planes(rows, 2 * C, twice ? C : 0, x, C, N, C, C);
  table->pair_rows(panels, 0, twice ? C * K : 0, w, K, C, K, C);
  df_pairs p = { .m = N,
                 .K = K,
                 .C = C,
                 .y = y,
                 .ldy = K,
                 .x = rows,
                 .ldx = 2 * C,
                 .x_low = twice ? C : 0,
                 .tap = &none,
                 .taps = 1,
                 .w = panels,
                 .w_low = twice ? C * K : 0 };
  product(&p);
  double gap = 0, size = 0;
  for (df_int m = 0; m < N; m++)
    for (df_int k = 0; k < K; k++) {
      double s = 0;
      for (df_int c = 0; c < C; c++) s += (double)x[m * C + c] * (double)w[c * K + k];
      gap += pow((double)y[m * K + k] - s, 2), size += s * s;
    }
  return sqrt(gap / size);
}

static void check_precision(void (*product)(const df_pairs *)) {
  double one = error_of(false, product), two = error_of(true, product);
  judge(one > 1e-4 && one < 1e-2, "pairs error, one plane", 0, 0, one, 1e-2);
  judge(two < 1e-5, "pairs error, two planes", 0, 0, two, 1e-5);
}

static void report(const char *what, long before) {
  printf("%s: %ld checks, %ld faults\n", what, checks, faults - before);
}

long df_check_pairs(const df_kernels *kernels) {
  long before = faults;
  table = kernels, name = kernels->name, checks = 0;
  for (df_int rows = 0; rows < 90; rows += rows < 20 ? 1 : 23)
    for (df_int C = 1; C < 100; C += C < 10 ? 2 : 11)
      for (int twice = 0; twice < 2; twice++)
        check_planes(rows, C, twice), check_panels(rows, C, twice);
  check_products(table->pairs, table->pairs_step), check_precision(table->pairs);
  report(name, before);
  return faults - before;
}

long df_check_tiles(const df_kernels *kernels) {
  long before = faults;
  table = kernels, name = "tiles in plain C", checks = 0;
  check_products(tiles, 32), check_precision(tiles);
  judge(tiles_open == 0, "tiles left open", 0, 0, tiles_open, 0);
  report(name, before);
  return faults - before;
}
