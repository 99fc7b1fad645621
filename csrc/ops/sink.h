/* Gradients go into sinks. A backward adds to a gradient that has already arrived, and
** writes the first one: `to = beta * to + ...` with beta 1 or 0. So nothing is ever
** zeroed, and no temporary is summed. */
#ifndef df_sink_h
#define df_sink_h

#include "ops/tape.h"

/* The gradient of a parameter, embedded in df_param (nn/params.h). The parameter's value
** points to it as long as it has a parameter buffer. */
typedef struct df_leaf {
  bool trainable;
  bool arrived;    /* grad holds a gradient; cleared to "zero" it */
  df_tensor *grad; /* dense reals of the parameter's shape; NULL until `need` */
  df_code (*need)(struct df_leaf *leaf); /* allocates grad */
  /* zeroes it, and the gradients of its whole model */
  void (*drop)(struct df_leaf *leaf);
  uint64_t walk; /* the last walk that wrote to it */
  int walks;     /* number of walks that did since it was zeroed */
} df_leaf;

typedef struct df_sink {
  df_real *to; /* dense, of the operand's shape; NULL: not wanted */
  df_real beta;
} df_sink;

/* True if the gradient of operand i is wanted. */
bool df_wants(const df_node *node, int i);

/* The elements of operand i, whose gradient is wanted. */
df_int df_sink_count(const df_node *node, int i);

void df_sink_clear(df_real *to, df_int count); /* zeros, over the pool */

/* Opens the sink of operand i, which is then written to once, all elements of it. */
df_code df_sink_open(df_node *node, int i, df_sink *sink);

/* The same for an operand that is written in several pieces. It is zeroed if nothing has
** arrived, and beta is 1. */
df_code df_sink_open_parts(df_node *node, int i, df_sink *sink);

/* The gradient of operand i is g itself, a tensor with as many elements in the same
** order. The first to arrive is shared, not copied. */
df_code df_sink_pass(df_node *node, int i, df_tensor *g);

#endif
