/* Boxes: the userdata around tensors, and the records that they keep alive. */
#include "binding/binding.h"
#include "binding/state.h"
#include "ops/sink.h"

static void push_weak_table(lua_State *L, const char *mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

/* ==== records ======================================================================= */

static const char records_key; /* weak table: df_record * -> its userdata */

bool dfl_push_record(lua_State *L, const df_record *record) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &records_key);
  lua_rawgetp(L, -1, record);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

void dfl_set_record(lua_State *L, const df_record *record) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &records_key);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, record);
  lua_pop(L, 1);
}

void dfl_open_box(lua_State *L) {
  push_weak_table(L, "v");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &records_key);
}

/* ==== rows of a batch =============================================================== */

static const char rows_key; /* weak table: userdata of a tensor -> true */

void dfl_list_rows(lua_State *L, df_int rows) {
  dfl_context(L)->rows = rows;
  push_weak_table(L, "k");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &rows_key);
}

void dfl_push_rows(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &rows_key); }

/* The box is on top of the stack. */
static void list_box(lua_State *L, const dfl_state *s, const df_tensor *x) {
  if (x->shape.ndim == 0 || x->shape.size[0] < s->rows || x->leaf) return;
  if (df_tape_recording(s->tape)) return;
  dfl_push_rows(L);
  lua_pushvalue(L, -2);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* ==== boxes ========================================================================= */

/* The box keeps its record alive, so that its loss can still be walked. */
static void hold_record(lua_State *L, const df_tensor *x) {
  if (!x->record || x->leaf) return;
  df_record *r = df_record_of(dfl_tape(L), x);
  if (r && dfl_push_record(L, r)) lua_setiuservalue(L, -2, 1);
}

/* x is held first, because making the userdata may run a finaliser that releases it. */
void dfl_push(lua_State *L, df_tensor *x) {
  dfl_state *s = dfl_context(L);
  dfl_check_open(L, s);
  dfl_hold(L, x);
  dfl_box *b = lua_newuserdatauv(L, sizeof *b, 1);
  *b = (dfl_box){ .tensor = NULL };
  luaL_setmetatable(L, DFL_TENSOR);
  dfl_link_box(s, b);
  b->tensor = df_tensor_retain(x);
  hold_record(L, x);
  if (s->rows > 0) list_box(L, s, x);
}

/* Raises for stored weights, whose elements have no address of their own. */
static df_tensor *numbers(lua_State *L, df_tensor *x) {
  if (x && df_dtype_in_blocks(x->dtype))
    luaL_error(L,
               "a tensor %s of %s holds stored weights; x:to \"f32\" makes numbers "
               "of them",
               df_tensor_text(x), df_dtype_name(x->dtype));
  return x;
}

df_tensor *dfl_test(lua_State *L, int arg) {
  dfl_box *b = luaL_testudata(L, arg, DFL_TENSOR);
  return b ? numbers(L, dfl_hold(L, b->tensor)) : NULL;
}

df_tensor *dfl_tensor(lua_State *L, int arg) { return numbers(L, dfl_stored(L, arg)); }

df_tensor *dfl_stored(lua_State *L, int arg) {
  dfl_box *b = luaL_checkudata(L, arg, DFL_TENSOR);
  if (!b->tensor)
    luaL_argerror(L, arg,
                  "attempt to use a freed tensor (free(), or made in a d.scope "
                  "that has ended)");
  return dfl_hold(L, b->tensor);
}

df_tensor *dfl_tensor_or_nil(lua_State *L, int arg) {
  return lua_isnoneornil(L, arg) ? NULL : dfl_tensor(L, arg);
}

df_tensor *dfl_floats(lua_State *L, int arg) {
  df_tensor *x = dfl_tensor(L, arg);
  if (df_dtype_is_float(x->dtype)) return x;
  lua_pushfstring(L,
                  "floats expected, got %s %s; d.image.to_float brings images into "
                  "[-1, 1]",
                  df_dtype_name(x->dtype), df_tensor_text(x));
  luaL_argerror(L, arg, lua_tostring(L, -1));
  return NULL;
}

static void unscope(lua_State *L, int index) {
  dfl_box *b = luaL_testudata(L, index, DFL_TENSOR);
  if (b) dfl_unlink_box(dfl_context(L), b);
}

void dfl_unscope(lua_State *L, int index) {
  unscope(L, index);
  if (lua_type(L, index) != LUA_TTABLE) return;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) unscope(L, -1);
}
