/* The state that belongs to one Lua state: its tape, its active calls, open scopes and
** records, and the boxes created in d.scope. */
#ifndef dfl_state_h
#define dfl_state_h

#include "binding/binding.h"

#define DFL_NESTED 256 /* nesting of calls; Lua itself allows 200 */

/* An active call from Lua, or one that an error has ended. */
typedef struct dfl_level {
  uintptr_t frame; /* address on the C stack where the call began */
  size_t mark;     /* start of its level in the tape's scope */
} dfl_level;

/* An open d.scope or record. It belongs to one coroutine, and only that one may use
** it. */
typedef struct dfl_extent {
  const char *what; /* name in messages; NULL: closed */
  lua_State *thread;
  struct dfl_extent *outer;
  size_t records; /* active records when this one was opened */
  int depth;      /* scope depth of boxes created here */
} dfl_extent;

typedef struct dfl_box {
  df_tensor *tensor;             /* list of boxes in open scopes */
  struct dfl_box *older, *newer; /* boxes of the open scopes */
  int depth;                     /* depth of the owning scope; 0: none */
} dfl_box;

typedef struct dfl_state {
  df_tape *tape;         /* NULL: the Lua state is closing */
  size_t soft_limit;     /* garbage is collected above this */
  size_t limit;          /* the hard limit from which soft_limit was computed */
  dfl_extent *innermost; /* the innermost open one */
  dfl_box *newest;       /* newest box in the open scopes */
  df_int rows;           /* boxes of so many rows are listed (lbox.c); 0: none are */
  int levels;
  uint64_t calls; /* number of calls so far */
  dfl_level level[DFL_NESTED];
} dfl_state;

/* ==== lcontext.c ==================================================================== */

/* Upvalue index of the state in functions that the door calls. */
#define DFL_DOOR_STATE 3

void dfl_make_context(lua_State *L); /* once, when the module is opened */
dfl_state *dfl_context(lua_State *L);
void dfl_push_context(lua_State *L);
dfl_state *dfl_door_state(lua_State *L); /* NULL: not in a function called by the door */

/* ==== lentry.c ====================================================================== */

int dfl_door(lua_State *L); /* runs the row of this closure */
/* As dfl_push_function, but `outer` runs first. `outer` calls dfl_door, or uses no
** tensors. */
void dfl_push_porch(lua_State *L, lua_CFunction outer, const luaL_Reg *row);

/* ==== lextent.c ===================================================================== */

/* Raises if a coroutine is suspended inside an open scope or record. Tensors created now
** would belong to that one. */
void dfl_check_open(lua_State *L, dfl_state *s);

/* Opens the extent in the userdata on top of the stack. User value `at` keeps its
** coroutine alive. */
void dfl_extent_open(lua_State *L, dfl_extent *e, const char *what, int at);
/* Closes the extent and all extents inside it. Returns the name of one that a suspended
** coroutine left open, or NULL. */
const char *dfl_extent_close(lua_State *L, dfl_extent *e);
int dfl_extent_left(lua_State *L, const char *left); /* raises an error about that */
void dfl_extent_forget(dfl_state *s, dfl_extent *e); /* its coroutine was collected */

void dfl_link_box(dfl_state *s, dfl_box *b); /* adds it to the innermost open scope */
void dfl_unlink_box(dfl_state *s, dfl_box *b);

/* ==== lbox.c ======================================================================== */

/* Lists the boxes of tensors with so many rows or more that are made from now on, outside
** of records. 0 ends it. dfl_push_rows pushes the list, a table with boxes as keys. */
void dfl_list_rows(lua_State *L, df_int rows);
void dfl_push_rows(lua_State *L);

/* The tensors at index (one, or a table of them) survive the end of their scope. */
void dfl_unscope(lua_State *L, int index);

/* Registers the userdata on top of the stack as that of the record, for
** dfl_push_record. */
void dfl_set_record(lua_State *L, const df_record *record);

#endif
