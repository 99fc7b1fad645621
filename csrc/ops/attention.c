/* Attention with heads. The probabilities aren't saved. In the backward pass the engine
** recomputes them from two numbers of each query: engine/attention.h. */
#include <math.h>

#include "base/pool.h"
#include "engine/engine.h"
#include "ops/block.h"
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

/* x if the engine can read it as it is, such as a third of one projection; or a copy. */
static df_tensor *readable(df_tape *tape, df_tensor *x) {
  return x->dtype == DF_REAL && x->form == DF_ROWS && x->stride[x->shape.ndim - 1] == 1
             ? x
             : df_dense(tape, x);
}

static df_tokens tokens_of(const df_tensor *x) {
  return (df_tokens){ df_tensor_reals(x), x->stride[1], x->stride[0] };
}

/* ==== the mask ====================================================================== */

/* Is the mask [B,M], [B,N,M] or [B,heads,N,M], with 1 allowed for all sizes but M? */
static bool fits(const df_tensor *mask, const df_attend *a) {
  const df_int whole[3][3] = { { a->B }, { a->B, a->N }, { a->B, a->heads, a->N } };
  const df_int *size = mask->shape.size;
  int n = mask->shape.ndim - 1;
  if (n < 1 || n > 3 || size[n] != a->M) return false;
  for (int i = 0; i < n; i++)
    if (size[i] != 1 && size[i] != whole[n - 1][i]) return false;
  return true;
}

static bool check_mask(const df_tape *tape, df_tensor *mask, const df_attend *a) {
  if (!fits(mask, a))
    return df_fail(DF_MISUSE,
                   "attention: the mask %s is none of [%td,%td], [%td,%td,%td] and "
                   "[%td,%td,%td,%td], where sizes but the last may be 1",
                   df_tensor_text(mask), a->B, a->M, a->B, a->N, a->M, a->B, a->heads,
                   a->N, a->M),
           false;
  if (df_tracked(tape, 1, &mask))
    return df_fail(DF_MISUSE, "attention: a mask has no gradient; mask:detach() is a "
                              "constant"),
           false;
  return true;
}

typedef struct keeping {
  df_real *to;
  df_array mask;
} keeping;

static void keep_block(void *context, df_int begin, df_int end) {
  const keeping *job = context;
  df_real room[DF_BLOCK];
  df_int step, n = end - begin;
  const df_real *mask = df_fetch(&job->mask, DF_REAL, begin, n, room, &step);
  for (df_int i = 0; i < n; i++)
    job->to[begin + i] = mask[i * step] != 0 ? 0 : -(df_real)INFINITY;
}

/* The mask as reals to add to the scores. */
static df_tensor *as_added(df_tape *tape, df_tensor *mask) {
  if (df_dtype_is_float(mask->dtype)) return readable(tape, mask);
  df_tensor *added = df_result(tape, &mask->shape);
  if (!added) return NULL;
  keeping job = { df_tensor_reals(added), df_array_of(mask, &mask->shape) };
  df_parallel(df_tensor_count(mask), DF_BLOCK, keep_block, &job);
  return added;
}

static df_int step(const df_tensor *x, int dim) {
  return x->shape.size[dim] > 1 ? x->stride[dim] : 0;
}

static df_mask mask_of(const df_tensor *x) {
  if (!x) return (df_mask){ NULL, 0, 0, 0 };
  int n = x->shape.ndim;
  return (df_mask){ df_tensor_reals(x), step(x, 0), n == 4 ? step(x, 1) : 0,
                    n > 2 ? step(x, n - 2) : 0 };
}

/* ==== the op ======================================================================== */

enum { Q, K, V, Y, SOFTMAX, MASK, KEPT };

static df_code backward(df_tape *tape, df_node *node, df_tensor *dy) {
  (void)tape;
  df_sink to[3];
  for (int i = 0; i < 3; i++)
    if (df_sink_open_parts(node, i, &to[i]) != DF_OK) return df_error_code();
  df_tensor *const *keep = node->keep;
  const df_attend_kept kept = { .q = tokens_of(keep[Q]),
                                .k = tokens_of(keep[K]),
                                .v = tokens_of(keep[V]),
                                .mask = mask_of(keep[MASK]),
                                .y = df_tensor_reals(keep[Y]),
                                .softmax = df_tensor_reals(keep[SOFTMAX]),
                                .dy = df_tensor_reals(dy) };
  return df_attend_backward(node->data, to[0].to, to[1].to, to[2].to, &kept);
}

static const df_op op = { .name = "attention", .backward = backward };

static df_attend attend_of(const df_tape *tape, const df_tensor *q, const df_tensor *k,
                           const df_attention_opts *o) {
  const df_int *size = q->shape.size;
  return (df_attend){ .B = size[0],
                      .N = size[1],
                      .M = k->shape.size[1],
                      .heads = o->heads,
                      .D = size[2] / o->heads,
                      .precision = df_tape_precision(tape),
                      .causal = o->causal };
}

/* Replaces the operands in `keep` by readable ones and fills in the results. */
static df_code compute(df_tape *tape, const df_attend *a, df_tensor **keep) {
  df_shape pairs = { 4, { a->B, a->heads, 2, a->N } };
  for (int i = Q; i <= V; i++)
    if (!(keep[i] = readable(tape, keep[i]))) return df_error_code();
  if (keep[MASK] && !(keep[MASK] = as_added(tape, keep[MASK]))) return df_error_code();
  keep[Y] = df_result(tape, &keep[Q]->shape);
  keep[SOFTMAX] = keep[Y] ? df_result(tape, &pairs) : NULL;
  if (!keep[SOFTMAX]) return DF_MEMORY;
  return df_attend_forward(a, df_tensor_reals(keep[Y]), df_tensor_reals(keep[SOFTMAX]),
                           tokens_of(keep[Q]), tokens_of(keep[K]), tokens_of(keep[V]),
                           mask_of(keep[MASK]));
}

df_tensor *df_attention(df_tape *tape, df_tensor *q, df_tensor *k, df_tensor *v,
                        const df_attention_opts *opts) {
  if (!q || !k || !v || !check(q, k, v, opts->heads)) return NULL;
  const df_attend a = attend_of(tape, q, k, opts);
  df_tensor *keep[KEPT] = { q, k, v, [MASK] = opts->mask };
  if (opts->mask && !check_mask(tape, opts->mask, &a)) return NULL;
  if (compute(tape, &a, keep) != DF_OK) return NULL;
  df_note note = { .op = &op, .n = 3, .x = keep, .kept = KEPT, .keep = keep };
  note.data = &a, note.size = sizeof a;
  return df_tape_note(tape, keep[Y], note);
}
