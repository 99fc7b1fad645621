/* Saves memory for time: of a stretch of a network only the inputs are kept. In the
** backward pass it is computed again, recorded this time, and that record is walked. The
** gradients of its inputs are added up in the same order as without, so the bits are the
** same. */
#include "base/alloc.h"
#include "ops/op.h"
#include "ops/record.h"
#include "ops/sink.h"
#include "ops/walk.h"

typedef struct again {
  df_stretch of;
  df_counters counters; /* as they were when it was first computed */
  df_precision precision;
  bool leaves; /* parameters are wanted */
} again;

static void release(void *data) {
  again *a = data;
  a->of.release(a->of.what);
}

/* Windows on the inputs, which the inner record may track. */
static bool enter(df_tape *tape, df_record *inner, const df_node *node, df_tensor **x) {
  for (int i = 0; i < node->n; i++) {
    const df_tensor *from = node->keep[i];
    x[i] = NULL;
    if (!from) continue;
    x[i] = df_scope_own(tape,
                        df_tensor_window(from, &from->shape, from->stride, from->offset));
    if (!x[i]) return false;
    if (df_wants(node, i) && df_record_want(tape, inner, x[i]) != DF_OK) return false;
  }
  return true;
}

static df_tensor *run_again(df_tape *tape, df_record *inner, const again *a,
                            df_tensor *const *x) {
  df_counters now = df_tape_counters(tape);
  df_precision precision = df_tape_precision(tape);
  if (df_tape_push(tape, inner) != DF_OK) return NULL;
  df_tape_set_counters(tape, a->counters);
  df_tape_set_precision(tape, a->precision);
  df_tensor *y = a->of.run(tape, a->of.what, x);
  df_tape_set_counters(tape, now);
  df_tape_set_precision(tape, precision);
  df_tape_pop(tape);
  return y;
}

/* The slot in which the gradient of input i is summed; NULL for a parameter. */
static df_slot *outside(const df_node *node, int i) {
  df_slot *s = df_wants(node, i) ? &node->record->slots[node->slot[i]] : NULL;
  return s && !s->parameter ? s : NULL;
}

static void move_gradient(df_slot *to, df_slot *from) {
  to->grad = from->grad, to->arrived = from->arrived;
  from->grad = NULL, from->arrived = false;
}

static df_code give_back(df_node *node, int i, df_slot *in) {
  df_slot *out = outside(node, i);
  if (!in->arrived) return DF_OK;
  if (!out || out->arrived) return df_sink_pass(node, i, in->grad);
  move_gradient(out, in);
  return DF_OK;
}

static df_code walk(df_tape *tape, df_node *node, df_record *inner, df_tensor *const *x,
                    df_tensor *y, df_tensor *dy) {
  for (int i = 0; i < node->n; i++)
    if (outside(node, i)) move_gradient(&inner->slots[x[i]->slot], outside(node, i));
  node->record->touched = true;
  df_code code = df_walk_within(tape, node, y, dy);
  for (int i = 0; i < node->n && code == DF_OK; i++)
    if (df_wants(node, i)) code = give_back(node, i, &inner->slots[x[i]->slot]);
  return code;
}

static df_code recompute_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const again *a = node->data;
  df_tensor *x[DF_STRETCH_INPUTS];
  df_record *inner = df_record_new(tape, a->leaves);
  if (!inner) return DF_MEMORY;
  df_tensor *y = enter(tape, inner, node, x) ? run_again(tape, inner, a, x) : NULL;
  df_code code = DF_OK;
  if (!y) code = df_error_code();
  else if (df_record_tracks(inner, y)) code = walk(tape, node, inner, x, y, dy);
  df_record_free(tape, inner);
  return code;
}

df_tensor *df_recompute(df_tape *tape, const df_stretch *stretch,
                        df_tensor *const *keep) {
  static const df_op op = { "recompute", recompute_backward };
  again a = { *stretch, df_tape_counters(tape), df_tape_precision(tape),
              df_tape_wants_leaves(tape) };
  bool recorded = df_tape_recording(tape);
  df_tensor *y = NULL;
  if (df_tape_push(tape, NULL) == DF_OK) {
    y = stretch->run(tape, stretch->what, keep);
    df_tape_pop(tape);
  }
  df_note note = { .op = &op, .n = stretch->n, .x = keep, .keep = keep };
  note.kept = stretch->kept, note.data = &a, note.size = sizeof a;
  note.always = true, note.release = release;
  if (y && recorded) y = df_tape_note(tape, y, note);
  if (!y || !recorded) release(&a);
  return y;
}
