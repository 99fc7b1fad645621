/* Records, the backward pass, and custom ops (nodes whose backward is a Lua function) for
** Lua. lua/diffusion/gradient.lua builds d.record, d.grad and others from these. */
#include <string.h>

#include "binding/binding.h"
#include "binding/state.h"
#include "ops/sink.h"
#include "ops/walk.h"

#define DFL_RECORD "diffusion.record"

typedef struct record_box {
  df_record *record; /* NULL: recording is off while it is open */
  dfl_extent extent;
} record_box;

enum { GUESTS = 1, THREAD }; /* user values: node -> {backward, kept, arguments...} */

static record_box *check_record(lua_State *L, int arg) {
  return luaL_checkudata(L, arg, DFL_RECORD);
}

static df_record *check_recorded(lua_State *L) {
  return dfl_living(L, 1, check_record(L, 1)->record);
}

/* open([what]): "leaves" follows parameters, "inputs" only wanted tensors, "off"
** nothing */
static int l_open(lua_State *L) {
  static const char *const kinds[] = { "leaves", "inputs", "off", NULL };
  static const char *const words[] = { "d.record", "d.grad", "d.no_grad" };
  int kind = dfl_option(L, 1, "leaves", kinds);
  df_tape *tape = dfl_tape(L);
  dfl_check_open(L, dfl_context(L));
  record_box *b = lua_newuserdatauv(L, sizeof *b, 2);
  *b = (record_box){ .record = NULL };
  luaL_setmetatable(L, DFL_RECORD);
  lua_newtable(L);
  lua_setiuservalue(L, -2, GUESTS);
  if (kind != 2) {
    b->record = df_record_new(tape, kind == 0);
    if (!b->record) return dfl_raise(L);
    dfl_set_record(L, b->record);
  }
  dfl_extent_open(L, &b->extent, words[kind], THREAD);
  if (df_tape_push(tape, b->record) == DF_OK) return 1;
  dfl_extent_close(L, &b->extent);
  return dfl_raise(L);
}

/* A record of parameters that was walked is not needed any more. Its memory is freed now,
** not at the next garbage collection. */
static void let_go(lua_State *L, record_box *b) {
  if (b->extent.what || !b->record || !df_record_is_spent(b->record)) return;
  df_record_free(dfl_tape(L), b->record);
  b->record = NULL;
}

/* Stops recording. The record stays for the backward pass. */
static const char *stop(lua_State *L, record_box *b) {
  if (!b->extent.what) return NULL;
  const char *left = dfl_extent_close(L, &b->extent);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, THREAD);
  let_go(L, b);
  return left;
}

/* As <close>: an error that is being raised is not replaced by another. */
static int l_close(lua_State *L) {
  const char *left = stop(L, check_record(L, 1));
  return left && lua_isnoneornil(L, 2) ? dfl_extent_left(L, left) : 0;
}

/* record:free() */
static int l_free(lua_State *L) {
  record_box *b = check_record(L, 1);
  dfl_state *s = dfl_context(L);
  if (b->record && s->tape) df_record_free(s->tape, b->record);
  b->record = NULL;
  dfl_extent_forget(s, &b->extent);
  return 0;
}

/* record:want(x) -> a new window on x whose gradient is followed */
static int l_want(lua_State *L) {
  df_record *record = check_recorded(L);
  df_tape *tape = dfl_tape(L);
  df_tensor *x = dfl_tensor(L, 2);
  if (x->dtype != DF_REAL)
    return luaL_error(L, "grad: an argument %s is %s; gradients are of %s tensors",
                      df_tensor_text(x), df_dtype_name(x->dtype), df_dtype_name(DF_REAL));
  df_tensor *fresh =
      df_scope_own(tape, df_tensor_window(x, &x->shape, x->stride, x->offset));
  if (!fresh) return dfl_raise(L);
  fresh->record = x->record, fresh->slot = x->slot;
  df_record *other = df_record_of(tape, x);
  if (other && df_record_is_open(tape, other) && other != record)
    return luaL_error(L,
                      "grad: an argument %s depends on what an outer record follows, and "
                      "there are no second derivatives; detach() it",
                      df_tensor_text(x));
  fresh->record = 0;
  if (df_record_want(tape, record, fresh) != DF_OK) return dfl_raise(L);
  dfl_push(L, fresh);
  return 1;
}

/* record:gradient(x) -> its gradient after the backward pass */
static int l_gradient(lua_State *L) {
  df_record *record = check_recorded(L);
  df_tensor *g = df_record_gradient(dfl_tape(L), record, dfl_tensor(L, 2));
  if (!g) return dfl_raise(L);
  dfl_push(L, g);
  return 1;
}

/* ==== custom ops ==================================================================== */

static const df_op guest_op = { "guest", NULL };

#define GUEST_ARGS 32

/* Pushes a table from tensor to version, for the tensors at `first` to `last`. The
** backward of a custom op needs their values unchanged. */
static void push_versions(lua_State *L, int first, int last) {
  lua_newtable(L);
  for (int i = first; i <= last; i++) {
    const df_tensor *x = dfl_test(L, i);
    if (!x) continue;
    lua_pushvalue(L, i);
    lua_pushinteger(L, (lua_Integer)df_tensor_version(x));
    lua_rawset(L, -3);
  }
}

/* Pushes the list of a custom op: {backward, kept, arguments...; n = their number,
** versions}. */
static void push_guest(lua_State *L, int n) {
  lua_createtable(L, n, 2);
  for (int i = 3; i < 3 + n; i++) {
    dfl_unscope(L, i);
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, i - 2);
  }
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
  push_versions(L, 4, 2 + n);
  lua_setfield(L, -2, "versions");
}

/* note_guest(y, always, backward, kept, ...): returns y as a recorded value. A Lua
** function computed y from `...`. */
static int l_note_guest(lua_State *L) {
  df_tape *tape = dfl_tape(L);
  df_tensor *y = dfl_tensor(L, 1), *x[GUEST_ARGS];
  bool always = lua_toboolean(L, 2);
  int n = lua_gettop(L) - 4;
  luaL_checktype(L, 3, LUA_TFUNCTION);
  luaL_argcheck(L, n <= GUEST_ARGS, 5, "at most 32 arguments");
  for (int i = 0; i < n; i++) x[i] = dfl_test(L, 5 + i);
  if (!df_tape_recording(tape) || (!always && !df_tracked(tape, n, x))) {
    lua_settop(L, 1);
    return 1;
  }
  push_guest(L, n + 2);
  df_tensor *fresh =
      df_scope_own(tape, df_tensor_window(y, &y->shape, y->stride, y->offset));
  const df_note note = { .op = &guest_op, .n = n, .x = x, .always = always };
  if (!fresh || !df_tape_note(tape, fresh, note)) return dfl_raise(L);
  if (!dfl_push_record(L, df_record_of(tape, fresh))) return luaL_error(L, "no record");
  lua_getiuservalue(L, -1, GUESTS);
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, fresh->slot);
  dfl_push(L, fresh);
  return 1;
}

/* Passes on the gradient that a custom op returned for its argument i. */
static df_code deliver(lua_State *L, df_node *node, int i, int at) {
  df_tape *tape = dfl_tape(L);
  if (!df_wants(node, i) || lua_isnil(L, at)) return DF_OK;
  df_tensor *g = dfl_test(L, at);
  if (!g)
    return df_fail(DF_MISUSE, "nn.guest: gradient %d of backward is a %s, not a tensor",
                   i + 1, luaL_typename(L, at));
  return df_sink_pass(node, i, df_dense(tape, df_clone(tape, g))); /* Lua may write g */
}

/* The list of the custom op is on top of the stack. */
static df_code check_versions(lua_State *L) {
  df_code code = DF_OK;
  lua_getfield(L, -1, "versions");
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    const df_tensor *x = dfl_test(L, -2);
    if (x && (lua_Integer)df_tensor_version(x) != lua_tointeger(L, -1))
      code = df_fail(DF_MISUSE,
                     "nn.guest: backward needs a value %s that was written to in place "
                     "after forward; use clone() in forward",
                     df_tensor_text(x));
  }
  lua_pop(L, 1);
  return code;
}

/* Calls backward(dy, kept, ...) of a custom op. */
static df_code call_guest(lua_State *L, df_node *node, int list, int n) {
  df_tensor *dy = df_walk_gradient(node);
  if (!dy) return df_error_code();
  lua_rawgeti(L, list, 1);
  dfl_push(L, dy);
  for (int i = 2; i <= n; i++) lua_rawgeti(L, list, i);
  lua_call(L, n, node->n);
  return DF_OK;
}

/* Calls the backward of a custom op without recording. Its list is on top of the
** stack. */
static df_code undo_guest(lua_State *L, df_node *node) {
  df_tape *tape = dfl_tape(L);
  size_t mark = df_scope_open(tape), depth = df_tape_depth(tape);
  int list = lua_gettop(L);
  df_code code = check_versions(L);
  if (code != DF_OK) return code;
  lua_getfield(L, list, "n");
  int n = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  luaL_checkstack(L, n + 4, "arguments of nn.guest");
  code = df_tape_push(tape, NULL);
  if (code == DF_OK) code = call_guest(L, node, list, n);
  for (int i = 0; code == DF_OK && i < node->n; i++)
    code = deliver(L, node, i, list + 1 + i);
  df_scope_close(tape, mark);
  df_tape_cut(tape, depth);
  return code;
}

/* A backward pass in progress. Custom ops may raise errors, and so may Lua when its
** memory is short. */
typedef struct walking {
  df_record *record;
  bool keep;
  df_code code;
} walking;

/* (walking, userdata of the record) */
static int l_walk(lua_State *L) {
  walking *w = lua_touserdata(L, 1);
  df_node *guest = NULL;
  bool collected = false;
  lua_getiuservalue(L, 2, GUESTS);
  for (;;) {
    lua_settop(L, 3);
    w->code = df_walk_on(dfl_tape(L), w->record, w->keep, &guest);
    if (w->code == DF_MEMORY && !collected && df_walk_can_go_on(w->record)) {
      collected = dfl_collect_now(L);
      continue;
    }
    if (w->code != DF_GUEST) return 0;
    lua_rawgeti(L, 3, guest->y);
    w->code = undo_guest(L, guest);
    if (w->code != DF_OK) return 0;
  }
}

/* The userdata of the record is on top of the stack. */
static void walk(lua_State *L, df_record *record, bool keep) {
  walking w = { .record = record, .keep = keep };
  size_t depth = df_tape_depth(dfl_tape(L));
  lua_pushcfunction(L, l_walk);
  lua_pushlightuserdata(L, &w);
  lua_pushvalue(L, -3);
  int status = lua_pcall(L, 2, 0, 0);
  if (status == LUA_OK && w.code == DF_OK) return;
  df_tape_cut(dfl_tape(L), depth);
  if (df_walk_can_go_on(record)) df_walk_give_up(record, keep);
  if (status == LUA_OK) dfl_raise(L);
  lua_error(L);
}

/*** Tensor:backward
** Runs the backward pass of the recorded ops and adds to the gradients of trainable
** parameters. The tensor must have one element. A second backward pass, a value that was
** overwritten, and a second derivative are errors. If it fails, also for lack of memory,
** the gradients of all models reached so far are dropped.
** @param opts? diffusion.backward_options
** @option keep boolean (false) keeps the record for another backward pass */
static int l_backward(lua_State *L) {
  static const char *const names[] = { "keep", NULL };
  df_tape *tape = dfl_tape(L);
  df_tensor *loss = dfl_tensor(L, 1), *g = NULL;
  dfl_fields(L, 2, names);
  bool keep = dfl_field_flag(L, 2, "keep", false);
  lua_settop(L, 3);
  dfl_check_open(L, dfl_context(L));
  dfl_collect(L);
  if (!lua_isnil(L, 3)) {
    g = df_dense(tape, dfl_tensor(L, 3));
    if (!g) return dfl_raise(L);
  }
  df_record *record = df_record_of(tape, loss);
  if (df_walk_start(tape, loss, g) != DF_OK) return dfl_raise(L);
  if (!dfl_push_record(L, record)) return luaL_error(L, "backward: its record is gone");
  walk(L, record, keep);
  let_go(L, check_record(L, 4));
  return 0;
}

/* (x, record): true if the gradient of x leads into this record */
static int l_is_recorded_by(lua_State *L) {
  record_box *b = check_record(L, 2);
  lua_pushboolean(L, df_record_of(dfl_tape(L), dfl_tensor(L, 1)) == b->record);
  return 1;
}

/* followed(x): true if a number read from x would lose a gradient */
static int l_followed(lua_State *L) {
  lua_pushboolean(L, df_followed(dfl_tape(L), dfl_tensor(L, 1)));
  return 1;
}

/* record:value(x) -> x as it leaves the record */
static int l_value(lua_State *L) {
  const df_record *record = check_recorded(L);
  df_tensor *y = df_record_value(dfl_tape(L), record, dfl_tensor(L, 2));
  if (!y) return dfl_raise(L);
  dfl_push(L, y);
  return 1;
}

/* -> "leaves" or "inputs", as given when the open record was opened; false if none is
** open */
static int l_recording(lua_State *L) {
  df_tape *tape = dfl_tape(L);
  bool leaves = df_tape_wants_leaves(tape);
  if (df_tape_recording(tape)) lua_pushstring(L, leaves ? "leaves" : "inputs");
  else lua_pushboolean(L, false);
  return 1;
}

/* record:part(n, rows): it is of n parts of a batch of so many rows, which are walked
** within another walk */
static int l_part(lua_State *L) {
  df_record *record = check_recorded(L);
  df_record_part(record, (int)luaL_checkinteger(L, 2), (df_int)luaL_checkinteger(L, 3));
  return 0;
}

/* record_parts() -> the parts of the innermost record, or 0 */
static int l_record_parts(lua_State *L) {
  lua_pushinteger(L, df_tape_parts(dfl_tape(L)));
  return 1;
}

/* record:is_mixed() -> true if gradients of its parts can't be told apart */
static int l_is_mixed(lua_State *L) {
  lua_pushboolean(L, df_record_is_mixed(check_recorded(L)));
  return 1;
}

static const luaL_Reg record_methods[] = {
  { "close", l_close },       { "want", l_want }, { "gradient", l_gradient },
  { "value", l_value },       { "free", l_free }, { "part", l_part },
  { "is_mixed", l_is_mixed }, { NULL, NULL },
};

static const luaL_Reg meta[] = {
  { "__close", l_close },
  { NULL, NULL },
};

static const luaL_Reg functions[] = {
  { "record_parts", l_record_parts },
  { "record_open", l_open },
  { "note_guest", l_note_guest },
  { "recording", l_recording },
  { "is_recorded_by", l_is_recorded_by },
  { "followed", l_followed },
  { NULL, NULL },
};

static const luaL_Reg methods[] = {
  { "backward", l_backward },
  { NULL, NULL },
};

void dfl_open_tape(lua_State *L) {
  dfl_functions(L, functions);
  dfl_methods(L, methods);
  dfl_new_type(L, DFL_RECORD, l_free, meta, record_methods);
}
