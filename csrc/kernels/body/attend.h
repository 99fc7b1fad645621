/* Attention's products. A tile has keys in rows and a panel of queries in columns, so the
** softmax needs no sums across a vector. Sums become powers of 2, or slopes, while they
** are in registers. */
#include "kernels/vec.h"

/* ---- strips: at most MR rows whose columns are adjacent ---------------------------- */

/* Calls f(height, ...) with a height that is a compile-time constant. */
#define HEIGHT_CASE(h, f, ...)                                                           \
  case h:                                                                                \
    if (h <= MR) f(h < MR ? h : MR, __VA_ARGS__);                                        \
    break
#define OF_HEIGHT(height, f, ...)                                                        \
  switch (height) {                                                                      \
    HEIGHT_CASE(1, f, __VA_ARGS__);                                                      \
    HEIGHT_CASE(2, f, __VA_ARGS__);                                                      \
    HEIGHT_CASE(3, f, __VA_ARGS__);                                                      \
    HEIGHT_CASE(4, f, __VA_ARGS__);                                                      \
    HEIGHT_CASE(5, f, __VA_ARGS__);                                                      \
    HEIGHT_CASE(6, f, __VA_ARGS__);                                                      \
    HEIGHT_CASE(7, f, __VA_ARGS__);                                                      \
    HEIGHT_CASE(8, f, __VA_ARGS__);                                                      \
    HEIGHT_CASE(9, f, __VA_ARGS__);                                                      \
    HEIGHT_CASE(10, f, __VA_ARGS__);                                                     \
    HEIGHT_CASE(11, f, __VA_ARGS__);                                                     \
    HEIGHT_CASE(12, f, __VA_ARGS__);                                                     \
    HEIGHT_CASE(13, f, __VA_ARGS__);                                                     \
    HEIGHT_CASE(14, f, __VA_ARGS__);                                                     \
  }

/* Strip b of m rows is rows [strip_at(m, b), strip_at(m, b + 1)): equal heights. */
static inline df_int strips_of(df_int m) { return df_ceil_div(m, MR); }
static inline df_int strip_at(df_int m, df_int b) { return b * m / strips_of(m); }
static inline int strip_height(df_int m, df_int b) {
  return (int)(strip_at(m, b + 1) - strip_at(m, b));
}

/* From mr rows. Rows are interleaved in groups of four, as in transpose. */
INLINE void pack_rows(const int mr, df_real *to, const df_real *x, df_int ldx, df_int C) {
  df_real part[(MR + 3) / 4][4 * VL];
  for (df_int from = 0; from < C; from += VL, x += VL) {
    df_int n = df_min(VL, C - from);
    for (int r = 0; r < mr; r += 4) {
      V v[4];
      for (int j = 0; j < 4; j++) v[j] = vload(x + df_min(r + j, mr - 1) * ldx, n);
      vstore4(part[r / 4], v[0], v[1], v[2], v[3]);
    }
    for (df_int c = 0; c < n; c++, to += mr)
#pragma GCC unroll 4
      for (int r = 0; r < mr; r += 4)
        memcpy(to + r, part[r / 4] + 4 * c, (size_t)df_min(4, mr - r) * sizeof *to);
  }
}

/* From C rows of mr. */
INLINE void pack_columns(const int mr, df_real *to, const df_real *x, df_int ldx,
                         df_int C) {
  for (df_int c = 0; c < C; c++, to += mr, x += ldx)
    memcpy(to, x, (size_t)mr * sizeof *to);
}

static void pack_strips(df_real *to, const df_real *x, df_int sr, df_int sc, df_int m,
                        df_int C) {
  for (df_int b = 0; b < strips_of(m); b++) {
    df_int r = strip_at(m, b);
    if (sr == 1) OF_HEIGHT(strip_height(m, b), pack_columns, to + r * C, x + r, sc, C)
    else OF_HEIGHT(strip_height(m, b), pack_rows, to + r * C, x + r * sr, sr, C)
  }
}

/* sum (mr x PANEL) = x w, where element (i, c) of x is x[i row + c col] */
INLINE void strip_sums(const int mr, df_real *sum, const df_real *x, const df_int row,
                       const df_int col, const df_real *w, df_int C) {
  R s[MR][NR];
  for (int i = 0; i < mr; i++)
    for (int k = 0; k < NR; k++) s[i][k] = rset1(0);
#pragma GCC unroll 2
  for (df_int c = 0; c < C; c++, x += col, w += PANEL) {
    R b[NR];
    for (int k = 0; k < NR; k++) b[k] = rload(w + k * RL);
    for (int i = 0; i < mr; i++) {
      R a = rset1(x[i * row]);
      for (int k = 0; k < NR; k++) s[i][k] = rfma(a, b[k], s[i][k]);
    }
  }
  for (int i = 0; i < mr; i++)
    for (int k = 0; k < NR; k++) rstore(sum + i * PANEL + k * RL, s[i][k], RL);
}

INLINE void plain_strip(const int mr, df_real *y, const df_real *x, const df_real *w,
                        bool accumulate, df_int C) {
  df_real sum[MR * PANEL];
  strip_sums(mr, sum, x, 1, mr, w, C);
  for (int i = 0; i < mr; i++)
    for (int k = 0; k < NR; k++) {
      df_int at = i * PANEL + k * RL;
      R v = rload(sum + at);
      rstore(y + at, accumulate ? radd(v, rload(y + at)) : v, RL);
    }
}

static void strips(df_real *y, const df_real *x, df_int pitch, const df_real *w,
                   bool accumulate, df_int m, df_int C) {
  for (df_int b = 0; b < strips_of(m); b++) {
    df_int r = strip_at(m, b);
    OF_HEIGHT(strip_height(m, b), plain_strip, y + r * PANEL, x + r * pitch, w,
              accumulate, C)
  }
}

/* ---- powers of scores, and slopes -------------------------------------------------- */

/* Rows of a tile: their sums x w, and the numbers of the same rows in other tiles. */
typedef struct lines {
  df_real *y;
  const df_real *sum, *add, *p;
} lines;

/* The exponents in vector k of row i. They are rounded before they are shifted: a score
** that gave its query's top must become 0, however large it is. */
INLINE V exponent(const df_scores *s, const lines *l, df_int at, V factor, V shift) {
  V sum = vload(l->sum + at, VL);
  V x = s->add ? vfma(factor, sum, vload(l->add + at, VL)) : vmul(factor, sum);
  return vadd(x, shift);
}

INLINE void finish_powers(const df_int n, const df_scores *s, const lines *l,
                          df_real *most, df_real *total) {
  V factor = vset1(s->factor);
#pragma GCC unroll 2
  for (df_int k = 0; k < PANEL; k += VL) {
    V shift = vload(s->shift + k, VL), best = vload(most + k, VL), part = vset1(0);
#pragma GCC unroll 14
    for (df_int i = 0; i < n; i++) {
      V x = exponent(s, l, i * PANEL + k, factor, shift), e = vpower(x);
      best = vmax(x, best), part = vadd(part, e);
      vstore(l->y + i * PANEL + k, e, VL);
    }
    vstore(most + k, best, VL);
    vstore(total + k, vadd(vload(total + k, VL), part), VL);
  }
}

INLINE void finish_again(const df_int n, const df_scores *s, const lines *l,
                         const df_real *share) {
  V factor = vset1(s->factor);
#pragma GCC unroll 2
  for (df_int k = 0; k < PANEL; k += VL) {
    V shift = vload(s->shift + k, VL), part = vload(share + k, VL);
#pragma GCC unroll 14
    for (df_int i = 0; i < n; i++) {
      V x = exponent(s, l, i * PANEL + k, factor, shift);
      vstore(l->y + i * PANEL + k, vmul(vpower(x), part), VL);
    }
  }
}

INLINE void finish_slopes(const df_int n, const df_scores *s, const lines *l) {
  V factor = vset1(s->factor);
#pragma GCC unroll 2
  for (df_int k = 0; k < PANEL; k += VL) {
    V shift = vload(s->shift + k, VL);
#pragma GCC unroll 14
    for (df_int i = 0; i < n; i++) {
      df_int at = i * PANEL + k;
      V d = vfma(factor, vload(l->sum + at, VL), shift);
      vstore(l->y + at, vmul(d, vload(l->p + at, VL)), VL);
    }
  }
}

/* From row r on. The sums are in `room`, or in y if they were computed elsewhere. */
static inline lines lines_at(const df_scores *s, df_int r, const df_real *room,
                             const df_real *p) {
  df_int at = r * PANEL;
  return (lines){ s->y + at, room ? room : s->y + at, s->add ? s->add + at : NULL,
                  p ? p + at : NULL };
}

INLINE void powers_strip(const int mr, const df_scores *s, df_int r, df_real *most,
                         df_real *total) {
  df_real sum[MR * PANEL];
  strip_sums(mr, sum, s->x + r * s->C, 1, mr, s->w, s->C);
  const lines l = lines_at(s, r, sum, NULL);
  finish_powers(mr, s, &l, most, total);
}
INLINE void again_strip(const int mr, const df_scores *s, df_int r,
                        const df_real *share) {
  df_real sum[MR * PANEL];
  strip_sums(mr, sum, s->x + r * s->C, 1, mr, s->w, s->C);
  const lines l = lines_at(s, r, sum, NULL);
  finish_again(mr, s, &l, share);
}
INLINE void slopes_strip(const int mr, const df_scores *s, df_int r, const df_real *p) {
  df_real sum[MR * PANEL];
  strip_sums(mr, sum, s->x + r * s->C, 1, mr, s->w, s->C);
  const lines l = lines_at(s, r, sum, p);
  finish_slopes(mr, s, &l);
}

static void score_powers(const df_scores *s, df_real *most, df_real *total) {
  const lines all = lines_at(s, 0, NULL, NULL);
  if (!s->x) finish_powers(s->used, s, &all, most, total);
  for (df_int b = 0; s->x && strip_at(s->m, b) < s->used; b++)
    OF_HEIGHT(strip_height(s->m, b), powers_strip, s, strip_at(s->m, b), most, total)
}

static void score_again(const df_scores *s, const df_real *share) {
  const lines all = lines_at(s, 0, NULL, NULL);
  if (!s->x) finish_again(s->used, s, &all, share);
  for (df_int b = 0; s->x && strip_at(s->m, b) < s->used; b++)
    OF_HEIGHT(strip_height(s->m, b), again_strip, s, strip_at(s->m, b), share)
}

static void score_slopes(const df_scores *s, const df_real *p) {
  const lines all = lines_at(s, 0, NULL, p);
  if (!s->x) finish_slopes(s->used, s, &all);
  for (df_int b = 0; s->x && strip_at(s->m, b) < s->used; b++)
    OF_HEIGHT(strip_height(s->m, b), slopes_strip, s, strip_at(s->m, b), p)
}

/* dot_rows takes a quarter of the time of calls of dot at a width of 40. */
static void dot_rows(df_real *y, const df_real *a, df_int lda, const df_real *b,
                     df_int ldb, df_int rows, df_int C) {
  for (df_int r = 0; r < rows; r++, a += lda, b += ldb) {
    V sum = vset1(0);
    for (df_int c = 0; c < C; c += VL)
      sum = vfma(vload(a + c, C - c), vload(b + c, C - c), sum);
    y[r] = (df_real)vsum(sum);
  }
}

/* ---- tiles times rows of queries --------------------------------------------------- */

typedef struct panels_job {
  df_real *y;
  const df_real *x, *w;
  df_int ldy, step, parts, n;
} panels_job;

INLINE void panels_block(const int mr, const int nr, const panels_job *j) {
  const df_real *w = j->w;
  R s[MR][NR];
  for (int i = 0; i < mr; i++)
    for (int k = 0; k < nr; k++) s[i][k] = rset1(0);
  for (df_int t = 0; t < j->parts; t++) {
    const df_real *x = j->x + t * j->step;
#pragma GCC unroll 2
    for (df_int c = 0; c < PANEL; c++, w += PANEL) {
      R b[NR];
      for (int k = 0; k < nr; k++) b[k] = rload(w + k * RL);
      for (int i = 0; i < mr; i++) {
        R a = rset1(x[i * PANEL + c]);
        for (int k = 0; k < nr; k++) s[i][k] = rfma(a, b[k], s[i][k]);
      }
    }
  }
  for (int i = 0; i < mr; i++)
    for (int k = 0; k < nr; k++) {
      df_real *y = j->y + i * j->ldy + k * RL;
      rstore(y, radd(s[i][k], rload_n(y, j->n - k * RL)), j->n - k * RL);
    }
}

INLINE void panels_strip(const int mr, const panels_job *j) {
  if (j->n <= RL) panels_block(mr, 1, j);
  else panels_block(mr, NR, j);
}

static void add_panels(df_real *y, df_int ldy, const df_real *x, df_int step,
                       df_int parts, const df_real *packed, df_int m, df_int K) {
  for (df_int k = 0; k < K; k += PANEL, packed += parts * PANEL * PANEL)
    for (df_int b = 0; b < strips_of(m); b++) {
      df_int r = strip_at(m, b);
      const panels_job j = { y + r * ldy + k, x + r * PANEL,       packed, ldy, step,
                             parts,           df_min(PANEL, K - k) };
      OF_HEIGHT(strip_height(m, b), panels_strip, &j)
    }
}
