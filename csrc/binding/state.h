/* What one Lua state has: its tape, and the boxes made in d.scope. For lcore, ltensor and
** ltape. */
#ifndef dfl_state_h
#define dfl_state_h

#include "binding/binding.h"

typedef struct dfl_box {
  df_tensor *tensor;             /* NULL: freed */
  struct dfl_box *older, *newer; /* boxes of the open scopes */
  int depth;                     /* of the scope it belongs to; 0: none */
} dfl_box;

typedef struct dfl_state {
  df_tape *tape;
  size_t soft_limit; /* collect when more is alive */
  size_t limit;      /* the hard limit that it was reckoned from */
  int depth;         /* open scopes */
  dfl_box *newest;   /* of the boxes made in them */
} dfl_state;

dfl_state *dfl_context(lua_State *L);

/* What is at the index (a tensor, or a table with tensors in it) lives on after the end of
** the scope in which it was made. */
void dfl_unscope(lua_State *L, int index);

#endif
