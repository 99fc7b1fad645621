/* Functions of one number. Each is a row that names its kernels, and whether its gradient
** reads x or y. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/act.h"
#include "ops/block.h"
#include "ops/op.h"
#include "ops/sink.h"
#include "ops/whole.h"

struct df_unary_op {
  df_op op;              /* without backward: steps, whose slope is 0 */
  size_t forward, slope; /* offsets of the kernels in df_kernels; 0: none */
  bool keeps_y;          /* the slope reads y, else x */
};

typedef struct job {
  df_unary *f;
  df_unary_back *slope;
  df_real *y, beta; /* y or dx */
  const df_real *x, *dy;
} job;

static void forward_block(void *context, df_int begin, df_int end) {
  const job *j = context;
  j->f(j->y + begin, j->x + begin, end - begin);
}

static void slope_block(void *context, df_int begin, df_int end) {
  const job *j = context;
  j->slope(j->y + begin, j->beta, j->dy + begin, j->x + begin, end - begin);
}

/* ==== backward: dx = dy f'(x) =======================================================
**   abs           sign x                    cos         -sin x
**   exp           y                         tanh        1 - y^2
**   log           1 / x                     erf         2/sqrt(pi) e^(-x^2)
**   sqrt          1 / (2 y)                 erfc        -2/sqrt(pi) e^(-x^2)
**   reciprocal    -1 / x^2                  log_erfc    -2/sqrt(pi) e^(-x^2) / erfc(x)
**   square        2 x                       sigmoid     y (1 - y)
**   sin           cos x                     silu        s + x s (1 - s), s = sigmoid(x)
**   relu          1 if y > 0, else 0        gelu        Phi(x) + x phi(x)
**   mish          t + x (1 - t^2) s, t = tanh(ln(1 + e^x))
** Phi and phi are the standard normal's distribution function and density. */

static df_code unary_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const df_unary_op *row = (const df_unary_op *)(const void *)node->op;
  const char *kernels = (const char *)df_kernel();
  df_sink s;
  (void)tape;
  if (df_sink_open(node, 0, &s) != DF_OK) return df_error_code();
  if (!s.to) return DF_OK;
  job j = { .y = s.to, .beta = s.beta, .x = df_tensor_reals(node->keep[0]) };
  j.dy = df_tensor_reals(dy);
  memcpy(&j.slope, kernels + row->slope, sizeof j.slope);
  df_parallel(df_tensor_count(dy), DF_BLOCK, slope_block, &j);
  return DF_OK;
}

static df_code neg_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  return df_sink_take(node, 0, -1, dy, &dy->shape);
}

#define AT(kernel) offsetof(df_kernels, kernel)

static const df_unary_op table[] = {
  { { "neg", neg_backward }, AT(neg), 0, false },
  { { "abs", unary_backward }, AT(abs), AT(abs_back), false },
  { { "sign", NULL }, AT(sign), 0, false },
  { { "floor", NULL }, AT(floor), 0, false },
  { { "round", NULL }, AT(round), 0, false },
  { { "exp", unary_backward }, AT(exp), AT(exp_back), true },
  { { "log", unary_backward }, AT(log), AT(log_back), false },
  { { "sqrt", unary_backward }, AT(sqrt), AT(sqrt_back), true },
  { { "reciprocal", unary_backward }, AT(reciprocal), AT(reciprocal_back), false },
  { { "square", unary_backward }, AT(square), AT(square_back), false },
  { { "sin", unary_backward }, AT(sin), AT(sin_back), false },
  { { "cos", unary_backward }, AT(cos), AT(cos_back), false },
  { { "tanh", unary_backward }, AT(tanh), AT(tanh_back), true },
  { { "erf", unary_backward }, AT(erf), AT(erf_back), false },
  { { "erfc", unary_backward }, AT(erfc), AT(erfc_back), false },
  { { "log_erfc", unary_backward }, AT(log_erfc), AT(log_erfc_back), false },
  { { "silu", unary_backward }, AT(silu), AT(silu_back), false },
  { { "relu", unary_backward }, AT(relu), AT(relu_back), true },
  { { "gelu", unary_backward }, AT(gelu), AT(gelu_back), false },
  { { "gelu_tanh", unary_backward }, AT(gelu_tanh), AT(gelu_tanh_back), false },
  { { "quick_gelu", unary_backward }, AT(quick_gelu), AT(quick_gelu_back), false },
  { { "mish", unary_backward }, AT(mish), AT(mish_back), false },
  { { "sigmoid", unary_backward }, AT(sigmoid), AT(sigmoid_back), true },
};

const df_unary_op *df_unary_find(const char *name) {
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(table[i].op.name, name) == 0) return &table[i];
  return NULL;
}

df_tensor *df_unary_of(df_tape *tape, const df_unary_op *row, df_tensor *x) {
  if (!x || df_computable(row->op.name, x) != DF_OK) return NULL;
  x = df_dense(tape, x);
  df_tensor *y = x ? df_result(tape, &x->shape) : NULL;
  if (!y) return NULL;
  job j = { .y = df_tensor_reals(y), .x = df_tensor_reals(x) };
  memcpy(&j.f, (const char *)df_kernel() + row->forward, sizeof j.f);
  df_parallel(df_tensor_count(x), DF_BLOCK, forward_block, &j);
  if (!row->op.backward) return y;
  df_tensor *keep = row->keeps_y ? y : x;
  df_note note = { .op = &row->op, .n = 1, .x = &x, .keep = &keep };
  note.kept = row->slope != 0;
  return df_tape_note(tape, y, note);
}

df_tensor *df_silu(df_tape *tape, df_tensor *x) {
  return df_unary_of(tape, df_unary_find("silu"), x);
}

df_tensor *df_gelu(df_tape *tape, df_tensor *x) {
  return df_unary_of(tape, df_unary_find("gelu"), x);
}

df_tensor *df_gelu_tanh(df_tape *tape, df_tensor *x) {
  return df_unary_of(tape, df_unary_find("gelu_tanh"), x);
}

df_tensor *df_quick_gelu(df_tape *tape, df_tensor *x) {
  return df_unary_of(tape, df_unary_find("quick_gelu"), x);
}

/* ==== activations by name =========================================================== */

const char *const df_act_names[] = {
  "none", "silu", "relu", "gelu", "mish", "tanh", NULL
};

df_act_kernels df_act_kernels_of(df_act act) {
  df_act_kernels k = { .f = NULL };
  if (act == DF_ACT_NONE) return k;
  const df_unary_op *row = df_unary_find(df_act_names[act]);
  const char *kernels = (const char *)df_kernel();
  memcpy(&k.f, kernels + row->forward, sizeof k.f);
  memcpy(&k.back, kernels + row->slope, sizeof k.back);
  k.keeps_y = row->keeps_y;
  return k;
}

df_tensor *df_activation(df_tape *tape, df_act act, df_tensor *x) {
  return act == DF_ACT_NONE ? x : df_unary_of(tape, df_unary_find(df_act_names[act]), x);
}

/* ==== scale ========================================================================= */

static df_code scale_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const double *c = node->data;
  (void)tape;
  return df_sink_take(node, 0, *c, dy, &dy->shape);
}

df_tensor *df_scale(df_tape *tape, df_tensor *x, double c) {
  static const df_op op = { "scale", scale_backward };
  if (!x || df_computable("scale", x) != DF_OK) return NULL;
  if (df_whole_fits(x, DF_REAL) != DF_OK) return NULL;
  df_tensor *y = df_result(tape, &x->shape);
  if (!y) return NULL;
  df_accumulate(df_tensor_reals(y), 0, c, x, &x->shape);
  df_note note = { .op = &op, .n = 1, .x = &x, .data = &c, .size = sizeof c };
  return df_tape_note(tape, y, note);
}

/* ==== clamp ========================================================================= */

typedef struct bounds {
  double low, high;
} bounds;

typedef struct clamping {
  df_real *y, beta, low, high;
  const df_real *x, *dy;
} clamping;

static void clamp_block(void *context, df_int begin, df_int end) {
  const clamping *j = context;
  df_kernel()->clamp(j->y + begin, j->x + begin, j->low, j->high, end - begin);
}

/* With y = min(max(x, low), high): dx = dy if low <= x <= high, else 0. */
static void clamp_slope(void *context, df_int begin, df_int end) {
  const clamping *j = context;
  for (df_int i = begin; i < end; i++) {
    df_real g = j->x[i] >= j->low && j->x[i] <= j->high ? j->dy[i] : 0;
    j->y[i] = j->beta == 0 ? g : j->beta * j->y[i] + g;
  }
}

static df_code clamp_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const bounds *b = node->data;
  df_sink s;
  (void)tape;
  if (df_sink_open(node, 0, &s) != DF_OK) return df_error_code();
  if (!s.to) return DF_OK;
  clamping j = { s.to,
                 s.beta,
                 (df_real)b->low,
                 (df_real)b->high,
                 df_tensor_reals(node->keep[0]),
                 df_tensor_reals(dy) };
  df_parallel(df_tensor_count(dy), DF_BLOCK, clamp_slope, &j);
  return DF_OK;
}

df_tensor *df_clamp(df_tape *tape, df_tensor *x, double low, double high) {
  static const df_op op = { "clamp", clamp_backward };
  if (!x || df_computable("clamp", x) != DF_OK) return NULL;
  if (isnan(low) || isnan(high))
    return df_fail_null(DF_MISUSE, "clamp: the %s bound is nan",
                        isnan(low) ? "lower" : "upper");
  if (low > high)
    return df_fail_null(DF_MISUSE, "clamp: the lower bound %g is above the upper %g", low,
                        high);
  x = df_dense(tape, x);
  df_tensor *y = x ? df_result(tape, &x->shape) : NULL;
  if (!y) return NULL;
  bounds b = { low, high };
  clamping j = { .y = df_tensor_reals(y), .low = (df_real)low, .high = (df_real)high };
  j.x = df_tensor_reals(x);
  df_parallel(df_tensor_count(x), DF_BLOCK, clamp_block, &j);
  df_note note = { .op = &op, .n = 1, .x = &x, .kept = 1, .keep = &x };
  note.data = &b, note.size = sizeof b;
  return df_tape_note(tape, y, note);
}
