#include "engine/tree.h"

#include "base/pool.h"
#include "kernels/kernels.h"

#define GRAIN 16384 /* reals that are worth another thread */

static void blend_reals(void *context, df_int begin, df_int end) {
  const df_blend *b = context;
  const df_real *from[DF_BLEND_MOST];
  df_real factor[DF_BLEND_MOST];
  for (int j = 0; j < b->n; j++) from[j] = b->from[j] + begin, factor[j] = b->factor;
  df_kernel()->mix(b->to + begin, b->keep, factor, from, b->n, end - begin);
}

void df_blend_run(const df_blend *b, df_int count) {
  df_parallel(count, GRAIN, blend_reals, (void *)b);
}

int df_tree_level(int part) {
  int level = 0;
  while (part >> level & 1) level++;
  return level;
}

int df_tree_levels(int parts) {
  int levels = 0;
  while (parts >> levels) levels++;
  return levels;
}

void df_tree_carry(df_real *levels, df_int step, int level, df_int count) {
  df_blend b = { .to = levels + level * step, .keep = 1, .factor = 1, .n = level };
  for (int l = 0; l < level; l++) b.from[l] = levels + l * step;
  if (level > 0) blend_reals(&b, 0, count);
}
