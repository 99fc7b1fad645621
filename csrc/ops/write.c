/* Writes in place, into windows of any strides and type. All memory is allocated before
** the first write. */
#include <string.h>

#include "base/pool.h"
#include "ops/binary.h"
#include "ops/block.h"
#include "ops/op.h"
#include "ops/whole.h"

static bool same_window(const df_tensor *y, const df_tensor *x) {
  return y->offset == x->offset && y->dtype == x->dtype
         && df_shape_equal(&y->shape, &x->shape)
         && memcmp(y->stride, x->stride, (size_t)y->shape.ndim * sizeof *y->stride) == 0;
}

/* x as it is before y is written to; they may share memory. */
static df_tensor *apart(df_tape *tape, const df_tensor *y, df_tensor *x) {
  if (x->storage->body != y->storage->body || same_window(y, x)) return x;
  return df_clone(tape, x);
}

/* True if several places of y are one number in memory, as after expand. */
static bool repeats(const df_tensor *y) {
  for (int i = 0; i < y->shape.ndim; i++)
    if (y->shape.size[i] > 1 && y->stride[i] == 0) return true;
  return false;
}

static df_code check(df_tape *tape, const char *name, const df_tensor *y, df_tensor *x) {
  df_shape both;
  if (df_may_write(tape, name, y, 1, &x) != DF_OK) return DF_MISUSE;
  if (repeats(y))
    return df_fail(
        DF_MISUSE,
        "%s: many places of the expanded %s are one number in memory and can't "
        "be written to; clone() it first",
        name, df_tensor_text(y));
  if (!df_shape_broadcast(&y->shape, &x->shape, &both)
      || !df_shape_equal(&both, &y->shape))
    return df_fail(DF_MISUSE, "%s: %s doesn't stretch to %s", name, df_tensor_text(x),
                   df_tensor_text(y));
  return DF_OK;
}

typedef struct job {
  df_binary *f;
  df_whole *whole;
  df_array y, x;
} job;

static void real_block(void *context, df_int begin, df_int end) {
  const job *j = context;
  df_real mine[DF_BLOCK], other[DF_BLOCK];
  df_int sy, sx, n = end - begin;
  df_real *y = (df_real *)df_fetch(&j->y, DF_REAL, begin, n, mine, &sy);
  const df_real *x = df_fetch(&j->x, DF_REAL, begin, n, other, &sx);
  j->f(y, y, sy, x, sx, n);
  if (y == mine) df_put(&j->y, DF_REAL, begin, n, y);
}

static void whole_block(void *context, df_int begin, df_int end) {
  const job *j = context;
  int64_t mine[DF_BLOCK], other[DF_BLOCK];
  df_int sy, sx, n = end - begin;
  int64_t *y = (int64_t *)df_fetch(&j->y, DF_I64, begin, n, mine, &sy);
  const int64_t *x = df_fetch(&j->x, DF_I64, begin, n, other, &sx);
  j->whole(y, y, sy, x, sx, n);
  if (y == mine) df_put(&j->y, DF_I64, begin, n, y);
}

df_code df_binary_into(df_tape *tape, const df_binary_op *row, df_tensor *y,
                       df_tensor *x) {
  const char *name = df_binary_name(row);
  if (!y || !x) return df_error_code();
  if (check(tape, name, y, x) != DF_OK) return DF_MISUSE;
  if (df_computable(name, y) != DF_OK || df_computable(name, x) != DF_OK)
    return DF_MISUSE;
  bool whole = df_binary_whole(row) && df_both_whole(y, x);
  if (!whole && !df_dtype_is_float(y->dtype))
    return df_fail(DF_MISUSE, "%s: the result is real, %s of %s holds whole numbers",
                   name, df_tensor_text(y), df_dtype_name(y->dtype));
  if (!whole && df_whole_fits(x, DF_REAL) != DF_OK) return DF_MISUSE;
  x = apart(tape, y, x);
  if (!x) return df_error_code();
  job j = { .f = df_binary_kernel(row), .whole = df_binary_whole(row) };
  j.y = df_array_of(y, &y->shape), j.x = df_array_of(x, &y->shape);
  df_int count = df_tensor_count(y);
  if (whole && df_whole_run(row, NULL, &j.y, &j.x, count) != DF_OK) return DF_MISUSE;
  df_parallel(count, DF_BLOCK, whole ? whole_block : real_block, &j);
  df_tensor_touch(y);
  return DF_OK;
}

df_code df_copy_into(df_tape *tape, df_tensor *y, df_tensor *x) {
  if (!y || !x) return df_error_code();
  if (check(tape, "copy", y, x) != DF_OK) return DF_MISUSE;
  if (y->dtype == DF_I64 && df_only_whole("copy", x) != DF_OK) return DF_MISUSE;
  x = apart(tape, y, x);
  if (!x) return df_error_code();
  df_tensor *from = df_scope_own(tape, df_tensor_expand(x, &y->shape));
  if (!from) return df_error_code();
  df_tensor_copy(y, from);
  return DF_OK;
}

df_code df_fill_into(df_tape *tape, df_tensor *y, double value) {
  df_shape none = { .ndim = 0 };
  df_tensor *x = df_scope_own(tape, df_tensor_new(y->dtype, &none));
  if (!x) return DF_MEMORY;
  df_dtype_convert(y->dtype, df_tensor_data(x), DF_F64, &value, 1);
  return df_copy_into(tape, y, x);
}
