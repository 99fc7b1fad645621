/* Windows on a tensor, and plain copies. The gradient of a window is a window on the
** gradient. */
#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/block.h"
#include "ops/fold.h"
#include "ops/op.h"
#include "ops/sink.h"

static df_code pass(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  return df_sink_pass(node, 0, dy);
}

static df_tensor *note(df_tape *tape, const df_op *op, df_tensor *y, df_tensor *x,
                       const void *data, size_t size) {
  if (!y || !df_dtype_is_float(y->dtype)) return y;
  df_note n = { .op = op, .n = 1, .x = &x, .data = data, .size = size };
  return df_tape_note(tape, y, n);
}

/* ==== the same elements in the same order =========================================== */

static const df_op view_op = { "view", pass };

df_tensor *df_clone(df_tape *tape, df_tensor *x) {
  static const df_op op = { "clone", pass };
  if (!x) return NULL;
  df_tensor *y = df_scope_own(tape, df_tensor_new(x->dtype, &x->shape));
  if (!y) return NULL;
  df_tensor_copy(y, x);
  return note(tape, &op, y, x, NULL, 0);
}

df_tensor *df_detach(df_tape *tape, df_tensor *x) {
  if (!x) return NULL;
  return df_scope_own(tape, df_tensor_window(x, &x->shape, x->stride, x->offset));
}

df_tensor *df_view(df_tape *tape, df_tensor *x, const df_shape *shape) {
  if (!x) return NULL;
  df_tensor *y = df_scope_own(tape, df_tensor_view(x, shape));
  return note(tape, &view_op, y, x, NULL, 0);
}

df_tensor *df_reshape(df_tape *tape, df_tensor *x, const df_shape *shape) {
  if (!x) return NULL;
  if (df_shape_count(shape) != df_tensor_count(x))
    return df_fail_null(DF_MISUSE, "reshape: %s has %td elements, %s would have %td",
                        df_tensor_text(x), df_tensor_count(x), df_shape_text(shape),
                        df_shape_count(shape));
  df_tensor *y = df_tensor_view(x, shape);
  if (y) return note(tape, &view_op, df_scope_own(tape, y), x, NULL, 0);
  return df_view(tape, df_clone(tape, x), shape);
}

/* ==== permute ======================================================================= */

static df_code permute_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const int *order = node->data;
  int inverse[DF_DIMS];
  for (int i = 0; i < dy->shape.ndim; i++) inverse[order[i]] = i;
  df_tensor *g = df_scope_own(tape, df_tensor_permute(dy, inverse));
  return g ? df_sink_take(node, 0, 1, g, &g->shape) : DF_MEMORY;
}

df_tensor *df_permute(df_tape *tape, df_tensor *x, const int *order) {
  static const df_op op = { "permute", permute_backward };
  if (!x) return NULL;
  df_tensor *y = df_scope_own(tape, df_tensor_permute(x, order));
  return note(tape, &op, y, x, order, (size_t)x->shape.ndim * sizeof *order);
}

/* ==== expand ======================================================================== */

/* dx is the sum of dy over the dimensions that x was repeated in. */
static df_code expand_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const df_shape *shape = node->data;
  (void)tape;
  df_sink s;
  if (df_sink_open(node, 0, &s) != DF_OK) return df_error_code();
  if (!s.to) return DF_OK;
  return df_reduce_to(s.to, s.beta, shape, df_tensor_reals(dy), &dy->shape);
}

df_tensor *df_expand(df_tape *tape, df_tensor *x, const df_shape *shape) {
  static const df_op op = { "expand", expand_backward };
  if (!x) return NULL;
  df_tensor *y = df_scope_own(tape, df_tensor_expand(x, shape));
  return note(tape, &op, y, x, &x->shape, sizeof x->shape);
}

/* ==== narrow and select ============================================================= */

typedef struct part {
  df_shape whole;
  int dim;
  df_int start;
} part;

typedef struct adding {
  df_array to, g;
} adding;

static void add_block(void *context, df_int begin, df_int end) {
  const adding *job = context;
  df_real mine[DF_BLOCK], more[DF_BLOCK];
  df_int s, t, n = end - begin;
  df_real *to = (df_real *)df_fetch(&job->to, DF_REAL, begin, n, mine, &s);
  const df_real *g = df_fetch(&job->g, DF_REAL, begin, n, more, &t);
  df_kernel()->add(to, to, 1, g, t, n);
  if (to == mine) df_put(&job->to, DF_REAL, begin, n, to);
}

/* dy is added to a window on dx: from `start` on in dimension dim. dy of select has no
** such dimension. */
static df_code part_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const part *p = node->data;
  df_int stride[DF_DIMS];
  df_shape window = p->whole;
  df_sink s;
  (void)tape;
  if (df_sink_open_parts(node, 0, &s) != DF_OK) return df_error_code();
  if (!s.to) return DF_OK;
  df_shape_strides(&p->whole, stride);
  window.size[p->dim] = dy->shape.ndim < window.ndim ? 1 : dy->shape.size[p->dim];
  adding job = { df_array_at(s.to + p->start * stride[p->dim], &window, stride),
                 df_array_of(dy, &dy->shape) };
  df_parallel(df_tensor_count(dy), DF_BLOCK, add_block, &job);
  return DF_OK;
}

df_tensor *df_narrow(df_tape *tape, df_tensor *x, int dim, df_int start, df_int length) {
  static const df_op op = { "narrow", part_backward };
  if (!x) return NULL;
  part p = { x->shape, dim, start };
  df_tensor *y = df_scope_own(tape, df_tensor_narrow(x, dim, start, length));
  return note(tape, &op, y, x, &p, sizeof p);
}

df_tensor *df_select(df_tape *tape, df_tensor *x, int dim, df_int index) {
  static const df_op op = { "select", part_backward };
  if (!x) return NULL;
  part p = { x->shape, dim, index };
  df_tensor *y = df_scope_own(tape, df_tensor_select(x, dim, index));
  return note(tape, &op, y, x, &p, sizeof p);
}
