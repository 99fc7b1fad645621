/* The tape: a context (context.h), and the records of what was computed.
**
** A record is a list of nodes {op, operands, kept values}. It is opened with the leaves
** whose gradients are wanted: all trainable parameters, or some tensors. Records nest.
** Ops are noted in the innermost record only, and outside of records nothing is noted.
** walk.h is the backward pass. There are no second derivatives. */
#ifndef df_tape_h
#define df_tape_h

#include "base/error.h"
#include "ops/context.h"

typedef struct df_record df_record;
typedef struct df_node df_node;

df_tape *df_tape_new(void);
void df_tape_free(df_tape *tape);

/* ==== nodes ========================================================================= */

/* An op as the tape knows it. backward is NULL in a custom op, which the binding undoes.
** dy is dense reals in ROWS form. Nodes whose result got no gradient are skipped. */
typedef struct df_op {
  const char *name;
  df_code (*backward)(df_tape *tape, df_node *node, df_tensor *dy);
} df_op;

/* Computes the result of a node again from what it keeps, with the same bits; or NULL. */
typedef df_tensor *df_remake(df_tape *tape, df_node *node);

struct df_node {
  const df_op *op;
  df_record *record;
  int y;            /* slot of the result */
  int n, *slot;     /* operands; a slot is -1 where no gradient is wanted */
  int kept;         /* number of values that backward needs */
  df_tensor **keep; /* retained; entries may be NULL */
  int *made; /* slot of a kept value that is recomputed when backward reads it, or -1 */
  uint64_t *version;
  df_remake *remake;
  void *data; /* a copy of the op's own numbers */
  void (*release)(void *data);
};

/* For a backward that won't read kept value i again. A recomputed value is freed at
** once. */
void df_node_let_go(df_node *node, int i);

/* ==== note.c: noting ops ============================================================ */

typedef struct df_note {
  const df_op *op;
  int n; /* operands */
  df_tensor *const *x;
  int kept; /* tensors that backward reads */
  df_tensor *const *keep;
  /* If set, the ops that read y don't save it: it is recomputed in the backward pass. For
  ** results that are cheaper to compute than to store. */
  df_remake *remake;
  const void *data; /* copied */
  size_t size;
  void (*release)(void *data); /* NULL, or called when the node is freed */
  bool always;                 /* noted while recording even if no operand is tracked */
  unsigned by_parts; /* bit i: operand i, a parameter, gets its gradient by parts.h */
} df_note;

/* Notes that y was made from operands. Every op calls it as its last act; it also counts
** time for the profile. Returns y, or NULL where memory is short. */
df_tensor *df_tape_note(df_tape *tape, df_tensor *y, df_note note);

/* In-place ops ask first. Fails if y is part of what is being recorded, or if an operand
** is and would lose its gradient. */
df_code df_may_write(const df_tape *tape, const char *name, const df_tensor *y, int n,
                     df_tensor *const *x);

/* ==== tape.c: which records are open ================================================ */

/* Records are opened with or without parameters as wanted leaves. */
df_record *df_record_new(df_tape *tape, bool leaves);
void df_record_free(df_tape *tape, df_record *record);

/* The record is of `parts` parts of a batch, `rows` rows in all, one after another. A
** walk of it within another walk counts as whole. If there are several, a parameter's
** gradient is the sum of those that the parts have alone (parts.h). */
void df_record_part(df_record *record, int parts, df_int rows);

/* The parts of the innermost record that is open, or 0. */
int df_tape_parts(const df_tape *tape);

/* True if gradients of a record of several parts can't be told apart: an op doesn't know
** parts, or a parameter was used twice. */
bool df_record_is_mixed(const df_record *record);

/* For an op that reads a parameter's rows for all samples alike. */
void df_tape_mix_parts(const df_tape *tape);

/* Pushing NULL stops recording until it is popped. */
df_code df_tape_push(df_tape *tape, df_record *record);
void df_tape_pop(df_tape *tape);
size_t df_tape_depth(const df_tape *tape);     /* records pushed and not popped */
void df_tape_cut(df_tape *tape, size_t depth); /* pops all beyond */

bool df_tape_recording(const df_tape *tape);
bool df_tape_wants_leaves(const df_tape *tape); /* recording, and parameters are wanted */
/* True in d.record, also in a no_grad within it: there dropout drops, and a recomputed
** value drops what it dropped before. */
bool df_tape_training(const df_tape *tape);
/* True if these weights are being trained, and so change before their next use. */
bool df_is_learnt(const df_tape *tape, df_tensor *w);

/* True if a result of these operands will be noted: keep what backward needs. */
bool df_tracked(const df_tape *tape, int n, df_tensor *const *x);
/* True if an open record, up to where recording was stopped, tracks x. A number read out
** of x would silently lose its gradient. */
bool df_followed(const df_tape *tape, const df_tensor *x);

/* The record that knows x and still exists, or NULL. */
df_record *df_record_of(const df_tape *tape, const df_tensor *x);
bool df_record_is_open(const df_tape *tape, const df_record *record);
/* True if it was walked and no wanted tensor's gradient is still to be asked for. */
bool df_record_is_spent(const df_record *record);

/* ==== tape.c: what enters and leaves a record ======================================= */

/* The gradient of x is wanted. x is a fresh window, so that other windows on its storage
** stay constants. */
df_code df_record_want(df_tape *tape, df_record *record, df_tensor *x);

/* A window on x that leaves the record as a constant. If a record around this one tracks
** something that was used here, ops there refuse the window. */
df_tensor *df_record_value(df_tape *tape, const df_record *record, const df_tensor *x);

/* The gradient of a wanted tensor after the walk, in memory of its own, owned by the
** scope. Zeros if nothing arrived; NULL where memory is short. */
df_tensor *df_record_gradient(df_tape *tape, df_record *record, const df_tensor *x);

#endif
