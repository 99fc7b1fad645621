/* The tape: the context of every op (one per Lua state), and the record of what was
** computed, walked backwards once for gradients.
**
** Context: precision, random counters, scopes. A scope owns what ops make; closing it
** lets go of all that nobody else has retained, so an op's result needs no releasing and
** networks read as straight maths.
**
** Record: a list of nodes {op, operands, what was kept}. Opening it names the wanted
** leaves: trainable parameters, or some tensors. Records nest; ops are noted in the
** innermost one only. Nothing is noted outside. There are no second derivatives. */
#ifndef df_tape_h
#define df_tape_h

#include "base/error.h"
#include "ops/context.h"

typedef struct df_record df_record;
typedef struct df_node df_node;

df_tape *df_tape_new(void);
void df_tape_free(df_tape *tape);

/* -- recording ----------------------------------------------------------------------- */
/* An op as the tape knows it. backward NULL: a guest, undone by the binding. dy is dense
** reals in ROWS form; a node whose result got no gradient is skipped. */
typedef struct df_op {
  const char *name;
  df_code (*backward)(df_tape *tape, df_node *node, df_tensor *dy);
} df_op;

/* The result of a node, computed again with the same bits from what it keeps; or NULL. */
typedef df_tensor *df_remake(df_tape *tape, df_node *node);

struct df_node {
  const df_op *op;
  df_record *record;
  int y;            /* slot of the result */
  int n, *slot;     /* operands; a slot is -1 where no gradient is wanted */
  int kept;         /* what backward needs */
  df_tensor **keep; /* retained; NULL entries are fine */
  int *made; /* the slot of a kept value that is there only while it is read, or -1 */
  uint64_t *version;
  df_remake *remake;
  void *data; /* a copy of the op's own numbers */
  void (*release)(void *data);
};

/* A backward may say that it won't read a kept value again: one that was made again for it
** is let go of at once. */
void df_node_let_go(df_node *node, int i);

/* What an op notes of itself. */
typedef struct df_note {
  const df_op *op;
  int n; /* operands */
  df_tensor *const *x;
  int kept; /* tensors that backward reads */
  df_tensor *const *keep;
  /* NULL, or how the walk gets at y again: other nodes don't keep it. For results that are
  ** cheaper to make than to keep. */
  df_remake *remake;
  const void *data; /* copied */
  size_t size;
  void (*release)(void *data); /* NULL, or called when the node goes */
  bool always;                 /* noted while recording even if no operand is tracked */
} df_note;

/* True if a result of these operands will be noted: keep what backward needs. */
bool df_tracked(const df_tape *tape, int n, df_tensor *const *x);

/* True if any record that is open, up to where recording was stopped, follows x: a number
** read out of it would be a constant, unnoticed. */
bool df_followed(const df_tape *tape, const df_tensor *x);

/* Notes that y was made from operands; returns y, or NULL where memory is short. To be
** called by every op as its last act (it also counts time for the profile). */
df_tensor *df_tape_note(df_tape *tape, df_tensor *y, df_note note);

/* In-place ops ask first: fails with a sentence if y is part of what is being recorded or
** one of the operands is (its gradient would be lost). */
df_code df_may_write(const df_tape *tape, const char *name, const df_tensor *y, int n,
                     df_tensor *const *x);

bool df_tape_recording(const df_tape *tape);
bool df_tape_wants_leaves(const df_tape *tape); /* recording, and parameters are wanted */
/* True inside d.record, where parameters are wanted, no_grad within it included: dropout
** drops there only, and a recomputed value drops what it dropped before. */
bool df_tape_training(const df_tape *tape);
/* True of weights that are being trained, and so change before their next use. */
bool df_is_learnt(const df_tape *tape, df_tensor *w);

/* Records: opened with or without parameters as wanted leaves; `want` adds a tensor (a
** fresh window, so that others of the same storage stay constants). NULL stops recording
** until popped. */
df_record *df_record_new(df_tape *tape, bool leaves);
void df_record_free(df_tape *tape, df_record *record);
df_code df_record_want(df_tape *tape, df_record *record, df_tensor *x);
df_code df_tape_push(df_tape *tape, df_record *record);
void df_tape_pop(df_tape *tape);
size_t df_tape_depth(const df_tape *tape);     /* records pushed and not popped */
void df_tape_cut(df_tape *tape, size_t depth); /* pops all beyond */

/* The record that knows x and is still there, or NULL. */
df_record *df_record_of(const df_tape *tape, const df_tensor *x);
bool df_record_is_open(const df_tape *tape, const df_record *record);
/* Walked, and no tensor was wanted whose gradient is still to be asked for. */
bool df_record_is_spent(const df_record *record);

/* -- walking backwards --------------------------------------------------------------- */
/* Starts at a loss of one element, with gradient 1; or at any tensor, with gradient g. */
df_code df_walk_start(df_tape *tape, df_tensor *loss, df_tensor *g);

/* Walks to the end: DF_OK. DF_GUEST: *guest is a node to be undone by the caller (its
** gradient is df_walk_gradient), who then calls again. Else the walk failed. It was given
** up, unless memory was short at a place from which it can go on: the caller then finds
** memory and calls again, or gives it up. Without `keep` nodes are let go of on the way,
** and a second walk is refused. */
df_code df_walk_on(df_tape *tape, df_record *record, bool keep, df_node **guest);
/* In memory of its own, for the guest to write to; NULL: memory is short. */
df_tensor *df_walk_gradient(df_node *guest);
/* Walks another record, that of y, from gradient g, as a part of undoing `node`. */
df_code df_walk_within(df_tape *tape, const df_node *node, df_tensor *y, df_tensor *g);
bool df_walk_can_go_on(const df_record *record);
/* Ends a walk that failed. Models whose gradients it had begun to change have none then,
** as after zeroing; with `keep` the record can be walked again. */
void df_walk_give_up(df_record *record, bool keep);

/* x as a value that leaves the record: a constant; but where a record around this one
** follows something that was used here, one that refuses to be used there. */
df_tensor *df_record_value(df_tape *tape, const df_record *record, const df_tensor *x);

/* The gradient of a wanted tensor after the walk, in memory of its own, owned by the scope;
** zeros if nothing arrived; NULL where memory is short. */
df_tensor *df_record_gradient(df_tape *tape, df_record *record, const df_tensor *x);

/* -- going back after a failure ------------------------------------------------------ */
typedef struct df_mark {
  size_t scope, nodes;
  df_counters counters;
} df_mark;
df_mark df_tape_mark(const df_tape *tape);
void df_tape_rewind(df_tape *tape, const df_mark *mark);

/* -- watch: where values first stop being numbers ------------------------------------ */
void df_watch_start(df_tape *tape);
/* The first op whose result was not finite, NULL if none; *parameter the last parameter
** that was used up to there, retained, or NULL. */
const char *df_watch_stop(df_tape *tape, df_tensor **parameter);

/* -- profile ------------------------------------------------------------------------- */
typedef struct df_profile_row {
  const char *name;
  bool backward;
  double seconds;
  long calls;
  size_t kept; /* bytes that nodes of this op were the first to keep for the walk back */
} df_profile_row;
void df_profile_start(df_tape *tape);
/* The time since the last op's end was spent by what is not an op; name is a literal. */
void df_profile_spent(df_tape *tape, const char *name);
/* Stops; rows stay valid until the next start. */
int df_profile_stop(df_tape *tape, const df_profile_row **rows);

#endif
