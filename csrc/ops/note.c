/* Noting ops, and refusing those whose gradient would be lost. */
#include "ops/inside.h"
#include "ops/sink.h"

static bool serial_is_open(const df_tape *tape, uint64_t serial) {
  for (size_t i = 0; i < tape->depth; i++)
    if (tape->stack[i] && tape->stack[i]->serial == serial) return true;
  return false;
}

/* A value of a closed record would silently count as a constant. */
static df_code refuse_stale(const df_tape *tape, const df_note *note) {
  for (int i = 0; i < note->n; i++) {
    const df_tensor *x = note->x[i];
    if (x && x->record && !x->leaf && !serial_is_open(tape, x->record))
      return df_fail(
          DF_MISUSE,
          "%s: argument %d %s was computed in an earlier record, or is a gradient. No "
          "gradient flows through it, as there are no second derivatives; detach() it, "
          "or compute it in this record",
          note->op->name, i + 1, df_tensor_text(x));
  }
  return DF_OK;
}

/* The first operand, from 1, that a record around the innermost one follows; or 0. */
static int followed_outside(const df_tape *tape, const df_note *note) {
  for (size_t d = tape->depth - 1; d > 0 && tape->stack[d - 1]; d--)
    for (int i = 0; i < note->n; i++)
      if (note->x[i] && df_record_tracks(tape->stack[d - 1], note->x[i])) return i + 1;
  return 0;
}

/* Ops are noted in the innermost record only. Fails if a record around it loses a
** gradient. */
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

df_tensor *df_tape_note(df_tape *tape, df_tensor *y, df_note note) {
  df_watch_op(&tape->watch, y, &note);
  df_profile_op(&tape->profile, note.op->name, false);
  df_record *r = df_tape_innermost(tape);
  if (!y || !r) return y;
  if (refuse_stale(tape, &note) != DF_OK) return NULL;
  if (tape->depth > 1 && check_outside(tape, r, &note) != DF_OK) return NULL;
  if (!note.always && !df_tracked(tape, note.n, note.x)) return y;
  return df_record_add(r, y, &note) == DF_OK ? y : NULL;
}

df_code df_may_write(const df_tape *tape, const char *name, const df_tensor *y, int n,
                     df_tensor *const *x) {
  const df_record *r = df_tape_innermost(tape);
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
