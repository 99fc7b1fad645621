/* The core offers this to modules of its own kind, such as diffusion/mpi.so, which can't
** link it. Lua's registry holds this table under DFL_HOOKS, as a light userdata. */
#ifndef dfl_hooks_h
#define dfl_hooks_h

#include <lua.h>

#include "base/base.h"

#define DFL_HOOKS         "diffusion.hooks"
#define DFL_HOOKS_VERSION 1

typedef struct dfl_memory {
  void *data;
  df_int elements, bytes;
  const char *dtype;
} dfl_memory;

typedef struct dfl_hooks {
  int version;
  /* The memory of the dense tensor at `arg`; raises if it isn't one. With `writes`, the
  ** caller writes to it before the call ends. */
  dfl_memory (*memory)(lua_State *L, int arg, bool writes);
} dfl_hooks;

#endif
