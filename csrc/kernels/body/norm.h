/* Normalisation in two passes over rows x C: sums per channel, then one scale and one
** shift per channel. The caller computes groups, means and variances. */
#include "kernels/vec.h"

/* Arguments that the strips of one call share: rows x C arrays, and C coefficients
** each. */
typedef struct columns {
  df_real *y, *s1, *s2, beta;
  const df_real *dz, *x, *centre, *scale, *slope, *shift;
  df_int rows, C;
} columns;

/* Processes columns in strips of `wide` vectors; c is the first column and n the number
** of columns in the last vector. The loop over rows is inside, so coefficients stay in
** registers. Sums of several vectors also do not wait for each other. In cache, strips
** are twice as fast as single vectors. */
typedef void strip(const int wide, const columns *t, df_int c, df_int n);

INLINE void in_strips(const columns *t, strip work) {
  df_int c = 0;
  for (; c + 4 * VL <= t->C; c += 4 * VL) work(4, t, c, VL);
  for (; c + 2 * VL <= t->C; c += 2 * VL) work(2, t, c, VL);
  for (; c < t->C; c += VL) work(1, t, c, t->C - c);
}

INLINE void load_strip(const int wide, V *v, const df_real *p, df_int n) {
  for (int k = 0; k < wide; k++) v[k] = vload(p + k * VL, n);
}

INLINE void add_strip(const int wide, df_real *p, const V *v, df_int n) {
  for (int k = 0; k < wide; k++) vstore(p + k * VL, vadd(vload(p + k * VL, n), v[k]), n);
}

/* s1 += sum a, s2 += sum a (x - centre) with a = dz, or a = x - centre if dz is NULL.
** Both sums of STRETCH_ROWS rows stay in registers before they are added to s1 and s2. */
INLINE void sum_strip(const int wide, const columns *t, df_int c, df_int n) {
  V centre[4], one[4], two[4];
  load_strip(wide, centre, t->centre + c, n);
  for (df_int r = 0; r < t->rows;) {
    for (int k = 0; k < wide; k++) one[k] = two[k] = vset1(0);
    for (df_int end = df_min(t->rows, r + STRETCH_ROWS); r < end; r++)
      for (int k = 0; k < wide; k++) {
        df_int at = r * t->C + c + k * VL;
        V v = vsub(vload(t->x + at, n), centre[k]), a = t->dz ? vload(t->dz + at, n) : v;
        one[k] = vadd(one[k], a), two[k] = vfma(a, v, two[k]);
      }
    add_strip(wide, t->s1 + c, one, n);
    add_strip(wide, t->s2 + c, two, n);
  }
}

static void moments(df_real *s1, df_real *s2, const df_real *x, const df_real *centre,
                    df_int rows, df_int C) {
  in_strips(
      &(columns){ .s1 = s1, .s2 = s2, .x = x, .centre = centre, .rows = rows, .C = C },
      sum_strip);
}

static void norm_back_moments(df_real *s1, df_real *s2, const df_real *dz,
                              const df_real *x, const df_real *centre, df_int rows,
                              df_int C) {
  columns t = { .s1 = s1, .s2 = s2, .dz = dz, .x = x, .centre = centre };
  t.rows = rows, t.C = C;
  in_strips(&t, sum_strip);
}

INLINE void norm_strip(const int wide, const columns *t, df_int c, df_int n) {
  V centre[4], scale[4], shift[4];
  load_strip(wide, centre, t->centre + c, n);
  load_strip(wide, scale, t->scale + c, n);
  load_strip(wide, shift, t->shift + c, n);
  for (df_int r = 0; r < t->rows; r++)
    for (int k = 0; k < wide; k++) {
      df_int at = r * t->C + c + k * VL;
      V v = vsub(vload(t->x + at, n), centre[k]);
      vstore(t->y + at, vfma(v, scale[k], shift[k]), n);
    }
}

static void norm_rows(df_real *y, const df_real *x, const df_real *centre,
                      const df_real *scale, const df_real *shift, df_int rows, df_int C) {
  columns t = { .y = y, .x = x, .centre = centre, .scale = scale, .shift = shift };
  t.rows = rows, t.C = C;
  in_strips(&t, norm_strip);
}

INLINE void back_strip(const int wide, const columns *t, df_int c, df_int n) {
  V centre[4], scale[4], slope[4], shift[4];
  load_strip(wide, centre, t->centre + c, n);
  load_strip(wide, scale, t->scale + c, n);
  load_strip(wide, slope, t->slope + c, n);
  load_strip(wide, shift, t->shift + c, n);
  for (df_int r = 0; r < t->rows; r++)
    for (int k = 0; k < wide; k++) {
      df_int at = r * t->C + c + k * VL;
      V v = vfma(vsub(vload(t->x + at, n), centre[k]), slope[k], shift[k]);
      vsink(t->y + at, t->beta, vfma(vload(t->dz + at, n), scale[k], v), n);
    }
}

static void norm_back_rows(df_real *dx, df_real beta, const df_real *dz, const df_real *x,
                           const df_real *centre, const df_real *scale,
                           const df_real *slope, const df_real *shift, df_int rows,
                           df_int C) {
  columns t = { .y = dx, .beta = beta, .dz = dz, .x = x, .centre = centre };
  t.scale = scale, t.slope = slope, t.shift = shift, t.rows = rows, t.C = C;
  in_strips(&t, back_strip);
}
