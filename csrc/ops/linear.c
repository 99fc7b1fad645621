/* Products. A linear layer is a convolution whose rows have one pixel each; matmul takes
** any two matrices. */
#include "engine/engine.h"
#include "ops/integer.h"
#include "ops/op.h"
#include "ops/product.h"
#include "ops/sink.h"

/* ==== linear ======================================================================== */

static df_code check_linear(const df_tensor *x, const df_tensor *w, const df_tensor *b) {
  if (w->shape.ndim != 2)
    return df_fail(DF_MISUSE, "linear: w is %s, but weights are K, C", df_tensor_text(w));
  if (x->shape.ndim < 1)
    return df_fail(DF_MISUSE, "linear: x is one number, but rows are ..., C");
  df_int have = x->shape.size[x->shape.ndim - 1], want = w->shape.size[1];
  if (have != want)
    return df_fail(DF_MISUSE, "linear: w is %s but x %s has %td features, not %td",
                   df_tensor_text(w), df_tensor_text(x), have, want);
  if (b && (b->shape.ndim != 1 || b->shape.size[0] != w->shape.size[0]))
    return df_fail(DF_MISUSE, "linear: b is %s but w %s has %td outputs",
                   df_tensor_text(b), df_tensor_text(w), w->shape.size[0]);
  return DF_OK;
}

/* A row is a pixel of an image with one line. */
static df_conv conv_of(const df_tape *tape, const df_tensor *x, const df_tensor *w) {
  df_int m = 1;
  for (int i = 0; i < x->shape.ndim - 1; i++) m *= x->shape.size[i];
  return (df_conv){ .B = 1,
                    .H = 1,
                    .W = m,
                    .C = w->shape.size[1],
                    .K = w->shape.size[0],
                    .R = 1,
                    .S = 1,
                    .stride = 1,
                    .P = 1,
                    .Q = m,
                    .precision = df_tape_precision(tape) };
}

df_tensor *df_linear(df_tape *tape, df_tensor *x, df_tensor *w, df_tensor *b) {
  static const df_op op = { "linear", df_product_backward };
  if (!x || !w || check_linear(x, w, b) != DF_OK) return NULL;
  x = df_dense(tape, x);
  if (!x || !df_all_dense(tape, &b, 1)) return NULL;
  df_conv c = conv_of(tape, x, w);
  df_tensor *operand[] = { x, w, b };
  df_tensor *keep[] = { df_tracked(tape, 1, &w) ? x : NULL,
                        df_tracked(tape, 1, &x) ? w : NULL };
  df_shape shape = x->shape;
  shape.size[shape.ndim - 1] = c.K;
  df_tensor *y = df_result(tape, &shape);
  if (!y || !df_product_forward(tape, y, x, w, b, NULL, &c)) return NULL;
  df_note note = { .op = &op, .n = 3, .x = operand, .kept = 2, .keep = keep };
  note.data = &c, note.size = sizeof c, note.by_parts = 1u << 1 | 1u << 2;
  return df_tape_note(tape, y, note);
}

/* Rows at a time. A part of them stays in the second cache until it is gated. */
#define GATED_ROWS 512

df_tensor *df_linear_geglu(df_tape *tape, df_tensor *x, df_tensor *w, df_tensor *b) {
  static const df_op op = { "linear_geglu", NULL };
  df_tensor *operand[] = { x, w, b };
  bool few =
      x && w && df_tensor_count(x) <= 2 * GATED_ROWS * w->shape.size[w->shape.ndim - 1];
  if (!x || !w || few || df_tracked(tape, 3, operand) || w->shape.size[0] % 2 != 0)
    return df_geglu(tape, df_linear(tape, x, w, b));
  if (check_linear(x, w, b) != DF_OK) return NULL;
  x = df_dense(tape, x);
  if (!x || !df_all_dense(tape, &b, 1)) return NULL;
  df_conv c = conv_of(tape, x, w);
  df_shape shape = x->shape;
  shape.size[shape.ndim - 1] = c.K / 2;
  df_tensor *room = df_result(tape, &(df_shape){ 2, { GATED_ROWS, c.K } });
  df_tensor *y = room ? df_result(tape, &shape) : NULL;
  if (!y) return NULL;
  df_gating g = { df_tensor_reals(y), df_tensor_reals(room), c.K / 2 };
  df_code code = df_product_rows(tape, room, x, w, b, &c, GATED_ROWS, df_gate_rows, &g);
  return code == DF_OK ? df_tape_note(tape, y, (df_note){ .op = &op }) : NULL;
}

/* ==== matmul ======================================================================== */

/* The matrices of a tensor. A transposed one is read in place. */
static df_matrix matrix_of(const df_tensor *x) {
  int n = x->shape.ndim;
  df_int rows = x->shape.size[n - 2], columns = x->shape.size[n - 1];
  bool turned = !df_tensor_is_dense(x);
  return (df_matrix){ df_tensor_reals(x), turned ? x->stride[n - 1] : columns, turned,
                      rows * columns };
}

/* x itself if matrix_of can read it, else a dense copy */
static df_tensor *readable(df_tape *tape, df_tensor *x) {
  bool turned = x->shape.ndim == 2 && x->dtype == DF_REAL && x->stride[0] == 1
                && x->stride[1] >= df_max(1, x->shape.size[0]);
  return turned ? x : df_dense(tape, x);
}

static df_matrix flipped(df_matrix x) {
  x.turned = !x.turned;
  return x;
}

static df_code aligned(const df_tensor *a, const df_tensor *b) {
  int n = a->shape.ndim;
  if (n < 2 || b->shape.ndim < 2)
    return df_fail(DF_MISUSE, "matmul: shapes %s and %s; matrices have two dimensions",
                   df_tensor_text(a), df_tensor_text(b));
  bool leading = n == b->shape.ndim;
  for (int i = 0; leading && i < n - 2; i++)
    leading = a->shape.size[i] == b->shape.size[i];
  if (!leading)
    return df_fail(DF_MISUSE,
                   "matmul: shapes %s and %s differ before the last two "
                   "dimensions",
                   df_tensor_text(a), df_tensor_text(b));
  if (a->shape.size[n - 1] != b->shape.size[n - 2])
    return df_fail(DF_MISUSE, "matmul: shapes %s and %s don't align (%td against %td)",
                   df_tensor_text(a), df_tensor_text(b), a->shape.size[n - 1],
                   b->shape.size[n - 2]);
  return DF_OK;
}

/* The numbers of y (m x n) = a (m x k) b (k x n), `batch` times. */
typedef struct matmul {
  df_int m, n, k, batch;
  df_precision precision;
} matmul;

/* to (rows x columns) = or += a b, summed over `depth` */
static df_code to_operand(const matmul *f, const df_sink *to, df_int rows, df_int columns,
                          df_int depth, df_matrix a, df_matrix b) {
  if (!to->to) return DF_OK;
  return df_gemm(&(df_product){ .m = rows,
                                .n = columns,
                                .k = depth,
                                .batch = f->batch,
                                .a = a,
                                .b = b,
                                .c = to->to,
                                .ldc = columns,
                                .stepc = rows * columns,
                                .accumulate = to->beta != 0,
                                .precision = f->precision });
}

/* ==== backward: y = a b =============================================================
** da = dy b^T
** db = a^T dy */
static df_code matmul_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  const matmul *f = node->data;
  const df_tensor *a = node->keep[0], *b = node->keep[1];
  df_matrix g = { df_tensor_reals(dy), f->n, false, f->m * f->n }, none = { 0 };
  df_sink da, db;
  if (df_sink_open(node, 0, &da) != DF_OK || df_sink_open(node, 1, &db) != DF_OK)
    return df_error_code();
  df_matrix bt = da.to ? flipped(matrix_of(b)) : none;
  df_matrix at = db.to ? flipped(matrix_of(a)) : none;
  if (to_operand(f, &da, f->m, f->k, f->n, g, bt) != DF_OK) return df_error_code();
  return to_operand(f, &db, f->k, f->n, f->m, at, g);
}

static df_product product_of(const df_tape *tape, const df_tensor *a,
                             const df_tensor *b) {
  int n = a->shape.ndim;
  df_product p = { .m = a->shape.size[n - 2],
                   .k = a->shape.size[n - 1],
                   .n = b->shape.size[n - 1],
                   .batch = 1,
                   .a = matrix_of(a),
                   .b = matrix_of(b),
                   .rowwise = true,
                   .precision = df_tape_precision(tape) };
  for (int i = 0; i < n - 2; i++) p.batch *= a->shape.size[i];
  p.ldc = p.n, p.stepc = p.m * p.n;
  return p;
}

df_tensor *df_matmul(df_tape *tape, df_tensor *a, df_tensor *b) {
  static const df_op op = { "matmul", matmul_backward };
  if (!a || !b || aligned(a, b) != DF_OK) return NULL;
  if (!df_dtype_is_float(a->dtype) && !df_dtype_is_float(b->dtype))
    return df_whole_matmul(tape, a, b);
  a = readable(tape, a);
  b = a ? readable(tape, b) : NULL;
  if (!b) return NULL;
  df_product p = product_of(tape, a, b);
  df_shape shape = a->shape;
  shape.size[shape.ndim - 1] = p.n;
  df_tensor *y = df_result(tape, &shape);
  if (!y) return NULL;
  p.c = df_tensor_reals(y);
  if (df_gemm(&p) != DF_OK) return NULL;
  df_tensor *operand[] = { a, b };
  df_tensor *keep[] = { df_tracked(tape, 1, &b) ? a : NULL,
                        df_tracked(tape, 1, &a) ? b : NULL };
  matmul f = { p.m, p.n, p.k, p.batch, p.precision };
  df_note note = { .op = &op, .n = 2, .x = operand, .kept = 2, .keep = keep };
  note.data = &f, note.size = sizeof f;
  return df_tape_note(tape, y, note);
}
