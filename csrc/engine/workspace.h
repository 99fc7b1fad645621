/* Scratch memory for the tasks of one parallel region: one allocation, cut into as many
** pieces as tasks can run at once. */
#ifndef df_workspace_h
#define df_workspace_h

#include <stdatomic.h>

#include "base/base.h"
#include "base/error.h"

#define DF_PIECES_MAX 256

typedef struct df_workspace {
  df_real *base;
  df_int each; /* size of a piece in reals */
  int pieces;
  atomic_flag taken[DF_PIECES_MAX];
} df_workspace;

/* Pieces of `reals` reals, 64-byte aligned, for `chunks` chunks of work. */
df_code df_workspace_open(df_workspace *w, df_int reals, df_int chunks);
void df_workspace_close(df_workspace *w);

/* In a task: a piece that no other task uses until it is given back. */
df_real *df_workspace_take(df_workspace *w);
void df_workspace_give(df_workspace *w, const df_real *piece);

#endif
