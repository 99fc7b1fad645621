/* Weights in 16 bits and in blocks as reals. */
#include "ops/stored.h"

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/copy.h"

/* ==== readers ======================================================================= */

static void read_f32(df_real *y, const void *x, df_int at, df_int n) {
  df_kernel()->from_f32(y, (const float *)x + at, n);
}
static void read_f16(df_real *y, const void *x, df_int at, df_int n) {
  df_kernel()->from_f16(y, (const uint16_t *)x + at, n);
}
static void read_bf16(df_real *y, const void *x, df_int at, df_int n) {
  df_kernel()->from_bf16(y, (const uint16_t *)x + at, n);
}
static void read_q8_0(df_real *y, const void *x, df_int at, df_int n) {
  df_kernel()->from_q8_0(y, x, at, n);
}
static void read_q4_0(df_real *y, const void *x, df_int at, df_int n) {
  df_kernel()->from_q4_0(y, x, at, n);
}
static void read_q4_1(df_real *y, const void *x, df_int at, df_int n) {
  df_kernel()->from_q4_1(y, x, at, n);
}
static void read_q5_0(df_real *y, const void *x, df_int at, df_int n) {
  df_kernel()->from_q5_0(y, x, at, n);
}
static void read_q5_1(df_real *y, const void *x, df_int at, df_int n) {
  df_kernel()->from_q5_1(y, x, at, n);
}

static df_weight_reader *const reader[DF_DTYPES] = {
  [DF_F32] = read_f32,   [DF_F16] = read_f16,   [DF_BF16] = read_bf16,
  [DF_Q8_0] = read_q8_0, [DF_Q4_0] = read_q4_0, [DF_Q4_1] = read_q4_1,
  [DF_Q5_0] = read_q5_0, [DF_Q5_1] = read_q5_1,
};

df_weight_reader *df_stored_reader(df_dtype dtype) { return reader[dtype]; }

void df_stored_read(const df_tensor *x, df_int at, df_real *y, df_int n) {
  reader[x->dtype](y, x->storage->body->data, at, n);
}

/* ==== copies ======================================================================== */

#define SOME  256  /* elements at a time */
#define GRAIN 4096 /* elements of a chunk */

typedef struct copy {
  df_tensor *y;
  const df_tensor *x;
  df_runs runs;
  df_int sy, sx; /* steps along a run */
} copy;

/* Elements [from, from + n) of a run, n <= SOME. */
static void copy_some(const copy *c, df_int oy, df_int ox, df_int n) {
  df_real some[SOME];
  int width = df_dtype_size(c->y->dtype);
  char *y = (char *)c->y->storage->body->data + oy * width;
  if (c->sx == 1) df_stored_read(c->x, ox, some, n);
  else
    for (df_int i = 0; i < n; i++) df_stored_read(c->x, ox + i * c->sx, some + i, 1);
  if (c->sy == 1) df_dtype_convert(c->y->dtype, y, DF_REAL, some, n);
  else
    for (df_int i = 0; i < n; i++)
      df_dtype_convert(c->y->dtype, y + i * c->sy * width, DF_REAL, some + i, 1);
}

static void copy_runs(void *context, df_int begin, df_int end) {
  const copy *c = context;
  for (df_int run = begin; run < end; run++) {
    df_int oy = c->y->offset + df_runs_offset(&c->runs, run, c->y->stride);
    df_int ox = c->x->offset + df_runs_offset(&c->runs, run, c->x->stride);
    for (df_int i = 0; i < c->runs.length; i += SOME)
      copy_some(c, oy + i * c->sy, ox + i * c->sx, df_min(SOME, c->runs.length - i));
  }
}

void df_blocks_copy(df_tensor *y, const df_tensor *x) {
  copy c = { .y = y, .x = x, .runs = df_runs_over(&x->shape), .sy = 1, .sx = 1 };
  int last = x->shape.ndim - 1;
  if (last >= 0) c.sy = y->stride[last], c.sx = x->stride[last];
  if (df_tensor_count(x) > 0)
    df_parallel(c.runs.runs, GRAIN / (c.runs.length + 1) + 1, copy_runs, &c);
}
