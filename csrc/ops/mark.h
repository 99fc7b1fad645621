/* A place to go back to after an op failed. */
#ifndef df_mark_h
#define df_mark_h

#include "ops/tape.h"

typedef struct df_mark {
  size_t scope, nodes;
  df_counters counters;
} df_mark;

df_mark df_tape_mark(const df_tape *tape);
void df_tape_rewind(df_tape *tape, const df_mark *mark);

#endif
