/* Two-dimensional convolution. Shapes are checked here, and ops/product calls the
** engine. */
#include "engine/conv.h"
#include "kernels/kernels.h"
#include "ops/op.h"
#include "ops/product.h"
#include "ops/sink.h"

static df_code check_operands(const df_tensor *x, const df_tensor *w,
                              const df_tensor *b) {
  const df_int *xs = x->shape.size, *ws = w->shape.size;
  if (x->shape.ndim != 4)
    return df_fail(DF_MISUSE, "conv2d: x is %s, but images are B, H, W, C",
                   df_tensor_text(x));
  if (w->shape.ndim != 4)
    return df_fail(DF_MISUSE, "conv2d: w is %s, but weights are K, R, S, C",
                   df_tensor_text(w));
  if (ws[0] < 1 || ws[3] < 1)
    return df_fail(DF_MISUSE, "conv2d: w is %s, but K and C are at least 1",
                   df_tensor_text(w));
  if (xs[3] != ws[3])
    return df_fail(DF_MISUSE, "conv2d: w is %s but x %s has %td channels, not %td",
                   df_tensor_text(w), df_tensor_text(x), xs[3], ws[3]);
  if (b && (b->shape.ndim != 1 || b->shape.size[0] != ws[0]))
    return df_fail(DF_MISUSE, "conv2d: b is %s but w %s has %td outputs",
                   df_tensor_text(b), df_tensor_text(w), ws[0]);
  return DF_OK;
}

#define PADDED_MAX (1 << 30) /* lines or columns */

static df_code check_padding(const df_tensor *x, const df_conv_opts *o) {
  const df_int pad[4] = { o->top, o->bottom, o->left, o->right };
  for (int i = 0; i < 4; i++) {
    if (pad[i] < 0)
      return df_fail(DF_MISUSE, "conv2d: padding {%td,%td,%td,%td} can't be negative",
                     pad[0], pad[1], pad[2], pad[3]);
    if (pad[i] > PADDED_MAX || x->shape.size[1 + i / 2] > PADDED_MAX)
      return df_fail(DF_MISUSE,
                     "conv2d: x %s with padding {%td,%td,%td,%td} is too large",
                     df_tensor_text(x), pad[0], pad[1], pad[2], pad[3]);
  }
  return DF_OK;
}

static df_code check_opts(const df_tensor *x, const df_tensor *w, const df_conv_opts *o) {
  const df_int *xs = x->shape.size, *ws = w->shape.size;
  if (check_padding(x, o) != DF_OK) return DF_MISUSE;
  df_int H = xs[1] + o->top + o->bottom, W = xs[2] + o->left + o->right;
  if (o->stride < 1)
    return df_fail(DF_MISUSE, "conv2d: the stride is %td, but at least 1", o->stride);
  if (ws[1] < 1 || ws[2] < 1 || ws[1] > DF_TAPS_MAX)
    return df_fail(DF_MISUSE, "conv2d: a kernel of w %s has 1 to %d lines and a pixel",
                   df_tensor_text(w), DF_TAPS_MAX);
  if (ws[1] > H || ws[2] > W)
    return df_fail(DF_MISUSE,
                   "conv2d: the kernel of w %s is larger than x %s, padded to %td x %td",
                   df_tensor_text(w), df_tensor_text(x), H, W);
  return DF_OK;
}

static df_conv conv_of(const df_tape *tape, const df_tensor *x, const df_tensor *w,
                       const df_conv_opts *o) {
  const df_int *xs = x->shape.size, *ws = w->shape.size;
  df_conv c = { .B = xs[0],
                .H = xs[1],
                .W = xs[2],
                .C = xs[3],
                .K = ws[0],
                .R = ws[1],
                .S = ws[2],
                .stride = o->stride,
                .top = o->top,
                .left = o->left,
                .precision = df_tape_precision(tape),
                .half = df_dtype_size(w->dtype) == 2 || df_dtype_in_blocks(w->dtype) };
  c.P = (c.H + o->top + o->bottom - c.R) / c.stride + 1;
  c.Q = (c.W + o->left + o->right - c.S) / c.stride + 1;
  return c;
}

df_form df_conv2d_form(const df_tape *tape, const df_tensor *x, const df_tensor *w,
                       const df_conv_opts *opts) {
  if (!x || !w || x->shape.ndim != 4 || w->shape.ndim != 4) return DF_ROWS;
  df_conv c = conv_of(tape, x, w, opts);
  return df_conv_form(&c);
}

static df_code backward(df_tape *tape, df_node *node, df_tensor *dy) {
  df_code code = df_sink_pass(node, 3, dy);
  return code == DF_OK ? df_product_backward(tape, node, dy) : code;
}

static df_tensor *compute(df_tape *tape, df_tensor *x, df_tensor *w, df_tensor *b,
                          df_tensor *add, const df_conv *c) {
  df_shape shape = { .ndim = 4, .size = { c->B, c->P, c->Q, c->K } };
  if (add && !df_shape_equal(&add->shape, &shape))
    return df_fail_null(DF_MISUSE, "conv2d: add is %s but the result %s",
                        df_tensor_text(add), df_shape_text(&shape));
  df_tensor *y = df_result(tape, &shape);
  return y ? df_product_forward(tape, y, x, w, b, add, c) : NULL;
}

df_tensor *df_conv2d(df_tape *tape, df_tensor *x, df_tensor *w, df_tensor *b,
                     df_tensor *add, const df_conv_opts *opts) {
  static const df_op op = { "conv2d", backward };
  if (!x || !w || check_operands(x, w, b) != DF_OK) return NULL;
  if (check_opts(x, w, opts) != DF_OK) return NULL;
  df_conv c = conv_of(tape, x, w, opts);
  if (x->form == DF_ROWS) x = df_dense(tape, x);
  df_tensor *more[] = { b, add };
  if (!x || !df_all_dense(tape, more, 2)) return NULL;
  df_tensor *operand[] = { x, w, more[0], more[1] };
  df_tensor *keep[] = { df_tracked(tape, 1, &w) ? x : NULL,
                        df_tracked(tape, 1, &x) ? w : NULL };
  df_tensor *y = compute(tape, x, w, more[0], more[1], &c);
  df_note note = { .op = &op, .n = 4, .x = operand, .kept = 2, .keep = keep };
  note.data = &c, note.size = sizeof c, note.by_parts = 1u << 1 | 1u << 2;
  return df_tape_note(tape, y, note);
}
