/* What one Lua state has: its tape, the calls that are running, the scopes and records
** that are open, and the boxes made in d.scope. */
#ifndef dfl_state_h
#define dfl_state_h

#include "binding/binding.h"

#define DFL_NESTED 256 /* calls within calls; Lua itself allows 200 */

/* A call from Lua that is running, or that an error has ended. */
typedef struct dfl_level {
  uintptr_t frame; /* where on C's stack it was entered */
  size_t mark;     /* of the tape's scope */
} dfl_level;

/* A d.scope, or a record, that is open: of one coroutine, which alone may go on in it. */
typedef struct dfl_extent {
  const char *what; /* as messages say; NULL: closed */
  lua_State *thread;
  struct dfl_extent *outer;
  size_t records; /* recorded in when it was opened */
  int depth;      /* of the boxes made in it */
} dfl_extent;

typedef struct dfl_box {
  df_tensor *tensor;             /* NULL: freed */
  struct dfl_box *older, *newer; /* boxes of the open scopes */
  int depth;                     /* of the scope it belongs to; 0: none */
} dfl_box;

typedef struct dfl_state {
  df_tape *tape;         /* NULL: the Lua state is closing */
  size_t soft_limit;     /* collect when more is alive */
  size_t limit;          /* the hard limit that it was reckoned from */
  dfl_extent *innermost; /* that is open */
  dfl_box *newest;       /* of the boxes made in open scopes */
  int levels;
  uint64_t calls; /* so far */
  dfl_level level[DFL_NESTED];
} dfl_state;

/* ==== lcontext.c ==================================================================== */

#define DFL_DOOR_STATE                                                                   \
  3 /* the upvalue of a function called by the door that is its state */

void dfl_make_context(lua_State *L); /* once, when the module is opened */
dfl_state *dfl_context(lua_State *L);
void dfl_push_context(lua_State *L);
dfl_state *dfl_door_state(lua_State *L); /* NULL: not in a function called by the door */

/* ==== lentry.c ====================================================================== */

int dfl_door(lua_State *L); /* runs the row that the closure was made of */
/* As dfl_push_function, but `outer` runs first, and ends in dfl_door or without tensors. */
void dfl_push_porch(lua_State *L, lua_CFunction outer, const luaL_Reg *row);

/* ==== lextent.c ===================================================================== */

/* Raises where a coroutine is suspended within what is open: what is made now would be
** its. */
void dfl_check_open(lua_State *L, dfl_state *s);

/* Opens the one in the userdata on top of the stack, whose user value `at` keeps its
** coroutine. */
void dfl_extent_open(lua_State *L, dfl_extent *e, const char *what, int at);
/* Closes it, and all that was left open within; returns what a coroutine that may still go
** on was left in, or NULL. */
const char *dfl_extent_close(lua_State *L, dfl_extent *e);
int dfl_extent_left(lua_State *L, const char *left); /* raises that */
void dfl_extent_forget(dfl_state *s, dfl_extent *e); /* its coroutine is no more */

void dfl_link_box(dfl_state *s, dfl_box *b); /* to the innermost scope, if one is open */
void dfl_unlink_box(dfl_state *s, dfl_box *b);

/* ==== lbox.c ======================================================================== */

/* What is at the index (a tensor, or a table with tensors in it) lives on after the end of
** the scope in which it was made. */
void dfl_unscope(lua_State *L, int index);

/* The userdata on top of the stack becomes that of the record: dfl_push_record finds it. */
void dfl_set_record(lua_State *L, const df_record *record);

#endif
