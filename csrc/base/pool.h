/* The only threads of the library. Work is divided by its size alone, so results do not
** depend on the number of threads. */
#ifndef df_pool_h
#define df_pool_h

#include "base/base.h"
#include "base/error.h"

/* Processes items [begin, end); `context` holds the arguments. */
typedef void df_task(void *context, df_int begin, df_int end);

/* Calls `task` on the chunks [0, grain), [grain, 2 grain), ... of n items, on all
** threads, and returns when all chunks are done. The chunks depend on n and grain alone,
** so results do not depend on the number of threads. If the pool is busy, the caller runs
** all chunks itself. It is busy when a task calls df_parallel or another Lua state uses
** the pool. */
void df_parallel(df_int n, df_int grain, df_task *task, void *context);

/* Sets the number of threads, unless it is already set. It is DIFFUSION_THREADS, or the
** number of CPUs that this process may use. An invalid value gives DF_MISUSE. */
df_code df_threads_choose(void);
int df_threads(void);           /* number of threads, including the caller */
void df_threads_set(int count); /* clamped to 1..256 */

typedef struct df_pool_counts {
  uint64_t regions; /* calls of df_parallel */
  uint64_t split;   /* calls in which a second thread took a chunk */
} df_pool_counts;
df_pool_counts df_pool_counted(void);

/* For fork.c: before a fork, after it in the parent, and after it in the child. */
void df_pool_hold(void);
void df_pool_let_go(void);
void df_pool_restart(void);

#endif
