/* Sums of parts in a fixed binary tree. It has the same bits whether one rank adds all
** parts, or ranks add theirs and then each other's (nn/over.h). */
#ifndef df_tree_h
#define df_tree_h

#include "base/base.h"

#define DF_BLEND_MOST 33 /* a gradient, and sums of as many levels as an int has bits */

/* to = keep to + sum of factor from[j], in this order; to is not read if keep is 0 */
typedef struct df_blend {
  df_real *to, keep, factor;
  const df_real *from[DF_BLEND_MOST];
  int n;
} df_blend;

void df_blend_run(const df_blend *b, df_int count);

/* Parts, a power of 2, are added as in a binary counter. Level l holds the sum of 2^l
** parts. This is the level that `part`, counted from 0, fills after those beneath it are
** added. */
int df_tree_level(int part);

/* The levels that so many parts fill. */
int df_tree_levels(int parts);

/* Adds to level `level` those beneath it. Levels lie `step` apart from `levels` on. */
void df_tree_carry(df_real *levels, df_int step, int level, df_int count);

#endif
