/* A gated unit: the first half of the last dimension times gelu of the second, row by row
** in cache.
**   y = a gelu(b)    da = dy gelu(b)    db = dy a gelu'(b) */
#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/op.h"
#include "ops/sink.h"

#define BLOCK 2048  /* reals of a buffer */
#define GRAIN 16384 /* elements of a chunk, about */

typedef struct gated { /* rows of 2 C and, of y and dy, C */
  const df_real *x, *dy;
  df_real *to, beta; /* y or dx */
  df_int C;
} gated;

/* Rows are cut into pieces of at most BLOCK outputs. */
static df_int pieces(const gated *g) { return df_ceil_div(g->C, BLOCK); }

static void run(const gated *g, df_int rows, df_task *task) {
  df_int size = df_min(g->C, BLOCK);
  if (size > 0) df_parallel(rows * pieces(g), GRAIN / size + 1, task, (void *)g);
}

/* n outputs, at `at` in y and at `a` in x. */
typedef struct piece {
  df_int at, a, n;
} piece;

static piece piece_of(const gated *g, df_int i) {
  df_int row = i / pieces(g), from = i % pieces(g) * BLOCK;
  return (piece){ row * g->C + from, row * 2 * g->C + from, df_min(BLOCK, g->C - from) };
}

static void forward_pieces(void *context, df_int begin, df_int end) {
  const gated *g = context;
  const df_kernels *k = df_kernel();
  for (df_int i = begin; i < end; i++) {
    piece p = piece_of(g, i);
    k->gelu(g->to + p.at, g->x + p.a + g->C, p.n);
    k->mul(g->to + p.at, g->to + p.at, 1, g->x + p.a, 1, p.n);
  }
}

void df_gate_rows(void *gating, df_int row, df_int rows) {
  const df_gating *of = gating;
  gated g = { of->x, NULL, of->y + row * of->C, 0, of->C };
  run(&g, rows, forward_pieces);
}

static void backward_pieces(void *context, df_int begin, df_int end) {
  const gated *g = context;
  const df_kernels *k = df_kernel();
  df_real room[BLOCK];
  for (df_int i = begin; i < end; i++) {
    piece p = piece_of(g, i);
    const df_real *a = g->x + p.a, *b = a + g->C, *dy = g->dy + p.at;
    df_real *da = g->to + p.a;
    k->gelu(room, b, p.n);
    k->product(da, g->beta, 1, dy, 1, room, 1, p.n);
    k->mul(room, dy, 1, a, 1, p.n);
    k->gelu_back(da + g->C, g->beta, room, b, p.n);
  }
}

static df_code backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  df_sink s;
  if (df_sink_open(node, 0, &s) != DF_OK) return df_error_code();
  if (!s.to) return DF_OK;
  df_int C = dy->shape.size[dy->shape.ndim - 1];
  gated g = { df_tensor_reals(node->keep[0]), df_tensor_reals(dy), s.to, s.beta, C };
  if (C > 0) run(&g, df_tensor_count(dy) / C, backward_pieces);
  return DF_OK;
}

df_tensor *df_geglu(df_tape *tape, df_tensor *x) {
  static const df_op op = { "geglu", backward };
  int last = x ? x->shape.ndim - 1 : 0;
  if (x && (last < 0 || x->shape.size[last] % 2 != 0))
    return df_fail_null(DF_MISUSE,
                        "geglu: x is %s, but its last dimension holds two halves",
                        df_tensor_text(x));
  if (!(x = df_dense(tape, x))) return NULL;
  df_shape half = x->shape;
  half.size[last] /= 2;
  df_tensor *y = df_result(tape, &half);
  if (!y) return NULL;
  gated g = { df_tensor_reals(x), NULL, df_tensor_reals(y), 0, half.size[last] };
  if (g.C > 0) run(&g, df_tensor_count(y) / g.C, forward_pieces);
  df_note note = { .op = &op, .n = 1, .x = &x, .kept = 1, .keep = &x };
  return df_tape_note(tape, y, note);
}
