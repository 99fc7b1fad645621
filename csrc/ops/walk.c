/* The backward pass over one record: nodes are undone from the last to the first. */
#include "ops/walk.h"

#include "ops/inside.h"
#include "ops/sink.h"

/* ==== followers ==================================================================== */

void df_walk_follow(df_tape *tape, df_follower *f) {
  f->next = tape->reached.followers;
  tape->reached.followers = f;
}

void df_walk_unfollow(df_tape *tape, df_follower *f) {
  df_follower **at = &tape->reached.followers;
  while (*at && *at != f) at = &(*at)->next;
  if (*at) *at = f->next;
}

df_leaf *df_walk_find(const df_tape *tape, bool (*found)(const df_leaf *)) {
  const df_reached *all = &tape->reached;
  for (size_t i = 0; i < all->n; i++)
    if (all->x[i]->leaf && found(all->x[i]->leaf)) return all->x[i]->leaf;
  return NULL;
}

static void tell_complete(const df_follower *f, df_leaf *leaf) {
  for (; f && leaf; f = f->next) f->complete(f->of, leaf);
}

/* Node i was undone or skipped. A parameter that it was the first to read gets no more,
** unless a node before it may walk other records. */
static void tell(const df_record *r, size_t i) {
  const df_follower *all = r->reached->followers;
  const df_node *node = r->nodes[i];
  for (const df_follower *f = all; f; f = f->next) f->between(f->of);
  if (!all || (r->within && r->parts == 0)) return;
  if (r->opaque >= 0 && r->opaque < (long)i) return;
  for (int k = 0; k < node->n; k++) {
    const df_slot *s = node->slot[k] >= 0 ? &r->slots[node->slot[k]] : NULL;
    if (s && s->parameter && s->first == (long)i) tell_complete(all, s->parameter->leaf);
  }
}

static df_code tell_begin(const df_tape *tape, const df_tensor *loss) {
  const double value = (double)*df_tensor_reals(loss);
  for (df_follower *f = tape->reached.followers; f; f = f->next)
    if (f->begin(f->of, value) != DF_OK) return df_error_code();
  return DF_OK;
}

static df_code tell_end(const df_record *r) {
  if (r->within) return DF_OK;
  for (df_follower *f = r->reached->followers; f; f = f->next)
    if (f->end(f->of) != DF_OK) return df_error_code();
  return DF_OK;
}

/* ==== the pass ===================================================================== */

/* Undoes one node. Its backward is not recorded. */
static df_code undo(df_tape *tape, df_node *node, df_tensor *dy) {
  df_code code = df_tape_push(tape, NULL);
  if (code != DF_OK) return code;
  size_t mark = df_scope_open(tape);
  code = df_node_fill(tape, node);
  if (code == DF_OK) code = node->op->backward(tape, node, dy);
  df_node_empty(node);
  df_scope_close(tape, mark);
  df_tape_pop(tape);
  df_profile_op(&tape->profile, node->op->name, true);
  return code;
}

/* DF_GUEST at the first visit of a custom op, DF_OK at the second. */
static df_code visit(df_tape *tape, df_record *record, df_node *node) {
  if (node->op->backward) return undo(tape, node, record->slots[node->y].grad);
  record->at_guest = !record->at_guest;
  if (record->at_guest) return DF_GUEST;
  if (!record->reached->dropped) return DF_OK;
  return df_fail(DF_MISUSE, "backward: a backward within that of a custom op failed, and "
                            "dropped the gradients so far; let its error through");
}

void df_walk_give_up(df_record *record, bool keep) {
  df_reached_drop(record->reached);
  if (!keep) df_record_rewind(record, 0);
  df_record_reset(record);
  record->at = 0;
  record->walked = record->failed = !keep;
}

bool df_walk_can_go_on(const df_record *record) { return record->walking; }

df_code df_walk_on(df_tape *tape, df_record *record, bool keep, df_node **guest) {
  while (record->at > 0) {
    df_node *node = record->nodes[record->at - 1];
    df_code code = DF_OK;
    record->touched = false;
    if (record->slots[node->y].arrived) code = visit(tape, record, node);
    if (code == DF_GUEST) *guest = node;
    else if (code != DF_OK && (code != DF_MEMORY || record->touched))
      df_walk_give_up(record, keep);
    if (code != DF_OK) return code;
    tell(record, record->at - 1);
    df_slot_clear(&record->slots[node->y]);
    record->at--;
    if (!keep) df_record_drop(record, record->at);
  }
  if (tell_end(record) != DF_OK) {
    df_walk_give_up(record, keep);
    return df_error_code();
  }
  if (!record->within) df_reached_clear(record->reached);
  record->walking = record->within = false;
  record->walked = !keep;
  return DF_OK;
}

/* The record whose custom op is being undone, or NULL. */
static const df_record *at_guest(const df_tape *tape) {
  const df_record *r = tape->records;
  while (r && !r->at_guest) r = r->next;
  return r;
}

/* A walk within another, over something recomputed, belongs to it: it is no further
** micro-batch. */
static df_code start(df_tape *tape, df_tensor *loss, df_tensor *g, const df_record *of) {
  df_record *r = df_record_of(tape, loss);
  uint64_t walk = of ? of->walk : ++tape->serial;
  if (!of) tape->reached.dropped = false;
  df_code code = df_record_seed(r, loss->slot, g, walk);
  if (code != DF_OK) return code;
  r->within = of != NULL;
  if (of || tell_begin(tape, loss) == DF_OK) return DF_OK;
  df_walk_give_up(r, true);
  return df_error_code();
}

static df_code may_walk(const df_record *r, const df_tensor *loss, const df_tensor *g) {
  if (!r && !loss->record)
    return df_fail(DF_MISUSE,
                   "backward: the loss doesn't depend on anything that was recorded; "
                   "compute it in d.record");
  if (r && r->failed)
    return df_fail(DF_MISUSE,
                   "backward: an earlier backward of this record failed on its "
                   "way; compute the loss again");
  if (!r || r->walked)
    return df_fail(DF_MISUSE, "backward: this record was walked and freed; give "
                              "{keep=true} to all but the last backward of one record");
  if (!g && df_tensor_count(loss) != 1)
    return df_fail(DF_MISUSE,
                   "backward: a loss has one element, this is %s; take its "
                   "mean() or sum()",
                   df_tensor_text(loss));
  if (r->walking)
    return df_fail(DF_MISUSE, "backward: called within a backward of the same record, "
                              "which is being walked");
  return DF_OK;
}

df_code df_walk_start(df_tape *tape, df_tensor *loss, df_tensor *g) {
  df_record *r = df_record_of(tape, loss);
  if (may_walk(r, loss, g) != DF_OK) return df_error_code();
  df_profile_kept(tape, r);
  return start(tape, loss, g, at_guest(tape));
}

df_code df_walk_within(df_tape *tape, const df_node *node, df_tensor *y, df_tensor *g) {
  df_node *guest;
  df_record *inner = df_record_of(tape, y);
  if (may_walk(inner, y, g) != DF_OK) return df_error_code();
  df_profile_kept(tape, inner);
  df_code code = start(tape, y, g, node->record);
  if (code == DF_OK) code = df_walk_on(tape, inner, false, &guest);
  if (code == DF_GUEST)
    code = df_fail(DF_MISUSE,
                   "backward: a custom op in Lua inside a part that is recomputed");
  return code;
}

df_tensor *df_walk_gradient(df_node *guest) {
  return df_slot_own_gradient(&guest->record->slots[guest->y]);
}
