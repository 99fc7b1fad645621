/* Attention with heads. Only q, k and v are kept; the engine computes the probabilities
** again on the way back. */
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

static df_code backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  df_sink to[3];
  for (int i = 0; i < 3; i++)
    if (df_sink_open_parts(node, i, &to[i]) != DF_OK) return df_error_code();
  return df_attend_backward(node->data, to[0].to, to[1].to, to[2].to, df_tensor_reals(dy),
                            df_tensor_reals(node->keep[0]),
                            df_tensor_reals(node->keep[1]),
                            df_tensor_reals(node->keep[2]));
}

static const df_op op = { "attention", backward };

df_tensor *df_attention(df_tape *tape, df_tensor *q, df_tensor *k, df_tensor *v,
                        df_int heads) {
  if (!q || !k || !v || !check(q, k, v, heads)) return NULL;
  q = df_dense(tape, q), k = df_dense(tape, k), v = df_dense(tape, v);
  df_tensor *y = q && k && v ? df_result(tape, &q->shape) : NULL;
  if (!y) return NULL;
  df_int width = q->shape.size[2];
  df_attend a = { .B = q->shape.size[0],
                  .N = q->shape.size[1],
                  .M = k->shape.size[1],
                  .heads = heads,
                  .D = width / heads,
                  .round = df_tape_precision(tape) == DF_MEDIUM };
  if (df_attend_forward(&a, df_tensor_reals(y), df_tensor_reals(q), df_tensor_reals(k),
                        df_tensor_reals(v))
      != DF_OK)
    return NULL;
  df_tensor *operand[] = { q, k, v };
  return df_tape_note(tape, y,
                      (df_note){ .op = &op,
                                 .n = 3,
                                 .x = operand,
                                 .kept = 3,
                                 .keep = operand,
                                 .data = &a,
                                 .size = sizeof a });
}
