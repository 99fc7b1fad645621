/* The context, its scopes, and the record of nodes. */
#include "ops/tape.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "kernels/kernels.h"
#include "ops/inside.h"
#include "ops/sink.h"

df_tape *df_tape_new(void) {
  df_tape *tape = df_alloc_zeros(sizeof *tape);
  if (!tape) return NULL;
  tape->precision = DF_HIGH;
  return tape;
}

void df_tape_free(df_tape *tape) {
  if (!tape) return;
  df_scope_close(tape, 0);
  df_tensor_release(tape->watched_leaf);
  while (tape->records) df_record_free(tape, tape->records);
  df_reached_clear(&tape->reached);
  df_free(tape->reached.x);
  df_free(tape->owned);
  df_free(tape->stack);
  df_free(tape);
}

/* ==== recording ================================================================== */

static df_record *innermost(const df_tape *tape) {
  return tape->depth ? tape->stack[tape->depth - 1] : NULL;
}

bool df_tape_recording(const df_tape *tape) { return innermost(tape) != NULL; }

bool df_tape_wants_leaves(const df_tape *tape) {
  return df_tape_recording(tape) && innermost(tape)->leaves;
}

bool df_tape_training(const df_tape *tape) {
  for (size_t i = 0; i < tape->depth; i++)
    if (tape->stack[i] && tape->stack[i]->leaves) return true;
  return false;
}

df_record *df_record_new(df_tape *tape, bool leaves) {
  df_record *r = df_alloc_zeros(sizeof *r);
  if (!r) return NULL;
  r->serial = ++tape->serial;
  r->leaves = leaves;
  r->reached = &tape->reached;
  r->next = tape->records;
  tape->records = r;
  return r;
}

void df_record_free(df_tape *tape, df_record *record) {
  df_record **at = &tape->records;
  while (*at && *at != record) at = &(*at)->next;
  if (!*at) return;
  *at = record->next;
  for (size_t i = 0; i < tape->depth; i++)
    if (tape->stack[i] == record) tape->stack[i] = NULL;
  df_record_clear(record);
  df_free(record);
}

df_code df_tape_push(df_tape *tape, df_record *record) {
  if (!df_room((void **)&tape->stack, tape->depth, &tape->stack_room, sizeof record))
    return DF_MEMORY;
  tape->stack[tape->depth++] = record;
  return DF_OK;
}

void df_tape_pop(df_tape *tape) {
  if (tape->depth) tape->depth--;
}

size_t df_tape_depth(const df_tape *tape) { return tape->depth; }

void df_tape_cut(df_tape *tape, size_t depth) {
  if (tape->depth > depth) tape->depth = depth;
}

df_record *df_record_of(const df_tape *tape, const df_tensor *x) {
  if (!x->record) return NULL;
  df_record *r = tape->records;
  while (r && r->serial != x->record) r = r->next;
  return r;
}

bool df_record_is_open(const df_tape *tape, const df_record *record) {
  for (size_t i = 0; i < tape->depth; i++)
    if (tape->stack[i] == record) return true;
  return false;
}

bool df_record_is_spent(const df_record *record) {
  return record->walked && !record->asked;
}

bool df_tracked(const df_tape *tape, int n, df_tensor *const *x) {
  const df_record *r = innermost(tape);
  for (int i = 0; r && i < n; i++)
    if (x[i] && df_record_tracks(r, x[i])) return true;
  return false;
}

bool df_followed(const df_tape *tape, const df_tensor *x) {
  for (size_t i = tape->depth; i > 0 && tape->stack[i - 1]; i--)
    if (df_record_tracks(tape->stack[i - 1], x)) return true;
  return false;
}

bool df_is_learnt(const df_tape *tape, df_tensor *w) {
  bool trained = w->leaf && w->leaf->trainable && df_tape_training(tape);
  return trained || df_tracked(tape, 1, &w);
}

static bool serial_is_open(const df_tape *tape, uint64_t serial) {
  for (size_t i = 0; i < tape->depth; i++)
    if (tape->stack[i] && tape->stack[i]->serial == serial) return true;
  return false;
}

/* A value of a record that is closed would count as a constant: say so instead. */
static df_code refuse_stale(const df_tape *tape, const df_note *note) {
  for (int i = 0; i < note->n; i++) {
    const df_tensor *x = note->x[i];
    if (x && x->record && !x->leaf && !serial_is_open(tape, x->record))
      return df_fail(
          DF_MISUSE,
          "%s: argument %d %s was computed in an earlier record, or is a gradient, and "
          "no gradient flows through it (there are no second derivatives); detach() it, "
          "or compute it in this record",
          note->op->name, i + 1, df_tensor_text(x));
  }
  return DF_OK;
}

/* The first operand that a record around the innermost one follows, from 1; or 0. */
static int followed_outside(const df_tape *tape, const df_note *note) {
  for (size_t d = tape->depth - 1; d > 0 && tape->stack[d - 1]; d--)
    for (int i = 0; i < note->n; i++)
      if (note->x[i] && df_record_tracks(tape->stack[d - 1], note->x[i])) return i + 1;
  return 0;
}

/* Ops are noted in the innermost record alone: what is lost to those around it is told. */
static df_code check_outside(const df_tape *tape, df_record *r, const df_note *note) {
  int i = r->leaves || !r->depends ? followed_outside(tape, note) : 0;
  if (!i) return DF_OK;
  if (!r->leaves) r->depends = true; /* its results refuse to be used there */
  if (!r->leaves || df_tracked(tape, note->n, note->x)) return DF_OK;
  return df_fail(
      DF_MISUSE,
      "%s: argument %d %s is being recorded by the d.grad or d.record around this "
      "d.record, which doesn't follow it; detach() it, or compute it outside",
      note->op->name, i, df_tensor_text(note->x[i - 1]));
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The row of an op; the last one is for all that find no room. */
static df_profile_row *row_of(df_tape *tape, const char *name, bool backward) {
  int i = 0;
  while (i < tape->profiled
         && (tape->profile[i].name != name || tape->profile[i].backward != backward))
    i++;
  if (i == PROFILED) return &tape->profile[PROFILED - 1];
  if (i == tape->profiled)
    tape->profile[tape->profiled++] = (df_profile_row){ name, backward, 0, 0, 0 };
  return &tape->profile[i];
}

/* The time since the last op ended goes to this one. */
static void profile(df_tape *tape, const char *name, bool backward) {
  double now = seconds();
  df_profile_row *row = row_of(tape, name, backward);
  row->seconds += now - tape->since;
  row->calls++;
  tape->since = now;
}

/* A record walked within the walk of another holds only what it was given. */
static void profile_kept(df_tape *tape, const df_record *r) {
  for (const df_record *other = tape->records; other; other = other->next)
    if (other->walking) return;
  for (size_t i = 0; i < r->n_nodes; i++)
    if (r->nodes[i])
      row_of(tape, r->nodes[i]->op->name, false)->kept += df_record_kept(r, i);
}

void df_profile_spent(df_tape *tape, const char *name) {
  if (tape->profiling) profile(tape, name, false);
}

void df_profile_start(df_tape *tape) {
  tape->profiled = 0;
  tape->profiling = true;
  tape->since = seconds();
}

int df_profile_stop(df_tape *tape, const df_profile_row **rows) {
  tape->profiling = false;
  *rows = tape->profile;
  return tape->profiled;
}

/* ==== watch ======================================================================== */

static bool finite(const df_tensor *y) {
  df_int n = df_tensor_count(y);
  if (y->form != DF_ROWS || y->dtype != DF_REAL || n == 0 || !df_tensor_is_dense(y))
    return true;
  const df_kernels *k = df_kernel();
  return isfinite(k->max(df_tensor_reals(y), n))
         && isfinite(k->min(df_tensor_reals(y), n));
}

static void watch(df_tape *tape, const df_tensor *y, const df_note *note) {
  for (int i = 0; i < note->n; i++) {
    if (!note->x[i] || !note->x[i]->leaf) continue;
    df_tensor_release(tape->watched_leaf);
    tape->watched_leaf = df_tensor_retain(note->x[i]);
  }
  if (!finite(y)) tape->sick = note->op->name;
}

void df_watch_start(df_tape *tape) {
  df_tensor_release(tape->watched_leaf);
  tape->watched_leaf = NULL;
  tape->sick = NULL;
  tape->watching = true;
}

const char *df_watch_stop(df_tape *tape, df_tensor **parameter) {
  tape->watching = false;
  *parameter = tape->watched_leaf;
  tape->watched_leaf = NULL;
  return tape->sick;
}

df_tensor *df_tape_note(df_tape *tape, df_tensor *y, df_note note) {
  if (tape->watching && y && !tape->sick) watch(tape, y, &note);
  if (tape->profiling) profile(tape, note.op->name, false);
  df_record *r = innermost(tape);
  if (!y || !r) return y;
  if (refuse_stale(tape, &note) != DF_OK) return NULL;
  if (tape->depth > 1 && check_outside(tape, r, &note) != DF_OK) return NULL;
  if (!note.always && !df_tracked(tape, note.n, note.x)) return y;
  return df_record_add(r, y, &note) == DF_OK ? y : NULL;
}

df_code df_may_write(const df_tape *tape, const char *name, const df_tensor *y, int n,
                     df_tensor *const *x) {
  const df_record *r = innermost(tape);
  if (!r) return DF_OK;
  if (df_record_tracks(r, y))
    return df_fail(DF_MISUSE,
                   "%s: %s is part of what is being recorded and can't be written to in "
                   "place; use the form without the underscore",
                   name, df_tensor_text(y));
  if (df_tracked(tape, n, x))
    return df_fail(
        DF_MISUSE,
        "%s: writing a recorded value into %s would lose its gradient; use the "
        "form without the underscore",
        name, df_tensor_text(y));
  return DF_OK;
}

df_code df_record_want(df_tape *tape, df_record *record, df_tensor *x) {
  const df_record *other = df_record_of(tape, x);
  if (other && other != record && other->slots[x->slot].wanted)
    return df_fail(
        DF_MISUSE,
        "grad: an argument %s depends on what another record follows, and there "
        "are no second derivatives; detach() it",
        df_tensor_text(x));
  record->asked = true;
  int slot = df_record_slot(record, x, false);
  return slot < 0 ? df_error_code() : DF_OK;
}

/* ==== walking ====================================================================== */

/* Undoes one node; what its backward computes is not recorded. */
static df_code undo(df_tape *tape, df_node *node, df_tensor *dy) {
  df_code code = df_tape_push(tape, NULL);
  if (code != DF_OK) return code;
  size_t mark = df_scope_open(tape);
  code = df_node_fill(tape, node);
  if (code == DF_OK) code = node->op->backward(tape, node, dy);
  df_node_empty(node);
  df_scope_close(tape, mark);
  df_tape_pop(tape);
  if (tape->profiling) profile(tape, node->op->name, true);
  return code;
}

/* DF_GUEST at the first visit of a guest, DF_OK at the second. */
static df_code visit(df_tape *tape, df_record *record, df_node *node) {
  if (node->op->backward) return undo(tape, node, record->slots[node->y].grad);
  record->at_guest = !record->at_guest;
  if (record->at_guest) return DF_GUEST;
  if (!record->reached->dropped) return DF_OK;
  return df_fail(DF_MISUSE, "backward: a backward within that of a guest failed, and "
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
    df_slot_clear(&record->slots[node->y]);
    record->at--;
    if (!keep) df_record_drop(record, record->at);
  }
  if (!record->within) df_reached_clear(record->reached);
  record->walking = record->within = false;
  record->walked = !keep;
  return DF_OK;
}

/* The record whose guest is being undone, or NULL. */
static const df_record *at_guest(const df_tape *tape) {
  const df_record *r = tape->records;
  while (r && !r->at_guest) r = r->next;
  return r;
}

/* A walk within another (of something recomputed) belongs to it: what it gathers isn't
** another micro-batch. */
static df_code start(df_tape *tape, df_tensor *loss, df_tensor *g, const df_record *of) {
  df_record *r = df_record_of(tape, loss);
  uint64_t walk = of ? of->walk : ++tape->serial;
  if (!of) tape->reached.dropped = false;
  df_code code = df_record_seed(r, loss->slot, g, walk);
  if (code == DF_OK) r->within = of != NULL;
  return code;
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
    return df_fail(DF_MISUSE, "backward: this record has been walked and let go of; give "
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
  if (tape->profiling) profile_kept(tape, r);
  return start(tape, loss, g, at_guest(tape));
}

df_code df_walk_within(df_tape *tape, const df_node *node, df_tensor *y, df_tensor *g) {
  df_node *guest;
  df_record *inner = df_record_of(tape, y);
  if (may_walk(inner, y, g) != DF_OK) return df_error_code();
  if (tape->profiling) profile_kept(tape, inner);
  df_code code = start(tape, y, g, node->record);
  if (code == DF_OK) code = df_walk_on(tape, inner, false, &guest);
  if (code == DF_GUEST)
    code = df_fail(DF_MISUSE, "backward: a function in Lua within what is recomputed");
  return code;
}

df_tensor *df_walk_gradient(df_node *guest) {
  return df_slot_own_gradient(&guest->record->slots[guest->y]);
}

df_tensor *df_record_value(df_tape *tape, const df_record *record, const df_tensor *x) {
  df_tensor *y = df_scope_own(tape, df_tensor_window(x, &x->shape, x->stride, x->offset));
  if (y && record->depends) y->record = record->serial;
  return y;
}

df_tensor *df_record_gradient(df_tape *tape, df_record *record, const df_tensor *x) {
  df_slot *s = x->record == record->serial ? &record->slots[x->slot] : NULL;
  if (s && s->grad) {
    df_tensor *own = df_slot_own_gradient(s);
    return own ? df_record_value(tape, record, own) : NULL;
  }
  df_tensor *g = df_result(tape, &x->shape);
  if (g) memset(df_tensor_data(g), 0, (size_t)df_tensor_count(g) * sizeof(df_real));
  return g;
}

/* ==== going back ==================================================================== */

df_mark df_tape_mark(const df_tape *tape) {
  const df_record *r = innermost(tape);
  return (df_mark){ tape->n_owned, r ? r->n_nodes : 0, tape->random };
}

void df_tape_rewind(df_tape *tape, const df_mark *mark) {
  df_record *r = innermost(tape);
  df_scope_close(tape, mark->scope);
  tape->random = mark->counters;
  if (r) df_record_rewind(r, mark->nodes);
}
