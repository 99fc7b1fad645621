/* Tensors are windows on storage. Views share the storage and count references to it. */
#include "tensor/tensor.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

static df_tensor *head(df_dtype dtype, const df_shape *shape, df_storage *storage) {
  df_tensor *x = df_alloc_zeros(sizeof *x);
  if (!x) return NULL;
  x->refs = 1;
  x->dtype = dtype;
  x->shape = *shape;
  x->storage = storage;
  df_shape_strides(shape, x->stride);
  return x;
}

df_tensor *df_tensor_new(df_dtype dtype, const df_shape *shape) {
  df_int count = df_shape_count(shape), bytes;
  if (df_dtype_in_blocks(dtype))
    return df_fail_null(DF_MISUSE, "a tensor %s of %s is only read; x:to \"f32\" first",
                        df_shape_text(shape), df_dtype_name(dtype));
  if (count < 0 || __builtin_mul_overflow(count, df_dtype_size(dtype), &bytes))
    return df_fail_null(DF_MISUSE, "a tensor of shape %s is too large",
                        df_shape_text(shape));
  df_storage *storage = df_storage_new((size_t)bytes);
  if (!storage) return NULL;
  df_tensor *x = head(dtype, shape, storage);
  if (!x) df_storage_release(storage);
  return x;
}

df_tensor *df_tensor_on(df_storage *storage, df_dtype dtype, const df_shape *shape,
                        df_int offset) {
  df_tensor *x = head(dtype, shape, storage);
  if (!x) return NULL;
  df_storage_retain(storage);
  x->offset = offset;
  return x;
}

df_tensor *df_tensor_window(const df_tensor *x, const df_shape *shape,
                            const df_int *stride, df_int offset) {
  df_tensor *y = df_tensor_on(x->storage, x->dtype, shape, offset);
  if (y) memcpy(y->stride, stride, (size_t)shape->ndim * sizeof *stride);
  return y;
}

df_tensor *df_tensor_retain(df_tensor *x) {
  if (x) x->refs++;
  return x;
}

void df_tensor_release(df_tensor *x) {
  if (!x || --x->refs > 0) return;
  df_storage_release(x->storage);
  df_free(x);
}

df_int df_tensor_count(const df_tensor *x) { return df_shape_count(&x->shape); }

bool df_tensor_is_dense(const df_tensor *x) {
  df_int step = 1;
  for (int i = x->shape.ndim - 1; i >= 0; i--) {
    if (x->shape.size[i] != 1 && x->stride[i] != step) return false;
    step *= df_max(x->shape.size[i], 1);
  }
  return true;
}

void *df_tensor_data(const df_tensor *x) {
  return (char *)x->storage->body->data + x->offset * df_dtype_size(x->dtype);
}

df_real *df_tensor_reals(const df_tensor *x) { return df_tensor_data(x); }

uint64_t df_tensor_version(const df_tensor *x) { return x->storage->body->version; }

void df_tensor_touch(df_tensor *x) { df_storage_touch(x->storage); }

const char *df_tensor_text(const df_tensor *x) { return df_shape_text(&x->shape); }

df_tensor *df_tensor_narrow(const df_tensor *x, int dim, df_int start, df_int length) {
  df_shape shape = x->shape;
  shape.size[dim] = length;
  return df_tensor_window(x, &shape, x->stride, x->offset + start * x->stride[dim]);
}

df_tensor *df_tensor_select(const df_tensor *x, int dim, df_int index) {
  df_shape shape = { .ndim = x->shape.ndim - 1 };
  df_int stride[DF_DIMS];
  for (int i = 0; i < shape.ndim; i++) {
    int from = i < dim ? i : i + 1;
    shape.size[i] = x->shape.size[from], stride[i] = x->stride[from];
  }
  return df_tensor_window(x, &shape, stride, x->offset + index * x->stride[dim]);
}

df_tensor *df_tensor_permute(const df_tensor *x, const int *order) {
  df_shape shape = { .ndim = x->shape.ndim };
  df_int stride[DF_DIMS];
  for (int i = 0; i < shape.ndim; i++)
    shape.size[i] = x->shape.size[order[i]], stride[i] = x->stride[order[i]];
  return df_tensor_window(x, &shape, stride, x->offset);
}

df_tensor *df_tensor_expand(const df_tensor *x, const df_shape *shape) {
  df_shape both;
  df_int stride[DF_DIMS];
  if (!df_shape_broadcast(&x->shape, shape, &both) || !df_shape_equal(&both, shape))
    return df_fail_null(DF_MISUSE, "expand: %s cannot be broadcast to %s",
                        df_tensor_text(x), df_shape_text(shape));
  if (df_shape_count(shape) < 0)
    return df_fail_null(DF_MISUSE, "expand: a tensor of shape %s is too large",
                        df_shape_text(shape));
  int lead = shape->ndim - x->shape.ndim;
  for (int i = 0; i < shape->ndim; i++) {
    bool own = i >= lead && x->shape.size[i - lead] == shape->size[i];
    stride[i] = own ? x->stride[i - lead] : 0;
  }
  return df_tensor_window(x, shape, stride, x->offset);
}

/* Computes strides with which x reads as `shape`; false if that needs a copy. A run is a
** group of x's dimensions that one stride can step through. It is divided into dimensions
** of `shape`. */
static bool restride(const df_tensor *x, const df_shape *shape, df_int *stride) {
  int to = shape->ndim - 1;
  df_int run = 1, part = 1, step = 1; /* run: elements in it; part: assigned so far */
  for (int from = x->shape.ndim - 1; from >= 0; from--) {
    if (x->shape.size[from] == 1) continue;
    if (part == run) step = x->stride[from], run = part = 1;
    else if (x->stride[from] != step * run) return false;
    run *= x->shape.size[from];
    for (; to >= 0 && part * shape->size[to] <= run && part < run; to--)
      stride[to] = step * part, part *= shape->size[to];
  }
  for (; to >= 0; to--) stride[to] = step * part;
  return part == run;
}

df_tensor *df_tensor_view(const df_tensor *x, const df_shape *shape) {
  df_int stride[DF_DIMS];
  if (df_shape_count(shape) != df_tensor_count(x))
    return df_fail_null(DF_MISUSE, "view: %s has %td elements, %s would have %td",
                        df_tensor_text(x), df_tensor_count(x), df_shape_text(shape),
                        df_shape_count(shape));
  if (df_tensor_is_dense(x) || df_tensor_count(x) == 0) df_shape_strides(shape, stride);
  else if (!restride(x, shape, stride))
    return df_fail_null(DF_MISUSE, "view: %s isn't contiguous; use reshape",
                        df_tensor_text(x));
  return df_tensor_window(x, shape, stride, x->offset);
}

df_runs df_runs_over(const df_shape *shape) {
  df_runs r = { .runs = 1, .length = 1 };
  if (shape->ndim > 0) r.length = shape->size[shape->ndim - 1];
  r.outer = shape->ndim > 0 ? shape->ndim - 1 : 0;
  for (int i = 0; i < r.outer; i++) r.size[i] = shape->size[i], r.runs *= shape->size[i];
  return r;
}

df_int df_runs_offset(const df_runs *r, df_int run, const df_int *stride) {
  df_int offset = 0;
  for (int i = r->outer - 1; i >= 0; i--) {
    offset += run % r->size[i] * stride[i];
    run /= r->size[i];
  }
  return offset;
}
