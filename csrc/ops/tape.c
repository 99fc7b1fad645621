/* The records of a tape, and the stack of those that ops are noted in. */
#include "ops/tape.h"

#include <string.h>

#include "base/alloc.h"
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
  df_watch_clear(&tape->watch);
  while (tape->records) df_record_free(tape, tape->records);
  df_reached_clear(&tape->reached);
  df_free(tape->reached.x);
  df_free(tape->owned);
  df_free(tape->stack);
  df_free(tape);
}

df_record *df_tape_innermost(const df_tape *tape) {
  return tape->depth ? tape->stack[tape->depth - 1] : NULL;
}

bool df_tape_recording(const df_tape *tape) { return df_tape_innermost(tape) != NULL; }

bool df_tape_wants_leaves(const df_tape *tape) {
  return df_tape_recording(tape) && df_tape_innermost(tape)->leaves;
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
  r->opaque = -1;
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

void df_record_part(df_record *record, int parts, df_int rows) {
  record->parts = parts, record->rows = rows;
}

int df_tape_parts(const df_tape *tape) {
  const df_record *r = df_tape_innermost(tape);
  return r ? r->parts : 0;
}

void df_tape_mix_parts(const df_tape *tape) {
  df_record *r = df_tape_innermost(tape);
  if (r) r->mixed |= r->parts > 1;
}

bool df_record_is_mixed(const df_record *record) { return record->mixed; }

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
  const df_record *r = df_tape_innermost(tape);
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
