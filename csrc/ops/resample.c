/* Images are enlarged by repeating pixels and reduced by averaging them. Each is the
** other's gradient up to a factor, so two workers serve both. */
#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/op.h"
#include "ops/sink.h"

#define GRAIN     16384 /* elements of the large image in a chunk, about */
#define TIMES_MAX 64

/* A small image and one that is `times` as large in both directions. */
typedef struct pair {
  const df_real *from;
  df_real *to, beta, c;
  df_int H, W, C, times; /* H, W of the small one */
} pair;

/* large = beta large + c small, each pixel times x times. It works rows of the small
** image. */
static void spread_rows(void *context, df_int begin, df_int end) {
  const pair *p = context;
  df_int t = p->times, C = p->C;
  for (df_int row = begin; row < end; row++)
    for (df_int i = 0; i < t; i++)
      for (df_int w = 0; w < p->W * t; w++) {
        const df_real *pixel = p->from + (row * p->W + w / t) * C;
        df_real *to = p->to + ((row * t + i) * p->W * t + w) * C;
        df_kernel()->mix(to, p->beta, &p->c, &pixel, 1, C);
      }
}

/* small = beta small + c (sum of times x times pixels of large) */
static void gather_rows(void *context, df_int begin, df_int end) {
  const pair *p = context;
  df_int t = p->times, C = p->C, pitch = p->W * t * C;
  df_real c[TIMES_MAX];
  const df_real *x[TIMES_MAX];
  for (df_int i = 0; i < t; i++) c[i] = p->c;
  for (df_int row = begin; row < end; row++)
    for (df_int w = 0; w < p->W; w++) {
      df_real *to = p->to + (row * p->W + w) * C;
      for (df_int i = 0; i < t; i++) {
        const df_real *first = p->from + (row * t + i) * pitch + w * t * C;
        for (df_int j = 0; j < t; j++) x[j] = first + j * C;
        df_kernel()->mix(to, i == 0 ? p->beta : 1, c, x, (int)t, C);
      }
    }
}

static void run(pair *p, df_int B, df_task *task) {
  df_int row = p->W * p->C * p->times * p->times;
  if (row > 0) df_parallel(B * p->H, GRAIN / row + 1, task, p);
}

static df_code check(const char *name, const df_tensor *x, df_int times) {
  if (x->shape.ndim != 4)
    return df_fail(DF_MISUSE, "%s: images are [B,H,W,C], this is %s", name,
                   df_tensor_text(x));
  if (times < 1 || times > TIMES_MAX)
    return df_fail(DF_MISUSE, "%s: times must be in 1..%d, got %td", name, TIMES_MAX,
                   times);
  return DF_OK;
}

static df_tensor *resized(df_tape *tape, df_task *task, const df_tensor *x,
                          const df_shape *shape, pair p) {
  df_tensor *y = df_result(tape, shape);
  if (!y) return NULL;
  p.from = df_tensor_reals(x), p.to = df_tensor_reals(y);
  run(&p, shape->size[0], task);
  return y;
}

static df_code undo(df_node *node, df_tensor *dy, df_task *task) {
  pair p = *(const pair *)node->data;
  df_sink s;
  if (df_sink_open(node, 0, &s) != DF_OK) return df_error_code();
  if (!s.to) return DF_OK;
  p.from = df_tensor_reals(dy), p.to = s.to, p.beta = s.beta;
  run(&p, dy->shape.size[0], task);
  return DF_OK;
}

/* dx = the sum of dy over the times x times pixels that x was repeated to */
static df_code upsample_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  return undo(node, dy, gather_rows);
}

static df_shape larger(const pair *p, df_int B) {
  return (df_shape){ 4, { B, p->H * p->times, p->W * p->times, p->C } };
}

static df_tensor *upsample_remake(df_tape *tape, df_node *node) {
  const pair *p = node->data;
  df_shape shape = larger(p, node->keep[0]->shape.size[0]);
  return resized(tape, spread_rows, node->keep[0], &shape, *p);
}

df_tensor *df_upsample(df_tape *tape, df_tensor *x, df_int times) {
  static const df_op op = { "upsample", upsample_backward };
  if (!x || check("upsample", x, times) != DF_OK) return NULL;
  const df_int *n = x->shape.size;
  df_int unused;
  if (__builtin_mul_overflow(n[1], times, &unused)
      || __builtin_mul_overflow(n[2], times, &unused))
    return df_fail_null(DF_MISUSE, "upsample: %s times %td is too large",
                        df_tensor_text(x), times);
  pair p = { .c = 1, .H = n[1], .W = n[2], .C = n[3], .times = times };
  df_shape shape = larger(&p, n[0]);
  x = df_dense(tape, x);
  if (!x) return NULL;
  df_tensor *y = resized(tape, spread_rows, x, &shape, p);
  df_note note = { .op = &op, .n = 1, .x = &x, .kept = 1, .keep = &x };
  note.data = &p, note.size = sizeof p, note.remake = upsample_remake;
  return df_tape_note(tape, y, note);
}

/* dx = dy / times^2 at each of the times x times pixels */
static df_code avg_pool_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  return undo(node, dy, spread_rows);
}

df_tensor *df_avg_pool(df_tape *tape, df_tensor *x, df_int times) {
  static const df_op op = { "avg_pool", avg_pool_backward };
  if (!x || check("avg_pool", x, times) != DF_OK) return NULL;
  x = df_dense(tape, x);
  if (!x) return NULL;
  const df_int *n = x->shape.size;
  if (n[1] % times || n[2] % times)
    return df_fail_null(DF_MISUSE,
                        "avg_pool: %td doesn't divide the height and width of %s", times,
                        df_tensor_text(x));
  df_shape shape = { 4, { n[0], n[1] / times, n[2] / times, n[3] } };
  pair p = { .H = n[1] / times, .W = n[2] / times, .C = n[3], .times = times };
  p.c = 1 / (df_real)(times * times);
  df_tensor *y = resized(tape, gather_rows, x, &shape, p);
  df_note note = { .op = &op, .n = 1, .x = &x, .data = &p, .size = sizeof p };
  return df_tape_note(tape, y, note);
}
