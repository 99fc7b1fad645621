/* A sink is the memory of a leaf, or of a slot, to which gradients are added. */
#include "ops/sink.h"

#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/copy.h"
#include "ops/record.h"

bool df_wants(const df_node *node, int i) { return i < node->n && node->slot[i] >= 0; }

/* Micro-batches are counted by their walks, because a shared weight gets several
** gradients in one walk. */
static void arrive(df_leaf *leaf, uint64_t walk) {
  if (!leaf->arrived) leaf->walks = 0;
  if (!leaf->arrived || leaf->walk != walk) leaf->walks++;
  leaf->walk = walk;
  leaf->arrived = true;
}

static df_code leaf_sink(const df_record *r, const df_slot *s, df_sink *sink) {
  df_leaf *leaf = s->parameter->leaf;
  /* its model is freed, or it was frozen since */
  if (!leaf || !leaf->trainable) return DF_OK;
  if (!leaf->grad && leaf->need(leaf) != DF_OK) return df_error_code();
  bool known = leaf->arrived && leaf->walk == r->walk;
  if (!known && df_reached_add(r->reached, s->parameter) != DF_OK) return DF_MEMORY;
  *sink = (df_sink){ df_tensor_reals(leaf->grad), leaf->arrived ? 1 : 0 };
  arrive(leaf, r->walk);
  df_tensor_touch(leaf->grad);
  return DF_OK;
}

static bool shared(const df_tensor *g) { return g->refs > 1 || g->storage->refs > 1; }

/* A gradient that is shared is copied before it is added to. */
static df_code own(df_slot *s) {
  df_tensor *mine = df_tensor_new(DF_REAL, &s->shape);
  if (!mine) return DF_MEMORY;
  if (s->grad) df_tensor_copy(mine, s->grad);
  df_tensor_release(s->grad);
  s->grad = mine;
  return DF_OK;
}

df_tensor *df_slot_own_gradient(df_slot *s) {
  if (s->grad && shared(s->grad) && own(s) != DF_OK) return NULL;
  return s->grad;
}

static df_code slot_sink(df_slot *s, df_sink *sink) {
  if ((!s->grad || shared(s->grad)) && own(s) != DF_OK) return DF_MEMORY;
  *sink = (df_sink){ df_tensor_reals(s->grad), s->arrived ? 1 : 0 };
  s->arrived = true;
  return DF_OK;
}

df_code df_sink_open(df_node *node, int i, df_sink *sink) {
  *sink = (df_sink){ NULL, 0 };
  if (!df_wants(node, i)) return DF_OK;
  df_slot *s = &node->record->slots[node->slot[i]];
  df_code code = s->parameter ? leaf_sink(node->record, s, sink) : slot_sink(s, sink);
  if (code == DF_OK) node->record->touched = true;
  return code;
}

df_int df_sink_count(const df_node *node, int i) {
  return df_shape_count(&node->record->slots[node->slot[i]].shape);
}

#define GRAIN 16384 /* reals that are worth another thread */

/* to = beta to + from; or 0, and from is not read */
typedef struct arrival {
  df_real *to, beta;
  const df_real *from;
} arrival;

static void arrive_reals(void *context, df_int begin, df_int end) {
  const arrival *a = context;
  const df_real one = 1, *from = a->from + begin;
  df_kernel()->mix(a->to + begin, a->beta, &one, &from, 1, end - begin);
}

static void clear_reals(void *context, df_int begin, df_int end) {
  const arrival *a = context;
  memset(a->to + begin, 0, (size_t)(end - begin) * sizeof(df_real));
}

void df_sink_clear(df_real *to, df_int count) {
  df_parallel(count, GRAIN, clear_reals, &(arrival){ .to = to });
}

df_code df_sink_open_parts(df_node *node, int i, df_sink *sink) {
  df_code code = df_sink_open(node, i, sink);
  if (code != DF_OK || !sink->to) return code;
  if (sink->beta == 0) df_sink_clear(sink->to, df_sink_count(node, i));
  sink->beta = 1;
  return DF_OK;
}

df_code df_sink_pass(df_node *node, int i, df_tensor *g) {
  if (!df_wants(node, i)) return DF_OK;
  if (!g) return df_error_code();
  df_slot *s = &node->record->slots[node->slot[i]];
  if (df_tensor_count(g) != df_sink_count(node, i))
    return df_fail(DF_MISUSE,
                   "backward of %s: a gradient %s for argument %d, which is %s",
                   node->op->name, df_tensor_text(g), i + 1, df_shape_text(&s->shape));
  if (!s->parameter && !s->arrived) {
    s->grad = df_tensor_on(g->storage, g->dtype, &s->shape, g->offset);
    if (!s->grad) return DF_MEMORY;
    s->arrived = node->record->touched = true;
    return DF_OK;
  }
  df_sink sink;
  df_code code = df_sink_open(node, i, &sink);
  if (code != DF_OK || !sink.to) return code;
  arrival a = { sink.to, sink.beta, df_tensor_reals(g) };
  df_parallel(df_tensor_count(g), GRAIN, arrive_reals, &a);
  return DF_OK;
}
