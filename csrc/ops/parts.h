/* Gradients of parameters in a record of several parts of a batch. An op runs once for
** all parts, but a parameter's gradient is a sum over the batch. So the gradient of each
** part is computed as if the part were alone, and the parts are added in a tree
** (engine/tree.h). */
#ifndef df_parts_h
#define df_parts_h

#include "engine/tree.h"
#include "ops/sink.h"

/* Writes the gradient that a part of an operand gets: to = beta to + gradient. Parts are
** counted from 0. */
typedef df_code df_part_work(void *context, int part, df_real *to, df_real beta);

/* The gradient of operand i by parts, or in one piece if the record has no parts or the
** operand is no parameter. The ops that call it say so in their note (by_parts). */
df_code df_sink_by_parts(df_node *node, int i, df_part_work *work, void *context);

/* The parts, a power of 2, in which df_sink_by_parts computes the gradient of
** operand i. */
int df_sink_parts(const df_node *node, int i);

#endif
