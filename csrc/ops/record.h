/* One record: nodes in the order they were computed, and a slot for each value whose
** gradient may be wanted. Known to the files of the tape (inside.h), sink and recompute. */
#ifndef df_record_h
#define df_record_h

#include "ops/tape.h"

typedef struct df_slot {
  bool wanted;
  bool arrived;
  df_shape shape;
  df_tensor *grad;      /* dense; may be shared with other slots until written to */
  df_tensor *parameter; /* retained; its leaf takes the gradient */
  long maker;           /* the node that made the value and can make it again, or -1 */
  long reader;          /* the first that keeps it, and so the last of a walk; or -1 */
  df_tensor *value;     /* made again, until the walk has passed the maker */
} df_slot;

/* The parameters whose gradients a walk has changed, retained; one list a tape. */
typedef struct df_reached {
  df_tensor **x;
  size_t n, room;
  bool dropped; /* by a walk within this one, which failed */
} df_reached;

struct df_record {
  uint64_t serial;
  uint64_t walk; /* tells apart the walks of all records */
  df_reached *reached;
  bool leaves; /* trainable parameters are wanted */
  bool asked;  /* gradients of some tensors will be asked for after the walk */
  bool walking, walked, failed, at_guest;
  bool within;  /* the walk is a part of another record's */
  bool touched; /* the node being undone has opened a sink: it can't be undone again */
  bool depends; /* a record around it follows a value used here: no second derivatives */
  df_node **nodes;
  size_t n_nodes, nodes_room;
  df_slot *slots;
  size_t n_slots, slots_room;
  size_t at; /* nodes still to walk */
  df_record *next;
};

bool df_record_tracks(const df_record *r, const df_tensor *x);
/* x's slot, made if need be (of a parameter, or a wanted tensor); -1: memory. */
int df_record_slot(df_record *r, df_tensor *x, bool parameter);
df_code df_record_add(df_record *r, df_tensor *y, const df_note *note);
/* g NULL: one 1 */
df_code df_record_seed(df_record *r, int slot, df_tensor *g, uint64_t walk);
void df_record_reset(df_record *r);              /* drops a walk that was cut short */
void df_record_drop(df_record *r, size_t index); /* lets go of one node */
void df_record_rewind(df_record *r, size_t nodes);
void df_record_clear(df_record *r);
void df_slot_clear(df_slot *s);
/* Its gradient as memory that nobody else sees (NULL: none, or memory is short). */
df_tensor *df_slot_own_gradient(df_slot *s);

df_code df_reached_add(df_reached *reached, df_tensor *parameter);
void df_reached_clear(df_reached *reached);
/* After a walk that was cut short: no model that it reached keeps a part of a gradient. */
void df_reached_drop(df_reached *reached);

/* Fails if a kept value was written to since. */
df_code df_node_check(const df_node *node);
/* Makes kept values that aren't there again, and lets go of them. */
df_code df_node_fill(df_tape *tape, df_node *node);
void df_node_empty(df_node *node);
/* Bytes that node `index` keeps and none before it does. */
size_t df_record_kept(const df_record *r, size_t index);

#endif
