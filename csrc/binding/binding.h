/* Declarations that the files of the binding share: contexts, boxes (userdata of tensors)
** and arguments.
**
** Rules:
** 1. A tensor's box is created before its memory, so an error by longjmp leaks nothing.
** 2. Arguments are checked before the core is called.
** 3. Lua calls the binding through one function, the door (lentry.c). It gives each call
**    its own level in the tape's scope. Code that runs within a call (a finaliser, a
**    metamethod, a custom op) cannot release tensors that the call holds.
** 4. Ops are rows of a table. A trampoline runs them: it collects garbage when memory is
**    short, retries once, and raises the core's sentence. */
#ifndef dfl_binding_h
#define dfl_binding_h

#include "binding/check.h"
#include "ops/op.h"
#include "ops/tape.h"

#define DFL_TENSOR "diffusion.tensor"

#define DFL_CORE "diffusion.core" /* in the registry: the table that require returns */

/* ==== lcontext.c ==================================================================== */

df_tape *dfl_tape(lua_State *L); /* the context of this Lua state */

/* Raises the last error of the core. */
int dfl_raise(lua_State *L);
/* Raises the sentence on top at the user's line, even if a function in C such as ipairs
** made the call. */
int dfl_raise_at_user(lua_State *L);
/* Returns nil and the error, for failures of files. */
int dfl_nil(lua_State *L);
/* Returns nil and "path: error" (path may be NULL); raises if memory ran out. */
int dfl_world(lua_State *L, const char *path);

/* ==== lentry.c ====================================================================== */

/* Creates and pushes a function that Lua may call. The value on top of the stack becomes
** its upvalue 1. All functions but finalisers are made here or by dfl_set_functions. */
void dfl_push_function(lua_State *L, const luaL_Reg *row);
/* Adds rows (NULL-terminated) to the table on top of the stack. */
void dfl_set_functions(lua_State *L, const luaL_Reg *rows);
/* Makes a metatable of this name. `meta`, if it isn't NULL, lists metamethods. */
void dfl_new_type(lua_State *L, const char *name, lua_CFunction finaliser,
                  const luaL_Reg *meta, const luaL_Reg *methods);

/* Returns x (or NULL) and keeps it alive until the call ends. */
df_tensor *dfl_hold(lua_State *L, df_tensor *x);

/* ==== lshow.c ======================================================================= */

/* Pushes tostring of a value, made safe for terminals (base/printable.h). */
const char *dfl_printable(lua_State *L, int index, bool lines);
/* Describes a value for messages: numbers and strings by their text, others by their
** type. May push values. */
const char *dfl_briefly(lua_State *L, int index);

/* ==== lbox.c ======================================================================== */

/* Pushes a box around x (retained). d.scope releases it at the scope's end. */
void dfl_push(lua_State *L, df_tensor *x);

/* These tensors are kept alive until the call ends. */
df_tensor *dfl_test(lua_State *L, int arg);   /* NULL: not a tensor */
df_tensor *dfl_tensor(lua_State *L, int arg); /* raises unless a tensor, not freed */
df_tensor *dfl_stored(lua_State *L, int arg); /* as dfl_tensor; weights in blocks too */
df_tensor *dfl_tensor_or_nil(lua_State *L, int arg);
/* A tensor of floats; u8 is an error. Bytes of images used as numbers would train on
** values 127 times as large as the noise. */
df_tensor *dfl_floats(lua_State *L, int arg);

/* Pushes the userdata of a record. Returns false and pushes nothing if it no longer
** exists. */
bool dfl_push_record(lua_State *L, const df_record *record);

/* ==== lrun.c ======================================================================== */

/* Runs a full garbage collection. Returns true. */
bool dfl_collect_now(lua_State *L);

/* Runs a full garbage collection if more than the soft limit is in use, or always with
** DF_STRESS. Each entry that allocates tensors calls it first; the trampoline does so. */
void dfl_collect(lua_State *L);

/* Runs `make` as the trampoline does, and pushes a box of the result. `make` returns an
** owned tensor. This is for functions that are not rows of the table. */
typedef df_tensor *dfl_maker(lua_State *L, df_tape *tape);
int dfl_run(lua_State *L, dfl_maker *make);

/* ==== ltable.c ====================================================================== */

/* A maximum of arguments that allows any number. */
#define DFL_ANY 255
/* Added to a number: the last argument is a tensor, which may come from a call that
** returns more values. Further tensors, numbers and tables are ignored; strings and
** booleans are errors. */
#define DFL_MORE 256

/* A row: an op as Lua calls it. `run` checks the arguments, calls the op and returns the
** result (NULL: error). `most` is the maximum of arguments. `examples` generates the
** gradient check: argument lists in Lua, separated by ";", with "x{2,3}" for a random
** tensor of that shape. NULL means no gradient; spec/theory/gradient_spec.lua has the
** reason. */
typedef struct dfl_op {
  const char *name;
  df_tensor *(*run)(lua_State *L, df_tape *tape);
  int most;
  const char *examples;
} dfl_op;

/* Adds rows (NULL-terminated) to core.ops and to the methods of tensors. */
void dfl_ops(lua_State *L, const dfl_op *rows);
/* Adds rows to core.ops only: their first argument is not a tensor. */
void dfl_plain_ops(lua_State *L, const dfl_op *rows);
/* Adds plain functions to the methods of tensors, or to core itself. */
void dfl_methods(lua_State *L, const luaL_Reg *rows);
void dfl_functions(lua_State *L, const luaL_Reg *rows);

/* ==== lmake.c ======================================================================= */

/* Converts a tensor, a number (to shape []) or a nested table of numbers. */
df_tensor *dfl_operand(lua_State *L, df_tape *tape, int arg);
/* As dfl_operand, for results that are computed in double; numbers stay exact. */
df_tensor *dfl_double(lua_State *L, df_tape *tape, int arg);
/* As dfl_operand, and converts to a dense tensor of `dtype`. */
df_tensor *dfl_of(lua_State *L, df_tape *tape, int arg, df_dtype dtype);
/* A value to be written into y; numbers and tables are converted to the type of y. */
df_tensor *dfl_written(lua_State *L, df_tape *tape, int arg, const df_tensor *y);
/* Converts a number, a nested list or a tensor to dense i64, for indices and classes.
** Raises if an element of a list is not an integer. Returns NULL if an element of a
** tensor is not an integer, or if memory is short. `what` is the name in messages:
** "gather: index". */
df_tensor *dfl_whole(lua_State *L, df_tape *tape, int arg, const char *what);
/* Converts a number, a list or a tensor to doubles, in a userdata left on the stack. */
const double *dfl_doubles(lua_State *L, int arg, df_int *n);

/* Pushes the element at x's first element + `offset`. */
void dfl_push_element(lua_State *L, const df_tensor *x, df_int offset);

/* ==== lnear.c ======================================================================= */

/* A name is near to a mistyped word of so many letters if fewer changes lead to it. */
size_t dfl_near(size_t letters);
/* True if fewer than *least changes lead to the name; *least is then their number. */
bool dfl_nearer(lua_State *L, const char *word, size_t letters, const char *name,
                size_t *least);

/* ==== largs.c ======================================================================= */

/* Reads sizes from arg on, or one table of them; a table of options may follow. Returns
** the index of the argument after the shape. */
int dfl_shape(lua_State *L, int arg, df_shape *shape);
int dfl_dim(lua_State *L, int arg, const df_tensor *x);       /* 1..n, -n..-1 -> 0.. */
unsigned dfl_dims(lua_State *L, int arg, const df_tensor *x); /* number, list or nil */
df_int dfl_position(lua_State *L, int arg, df_int n, const char *what); /* -> 0.. */
bool dfl_flag(lua_State *L, int arg, const char *name); /* a boolean; absent: false */
/* Raises if there are more than `most` arguments; trailing nils do not count. */
void dfl_at_most(lua_State *L, int most);
/* Length of the list at index, which is part of argument arg; raises if it has fields. */
int dfl_list(lua_State *L, int index, int arg);
/* The first key of a table that is not in its list part, as text on the stack, or
** NULL. */
const char *dfl_stray(lua_State *L, int index);
/* Returns the contents of the box at arg. Raises if its finaliser has run. A finaliser
** that was set earlier runs later, so it may still use the box. */
void *dfl_living(lua_State *L, int arg, void *held);
const char *dfl_path(lua_State *L, int arg); /* for paths that C opens; raises on NUL */
/* Index of the word at arg in a NULL-terminated list; absent: `otherwise`. */
int dfl_option(lua_State *L, int arg, const char *otherwise, const char *const *words);
df_dtype dfl_dtype(lua_State *L, int arg, df_dtype otherwise);

/* Fields of an options table at arg; if the table is absent, the defaults. */
df_int dfl_field_int(lua_State *L, int arg, const char *name, df_int otherwise);
double dfl_field_number(lua_State *L, int arg, const char *name, double otherwise);
bool dfl_field_flag(lua_State *L, int arg, const char *name, bool otherwise);
/* The index, from 0, of the field's value in words (NULL-terminated), or 0. */
int dfl_field_option(lua_State *L, int arg, const char *name, const char *const *words);
/* Raises, with a suggestion, if the table has a field that is not in names
** (NULL-terminated). Entries "old=new" come last: an old name is refused, and the message
** has the new one. */
void dfl_fields(lua_State *L, int arg, const char *const *names);

/* ==== lio.c ========================================================================= */

struct df_map *dfl_file(lua_State *L, int arg); /* raises unless it is an open file */

/* ==== lindex.c: metamethods ========================================================= */

int dfl_index(lua_State *L);
int dfl_newindex(lua_State *L);

/* ==== registration, one function per file =========================================== */

void dfl_open_box(lua_State *L);
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
void dfl_open_adapter(lua_State *L);
void dfl_open_net(lua_State *L);
void dfl_open_model(lua_State *L);
void dfl_open_optim(lua_State *L);
void dfl_open_over(lua_State *L);
void dfl_open_interrupt(lua_State *L);
void dfl_open_runtime(lua_State *L);
void dfl_open_metric(lua_State *L);
void dfl_open_schedule(lua_State *L);
void dfl_open_process(lua_State *L);

#endif
