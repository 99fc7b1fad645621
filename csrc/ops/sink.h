/* Where gradients go. A backward adds to what has already arrived, or writes if nothing
** has: `to = beta * to + ...` with beta 0 at the first arrival and 1 after, so nothing is
** ever zeroed and no temporary is summed. */
#ifndef df_sink_h
#define df_sink_h

#include "ops/tape.h"

/* The gradient of a parameter, embedded in df_param (nn/params.h): the parameter's value
** points here for as long as it has a home. */
typedef struct df_leaf {
  bool trainable;
  bool arrived;    /* grad holds something; cleared to "zero" it */
  df_tensor *grad; /* dense reals of the parameter's shape; NULL until `need` */
  df_code (*need)(struct df_leaf *leaf); /* provides grad */
  void (*drop)(struct df_leaf *leaf); /* zeroes it, and those of all its model's leaves */
  uint64_t walk;                      /* the last walk that arrived */
  int walks;                          /* how many did since it was zeroed */
} df_leaf;

typedef struct df_sink {
  df_real *to; /* dense, of the operand's shape; NULL: not wanted */
  df_real beta;
} df_sink;

/* True if the gradient of operand i is wanted. */
bool df_wants(const df_node *node, int i);

/* Opens the sink of operand i for one write of all its elements. */
df_code df_sink_open(df_node *node, int i, df_sink *sink);

/* The same for an operand that is written in several pieces: zeroed if nothing has
** arrived, and beta is 1. */
df_code df_sink_open_parts(df_node *node, int i, df_sink *sink);

/* The gradient of operand i is g itself (a tensor with as many elements, in order):
** shared, not copied, when it is the first to arrive. */
df_code df_sink_pass(df_node *node, int i, df_tensor *g);

#endif
