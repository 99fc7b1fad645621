/* Integers summed and multiplied as such. A chunk that meets a result beyond i64 says so,
** and the op fails when all chunks are done. */
#include "ops/integer.h"

#include <stdatomic.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/block.h"
#include "ops/fold.h"
#include "ops/line.h"
#include "ops/op.h"

/* ==== folds ========================================================================= */

typedef struct job {
  const int64_t *x, *b;
  const uint8_t *bytes;
  int64_t *y;
  df_int length; /* length of a line */
  df_int m, n;   /* sizes of a product, which sums over length */
  atomic_bool misfit;
} job;

#define GRAIN 4096 /* elements of a chunk */

static df_tensor *misfit(const char *name, const df_tensor *x) {
  return df_fail_null(
      DF_MISUSE,
      "%s: of %s a result is beyond 9223372036854775807, which i64 doesn't "
      "hold; x:to \"%s\" first rounds it",
      name, df_tensor_text(x), df_dtype_name(DF_REAL));
}

static df_tensor *run(const char *name, job *j, df_tensor *x, df_tensor *y, df_int items,
                      df_int work, df_task *task) {
  j->y = df_tensor_data(y);
  df_parallel(items, GRAIN / df_max(1, work) + 1, task, j);
  return atomic_load(&j->misfit) ? misfit(name, x) : y;
}

#define HALF 4294967296 /* 2^32 */
#define PART 65536      /* elements whose halves are added before a carry */

/* High and low halves of the numbers are summed separately. So a partial sum may exceed
** i64 if the whole sum does not. */
static bool sum_line(const int64_t *x, df_int n, int64_t *y) {
  int64_t high = 0, low = 0;
  for (df_int at = 0; at < n; at += PART) {
    for (df_int i = at; i < df_min(n, at + PART); i++) {
      int64_t rest = (int64_t)((uint64_t)x[i] % HALF);
      low += rest, high += (x[i] - rest) / HALF;
    }
    high += low / HALF, low %= HALF;
  }
  *y = (int64_t)((uint64_t)high * HALF + (uint64_t)low);
  return high >= INT32_MIN && high <= INT32_MAX;
}

static bool prod_line(const int64_t *x, df_int n, int64_t *y) {
  bool fits = true;
  *y = 1;
  for (df_int i = 0; i < n; i++)
    if (x[i] == 0) return *y = 0, true;
  for (df_int i = 0; i < n; i++) fits = !__builtin_mul_overflow(*y, x[i], y) && fits;
  return fits;
}

static void sum_lines(void *context, df_int begin, df_int end) {
  job *j = context;
  for (df_int i = begin; i < end; i++)
    if (!sum_line(j->x + i * j->length, j->length, j->y + i)) j->misfit = true;
}

/* Bytes are added in reals, in blocks so short that nothing is rounded. */
static void byte_lines(void *context, df_int begin, df_int end) {
  job *j = context;
  df_real room[DF_BLOCK];
  for (df_int i = begin; i < end; i++) {
    const uint8_t *x = j->bytes + i * j->length;
    j->y[i] = 0;
    for (df_int k = 0; k < j->length; k += DF_BLOCK) {
      df_int n = df_min(DF_BLOCK, j->length - k);
      df_kernel()->from_u8(room, x + k, n);
      j->y[i] += (int64_t)df_kernel()->sum(room, n);
    }
  }
}

static void prod_lines(void *context, df_int begin, df_int end) {
  job *j = context;
  for (df_int i = begin; i < end; i++)
    if (!prod_line(j->x + i * j->length, j->length, j->y + i)) j->misfit = true;
}

static df_tensor *fold(df_tape *tape, const char *name, df_tensor *x, unsigned dims,
                       bool keep, df_task *task) {
  df_shape shape;
  job j = { .misfit = false };
  if (!dims) dims = (1u << x->shape.ndim) - 1;
  df_dtype kind = task == byte_lines ? DF_U8 : DF_I64;
  df_tensor *lines = df_lines_of(tape, df_to(tape, x, kind), dims, &j.length);
  if (lines && !df_tensor_is_dense(lines)) lines = df_clone(tape, lines);
  if (!lines) return NULL;
  df_reduced_shape(&x->shape, dims, keep, &shape);
  df_tensor *y = df_scope_own(tape, df_tensor_new(DF_I64, &shape));
  if (!y) return NULL;
  j.x = df_tensor_data(lines), j.bytes = df_tensor_data(lines);
  return run(name, &j, x, y, df_tensor_count(y), j.length, task);
}

df_tensor *df_whole_sum(df_tape *tape, df_tensor *x, unsigned dims, bool keep) {
  df_task *task = x->dtype == DF_U8 ? byte_lines : sum_lines;
  return fold(tape, "sum", x, dims, keep, task);
}

df_tensor *df_whole_prod(df_tape *tape, df_tensor *x, unsigned dims, bool keep) {
  return fold(tape, "prod", x, dims, keep, prod_lines);
}

static void running_sums(void *context, df_int begin, df_int end) {
  job *j = context;
  for (df_int i = begin; i < end; i++) {
    const int64_t *x = j->x + i * j->length;
    int64_t *y = j->y + i * j->length, sum = 0;
    for (df_int k = 0; k < j->length; k++) {
      if (__builtin_add_overflow(sum, x[k], &sum)) j->misfit = true;
      y[k] = sum;
    }
  }
}

df_tensor *df_whole_cumsum(df_tape *tape, df_tensor *x, int dim) {
  df_tensor *lines = df_dense_whole(tape, df_to_last(tape, df_to(tape, x, DF_I64), dim));
  if (!lines) return NULL;
  df_tensor *y = df_scope_own(tape, df_tensor_new(DF_I64, &lines->shape));
  if (!y) return NULL;
  job j = { .x = df_tensor_data(lines), .length = x->shape.size[dim], .misfit = false };
  df_int count = df_tensor_count(y) / df_max(1, j.length);
  if (!run("cumsum", &j, x, y, count, j.length, running_sums)) return NULL;
  return df_from_last(tape, y, dim);
}

/* ==== matmul ======================================================================== */

static void product_rows(void *context, df_int begin, df_int end) {
  job *j = context;
  bool fits = true;
  for (df_int row = begin; row < end; row++) {
    const int64_t *a = j->x + row * j->length, *b = j->b + row / j->m * j->length * j->n;
    int64_t *y = j->y + row * j->n, term;
    memset(y, 0, (size_t)j->n * sizeof *y);
    for (df_int k = 0; k < j->length; k++)
      for (df_int i = 0; i < j->n; i++) {
        bool wide = __builtin_mul_overflow(a[k], b[k * j->n + i], &term);
        fits = !__builtin_add_overflow(y[i], term, &y[i]) && !wide && fits;
      }
  }
  if (!fits) j->misfit = true;
}

df_tensor *df_whole_matmul(df_tape *tape, df_tensor *a, df_tensor *b) {
  int last = a->shape.ndim - 1;
  df_shape shape = a->shape;
  job j = { .length = shape.size[last], .misfit = false };
  j.m = shape.size[last - 1], j.n = shape.size[last] = b->shape.size[last];
  df_tensor *rows = df_dense_whole(tape, a), *columns = df_dense_whole(tape, b);
  if (!rows || !columns) return NULL;
  df_tensor *y = df_scope_own(tape, df_tensor_new(DF_I64, &shape));
  if (!y) return NULL;
  j.x = df_tensor_data(rows), j.b = df_tensor_data(columns);
  df_int items = df_tensor_count(y) / df_max(1, j.n);
  return run("matmul", &j, a, y, j.n ? items : 0, j.length * j.n, product_rows);
}
