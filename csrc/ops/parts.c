#include "ops/parts.h"

#include "base/alloc.h"
#include "ops/record.h"

int df_sink_parts(const df_node *node, int i) {
  if (!df_wants(node, i) || !node->record->slots[node->slot[i]].parameter) return 1;
  return node->record->parts > 1 ? node->record->parts : 1;
}

/* `sum` has room for the levels but the last, whose place is the sink. */
static df_code add_parts(const df_sink *s, df_real *sum, df_int count, int parts,
                         df_part_work *work, void *context) {
  df_code code = DF_OK;
  for (int p = 0; p < parts && code == DF_OK; p++) {
    const bool last = p == parts - 1;
    const int level = df_tree_level(p);
    df_blend b = { .keep = 1, .factor = 1, .n = level };
    b.to = last ? s->to : sum + level * count;
    for (int l = 0; l < level; l++) b.from[l] = sum + l * count;
    code = work(context, p, b.to, last ? s->beta : 0);
    if (code == DF_OK && level > 0) df_blend_run(&b, count);
  }
  return code;
}

df_code df_sink_by_parts(df_node *node, int i, df_part_work *work, void *context) {
  const int parts = df_sink_parts(node, i);
  df_sink s;
  if (df_sink_open(node, i, &s) != DF_OK) return df_error_code();
  if (!s.to) return DF_OK;
  if (parts == 1) return work(context, 0, s.to, s.beta);
  const df_int count = df_sink_count(node, i);
  size_t levels = (size_t)df_tree_level(parts - 1);
  df_real *sum = df_alloc(levels * (size_t)count * sizeof *sum);
  if (!sum) return DF_MEMORY;
  df_code code = add_parts(&s, sum, count, parts, work, context);
  df_free(sum);
  return code;
}
