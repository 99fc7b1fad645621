/* Gathers and scatters blocks. Positions of elements are advanced step by step, without
** divisions. Elements that are adjacent already are not copied. */
#include "ops/block.h"

#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/fold.h"
#include "ops/op.h"

static void add_dim(df_array *a, df_int size, df_int stride) {
  int last = a->ndim - 1;
  if (size == 1) return;
  if (last >= 0 && a->stride[last] == size * stride) a->size[last] *= size;
  else last = a->ndim++, a->size[last] = size;
  a->stride[last] = stride;
}

/* One value for all: no dimensions. */
static void simplify(df_array *a) {
  for (int i = 0; i < a->ndim; i++)
    if (a->stride[i] != 0) return;
  a->ndim = 0;
}

df_array df_array_of(const df_tensor *x, const df_shape *shape) {
  df_array a = { .dtype = x->dtype, .data = df_tensor_data(x) };
  int lead = shape->ndim - x->shape.ndim;
  for (int i = 0; i < shape->ndim; i++) {
    bool own = i >= lead && x->shape.size[i - lead] == shape->size[i];
    add_dim(&a, shape->size[i], own ? x->stride[i - lead] : 0);
  }
  simplify(&a);
  return a;
}

df_array df_array_at(df_real *data, const df_shape *shape, const df_int *stride) {
  df_array a = { .dtype = DF_REAL, .data = (char *)data };
  for (int i = 0; i < shape->ndim; i++) add_dim(&a, shape->size[i], stride[i]);
  return a;
}

/* A place in an array: its coordinates and the element's offset. */
typedef struct place {
  df_int at[DF_DIMS], offset;
} place;

static place seek(const df_array *a, df_int first) {
  place p = { .offset = 0 };
  for (int i = a->ndim - 1; i >= 0; i--) {
    p.at[i] = first % a->size[i];
    first /= a->size[i];
    p.offset += p.at[i] * a->stride[i];
  }
  return p;
}

/* Advances n elements, within the last dimension or to its end. */
static void advance(const df_array *a, place *p, df_int n) {
  int i = a->ndim - 1;
  p->at[i] += n, p->offset += n * a->stride[i];
  for (; i > 0 && p->at[i] == a->size[i]; i--) {
    p->offset += a->stride[i - 1] - a->size[i] * a->stride[i];
    p->at[i] = 0, p->at[i - 1]++;
  }
}

/* y[i] = x[i step], elements of `width` bytes */
static void gather(char *y, const char *x, df_int step, df_int n, int width) {
  step *= width;
  if (width == 4)
    for (df_int i = 0; i < n; i++) memcpy(y + 4 * i, x + i * step, 4);
  else if (width == 8)
    for (df_int i = 0; i < n; i++) memcpy(y + 8 * i, x + i * step, 8);
  else
    for (df_int i = 0; i < n; i++) memcpy(y + i * width, x + i * step, (size_t)width);
}

static void convert(df_dtype to, char *y, df_dtype from, const char *x, df_int step,
                    df_int n) {
  int wy = df_dtype_size(to), wx = df_dtype_size(from);
  if (step == 1) {
    df_dtype_convert(to, y, from, x, n);
  } else if (to == from) {
    gather(y, x, step, n, wy);
  } else if (step == 0) {
    df_dtype_convert(to, y, from, x, 1);
    gather(y, y, 0, n, wy);
  } else {
    for (df_int i = 0; i < n; i++)
      df_dtype_convert(to, y + i * wy, from, x + i * step * wx, 1);
  }
}

/* The number of whole rows of the last dimension, from p on, that are the same row
** again. */
static df_int repeats(const df_array *a, const place *p, df_int n) {
  int last = a->ndim - 1;
  if (last < 1 || a->stride[last - 1] != 0 || p->at[last] != 0) return 1;
  return df_max(1, df_min(n / a->size[last], a->size[last - 1] - p->at[last - 1]));
}

/* Runs that need no conversion: the common case, with a few elements each. */
static void copy_runs(const df_array *a, place p, df_int n, char *y) {
  int last = a->ndim - 1, width = df_dtype_size(a->dtype);
  for (df_int run; n > 0; n -= run, y += run * width) {
    run = df_min(n, a->size[last] - p.at[last]);
    memcpy(y, a->data + p.offset * width, (size_t)(run * width));
    advance(a, &p, run);
  }
}

const void *df_fetch(const df_array *a, df_dtype as, df_int first, df_int n,
                     void *scratch, df_int *step) {
  int last = a->ndim - 1, width = df_dtype_size(as);
  bool single = last < 0, flat = last == 0 && a->stride[0] == 1;
  *step = single ? 0 : 1;
  place p = seek(a, first);
  const char *x = a->data + p.offset * df_dtype_size(a->dtype);
  if ((single || flat) && a->dtype == as) return x;
  if (single) df_dtype_convert(as, scratch, a->dtype, x, 1);
  char *y = scratch;
  if (!single && a->dtype == as && a->stride[last] == 1) {
    copy_runs(a, p, n, y);
    return scratch;
  }
  while (!single && n > 0) {
    df_int run = df_min(n, a->size[last] - p.at[last]), rows = repeats(a, &p, n);
    x = a->data + p.offset * df_dtype_size(a->dtype);
    convert(as, y, a->dtype, x, a->stride[last], run);
    advance(a, &p, run);
    for (df_int r = 1; r < rows; r++) {
      memcpy(y + r * run * width, y, (size_t)(run * width));
      advance(a, &p, run);
    }
    y += rows * run * width, n -= rows * run;
  }
  return scratch;
}

void df_put(const df_array *a, df_dtype from, df_int first, df_int n, const void *x) {
  int last = a->ndim - 1, wy = df_dtype_size(a->dtype), wx = df_dtype_size(from);
  const char *at = x;
  if (last < 0) df_dtype_convert(a->dtype, a->data, from, at, df_min(n, 1));
  if (last < 0) return;
  for (place p = seek(a, first); n > 0;) {
    df_int run = df_min(n, a->size[last] - p.at[last]), step = a->stride[last];
    char *y = a->data + p.offset * wy;
    if (step == 1) df_dtype_convert(a->dtype, y, from, at, run);
    else
      for (df_int i = 0; i < run; i++)
        df_dtype_convert(a->dtype, y + i * step * wy, from, at + i * wx, 1);
    advance(a, &p, run);
    at += run * wx, n -= run;
  }
}

/* ==== gradients ===================================================================== */

typedef struct adding {
  df_real *to, beta, c;
  df_array x;
} adding;

/* A block that is only gathered is gathered directly into its result. */
static void add_block(void *context, df_int begin, df_int end) {
  const adding *job = context;
  df_real own[DF_BLOCK], one = 1, *to = job->to + begin;
  bool plain = job->beta == 0 && job->c == 1;
  df_int step, n = end - begin;
  const df_real *x = df_fetch(&job->x, DF_REAL, begin, n, plain ? to : own, &step);
  if (!step) df_kernel()->product(to, job->beta, job->c, x, 0, &one, 0, n);
  else if (x != to) df_kernel()->mix(to, job->beta, &job->c, &x, 1, n);
}

void df_accumulate(df_real *to, df_real beta, double c, const df_tensor *x,
                   const df_shape *shape) {
  adding job = { to, beta, (df_real)c, df_array_of(x, shape) };
  df_parallel(df_shape_count(shape), DF_BLOCK, add_block, &job);
}

df_code df_sink_take(df_node *node, int i, double c, const df_tensor *g,
                     const df_shape *shape) {
  df_sink s;
  if (df_sink_open(node, i, &s) != DF_OK) return df_error_code();
  if (s.to) df_accumulate(s.to, s.beta, c, g, shape);
  return DF_OK;
}

df_code df_wide_open(df_tape *tape, df_node *node, int i, const df_shape *shape,
                     const df_shape *full, df_wide *wide) {
  *wide = (df_wide){ .to = NULL, .shape = *shape, .full = *full };
  if (df_sink_open(node, i, &wide->sink) != DF_OK) return df_error_code();
  wide->to = wide->sink.to, wide->beta = wide->sink.beta;
  if (!wide->to || df_shape_equal(shape, full)) return DF_OK;
  df_tensor *g = df_result(tape, full);
  wide->to = g ? df_tensor_reals(g) : NULL, wide->beta = 0;
  return g ? DF_OK : DF_MEMORY;
}

df_code df_wide_close(const df_wide *w) {
  if (w->to == w->sink.to) return DF_OK;
  return df_reduce_to(w->sink.to, w->sink.beta, &w->shape, w->to, &w->full);
}

df_code df_computable(const char *name, const df_tensor *x) {
  if (df_dtype_in_blocks(x->dtype))
    return df_fail(DF_MISUSE, "%s: %s holds stored weights; x:to \"f32\" first", name,
                   df_dtype_name(x->dtype));
  if (x->dtype != DF_F64 || DF_REAL == DF_F64) return DF_OK;
  return df_fail(DF_MISUSE,
                 "%s: f64 is computed in the verification build; x:to \"f32\" first",
                 name);
}
