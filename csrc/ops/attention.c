/* Attention with heads. The probabilities aren't kept; the engine computes them again on
** the way back, from the largest score and the sum of each query. */
#include "engine/engine.h"

#include "ops/op.h"
#include "ops/sink.h"

static bool check(const df_tensor *q, const df_tensor *k, const df_tensor *v,
                  df_int heads) {
  const df_int *qs = q->shape.size, *ks = k->shape.size;
  if (q->shape.ndim != 3 || k->shape.ndim != 3 || !df_shape_equal(&k->shape, &v->shape)
      || qs[0] != ks[0] || qs[2] != ks[2])
    return df_fail(DF_MISUSE,
                   "attention: q is B, N, width and k and v are B, M, width, not %s, %s "
                   "and %s",
                   df_tensor_text(q), df_tensor_text(k), df_tensor_text(v)),
           false;
  if (heads < 1 || qs[2] % heads != 0)
    return df_fail(DF_MISUSE, "attention: %td heads don't divide the width of q %s",
                   heads, df_tensor_text(q)),
           false;
  if (ks[1] == 0)
    return df_fail(DF_MISUSE, "attention: k %s has no tokens", df_tensor_text(k)), false;
  return true;
}

/* What is read where it lies: thirds of one projection are three windows on it. */
static df_tensor *readable(df_tape *tape, df_tensor *x) {
  return x->dtype == DF_REAL && x->form == DF_ROWS && x->stride[2] == 1
             ? x
             : df_dense(tape, x);
}

static df_tokens tokens_of(const df_tensor *x) {
  return (df_tokens){ df_tensor_reals(x), x->stride[1], x->stride[0] };
}

static df_code backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  df_sink to[3];
  for (int i = 0; i < 3; i++)
    if (df_sink_open_parts(node, i, &to[i]) != DF_OK) return df_error_code();
  df_tensor *const *keep = node->keep;
  const df_attend_kept kept = { tokens_of(keep[0]),       tokens_of(keep[1]),
                                tokens_of(keep[2]),       df_tensor_reals(keep[3]),
                                df_tensor_reals(keep[4]), df_tensor_reals(dy) };
  return df_attend_backward(node->data, to[0].to, to[1].to, to[2].to, &kept);
}

static const df_op op = { .name = "attention", .backward = backward };

df_tensor *df_attention(df_tape *tape, df_tensor *q, df_tensor *k, df_tensor *v,
                        df_int heads) {
  if (!q || !k || !v || !check(q, k, v, heads)) return NULL;
  q = readable(tape, q), k = readable(tape, k), v = readable(tape, v);
  df_tensor *y = q && k && v ? df_result(tape, &q->shape) : NULL;
  if (!y) return NULL;
  const df_int *size = q->shape.size;
  df_attend a = { .B = size[0], .N = size[1], .M = k->shape.size[1], .heads = heads };
  a.D = size[2] / heads, a.precision = df_tape_precision(tape);
  df_shape pairs = { 4, { a.B, heads, 2, a.N } };
  df_tensor *softmax = df_result(tape, &pairs);
  if (!softmax
      || df_attend_forward(&a, df_tensor_reals(y), df_tensor_reals(softmax), tokens_of(q),
                           tokens_of(k), tokens_of(v))
             != DF_OK)
    return NULL;
  df_tensor *operand[] = { q, k, v, y, softmax };
  df_note note = { .op = &op, .n = 3, .x = operand, .kept = 5, .keep = operand };
  note.data = &a, note.size = sizeof a;
  return df_tape_note(tape, y, note);
}
