/* Integers next to reals: which of them a real holds, and how they compare. */
#include "ops/whole.h"

#include <math.h>

#include "ops/block.h"

/* From here on two adjacent integers could be the same real. */
static int64_t limit_of(df_dtype as) { return (int64_t)1 << (as == DF_F64 ? 53 : 24); }

df_code df_whole_fits(const df_tensor *x, df_dtype as) {
  if (x->dtype != DF_I64) return DF_OK;
  df_array a = df_array_of(x, &x->shape);
  df_int step, count = df_tensor_count(x);
  int64_t room[DF_BLOCK], limit = limit_of(as);
  uint64_t within = (uint64_t)limit - 1;
  for (df_int at = 0; at < count; at += DF_BLOCK) {
    df_int n = df_min(DF_BLOCK, count - at);
    const int64_t *v = df_fetch(&a, DF_I64, at, n, room, &step);
    for (df_int i = 0; i < n; i++)
      if ((uint64_t)v[i * step] + within >= 2 * within + 1)
        return df_fail(DF_MISUSE,
                       "a tensor %s of i64 holds %lld: from %lld on, %s rounds whole "
                       "numbers; x:to \"%s\" first where that may be",
                       df_tensor_text(x), (long long)v[i * step], (long long)limit,
                       df_dtype_name(as), df_dtype_name(as));
  }
  return DF_OK;
}

#define END 9223372036854775808.0 /* 2^63, the first that i64 doesn't hold */

df_code df_only_whole(const char *name, const df_tensor *x) {
  if (!df_dtype_is_float(x->dtype)) return DF_OK;
  df_array a = df_array_of(x, &x->shape);
  df_int step, count = df_tensor_count(x);
  double room[DF_BLOCK];
  for (df_int at = 0; at < count; at += DF_BLOCK) {
    df_int n = df_min(DF_BLOCK, count - at);
    const double *v = df_fetch(&a, DF_F64, at, n, room, &step);
    for (df_int i = 0; i < n; i++)
      if (!(v[i * step] >= -END && v[i * step] < END)
          || floor(v[i * step]) != v[i * step])
        return df_fail(DF_MISUSE,
                       "%s: element %td of %s is %g, and i64 holds whole numbers only",
                       name, at + i + 1, df_tensor_text(x), v[i * step] + 0.0);
  }
  return DF_OK;
}

int df_whole_order(int64_t a, double x) {
  if (isnan(x)) return 2;
  if (x >= END) return -1;
  if (x < -END) return 1;
  int64_t below = (int64_t)floor(x);
  if (a != below) return a < below ? -1 : 1;
  return x > (double)below ? -1 : 0;
}

double df_whole_distance(int64_t a, double x) {
  if (!(x >= -END && x < END)) return fabs((double)a - x);
  int64_t near = (int64_t)x; /* the rest is 0 where doubles are 1 or more apart */
  uint64_t apart = a > near ? (uint64_t)a - (uint64_t)near : (uint64_t)near - (uint64_t)a;
  double rest = x - (double)near;
  return fabs((double)apart + (a > near ? -rest : rest));
}
