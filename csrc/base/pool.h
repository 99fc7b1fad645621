/* The only threads of the library. Work is cut into chunks by its size alone, so that
** results never depend on how many threads there are. */
#ifndef df_pool_h
#define df_pool_h

#include "base/base.h"
#include "base/error.h"

/* Works items [begin, end) of a region; whatever it needs is behind `context`. */
typedef void df_task(void *context, df_int begin, df_int end);

/* Calls `task` on the chunks [0, grain), [grain, 2 grain), ... of n items, on as many
** threads as are set, and returns when all are done. The cut depends on n and grain
** alone, so results don't depend on the number of threads. A pool found busy (a task
** that calls df_parallel, a second Lua state) means that the caller works alone. */
void df_parallel(df_int n, df_int grain, df_task *task, void *context);

/* If none are set yet: as DIFFUSION_THREADS says, or DF_MISUSE with a sentence; else as many
** as CPUs are allowed. */
df_code df_threads_choose(void);
int df_threads(void);           /* how many threads work, the caller among them */
void df_threads_set(int count); /* clamped to 1..256 */

typedef struct df_pool_counts {
  uint64_t regions; /* calls of df_parallel */
  uint64_t split;   /* those in which a second thread took a chunk */
} df_pool_counts;
df_pool_counts df_pool_counted(void);

/* For fork.c: around a fork, and in the child. */
void df_pool_hold(void);
void df_pool_let_go(void);
void df_pool_restart(void);

#endif
