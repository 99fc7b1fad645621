/* What the files of the binding share: contexts, boxes around tensors, arguments.
**
** Rules. (1) A tensor's box is made before its memory: an error by longjmp then leaves
** nothing behind. (2) Arguments are checked before the core is called. (3) Lua calls through
** one door, which gives each call a level of its own in the tape's scope: whatever runs
** within a call (a finaliser, a metamethod, a guest) leaves what the call holds alone.
** (4) Ops are rows of a table, run by one trampoline that collects when memory is short,
** retries once, and raises the core's sentence. */
#ifndef dfl_binding_h
#define dfl_binding_h

#include "binding/check.h"
#include "ops/op.h"
#include "ops/tape.h"

#define DFL_TENSOR "diffusion.tensor"

/* ==== lcore.c ======================================================================= */

df_tape *dfl_tape(lua_State *L); /* this state's context */

/* Raises the core's last sentence. */
int dfl_raise(lua_State *L);
/* nil, sentence: for the outside world */
int dfl_nil(lua_State *L);
/* nil, "path: sentence" (no path: NULL); what failed for memory is raised */
int dfl_world(lua_State *L, const char *path);

/* Arguments at most: none is too many. */
#define DFL_ANY 255
/* With a number: where a tensor comes last. A call there may return more (tensors, numbers,
** tables), which is let go; text and flags are arguments too many. */
#define DFL_MORE 256

/* A row: an op as Lua calls it. `run` checks arguments, `most` at most, calls the op and
** returns its result (NULL: failed). `examples` makes the gradient check: argument lists in Lua,
** "x{2,3}" a random tensor of that shape, separated by ";"; NULL: no gradient, with the
** reason in spec/gradient_spec.lua. */
typedef struct dfl_op {
  const char *name;
  df_tensor *(*run)(lua_State *L, df_tape *tape);
  int most;
  const char *examples;
} dfl_op;

/* ==== lentry.c ====================================================================== */

/* Every function that Lua may call, but for finalisers, is made by one of these two. Pushes
** one; the value on top of the stack becomes its upvalue 1. */
void dfl_push_function(lua_State *L, const luaL_Reg *row);
/* Adds rows (NULL-ended) to the table on top of the stack. */
void dfl_set_functions(lua_State *L, const luaL_Reg *rows);

/* x (NULL passes), which stays until the call ends, whoever lets go of it meanwhile. */
df_tensor *dfl_hold(lua_State *L, df_tensor *x);

/* ==== lcore.c: tables =============================================================== */

/* Adds rows (NULL-ended) to core.ops and to the methods of tensors. */
void dfl_ops(lua_State *L, const dfl_op *rows);
/* Adds rows to core.ops alone: their first argument is no tensor. */
void dfl_plain_ops(lua_State *L, const dfl_op *rows);
/* Adds plain functions to the table of tensor methods, or to core itself. */
void dfl_methods(lua_State *L, const luaL_Reg *rows);
void dfl_functions(lua_State *L, const luaL_Reg *rows);

/* A full collection; true, so that the caller remembers. */
bool dfl_collect_now(lua_State *L);

/* A full collection where the soft limit is passed (always under DF_STRESS). Every entry
** of the binding that allocates tensors calls it first; the trampoline does. */
void dfl_collect(lua_State *L);

/* ==== ltensor.c ===================================================================== */

/* Runs `make` (any C that returns an owned result) as the trampoline does, and pushes the
** box. For functions that are no rows. */
typedef df_tensor *dfl_maker(lua_State *L, df_tape *tape);
int dfl_run(lua_State *L, dfl_maker *make);

/* Pushes a box around x (retained); in d.scope it is let go of at the scope's end. */
void dfl_push(lua_State *L, df_tensor *x);

/* Tensors are held until the call ends. */
df_tensor *dfl_test(lua_State *L, int arg);   /* NULL: no tensor */
df_tensor *dfl_tensor(lua_State *L, int arg); /* raises unless a living tensor */
df_tensor *dfl_tensor_or_nil(lua_State *L, int arg);
/* A tensor of floats: bytes of pictures, taken for numbers, would train and sample at 127
** times the noise's scale without a word. */
df_tensor *dfl_floats(lua_State *L, int arg);
/* A tensor, or a number as a tensor of no dimensions, or a (nested) table of numbers. */
df_tensor *dfl_operand(lua_State *L, df_tape *tape, int arg);
/* The same for what is computed in double: numbers keep their digits. */
df_tensor *dfl_double(lua_State *L, df_tape *tape, int arg);
/* The same as a dense tensor of a type. */
df_tensor *dfl_of(lua_State *L, df_tape *tape, int arg, df_dtype dtype);
/* What is to be written into y: numbers and tables come in y's own type. */
df_tensor *dfl_written(lua_State *L, df_tape *tape, int arg, const df_tensor *y);
/* A number, a (nested) list or a tensor as dense i64, for indices and classes. Raises where
** an element of a list isn't whole; NULL where one of a tensor isn't, or memory is short.
** `what` is their name in the message: "gather: index". */
df_tensor *dfl_whole(lua_State *L, df_tape *tape, int arg, const char *what);
/* Reals of a number, a list or a tensor, as doubles in a userdata left on the stack. */
const double *dfl_doubles(lua_State *L, int arg, df_int *n);

/* Pushes the number `offset` elements behind x's first. */
void dfl_push_element(lua_State *L, const df_tensor *x, df_int offset);

/* ==== largs.c ======================================================================= */

/* Numbers from arg on, or one table of them; trailing options are left alone. Returns the
** argument after the shape. */
int dfl_shape(lua_State *L, int arg, df_shape *shape);
int dfl_dim(lua_State *L, int arg, const df_tensor *x);       /* 1..n, -n..-1 -> 0.. */
unsigned dfl_dims(lua_State *L, int arg, const df_tensor *x); /* one, a list, or nil */
df_int dfl_position(lua_State *L, int arg, df_int n, const char *what); /* -> 0.. */
bool dfl_flag(lua_State *L, int arg, const char *name); /* a boolean; absent: false */
/* Raises if there are more arguments than these, but for trailing nils. */
void dfl_at_most(lua_State *L, int most);
/* The length of the list at index, which came in argument arg; raises if it has fields. */
int dfl_list(lua_State *L, int index, int arg);
/* The first key of a table that is no place of its list, as text on the stack, or NULL. */
const char *dfl_stray(lua_State *L, int index);
/* What the box at arg holds; raises where its finaliser has run: one that was set before it
** runs after it, and may still have the box. */
void *dfl_living(lua_State *L, int arg, void *held);
const char *dfl_path(lua_State *L, int arg); /* every path that C opens: has no NUL */
/* A value in a few words, for messages: a number or string itself, printable, else what it
** is. May push. */
const char *dfl_briefly(lua_State *L, int index);
/* Which of the words (NULL-ended) stands at arg, from 0; absent: `otherwise`. */
int dfl_option(lua_State *L, int arg, const char *otherwise, const char *const *words);
df_dtype dfl_dtype(lua_State *L, int arg, df_dtype otherwise);

/* Fields of an options table at arg (absent table: all defaults). */
df_int dfl_field_int(lua_State *L, int arg, const char *name, df_int otherwise);
double dfl_field_number(lua_State *L, int arg, const char *name, double otherwise);
bool dfl_field_flag(lua_State *L, int arg, const char *name, bool otherwise);
/* The index, from 0, of the field's value in words (NULL-ended). If it is absent: 0. */
int dfl_field_option(lua_State *L, int arg, const char *name, const char *const *words);
/* Raises if the table has other fields than these (NULL-ended), with a suggestion. Entries
** "old=new" stand last: an old name is refused with its new one. */
void dfl_fields(lua_State *L, int arg, const char *const *names);

/* ==== ltext.c ======================================================================= */

/* Pushes what tostring says of a value; no byte of it steers a terminal (base/printable.h). */
const char *dfl_printable(lua_State *L, int index, bool lines);

/* ==== lio.c ========================================================================= */

struct df_map *dfl_file(lua_State *L, int arg); /* raises unless an open file */

/* ==== what each file registers ====================================================== */
/* for the metatable */
int dfl_index(lua_State *L);
int dfl_newindex(lua_State *L);

/* The userdata of a record that is still there; false (nothing pushed): there is none. */
bool dfl_push_record(lua_State *L, const df_record *record);

void dfl_open_text(lua_State *L);
void dfl_open_tensor(lua_State *L);
void dfl_open_scope(lua_State *L);
void dfl_open_make(lua_State *L);
void dfl_open_mix(lua_State *L);
void dfl_open_index(lua_State *L);
void dfl_open_layout(lua_State *L);
void dfl_open_math(lua_State *L);
void dfl_open_reduce(lua_State *L);
void dfl_open_op(lua_State *L);
void dfl_open_product(lua_State *L);
void dfl_open_tape(lua_State *L);
void dfl_open_random(lua_State *L);
void dfl_open_io(lua_State *L);
void dfl_open_write(lua_State *L);
void dfl_open_picture(lua_State *L);
void dfl_open_data(lua_State *L);
void dfl_open_layer(lua_State *L);
void dfl_open_model(lua_State *L);
void dfl_open_optim(lua_State *L);
void dfl_open_interrupt(lua_State *L);
void dfl_open_runtime(lua_State *L);
void dfl_open_metric(lua_State *L);
void dfl_open_schedule(lua_State *L);
void dfl_open_process(lua_State *L);

#endif
