/* Blocks that can be computed again, kept for reuse under a budget of bytes. All states
** of the process share the budget. The functions are thread-safe. A full budget frees a
** block only for one that was used more recently. So a model that runs its layers in turn
** keeps some of their blocks, instead of replacing each before its next use. Blocks are
** also freed before df_alloc fails. */
#ifndef df_kept_h
#define df_kept_h

#include "base/base.h"

/* A block, or the record of when it was last wanted. It begins as zeros. */
typedef struct df_kept {
  struct df_kept *older, *newer; /* in the order of last use, while it has a block */
  void *data;                    /* NULL: it has no block */
  size_t bytes;
  size_t instead; /* bytes that the block stands for, which need no memory meanwhile */
  uint64_t used, before; /* when it was last wanted, and the time before */
  int readers;
} df_kept;

/* The block, which stays until df_kept_give; NULL: there is none. */
void *df_kept_take(df_kept *k);

/* After df_kept_take gave NULL: a new block with undefined contents, taken. NULL: the
** budget or the memory has no room for it, which is no error. The default budget counts
** bytes - instead, and one that was set counts all. */
void *df_kept_make(df_kept *k, size_t bytes, size_t instead);
size_t df_kept_stands_for(df_kept *k); /* its `instead`; without a block 0 */

void df_kept_give(df_kept *k);
void df_kept_end(df_kept *k); /* frees the block, which must not be in use */

/* Counts bytes of files in which parameters are read. The budget is 45 % of these bytes,
** and at least 256 MiB. Negative bytes undo a count. */
void df_kept_adopted(df_int bytes);

/* Sets another budget; negative: that one again. */
void df_kept_set_budget(df_int bytes);

typedef struct df_kept_account {
  size_t bytes, budget; /* kept now; the limit */
} df_kept_account;
df_kept_account df_kept_now(void);

/* For fork.c: the list is consistent, and does not change, between these two calls. */
void df_kept_hold(void);
void df_kept_let_go(void);

#endif
