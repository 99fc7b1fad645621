/* Gradients of parameters in a record of several parts of a batch. An op runs once for
** all parts, but a parameter's gradient is a sum over the batch. So the gradient of each
** part is computed as if the part were alone. The parts are added in the order of
** nn/over.h. */
#ifndef df_parts_h
#define df_parts_h

#include "ops/sink.h"

#define DF_BLEND_MOST 33 /* a gradient, and sums of as many levels as an int has bits */

/* to = keep to + sum of factor from[j], in this order; to is not read if keep is 0 */
typedef struct df_blend {
  df_real *to, keep, factor;
  const df_real *from[DF_BLEND_MOST];
  int n;
} df_blend;

void df_blend_run(const df_blend *b, df_int count);

/* Parts are added as in a binary counter. Level l holds the sum of 2^l parts. This is the
** level that `part` fills, after those beneath it are added. */
int df_part_level(int part);

/* Writes the gradient that a part of an operand gets: to = beta to + gradient. Parts are
** counted from 0. */
typedef df_code df_part_work(void *context, int part, df_real *to, df_real beta);

/* The gradient of operand i by parts, or in one piece if the record has no parts or the
** operand is no parameter. The ops that call it say so in their note (by_parts). */
df_code df_sink_by_parts(df_node *node, int i, df_part_work *work, void *context);

/* The parts in which df_sink_by_parts computes the gradient of operand i. */
int df_sink_parts(const df_node *node, int i);

#endif
