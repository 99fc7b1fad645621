/* The backward pass over a record. */
#ifndef df_walk_h
#define df_walk_h

#include "ops/tape.h"

struct df_leaf;

/* Follows backward passes from outside, such as to sum gradients over ranks while they
** go on. A pass begins once, whatever it walks within. */
typedef struct df_follower {
  void *of;
  df_code (*begin)(void *of, double loss);
  void (*complete)(void *of, struct df_leaf *leaf); /* no more is added to its gradient */
  void (*between)(void *of);                        /* after each node */
  df_code (*end)(void *of);
  void (*give_up)(void *of); /* the pass failed */
  struct df_follower *next;
} df_follower;

void df_walk_follow(df_tape *tape, df_follower *f);
void df_walk_unfollow(df_tape *tape, df_follower *f);

/* The first parameter, of those that the pass under way has reached, for which `found` is
** true; or NULL. */
struct df_leaf *df_walk_find(const df_tape *tape, bool (*found)(const struct df_leaf *));

/* Starts at a loss of one element, with gradient 1; or at any tensor, with gradient g. */
df_code df_walk_start(df_tape *tape, df_tensor *loss, df_tensor *g);

/* Undoes nodes until the first. Results:
**   DF_OK      all are undone
**   DF_GUEST   a custom op is next, in `guest`: undo it and call again
**   else       the walk failed. If df_walk_can_go_on, memory was short: free some and
**              call again, or call df_walk_give_up. Otherwise it was given up already
** Without `keep`, undone nodes are freed, and the record can't be walked again. */
df_code df_walk_on(df_tape *tape, df_record *record, bool keep, df_node **guest);
bool df_walk_can_go_on(const df_record *record);

/* The gradient of a custom op's result, in memory of its own, which the op may write to.
** NULL: memory is short. */
df_tensor *df_walk_gradient(df_node *guest);

/* Walks the record of y from gradient g, as a part of undoing `node` of another
** record. */
df_code df_walk_within(df_tape *tape, const df_node *node, df_tensor *y, df_tensor *g);

/* Ends a walk that failed. The gradients of all models that it reached are zeroed. With
** `keep` the record can be walked again. */
void df_walk_give_up(df_record *record, bool keep);

#endif
