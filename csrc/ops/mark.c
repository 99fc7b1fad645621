/* Going back to a mark drops the tensors and nodes made since, and restores the
** counters. */
#include "ops/mark.h"

#include "ops/inside.h"

df_mark df_tape_mark(const df_tape *tape) {
  const df_record *r = df_tape_innermost(tape);
  return (df_mark){ tape->n_owned, r ? r->n_nodes : 0, tape->random };
}

void df_tape_rewind(df_tape *tape, const df_mark *mark) {
  df_record *r = df_tape_innermost(tape);
  df_scope_close(tape, mark->scope);
  tape->random = mark->counters;
  if (r) df_record_rewind(r, mark->nodes);
}
