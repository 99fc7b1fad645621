/* One record: nodes in the order in which they were computed, and a slot for each value
** whose gradient may be wanted. Known to the files of the tape (inside.h), sink and
** recompute. */
#ifndef df_record_h
#define df_record_h

#include "ops/tape.h"

typedef struct df_slot {
  bool wanted;
  bool arrived;
  df_shape shape;
  df_tensor *grad;      /* dense; may be shared with other slots until it is written to */
  df_tensor *parameter; /* retained; the gradient goes to its leaf */
  long maker;           /* the node that can recompute the value, or -1 */
  long first;           /* the first node that reads it, of a parameter */
  /* the first node that keeps it, and so the last in the walk to read it; or -1 */
  long reader;
  df_tensor *value; /* recomputed; kept until the walk has passed the maker */
} df_slot;

/* The parameters whose gradients a walk has changed, retained. A tape has one list. */
typedef struct df_reached {
  df_tensor **x;
  size_t n, room;
  bool dropped; /* a walk within this one failed and dropped them */
  struct df_follower *followers;
} df_reached;

struct df_record {
  uint64_t serial;
  uint64_t walk; /* a number that no other walk has */
  df_reached *reached;
  bool leaves; /* trainable parameters are wanted */
  bool asked;  /* gradients of some tensors will be asked for after the walk */
  bool walking, walked, failed, at_guest;
  bool within; /* the walk is a part of another record's */
  /* the node being undone has written to a sink, so it can't be undone again */
  bool touched;
  bool depends; /* a record around it tracks a value used here: no second derivatives */
  /* Parts of a batch in it, or 0. With parts, its walk within another one is whole in
  ** itself. */
  int parts;
  df_int rows; /* the batch has so many, if it has several parts */
  bool mixed;  /* gradients of several parts can't be told apart */
  long opaque; /* the first node whose undoing may walk other records, or -1 */
  df_node **nodes;
  size_t n_nodes, nodes_room;
  df_slot *slots;
  size_t n_slots, slots_room;
  size_t at; /* nodes still to be undone */
  df_record *next;
};

bool df_record_tracks(const df_record *r, const df_tensor *x);
/* x's slot, made if it has none; x is a parameter or a wanted tensor. -1: no memory. */
int df_record_slot(df_record *r, df_tensor *x, bool parameter);
df_code df_record_add(df_record *r, df_tensor *y, const df_note *note);
/* g NULL: a single 1 */
df_code df_record_seed(df_record *r, int slot, df_tensor *g, uint64_t walk);
void df_record_reset(df_record *r);              /* drops a walk that failed */
void df_record_drop(df_record *r, size_t index); /* frees one node */
void df_record_rewind(df_record *r, size_t nodes);
void df_record_clear(df_record *r);
void df_slot_clear(df_slot *s);
/* Its gradient in memory that nothing else uses. NULL: there is none, or memory is
** short. */
df_tensor *df_slot_own_gradient(df_slot *s);

df_code df_reached_add(df_reached *reached, df_tensor *parameter);
void df_reached_clear(df_reached *reached);
/* After a walk that failed: zeroes the gradients of all models that it reached. */
void df_reached_drop(df_reached *reached);

/* Fails if a kept value was written to since it was kept. */
df_code df_node_check(const df_node *node);
/* Recomputes kept values that aren't stored, and releases them. */
df_code df_node_fill(df_tape *tape, df_node *node);
void df_node_empty(df_node *node);
/* Bytes that node `index` keeps and no node before it does. */
size_t df_record_kept(const df_record *r, size_t index);

#endif
