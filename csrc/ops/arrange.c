/* cat, flip, roll, pad: copies into windows of the result. An op that can be composed of
** other ops is composed of them. */
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "ops/block.h"
#include "ops/op.h"
#include "ops/sink.h"

static df_tensor *too_large(const char *name, const df_tensor *x, int dim) {
  return df_fail_null(DF_MISUSE, "%s: dimension %d of %s would become too large", name,
                      dim + 1, df_tensor_text(x));
}

/* ==== cat =========================================================================== */

typedef struct cut {
  int dim;
  df_int size[]; /* the size of each operand in dim */
} cut;

/* Each operand takes its part of dy. */
static df_code cat_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const cut *c = node->data;
  df_int at = 0;
  for (int i = 0; i < node->n; at += c->size[i], i++) {
    df_tensor *g = df_scope_own(tape, df_tensor_narrow(dy, c->dim, at, c->size[i]));
    if (!g || df_sink_take(node, i, 1, g, &g->shape) != DF_OK) return df_error_code();
  }
  return DF_OK;
}

/* Dense tensors are joined line by line. A line of y has one piece of every operand. A
** block of lines is filled before the next, so y passes through the cache once. */
typedef struct lines {
  char *y;
  df_tensor *const *x;
  int n, dim;
  df_int bytes; /* bytes of a line of y */
} lines;

#define BLOCK 16384 /* bytes of a block of lines */

/* Bytes of x that are adjacent from dimension dim on. */
static df_int piece(const df_tensor *x, int dim) {
  df_int bytes = df_dtype_size(x->dtype);
  for (int i = dim; i < x->shape.ndim; i++) bytes *= x->shape.size[i];
  return bytes;
}

static void fill_lines(void *context, df_int begin, df_int end) {
  const lines *l = context;
  char *y = l->y;
  for (int i = 0; i < l->n; i++) {
    df_int bytes = piece(l->x[i], l->dim);
    const char *x = df_tensor_data(l->x[i]);
    for (df_int k = begin; k < end; k++)
      memcpy(y + k * l->bytes, x + k * bytes, (size_t)bytes);
    y += bytes;
  }
}

static bool all_dense(df_tensor *const *x, int n) {
  for (int i = 0; i < n; i++)
    if (!df_tensor_is_dense(x[i])) return false;
  return true;
}

/* Not for few long lines: copying each operand on its own shares the work out better. */
static bool join_lines(df_tensor *y, df_tensor *const *x, int n, int dim) {
  lines l = { .y = df_tensor_data(y), .x = x, .n = n, .dim = dim };
  l.bytes = piece(y, dim);
  if (l.bytes < 1 || l.bytes > BLOCK || !all_dense(x, n)) return false;
  df_int all = piece(y, 0) / l.bytes;
  df_parallel(all, BLOCK / l.bytes, fill_lines, &l);
  df_tensor_touch(y);
  return true;
}

static df_code join_parts(df_tensor *y, df_tensor *const *x, int n, int dim) {
  df_int at = 0;
  for (int i = 0; i < n; at += x[i]->shape.size[dim], i++) {
    df_tensor *to = df_tensor_narrow(y, dim, at, x[i]->shape.size[dim]);
    if (!to) return DF_MEMORY;
    df_tensor_copy(to, x[i]);
    df_tensor_release(to);
  }
  return DF_OK;
}

static df_tensor *join(df_tape *tape, df_tensor *const *x, int n, int dim) {
  df_shape shape = x[0]->shape;
  for (int i = 1; i < n; i++)
    if (__builtin_add_overflow(shape.size[dim], x[i]->shape.size[dim], &shape.size[dim]))
      return too_large("cat", x[0], dim);
  df_tensor *y = df_scope_own(tape, df_tensor_new(x[0]->dtype, &shape));
  if (!y || join_lines(y, x, n, dim)) return y;
  return join_parts(y, x, n, dim) == DF_OK ? y : NULL;
}

/* Other nodes mostly keep the operands anyway, so keeping y would cost more. */
static df_tensor *cat_remake(df_tape *tape, df_node *node) {
  const cut *c = node->data;
  return join(tape, node->keep, node->kept, c->dim);
}

static df_tensor *note_cat(df_tape *tape, df_tensor *y, df_tensor *const *x, int n,
                           int dim) {
  static const df_op op = { "cat", cat_backward };
  size_t size = sizeof(cut) + (size_t)n * sizeof(df_int);
  cut *c = df_alloc(size);
  if (!c) return NULL;
  c->dim = dim;
  for (int i = 0; i < n; i++) c->size[i] = x[i]->shape.size[dim];
  df_note note = { .op = &op, .n = n, .x = x, .kept = n, .keep = x };
  note.data = c, note.size = size, note.remake = cat_remake;
  y = df_tape_note(tape, y, note);
  df_free(c);
  return y;
}

static df_code check_cat(df_tensor *const *x, int n, int dim) {
  for (int i = 0; i < n; i++) {
    if (!x[i]) return df_error_code();
    df_shape shape = x[i]->shape;
    if (dim < shape.ndim) shape.size[dim] = x[0]->shape.size[dim];
    if (dim >= shape.ndim || !df_shape_equal(&shape, &x[0]->shape))
      return df_fail(DF_MISUSE,
                     "cat: tensor %d is %s and the first %s; along dimension "
                     "%d all else must agree",
                     i + 1, df_tensor_text(x[i]), df_tensor_text(x[0]), dim + 1);
    if (x[i]->dtype != x[0]->dtype)
      return df_fail(DF_MISUSE, "cat: tensor %d is %s and the first %s", i + 1,
                     df_dtype_name(x[i]->dtype), df_dtype_name(x[0]->dtype));
  }
  return DF_OK;
}

df_tensor *df_cat(df_tape *tape, df_tensor *const *x, int n, int dim) {
  if (check_cat(x, n, dim) != DF_OK) return NULL;
  df_tensor *y = join(tape, x, n, dim);
  return y ? note_cat(tape, y, x, n, dim) : NULL;
}

/* x with a dimension of size 1 before `dim` */
static df_tensor *widen(df_tape *tape, df_tensor *x, int dim) {
  if (!x) return NULL;
  df_shape shape = { .ndim = x->shape.ndim + 1 };
  if (shape.ndim > DF_DIMS)
    return df_fail_null(DF_MISUSE, "%s would have more than %d dimensions",
                        df_tensor_text(x), DF_DIMS);
  for (int i = 0; i < shape.ndim; i++)
    shape.size[i] = i == dim ? 1 : x->shape.size[i < dim ? i : i - 1];
  return df_reshape(tape, x, &shape);
}

df_tensor *df_stack(df_tape *tape, df_tensor *const *x, int n, int dim) {
  df_tensor **wide = df_alloc((size_t)n * sizeof *wide);
  if (!wide) return NULL;
  int done = 0;
  for (; done < n; done++) {
    wide[done] = widen(tape, x[done], dim);
    if (!wide[done]) break;
  }
  df_tensor *y = done == n ? df_cat(tape, wide, n, dim) : NULL;
  df_free(wide);
  return y;
}

/* ==== flip, roll, repeat_each ======================================================= */

/* A window that reads dimension dim backwards. It may only be copied from. */
static df_tensor *backwards(df_tape *tape, const df_tensor *x, int dim) {
  df_int stride[DF_DIMS];
  for (int i = 0; i < x->shape.ndim; i++)
    stride[i] = i == dim ? -x->stride[i] : x->stride[i];
  df_int last = df_max(0, x->shape.size[dim] - 1);
  df_int offset = x->offset + last * x->stride[dim];
  return df_scope_own(tape, df_tensor_window(x, &x->shape, stride, offset));
}

static df_code flip_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const int *dim = node->data;
  df_tensor *g = backwards(tape, dy, *dim);
  return g ? df_sink_take(node, 0, 1, g, &g->shape) : DF_MEMORY;
}

df_tensor *df_flip(df_tape *tape, df_tensor *x, int dim) {
  static const df_op op = { "flip", flip_backward };
  if (!x) return NULL;
  df_tensor *y = df_scope_own(tape, df_tensor_new(x->dtype, &x->shape));
  df_tensor *from = backwards(tape, x, dim);
  if (!y || !from) return NULL;
  df_tensor_copy(y, from);
  df_note note = { .op = &op, .n = 1, .x = &x, .data = &dim, .size = sizeof dim };
  return df_tape_note(tape, y, note);
}

df_tensor *df_roll(df_tape *tape, df_tensor *x, df_int shift, int dim) {
  if (!x || x->shape.size[dim] == 0) return df_clone(tape, x);
  /* the last elements, which come first */
  df_int n = x->shape.size[dim], last = (shift % n + n) % n;
  df_tensor *part[2] = { df_narrow(tape, x, dim, n - last, last),
                         df_narrow(tape, x, dim, 0, n - last) };
  return df_cat(tape, part, 2, dim);
}

df_tensor *df_repeat_each(df_tape *tape, df_tensor *x, df_int times, int dim) {
  df_tensor *wide = widen(tape, x, dim + 1);
  if (!wide) return NULL;
  df_shape many = wide->shape, shape = x->shape;
  many.size[dim + 1] = times;
  if (__builtin_mul_overflow(shape.size[dim], times, &shape.size[dim]))
    return too_large("repeat_each", x, dim);
  return df_view(tape, df_clone(tape, df_expand(tape, wide, &many)), &shape);
}

/* ==== pad =========================================================================== */

/* The window of y that x fills. */
static df_tensor *inner(df_tape *tape, const df_tensor *y, const df_shape *shape,
                        const df_int *before) {
  df_int offset = y->offset;
  for (int i = 0; i < shape->ndim; i++) offset += before[i] * y->stride[i];
  return df_scope_own(tape, df_tensor_window(y, shape, y->stride, offset));
}

typedef struct margin {
  df_shape shape;
  df_int before[DF_DIMS];
} margin;

/* dx is the part of dy within the margins. */
static df_code pad_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const margin *m = node->data;
  df_tensor *g = inner(tape, dy, &m->shape, m->before);
  return g ? df_sink_take(node, 0, 1, g, &g->shape) : DF_MEMORY;
}

df_tensor *df_pad(df_tape *tape, df_tensor *x, const df_int *before, const df_int *after,
                  df_tensor *value) {
  static const df_op op = { "pad", pad_backward };
  if (!x) return NULL;
  df_shape shape = x->shape;
  margin m = { .shape = x->shape };
  for (int i = 0; i < shape.ndim; i++) {
    if (__builtin_add_overflow(shape.size[i], before[i], &shape.size[i])
        || __builtin_add_overflow(shape.size[i], after[i], &shape.size[i]))
      return too_large("pad", x, i);
    m.before[i] = before[i];
  }
  df_tensor *y = df_scope_own(tape, df_tensor_new(x->dtype, &shape));
  if (!y) return NULL;
  df_code code = value ? df_copy_into(tape, y, value) : df_fill_into(tape, y, 0);
  if (code != DF_OK) return NULL;
  df_tensor *to = inner(tape, y, &x->shape, before);
  if (!to) return NULL;
  df_tensor_copy(to, x);
  df_note note = { .op = &op, .n = 1, .x = &x, .data = &m, .size = sizeof m };
  return df_tape_note(tape, y, note);
}
