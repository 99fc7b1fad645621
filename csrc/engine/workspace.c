/* Pieces of scratch with a flag each. A task takes the first free piece and gives it
** back. There are as many as tasks that can run at once. */
#include "engine/workspace.h"

#include "base/alloc.h"
#include "base/pool.h"

#define REALS_OF_LINE ((df_int)(DF_ALIGN / sizeof(df_real)))

df_code df_workspace_open(df_workspace *w, df_int reals, df_int chunks) {
  df_int threads = df_threads();
  w->pieces = (int)df_max(1, df_min(df_min(chunks, threads), DF_PIECES_MAX));
  w->each = df_ceil_div(reals + 1, REALS_OF_LINE) * REALS_OF_LINE;
  w->base = df_alloc((size_t)(w->each * w->pieces) * sizeof(df_real));
  for (int i = 0; i < w->pieces; i++) atomic_flag_clear(&w->taken[i]);
  return w->base ? DF_OK : DF_MEMORY;
}

void df_workspace_close(df_workspace *w) { df_free(w->base); }

/* A free piece is found at once. There are more tasks than pieces only while the number
** of threads is being raised; then a task waits for another to end. */
df_real *df_workspace_take(df_workspace *w) {
  for (int i = 0;; i = (i + 1) % w->pieces)
    if (!atomic_flag_test_and_set(&w->taken[i])) return w->base + i * w->each;
}

void df_workspace_give(df_workspace *w, const df_real *piece) {
  atomic_flag_clear(&w->taken[(piece - w->base) / w->each]);
}
